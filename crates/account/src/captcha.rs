//! Captchas: the port, and a stateless proof of work that needs no outside service.
//!
//! A proof of work does not tell people from machines; it makes each further code cost a second of
//! computing. Deployments that need more put a provider behind [`CaptchaVerifier`].

use async_trait::async_trait;
use domain::Timestamp;
use domain::rng::SecureRandom;
use domain::time::span;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;

use crate::counter::OneTime;
use crate::keys::AccountKeys;

/// What a client needs to solve a captcha.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptchaTask {
    /// Names the method, e.g. `proof_of_work`.
    pub kind: &'static str,
    /// What the method needs, for the client to read.
    pub params: Value,
    pub expires_at: Timestamp,
}

/// Makes and checks captchas. That an answer is used once is up to the caller, who spends the returned
/// [`OneTime`] in its own unit.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait CaptchaVerifier: Send + Sync {
    fn task(&self, now: Timestamp) -> CaptchaTask;
    /// `None` when the answer is wrong or expired.
    async fn verify(&self, answer: &str, now: Timestamp) -> Option<OneTime>;
}

/// Settings of the proof of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofOfWorkSettings {
    /// Leading zero bits: 2^bits hashes on average. Default 18, about a second in a phone's JavaScript.
    pub bits: u32,
    /// How long a task may take. Default 5 minutes.
    pub lifetime: Duration,
}

impl Default for ProofOfWorkSettings {
    fn default() -> Self {
        Self { bits: 18, lifetime: span::minutes(5) }
    }
}

/// Proof of work: find `n` such that SHA-256(`challenge:n`) begins with `bits` zero bits, and answer
/// `challenge:n`. The challenge is `nonce.expiryMs.bits.mac`, so nothing is stored when one is made.
pub struct ProofOfWork {
    settings: ProofOfWorkSettings,
    keys: AccountKeys,
    random: Arc<dyn SecureRandom>,
}

/// Longest answer that is looked at, in bytes.
const MAX_ANSWER_BYTES: usize = 256;
const NONCE_CHARS: usize = 22;

impl ProofOfWork {
    pub fn new(settings: ProofOfWorkSettings, keys: AccountKeys, random: Arc<dyn SecureRandom>) -> Self {
        Self { settings, keys, random }
    }

    fn check(&self, answer: &str, now: Timestamp) -> Option<OneTime> {
        if answer.len() > MAX_ANSWER_BYTES {
            return None;
        }
        let (challenge, _) = answer.split_once(':')?;
        let (text, mac) = challenge.rsplit_once('.')?;
        let mac = hex::decode(mac).ok()?;
        if !bool::from(self.keys.captcha_mac(text).ct_eq(&mac)) {
            return None;
        }
        let mut parts = text.split('.');
        let (nonce, expires_ms, bits) = (parts.next()?, parts.next()?, parts.next()?);
        let expires_at = Timestamp::from_millis(expires_ms.parse().ok()?);
        let is_solved = zero_bits(&Sha256::digest(answer)) >= bits.parse().ok()?;
        (is_solved && expires_at > now).then(|| OneTime { id: format!("captcha:{nonce}"), expires_at })
    }
}

#[async_trait]
impl CaptchaVerifier for ProofOfWork {
    fn task(&self, now: Timestamp) -> CaptchaTask {
        let expires_at = now + self.settings.lifetime;
        let nonce = self.random.base62(NONCE_CHARS);
        let text = format!("{nonce}.{}.{}", expires_at.as_millis(), self.settings.bits);
        let challenge = format!("{text}.{}", hex::encode(self.keys.captcha_mac(&text)));
        let params = json!({ "challenge": challenge, "bits": self.settings.bits });
        CaptchaTask { kind: "proof_of_work", params, expires_at }
    }

    async fn verify(&self, answer: &str, now: Timestamp) -> Option<OneTime> {
        self.check(answer, now)
    }
}

fn zero_bits(digest: &[u8]) -> u32 {
    let whole = digest.iter().take_while(|byte| **byte == 0).count();
    let rest = digest.get(whole).map_or(0, |byte| byte.leading_zeros());
    u32::try_from(whole).unwrap_or(u32::MAX).saturating_mul(8) + rest
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::memory::CountingRandom;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn proof_of_work() -> ProofOfWork {
        let settings = ProofOfWorkSettings { bits: 8, ..ProofOfWorkSettings::default() };
        ProofOfWork::new(settings, AccountKeys::derive(&[7; 32]).unwrap(), Arc::new(CountingRandom::default()))
    }

    /// What a client does.
    pub(crate) fn solve(task: &CaptchaTask) -> String {
        let challenge = task.params["challenge"].as_str().unwrap();
        let bits = u32::try_from(task.params["bits"].as_u64().unwrap()).unwrap();
        let mut answers = (0_u64..).map(|n| format!("{challenge}:{n}"));
        answers.find(|answer| zero_bits(&Sha256::digest(answer)) >= bits).unwrap()
    }

    #[test]
    fn a_solved_task_is_accepted_until_it_expires() {
        let work = proof_of_work();
        let task = work.task(NOW);
        let answer = solve(&task);
        let last = task.expires_at - Duration::from_millis(1);
        assert_eq!(work.check(&answer, last).map(|one| one.expires_at), Some(task.expires_at));
        assert_eq!(work.check(&answer, task.expires_at), None);
    }

    #[test]
    fn two_answers_to_one_task_are_the_same_one_time_id() {
        let work = proof_of_work();
        let task = work.task(NOW);
        let first = solve(&task);
        let challenge = task.params["challenge"].as_str().unwrap();
        let others = (0_u64..).map(|n| format!("{challenge}:x{n}"));
        let second = { others }.find(|answer| zero_bits(&Sha256::digest(answer)) >= 8).unwrap();
        assert_eq!(work.check(&first, NOW), work.check(&second, NOW));
        assert!(work.check(&first, NOW).is_some());
    }

    #[test]
    fn unsolved_forged_and_foreign_answers_are_refused() {
        let work = proof_of_work();
        let task = work.task(NOW);
        let challenge = task.params["challenge"].as_str().unwrap();
        let unsolved = (0..99).map(|n| format!("{challenge}:{n}")).find(|a| zero_bits(&Sha256::digest(a)) < 8).unwrap();
        assert_eq!(work.check(&unsolved, NOW), None);
        let easier = solve(&task).replacen(".8.", ".0.", 1);
        assert_eq!(work.check(&easier, NOW), None);
        let foreign = ProofOfWork { keys: AccountKeys::derive(&[8; 32]).unwrap(), ..proof_of_work() };
        assert_eq!(work.check(&solve(&foreign.task(NOW)), NOW), None);
        for nonsense in ["", ":", "a:b", "a.b.c.d:1", &"x".repeat(300)] {
            assert_eq!(work.check(nonsense, NOW), None, "{nonsense}");
        }
    }

    #[test]
    fn zero_bits_are_counted_across_bytes() {
        assert_eq!([zero_bits(&[0x80]), zero_bits(&[0, 0x10]), zero_bits(&[0, 0])], [0, 11, 16]);
    }
}
