//! New public ids, laid out like MongoDB's: seconds, five bytes of this process, a counter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::id::IdSource;
use domain::rng::SecureRandom;
use domain::{Clock, ObjectId};

/// Makes ids for one process. Two sources differ in their five random bytes; one source never repeats
/// itself unless it makes more than 2^24 ids within a second.
pub struct ObjectIds {
    clock: Arc<dyn Clock>,
    process: [u8; 5],
    counter: AtomicU32,
}

impl ObjectIds {
    pub fn new(clock: Arc<dyn Clock>, random: &dyn SecureRandom) -> Self {
        let mut process = [0; 5];
        random.fill(&mut process);
        let mut start = [0; 4];
        random.fill(&mut start);
        Self { clock, process, counter: AtomicU32::new(u32::from_be_bytes(start)) }
    }
}

impl IdSource for ObjectIds {
    fn next(&self) -> ObjectId {
        let seconds = self.clock.now().as_millis().div_euclid(1000);
        // Relaxed: only uniqueness matters, not the order seen by other threads.
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        // Past 2106 the four bytes wrap, as they do in MongoDB; the id stays unique.
        let seconds = u32::try_from(seconds.rem_euclid(1 << 32)).unwrap_or_default();
        ObjectId::from_parts(seconds, self.process, counter)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use domain::Timestamp;

    use super::*;
    use crate::OsRandom;

    struct FixedClock(i64);
    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0)
        }
    }

    struct Counting;
    impl SecureRandom for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for (byte, value) in buffer.iter_mut().zip(1..) {
                *byte = value;
            }
        }
    }

    #[test]
    fn ids_hold_seconds_process_and_counter() {
        let ids = ObjectIds::new(Arc::new(FixedClock(0x5dae_b07b * 1000 + 999)), &Counting);
        assert_eq!(ids.next().to_string(), "5daeb07b0102030405020304");
        assert_eq!(ids.next().to_string(), "5daeb07b0102030405020305");
    }

    #[test]
    fn threads_never_get_the_same_id() {
        let ids = ObjectIds::new(Arc::new(FixedClock(1_767_323_045_678)), &OsRandom);
        let all: HashSet<ObjectId> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..5_000).map(|_| ids.next()).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(all.len(), 20_000);
    }

    #[test]
    fn two_processes_differ() {
        let clock = Arc::new(FixedClock(0));
        let (a, b) = (ObjectIds::new(clock.clone(), &OsRandom), ObjectIds::new(clock, &OsRandom));
        assert_ne!(a.next().as_bytes()[4..9], b.next().as_bytes()[4..9]);
    }

    #[test]
    fn times_before_1970_and_after_2106_still_make_ids() {
        for millis in [-1, i64::from(u32::MAX) * 1000 + 5000] {
            assert_ne!(ObjectIds::new(Arc::new(FixedClock(millis)), &OsRandom).next(), ObjectId::from_bytes([0; 12]));
        }
    }
}
