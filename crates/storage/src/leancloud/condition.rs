//! Compiles queries to SQL, with the meaning that [`leancloud::query`](::leancloud::query) describes.
//!
//! Every part is an SQL condition; unknown (`NULL`) counts as false, which a negation has to say aloud. Values are
//! bound, never written into the text; names of classes and keys are checked when a query is read.

use std::collections::BTreeMap;

use ::leancloud::query::{Clause, Comparable, Comparison, GeoPoint, OrderKey, Pattern, Query, SubQuery, Test, Where};
use ::leancloud::rest::{ClassInfo, Sealing, Viewer, sealing};
use ::leancloud::value::{Path, as_pointer};
use ::leancloud::wire;
use domain::Timestamp;
use sea_orm::Value;
use serde_json::Value as Json;

use super::dialect::Place;
use super::index::order_index;
use super::source::Source;
use crate::backend::Backend;
use crate::seal::Seal;

/// What is known of the classes a query is about.
pub(super) type Classes = BTreeMap<String, ClassInfo>;

/// Writes one statement: hands out aliases and gathers what is bound.
pub(super) struct Compiler<'a> {
    pub(super) backend: Backend,
    seal: &'a Seal,
    pub(super) viewer: &'a Viewer,
    pub(super) classes: &'a Classes,
    pub(super) values: Vec<Value>,
    aliases: usize,
}

/// Where the value of a path is found.
enum Location {
    /// The id column.
    Id(Place),
    /// A column of milliseconds.
    Time(String),
    Json(Place),
    /// A value that is sealed, or may be.
    Sealed(Place, Sealing),
    /// What no query may look at; it is as good as absent.
    Nowhere,
}

impl<'a> Compiler<'a> {
    pub(super) const fn new(backend: Backend, seal: &'a Seal, viewer: &'a Viewer, classes: &'a Classes) -> Self {
        Self { backend, seal, viewer, classes, values: Vec::new(), aliases: 0 }
    }

    /// Binds a value and answers how it is mentioned.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    fn alias(&mut self, letter: char) -> String {
        self.aliases += 1;
        format!("{letter}{}", self.aliases)
    }

    /// The rows of a class that the viewer may see.
    pub(super) fn source(&mut self, class: &str) -> Source {
        let alias = self.alias('d');
        Source::of(self, class, alias)
    }

    /// A whole query: what follows `SELECT … FROM`.
    pub(super) fn query(&mut self, source: &Source, query: &Query) -> String {
        let mut rows = self.rows(source, &query.filter);
        if let Some(index) = self.index_of_order(source, query) {
            let hinted = format!("{} INDEXED BY \"{index}\"", source.from);
            rows = rows.replacen(&source.from, &hinted, 1);
        }
        if let Some(id) = query.after_id {
            let id = self.bind(id.to_string());
            rows = format!("{rows} AND {}.id > {id}", source.alias);
        }
        let order = self.order(source, &query.order, &query.filter);
        format!("{rows} ORDER BY {order} LIMIT {} OFFSET {}", query.limit, query.skip)
    }

    /// The table of a source with every condition on it.
    pub(super) fn rows(&mut self, source: &Source, filter: &Where) -> String {
        let mut conditions = vec![source.visible.clone()];
        for (path, value) in filter.needed_equalities() {
            if let Some((column, wanted)) = source.indexed_column(path, value) {
                let wanted = self.bind(wanted);
                conditions.push(format!("{}.{column} = {wanted}", source.alias));
            }
        }
        conditions.push(self.filter(source, filter));
        format!("{} WHERE {}", source.from, conditions.join(" AND "))
    }

    fn order(&mut self, source: &Source, keys: &[OrderKey], filter: &Where) -> String {
        let alias = &source.alias;
        if keys.is_empty() {
            if let Some((_, point)) = filter.near() {
                return format!("{} DESC, {alias}.id", self.closeness(source, point));
            }
            if let Some(key) = self.natural_order(source, filter) {
                return format!("{key}, {alias}.id");
            }
            return format!("{alias}.id");
        }
        let mut columns = Vec::new();
        let mut is_descending = false;
        for key in keys {
            is_descending = key.is_descending;
            let direction = if is_descending { "DESC" } else { "ASC" };
            match self.locate(source, &key.path) {
                Location::Id(_) => columns.push(format!("{alias}.id {direction}")),
                Location::Time(column) => columns.push(format!("{column} {direction}")),
                Location::Json(place) | Location::Sealed(place, Sealing::Sometimes) => {
                    columns.push(self.backend.order_key(&place, is_descending));
                }
                Location::Sealed(_, Sealing::Always) | Location::Nowhere => {}
            }
        }
        // Equal rows keep one order, so that pages neither repeat nor skip.
        columns.push(format!("{alias}.id {}", if is_descending { "DESC" } else { "ASC" }));
        columns.join(", ")
    }

    /// The index that `SQLite` has to be told to read in order: by what it counts, all rows of a class and then sorting
    /// them looks cheaper. Where an equality finds the rows it chooses well by itself.
    fn index_of_order(&self, source: &Source, query: &Query) -> Option<String> {
        let info = self.classes.get(&source.class).filter(|_| self.backend == Backend::Sqlite && source.has_points)?;
        let is_indexed = |path: &Path| info.indexed_keys.contains(&path.to_string());
        let is_found = |clause: &Clause| match clause {
            Clause::Field { path, test: Test::Equals(_) | Test::In(_) } => {
                is_indexed(path) || path.first() == "objectId"
            }
            _ => false,
        };
        if query.filter.0.iter().any(is_found) {
            return None;
        }
        let compared = query.filter.0.iter().find_map(|clause| match clause {
            Clause::Field { path, test: Test::Compare(..) } => Some(path),
            _ => None,
        });
        let first = query.order.first().map_or(compared, |key| Some(&key.path));
        first.filter(|path| is_indexed(path)).map(|path| order_index(&source.class, path))
    }

    /// Without an order of the client's, rows come as the index does that finds them.
    fn natural_order(&self, source: &Source, filter: &Where) -> Option<String> {
        let indexed = |path: &Path| {
            let is_indexed = |info: &ClassInfo| info.indexed_keys.contains(&path.to_string());
            match self.locate(source, path) {
                Location::Time(column) => Some(column),
                Location::Json(place) if self.classes.get(&source.class).is_some_and(is_indexed) => {
                    Some(self.backend.order_key(&place, false))
                }
                _ => None,
            }
        };
        filter.0.iter().find_map(|clause| match clause {
            Clause::Field { path, test: Test::Compare(..) } => indexed(path),
            _ => None,
        })
    }

    pub(super) fn filter(&mut self, source: &Source, filter: &Where) -> String {
        let clauses: Vec<String> = filter.0.iter().map(|clause| self.clause(source, clause)).collect();
        all(&clauses)
    }

    fn clause(&mut self, source: &Source, clause: &Clause) -> String {
        let each = |compiler: &mut Self, branches: &[Where]| -> Vec<String> {
            branches.iter().map(|branch| compiler.filter(source, branch)).collect()
        };
        match clause {
            Clause::Field { path, test } => self.field(source, path, test),
            Clause::Any(branches) => any(&each(self, branches)),
            Clause::All(branches) => all(&each(self, branches)),
            Clause::None(branches) => not(&any(&each(self, branches))),
            Clause::RelatedTo { owner, key } => self.related_to(source, owner, key),
        }
    }

    /// The members of a relation, as long as the viewer may see who owns it.
    fn related_to(&mut self, source: &Source, owner: &wire::Pointer, key: &str) -> String {
        let owners = self.source(&owner.class);
        let class = self.bind(owner.class.clone());
        let id = self.bind(owner.id.to_string());
        let key = self.bind(key.to_owned());
        format!(
            "({alias}.id IN (SELECT related_id FROM document_relation WHERE owning_class = {class} AND owning_id = {id} \
             AND name = {key} AND related_class = '{member}') \
             AND EXISTS (SELECT 1 FROM {from} WHERE {visible} AND {owner}.id = {id}))",
            alias = source.alias,
            member = source.class,
            from = owners.from,
            visible = owners.visible,
            owner = owners.alias,
        )
    }

    fn field(&mut self, source: &Source, path: &Path, test: &Test) -> String {
        match test {
            Test::Not(inner) => not(&self.field(source, path, inner)),
            Test::Both(tests) => all(&tests.iter().map(|test| self.field(source, path, test)).collect::<Vec<_>>()),
            Test::HasAll(values) if values.is_empty() => "FALSE".into(),
            Test::HasAll(values) => {
                let each = |value: &Json| self.field(source, path, &Test::Equals(value.clone()));
                all(&values.iter().map(each).collect::<Vec<_>>())
            }
            Test::Near { point, max_radians } => self.near(source, path, *point, *max_radians),
            other => {
                if let Some(condition) = self.relation(source, path, other) {
                    return condition;
                }
                match self.locate(source, path) {
                    Location::Id(place) => self.id(source, &place, other),
                    Location::Time(column) => self.time(&column, other),
                    Location::Json(place) => {
                        let info = self.classes.get(&source.class);
                        let may_hold_array = info.is_none_or(|info| info.array_keys.contains(path.first()));
                        self.value(&place, other, may_hold_array)
                    }
                    Location::Sealed(place, sealing) => self.sealed(path.first(), &place, sealing, other),
                    Location::Nowhere => if holds_of_absent(other) { "TRUE" } else { "FALSE" }.into(),
                }
            }
        }
    }

    fn locate(&self, source: &Source, path: &Path) -> Location {
        let alias = &source.alias;
        match (path.first(), path.is_field()) {
            ("objectId", true) => Location::Id(Place::of_text(self.backend, &format!("{alias}.id"))),
            ("createdAt", true) => Location::Time(format!("{alias}.created_at")),
            ("updatedAt", true) => Location::Time(format!("{alias}.updated_at")),
            ("objectId" | "createdAt" | "updatedAt" | "ACL", _) => Location::Nowhere,
            _ => {
                let place = self.backend.at(&format!("{alias}.data"), path.parts());
                match sealing(source.kind, path) {
                    Some(sealing) => Location::Sealed(place, sealing),
                    None => Location::Json(place),
                }
            }
        }
    }

    /// Conditions on a field that is a relation ask for its members.
    fn relation(&mut self, source: &Source, path: &Path, test: &Test) -> Option<String> {
        let info = self.classes.get(&source.class)?;
        if !path.is_field() || !info.relation_keys.contains(path.first()) {
            return None;
        }
        let (class, members) = match test {
            Test::Equals(value) => {
                let pointer = as_pointer(value)?;
                (pointer.class, format!("= {}", self.bind(pointer.id.to_string())))
            }
            Test::InQuery(query) => (query.class.clone(), format!("IN ({})", self.ids_of(query))),
            _ => return None,
        };
        let (owner, key) = (self.bind(source.class.clone()), self.bind(path.first().to_owned()));
        let class = self.bind(class);
        Some(format!(
            "{}.id IN (SELECT owning_id FROM document_relation WHERE related_class = {class} AND related_id {members} \
             AND owning_class = {owner} AND name = {key})",
            source.alias
        ))
    }

    fn id(&mut self, source: &Source, place: &Place, test: &Test) -> String {
        let column = format!("{}.id", source.alias);
        match test {
            Test::Equals(Json::String(id)) => format!("{column} = {}", self.bind(id.clone())),
            Test::In(values) => {
                let ids: Vec<&str> = values.iter().filter_map(Json::as_str).collect();
                let ids = self.bind(json_text(&ids));
                self.backend.is_among(&column, &ids)
            }
            other => self.value_itself(place, other),
        }
    }

    /// Times of rows are compared as instants, with a Date or with the text they are shown as.
    fn time(&mut self, column: &str, test: &Test) -> String {
        match test {
            Test::Equals(value) => match instant(value) {
                Some(at) => format!("{column} = {}", self.bind(at.as_millis())),
                None => "FALSE".into(),
            },
            Test::In(values) => {
                let each = |value: &Json| self.time(column, &Test::Equals(value.clone()));
                any(&values.iter().map(each).collect::<Vec<_>>())
            }
            Test::Compare(comparison, with) => {
                let moment = match with {
                    Comparable::Date(date) => Some(*date),
                    Comparable::Text(iso) => Timestamp::parse_rfc3339(iso).ok(),
                    Comparable::Number(_) => None,
                };
                match moment {
                    Some(at) => format!("{column} {} {}", sign(*comparison), self.bind(at.as_millis())),
                    None => "FALSE".into(),
                }
            }
            Test::Exists(exists) => if *exists { "TRUE" } else { "FALSE" }.into(),
            _ => "FALSE".into(),
        }
    }

    /// A test that the value or one of its elements passes. Where there never was an array the test is plain, so that
    /// an index can answer it.
    fn value(&mut self, place: &Place, test: &Test, may_hold_array: bool) -> String {
        let either = |compiler: &mut Self| {
            if may_hold_array { compiler.with_elements(place, test) } else { compiler.value_itself(place, test) }
        };
        match test {
            Test::Exists(true) => format!("{} IS NOT NULL", place.kind),
            Test::Exists(false) => format!("{} IS NULL", place.kind),
            Test::Size(size) => format!("COALESCE({} = {size}, FALSE)", self.backend.array_length(place)),
            Test::Equals(Json::Null) => format!("({} IS NULL OR {})", place.kind, either(self)),
            Test::In(values) if values.contains(&Json::Null) => {
                format!("({} IS NULL OR {})", place.kind, either(self))
            }
            _ => either(self),
        }
    }

    /// A sealed value is there and equals another, or not; everything else is asked of plain ones only.
    fn sealed(&mut self, field: &str, place: &Place, sealing: Sealing, test: &Test) -> String {
        let seal = self.seal;
        let stored = |wanted: &Json| match wanted {
            Json::Null => vec![Json::Null],
            wanted => seal.stored_forms(field, wanted),
        };
        match (test, sealing) {
            (Test::Exists(_), _) => self.value(place, test, false),
            (Test::Equals(wanted), _) => self.value(place, &Test::In(stored(wanted)), false),
            (Test::In(wanted), _) => {
                let stored = wanted.iter().flat_map(stored).collect();
                self.value(place, &Test::In(stored), false)
            }
            (_, Sealing::Always) => "FALSE".into(),
            (other, Sealing::Sometimes) => {
                let holds = self.value(place, other, false);
                format!("({} AND {holds})", Seal::is_plain_name(&place.text))
            }
        }
    }

    fn with_elements(&mut self, place: &Place, test: &Test) -> String {
        let itself = self.value_itself(place, test);
        let alias = self.alias('e');
        let (elements, element) = self.backend.elements(place, &alias);
        let one = self.value_itself(&element, test);
        let is_array = self.backend.is_array(place);
        format!("({itself} OR ({is_array} AND EXISTS (SELECT 1 FROM {elements} WHERE {one})))")
    }

    /// A test of one value, whatever it holds.
    fn value_itself(&mut self, place: &Place, test: &Test) -> String {
        match test {
            Test::Equals(value) => {
                let value = self.bind(json_text(value));
                format!("{} = {}", place.json, self.backend.json_parameter(&value))
            }
            Test::In(values) => {
                let list = match self.backend {
                    Backend::Postgres => json_text(values),
                    Backend::Sqlite => json_text(&values.iter().map(json_text).collect::<Vec<_>>()),
                };
                let list = self.bind(list);
                self.backend.is_value_among(place, &list)
            }
            Test::Compare(comparison, with) => self.compare(place, *comparison, with),
            Test::Matches(pattern) => {
                let matches = self.matches(place, pattern);
                format!("({} = {} AND {matches})", place.kind, self.backend.string_kind())
            }
            Test::InQuery(query) => {
                let source = self.source(&query.class);
                let target = self.backend.pointer_to(&query.class, &format!("{}.id", source.alias));
                let rows = self.subquery(&source, query);
                format!("{} IN (SELECT {target} FROM {rows})", place.json)
            }
            Test::Select { key, query } => {
                let source = self.source(&query.class);
                let selected = match self.locate(&source, key) {
                    Location::Id(place) | Location::Json(place) | Location::Sealed(place, Sealing::Sometimes) => place,
                    Location::Time(_) | Location::Sealed(..) | Location::Nowhere => return "FALSE".into(),
                };
                let rows = self.subquery(&source, query);
                // Rows without the key say nothing.
                format!(
                    "{} IN (SELECT * FROM (SELECT {} AS selected FROM {rows}) AS s WHERE selected IS NOT NULL)",
                    place.json, selected.json
                )
            }
            Test::Within { south_west, north_east } => self.within(place, *south_west, *north_east),
            Test::Exists(exists) => if *exists { "TRUE" } else { "FALSE" }.into(),
            Test::Size(_) | Test::HasAll(_) | Test::Near { .. } | Test::Not(_) | Test::Both(_) => "FALSE".into(),
        }
    }

    fn subquery(&mut self, source: &Source, query: &SubQuery) -> String {
        let rows = self.rows(source, &query.filter);
        if query.limit.is_none() && query.skip == 0 {
            return rows;
        }
        let order = self.order(source, &query.order, &query.filter);
        let limit = query.limit.map_or(i64::MAX, i64::from);
        format!("{rows} ORDER BY {order} LIMIT {limit} OFFSET {}", query.skip)
    }

    fn ids_of(&mut self, query: &SubQuery) -> String {
        let source = self.source(&query.class);
        let rows = self.subquery(&source, query);
        format!("SELECT {}.id FROM {rows}", source.alias)
    }

    fn compare(&mut self, place: &Place, comparison: Comparison, with: &Comparable) -> String {
        let sign = sign(comparison);
        match with {
            Comparable::Number(number) => self.compare_number(place, sign, *number),
            Comparable::Text(text) => {
                let text = self.bind(text.clone());
                let (kind, string) = (&place.kind, self.backend.string_kind());
                format!("({kind} = {string} AND {} {sign} {text})", self.backend.by_code_points(&place.text))
            }
            Comparable::Date(at) => {
                // Dates have one stored form, which sorts as they do.
                let date = self.bind(json_text(&wire::date(*at)));
                let is_date = self.is_typed(place, "Date");
                let value = match self.backend {
                    Backend::Postgres => &place.json,
                    Backend::Sqlite => &place.text,
                };
                format!("({is_date} AND {value} {sign} {})", self.backend.json_parameter(&date))
            }
        }
    }

    fn compare_number(&mut self, place: &Place, sign: &str, number: f64) -> String {
        let number = match self.backend {
            Backend::Postgres => {
                let number = self.bind(json_text(&number));
                self.backend.json_parameter(&number)
            }
            Backend::Sqlite => self.bind(number),
        };
        format!("({} IN {} AND {} {sign} {number})", place.kind, self.backend.number_kinds(), place.number)
    }

    fn is_typed(&mut self, place: &Place, kind: &str) -> String {
        let member = self.backend.member(place, "__type");
        let kind = self.bind(json_text(kind));
        let object = match self.backend {
            Backend::Postgres => String::new(),
            // Of a value that is no object SQLite would look into its text.
            Backend::Sqlite => format!("{} = 'object' AND ", place.kind),
        };
        format!("{object}{} = {}", member.json, self.backend.json_parameter(&kind))
    }

    fn matches(&mut self, place: &Place, pattern: &Pattern) -> String {
        let text = &place.text;
        if let Some(plain) = pattern.plain() {
            if plain.text.is_empty() && !(plain.at_start && plain.at_end) {
                return "TRUE".into();
            }
            let part = self.bind(plain.text.clone());
            let part = if self.backend == Backend::Postgres { format!("CAST({part} AS text)") } else { part };
            return match (self.backend, plain.at_start, plain.at_end) {
                (_, true, true) => format!("{text} = {part}"),
                (Backend::Postgres, true, false) => format!("starts_with({text}, {part})"),
                (Backend::Postgres, false, true) => format!("right({text}, length({part})) = {part}"),
                (Backend::Postgres, false, false) => format!("strpos({text}, {part}) > 0"),
                (Backend::Sqlite, true, false) => format!("substr({text}, 1, length({part})) = {part}"),
                (Backend::Sqlite, false, true) => format!("substr({text}, -length({part})) = {part}"),
                (Backend::Sqlite, false, false) => format!("instr({text}, {part}) > 0"),
            };
        }
        match self.backend {
            Backend::Postgres => {
                format!("{} ~ {}", self.backend.by_code_points(text), self.bind(pattern.to_postgres()))
            }
            Backend::Sqlite => format!("{text} REGEXP {}", self.bind(pattern.to_rust())),
        }
    }

    fn within(&mut self, place: &Place, south_west: GeoPoint, north_east: GeoPoint) -> String {
        let latitude = self.backend.member(place, "latitude");
        let longitude = self.backend.member(place, "longitude");
        let parts = [
            self.is_typed(place, "GeoPoint"),
            self.compare_number(&latitude, ">=", south_west.latitude),
            self.compare_number(&latitude, "<=", north_east.latitude),
            self.compare_number(&longitude, ">=", south_west.longitude),
            self.compare_number(&longitude, "<=", north_east.longitude),
        ];
        all(&parts)
    }

    fn near(&mut self, source: &Source, path: &Path, point: GeoPoint, max_radians: Option<f64>) -> String {
        if !source.has_points || !path.is_field() {
            return "FALSE".into();
        }
        let key = self.bind(path.first().to_owned());
        let has_key = format!("{}.geo_key = {key}", source.alias);
        match max_radians.filter(|radians| *radians < std::f64::consts::PI) {
            None => has_key,
            Some(radians) => {
                let least = self.bind(radians.cos());
                format!("({has_key} AND {} >= {least})", self.closeness(source, point))
            }
        }
    }

    /// The cosine of the angle to a point: the greater, the nearer.
    fn closeness(&mut self, source: &Source, point: GeoPoint) -> String {
        let alias = &source.alias;
        let [x, y, z] = point.on_sphere().map(|part| self.bind(part));
        format!("({alias}.geo_x * {x} + {alias}.geo_y * {y} + {alias}.geo_z * {z})")
    }
}

const fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn all(conditions: &[String]) -> String {
    joined(conditions, " AND ", "TRUE")
}

fn any(conditions: &[String]) -> String {
    joined(conditions, " OR ", "FALSE")
}

fn joined(conditions: &[String], word: &str, empty: &str) -> String {
    if conditions.is_empty() { empty.into() } else { format!("({})", conditions.join(word)) }
}

fn not(condition: &str) -> String {
    format!("NOT COALESCE(({condition}), FALSE)")
}

fn json_text(value: &(impl serde::Serialize + ?Sized)) -> String {
    // Values of a query are plain data, which always serialise.
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}

fn instant(value: &Json) -> Option<Timestamp> {
    match value {
        Json::String(text) => Timestamp::parse_rfc3339(text).ok(),
        Json::Object(object) => Timestamp::parse_rfc3339(object.get("iso")?.as_str()?).ok(),
        _ => None,
    }
}

fn holds_of_absent(test: &Test) -> bool {
    match test {
        Test::Equals(value) => value.is_null(),
        Test::In(values) => values.contains(&Json::Null),
        Test::Exists(exists) => !exists,
        _ => false,
    }
}
