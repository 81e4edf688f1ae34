//! What the configuration makes of text messages.

use runtime::config::ConfigSources;
use runtime::{OsRandom, SystemClock};

use super::*;

fn providers(toml: &str) -> Result<Providers, SmsSetupError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zhaoguan.toml");
    std::fs::write(&file, toml).unwrap();
    let config = Config::load(&ConfigSources { file: Some(file), variables: Vec::new() }).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let random: Arc<dyn SecureRandom> = Arc::new(OsRandom);
    Providers::of(&config, &clock, &random)
}

const BOTH: &str = r#"
[sms]
providers = ["tencent", "aliyun"]
[sms.aliyun]
base_url = "http://127.0.0.1:9/aliyun"
access_key_id = "id"
access_key_secret = "secret"
sign_name = "sign"
[sms.tencent]
base_url = "http://127.0.0.1:9"
secret_id = "id"
secret_key = "key"
sdk_app_id = "1"
sign_name = "sign"
"#;

fn with_templates(code: &str) -> String {
    format!("{BOTH}\n[sms.templates]\nlogin_code = {code}\n")
}

#[test]
fn the_order_is_the_configurations() {
    let code = r#"{ aliyun = { id = "A", params = ["code"] }, tencent = { id = "1", params = ["code", "minutes"] } }"#;
    let found = providers(&with_templates(code)).unwrap();
    let names: Vec<_> = found.all.iter().map(|p| p.name()).collect();
    assert_eq!(names, [ProviderName::Tencent, ProviderName::Aliyun]);
    assert!(found.all.iter().all(|p| p.offers("login_code") && !p.offers("new_message")));
    assert_eq!(found.warnings.len(), 2, "new_message is missing at both");
}

#[test]
fn a_variable_nobody_fills_is_named_at_the_start() {
    let code = r#"{ aliyun = { id = "A", params = ["otp"] }, tencent = { id = "1", params = ["code"] } }"#;
    let refused = providers(&with_templates(code)).err().unwrap().to_string();
    assert_eq!(refused, "sms.templates.login_code.aliyun names the variable otp; there are code, minutes");
}

#[test]
fn development_keeps_messages_to_be_shown() {
    let found = providers("").unwrap();
    assert!(found.kept.is_some() && found.all.len() == 1);
}
