//! Randomness as a port, so that tests can fix it.

/// Cryptographically secure random bytes.
pub trait SecureRandom: Send + Sync {
    /// Fills `buffer` from the operating system's generator.
    fn fill(&self, buffer: &mut [u8]);

    /// A number uniform over `0..bound` without modulo bias (`bound` > 0).
    fn below(&self, bound: u32) -> u32 {
        let zone = u32::MAX - u32::MAX % bound;
        loop {
            let mut bytes = [0; 4];
            self.fill(&mut bytes);
            let value = u32::from_be_bytes(bytes);
            if value < zone {
                return value % bound;
            }
        }
    }

    /// `len` characters of base62, about 5.95 bits each.
    fn base62(&self, len: usize) -> String {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        (0..len).filter_map(|_| ALPHABET.get(self.below(62) as usize).map(|b| char::from(*b))).collect()
    }
}
