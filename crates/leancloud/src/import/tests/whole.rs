//! Whole exports: the sample, importing again, and what cannot be read.

use super::*;

#[tokio::test]
async fn the_sample_comes_in_whole_and_without_a_finding() {
    let scene = Scene::new();
    let (report, log) = scene.try_import(&sample()).await.unwrap();
    assert_eq!(log, Vec::<Value>::new());
    let inserted: Vec<_> = report.classes.iter().map(|class| (class.class.as_ref(), class.counts.inserted)).collect();
    assert_eq!(
        inserted,
        [
            ("_User", 20),
            ("_File", 0),
            ("Doctor", 3),
            ("Patients", 20),
            ("DoctorPatientRelation", 21),
            ("_Conversation", 30),
            ("Consultation", 30)
        ]
    );
    assert_eq!(report.total().read, 124);
    let rows = scene.rows();
    assert_eq!((rows.files.len(), rows.sessions.len(), rows.members.len()), (35, 20, 60));
    assert!(rows.conversations.values().all(|c| c.kind == ConversationKind::Consultation));
    assert!(rows.members.iter().all(|member| member.kind != MemberKind::Other));
    assert!(rows.consultations.values().filter(|c| c.is_open()).count() == 12);
    assert!(rows.consultations.values().all(|c| rows.relations[&c.relation_id.0].pair == c.pair));
    let doctor = &rows.doctors[&object_id(DOCTOR)];
    assert!(doctor.is_certified());
    assert!(!rows.consultations.values().any(|c| c.pair.patient.to_string() == PATIENT && c.pair.doctor == doctor.id));
}

#[tokio::test]
async fn importing_again_changes_nothing() {
    let scene = Scene::new();
    scene.try_import(&sample()).await.unwrap();
    let before = scene.rows();
    let (report, log) = scene.try_import(&sample()).await.unwrap();
    assert_eq!((report.total().unchanged, report.total().read, log.len()), (124, 124, 0));
    assert_eq!(scene.rows(), before);
}

#[tokio::test]
async fn a_newer_export_updates_and_an_older_one_does_not() {
    let scene = Scene::new();
    let patient = |name: &str, day: u32| {
        vec![row(PATIENT, json!({"name": name, "updatedAt": format!("2020-01-{day:02}T00:00:00.000Z")}))]
    };
    let name = || scene.rows().patients[&object_id(PATIENT)].name.clone().unwrap();
    for (shown, day, expected) in [("b", 5, "b"), ("c", 6, "c"), ("a", 4, "c"), ("x", 6, "c")] {
        scene.put("Patients.0.jsonl", &patient(shown, day));
        let (_, findings) = scene.import().await;
        assert_eq!((name().as_str(), findings.len()), (expected, 0));
    }
    // Changed here: neither an older nor a newer export replaces it; the newer one is told.
    scene.store.change(|rows| {
        let patient = rows.patients.get_mut(&object_id(PATIENT)).unwrap();
        patient.name = Some("here".into());
        patient.updated_at = Timestamp::parse_rfc3339("2020-01-07T00:00:00.000Z").unwrap();
    });
    for (day, expected) in [(6, vec![]), (9, vec!["Patients.0.jsonl:2 Patients changed_here".to_owned()])] {
        scene.put("Patients.0.jsonl", &patient("late", day));
        let (report, findings) = scene.import().await;
        assert_eq!((name().as_str(), findings), ("here", expected));
        assert_eq!(report.of_class("Patients").unchanged, 1);
    }
}

#[tokio::test]
async fn classes_come_in_the_order_of_their_references_wherever_they_are() {
    let scene = with_pair();
    let folder = scene.folder.path();
    fs::rename(folder.join("Doctor.0.jsonl"), folder.join("zz.Doctor")).unwrap();
    let text = fs::read_to_string(folder.join("zz.Doctor")).unwrap().replace("{}\n", "{\"class\":\"Doctor\"}\n");
    fs::write(folder.join("zz.Doctor"), text).unwrap();
    scene.put("Consultation.0.jsonl", &[consultation(1, 1, "0")]);
    let (report, findings) = scene.import().await;
    assert_eq!(report.total().inserted, 4, "{findings:?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_with_file_and_line_and_the_rest_comes_in() {
    let scene = Scene::new();
    scene.put("Patients.0.jsonl", &[row(PATIENT, json!({})), json!([1]), row("x", json!({})), row(&id(1), json!({}))]);
    let path = scene.folder.path().join("Patients.0.jsonl");
    fs::write(&path, format!("{}{{\"objectId\":\n", fs::read_to_string(&path).unwrap())).unwrap();
    scene.put("Report.0.jsonl", &[row(&id(1), json!({})), row(&id(2), json!({}))]);
    fs::write(scene.folder.path().join("readme.txt"), "hello").unwrap();
    let (report, findings) = scene.import().await;
    assert_eq!(
        findings,
        [
            "readme.txt - unknown_file",
            "Patients.0.jsonl:3 Patients not_an_object skipped",
            "Patients.0.jsonl:4 Patients.objectId bad_object_id skipped",
            "Patients.0.jsonl:6 Patients not_json skipped",
        ]
    );
    let patients = report.of_class("Patients");
    assert_eq!((patients.read, patients.inserted, patients.skipped), (5, 2, 3));
    assert_eq!(report.of_class("Report").inserted, 2);
}

#[tokio::test]
async fn odd_values_are_told_on_every_import() {
    let scene = Scene::new();
    scene.put("Patients.0.jsonl", &[row(PATIENT, json!({"phone": "139", "name": "a\u{0}b"}))]);
    for _ in 0..2 {
        let (_, findings) = scene.import().await;
        assert_eq!(
            findings,
            ["Patients.0.jsonl:2 Patients repaired_text", "Patients.0.jsonl:2 Patients.phone bad_phone"]
        );
    }
    assert_eq!(scene.rows().patients[&object_id(PATIENT)].extra["phone"], "139");
}

#[tokio::test]
async fn of_rows_with_one_id_the_newest_is_taken() {
    let scene = Scene::new();
    let patient = |name: &str, day: u32| {
        row(PATIENT, json!({"name": name, "updatedAt": format!("2020-01-{day:02}T00:00:00.000Z")}))
    };
    scene.put("Patients.0.jsonl", &[patient("b", 2), patient("c", 3), patient("a", 1)]);
    let (report, findings) = scene.import().await;
    let counts = report.of_class("Patients");
    assert_eq!((counts.inserted, counts.unchanged, findings.len()), (1, 2, 0));
    assert_eq!(scene.rows().patients[&object_id(PATIENT)].name.as_deref(), Some("c"));
}
