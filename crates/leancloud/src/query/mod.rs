//! Queries of the storage interface: the `where` language as a tree, and what else a query says.
//!
//! Meaning of a condition on a field, which the compiled SQL and the tests' own evaluator share:
//! - a field that holds an array also satisfies a condition when one of its elements does (one level deep);
//! - values of different types are never less, greater or equal;
//! - an absent field equals `null`; a negation holds exactly when what it negates does not;
//! - a dotted key looks into nested objects, never into arrays.

mod parse;
pub mod pattern;

use domain::Timestamp;
use serde_json::Value;

use crate::value::Path;
use crate::wire::Pointer;

pub use parse::{MAX_LIMIT, Params, parse_order, parse_where};
pub use pattern::Pattern;

/// Conditions that all have to hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Where(pub Vec<Clause>);

/// One condition of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Clause {
    /// Of the value at a path.
    Field { path: Path, test: Test },
    /// At least one holds.
    Any(Vec<Where>),
    /// All hold.
    All(Vec<Where>),
    /// None holds.
    None(Vec<Where>),
    /// The object belongs to a relation of another.
    RelatedTo { owner: Pointer, key: String },
}

/// A test of one value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// In its stored form; `null` also matches what is absent.
    Equals(Value),
    In(Vec<Value>),
    Compare(Comparison, Comparable),
    Exists(bool),
    /// An array that holds all of these, or a value equal to the only one.
    HasAll(Vec<Value>),
    /// An array of this length.
    Size(u32),
    Matches(Pattern),
    /// A pointer to one of the objects found.
    InQuery(SubQuery),
    /// Equal to the value at a path of one of the objects found.
    Select {
        key: Path,
        query: SubQuery,
    },
    /// Within a distance of a point; a query without an order of its own puts the nearest first.
    Near {
        point: GeoPoint,
        max_radians: Option<f64>,
    },
    /// In a box given by its south-west and north-east corners.
    Within {
        south_west: GeoPoint,
        north_east: GeoPoint,
    },
    Not(Box<Test>),
    /// All of these, which only a negation has to say as one.
    Both(Vec<Test>),
}

/// Order of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Values that have an order among their own kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparable {
    Number(f64),
    /// By code points.
    Text(String),
    Date(Timestamp),
}

/// A place on earth, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeoPoint {
    pub latitude: f64,
    pub longitude: f64,
}

impl GeoPoint {
    /// The point on the unit sphere: the dot product of two of them is the cosine of the angle between.
    pub fn on_sphere(self) -> [f64; 3] {
        let (latitude, longitude) = (self.latitude.to_radians(), self.longitude.to_radians());
        [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()]
    }
}

/// A query inside a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct SubQuery {
    pub class: String,
    pub filter: Where,
    pub order: Vec<OrderKey>,
    /// `None`: all.
    pub limit: Option<u32>,
    pub skip: u32,
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderKey {
    pub path: Path,
    pub is_descending: bool,
}

/// A query for objects of one class.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    pub filter: Where,
    pub order: Vec<OrderKey>,
    pub limit: u32,
    pub skip: u32,
    /// Where a scan goes on: behind this id.
    pub after_id: Option<domain::ObjectId>,
}

impl Where {
    /// The pairs `path = value` that every object found has; a store may look them up in its indexes.
    pub fn needed_equalities(&self) -> impl Iterator<Item = (&Path, &Value)> {
        self.0.iter().filter_map(|clause| match clause {
            Clause::Field { path, test: Test::Equals(value) } if !value.is_null() => Some((path, value)),
            _ => None,
        })
    }

    /// The point whose neighbours are asked for, if the query itself asks for some.
    pub fn near(&self) -> Option<(&Path, GeoPoint)> {
        self.0.iter().find_map(|clause| match clause {
            Clause::Field { path, test: Test::Near { point, .. } } => Some((path, *point)),
            _ => None,
        })
    }
}
