//! The configuration as the transport reads it.

use leancloud::realtime::{LoginPolicy, RealtimePolicy};
use runtime::Config;
use runtime::config::{AuthData, ImLogin};

use crate::http::frame::FrameSettings;

/// Room in a multipart form beside its files: names, types and boundaries.
const FORM_OVERHEAD_BYTES: u64 = 64 * 1024;
/// Files in the largest form, the one for certification.
const FILES_IN_A_FORM: u64 = 4;

/// Settings of the frame around every request.
pub fn frame(config: &Config) -> FrameSettings {
    let bytes = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let max_file_bytes = bytes(config.files.max_bytes.get());
    FrameSettings {
        trusted_proxies: config.http.trusted_proxies.clone(),
        max_body_bytes: bytes(config.http.max_body_bytes.get()),
        max_upload_bytes: max_file_bytes.saturating_mul(FILES_IN_A_FORM).saturating_add(FORM_OVERHEAD_BYTES),
        request_timeout: config.http.request_timeout,
        is_https: config.http.public_url().starts_with("https://"),
    }
}

/// Settings of the realtime protocol of LeanCloud clients.
pub fn realtime(config: &Config) -> RealtimePolicy {
    let of_profile = if config.is_production() { ImLogin::SessionOrSignature } else { ImLogin::Open };
    let login = match config.leancloud.im_login.unwrap_or(of_profile) {
        ImLogin::Open => LoginPolicy::Open,
        ImLogin::SessionOrSignature => LoginPolicy::SessionOrSignature,
    };
    let most = config.leancloud.im_max_message_bytes.get();
    let usual = RealtimePolicy::default();
    RealtimePolicy {
        login,
        max_message_bytes: most,
        // Commands with many ids are longer than messages; too long messages are read so that they can be refused.
        max_frame_bytes: usual.max_frame_bytes.max(most.saturating_mul(4)),
        sends_per_minute: config.leancloud.im_sends_per_minute.get(),
        logs_per_minute: config.leancloud.im_logs_per_minute.get(),
        commands_per_minute: config.leancloud.im_commands_per_minute.get(),
        ..usual
    }
}

/// Whether LeanCloud clients are taken at their word about who they are at other providers.
pub fn takes_claims(config: &Config) -> bool {
    let of_profile = if config.is_production() { AuthData::Proven } else { AuthData::Claimed };
    config.leancloud.auth_data.unwrap_or(of_profile) == AuthData::Claimed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_production_nobody_is_taken_at_their_word() {
        use runtime::config::Profile;
        let of = |profile| {
            let config = Config { profile, ..Config::default() };
            (takes_claims(&config), realtime(&config).login)
        };
        assert_eq!(of(Profile::Production), (false, LoginPolicy::SessionOrSignature));
        assert_eq!(of(Profile::Development), (true, LoginPolicy::Open));
    }

    #[test]
    fn four_files_fit_into_a_form() {
        let config = Config::default();
        let largest = u64::try_from(config.files.max_bytes.get()).unwrap();
        assert!(frame(&config).max_upload_bytes > 4 * largest);
    }
}
