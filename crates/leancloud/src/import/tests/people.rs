//! Users, sessions, patients and their files.

use super::*;

#[tokio::test]
async fn sessions_passwords_and_identities_survive() {
    let scene = Scene::new();
    scene.try_import(&sample()).await.unwrap();
    let rows = scene.rows();
    let user = &rows.users[&object_id(USER)];
    assert_eq!(user.verified_phone().unwrap().as_e164(), "+8613900000000");
    assert_eq!(verify(&Password::typed("pass-0"), user.password.as_ref().unwrap()), Ok(true));
    assert!(user.auth_data["lc_weapp"]["openid"].is_string() && user.acl.is_some() && user.extra.is_empty());
    let hash = SessionToken::shown("6spsc3lkr2aqxv9upctnwlavy").hash();
    let session = rows.sessions.iter().find(|session| session.token_hash == hash).unwrap();
    assert_eq!(session.subject, account::session::SessionSubject::User(user.id));
    assert!(session.expires_at > Fixed.now());
    assert_eq!(rows.patients[&object_id(PATIENT)].user_id, Some(user.id));
}

#[tokio::test]
async fn a_login_belongs_to_the_first_user_and_the_second_keeps_everything_else() {
    let scene = Scene::new();
    let weapp = json!({"lc_weapp": {"openid": "o1"}, "weibo": {"uid": "w2"}});
    let fields = |token: &str| {
        json!({"username": "13900000000", "mobilePhoneNumber": "13900000000", "mobilePhoneVerified": true,
            "email": "a@example.invalid", "authData": weapp, "sessionToken": token})
    };
    scene.put("_User.0.jsonl", &[row(&id(1), fields("t1"))]);
    scene.put("_User.1.jsonl", &[row(&id(2), fields("t2"))]);
    let (report, findings) = scene.import().await;
    let told = |field: &str| format!("_User.1.jsonl:2 _User.{field} duplicate_value ({})", id(1));
    assert_eq!(
        findings,
        [told("username"), told("email"), told("mobilePhoneNumber"), told("authData"), told("authData")]
    );
    assert_eq!(report.of_class("_User").inserted, 2);
    let rows = scene.rows();
    let second = &rows.users[&object_id(&id(2))];
    assert_eq!((second.username.as_str(), second.verified_phone()), (id(2).as_str(), None));
    assert_eq!((second.extra["mobilePhoneNumber"].as_str(), &second.extra["authData"]), (Some("13900000000"), &weapp));
    assert!(second.auth_data.is_empty());
    assert_eq!(rows.sessions.len(), 2);
    // The same again, with both users here already.
    let (report, findings) = scene.import().await;
    assert_eq!((report.of_class("_User").unchanged, findings.len()), (2, 0));
}

#[tokio::test]
async fn users_keep_their_own_logins_when_they_are_updated() {
    let scene = Scene::new();
    let user = |day: u32| {
        vec![row(
            &id(1),
            json!({"username": "u", "mobilePhoneNumber": "13900000000", "updatedAt": format!("2020-01-{day:02}T00:00:00.000Z")}),
        )]
    };
    scene.put("_User.0.jsonl", &user(1));
    scene.import().await;
    scene.put("_User.0.jsonl", &user(2));
    let (report, findings) = scene.import().await;
    assert_eq!((report.of_class("_User").updated, findings.len()), (1, 0));
}

#[tokio::test]
async fn a_user_is_one_patient_and_files_must_exist() {
    let scene = Scene::new();
    scene.put("_User.0.jsonl", &[row(USER, json!({"username": "u"}))]);
    scene.put("_File.0.jsonl", &[row(&id(7), json!({"url": "https://files.example.invalid/a.png"}))]);
    let file = |n: u32| json!({"__type": "File", "id": id(n)});
    scene.put(
        "Patients.0.jsonl",
        &[
            row(&id(1), json!({"user": USER, "icon": file(7)})),
            row(&id(2), json!({"user": USER, "icon": file(8)})),
            row(&id(3), json!({"user": id(9)})),
        ],
    );
    let (report, findings) = scene.import().await;
    assert_eq!(
        findings,
        [
            format!("Patients.0.jsonl:3 Patients.icon dangling_reference ({})", id(8)),
            format!("Patients.0.jsonl:3 Patients.user duplicate_value ({})", id(1)),
            format!("Patients.0.jsonl:4 Patients.user dangling_reference ({})", id(9)),
        ]
    );
    assert_eq!(report.of_class("Patients").inserted, 3);
    let rows = scene.rows();
    let second = &rows.patients[&object_id(&id(2))];
    assert_eq!((second.user_id, second.icon), (None, None));
    assert_eq!((second.extra["user"].as_str(), &second.extra["icon"]), (Some(USER), &file(8)));
    assert_eq!(rows.patients[&object_id(&id(1))].icon.map(|icon| icon.to_string()), Some(id(7)));
}
