//! What LeanCloud clients and exports speak, and its translation into the product's own words.
//!
//! [`wire`] holds the frozen value and error forms, [`functions`] the cloud functions' parameters and answers.
//! [`value`], [`query`], [`ops`] and [`acl`] are the languages of the storage interface, [`rest`] its use cases.
//! [`export`] reads an exported application row by row, [`mapping`] turns each row into domain rows without losing
//! a field, [`message`] turns messages there and back, [`import`] brings them into a store, and [`report`] tells what became of every row. The core below
//! knows nothing of this crate.

pub mod acl;
pub mod export;
pub mod fetch;
pub mod finding;
pub mod functions;
pub mod import;
pub mod mapping;
pub mod message;
pub mod ops;
pub mod query;
pub mod realtime;
pub mod report;
pub mod rest;
pub mod value;
pub mod wire;
