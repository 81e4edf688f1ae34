use ::consultation::{EndReason, Status};
use domain::certification::Certification;
use domain::file::FilePlace;
use domain::gender::Gender;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Map, Value, json};

use super::*;

const ID: &str = "5db2cf72f884af0073deb1bc";
const OTHER: &str = "5daeb07b7b968a0074945056";
const NOW: &str = "2026-11-23T02:00:00.000Z";

pub(super) fn context() -> MapContext {
    let now = Timestamp::parse_rfc3339(NOW).unwrap();
    MapContext { now, policy: ConsultationPolicy::default(), files_url: None }
}

/// A row with id and times, and the given fields.
pub(super) fn row(fields: Value) -> Map<String, Value> {
    let Value::Object(fields) = fields else { panic!("not an object") };
    let mut row = Map::new();
    row.insert("objectId".into(), json!(ID));
    row.insert("createdAt".into(), json!("2020-04-24T04:37:27.876Z"));
    row.insert("updatedAt".into(), json!("2020-04-27T04:37:27.876Z"));
    row.extend(fields);
    row
}

fn pointer(class: &str, id: &str) -> Value {
    json!({"__type": "Pointer", "className": class, "objectId": id})
}

/// `field: problem` of each note.
pub(super) fn told<T>(mapped: &Mapped<T>) -> Vec<String> {
    mapped.notes.iter().map(|note| format!("{}: {}", note.field.unwrap_or("-"), note.problem.code())).collect()
}

fn patient(fields: Value) -> Mapped<domain::patient::Patient> {
    map_patient(&row(fields), &context()).unwrap()
}

fn doctor(fields: Value) -> Mapped<domain::doctor::Doctor> {
    map_doctor(&row(fields)).unwrap()
}

fn with_pair(fields: Value) -> Map<String, Value> {
    let mut row = row(fields);
    row.entry("idDoctor").or_insert(pointer("Doctor", OTHER));
    row.entry("idPatient").or_insert(pointer("Patients", ID));
    row
}

fn relation(fields: Value) -> Mapped<::consultation::Relation> {
    map_relation(&with_pair(fields)).unwrap()
}

fn consultation(fields: Value) -> Mapped<ConsultationRow> {
    map_consultation(&with_pair(fields), &context()).unwrap()
}

#[test]
fn times_come_from_the_row_and_else_from_the_id() {
    let mapped = patient(json!({}));
    assert_eq!(mapped.entity.created_at.to_rfc3339(), "2020-04-24T04:37:27.876Z");
    assert_eq!(mapped.entity.updated_at.to_rfc3339(), "2020-04-27T04:37:27.876Z");
    let mapped = patient(json!({"createdAt": "gestern", "updatedAt": null}));
    assert_eq!(mapped.entity.created_at.to_rfc3339(), "2019-10-25T10:33:22.000Z");
    assert_eq!(mapped.entity.updated_at, mapped.entity.created_at);
    assert_eq!(told(&mapped), ["createdAt: bad_time", "updatedAt: bad_time"]);
    assert_eq!(mapped.entity.extra["createdAt"], "gestern");
}

#[test]
fn a_row_without_a_usable_id_is_not_mapped() {
    for id in [json!(null), json!("x"), json!(5)] {
        let refused = map_patient(&row(json!({"objectId": id})), &context()).unwrap_err();
        assert_eq!(refused.note, Note::field("objectId", Problem::BadObjectId));
    }
}

#[test]
fn fields_that_are_not_modelled_stay_under_their_names() {
    let mapped = patient(json!({"ACL": {"*": {"read": true}}, "bloodType": "A", "nothing": null, "user": null}));
    assert_eq!(
        Value::Object(mapped.entity.extra),
        json!({"ACL": {"*": {"read": true}}, "bloodType": "A", "nothing": null})
    );
    assert!(mapped.notes.is_empty());
}

#[rstest]
#[case("phone", json!("1390000"), "bad_phone")]
#[case("phone", json!([1]), "wrong_type")]
#[case("birthday", json!("2999-01-01"), "bad_birthday")]
#[case("birthday", json!("昨天"), "bad_birthday")]
#[case("height", json!("1.8m"), "wrong_type")]
#[case("height", json!(1880), "out_of_range")]
#[case("weight", json!("-3"), "out_of_range")]
#[case("gender", json!("x"), "bad_gender")]
#[case("gender", json!({}), "wrong_type")]
#[case("name", json!(["王"]), "wrong_type")]
#[case("location", json!({"city": "上海"}), "wrong_type")]
#[case("user", json!({"__type": "Pointer", "className": "Doctor", "objectId": ID}), "bad_reference")]
#[case("icon", json!("javascript:alert(1)"), "bad_file")]
#[case("icon", json!({"__type": "File", "name": "p.jpg"}), "bad_file")]
#[case("icon", json!({"__type": "File", "objectId": ID, "url": "file:///etc/passwd"}), "bad_file")]
#[case("latestReportId", json!("r1"), "bad_reference")]
fn a_patients_field_that_does_not_fit_is_kept_and_told(
    #[case] field: &str,
    #[case] value: Value,
    #[case] problem: &str,
) {
    let mapped = patient(json!({ field: value.clone() }));
    assert_eq!(told(&mapped), [format!("{field}: {problem}")]);
    assert_eq!(mapped.entity.extra[field], value);
}

#[rstest]
#[case("authenticated", json!("9"), "unknown_word")]
#[case("startConsultation", json!("maybe"), "wrong_type")]
#[case("normalConsultingPrice", json!("免费"), "bad_price")]
#[case("phoneConsultingPrice", json!(-5), "bad_price")]
#[case("isPhoneConsultingOpen", json!([]), "wrong_type")]
#[case("licence2", json!({"__type": "Pointer", "className": "Doctor", "objectId": ID}), "bad_file")]
fn a_doctors_field_that_does_not_fit_is_kept_and_told(
    #[case] field: &str,
    #[case] value: Value,
    #[case] problem: &str,
) {
    let mapped = doctor(json!({ field: value.clone() }));
    assert_eq!(told(&mapped), [format!("{field}: {problem}")]);
    assert_eq!(mapped.entity.extra[field], value);
}

#[test]
fn loose_forms_are_mapped_without_a_word() {
    let mapped = patient(json!({
        "phone": 13_900_000_000_i64, "height": "188", "weight": "94 KG", "birthday": "1982/12/26", "gender": " 男 ",
        "user": OTHER, "location": 200_000,
    }));
    let patient = &mapped.entity;
    assert_eq!(patient.phone.as_ref().unwrap().as_e164(), "+8613900000000");
    assert_eq!((patient.height_cm, patient.weight_kg), (Some(188.0), Some(94.0)));
    assert_eq!(patient.birthday.unwrap().to_string(), "1982-12-26");
    assert_eq!(patient.user_id.unwrap().to_string(), OTHER);
    assert_eq!(patient.location.as_deref(), Some("200000"));
    assert_eq!(patient.gender, Some(Gender::Male));
    assert!(mapped.notes.is_empty());
    assert_eq!(Value::Object(mapped.entity.extra), json!({"gender": " 男 "}));
}

#[test]
fn blank_values_are_unset_and_kept_without_a_word() {
    let mapped = patient(json!({"phone": "", "birthday": " ", "height": "", "gender": "", "icon": "", "name": ""}));
    assert!(mapped.notes.is_empty(), "{:?}", mapped.notes);
    assert_eq!((mapped.entity.gender, mapped.entity.birthday), (None, None));
    assert_eq!(mapped.entity.name.as_deref(), Some(""));
    assert_eq!(mapped.entity.extra.len(), 5);
}

#[test]
fn stored_words_and_unknown_genders_need_no_report() {
    assert!(patient(json!({"gender": "female"})).entity.extra.is_empty());
    let unknown = patient(json!({"gender": 0}));
    assert_eq!((unknown.entity.gender, unknown.notes.len()), (Some(Gender::Unknown), 0));
}

#[test]
fn files_in_fields_become_rows_and_their_details_stay() {
    let mapped = patient(json!({"icon": {"__type": "File", "objectId": OTHER, "name": "p.jpg", "bucket": "demo",
        "url": "https://files.example.invalid/p.jpg", "mime_type": "image/jpeg", "metaData": {"size": 50_364}}}));
    let [file] = mapped.files.as_slice() else { panic!("one file") };
    assert_eq!(mapped.entity.icon, Some(file.id));
    assert_eq!((file.name.as_str(), file.mime_type.as_str(), file.size), ("p.jpg", "image/jpeg", Some(50_364)));
    assert_eq!(file.place, FilePlace::External { url: "https://files.example.invalid/p.jpg".into() });
    assert_eq!(Value::Object(file.extra.clone()), json!({"bucket": "demo", "metaData": {"size": 50_364}}));
    assert!(mapped.entity.extra.is_empty());
}

#[test]
fn a_file_without_an_id_gets_the_same_one_each_time() {
    let bare = || patient(json!({"icon": "https://files.example.invalid/a/p.jpg?x=1"}));
    let (first, second) = (bare(), bare());
    assert_eq!(first.entity.icon, second.entity.icon);
    assert_eq!(first.files[0].name, "p.jpg");
    assert_eq!(first.entity.extra["icon"], "https://files.example.invalid/a/p.jpg?x=1");
    let other = patient(json!({"icon": "https://files.example.invalid/b.jpg"}));
    assert_ne!(first.entity.icon, other.entity.icon);
    let unsaved = patient(json!({"icon": {"__type": "File", "url": "https://files.example.invalid/b.jpg"}}));
    assert_eq!((unsaved.files.len(), unsaved.entity.extra.len()), (1, 0));
}

#[test]
fn a_file_known_only_by_its_id_is_a_reference() {
    for value in [json!({"__type": "File", "id": OTHER}), pointer("_File", OTHER)] {
        let mapped = patient(json!({ "icon": value }));
        assert_eq!(mapped.entity.icon.unwrap().to_string(), OTHER);
        assert!(mapped.files.is_empty() && mapped.notes.is_empty());
    }
}

#[test]
fn unreadable_hours_stay_as_written_and_are_told() {
    let hours = |start: Value, end: Value| {
        let mapped = doctor(json!({"startConsultationTime": start, "endConsultationTime": end}));
        (told(&mapped), mapped.entity.start_consultation_time, mapped.entity.end_consultation_time)
    };
    assert_eq!(hours(json!("8：00"), json!("24:00")), (vec![], Some("8：00".into()), Some("24:00".into())));
    assert_eq!(hours(json!(""), json!(null)), (vec![], Some(String::new()), None));
    let (told, start, _) = hours(json!("9点"), json!("18:00"));
    assert_eq!((told, start.as_deref()), (vec!["startConsultationTime: bad_hours".into()], Some("9点")));
    let (told, ..) = hours(json!("09:00"), json!(null));
    assert_eq!(told, ["endConsultationTime: bad_hours"]);
}

#[test]
fn certification_is_never_guessed() {
    assert_eq!(doctor(json!({"authenticated": "1"})).entity.certification, Certification::Certified);
    assert_eq!(doctor(json!({"authenticated": 2})).entity.certification, Certification::UnderReview);
    for value in [json!(null), json!("yes"), json!(true), json!("")] {
        assert_eq!(doctor(json!({ "authenticated": value })).entity.certification, Certification::None);
    }
}

#[test]
fn follow_and_group_say_the_same_after_mapping() {
    let seen = |fields: Value| {
        let mapped = relation(fields);
        (mapped.entity.is_followed, mapped.entity.groups.join(","), told(&mapped), mapped.entity.extra)
    };
    let kept = |group: Value| json!({ "group": group }).as_object().unwrap().clone();
    let disagrees = vec!["group: follow_disagrees".to_owned()];
    assert_eq!(seen(json!({"follow": true, "group": ["1", "2"]})), (true, "1,2".into(), vec![], Map::new()));
    assert_eq!(seen(json!({"group": [1, 2]})), (true, "1,2".into(), vec![], Map::new()));
    assert_eq!(seen(json!({"follow": true})), (true, "1,2".into(), vec![], Map::new()));
    assert_eq!(seen(json!({})), (false, "1".into(), vec![], Map::new()));
    assert_eq!(
        seen(json!({"follow": true, "group": ["1", "7"]})),
        (true, "1,7,2".into(), disagrees.clone(), kept(json!(["1", "7"])))
    );
    assert_eq!(seen(json!({"follow": false, "group": ["2"]})), (false, String::new(), disagrees, kept(json!(["2"]))));
}

#[test]
fn relations_keep_tags_and_flags() {
    let mapped = relation(json!({
        "tag": ["打鼾", 5, null], "remark": "", "source": "0", "block": 1, "credit": 0, "showFollowedDoctorCard": true,
        "latestConsultationId": pointer("Consultation", OTHER), "latestReportId": null,
    }));
    let relation = &mapped.entity;
    assert_eq!(relation.tags, ["打鼾", "5"]);
    assert_eq!(told(&mapped), ["tag: wrong_type"]);
    assert_eq!(relation.extra["tag"], json!(["打鼾", 5, null]));
    assert_eq!((relation.remark.as_deref(), relation.source.as_deref()), (Some(""), Some("0")));
    assert_eq!((relation.is_blocked, relation.credit.as_deref()), (true, Some("0")));
    assert_eq!(relation.latest_consultation_id.unwrap().to_string(), OTHER);
}

#[test]
fn a_relation_or_consultation_without_its_pair_is_not_mapped() {
    for (missing, value) in [("idDoctor", json!(null)), ("idPatient", json!("x")), ("idPatient", pointer("Doctor", ID))]
    {
        let row = with_pair(json!({ missing: value }));
        let expected =
            Unmappable { id: Some(ID.parse().unwrap()), note: Note::field(missing, Problem::MissingReference) };
        assert_eq!(map_relation(&row).unwrap_err(), expected);
        assert_eq!(map_consultation(&row, &context()).unwrap_err(), expected);
    }
}

#[test]
fn open_consultations_get_their_deadlines_from_the_import() {
    let deadline = Timestamp::parse_rfc3339("2026-11-25T02:00:00.000Z").unwrap();
    let new = consultation(json!({"status": "0"})).entity.consultation;
    assert_eq!((new.status, new.no_reply_deadline, new.idle_deadline), (Status::New, Some(deadline), None));
    assert_eq!(new.started_at, new.created_at);
    let replying = consultation(json!({"status": 1})).entity.consultation;
    assert_eq!((replying.status, replying.first_reply_at), (Status::Replying, Some(replying.updated_at)));
    assert_eq!((replying.no_reply_deadline, replying.idle_deadline), (None, Some(deadline)));
    assert!(new.is_open() && replying.is_open());
}

#[test]
fn ended_consultations_ended_when_they_were_last_changed() {
    let mapped = consultation(json!({"status": "2", "isInvalid": false, "type": "phone", "idDialog": OTHER}));
    let ended = &mapped.entity.consultation;
    assert_eq!((ended.end_reason, ended.ended_at), (Some(EndReason::Imported), Some(ended.updated_at)));
    assert_eq!((ended.no_reply_deadline, ended.idle_deadline), (None, None));
    assert_eq!(ended.dialog_id.unwrap().to_string(), OTHER);
    assert_eq!(ended.kind, ::consultation::ConsultationType::Phone);
    assert!(mapped.notes.is_empty());
}

#[rstest]
#[case(json!({"status": "0", "isInvalid": true}), "status: invalid_not_ended", json!("0"))]
#[case(json!({"status": "7"}), "status: unknown_word", json!("7"))]
#[case(json!({"status": {}}), "status: unknown_word", json!({}))]
#[case(json!({}), "status: unknown_word", json!(null))]
fn a_status_that_makes_no_sense_counts_as_ended(#[case] fields: Value, #[case] note: &str, #[case] kept: Value) {
    let mapped = consultation(fields);
    assert_eq!(mapped.entity.consultation.status, Status::Ended);
    assert_eq!(told(&mapped), [note]);
    assert_eq!(mapped.entity.consultation.extra["status"], kept);
}

#[test]
fn conversations_keep_members_attributes_and_the_rest() {
    let mapped = map_conversation(&row(
        json!({"name": "咨询", "m": [OTHER, ID, OTHER], "c": ID, "lm": {"__type": "Date", "iso": NOW},
            "attr": {"k": 1}, "unique": false, "mu": [], "sys": false}),
    ))
    .unwrap();
    let ConversationRow { conversation, client_ids } = mapped.entity;
    assert_eq!(client_ids, [OTHER, ID]);
    assert_eq!(conversation.last_message_at.unwrap().to_rfc3339(), NOW);
    assert_eq!(Value::Object(conversation.attributes), json!({"k": 1}));
    assert_eq!(Value::Object(conversation.extra), json!({"unique": false, "mu": [], "sys": false}));
    assert!(mapped.notes.is_empty());
}

#[rstest]
#[case(json!({"m": [{}]}), "m: wrong_type")]
#[case(json!({"attr": "x"}), "attr: wrong_type")]
#[case(json!({"lm": 5}), "lm: wrong_type")]
fn a_conversations_field_that_does_not_fit_is_kept_and_told(#[case] fields: Value, #[case] note: &str) {
    let mapped = map_conversation(&row(fields.clone())).unwrap();
    assert_eq!(told(&mapped), [note]);
    assert_eq!(Value::Object(mapped.entity.conversation.extra), fields);
}

#[test]
fn file_rows_need_an_address_or_a_key() {
    let outside = json!({"name": "a.png", "url": "https://files.example.invalid/a.png", "mime_type": "image/png",
        "metaData": {"size": 7, "owner": "x"}, "bucket": "b"});
    let mapped = map_file(&row(outside), &context()).unwrap();
    let file = &mapped.entity.file;
    assert_eq!((file.size, file.mime_type.as_str()), (Some(7), "image/png"));
    assert_eq!(file.extra["metaData"], json!({"size": 7, "owner": "x"}));
    assert_eq!(file.extra["updatedAt"], "2020-04-27T04:37:27.876Z");

    let inside = row(json!({"key": "/abc.png", "name": "a.png"}));
    let mapped = map_file(&inside, &context()).unwrap();
    assert_eq!(told(&mapped), ["url: bad_file"]);
    assert_eq!(mapped.entity.file.place, FilePlace::External { url: "abc.png".into() });
    let context = MapContext { files_url: Some("https://cdn.example.invalid".into()), ..context() };
    let mapped = map_file(&inside, &context).unwrap();
    assert!(mapped.notes.is_empty());
    assert_eq!(mapped.entity.file.place, FilePlace::External { url: "https://cdn.example.invalid/abc.png".into() });
    assert_eq!(mapped.entity.file.extra["key"], "/abc.png");

    let refused = map_file(&row(json!({"name": "a.png"})), &context).unwrap_err();
    assert_eq!(refused.note, Note::field("url", Problem::BadFile));
}

/// Every line of the sample, by class.
pub(super) fn sample(class: &str) -> Vec<Map<String, Value>> {
    let path = format!("{}/../../demo/leancloud-export/{class}.0.jsonl", env!("CARGO_MANIFEST_DIR"));
    let lines = std::fs::read_to_string(path).unwrap();
    lines.lines().filter(|line| !line.starts_with('#')).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_sample_maps_without_a_note() {
    let mut notes = Vec::new();
    let (mut rows, mut files) = (0, 0);
    for row in sample("Patients") {
        let mapped = map_patient(&row, &context()).unwrap();
        assert!(mapped.entity.user_id.is_some() && mapped.entity.height_cm.is_some() && mapped.entity.icon.is_some());
        assert_eq!(mapped.entity.extra.keys().collect::<Vec<_>>(), ["ACL", "gender"]);
        (rows, files) = (rows + 1, files + mapped.files.len());
        notes.extend(mapped.notes);
    }
    for row in sample("Doctor") {
        let mapped = map_doctor(&row).unwrap();
        assert_eq!(mapped.entity.extra.keys().collect::<Vec<_>>(), ["ACL", "gender"]);
        (rows, files) = (rows + 1, files + mapped.files.len());
        notes.extend(mapped.notes);
    }
    for row in sample("DoctorPatientRelation") {
        let mapped = map_relation(&row).unwrap();
        assert_eq!(mapped.entity.extra.keys().collect::<Vec<_>>(), ["ACL"]);
        rows += 1;
        notes.extend(mapped.notes);
    }
    for row in sample("Consultation") {
        let mapped = map_consultation(&row, &context()).unwrap();
        assert!(mapped.entity.relation.is_some() && mapped.entity.consultation.dialog_id.is_some());
        rows += 1;
        notes.extend(mapped.notes);
    }
    for row in sample("_Conversation") {
        let mapped = map_conversation(&row).unwrap();
        assert_eq!(mapped.entity.client_ids.len(), 2);
        rows += 1;
        notes.extend(mapped.notes);
    }
    assert_eq!(notes, []);
    assert_eq!((rows, files), (20 + 3 + 21 + 30 + 30, 20 + 15));
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[0-9:/.年月日kgcm王-]{0,12}",
        Just("2".to_owned()),
        Just(ID.to_owned()),
        Just("2020-04-24T04:37:27.876Z".to_owned()),
        Just("https://files.example.invalid/x".to_owned()),
        Just("男".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-5.0_f64..300.0).prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        let key = prop_oneof![
            Just("__type".to_owned()),
            Just("objectId".to_owned()),
            Just("className".to_owned()),
            Just("url".to_owned()),
            Just("iso".to_owned()),
            "[a-z]{1,4}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|object| Value::Object(object.into_iter().collect())),
            prop_oneof!["Doctor", "Patients", "_User", "_File"].prop_map(|class| pointer(&class, ID)),
        ]
    })
}

/// Fields of the tables, and some that nobody knows.
const FIELDS: [&str; 41] = [
    "createdAt",
    "updatedAt",
    "ACL",
    "user",
    "name",
    "gender",
    "birthday",
    "height",
    "weight",
    "phone",
    "icon",
    "location",
    "openid",
    "unionid",
    "hospital",
    "authenticated",
    "certificate1",
    "startConsultation",
    "startConsultationTime",
    "endConsultationTime",
    "normalConsultingPrice",
    "isPhoneConsultingOpen",
    "tag",
    "group",
    "follow",
    "block",
    "latestConsultationId",
    "status",
    "isInvalid",
    "idDialog",
    "idRelation",
    "m",
    "attr",
    "lm",
    "key",
    "username",
    "email",
    "mobilePhoneNumber",
    "authData",
    "emailVerified",
    "unheard",
];

fn any_row() -> impl Strategy<Value = Map<String, Value>> {
    let field = (prop::sample::select(FIELDS.as_slice()), any_json());
    prop::collection::vec(field, 0..12).prop_map(|fields| {
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        with_pair(Value::Object(fields))
    })
}

/// Fields whose original stands in the model even when it is told.
const KEPT_IN_MODEL: [&str; 2] = ["startConsultationTime", "endConsultationTime"];

/// No field may vanish: one that was told is kept, and one that neither the model nor `extra` shows any more must
/// change the mapping when it is taken out of the row.
fn check_nothing_is_lost<T: PartialEq>(
    row: &Map<String, Value>,
    map: impl Fn(&Map<String, Value>) -> Result<Mapped<T>, Unmappable>,
    extra: impl Fn(&T) -> &Map<String, Value>,
) -> Result<(), TestCaseError> {
    let Ok(mapped) = map(row) else { return Ok(()) };
    for note in &mapped.notes {
        let field = note.field.unwrap_or_default();
        let original = row.get(field).cloned().unwrap_or_default();
        let is_kept = extra(&mapped.entity).get(field) == Some(&original);
        prop_assert!(is_kept || KEPT_IN_MODEL.contains(&field) || original.is_null(), "{note:?} lost its original");
    }
    for (field, value) in row {
        let is_default = matches!(value, Value::Null | Value::Bool(false) | Value::String(_) | Value::Number(_))
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty)
            || ["follow", "group"].contains(&field.as_str());
        if extra(&mapped.entity).get(field) != Some(value) && !is_default {
            let mut without = row.clone();
            without.remove(field);
            prop_assert!(
                map(&without).is_ok_and(|other| other != mapped) || map(&without).is_err(),
                "{field} vanished"
            );
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_row_makes_mapping_panic_or_lose_a_field(row in any_row()) {
        let context = context();
        check_nothing_is_lost(&row, |row| map_patient(row, &context), |patient| &patient.extra)?;
        check_nothing_is_lost(&row, map_doctor, |doctor| &doctor.extra)?;
        check_nothing_is_lost(&row, map_relation, |relation| &relation.extra)?;
        check_nothing_is_lost(&row, |row| map_consultation(row, &context), |row| &row.consultation.extra)?;
        check_nothing_is_lost(&row, map_conversation, |row| &row.conversation.extra)?;
        check_nothing_is_lost(&row, map_user, |row| &row.user.extra)?;
        check_nothing_is_lost(&row, |row| map_file(row, &context), |row| &row.file.extra)?;
    }

    #[test]
    fn unknown_fields_come_back_as_they_were(value in any_json(), acl in any_json()) {
        let mapped = patient(json!({"unheard": value.clone(), "ACL": acl.clone()}));
        prop_assert_eq!(Value::Object(mapped.entity.extra), json!({"unheard": value, "ACL": acl}));
        prop_assert!(mapped.notes.is_empty());
    }
}
