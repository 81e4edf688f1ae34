//! Patterns of `$regex`: the part of PCRE that can be matched in linear time, read into a tree.
//!
//! `\Q…\E` is understood. Look-around, back references and atomic groups are refused. Every character class, case
//! folding included, is spelled out in the tree, so that the notations made of it mean the same on both databases.

use std::fmt::Write as _;

use crate::rest::RestError;

/// Longest pattern, in characters.
pub const MAX_PATTERN_CHARS: usize = 512;
/// Largest count in `{m,n}`.
pub const MAX_REPEAT: u32 = 100;
/// Largest size of a pattern with its repetitions written out.
pub const MAX_COST: usize = 5_000;
const MAX_NESTING: usize = 50;

/// A pattern as a tree. Laziness does not matter: only whether there is a match is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// One character out of ranges, or out of everything else.
    Class {
        is_negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// Before the first character; with `m` also after each line feed.
    Start {
        is_multiline: bool,
    },
    /// Behind the last character; with `m` also before each line feed.
    End {
        is_multiline: bool,
    },
    /// `\b`, of ASCII words.
    WordEdge,
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
    },
}

/// A checked pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    root: Node,
    /// The text, when the pattern is nothing but a text between optional anchors.
    plain: Option<Plain>,
}

/// A pattern that needs no engine: what `startsWith`, `endsWith` and `contains` of the SDKs make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    pub text: String,
    pub at_start: bool,
    pub at_end: bool,
}

impl Pattern {
    /// Reads a pattern with its `$options`.
    ///
    /// # Errors
    /// [`RestError::BadQuery`] saying what cannot be used.
    pub fn parse(pattern: &str, options: &str) -> Result<Self, RestError> {
        if pattern.chars().count() > MAX_PATTERN_CHARS {
            return Err(refuse(format!("is longer than {MAX_PATTERN_CHARS} characters")));
        }
        let mut flags = Flags::default();
        for option in options.chars() {
            flags.set(option)?;
        }
        let mut parser = Parser { chars: pattern.chars().collect(), at: 0, flags, depth: 0 };
        let root = parser.choice()?;
        if parser.at < parser.chars.len() {
            return Err(refuse("has a ) without its ("));
        }
        if cost(&root) > MAX_COST {
            return Err(refuse("repeats too much"));
        }
        let plain = plain(&root);
        Ok(Self { root, plain })
    }

    pub fn root(&self) -> &Node {
        &self.root
    }

    pub fn plain(&self) -> Option<&Plain> {
        self.plain.as_ref()
    }

    /// In the notation of the `regex` crate.
    pub fn to_rust(&self) -> String {
        let mut text = String::new();
        write_rust(&self.root, &mut text);
        text
    }

    /// In PostgreSQL's notation of advanced regular expressions.
    pub fn to_postgres(&self) -> String {
        let mut text = String::from("(?:");
        write_postgres(&self.root, &mut text);
        text.push(')');
        text
    }
}

fn refuse(text: impl std::fmt::Display) -> RestError {
    RestError::bad_query(format!("$regex {text}"))
}

#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
struct Flags {
    ignores_case: bool,
    is_multiline: bool,
    dot_takes_all: bool,
    is_extended: bool,
}

impl Flags {
    fn set(&mut self, option: char) -> Result<(), RestError> {
        match option {
            'i' => self.ignores_case = true,
            'm' => self.is_multiline = true,
            's' => self.dot_takes_all = true,
            'x' => self.is_extended = true,
            _ => return Err(refuse("has an option that is none of i, m, s, x")),
        }
        Ok(())
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    flags: Flags,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }

    fn takes(&mut self, text: &str) -> bool {
        let is_next = self.chars.get(self.at..).is_some_and(|rest| {
            let mut rest = rest.iter();
            text.chars().all(|c| rest.next() == Some(&c))
        });
        if is_next {
            self.at += text.chars().count();
        }
        is_next
    }

    fn choice(&mut self) -> Result<Node, RestError> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(refuse("is nested too deep"));
        }
        let mut branches = vec![self.sequence()?];
        while self.takes("|") {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(match branches.pop() {
            Some(only) if branches.is_empty() => only,
            Some(last) => {
                branches.push(last);
                Node::Choice(branches)
            }
            None => Node::Sequence(Vec::new()),
        })
    }

    fn sequence(&mut self) -> Result<Node, RestError> {
        let mut nodes = Vec::new();
        loop {
            if self.flags.is_extended {
                self.skip_blanks();
            }
            match self.peek() {
                None | Some('|' | ')') => return Ok(Node::Sequence(nodes)),
                Some('\\') if self.chars.get(self.at + 1) == Some(&'Q') => {
                    self.at += 2;
                    let quoted = self.quoted();
                    let mut quoted: Vec<Node> = quoted.into_iter().map(|c| self.literal(c)).collect();
                    let last = quoted.pop();
                    nodes.extend(quoted);
                    if let Some(last) = last {
                        let last = self.repeated(last)?;
                        nodes.push(last);
                    }
                }
                // `\E` without `\Q` says nothing.
                Some('\\') if self.chars.get(self.at + 1) == Some(&'E') => self.at += 2,
                Some(_) => {
                    let atom = self.atom()?;
                    let atom = match atom {
                        Some(atom) => self.repeated(atom)?,
                        None => continue,
                    };
                    nodes.push(atom);
                }
            }
        }
    }

    /// Up to `\E`, or to the end.
    fn quoted(&mut self) -> Vec<char> {
        let mut quoted = Vec::new();
        while !self.takes("\\E") {
            let Some(c) = self.next() else { break };
            quoted.push(c);
        }
        quoted
    }

    fn skip_blanks(&mut self) {
        while let Some(c) = self.peek() {
            if c == '#' {
                while self.next().is_some_and(|c| c != '\n') {}
            } else if c.is_ascii_whitespace() {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    /// `None` for a setting of options, which matches nothing by itself.
    fn atom(&mut self) -> Result<Option<Node>, RestError> {
        let Some(c) = self.next() else { return Ok(None) };
        Ok(Some(match c {
            '.' if self.flags.dot_takes_all => Node::Class { is_negated: true, ranges: Vec::new() },
            '.' => Node::Class { is_negated: true, ranges: vec![('\n', '\n')] },
            '^' => Node::Start { is_multiline: self.flags.is_multiline },
            '$' => Node::End { is_multiline: self.flags.is_multiline },
            '[' => self.class()?,
            '(' => return self.group(),
            '\\' => self.escape()?,
            '*' | '+' | '?' => return Err(refuse("repeats nothing")),
            c => self.literal(c),
        }))
    }

    fn group(&mut self) -> Result<Option<Node>, RestError> {
        let outer = self.flags;
        if self.takes("?") {
            if self.takes("P<") || (self.peek() == Some('<') && !matches!(self.chars.get(self.at + 1), Some('=' | '!')))
            {
                while self.next().is_some_and(|c| c != '>') {}
            } else {
                loop {
                    match self.next() {
                        Some(':') => break,
                        Some(')') => return Ok(None),
                        Some(option @ ('i' | 'm' | 's' | 'x')) => self.flags.set(option)?,
                        _ => return Err(refuse("has a group that is not supported")),
                    }
                }
            }
        }
        let node = self.choice()?;
        self.flags = outer;
        if self.takes(")") { Ok(Some(node)) } else { Err(refuse("has a ( without its )")) }
    }

    fn escape(&mut self) -> Result<Node, RestError> {
        let c = self.next().ok_or_else(|| refuse("ends with a backslash"))?;
        Ok(match c {
            'b' => Node::WordEdge,
            'A' => Node::Start { is_multiline: false },
            'z' | 'Z' => Node::End { is_multiline: false },
            'd' | 'w' | 's' | 'D' | 'W' | 'S' => {
                let (is_negated, ranges) = shorthand(c);
                Node::Class { is_negated, ranges }
            }
            c => {
                let c = self.escaped_char(c)?;
                self.literal(c)
            }
        })
    }

    fn escaped_char(&mut self, c: char) -> Result<char, RestError> {
        Ok(match c {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'e' => '\u{1b}',
            'x' | 'u' => self.code(c)?,
            c if c.is_ascii_alphanumeric() => return Err(refuse("has an escape that is not supported")),
            c => c,
        })
    }

    /// `\x41`, `\x{4e2d}`, `\u4e2d`.
    fn code(&mut self, kind: char) -> Result<char, RestError> {
        let mut digits = String::new();
        if self.takes("{") {
            while !self.takes("}") {
                digits
                    .push(self.next().filter(|_| digits.len() < 8).ok_or_else(|| refuse("has a bad character code"))?);
            }
        } else {
            let count = if kind == 'x' { 2 } else { 4 };
            digits.extend((0..count).map_while(|_| self.next()));
        }
        let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
        code.filter(|c| *c != '\0').ok_or_else(|| refuse("has a bad character code"))
    }

    fn class(&mut self) -> Result<Node, RestError> {
        let is_negated = self.takes("^");
        let mut ranges: Vec<(char, char)> = Vec::new();
        let mut is_first = true;
        loop {
            let c = self.next().ok_or_else(|| refuse("has a [ without its ]"))?;
            match c {
                ']' if !is_first => break,
                '[' if matches!(self.peek(), Some(':' | '.' | '=')) => {
                    return Err(refuse("has a named class, which is not supported"));
                }
                '\\' if matches!(self.peek(), Some('d' | 'w' | 's' | 'D' | 'W' | 'S')) => {
                    let (is_complement, members) = shorthand(self.next().unwrap_or('d'));
                    ranges.extend(if is_complement { complement(&members) } else { members });
                }
                c => {
                    let low = self.class_char(c)?;
                    let is_range = self.peek() == Some('-') && !matches!(self.chars.get(self.at + 1), None | Some(']'));
                    let high = if is_range {
                        self.at += 1;
                        let c = self.next().unwrap_or(low);
                        self.class_char(c)?
                    } else {
                        low
                    };
                    if high < low {
                        return Err(refuse("has a range that goes backwards"));
                    }
                    ranges.push((low, high));
                }
            }
            is_first = false;
        }
        if self.flags.ignores_case {
            ranges = folded(&ranges);
        }
        Ok(Node::Class { is_negated, ranges: merged(ranges) })
    }

    fn class_char(&mut self, c: char) -> Result<char, RestError> {
        match c {
            '\\' => match self.next() {
                Some('b') => Ok('\u{8}'),
                Some(c) => self.escaped_char(c),
                None => Err(refuse("ends with a backslash")),
            },
            c => Ok(c),
        }
    }

    fn literal(&self, c: char) -> Node {
        let ranges = vec![(c, c)];
        let ranges = if self.flags.ignores_case { merged(folded(&ranges)) } else { ranges };
        Node::Class { is_negated: false, ranges }
    }

    fn repeated(&mut self, atom: Node) -> Result<Node, RestError> {
        if self.flags.is_extended {
            self.skip_blanks();
        }
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts()? {
                Some(counts) => {
                    return self.after_repeat(atom, counts);
                }
                None => return Ok(atom),
            },
            _ => return Ok(atom),
        };
        self.at += 1;
        self.after_repeat(atom, (min, max))
    }

    fn after_repeat(&mut self, atom: Node, (min, max): (u32, Option<u32>)) -> Result<Node, RestError> {
        // Lazy or not, the same texts match. Possessive repetition is another matter.
        if !self.takes("?") && self.peek() == Some('+') {
            return Err(refuse("has a possessive repetition, which is not supported"));
        }
        if matches!(self.peek(), Some('*' | '+' | '?')) {
            return Err(refuse("repeats a repetition"));
        }
        Ok(Node::Repeat { node: Box::new(atom), min, max })
    }

    /// `{2}`, `{2,}`, `{2,5}`; `None`, and nothing taken, when the brace is a character like any other.
    fn counts(&mut self) -> Result<Option<(u32, Option<u32>)>, RestError> {
        let begin = self.at;
        self.at += 1;
        let min = self.number();
        let (has_comma, max) = if self.takes(",") { (true, self.number()) } else { (false, min) };
        let (Some(min), true) = (min, self.takes("}")) else {
            self.at = begin;
            return Ok(None);
        };
        let is_backwards = max.is_some_and(|max| max < min);
        if is_backwards || min > MAX_REPEAT || max.unwrap_or(0) > MAX_REPEAT {
            return Err(refuse(format!("repeats more than {MAX_REPEAT} times, or backwards")));
        }
        Ok(Some((min, if has_comma { max } else { Some(min) })))
    }

    fn number(&mut self) -> Option<u32> {
        let mut digits = String::new();
        while let Some(c) = self.peek().filter(char::is_ascii_digit) {
            digits.push(c);
            self.at += 1;
        }
        digits.truncate(9);
        digits.parse().ok()
    }
}

/// ASCII, as in PCRE without its Unicode option.
fn shorthand(c: char) -> (bool, Vec<(char, char)>) {
    let ranges = match c.to_ascii_lowercase() {
        'd' => vec![('0', '9')],
        'w' => vec![('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        _ => vec![('\t', '\r'), (' ', ' ')],
    };
    (c.is_ascii_uppercase(), ranges)
}

fn complement(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let mut free = Vec::new();
    let mut next = Some('\u{1}');
    for (low, high) in ranges {
        if let (Some(begin), Some(end)) = (next, before(*low))
            && begin <= end
        {
            free.push((begin, end));
        }
        next = after(*high);
    }
    free.extend(next.map(|begin| (begin, char::MAX)));
    free
}

fn before(c: char) -> Option<char> {
    ('\0'..c).next_back()
}

fn after(c: char) -> Option<char> {
    (c..=char::MAX).nth(1)
}

/// Adds the other case of every character; of long ranges beyond ASCII only as they stand.
fn folded(ranges: &[(char, char)]) -> Vec<(char, char)> {
    const MAX_SPELLED_OUT: usize = 512;
    let mut all = ranges.to_vec();
    for (low, high) in ranges {
        let is_short = (*low..=*high).take(MAX_SPELLED_OUT + 1).count() <= MAX_SPELLED_OUT;
        let spelled = if is_short { *low..=*high } else { *low..='\u{7f}' };
        for c in spelled {
            let mut upper = c.to_uppercase();
            let mut lower = c.to_lowercase();
            all.extend(upper.next().filter(|_| upper.next().is_none()).map(|c| (c, c)));
            all.extend(lower.next().filter(|_| lower.next().is_none()).map(|c| (c, c)));
        }
    }
    all
}

fn merged(mut ranges: Vec<(char, char)>) -> Vec<(char, char)> {
    ranges.sort_unstable();
    let mut kept: Vec<(char, char)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match kept.last_mut() {
            Some((_, end)) if low <= *end || after(*end) == Some(low) => *end = (*end).max(high),
            _ => kept.push((low, high)),
        }
    }
    kept
}

fn cost(node: &Node) -> usize {
    match node {
        Node::Class { .. } | Node::Start { .. } | Node::End { .. } | Node::WordEdge => 1,
        Node::Sequence(nodes) | Node::Choice(nodes) => nodes.iter().map(cost).fold(1, usize::saturating_add),
        Node::Repeat { node, min, max } => {
            let times = max.unwrap_or(*min).max(1) as usize;
            cost(node).saturating_mul(times).saturating_add(1)
        }
    }
}

fn plain(root: &Node) -> Option<Plain> {
    let Node::Sequence(nodes) = root else { return None };
    let mut nodes = nodes.as_slice();
    let mut plain = Plain { text: String::new(), at_start: false, at_end: false };
    if let [Node::Start { is_multiline: false }, rest @ ..] = nodes {
        plain.at_start = true;
        nodes = rest;
    }
    if let [rest @ .., Node::End { is_multiline: false }] = nodes {
        plain.at_end = true;
        nodes = rest;
    }
    for node in nodes {
        match node {
            Node::Class { is_negated: false, ranges } => match ranges.as_slice() {
                [(low, high)] if low == high => plain.text.push(*low),
                _ => return None,
            },
            _ => return None,
        }
    }
    Some(plain)
}

fn write_rust(node: &Node, text: &mut String) {
    match node {
        Node::Class { is_negated, ranges } => {
            write_class(*is_negated, ranges, text, |c, text| _ = write!(text, "\\x{{{:x}}}", c as u32));
        }
        Node::Start { is_multiline: true } => text.push_str("(?m:^)"),
        Node::Start { is_multiline: false } => text.push_str("\\A"),
        Node::End { is_multiline: true } => text.push_str("(?m:$)"),
        Node::End { is_multiline: false } => text.push_str("\\z"),
        Node::WordEdge => text.push_str("(?-u:\\b)"),
        other => write_shape(other, text, write_rust),
    }
}

fn write_postgres(node: &Node, text: &mut String) {
    const WORD: &str = "[A-Za-z0-9_]";
    match node {
        Node::Class { is_negated, ranges } => {
            write_class(*is_negated, ranges, text, |c, text| _ = write!(text, "\\U{:08x}", c as u32));
        }
        Node::Start { is_multiline: true } => text.push_str("(?:^|(?<=\\n))"),
        Node::Start { is_multiline: false } => text.push_str("(?:^)"),
        Node::End { is_multiline: true } => text.push_str("(?:$|(?=\\n))"),
        Node::End { is_multiline: false } => text.push_str("(?:$)"),
        Node::WordEdge => _ = write!(text, "(?:(?<={WORD})(?!{WORD})|(?<!{WORD})(?={WORD}))"),
        other => write_shape(other, text, write_postgres),
    }
}

fn write_shape(node: &Node, text: &mut String, write: fn(&Node, &mut String)) {
    match node {
        Node::Sequence(nodes) => nodes.iter().for_each(|node| write(node, text)),
        Node::Choice(nodes) => {
            text.push_str("(?:");
            for (i, node) in nodes.iter().enumerate() {
                text.push_str(if i == 0 { "" } else { "|" });
                write(node, text);
            }
            text.push(')');
        }
        Node::Repeat { node, min, max } => {
            text.push_str("(?:");
            write(node, text);
            text.push(')');
            match (min, max) {
                (0, None) => text.push('*'),
                (1, None) => text.push('+'),
                (min, None) => _ = write!(text, "{{{min},}}"),
                (min, Some(max)) => _ = write!(text, "{{{min},{max}}}"),
            }
        }
        _ => {}
    }
}

fn write_class(is_negated: bool, ranges: &[(char, char)], text: &mut String, one: fn(char, &mut String)) {
    // Everything but nothing: any character. Nothing at all: no character.
    if ranges.is_empty() {
        let any = [('\u{1}', char::MAX)];
        return write_class(!is_negated, &any, text, one);
    }
    text.push_str(if is_negated { "[^" } else { "[" });
    for (low, high) in ranges {
        one(*low, text);
        if low < high {
            text.push('-');
            one(*high, text);
        }
    }
    text.push(']');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn matches(pattern: &str, options: &str, text: &str) -> bool {
        let rust = Pattern::parse(pattern, options).unwrap().to_rust();
        regex::Regex::new(&rust).unwrap().is_match(text)
    }

    #[rstest]
    #[case("\\Qa.b\\E", "", "xa.bx", true)]
    #[case("\\Qa.b\\E", "", "xaxbx", false)]
    #[case("^\\Qa.b\\E", "", "a.bc", true)]
    #[case("^\\Qa.b\\E", "", "xa.b", false)]
    #[case("\\Qa.b\\E$", "", "xa.b", true)]
    #[case("\\Qa\\E\\\\E\\Qb\\E", "", "a\\Eb", true)]
    #[case("\\Qab\\E+c", "", "abbbc", true)]
    #[case("a|b", "", "xb", true)]
    #[case("^(a|b)+$", "", "abba", true)]
    #[case("^(?:ab){2,3}$", "", "ababab", true)]
    #[case("^(?:ab){2,3}$", "", "ab", false)]
    #[case("钱.", "", "钱十", true)]
    #[case("HELLO", "i", "say hello", true)]
    #[case("(?i)hello", "", "HELLO", true)]
    #[case("[a-c]", "i", "B", true)]
    #[case("[^a-c]", "i", "B", false)]
    #[case("^b", "m", "a\nb", true)]
    #[case("^b", "", "a\nb", false)]
    #[case("a.b", "", "a\nb", false)]
    #[case("a.b", "s", "a\nb", true)]
    #[case("a b # words", "x", "ab", true)]
    #[case("\\d{3}-\\w+\\s", "", "139-abc ", true)]
    #[case("[\\d-]+", "", "-", true)]
    #[case("[]a]", "", "]", true)]
    #[case("[^\\D]", "", "5", true)]
    #[case("\\bcat\\b", "", "a cat!", true)]
    #[case("\\bcat\\b", "", "concat", false)]
    #[case("a{,3}", "", "a{,3}", true)]
    #[case("\\x{4e2d}\\u6587", "", "中文", true)]
    #[case("a\\.b", "", "a.b", true)]
    #[case("", "", "anything", true)]
    fn patterns_match_as_in_pcre(#[case] pattern: &str, #[case] options: &str, #[case] text: &str, #[case] is: bool) {
        assert_eq!(matches(pattern, options, text), is);
    }

    #[rstest]
    #[case("(?=a)")]
    #[case("(?<!a)")]
    #[case("(?>a)")]
    #[case("(a)\\1")]
    #[case("a++")]
    #[case("a**")]
    #[case("*a")]
    #[case("(a")]
    #[case("a)")]
    #[case("[a")]
    #[case("[b-a]")]
    #[case("[[:alpha:]]")]
    #[case("\\p{L}")]
    #[case("\\Ba")]
    #[case("a{101}")]
    #[case("((a{100}){100})")]
    #[case("a\\")]
    fn what_cannot_be_matched_safely_is_refused(#[case] pattern: &str) {
        assert_eq!(Pattern::parse(pattern, "").unwrap_err().body().code, 107);
    }

    #[rstest]
    #[case("\\Qa.b\\E", "", Some(("a.b", false, false)))]
    #[case("^\\Qa.b\\E", "", Some(("a.b", true, false)))]
    #[case("\\Qa.b\\E$", "", Some(("a.b", false, true)))]
    #[case("^abc$", "", Some(("abc", true, true)))]
    #[case("^abc", "m", None)]
    #[case("abc", "i", None)]
    #[case("a.c", "", None)]
    fn texts_are_recognised(#[case] pattern: &str, #[case] options: &str, #[case] plain: Option<(&str, bool, bool)>) {
        let parsed = Pattern::parse(pattern, options).unwrap();
        assert_eq!(parsed.plain().map(|p| (p.text.as_str(), p.at_start, p.at_end)), plain);
    }

    proptest! {
        #[test]
        fn every_accepted_pattern_compiles(pattern in r"[ab.*+?|()\[\]{}^$\\QE0-9,dwWbB:i<=-]{0,24}", options in "[imsx]{0,2}") {
            if let Ok(parsed) = Pattern::parse(&pattern, &options) {
                prop_assert!(regex::Regex::new(&parsed.to_rust()).is_ok(), "{}", parsed.to_rust());
            }
        }

        #[test]
        fn a_quoted_text_matches_itself_only(text in "[a-c.*\\[\\]()]{1,5}", other in "[a-c.*\\[\\]()]{0,8}") {
            let pattern = format!("\\Q{text}\\E");
            prop_assert_eq!(matches(&pattern, "", &other), other.contains(&text));
        }
    }
}
