//! Receipts and replies as they are stored before anybody looks at them.

use async_trait::async_trait;
use domain::id::{SmsReceiptId, SmsReplyId};
use domain::page::{Page, PageRequest};
use domain::{StoreError, Timestamp};

use crate::class::ErrorClass;
use crate::provider::ProviderName;

/// A receipt as a provider pushed it, less the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub id: SmsReceiptId,
    pub provider: ProviderName,
    /// The provider's id of the message.
    pub provider_id: String,
    /// Ours, where the provider gives it back.
    pub out_id: Option<String>,
    pub phone_hash: String,
    /// Final class.
    pub class: ErrorClass,
    pub code: String,
    pub segments: Option<u32>,
    /// When the message arrived or failed.
    pub reported_at: Option<Timestamp>,
    pub received_at: Timestamp,
}

/// What became of a stored receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptFate {
    /// It was about one of our messages.
    Applied,
    /// It was about none.
    Ignored,
}

impl ReceiptFate {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Ignored => "ignored",
        }
    }
}

/// A message somebody sent back. No `Debug`: it holds sealed texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    pub id: SmsReplyId,
    pub provider: ProviderName,
    /// What makes it unique at the provider.
    pub reference: String,
    pub phone_hash: String,
    pub phone_masked: String,
    pub sealed_phone: Vec<u8>,
    pub sealed_text: Vec<u8>,
    pub received_at: Timestamp,
}

/// Stores receipts and replies.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ReceiptRepository: Send {
    /// Keeps those that are not kept already.
    async fn keep(&mut self, receipts: &[Receipt]) -> Result<(), StoreError>;
    /// Receipts nobody has looked at since `not_since`, oldest first, held until the unit ends.
    async fn take(&mut self, not_since: Timestamp, limit: u32) -> Result<Vec<Receipt>, StoreError>;
    /// Notes what became of them.
    async fn settle(&mut self, ids: &[SmsReceiptId], fate: ReceiptFate, now: Timestamp) -> Result<(), StoreError>;
    /// Looked at, without finding its message yet.
    async fn touch(&mut self, ids: &[SmsReceiptId], now: Timestamp) -> Result<(), StoreError>;
    /// Keeps replies that are not kept already.
    async fn keep_replies(&mut self, replies: &[Reply]) -> Result<(), StoreError>;
    /// Newest first.
    async fn list_replies(&mut self, page: PageRequest) -> Result<Page<Reply>, StoreError>;
    async fn find_reply(&mut self, id: SmsReplyId) -> Result<Option<Reply>, StoreError>;
    /// Deletes settled receipts received before `before`; returns how many.
    async fn purge(&mut self, before: Timestamp) -> Result<u64, StoreError>;
}
