//! The end of the log as one node follows it: puts what it hears into the order of the log, and knows what it lacks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::log::LogEntry;

/// Entries kept that came before their predecessors; beyond that they are read from the store when their turn comes.
const MAX_WAITING: usize = 16_384;

/// An entry with the socket it came through.
#[derive(Debug, Clone, PartialEq)]
pub struct TailEntry {
    pub entry: Arc<LogEntry>,
    pub origin: Option<u64>,
}

/// Positions that are to be read from the store: `after` < position ≤ `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub after: i64,
    pub until: i64,
}

/// Follows the log. Entries are released in order, each once.
#[derive(Debug)]
pub(super) struct Tail {
    /// Everything up to here was released.
    horizon: i64,
    /// The log goes at least this far.
    known: i64,
    waiting: BTreeMap<i64, TailEntry>,
    /// Since when something is lacking before what is known.
    lacking_since: Option<Instant>,
}

impl Tail {
    pub(super) const fn starting_at(head: i64) -> Self {
        Self { horizon: head, known: head, waiting: BTreeMap::new(), lacking_since: None }
    }

    pub(super) const fn horizon(&self) -> i64 {
        self.horizon
    }

    /// The furthest position heard of.
    pub(super) const fn known(&self) -> i64 {
        self.known
    }

    /// Takes committed entries, in any order, any number of times; releases what is next.
    pub(super) fn offer(
        &mut self,
        entries: impl Iterator<Item = TailEntry>,
        now: Instant,
        released: &mut VecDeque<TailEntry>,
    ) {
        for entry in entries {
            let position = entry.entry.position();
            self.known = self.known.max(position);
            if position == self.horizon + 1 && self.waiting.is_empty() {
                self.release(position, entry, released);
            } else if position > self.horizon {
                self.waiting.insert(position, entry);
            }
        }
        self.advance(released);
        self.look(now);
    }

    /// Hears that the log goes this far.
    pub(super) fn heard_of(&mut self, position: i64, now: Instant) {
        self.known = self.known.max(position);
        self.look(now);
    }

    /// Takes what the store has between `gap.after` and `gap.until`: all of it, so what is not there will never be.
    pub(super) fn fill(
        &mut self,
        gap: Gap,
        entries: impl Iterator<Item = TailEntry>,
        now: Instant,
        released: &mut VecDeque<TailEntry>,
    ) {
        if gap.after > self.horizon {
            return;
        }
        for entry in entries.filter(|entry| entry.entry.position() > self.horizon) {
            self.waiting.entry(entry.entry.position()).or_insert(entry);
        }
        while let Some((&position, _)) = self.waiting.first_key_value() {
            if position > gap.until {
                break;
            }
            if let Some(entry) = self.waiting.remove(&position) {
                self.release(position, entry, released);
            }
        }
        if gap.until > self.horizon {
            self.horizon = gap.until;
            self.lacking_since = None;
        }
        self.advance(released);
        self.look(now);
    }

    /// What is lacking, once it has been lacking for `grace`; before that, how long to wait for it to come by itself.
    pub(super) fn lacks(&self, now: Instant, grace: Duration) -> Result<Option<Gap>, Duration> {
        let Some(since) = self.lacking_since else { return Ok(None) };
        let waited = now.saturating_duration_since(since);
        if waited < grace {
            return Err(grace.saturating_sub(waited));
        }
        let until = self.waiting.first_key_value().map_or(self.known, |(first, _)| first - 1);
        Ok(Some(Gap { after: self.horizon, until }))
    }

    fn advance(&mut self, released: &mut VecDeque<TailEntry>) {
        while let Some(entry) = self.waiting.remove(&(self.horizon + 1)) {
            self.release(self.horizon + 1, entry, released);
        }
        if self.waiting.len() > MAX_WAITING {
            self.waiting.clear();
        }
    }

    fn release(&mut self, position: i64, entry: TailEntry, released: &mut VecDeque<TailEntry>) {
        self.horizon = position;
        self.lacking_since = None;
        released.push_back(entry);
    }

    fn look(&mut self, now: Instant) {
        if self.known <= self.horizon {
            self.lacking_since = None;
        } else if self.lacking_since.is_none() {
            self.lacking_since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::feed::samples::entry;

    const GRACE: Duration = Duration::from_millis(5);

    struct Follower {
        tail: Tail,
        released: VecDeque<TailEntry>,
        now: Instant,
    }

    impl Follower {
        fn at(head: i64) -> Self {
            Self { tail: Tail::starting_at(head), released: VecDeque::new(), now: Instant::now() }
        }

        fn offer(&mut self, positions: impl IntoIterator<Item = i64>) {
            self.tail.offer(positions.into_iter().map(entry), self.now, &mut self.released);
        }

        fn fill(&mut self, after: i64, until: i64, positions: impl IntoIterator<Item = i64>) {
            self.tail.fill(Gap { after, until }, positions.into_iter().map(entry), self.now, &mut self.released);
        }

        fn lacks(&self) -> Option<Gap> {
            self.tail.lacks(self.now + GRACE, GRACE).unwrap()
        }

        fn released(&self) -> Vec<i64> {
            self.released.iter().map(|entry| entry.entry.position()).collect()
        }
    }

    #[test]
    fn what_is_next_is_released_at_once() {
        let mut follower = Follower::at(10);
        follower.offer([11, 12]);
        assert_eq!(follower.released(), [11, 12]);
        assert_eq!(follower.lacks(), None);
    }

    #[test]
    fn batches_in_the_wrong_order_wait_for_each_other() {
        let mut follower = Follower::at(0);
        follower.offer([3, 4]);
        assert_eq!(follower.released(), [0_i64; 0]);
        assert_eq!(follower.tail.lacks(follower.now, GRACE), Err(GRACE));
        assert_eq!(follower.lacks(), Some(Gap { after: 0, until: 2 }));
        follower.offer([1, 2]);
        assert_eq!(follower.released(), [1, 2, 3, 4]);
        assert_eq!(follower.lacks(), None);
    }

    #[test]
    fn what_is_heard_twice_or_late_is_released_once() {
        let mut follower = Follower::at(0);
        follower.offer([1, 2]);
        follower.offer([1, 2]);
        follower.offer([2, 3]);
        follower.fill(0, 2, [1, 2]);
        assert_eq!(follower.released(), [1, 2, 3]);
    }

    #[test]
    fn positions_that_are_not_in_the_store_are_passed_over() {
        let mut follower = Follower::at(0);
        follower.offer([4]);
        follower.fill(0, 3, [2]);
        assert_eq!(follower.released(), [2, 4]);
        assert_eq!(follower.tail.horizon(), 4);
    }

    #[test]
    fn a_hint_alone_makes_the_store_be_read() {
        let mut follower = Follower::at(5);
        follower.tail.heard_of(8, follower.now);
        assert_eq!(follower.lacks(), Some(Gap { after: 5, until: 8 }));
        follower.tail.heard_of(3, follower.now);
        follower.fill(5, 8, [6, 7, 8]);
        assert_eq!((follower.released(), follower.lacks()), (vec![6, 7, 8], None));
    }

    #[test]
    fn a_page_shows_how_far_it_was_read() {
        let mut follower = Follower::at(0);
        follower.tail.heard_of(10, follower.now);
        follower.fill(0, 2, [1, 2]);
        assert_eq!(follower.lacks(), Some(Gap { after: 2, until: 10 }));
    }

    #[test]
    fn too_much_out_of_order_is_read_from_the_store_instead() {
        let mut follower = Follower::at(0);
        let end = i64::try_from(MAX_WAITING).unwrap() + 3;
        follower.offer(3..=end);
        assert_eq!(follower.lacks(), Some(Gap { after: 0, until: end }));
    }

    proptest! {
        #[test]
        fn everything_is_released_once_and_in_order_whatever_is_lost_or_doubled(
            heard in prop::collection::vec((1_i64..40, 1_i64..6, any::<bool>()), 0..40),
            holes in prop::collection::btree_set(1_i64..45, 0..5),
        ) {
            let exists = |position: &i64| !holes.contains(position);
            let mut follower = Follower::at(0);
            for (first, count, is_hint) in heard {
                if is_hint {
                    follower.tail.heard_of(first, follower.now);
                } else {
                    follower.offer((first..first + count).filter(exists));
                }
                if first % 3 == 0 && let Some(gap) = follower.lacks() {
                    follower.fill(gap.after, gap.until, (gap.after + 1..=gap.until).filter(exists));
                }
            }
            while let Some(gap) = follower.lacks() {
                follower.fill(gap.after, gap.until, (gap.after + 1..=gap.until).filter(exists));
            }
            let horizon = follower.tail.horizon();
            prop_assert_eq!(follower.released(), (1..=horizon).filter(exists).collect::<Vec<_>>());
            prop_assert_eq!(horizon, follower.tail.known());
        }
    }
}
