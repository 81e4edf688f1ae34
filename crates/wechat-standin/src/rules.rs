//! The rules of a template's fields as the platform applies them, written independently of the product's.

/// The first field that breaks its rule, or is missing.
pub(crate) fn first_fault(content: &str, data: &serde_json::Value) -> Option<String> {
    let keys = content.split("{{").skip(1).filter_map(|part| part.split_once(".DATA}}")).map(|(key, _)| key.trim());
    for key in keys {
        let value = data.get(key).and_then(|field| field.get("value")).and_then(serde_json::Value::as_str);
        if !value.is_some_and(|value| is_right(key, value)) {
            return Some(key.to_owned());
        }
    }
    None
}

fn is_right(key: &str, value: &str) -> bool {
    let count = value.chars().count();
    if value.is_empty() || value.contains(['\n', '\r', '\t']) {
        return false;
    }
    let kind: String = key.chars().filter(|c| !c.is_ascii_digit()).collect();
    let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    match kind.as_str() {
        "thing" => count <= 20,
        "number" => count <= 32 && value.chars().all(|c| c.is_ascii_digit() || c == '.'),
        "letter" => count <= 32 && value.chars().all(|c| c.is_ascii_alphabetic()),
        "symbol" => count <= 5,
        "character_string" => count <= 32 && !value.chars().any(is_chinese),
        "time" => value.contains(':') && value.chars().any(|c| c.is_ascii_digit()),
        "date" => value.contains(['年', '-', '/', '.']) && value.chars().any(|c| c.is_ascii_digit()),
        "amount" => count <= 13 && value.chars().any(|c| c.is_ascii_digit()),
        "phone_number" => count <= 17 && !value.chars().any(is_chinese),
        "car_number" => count <= 8,
        "name" => count <= if value.chars().any(is_chinese) { 10 } else { 20 },
        "phrase" => count <= 5 && value.chars().all(is_chinese),
        _ => true,
    }
}
