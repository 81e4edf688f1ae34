//! `initiateConsultation` as each kind of client sends it, as bytes.

use clap::ValueEnum;
use md5::{Digest, Md5};

/// The same use case behind three parsers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Surface {
    /// `POST /1.1/functions/initiateConsultation` with the application's key, as documented.
    Documented,
    /// The same as the SDK's `AV.Cloud.run` sends it.
    Run,
    /// `POST /1.1/call/initiateConsultation` as the SDK's `AV.Cloud.rpc` sends it.
    Rpc,
    /// `POST /api/v1/consultations`.
    Native,
}

/// Writes requests to one server for one application.
#[derive(Debug, Clone)]
pub struct Writer {
    head: String,
}

impl Writer {
    pub fn new(surface: Surface, host: &str, app_id: &str, app_key: &str) -> Self {
        // The SDK's signature, made once: what it costs a phone is not what is measured.
        let at = "1767323045678";
        let sign = hex::encode(Md5::digest(format!("{at}{app_key}")));
        let by_key = format!("X-LC-Key: {app_key}\r\nContent-Type: application/json\r\n");
        let by_sdk = format!(
            "X-LC-Sign: {sign},{at}\r\nX-LC-UA: LeanCloud-JS-SDK/4.15.2 (Weapp)\r\nX-LC-Prod: 1\r\n\
             Content-Type: application/json;charset=UTF-8\r\n"
        );
        let (path, headers) = match surface {
            Surface::Documented => ("/1.1/functions/initiateConsultation", format!("X-LC-Prod: 0\r\n{by_key}")),
            Surface::Run => ("/1.1/functions/initiateConsultation", by_sdk),
            Surface::Rpc => ("/1.1/call/initiateConsultation", by_sdk),
            Surface::Native => ("/api/v1/consultations", by_key),
        };
        Self { head: format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nX-LC-Id: {app_id}\r\n{headers}") }
    }

    /// One call.
    pub fn request(&self, doctor: &str, patient: &str) -> Vec<u8> {
        let body = format!("{{\"doctorId\":\"{doctor}\",\"patientId\":\"{patient}\"}}");
        format!("{}Content-Length: {}\r\n\r\n{body}", self.head, body.len()).into_bytes()
    }
}
