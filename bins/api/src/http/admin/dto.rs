//! Administration on the wire.

use poem_openapi::Object;

/// Why something is refused or taken back.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReasonRequest {
    /// The reason, kept and shown to those it concerns.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub reason: String,
}
