//! Rows with every field set, for round trips, and small ones of the kinds without a builder.

use chrono::NaiveDate;
use consultation::consultation::{ConsultationEvent, Pair};
use consultation::notification::{Cause, Channel, Notification, NotificationState, Reason, Recipient};
use consultation::relation::Invitation;
use consultation::{Consultation, ConsultationType, EndReason, Relation, Status};
use domain::audit::AuditEvent;
use domain::certification::Certification;
use domain::doctor::Doctor;
use domain::file::{File, FileOwner, FilePlace};
use domain::gender::Gender;
use domain::hours::{DatedHours, DayWindow, WeeklyWindow};
use domain::id::{
    AgentId, AuditId, ConsultationEventId, ConsultationId, ConversationId, FileId, InvitationId, JobId, MessageId,
    NotificationId, ReportId,
};
use domain::money::Fen;
use domain::outbox::NewJob;
use domain::patient::Patient;
use domain::{Phone, Timestamp};
use im::log::{EventKind, NewEvent};
use im::{Content, Conversation, ConversationKind, Member, MemberKind, MessageKind, NewMessage, SystemNotice};
use serde_json::{Map, Value, json};

use crate::build;
use crate::clock::MONDAY_MORNING;
use crate::ids::object_id;

/// So many milliseconds after [`MONDAY_MORNING`].
pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(MONDAY_MORNING.as_millis() + millis)
}

/// A made-up mainland number ending in `n`.
pub(super) fn phone(n: u32) -> Phone {
    format!("1390000{n:04}").parse().unwrap()
}

/// What imports bring: nested values, Chinese, quotes, emoji, null, numbers of every kind.
pub(super) fn extra() -> Map<String, Value> {
    let Value::Object(map) = json!({
        "备注": "打鼾，夜间\"憋醒\" 'it''s' \\ % _ 😴",
        "nested": {"list": [1, -2, 2.5, null, true, {"深": []}]},
        "empty": "",
        "null": null,
        "big": 9_007_199_254_740_993_i64,
    }) else {
        unreachable!("an object was written")
    };
    map
}

pub(super) fn full_patient(n: u32) -> Patient {
    Patient {
        id: build::patient_id(n),
        user_id: Some(build::user_id(n)),
        name: Some("欧阳 '小' \"明\"; DROP".into()),
        gender: Some(Gender::Female),
        birthday: NaiveDate::from_ymd_opt(1980, 2, 29),
        height_cm: Some(162.5),
        weight_kg: Some(0.3),
        phone: Some(phone(n)),
        icon: Some(FileId(object_id(n))),
        location: Some("上海市\n徐汇区".into()),
        openids: Map::from_iter([("mini".to_owned(), json!("openid-a"))]),
        unionid: Some("union".into()),
        latest_report_id: Some(ReportId(object_id(n))),
        extra: extra(),
        closed_at: Some(at(4)),
        created_at: at(1),
        updated_at: at(2),
        version: 3,
    }
}

pub(super) fn full_doctor(n: u32) -> Doctor {
    Doctor {
        id: build::doctor_id(n),
        user_id: Some(build::user_id(n)),
        openid: Some("openid-b".into()),
        unionid: Some("union".into()),
        name: Some("诸葛医生".into()),
        gender: Some(Gender::Unknown),
        phone: Some(phone(n)),
        icon: Some(FileId(object_id(1))),
        hospital: Some("第一人民医院".into()),
        department: Some("呼吸内科".into()),
        title: Some("主任医师".into()),
        description: Some("擅长\n睡眠 100% _".into()),
        certification: Certification::Rejected,
        certificate1: Some(FileId(object_id(2))),
        certificate2: Some(FileId(object_id(3))),
        licence1: Some(FileId(object_id(4))),
        licence2: Some(FileId(object_id(5))),
        reject_reason: Some("照片看不清".into()),
        reviewer: Some(AgentId(object_id(6))),
        reviewed_at: Some(at(-5)),
        start_consultation: Some(false),
        start_consultation_time: Some("9点".into()),
        end_consultation_time: Some("22：00".into()),
        timezone: Some("Asia/Shanghai".into()),
        weekly_hours: vec![WeeklyWindow { weekday: 7, start: "22:00".into(), end: "24:00".into() }],
        hour_exceptions: vec![
            DatedHours {
                date: NaiveDate::from_ymd_opt(2026, 10, 1).unwrap(),
                windows: vec![DayWindow { start: "09:00".into(), end: "12:00".into() }],
            },
            DatedHours { date: NaiveDate::from_ymd_opt(2026, 10, 2).unwrap(), windows: Vec::new() },
        ],
        normal_price: Some(Fen::from_stored(2990)),
        phone_price: Some(Fen::from_stored(0)),
        is_normal_open: Some(true),
        is_phone_open: Some(false),
        extra: extra(),
        closed_at: Some(at(4)),
        created_at: at(1),
        updated_at: at(2),
        version: 7,
    }
}

pub(super) fn full_relation(n: u32, pair: Pair) -> Relation {
    Relation {
        id: build::relation_id(n),
        pair,
        tags: vec!["打鼾".into(), "a\"b".into(), "100%".into()],
        remark: Some("复诊，需要 CPAP".into()),
        source: Some("0".into()),
        is_followed: true,
        is_blocked: true,
        groups: vec!["1".into(), "2".into(), "vip".into()],
        credit: Some("5".into()),
        show_followed_doctor_card: true,
        latest_consultation_id: Some(ConsultationId(object_id(1))),
        latest_report_id: Some(ReportId(object_id(2))),
        extra: extra(),
        created_at: at(1),
        updated_at: at(2),
        version: 4,
    }
}

pub(super) fn full_consultation(n: u32, pair: Pair) -> Consultation {
    Consultation {
        id: build::consultation_id(n),
        pair,
        relation_id: build::relation_id(n),
        dialog_id: Some(build::dialog_id(n)),
        status: Status::Ended,
        is_invalid: true,
        end_reason: Some(EndReason::CompletedByPatient),
        end_note: Some("已电话沟通".into()),
        kind: ConsultationType::Phone,
        price: Some(Fen::from_stored(10_000_000)),
        latest_report_id: Some(ReportId(object_id(3))),
        started_at: at(1),
        first_reply_at: Some(at(2)),
        last_message_at: Some(at(3)),
        ended_at: Some(at(4)),
        no_reply_deadline: Some(at(5)),
        idle_deadline: Some(at(6)),
        is_warned: true,
        off_hours_reply_until: Some(at(7)),
        patient_message_count: 9,
        extra: extra(),
        created_at: at(8),
        updated_at: at(9),
        version: 5,
    }
}

pub(super) fn event(n: u32, consultation: ConsultationId, at: Timestamp) -> ConsultationEvent {
    ConsultationEvent {
        id: ConsultationEventId(object_id(n)),
        consultation_id: consultation,
        event: "initiated".into(),
        actor: "system".into(),
        from_status: None,
        to_status: Status::New,
        end_reason: None,
        note: None,
        at,
    }
}

pub(super) fn file(n: u32) -> File {
    File {
        id: FileId(object_id(n)),
        owner: FileOwner::System,
        name: "照片 1.jpg".into(),
        mime_type: "image/jpeg".into(),
        size: None,
        sha256: None,
        place: FilePlace::External { url: "https://files.example/1.jpg?a=b".into() },
        extra: Map::new(),
        created_at: at(0),
    }
}

pub(super) fn audit_event(n: u32, at: Timestamp) -> AuditEvent {
    AuditEvent {
        id: AuditId(object_id(n)),
        actor: "system".into(),
        action: "consultation.initiate",
        subject: "consultation:1".into(),
        detail: json!({}),
        at,
    }
}

pub(super) fn invitation(n: u32, doctor: u32) -> Invitation {
    Invitation {
        id: InvitationId(object_id(n)),
        doctor_id: build::doctor_id(doctor),
        scene: format!("scene{n}"),
        expires_at: None,
        revoked_at: None,
        scan_count: 0,
        created_at: at(i64::from(n)),
    }
}

pub(super) fn conversation(n: u32) -> Conversation {
    Conversation {
        id: build::dialog_id(n),
        kind: ConversationKind::Direct,
        consultation_id: None,
        name: None,
        creator: None,
        last_seq: 0,
        last_position: 0,
        last_message_at: None,
        attributes: Map::new(),
        extra: Map::new(),
        created_at: at(0),
        updated_at: at(0),
    }
}

/// The doctor and the patient of number `n` in conversation `n`.
pub(super) fn members(n: u32) -> [Member; 2] {
    let id = build::dialog_id(n);
    [Member::doctor(id, build::doctor_id(n), at(0)), Member::patient(id, build::patient_id(n), at(1))]
}

/// System message `n` to a conversation, saying "第n条".
pub(super) fn message(n: u32, conversation_id: ConversationId) -> NewMessage {
    let notice = SystemNotice::new("consultation.started", format!("第{n}条"));
    NewMessage::system(MessageId(object_id(n)), conversation_id, &notice, at(i64::from(n)))
}

/// Text message `n` of a sender, named `c<n>`, about which an owner is asked if there is one.
pub(super) fn text(n: u32, conversation_id: ConversationId, sender: &str, text: &str) -> NewMessage {
    NewMessage {
        sender: Some(sender.to_owned()),
        client_message_id: Some(format!("c{n}")),
        kind: MessageKind::Text,
        content: Content::of(&json!({ "text": text })),
        is_agreed: false,
        ..message(n, conversation_id)
    }
}

/// An event for everybody in a conversation.
pub(super) fn log_event(conversation_id: ConversationId) -> NewEvent {
    let (conversation_id, kind) = (Some(conversation_id), EventKind::Read);
    NewEvent { conversation_id, client_id: None, kind, payload: json!({}), at: at(0) }
}

/// A member of conversation `n` without an owner.
pub(super) fn guest(n: u32, client_id: &str) -> Member {
    Member::free(build::dialog_id(n), client_id.to_owned(), MemberKind::Other, at(0))
}

pub(super) fn notification(n: u32, consultation: Option<ConsultationId>) -> Notification {
    Notification {
        id: NotificationId(object_id(n)),
        recipient: Recipient::Doctor(build::doctor_id(1)),
        consultation_id: consultation,
        cause: Cause::Initiated,
        state: NotificationState::Queued,
        reason: Reason::InsideWindow,
        channel: Some(Channel::Wechat),
        due_at: at(0),
        created_at: at(i64::from(n)),
        updated_at: at(i64::from(n)),
    }
}

/// Job `n`, due `millis` after [`MONDAY_MORNING`], under a key of its own.
pub(super) fn job(n: u32, millis: i64) -> NewJob {
    NewJob {
        id: JobId(object_id(n)),
        kind: "deliver_notification",
        payload: json!({ "n": n }),
        run_at: at(millis),
        idempotency_key: format!("job:{n}"),
        created_at: at(i64::from(n)),
    }
}
