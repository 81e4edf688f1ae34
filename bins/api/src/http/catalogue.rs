//! Every stable error code with its titles and kind. `docs/errors.md` is generated from here.
//!
//! Codes are public promises: add freely, never rename or remove.

use std::fmt::Write;

use domain::ErrorKind;
use domain::ErrorKind::{
    Conflict, Forbidden, Internal, Invalid, NotFound, RateLimited, TooLarge, Unauthenticated, Unavailable,
    UnsupportedMedia,
};

/// One code that a client may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub code: &'static str,
    pub kind: ErrorKind,
    /// Title for `Accept-Language: zh`, the default.
    pub zh: &'static str,
    /// Title for `Accept-Language: en`.
    pub en: &'static str,
}

const fn entry(code: &'static str, kind: ErrorKind, zh: &'static str, en: &'static str) -> Entry {
    Entry { code, kind, zh, en }
}

/// Codes that the transport itself gives.
pub mod code {
    pub const INVALID: &str = "request.invalid";
    pub const MALFORMED_JSON: &str = "request.malformed_json";
    pub const UNKNOWN_PATH: &str = "request.unknown_path";
    pub const METHOD_NOT_ALLOWED: &str = "request.method_not_allowed";
    pub const TOO_LARGE: &str = "request.too_large";
    pub const UNSUPPORTED_MEDIA: &str = "request.unsupported_media";
    pub const TIMEOUT: &str = "request.timeout";
    pub const SESSION_NOT_VALID: &str = "session.not_valid";
    pub const BUSY: &str = "server.busy";
    pub const STOPPING: &str = "server.stopping";
    pub const INTERNAL: &str = "server.internal";
}

/// All codes, sorted.
pub const ENTRIES: &[Entry] = &[
    entry(
        "CLIENT_MESSAGE_ID_CONFLICT",
        Conflict,
        "该消息编号已用于另一条消息",
        "Another message was sent under this client message id",
    ),
    entry("CONSULTATION_ENDED", Conflict, "本次咨询已结束，请重新发起", "The consultation has ended"),
    entry("DOCTOR_CLOSED", Conflict, "医生暂不接诊", "The doctor is not taking consultations"),
    entry("DOCTOR_NOT_AUTHENTICATED", Forbidden, "医生尚未通过认证", "The doctor is not certified"),
    entry("MESSAGE_LIMIT", Conflict, "本次咨询的消息条数已达上限", "The consultation has reached its message limit"),
    entry("RELATION_BLOCKED", Forbidden, "暂时无法向该医生发起咨询", "The doctor cannot be consulted at the moment"),
    entry("TYPE_NOT_OPEN", Conflict, "医生未开通此类咨询", "The doctor does not offer this type of consultation"),
    entry("access.forbidden", Forbidden, "没有权限", "Not allowed"),
    entry("access.not_found", NotFound, "内容不存在", "Not found"),
    entry("access.unauthenticated", Unauthenticated, "请先登录", "Sign in first"),
    entry(
        "account.closure_unproven",
        Forbidden,
        "注销账号需要验证手机号或重新登录",
        "Closing the account needs proof of its number or a recent sign-in",
    ),
    entry(
        "agent.last_admin",
        Conflict,
        "至少需要保留一名启用的管理员",
        "At least one administrator has to stay enabled",
    ),
    entry("agent.not_found", NotFound, "客服账号不存在", "Agent not found"),
    entry("agent.username_taken", Conflict, "该用户名已被使用", "The user name is taken"),
    entry(
        "app.unauthorized",
        Unauthenticated,
        "应用凭证缺失或错误",
        "The application credentials are missing or wrong",
    ),
    entry("assistant.blocked", Forbidden, "暂时无法向助手发送消息", "The assistant takes no messages from you"),
    entry("assistant.cannot_rate", Conflict, "当前没有可评分的服务", "There is nothing to rate"),
    entry("assistant.disabled", Unavailable, "官方助手暂未开放", "The assistant is switched off"),
    entry("captcha.needed", Invalid, "请先完成人机验证", "A captcha has to be solved first"),
    entry("captcha.not_accepted", Invalid, "人机验证无效或已过期", "The captcha is wrong, used or expired"),
    entry("certification.pictures_missing", Invalid, "缺少证件照片", "Certification pictures are missing"),
    entry(
        "certification.wrong_state",
        Conflict,
        "当前认证状态不允许此操作",
        "The certification state does not allow this",
    ),
    entry("consultation.not_found", NotFound, "咨询不存在", "Consultation not found"),
    entry(
        "consultation.wrong_status",
        Conflict,
        "当前咨询状态不允许此操作",
        "The consultation's status does not allow this",
    ),
    entry("conversation.not_found", NotFound, "会话不存在", "Conversation not found"),
    entry("desk.agent_away", Conflict, "该客服当前不在线", "The agent is not there"),
    entry("desk.agent_not_found", NotFound, "客服不存在", "Agent not found"),
    entry("desk.canned_reply_not_found", NotFound, "快捷回复不存在", "Canned reply not found"),
    entry("desk.chat_not_found", NotFound, "会话不存在", "Chat not found"),
    entry("desk.no_offer", Conflict, "没有待接受的转接", "Nobody has offered this chat"),
    entry("desk.no_room", Conflict, "接待数已达上限", "The agent has as many chats as they may have"),
    entry("desk.not_yours", Forbidden, "该会话由其他客服接待", "Another agent has this chat"),
    entry("desk.offline", Conflict, "请先上线", "Go online first"),
    entry("desk.taken", Conflict, "该会话已被其他客服接入", "Another agent was faster"),
    entry("desk.too_many_canned_replies", Conflict, "快捷回复数量已达上限", "No more canned replies can be kept"),
    entry("desk.wrong_status", Conflict, "当前会话状态不允许此操作", "The chat does not allow this now"),
    entry("desk_task.closed", Conflict, "该任务已处理", "The task was closed already"),
    entry("desk_task.not_found", NotFound, "任务不存在", "Task not found"),
    entry("doctor.no_profile", NotFound, "尚未创建医生资料", "There is no doctor's profile yet"),
    entry("doctor.not_found", NotFound, "医生不存在", "Doctor not found"),
    entry("file.link_not_accepted", Forbidden, "下载地址无效或已过期", "The download address is wrong or has expired"),
    entry("file.not_found", NotFound, "文件不存在", "File not found"),
    entry(
        "file.store_unavailable",
        Unavailable,
        "文件服务暂时不可用，请稍后重试",
        "The file store is not available at the moment",
    ),
    entry("file.too_large", TooLarge, "文件过大", "The file is too large"),
    entry("file.too_many", RateLimited, "上传过于频繁，请稍后再试", "Too many files were uploaded"),
    entry("file.type_refused", UnsupportedMedia, "不支持此类文件", "Files of this type are not accepted"),
    entry("idempotency.in_progress", Conflict, "相同的请求正在处理中", "The same request is still being worked on"),
    entry(
        "idempotency.mismatch",
        Conflict,
        "该幂等键已用于另一个请求",
        "The idempotency key was used for a different request",
    ),
    entry("im.frame_out_of_place", Conflict, "此时不能发送这种消息帧", "A frame of this type cannot come here"),
    entry("im.malformed_frame", Invalid, "消息帧格式有误", "The frame is malformed"),
    entry("im.too_many_frames", RateLimited, "发送过于频繁，请稍后再试", "Frames come too fast"),
    entry("invitation.not_usable", NotFound, "邀请码无效或已过期", "The invitation is not valid any more"),
    entry("job.not_found", NotFound, "任务不存在", "The job was not found among those given up"),
    entry("message.content_refused", Invalid, "消息内容未通过审核", "The message was refused by the content check"),
    entry(
        "message.held",
        Conflict,
        "消息正在审核，通过后将自动发送",
        "The message is being checked and is passed on by itself",
    ),
    entry("message.not_found", NotFound, "消息不存在", "Message not found"),
    entry(
        "message.outcome_unknown",
        Unavailable,
        "发送结果未知，请用同一消息编号重发",
        "The outcome is not known; send it again under the same client message id",
    ),
    entry("message.recall_too_late", Conflict, "已超过可撤回时间", "The message can no longer be recalled"),
    entry("password.not_processed", Internal, "服务器内部错误", "Internal server error"),
    entry("patient.not_found", NotFound, "患者不存在", "Patient not found"),
    entry(
        "phone.change_unproven",
        Forbidden,
        "更换手机号需要验证原号码或重新登录",
        "Changing the number needs proof of the old one or a recent sign-in",
    ),
    entry("phone.missing", Conflict, "账号没有已验证的手机号", "The account has no verified phone number"),
    entry("phone.taken", Conflict, "该手机号已属于其他账号", "The phone number belongs to another account"),
    entry("relation.not_found", NotFound, "医患关系不存在", "Relation not found"),
    entry(code::INVALID, Invalid, "请求内容有误", "The request is not valid"),
    entry("request.malformed", Invalid, "请求格式有误", "The request is malformed"),
    entry(code::MALFORMED_JSON, Invalid, "请求不是有效的 JSON", "The request is not valid JSON"),
    entry(code::METHOD_NOT_ALLOWED, NotFound, "该地址不支持此方法", "The method is not supported here"),
    entry(code::TIMEOUT, Unavailable, "处理超时，请稍后重试", "The request took too long"),
    entry(code::TOO_LARGE, TooLarge, "请求内容过大", "The request is too large"),
    entry(code::UNKNOWN_PATH, NotFound, "地址不存在", "There is nothing at this address"),
    entry(code::UNSUPPORTED_MEDIA, UnsupportedMedia, "不支持的内容类型", "The content type is not supported"),
    entry(code::BUSY, Unavailable, "服务繁忙，请稍后重试", "The server is busy"),
    entry(code::INTERNAL, Internal, "服务器内部错误", "Internal server error"),
    entry(code::STOPPING, Unavailable, "服务正在重启，请稍后重试", "The server is stopping"),
    entry(
        code::SESSION_NOT_VALID,
        Unauthenticated,
        "登录已失效，请重新登录",
        "The session is unknown, revoked or expired",
    ),
    entry("sign_in.failed", Unauthenticated, "用户名或密码错误", "Name and password do not match"),
    entry("sign_in.throttled", RateLimited, "尝试次数过多，请稍后再试", "Too many attempts to sign in"),
    entry("sms.message_not_found", NotFound, "短信记录不存在", "The text message was not found"),
    entry("sms.not_sent", Unavailable, "短信发送失败，请稍后重试", "The text message could not be sent"),
    entry("sms.over_budget", Unavailable, "今日短信预算已用完", "The budget for text messages is used up for today"),
    entry("sms.refused", Conflict, "该号码无法接收此短信", "The number cannot receive this text message"),
    entry("sms.reply_not_found", NotFound, "短信回复不存在", "The reply was not found"),
    entry("sms.too_many", RateLimited, "该号码今日接收的短信已达上限", "This number got enough text messages for now"),
    entry("sms_code.not_accepted", Invalid, "验证码错误、已使用或已过期", "The code is wrong, used or expired"),
    entry(
        "sms_code.number_locked",
        RateLimited,
        "该号码因多次输错验证码已被锁定",
        "The number is locked after too many wrong codes",
    ),
    entry("sms_code.number_not_served", Invalid, "暂不支持该号码", "Numbers of this country or range are not served"),
    entry("sms_code.too_many", RateLimited, "验证码发送过于频繁，请稍后再试", "Too many codes were asked for"),
    entry("sms_code.too_many_failures", RateLimited, "验证码错误次数过多，请稍后再试", "Too many wrong codes"),
    entry("store.conflict", Conflict, "内容已被他人修改，请刷新后重试", "Somebody else changed this at the same time"),
    entry("store.corrupt", Internal, "服务器内部错误", "Internal server error"),
    entry("store.unavailable", Unavailable, "服务暂时不可用，请稍后重试", "The service is not available at the moment"),
    entry("user.email_taken", Conflict, "该邮箱已属于其他账号", "The e-mail address belongs to another account"),
    entry("user.identity_taken", Conflict, "该第三方身份已绑定其他账号", "The identity belongs to another account"),
    entry("user.identity_unknown", NotFound, "该第三方身份尚未注册", "Nobody signs in with this identity yet"),
    entry("user.name_taken", Conflict, "该用户名已被使用", "The user name is taken"),
    entry("user.password_set", Conflict, "已设置密码，请使用旧密码修改", "A password is set already"),
    entry("wechat.app_fault", Unavailable, "微信服务暂时不可用", "WeChat refuses this app; an operator has to act"),
    entry("wechat.app_not_found", NotFound, "微信应用不存在", "There is no such WeChat app here"),
    entry("wechat.check_decided", Conflict, "该内容已处理", "The content check was decided already"),
    entry("wechat.check_not_found", NotFound, "内容审核记录不存在", "The content check was not found"),
    entry(
        "wechat.code_not_accepted",
        Invalid,
        "微信授权已失效，请重试",
        "WeChat does not accept the code; ask for a new one",
    ),
    entry(
        "wechat.force_not_allowed",
        RateLimited,
        "强制刷新每天最多20次，且间隔不少于30秒",
        "A forced refresh is possible 20 times a day and 30 seconds after the last",
    ),
    entry("wechat.message_not_found", NotFound, "消息不存在", "The message was not found"),
    entry("wechat.no_session", Conflict, "请先使用微信登录", "There is no session with WeChat; sign in with it first"),
    entry("wechat.phone_not_accepted", Forbidden, "手机号授权无效", "The phone number was not given to this app"),
    entry("wechat.refused", Unavailable, "微信拒绝了该请求", "WeChat refused the request"),
    entry("wechat.sign_in_blocked", Forbidden, "微信登录存在风险，已被拦截", "WeChat blocks this sign-in as risky"),
    entry("wechat.too_many", RateLimited, "操作过于频繁，请稍后再试", "WeChat limits how often this may be done"),
    entry(
        "wechat.unavailable",
        Unavailable,
        "微信服务暂时不可用，请稍后重试",
        "WeChat cannot be reached at the moment",
    ),
    entry(
        "wechat.window_closed",
        Conflict,
        "对方近期未发送消息，暂时无法回复",
        "The person has to write first; WeChat allows no message now",
    ),
];

/// The entry of a code.
pub fn find(code: &str) -> Option<&'static Entry> {
    ENTRIES.binary_search_by(|entry| entry.code.cmp(code)).ok().and_then(|at| ENTRIES.get(at))
}

/// HTTP status of a kind; `problem.rs` answers with the same.
pub const fn status_of(kind: ErrorKind) -> u16 {
    match kind {
        Invalid => 400,
        Unauthenticated => 401,
        Forbidden => 403,
        NotFound => 404,
        Conflict => 409,
        TooLarge => 413,
        UnsupportedMedia => 415,
        RateLimited => 429,
        Internal => 500,
        Unavailable => 503,
    }
}

/// The text of `docs/errors.md`.
pub fn markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for entry in ENTRIES {
        let status = if entry.code == code::METHOD_NOT_ALLOWED { 405 } else { status_of(entry.kind) };
        let _ = writeln!(page, "| `{}` | {status} | {} | {} |", entry.code, entry.zh, entry.en);
    }
    page
}

const INTRODUCTION: &str = "\
# Error codes

Generated by `zhaoguan-api openapi --errors docs/errors.md`; a test fails when it is out of date.

Errors of the native API are `application/problem+json` (RFC 9457):

```json
{
  \"type\": \"urn:zhaoguan:error:request.invalid\",
  \"title\": \"请求内容有误\",
  \"status\": 400,
  \"code\": \"request.invalid\",
  \"detail\": \"some fields are not as they should be\",
  \"request_id\": \"6741a3f0c2a1b40012345678\",
  \"errors\": [{ \"field\": \"birthday\", \"message\": \"must not be in the future\" }]
}
```

`code` is stable: codes are added, never renamed. `title` follows `Accept-Language` (`zh` unless `en` is preferred).
`detail` and `errors` are for developers and never quote what was sent; problems with status 500 have no `detail`.
`request_id` names the request in the server's log. 429 and some 503 answers carry `Retry-After` in seconds.

| code | status | 中文 | English |
|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(ENTRIES.is_sorted_by(|a, b| a.code < b.code));
        assert!(ENTRIES.iter().all(|e| find(e.code) == Some(e)));
        assert_eq!(find("no.such_code"), None);
    }

    /// The text literals inside every `fn code(&self)` of the workspace's crates.
    fn codes_in_the_source(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                codes_in_the_source(&entry, found);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&entry).unwrap();
                for body in text.split("fn code(&self) -> &'static str {").skip(1) {
                    let body = body.split("\n    }").next().unwrap();
                    found.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
                }
            }
        }
    }

    #[test]
    fn every_code_an_error_can_have_is_listed() {
        let mut found = BTreeSet::new();
        codes_in_the_source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates"), &mut found);
        assert!(found.contains("RELATION_BLOCKED") && found.contains("store.conflict"), "{found:?}");
        // Errors of the importer reach an operator's terminal, never a client.
        found.retain(|code| !code.starts_with("import."));
        let missing: Vec<&String> = found.iter().filter(|code| find(code).is_none()).collect();
        assert!(missing.is_empty(), "not in the catalogue: {missing:?}");
    }
}
