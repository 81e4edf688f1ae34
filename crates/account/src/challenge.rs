//! A challenge: one code sent to one number, what it is bound to, and how it is stored.

use std::net::IpAddr;

use async_trait::async_trait;
use domain::id::{ChallengeId, UserId};
use domain::rng::SecureRandom;
use domain::{Phone, StoreError, Timestamp};

/// Digits of a code.
pub const CODE_DIGITS: usize = 6;
/// Longest device id that is looked at, in bytes.
pub const MAX_DEVICE_ID_BYTES: usize = 128;

/// What a code may be used for, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Signing in or up.
    Login,
    /// Giving the signed-in account this number.
    BindPhone,
    /// Showing that the signed-in account's present number is still at hand.
    ConfirmOldPhone,
    /// Setting a new password without the old one.
    ResetPassword,
    /// Showing that the number written in the signed-in account is right.
    VerifyPhone,
    /// Closing the signed-in account.
    CloseAccount,
}

impl Purpose {
    pub const ALL: [Self; 6] = [
        Self::Login,
        Self::BindPhone,
        Self::ConfirmOldPhone,
        Self::ResetPassword,
        Self::VerifyPhone,
        Self::CloseAccount,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::BindPhone => "bind_phone",
            Self::ConfirmOldPhone => "confirm_old_phone",
            Self::ResetPassword => "reset_password",
            Self::VerifyPhone => "verify_phone",
            Self::CloseAccount => "close_account",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == text)
    }

    /// Whether the code belongs to the account that is signed in when it is asked for.
    pub const fn needs_session(self) -> bool {
        match self {
            Self::Login | Self::ResetPassword => false,
            Self::BindPhone | Self::ConfirmOldPhone | Self::VerifyPhone | Self::CloseAccount => true,
        }
    }

    /// Whether the code may only go to the number the account already has.
    pub const fn is_for_own_number(self) -> bool {
        matches!(self, Self::ConfirmOldPhone | Self::VerifyPhone | Self::CloseAccount)
    }
}

/// Where a request comes from. No `Debug`: addresses and devices are personal.
#[derive(Clone)]
pub struct Origin {
    pub address: IpAddr,
    /// An id the client made for itself, if it sends one.
    pub device: Option<String>,
}

/// A code as typed, digits only. No `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// Uniform over 000000–999999.
    pub fn generate(random: &dyn SecureRandom) -> Self {
        Self(format!("{:06}", random.below(1_000_000)))
    }

    /// Reads what was typed; `None` when it cannot be a code.
    pub fn typed(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_code = text.len() == CODE_DIGITS && text.bytes().all(|b| b.is_ascii_digit());
        is_code.then(|| Self(text.to_owned()))
    }

    /// The digits. Never log them.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// One code that was sent. `Debug` shows neither the number nor the hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    pub id: ChallengeId,
    pub purpose: Purpose,
    pub phone: Phone,
    /// Hex HMAC-SHA256 over purpose, id, number and code.
    pub code_hash: String,
    /// Who asked, where [`Purpose::needs_session`].
    pub user: Option<UserId>,
    /// Keyed hash of the device that asked, if it sent an id: then only that device may answer.
    pub device: Option<String>,
    /// Keyed hash of the address group that asked: asked again from there, the same code is sent again.
    pub address: String,
    /// Clients of LeanCloud answer with number and code, without the challenge's id.
    pub is_findable_by_phone: bool,
    pub tries_left: u32,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub consumed_at: Option<Timestamp>,
}

impl Challenge {
    /// Whether whoever asked for `other` is who asked for this one, for the same.
    pub fn is_asked_like(&self, other: &Self) -> bool {
        let bound = |c: &Self| (c.purpose, c.user, c.is_findable_by_phone, c.address.clone(), c.device.clone());
        self.phone == other.phone && bound(self) == bound(other)
    }
}

impl std::fmt::Debug for Challenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Challenge");
        shown.field("id", &self.id).field("purpose", &self.purpose).field("tries_left", &self.tries_left);
        shown.finish_non_exhaustive()
    }
}

/// Which challenge an answer is to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChallengeRef {
    Id(ChallengeId),
    /// The newest one of this number that may be found so.
    Phone(Phone),
    /// The newest one that the answering device asked for: some clients answer with the code alone.
    OwnDevice,
}

/// Stores challenges.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ChallengeRepository: Send {
    async fn insert(&mut self, challenge: &Challenge) -> Result<(), StoreError>;
    async fn find(&mut self, id: ChallengeId) -> Result<Option<Challenge>, StoreError>;
    /// The newest challenge of this number and purpose that may be found by its number.
    async fn find_newest(&mut self, phone: &Phone, purpose: Purpose) -> Result<Option<Challenge>, StoreError>;
    /// The newest challenge of this purpose that a device asked for, by the device's keyed hash.
    async fn find_newest_of_device(&mut self, device: &str, purpose: Purpose) -> Result<Option<Challenge>, StoreError>;
    /// The challenges of this number and purpose that may still be answered, newest first, a few at most.
    async fn find_open(
        &mut self,
        phone: &Phone,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Vec<Challenge>, StoreError>;
    /// Takes one of the tries left, in one statement; false when it is used, expired or has none left.
    async fn take_try(&mut self, id: ChallengeId, now: Timestamp) -> Result<bool, StoreError>;
    /// Marks it used, in one statement; true for exactly one caller.
    async fn consume(&mut self, id: ChallengeId, now: Timestamp) -> Result<bool, StoreError>;
    /// Deletes challenges that expired before `before`; returns how many.
    async fn purge(&mut self, before: Timestamp) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests {
    use domain::ObjectId;

    use super::*;
    use crate::memory::CountingRandom;

    struct Fixed(u32);

    impl SecureRandom for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.copy_from_slice(&self.0.to_be_bytes());
        }
    }

    #[test]
    fn codes_are_six_digits_with_leading_zeros() {
        assert_eq!(Code::generate(&Fixed(42)).reveal(), "000042");
        assert_eq!(Code::generate(&Fixed(3_000_000 - 1)).reveal(), "999999");
        let random = CountingRandom::default();
        assert!((0..1_000).all(|_| Code::typed(Code::generate(&random).reveal()).is_some()));
    }

    #[test]
    fn only_six_ascii_digits_can_be_a_code() {
        assert_eq!(Code::typed(" 012345 ").map(|c| c.reveal().to_owned()), Some("012345".into()));
        for bad in ["", "12345", "1234567", "12345a", "１２３４５６", "12 345"] {
            assert!(Code::typed(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn purposes_round_trip() {
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::parse(purpose.as_str()), Some(purpose));
        }
        assert_eq!(Purpose::parse("other"), None);
    }

    #[test]
    fn debug_shows_neither_number_nor_hash() {
        let challenge = Challenge {
            id: ChallengeId(ObjectId::from_parts(1, [0; 5], 1)),
            purpose: Purpose::Login,
            phone: "13900000000".parse().unwrap(),
            code_hash: "abcdef".into(),
            user: None,
            device: None,
            address: "a".into(),
            is_findable_by_phone: false,
            tries_left: 5,
            created_at: Timestamp::EPOCH,
            expires_at: Timestamp::EPOCH,
            consumed_at: None,
        };
        let shown = format!("{challenge:?}");
        assert!(!shown.contains("139") && !shown.contains("abcdef"), "{shown}");
    }
}
