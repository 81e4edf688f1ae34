//! The compiled SQL against a naive evaluator in memory, on random documents and queries.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use leancloud::query::pattern::{Node, Pattern};
use leancloud::query::{Clause, Comparable, Comparison, Query, SubQuery, Test, Where, parse_order, parse_where};
use leancloud::rest::{Document, RestStore, Viewer};
use leancloud::value::Path;
use leancloud::wire::{self, Typed};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use storage::SeaStore;

use super::support::{document, id, insert, number, on_each_database, pointer};

type World = BTreeMap<String, Vec<Document>>;

/// Whether a document meets the conditions, by walking through both.
fn meets(world: &World, filter: &Where, document: &Document) -> bool {
    filter.0.iter().all(|clause| match clause {
        Clause::Field { path, test } => passes(world, test, look_up(document, path).as_ref()),
        Clause::Any(branches) => branches.iter().any(|branch| meets(world, branch, document)),
        Clause::All(branches) => branches.iter().all(|branch| meets(world, branch, document)),
        Clause::None(branches) => !branches.iter().any(|branch| meets(world, branch, document)),
        Clause::RelatedTo { .. } => unreachable!("not generated"),
    })
}

fn look_up(document: &Document, path: &Path) -> Option<Value> {
    match path.to_string().as_str() {
        "objectId" => Some(json!(document.id.to_string())),
        "createdAt" => Some(wire::date(document.created_at)),
        _ => path.get(&document.fields).cloned(),
    }
}

fn passes(world: &World, test: &Test, value: Option<&Value>) -> bool {
    match test {
        Test::Not(inner) => !passes(world, inner, value),
        Test::Both(tests) => tests.iter().all(|test| passes(world, test, value)),
        Test::Exists(exists) => value.is_some() == *exists,
        Test::Size(size) => value.and_then(Value::as_array).is_some_and(|items| items.len() == *size as usize),
        Test::HasAll(values) => {
            !values.is_empty() && values.iter().all(|wanted| passes(world, &Test::Equals(wanted.clone()), value))
        }
        Test::Equals(Value::Null) if value.is_none() => true,
        Test::In(values) if value.is_none() => values.contains(&Value::Null),
        other => match value {
            None => false,
            Some(Value::Array(items)) => {
                passes_itself(world, other, &Value::Array(items.clone()))
                    || items.iter().any(|item| passes_itself(world, other, item))
            }
            Some(value) => passes_itself(world, other, value),
        },
    }
}

fn passes_itself(world: &World, test: &Test, value: &Value) -> bool {
    match test {
        Test::Equals(wanted) => value == wanted,
        Test::In(values) => values.contains(value),
        Test::Compare(comparison, with) => compares(value, *comparison, with),
        Test::Matches(pattern) => value.as_str().is_some_and(|text| matches(pattern, text)),
        Test::InQuery(query) => {
            sub_rows(world, query).iter().any(|row| *value == pointer(&query.class, number(row.id)))
        }
        Test::Select { key, query } => {
            sub_rows(world, query).iter().any(|row| look_up(row, key).as_ref() == Some(value))
        }
        _ => unreachable!("not generated"),
    }
}

fn sub_rows<'a>(world: &'a World, query: &SubQuery) -> Vec<&'a Document> {
    world.get(&query.class).into_iter().flatten().filter(|row| meets(world, &query.filter, row)).collect()
}

fn compares(value: &Value, comparison: Comparison, with: &Comparable) -> bool {
    let ordering = match with {
        Comparable::Number(number) => value.as_f64().and_then(|value| value.partial_cmp(number)),
        Comparable::Text(text) => value.as_str().map(|value| value.cmp(text)),
        Comparable::Date(at) => match Typed::parse(value) {
            Some(Typed::Date(value)) => Some(value.cmp(at)),
            _ => None,
        },
    };
    ordering.is_some_and(|ordering| match comparison {
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterOrEqual => ordering.is_ge(),
    })
}

/// Tries every way to match, from every place.
fn matches(pattern: &Pattern, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    (0..=text.len()).any(|at| go_on(pattern.root(), &text, at, &mut |_| true))
}

fn go_on(node: &Node, text: &[char], at: usize, then: &mut dyn FnMut(usize) -> bool) -> bool {
    let is_word =
        |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_');
    match node {
        Node::Class { is_negated, ranges } => {
            let is_member = |c: char| ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
            text.get(at).is_some_and(|c| is_member(*c) != *is_negated) && then(at + 1)
        }
        Node::Start { is_multiline } => (at == 0 || (*is_multiline && text[at - 1] == '\n')) && then(at),
        Node::End { is_multiline } => (at == text.len() || (*is_multiline && text[at] == '\n')) && then(at),
        Node::WordEdge => is_word(at.checked_sub(1)) != is_word(Some(at)) && then(at),
        Node::Sequence(nodes) => match nodes.split_first() {
            None => then(at),
            Some((first, rest)) => {
                let rest = Node::Sequence(rest.to_vec());
                go_on(first, text, at, &mut |at| go_on(&rest, text, at, then))
            }
        },
        Node::Choice(nodes) => nodes.iter().any(|node| go_on(node, text, at, then)),
        Node::Repeat { node, min, max } => {
            if *min == 0 && then(at) {
                return true;
            }
            if *max == Some(0) {
                return false;
            }
            let (fewer, less) = (min.saturating_sub(1), max.map(|max| max - 1));
            let rest = Node::Repeat { node: node.clone(), min: fewer, max: less };
            // Matching nothing once more gets nowhere, unless it is owed.
            go_on(node, text, at, &mut |next| (next > at || *min > 0) && go_on(&rest, text, next, then))
        }
    }
}

fn leaf() -> impl Strategy<Value = Value> {
    let texts = vec!["", "a", "ab", "A b", "钱十十", "a.b", "[1]", "true", "1", "x\ny", "\"q\\"];
    prop_oneof![
        2 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        4 => (-2..4_i32).prop_map(Value::from),
        2 => prop::sample::select(vec![0.5, 1.0, 1.5, -2.25, 1e20, 0.1]).prop_map(Value::from),
        6 => prop::sample::select(texts).prop_map(Value::from),
        3 => (0..3_i64).prop_map(|day| wire::date(domain::Timestamp::from_millis(day * 86_400_000))),
        3 => (0..4_u32).prop_map(|n| pointer("Other", n)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        5 => leaf(),
        2 => prop::collection::vec(leaf(), 0..3).prop_map(Value::from),
        1 => leaf().prop_map(|inner| json!({ "x": inner })),
        1 => leaf().prop_map(|inner| json!([{ "x": inner }, [inner]])),
    ]
}

/// Objects whose fields hold anything, or nothing with an array in it.
fn fields(has_arrays: bool) -> impl Strategy<Value = Value> {
    let plain = prop_oneof![4 => leaf(), 1 => leaf().prop_map(|inner| json!({ "x": inner }))];
    let value = if has_arrays { value().boxed() } else { plain.boxed() };
    prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c"]), value, 0..4)
        .prop_map(|map| Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "a", "b", "b", "c", "a.x", "c.x.y", "objectId", "createdAt"]).prop_map(str::to_owned)
}

fn ordered() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (-2..4_i32).prop_map(Value::from),
        1 => Just(json!(0.75)),
        2 => prop::sample::select(vec!["a", "b", "钱", ""]).prop_map(Value::from),
        2 => (0..3_i64).prop_map(|day| wire::date(domain::Timestamp::from_millis(day * 86_400_000))),
    ]
}

fn regex() -> impl Strategy<Value = Value> {
    let patterns = vec![
        "^a",
        "b$",
        "\\Qa.b\\E",
        "^\\Qa\\E",
        "\\Qb\\E$",
        "a.b",
        "^[a-z]+$",
        "[^a]",
        "(a|钱)",
        "十{2}",
        "\\bb\\b",
        "^.$",
        "y|^$",
        "\\s",
        "\\W",
        "(?:a?)*b",
        "^y",
        "x$",
        "\\\\$",
        "(ab){1,2}",
    ];
    (prop::sample::select(patterns), prop::sample::select(vec!["", "i", "m", "s", "im"]))
        .prop_map(|(pattern, options)| json!({ "$regex": pattern, "$options": options }))
}

fn test(inner: impl Strategy<Value = Value> + Clone + 'static) -> impl Strategy<Value = Value> {
    let values = || prop::collection::vec(value(), 0..3);
    let comparison = prop::sample::select(vec!["$lt", "$lte", "$gt", "$gte"]);
    let sub = (inner.clone(), any::<bool>()).prop_map(|(filter, is_in)| {
        json!({ if is_in { "$inQuery" } else { "$notInQuery" }: { "className": "Other", "where": filter } })
    });
    let select = (inner, key(), any::<bool>()).prop_filter("times are not selected", |(_, key, _)| key != "createdAt");
    let select = select.prop_map(|(filter, key, is_in)| {
        json!({ if is_in { "$select" } else { "$dontSelect" }: { "key": key, "query": { "className": "Other", "where": filter } } })
    });
    let simple = prop_oneof![
        4 => value(),
        2 => value().prop_map(|v| json!({ "$ne": v })),
        2 => values().prop_map(|v| json!({ "$in": v })),
        2 => values().prop_map(|v| json!({ "$nin": v })),
        1 => values().prop_map(|v| json!({ "$all": v })),
        1 => (0..4_u32).prop_map(|n| json!({ "$size": n })),
        1 => any::<bool>().prop_map(|b| json!({ "$exists": b })),
        4 => (comparison, ordered()).prop_map(|(op, v)| json!({ op: v })),
        3 => regex(),
    ];
    let simple = simple.boxed();
    let not = simple.clone().prop_filter("operators only", |v| {
        v.as_object().is_some_and(|o| !o.is_empty() && o.keys().all(|key| key.starts_with('$')))
    });
    prop_oneof![
        12 => simple,
        2 => not.prop_map(|test| json!({ "$not": test })),
        1 => sub,
        1 => select,
    ]
}

fn filter() -> impl Strategy<Value = Value> {
    // Ids and times are tested with what they can be equal to.
    let object = |tests: BTreeMap<String, Value>| Value::Object(tests.into_iter().collect::<Map<_, _>>());
    let plain = prop::collection::btree_map(key(), value().prop_map(|v| json!({ "$in": [v] })), 0..3).prop_map(object);
    let level = prop::collection::btree_map(key(), test(plain.boxed()), 0..3).prop_map(object).boxed();
    let branches = |word: &'static str, level: BoxedStrategy<Value>| {
        prop::collection::vec(level, 1..3).prop_map(move |branches| json!({ word: branches }))
    };
    prop_oneof![
        6 => level.clone(),
        2 => branches("$or", level.clone()),
        1 => branches("$and", level.clone()),
        1 => branches("$nor", level.clone()),
        1 => (branches("$or", level.clone()), level).prop_map(|(mut or, more)| {
            if let (Some(or), Value::Object(more)) = (or.as_object_mut(), more) {
                or.extend(more);
            }
            or
        }),
    ]
}

/// Times of rows take their own tests: presence and comparison with dates. Other tests of them are not compared.
fn is_comparable(filter: &Value) -> bool {
    let fine = |test: &Value| {
        test.as_object()
            .is_some_and(|object| object.keys().all(|key| matches!(key.as_str(), "$lt" | "$gt" | "$exists")))
    };
    match filter {
        Value::Object(object) => {
            object.iter().all(|(key, value)| if key == "createdAt" { fine(value) } else { is_comparable(value) })
        }
        Value::Array(items) => items.iter().all(is_comparable),
        _ => true,
    }
}

async fn check(store: &SeaStore, world: &World, class: &str, sent: &Value) {
    let filter = parse_where(sent).unwrap();
    let query = Query { filter: filter.clone(), limit: 1_000, ..Query::default() };
    let rows = RestStore::read(store).documents().find(&Viewer::Master, class, &query).await;
    let rows = rows.unwrap_or_else(|error| panic!("{sent}: {error:?}"));
    let found: Vec<u32> = rows.iter().map(|row| number(row.id)).collect();
    let expected: Vec<u32> =
        world[class].iter().filter(|row| meets(world, &filter, row)).map(|row| number(row.id)).collect();
    assert_eq!(
        found,
        expected,
        "{:?}\n{sent}\n{:#?}",
        store.backend(),
        world[class].iter().map(|d| json!(d.fields)).collect::<Vec<_>>()
    );
    let count = RestStore::read(store).documents().count(&Viewer::Master, class, &filter).await.unwrap();
    assert_eq!(count, expected.len() as u64);
}

/// Rounds of documents and queries on each database; `ORACLE_ROUNDS` asks for more.
fn rounds() -> u32 {
    std::env::var("ORACLE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

#[tokio::test]
async fn compiled_queries_agree_with_a_naive_evaluator() {
    on_each_database(async |store| {
        static CLASS: AtomicU32 = AtomicU32::new(0);
        let mut runner = TestRunner::default();
        let others = prop::collection::vec(fields(true), 4).new_tree(&mut runner).unwrap().current();
        let others: Vec<Document> = (0..).zip(others).map(|(n, fields)| document("Other", n, fields)).collect();
        insert(store, &others).await;
        for round in 0..rounds() {
            let class = format!("Random{}", CLASS.fetch_add(1, Ordering::SeqCst));
            let rows = prop::collection::vec(fields(round % 2 == 0), 1..25).new_tree(&mut runner).unwrap().current();
            let rows: Vec<Document> = (0..).zip(rows).map(|(n, fields)| document(&class, n, fields)).collect();
            insert(store, &rows).await;
            let world = World::from([(class.clone(), rows), ("Other".to_owned(), others.clone())]);
            for _ in 0..60 {
                let sent = filter().new_tree(&mut runner).unwrap().current();
                if is_comparable(&sent) {
                    check(store, &world, &class, &sent).await;
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn ordered_pages_neither_repeat_nor_skip() {
    on_each_database(async |store| {
        let mut runner = TestRunner::default();
        let score = prop::option::of(-3..4_i32);
        let rows = prop::collection::vec((score, 0..3_u32), 30).new_tree(&mut runner).unwrap().current();
        let rows: Vec<Document> = (0..)
            .zip(&rows)
            .map(|(n, (score, group))| {
                let fields = score.map_or_else(|| json!({ "g": group }), |score| json!({ "s": score, "g": group }));
                document("Paged", n, fields)
            })
            .collect();
        insert(store, &rows).await;
        for (order, is_descending) in [("g,s", false), ("-g,-s", true), ("s", false), ("-s", true)] {
            let mut expected = rows.clone();
            let of = |row: &Document, key: &str| row.fields.get(key).and_then(Value::as_i64).unwrap_or(i64::MIN);
            let has_group = order.contains('g');
            expected.sort_by_key(|row| (if has_group { of(row, "g") } else { 0 }, of(row, "s"), row.id));
            if is_descending {
                expected.reverse();
            }
            let expected: Vec<_> = expected.iter().map(|row| row.id).collect();
            let mut paged = Vec::new();
            for page in 0..5 {
                let query = Query { order: parse_order(order).unwrap(), limit: 7, skip: page * 7, ..Query::default() };
                let found = RestStore::read(store).documents().find(&Viewer::Master, "Paged", &query).await.unwrap();
                paged.extend(found.into_iter().map(|row| row.id));
            }
            assert_eq!(paged, expected, "{:?} {order}", store.backend());
        }
        assert_eq!(number(id(5)), 5);
    })
    .await;
}
