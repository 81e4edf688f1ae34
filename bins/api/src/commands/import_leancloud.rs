//! `import-leancloud`: brings an exported LeanCloud application in, and says what became of every row.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use leancloud::export::Export;
use leancloud::import::{ImportOptions, ImportProgress, Importer};
use runtime::Config;
use worker::Ground;

use super::Failure;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder or file of the export: *.jsonl, *.jsonl.gz, or a tar archive of those.
    export: PathBuf,
    /// Where everything that did not fit is written, one JSON object a line.
    #[arg(long, default_value = "import-findings.jsonl")]
    findings: PathBuf,
    /// Web address before the keys of files that LeanCloud kept itself, e.g. `https://files.example.com`.
    #[arg(long, value_parser = web_address)]
    files_url: Option<String>,
    /// Print the report as JSON, for programs.
    #[arg(long)]
    json: bool,
}

fn web_address(text: &str) -> Result<String, &'static str> {
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    if is_web { Ok(text.to_owned()) } else { Err("is a web address like https://files.example.com") }
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<(), Failure> {
    let export = Export::open(&arguments.export)?;
    let ground = Ground::lay(&config).await?;
    let options = ImportOptions {
        policy: config.consultation_policy(),
        sessions: config.account_settings().sessions,
        files_url: arguments.files_url.clone(),
    };
    let importer = Importer::new(Arc::new(ground.store.clone()), ground.clock.clone(), ground.ids.clone(), options);
    let mut log = OnDemand { path: arguments.findings.clone(), file: None };
    let report = importer.run(&export, &mut log, &Bar::new()?).await?;
    ground.store.close().await;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    print!("{report}");
    if log.file.is_some() {
        println!("\nAll of them, one a line: {}", arguments.findings.display());
    }
    Ok(())
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

/// Progress on the terminal; silent when standard error is not one.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Result<Self, Failure> {
        let style = ProgressStyle::with_template("{bar:32} {percent:>3}%  {bytes}/{total_bytes}  {eta} left  {msg}")?;
        Ok(Self(ProgressBar::new(0).with_style(style)))
    }
}

impl ImportProgress for Bar {
    fn begin(&self, total_bytes: u64) {
        self.0.set_length(total_bytes);
    }

    fn class(&self, name: &str) {
        self.0.set_message(name.to_owned());
    }

    fn advance(&self, bytes_read: u64) {
        self.0.set_position(bytes_read);
    }

    fn finish(&self) {
        self.0.finish_and_clear();
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
