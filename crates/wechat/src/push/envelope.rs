//! The encrypted envelope of pushed messages: AES-256-CBC, PKCS#7 with a block of 32, length and appid inside.

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use domain::rng::SecureRandom;
use subtle::ConstantTimeEq;

/// The platform's keys are 43 characters of which the last carries two unused bits, often not zero.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

const BLOCK: usize = 32;
const RANDOM_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;

/// The key of an app's envelopes. No `Debug`.
#[derive(Clone)]
pub struct EnvelopeKey([u8; 32]);

/// Why an envelope does not open. One answer for all reasons, so that nothing can be learned by trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the envelope does not open")]
pub struct NotOpened;

impl EnvelopeKey {
    /// Reads the console's `EncodingAESKey` of 43 characters.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = LENIENT.decode(format!("{text}=")).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Opens base64 text; the message is returned when the envelope is for `appid`.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(&self, encrypted: &str, appid: &str) -> Result<Vec<u8>, NotOpened> {
        let mut bytes = LENIENT.decode(encrypted).or(Err(NotOpened))?;
        let decryptor = cbc::Decryptor::<Aes256>::new(&self.0.into(), &self.iv().into());
        let plain = decryptor.decrypt_padded::<NoPadding>(&mut bytes).or(Err(NotOpened))?;
        let padding = usize::from(*plain.last().ok_or(NotOpened)?);
        if padding == 0 || padding > BLOCK {
            return Err(NotOpened);
        }
        let content = plain.len().checked_sub(padding).ok_or(NotOpened)?;
        let (content, tail) = plain.split_at_checked(content).ok_or(NotOpened)?;
        if tail.iter().any(|byte| usize::from(*byte) != padding) {
            return Err(NotOpened);
        }
        let (_, rest) = content.split_at_checked(RANDOM_BYTES).ok_or(NotOpened)?;
        let (length, rest) = rest.split_at_checked(LENGTH_BYTES).ok_or(NotOpened)?;
        let length = u32::from_be_bytes(length.try_into().or(Err(NotOpened))?);
        let length = usize::try_from(length).or(Err(NotOpened))?;
        let (message, addressee) = rest.split_at_checked(length).ok_or(NotOpened)?;
        if bool::from(addressee.ct_eq(appid.as_bytes())) { Ok(message.to_vec()) } else { Err(NotOpened) }
    }

    /// Seals a message for `appid`, as base64 text.
    pub fn seal(&self, random: &dyn SecureRandom, message: &[u8], appid: &str) -> String {
        let mut salt = [0; RANDOM_BYTES];
        random.fill(&mut salt);
        self.seal_with(salt, message, appid)
    }

    fn seal_with(&self, salt: [u8; RANDOM_BYTES], message: &[u8], appid: &str) -> String {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let mut bytes = [&salt[..], &length.to_be_bytes(), message, appid.as_bytes()].concat();
        let content = bytes.len();
        let padding = BLOCK - content % BLOCK;
        bytes.resize(content + padding, u8::try_from(padding).unwrap_or_default());
        let whole = bytes.len();
        let encryptor = cbc::Encryptor::<Aes256>::new(&self.0.into(), &self.iv().into());
        let sealed = encryptor.encrypt_padded::<NoPadding>(&mut bytes, whole);
        LENIENT.encode(sealed.expect("the length is a multiple of the block"))
    }

    fn iv(&self) -> [u8; 16] {
        let mut iv = [0; 16];
        for (to, from) in iv.iter_mut().zip(self.0) {
            *to = from;
        }
        iv
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const APPID: &str = "wxba5fad812f8e6fb9";
    const ENCRYPTED: &str = "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04=";

    fn published_key() -> EnvelopeKey {
        EnvelopeKey::parse(&"A".repeat(43)).unwrap()
    }

    /// The platform's own example, both directions.
    #[test]
    fn the_published_envelope_opens_and_the_published_reply_seals() {
        let message = published_key().open(ENCRYPTED, APPID).unwrap();
        assert_eq!(message.len(), 167);
        assert_eq!(
            String::from_utf8(message).unwrap(),
            r#"{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY","CreateTime":1714112445,"MsgType":"event","Event":"debug_demo","debug_str":"hello world"}"#
        );
        let reply = published_key().seal_with(*b"707722b803182950", br#"{"demo_resp":"good luck"}"#, APPID);
        assert_eq!(reply, "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==");
        let parts = ["AAAAA", "1714112445", "415670741", ENCRYPTED];
        assert_eq!(crate::sign::push_signature(&parts), "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3");
    }

    #[test]
    fn an_envelope_for_another_app_does_not_open() {
        assert_eq!(published_key().open(ENCRYPTED, "wxba5fad812f8e6fb8"), Err(NotOpened));
        assert_eq!(published_key().open(ENCRYPTED, ""), Err(NotOpened));
    }

    #[test]
    fn keys_with_unused_bits_are_keys() {
        assert!(EnvelopeKey::parse("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG").is_some());
        assert!(EnvelopeKey::parse("short").is_none());
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(message in proptest::collection::vec(any::<u8>(), 0..200), salt: [u8; 16]) {
            let sealed = published_key().seal_with(salt, &message, APPID);
            prop_assert_eq!(published_key().open(&sealed, APPID).unwrap(), message);
        }

        #[test]
        fn anything_else_is_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = LENIENT.encode(&bytes);
            let _ = published_key().open(&text, APPID);
        }

        #[test]
        fn no_changed_envelope_passes_as_another_message(at in 0usize..224, bit in 0u8..8) {
            let mut bytes = LENIENT.decode(ENCRYPTED).unwrap();
            bytes[at] ^= 1 << bit;
            // CBC alone does not notice every change; the signature over the text does. It must not panic.
            let _ = published_key().open(&LENIENT.encode(&bytes), APPID);
        }
    }
}
