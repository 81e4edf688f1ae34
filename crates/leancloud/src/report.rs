//! What became of every row of an import: counts, and everything found, each with file and line.
//!
//! Findings go to a JSON Lines writer as they come; the report itself keeps counts and the first few, so that a
//! million odd rows need no more memory than ten.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use domain::{ObjectId, Timestamp};
use serde::{Serialize, Serializer};

use crate::finding::{Note, Problem};
use crate::import::store::Verification;

/// How many findings the report itself shows.
pub const SHOWN_FINDINGS: usize = 20;

/// Something found, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub class: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_id: Option<ObjectId>,
    pub file: Arc<str>,
    /// Counted from 1; `None` when the file as a whole is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    pub problem: Problem,
    /// What `problem` means.
    pub what: &'static str,
    /// Id of another row involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// The row was not imported.
    pub is_skipped: bool,
}

/// Where a row stands in the export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: Arc<str>,
    pub line: Option<u64>,
}

impl Finding {
    pub(crate) fn new(class: &Arc<str>, id: Option<ObjectId>, place: &Place, note: Note, is_skipped: bool) -> Self {
        Self {
            class: Arc::clone(class),
            object_id: id,
            file: Arc::clone(&place.file),
            line: place.line,
            field: note.field,
            problem: note.problem,
            what: note.problem.sentence(),
            other: note.other,
            is_skipped,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(id) = self.object_id {
            write!(f, " {id}")?;
        }
        if let Some(field) = self.field {
            write!(f, " {field}")?;
        }
        write!(f, ": {}", self.what)?;
        if let Some(other) = &self.other {
            write!(f, " ({other})")?;
        }
        if self.is_skipped { f.write_str("; row skipped") } else { Ok(()) }
    }
}

/// What became of the rows of one class. Every row read is counted in exactly one of the other four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassCounts {
    pub read: u64,
    pub inserted: u64,
    pub updated: u64,
    /// Here already, in this state or a newer one, or changed here.
    pub unchanged: u64,
    /// Not imported; each has a finding that says why.
    pub skipped: u64,
}

impl ClassCounts {
    fn add(&mut self, other: Self) {
        self.read += other.read;
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.skipped += other.skipped;
    }
}

/// One class of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassReport {
    pub class: Arc<str>,
    #[serde(flatten)]
    pub counts: ClassCounts,
}

/// How often something was found in one field of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProblemCount {
    pub class: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    pub problem: Problem,
    pub what: &'static str,
    pub count: u64,
}

/// The outcome of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    #[serde(serialize_with = "as_text")]
    pub started_at: Timestamp,
    #[serde(serialize_with = "as_text")]
    pub finished_at: Timestamp,
    /// In the order of the import.
    pub classes: Vec<ClassReport>,
    pub problems: Vec<ProblemCount>,
    /// The first [`SHOWN_FINDINGS`].
    pub findings: Vec<Finding>,
    pub finding_count: u64,
    /// Files whose bytes were brought in.
    pub copied_files: u64,
    /// `None` when nobody looked.
    pub verification: Option<Verification>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn as_text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

impl ImportReport {
    /// Counts over all classes.
    pub fn total(&self) -> ClassCounts {
        self.classes.iter().fold(ClassCounts::default(), |mut total, class| {
            total.add(class.counts);
            total
        })
    }

    /// Whether everything that was imported is here and agrees with the rest, as far as somebody looked.
    pub fn is_sound(&self) -> bool {
        self.verification.as_ref().is_none_or(|found| found.broken.is_empty())
    }

    pub fn of_class(&self, name: &str) -> ClassCounts {
        self.classes.iter().find(|class| class.class.as_ref() == name).map(|class| class.counts).unwrap_or_default()
    }
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["class", "read", "inserted", "updated", "unchanged", "skipped"];
        let row = |f: &mut fmt::Formatter<'_>, name: &str, cells: [String; 5]| {
            write!(f, "{name:<22}")?;
            cells.iter().try_for_each(|cell| write!(f, "{cell:>11}"))?;
            writeln!(f)
        };
        let counts = |c: &ClassCounts| [c.read, c.inserted, c.updated, c.unchanged, c.skipped].map(|n| n.to_string());
        let [name, cells @ ..] = heads;
        row(f, name, cells.map(str::to_owned))?;
        for ClassReport { class, counts: of_class } in &self.classes {
            row(f, class, counts(of_class))?;
        }
        row(f, "total", counts(&self.total()))?;
        if self.copied_files > 0 {
            writeln!(f, "\nFiles brought in: {}", self.copied_files)?;
        }
        if let Some(verification) = &self.verification {
            write!(f, "{verification}")?;
        }
        if self.finding_count == 0 {
            return writeln!(f, "\nEverything fitted.");
        }
        writeln!(f, "\nWhat did not fit ({}):", self.finding_count)?;
        for ProblemCount { class, field, what, count, .. } in &self.problems {
            let field = field.map(|field| format!(".{field}")).unwrap_or_default();
            writeln!(f, "{count:>8}  {class}{field}: {what}")?;
        }
        writeln!(f, "\nWhere{}:", if self.findings.len() as u64 == self.finding_count { "" } else { " (the first)" })?;
        self.findings.iter().try_for_each(|finding| writeln!(f, "  {finding}"))
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: i64 = self.present.iter().map(|(_, rows)| rows).sum();
        write!(f, "\nVerified: {rows} imported rows and {} messages are here", self.messages)?;
        if self.broken.is_empty() {
            return writeln!(f, "; {} rules between rows hold.", self.rules);
        }
        writeln!(f, "; of {} rules between rows {} are broken:", self.rules, self.broken.len())?;
        self.broken.iter().try_for_each(|broken| writeln!(f, "{:>8}  {}", broken.rows, broken.rule))
    }
}

/// Collects the report while the import runs.
pub(crate) struct ReportBuilder<'w> {
    started_at: Timestamp,
    classes: Vec<ClassReport>,
    problems: BTreeMap<(Arc<str>, Option<&'static str>, Problem), u64>,
    findings: Vec<Finding>,
    finding_count: u64,
    copied_files: u64,
    verification: Option<Verification>,
    log: &'w mut (dyn Write + Send),
}

impl<'w> ReportBuilder<'w> {
    /// Findings are written to `log`, one JSON object a line.
    pub(crate) fn new(started_at: Timestamp, log: &'w mut (dyn Write + Send)) -> Self {
        Self {
            started_at,
            classes: Vec::new(),
            problems: BTreeMap::new(),
            findings: Vec::new(),
            finding_count: 0,
            copied_files: 0,
            verification: None,
            log,
        }
    }

    pub(crate) const fn copied(&mut self, files: u64) {
        self.copied_files += files;
    }

    pub(crate) fn verified(&mut self, verification: Verification) {
        self.verification = Some(verification);
    }

    pub(crate) fn count(&mut self, class: &Arc<str>, counts: ClassCounts) {
        match self.classes.iter_mut().find(|known| known.class == *class) {
            Some(known) => known.counts.add(counts),
            None => self.classes.push(ClassReport { class: Arc::clone(class), counts }),
        }
    }

    pub(crate) fn add(&mut self, finding: Finding) -> io::Result<()> {
        serde_json::to_writer(&mut *self.log, &finding)?;
        self.log.write_all(b"\n")?;
        let key = (Arc::clone(&finding.class), finding.field, finding.problem);
        *self.problems.entry(key).or_default() += 1;
        self.finding_count += 1;
        if self.findings.len() < SHOWN_FINDINGS {
            self.findings.push(finding);
        }
        Ok(())
    }

    pub(crate) fn finish(self, finished_at: Timestamp) -> io::Result<ImportReport> {
        self.log.flush()?;
        let count = |((class, field, problem), count): ((_, _, Problem), u64)| ProblemCount {
            class,
            field,
            problem,
            what: problem.sentence(),
            count,
        };
        Ok(ImportReport {
            started_at: self.started_at,
            finished_at,
            classes: self.classes,
            problems: self.problems.into_iter().map(count).collect(),
            findings: self.findings,
            finding_count: self.finding_count,
            copied_files: self.copied_files,
            verification: self.verification,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(line: u64) -> Finding {
        let id = "5db2cf72f884af0073deb1bc".parse().unwrap();
        let place = Place { file: "Patients.0.jsonl".into(), line: Some(line) };
        Finding::new(&"Patients".into(), Some(id), &place, Note::field("phone", Problem::BadPhone), false)
    }

    fn report(findings: u64) -> (ImportReport, String) {
        let mut log = Vec::new();
        let mut builder = ReportBuilder::new(Timestamp::from_millis(1_767_323_045_678), &mut log);
        builder.count(&"_User".into(), ClassCounts { read: 3, inserted: 2, unchanged: 1, ..ClassCounts::default() });
        builder.count(&"Patients".into(), ClassCounts { read: 1, inserted: 1, ..ClassCounts::default() });
        builder.count(&"Patients".into(), ClassCounts { read: 1, skipped: 1, ..ClassCounts::default() });
        (1..=findings).for_each(|line| builder.add(finding(line)).unwrap());
        let report = builder.finish(Timestamp::from_millis(1_767_323_046_000)).unwrap();
        (report, String::from_utf8(log).unwrap())
    }

    #[test]
    fn a_clean_report_says_so() {
        let (report, log) = report(0);
        assert_eq!(log, "");
        assert_eq!(
            report.to_string(),
            "class                        read   inserted    updated  unchanged    skipped\n\
             _User                           3          2          0          1          0\n\
             Patients                        2          1          0          0          1\n\
             total                           5          3          0          1          1\n\
             \nEverything fitted.\n"
        );
    }

    #[test]
    fn findings_are_counted_shown_and_logged() {
        let (report, log) = report(1);
        assert_eq!(
            log,
            "{\"class\":\"Patients\",\"objectId\":\"5db2cf72f884af0073deb1bc\",\"file\":\"Patients.0.jsonl\",\"line\":1,\
             \"field\":\"phone\",\"problem\":\"bad_phone\",\"what\":\"not a phone number; the original is kept\",\
             \"is_skipped\":false}\n"
                .replace("is_skipped", "isSkipped")
        );
        let text = report.to_string();
        assert!(
            text.contains(
                "\nWhat did not fit (1):\n       1  Patients.phone: not a phone number; the original is kept\n"
            )
        );
        assert!(text.ends_with(
            "\nWhere:\n  Patients.0.jsonl:1 5db2cf72f884af0073deb1bc phone: not a phone number; the original is kept\n"
        ));
    }

    #[test]
    fn only_the_first_are_kept_and_all_are_logged() {
        let (report, log) = report(SHOWN_FINDINGS as u64 + 5);
        assert_eq!((report.findings.len(), report.finding_count), (SHOWN_FINDINGS, SHOWN_FINDINGS as u64 + 5));
        assert_eq!(log.lines().count(), SHOWN_FINDINGS + 5);
        assert_eq!(report.problems.len(), 1);
        assert!(report.to_string().contains("Where (the first):"));
    }
}
