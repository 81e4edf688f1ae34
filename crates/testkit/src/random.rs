//! Randomness that repeats itself.

use std::sync::{Mutex, PoisonError};

use domain::rng::SecureRandom;

/// `SplitMix64` from a seed: the same seed gives the same bytes.
#[derive(Debug)]
pub struct SeededRandom(Mutex<u64>);

impl SeededRandom {
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl SecureRandom for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            for (place, byte) in chunk.iter_mut().zip(self.next().to_be_bytes()) {
                *place = byte;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let (a, b, other) = (SeededRandom::new(7), SeededRandom::new(7), SeededRandom::new(8));
        let first = a.base62(24);
        assert_eq!(first, b.base62(24));
        assert_ne!(first, other.base62(24));
        assert_ne!(first, a.base62(24));
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let random = SeededRandom::new(1);
        assert!((0..200).all(|_| random.below(3) < 3));
    }
}
