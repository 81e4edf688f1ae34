//! What operators may write, and what they are told when it is wrong.

use std::path::PathBuf;
use std::time::Duration;

use account::session::SessionLifetime;
use domain::time::span;

use super::*;

/// A random-looking value that no rule calls weak.
const STRONG: &str = "k3Jf92lsPq8Zm1xWt7Rd5Yh0Uo4Ec6Ag";

fn variables(pairs: &[(&str, &str)]) -> ConfigSources {
    let variables = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ConfigSources { file: Some(empty_file()), variables }
}

/// An existing file without keys, so that tests do not depend on the current folder.
fn empty_file() -> PathBuf {
    PathBuf::from("/dev/null")
}

fn load(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(&variables(pairs))
}

fn load_file(text: &str) -> Result<Config, ConfigError> {
    load_file_and(text, &[])
}

fn load_file_and(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(&ConfigSources { file: Some(file), ..variables(pairs) })
}

fn production(more: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut pairs = vec![
        ("ZHAOGUAN__PROFILE", "production"),
        ("ZHAOGUAN__HTTP__PUBLIC_URL", "https://api.example.com"),
        ("ZHAOGUAN__APP__ID", "my-app"),
        ("ZHAOGUAN__APP__KEY", STRONG),
        ("ZHAOGUAN__APP__MASTER_KEY", "9Vb2xT0qLw5Rz8NcYd"),
        ("ZHAOGUAN__SECURITY__SECRET", "pG4hS7uK1eA6oMj3BiNz0Xw2Cv5Lq8Tr"),
    ];
    pairs.retain(|(name, _)| more.iter().all(|(replaced, _)| replaced != name));
    pairs.extend(more);
    load(&pairs)
}

fn keys(error: &ConfigError) -> Vec<&str> {
    error.problems.iter().map(|p| p.key.as_str()).collect()
}

#[test]
fn nothing_set_gives_the_documented_defaults() {
    let config = load(&[]).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:3000");
    assert_eq!(config.http.public_url(), "http://127.0.0.1:3000");
    assert_eq!(config.http.max_body_bytes.get(), 1_048_576);
    assert_eq!(config.database.url.expose(), "sqlite://data/zhaoguan.db");
    assert_eq!(config.database.max_connections.get(), 20);
    assert_eq!(config.database.batch_max.get(), 256);
    assert_eq!(config.files.url, "fs://data/files");
    assert_eq!(config.files.max_bytes.get(), 20_971_520);
    assert_eq!(config.sms_providers(), [SmsProvider::Log]);
    assert_eq!(config.sms.limits.per_number[2], Rate::new(10, span::hours(24)));
    assert_eq!((config.session.lifetime, config.session.max_age), (span::days(30), None));
    assert_eq!(config.wechat.base_url, "https://api.weixin.qq.com");
    assert_eq!(config.consultation_policy(), ConsultationPolicy::default());
    let mut accounts = account::AccountSettings::default();
    accounts.codes.exempt_networks = vec!["127.0.0.1/32".parse().unwrap(), "::1/128".parse().unwrap()];
    assert_eq!(config.account_settings(), accounts);
    assert!(config.worker_is_embedded() && config.leancloud.enabled && !config.leancloud.require_session);
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn the_environment_overrides_the_file() {
    let file = "[http]\nlisten = \"0.0.0.0:1\"\nmax_body_bytes = 7\n[worker]\nconcurrency = 3\n";
    let config = load_file_and(file, &[("ZHAOGUAN__HTTP__LISTEN", "127.0.0.1:2")]).unwrap();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:2");
    assert_eq!((config.http.max_body_bytes.get(), config.worker.concurrency.get()), (7, 3));
}

#[test]
fn a_named_file_must_exist() {
    let sources = ConfigSources { file: Some(PathBuf::from("no/such/file.toml")), ..ConfigSources::default() };
    let message = Config::load(&sources).unwrap_err().to_string();
    assert!(message.contains("the file no/such/file.toml cannot be read"), "{message}");
}

#[test]
fn environment_texts_need_no_quotes_and_keep_their_zeros() {
    let config = load(&[
        ("ZHAOGUAN__APP__ID", "0123456789"),
        ("ZHAOGUAN__APP__KEY", " true "),
        ("ZHAOGUAN__SMS__RECEIPT_SECRET", "\"0000000000000000000000x\""),
        ("ZHAOGUAN__FILES__REGION", "'auto'"),
    ])
    .unwrap();
    assert_eq!(config.app.id.as_deref(), Some("0123456789"));
    assert_eq!(config.app.key.unwrap().expose(), "true");
    assert_eq!(config.sms.receipt_secret.unwrap().expose(), "0000000000000000000000x");
    assert_eq!(config.files.region.as_deref(), Some("auto"));
}

#[test]
fn environment_numbers_and_booleans_are_read_where_expected() {
    let config = load(&[
        ("ZHAOGUAN__HTTP__MAX_BODY_BYTES", "2048"),
        ("ZHAOGUAN__WORKER__EMBEDDED", "false"),
        ("ZHAOGUAN__LEANCLOUD__REQUIRE_SESSION", "true"),
        ("ZHAOGUAN__DATABASE__BATCH_RUNNERS", "2"),
        ("ZHAOGUAN__DATABASE__URL", "postgres://u:p@localhost/x"),
    ])
    .unwrap();
    assert_eq!(config.http.max_body_bytes.get(), 2048);
    assert!(!config.worker_is_embedded());
    assert!(config.consultation_policy().require_session);
    assert_eq!(config.database.batch_runners(), 2);
}

#[test]
fn environment_lists_and_tables_are_toml() {
    let config = load(&[
        ("ZHAOGUAN__HTTP__TRUSTED_PROXIES", "[\"10.0.0.0/8\", \"::1\"]"),
        ("ZHAOGUAN__SMS__PROVIDERS", "[\"tencent\", \"log\"]"),
        ("ZHAOGUAN__SMS__TENCENT", "{ secret_id = \"i\", secret_key = \"k\", sdk_app_id = \"1\", sign_name = \"s\" }"),
        (
            "ZHAOGUAN__SMS__TEMPLATES__LOGIN_CODE",
            "{ aliyun = { id = \"SMS_1\", params = [\"code\"] }, tencent = { id = \"1\", params = [\"code\", \"minutes\"] } }",
        ),
        (
            "ZHAOGUAN__WECHAT__APPS",
            "[{ name = \"p\", appid = \"wx1\", secret = \"s\", kind = \"miniprogram\", audience = \"patient\" }]",
        ),
    ])
    .unwrap();
    let proxies: Vec<String> = config.http.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(config.sms_providers(), [SmsProvider::Tencent, SmsProvider::Log]);
    assert_eq!(config.sms.templates["login_code"][&SmsProvider::Tencent].params, ["code", "minutes"]);
    assert_eq!(config.sms.tencent.unwrap().region, "ap-guangzhou");
    let app = &config.wechat.apps[0];
    assert_eq!(
        (app.kind, app.audience, app.push_mode),
        (WechatAppKind::Miniprogram, Audience::Patient, PushMode::Safe)
    );
}

#[test]
fn every_rule_of_the_consultations_can_be_set() {
    let config = load_file(
        r#"
        [business]
        timezone = "Asia/Urumqi"
        no_reply_after = "24h"
        idle_after = "1d 12h"
        sweep_grace = "5m"
        warn_before = "90m"
        reopen_within = "0s"
        max_duration = "7d"
        max_patient_messages = 30
        when_doctor_closed = "refuse"
        cool_down = "30s"
        escalate_after = "1h"
        unseen_after = "20s"
        [leancloud]
        require_session = true
        "#,
    )
    .unwrap();
    let expected = ConsultationPolicy {
        timezone: chrono_tz::Asia::Urumqi,
        no_reply_after: span::hours(24),
        idle_after: span::hours(36),
        sweep_grace: span::minutes(5),
        warn_before: span::minutes(90),
        reopen_within: span::minutes(0),
        max_duration: Some(span::days(7)),
        max_patient_messages: Some(30),
        when_doctor_closed: consultation::policy::WhenDoctorClosed::Refuse,
        cool_down: span::minutes(1) / 2,
        escalate_after: span::hours(1),
        unseen_after: Duration::from_secs(20),
        require_session: true,
    };
    assert_eq!(config.consultation_policy(), expected);
    assert_eq!(load(&[("ZHAOGUAN__BUSINESS__MAX_DURATION", "off")]).unwrap().business.max_duration, None);
}

#[test]
fn every_limit_of_accounts_can_be_set() {
    let config = load_file(
        r#"
        [business]
        timezone = "Asia/Urumqi"
        [session]
        lifetime = "1d"
        max_age = "2d"
        staff_lifetime = "1h"
        staff_max_age = "off"
        renew_after = "1m"
        max_per_subject = 3
        [files]
        max_bytes = 7
        uploads = "8/9s"
        link_lifetime = "10s"
        [sms.limits]
        code_lifetime = "1m"
        tries_per_code = 2
        failures_per_lock = 3
        first_lock = "4m"
        longest_lock = "5m"
        hard_lock_at = 6
        per_number = ["7/7s"]
        per_address = ["8/8s"]
        numbers_per_address = "9/9s"
        per_device = ["10/10s"]
        overall = ["11/11s"]
        free_of_captcha = "12/12s"
        failures_per_address = "13/13s"
        failures_overall = "14/14s"
        countries = ["86", "852"]
        refused_prefixes = ["170"]
        exempt_networks = ["10.0.0.0/8"]
        "#,
    )
    .unwrap();
    let settings = config.account_settings();
    let mut expected = account::AccountSettings { timezone: chrono_tz::Asia::Urumqi, ..Default::default() };
    let window = |n: u32| account::counter::Window::new(n, Duration::from_secs(n.into()));
    expected.sessions.user = SessionLifetime { idle: span::days(1), absolute: Some(span::days(2)) };
    expected.sessions.agent = SessionLifetime { idle: span::hours(1), absolute: None };
    expected.sessions.touch_every = span::minutes(1);
    expected.sessions.max_per_subject = 3;
    expected.files.max_bytes = 7;
    expected.files.uploads = account::counter::Window::new(8, Duration::from_secs(9));
    expected.files.link_lifetime = Duration::from_secs(10);
    let codes = &mut expected.codes;
    (codes.lifetime, codes.tries_per_challenge) = (span::minutes(1), 2);
    (codes.guard.failures_per_lock, codes.guard.hard_lock_at) = (3, Some(6));
    (codes.guard.first_lock, codes.guard.longest_lock) = (span::minutes(4), span::minutes(5));
    (codes.per_number, codes.per_address, codes.numbers_per_address) = (vec![window(7)], vec![window(8)], window(9));
    (codes.per_device, codes.overall, codes.free_of_captcha) = (vec![window(10)], vec![window(11)], window(12));
    (codes.failures_per_address, codes.failures_overall) = (window(13), window(14));
    codes.country_codes = vec!["86".to_owned(), "852".to_owned()];
    codes.refused_prefixes = vec!["170".to_owned()];
    codes.exempt_networks = vec!["10.0.0.0/8".parse().unwrap()];
    assert_eq!(settings, expected);
}

#[test]
fn an_unknown_key_is_named_with_its_origin() {
    let error = load(&[("ZHAOGUAN__HTTP__LISTNE", "127.0.0.1:2")]).unwrap_err();
    assert_eq!(keys(&error), ["http.listne"]);
    let message = error.to_string();
    assert!(message.contains("http.listne is not a known key"), "{message}");
    assert!(message.contains("listen") && message.contains("environment variable ZHAOGUAN__HTTP__LISTNE"), "{message}");

    let message = load_file("profil = \"production\"").unwrap_err().to_string();
    assert!(message.contains("profil is not a known key") && message.contains("my.toml"), "{message}");

    let nested =
        load_file("[sms.aliyun]\naccess_key_id = \"a\"\naccess_key_secret = \"b\"\nsign_name = \"c\"\nsign = 1");
    assert_eq!(keys(&nested.unwrap_err()), ["sms.aliyun.sign"]);
}

#[test]
fn a_bad_value_is_named_with_its_origin_and_never_quoted() {
    let cases = [
        ("ZHAOGUAN__PROFILE", "prod-q7", "profile", "is one of: development, production"),
        ("ZHAOGUAN__HTTP__LISTEN", "localhost-q7", "http.listen", "is an address with a port like 127.0.0.1:3000"),
        ("ZHAOGUAN__HTTP__TRUSTED_PROXIES", "[\"q7\"]", "http.trusted_proxies", "is a list of networks"),
        ("ZHAOGUAN__HTTP__MAX_BODY_BYTES", "0", "http.max_body_bytes", "is out of range: expected a nonzero usize"),
        ("ZHAOGUAN__HTTP__MAX_BODY_BYTES", "q7", "http.max_body_bytes", "not text"),
        ("ZHAOGUAN__HTTP__REQUEST_TIMEOUT", "7 q7", "http.request_timeout", "is a duration like"),
        ("ZHAOGUAN__HTTP__REQUEST_TIMEOUT", "0s", "http.request_timeout", "is longer than nothing"),
        ("ZHAOGUAN__HTTP__PUBLIC_URL", "api.example.com", "http.public_url", "is an address like"),
        ("ZHAOGUAN__DATABASE__URL", "mysql://q7", "database.url", "starts with sqlite:// or postgres://"),
        ("ZHAOGUAN__DATABASE__SQLITE_SYNCHRONOUS", "q7", "database.sqlite_synchronous", "is one of: full, normal"),
        ("ZHAOGUAN__FANOUT__URL", "redis://q7", "fanout.url", "is empty or starts with nats://"),
        ("ZHAOGUAN__BUSINESS__TIMEZONE", "Asia/q7", "business.timezone", "is an IANA time zone"),
        ("ZHAOGUAN__BUSINESS__MAX_DURATION", "0h", "business.max_duration", "is longer than nothing, or off"),
        ("ZHAOGUAN__BUSINESS__WARN_BEFORE", "48h", "business.warn_before", "is shorter than"),
        ("ZHAOGUAN__LEANCLOUD__ENABLED", "perhaps-q7", "leancloud.enabled", "is a boolean, not text"),
        ("ZHAOGUAN__LOG__FILTER", "a=b=q7", "log.filter", "is a filter like"),
        ("ZHAOGUAN__HTTP", "q7", "http", "is a table, not text"),
        ("ZHAOGUAN__SMS__PROVIDERS", "[\"log\", \"log\"]", "sms.providers", "lists log twice"),
        ("ZHAOGUAN__SMS__LIMITS__COUNTRIES", "[\"+86\"]", "sms.limits.countries", "is a list of country codes"),
        ("ZHAOGUAN__SMS__LIMITS__CODE_LIFETIME", "11m", "sms.limits.code_lifetime", "is at most 10m"),
        ("ZHAOGUAN__SMS__LIMITS__PER_NUMBER", "[\"5/1h\", \"q7\"]", "sms.limits.per_number.1", "is a limit like"),
        ("ZHAOGUAN__SMS__LIMITS__HARD_LOCK_AT", "101", "sms.limits.hard_lock_at", "is at most 100"),
        ("ZHAOGUAN__SMS__LIMITS__EXEMPT_NETWORKS", "[\"q7\"]", "sms.limits.exempt_networks", "is a list of networks"),
        ("ZHAOGUAN__SESSION__RENEW_AFTER", "13h", "session.renew_after", "is shorter than session.lifetime"),
        ("ZHAOGUAN__SECURITY__SECRET", "q7", "security.secret", "has at least 32 characters"),
        ("ZHAOGUAN__SMS__RECEIPT_SECRET", "q7", "sms.receipt_secret", "has at least 22 letters"),
        ("ZHAOGUAN__FILES__URL", "ftp://q7", "files.url", "starts with fs://"),
        ("ZHAOGUAN__FILES__URL", "data", "files.url", "starts with fs://"),
    ];
    for (variable, value, key, expected) in cases {
        let error = load(&[(variable, value)]).unwrap_err();
        let problem = &error.problems[0];
        assert_eq!(problem.key, key, "{error}");
        assert!(problem.message.contains(expected), "{error}");
        assert_eq!(problem.origin.as_deref(), Some(format!("the environment variable {variable}").as_str()));
        assert!(!error.to_string().contains("q7"), "{error}");
    }
}

#[test]
fn secrets_in_unreadable_sources_are_not_quoted() {
    let broken = load_file("[http]\nlisten = \"127.0.0.1:1\"\n[app]\nkey = hunter2secret\n").unwrap_err().to_string();
    assert!(broken.contains("my.toml is not valid TOML at line 4"), "{broken}");
    assert!(!broken.contains("hunter2"), "{broken}");
    let number = load_file("[app]\nkey = 4815162342\n").unwrap_err().to_string();
    assert!(number.contains("app.key is a string, not a number") && !number.contains("4815162342"), "{number}");
    let list = load(&[("ZHAOGUAN__SMS__PROVIDERS", "[hunter2")]).unwrap_err().to_string();
    assert!(list.contains("ZHAOGUAN__SMS__PROVIDERS is not valid TOML") && !list.contains("hunter2"), "{list}");
}

#[test]
fn debug_of_a_whole_configuration_shows_no_secret() {
    let config = production(&[
        ("ZHAOGUAN__DATABASE__URL", "postgres://user:hunter2@db/x"),
        ("ZHAOGUAN__FANOUT__URL", "nats://user:hunter2@nats"),
        ("ZHAOGUAN__FILES__ACCESS_KEY_SECRET", "hunter2"),
        (
            "ZHAOGUAN__WECHAT__APPS",
            "[{ name = \"p\", appid = \"wx1\", secret = \"hunter2-Zq8Lw3Xv9\", kind = \"miniprogram\", audience = \"patient\", \
             push_mode = \"plain\", push_token = \"hunter2\" }]",
        ),
    ])
    .unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains(STRONG), "{shown}");
    assert!(shown.contains("wx1"), "{shown}");
}

#[test]
fn production_lists_every_missing_secret_at_once() {
    let error = load(&[("ZHAOGUAN__PROFILE", "production")]).unwrap_err();
    assert_eq!(keys(&error), ["app.id", "app.key", "app.master_key", "security.secret", "http.public_url"]);
    assert_eq!(production(&[]).unwrap().profile, Profile::Production);
}

#[test]
fn production_exempts_no_network_unless_told() {
    let exempt = |pairs: &[(&str, &str)]| production(pairs).unwrap().account_settings().codes.exempt_networks;
    assert!(exempt(&[]).is_empty());
    let told = [("ZHAOGUAN__SMS__LIMITS__EXEMPT_NETWORKS", "[\"10.0.0.0/8\"]")];
    assert_eq!(exempt(&told), ["10.0.0.0/8".parse().unwrap()]);
}

#[test]
fn production_refuses_what_development_allows() {
    let cases = [
        ("ZHAOGUAN__APP__KEY", "short", "app.key"),
        ("ZHAOGUAN__APP__KEY", "", "app.key"),
        ("ZHAOGUAN__APP__MASTER_KEY", "changeme-changeme-changeme", "app.master_key"),
        ("ZHAOGUAN__APP__MASTER_KEY", STRONG, "app.master_key"),
        ("ZHAOGUAN__SECURITY__SECRET", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "security.secret"),
        ("ZHAOGUAN__APP__ID", "", "app.id"),
        ("ZHAOGUAN__HTTP__PUBLIC_URL", "http://api.example.com", "http.public_url"),
        ("ZHAOGUAN__SMS__PROVIDERS", "[\"log\"]", "sms.providers"),
        ("ZHAOGUAN__FILES__URL", "memory://", "files.url"),
    ];
    for (variable, value, key) in cases {
        assert!(load(&[(variable, value)]).is_ok(), "{variable} in development");
        let error = production(&[(variable, value)]).unwrap_err();
        assert_eq!(keys(&error), [key], "{error}");
    }
}

#[test]
fn providers_and_apps_must_be_complete() {
    let error = load(&[("ZHAOGUAN__SMS__PROVIDERS", "[\"aliyun\", \"webhook\"]")]).unwrap_err();
    assert_eq!(keys(&error), ["sms.aliyun", "sms.templates.login_code.aliyun", "sms.webhook"]);

    let missing = load(&[("ZHAOGUAN__SMS__ALIYUN", "{ access_key_id = \"a\", sign_name = \"s\" }")]).unwrap_err();
    assert_eq!(keys(&missing), ["sms.aliyun.access_key_secret"]);

    let app = |name: &str, more: &str| {
        format!(
            "{{ name = \"{name}\", appid = \"wx1\", secret = \"s\", kind = \"miniprogram\", audience = \"doctor\" {more} }}"
        )
    };
    let apps = |list: &[String]| load(&[("ZHAOGUAN__WECHAT__APPS", &format!("[{}]", list.join(",")))]);
    let error = apps(&[app("d", ""), app("d", "")]).unwrap_err();
    assert_eq!(keys(&error), ["wechat.apps.1.name"]);
    let error = apps(&[app("D/", "")]).unwrap_err();
    assert_eq!(error.problems[0].origin.as_deref(), Some("the environment variable ZHAOGUAN__WECHAT__APPS"));
    assert_eq!(keys(&apps(&[app("d", ", push_token = \"t\"")]).unwrap_err()), ["wechat.apps.0.push_aes_key"]);
    assert_eq!(keys(&apps(&[app("d", ", kindd = 1")]).unwrap_err()), ["wechat.apps.0.kindd"]);
}

#[test]
fn object_stores_need_their_credentials() {
    let error = load(&[("ZHAOGUAN__FILES__URL", "oss://bucket/prefix")]).unwrap_err();
    assert_eq!(keys(&error), ["files.endpoint", "files.access_key_id", "files.access_key_secret"]);
    let pasted = load(&[("ZHAOGUAN__FILES__URL", "s3://key:hunter2@bucket")]).unwrap_err();
    assert!(keys(&pasted).contains(&"files.url") && !pasted.to_string().contains("hunter2"), "{pasted}");
}

#[test]
fn postgres_changes_the_defaults_of_worker_and_batching() {
    let postgres = load(&[("ZHAOGUAN__DATABASE__URL", "postgresql://localhost/x")]).unwrap();
    assert!(!postgres.worker_is_embedded());
    assert_eq!((postgres.database.kind(), postgres.database.batch_runners()), (DatabaseKind::Postgres, 4));
    let sqlite = load(&[]).unwrap();
    assert_eq!((sqlite.database.kind(), sqlite.database.batch_runners()), (DatabaseKind::Sqlite, 2));
}

#[test]
fn unwise_settings_are_warned_of_by_key() {
    let cases = [
        (vec![("ZHAOGUAN__HTTP__LISTEN", "0.0.0.0:3000")], "http.listen"),
        (vec![("ZHAOGUAN__DATABASE__URL", "postgres://localhost/x")], "fanout.url"),
        (vec![("ZHAOGUAN__WORKER__EMBEDDED", "false")], "worker.embedded"),
        (vec![("ZHAOGUAN__DATABASE__SQLITE_SYNCHRONOUS", "normal")], "database.sqlite_synchronous"),
    ];
    for (pairs, key) in cases {
        let warnings = load(&pairs).unwrap().warnings();
        assert!(warnings.len() == 1 && warnings[0].starts_with(key), "{warnings:?}");
    }
    let in_production = production(&[]).unwrap().warnings();
    let named: Vec<_> = in_production.iter().filter_map(|w| w.split(' ').next()).collect();
    assert_eq!(named, ["sms.providers", "leancloud.require_session", "http.trusted_proxies"]);
}

#[test]
fn the_example_file_shows_the_defaults() {
    let example = include_str!("../../../../deploy/zhaoguan.example.toml");
    assert_eq!(load_file(example).unwrap(), Config::default());
}

#[test]
fn every_key_of_the_example_file_is_known_also_the_commented_ones() {
    let example = include_str!("../../../../deploy/zhaoguan.example.toml");
    let setting = |line: &&str| !line.starts_with('#') || line.contains(" = ") || line.starts_with("# [");
    let uncommented: Vec<_> = example.lines().filter(setting).map(|line| line.trim_start_matches("# ")).collect();
    let config = load_file(&uncommented.join("\n")).unwrap();
    assert!(config.sms.aliyun.is_some() && config.sms.tencent.is_some() && config.sms.webhook.is_some());
    assert_eq!(config.wechat.apps[0].templates["new_message"], "TEMPLATE-ID");
}

#[test]
fn the_compose_file_starts_in_production() {
    let compose = include_str!("../../../../deploy/compose.yaml");
    let mut sources = variables(&[]);
    for (name, value) in compose.lines().filter_map(|line| line.trim().split_once(": ")) {
        let value = match name {
            "ZHAOGUAN__HTTP__PUBLIC_URL" => "https://api.example.com".to_owned(),
            "ZHAOGUAN__APP__MASTER_KEY" => STRONG.chars().rev().collect(),
            _ => value.trim_matches('\'').replace("${APP_KEY:?}", STRONG).replace("${SECRET:?}", STRONG),
        };
        sources.variables.push((name.to_owned(), value));
    }
    let config = Config::load(&sources).unwrap();
    assert!(config.is_production() && !config.worker_is_embedded());
    assert_eq!(config.fanout.url.expose(), "nats://nats:4222");
}
