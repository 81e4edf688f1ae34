//! A PostgreSQL cluster with its usual durability, to be crashed and started again.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::command;
use crate::server::free_port;

/// A running or stopped PostgreSQL on a port of its own. Gone when dropped.
pub struct Postgres {
    dir: TempDir,
    bin: PathBuf,
    port: u16,
    /// Whom it runs as: PostgreSQL refuses to run as root.
    user: Option<&'static str>,
}

impl Postgres {
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub fn start() -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let is_root = uid_of(None) == 0;
        let postgres = Self { bin: bin(), port: free_port(), user: is_root.then_some("postgres"), dir };
        fs::set_permissions(postgres.dir.path(), Permissions::from_mode(0o755)).expect("a folder");
        let home = postgres.home();
        fs::create_dir(&home).expect("a folder");
        if let Some(user) = postgres.user {
            chown(&home, Some(uid_of(Some(user))), None).expect("the folder changes hands");
        }
        let data = postgres.data();
        let made = postgres
            .command("initdb")
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        postgres.run();
        postgres
    }

    /// The address of a database of it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Starts it again on the same port; recovers from what was left behind.
    ///
    /// # Panics
    /// When it does not start in time.
    pub fn run(&self) {
        let log = self.home().join("log");
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200",
            self.port
        );
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let mut start = self.command("pg_ctl");
            start
                .arg("-D")
                .arg(self.data())
                .args(["-s", "-w", "-t", "60", "-o", &options, "-l"])
                .arg(&log)
                .arg("start");
            let started = start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if started.expect("pg_ctl runs").success() {
                return;
            }
            // After a crash its children may still hold the shared memory for a moment.
            let said = fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < deadline, "PostgreSQL does not start: {said}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it without a checkpoint, as a crash would.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn stop_at_once(&self) {
        let mut stop = self.command("pg_ctl");
        stop.arg("-D").arg(self.data()).args(["-s", "-m", "immediate", "stop"]);
        let stopped = stop.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("pg_ctl runs");
        assert!(stopped.success(), "PostgreSQL could not be stopped");
    }

    /// `kill -9` of its first process; the others notice and follow.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&self) {
        let pid = fs::read_to_string(self.data().join("postmaster.pid")).expect("PostgreSQL runs");
        let pid = pid.lines().next().expect("a process id");
        assert!(Command::new("kill").args(["-9", pid]).status().expect("kill runs").success());
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("pg")
    }

    fn data(&self) -> PathBuf {
        self.home().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = match self.user {
            None => command(&program),
            Some(user) => {
                let mut command = command(Path::new("runuser"));
                command.args(["-u", user, "--"]).arg(program);
                command
            }
        };
        command.current_dir("/");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = self.command("pg_ctl");
        stop.arg("-D").arg(self.data()).args(["-s", "-m", "immediate", "stop"]);
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Where Debian keeps the newest version, else wherever `initdb` is.
fn bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").is_file())
        .collect();
    found.sort();
    let in_path = || {
        let path = std::env::var("PATH").unwrap_or_default();
        path.split(':').map(PathBuf::from).find(|dir| dir.join("initdb").is_file())
    };
    let newest = found.pop().map(|(_, bin)| bin).or_else(in_path);
    newest.expect("PostgreSQL is installed; scripts/setup.sh services does it")
}

fn uid_of(user: Option<&str>) -> u32 {
    let id = Command::new("id").arg("-u").args(user).output().expect("id runs");
    String::from_utf8_lossy(&id.stdout).trim().parse().expect("a user id")
}
