//! Answers that agents keep ready: who sees them, how they are found, and what their variables become.

use domain::id::{AgentId, CannedReplyId, FileId};
use domain::{FieldError, Patch, Timestamp, text};
use pinyin::ToPinyin;

pub const MAX_TITLE_CHARS: usize = 60;
pub const MAX_SHORTCUT_CHARS: usize = 30;
pub const MAX_TEXT_CHARS: usize = 5_000;
pub const MAX_FILES: usize = 9;
pub const MAX_GROUP_CHARS: usize = super::agent::MAX_TAG_CHARS;
/// Most answers that one agent, or everybody together, may keep.
pub const MAX_REPLIES: usize = 1_000;

/// Who sees an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CannedScope {
    /// Only its owner.
    Personal,
    /// Agents of one group.
    Group,
    All,
}

impl CannedScope {
    pub const ALL: [Self; 3] = [Self::Personal, Self::Group, Self::All];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::Group => "group",
            Self::All => "all",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// An answer kept ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannedReply {
    pub id: CannedReplyId,
    pub scope: CannedScope,
    /// Who made it, and of a personal one who sees it.
    pub owner: AgentId,
    /// Of scope [`CannedScope::Group`].
    pub group: Option<String>,
    pub title: String,
    pub shortcut: Option<String>,
    pub text: String,
    pub files: Vec<FileId>,
    /// The title as it is typed in pinyin, without tones or spaces.
    pub pinyin: String,
    /// The first letters of it.
    pub initials: String,
    pub updated_at: Timestamp,
    pub version: i64,
}

/// What makes an answer, or a change of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CannedReplyPatch {
    pub title: Option<String>,
    pub shortcut: Patch<String>,
    pub text: Option<String>,
    pub files: Option<Vec<FileId>>,
}

impl CannedReply {
    pub fn new(id: CannedReplyId, scope: CannedScope, owner: AgentId, group: Option<String>, now: Timestamp) -> Self {
        Self {
            id,
            scope,
            owner,
            group,
            title: String::new(),
            shortcut: None,
            text: String::new(),
            files: Vec::new(),
            pinyin: String::new(),
            initials: String::new(),
            updated_at: now,
            version: 1,
        }
    }

    /// Applies a patch after checking every field of it.
    ///
    /// # Errors
    /// All fields at fault at once; nothing is changed then.
    pub fn apply(&mut self, patch: CannedReplyPatch, now: Timestamp) -> Result<(), Vec<FieldError>> {
        let mut next = self.clone();
        let mut faults = Vec::new();
        match patch.title.map(|title| text::required("title", &title, MAX_TITLE_CHARS)).transpose() {
            Ok(title) => next.title = title.unwrap_or(next.title),
            Err(fault) => faults.push(fault),
        }
        match patch.text.map(|said| text::required("text", &said, MAX_TEXT_CHARS)).transpose() {
            Ok(said) => next.text = said.unwrap_or(next.text),
            Err(fault) => faults.push(fault),
        }
        match patch.shortcut.try_map(|shortcut| text::required("shortcut", &shortcut, MAX_SHORTCUT_CHARS)) {
            Ok(shortcut) => shortcut.apply(&mut next.shortcut),
            Err(fault) => faults.push(fault),
        }
        if let Some(files) = patch.files {
            if files.len() > MAX_FILES {
                faults.push(FieldError::new("fileIds", format!("has at most {MAX_FILES} entries")));
            }
            next.files = files;
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        (next.pinyin, next.initials) = pinyin_of(&next.title);
        next.updated_at = now;
        *self = next;
        Ok(())
    }

    /// Whether an agent with these groups sees it.
    pub fn is_seen_by(&self, agent: AgentId, groups: &[String]) -> bool {
        match self.scope {
            CannedScope::Personal => self.owner == agent,
            CannedScope::Group => self.group.as_ref().is_some_and(|group| groups.contains(group)),
            CannedScope::All => true,
        }
    }

    /// Whether it is found by what somebody types: a part of title, text or shortcut, or the pinyin of the title or
    /// the first letters of it.
    pub fn matches(&self, typed: &str) -> bool {
        let typed = typed.trim().to_lowercase();
        let keys: String = typed.chars().filter(|c| c.is_alphanumeric()).collect();
        let holds = |text: &str| text.to_lowercase().contains(&typed);
        let sounds = |key: &str| !keys.is_empty() && key.contains(&keys);
        holds(&self.title)
            || holds(&self.text)
            || self.shortcut.as_deref().is_some_and(holds)
            || sounds(&self.pinyin)
            || sounds(&self.initials)
    }
}

/// A text as it is typed in pinyin, and its first letters; letters and digits stay as they are.
pub fn pinyin_of(text: &str) -> (String, String) {
    let (mut whole, mut initials) = (String::new(), String::new());
    let mut is_in_word = false;
    for c in text.chars() {
        if let Some(sound) = c.to_pinyin() {
            whole.push_str(&sound.plain().replace('ü', "v"));
            initials.push_str(sound.first_letter());
            is_in_word = false;
        } else if c.is_alphanumeric() {
            whole.extend(c.to_lowercase());
            if !is_in_word {
                initials.extend(c.to_lowercase());
            }
            is_in_word = true;
        } else {
            is_in_word = false;
        }
    }
    (whole, initials)
}

/// What the variables of answers stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    pub customer_name: String,
    pub customer_title: String,
    pub agent_name: String,
    pub assistant_name: String,
    pub date: String,
    pub time: String,
}

impl Variables {
    /// Fills the variables in; what is no variable stays as it is. Values are not looked at again.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            let found = after.split_once("}}").and_then(|(name, tail)| Some((self.value(name.trim())?, tail)));
            let (value, tail) = found.unwrap_or(("{{", after));
            filled.push_str(value);
            rest = tail;
        }
        filled.push_str(rest);
        filled
    }

    fn value(&self, name: &str) -> Option<&str> {
        Some(match name {
            "customer.name" => &self.customer_name,
            "customer.title" => &self.customer_title,
            "agent.name" => &self.agent_name,
            "assistant.name" => &self.assistant_name,
            "date" => &self.date,
            "time" => &self.time,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use domain::ObjectId;

    use super::*;

    fn reply(title: &str, said: &str) -> CannedReply {
        let id = ObjectId::from_parts(1, [0; 5], 1);
        let mut reply = CannedReply::new(id.into(), CannedScope::Personal, id.into(), None, Timestamp::EPOCH);
        let patch =
            CannedReplyPatch { title: Some(title.into()), text: Some(said.into()), ..CannedReplyPatch::default() };
        reply.apply(patch, Timestamp::EPOCH).unwrap();
        reply
    }

    #[test]
    fn answers_are_found_by_pinyin_initials_and_parts() {
        let reply = reply("退款流程 VIP2", "请在订单页申请");
        for typed in ["退款", "tuikuan", "tklc", "TKLC", "liucheng", "订单", "vip", "tui kuan"] {
            assert!(reply.matches(typed), "{typed} in {} {}", reply.pinyin, reply.initials);
        }
        for typed in ["发票", "fapiao", "xyz"] {
            assert!(!reply.matches(typed), "{typed}");
        }
        assert!(reply.matches(""), "nothing typed finds everything");
    }

    #[test]
    fn umlauts_are_typed_as_v() {
        assert_eq!(pinyin_of("女士ABC一"), ("nvshiabcyi".to_owned(), "nsay".to_owned()));
    }

    #[test]
    fn variables_are_filled_once() {
        let variables =
            Variables { customer_name: "{{agent.name}}".into(), agent_name: "小王".into(), ..Variables::default() };
        let text = "{{ customer.name }}您好，我是{{agent.name}}。{{unknown}} {{";
        assert_eq!(variables.fill(text), "{{agent.name}}您好，我是小王。{{unknown}} {{");
    }

    #[test]
    fn scopes_say_who_sees() {
        let id = |n| ObjectId::from_parts(1, [0; 5], n);
        let mut reply = reply("a", "b");
        assert!(reply.is_seen_by(id(1).into(), &[]) && !reply.is_seen_by(id(2).into(), &[]));
        (reply.scope, reply.group) = (CannedScope::Group, Some("g".into()));
        assert!(reply.is_seen_by(id(2).into(), &["g".into()]) && !reply.is_seen_by(id(1).into(), &[]));
        reply.scope = CannedScope::All;
        assert!(reply.is_seen_by(id(2).into(), &[]));
    }
}
