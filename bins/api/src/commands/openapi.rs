//! `openapi`: writes what is committed under `openapi/` and `docs/`, without a database.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::http::spec::Document;
use crate::http::{apis, catalogue};

/// Where to write what.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Write the document here instead of to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also write the list of error codes here.
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
}

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{path} could not be written: {source}")]
pub(super) struct WriteError {
    path: String,
    source: io::Error,
}

/// Writes the files.
///
/// # Errors
/// [`WriteError`] naming the file.
pub(super) fn run(arguments: &Arguments) -> Result<(), WriteError> {
    let document = Document::of(apis());
    if let Some(path) = &arguments.output {
        write(path, document.text())?;
    } else {
        let printed = io::stdout().write_all(document.text().as_bytes());
        printed.map_err(|source| WriteError { path: "standard output".into(), source })?;
    }
    match &arguments.errors {
        Some(path) => write(path, &catalogue::markdown()),
        None => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), WriteError> {
    fs::write(path, text).map_err(|source| WriteError { path: path.display().to_string(), source })
}
