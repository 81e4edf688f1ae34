//! Which rows of a class a viewer sees. Rows of the product's own tables come from [`super::product`].

use ::leancloud::rest::{ClassKind, Viewer};
use ::leancloud::value::{Path, as_pointer};
use serde_json::Value;

use super::condition::Compiler;
use super::product;

/// The rows of a class as a table with the columns `id, data, acl, created_at, updated_at`.
pub(super) struct Source {
    pub(super) class: String,
    pub(super) alias: String,
    /// The table and its alias.
    pub(super) from: String,
    /// Which of its rows the viewer may see.
    pub(super) visible: String,
    /// Whether it has the columns of points.
    pub(super) has_points: bool,
    pub(super) kind: ClassKind,
}

impl Source {
    pub(super) fn of(compiler: &mut Compiler<'_>, class: &str, alias: String) -> Self {
        let kind = ClassKind::of(class);
        let (from, visible) = match kind {
            ClassKind::Document | ClassKind::Role | ClassKind::Notice => {
                // The class is written out, as the conditions of partial indexes are.
                let own = format!("{alias}.class = '{class}'");
                let may = readable(compiler, &alias, "readers");
                (format!("document AS {alias}"), format!("{own} AND {may}"))
            }
            ClassKind::Closed => (
                format!("(SELECT id, data, acl, created_at, updated_at FROM document WHERE FALSE) AS {alias}"),
                "FALSE".into(),
            ),
            other => (product::table(compiler, other, &alias), "TRUE".into()),
        };
        Self { class: class.to_owned(), alias, from, visible, has_points: kind.is_document(), kind }
    }

    /// A column with an index that holds what a path does, and the value to look for.
    pub(super) fn indexed_column(&self, path: &Path, value: &Value) -> Option<(&'static str, String)> {
        if !path.is_field() {
            return None;
        }
        let id_of = |class: &str| as_pointer(value).filter(|p| p.class == class).map(|p| p.id.to_string());
        match (self.kind, path.first()) {
            (ClassKind::Consultation | ClassKind::Relation, "idDoctor") => Some(("key_doctor", id_of("Doctor")?)),
            (ClassKind::Consultation | ClassKind::Relation, "idPatient") => Some(("key_patient", id_of("Patients")?)),
            (ClassKind::Doctor | ClassKind::Patient, "user") => Some(("key_user", id_of("_User")?)),
            _ => None,
        }
    }
}

/// Whether the viewer is among those a list names; rows without a list are everybody's.
pub(super) fn readable(compiler: &mut Compiler<'_>, alias: &str, list: &str) -> String {
    match compiler.viewer {
        Viewer::Master => "TRUE".into(),
        Viewer::Client(_) => {
            let keys: Vec<String> = compiler.viewer.acl_keys().into_iter().map(|key| compiler.bind(key)).collect();
            let column = format!("{alias}.{list}");
            format!("({column} IS NULL OR {})", compiler.backend.holds_any(&column, &keys))
        }
    }
}
