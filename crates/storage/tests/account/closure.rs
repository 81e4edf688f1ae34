//! What closing an account leaves in the database, and what takes it later.

use account::AccountStore;
use account::closure::Person;
use account::session::{SessionSettings, SessionSubject, SessionToken};
use account::user::{AuthIdentity, User};
use consultation::ConsultationStore;
use consultation::consultation::Pair;
use consultation::relation::Relation;
use consultation::retention::{Profile, PurgeCertificate, Purged, RetentionStore};
use domain::doctor::Doctor;
use domain::file::{File, FileOwner, FilePlace};
use domain::id::{AgentId, DoctorId, FileId, PatientId, RelationId, SessionId, UserId};
use domain::patient::Patient;
use domain::{Actor, Phone, Timestamp};
use serde_json::{Map, json};

use crate::support::{Fixture, NOW, PHONE, object_id, on_each_database};

/// When the closure is old enough for its profiles to go.
const OVER: Timestamp = Timestamp::from_millis(NOW.as_millis() + 1);
const USER: u32 = 1;
const PATIENT: u32 = 2;
const DOCTOR: u32 = 3;
const RELATION: u32 = 4;
const PICTURE: u32 = 5;

fn phone() -> Phone {
    PHONE.parse().unwrap()
}

fn identity() -> AuthIdentity {
    AuthIdentity { provider: "lc_weapp".into(), uid: "openid".into() }
}

fn admin() -> Actor {
    Actor::Admin(AgentId(object_id(9)))
}

/// Somebody who is patient and doctor, with a picture, and consulted another doctor.
async fn populate(f: &Fixture) -> SessionToken {
    let (user, token) = (UserId(object_id(USER)), SessionToken::shown("token"));
    let mut unit = AccountStore::begin(&f.store).await.unwrap();
    let auth_data = Map::from_iter([("lc_weapp".to_owned(), json!({ "openid": "openid" }))]);
    let account = User { phone: Some(phone()), is_phone_verified: true, auth_data, ..User::new(user, PHONE, NOW) };
    unit.users().insert(&account).await.unwrap();
    let picture = File {
        id: FileId(object_id(PICTURE)),
        owner: FileOwner::User(user),
        name: "a.png".into(),
        mime_type: "image/png".into(),
        size: Some(1),
        sha256: None,
        place: FilePlace::Stored { key: "ab/cd".into() },
        extra: Map::new(),
        created_at: NOW,
    };
    unit.files().insert(&picture).await.unwrap();
    let patient = Patient {
        user_id: Some(user),
        phone: Some(phone()),
        icon: Some(picture.id),
        ..Patient::new(PatientId(object_id(PATIENT)), NOW)
    };
    unit.patients().insert(&patient).await.unwrap();
    let doctor = Doctor { user_id: Some(user), phone: Some(phone()), ..Doctor::new(DoctorId(object_id(DOCTOR)), NOW) };
    unit.doctors().insert(&doctor).await.unwrap();
    let session = SessionSettings::default();
    let session = session.begin(SessionId(object_id(8)), SessionSubject::User(user), &token, None, NOW);
    unit.sessions().insert(&session).await.unwrap();
    unit.commit().await.unwrap();
    let mut unit = ConsultationStore::begin(&f.store).await.unwrap();
    let pair = Pair { doctor: DoctorId(object_id(7)), patient: patient.id };
    unit.relations().ensure_all(&[Relation::new(RelationId(object_id(RELATION)), pair, NOW)]).await.unwrap();
    unit.commit().await.unwrap();
    token
}

async fn close(f: &Fixture) {
    f.accounts.close_account_of(&admin(), Person::Patient(PatientId(object_id(PATIENT))), "本人申请").await.unwrap();
}

#[tokio::test]
async fn nothing_finds_a_closed_account_and_no_session_opens_it() {
    on_each_database(async |f| {
        let token = populate(f).await;
        let before = AccountStore::read(&f.store).sessions().find_active(&token.hash()).await.unwrap().unwrap();
        assert_eq!(
            (before.patient, before.doctor),
            (Some(PatientId(object_id(PATIENT))), Some(DoctorId(object_id(DOCTOR))))
        );
        close(f).await;
        let mut read = AccountStore::read(&f.store);
        assert!(read.users().find_by_phone(&phone()).await.unwrap().is_none());
        assert!(read.users().find_by_username(PHONE).await.unwrap().is_none());
        assert!(read.users().find_by_identity(&identity()).await.unwrap().is_none());
        assert!(read.patients().find_unlinked_by_phone(&phone()).await.unwrap().is_none());
        assert!(read.doctors().find_unlinked_by_phone(&phone()).await.unwrap().is_none());
        assert!(read.sessions().find_active(&token.hash()).await.unwrap().is_none());
        let kept = read.patients().find(PatientId(object_id(PATIENT))).await.unwrap().unwrap();
        assert_eq!((kept.closed_at, kept.user_id), (Some(NOW), Some(UserId(object_id(USER)))), "the record is kept");
        // Whoever signed in at the same moment.
        let (user, token) = (SessionSubject::User(UserId(object_id(USER))), SessionToken::shown("late"));
        let late = SessionSettings::default().begin(SessionId(object_id(10)), user, &token, None, NOW);
        let mut unit = AccountStore::begin(&f.store).await.unwrap();
        unit.sessions().insert(&late).await.unwrap();
        unit.commit().await.unwrap();
        assert!(AccountStore::read(&f.store).sessions().find_active(&token.hash()).await.unwrap().is_none());
    })
    .await;
}

/// Destroys a profile if that is due.
async fn purge(f: &Fixture, profile: Profile, n: u32) -> Option<Purged> {
    f.store.purge_profile(profile, OVER, object_id(n), OVER).await.unwrap()
}

#[tokio::test]
async fn a_profile_goes_after_its_records_and_the_account_after_its_profiles() {
    on_each_database(async |f| {
        populate(f).await;
        let (patient, doctor) = (PatientId(object_id(PATIENT)), DoctorId(object_id(DOCTOR)));
        assert!(f.store.due_profiles(OVER, 10).await.unwrap().is_empty(), "nobody has left");
        close(f).await;
        assert!(f.store.due_profiles(NOW, 10).await.unwrap().is_empty(), "not yet");
        assert_eq!(f.store.due_profiles(OVER, 10).await.unwrap(), [Profile::Doctor(doctor)], "the patient has records");
        assert!(purge(f, Profile::Patient(patient), 20).await.is_none());
        let records = f.store.purge(RelationId(object_id(RELATION)), OVER, object_id(21), OVER).await.unwrap();
        assert_eq!(records.unwrap().certificate.patient_id, Some(patient));

        let gone = purge(f, Profile::Doctor(doctor), 22).await.unwrap();
        let expected = PurgeCertificate {
            id: object_id(22),
            relation_id: None,
            doctor_id: Some(doctor),
            patient_id: None,
            consultations: 0,
            messages: 0,
            files: 0,
            last_activity_at: NOW,
            purged_at: OVER,
        };
        assert_eq!((gone.certificate, gone.blob_keys), (expected, vec![]), "the account has another profile");
        assert!(AccountStore::read(&f.store).users().find(UserId(object_id(USER))).await.unwrap().is_some());

        assert_eq!(f.store.due_profiles(OVER, 10).await.unwrap(), [Profile::Patient(patient)]);
        let gone = purge(f, Profile::Patient(patient), 23).await.unwrap();
        assert_eq!((gone.certificate.files, gone.blob_keys), (1, vec!["ab/cd".to_owned()]));
        let mut read = AccountStore::read(&f.store);
        assert!(read.users().find(UserId(object_id(USER))).await.unwrap().is_none());
        assert!(read.patients().find(patient).await.unwrap().is_none());
        assert!(read.files().find(FileId(object_id(PICTURE))).await.unwrap().is_none());
        assert!(purge(f, Profile::Patient(patient), 24).await.is_none(), "once");
        assert!(f.store.due_profiles(OVER, 10).await.unwrap().is_empty());
    })
    .await;
}
