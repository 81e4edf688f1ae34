//! Addresses of files inside imported text: those of files whose bytes are here become own addresses.

use std::collections::{BTreeMap, BTreeSet};

use domain::StoreError;
use domain::file::FilePlace;
use serde_json::Value;

use super::batch::Run;
use super::store::ImportUnit;

/// Addresses in one value that is looked at; more of them are no list of files.
const MAX_ADDRESSES: usize = 100;

/// Adds the addresses that are the whole of a text somewhere in a value.
pub(super) fn gather(value: &Value, urls: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if is_address(text) => _ = urls.insert(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| gather(item, urls)),
        Value::Object(object) => object.values().for_each(|value| gather(value, urls)),
        _ => {}
    }
}

fn is_address(text: &str) -> bool {
    (text.starts_with("http://") || text.starts_with("https://")) && !text.contains(char::is_whitespace)
}

/// The addresses in a text, as it writes them: JSON may write `/` as `\/`.
pub(super) fn in_text(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("http").filter(|_| found.len() < MAX_ADDRESSES) {
        let from = rest.get(at..).unwrap_or_default();
        let end = from.find(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>')).unwrap_or(from.len());
        let (address, behind) = from.split_at(end);
        // A text inside a text of JSON ends in an escaped quote.
        let address = address.strip_suffix('\\').unwrap_or(address);
        if is_address(&unescaped(address)) {
            found.push(address);
            rest = behind;
        } else {
            rest = from.get(4..).unwrap_or_default();
        }
    }
    found
}

fn unescaped(address: &str) -> String {
    address.replace("\\/", "/")
}

/// Own addresses of files by the addresses they had.
pub(super) struct Addresses(BTreeMap<String, String>);

impl Addresses {
    /// Looks the addresses up. Without a way to make own ones nothing is rewritten.
    pub(super) async fn look_up(
        run: &Run<'_>,
        unit: &mut dyn ImportUnit,
        urls: BTreeSet<String>,
    ) -> Result<Self, StoreError> {
        let Some(file_urls) = run.file_urls.filter(|_| !urls.is_empty()) else { return Ok(Self(BTreeMap::new())) };
        let urls: Vec<String> = urls.into_iter().collect();
        let files = unit.files().at_addresses(&urls).await?.into_iter();
        let is_here = |(_, file): &(String, domain::file::File)| matches!(file.place, FilePlace::Stored { .. });
        Ok(Self(files.filter(is_here).map(|(url, file)| (url, file_urls.url(&file))).collect()))
    }

    /// The addresses in some texts, as they are looked up.
    pub(super) fn wanted<'t>(texts: impl Iterator<Item = &'t str>) -> BTreeSet<String> {
        texts.flat_map(in_text).map(unescaped).collect()
    }

    /// Replaces them in a text, leaving every other byte as it is.
    pub(super) fn rewrite(&self, text: &str) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let mut rewritten = String::with_capacity(text.len());
        let mut rest = text;
        for address in in_text(text) {
            let Some(own) = self.0.get(&unescaped(address)) else { continue };
            let Some((before, behind)) = rest.split_once(address) else { continue };
            rewritten.push_str(before);
            rewritten.push_str(own);
            rest = behind;
        }
        rewritten.push_str(rest);
        (rewritten != text).then_some(rewritten)
    }

    /// Replaces texts that are such an address.
    pub(super) fn rewrite_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(own) = self.0.get(text) {
                    own.clone_into(text);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.rewrite_value(item)),
            Value::Object(object) => object.values_mut().for_each(|value| self.rewrite_value(value)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const OLD: &str = "https://files.example.invalid/a.jpg";

    fn known() -> Addresses {
        Addresses(BTreeMap::from([(OLD.to_owned(), "https://own.example.invalid/1".to_owned())]))
    }

    #[rstest]
    #[case(r#"{"_lcfile":{"url":"https://files.example.invalid/a.jpg","objId":"x"}}"#, &[OLD])]
    #[case(r#"{"url":"https:\/\/files.example.invalid\/a.jpg"}"#, &[r"https:\/\/files.example.invalid\/a.jpg"])]
    #[case(r#"{"inner":"{\"url\":\"https://files.example.invalid/a.jpg\"}"}"#, &[OLD])]
    #[case("看 https://files.example.invalid/a.jpg 和 http://b.invalid", &[OLD, "http://b.invalid"])]
    #[case("httpd is no address", &[])]
    fn addresses_are_found_in_texts(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(in_text(text), expected);
    }

    #[test]
    fn known_ones_are_replaced_and_nothing_else_is_touched() {
        let text = r#"{ "b":"https://other.invalid/x", "a":"https:\/\/files.example.invalid\/a.jpg" }"#;
        let expected = r#"{ "b":"https://other.invalid/x", "a":"https://own.example.invalid/1" }"#;
        assert_eq!(known().rewrite(text).as_deref(), Some(expected));
        assert_eq!(known().rewrite("nothing here"), None);
    }

    #[test]
    fn whole_texts_of_documents_are_replaced() {
        let mut value = json!({ "a": [OLD], "b": format!("see {OLD}") });
        let mut urls = BTreeSet::new();
        gather(&value, &mut urls);
        assert_eq!(urls, BTreeSet::from([OLD.to_owned()]));
        known().rewrite_value(&mut value);
        assert_eq!(value, json!({ "a": ["https://own.example.invalid/1"], "b": format!("see {OLD}") }));
    }
}
