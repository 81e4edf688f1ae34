//! Content checks of what people write to each other.
//!
//! A text is checked before it is passed on, within a small budget; a picture is passed on and withdrawn when the
//! verdict comes. Whom the platform does not know (61010: not in the mini-program within two hours), the own list of
//! words looks at. A doctor's words are never dropped by a machine: medical wording looks vulgar to it, so a person
//! decides. What the messages belong to is behind [`CheckedContent`].

use std::time::Duration;

use async_trait::async_trait;
use domain::id::UserId;
use domain::page::{Page, PageRequest};
use domain::{Actor, FieldError, ObjectId, StoreError, Timestamp, text};
use metrics::{counter, histogram};
use serde::{Deserialize, Serialize};
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
use crate::secret::Secret;

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
/// Kind of the job that has a picture or sound looked at; its payload is a [`MediaCheck`].
pub const WECHAT_CHECK_MEDIA: &str = "wechat_check_media";
/// A picture is looked for in its conversation from then on: its message is stored right after the job was queued.
const LOOK_AT_MEDIA_AFTER: Duration = Duration::from_secs(1);
/// Longest wait for a verdict when nobody is waiting any more.
const PATIENT_BUDGET: Duration = Duration::from_secs(5);
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

    pub const fn is_doctor(self) -> bool {
        matches!(self, Self::Doctor(_))
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

/// The message that is checked. Its id is not known yet: a message is given one when it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub conversation: ObjectId,
    /// Client id of whose message it is.
    pub sender: String,
    /// The sender's own id of it.
    pub client_message_id: String,
}

/// What is looked at besides text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Medium {
    Picture,
    Sound,
}

/// A picture or sound that is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaCheck {
    /// Id of the check, however often the job runs.
    pub id: ObjectId,
    pub subject: Subject,
    pub file: ObjectId,
    pub medium: Medium,
    pub author: UserId,
    pub is_by_doctor: bool,
    /// After this the message is not expected to appear any more.
    pub until: Timestamp,
}

impl MediaCheck {
    pub const fn author(&self) -> Author {
        if self.is_by_doctor { Author::Doctor(self.author) } else { Author::Patient(self.author) }
    }
}

/// One check. It names what was checked and keeps none of it, but what is kept back until somebody decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub id: ObjectId,
    pub app: String,
    pub subject: Subject,
    pub is_picture: bool,
    /// Whose words they are.
    pub author: UserId,
    pub is_by_doctor: bool,
    pub checker: Checker,
    pub state: CheckState,
    pub verdict: Option<Verdict>,
    /// The platform's label, e.g. 20002.
    pub label: i64,
    pub trace_id: Option<String>,
    /// Kept back until decided.
    pub is_held: bool,
    /// What is kept back, sealed, as long as it is.
    pub held: Option<Vec<u8>>,
    pub reviewer: Option<String>,
    pub reason: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What is to be done with a message now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    Deliver,
    /// It was kept back; [`CheckedContent::release`] follows, or nothing.
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
    async fn text_of(&self, subject: &Subject) -> Result<Option<String>, StoreError>;
    /// Takes back a message that was passed on. Doing it twice is fine.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn withdraw(&self, subject: &Subject) -> Result<(), StoreError>;
    /// Passes on a message that was kept back, given as it was handed to [`Contents::check_text`]. Doing it twice is
    /// fine.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn release(&self, subject: &Subject, body: &str) -> Result<(), StoreError>;
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

/// What is sealed of a message that is kept back.
#[derive(Serialize, Deserialize)]
struct HeldBody {
    words: String,
    body: String,
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

    /// Whether anything is looked at at all.
    pub const fn is_enabled(&self) -> bool {
        self.settings.is_enabled
    }

    /// Looks at the words of a text before it is passed on; takes no longer than the budget. `body` is the whole message,
    /// kept sealed if it is to be kept back.
    ///
    /// # Errors
    /// [`WechatError::Store`] when the check could not be written down.
    pub async fn check_text(
        &self,
        subject: Subject,
        author: Author,
        words: &str,
        body: &str,
    ) -> Result<Ruling, WechatError> {
        if !self.settings.is_enabled {
            return Ok(Ruling::Deliver);
        }
        let began = std::time::Instant::now();
        let (app_name, looked) = self.look_at_text(author, words, self.settings.budget).await?;
        histogram!("wechat_content_check_seconds").record(began.elapsed().as_secs_f64());
        if let Ok(found) = looked {
            let state = state_of(found.verdict, author.is_doctor(), false);
            let check = self.new_check(app_name, subject, author, Some(found), state);
            self.record(&check, None).await?;
            return Ok(if state == CheckState::Refused { Ruling::Refuse } else { Ruling::Deliver });
        }
        let mut check = self.new_check(app_name, subject, author, None, CheckState::Pending);
        check.is_held = self.settings.on_no_verdict == OnNoVerdict::Hold;
        if check.is_held {
            let whole = json!(HeldBody { words: words.to_owned(), body: body.to_owned() }).to_string();
            let place = held_place(check.id);
            check.held = Some(self.context.sealer.seal(&*self.context.random, &place, &Secret::new(whole)));
        }
        self.record(&check, Some(check.created_at + LOOK_AGAIN_AFTER)).await?;
        Ok(if check.is_held { Ruling::Hold } else { Ruling::Deliver })
    }

    /// Queues a look at a picture or sound whose message is about to be stored.
    ///
    /// # Errors
    /// [`WechatError::Store`].
    pub async fn plan_media(
        &self,
        subject: Subject,
        author: Author,
        file: ObjectId,
        medium: Medium,
    ) -> Result<(), WechatError> {
        let now = self.context.clock.now();
        let until = now + Duration::from_mins(1);
        let (is_by_doctor, author) = (author.is_doctor(), author.user());
        let check = MediaCheck { id: self.context.ids.next(), subject, file, medium, author, is_by_doctor, until };
        let mut job = self.context.job(WECHAT_CHECK_MEDIA, check.id, now + LOOK_AT_MEDIA_AFTER);
        job.payload = json!(check);
        let mut unit = self.context.store.begin().await?;
        unit.outbox().append_all(&[job]).await?;
        unit.commit().await?;
        self.context.signal.wake();
        Ok(())
    }

    /// Asks for a verdict on a picture or sound that was passed on. `url` is signed and expires; the platform fetches
    /// it. A second time for the same check has no effect.
    ///
    /// # Errors
    /// [`WechatError::Store`] when the check could not be written down.
    pub async fn check_media(&self, media: &MediaCheck, url: &str) -> Result<(), WechatError> {
        if !self.settings.is_enabled {
            return Ok(());
        }
        if self.context.store.begin().await?.checks().lock(media.id).await?.is_some() {
            return Ok(());
        }
        let (author, medium) = (media.author(), media.medium);
        let known = self.recent_visit(author).await?;
        let app_name = known.as_ref().map_or_else(String::new, |(app, _)| app.name.clone());
        let trace_id = match &known {
            Some((app, identity)) => self.ask_about_media(app, &identity.openid, url, medium).await.ok().flatten(),
            None => None,
        };
        let is_asked = trace_id.is_some();
        // Nobody but a person can look at it where the platform does not.
        let state = if is_asked { CheckState::Pending } else { CheckState::Review };
        let mut check = self.new_check(app_name, media.subject.clone(), author, None, state);
        check.id = media.id;
        (check.is_picture, check.trace_id) = (medium == Medium::Picture, trace_id);
        let look_again = is_asked.then(|| check.created_at + VERDICT_WITHIN);
        self.record(&check, look_again).await
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
        let found = self.look_again(&check, content).await?;
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

    /// A second look at a text, without haste; the own list decides where the platform still says nothing.
    async fn look_again(&self, check: &Check, content: &dyn CheckedContent) -> Result<Option<Found>, WechatError> {
        if check.trace_id.is_some() {
            return Ok(None);
        }
        let words = match self.held_body(check) {
            Some(held) => Some(held.words),
            None => content.text_of(&check.subject).await?,
        };
        let Some(words) = words else { return Ok(None) };
        let (_, looked) = self.look_at_text(check.author(), &words, PATIENT_BUDGET).await?;
        Ok(Some(looked.unwrap_or_else(|_| self.own_look(&words))))
    }

    fn held_body(&self, check: &Check) -> Option<HeldBody> {
        let opened = self.context.sealer.open(&held_place(check.id), check.held.as_ref()?)?;
        serde_json::from_str(opened.expose()).ok()
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
        let is_passed_on = match check.state {
            CheckState::Passed | CheckState::Kept => true,
            // A doctor's words wait for nobody.
            CheckState::Review => check.is_by_doctor,
            _ => false,
        };
        let is_withdrawn = check.state == CheckState::Withdrawn;
        match self.held_body(check) {
            Some(held) if is_passed_on => content.release(&check.subject, &held.body).await?,
            // What was kept back was never seen by anybody: there is nothing to take back.
            Some(_) if is_withdrawn => {}
            None if is_withdrawn => return Ok(content.withdraw(&check.subject).await?),
            Some(_) | None => return Ok(()),
        }
        let mut unit = self.context.store.begin().await?;
        unit.checks().forget_held(check.id).await?;
        Ok(unit.commit().await?)
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

    /// The verdict on a text: the platform's, or the own list's where the platform does not know the person; and the
    /// name of the app it was asked in.
    async fn look_at_text(
        &self,
        author: Author,
        words: &str,
        budget: Duration,
    ) -> Result<(String, Result<Found, CallError>), WechatError> {
        let Some((app, identity)) = self.recent_visit(author).await? else {
            return Ok((String::new(), Ok(self.own_look(words))));
        };
        let asked = self.ask_about_text(&app, &identity.openid, words, budget);
        let looked = tokio::time::timeout(budget, asked).await.unwrap_or(Err(CallError::Ambiguous));
        Ok((app.name, looked))
    }

    async fn ask_about_text(&self, app: &App, openid: &str, words: &str, budget: Duration) -> Result<Found, CallError> {
        let whole = words.chars().count() <= MAX_CHARS;
        let content: String = words.chars().take(MAX_CHARS).collect();
        let body = json!({ "version": 2, "openid": openid, "scene": SCENE, "content": content });
        let call = Call::post("msg_sec_check", "/wxa/msg_sec_check", body).repeatable().within(budget);
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

    async fn ask_about_media(
        &self,
        app: &App,
        openid: &str,
        url: &str,
        medium: Medium,
    ) -> Result<Option<String>, CallError> {
        let media_type = match medium {
            Medium::Sound => 1,
            Medium::Picture => 2,
        };
        let body =
            json!({ "media_url": url, "media_type": media_type, "version": 2, "scene": SCENE, "openid": openid });
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
        subject: Subject,
        author: Author,
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
            author: author.user(),
            is_by_doctor: author.is_doctor(),
            checker,
            state,
            verdict,
            label,
            trace_id,
            is_held: false,
            held: None,
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

impl Check {
    fn author(&self) -> Author {
        if self.is_by_doctor { Author::Doctor(self.author) } else { Author::Patient(self.author) }
    }
}

fn held_place(check: ObjectId) -> String {
    format!("held:{check}")
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
