//! Randomness from the operating system.

use domain::rng::SecureRandom;

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl SecureRandom for OsRandom {
    /// # Panics
    /// When the operating system has no randomness to give: going on would make guessable secrets.
    #[expect(clippy::disallowed_methods, reason = "this is the generator that the port stands for")]
    fn fill(&self, buffer: &mut [u8]) {
        if let Err(error) = getrandom::fill(buffer) {
            panic!("the operating system's random generator failed: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn fills_the_whole_buffer_anew_each_time() {
        let mut drawn = HashSet::new();
        for _ in 0..100 {
            let mut bytes = [0; 32];
            OsRandom.fill(&mut bytes);
            assert!(bytes.iter().any(|b| *b != 0));
            drawn.insert(bytes);
        }
        assert_eq!(drawn.len(), 100);
    }

    #[test]
    fn base62_has_the_asked_length_and_alphabet() {
        let text = OsRandom.base62(40);
        assert_eq!(text.len(), 40);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric()));
    }
}
