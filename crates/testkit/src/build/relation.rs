//! Building relations.

use consultation::Relation;
use consultation::consultation::Pair;
use domain::Timestamp;

use super::relation_id;
use crate::clock::MONDAY_MORNING;

/// See [`relation`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `done`"]
pub struct RelationBuilder(Relation);

/// A fresh relation of the pair, made at [`MONDAY_MORNING`].
pub fn relation(n: u32, pair: Pair) -> RelationBuilder {
    RelationBuilder(Relation::new(relation_id(n), pair, MONDAY_MORNING))
}

impl RelationBuilder {
    pub fn done(self) -> Relation {
        self.0
    }

    pub fn blocked(mut self) -> Self {
        self.0.is_blocked = true;
        self
    }

    pub fn followed(mut self) -> Self {
        self.0.set_follow(true);
        self
    }

    /// Shows the one-shot card at the next read.
    pub fn with_card(mut self) -> Self {
        self.0.show_followed_doctor_card = true;
        self
    }

    pub fn tags(mut self, tags: &[&str]) -> Self {
        self.0.tags = tags.iter().map(ToString::to_string).collect();
        self
    }

    pub fn remark(mut self, remark: &str) -> Self {
        self.0.remark = Some(remark.to_owned());
        self
    }

    pub fn created_at(mut self, at: Timestamp) -> Self {
        self.0.created_at = at;
        self.0.updated_at = at;
        self
    }
}
