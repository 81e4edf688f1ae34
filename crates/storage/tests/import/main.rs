//! Imports into real databases: always into SQLite, into PostgreSQL as well when `DATABASE_URL_PG` is set.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use account::AccountStore;
use account::session::{SessionSubject, SessionToken};
use account::user::AuthIdentity;
use consultation::{ConsultationStore, EndReason, Status};
use domain::id::{ConsultationId, ConversationId, DoctorId, FileId, PatientId, RelationId, UserId};
use domain::{ObjectId, Timestamp};
use im::{ConversationKind, MemberKind};
use serde_json::{Value, json};
use support::{Scene, on_each_database, sample};

const DOCTOR: &str = "5daeb07b7b968a0074945056";
const PATIENT: &str = "5db2cf72f884af0073deb1bc";
const USER: &str = "5ea26d077283e0ad84173581";

fn id(n: u32) -> String {
    ObjectId::from_parts(0x5e00_0000, [7; 5], n).to_string()
}

fn typed<T: From<ObjectId>>(text: &str) -> T {
    T::from(text.parse().unwrap())
}

/// A row made on the first of January 2020 and changed on the given day of it.
fn row(object_id: &str, day: u32, mut fields: Value) -> Value {
    let mut row = json!({
        "objectId": object_id, "createdAt": "2020-01-01T00:00:00.000Z",
        "updatedAt": format!("2020-01-{day:02}T00:00:00.000Z"),
    });
    row.as_object_mut().unwrap().append(fields.as_object_mut().unwrap());
    row
}

/// A consultation of the usual pair, started and last changed on a day.
fn consultation(n: u32, day: u32, status: &str) -> Value {
    let at = format!("2020-01-{day:02}T00:00:00.000Z");
    let fields = json!({"idDoctor": DOCTOR, "idPatient": PATIENT, "status": status, "createdAt": at});
    row(&id(n), day, fields)
}

/// The usual doctor, patient and relation.
fn put_pair(scene: &Scene) {
    scene.put("Doctor", &[row(DOCTOR, 1, json!({"authenticated": "1", "normalConsultingPrice": "29.9"}))]);
    scene.put("Patients", &[row(PATIENT, 1, json!({"height": "188", "birthday": "1982-12-26", "gender": "男"}))]);
    let fields =
        json!({"idDoctor": DOCTOR, "idPatient": PATIENT, "tag": ["打鼾"], "group": ["1", "2"], "follow": true});
    scene.put("DoctorPatientRelation", &[row(&id(100), 1, fields)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_comes_in_whole_and_again_without_a_change() {
    on_each_database(async |scene| {
        let report = scene.import(&sample()).await;
        assert_eq!((report.total().inserted, report.finding_count), (124, 0), "{report}");
        assert_eq!(scene.store.inspect().await.unwrap(), []);

        let mut read = AccountStore::read(&scene.store);
        let hash = SessionToken::shown("6spsc3lkr2aqxv9upctnwlavy").hash();
        let context = read.sessions().find_active(&hash).await.unwrap().unwrap();
        assert_eq!(context.session.subject, SessionSubject::User(typed(USER)));
        assert_eq!(context.patient, Some(typed(PATIENT)));
        let openid = AuthIdentity { provider: "lc_weapp".into(), uid: "p5ea26d072f86702824c1c099abc".into() };
        let user = read.users().find_by_identity(&openid).await.unwrap().unwrap();
        assert_eq!((user.id, user.password.is_some(), user.version), (typed(USER), true, 1));

        let mut read = ConsultationStore::read(&scene.store);
        let doctor = read.doctors().find(typed::<DoctorId>(DOCTOR)).await.unwrap().unwrap();
        assert!(doctor.is_certified());
        let icon = read.files().find(doctor.icon.unwrap()).await.unwrap().unwrap();
        assert_eq!((icon.name.as_str(), icon.size), ("icon.jpg", Some(82_134)));
        let ended: ConsultationId = typed("5e77edf7ddf52ecf4076c19a");
        let ended = read.consultations().find(ended).await.unwrap().unwrap();
        assert_eq!((ended.status, ended.end_reason), (Status::Ended, Some(EndReason::Imported)));
        let dialog = read.conversations().find(ended.dialog_id.unwrap()).await.unwrap().unwrap();
        assert_eq!((dialog.kind, dialog.consultation_id), (ConversationKind::Consultation, Some(ended.id)));

        let report = scene.import(&sample()).await;
        assert_eq!((report.total().unchanged, report.finding_count), (124, 0), "{report}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_of_a_row_is_replaced_by_a_newer_export_and_the_version_moves_on() {
    on_each_database(async |scene| {
        put_pair(scene);
        scene.put("_User", &[row(USER, 1, json!({"username": "u", "authData": {"a": {"uid": "1"}}}))]);
        scene.put("_File", &[row(&id(7), 1, json!({"url": "https://files.example.invalid/a.png"}))]);
        scene.import_folder().await;
        scene.put("Doctor", &[row(DOCTOR, 2, json!({"authenticated": "2", "title": "主任医师"}))]);
        scene.put(
            "Patients",
            &[row(PATIENT, 2, json!({"name": "王", "user": USER, "icon": {"__type": "File", "id": id(7)}}))],
        );
        let fields = json!({"idDoctor": DOCTOR, "idPatient": PATIENT, "block": true});
        scene.put("DoctorPatientRelation", &[row(&id(100), 2, fields)]);
        scene.put("_User", &[row(USER, 2, json!({"username": "v", "authData": {"b": {"uid": "2"}}}))]);
        scene.put("_File", &[row(&id(7), 2, json!({"url": "https://files.example.invalid/b.png"}))]);
        let report = scene.import_folder().await;
        assert_eq!((report.total().updated, report.finding_count), (5, 0), "{report}");

        let mut read = ConsultationStore::read(&scene.store);
        let doctor = read.doctors().find(typed::<DoctorId>(DOCTOR)).await.unwrap().unwrap();
        assert_eq!((doctor.title.as_deref(), doctor.normal_price, doctor.version), (Some("主任医师"), None, 2));
        let patient = read.patients().find(typed::<PatientId>(PATIENT)).await.unwrap().unwrap();
        assert_eq!((patient.name.as_deref(), patient.height_cm, patient.birthday), (Some("王"), None, None));
        assert_eq!((patient.user_id, patient.icon, patient.version), (Some(typed(USER)), Some(typed(&id(7))), 2));
        assert!(patient.extra.is_empty());
        let relation = read.relations().find(typed::<RelationId>(&id(100))).await.unwrap().unwrap();
        assert_eq!((relation.is_blocked, relation.is_followed, relation.version), (true, false, 2));
        assert!(relation.tags.is_empty());
        let file = read.files().find(typed::<FileId>(&id(7))).await.unwrap().unwrap();
        assert_eq!(file.name, "b.png");
        let mut read = AccountStore::read(&scene.store);
        let identity = |provider: &str, uid: &str| AuthIdentity { provider: provider.into(), uid: uid.into() };
        assert!(read.users().find_by_identity(&identity("a", "1")).await.unwrap().is_none());
        let user = read.users().find_by_identity(&identity("b", "2")).await.unwrap().unwrap();
        assert_eq!((user.username.as_str(), user.version), ("v", 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_here_is_kept() {
    on_each_database(async |scene| {
        put_pair(scene);
        scene.import_folder().await;
        let mut unit = ConsultationStore::begin(&scene.store).await.unwrap();
        let mut patient = unit.patients().find(typed::<PatientId>(PATIENT)).await.unwrap().unwrap();
        patient.name = Some("here".into());
        patient.updated_at = Timestamp::parse_rfc3339("2020-01-05T00:00:00.000Z").unwrap();
        unit.patients().update(&patient).await.unwrap();
        unit.commit().await.unwrap();
        scene.put("Patients", &[row(PATIENT, 9, json!({"name": "there"}))]);
        let report = scene.import_folder().await;
        assert_eq!((report.of_class("Patients").unchanged, report.findings.len()), (1, 1));
        assert_eq!(report.findings[0].problem.code(), "changed_here");
        let mut read = ConsultationStore::read(&scene.store);
        let patient = read.patients().find(typed::<PatientId>(PATIENT)).await.unwrap().unwrap();
        assert_eq!(patient.name.as_deref(), Some("here"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_open_consultation_stays_open_across_imports() {
    on_each_database(async |scene| {
        put_pair(scene);
        scene.put("Consultation", &[consultation(1, 3, "1"), consultation(2, 5, "0")]);
        scene.import_folder().await;
        scene.put("Consultation", &[consultation(4, 4, "0"), consultation(3, 9, "0")]);
        let report = scene.import_folder().await;
        assert_eq!(report.of_class("Consultation").inserted, 2, "{report}");
        let mut read = ConsultationStore::read(&scene.store);
        let mut seen = Vec::new();
        for n in 1..=4 {
            let found = read.consultations().find(typed::<ConsultationId>(&id(n))).await.unwrap().unwrap();
            seen.push((found.status, found.end_reason, found.dialog_id.is_some()));
        }
        // Only what was open here for a while needed a dialog.
        let superseded = |has_dialog: bool| (Status::Ended, Some(EndReason::Superseded), has_dialog);
        assert_eq!(seen, [superseded(false), superseded(true), (Status::New, None, true), superseded(false)]);
        let events = read.consultations().events(typed::<ConsultationId>(&id(2))).await.unwrap();
        assert_eq!(events.iter().map(|event| event.event.as_str()).collect::<Vec<_>>(), ["superseded"]);
        assert_eq!(scene.store.inspect().await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dialogs_keep_their_parties_and_conversations_their_place() {
    on_each_database(async |scene| {
        put_pair(scene);
        let conversation = |n: u32, day: u32, members: Value| row(&id(n), day, json!({"m": members, "name": "咨询"}));
        let mut open = consultation(1, 3, "0");
        open["idDialog"] = json!({"__type": "Pointer", "className": "_Conversation", "objectId": id(50)});
        scene.put("Consultation", &[open]);
        scene.put(
            "_Conversation",
            &[conversation(50, 1, json!([DOCTOR, "kefu"])), conversation(51, 1, json!(["a", "b"]))],
        );
        let report = scene.import_folder().await;
        let problems: Vec<_> = report.problems.iter().map(|count| count.problem.code()).collect();
        assert_eq!(problems, ["dialog_completed"], "{report}");
        scene.put("_Conversation", &[conversation(50, 2, json!(["kefu2"])), conversation(51, 2, json!(["b", "c"]))]);
        scene.import_folder().await;
        let mut read = ConsultationStore::read(&scene.store);
        let members = async |n: u32, read: &mut dyn consultation::ConsultationUnit| {
            let members = read.conversations().members(typed::<ConversationId>(&id(n))).await.unwrap();
            members.into_iter().map(|m| (m.client_id, m.kind)).collect::<Vec<_>>()
        };
        let parties = [(DOCTOR, MemberKind::Doctor), (PATIENT, MemberKind::Patient), ("kefu2", MemberKind::Other)];
        let named =
            |list: &[(&str, MemberKind)]| list.iter().map(|(id, kind)| ((*id).to_owned(), *kind)).collect::<Vec<_>>();
        assert_eq!(members(50, read.as_mut()).await, named(&parties));
        assert_eq!(members(51, read.as_mut()).await, named(&[("b", MemberKind::Other), ("c", MemberKind::Other)]));
        let dialog = read.conversations().find(typed::<ConversationId>(&id(50))).await.unwrap().unwrap();
        assert_eq!((dialog.kind, dialog.consultation_id), (ConversationKind::Consultation, Some(typed(&id(1)))));
        assert_eq!(scene.store.inspect().await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_belongs_to_the_first_user() {
    on_each_database(async |scene| {
        let user = |n: u32| {
            let fields = json!({"username": "u", "email": "a@example.invalid", "mobilePhoneNumber": "13900000000",
                "authData": {"lc_weapp": {"openid": "o1"}}, "sessionToken": format!("token{n}")});
            row(&id(n), 1, fields)
        };
        scene.put("_User", &[user(1), user(2)]);
        scene.import_folder().await;
        scene.put("_User", &[user(3)]);
        let report = scene.import_folder().await;
        assert_eq!((report.total().inserted, report.finding_count), (1, 4), "{report}");
        assert!(report.findings.iter().all(|finding| finding.other.as_deref() == Some(id(1).as_str())));
        let mut read = AccountStore::read(&scene.store);
        let owner = read.users().find_by_phone(&"13900000000".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(owner.id.to_string(), id(1));
        for n in 1..=3 {
            let hash = SessionToken::shown(format!("token{n}")).hash();
            let context = read.sessions().find_active(&hash).await.unwrap().unwrap();
            assert_eq!(context.session.subject, SessionSubject::User(typed::<UserId>(&id(n))));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_is_not_brought_back() {
    on_each_database(async |scene| {
        let user = |day: u32| row(USER, day, json!({"username": "u", "sessionToken": "token"}));
        scene.put("_User", &[user(1)]);
        scene.import_folder().await;
        let subject = SessionSubject::User(typed(USER));
        let mut unit = AccountStore::begin(&scene.store).await.unwrap();
        assert_eq!(unit.sessions().revoke_all(subject, None, Timestamp::EPOCH).await.unwrap(), 1);
        unit.commit().await.unwrap();
        scene.put("_User", &[user(2)]);
        assert_eq!(scene.import_folder().await.total().updated, 1);
        let hash = SessionToken::shown("token").hash();
        assert!(AccountStore::read(&scene.store).sessions().find_active(&hash).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_larger_than_one_statement_come_in_whole() {
    on_each_database(async |scene| {
        let doctors: Vec<Value> = (0..1_500).map(|n| row(&id(n), 1, json!({"name": format!("医生{n}")}))).collect();
        scene.put("Doctor", &doctors);
        let everybody: Vec<String> = (0..500).map(|n| format!("client{n}")).collect();
        let conversations: Vec<Value> = (0..60).map(|n| row(&id(5_000 + n), 1, json!({ "m": everybody }))).collect();
        scene.put("_Conversation", &conversations);
        let report = scene.import_folder().await;
        assert_eq!((report.total().inserted, report.finding_count), (1_560, 0), "{report}");
        let mut read = ConsultationStore::read(&scene.store);
        for n in [0, 999, 1_000, 1_499] {
            assert!(read.doctors().find(typed::<DoctorId>(&id(n))).await.unwrap().is_some(), "{n}");
        }
        for n in [0, 59] {
            let members = read.conversations().members(typed::<ConversationId>(&id(5_000 + n))).await.unwrap();
            assert_eq!(members.len(), 500);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_characters_are_stored_by_every_database() {
    on_each_database(async |scene| {
        let fields = json!({"name": "a\u{0}b\u{1F600}", "nickname": {"x\u{0}": ["\u{0}"]}, "phone": "\u{0}"});
        scene.put("Patients", &[row(PATIENT, 1, fields)]);
        let report = scene.import_folder().await;
        assert_eq!((report.total().inserted, report.total().skipped), (1, 0), "{report}");
        let mut read = ConsultationStore::read(&scene.store);
        let patient = read.patients().find(typed::<PatientId>(PATIENT)).await.unwrap().unwrap();
        assert_eq!(patient.name.as_deref(), Some("a\u{FFFD}b\u{1F600}"));
        assert_eq!(patient.extra["nickname"], json!({"x\u{FFFD}": ["\u{FFFD}"]}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_imports_at_once_bring_everything_in_once() {
    on_each_database(async |scene| {
        put_pair(scene);
        let rows: Vec<Value> =
            (0..300).map(|n| consultation(n, 1 + n % 28, if n % 3 == 0 { "0" } else { "2" })).collect();
        scene.put("Consultation", &rows);
        let (first, second) = tokio::join!(scene.import_folder(), scene.import_folder());
        let total = first.total().inserted + second.total().inserted;
        assert_eq!(total, 303, "{first}{second}");
        assert_eq!(first.total().skipped + second.total().skipped, 0, "{first}{second}");
        let pair = consultation::consultation::Pair { doctor: typed(DOCTOR), patient: typed(PATIENT) };
        let open = ConsultationStore::read(&scene.store).consultations().find_open(&[pair]).await.unwrap();
        assert_eq!(open.len(), 1);
        assert_eq!(scene.store.inspect().await.unwrap(), []);
    })
    .await;
}
