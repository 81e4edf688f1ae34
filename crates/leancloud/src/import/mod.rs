//! The use case: an export into a store, again and again without harm.
//!
//! Classes are read in the order their references need, whatever order the files are in, in transactions of at most
//! [`crate::export::MAX_BATCH_ROWS`] rows; other classes become documents, and the history of messages comes last. An import that was interrupted is simply run again: rows that are here
//! already are left alone, rows the export has newer are replaced unless they changed here, and nothing is ever
//! overwritten by something older. Every row that does not come in, and every value that did not fit, is reported.

mod addresses;
mod batch;
mod consultations;
mod conversations;
mod copies;
mod documents;
mod files;
mod history;
mod merge;
mod people;
mod progress;
mod references;
mod relations;
pub mod store;
mod users;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use account::session::SessionSettings;
use consultation::ConsultationPolicy;
use domain::file::BlobError;
use domain::id::IdSource;
use domain::{Clock, Coded, ErrorKind, StoreError};

use crate::export::{Export, ExportError, JOIN_PREFIX, MESSAGE_CLASS};
use crate::finding::{Note, Problem};
use crate::mapping::MapContext;
use crate::report::{ClassCounts, Finding, ImportReport, Place, ReportBuilder};
use crate::rest::FileUrls;

use self::batch::{ClassImport, Run};
pub use self::copies::{Copying, FileFolder, MAX_COPIED_BYTES};
pub use self::progress::{ImportProgress, Unwatched};
use self::store::{ImportClass, ImportStore};

/// The import could not go on. What was committed before stays; running again continues.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error("a file of the import could not be read or written")]
    File(#[from] io::Error),
    #[error("the bytes of a file could not be kept")]
    Blob(#[from] BlobError),
    #[error("the database did not answer as it should")]
    Store(#[from] StoreError),
}

impl Coded for ImportError {
    fn code(&self) -> &'static str {
        match self {
            Self::Export(e) => e.code(),
            Self::File(_) => "import.file",
            Self::Blob(_) => "import.blob",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Export(e) => e.kind(),
            Self::File(_) => ErrorKind::Internal,
            Self::Blob(_) => ErrorKind::Unavailable,
            Self::Store(e) => e.kind(),
        }
    }
}

/// Settings of an import.
#[derive(Clone, Default)]
pub struct ImportOptions {
    pub policy: ConsultationPolicy,
    pub sessions: SessionSettings,
    /// Address before the `key` of files that have no address of their own.
    pub files_url: Option<String>,
    /// Where bytes of files are; without it files stay at their outside addresses.
    pub copying: Option<Arc<Copying>>,
    /// Makes the addresses of files whose bytes are here.
    pub file_urls: Option<Arc<dyn FileUrls>>,
    /// Where messages are sorted before they are written; the system's folder for temporary files when not given.
    pub work_folder: Option<PathBuf>,
    /// Leaves out looking whether everything is here at the end.
    pub is_unverified: bool,
}

/// Brings exports into a store.
pub struct Importer {
    store: Arc<dyn ImportStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    options: ImportOptions,
}

impl Importer {
    pub fn new(
        store: Arc<dyn ImportStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        options: ImportOptions,
    ) -> Self {
        Self { store, clock, ids, options }
    }

    /// Imports everything of an export that this product knows. Findings are written to `log` as they come, one JSON
    /// object a line.
    ///
    /// # Errors
    /// [`ImportError`] when the store, the export or the log fails; odd rows are no error.
    pub async fn run(
        &self,
        export: &Export,
        log: &mut (dyn Write + Send),
        progress: &dyn ImportProgress,
    ) -> Result<ImportReport, ImportError> {
        let now = self.clock.now();
        let files_url = self.options.files_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        let run = Run {
            store: self.store.as_ref(),
            ids: self.ids.as_ref(),
            sessions: self.options.sessions,
            now,
            context: MapContext { now, policy: self.options.policy.clone(), files_url },
            file_urls: self.options.file_urls.as_deref(),
        };
        let mut report = ReportBuilder::new(now, log);
        // Relations are read once more at the end, to check what they refer to; messages are written in a second pass.
        let passes = export.classes().into_iter().chain([ImportClass::Relation.name(), MESSAGE_CLASS]);
        progress.begin(passes.map(|class| export.bytes_of(class)).sum());
        report_files(export, &mut report)?;
        for class in ImportClass::ALL {
            progress.class(class.name());
            match class {
                ImportClass::User => import::<users::Users>(&run, export, &mut report, progress).await?,
                ImportClass::File => {
                    import::<files::Files>(&run, export, &mut report, progress).await?;
                }
                ImportClass::Doctor => import::<people::Doctors>(&run, export, &mut report, progress).await?,
                ImportClass::Patient => import::<people::Patients>(&run, export, &mut report, progress).await?,
                ImportClass::Relation => import::<relations::Relations>(&run, export, &mut report, progress).await?,
                ImportClass::Conversation => {
                    import::<conversations::Conversations>(&run, export, &mut report, progress).await?;
                }
                ImportClass::Consultation => {
                    import::<consultations::Consultations>(&run, export, &mut report, progress).await?;
                }
            }
        }
        if let Some(copying) = &self.options.copying {
            copies::bring_in(&run, copying, &mut report, progress).await?;
        }
        relations::check_latest(&run, export, &mut report, progress).await?;
        import_other_classes(&run, export, &mut report, progress).await?;
        progress.class(MESSAGE_CLASS);
        let folder = self.options.work_folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = folder.join(format!("zhaoguan-import-{}", self.ids.next()));
        history::import(&run, export, folder, &mut report, progress).await?;
        if !self.options.is_unverified {
            progress.class("verification");
            report.verified(self.store.verify().await?);
        }
        progress.finish();
        let report = report.finish(self.clock.now())?;
        let total = report.total();
        tracing::info!(
            rows.read = total.read,
            rows.inserted = total.inserted,
            rows.updated = total.updated,
            rows.unchanged = total.unchanged,
            rows.skipped = total.skipped,
            findings = report.finding_count,
            "import finished"
        );
        Ok(report)
    }
}

/// Imports one class, batch by batch.
async fn import<C: ClassImport>(
    run: &Run<'_>,
    export: &Export,
    report: &mut ReportBuilder<'_>,
    progress: &dyn ImportProgress,
) -> Result<(), ImportError> {
    let class: Arc<str> = C::CLASS.name().into();
    report.count(&class, ClassCounts::default());
    let mut rows = export.rows(&class);
    while let Some(rows) = rows.next().await? {
        let candidates = batch::map_rows::<C>(&class, rows, &run.context, report)?;
        let outcome = batch::store_rows::<C>(run, candidates).await?;
        report.count(&class, outcome.counts);
        for finding in outcome.findings {
            report.add(finding)?;
        }
        progress.advance(export.bytes_read());
    }
    Ok(())
}

/// Files that could not be made use of.
fn report_files(export: &Export, report: &mut ReportBuilder<'_>) -> io::Result<()> {
    let class: Arc<str> = "-".into();
    let of_file = |file: &String, problem| {
        let place = Place { file: file.as_str().into(), line: None };
        Finding::new(&class, None, &place, Note::row(problem), false)
    };
    for file in export.unknown_files() {
        report.add(of_file(file, Problem::UnknownFile))?;
    }
    for file in export.damaged_archives() {
        report.add(of_file(file, Problem::DamagedFile))?;
    }
    Ok(())
}

/// Classes that the product does not have become documents; members of relations come after all objects.
async fn import_other_classes(
    run: &Run<'_>,
    export: &Export,
    report: &mut ReportBuilder<'_>,
    progress: &dyn ImportProgress,
) -> Result<(), ImportError> {
    let is_other = |name: &&str| *name != MESSAGE_CLASS && !ImportClass::ALL.iter().any(|class| class.name() == *name);
    let others: Vec<&str> = export.classes().into_iter().filter(is_other).collect();
    let (joins, classes): (Vec<&str>, Vec<&str>) = others.into_iter().partition(|name| name.starts_with(JOIN_PREFIX));
    let mut targets = documents::Targets::new();
    for name in classes {
        progress.class(name);
        documents::import(run, export, name, &mut targets, report, progress).await?;
    }
    for name in joins {
        progress.class(name);
        documents::import_members(run, export, name, &targets, report, progress).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
