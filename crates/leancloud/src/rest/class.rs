//! Which kind of class a name stands for: the product's own tables, the system's classes, or documents.

/// What stands behind a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClassKind {
    /// Any class the product does not know: documents with access control lists.
    Document,
    /// `_Role`: documents that name groups of users.
    Role,
    /// `CustomerService`: documents everybody may read and only the master key may write.
    Notice,
    /// `_User`: accounts.
    User,
    /// `_File`: what is known of files.
    File,
    /// `Patients`.
    Patient,
    /// `Doctor`.
    Doctor,
    /// `Consultation`.
    Consultation,
    /// `DoctorPatientRelation`.
    Relation,
    /// `_Conversation`: conversations of instant messaging.
    Conversation,
    /// Classes that are not served here: messages have an interface of their own.
    Closed,
}

impl ClassKind {
    /// The kind of a class. Classes beginning with `_` belong to the system; those not known are closed.
    pub fn of(class: &str) -> Self {
        match class {
            "_Role" => Self::Role,
            "_User" => Self::User,
            "_File" => Self::File,
            "Patients" => Self::Patient,
            "Doctor" => Self::Doctor,
            "Consultation" => Self::Consultation,
            "DoctorPatientRelation" => Self::Relation,
            "CustomerService" => Self::Notice,
            "_Conversation" => Self::Conversation,
            name if name.starts_with('_') => Self::Closed,
            _ => Self::Document,
        }
    }

    /// Whether its objects are rows of the documents' table.
    pub const fn is_document(self) -> bool {
        matches!(self, Self::Document | Self::Role | Self::Notice)
    }

    /// Whether its objects are people: they have fields that are kept sealed.
    pub const fn is_person(self) -> bool {
        matches!(self, Self::User | Self::Patient | Self::Doctor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_system_classes_are_closed_and_unknown_others_are_documents() {
        assert_eq!(ClassKind::of("_Conversation"), ClassKind::Conversation);
        assert_eq!(ClassKind::of("_SysMessage"), ClassKind::Closed);
        assert_eq!(ClassKind::of("_Whatever"), ClassKind::Closed);
        assert_eq!(ClassKind::of("Diary"), ClassKind::Document);
        assert!(ClassKind::of("_Role").is_document() && !ClassKind::of("Doctor").is_document());
    }
}
