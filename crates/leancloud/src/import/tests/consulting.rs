//! Relations, consultations and their dialogs.

use super::*;

#[tokio::test]
async fn rows_without_their_doctor_or_patient_are_told_and_left_out() {
    let scene = with_pair();
    let relation = |n: u32, doctor: &str, patient: &str| row(&id(n), json!({"idDoctor": doctor, "idPatient": patient}));
    scene.put("DoctorPatientRelation.1.jsonl", &[relation(1, &id(8), PATIENT), relation(2, DOCTOR, &id(9))]);
    scene.put("Consultation.0.jsonl", &[row(&id(3), json!({"idDoctor": id(8), "idPatient": PATIENT, "status": "0"}))]);
    let (report, findings) = scene.import().await;
    assert_eq!(
        findings,
        [
            format!(
                "DoctorPatientRelation.1.jsonl:2 DoctorPatientRelation.idDoctor dangling_reference ({}) skipped",
                id(8)
            ),
            format!(
                "DoctorPatientRelation.1.jsonl:3 DoctorPatientRelation.idPatient dangling_reference ({}) skipped",
                id(9)
            ),
            format!("Consultation.0.jsonl:2 Consultation.idDoctor dangling_reference ({}) skipped", id(8)),
        ]
    );
    assert_eq!((report.of_class("DoctorPatientRelation").skipped, report.of_class("Consultation").skipped), (2, 1));
}

#[tokio::test]
async fn a_pair_has_one_relation_and_its_consultations_find_it() {
    let scene = with_pair();
    scene.put("DoctorPatientRelation.1.jsonl", &[row(&id(101), json!({"idDoctor": DOCTOR, "idPatient": PATIENT}))]);
    let mut of_second = consultation(1, 1, "2");
    of_second["idRelation"] = json!({"__type": "Pointer", "className": "DoctorPatientRelation", "objectId": id(101)});
    scene.put("Consultation.0.jsonl", &[of_second.clone()]);
    let (_, findings) = scene.import().await;
    assert_eq!(
        findings,
        [
            format!("DoctorPatientRelation.1.jsonl:2 DoctorPatientRelation duplicate_pair ({}) skipped", id(100)),
            format!("Consultation.0.jsonl:2 Consultation.idRelation wrong_relation ({})", id(100)),
        ]
    );
    let stored = &scene.rows().consultations[&object_id(&id(1))];
    assert_eq!(stored.relation_id.to_string(), id(100));
    assert_eq!(stored.extra["idRelation"], of_second["idRelation"]);
}

#[tokio::test]
async fn a_missing_relation_is_made() {
    let scene = with_pair();
    fs::remove_file(scene.folder.path().join("DoctorPatientRelation.0.jsonl")).unwrap();
    let mut without = consultation(2, 2, "2");
    without.as_object_mut().unwrap().remove("idRelation");
    scene.put("Consultation.0.jsonl", &[consultation(1, 1, "2"), without]);
    let (_, findings) = scene.import().await;
    assert_eq!(findings, [format!("Consultation.0.jsonl:2 Consultation.idRelation relation_created ({})", id(100))]);
    let rows = scene.rows();
    assert_eq!(rows.relations.len(), 1);
    assert!(rows.consultations.values().all(|c| c.relation_id.to_string() == id(100)));
}

#[tokio::test]
async fn a_latest_consultation_that_is_nowhere_is_told() {
    let scene = with_pair();
    let fields = json!({"idDoctor": DOCTOR, "idPatient": PATIENT, "latestConsultationId": id(55)});
    scene.put("DoctorPatientRelation.0.jsonl", &[row(&id(100), fields)]);
    let (_, findings) = scene.import().await;
    let expected = "DoctorPatientRelation.0.jsonl:2 DoctorPatientRelation.latestConsultationId dangling_reference";
    assert_eq!(findings, [format!("{expected} ({})", id(55))]);
}

#[tokio::test]
async fn the_newest_of_two_open_consultations_stays_open_in_either_order() {
    for newest_first in [false, true] {
        let scene = with_pair();
        let mut rows = vec![consultation(1, 3, "1"), consultation(2, 9, "0")];
        if newest_first {
            rows.reverse();
        }
        scene.put("Consultation.0.jsonl", &rows);
        let (report, findings) = scene.import().await;
        let line = if newest_first { 3 } else { 2 };
        assert!(
            findings.contains(&format!("Consultation.0.jsonl:{line} Consultation superseded ({})", id(2))),
            "{findings:?}"
        );
        assert_eq!(report.of_class("Consultation").inserted, 2);
        let rows = scene.rows();
        assert_eq!(statuses(&rows), [(id(1), Status::Ended, Some(EndReason::Superseded)), (id(2), Status::New, None)]);
        let older = &rows.consultations[&object_id(&id(1))];
        assert_eq!(older.ended_at.unwrap().to_rfc3339(), "2020-01-09T00:00:00.000Z");
        assert_eq!((older.no_reply_deadline, older.idle_deadline), (None, None));
        let [event] = rows.events.as_slice() else { panic!("one event") };
        assert_eq!((event.consultation_id, event.from_status), (older.id, Some(Status::Replying)));
        assert_eq!((event.actor.as_str(), event.event.as_str()), ("system", "superseded"));
    }
}

#[tokio::test]
async fn the_newest_stays_open_across_imports_in_either_order() {
    for (first, second) in [((1, 3), (2, 9)), ((2, 9), (1, 3))] {
        let scene = with_pair();
        scene.put("Consultation.0.jsonl", &[consultation(first.0, first.1, "0")]);
        scene.import().await;
        scene.put("Consultation.0.jsonl", &[consultation(second.0, second.1, "0")]);
        let (_, findings) = scene.import().await;
        assert!(
            findings.contains(&format!("Consultation.0.jsonl:2 Consultation superseded ({})", id(2))),
            "{findings:?}"
        );
        let rows = scene.rows();
        assert_eq!(statuses(&rows), [(id(1), Status::Ended, Some(EndReason::Superseded)), (id(2), Status::New, None)]);
        // Both once more: nothing opens again.
        scene.put("Consultation.0.jsonl", &[consultation(1, 3, "0"), consultation(2, 9, "0")]);
        let (report, findings) = scene.import().await;
        assert_eq!((report.of_class("Consultation").unchanged, findings.len()), (2, 0));
        assert_eq!(scene.rows(), rows);
    }
}

#[tokio::test]
async fn open_consultations_of_many_batches_leave_one_open() {
    let scene = with_pair();
    let rows: Vec<Value> = (0..2_500)
        .map(|n| {
            let mut row = consultation(1_000 + n, 1, "0");
            row["createdAt"] =
                json!(Timestamp::from_millis(1_600_000_000_000 + i64::from(n * 7_919 % 2_500)).to_rfc3339());
            row
        })
        .collect();
    scene.put("Consultation.0.jsonl", &rows);
    let (report, findings) = scene.import().await;
    assert_eq!(report.of_class("Consultation").inserted, 2_500);
    assert_eq!(findings.iter().filter(|finding| finding.contains(" superseded ")).count(), 2_499);
    let rows = scene.rows();
    let open: Vec<_> = rows.consultations.values().filter(|c| c.is_open()).collect();
    let newest = rows.consultations.values().max_by_key(|c| c.started_at).unwrap();
    assert_eq!(open.iter().map(|c| c.id).collect::<Vec<_>>(), [newest.id]);
}

#[tokio::test]
async fn an_ended_row_of_a_newer_export_makes_room_for_the_next_one() {
    let scene = with_pair();
    scene.put("Consultation.0.jsonl", &[consultation(1, 3, "0")]);
    scene.import().await;
    let mut ended = consultation(1, 3, "2");
    ended["updatedAt"] = json!("2020-01-05T00:00:00.000Z");
    scene.put("Consultation.0.jsonl", &[consultation(2, 9, "0"), ended]);
    scene.import().await;
    assert_eq!(
        statuses(&scene.rows()),
        [(id(1), Status::Ended, Some(EndReason::Imported)), (id(2), Status::New, None)]
    );
}

#[tokio::test]
async fn dialogs_are_linked_made_where_open_and_told_where_missing() {
    let scene = with_pair();
    scene.put("_Conversation.0.jsonl", &[row(&id(50), json!({"m": [DOCTOR, PATIENT, "kefu"], "name": "咨询"}))]);
    let with_dialog = |n, day, status, dialog: Value| {
        let mut row = consultation(n, day, status);
        row["idDialog"] = dialog;
        row
    };
    scene.put(
        "Consultation.0.jsonl",
        &[
            with_dialog(1, 1, "2", json!(id(50))),
            with_dialog(2, 2, "2", json!(id(50))),
            with_dialog(3, 3, "2", json!(id(51))),
            with_dialog(4, 4, "2", Value::Null),
            with_dialog(5, 5, "0", Value::Null),
        ],
    );
    let (_, findings) = scene.import().await;
    assert_eq!(
        findings,
        [
            format!("Consultation.0.jsonl:4 Consultation.idDialog dangling_reference ({})", id(51)),
            format!("Consultation.0.jsonl:6 Consultation.idDialog dialog_created ({})", id(5)),
            format!("Consultation.0.jsonl:2 Consultation.idDialog dialog_shared ({})", id(2)),
        ]
    );
    let rows = scene.rows();
    let dialog = |n: u32| rows.consultations[&object_id(&id(n))].dialog_id.map(|dialog| dialog.to_string());
    assert_eq!([1, 2, 3, 4, 5].map(dialog), [Some(id(50)), Some(id(50)), None, None, Some(id(5))]);
    assert_eq!(rows.consultations[&object_id(&id(3))].extra["idDialog"], id(51));
    let shared = &rows.conversations[&object_id(&id(50))];
    assert_eq!(shared.consultation_id.map(|c| c.to_string()), Some(id(2)));
    let kinds = |n: u32| {
        let of = rows.members.iter().filter(|member| member.conversation_id.to_string() == id(n));
        of.map(|member| (member.client_id.as_str(), member.kind)).collect::<Vec<_>>()
    };
    assert_eq!(kinds(50), [(DOCTOR, MemberKind::Doctor), (PATIENT, MemberKind::Patient), ("kefu", MemberKind::Other)]);
    assert_eq!(kinds(5), [(PATIENT, MemberKind::Patient), (DOCTOR, MemberKind::Doctor)]);

    // Whoever writes in a dialog is in it: a party the export forgot is added, and stays.
    let mut forgotten = consultation(6, 1, "2");
    forgotten["idDialog"] = json!(id(52));
    scene.put("Consultation.0.jsonl", &[forgotten]);
    let conversation = |day: u32, members: Value| {
        row(&id(52), json!({"m": members, "updatedAt": format!("2020-03-{day:02}T00:00:00.000Z")}))
    };
    scene.put("_Conversation.0.jsonl", &[conversation(1, json!(["kefu", PATIENT]))]);
    let (_, findings) = scene.import().await;
    assert_eq!(findings, [format!("Consultation.0.jsonl:2 Consultation.idDialog dialog_completed ({})", id(52))]);
    scene.put("_Conversation.0.jsonl", &[conversation(2, json!([]))]);
    scene.import().await;
    let rows = scene.rows();
    let left = rows.members.iter().filter(|member| member.conversation_id.to_string() == id(52));
    assert_eq!(left.map(|member| member.client_id.as_str()).collect::<Vec<_>>(), [PATIENT, DOCTOR]);

    // A newer state of the open one keeps the dialog that was made for it.
    let mut newer = with_dialog(5, 5, "1", Value::Null);
    newer["updatedAt"] = json!("2020-02-01T00:00:00.000Z");
    scene.put("Consultation.0.jsonl", &[newer]);
    let (report, findings) = scene.import().await;
    assert_eq!((report.of_class("Consultation").updated, findings.len()), (1, 0), "{findings:?}");
    let rows = scene.rows();
    assert_eq!(rows.conversations.len(), 3);
    let [event] = rows.events.as_slice() else { panic!("one event") };
    assert_eq!((event.event.as_str(), event.to_status), ("imported", Status::Replying));
}

#[tokio::test]
async fn an_updated_conversation_stays_the_dialog_it_is() {
    let scene = with_pair();
    let conversation = |day: u32, members: &[&str]| {
        vec![row(&id(50), json!({"m": members, "updatedAt": format!("2020-02-{day:02}T00:00:00.000Z")}))]
    };
    let mut open = consultation(1, 1, "0");
    open["idDialog"] = json!(id(50));
    scene.put("Consultation.0.jsonl", &[open]);
    scene.put("_Conversation.0.jsonl", &conversation(1, &[DOCTOR, PATIENT, "kefu"]));
    scene.import().await;
    scene.put("_Conversation.0.jsonl", &conversation(2, &[DOCTOR, PATIENT]));
    let (report, _) = scene.import().await;
    assert_eq!(report.of_class("_Conversation").updated, 1);
    let rows = scene.rows();
    let dialog = &rows.conversations[&object_id(&id(50))];
    assert_eq!(
        (dialog.kind, dialog.consultation_id.map(|c| c.to_string())),
        (ConversationKind::Consultation, Some(id(1)))
    );
    assert_eq!(rows.members.len(), 2);
}
