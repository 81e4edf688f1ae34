//! Running the real binaries: a deployment in a folder of its own, started, killed and started again at will.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longest wait for a server to answer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Which database a deployment uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    /// A fresh database on the server that `DATABASE_URL_PG` names.
    Postgres,
}

impl Database {
    /// The databases to test: SQLite always, PostgreSQL when `DATABASE_URL_PG` is set.
    ///
    /// # Panics
    /// In CI and in proofs without PostgreSQL: what does not run there proves nothing.
    pub fn available() -> Vec<Self> {
        if std::env::var_os("DATABASE_URL_PG").is_some() {
            return vec![Self::Sqlite, Self::Postgres];
        }
        let profile = std::env::var("NEXTEST_PROFILE").unwrap_or_default();
        assert!(!["ci", "proof"].contains(&profile.as_str()), "DATABASE_URL_PG is not set: run it as `just test-pg`");
        eprintln!("SKIPPED on PostgreSQL: DATABASE_URL_PG is not set");
        vec![Self::Sqlite]
    }
}

/// Credentials of the tests' application; invented.
pub const APP_ID: &str = "test-application-id";
pub const APP_KEY: &str = "test-application-key";
pub const MASTER_KEY: &str = "test-application-master-key";

/// A configuration, a database and a folder for everything else. Gone when dropped.
pub struct Deployment {
    dir: TempDir,
    database: Database,
    database_url: String,
    /// Where the database was made and is to be removed; none for a file.
    server_url: Option<String>,
    settings: Vec<(String, String)>,
}

impl Deployment {
    /// A fresh, empty deployment.
    ///
    /// # Panics
    /// When the folder or the database cannot be made.
    pub fn new(database: Database) -> Self {
        match database {
            Database::Sqlite => {
                let dir = TempDir::new().expect("a temporary folder");
                let database_url = format!("sqlite://{}/data/zhaoguan.db", dir.path().display());
                Self { dir, database, database_url, server_url: None, settings: Vec::new() }
            }
            Database::Postgres => Self::on_server(&std::env::var("DATABASE_URL_PG").expect("DATABASE_URL_PG")),
        }
    }

    /// The same, in a new database of a PostgreSQL server that any database of it names.
    ///
    /// # Panics
    /// When the folder or the database cannot be made.
    pub fn on_server(server_url: &str) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let database_url = create_database(&dir, server_url);
        let server_url = Some(server_url.to_owned());
        Self { dir, database: Database::Postgres, database_url, server_url, settings: Vec::new() }
    }

    /// Sets a configuration key like `worker.lease`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.push((variable(key), value.to_owned()));
        self
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub const fn database(&self) -> Database {
        self.database
    }

    /// The address of the database itself.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Runs `zhaoguan-api` with arguments and waits for it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command("zhaoguan-api").args(arguments).output().expect("zhaoguan-api runs")
    }

    /// Like [`Deployment::run`], with one setting more, e.g. one that is not as it was.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run_with(&self, arguments: &[&str], [key, value]: [&str; 2]) -> Output {
        let mut command = self.command("zhaoguan-api");
        command.args(arguments).env(variable(key), value).output().expect("zhaoguan-api runs")
    }

    /// Like [`Deployment::run`], and it must succeed.
    ///
    /// # Panics
    /// When it fails, with what it printed.
    pub fn run_ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "zhaoguan-api {arguments:?} failed\n{out}\n{err}");
        out.into_owned()
    }

    /// Starts `zhaoguan-api` with arguments and does not wait for it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&self, arguments: &[&str]) -> Process {
        let log = self.dir.path().join(format!("command-{}.log", free_port()));
        let mut command = self.command("zhaoguan-api");
        command.args(arguments);
        Process::start(command, &log)
    }

    /// Starts the API on a free port and waits until it is ready.
    ///
    /// # Panics
    /// When it is not ready in time; shows its log.
    pub fn start_api(&self) -> Api {
        self.start_api_at(free_port())
    }

    /// The same, on a port of the caller's choice: where it was before, for one that comes back.
    ///
    /// # Panics
    /// When it is not ready in time; shows its log.
    pub fn start_api_at(&self, port: u16) -> Api {
        let address = format!("127.0.0.1:{port}");
        let log = self.dir.path().join(format!("api-{port}.log"));
        let mut command = self.command("zhaoguan-api");
        command.arg("serve").env("ZHAOGUAN__HTTP__LISTEN", &address);
        let process = Process::start(command, &log);
        let mut api = Api { process, address };
        api.wait_until_ready(&log);
        api
    }

    /// Starts a worker as a process of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_worker(&self) -> Process {
        let log = self.dir.path().join(format!("worker-{}.log", free_port()));
        Process::start(self.command("zhaoguan-worker"), &log)
    }

    fn command(&self, binary: &str) -> Command {
        let mut command = Command::new(binary_path(binary));
        command
            .current_dir(self.dir.path())
            .env("ZHAOGUAN__DATABASE__URL", &self.database_url)
            .env("ZHAOGUAN__APP__ID", APP_ID)
            .env("ZHAOGUAN__APP__KEY", APP_KEY)
            .env("ZHAOGUAN__APP__MASTER_KEY", MASTER_KEY)
            .envs(self.settings.iter().map(|(k, v)| (k, v)));
        command
    }
}

/// The environment variable of a configuration key.
fn variable(key: &str) -> String {
    format!("ZHAOGUAN__{}", key.to_uppercase().replace('.', "__"))
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if let Some(server_url) = &self.server_url {
            let name = self.database_url.rsplit('/').next().unwrap_or_default();
            psql(server_url, &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"));
        }
    }
}

/// A running process; killed when dropped.
pub struct Process(Child);

impl Process {
    fn start(mut command: Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("a log file");
        let copy = file.try_clone().expect("a log file");
        command.stdin(Stdio::null()).stdout(Stdio::from(file)).stderr(Stdio::from(copy));
        Self(command.spawn().expect("the process starts"))
    }

    /// Ends it at once, as a crash would (`kill -9`).
    ///
    /// # Panics
    /// When it cannot be reaped.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        self.0.wait().expect("the process is reaped");
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Asks it to stop and waits for it.
    ///
    /// # Panics
    /// When it cannot be signalled or reaped.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        let status = Command::new("kill").arg(self.0.id().to_string()).status().expect("kill runs");
        assert!(status.success(), "the process could not be signalled");
        self.0.wait().expect("the process is reaped")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A running API.
pub struct Api {
    pub process: Process,
    /// `host:port`.
    pub address: String,
}

impl Api {
    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn wait_until_ready(&mut self, log: &Path) {
        let started = Instant::now();
        while !answers(&self.address) {
            let ended = self.process.0.try_wait().ok().flatten();
            let text = || fs::read_to_string(log).unwrap_or_default();
            assert!(ended.is_none(), "the api ended at its start\n{}", text());
            assert!(started.elapsed() < START_LIMIT, "the api is not ready\n{}", text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whether `/readyz` answers 200.
fn answers(address: &str) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    // A server that accepts but does not answer is not ready.
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut head = [0; 12];
    stream.write_all(request.as_bytes()).is_ok() && stream.read_exact(&mut head).is_ok() && head.ends_with(b"200")
}

/// A port nobody listens on at this moment.
///
/// # Panics
/// When the machine has none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a free port").port()
}

/// Binaries are built beside the test's own executable.
fn binary_path(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile_dir = test.ancestors().find(|dir| dir.join(name).is_file());
    profile_dir.unwrap_or_else(|| panic!("{name} is not built; run `cargo build --bins` first")).join(name)
}

fn create_database(dir: &TempDir, server_url: &str) -> String {
    let unique: String = dir.path().to_string_lossy().chars().filter(char::is_ascii_alphanumeric).collect();
    let name = format!("t{}_{}", std::process::id(), unique.to_lowercase());
    psql(server_url, &format!("CREATE DATABASE \"{name}\""));
    let (server, _) = server_url.rsplit_once('/').expect("the address names a database");
    format!("{server}/{name}")
}

fn psql(server_url: &str, sql: &str) {
    let output = Command::new("psql").args([server_url, "-qc", sql]).output().expect("psql runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
