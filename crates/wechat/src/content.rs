//! Content checks of what people write to each other.
//!
//! A text is checked before it is passed on, within a small budget; a picture is passed on and withdrawn when the
//! verdict comes. Whom the platform does not know (61010: not in the mini-program within two hours), the own list of
//! words looks at. A doctor's words are never dropped by a machine: medical wording looks vulgar to it, so a person
//! decides. What does the messages belong to is behind [`CheckedContent`].

use std::time::Duration;

use async_trait::async_trait;
use domain::id::UserId;
use domain::page::{Page, PageRequest};
use domain::{Actor, FieldError, ObjectId, StoreError, Timestamp, text};
use metrics::{counter, histogram};
use serde_json::{Value, json};

use crate::app::{App, AppKind, Audience};
use crate::client::Call;
use crate::context::Context;
use crate::errcode::code;
use crate::error::WechatError;
use crate::identity::Identity;
use crate::ports::WechatUnit;
use crate::push::{MediaVerdict, Verdict};
use crate::reply::CallError;

/// The platform knows a person for so long after a visit; a little less, so as not to ask in vain.
const KNOWN_FOR: Duration = Duration::from_mins(115);
/// Most characters the platform checks at once.
const MAX_CHARS: usize = 2_500;
/// `scene` of the platform: a social log, the nearest to a chat.
const SCENE: u8 = 4;
/// Verdicts on pictures come within 30 minutes; a person looks after that.
pub const VERDICT_WITHIN: Duration = Duration::from_mins(35);
/// A text without a verdict is looked at again after this.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Kind of the job that looks again; its payload is `{"id": …}`.
pub const WECHAT_RECHECK: &str = "wechat_recheck";
/// Longest reason of a decision.
const MAX_REASON_CHARS: usize = 500;

/// Settings of content checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentSettings {
    pub is_enabled: bool,
    /// Longest wait for a verdict on a text.
    pub budget: Duration,
    pub on_no_verdict: OnNoVerdict,
    /// Words that make a text suspicious, in lower case.
    pub words: Vec<String>,
}

impl Default for ContentSettings {
    fn default() -> Self {
        let budget = Duration::from_millis(800);
        Self { is_enabled: true, budget, on_no_verdict: OnNoVerdict::Deliver, words: Vec::new() }
    }
}

/// What becomes of a text when the platform gives no verdict in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnNoVerdict {
    /// Passed on, and looked at again.
    Deliver,
    /// Kept back until it was looked at again.
    Hold,
}

/// Who wrote something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    Patient(UserId),
    Doctor(UserId),
}

impl Author {
    pub const fn user(self) -> UserId {
        match self {
            Self::Patient(user) | Self::Doctor(user) => user,
        }
    }

    pub const fn audience(self) -> Audience {
        match self {
            Self::Patient(_) => Audience::Patient,
            Self::Doctor(_) => Audience::Doctor,
        }
    }
}

/// Who looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checker {
    Wechat,
    Words,
}

impl Checker {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wechat => "wechat",
            Self::Words => "words",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Wechat, Self::Words].into_iter().find(|checker| checker.as_str() == text)
    }
}

/// Where a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// The verdict is still to come.
    Pending,
    Passed,
    /// A person has to decide.
    Review,
    /// Refused before it was passed on.
    Refused,
    /// Taken back after it was passed on.
    Withdrawn,
    /// A person let it stand.
    Kept,
}

impl CheckState {
    pub const ALL: [Self; 6] = [Self::Pending, Self::Passed, Self::Review, Self::Refused, Self::Withdrawn, Self::Kept];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Passed => "passed",
            Self::Review => "review",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Kept => "kept",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// One check. It names what was checked and keeps none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub id: ObjectId,
    pub app: String,
    /// Id of the message.
    pub subject: ObjectId,
    pub is_picture: bool,
    pub is_by_doctor: bool,
    pub checker: Checker,
    pub state: CheckState,
    pub verdict: Option<Verdict>,
    /// The platform's label, e.g. 20002.
    pub label: i64,
    pub trace_id: Option<String>,
    /// Kept back until decided.
    pub is_held: bool,
    pub reviewer: Option<String>,
    pub reason: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What is to be done with a message now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    Deliver,
    /// Keep it back; [`CheckedContent::release`] or [`CheckedContent::withdraw`] follows.
    Hold,
    Refuse,
}

/// The messages that are checked, as their owner offers them.
#[async_trait]
pub trait CheckedContent: Send + Sync {
    /// The words of a message, to look at it again; `None` when it is gone or no text.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn text_of(&self, message: ObjectId) -> Result<Option<String>, StoreError>;
    /// Takes back a message that was passed on or kept back. Doing it twice is fine.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn withdraw(&self, message: ObjectId) -> Result<(), StoreError>;
    /// Passes on a message that was kept back. Doing it twice is fine.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn release(&self, message: ObjectId) -> Result<(), StoreError>;
}

/// What a verdict means: for a text before it is passed on, for anything afterwards.
const fn state_of(verdict: Verdict, is_by_doctor: bool, is_delivered: bool) -> CheckState {
    match verdict {
        Verdict::Pass => CheckState::Passed,
        Verdict::Risky if !is_by_doctor && is_delivered => CheckState::Withdrawn,
        Verdict::Risky if !is_by_doctor => CheckState::Refused,
        Verdict::Review | Verdict::Risky => CheckState::Review,
    }
}

/// What the own list of words says.
fn verdict_of_words(text: &str, words: &[String]) -> Verdict {
    let lower = text.to_lowercase();
    let is_suspicious = words.iter().any(|word| !word.is_empty() && lower.contains(word.as_str()));
    if is_suspicious { Verdict::Review } else { Verdict::Pass }
}

/// Use cases of content checks.
#[derive(Clone)]
pub struct Contents {
    context: Context,
    settings: ContentSettings,
}

/// A verdict and who gave it.
struct Found {
    checker: Checker,
    verdict: Verdict,
    label: i64,
    trace_id: Option<String>,
}

impl Contents {
    pub fn new(context: Context, settings: ContentSettings) -> Self {
        Self { context, settings }
    }

    /// Looks at a text before it is passed on; takes no longer than the budget.
    ///
    /// # Errors
    /// [`WechatError::Store`] when the check could not be written down.
    pub async fn check_text(&self, message: ObjectId, author: Author, words: &str) -> Result<Ruling, WechatError> {
        if !self.settings.is_enabled {
            return Ok(Ruling::Deliver);
        }
        let known = self.recent_visit(author).await?;
        let began = std::time::Instant::now();
        let looked = match &known {
            Some((app, identity)) => {
                let asked = self.ask_about_text(app, &identity.openid, words);
                tokio::time::timeout(self.settings.budget, asked).await.unwrap_or(Err(CallError::Ambiguous))
            }
            None => Ok(self.own_look(words)),
        };
        histogram!("wechat_content_check_seconds").record(began.elapsed().as_secs_f64());
        let app_name = known.as_ref().map_or_else(String::new, |(app, _)| app.name.clone());
        let is_by_doctor = matches!(author, Author::Doctor(_));
        if let Ok(found) = looked {
            let state = state_of(found.verdict, is_by_doctor, false);
            let check = self.new_check(app_name, message, is_by_doctor, Some(found), state);
            self.record(&check, None).await?;
            return Ok(if state == CheckState::Refused { Ruling::Refuse } else { Ruling::Deliver });
        }
        let is_held = self.settings.on_no_verdict == OnNoVerdict::Hold;
        let mut check = self.new_check(app_name, message, is_by_doctor, None, CheckState::Pending);
        check.is_held = is_held;
        self.record(&check, Some(check.created_at + LOOK_AGAIN_AFTER)).await?;
        Ok(if is_held { Ruling::Hold } else { Ruling::Deliver })
    }

    /// Asks for a verdict on a picture that is passed on. `url` is signed and expires; the platform fetches it.
    ///
    /// # Errors
    /// [`WechatError::Store`] when the check could not be written down.
    pub async fn check_picture(&self, message: ObjectId, author: Author, url: &str) -> Result<Ruling, WechatError> {
        if !self.settings.is_enabled {
            return Ok(Ruling::Deliver);
        }
        let is_by_doctor = matches!(author, Author::Doctor(_));
        let known = self.recent_visit(author).await?;
        let app_name = known.as_ref().map_or_else(String::new, |(app, _)| app.name.clone());
        let trace_id = match &known {
            Some((app, identity)) => self.ask_about_picture(app, &identity.openid, url).await.ok().flatten(),
            None => None,
        };
        let is_asked = trace_id.is_some();
        // Nobody but a person can look at it where the platform does not.
        let state = if is_asked { CheckState::Pending } else { CheckState::Review };
        let mut check = self.new_check(app_name, message, is_by_doctor, None, state);
        (check.is_picture, check.trace_id) = (true, trace_id);
        let look_again = is_asked.then(|| check.created_at + VERDICT_WITHIN);
        self.record(&check, look_again).await?;
        Ok(Ruling::Deliver)
    }

    /// Looks again at what had no verdict in time.
    ///
    /// # Errors
    /// [`WechatError`] when it should be tried again.
    pub async fn recheck(&self, id: ObjectId, content: &dyn CheckedContent) -> Result<(), WechatError> {
        let mut unit = self.context.store.begin().await?;
        let Some(check) = unit.checks().lock(id).await? else { return Err(WechatError::CheckNotFound) };
        drop(unit);
        if check.state != CheckState::Pending {
            return self.carry_out(&check, content).await;
        }
        let words = if check.is_picture { None } else { content.text_of(check.subject).await? };
        let found = words.map(|words| self.own_look(&words));
        let state = match &found {
            Some(found) => state_of(found.verdict, check.is_by_doctor, true),
            None => CheckState::Review,
        };
        let decided = self.settle(id, CheckState::Pending, |check| {
            check.state = state;
            if let Some(found) = found {
                (check.checker, check.verdict, check.label) = (found.checker, Some(found.verdict), found.label);
            }
        });
        match decided.await? {
            Some(check) => self.carry_out(&check, content).await,
            None => Ok(()),
        }
    }

    /// Checks of one state. For administrators.
    ///
    /// # Errors
    /// [`WechatError::Access`].
    pub async fn list(&self, actor: &Actor, state: CheckState, page: PageRequest) -> Result<Page<Check>, WechatError> {
        actor.require_admin()?;
        Ok(self.context.store.read().checks().list(state, page).await?)
    }

    /// A person's decision about a message in the review queue; audited.
    ///
    /// # Errors
    /// [`WechatError::CheckNotFound`], [`WechatError::CheckDecided`].
    pub async fn decide(&self, actor: &Actor, id: ObjectId, keeps: bool, reason: &str) -> Result<Check, WechatError> {
        actor.require_admin()?;
        let reason = text::required("reason", reason, MAX_REASON_CHARS)?;
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        let mut check = unit.checks().lock(id).await?.ok_or(WechatError::CheckNotFound)?;
        if check.state != CheckState::Review {
            return Err(WechatError::CheckDecided);
        }
        check.state = if keeps { CheckState::Kept } else { CheckState::Withdrawn };
        (check.reviewer, check.reason, check.updated_at) = (Some(actor.label()), Some(reason.clone()), now);
        unit.checks().update(&check).await?;
        let detail = json!({ "keeps": keeps, "reason": reason, "message": check.subject });
        let event = self.context.audit(actor, "wechat.content.decide", format!("content_check:{id}"), detail);
        unit.audit().append_all(&[event]).await?;
        let mut job = self.context.job(WECHAT_RECHECK, id, now);
        job.idempotency_key.push_str(":decided");
        unit.outbox().append_all(&[job]).await?;
        unit.commit().await?;
        self.context.signal.wake();
        Ok(check)
    }

    /// Does to the message what was decided. Doing it twice is fine.
    async fn carry_out(&self, check: &Check, content: &dyn CheckedContent) -> Result<(), WechatError> {
        match check.state {
            CheckState::Withdrawn => content.withdraw(check.subject).await?,
            CheckState::Passed | CheckState::Kept if check.is_held => content.release(check.subject).await?,
            // A doctor's words wait for nobody.
            CheckState::Review if check.is_held && check.is_by_doctor => content.release(check.subject).await?,
            _ => {}
        }
        Ok(())
    }

    async fn settle(
        &self,
        id: ObjectId,
        from: CheckState,
        change: impl FnOnce(&mut Check),
    ) -> Result<Option<Check>, WechatError> {
        let mut unit = self.context.store.begin().await?;
        let found = unit.checks().lock(id).await?.filter(|check| check.state == from);
        let Some(mut check) = found else { return Ok(None) };
        change(&mut check);
        check.updated_at = self.context.clock.now();
        unit.checks().update(&check).await?;
        unit.commit().await?;
        count(&check);
        Ok(Some(check))
    }

    /// The app of the author's kind in which the platform knows the person, if there is one.
    async fn recent_visit(&self, author: Author) -> Result<Option<(App, Identity)>, WechatError> {
        let now = self.context.clock.now();
        let identities = self.context.store.read().identities().find_of_user(author.user()).await?;
        let is_recent = |identity: &Identity| identity.visited_at.is_some_and(|at| now.since(at) < KNOWN_FOR);
        let of =
            |app: &App| identities.iter().find(|identity| identity.app == app.name && is_recent(identity)).cloned();
        let mut apps = self.context.apps.of(AppKind::Miniprogram, author.audience());
        Ok(apps.find_map(|app| of(app).map(|identity| (app.clone(), identity))))
    }

    async fn ask_about_text(&self, app: &App, openid: &str, words: &str) -> Result<Found, CallError> {
        let whole = words.chars().count() <= MAX_CHARS;
        let content: String = words.chars().take(MAX_CHARS).collect();
        let body = json!({ "version": 2, "openid": openid, "scene": SCENE, "content": content });
        let call = Call::post("msg_sec_check", "/wxa/msg_sec_check", body).repeatable().within(self.settings.budget);
        let answer = match self.context.client.json(app, &call).await {
            Ok(answer) => answer,
            Err(error) if is_unknown_person(&error) => return Ok(self.own_look(words)),
            Err(error) => return Err(error),
        };
        let result = answer.get("result").ok_or(CallError::Ambiguous)?;
        let suggest = result.get("suggest").and_then(Value::as_str).and_then(Verdict::parse);
        let mut verdict = suggest.ok_or(CallError::Ambiguous)?;
        if !whole && verdict == Verdict::Pass {
            verdict = self.own_look(words).verdict;
        }
        let label = result.get("label").and_then(Value::as_i64).unwrap_or(0);
        let trace_id = answer.get("trace_id").and_then(Value::as_str).map(str::to_owned);
        Ok(Found { checker: Checker::Wechat, verdict, label, trace_id })
    }

    async fn ask_about_picture(&self, app: &App, openid: &str, url: &str) -> Result<Option<String>, CallError> {
        let body = json!({ "media_url": url, "media_type": 2, "version": 2, "scene": SCENE, "openid": openid });
        let call = Call::post("media_check_async", "/wxa/media_check_async", body).repeatable();
        let answer = self.context.client.json(app, &call).await?;
        Ok(answer.get("trace_id").and_then(Value::as_str).map(str::to_owned))
    }

    fn own_look(&self, words: &str) -> Found {
        let verdict = verdict_of_words(words, &self.settings.words);
        Found { checker: Checker::Words, verdict, label: 0, trace_id: None }
    }

    fn new_check(
        &self,
        app: String,
        subject: ObjectId,
        is_by_doctor: bool,
        found: Option<Found>,
        state: CheckState,
    ) -> Check {
        let now = self.context.clock.now();
        let (checker, verdict, label, trace_id) = match found {
            Some(found) => (found.checker, Some(found.verdict), found.label, found.trace_id),
            None => (Checker::Wechat, None, 0, None),
        };
        Check {
            id: self.context.ids.next(),
            app,
            subject,
            is_picture: false,
            is_by_doctor,
            checker,
            state,
            verdict,
            label,
            trace_id,
            is_held: false,
            reviewer: None,
            reason: None,
            created_at: now,
            updated_at: now,
        }
    }

    async fn record(&self, check: &Check, look_again_at: Option<Timestamp>) -> Result<(), WechatError> {
        let mut unit = self.context.store.begin().await?;
        unit.checks().insert(check).await?;
        if let Some(at) = look_again_at {
            unit.outbox().append_all(&[self.context.job(WECHAT_RECHECK, check.id, at)]).await?;
        }
        unit.commit().await?;
        count(check);
        Ok(())
    }
}

/// Takes in a verdict that came by push; the job that carries it out is queued with it.
pub(crate) async fn take_verdict(
    context: &Context,
    unit: &mut dyn WechatUnit,
    app: &str,
    verdict: &MediaVerdict,
) -> Result<(), StoreError> {
    let Some(id) = unit.checks().find_by_trace(app, &verdict.trace_id).await? else { return Ok(()) };
    let Some(mut check) = unit.checks().lock(id).await? else { return Ok(()) };
    if check.state != CheckState::Pending {
        return Ok(());
    }
    let now = context.clock.now();
    (check.verdict, check.label, check.updated_at) = (verdict.verdict, verdict.label, now);
    check.state = match verdict.verdict {
        Some(found) => state_of(found, check.is_by_doctor, true),
        // The platform could not fetch or read it.
        None => CheckState::Review,
    };
    unit.checks().update(&check).await?;
    count(&check);
    let mut job = context.job(WECHAT_RECHECK, id, now);
    job.idempotency_key.push_str(":verdict");
    unit.outbox().append_all(&[job]).await
}

fn is_unknown_person(error: &CallError) -> bool {
    matches!(error.code(), Some(code::NOT_RECENT_VISITOR | code::NOT_OF_THIS_APP | code::WRONG_OPENID))
}

fn count(check: &Check) {
    let (checker, state) = (check.checker.as_str(), check.state.as_str());
    counter!("wechat_content_checks_total", "checker" => checker, "state" => state).increment(1);
}

/// Reads the words of a list: one a line or separated by commas, in lower case.
///
/// # Errors
/// [`FieldError`] naming the list when a word is a single character, which would match everything.
pub fn read_words(words: &[String]) -> Result<Vec<String>, FieldError> {
    let read: Vec<String> =
        words.iter().map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty()).collect();
    if read.iter().any(|word| word.chars().count() < 2) {
        return Err(FieldError::new("words", "have at least two characters"));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doctors_words_are_reviewed_by_a_person_never_dropped() {
        for verdict in Verdict::ALL {
            for is_delivered in [false, true] {
                let state = state_of(verdict, true, is_delivered);
                assert!(matches!(state, CheckState::Passed | CheckState::Review), "{verdict:?}");
            }
        }
    }

    #[test]
    fn a_patients_risky_text_is_refused_or_taken_back() {
        assert_eq!(state_of(Verdict::Risky, false, false), CheckState::Refused);
        assert_eq!(state_of(Verdict::Risky, false, true), CheckState::Withdrawn);
        assert_eq!(state_of(Verdict::Review, false, false), CheckState::Review);
        assert_eq!(state_of(Verdict::Pass, false, true), CheckState::Passed);
    }

    #[test]
    fn the_own_list_finds_words_in_any_case_and_only_asks_for_review() {
        let words = read_words(&[" 加微信 ".to_owned(), "VIAGRA".to_owned(), String::new()]).unwrap();
        assert_eq!(verdict_of_words("请加微信详谈", &words), Verdict::Review);
        assert_eq!(verdict_of_words("buy Viagra", &words), Verdict::Review);
        assert_eq!(verdict_of_words("睡眠不好", &words), Verdict::Pass);
        assert!(read_words(&["药".to_owned()]).is_err());
    }
}
