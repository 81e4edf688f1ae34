//! The assistant and its desk: who may do what there.

use reqwest::Method as M;
use serde_json::json;

use super::{ABSENT, Body, Case, PEOPLE, Right, Stage, Who, case};

/// Agents and administrators.
const STAFF: &[Who] = &[Who::Agent];
const CUSTOMERS: &[Who] = &[Who::WrongPatient, Who::WrongDoctor];
const PERIOD: &str = "from=2026-01-01T00:00:00.000Z&to=2026-02-01T00:00:00.000Z";

fn staff(operation: &'static str, method: M, path: impl Into<String>, body: Body) -> Case {
    case(operation, method, path, body, Right::Admin).also(STAFF)
}

pub(super) fn cases(s: &Stage) -> Vec<Case> {
    let chat = |rest: &str| format!("/desk/chats/{}{rest}", s.assistant);
    let none = || Body::None;
    let text = json!({ "clientMessageId": "d1", "type": "text", "content": { "text": "您好" } });
    let recall = format!("/desk/chats/{}/messages/{ABSENT}/recall", s.assistant);
    let canned = format!("/desk/canned-replies/{ABSENT}");
    let kept = json!({ "title": "问候", "text": "您好", "scope": "personal" });
    let agent = format!("/admin/desk/agents/{}", s.agent);
    vec![
        case("get_assistant", M::GET, "/assistant", none(), Right::Patient).also(PEOPLE),
        case("open_assistant_conversation", M::POST, "/assistant/conversation", Body::Json(json!({})), Right::Patient)
            .also(CUSTOMERS),
        case("get_assistant_chat", M::GET, "/assistant/chat", none(), Right::Patient).also(CUSTOMERS),
        case("rate_assistant", M::POST, "/assistant/rating", Body::Json(json!({ "score": 5 })), Right::Patient)
            .also(CUSTOMERS),
        staff("get_own_desk_agent", M::GET, "/desk/me", none()),
        staff("set_desk_status", M::PUT, "/desk/me/status", Body::Json(json!({ "status": "away" }))),
        staff("renew_desk_lease", M::POST, "/desk/me/heartbeat", none()),
        staff("list_desk_agents", M::GET, "/desk/agents", none()),
        staff("list_desk_groups", M::GET, "/desk/groups", none()),
        staff("count_desk_chats", M::GET, "/desk/counts", none()),
        staff("list_desk_chats", M::GET, "/desk/chats", none()),
        staff("get_desk_chat", M::GET, chat(""), none()),
        staff("update_desk_chat", M::PATCH, chat(""), Body::Json(json!({ "tags": ["新客户"] }))),
        staff("list_desk_messages", M::GET, chat("/messages"), none()),
        staff("send_desk_message", M::POST, chat("/messages"), Body::Json(text)),
        staff("recall_desk_message", M::POST, recall, none()),
        staff("mark_desk_chat_read", M::POST, chat("/read"), Body::Json(json!({ "seq": 1 }))),
        staff("list_desk_entries", M::GET, chat("/entries"), none()),
        staff("create_desk_note", M::POST, chat("/notes"), Body::Json(json!({ "text": "注意" }))),
        staff("get_desk_profile", M::GET, chat("/profile"), none()),
        staff("set_desk_draft", M::PUT, chat("/draft"), Body::Json(json!({ "text": "草", "isNote": false }))),
        staff("get_desk_draft", M::GET, chat("/draft"), none()),
        staff("list_desk_drafts", M::GET, "/desk/drafts", none()),
        staff("delete_desk_draft", M::DELETE, chat("/draft"), none()),
        staff("search_desk", M::GET, "/desk/search?q=x", none()),
        staff("claim_desk_chat", M::POST, chat("/claim"), none()),
        staff("release_desk_chat", M::POST, chat("/release"), Body::Json(json!({}))),
        staff("take_over_desk_chat", M::POST, chat("/take-over"), Body::Json(json!({ "reason": "换班" }))),
        staff(
            "transfer_desk_chat",
            M::POST,
            chat("/transfer"),
            Body::Json(json!({ "agentId": s.agent, "note": "请接手" })),
        ),
        staff("accept_desk_transfer", M::POST, chat("/transfer/accept"), none()),
        staff("decline_desk_transfer", M::POST, chat("/transfer/decline"), none()),
        staff("cancel_desk_transfer", M::POST, chat("/transfer/cancel"), none()),
        staff("close_desk_chat", M::POST, chat("/close"), none()),
        staff("reopen_desk_chat", M::POST, chat("/reopen"), none()),
        staff("list_canned_replies", M::GET, "/desk/canned-replies", none()),
        staff("create_canned_reply", M::POST, "/desk/canned-replies", Body::Json(kept)),
        staff("update_canned_reply", M::PATCH, canned.clone(), Body::Json(json!({ "title": "问好" }))),
        staff("delete_canned_reply", M::DELETE, canned, none()),
        staff("get_desk_report", M::GET, format!("/desk/reports?{PERIOD}"), none()),
        staff("export_desk_report", M::GET, format!("/desk/reports/csv?{PERIOD}"), none()),
        case("list_all_doctors", M::GET, "/admin/doctors?q=x", none(), Right::Admin),
        case("list_notifications", M::GET, "/admin/notifications", none(), Right::Admin),
        staff("get_assistant_settings", M::GET, "/admin/assistant", none()),
        case(
            "update_assistant_settings",
            M::PATCH,
            "/admin/assistant",
            Body::Json(json!({ "name": "助手" })),
            Right::Admin,
        ),
        case("update_desk_agent", M::PATCH, agent, Body::Json(json!({ "capacity": 3 })), Right::Admin),
    ]
}
