//! What the database keeps so that it alone does not tell it: phone numbers, names of accounts that hold a phone
//! number, what other providers gave their users, and what is kept of requests that may be repeated.
//!
//! AES-SIV (RFC 5297): under one key a value always has the same sealed text, so that columns stay unique and are
//! looked up by equality. Nothing else can be asked of them. See decision 0034.

use ::leancloud::rest::SEALED_FIELDS;
use aes_siv::KeyInit as _;
use aes_siv::siv::Aes256Siv;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Phone, StoreError};
use hmac::{Hmac, Mac};
use serde_json::{Map, Value};
use sha2::Sha512;

use crate::convert::{corrupt, known};

/// Beginnings of sealed texts, which are also what they are sealed under: one kind never opens as another.
const PHONE: &str = "p1.";
const NAME: &str = "n1.";
const FIELD: &str = "f1.";
const DIGEST: &str = "d1.";
/// What bytes are sealed under, and the text that proves the key.
const BYTES: &str = "bytes";
const PROOF: &str = "k1.";

/// What other providers gave a user and take as a proof.
const PROVIDERS_SECRETS: [&str; 3] = ["access_token", "refresh_token", "session_key"];

/// So many digits together may be a phone number.
const PHONE_DIGITS: usize = 7;

/// Seals values for the database and opens them again. No `Debug`.
#[derive(Clone)]
pub struct Seal {
    key: [u8; 64],
}

impl Seal {
    /// Derives the key from the deployment's one secret, whose length is checked where it is configured.
    #[expect(clippy::missing_panics_doc, reason = "HMAC takes keys of any length")]
    pub fn derive(secret: &[u8]) -> Self {
        let mut mac = Hmac::<Sha512>::new_from_slice(secret).expect("HMAC takes keys of any length");
        mac.update(b"zhaoguan storage seal");
        Self { key: mac.finalize().into_bytes().into() }
    }

    /// A number as its column holds it.
    pub(crate) fn phone(&self, phone: &Phone) -> String {
        self.text(PHONE, phone.as_e164())
    }

    pub(crate) fn phone_opt(&self, phone: Option<&Phone>) -> Option<String> {
        phone.map(|phone| self.phone(phone))
    }

    pub(crate) fn open_phone(&self, column: &'static str, sealed: &str) -> Result<Phone, StoreError> {
        known(column, self.open_text(PHONE, sealed).and_then(|number| number.parse().ok()))
    }

    pub(crate) fn open_phone_opt(
        &self,
        column: &'static str,
        sealed: Option<&str>,
    ) -> Result<Option<Phone>, StoreError> {
        sealed.map(|sealed| self.open_phone(column, sealed)).transpose()
    }

    /// The name of an account as its column holds it: sealed when it may tell a phone number, else as it is.
    pub(crate) fn name(&self, name: &str) -> String {
        if may_tell_phone(name) || name.starts_with(NAME) { self.text(NAME, name) } else { name.to_owned() }
    }

    pub(crate) fn open_name(&self, column: &'static str, stored: String) -> Result<String, StoreError> {
        if stored.starts_with(NAME) { known(column, self.open_text(NAME, &stored)) } else { Ok(stored) }
    }

    /// The fields of a person that the product does not model, with those sealed that stand in for a sealed column:
    /// a number that an import could not read, or that another account has already.
    pub(crate) fn extra(&self, extra: &Map<String, Value>) -> Value {
        let mut sealed = extra.clone();
        for field in SEALED_FIELDS {
            if let Some(value) = sealed.get_mut(field) {
                *value = Value::String(self.field(value));
            }
        }
        Value::Object(sealed)
    }

    pub(crate) fn open_extra(&self, column: &'static str, stored: Value) -> Result<Map<String, Value>, StoreError> {
        let Value::Object(mut extra) = stored else { return corrupt(column) };
        for field in SEALED_FIELDS {
            if let Some(value) = extra.get_mut(field) {
                *value = known(column, value.as_str().and_then(|sealed| self.open_field(sealed)))?;
            }
        }
        Ok(extra)
    }

    /// The identities of an account, with the secrets sealed that providers gave with them.
    pub(crate) fn auth_data(&self, data: &Map<String, Value>) -> Value {
        let mut sealed = data.clone();
        providers_secrets(&mut sealed).for_each(|secret| *secret = Value::String(self.field(secret)));
        Value::Object(sealed)
    }

    pub(crate) fn open_auth_data(&self, column: &'static str, stored: Value) -> Result<Map<String, Value>, StoreError> {
        let Value::Object(mut data) = stored else { return corrupt(column) };
        self.open_secrets(column, &mut data)?;
        Ok(data)
    }

    fn open_secrets(&self, column: &'static str, data: &mut Map<String, Value>) -> Result<(), StoreError> {
        providers_secrets(data).try_for_each(|secret| {
            *secret = known(column, secret.as_str().and_then(|sealed| self.open_field(sealed)))?;
            Ok(())
        })
    }

    /// Opens the sealed fields of a person's row that was read as a document: numbers as LeanCloud shows them.
    pub(crate) fn open_document(&self, document: &mut Map<String, Value>) -> Result<(), StoreError> {
        if let Some(Value::Object(data)) = document.get_mut("authData") {
            self.open_secrets("authData", data)?;
        }
        for field in SEALED_FIELDS {
            if let Some(value) = document.get_mut(field) {
                *value = known(field, value.as_str().and_then(|stored| self.open_shown(field, stored)))?;
            }
        }
        Ok(())
    }

    fn open_shown(&self, field: &str, stored: &str) -> Option<Value> {
        match stored.get(..PHONE.len()) {
            Some(PHONE) => {
                let phone: Phone = self.open_text(PHONE, stored)?.parse().ok()?;
                Some(phone.national().into())
            }
            Some(FIELD) => self.open_field(stored),
            Some(NAME) => self.open_text(NAME, stored).map(Value::String),
            // Names that tell no number are plain.
            _ => (field == "username").then(|| stored.into()),
        }
    }

    /// Every way in which a document may hold, in a sealed field, the value that a query looks for.
    pub(crate) fn stored_forms(&self, field: &str, wanted: &Value) -> Vec<Value> {
        let text = wanted.as_str();
        let in_column = if field == "username" {
            text.map(|name| self.name(name))
        } else {
            let shown = text.and_then(|text| text.parse::<Phone>().ok().filter(|phone| phone.national() == text));
            self.phone_opt(shown.as_ref())
        };
        in_column.into_iter().chain([self.field(wanted)]).map(Value::String).collect()
    }

    /// Whether the SQL text is the name of an account as it is, for what can be asked of plain texts only.
    pub(crate) fn is_plain_name(text: &str) -> String {
        format!("{text} NOT LIKE '{NAME}%'")
    }

    /// Bytes sealed as a whole.
    pub(crate) fn bytes(&self, plain: &[u8]) -> Vec<u8> {
        self.sealed(BYTES, plain)
    }

    pub(crate) fn open_bytes(&self, column: &'static str, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        known(column, self.opened(BYTES, sealed))
    }

    /// A digest of something short, which could be found by trying.
    pub(crate) fn digest(&self, digest: &str) -> String {
        self.text(DIGEST, digest)
    }

    pub(crate) fn open_digest(&self, column: &'static str, sealed: &str) -> Result<String, StoreError> {
        known(column, self.open_text(DIGEST, sealed))
    }

    /// A text that tells this key from any other.
    pub(crate) fn proof(&self) -> String {
        self.text(PROOF, "")
    }

    fn field(&self, value: &Value) -> String {
        self.text(FIELD, &value.to_string())
    }

    fn open_field(&self, sealed: &str) -> Option<Value> {
        serde_json::from_str(&self.open_text(FIELD, sealed)?).ok()
    }

    fn text(&self, mark: &'static str, plain: &str) -> String {
        let mut text = mark.to_owned();
        URL_SAFE_NO_PAD.encode_string(self.sealed(mark, plain.as_bytes()), &mut text);
        text
    }

    fn open_text(&self, mark: &'static str, text: &str) -> Option<String> {
        let sealed = URL_SAFE_NO_PAD.decode(text.strip_prefix(mark)?).ok()?;
        String::from_utf8(self.opened(mark, &sealed)?).ok()
    }

    fn sealed(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let sealed = self.siv().encrypt([context.as_bytes()], plain);
        sealed.expect("only more contexts than AES-SIV takes are refused")
    }

    fn opened(&self, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.siv().decrypt([context.as_bytes()], sealed).ok()
    }

    /// It has a state of its own while it works.
    fn siv(&self) -> Aes256Siv {
        Aes256Siv::new(&self.key.into())
    }
}

fn providers_secrets(data: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    let all = data.values_mut().filter_map(Value::as_object_mut).flat_map(Map::iter_mut);
    all.filter(|(name, _)| PROVIDERS_SECRETS.contains(&name.as_str())).map(|(_, secret)| secret)
}

/// Whether a name has digits enough in a row to be, or to hold, a phone number.
fn may_tell_phone(name: &str) -> bool {
    let mut digits = 0;
    name.chars().any(|c| {
        digits = match c {
            ' ' | '-' => digits,
            c if c.is_numeric() => digits + 1,
            _ => 0,
        };
        digits >= PHONE_DIGITS
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NUMBER: &str = "13900000000";

    fn seal(secret: u8) -> Seal {
        Seal::derive(&[secret; 32])
    }

    fn number() -> Phone {
        NUMBER.parse().unwrap()
    }

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("not an object") };
        map
    }

    /// RFC 5297, appendix A.1, for AES-128; and one of our own, made elsewhere, that must not change: rows are kept for years.
    #[test]
    fn the_sealed_text_is_what_the_standard_says() {
        let key: [u8; 32] = hex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").try_into().unwrap();
        let context = hex("101112131415161718191a1b1c1d1e1f2021222324252627");
        let plain = hex("112233445566778899aabbccddee");
        let sealed = aes_siv::siv::Aes128Siv::new(&key.into()).encrypt([&context], &plain).unwrap();
        assert_eq!(sealed, hex("85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"));
        assert_eq!(seal(7).phone(&number()), "p1.ODN_XPaGevExGSXG6bi44YP6LG2bovrsO-H_02rM");
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn a_number_is_sealed_alike_each_time_and_opens_under_its_key_and_mark_only() {
        let sealed = seal(1).phone(&number());
        assert_eq!(sealed, seal(1).phone(&"+86 139-0000-0000".parse().unwrap()));
        assert!(sealed.starts_with(PHONE) && !sealed.contains(NUMBER), "{sealed}");
        assert_eq!(seal(1).open_phone("c", &sealed).unwrap(), number());
        assert_ne!(seal(2).phone(&number()), sealed);
        let other_mark = sealed.replace(PHONE, NAME);
        for (seal, text) in [(seal(2), sealed.as_str()), (seal(1), &other_mark), (seal(1), "+8613900000000")] {
            assert!(matches!(seal.open_phone("c", text), Err(StoreError::Corrupt(column)) if column == "c"));
        }
        assert!(seal(1).open_name("c", other_mark).is_err());
    }

    #[test]
    fn a_changed_text_does_not_open() {
        let sealed = seal(1).phone(&number());
        for at in PHONE.len()..sealed.len() - 1 {
            let letter = if sealed.as_bytes()[at] == b'A' { "B" } else { "A" };
            let changed = format!("{}{letter}{}", &sealed[..at], &sealed[at + 1..]);
            assert!(seal(1).open_phone("c", &changed).is_err(), "letter {at}");
        }
    }

    #[test]
    fn names_that_may_tell_a_number_are_sealed_and_others_are_not() {
        for name in
            [NUMBER, "+86 139 0000 0000", "13900000000-x7", "tel.+4930-1234567", "n1.x", "１３９００００００００"]
        {
            let stored = seal(1).name(name);
            assert!(stored.starts_with(NAME) && !stored.contains(name), "{stored}");
            assert_eq!(seal(1).open_name("c", stored).unwrap(), name);
        }
        for name in ["alice", "li.wei_2024", "p1.x", ""] {
            assert_eq!(seal(1).name(name), name);
            assert_eq!(seal(1).open_name("c", name.into()).unwrap(), name);
        }
    }

    #[test]
    fn of_other_fields_those_are_sealed_that_stand_in_for_a_number() {
        let extra = map(json!({ "phone": "010-1234", "mobilePhoneNumber": 13_900_000_000_i64, "hobby": "钓鱼" }));
        let stored = seal(1).extra(&extra);
        assert_eq!(stored["hobby"], "钓鱼");
        assert!(!stored.to_string().contains("1234") && !stored.to_string().contains(NUMBER), "{stored}");
        assert_eq!(seal(1).open_extra("c", stored.clone()).unwrap(), extra);
        assert!(seal(2).open_extra("c", stored).is_err());
        assert!(seal(1).open_extra("c", Value::Object(extra)).is_err(), "a plain number is none of ours");
    }

    #[test]
    fn what_providers_gave_is_sealed_and_ids_are_not() {
        let data = map(json!({ "lc_weapp": { "openid": "o1", "session_key": "c2Vzc2lvbg==" }, "weibo": "x" }));
        let stored = seal(1).auth_data(&data);
        assert_eq!((&stored["lc_weapp"]["openid"], &stored["weibo"]), (&json!("o1"), &json!("x")));
        assert!(!stored.to_string().contains("c2Vzc2lvbg"), "{stored}");
        assert_eq!(seal(1).open_auth_data("c", stored.clone()).unwrap(), data);
        let mut document = map(json!({ "authData": stored }));
        seal(1).open_document(&mut document).unwrap();
        assert_eq!(document["authData"], Value::Object(data));
    }

    #[test]
    fn documents_show_what_queries_find() {
        let seal = seal(1);
        let shown = |field: &str, stored: String| {
            let mut document = map(json!({ field: stored }));
            seal.open_document(&mut document).map(|()| document[field].clone())
        };
        assert_eq!(shown("phone", seal.phone(&number())).unwrap(), NUMBER);
        assert_eq!(shown("username", seal.name(NUMBER)).unwrap(), NUMBER);
        assert_eq!(shown("username", "alice".into()).unwrap(), "alice");
        assert_eq!(shown("phone", seal.field(&json!(["a"]))).unwrap(), json!(["a"]));
        assert!(shown("phone", NUMBER.into()).is_err());
        let forms = |field: &str, wanted: Value| seal.stored_forms(field, &wanted);
        assert!(forms("phone", json!(NUMBER)).contains(&json!(seal.phone(&number()))));
        assert_eq!(forms("phone", json!("+8613900000000")).len(), 1, "mainland numbers are shown without it");
        assert!(forms("username", json!("alice")).contains(&json!("alice")));
        assert!(forms("username", json!(NUMBER)).contains(&json!(seal.name(NUMBER))));
    }

    #[test]
    fn bytes_open_again_and_a_proof_tells_keys_apart() {
        let sealed = seal(1).bytes(b"{\"phone\":\"13900000000\"}");
        assert!(!sealed.windows(11).any(|part| part == NUMBER.as_bytes()));
        assert_eq!(seal(1).open_bytes("c", &sealed).unwrap(), b"{\"phone\":\"13900000000\"}");
        assert!(seal(2).open_bytes("c", &sealed).is_err() && seal(1).open_bytes("c", b"short").is_err());
        assert_eq!(seal(1).proof(), seal(1).proof());
        assert_ne!(seal(1).proof(), seal(2).proof());
    }
}
