//! Signing in: codes work once, keys are sealed, numbers carry the right watermark.

use wechat::WechatError;
use wechat::identity::Logins;
use wechat_standin::{Fault, FaultKind};

use crate::consents::signed_in;
use crate::support::{APPID, SERVICE_APPID, on_each_database};

#[tokio::test]
async fn a_code_works_once_and_the_session_key_is_sealed() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let logins = Logins::new(node.context.clone());
        let code = stage.platform().login_code(APPID, "o1", Some("u1"));
        let person = logins.exchange("patient", &code).await.unwrap();
        assert_eq!((person.openid.as_str(), person.unionid.as_deref()), ("o1", Some("u1")));
        assert!(!format!("{person:?}").contains(&stage.platform().session_key(APPID, "o1").unwrap()));
        assert!(matches!(logins.exchange("patient", &code).await, Err(WechatError::CodeNotAccepted)), "used");
        assert!(matches!(logins.exchange("patient", "nonsense").await, Err(WechatError::CodeNotAccepted)));
        assert!(matches!(logins.exchange("service", &code).await, Err(WechatError::AppNotFound)));
        let user = domain::id::UserId(node.context.ids.next());
        logins.remember(&person, user).await.unwrap();
        let sealed = node.identity("patient", "o1").await.unwrap().session_key.unwrap();
        let key = stage.platform().session_key(APPID, "o1").unwrap();
        assert!(!sealed.windows(key.len()).any(|part| part == key.as_bytes()));
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_asks_for_a_new_code() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let logins = Logins::new(node.context.clone());
        let code = stage.platform().login_code(APPID, "o1", None);
        stage.platform().faults.push(Fault::once("/sns/jscode2session", FaultKind::ResetAfter));
        assert!(matches!(logins.exchange("patient", &code).await, Err(WechatError::Unavailable)));
        assert!(matches!(logins.exchange("patient", &code).await, Err(WechatError::CodeNotAccepted)));
        let risky = FaultKind::Refuse { code: 40_226, message: "code blocked".into() };
        stage.platform().faults.push(Fault::once("/sns/jscode2session", risky));
        assert!(matches!(logins.exchange("patient", "0").await, Err(WechatError::SignInBlocked)));
        let often = FaultKind::Refuse { code: 45_011, message: "api minute-quota reach limit".into() };
        stage.platform().faults.push(Fault::once("/sns/jscode2session", often));
        assert!(matches!(logins.exchange("patient", "0").await, Err(WechatError::TooMany { .. })));
    })
    .await;
}

#[tokio::test]
async fn a_number_needs_the_code_of_this_app() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let logins = Logins::new(node.context.clone());
        let code = stage.platform().phone_code(APPID, "13900000000");
        assert_eq!(logins.phone_number("patient", &code).await.unwrap().as_e164(), "+8613900000000");
        assert!(matches!(logins.phone_number("patient", &code).await, Err(WechatError::CodeNotAccepted)), "used");
        let foreign = stage.platform().phone_code(SERVICE_APPID, "13900000000");
        assert!(matches!(logins.phone_number("patient", &foreign).await, Err(WechatError::PhoneNotAccepted)));
    })
    .await;
}

#[tokio::test]
async fn the_session_is_checked_and_reset_by_its_signature() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let logins = Logins::new(node.context.clone());
        let actor = signed_in(stage.visitor(&node, "o1").await);
        assert!(logins.check_session(&actor, "patient").await.unwrap());
        let before = stage.platform().session_key(APPID, "o1");
        logins.reset_session(&actor, "patient").await.unwrap();
        assert_ne!(stage.platform().session_key(APPID, "o1"), before);
        assert!(logins.check_session(&actor, "patient").await.unwrap(), "the new key was kept");
        // Another sign-in of the same person elsewhere replaces the key.
        let code = stage.platform().login_code(APPID, "o1", None);
        logins.exchange("patient", &code).await.unwrap();
        assert!(!logins.check_session(&actor, "patient").await.unwrap());
        assert!(matches!(logins.reset_session(&actor, "patient").await, Err(WechatError::NoSession)));
    })
    .await;
}
