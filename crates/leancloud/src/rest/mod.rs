//! The storage interface: what clients may ask of classes, users and files, and how it is refused.

mod class;
mod codes;
mod error;
mod files;
mod looks;
mod master;
mod objects;
mod product;
mod sealed;
mod shape;
mod store;
mod users;

pub use class::ClassKind;
pub use codes::CodeCall;
pub use error::RestError;
pub use files::{FileTicket, UploadToken};
pub use objects::{Caller, Created, Found, Rest, RestPorts};
pub use sealed::{SEALED_FIELDS, Sealing, sealing};
pub use shape::{FileUrls, Shape, address as file_address};
pub use store::{ClassInfo, ClientViewer, Document, DocumentRepository, LockedDocument, RestStore, RestUnit, Viewer};
pub use users::{MiniProgramError, MiniProgramLogin, UserAnswer, WeappPerson, user_value};
