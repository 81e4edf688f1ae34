//! The product's own tables as clients see them: who sees which rows and fields, and what conditions may look at.

use account::AccountStore;
use account::user::User;
use consultation::ConsultationStore;
use consultation::consultation::{Consultation, Pair};
use consultation::relation::Relation;
use domain::certification::Certification;
use domain::doctor::Doctor;
use domain::gender::Gender;
use domain::id::{ConsultationId, DoctorId, FileId, PatientId, RelationId, UserId};
use domain::money::Fen;
use domain::patient::Patient;
use leancloud::query::{Query, Where};
use leancloud::rest::{ClientViewer, Document, RestStore, Viewer};
use serde_json::{Map, Value, json};
use storage::SeaStore;
use testkit::build;

use super::support::{NOW, found, id, on_each_database, pointer};

const CERTIFIED: u32 = 1;
const UNCERTIFIED: u32 = 2;
const TREATED: u32 = 11;
const OTHER: u32 = 12;

/// One certified doctor who treats one of two patients, and one who is not certified.
async fn populate(store: &SeaStore) {
    let mut unit = ConsultationStore::begin(store).await.unwrap();
    for (n, certification) in [(CERTIFIED, Certification::Certified), (UNCERTIFIED, Certification::UnderReview)] {
        let doctor = Doctor {
            user_id: Some(UserId(id(100 + n))),
            name: Some(format!("医生{n}")),
            phone: Some("13800000000".parse().unwrap()),
            openid: Some("openid".into()),
            licence1: Some(FileId(id(301))),
            icon: Some(FileId(id(302))),
            certification,
            normal_price: Some(Fen::from_stored(if n == 1 { 2_990 } else { 3_000 })),
            is_normal_open: Some(true),
            extra: extra(json!({ "score": 5 })),
            ..Doctor::new(DoctorId(id(n)), NOW)
        };
        unit.doctors().insert(&doctor).await.unwrap();
    }
    for n in [TREATED, OTHER] {
        let patient = Patient {
            user_id: Some(UserId(id(100 + n))),
            name: Some(format!("患者{n}")),
            gender: Some(if n == TREATED { Gender::Male } else { Gender::Female }),
            height_cm: Some(if n == TREATED { 188.0 } else { 170.5 }),
            phone: Some("13900000000".parse().unwrap()),
            // What was imported still says the same of one, and not any more of the other.
            extra: extra(json!({ "gender": "男", "hobby": "钓鱼" })),
            ..Patient::new(PatientId(id(n)), NOW)
        };
        unit.patients().insert(&patient).await.unwrap();
    }
    let pair = Pair { doctor: DoctorId(id(CERTIFIED)), patient: PatientId(id(TREATED)) };
    let relation = Relation {
        tags: vec!["打鼾".into()],
        remark: Some("重点".into()),
        ..Relation::new(RelationId(id(21)), pair, NOW)
    };
    unit.relations().ensure_all(std::slice::from_ref(&relation)).await.unwrap();
    let consultation = Consultation {
        id: ConsultationId(id(31)),
        pair,
        relation_id: relation.id,
        ..build::consultation(31, pair).done()
    };
    unit.consultations().insert_open(&[consultation]).await.unwrap();
    unit.commit().await.unwrap();
}

fn extra(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("not an object") };
    map
}

fn as_doctor(n: u32) -> Viewer {
    let user = Some(UserId(id(100 + n)));
    Viewer::Client(ClientViewer { user, doctor: Some(DoctorId(id(n))), ..ClientViewer::default() })
}

fn as_patient(n: u32) -> Viewer {
    let user = Some(UserId(id(100 + n)));
    Viewer::Client(ClientViewer { user, patient: Some(PatientId(id(n))), ..ClientViewer::default() })
}

fn nobody() -> Viewer {
    Viewer::Client(ClientViewer::default())
}

async fn see(store: &SeaStore, viewer: &Viewer, class: &str) -> Vec<Document> {
    let query = Query { filter: Where::default(), limit: 100, ..Query::default() };
    RestStore::read(store).documents().find(viewer, class, &query).await.unwrap()
}

async fn ids(store: &SeaStore, viewer: &Viewer, class: &str) -> Vec<u32> {
    found(store, viewer, class, json!({}), "").await
}

#[tokio::test]
async fn a_row_is_seen_by_those_it_is_about() {
    on_each_database(async |store| {
        populate(store).await;
        let rows = async |viewer: &Viewer| {
            let mut seen = Vec::new();
            for class in ["Doctor", "Patients", "DoctorPatientRelation", "Consultation"] {
                seen.push(ids(store, viewer, class).await);
            }
            seen
        };
        assert_eq!(rows(&nobody()).await, [vec![CERTIFIED], vec![], vec![], vec![]]);
        assert_eq!(rows(&as_patient(TREATED)).await, [vec![CERTIFIED], vec![TREATED], vec![21], vec![31]]);
        assert_eq!(rows(&as_patient(OTHER)).await, [vec![CERTIFIED], vec![OTHER], vec![], vec![]]);
        assert_eq!(rows(&as_doctor(CERTIFIED)).await, [vec![CERTIFIED], vec![TREATED], vec![21], vec![31]]);
        assert_eq!(rows(&as_doctor(UNCERTIFIED)).await, [vec![CERTIFIED, UNCERTIFIED], vec![], vec![], vec![]]);
        let all = [vec![CERTIFIED, UNCERTIFIED], vec![TREATED, OTHER], vec![21], vec![31]];
        assert_eq!(rows(&Viewer::Master).await, all);
        for class in ["_Conversation", "_Session"] {
            assert!(ids(store, &Viewer::Master, class).await.is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn strangers_see_a_doctors_card_and_the_doctor_sees_everything() {
    on_each_database(async |store| {
        populate(store).await;
        let card = &see(store, &nobody(), "Doctor").await[0].fields;
        assert_eq!(
            Value::Object(card.clone()),
            json!({
                "name": "医生1", "authenticated": "1", "normalConsultingPrice": 29.9, "isNormalConsultingOpen": true,
                "icon": { "__type": "File", "id": id(302).to_string() },
            })
        );
        let own = &see(store, &as_doctor(UNCERTIFIED), "Doctor").await[1].fields;
        assert_eq!(own["phone"], "13800000000");
        assert_eq!(own["normalConsultingPrice"], 30);
        assert_eq!(own["score"], 5);
        assert_eq!(own["user"], pointer("_User", 100 + UNCERTIFIED));
        assert_eq!(own["licence1"], json!({ "__type": "File", "id": id(301).to_string() }));
    })
    .await;
}

#[tokio::test]
async fn a_doctor_sees_of_patients_what_treating_them_needs() {
    on_each_database(async |store| {
        populate(store).await;
        let seen = &see(store, &as_doctor(CERTIFIED), "Patients").await[0].fields;
        assert_eq!(Value::Object(seen.clone()), json!({ "name": "患者11", "gender": "男", "height": "188" }));
        let own = &see(store, &as_patient(OTHER), "Patients").await[0].fields;
        assert_eq!(
            (&own["phone"], &own["hobby"], &own["height"]),
            (&json!("13900000000"), &json!("钓鱼"), &json!("170.5"))
        );
        assert_eq!(own["gender"], "female", "what was imported does not hold any more");
    })
    .await;
}

#[tokio::test]
async fn a_patient_does_not_see_what_the_doctor_notes() {
    on_each_database(async |store| {
        populate(store).await;
        let of_patient = &see(store, &as_patient(TREATED), "DoctorPatientRelation").await[0].fields;
        let mut keys: Vec<&str> = of_patient.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["idDoctor", "idPatient", "showFollowedDoctorCard"]);
        let of_doctor = &see(store, &as_doctor(CERTIFIED), "DoctorPatientRelation").await[0].fields;
        assert_eq!(
            (&of_doctor["tag"], &of_doctor["group"], &of_doctor["block"]),
            (&json!(["打鼾"]), &json!(["1"]), &json!(false))
        );
        let consultation = &see(store, &as_patient(TREATED), "Consultation").await[0].fields;
        assert_eq!((&consultation["status"], &consultation["isInvalid"]), (&json!("0"), &json!(false)));
        assert_eq!(consultation["idDoctor"], pointer("Doctor", CERTIFIED));
        assert_eq!(consultation["startedAt"]["__type"], "Date");
    })
    .await;
}

#[tokio::test]
async fn conditions_see_no_more_than_the_viewer() {
    on_each_database(async |store| {
        populate(store).await;
        let stranger = nobody();
        let doctors = async |viewer: &Viewer, filter: Value| found(store, viewer, "Doctor", filter, "").await;
        let none: [u32; 0] = [];
        for guess in [
            json!({ "phone": "13800000000" }),
            json!({ "phone": { "$in": ["13800000000"] } }),
            json!({ "phone": { "$exists": true } }),
            json!({ "openid": { "$gt": "" } }),
            json!({ "licence1": { "__type": "File", "id": id(301).to_string() } }),
            json!({ "user": pointer("_User", 100 + CERTIFIED) }),
            json!({ "score": 5 }),
            json!({ "objectId": id(UNCERTIFIED).to_string() }),
        ] {
            assert_eq!(doctors(&stranger, guess.clone()).await, none, "{guess}");
            assert!(!doctors(&Viewer::Master, guess.clone()).await.is_empty(), "{guess}");
        }
        assert_eq!(doctors(&stranger, json!({ "phone": { "$ne": "13800000000" } })).await, [CERTIFIED]);
        // Nor do queries within queries.
        let treated = json!({ "$inQuery": { "className": "Patients", "where": { "name": { "$exists": true } } } });
        let by_patient = json!({ "idPatient": treated });
        let consultations = async |viewer: &Viewer| found(store, viewer, "Consultation", by_patient.clone(), "").await;
        assert_eq!(consultations(&as_doctor(CERTIFIED)).await, [31]);
        assert_eq!(consultations(&stranger).await, none);
        let selected = json!({ "objectId": { "$select": {
            "key": "idDoctor.objectId", "query": { "className": "Consultation", "where": {} }
        } } });
        assert_eq!(doctors(&stranger, selected.clone()).await, none);
        assert_eq!(doctors(&as_patient(TREATED), selected).await, [CERTIFIED]);
    })
    .await;
}

/// Accounts: one named by its number, one by a name, one whose number was another's already when it was imported.
async fn populate_accounts(store: &SeaStore) {
    let mut unit = AccountStore::begin(store).await.unwrap();
    let user = |n: u32, name: &str| User::new(UserId(id(n)), name, NOW);
    let numbered = User { phone: Some("13900000041".parse().unwrap()), ..user(41, "13900000041") };
    let abroad = User { phone: Some("+14155550100".parse().unwrap()), ..user(42, "alice") };
    let late = User { extra: extra(json!({ "mobilePhoneNumber": "13900000041" })), ..user(43, "bob") };
    for user in [numbered, abroad, late] {
        unit.users().insert(&user).await.unwrap();
    }
    unit.commit().await.unwrap();
}

#[tokio::test]
async fn sealed_fields_are_shown_and_found_by_what_they_equal() {
    on_each_database(async |store| {
        populate(store).await;
        populate_accounts(store).await;
        let shown = see(store, &Viewer::Master, "_User").await;
        let shown: Vec<_> =
            shown.iter().map(|user| [&user.fields["username"], &user.fields["mobilePhoneNumber"]]).collect();
        assert_eq!(shown[0], ["13900000041", "13900000041"]);
        assert_eq!(shown[1], ["alice", "+14155550100"]);
        assert_eq!(shown[2], ["bob", "13900000041"], "a number that is only kept");
        let none: [u32; 0] = [];
        let users = async |filter: Value| found(store, &Viewer::Master, "_User", filter, "").await;
        assert_eq!(users(json!({ "mobilePhoneNumber": "13900000041" })).await, [41, 43]);
        assert_eq!(
            users(json!({ "mobilePhoneNumber": "+8613900000041" })).await,
            none,
            "it is shown without its prefix"
        );
        assert_eq!(users(json!({ "mobilePhoneNumber": { "$in": ["+14155550100", "x", null, 5] } })).await, [42]);
        assert_eq!(users(json!({ "mobilePhoneNumber": { "$ne": "13900000041" } })).await, [42]);
        assert_eq!(users(json!({ "mobilePhoneNumber": { "$nin": ["+14155550100"] } })).await, [41, 43]);
        assert_eq!(users(json!({ "mobilePhoneNumber": { "$exists": false } })).await, none);
        assert_eq!(users(json!({ "mobilePhoneNumber": { "$all": ["13900000041"] } })).await, [41, 43]);
        // What tells more than equality holds of none.
        for test in [json!({ "$regex": "^1" }), json!({ "$regex": "^p1" }), json!({ "$gt": "" }), json!({ "$size": 1 })]
        {
            assert_eq!(users(json!({ "mobilePhoneNumber": test })).await, none);
        }
        assert_eq!(users(json!({ "username": "13900000041" })).await, [41]);
        assert_eq!(users(json!({ "username": { "$in": ["bob", "13900000041"] } })).await, [41, 43]);
        // Names that tell no number are plain, the others are seen by equality only.
        assert_eq!(users(json!({ "username": { "$regex": "^[a-z]" } })).await, [42, 43]);
        assert_eq!(users(json!({ "username": { "$gt": "" } })).await, [42, 43]);
        assert_eq!(users(json!({ "username": { "$not": { "$regex": "^a" } } })).await, [41, 43]);
        let phones = async |class: &str, filter: Value| found(store, &Viewer::Master, class, filter, "").await;
        assert_eq!(phones("Doctor", json!({ "phone": "13800000000" })).await, [CERTIFIED, UNCERTIFIED]);
        assert_eq!(phones("Patients", json!({ "phone": { "$ne": "13900000000" } })).await, none);
    })
    .await;
}

#[tokio::test]
async fn rows_are_found_and_ordered_by_their_fields() {
    on_each_database(async |store| {
        populate(store).await;
        let master = Viewer::Master;
        let by = async |class: &str, filter: Value, order: &str| found(store, &master, class, filter, order).await;
        assert_eq!(by("Doctor", json!({ "normalConsultingPrice": { "$lt": 30 } }), "").await, [CERTIFIED]);
        assert_eq!(by("Doctor", json!({ "normalConsultingPrice": 30 }), "").await, [UNCERTIFIED]);
        assert_eq!(by("Doctor", json!({ "isNormalConsultingOpen": true }), "-normalConsultingPrice").await, [2, 1]);
        assert_eq!(by("Patients", json!({}), "-name").await, [OTHER, TREATED]);
        assert_eq!(by("Patients", json!({ "hobby": { "$in": ["钓鱼"] } }), "name").await, [TREATED, OTHER]);
        let party = json!({ "idDoctor": pointer("Doctor", CERTIFIED), "idPatient": pointer("Patients", TREATED) });
        assert_eq!(by("DoctorPatientRelation", party, "").await, [21]);
        assert_eq!(by("DoctorPatientRelation", json!({ "tag": "打鼾" }), "").await, [21]);
        let started = json!({ "startedAt": { "$gt": { "__type": "Date", "iso": "2001-01-01T00:00:00.000Z" } } });
        assert_eq!(by("Consultation", started, "").await, [31]);
    })
    .await;
}

#[tokio::test]
async fn whoever_has_left_is_seen_by_nobody_and_their_consultations_stay() {
    on_each_database(async |store| {
        populate(store).await;
        let mut unit = ConsultationStore::begin(store).await.unwrap();
        let mut gone = unit.patients().find(PatientId(id(TREATED))).await.unwrap().unwrap();
        gone.close(NOW);
        unit.patients().update(&gone).await.unwrap();
        unit.commit().await.unwrap();
        for viewer in [as_doctor(CERTIFIED), Viewer::Master] {
            assert!(!ids(store, &viewer, "Patients").await.contains(&TREATED));
            assert!(ids(store, &viewer, "DoctorPatientRelation").await.is_empty());
            assert_eq!(ids(store, &viewer, "Consultation").await, [31]);
        }
        let mut unit = ConsultationStore::begin(store).await.unwrap();
        let mut gone = unit.doctors().find(DoctorId(id(CERTIFIED))).await.unwrap().unwrap();
        gone.close(NOW);
        unit.doctors().update(&gone).await.unwrap();
        unit.commit().await.unwrap();
        assert!(ids(store, &nobody(), "Doctor").await.is_empty());
        assert_eq!(ids(store, &Viewer::Master, "Doctor").await, [UNCERTIFIED]);
    })
    .await;
}
