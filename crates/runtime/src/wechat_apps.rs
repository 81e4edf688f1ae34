//! The configuration of WeChat as its crate reads it, and the apps of the built-in stand-in.

use std::collections::BTreeMap;

use wechat::content::{ContentSettings, OnNoVerdict, read_words};
use wechat::{App, AppKind, Apps, Audience, EnvVersion, PushFormat, PushMode, PushSettings, Secret};

use crate::config::{self, Config, WechatApp};

impl Config {
    /// Whether the built-in stand-in takes the platform's place.
    pub fn uses_wechat_standin(&self) -> bool {
        !self.is_production() && self.wechat.standin.is_some() && self.wechat.apps.is_empty()
    }

    /// The address of the platform, or of what stands in for it.
    pub fn wechat_base_url(&self) -> String {
        match self.wechat.standin.filter(|_| self.uses_wechat_standin()) {
            Some(address) => format!("http://{address}"),
            None => self.wechat.base_url.clone(),
        }
    }

    /// The apps of the configuration, or of the stand-in.
    pub fn wechat_apps(&self) -> Apps {
        if self.uses_wechat_standin() {
            return Apps::new(standin_apps());
        }
        Apps::new(self.wechat.apps.iter().map(app).collect())
    }

    /// The settings of content checks; without apps nothing is checked.
    pub fn content_settings(&self) -> ContentSettings {
        let checks = &self.wechat.content_checks;
        ContentSettings {
            is_enabled: checks.enabled && !self.wechat_apps().is_empty(),
            budget: checks.budget,
            on_no_verdict: match checks.on_no_verdict {
                config::OnNoVerdict::Deliver => OnNoVerdict::Deliver,
                config::OnNoVerdict::Hold => OnNoVerdict::Hold,
            },
            // Words that break the rule stopped the start.
            words: read_words(&checks.words).unwrap_or_default(),
        }
    }
}

fn app(app: &WechatApp) -> App {
    let secret = |secret: &config::Secret| Secret::new(secret.expose());
    App {
        name: app.name.clone(),
        appid: app.appid.clone(),
        secret: secret(&app.secret),
        kind: match app.kind {
            config::WechatAppKind::Miniprogram => AppKind::Miniprogram,
            config::WechatAppKind::ServiceAccount => AppKind::ServiceAccount,
        },
        audience: match app.audience {
            config::Audience::Patient => Audience::Patient,
            config::Audience::Doctor => Audience::Doctor,
        },
        push: app.push_token.as_ref().map(|token| PushSettings {
            token: secret(token),
            aes_key: app.push_aes_key.as_ref().map(secret),
            mode: match app.push_mode {
                config::PushMode::Plain => PushMode::Plain,
                config::PushMode::Compat => PushMode::Compat,
                config::PushMode::Safe => PushMode::Safe,
            },
            format: match app.push_format {
                config::PushFormat::Xml => PushFormat::Xml,
                config::PushFormat::Json => PushFormat::Json,
            },
        }),
        templates: app.templates.clone(),
        invitation_page: app.invitation_page.clone(),
        message_page: app.message_page.clone(),
        env_version: match app.env_version {
            config::EnvVersion::Release => EnvVersion::Release,
            config::EnvVersion::Trial => EnvVersion::Trial,
            config::EnvVersion::Develop => EnvVersion::Develop,
        },
    }
}

/// Apps that exist in the stand-in only; their secrets guard nothing.
fn standin_apps() -> Vec<App> {
    let app = |name: &str, kind, audience| App {
        name: name.to_owned(),
        appid: format!("wx-standin-{name}"),
        secret: Secret::new(format!("standin-secret-of-{name}")),
        kind,
        audience,
        push: Some(PushSettings {
            token: Secret::new(format!("standin-token-of-{name}")),
            aes_key: Some(Secret::new("StandInStandInStandInStandInStandInStandInA")),
            mode: PushMode::Safe,
            format: PushFormat::Json,
        }),
        templates: BTreeMap::from([("new_message".to_owned(), format!("standin-{name}-new-message"))]),
        invitation_page: Some("pages/doctor/index".to_owned()),
        message_page: Some("pages/consultation/index?id={consultationId}".to_owned()),
        env_version: EnvVersion::Develop,
    };
    vec![
        app("patient", AppKind::Miniprogram, Audience::Patient),
        app("doctor", AppKind::Miniprogram, Audience::Doctor),
        app("service", AppKind::ServiceAccount, Audience::Patient),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stand_in_serves_only_without_apps_and_outside_production() {
        let mut config = Config::default();
        assert!(!config.uses_wechat_standin() && config.wechat_apps().is_empty());
        config.wechat.standin = Some("127.0.0.1:3900".parse().unwrap());
        assert_eq!(config.wechat_base_url(), "http://127.0.0.1:3900");
        assert_eq!(config.wechat_apps().iter().count(), 3);
        config.profile = config::Profile::Production;
        assert_eq!(config.wechat_base_url(), "https://api.weixin.qq.com");
    }

    #[test]
    fn the_keys_of_the_stand_in_are_keys() {
        for app in standin_apps() {
            let key = app.push.unwrap().aes_key.unwrap();
            assert!(wechat::push::envelope::EnvelopeKey::parse(key.expose()).is_some(), "{}", app.name);
        }
    }
}
