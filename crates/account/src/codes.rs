//! Asking for an SMS code and answering with it.
//!
//! Everything is counted and committed before a message leaves, and a message leaves whether or not the
//! number belongs to an account, so neither answer nor timing tells. A message that no provider took stays
//! counted: whether it was sent after all cannot be known.
//!
//! Asking again for the same, while the code is still worth waiting for, sends the same code once more, another way
//! if there is one: whichever message arrives works, and the tries that are left stay as they are. Otherwise a new
//! challenge is made; an earlier one stays valid until it expires. Failures are counted per number over all of them.

use domain::actor::AccessError;
use domain::id::ChallengeId;
use domain::sms::{SmsRequest, SmsResend};
use domain::time::span;
use domain::{Actor, Phone, Timestamp};
use serde_json::json;
use std::time::Duration;
use subtle::ConstantTimeEq;

use crate::AccountError;
use crate::captcha::CaptchaTask;
use crate::challenge::{Challenge, ChallengeRef, Code, MAX_DEVICE_ID_BYTES, Origin, Purpose};
use crate::counter::{GuardKey, GuardScope, Ledger, LedgerKey, LedgerScope, Locked, OneTime};
use crate::limits::{CaptchaState, OVERALL_GRAIN, SendCounts, SendRefusal, SendRequest, address_group};
use crate::service::Accounts;
use crate::unit::AccountUnit;

/// The logical template of all codes; its variables are `code` and `minutes`.
pub const CODE_TEMPLATE: &str = "login_code";

/// A code is sent again only if it is still valid for so long after that.
const WORTH_SENDING_AGAIN: Duration = span::minutes(1);

/// Marks older than the longest window are of no use.
const KEEP_MARKS: Duration = span::hours(25);

/// A request for a code.
#[derive(Clone)]
pub struct CodeRequest {
    pub purpose: Purpose,
    pub phone: Phone,
    pub origin: Origin,
    /// The answer to a [`CaptchaTask`].
    pub captcha: Option<String>,
    /// Whether the answer may name the number instead of the challenge.
    pub is_findable_by_phone: bool,
    /// From a client that cannot solve captchas: one is asked for only while the server is under attack.
    pub is_spared_captcha: bool,
}

/// A code is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuedChallenge {
    /// Has to be sent back with the code.
    pub id: ChallengeId,
    pub expires_at: Timestamp,
    /// Not before this can another one be asked for.
    pub resend_at: Timestamp,
}

/// An answer to a challenge.
#[derive(Clone)]
pub struct CodeCheck {
    pub purpose: Purpose,
    pub challenge: ChallengeRef,
    pub code: String,
    pub origin: Origin,
}

/// What became of an answer.
pub(crate) enum CodeVerdict {
    /// To be committed with [`Accounts::commit_accepted`] at the end of the unit.
    Right(Challenge),
    /// To be committed at once, or the try would not count.
    Wrong(AccountError),
}

impl Accounts {
    /// A captcha to be solved before the next request for a code.
    pub fn captcha_task(&self) -> CaptchaTask {
        self.captcha.task(self.clock.now())
    }

    /// Sends a code to a number.
    ///
    /// # Errors
    /// [`AccountError::NumberNotServed`], [`AccountError::NumberLocked`], [`AccountError::TooManyCodes`],
    /// [`AccountError::CaptchaNeeded`], [`AccountError::CaptchaNotAccepted`], [`AccountError::SmsNotSent`];
    /// [`AccountError::Access`] when the purpose needs a session.
    pub async fn request_code(&self, actor: &Actor, request: CodeRequest) -> Result<IssuedChallenge, AccountError> {
        authorize(actor, request.purpose)?;
        let now = self.clock.now();
        let policy = &self.settings.codes;
        if !policy.serves(&request.phone) {
            return Err(AccountError::NumberNotServed);
        }
        let captcha = match &request.captcha {
            Some(answer) => Some(self.captcha.verify(answer, now).await.ok_or(AccountError::CaptchaNotAccepted)?),
            None => None,
        };
        let code = Code::generate(self.random.as_ref());
        let challenge = self.challenge(actor, &request, &code, now)?;

        let mut unit = self.store.begin().await?;
        self.check_own_number(unit.as_mut(), &challenge).await?;
        let guard = unit.counters().lock_guard(&self.phone_guard(&request.phone)).await?;
        guard.check(&policy.guard, now).map_err(|Locked { wait }| AccountError::NumberLocked { wait })?;
        self.reserve(unit.as_mut(), actor, &request, captcha, now).await?;
        let open = unit.challenges().find_open(&request.phone, request.purpose, now).await?;
        let is_again = |c: &Challenge| c.is_asked_like(&challenge) && c.expires_at >= now + WORTH_SENDING_AGAIN;
        if let Some(earlier) = open.into_iter().find(is_again) {
            self.record_request(unit.as_mut(), actor, &earlier, true).await?;
            unit.commit().await?;
            if self.send_again(&earlier).await? {
                return Ok(self.issued(&earlier, now));
            }
            // Its message is not kept any more: a fresh code takes its place.
            unit = self.store.begin().await?;
        }
        unit.challenges().insert(&challenge).await?;
        self.record_request(unit.as_mut(), actor, &challenge, false).await?;
        unit.commit().await?;
        let message = self.message(&challenge, &code);
        self.sms.send(message).await.or(Err(AccountError::SmsNotSent))?;
        Ok(self.issued(&challenge, now))
    }

    fn issued(&self, challenge: &Challenge, now: Timestamp) -> IssuedChallenge {
        let per_number = &self.settings.codes.per_number;
        let pause = per_number.iter().filter(|window| window.max == 1).map(|window| window.within).max();
        IssuedChallenge {
            id: challenge.id,
            expires_at: challenge.expires_at,
            resend_at: now + pause.unwrap_or_default(),
        }
    }

    /// Sends the code of a challenge once more; false when it is not kept any more.
    async fn send_again(&self, challenge: &Challenge) -> Result<bool, AccountError> {
        let resend = SmsResend {
            thread: thread_of(challenge),
            idempotency_key: format!("{}:{}", thread_of(challenge), self.ids.next()),
            origin: Some(challenge.address.clone()),
        };
        self.sms.resend(resend).await.or(Err(AccountError::SmsNotSent))
    }

    async fn record_request(
        &self,
        unit: &mut dyn AccountUnit,
        actor: &Actor,
        challenge: &Challenge,
        is_again: bool,
    ) -> Result<(), AccountError> {
        let detail = json!({
            "purpose": challenge.purpose.as_str(),
            "phone": self.keys.phone_index(&challenge.phone),
            "address": challenge.address,
            "again": is_again,
        });
        let subject = format!("challenge:{}", challenge.id);
        let event = self.audit_detail(actor.label(), "sms_code.request", subject, detail);
        Ok(unit.audit().append_all(&[event]).await?)
    }

    /// Lets codes be sent to and tried for a locked number again.
    ///
    /// # Errors
    /// [`AccountError::Access`] for anybody but an administrator.
    pub async fn unlock_phone(&self, actor: &Actor, phone: &Phone) -> Result<(), AccountError> {
        actor.require_admin()?;
        let mut unit = self.store.begin().await?;
        let mut guard = unit.counters().lock_guard(&self.phone_guard(phone)).await?;
        guard.succeed();
        unit.counters().save_guard(&guard, self.clock.now()).await?;
        let subject = format!("phone:{}", self.keys.phone_index(phone));
        unit.audit().append_all(&[self.audit_event(actor, "phone.unlock", subject)]).await?;
        Ok(unit.commit().await?)
    }

    /// Shows that a number is at hand, for nothing else; the code is used up.
    ///
    /// # Errors
    /// The errors of a code; [`AccountError::Access`] for staff.
    pub async fn prove_phone(&self, actor: &Actor, check: CodeCheck) -> Result<(), AccountError> {
        authorize(actor, check.purpose)?;
        let mut unit = self.store.begin().await?;
        match self.check_code(unit.as_mut(), actor, &check).await? {
            CodeVerdict::Right(_) => self.commit_accepted(unit).await,
            CodeVerdict::Wrong(error) => {
                unit.commit().await?;
                Err(error)
            }
        }
    }

    /// Judges an answer inside a unit and counts it.
    pub(crate) async fn check_code(
        &self,
        unit: &mut dyn AccountUnit,
        actor: &Actor,
        check: &CodeCheck,
    ) -> Result<CodeVerdict, AccountError> {
        let (now, policy) = (self.clock.now(), &self.settings.codes);
        let Some(code) = Code::typed(&check.code) else {
            return Ok(CodeVerdict::Wrong(AccountError::CodeNotAccepted));
        };
        if let Some(wait) = self.wait_after_failures(unit, &check.origin, now).await? {
            return Ok(CodeVerdict::Wrong(AccountError::TooManyFailures { wait }));
        }
        let found = match &check.challenge {
            ChallengeRef::Id(id) => unit.challenges().find(*id).await?,
            ChallengeRef::Phone(phone) => unit.challenges().find_newest(phone, check.purpose).await?,
            ChallengeRef::OwnDevice => match self.device_index(&check.origin) {
                Some(device) => unit.challenges().find_newest_of_device(&device, check.purpose).await?,
                None => None,
            },
        };
        let Some(challenge) = found else {
            return self.refuse_code(unit, &check.origin, now).await;
        };
        let mut guard = unit.counters().lock_guard(&self.phone_guard(&challenge.phone)).await?;
        if let Err(Locked { wait }) = guard.check(&policy.guard, now) {
            return Ok(CodeVerdict::Wrong(AccountError::NumberLocked { wait }));
        }
        if !unit.challenges().take_try(challenge.id, now).await? {
            return self.refuse_code(unit, &check.origin, now).await;
        }
        let is_right = self.is_answer_to(&challenge, actor, check, &code);
        if is_right && unit.challenges().consume(challenge.id, now).await? {
            guard.succeed();
            unit.counters().save_guard(&guard, now).await?;
            return Ok(CodeVerdict::Right(challenge));
        }
        guard.fail(&policy.guard, now);
        unit.counters().save_guard(&guard, now).await?;
        if guard.check(&policy.guard, now).is_err() {
            let subject = format!("phone:{}", self.keys.phone_index(&challenge.phone));
            let detail = json!({ "failures": guard.failures });
            unit.audit().append_all(&[self.audit_detail(actor.label(), "phone.lock", subject, detail)]).await?;
        }
        self.refuse_code(unit, &check.origin, now).await
    }

    /// Commits a unit in which a code was accepted. The count over all is taken last, as its row is everybody's.
    pub(crate) async fn commit_accepted(&self, mut unit: Box<dyn AccountUnit>) -> Result<(), AccountError> {
        let key = LedgerKey::all(LedgerScope::CodeSuccessAll);
        self.record_all(unit.as_mut(), &[key], self.clock.now()).await?;
        Ok(unit.commit().await?)
    }

    fn challenge(
        &self,
        actor: &Actor,
        request: &CodeRequest,
        code: &Code,
        now: Timestamp,
    ) -> Result<Challenge, AccountError> {
        let id = ChallengeId(self.ids.next());
        let policy = &self.settings.codes;
        let hash = self.keys.code_hash(request.purpose.as_str(), &id.to_string(), &request.phone, code.reveal());
        let user = if request.purpose.needs_session() { Some(actor.require_user()?.user) } else { None };
        Ok(Challenge {
            id,
            purpose: request.purpose,
            phone: request.phone.clone(),
            code_hash: hex::encode(hash),
            user,
            device: self.device_index(&request.origin),
            address: self.address_index(&request.origin),
            is_findable_by_phone: request.is_findable_by_phone,
            tries_left: policy.tries_per_challenge,
            created_at: now,
            expires_at: now + policy.lifetime,
            consumed_at: None,
        })
    }

    /// Some purposes may only reach the number the account already has.
    async fn check_own_number(&self, unit: &mut dyn AccountUnit, challenge: &Challenge) -> Result<(), AccountError> {
        let Some(user) = challenge.user.filter(|_| challenge.purpose.is_for_own_number()) else {
            return Ok(());
        };
        let user = unit.users().find(user).await?.ok_or(AccessError::Unauthenticated)?;
        if user.phone.as_ref() == Some(&challenge.phone) { Ok(()) } else { Err(AccountError::NoPhone) }
    }

    /// Counts the request against every limit, or refuses it without counting.
    async fn reserve(
        &self,
        unit: &mut dyn AccountUnit,
        actor: &Actor,
        request: &CodeRequest,
        captcha: Option<OneTime>,
        now: Timestamp,
    ) -> Result<(), AccountError> {
        let policy = &self.settings.codes;
        let is_exempt = policy.is_exempt(request.origin.address);
        let tag = self.keys.phone_index(&request.phone);
        let mut keys = vec![LedgerKey::new(LedgerScope::SmsNumber, tag.clone()), LedgerKey::all(LedgerScope::SmsAll)];
        if !is_exempt {
            keys.push(LedgerKey::new(LedgerScope::SmsAddress, self.address_index(&request.origin)));
            let device = self.device_index(&request.origin);
            keys.extend(device.map(|device| LedgerKey::new(LedgerScope::SmsDevice, device)));
        }
        let mut ledgers = unit.counters().lock_ledgers(&keys).await?;
        let rates = [LedgerKey::all(LedgerScope::CodeSuccessAll), LedgerKey::all(LedgerScope::CodeFailureAll)];
        let rates = unit.counters().peek_ledgers(&rates).await?;
        let of = |scope: LedgerScope| ledgers.iter().chain(&rates).find(|ledger| ledger.key.scope == scope).cloned();
        let of_all = |scope| of(scope).unwrap_or_else(|| Ledger::empty(LedgerKey::all(scope)));
        let counts = SendCounts {
            number: of_all(LedgerScope::SmsNumber),
            address: of(LedgerScope::SmsAddress),
            device: of(LedgerScope::SmsDevice),
            overall: of_all(LedgerScope::SmsAll),
            used: of_all(LedgerScope::CodeSuccessAll),
            refused: of_all(LedgerScope::CodeFailureAll),
        };
        let judged = SendRequest {
            number_tag: tag.clone(),
            is_signed_in: matches!(actor, Actor::User(_)),
            is_exempt,
            captcha: match (&captcha, request.is_spared_captcha) {
                (Some(_), _) => CaptchaState::Solved,
                (None, true) => CaptchaState::Spared,
                (None, false) => CaptchaState::Missing,
            },
        };
        policy.judge(&counts, &judged, now).map_err(|refusal| match refusal {
            SendRefusal::TooMany { wait } => AccountError::TooManyCodes { wait },
            SendRefusal::CaptchaNeeded => AccountError::CaptchaNeeded,
        })?;
        if let Some(captcha) = captcha
            && !unit.counters().spend(&captcha).await?
        {
            return Err(AccountError::CaptchaNotAccepted);
        }
        for ledger in &mut ledgers {
            let (tag, grain) = match ledger.key.scope {
                LedgerScope::SmsAddress => (Some(tag.clone()), Duration::ZERO),
                LedgerScope::SmsAll => (None, OVERALL_GRAIN),
                _ => (None, Duration::ZERO),
            };
            let is_nearly_used =
                |ledger: &Ledger| ledger.key.scope == LedgerScope::SmsAll && policy.is_budget_nearly_used(ledger, now);
            let was_nearly_used = is_nearly_used(ledger);
            ledger.record(now, tag, grain, KEEP_MARKS);
            if is_nearly_used(ledger) && !was_nearly_used {
                tracing::error!("the daily budget of SMS codes is nearly used up");
            }
        }
        Ok(unit.counters().save_ledgers(&ledgers, now).await?)
    }

    fn message(&self, challenge: &Challenge, code: &Code) -> SmsRequest {
        let minutes = self.settings.codes.lifetime.as_secs().div_ceil(60);
        SmsRequest {
            phone: challenge.phone.clone(),
            template: CODE_TEMPLATE,
            params: vec![("code", code.reveal().to_owned()), ("minutes", minutes.to_string())],
            idempotency_key: thread_of(challenge),
            thread: thread_of(challenge),
            useful_until: challenge.expires_at,
            origin: Some(challenge.address.clone()),
        }
    }

    /// Whether code and everything the challenge is bound to are right. The code is compared in any case.
    fn is_answer_to(&self, challenge: &Challenge, actor: &Actor, check: &CodeCheck, code: &Code) -> bool {
        let (purpose, id) = (check.purpose.as_str(), challenge.id.to_string());
        let hash = hex::encode(self.keys.code_hash(purpose, &id, &challenge.phone, code.reveal()));
        let is_code_right = bool::from(hash.as_bytes().ct_eq(challenge.code_hash.as_bytes()));
        let is_device_right = challenge.device.is_none() || challenge.device == self.device_index(&check.origin);
        let user = match actor {
            Actor::User(user) => Some(user.user),
            _ => None,
        };
        let is_user_right = challenge.user.is_none() || challenge.user == user;
        let is_lookup_right = challenge.is_findable_by_phone || !matches!(check.challenge, ChallengeRef::Phone(_));
        is_code_right && challenge.purpose == check.purpose && is_device_right && is_user_right && is_lookup_right
    }

    async fn wait_after_failures(
        &self,
        unit: &mut dyn AccountUnit,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Duration>, AccountError> {
        let policy = &self.settings.codes;
        let ledgers = unit.counters().peek_ledgers(&self.failure_keys(origin)).await?;
        let wait = |ledger: &Ledger| match ledger.key.scope {
            LedgerScope::CodeFailureAddress => ledger.wait(&[policy.failures_per_address], now),
            _ => ledger.wait(&[policy.failures_overall], now),
        };
        Ok(ledgers.iter().filter_map(wait).max())
    }

    /// Notes a refused code and answers as for any other.
    async fn refuse_code(
        &self,
        unit: &mut dyn AccountUnit,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<CodeVerdict, AccountError> {
        self.record_all(unit, &self.failure_keys(origin), now).await?;
        Ok(CodeVerdict::Wrong(AccountError::CodeNotAccepted))
    }

    fn failure_keys(&self, origin: &Origin) -> Vec<LedgerKey> {
        let mut keys = vec![LedgerKey::all(LedgerScope::CodeFailureAll)];
        if !self.settings.codes.is_exempt(origin.address) {
            keys.push(LedgerKey::new(LedgerScope::CodeFailureAddress, self.address_index(origin)));
        }
        keys
    }

    async fn record_all(
        &self,
        unit: &mut dyn AccountUnit,
        keys: &[LedgerKey],
        now: Timestamp,
    ) -> Result<(), AccountError> {
        let mut ledgers = unit.counters().lock_ledgers(keys).await?;
        for ledger in &mut ledgers {
            let is_overall = ledger.key.scope != LedgerScope::CodeFailureAddress;
            ledger.record(now, None, if is_overall { OVERALL_GRAIN } else { Duration::ZERO }, KEEP_MARKS);
        }
        Ok(unit.counters().save_ledgers(&ledgers, now).await?)
    }

    pub(crate) fn phone_guard(&self, phone: &Phone) -> GuardKey {
        GuardKey { scope: GuardScope::Phone, subject: self.keys.phone_index(phone) }
    }

    pub(crate) fn address_index(&self, origin: &Origin) -> String {
        self.keys.index_of("address", &address_group(origin.address))
    }

    fn device_index(&self, origin: &Origin) -> Option<String> {
        let device = origin.device.as_deref().map(str::trim).filter(|d| !d.is_empty());
        device.filter(|d| d.len() <= MAX_DEVICE_ID_BYTES).map(|d| self.keys.index_of("device", d))
    }
}

/// All messages with the code of one challenge.
fn thread_of(challenge: &Challenge) -> String {
    format!("challenge:{}", challenge.id)
}

/// Codes that belong to an account need its session; the others are for people, not for staff.
fn authorize(actor: &Actor, purpose: Purpose) -> Result<(), AccessError> {
    if purpose.needs_session() {
        return actor.require_user().map(|_| ());
    }
    actor.require(is_public(actor))
}

/// Callers that may sign in or ask for a code: everybody but staff and the system itself.
pub(crate) const fn is_public(actor: &Actor) -> bool {
    matches!(actor, Actor::Nobody | Actor::App | Actor::User(_) | Actor::Integrator)
}

#[cfg(test)]
mod tests;
