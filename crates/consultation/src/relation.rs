//! The lasting relation of one doctor and one patient.

use async_trait::async_trait;
use domain::id::{ConsultationId, DoctorId, InvitationId, PatientId, RelationId, ReportId};
use domain::page::{Page, PageRequest};
use domain::{FieldError, Patch, StoreError, Timestamp, text};
use serde_json::{Map, Value};

use crate::consultation::Pair;

/// A doctor's relation with a patient: unique per pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    pub id: RelationId,
    pub pair: Pair,
    pub tags: Vec<String>,
    pub remark: Option<String>,
    /// "0" when it began with a scan; set once.
    pub source: Option<String>,
    /// Whether the patient is followed. `"2"` is in `groups` exactly when this is true.
    pub is_followed: bool,
    pub is_blocked: bool,
    /// "1" ordinary, "2" followed; others as imported.
    pub groups: Vec<String>,
    pub credit: Option<String>,
    /// One-shot: set by a scan or a follow, cleared by the read that shows the card.
    pub show_followed_doctor_card: bool,
    pub latest_consultation_id: Option<ConsultationId>,
    pub latest_report_id: Option<ReportId>,
    pub extra: Map<String, Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows by one with every write; a write names the version it read.
    pub version: i64,
}

/// The wire digits of the two groups the product knows.
pub const GROUP_ORDINARY: &str = "1";
pub const GROUP_FOLLOWED: &str = "2";
/// `source` of a relation that began with a scan.
pub const SOURCE_SCAN: &str = "0";

pub const MAX_TAGS: usize = 20;
pub const MAX_TAG_CHARS: usize = 20;
pub const MAX_REMARK_CHARS: usize = 500;

impl Relation {
    /// A fresh relation: ordinary group, nothing else.
    pub fn new(id: RelationId, pair: Pair, now: Timestamp) -> Self {
        Self {
            id,
            pair,
            tags: Vec::new(),
            remark: None,
            source: None,
            is_followed: false,
            is_blocked: false,
            groups: vec![GROUP_ORDINARY.into()],
            credit: None,
            show_followed_doctor_card: false,
            latest_consultation_id: None,
            latest_report_id: None,
            extra: Map::new(),
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    /// What a scan of the doctor's invitation does: `source` once, and the card to be shown once more.
    pub fn scanned(&mut self) {
        self.source.get_or_insert_with(|| SOURCE_SCAN.into());
        self.show_followed_doctor_card = true;
    }

    /// Follows or unfollows, keeping `"2" ∈ groups ⇔ follow`. Following anew shows the card once.
    pub fn set_follow(&mut self, follow: bool) {
        if follow && !self.is_followed {
            self.show_followed_doctor_card = true;
        }
        self.is_followed = follow;
        self.groups.retain(|g| g != GROUP_FOLLOWED);
        if follow {
            self.groups.push(GROUP_FOLLOWED.into());
        }
    }

    /// Applies everything of a patch except `block`, which is a transition of its own.
    ///
    /// # Errors
    /// All fields at fault at once; the relation is then unchanged.
    pub fn apply(&mut self, patch: &RelationPatch) -> Result<(), Vec<FieldError>> {
        let mut faults = Vec::new();
        let mut next = self.clone();
        match &patch.tags {
            Patch::Absent => {}
            Patch::Null => next.tags.clear(),
            Patch::Set(tags) => match check_tags(tags) {
                Ok(tags) => next.tags = tags,
                Err(fault) => faults.push(fault),
            },
        }
        match patch.remark.clone().try_map(|r| text::bounded("remark", &r, MAX_REMARK_CHARS)) {
            Ok(remark) => remark.apply(&mut next.remark),
            Err(fault) => faults.push(fault),
        }
        if let Some(groups) = &patch.groups {
            match check_groups(groups, patch.follow) {
                Ok(()) => {
                    let follow = groups.iter().any(|g| g == GROUP_FOLLOWED);
                    next.groups.clone_from(groups);
                    next.set_follow(follow);
                }
                Err(fault) => faults.push(fault),
            }
        } else if let Some(follow) = patch.follow {
            next.set_follow(follow);
        }
        if faults.is_empty() {
            *self = next;
            Ok(())
        } else {
            Err(faults)
        }
    }
}

/// What a doctor may change of a relation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RelationPatch {
    pub tags: Patch<Vec<String>>,
    pub remark: Patch<String>,
    pub follow: Option<bool>,
    pub block: Option<bool>,
    pub groups: Option<Vec<String>>,
}

fn check_tags(tags: &[String]) -> Result<Vec<String>, FieldError> {
    if tags.len() > MAX_TAGS {
        return Err(FieldError::new("tag", format!("may hold at most {MAX_TAGS} tags")));
    }
    let mut checked: Vec<String> = Vec::with_capacity(tags.len());
    for (i, tag) in tags.iter().enumerate() {
        let tag = text::required(&format!("tag[{i}]"), tag, MAX_TAG_CHARS)?;
        if !checked.contains(&tag) {
            checked.push(tag);
        }
    }
    Ok(checked)
}

fn check_groups(groups: &[String], follow: Option<bool>) -> Result<(), FieldError> {
    let is_known = |g: &String| g == GROUP_ORDINARY || g == GROUP_FOLLOWED;
    let is_repeated = groups.iter().enumerate().any(|(i, g)| groups.iter().take(i).any(|h| h == g));
    if !groups.iter().all(is_known) || is_repeated {
        return Err(FieldError::new("group", "holds \"1\" (ordinary) and \"2\" (followed), each at most once"));
    }
    let is_followed = groups.iter().any(|g| g == GROUP_FOLLOWED);
    if follow.is_some_and(|f| f != is_followed) {
        return Err(FieldError::new("follow", "must be true exactly when group holds \"2\""));
    }
    Ok(())
}

/// Which of a doctor's patients are asked for; unset fields do not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RelationFilter {
    pub doctor: Option<DoctorId>,
    pub patient: Option<PatientId>,
    pub group: Option<String>,
    pub tag: Option<String>,
    /// Part of the patient's name or of the remark, or the whole phone number.
    pub text: Option<String>,
}

/// A doctor's standing invitation; its `scene` is what the picture code carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub id: InvitationId,
    pub doctor_id: DoctorId,
    /// Opaque, at least 96 bits, base62.
    pub scene: String,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub scan_count: i64,
    pub created_at: Timestamp,
}

impl Invitation {
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

/// Stores relations.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RelationRepository: Send {
    async fn find(&mut self, id: RelationId) -> Result<Option<Relation>, StoreError>;
    /// Which of these are blocked.
    async fn find_blocked(&mut self, ids: &[RelationId]) -> Result<Vec<RelationId>, StoreError>;
    async fn find_by_pair(&mut self, pair: Pair) -> Result<Option<Relation>, StoreError>;
    /// Like `find`, locked until the unit ends.
    async fn find_locked(&mut self, id: RelationId) -> Result<Option<Relation>, StoreError>;
    /// Finds or inserts the relation of each pair and locks all of them, in pair order, until the unit ends.
    /// Returns them in the order of `candidates`; a returned id differing from the candidate's was there before.
    async fn ensure_all(&mut self, candidates: &[Relation]) -> Result<Vec<Relation>, StoreError>;
    /// Writes the relation if its version is still the one read, and bumps it; else [`StoreError::Conflict`].
    async fn update(&mut self, relation: &Relation) -> Result<(), StoreError>;
    /// Points relations at their newest consultation.
    async fn set_latest_consultations(
        &mut self,
        latest: &[(RelationId, ConsultationId)],
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Points all relations of a patient at the newest report.
    async fn set_latest_report(
        &mut self,
        patient: PatientId,
        report: ReportId,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Those of two people who are both still here, newest first.
    async fn list(&mut self, filter: &RelationFilter, page: PageRequest) -> Result<Page<Relation>, StoreError>;
    /// Clears the one-shot card of all relations of a patient and returns those that showed it.
    async fn take_cards(&mut self, patient: PatientId, now: Timestamp) -> Result<Vec<Relation>, StoreError>;
}

/// Stores invitations.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait InvitationRepository: Send {
    async fn insert(&mut self, invitation: &Invitation) -> Result<(), StoreError>;
    async fn find(&mut self, id: InvitationId) -> Result<Option<Invitation>, StoreError>;
    async fn find_by_scene(&mut self, scene: &str) -> Result<Option<Invitation>, StoreError>;
    /// Newest first.
    async fn list(&mut self, doctor: DoctorId) -> Result<Vec<Invitation>, StoreError>;
    async fn revoke(&mut self, id: InvitationId, now: Timestamp) -> Result<(), StoreError>;
    async fn count_scan(&mut self, id: InvitationId) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use domain::ObjectId;

    use super::*;

    fn relation() -> Relation {
        let id = ObjectId::from_parts(1, [0; 5], 1);
        Relation::new(RelationId(id), Pair { doctor: DoctorId(id), patient: PatientId(id) }, Timestamp::EPOCH)
    }

    #[test]
    fn follow_and_group_two_are_one_thing() {
        let mut r = relation();
        r.apply(&RelationPatch { follow: Some(true), ..RelationPatch::default() }).unwrap();
        assert_eq!((r.is_followed, r.groups.clone()), (true, vec!["1".into(), "2".into()]));
        assert!(r.show_followed_doctor_card);
        r.apply(&RelationPatch { groups: Some(vec!["1".into()]), ..RelationPatch::default() }).unwrap();
        assert_eq!((r.is_followed, r.groups.clone()), (false, vec!["1".to_owned()]));
    }

    #[test]
    fn contradicting_group_and_follow_is_refused() {
        let patch = RelationPatch { groups: Some(vec!["1".into()]), follow: Some(true), ..RelationPatch::default() };
        assert_eq!(relation().apply(&patch).unwrap_err()[0].field, "follow");
        let unknown = RelationPatch { groups: Some(vec!["3".into()]), ..RelationPatch::default() };
        assert_eq!(relation().apply(&unknown).unwrap_err()[0].field, "group");
    }

    #[test]
    fn source_is_set_once_and_each_scan_shows_the_card() {
        let mut r = relation();
        r.source = Some("7".into());
        r.scanned();
        assert_eq!(r.source.as_deref(), Some("7"));
        assert!(r.show_followed_doctor_card);
        let mut fresh = relation();
        fresh.scanned();
        assert_eq!(fresh.source.as_deref(), Some(SOURCE_SCAN));
    }

    #[test]
    fn tags_are_bounded_and_deduplicated() {
        let mut r = relation();
        let tags = |t: Vec<String>| RelationPatch { tags: Patch::Set(t), ..RelationPatch::default() };
        r.apply(&tags(vec!["打鼾".into(), " 打鼾 ".into()])).unwrap();
        assert_eq!(r.tags, ["打鼾"]);
        assert_eq!(r.apply(&tags(vec!["x".repeat(21)])).unwrap_err()[0].field, "tag[0]");
        assert_eq!(r.apply(&tags((0..21).map(|i| i.to_string()).collect())).unwrap_err()[0].field, "tag");
    }
}
