//! Every operation against {nobody, a patient it is not about, a doctor it is not about, an agent, the right one}.
//!
//! An operation of the published spec without a case here fails the test, and so does a case without an operation.

#[path = "authz/desk.rs"]
mod desk;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reqwest::Method;
use reqwest::blocking::RequestBuilder;
use serde_json::{Value, json};
use tests::load::export::{doctor_id, doctor_phone, patient_id, patient_phone};
use tests::server::{Database, Deployment};
use tests::world::{Answer, As, Http, create_admin, populate};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    WrongPatient,
    WrongDoctor,
    Agent,
    Right,
}
use Who::{Agent, Nobody, WrongDoctor, WrongPatient};

const EVERYBODY: [Who; 5] = [Nobody, WrongPatient, WrongDoctor, Agent, Who::Right];

/// Who "the right one" is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    Patient,
    Doctor,
    Admin,
    Integrator,
}

enum Body {
    None,
    Json(Value),
    Pictures,
    Upload,
}

struct Case {
    operation: &'static str,
    method: Method,
    path: String,
    body: Body,
    right: Right,
    /// Others who may call it too.
    also: &'static [Who],
}

fn case(operation: &'static str, method: Method, path: impl Into<String>, body: Body, right: Right) -> Case {
    Case { operation, method, path: format!("/api/v1{}", path.into()), body, right, also: &[] }
}

impl Case {
    fn also(mut self, also: &'static [Who]) -> Self {
        self.also = also;
        self
    }
}

/// Things the cases are about, made before.
struct Stage {
    consultation: String,
    dialog: String,
    /// The patient's message in the dialog.
    message: String,
    relation: String,
    invitation: String,
    scene: String,
    file: String,
    /// Path and query of the file's signed link.
    download: String,
    agent: String,
    /// The patient's conversation with the assistant.
    assistant: String,
}

/// Signed-in people with a session.
const PEOPLE: &[Who] = &[WrongPatient, WrongDoctor, Agent];
/// Also without one.
const ALL: &[Who] = &[Nobody, WrongPatient, WrongDoctor, Agent];
const ABSENT: &str = "ffffffffffffffffffffffff";

fn cases(s: &Stage) -> Vec<Case> {
    use Method as M;
    let (doctor, patient) = (doctor_id(0), patient_id(0));
    let reason = || Body::Json(json!({ "reason": "理由" }));
    let empty = || Body::Json(json!({}));
    let consultation = |rest: &str| format!("/consultations/{}{rest}", s.consultation);
    let certification = |rest: &str| format!("/admin/certifications/{doctor}{rest}");
    let dialog = |rest: &str| format!("/conversations/{}{rest}", s.dialog);
    let message = |rest: &str| format!("/conversations/{}/messages/{}{rest}", s.dialog, s.message);
    let code = json!({ "challengeId": ABSENT, "code": "000000" });
    let invitation = |rest: &str| format!("/doctors/{doctor}/invitations/{}{rest}", s.invitation);
    let app_name = || Body::Json(json!({ "app": "none" }));
    let app_code = || Body::Json(json!({ "app": "none", "code": "0" }));
    let consent = || {
        let results = json!([{ "templateId": "t", "result": "accept" }]);
        Body::Json(json!({ "app": "none", "promptId": "p", "results": results }))
    };
    vec![
        case("request_sms_code", M::POST, "/auth/sms-codes", Body::Json(json!({ "phone": "x" })), Right::Patient)
            .also(ALL),
        case("get_captcha", M::GET, "/auth/captcha", Body::None, Right::Patient).also(ALL),
        case("sign_in_with_sms_code", M::POST, "/auth/sign-in/sms", empty(), Right::Patient).also(ALL),
        case("sign_in_agent", M::POST, "/auth/sign-in/agent", empty(), Right::Patient).also(ALL),
        case("create_console_session", M::POST, "/auth/console-session", empty(), Right::Patient).also(ALL),
        case(
            "approve_dev_certification",
            M::POST,
            format!("/dev/certifications/{doctor}/approve"),
            Body::None,
            Right::Doctor,
        ),
        case("list_dev_sms", M::GET, "/dev/sms", Body::None, Right::Patient).also(ALL),
        case("get_me", M::GET, "/me", Body::None, Right::Patient).also(PEOPLE),
        case("list_sessions", M::GET, "/auth/sessions", Body::None, Right::Patient).also(PEOPLE),
        case("revoke_session", M::DELETE, format!("/auth/sessions/{ABSENT}"), Body::None, Right::Patient).also(PEOPLE),
        case("bind_phone", M::PUT, "/me/phone", Body::Json(json!({ "new": code })), Right::Patient)
            .also(&[WrongPatient, WrongDoctor]),
        case("close_account", M::POST, "/me/close", Body::Json(json!({ "proof": code })), Right::Patient)
            .also(&[WrongPatient, WrongDoctor]),
        case("close_patient_account", M::POST, format!("/admin/patients/{ABSENT}/close"), reason(), Right::Admin),
        case("close_doctor_account", M::POST, format!("/admin/doctors/{ABSENT}/close"), reason(), Right::Admin),
        case("update_password", M::PUT, "/auth/password", empty(), Right::Admin).also(&[Agent]),
        case("list_doctors", M::GET, "/doctors", Body::None, Right::Patient).also(PEOPLE),
        case("get_doctor_card", M::GET, format!("/doctors/{doctor}/card"), Body::None, Right::Patient).also(PEOPLE),
        case("get_doctor", M::GET, format!("/doctors/{doctor}"), Body::None, Right::Doctor),
        case(
            "update_doctor",
            M::PATCH,
            format!("/doctors/{doctor}"),
            Body::Json(json!({ "description": "好" })),
            Right::Doctor,
        ),
        case("get_certification", M::GET, format!("/doctors/{doctor}/certification"), Body::None, Right::Doctor),
        case("list_relations_of_doctor", M::GET, format!("/doctors/{doctor}/relations"), Body::None, Right::Doctor),
        case("get_relation", M::GET, format!("/relations/{}", s.relation), Body::None, Right::Doctor),
        case(
            "update_relation",
            M::PATCH,
            format!("/relations/{}", s.relation),
            Body::Json(json!({ "remark": "x" })),
            Right::Doctor,
        ),
        case("list_invitations", M::GET, format!("/doctors/{doctor}/invitations"), Body::None, Right::Doctor),
        case("create_invitation", M::POST, format!("/doctors/{doctor}/invitations"), empty(), Right::Doctor),
        case("scan_invitation", M::POST, "/invitations/scan", Body::Json(json!({ "scene": s.scene })), Right::Patient)
            .also(&[WrongPatient]),
        case("get_patient", M::GET, format!("/patients/{patient}"), Body::None, Right::Patient).also(&[Agent]),
        case(
            "update_patient",
            M::PATCH,
            format!("/patients/{patient}"),
            Body::Json(json!({ "location": "上海" })),
            Right::Patient,
        ),
        case("list_relations_of_patient", M::GET, format!("/patients/{patient}/relations"), Body::None, Right::Patient),
        case(
            "take_followed_doctor_cards",
            M::POST,
            format!("/patients/{patient}/followed-doctor-cards"),
            Body::None,
            Right::Patient,
        ),
        case(
            "set_latest_report",
            M::PUT,
            format!("/patients/{patient}/latest-report"),
            Body::Json(json!({ "reportId": ABSENT })),
            Right::Integrator,
        ),
        case("upload_file", M::POST, "/files", Body::Upload, Right::Doctor).also(PEOPLE),
        case("get_file", M::GET, format!("/files/{}", s.file), Body::None, Right::Doctor).also(&[Agent]),
        // The signed link is the credential: whoever holds it may follow it.
        case("download_file_content", M::GET, s.download.clone(), Body::None, Right::Doctor).also(ALL),
        case(
            "initiate_consultation",
            M::POST,
            "/consultations",
            Body::Json(json!({ "doctorId": doctor, "patientId": patient })),
            Right::Patient,
        ),
        case("list_consultations", M::GET, format!("/consultations?patientId={patient}"), Body::None, Right::Patient),
        case("get_consultation", M::GET, consultation(""), Body::None, Right::Patient),
        case("list_consultation_events", M::GET, consultation("/events"), Body::None, Right::Patient),
        case("list_consultation_notifications", M::GET, consultation("/notifications"), Body::None, Right::Doctor),
        case("list_conversations", M::GET, "/conversations", Body::None, Right::Patient)
            .also(&[WrongPatient, WrongDoctor]),
        case("get_conversation", M::GET, dialog(""), Body::None, Right::Patient),
        case("mark_conversation_read", M::POST, dialog("/read"), Body::Json(json!({ "seq": 1 })), Right::Patient),
        case(
            "send_message",
            M::POST,
            dialog("/messages"),
            Body::Json(json!({ "clientMessageId": "a1", "type": "text", "content": { "text": "您好" } })),
            Right::Patient,
        ),
        case("list_messages", M::GET, dialog("/messages"), Body::None, Right::Doctor),
        case("get_message", M::GET, message(""), Body::None, Right::Doctor),
        case("get_original_message", M::GET, message("/original"), Body::None, Right::Admin),
        case("recall_message", M::POST, message("/recall"), Body::None, Right::Patient),
        case("export_consultation", M::GET, consultation("/export"), Body::None, Right::Patient),
        case("export_consultation_page", M::GET, consultation("/export.html"), Body::None, Right::Doctor),
        case("export_conversation", M::GET, dialog("/export"), Body::None, Right::Doctor),
        // Everybody searches what is theirs; of somebody else's conversation nothing is told.
        case(
            "search_messages",
            M::GET,
            format!("/messages/search?q=x&conversationId={}", s.dialog),
            Body::None,
            Right::Patient,
        ),
        case("sync_log", M::GET, "/sync", Body::None, Right::Patient).also(PEOPLE),
        case("list_desk_tasks", M::GET, "/desk/tasks", Body::None, Right::Admin).also(&[Agent]),
        case(
            "close_desk_task",
            M::POST,
            format!("/desk/tasks/{ABSENT}/close"),
            Body::Json(json!({ "note": "已电话联系" })),
            Right::Admin,
        )
        .also(&[Agent]),
        case("list_agents", M::GET, "/admin/agents", Body::None, Right::Admin),
        case(
            "create_agent",
            M::POST,
            "/admin/agents",
            Body::Json(json!({ "username": "agent-two", "displayName": "二", "role": "agent" })),
            Right::Admin,
        ),
        case("reset_agent_password", M::POST, format!("/admin/agents/{ABSENT}/password"), Body::None, Right::Admin),
        case("list_audit_events", M::GET, "/admin/audit-events", Body::None, Right::Admin),
        case("list_certifications", M::GET, "/admin/certifications", Body::None, Right::Admin),
        case("get_certification_for_review", M::GET, certification(""), Body::None, Right::Admin),
        case("list_jobs", M::GET, "/admin/jobs", Body::None, Right::Admin),
        case("retry_job", M::POST, format!("/admin/jobs/{ABSENT}/retry"), Body::None, Right::Admin),
        case("list_sms_messages", M::GET, "/admin/sms/messages", Body::None, Right::Admin),
        case("get_sms_message", M::GET, format!("/admin/sms/messages/{ABSENT}"), Body::None, Right::Admin),
        case("reveal_sms_phone", M::POST, format!("/admin/sms/messages/{ABSENT}/reveal"), Body::None, Right::Admin),
        case("list_sms_replies", M::GET, "/admin/sms/replies", Body::None, Right::Admin),
        case("reveal_sms_reply", M::POST, format!("/admin/sms/replies/{ABSENT}/reveal"), Body::None, Right::Admin),
        case("get_sms_health", M::GET, "/admin/sms/health", Body::None, Right::Admin),
        case("get_sms_budget", M::GET, "/admin/sms/budget", Body::None, Right::Admin),
        case(
            "create_test_sms",
            M::POST,
            "/admin/sms/test-messages",
            Body::Json(json!({ "phone": "13900000000" })),
            Right::Admin,
        ),
        case("discard_job", M::POST, format!("/admin/jobs/{ABSENT}/discard"), reason(), Right::Admin),
        case(
            "unlock_phone",
            M::POST,
            "/admin/phones/unlock",
            Body::Json(json!({ "phone": "13900000009" })),
            Right::Admin,
        ),
        case(
            "reveal_phone",
            M::POST,
            "/admin/phones/reveal",
            Body::Json(json!({ "patientId": patient })),
            Right::Admin,
        )
        .also(&[Agent]),
        case("sign_in_with_wechat", M::POST, "/auth/sign-in/wechat", empty(), Right::Patient).also(ALL),
        case("bind_phone_of_wechat", M::PUT, "/me/phone/wechat", app_code(), Right::Patient)
            .also(&[WrongPatient, WrongDoctor]),
        case("check_wechat_session", M::GET, "/me/wechat/session?app=none", Body::None, Right::Patient)
            .also(&[WrongPatient, WrongDoctor]),
        case("reset_wechat_session", M::POST, "/me/wechat/session/reset", app_name(), Right::Patient)
            .also(&[WrongPatient, WrongDoctor]),
        case("report_wechat_consent", M::POST, "/me/wechat/grants", consent(), Right::Patient)
            .also(&[WrongPatient, WrongDoctor]),
        case("list_wechat_grants", M::GET, "/me/wechat/grants?app=none", Body::None, Right::Patient)
            .also(&[WrongPatient, WrongDoctor]),
        case("get_invitation_code", M::GET, invitation("/code"), Body::None, Right::Doctor),
        case("create_invitation_link", M::POST, invitation("/link"), empty(), Right::Doctor),
        case("list_wechat_apps", M::GET, "/admin/wechat/apps", Body::None, Right::Admin),
        case("force_wechat_token", M::POST, "/admin/wechat/apps/none/token/refresh", reason(), Right::Admin),
        case("list_wechat_templates", M::GET, "/admin/wechat/apps/none/templates", Body::None, Right::Admin),
        case("sync_wechat_templates", M::POST, "/admin/wechat/apps/none/templates/sync", Body::None, Right::Admin),
        case("list_wechat_messages", M::GET, "/admin/wechat/messages", Body::None, Right::Admin),
        case("list_content_checks", M::GET, "/admin/wechat/content-checks", Body::None, Right::Admin),
        case(
            "decide_content_check",
            M::POST,
            format!("/admin/wechat/content-checks/{ABSENT}/decision"),
            Body::Json(json!({ "keeps": true, "reason": "理由" })),
            Right::Admin,
        ),
        case(
            "list_wechat_service_messages",
            M::GET,
            "/admin/wechat/apps/none/service-messages",
            Body::None,
            Right::Admin,
        ),
        case(
            "answer_wechat_service_message",
            M::POST,
            "/admin/wechat/apps/none/service-messages",
            Body::Json(json!({ "openid": "nobody", "text": "您好" })),
            Right::Admin,
        ),
        case("get_wechat_access_token", M::GET, "/wechat/apps/none/access-token", Body::None, Right::Integrator),
        // From here on the right one's call takes something away that earlier cases need.
        case("end_consultation", M::POST, consultation("/end"), reason(), Right::Doctor),
        case("reopen_consultation", M::POST, consultation("/reopen"), Body::None, Right::Doctor),
        case(
            "void_consultation",
            M::POST,
            format!("/admin/consultations/{}/void", s.consultation),
            reason(),
            Right::Admin,
        ),
        case(
            "revoke_invitation",
            M::DELETE,
            format!("/doctors/{doctor}/invitations/{}", s.invitation),
            Body::None,
            Right::Doctor,
        ),
        case("revoke_certification", M::POST, certification("/revoke"), reason(), Right::Admin),
        case(
            "submit_certification",
            M::POST,
            format!("/doctors/{doctor}/certification"),
            Body::Pictures,
            Right::Doctor,
        ),
        case("reject_certification", M::POST, certification("/reject"), reason(), Right::Admin),
        case("approve_certification", M::POST, certification("/approve"), Body::None, Right::Admin),
        case("sign_out", M::POST, "/auth/sign-out", Body::None, Right::Patient).also(PEOPLE),
        case(
            "update_agent",
            M::PATCH,
            format!("/admin/agents/{}", s.agent),
            Body::Json(json!({ "isEnabled": false })),
            Right::Admin,
        ),
        case("delete_console_session", M::DELETE, "/auth/console-session", Body::None, Right::Admin).also(&[Agent]),
    ]
}

/// A form with a picture of one pixel in each field, as bytes: a streamed form may break off when it is refused early.
fn with_pictures(request: RequestBuilder, fields: &[&str]) -> RequestBuilder {
    const PNG: &[u8] =
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\
        \xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";
    let mut body = Vec::new();
    for field in fields {
        let head = format!(
            "--pictures\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"p.png\"\r\n\
             Content-Type: image/png\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(PNG);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--pictures--\r\n");
    request.header("Content-Type", "multipart/form-data; boundary=pictures").body(body)
}

struct People {
    patient: As,
    doctor: As,
    wrong_patient: As,
    wrong_doctor: As,
    agent: As,
    admin: As,
}

impl People {
    fn get(&self, who: Who, right: Right) -> &As {
        match (who, right) {
            (Nobody, _) => &As::Nobody,
            (WrongPatient, _) => &self.wrong_patient,
            (WrongDoctor, _) => &self.wrong_doctor,
            (Agent, _) => &self.agent,
            (Who::Right, Right::Patient) => &self.patient,
            (Who::Right, Right::Doctor) => &self.doctor,
            (Who::Right, Right::Admin) => &self.admin,
            (Who::Right, Right::Integrator) => &As::Integrator,
        }
    }
}

fn call(http: &Http, case: &Case, who: &As) -> Answer {
    let request = http.request(case.method.clone(), &case.path, who);
    let request = match &case.body {
        Body::None => request,
        Body::Json(body) => request.json(body),
        Body::Upload => with_pictures(request, &["file"]),
        Body::Pictures => with_pictures(request, &["certificate1", "licence1"]),
    };
    Answer::of(request.send().unwrap())
}

fn set_stage(http: &Http, people: &People) -> Stage {
    let (doctor, patient) = (doctor_id(0), patient_id(0));
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
    let started = http.initiate(&doctor, &patient);
    let relations = http.get(&format!("/api/v1/patients/{patient}/relations"), &As::Integrator);
    let invited = http.post(&format!("/api/v1/doctors/{doctor}/invitations"), &people.doctor, &json!({}));
    let upload = http.request(Method::POST, "/api/v1/files", &people.doctor);
    let uploaded = Answer::of(with_pictures(upload, &["file"]).send().unwrap());
    let agents = http.get("/api/v1/admin/agents", &people.admin);
    let is_agent = |a: &&Value| a["role"] == "agent";
    let agent = agents.body["items"].as_array().unwrap().iter().find(is_agent).unwrap();
    let consultation = text(&started.body["result"]["consultationId"]);
    let found = http.get(&format!("/api/v1/consultations/{consultation}"), &people.patient);
    let dialog = text(&found.body["idDialog"]);
    let said = json!({ "clientMessageId": "a0", "type": "text", "content": { "text": "在吗" } });
    let sent = http.post(&format!("/api/v1/conversations/{dialog}/messages"), &people.patient, &said);
    let opened = http.post("/api/v1/assistant/conversation", &people.patient, &json!({}));
    Stage {
        assistant: text(&opened.body["conversation"]["id"]),
        consultation,
        dialog,
        message: text(&sent.body["messageId"]),
        relation: text(&relations.body["items"][0]["objectId"]),
        invitation: text(&invited.body["objectId"]),
        scene: text(&invited.body["scene"]),
        file: text(&uploaded.body["objectId"]),
        download: text(&uploaded.body["url"]).split_once("/api/v1").unwrap().1.to_owned(),
        agent: text(&agent["objectId"]),
    }
}

fn people(http: &Http, (name, password): &(String, String)) -> People {
    let admin = http.sign_in_staff(name, password);
    let new = json!({ "username": "agent-one", "displayName": "一", "role": "agent" });
    let made = http.post("/api/v1/admin/agents", &admin, &new);
    assert_eq!(made.status, 201, "{made:?}");
    let agent = http.sign_in_staff("agent-one", made.body["password"].as_str().unwrap());
    People {
        patient: http.sign_in(&patient_phone(0), "patient"),
        doctor: http.sign_in(&doctor_phone(0), "doctor"),
        wrong_patient: http.sign_in(&patient_phone(1), "patient"),
        wrong_doctor: http.sign_in(&doctor_phone(1), "doctor"),
        agent,
        admin,
    }
}

#[test]
fn every_operation_lets_in_exactly_whom_it_should() {
    let deployment = Deployment::new(Database::Sqlite);
    populate(&deployment, 2, 2);
    let admin = create_admin(&deployment);
    let api = deployment.start_api();
    let http = Http::new(&api);
    let people = people(&http, &admin);
    let stage = set_stage(&http, &people);
    // Those of the desk first: the others end sessions.
    let cases: Vec<Case> = desk::cases(&stage).into_iter().chain(cases(&stage)).collect();
    assert_covers_the_spec(&cases);
    let mut faults = Vec::new();
    // Refusals first: they must change nothing.
    for case in &cases {
        for who in EVERYBODY.into_iter().filter(|who| *who != Who::Right && !case.also.contains(who)) {
            let answer = call(&http, case, people.get(who, case.right));
            let is_refused = if who == Nobody { answer.status == 401 } else { matches!(answer.status, 403 | 404) };
            if !is_refused {
                faults.push(format!("{} let {who:?} in: {} {}", case.operation, answer.status, answer.body));
            }
        }
    }
    for case in &cases {
        for who in EVERYBODY.into_iter().filter(|who| *who == Who::Right || case.also.contains(who)) {
            let answer = call(&http, case, people.get(who, case.right));
            let code = answer.body["code"].as_str().unwrap_or_default();
            // What does not exist is not found by those who may look for it.
            let is_absent = code == "access.not_found" && case.path.contains(ABSENT);
            // Two operations end the session they are called with: the later one finds it over.
            let is_over = case.operation == "delete_console_session" && code == "session.not_valid";
            let is_unknown = answer.status == 401 && code != "sign_in.failed" && !is_over;
            let is_refused = is_unknown || code.starts_with("access.") && !is_absent || answer.status >= 500;
            if is_refused {
                faults.push(format!("{} kept {who:?} out: {} {}", case.operation, answer.status, answer.body));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Each operation of the published spec has exactly one case.
fn assert_covers_the_spec(cases: &[Case]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/api.json");
    let spec: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let operations = spec["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let published: BTreeSet<&str> = operations.filter_map(|o| o["operationId"].as_str()).collect();
    let covered: BTreeSet<&str> = cases.iter().map(|c| c.operation).collect();
    assert_eq!(covered.len(), cases.len(), "an operation has two cases");
    assert_eq!(covered, published, "operations and authorization cases differ");
}
