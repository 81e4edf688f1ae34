//! Download addresses inside views: signed, so that an image tag needs no credentials, and good for an hour.

use account::Accounts;
use domain::id::FileId;
use poem_openapi::Object;

use crate::http::spec::PREFIX;
use crate::http::values::Id;

/// A file inside another record. Whoever may see the record may fetch the file.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct FileRef {
    /// Id of the file.
    pub object_id: Id,
    /// Signed download address, good for an hour.
    pub url: String,
}

/// Makes download addresses.
#[derive(Clone, Copy)]
pub struct Links<'a> {
    accounts: &'a Accounts,
    public_url: &'a str,
}

impl<'a> Links<'a> {
    pub const fn new(accounts: &'a Accounts, public_url: &'a str) -> Self {
        Self { accounts, public_url }
    }

    /// The file as part of a record the caller may see.
    pub fn file(&self, id: FileId) -> FileRef {
        FileRef { object_id: id.into(), url: self.url(id) }
    }

    /// The signed download address of a file.
    pub fn url(&self, id: FileId) -> String {
        self.accounts.sign_link(id).address(&format!("{}{PREFIX}", self.public_url))
    }
}
