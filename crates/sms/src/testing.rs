//! For the tests of this crate: randomness that counts.

use std::sync::atomic::{AtomicU8, Ordering};

use domain::rng::SecureRandom;

#[derive(Default)]
pub(crate) struct Counting(AtomicU8);

impl SecureRandom for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill_with(|| self.0.fetch_add(1, Ordering::SeqCst));
    }
}
