//! The little XML that the platform pushes, as a JSON value. No document types, no entities of one's own.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use serde_json::{Map, Value};

/// Elements within elements.
const MAX_DEPTH: usize = 8;
/// Elements altogether.
const MAX_ELEMENTS: usize = 2_000;

/// Not XML as the platform writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the XML is not as the platform writes it")]
pub struct MalformedXml;

/// One element being read.
struct Open {
    name: String,
    text: String,
    children: Map<String, Value>,
}

/// Reads one document; the outermost element's children become an object, repeated ones an array.
///
/// # Errors
/// [`MalformedXml`], also for document types, foreign entities and excessive nesting.
pub fn parse(bytes: &[u8]) -> Result<Value, MalformedXml> {
    let text = std::str::from_utf8(bytes).or(Err(MalformedXml))?;
    let mut reader = Reader::from_str(text);
    let mut stack: Vec<Open> = Vec::new();
    let mut done = None;
    let mut elements = 0;
    loop {
        match reader.read_event().or(Err(MalformedXml))? {
            Event::Start(start) => {
                elements += 1;
                if done.is_some() || stack.len() >= MAX_DEPTH || elements > MAX_ELEMENTS {
                    return Err(MalformedXml);
                }
                let name = start.name().as_ref().to_owned();
                stack.push(Open { name, text: String::new(), children: Map::new() });
            }
            Event::Empty(empty) => {
                elements += 1;
                if elements > MAX_ELEMENTS {
                    return Err(MalformedXml);
                }
                let name = empty.name().as_ref().to_owned();
                let parent = stack.last_mut().ok_or(MalformedXml)?;
                add(&mut parent.children, name, Value::String(String::new()));
            }
            Event::End(_) => {
                let open = stack.pop().ok_or(MalformedXml)?;
                let value = if open.children.is_empty() {
                    Value::String(open.text.trim().to_owned())
                } else {
                    Value::Object(open.children)
                };
                match stack.last_mut() {
                    Some(parent) => add(&mut parent.children, open.name, value),
                    None => done = Some(value),
                }
            }
            Event::Text(part) => {
                let part: &str = &part;
                match stack.last_mut() {
                    Some(open) => open.text.push_str(part),
                    None if part.trim().is_empty() => {}
                    None => return Err(MalformedXml),
                }
            }
            Event::CData(part) => {
                let open = stack.last_mut().ok_or(MalformedXml)?;
                open.text.push_str(&part);
            }
            Event::GeneralRef(entity) => {
                let open = stack.last_mut().ok_or(MalformedXml)?;
                if let Some(c) = entity.resolve_char_ref().or(Err(MalformedXml))? {
                    open.text.push(c);
                } else {
                    let name: &str = &entity;
                    open.text.push_str(resolve_predefined_entity(name).ok_or(MalformedXml)?);
                }
            }
            Event::Decl(_) | Event::Comment(_) => {}
            Event::DocType(_) | Event::PI(_) => return Err(MalformedXml),
            Event::Eof => return done.filter(|_| stack.is_empty()).ok_or(MalformedXml),
        }
    }
}

/// A second child of a name makes them a list.
fn add(children: &mut Map<String, Value>, name: String, value: Value) {
    match children.get_mut(&name) {
        None => {
            children.insert(name, value);
        }
        Some(Value::Array(list)) => list.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_lists_and_cdata_are_read() {
        let xml = br"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><CreateTime>1610969440</CreateTime>
            <SubscribeMsgPopupEvent><List><TemplateId><![CDATA[a]]></TemplateId></List>
            <List><TemplateId>b &amp; c&#33;</TemplateId></List></SubscribeMsgPopupEvent><Empty/></xml>";
        assert_eq!(
            parse(xml).unwrap(),
            json!({
                "ToUserName": "gh_1", "CreateTime": "1610969440",
                "SubscribeMsgPopupEvent": {"List": [{"TemplateId": "a"}, {"TemplateId": "b & c!"}]},
                "Empty": "",
            })
        );
    }

    #[test]
    fn document_types_and_entities_are_refused() {
        for bad in [
            r#"<!DOCTYPE xml [<!ENTITY x "y">]><xml><a>&x;</a></xml>"#,
            r#"<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml><a>b</a></xml>"#,
            "<xml><a>&x;</a></xml>",
            "<xml><a></xml>",
            "<xml></xml><xml></xml>",
            "text",
            "",
            "<?php ?><xml/>",
        ] {
            assert_eq!(parse(bad.as_bytes()), Err(MalformedXml), "{bad}");
        }
        let deep = format!("{}{}", "<a>".repeat(9), "</a>".repeat(9));
        assert_eq!(parse(deep.as_bytes()), Err(MalformedXml));
        let wide = format!("<x>{}</x>", "<a/>".repeat(2_001));
        assert_eq!(parse(wide.as_bytes()), Err(MalformedXml));
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn anything_like_xml_is_read_or_refused(text in "(<[a-c/!?\\[\\]]{0,3}>?|&[a-z#0-9]{0,3};?|[a-z]|<!\\[CDATA\\[|\\]\\]>){0,40}") {
            let _ = parse(text.as_bytes());
        }
    }
}
