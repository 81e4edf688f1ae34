//! `import-leancloud`: brings an exported LeanCloud application in, and says what became of every row; pulls it over
//! LeanCloud's REST interface before, if asked to.

mod progress;
mod remote;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use leancloud::export::{Export, FILES_FOLDER};
use leancloud::fetch::{self, FetchOptions, FetchReport};
use leancloud::import::{Copying, FileFolder, ImportOptions, Importer};
use leancloud::report::ImportReport;
use runtime::config::Secret;
use runtime::{Config, SystemClock};

use self::progress::{Bar, FetchBar};
use self::remote::LeanCloud;
use super::Failure;
use crate::app::App;
use crate::leancloud::PathLinks;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder or file of the export: *.jsonl, *.jsonl.gz, message history as *.json, or a tar archive of those.
    export: PathBuf,
    /// Where everything that did not fit is written, one JSON object a line.
    #[arg(long, default_value = "import-findings.jsonl")]
    findings: PathBuf,
    /// Web address before the keys of files that LeanCloud kept itself, e.g. `https://files.example.com`.
    #[arg(long, value_parser = web_address)]
    files_url: Option<String>,
    /// Folder with the bytes of files, named by id or key; `files` within the export when not given.
    #[arg(long)]
    files: Option<PathBuf>,
    /// Import into a throw-away copy and report; the database and the files stay as they are.
    #[arg(long)]
    dry_run: bool,
    /// Leave out looking at the end whether everything is here.
    #[arg(long)]
    no_verify: bool,
    /// Folder where messages are sorted; the system's folder for temporary files when not given.
    #[arg(long)]
    work_folder: Option<PathBuf>,
    /// Print the report as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    fetch: FetchArguments,
}

/// Pulling the application before it is imported.
#[derive(Debug, Args)]
struct FetchArguments {
    /// Pull the application from this address of LeanCloud's REST interface into the folder first; needs the master key
    /// in `LEANCLOUD_MASTER_KEY`. May be broken off and run again at any time.
    #[arg(long, value_name = "URL", value_parser = web_address)]
    fetch: Option<String>,
    /// Id of the application over there; `app.id` when not given.
    #[arg(long, env = "LEANCLOUD_APP_ID")]
    fetch_app_id: Option<String>,
    /// Only these classes, with commas between.
    #[arg(long, value_delimiter = ',', requires = "fetch")]
    fetch_classes: Option<Vec<String>>,
    /// Requests a second, at most.
    #[arg(long, default_value_t = 20, requires = "fetch", value_parser = clap::value_parser!(u32).range(1..=1000))]
    fetch_rate: u32,
    /// Leave out the bytes of files.
    #[arg(long, requires = "fetch")]
    fetch_without_files: bool,
    /// Pull only, import nothing.
    #[arg(long, requires = "fetch")]
    fetch_only: bool,
}

/// Where the master key of the application over there is read; arguments can be seen by everybody on the machine.
const MASTER_KEY_VARIABLE: &str = "LEANCLOUD_MASTER_KEY";

fn web_address(text: &str) -> Result<String, &'static str> {
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    if is_web { Ok(text.to_owned()) } else { Err("is a web address like https://files.example.com") }
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<(), Failure> {
    if let Some(url) = &arguments.fetch.fetch {
        let report = pull(&config, url, &arguments).await?;
        if !arguments.json {
            tell_fetched(&report);
        }
        if arguments.fetch.fetch_only {
            return Ok(());
        }
    }
    let export = Export::open(&arguments.export)?;
    let report = if arguments.dry_run {
        let throw_away = ThrowAway::beside(&config, arguments.work_folder.as_deref())?;
        Box::pin(import(throw_away.config(config).await?, &export, &arguments)).await?
    } else {
        Box::pin(import(config, &export, &arguments)).await?
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
        if report.finding_count > 0 {
            println!("\nAll of them, one a line: {}", arguments.findings.display());
        }
        if arguments.dry_run {
            println!("\nThis was a trial: nothing was changed.");
        }
    }
    if report.is_sound() { Ok(()) } else { Err("rows that were imported are missing or contradict each other".into()) }
}

async fn import(mut config: Config, export: &Export, arguments: &Arguments) -> Result<ImportReport, Failure> {
    // Each reading connection to SQLite maps the file into memory; one is enough for a command.
    config.database.sqlite_readers = NonZeroU32::MIN;
    let app = App::build(config).await?;
    let blobs = app.ground.blobs.clone();
    let urls = PathLinks { accounts: app.accounts.clone(), public_url: app.config.http.public_url() };
    let options = ImportOptions {
        policy: app.config.consultation_policy(),
        sessions: app.config.account_settings().sessions,
        files_url: arguments.files_url.clone(),
        copying: files_of(arguments)?.map(|folder| Arc::new(Copying { folder, blobs })),
        file_urls: Some(Arc::new(urls)),
        work_folder: arguments.work_folder.clone(),
        is_unverified: arguments.no_verify,
    };
    let ground = &app.ground;
    let importer = Importer::new(Arc::new(ground.store.clone()), ground.clock.clone(), ground.ids.clone(), options);
    let mut log = OnDemand { path: arguments.findings.clone(), file: None };
    let report = importer.run(export, &mut log, &Bar::new()?).await?;
    ground.store.close().await;
    Ok(report)
}

/// The folder with the bytes of files, if there is one. One that was named must be there.
fn files_of(arguments: &Arguments) -> Result<Option<FileFolder>, Failure> {
    let named = arguments.files.clone();
    let usual = arguments.export.join(FILES_FOLDER);
    let folder = named.or_else(|| usual.is_dir().then_some(usual));
    let open = |folder: PathBuf| {
        FileFolder::open(&folder).map_err(|error| format!("{} cannot be read: {error}", folder.display()))
    };
    Ok(folder.map(open).transpose()?)
}

async fn pull(config: &Config, url: &str, arguments: &Arguments) -> Result<FetchReport, Failure> {
    let master_key = std::env::var(MASTER_KEY_VARIABLE).ok().filter(|key| !key.is_empty());
    let master_key = master_key.map(Secret::new).or_else(|| config.app.master_key.clone());
    let master_key = master_key.ok_or(format!("{MASTER_KEY_VARIABLE} is not set, and neither is app.master_key"))?;
    let app_id = arguments.fetch.fetch_app_id.clone().or_else(|| config.app.id.clone());
    let app_id = app_id.ok_or("--fetch-app-id is not given, and app.id is not set")?;
    let remote = LeanCloud::new(url, app_id, &master_key)?;
    let options = FetchOptions {
        classes: arguments.fetch.fetch_classes.clone(),
        rate: arguments.fetch.fetch_rate,
        with_files: !arguments.fetch.fetch_without_files,
        files_url: arguments.files_url.clone(),
        ..FetchOptions::new(&arguments.export)
    };
    Ok(fetch::run(&remote, &SystemClock, &options, &FetchBar::new()?).await?)
}

fn tell_fetched(report: &FetchReport) {
    println!("Fetched:");
    for (class, rows) in &report.classes {
        println!("{rows:>10}  {class}");
    }
    println!("{:>10}  messages", report.messages);
    println!("{:>10}  files", report.files);
    for (class, reason) in &report.refused {
        println!("Not fetched: class {class} ({reason})");
    }
    for (id, reason) in report.missing_files.iter().take(20) {
        println!("Not fetched: file {id} ({reason})");
    }
    if report.missing_files.len() > 20 {
        println!("Not fetched: {} files in all", report.missing_files.len());
    }
    println!();
}

/// A folder with a copy of the database, which goes with its owner.
struct ThrowAway {
    folder: PathBuf,
    /// The SQLite database that is copied, if it is one and there is one.
    original: Option<PathBuf>,
}

impl ThrowAway {
    fn beside(config: &Config, folder: Option<&Path>) -> Result<Self, Failure> {
        let folder = folder.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let folder = folder.join(format!("zhaoguan-trial-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let original = super::check::sqlite_file(config).filter(|file| file.is_file());
        Ok(Self { folder, original })
    }

    /// The configuration with the copy for its database and nothing for its files. What PostgreSQL holds is not copied:
    /// there the trial begins with an empty database.
    async fn config(&self, mut config: Config) -> Result<Config, Failure> {
        let file = self.folder.join("trial.db");
        if let Some(original) = &self.original {
            storage::copy_sqlite(original, &file).await?;
        }
        config.database.url = Secret::new(format!("sqlite://{}", file.display()));
        "memory://".clone_into(&mut config.files.url);
        Ok(config)
    }
}

impl Drop for ThrowAway {
    fn drop(&mut self) {
        // What remains is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A file that is made when there is something to write.
struct OnDemand {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Write for OnDemand {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => BufWriter::new(File::create(&self.path)?),
        };
        let written = file.write(bytes);
        self.file = Some(file);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_findings_is_made_only_when_there_is_one() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("findings.jsonl");
        let mut log = OnDemand { path: path.clone(), file: None };
        log.flush().unwrap();
        assert!(!path.exists());
        log.write_all(b"{}\n").unwrap();
        log.write_all(b"[]\n").unwrap();
        log.flush().unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "{}\n[]\n");
    }

    #[test]
    fn only_web_addresses_are_taken() {
        assert!(web_address("https://files.example.com").is_ok());
        assert!(web_address("files.example.com").is_err());
    }
}
