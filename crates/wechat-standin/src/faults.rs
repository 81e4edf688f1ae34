//! Faults that are made to happen.

use std::time::Duration;

use serde_json::Value;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Refuses with this code; nothing happens.
    Refuse { code: i64, message: String },
    /// Answers with this HTTP status and no JSON; nothing happens.
    Status(u16),
    /// Answers later.
    Slow(Duration),
    /// It happens, and the answer does not come for so long.
    TimeoutAfter(Duration),
    /// It happens, and the connection is closed without an answer.
    ResetAfter,
    /// It happens, and half of the answer comes.
    TruncateAfter,
    /// The connection is closed; nothing happens.
    ResetBefore,
}

/// A fault on some calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Beginning of the path.
    pub path: String,
    /// Calls it still hits; all when `None`.
    pub times: Option<u32>,
    pub kind: FaultKind,
}

impl Fault {
    pub fn once(path: &str, kind: FaultKind) -> Self {
        Self { path: path.to_owned(), times: Some(1), kind }
    }

    pub fn always(path: &str, kind: FaultKind) -> Self {
        Self { path: path.to_owned(), times: None, kind }
    }

    /// Reads `{"path": …, "times": …, "kind": …, "code": …, "ms": …}`.
    pub fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let number = |name: &str| value.get(name).and_then(Value::as_i64);
        let wait = Duration::from_millis(number("ms").and_then(|ms| u64::try_from(ms).ok()).unwrap_or(30_000));
        let kind = match text("kind")? {
            "refuse" => {
                let message = text("message").unwrap_or("a fault that was asked for").to_owned();
                FaultKind::Refuse { code: number("code")?, message }
            }
            "status" => FaultKind::Status(u16::try_from(number("code")?).ok()?),
            "slow" => FaultKind::Slow(wait),
            "timeout_after" => FaultKind::TimeoutAfter(wait),
            "reset_after" => FaultKind::ResetAfter,
            "truncate_after" => FaultKind::TruncateAfter,
            "reset_before" => FaultKind::ResetBefore,
            _ => return None,
        };
        let times = number("times").and_then(|times| u32::try_from(times).ok());
        Some(Self { path: text("path").unwrap_or("/").to_owned(), times, kind })
    }
}

/// Takes the first fault that hits a path.
pub(crate) fn take(faults: &mut Vec<Fault>, path: &str) -> Option<FaultKind> {
    let at = faults.iter().position(|fault| path.starts_with(&fault.path))?;
    let fault = faults.get_mut(at)?;
    let kind = fault.kind.clone();
    match &mut fault.times {
        Some(times) if *times <= 1 => {
            faults.remove(at);
        }
        Some(times) => *times -= 1,
        None => {}
    }
    Some(kind)
}
