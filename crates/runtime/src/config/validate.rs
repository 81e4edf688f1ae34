//! What a well-formed configuration must still satisfy, and what deserves a warning.

use std::time::Duration;

use account::keys::MIN_SECRET_BYTES;
use domain::time::span;
use tracing_subscriber::EnvFilter;

use super::{Config, DatabaseKind, Problem, PushMode, Secret, SmsProvider, SqliteSynchronous};

/// Every rule that is broken; origins are filled in by the caller.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let mut found = Found::default();
    addresses(config, &mut found);
    durations(config, &mut found);
    wechat(config, &mut found);
    sms(config, &mut found);
    files(config, &mut found);
    found.require("log.filter", EnvFilter::try_new(&config.log.filter).is_ok(), "is a filter like info,api=debug");
    let secret = config.security.secret.as_ref().map_or("", Secret::expose);
    let is_long = secret.is_empty() || secret.len() >= MIN_SECRET_BYTES;
    found.require("security.secret", is_long, format!("has at least {MIN_SECRET_BYTES} characters"));
    if config.is_production() {
        production(config, &mut found);
    }
    found.0
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn require(&mut self, key: impl Into<String>, holds: bool, message: impl Into<String>) {
        if !holds {
            self.0.push(Problem { key: key.into(), message: message.into(), origin: None });
        }
    }
}

fn addresses(config: &Config, found: &mut Found) {
    let url = config.database.url.expose();
    let is_database = ["sqlite://", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    found.require("database.url", is_database, "starts with sqlite:// or postgres://");
    let url = config.fanout.url.expose();
    let is_fanout = ["nats://", "tls://"].iter().any(|scheme| url.starts_with(scheme));
    found.require("fanout.url", url.is_empty() || is_fanout, "is empty or starts with nats:// or tls://");
    if let Some(url) = &config.http.public_url {
        let good = is_http(url) && !url.ends_with('/');
        found.require(
            "http.public_url",
            good,
            "is an address like https://api.example.com, without a slash at the end",
        );
    }
    found.require("wechat.base_url", is_http(&config.wechat.base_url), "starts with https:// or http://");
}

fn is_http(url: &str) -> bool {
    url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).is_some_and(|rest| !rest.is_empty())
}

fn durations(config: &Config, found: &mut Found) {
    let positive = [
        ("http.request_timeout", config.http.request_timeout),
        ("database.acquire_timeout", config.database.acquire_timeout),
        ("session.lifetime", config.session.lifetime),
        ("session.staff_lifetime", config.session.staff_lifetime),
        ("im.heartbeat", config.im.heartbeat),
        ("im.hello_within", config.im.hello_within),
        ("im.recheck_every", config.im.recheck_every),
        ("im.presence_lease", config.im.presence_lease),
        ("worker.poll", config.worker.poll),
        ("worker.lease", config.worker.lease),
        ("worker.sweep_every", config.worker.sweep_every),
        ("files.link_lifetime", config.files.link_lifetime),
        ("business.no_reply_after", config.business.no_reply_after),
        ("business.idle_after", config.business.idle_after),
        ("sms.limits.code_lifetime", config.sms.limits.code_lifetime),
        ("sms.timeout", config.sms.timeout),
    ];
    for (key, value) in positive {
        found.require(key, value > Duration::ZERO, "is longer than nothing");
    }
    let business = &config.business;
    let shortest = business.no_reply_after.min(business.idle_after);
    found.require(
        "business.warn_before",
        business.warn_before < shortest,
        "is shorter than business.no_reply_after and business.idle_after",
    );
    if let Some(longest) = business.max_duration {
        found.require("business.max_duration", longest > Duration::ZERO, "is longer than nothing, or off");
    }
    let session = &config.session;
    found.require(
        "session.renew_after",
        session.renew_after < session.lifetime.min(session.staff_lifetime),
        "is shorter than session.lifetime and session.staff_lifetime",
    );
    let longest = span::minutes(10);
    found.require("sms.limits.code_lifetime", config.sms.limits.code_lifetime <= longest, "is at most 10m");
}

fn wechat(config: &Config, found: &mut Found) {
    let settings = &config.wechat;
    let fallbacks = settings.fallback_urls.iter().all(|url| is_http(url));
    found.require("wechat.fallback_urls", fallbacks, "start with https:// or http://");
    found.require("wechat.push_window", settings.push_window > Duration::ZERO, "is longer than nothing");
    let budget = settings.content_checks.budget;
    let is_sane = budget > Duration::ZERO && budget <= Duration::from_secs(5);
    found.require("wechat.content_checks.budget", is_sane, "is longer than nothing and at most 5s");
    let words = wechat::content::read_words(&settings.content_checks.words);
    found.require("wechat.content_checks.words", words.is_ok(), "have at least two characters each");
    let is_local = settings.standin.is_none_or(|address| address.ip().is_loopback());
    found.require("wechat.standin", is_local, "is an address of this machine only, like 127.0.0.1:3900");
    for (index, app) in config.wechat.apps.iter().enumerate() {
        let key = |field: &str| format!("wechat.apps.{index}.{field}");
        let well_named = !app.name.is_empty()
            && app.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        found.require(key("name"), well_named, "is made of lower-case letters, digits, - and _");
        let is_first = config.wechat.apps.iter().take(index).all(|earlier| earlier.name != app.name);
        found.require(key("name"), is_first, "is used by an earlier app");
        found.require(key("appid"), !app.appid.is_empty(), "must not be empty");
        found.require(key("secret"), !app.secret.expose().is_empty(), "must not be empty");
        if let Some(aes_key) = &app.push_aes_key {
            let text = aes_key.expose();
            let good = text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric());
            found.require(key("push_aes_key"), good, "has 43 letters and digits");
        }
        let needs_key = app.push_token.is_some() && app.push_mode != PushMode::Plain;
        found.require(key("push_aes_key"), !needs_key || app.push_aes_key.is_some(), "is needed by this push_mode");
    }
}

fn sms(config: &Config, found: &mut Found) {
    let sms = &config.sms;
    let providers = config.sms_providers();
    for (index, provider) in providers.iter().enumerate() {
        let is_first = providers.iter().take(index).all(|earlier| earlier != provider);
        found.require("sms.providers", is_first, format!("lists {} twice", provider.as_str()));
        let is_set_up = match provider {
            SmsProvider::Aliyun => sms.aliyun.is_some(),
            SmsProvider::Tencent => sms.tencent.is_some(),
            SmsProvider::Webhook => sms.webhook.is_some(),
            SmsProvider::Log => continue,
        };
        let name = provider.as_str();
        found.require(format!("sms.{name}"), is_set_up, format!("is missing, but sms.providers lists {name}"));
        let has_template = sms.templates.get("login_code").is_some_and(|by| by.contains_key(provider));
        let needs_template = *provider != SmsProvider::Webhook;
        found.require(
            format!("sms.templates.login_code.{name}"),
            has_template || !needs_template,
            format!("is missing, but sms.providers lists {name}"),
        );
    }
    let urls = [
        ("sms.aliyun.base_url", sms.aliyun.as_ref().map(|s| &s.base_url)),
        ("sms.tencent.base_url", sms.tencent.as_ref().map(|s| &s.base_url)),
        ("sms.webhook.base_url", sms.webhook.as_ref().map(|s| &s.base_url)),
    ];
    for (key, url) in urls {
        found.require(key, url.is_none_or(|url| is_http(url)), "starts with https:// or http://");
    }
    if let Some(secret) = &sms.receipt_secret {
        let good = secret.expose().len() >= 22 && secret.expose().bytes().all(|b| b.is_ascii_alphanumeric());
        found.require("sms.receipt_secret", good, "has at least 22 letters and digits");
    }
    found.require("sms.timeout", sms.timeout <= Duration::from_secs(15), "is at most 15s: somebody is waiting");
    let is_short = sms.notice_link.chars().count() <= 35 && sms.notice_link.chars().all(|c| c.is_ascii_graphic());
    found.require("sms.notice_link", is_short, "has at most 35 visible ASCII characters, as providers want it");
    let hard_lock = sms.limits.hard_lock_at.get();
    found.require("sms.limits.hard_lock_at", hard_lock <= 100, "is at most 100");
    let is_code = |c: &String| !c.is_empty() && c.len() <= 3 && c.bytes().all(|b| b.is_ascii_digit());
    let good = !sms.limits.countries.is_empty() && sms.limits.countries.iter().all(is_code);
    found.require("sms.limits.countries", good, "is a list of country codes like [\"86\"]");
}

fn files(config: &Config, found: &mut Found) {
    let files = &config.files;
    let Some((scheme, rest)) = files.url.split_once("://") else {
        found.require("files.url", false, "starts with fs://, memory://, s3://, oss:// or cos://");
        return;
    };
    match scheme {
        "fs" => found.require("files.url", !rest.is_empty(), "names a folder after fs://"),
        "memory" => found.require("files.url", rest.is_empty(), "has nothing after memory://"),
        "s3" | "oss" | "cos" => {
            let is_plain = !rest.contains(['@', '?', '#']);
            found.require("files.url", is_plain && !rest.is_empty() && !rest.starts_with('/'), {
                "is a bucket and an optional prefix; credentials go to files.access_key_id and files.access_key_secret"
            });
            let has_endpoint = files.endpoint.as_deref().is_some_and(is_http);
            let needs_endpoint = scheme != "s3" || files.endpoint.is_some();
            found.require("files.endpoint", has_endpoint || !needs_endpoint, "starts with https:// or http://");
            found.require("files.access_key_id", files.access_key_id.is_some(), "is needed by this files.url");
            found.require("files.access_key_secret", files.access_key_secret.is_some(), "is needed by this files.url");
        }
        _ => found.require("files.url", false, "starts with fs://, memory://, s3://, oss:// or cos://"),
    }
}

fn production(config: &Config, found: &mut Found) {
    let id = config.app.id.as_deref().unwrap_or_default();
    found.require("app.id", !id.is_empty(), "must be set in production");
    strong("app.key", config.app.key.as_ref(), found);
    strong("app.master_key", config.app.master_key.as_ref(), found);
    strong("security.secret", config.security.secret.as_ref(), found);
    let differ = config.app.key.is_none() || config.app.key != config.app.master_key;
    found.require("app.master_key", differ, "must not be the same as app.key");
    let https = config.http.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
    found.require("http.public_url", https, "must be set in production and start with https://");
    let shows_codes = config.sms_providers().contains(&SmsProvider::Log);
    found.require("sms.providers", !shows_codes, "must not list log in production, which shows codes");
    let forgets = config.files.url.starts_with("memory://");
    found.require("files.url", !forgets, "must not be memory:// in production, which forgets files");
    found.require("wechat.standin", config.wechat.standin.is_none(), "must not be set in production");
    for (index, app) in config.wechat.apps.iter().enumerate() {
        let key = format!("wechat.apps.{index}.secret");
        found.require(key, !app.secret.is_weak(), "is too easy to guess or a placeholder");
    }
}

fn strong(key: &str, secret: Option<&Secret>, found: &mut Found) {
    match secret {
        Some(secret) if !secret.expose().is_empty() => found.require(
            key,
            !secret.is_weak(),
            "is too easy to guess: use at least 16 random characters, e.g. of `openssl rand -hex 32`",
        ),
        _ => found.require(key, false, "must be set in production"),
    }
}

/// Whether messages leave through a provider.
fn pays_for_sms(config: &Config) -> bool {
    config.sms_providers().iter().any(|provider| *provider != SmsProvider::Log)
}

/// What is allowed but probably not meant.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let on_postgres = config.database.kind() == DatabaseKind::Postgres;
    let is_open = !config.http.listen.ip().is_loopback();
    let rules = [
        (
            !config.is_production() && is_open,
            "http.listen is reachable from outside while profile is development, which shows codes",
        ),
        (
            config.is_production() && config.sms_providers().is_empty(),
            "sms.providers is empty: nobody can sign in by text message",
        ),
        (
            config.sms.receipt_secret.is_none() && pays_for_sms(config),
            "sms.receipt_secret is not set: receipts are asked for, not pushed",
        ),
        (
            config.is_production() && config.leancloud.enabled && !config.leancloud.require_session,
            "leancloud.require_session is false: whoever has the application's key can start consultations for any patient",
        ),
        (
            config.is_production() && config.http.trusted_proxies.is_empty(),
            "http.trusted_proxies is empty: behind a proxy all clients share one address and its limits",
        ),
        (
            on_postgres && config.fanout.url.expose().is_empty(),
            "fanout.url is empty: several nodes would not see one another's live messages",
        ),
        (
            !on_postgres && config.worker.embedded == Some(false),
            "worker.embedded is false on SQLite: start zhaoguan-worker, or nothing is delivered",
        ),
        (
            !on_postgres && config.database.sqlite_synchronous == SqliteSynchronous::Normal,
            "database.sqlite_synchronous is normal: a power cut may lose the last acknowledged writes",
        ),
    ];
    rules.into_iter().filter(|(applies, _)| *applies).map(|(_, text)| text.to_owned()).collect()
}
