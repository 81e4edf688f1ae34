//! The product's own tables as documents: which rows and fields a viewer sees, and how they look on the wire.
//!
//! A row is built anew for its viewer: what somebody may not see is absent from it, for conditions too.

use ::leancloud::rest::{ClassKind, ClientViewer, Viewer};

use super::condition::Compiler;
use crate::backend::Backend;

/// How a column looks on the wire. Absent when null.
#[derive(Debug, Clone, Copy)]
enum Form {
    Text,
    Flag,
    /// As it is stored; opened after it was read.
    Sealed,
    /// Fen as a number of yuan.
    Yuan,
    /// A number written out, as the clients store heights and weights.
    NumberText,
    Pointer(&'static str),
    File,
    /// Milliseconds as a Date.
    Instant,
    Json,
    /// The client ids of the members of a conversation.
    Members,
    /// A gender: as it was imported while that says the same, else the stored word.
    Gender,
}

type Field = (&'static str, &'static str, Form);

const PATIENT_SUMMARY: &[Field] = &[
    ("name", "name", Form::Text),
    ("gender", "gender", Form::Gender),
    ("birthday", "birthday", Form::Text),
    ("height", "height_cm", Form::NumberText),
    ("weight", "weight_kg", Form::NumberText),
    ("icon", "icon", Form::File),
    ("location", "location", Form::Text),
    ("latestReportId", "latest_report_id", Form::Text),
];
const PATIENT_OWN: &[Field] = &[
    ("phone", "phone", Form::Sealed),
    ("unionid", "unionid", Form::Text),
    ("user", "user_id", Form::Pointer("_User")),
];
const DOCTOR_CARD: &[Field] = &[
    ("name", "name", Form::Text),
    ("gender", "gender", Form::Gender),
    ("icon", "icon", Form::File),
    ("hospital", "hospital", Form::Text),
    ("department", "department", Form::Text),
    ("title", "title", Form::Text),
    ("description", "description", Form::Text),
    ("authenticated", "certification", Form::Text),
    ("startConsultation", "start_consultation", Form::Flag),
    ("startConsultationTime", "start_consultation_time", Form::Text),
    ("endConsultationTime", "end_consultation_time", Form::Text),
    ("normalConsultingPrice", "normal_price", Form::Yuan),
    ("phoneConsultingPrice", "phone_price", Form::Yuan),
    ("isNormalConsultingOpen", "is_normal_open", Form::Flag),
    ("isPhoneConsultingOpen", "is_phone_open", Form::Flag),
];
const DOCTOR_OWN: &[Field] = &[
    ("phone", "phone", Form::Sealed),
    ("openid", "openid", Form::Text),
    ("unionid", "unionid", Form::Text),
    ("user", "user_id", Form::Pointer("_User")),
    ("certificate1", "certificate1", Form::File),
    ("certificate2", "certificate2", Form::File),
    ("licence1", "licence1", Form::File),
    ("licence2", "licence2", Form::File),
    ("rejectReason", "reject_reason", Form::Text),
];
const CONSULTATION: &[Field] = &[
    ("idDoctor", "doctor_id", Form::Pointer("Doctor")),
    ("idPatient", "patient_id", Form::Pointer("Patients")),
    ("idRelation", "relation_id", Form::Pointer("DoctorPatientRelation")),
    ("idDialog", "dialog_id", Form::Pointer("_Conversation")),
    ("status", "status", Form::Text),
    ("isInvalid", "is_invalid", Form::Flag),
    ("type", "kind", Form::Text),
    ("price", "price", Form::Yuan),
    ("latestReportId", "latest_report_id", Form::Text),
    ("startedAt", "started_at", Form::Instant),
    ("firstReplyAt", "first_reply_at", Form::Instant),
    ("endedAt", "ended_at", Form::Instant),
    ("endReason", "end_reason", Form::Text),
];
const RELATION_SHARED: &[Field] = &[
    ("idDoctor", "doctor_id", Form::Pointer("Doctor")),
    ("idPatient", "patient_id", Form::Pointer("Patients")),
    ("source", "source", Form::Text),
    ("showFollowedDoctorCard", "show_followed_doctor_card", Form::Flag),
    ("latestConsultationId", "latest_consultation_id", Form::Text),
];
const RELATION_OWN: &[Field] = &[
    ("tag", "tags", Form::Json),
    ("remark", "remark", Form::Text),
    ("follow", "is_followed", Form::Flag),
    ("block", "is_blocked", Form::Flag),
    ("group", "groups", Form::Json),
    ("credit", "credit", Form::Text),
    ("latestReportId", "latest_report_id", Form::Text),
];
const USER: &[Field] = &[
    ("username", "username", Form::Sealed),
    ("email", "email", Form::Text),
    ("emailVerified", "is_email_verified", Form::Flag),
    ("mobilePhoneNumber", "phone", Form::Sealed),
    ("mobilePhoneVerified", "is_phone_verified", Form::Flag),
    ("authData", "auth_data", Form::Json),
];
const CONVERSATION: &[Field] = &[
    ("name", "name", Form::Text),
    ("c", "creator", Form::Text),
    ("lm", "last_message_at", Form::Instant),
    ("attr", "attributes", Form::Json),
    ("m", "id", Form::Members),
];
const FILE: &[Field] =
    &[("name", "name", Form::Text), ("mime_type", "mime_type", Form::Text), ("url", "url", Form::Text)];

/// The rows of a table as documents, behind an alias.
pub(super) fn table(compiler: &mut Compiler<'_>, kind: ClassKind, alias: &str) -> String {
    let view = View::of(compiler, kind);
    let writer = Writer { backend: compiler.backend };
    let whole = writer.object(&[view.shared, view.own].concat(), true);
    let document = match &view.owns {
        None => whole,
        Some(owns) => {
            let part = writer.object(view.shared, view.is_extra_shared);
            format!("CASE WHEN {owns} THEN {whole} ELSE {part} END")
        }
    };
    let updated = if kind == ClassKind::File { "t.created_at" } else { "t.updated_at" };
    let (keys, table) = (view.keys, view.table);
    let select = |rows: &String| {
        format!(
            "SELECT t.id AS id, {document} AS data, NULL AS acl, t.created_at AS created_at, \
             {updated} AS updated_at{keys} FROM {table} t WHERE {rows}"
        )
    };
    let parts: Vec<String> = view.rows.iter().map(select).collect();
    format!("({}) AS {alias}", parts.join(" UNION ALL "))
}

/// What a viewer sees of a table.
struct View {
    table: &'static str,
    /// Which rows, in parts that have none in common: each is found by an index of its own.
    rows: Vec<String>,
    /// Of which rows everything; `None`: of all of them.
    owns: Option<String>,
    shared: &'static [Field],
    own: &'static [Field],
    /// Whether the fields the product does not model are part of what is shared.
    is_extra_shared: bool,
    /// Further columns, for indexes.
    keys: &'static str,
}

impl View {
    fn of(compiler: &mut Compiler<'_>, kind: ClassKind) -> Self {
        let (table, shared, own, is_extra_shared, keys) = match kind {
            ClassKind::Patient => ("patient", PATIENT_SUMMARY, PATIENT_OWN, false, ", t.user_id AS key_user"),
            ClassKind::Doctor => ("doctor", DOCTOR_CARD, DOCTOR_OWN, false, ", t.user_id AS key_user"),
            ClassKind::Consultation => {
                let keys = ", t.doctor_id AS key_doctor, t.patient_id AS key_patient";
                ("consultation", CONSULTATION, &[] as &[Field], true, keys)
            }
            ClassKind::Relation => {
                let keys = ", t.doctor_id AS key_doctor, t.patient_id AS key_patient";
                ("relation", RELATION_SHARED, RELATION_OWN, false, keys)
            }
            ClassKind::Conversation => ("conversation", CONVERSATION, &[] as &[Field], true, ""),
            ClassKind::File => ("file", FILE, &[] as &[Field], true, ""),
            _ => ("account_user", USER, &[] as &[Field], true, ""),
        };
        let (rows, owns) = match compiler.viewer {
            Viewer::Master if kind == ClassKind::Conversation => (vec![listed_conversations(compiler.backend)], None),
            Viewer::Master => (vec!["TRUE".into()], None),
            Viewer::Client(client) if kind == ClassKind::Conversation => {
                (conversations(compiler, &client.clone()), None)
            }
            Viewer::Client(client) => {
                let (rows, owns) = rows(compiler, kind, &client.clone());
                (vec![rows], owns)
            }
        };
        let rows = match still_here(kind) {
            Some(still_here) => rows.iter().map(|rows| format!("({rows}) AND {still_here}")).collect(),
            None => rows,
        };
        Self { table, rows, owns, shared, own, is_extra_shared, keys }
    }
}

/// The condition that nobody whom a row is about has closed their account, where that hides the row.
const fn still_here(kind: ClassKind) -> Option<&'static str> {
    match kind {
        ClassKind::Patient | ClassKind::Doctor | ClassKind::User => Some("t.closed_at IS NULL"),
        ClassKind::Relation => Some(
            "NOT EXISTS (SELECT 1 FROM patient p WHERE p.id = t.patient_id AND p.closed_at IS NOT NULL) \
             AND NOT EXISTS (SELECT 1 FROM doctor d WHERE d.id = t.doctor_id AND d.closed_at IS NOT NULL)",
        ),
        _ => None,
    }
}

/// Which rows a client sees, and of which of them everything.
fn rows(compiler: &mut Compiler<'_>, kind: ClassKind, client: &ClientViewer) -> (String, Option<String>) {
    let mut is = |column: &str, id: Option<String>| match id {
        Some(id) => format!("t.{column} = {}", compiler.bind(id)),
        None => "FALSE".to_owned(),
    };
    let user = client.user.map(|id| id.to_string());
    let doctor = client.doctor.map(|id| id.to_string());
    let patient = client.patient.map(|id| id.to_string());
    match kind {
        ClassKind::Patient => {
            let own = is("id", patient);
            let treated = is("doctor_id", doctor).replace("t.doctor_id", "r.doctor_id");
            let treated = format!("EXISTS (SELECT 1 FROM relation r WHERE r.patient_id = t.id AND {treated})");
            (format!("({own} OR {treated})"), Some(own))
        }
        ClassKind::Doctor => {
            let own = is("id", doctor);
            let known = is("patient_id", patient).replace("t.patient_id", "r.patient_id");
            let known = format!("EXISTS (SELECT 1 FROM relation r WHERE r.doctor_id = t.id AND {known})");
            (format!("(t.certification = '1' OR {own} OR {known})"), Some(own))
        }
        ClassKind::Consultation => (format!("({} OR {})", is("doctor_id", doctor), is("patient_id", patient)), None),
        ClassKind::Relation => {
            let own = is("doctor_id", doctor);
            (format!("({own} OR {})", is("patient_id", patient)), Some(own))
        }
        ClassKind::File => (format!("(t.owner_kind = 'user' AND {})", is("owner_id", user)), None),
        _ => (is("id", user), None),
    }
}

/// The conversations a client is in, and the services, which anybody finds.
fn conversations(compiler: &mut Compiler<'_>, client: &ClientViewer) -> Vec<String> {
    let profiles = [
        client.user.map(|id| id.to_string()),
        client.doctor.map(|id| id.to_string()),
        client.patient.map(|id| id.to_string()),
    ];
    let peers = client.peers.iter().cloned().chain(profiles.into_iter().flatten());
    let places: Vec<String> = peers.map(|peer| compiler.bind(peer)).collect();
    let places = if places.is_empty() { "NULL".to_owned() } else { places.join(", ") };
    let own = format!("SELECT cm.conversation_id FROM conversation_member cm WHERE cm.client_id IN ({places})");
    let (listed, service) = (listed_conversations(compiler.backend), compiler.backend.is_service("t.extra"));
    vec![format!("t.id IN ({own}) AND {listed}"), format!("{service} AND t.id NOT IN ({own}) AND {listed}")]
}

/// Those that lists show: not temporary ones, nor those that lie behind a service.
fn listed_conversations(backend: Backend) -> String {
    let absent = |key: &str| match backend {
        Backend::Sqlite => format!("t.extra ->> '$.{key}' IS NULL"),
        Backend::Postgres => format!("t.extra ->> '{key}' IS NULL"),
    };
    ["ttl", "sysOf", "deleted"].map(absent).join(" AND ")
}

/// Writes rows as JSON.
struct Writer {
    backend: Backend,
}

impl Writer {
    /// The fields that are not null; with the row's other fields where `extra` says so.
    fn object(&self, fields: &[Field], extra: bool) -> String {
        let pairs: Vec<String> =
            fields.iter().map(|(name, column, form)| format!("'{name}', {}", self.value(column, *form))).collect();
        let pairs = pairs.join(", ");
        match (self.backend, extra) {
            (Backend::Postgres, false) => format!("jsonb_strip_nulls(jsonb_build_object({pairs}))"),
            (Backend::Postgres, true) => format!("(t.extra || jsonb_strip_nulls(jsonb_build_object({pairs})))"),
            (Backend::Sqlite, false) => format!("json_patch('{{}}', json_object({pairs}))"),
            (Backend::Sqlite, true) => format!("json_patch(t.extra, json_patch('{{}}', json_object({pairs})))"),
        }
    }

    fn value(&self, column: &str, form: Form) -> String {
        let is_postgres = self.backend == Backend::Postgres;
        let column = format!("t.{column}");
        match form {
            Form::Text | Form::Sealed => column,
            Form::Flag | Form::Json if is_postgres => column,
            Form::Flag => format!("json(CASE WHEN {column} THEN 'true' WHEN NOT {column} THEN 'false' END)"),
            // Whole numbers are integers in the stored form.
            Form::Yuan if is_postgres => format!("trim_scale({column} / 100.0)"),
            Form::Yuan => format!("CASE WHEN {column} % 100 = 0 THEN {column} / 100 ELSE {column} / 100.0 END"),
            Form::NumberText if is_postgres => format!("CAST({column} AS text)"),
            Form::NumberText => format!(
                "CASE WHEN {column} = CAST({column} AS integer) THEN CAST(CAST({column} AS integer) AS text) ELSE CAST({column} AS text) END"
            ),
            Form::Pointer(class) if is_postgres => {
                format!("CASE WHEN {column} IS NOT NULL THEN {} END", self.backend.pointer_to(class, &column))
            }
            Form::Pointer(class) => format!("json({})", self.backend.pointer_to(class, &column)),
            Form::File if is_postgres => {
                format!("CASE WHEN {column} IS NOT NULL THEN jsonb_build_object('__type', 'File', 'id', {column}) END")
            }
            Form::File => format!("json('{{\"__type\":\"File\",\"id\":\"' || {column} || '\"}}')"),
            Form::Instant if is_postgres => format!(
                "CASE WHEN {column} IS NOT NULL THEN jsonb_build_object('__type', 'Date', 'iso', \
                 to_char(to_timestamp({column} / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')) END"
            ),
            Form::Instant => format!(
                "json('{{\"__type\":\"Date\",\"iso\":\"' || \
                 strftime('%Y-%m-%dT%H:%M:%S', {column} / 1000, 'unixepoch') || \
                 printf('.%03dZ', {column} % 1000) || '\"}}')"
            ),
            Form::Json => format!("json({column})"),
            Form::Members if is_postgres => format!(
                "(SELECT COALESCE(jsonb_agg(cm.client_id ORDER BY cm.client_id), '[]'::jsonb) \
                 FROM conversation_member cm WHERE cm.conversation_id = {column})"
            ),
            Form::Members => format!(
                "json((SELECT json_group_array(client_id) FROM (SELECT cm.client_id AS client_id \
                 FROM conversation_member cm WHERE cm.conversation_id = {column} ORDER BY cm.client_id)))"
            ),
            Form::Gender => self.gender(&column),
        }
    }

    /// The words of [`domain::gender::Gender::from_free_text`].
    fn gender(&self, column: &str) -> String {
        let original = match self.backend {
            Backend::Postgres => "t.extra ->> 'gender'",
            Backend::Sqlite => "t.extra ->> '$.gender'",
        };
        let word = format!("lower(trim({original}))");
        format!(
            "CASE WHEN {column} = CASE WHEN {original} IS NULL THEN '' \
             WHEN {word} IN ('男', '男性', 'male', 'm', '1') THEN 'male' \
             WHEN {word} IN ('女', '女性', 'female', 'f', '2') THEN 'female' ELSE 'unknown' END \
             THEN {original} ELSE {column} END"
        )
    }
}
