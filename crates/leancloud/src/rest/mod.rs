//! The storage interface: what clients may ask of classes, users and files, and how it is refused.

mod class;
mod error;
mod store;

pub use class::ClassKind;
pub use error::RestError;
pub use store::{
    ClassInfo, ClientViewer, Document, DocumentRepository, LockedDocument, RestStore, RestUnit, Viewer,
};
