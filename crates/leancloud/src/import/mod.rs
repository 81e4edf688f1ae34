//! The use case: an export into a store, again and again without harm.
//!
//! Classes are read in the order their references need, whatever order the files are in, in transactions of at most
//! [`crate::export::MAX_BATCH_ROWS`] rows. An import that was interrupted is simply run again: rows that are here
//! already are left alone, rows the export has newer are replaced unless they changed here, and nothing is ever
//! overwritten by something older. Every row that does not come in, and every value that did not fit, is reported.

mod batch;
mod consultations;
mod conversations;
mod files;
mod merge;
mod people;
mod progress;
mod references;
mod relations;
pub mod store;
mod users;

use std::io::{self, Write};
use std::sync::Arc;

use account::session::SessionSettings;
use consultation::ConsultationPolicy;
use domain::id::IdSource;
use domain::{Clock, Coded, ErrorKind, StoreError};

use crate::export::{Export, ExportError};
use crate::finding::{Note, Problem};
use crate::mapping::MapContext;
use crate::report::{ClassCounts, Finding, ImportReport, Place, ReportBuilder};

use self::batch::{ClassImport, Run};
pub use self::progress::{ImportProgress, Unwatched};
use self::store::{ImportClass, ImportStore};

/// The import could not go on. What was committed before stays; running again continues.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error("the list of findings could not be written")]
    Log(#[from] io::Error),
    #[error("the database did not answer as it should")]
    Store(#[from] StoreError),
}

impl Coded for ImportError {
    fn code(&self) -> &'static str {
        match self {
            Self::Export(e) => e.code(),
            Self::Log(_) => "import.log",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Export(e) => e.kind(),
            Self::Log(_) => ErrorKind::Internal,
            Self::Store(e) => e.kind(),
        }
    }
}

/// Settings of an import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    pub policy: ConsultationPolicy,
    pub sessions: SessionSettings,
    /// Address before the `key` of files that have no address of their own.
    pub files_url: Option<String>,
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
        };
        let mut report = ReportBuilder::new(now, log);
        // Relations are read once more at the end, to check what they refer to.
        let passes = export.classes().into_iter().chain([ImportClass::Relation.name()]);
        progress.begin(passes.map(|class| export.bytes_of(class)).sum());
        report_files(export, &mut report)?;
        for class in ImportClass::ALL {
            progress.class(class.name());
            match class {
                ImportClass::User => import::<users::Users>(&run, export, &mut report, progress).await?,
                ImportClass::File => import::<files::Files>(&run, export, &mut report, progress).await?,
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
        relations::check_latest(&run, export, &mut report, progress).await?;
        count_unknown_classes(export, &mut report, progress).await?;
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

/// Rows of classes that the product does not have: counted as skipped, and each file told once.
async fn count_unknown_classes(
    export: &Export,
    report: &mut ReportBuilder<'_>,
    progress: &dyn ImportProgress,
) -> Result<(), ImportError> {
    for name in export.classes() {
        if ImportClass::ALL.iter().any(|class| class.name() == name) {
            continue;
        }
        progress.class(name);
        let class: Arc<str> = name.into();
        for file in export.files_of(name) {
            let place = Place { file, line: None };
            report.add(Finding::new(&class, None, &place, Note::row(Problem::ClassNotImported), true))?;
        }
        let mut rows = export.rows(name);
        while let Some(rows) = rows.next().await? {
            let count = rows.len() as u64;
            report.count(&class, ClassCounts { read: count, skipped: count, ..ClassCounts::default() });
            progress.advance(export.bytes_read());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
