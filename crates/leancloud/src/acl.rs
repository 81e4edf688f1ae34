//! Access control lists of objects: who may read and write, by user id, `role:Name` or `*`.

use domain::id::UserId;
use serde_json::{Map, Value};

use crate::rest::RestError;

/// Everybody.
pub const PUBLIC: &str = "*";
/// Most entries of one list.
pub const MAX_ENTRIES: usize = 1_000;
/// Longest name of a role, in characters.
pub const MAX_ROLE_CHARS: usize = 64;

/// The list of one object. Without a list an object is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl(Map<String, Value>);

impl Acl {
    /// Reads a list a client sent: keys are `*`, a user's id or `role:Name`, values `{"read": true, "write": true}`
    /// with only true entries kept.
    ///
    /// # Errors
    /// [`RestError::BadAcl`].
    pub fn parse(value: &Value) -> Result<Self, RestError> {
        let entries = value.as_object().filter(|entries| entries.len() <= MAX_ENTRIES).ok_or(RestError::BadAcl)?;
        let mut list = Map::new();
        for (key, rights) in entries {
            let rights = rights.as_object().filter(|_| is_key(key)).ok_or(RestError::BadAcl)?;
            let mut kept = Map::new();
            for (right, granted) in rights {
                match (right.as_str(), granted) {
                    ("read" | "write", Value::Bool(true)) => _ = kept.insert(right.clone(), Value::Bool(true)),
                    ("read" | "write", Value::Bool(false) | Value::Null) => {}
                    _ => return Err(RestError::BadAcl),
                }
            }
            if !kept.is_empty() {
                list.insert(key.clone(), Value::Object(kept));
            }
        }
        Ok(Self(list))
    }

    /// One read back from the store.
    pub fn from_stored(list: Map<String, Value>) -> Self {
        Self(list)
    }

    /// Readable and writable by one user and nobody else.
    pub fn private_to(user: UserId) -> Self {
        let rights = serde_json::json!({ "read": true, "write": true });
        Self(Map::from_iter([(user.to_string(), rights)]))
    }

    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// Who may read; `None` when everybody may.
    pub fn readers(&self) -> Option<Vec<&str>> {
        self.holders("read")
    }

    /// Who may write; `None` when everybody may.
    pub fn writers(&self) -> Option<Vec<&str>> {
        self.holders("write")
    }

    fn holders(&self, right: &str) -> Option<Vec<&str>> {
        let has = |rights: &Value| rights.get(right) == Some(&Value::Bool(true));
        if self.0.get(PUBLIC).is_some_and(has) {
            return None;
        }
        Some(self.0.iter().filter(|(_, rights)| has(rights)).map(|(key, _)| key.as_str()).collect())
    }
}

fn is_key(key: &str) -> bool {
    key == PUBLIC || key.parse::<UserId>().is_ok() || key.strip_prefix("role:").is_some_and(is_role_name)
}

/// Letters, digits, `-`, `_` and spaces of any language, as LeanCloud's consoles make them.
pub fn is_role_name(name: &str) -> bool {
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    is_plain && !name.trim().is_empty() && name.chars().count() <= MAX_ROLE_CHARS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const USER: &str = "5ea26d077283e0ad84173581";

    #[test]
    fn only_true_entries_are_kept() {
        let acl = Acl::parse(&json!({ USER: {"read": true, "write": false}, "role:x": {"write": true} })).unwrap();
        assert_eq!(acl.to_value(), json!({ USER: {"read": true}, "role:x": {"write": true} }));
        assert_eq!((acl.readers(), acl.writers()), (Some(vec![USER]), Some(vec!["role:x"])));
    }

    #[test]
    fn public_rights_need_no_names_and_an_empty_list_shuts_everybody_out() {
        let acl = Acl::parse(&json!({ "*": {"read": true}, USER: {"write": true} })).unwrap();
        assert_eq!((acl.readers(), acl.writers()), (None, Some(vec![USER])));
        assert_eq!(Acl::parse(&json!({})).unwrap().readers(), Some(vec![]));
    }

    #[rstest]
    #[case(json!([]))]
    #[case(json!({"*": true}))]
    #[case(json!({"*": {"read": "yes"}}))]
    #[case(json!({"*": {"own": true}}))]
    #[case(json!({"somebody": {"read": true}}))]
    #[case(json!({"role:": {"read": true}}))]
    #[case(json!({"role:a\"b": {"read": true}}))]
    fn malformed_lists_are_refused(#[case] value: Value) {
        assert_eq!(Acl::parse(&value).unwrap_err().body().code, 123);
    }

    proptest! {
        #[test]
        fn no_json_makes_reading_a_list_panic(text in r#"[\[\]{}",:*a-z]{0,40}"#) {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let _ = Acl::parse(&value);
            }
        }
    }
}
