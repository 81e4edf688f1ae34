//! Logs and metrics of a process.
//!
//! Lines go to standard error, as text for people or as JSON for collectors. Both shapes redact: fields
//! named like secrets, and phone numbers anywhere. SQL, HTTP bodies and frames of libraries are not logged
//! below `warn` unless the filter names their target.

mod format;
mod metrics;
mod redaction;

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, fmt, registry};

pub use metrics::Metrics;

use crate::StartError;
use crate::config::{Log, LogFormat};
use format::{JsonFields, JsonLine, TextFields};

/// Libraries that write what they carry at `info` and below.
const QUIET: &str = "sqlx=warn,sea_orm=warn,sea_orm_migration=warn,hyper=warn,opendal=warn,tungstenite=warn";

/// Starts logging for the whole process.
///
/// # Errors
/// [`StartError::Telemetry`] when the filter is malformed or a subscriber is installed already.
pub fn start_logging(log: &Log) -> Result<(), StartError> {
    let colours = std::io::stderr().is_terminal();
    let subscriber = subscriber(log, colours, std::io::stderr).map_err(|source| failed(source.into()))?;
    subscriber.try_init().map_err(|source: TryInitError| failed(source.into()))
}

fn failed(source: Box<dyn std::error::Error + Send + Sync>) -> StartError {
    StartError::Telemetry { what: "the log", source }
}

fn subscriber<W>(log: &Log, colours: bool, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Later directives for the same target win, so an operator can still open a library up.
    let filter = EnvFilter::try_new(format!("{QUIET},{}", log.filter))?;
    let registry = registry().with(filter);
    Ok(match log.format {
        LogFormat::Text => {
            Box::new(registry.with(fmt::layer().fmt_fields(TextFields).with_ansi(colours).with_writer(writer)))
        }
        LogFormat::Json => Box::new(
            registry
                .with(fmt::layer().fmt_fields(JsonFields).event_format(JsonLine).with_ansi(false).with_writer(writer)),
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing::{error, info, info_span};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn capture(format: LogFormat, filter: &str, act: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let log = Log { format, filter: filter.to_owned() };
        let subscriber = subscriber(&log, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, act);
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the outer failed")]
    struct Outer(#[source] Inner);
    #[derive(Debug, thiserror::Error)]
    #[error("the number 13812348000 is taken")]
    struct Inner;

    fn write_secrets() {
        let span = info_span!("request", request_id = "r1", token = "hunter2", later = tracing::field::Empty);
        let _entered = span.enter();
        span.record("later", "recorded 13812348000");
        info!(phone = "+8613812348000", code = 4_815_162_342_u64, count = 3, "signed in {}", "13812348000");
        error!(error = &Outer(Inner) as &(dyn std::error::Error + 'static), body = ?("hunter2",), "broke");
    }

    #[test]
    fn text_lines_redact_fields_spans_messages_and_errors() {
        let text = capture(LogFormat::Text, "info", write_secrets);
        assert!(!["hunter2", "13812348000", "4815162342"].iter().any(|secret| text.contains(secret)), "{text}");
        for part in [
            "request_id=\"r1\" token=[redacted]",
            "later=\"recorded 138****8000\"",
            "signed in 138****8000",
            "phone=[redacted] code=[redacted] count=3",
            "error=the outer failed: the number 138****8000 is taken",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn json_lines_redact_and_are_one_object_each() {
        let text = capture(LogFormat::Json, "info", write_secrets);
        assert!(!["hunter2", "13812348000", "4815162342"].iter().any(|secret| text.contains(secret)), "{text}");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [signed_in, broke] = lines.as_slice() else { panic!("two lines in {text}") };
        assert_eq!(signed_in["message"], "signed in 138****8000");
        assert_eq!((&signed_in["level"], &signed_in["count"]), (&Value::from("INFO"), &Value::from(3)));
        assert_eq!(signed_in["span"]["request_id"], "r1");
        assert_eq!(signed_in["span"]["later"], "recorded 138****8000");
        assert_eq!(signed_in["span"]["token"], "[redacted]");
        assert_eq!(broke["error"], "the outer failed: the number 138****8000 is taken");
        assert!(signed_in["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{text}");
    }

    #[test]
    fn libraries_are_quiet_unless_named() {
        let act = || {
            info!(target: "sqlx::query", "SELECT");
            info!(target: "consultation", "accepted");
        };
        let usual = capture(LogFormat::Text, "info", act);
        assert!(!usual.contains("SELECT") && usual.contains("accepted"), "{usual}");
        assert!(capture(LogFormat::Text, "info,sqlx=info", act).contains("SELECT"));
    }
}
