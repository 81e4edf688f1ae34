//! Relations.

use std::collections::HashMap;

use ::consultation::Relation as DomainRelation;
use ::consultation::consultation::Pair;
use ::consultation::relation::{RelationFilter, RelationRepository};
use async_trait::async_trait;
use domain::id::{ConsultationId, PatientId, RelationId, ReportId};
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect, QueryTrait};
use serde_json::json;

use super::probe::{self, pair_list};
use crate::backend::store_error;
use crate::bulk;
use crate::convert::{
    from_json, into_object, known, like_pattern, list, newest_first, object, parse, parse_opt, text, text_opt, to_json,
};
use crate::store::SeaUnit;
use crate::values::condition;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "relation")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub doctor_id: String,
    pub patient_id: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub tags: Json,
    pub remark: Option<String>,
    pub source: Option<String>,
    pub is_followed: bool,
    pub is_blocked: bool,
    #[sea_orm(column_type = "JsonBinary")]
    pub groups: Json,
    pub credit: Option<String>,
    pub show_followed_doctor_card: bool,
    pub latest_consultation_id: Option<String>,
    pub latest_report_id: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub extra: Json,
    pub created_at: i64,
    pub updated_at: i64,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(crate) fn row(relation: &DomainRelation) -> ActiveModel {
    ActiveModel {
        id: Set(text(&relation.id)),
        doctor_id: Set(text(&relation.pair.doctor)),
        patient_id: Set(text(&relation.pair.patient)),
        tags: Set(to_json(&relation.tags)),
        remark: Set(relation.remark.clone()),
        source: Set(relation.source.clone()),
        is_followed: Set(relation.is_followed),
        is_blocked: Set(relation.is_blocked),
        groups: Set(to_json(&relation.groups)),
        credit: Set(relation.credit.clone()),
        show_followed_doctor_card: Set(relation.show_followed_doctor_card),
        latest_consultation_id: Set(text_opt(relation.latest_consultation_id.as_ref())),
        latest_report_id: Set(text_opt(relation.latest_report_id.as_ref())),
        extra: Set(object(&relation.extra)),
        created_at: Set(relation.created_at.as_millis()),
        updated_at: Set(relation.updated_at.as_millis()),
        version: Set(relation.version),
    }
}

fn relation(row: Model) -> Result<DomainRelation, StoreError> {
    Ok(DomainRelation {
        id: parse("relation.id", &row.id)?,
        pair: Pair {
            doctor: parse("relation.doctor_id", &row.doctor_id)?,
            patient: parse("relation.patient_id", &row.patient_id)?,
        },
        tags: from_json("relation.tags", row.tags)?,
        remark: row.remark,
        source: row.source,
        is_followed: row.is_followed,
        is_blocked: row.is_blocked,
        groups: from_json("relation.groups", row.groups)?,
        credit: row.credit,
        show_followed_doctor_card: row.show_followed_doctor_card,
        latest_consultation_id: parse_opt("relation.latest_consultation_id", row.latest_consultation_id.as_deref())?,
        latest_report_id: parse_opt("relation.latest_report_id", row.latest_report_id.as_deref())?,
        extra: into_object("relation.extra", row.extra)?,
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
        version: row.version,
    })
}

fn of_pair(pair: Pair) -> Select<Entity> {
    Entity::find().filter(Column::DoctorId.eq(text(&pair.doctor))).filter(Column::PatientId.eq(text(&pair.patient)))
}

/// The condition that neither of the two has closed their account.
const NOBODY_GONE: &str = "NOT EXISTS (SELECT 1 FROM patient p WHERE p.id = relation.patient_id AND p.closed_at IS NOT NULL) \
     AND NOT EXISTS (SELECT 1 FROM doctor d WHERE d.id = relation.doctor_id AND d.closed_at IS NOT NULL)";

#[async_trait]
impl RelationRepository for SeaUnit {
    async fn find(&mut self, id: RelationId) -> Result<Option<DomainRelation>, StoreError> {
        Entity::find_by_id(text(&id)).one(&self.db()).await.map_err(store_error)?.map(relation).transpose()
    }

    async fn find_blocked(&mut self, ids: &[RelationId]) -> Result<Vec<RelationId>, StoreError> {
        let sql = format!("SELECT id FROM relation WHERE {} AND is_blocked", self.backend.is_among("id", "$1"));
        let rows = self.query(&sql, [list(ids)]).await?;
        let id = |row: &QueryResult| row.try_get::<String>("", "id").map_err(store_error);
        rows.iter().map(|row| parse("relation.id", &id(row)?)).collect()
    }

    async fn find_by_pair(&mut self, pair: Pair) -> Result<Option<DomainRelation>, StoreError> {
        of_pair(pair).one(&self.db()).await.map_err(store_error)?.map(relation).transpose()
    }

    async fn find_locked(&mut self, id: RelationId) -> Result<Option<DomainRelation>, StoreError> {
        let select = Entity::find_by_id(text(&id)).lock_exclusive();
        select.one(&self.db()).await.map_err(store_error)?.map(relation).transpose()
    }

    async fn ensure_all(&mut self, candidates: &[DomainRelation]) -> Result<Vec<DomainRelation>, StoreError> {
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        // In pair order, so that two units wait for each other in one direction only.
        let mut ordered: Vec<&DomainRelation> = candidates.iter().collect();
        ordered.sort_by_key(|r| r.pair);
        ordered.dedup_by_key(|r| r.pair);
        let unless_there = "ON CONFLICT (doctor_id, patient_id) DO NOTHING";
        let inserted = bulk::insert::<Entity>(self, ordered.iter().map(|r| row(r)), unless_there).await?;
        if inserted == candidates.len() as u64 {
            // All are new: this unit's own rows are nobody else's.
            return Ok(candidates.to_vec());
        }
        let pairs: Vec<Pair> = ordered.iter().map(|r| r.pair).collect();
        let of_pair = "relation.doctor_id = pair.doctor_id AND relation.patient_id = pair.patient_id";
        let sql = format!(
            "SELECT relation.* FROM {} {} WHERE relation.id IS NOT NULL",
            probe::pair_table(self.backend),
            self.backend.look_up("relation", of_pair, self.backend.for_update())
        );
        let rows = self.rows::<Entity>(&sql, [pair_list(&pairs)]).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in rows {
            let relation = relation(row)?;
            found.insert(relation.pair, relation);
        }
        candidates.iter().map(|c| known("relation.doctor_id", found.get(&c.pair).cloned())).collect()
    }

    async fn update(&mut self, relation: &DomainRelation) -> Result<(), StoreError> {
        let next = ActiveModel { version: Set(relation.version + 1), ..row(relation) };
        let update = Entity::update_many()
            .set(next)
            .filter(Column::Id.eq(text(&relation.id)))
            .filter(Column::Version.eq(relation.version));
        let done = update.exec(&self.db()).await.map_err(store_error)?;
        if done.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn set_latest_consultations(
        &mut self,
        latest: &[(RelationId, ConsultationId)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if latest.is_empty() {
            return Ok(());
        }
        let pairs: Vec<[String; 2]> = latest.iter().map(|(relation, latest)| [text(relation), text(latest)]).collect();
        let sql = format!(
            "UPDATE relation SET latest_consultation_id = latest.consultation_id, updated_at = $2, \
             version = version + 1 FROM (SELECT value ->> 0 AS relation_id, value ->> 1 AS consultation_id FROM {}) \
             AS latest WHERE relation.id = latest.relation_id",
            self.backend.each(1)
        );
        self.execute(&sql, [json!(pairs).to_string().into(), now.as_millis().into()]).await?;
        Ok(())
    }

    async fn set_latest_report(
        &mut self,
        patient: PatientId,
        report: ReportId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE relation SET latest_report_id = $1, updated_at = $2, version = version + 1 \
                   WHERE patient_id = $3";
        self.execute(sql, [text(&report).into(), now.as_millis().into(), text(&patient).into()]).await?;
        Ok(())
    }

    async fn list(&mut self, filter: &RelationFilter, page: PageRequest) -> Result<Page<DomainRelation>, StoreError> {
        let mut select = Entity::find().filter(Expr::cust(NOBODY_GONE));
        if let Some(doctor) = filter.doctor {
            select = select.filter(Column::DoctorId.eq(text(&doctor)));
        }
        if let Some(patient) = filter.patient {
            select = select.filter(Column::PatientId.eq(text(&patient)));
        }
        for (column, wanted) in [("groups", &filter.group), ("tags", &filter.tag)] {
            if let Some(wanted) = wanted {
                let elements = self.backend.json_elements();
                let holds = format!("EXISTS (SELECT 1 FROM {elements}(relation.{column}) AS e WHERE e.value = $1)");
                select = select.filter(condition(self.backend, &holds, &[wanted.as_str().into()]));
            }
        }
        if let Some(part) = filter.text.as_deref().filter(|t| !t.is_empty()) {
            let holds = "(LOWER(relation.remark) LIKE LOWER($1) ESCAPE '\\' OR EXISTS (SELECT 1 FROM patient WHERE \
                         patient.id = relation.patient_id AND (LOWER(patient.name) LIKE LOWER($1) ESCAPE '\\' \
                         OR patient.phone = $2)))";
            // Numbers are sealed and found as a whole; what is no number is none of them.
            let number = part.parse().map(|phone| self.seal.phone(&phone)).unwrap_or_default();
            select = select.filter(condition(self.backend, holds, &[like_pattern(part).into(), number.into()]));
        }
        newest_first(QueryTrait::query(&mut select), "relation", "created_at", page);
        let rows = select.all(&self.db()).await.map_err(store_error)?;
        let found = rows.into_iter().map(relation).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(found, page.limit, |r| Cursor { at: r.created_at, id: r.id.0 }))
    }

    async fn take_cards(&mut self, patient: PatientId, now: Timestamp) -> Result<Vec<DomainRelation>, StoreError> {
        let shown = Entity::find()
            .filter(Column::PatientId.eq(text(&patient)))
            .filter(Column::ShowFollowedDoctorCard.eq(true))
            .order_by_asc(Column::DoctorId)
            .lock_exclusive();
        let rows = shown.all(&self.db()).await.map_err(store_error)?;
        let relations = rows.into_iter().map(relation).collect::<Result<Vec<_>, _>>()?;
        for relation in &relations {
            let sql = "UPDATE relation SET show_followed_doctor_card = $1, updated_at = $2, version = version + 1 \
                       WHERE id = $3";
            self.execute(sql, [false.into(), now.as_millis().into(), text(&relation.id).into()]).await?;
        }
        Ok(relations)
    }
}
