//! The enumerations of the wire, each tied to its word in the domain.

use consultation::{consultation as episode, desk_task, notification};
use domain::certification;
use domain::gender;
use domain::outbox;
use im::desk::{agent, canned, chat, entry};
use poem_openapi::Enum;
use sms::{breaker, class, provider};
use wechat::{app, content, message, push, service_message};

/// An enumeration of the wire and its conversions; a word added below that is missing here does not compile.
macro_rules! wire_words {
    ($(#[$doc:meta])* $name:ident = $domain:path { $($(#[$variant_doc:meta])* $variant:ident = $wire:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
        pub enum $name {
            $($(#[$variant_doc])* #[oai(rename = $wire)] $variant),+
        }

        impl From<$domain> for $name {
            fn from(word: $domain) -> Self {
                use $domain as Word;
                match word {
                    $(Word::$variant => Self::$variant),+
                }
            }
        }

        impl From<$name> for $domain {
            fn from(word: $name) -> Self {
                match word {
                    $($name::$variant => Self::$variant),+
                }
            }
        }

        #[cfg(test)]
        impl $name {
            /// Every wire word beside the domain's own.
            fn spellings() -> Vec<(&'static str, &'static str)> {
                vec![$(($wire, <$domain>::from(Self::$variant).as_str())),+]
            }
        }
    };
}

wire_words! {
    /// Whether a task of the desk is still to be looked after.
    DeskTaskState = desk_task::DeskTaskState { Open = "open", Closed = "closed" }
}

wire_words! {
    /// Gender.
    Gender = gender::Gender { Male = "male", Female = "female", Unknown = "unknown" }
}

wire_words! {
    /// State of a doctor's certification: "0" not certified, "1" certified, "2" under review, "3" rejected.
    CertificationState = certification::Certification {
        None = "0", Certified = "1", UnderReview = "2", Rejected = "3",
    }
}

wire_words! {
    /// Where a consultation stands: "0" started and not answered yet, "1" being answered, "2" ended.
    ConsultationStatus = episode::Status { New = "0", Replying = "1", Ended = "2" }
}

wire_words! {
    /// How the doctor is consulted.
    ConsultationType = episode::ConsultationType { Normal = "normal", Phone = "phone" }
}

wire_words! {
    /// Why a consultation is over.
    EndReason = episode::EndReason {
        Declined = "declined",
        Completed = "completed",
        Cancelled = "cancelled",
        CompletedByPatient = "completed_by_patient",
        ExpiredNoReply = "expired_no_reply",
        IdleTimeout = "idle_timeout",
        MaxDuration = "max_duration",
        Blocked = "blocked",
        DoctorUnavailable = "doctor_unavailable",
        Voided = "voided",
        AccountClosed = "account_closed",
        Superseded = "superseded",
        Imported = "imported",
    }
}

wire_words! {
    /// What a conversation is about: the dialog of a consultation, a chat with the assistant, or neither.
    ConversationKind = im::ConversationKind {
        Consultation = "consultation", Assistant = "assistant", Direct = "direct",
    }
}

wire_words! {
    /// What kind of client a member of a conversation is.
    MemberKind = im::MemberKind { Patient = "patient", Doctor = "doctor", Assistant = "assistant", Other = "other" }
}

wire_words! {
    /// What a notification is about.
    NotificationCause = notification::Cause {
        Initiated = "initiated",
        RepeatInitiate = "repeat_initiate",
        PatientMessage = "patient_message",
        DoctorMessage = "doctor_message",
        OwnMessage = "own_message",
        SystemMessage = "system_message",
        Ended = "ended",
        Reopened = "reopened",
        AboutToExpire = "about_to_expire",
        Escalation = "escalation",
        AssistantAnswer = "assistant_answer",
        CertificationApproved = "certification_approved",
        CertificationRejected = "certification_rejected",
        CertificationRevoked = "certification_revoked",
    }
}

wire_words! {
    /// Why somebody was told, is told later, or was not told.
    NotificationReason = notification::Reason {
        ConsultationClosed = "CONSULTATION_CLOSED",
        RelationBlocked = "RELATION_BLOCKED",
        DoctorNotAuthenticated = "DOCTOR_NOT_AUTHENTICATED",
        ConsultingOff = "CONSULTING_OFF",
        TypeOff = "TYPE_OFF",
        NotNotifiable = "NOT_NOTIFIABLE",
        OnlineViewing = "ONLINE_VIEWING",
        Coalesced = "COALESCED",
        OutsideWindow = "OUTSIDE_WINDOW",
        NoChannel = "NO_CHANNEL",
        HoursInvalid = "HOURS_INVALID",
        HoursUnset = "HOURS_UNSET",
        InsideWindow = "INSIDE_WINDOW",
        Always = "ALWAYS",
    }
}

wire_words! {
    /// What has become of a notification.
    NotificationState = notification::NotificationState {
        Queued = "queued", Sent = "sent", Suppressed = "suppressed", Cancelled = "cancelled", Failed = "failed",
    }
}

wire_words! {
    /// The way a notification leaves.
    NotificationChannel = notification::Channel { Wechat = "wechat", Sms = "sms" }
}

wire_words! {
    /// State of a background job.
    JobState = outbox::JobState { Queued = "queued", Dead = "dead", Done = "done", Discarded = "discarded" }
}

wire_words! {
    /// What a WeChat app is.
    WechatAppKind = app::AppKind { Miniprogram = "miniprogram", ServiceAccount = "service_account" }
}

wire_words! {
    /// Whose WeChat app it is.
    WechatAudience = app::Audience { Patient = "patient", Doctor = "doctor" }
}

wire_words! {
    /// Which interface a message leaves by.
    WechatMessageKind = message::MessageKind { Subscribe = "subscribe", Template = "template", Custom = "custom" }
}

wire_words! {
    /// Where a message by WeChat stands.
    WechatMessageState = message::MessageState {
        Queued = "queued",
        Sending = "sending",
        Accepted = "accepted",
        Refused = "refused",
        Unknown = "unknown",
        Expired = "expired",
    }
}

wire_words! {
    /// Where a content check stands.
    ContentCheckState = content::CheckState {
        Pending = "pending",
        Passed = "passed",
        Review = "review",
        Refused = "refused",
        Withdrawn = "withdrawn",
        Kept = "kept",
    }
}

wire_words! {
    /// What a content check found.
    ContentVerdict = push::Verdict { Pass = "pass", Review = "review", Risky = "risky" }
}

wire_words! {
    /// What somebody sent in the customer-service session.
    WechatInboundKind = service_message::InboundKind { Text = "text", Image = "image", Other = "other" }
}

wire_words! {
    /// A way text messages leave.
    SmsProvider = provider::ProviderName { Aliyun = "aliyun", Tencent = "tencent", Webhook = "webhook", Log = "log" }
}

wire_words! {
    /// What a text message is for.
    SmsKind = sms::message::TemplateKind { Code = "code", Notice = "notice" }
}

wire_words! {
    /// What has become of a text message.
    SmsState = sms::message::MessageState {
        Queued = "queued",
        Submitting = "submitting",
        Accepted = "accepted",
        Rejected = "rejected",
        Unknown = "unknown",
        Delivered = "delivered",
        Failed = "failed",
        Expired = "expired",
    }
}

wire_words! {
    /// What has become of one submission of a text message.
    SmsAttemptState = sms::message::AttemptState {
        Submitting = "submitting", Accepted = "accepted", Refused = "refused", Unknown = "unknown", Absent = "absent",
    }
}

wire_words! {
    /// What a provider's code means.
    SmsErrorClass = class::ErrorClass {
        Config = "config",
        Clock = "clock",
        Resign = "resign",
        Request = "request",
        Content = "content",
        Recipient = "recipient",
        UserLimit = "user_limit",
        Account = "account",
        Throttle = "throttle",
        Transient = "transient",
        Unknown = "unknown",
        PerRecipient = "per_recipient",
        Route = "route",
        Pending = "pending",
        Delivered = "delivered",
    }
}

wire_words! {
    /// Whether a provider is used, left alone for a while, or tried with one message.
    SmsBreakerState = breaker::BreakerState { Closed = "closed", Open = "open", HalfOpen = "half_open" }
}

wire_words! {
    /// Where a chat with the assistant stands.
    ChatStatus = chat::ChatStatus { Idle = "idle", Queued = "queued", Assigned = "assigned", Closed = "closed" }
}

wire_words! {
    /// Whose turn it is.
    ChatTurn = chat::Turn { WaitingUser = "waiting_user", WaitingAgent = "waiting_agent" }
}

wire_words! {
    /// Why this agent has the chat.
    AssignReason = chat::AssignReason {
        Sticky = "sticky",
        LeastLoaded = "least_loaded",
        Claimed = "claimed",
        TakenOver = "taken_over",
        Transferred = "transferred",
        Reopened = "reopened",
    }
}

wire_words! {
    /// Why a chat is over: an agent closed it, or the customer said nothing for too long.
    ChatCloseReason = chat::CloseReason { Agent = "agent", Idle = "idle", AccountClosed = "account_closed" }
}

wire_words! {
    /// Which aim is meant.
    SlaKind = chat::SlaKind { FirstReply = "first_reply", NextReply = "next_reply", Resolve = "resolve" }
}

wire_words! {
    /// Whether an agent is there and given chats, there without being given any, or gone.
    DeskStatus = agent::DeskStatus { Online = "online", Away = "away", Offline = "offline" }
}

wire_words! {
    /// Who sees an answer that is kept ready.
    CannedScope = canned::CannedScope { Personal = "personal", Group = "group", All = "all" }
}

wire_words! {
    /// What stands between the messages of a chat, for agents only.
    DeskEntryKind = entry::EntryKind {
        Note = "note",
        Queued = "queued",
        Assigned = "assigned",
        Released = "released",
        Requeued = "requeued",
        Offered = "offered",
        Accepted = "accepted",
        Declined = "declined",
        TakenOver = "taken_over",
        Warned = "warned",
        Closed = "closed",
        Reopened = "reopened",
        Rated = "rated",
        Tags = "tags",
        Remark = "remark",
        Blocked = "blocked",
        Unblocked = "unblocked",
        Priority = "priority",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_and_the_domain_spell_alike() {
        let all = [
            DeskTaskState::spellings(),
            Gender::spellings(),
            CertificationState::spellings(),
            ConsultationStatus::spellings(),
            ConsultationType::spellings(),
            EndReason::spellings(),
            ConversationKind::spellings(),
            MemberKind::spellings(),
            NotificationCause::spellings(),
            NotificationReason::spellings(),
            NotificationState::spellings(),
            NotificationChannel::spellings(),
            JobState::spellings(),
            WechatAppKind::spellings(),
            WechatAudience::spellings(),
            WechatMessageKind::spellings(),
            WechatMessageState::spellings(),
            ContentCheckState::spellings(),
            ContentVerdict::spellings(),
            WechatInboundKind::spellings(),
            SmsProvider::spellings(),
            SmsKind::spellings(),
            SmsState::spellings(),
            SmsAttemptState::spellings(),
            SmsErrorClass::spellings(),
            SmsBreakerState::spellings(),
            ChatStatus::spellings(),
            ChatTurn::spellings(),
            AssignReason::spellings(),
            ChatCloseReason::spellings(),
            SlaKind::spellings(),
            DeskStatus::spellings(),
            CannedScope::spellings(),
            DeskEntryKind::spellings(),
        ];
        for (wire, domain) in all.into_iter().flatten() {
            assert_eq!(wire, domain);
        }
    }
}
