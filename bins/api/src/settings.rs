//! The configuration as the transport and the account use cases read it.

use account::AccountSettings;
use account::counter::{GuardPolicy, Window};
use account::files::FileSettings;
use account::limits::SmsCodePolicy;
use account::session::{SessionLifetime, SessionSettings};
use runtime::Config;
use runtime::config::{Rate, SmsLimits};

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

/// Settings of the account use cases.
pub fn account(config: &Config) -> AccountSettings {
    let session = &config.session;
    AccountSettings {
        timezone: config.business.timezone,
        codes: codes(&config.sms.limits),
        sessions: SessionSettings {
            user: SessionLifetime { idle: session.lifetime, absolute: session.max_age },
            agent: SessionLifetime { idle: session.staff_lifetime, absolute: session.staff_max_age },
            touch_every: session.renew_after,
            max_per_subject: session.max_per_subject.get(),
        },
        files: FileSettings { max_bytes: config.files.max_bytes.get(), ..FileSettings::default() },
        ..AccountSettings::default()
    }
}

fn codes(limits: &SmsLimits) -> SmsCodePolicy {
    let window = |rate: &Rate| Window::new(rate.count, rate.within);
    let windows = |rates: &[Rate]| rates.iter().map(window).collect();
    SmsCodePolicy {
        lifetime: limits.code_lifetime,
        tries_per_challenge: limits.tries_per_code.get(),
        guard: GuardPolicy {
            failures_per_lock: limits.failures_per_lock.get(),
            first_lock: limits.first_lock,
            longest_lock: limits.longest_lock,
            hard_lock_at: Some(limits.hard_lock_at.get()),
            forget_after: None,
        },
        per_number: windows(&limits.per_number),
        per_address: windows(&limits.per_address),
        numbers_per_address: window(&limits.numbers_per_address),
        per_device: windows(&limits.per_device),
        overall: windows(&limits.overall),
        free_of_captcha: window(&limits.free_of_captcha),
        failures_per_address: window(&limits.failures_per_address),
        failures_overall: window(&limits.failures_overall),
        country_codes: limits.countries.clone(),
        refused_prefixes: limits.refused_prefixes.clone(),
        exempt_networks: limits.exempt_networks.clone(),
        ..SmsCodePolicy::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_both_sides_are_one() {
        assert_eq!(account(&Config::default()), AccountSettings::default());
    }

    #[test]
    fn four_files_fit_into_a_form() {
        let config = Config::default();
        let largest = u64::try_from(config.files.max_bytes.get()).unwrap();
        assert!(frame(&config).max_upload_bytes > 4 * largest);
    }
}
