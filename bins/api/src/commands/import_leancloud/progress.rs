//! Progress on the terminal; silent when standard error is not one.

use indicatif::{ProgressBar, ProgressStyle};
use leancloud::fetch::FetchProgress;
use leancloud::import::ImportProgress;

use crate::commands::Failure;

/// Of an import, in bytes of the export.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Result<Self, Failure> {
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

/// Of a fetch, in rows, one bar after the other.
pub(super) struct FetchBar {
    bar: ProgressBar,
    known: ProgressStyle,
    unknown: ProgressStyle,
}

impl FetchBar {
    pub(super) fn new() -> Result<Self, Failure> {
        let known = ProgressStyle::with_template("{bar:32} {percent:>3}%  {human_pos}/{human_len}  {eta} left  {msg}")?;
        let unknown = ProgressStyle::with_template("{spinner} {human_pos}  {per_sec}  {msg}")?;
        Ok(Self { bar: ProgressBar::new(0), known, unknown })
    }
}

impl FetchProgress for FetchBar {
    fn stage(&self, name: &str, total: Option<u64>) {
        self.bar.set_style(if total.is_some() { self.known.clone() } else { self.unknown.clone() });
        self.bar.set_position(0);
        self.bar.set_length(total.unwrap_or(0));
        self.bar.set_message(name.to_owned());
    }

    fn advance(&self, count: u64) {
        self.bar.inc(count);
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
