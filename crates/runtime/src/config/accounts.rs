//! The settings of the account rules, gathered from `sms.limits`, `session`, `files` and `business`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use account::AccountSettings;
use account::counter::{GuardPolicy, Window};
use account::files::FileSettings;
use account::limits::SmsCodePolicy;
use account::session::{SessionLifetime, SessionSettings};

use ipnet::IpNet;

use super::channels::SmsLimits;
use super::sections::{Files, Session};
use super::{Config, Profile, Rate};

impl Config {
    /// The settings of sign-in, sessions, codes and uploads. What has no key keeps its default.
    pub fn account_settings(&self) -> AccountSettings {
        AccountSettings {
            timezone: self.business.timezone,
            codes: codes(&self.sms.limits, self.profile),
            sessions: sessions(&self.session),
            files: files(&self.files),
            identities_per_address: window(self.wechat.sign_ins_per_address),
            ..AccountSettings::default()
        }
    }
}

fn codes(limits: &SmsLimits, profile: Profile) -> SmsCodePolicy {
    let defaults = SmsCodePolicy::default();
    let windows = |rates: &[Rate]| rates.iter().copied().map(window).collect();
    SmsCodePolicy {
        lifetime: limits.code_lifetime,
        tries_per_challenge: limits.tries_per_code.get(),
        guard: GuardPolicy {
            failures_per_lock: limits.failures_per_lock.get(),
            first_lock: limits.first_lock,
            longest_lock: limits.longest_lock,
            hard_lock_at: Some(limits.hard_lock_at.get()),
            ..defaults.guard
        },
        per_number: windows(&limits.per_number),
        per_address: windows(&limits.per_address),
        numbers_per_address: window(limits.numbers_per_address),
        per_device: windows(&limits.per_device),
        overall: windows(&limits.overall),
        free_of_captcha: window(limits.free_of_captcha),
        failures_per_address: window(limits.failures_per_address),
        failures_overall: window(limits.failures_overall),
        country_codes: limits.countries.clone(),
        refused_prefixes: limits.refused_prefixes.clone(),
        exempt_networks: limits.exempt_networks.clone().unwrap_or_else(|| own_networks(profile)),
        ..defaults
    }
}

/// This machine in development, none in production.
fn own_networks(profile: Profile) -> Vec<IpNet> {
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    match profile {
        Profile::Development => loopback.map(IpNet::from).to_vec(),
        Profile::Production => Vec::new(),
    }
}

fn sessions(session: &Session) -> SessionSettings {
    SessionSettings {
        user: SessionLifetime { idle: session.lifetime, absolute: session.max_age },
        agent: SessionLifetime { idle: session.staff_lifetime, absolute: session.staff_max_age },
        touch_every: session.renew_after,
        max_per_subject: session.max_per_subject.get(),
    }
}

fn files(files: &Files) -> FileSettings {
    FileSettings {
        max_bytes: files.max_bytes.get(),
        uploads: window(files.uploads),
        link_lifetime: files.link_lifetime,
    }
}

const fn window(rate: Rate) -> Window {
    Window::new(rate.count, rate.within)
}
