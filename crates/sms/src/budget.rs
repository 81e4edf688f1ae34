//! What messages cost, and how much may be spent a day: an alarm at 80 %, no notices from 90 %, no codes at 100 %.

use async_trait::async_trait;
use domain::StoreError;

use crate::message::TemplateKind;

/// Share of the budget at which operators are told.
pub const ALARM_PERCENT: i64 = 80;
/// Share from which notices do not leave any more; codes do.
pub const NOTICE_PERCENT: i64 = 90;

/// How much may be spent a day, in 1/1000 yuan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget(pub i64);

impl Budget {
    /// Up to where this kind may be sent.
    pub const fn ceiling(self, kind: TemplateKind) -> i64 {
        match kind {
            TemplateKind::Code => self.0,
            TemplateKind::Notice => self.share(NOTICE_PERCENT),
        }
    }

    /// Whether spending went over the alarm between the two sums.
    pub const fn crosses_alarm(self, before: i64, after: i64) -> bool {
        let alarm = self.share(ALARM_PERCENT);
        before < alarm && after >= alarm
    }

    const fn share(self, percent: i64) -> i64 {
        self.0.saturating_mul(percent) / 100
    }
}

/// Stores what was spent, a sum for each day.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SpendRepository: Send {
    /// Adds `cost` to the day's sum unless it would go over `ceiling`, in one statement; the new sum if it was added.
    async fn reserve(&mut self, day: &str, cost: i64, ceiling: i64) -> Result<Option<i64>, StoreError>;
    /// Corrects the day's sum.
    async fn adjust(&mut self, day: &str, difference: i64) -> Result<(), StoreError>;
    /// The day's sum.
    async fn spent(&mut self, day: &str) -> Result<i64, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_stop_before_codes() {
        let budget = Budget(1_000);
        assert_eq!((budget.ceiling(TemplateKind::Notice), budget.ceiling(TemplateKind::Code)), (900, 1_000));
    }

    #[test]
    fn the_alarm_sounds_once_at_eighty_percent() {
        let budget = Budget(1_000);
        assert!(!budget.crosses_alarm(700, 799));
        assert!(budget.crosses_alarm(799, 800));
        assert!(!budget.crosses_alarm(800, 845));
    }
}
