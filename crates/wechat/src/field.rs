//! The rules of a template's fields, known by the prefix of their keys, and how values are made to keep them.
//!
//! Lengths are counted in UTF-16 units, the stricter way: what the platform counts is not published.

use chrono_tz::Asia::Shanghai;
use domain::Timestamp;

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    Thing,
    Number,
    Letter,
    Symbol,
    CharacterString,
    Time,
    Date,
    Amount,
    PhoneNumber,
    CarNumber,
    Name,
    Phrase,
    Enum,
    /// Not published: taken for a short `thing`.
    Other,
}

impl FieldType {
    /// The type of a key like `thing2`.
    pub fn of_key(key: &str) -> Self {
        match key.trim_end_matches(|c: char| c.is_ascii_digit()) {
            "thing" => Self::Thing,
            "number" => Self::Number,
            "letter" => Self::Letter,
            "symbol" => Self::Symbol,
            "character_string" => Self::CharacterString,
            "time" => Self::Time,
            "date" => Self::Date,
            "amount" => Self::Amount,
            "phone_number" => Self::PhoneNumber,
            "car_number" => Self::CarNumber,
            "name" => Self::Name,
            "phrase" => Self::Phrase,
            "enum" => Self::Enum,
            _ => Self::Other,
        }
    }
}

const MAX_THING: usize = 20;
const MAX_LONG: usize = 32;
const MAX_PHRASE: usize = 5;
const MAX_SYMBOLS: usize = 5;
const MAX_NAME_CHINESE: usize = 10;
const MAX_NAME_LATIN: usize = 20;
const MAX_PHONE: usize = 17;
const MAX_CAR: usize = 8;
const MAX_AMOUNT_DIGITS: usize = 10;

/// Whether the platform accepts `value` under `key`. `allowed` are the words of an enumeration.
pub fn is_valid(key: &str, value: &str, allowed: &[String]) -> bool {
    let clean = !value.trim().is_empty() && !value.chars().any(char::is_control);
    clean
        && match FieldType::of_key(key) {
            FieldType::Thing | FieldType::Other => units(value) <= MAX_THING,
            FieldType::Number => is_decimal(value, MAX_LONG),
            FieldType::Letter => units(value) <= MAX_LONG && value.chars().all(|c| c.is_ascii_alphabetic()),
            FieldType::Symbol => units(value) <= MAX_SYMBOLS && value.chars().all(is_symbol),
            FieldType::CharacterString => units(value) <= MAX_LONG && value.chars().all(|c| c.is_ascii_graphic()),
            FieldType::Time => is_range(value, is_time),
            FieldType::Date => is_range(value, is_date),
            FieldType::Amount => is_amount(value),
            FieldType::PhoneNumber => {
                units(value) <= MAX_PHONE && value.chars().all(|c| c.is_ascii_digit() || is_symbol(c))
            }
            FieldType::CarNumber => is_car_number(value),
            FieldType::Name => is_name(value),
            FieldType::Phrase => units(value) <= MAX_PHRASE && value.chars().all(is_chinese),
            FieldType::Enum => allowed.iter().any(|word| word == value),
        }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn is_chinese(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}')
}

fn is_symbol(c: char) -> bool {
    !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control()
}

fn is_decimal(text: &str, max_digits: usize) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    is_digits(whole) && is_digits(fraction) && text.bytes().filter(u8::is_ascii_digit).count() <= max_digits
}

fn is_amount(text: &str) -> bool {
    let text = text.strip_suffix('元').unwrap_or(text);
    let text = text.strip_prefix(['¥', '￥', '$', '€', '£']).unwrap_or(text);
    is_decimal(text, MAX_AMOUNT_DIGITS)
}

fn is_car_number(text: &str) -> bool {
    let count = text.chars().count();
    let is_inner = |(at, c): (usize, char)| {
        let is_end = at == 0 || at + 1 == count;
        c.is_ascii_alphanumeric() || c == '-' || (is_end && is_chinese(c))
    };
    units(text) <= MAX_CAR && text.chars().enumerate().all(is_inner)
}

fn is_name(text: &str) -> bool {
    let is_latin = text.chars().all(|c| c.is_ascii_alphabetic() || c == ' ' || (c.is_ascii() && is_symbol(c)));
    let is_plain = text.chars().all(|c| !c.is_numeric());
    is_plain && units(text) <= if is_latin { MAX_NAME_LATIN } else { MAX_NAME_CHINESE }
}

/// One value, or two with `~` between.
fn is_range(text: &str, is_one: fn(&str) -> bool) -> bool {
    let parts: Vec<&str> = text.split('~').map(str::trim).collect();
    parts.len() <= 2 && parts.into_iter().all(is_one)
}

fn is_time(text: &str) -> bool {
    match text.rsplit_once(' ') {
        Some((date, clock)) => is_day(date.trim()) && is_clock(clock),
        None => is_clock(text),
    }
}

fn is_date(text: &str) -> bool {
    match text.split_once(' ') {
        Some((date, clock)) => is_day(date) && is_clock(clock.trim()),
        None => is_day(text),
    }
}

fn is_clock(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let limits = [24, 60, 60];
    (2..=3).contains(&parts.len()) && parts.iter().zip(limits).all(|(part, limit)| is_below(part, limit))
}

fn is_day(text: &str) -> bool {
    let text = text.strip_suffix('日').unwrap_or(text);
    let parts: Vec<&str> = text.split(['年', '月', '-', '/', '.']).collect();
    match parts.as_slice() {
        [year, month, day] => {
            is_below(year, 10_000) && year.len() == 4 && (1..=12).any(|m| is_number(month, m)) && {
                (1..=31).any(|d| is_number(day, d))
            }
        }
        _ => false,
    }
}

fn is_below(text: &str, limit: u32) -> bool {
    let is_digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    is_digits && text.parse::<u32>().is_ok_and(|n| n < limit)
}

fn is_number(text: &str, wanted: u32) -> bool {
    text.len() <= 2 && text.parse() == Ok(wanted)
}

/// What is known, to be put into the fields of whatever template there is. Neutral words: a card shows on locked
/// screens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What this is, e.g. 医生回复提醒.
    pub subject: String,
    /// What to do, e.g. 请打开小程序查看.
    pub hint: String,
    /// At most five Chinese characters, e.g. 待查看.
    pub status: String,
    /// Who it comes from, e.g. 兆观医生.
    pub sender: String,
    /// Letters and digits, e.g. of an order.
    pub reference: String,
    pub at: Timestamp,
}

/// Puts the facts into a template's keys, in their order; `allowed` gives the words of enumerations.
/// `None` when a field can hold none of the facts.
pub fn fill(keys: &[String], facts: &Facts, allowed: impl Fn(&str) -> Vec<String>) -> Option<Vec<(String, String)>> {
    let mut things = [&facts.subject, &facts.hint, &facts.sender].into_iter();
    let mut filled = Vec::with_capacity(keys.len());
    for key in keys {
        let words = allowed(key);
        let value = match FieldType::of_key(key) {
            FieldType::Thing | FieldType::Other => shortened(things.next().unwrap_or(&facts.sender), MAX_THING),
            FieldType::Time => shanghai(facts.at, "%Y-%m-%d %H:%M"),
            FieldType::Date => shanghai(facts.at, "%Y年%m月%d日 %H:%M"),
            FieldType::Name => shortened(&facts.sender, MAX_NAME_CHINESE),
            FieldType::Phrase => facts.status.chars().filter(|c| is_chinese(*c)).take(MAX_PHRASE).collect(),
            FieldType::CharacterString => {
                facts.reference.chars().filter(char::is_ascii_graphic).take(MAX_LONG).collect()
            }
            FieldType::Number => "1".to_owned(),
            FieldType::Letter => "ZG".to_owned(),
            FieldType::Amount => "0元".to_owned(),
            FieldType::Symbol | FieldType::PhoneNumber | FieldType::CarNumber => "-".to_owned(),
            FieldType::Enum => words.first().cloned().unwrap_or_default(),
        };
        if !is_valid(key, &value, &words) {
            return None;
        }
        filled.push((key.clone(), value));
    }
    Some(filled)
}

/// At most `max` UTF-16 units on one line, ending in `…` when cut; `-` when nothing is left.
fn shortened(text: &str, max: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    if line.is_empty() {
        return "-".to_owned();
    }
    if units(line) <= max {
        return line.to_owned();
    }
    let mut used = 0;
    let kept: String = line
        .chars()
        .take_while(|c| {
            used += c.len_utf16();
            used < max
        })
        .collect();
    format!("{}…", kept.trim_end())
}

fn shanghai(at: Timestamp, format: &str) -> String {
    at.to_datetime().with_timezone(&Shanghai).format(format).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("thing1", "一二三四五六七八九十一二三四五六七八九十", true)]
    #[case("thing1", "一二三四五六七八九十一二三四五六七八九十一", false)]
    #[case("thing1", "😀😀😀😀😀😀😀😀😀😀", true)]
    #[case("thing1", "😀😀😀😀😀😀😀😀😀😀😀", false)]
    #[case("thing1", "", false)]
    #[case("thing1", " ", false)]
    #[case("thing1", "a\nb", false)]
    #[case("number2", "12.50", true)]
    #[case("number2", "1.2.3", false)]
    #[case("number2", "-1", false)]
    #[case("number2", "123456789012345678901234567890123", false)]
    #[case("letter1", "abcXYZ", true)]
    #[case("letter1", "abc1", false)]
    #[case("symbol1", "!!!!!", true)]
    #[case("symbol1", "!!!!!!", false)]
    #[case("symbol1", "a", false)]
    #[case("character_string1", "2019-A_b#", true)]
    #[case("character_string1", "编号1", false)]
    #[case("time1", "15:01", true)]
    #[case("time1", "2019年10月1日 15:01", true)]
    #[case("time1", "2019年10月1日 15:01~2019年10月2日 15:01", true)]
    #[case("time1", "24:01", false)]
    #[case("time1", "2019年10月1日", false)]
    #[case("date1", "2019年10月1日", true)]
    #[case("date1", "2019-10-01", true)]
    #[case("date1", "2019/10/01 15:01", true)]
    #[case("date1", "2019.10.01~2019.10.02", true)]
    #[case("date1", "15:01", false)]
    #[case("date1", "2019-13-01", false)]
    #[case("amount1", "¥100.00", true)]
    #[case("amount1", "100元", true)]
    #[case("amount1", "¥12345678901", false)]
    #[case("amount1", "$$1", false)]
    #[case("phone_number1", "+86-0766-66888866", true)]
    #[case("phone_number1", "+86-0766-668888661", false)]
    #[case("car_number1", "粤A8Z888挂", true)]
    #[case("car_number1", "粤A8Z8888挂", false)]
    #[case("name1", "张三李四王五赵六钱七", true)]
    #[case("name1", "张三李四王五赵六钱七孙", false)]
    #[case("name1", "Alexander Hamilton", true)]
    #[case("name1", "Alexander 张三李四王", false)]
    #[case("phrase1", "配送中", true)]
    #[case("phrase1", "正在配送途中", false)]
    #[case("phrase1", "ok", false)]
    fn the_published_rules_hold(#[case] key: &str, #[case] value: &str, #[case] expected: bool) {
        assert_eq!(is_valid(key, value, &[]), expected, "{key} {value}");
    }

    #[test]
    fn enumerations_take_their_own_words_only() {
        let words = ["低".to_owned(), "高".to_owned()];
        assert!(is_valid("enum1", "高", &words) && !is_valid("enum1", "中", &words));
    }

    #[test]
    fn texts_are_cut_with_an_ellipsis() {
        assert_eq!(shortened("医生回复提醒", 20), "医生回复提醒");
        assert_eq!(shortened(&"长".repeat(30), 20), format!("{}…", "长".repeat(19)));
        assert_eq!(shortened("\n\t", 20), "-");
        assert_eq!(units(&shortened(&"😀".repeat(30), 20)), 19);
    }

    #[test]
    fn times_are_those_of_shanghai() {
        let at = Timestamp::parse_rfc3339("2026-11-22T16:05:00Z").unwrap();
        assert_eq!(shanghai(at, "%Y-%m-%d %H:%M"), "2026-11-23 00:05");
    }

    proptest! {
        #[test]
        fn whatever_the_facts_the_fields_are_valid(
            subject in any::<String>(), hint in any::<String>(), at in 0i64..4_000_000_000_000,
        ) {
            let keys: Vec<String> = ["thing1", "thing2", "thing3", "time4", "date5", "phrase6", "name7",
                "character_string8", "number9", "enum10", "amount11", "letter12"].map(str::to_owned).into();
            let facts = Facts {
                subject, hint, status: "待查看".into(), sender: "兆观医生".into(),
                reference: "5daeb07b7b968a0074945056".into(), at: Timestamp::from_millis(at),
            };
            let words = vec!["普通".to_owned()];
            let filled = fill(&keys, &facts, |_| words.clone()).unwrap();
            prop_assert!(filled.iter().all(|(key, value)| is_valid(key, value, &words)));
        }
    }
}
