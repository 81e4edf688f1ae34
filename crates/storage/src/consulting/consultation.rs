//! Consultations.

use ::consultation::consultation::{
    ConsultationEvent, ConsultationFilter, ConsultationRepository, Overdue, Pair, PairProbe,
};
use ::consultation::{Consultation, ConsultationType, EndReason, Status};
use async_trait::async_trait;
use domain::id::{ConsultationId, DoctorId, PatientId, ReportId};
use domain::money::Fen;
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::QueryTrait;
use sea_orm::entity::prelude::*;

use super::{event, probe};
use crate::backend::store_error;
use crate::bulk;
use crate::convert::{
    instant, into_object, known, list, millis, newest_first, object, parse, parse_opt, text, text_opt,
};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "consultation")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub doctor_id: String,
    pub patient_id: String,
    pub relation_id: String,
    pub dialog_id: Option<String>,
    pub status: String,
    pub is_invalid: bool,
    pub end_reason: Option<String>,
    pub end_note: Option<String>,
    pub kind: String,
    pub price: Option<i64>,
    pub latest_report_id: Option<String>,
    pub started_at: i64,
    pub first_reply_at: Option<i64>,
    pub last_message_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub no_reply_deadline: Option<i64>,
    pub idle_deadline: Option<i64>,
    pub is_warned: bool,
    pub off_hours_reply_until: Option<i64>,
    pub patient_message_count: i64,
    #[sea_orm(column_type = "JsonBinary")]
    pub extra: Json,
    pub created_at: i64,
    pub updated_at: i64,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The predicate of the index `consultation_open`: a literal, since a bound parameter in a conflict target
/// fails on SQLite and, from the sixth execution on, on PostgreSQL.
pub(crate) const IS_OPEN: &str = "status <> '2' AND NOT is_invalid";

pub(crate) fn row(c: &Consultation) -> ActiveModel {
    ActiveModel {
        id: Set(text(&c.id)),
        doctor_id: Set(text(&c.pair.doctor)),
        patient_id: Set(text(&c.pair.patient)),
        relation_id: Set(text(&c.relation_id)),
        dialog_id: Set(text_opt(c.dialog_id.as_ref())),
        status: Set(c.status.as_str().to_owned()),
        is_invalid: Set(c.is_invalid),
        end_reason: Set(c.end_reason.map(|r| r.as_str().to_owned())),
        end_note: Set(c.end_note.clone()),
        kind: Set(c.kind.as_str().to_owned()),
        price: Set(c.price.map(Fen::as_fen)),
        latest_report_id: Set(text_opt(c.latest_report_id.as_ref())),
        started_at: Set(c.started_at.as_millis()),
        first_reply_at: Set(millis(c.first_reply_at)),
        last_message_at: Set(millis(c.last_message_at)),
        ended_at: Set(millis(c.ended_at)),
        no_reply_deadline: Set(millis(c.no_reply_deadline)),
        idle_deadline: Set(millis(c.idle_deadline)),
        is_warned: Set(c.is_warned),
        off_hours_reply_until: Set(millis(c.off_hours_reply_until)),
        patient_message_count: Set(c.patient_message_count),
        extra: Set(object(&c.extra)),
        created_at: Set(c.created_at.as_millis()),
        updated_at: Set(c.updated_at.as_millis()),
        version: Set(c.version),
    }
}

pub(crate) fn consultation(row: Model) -> Result<Consultation, StoreError> {
    let end_reason = row.end_reason.map(|r| known("consultation.end_reason", EndReason::parse(&r))).transpose()?;
    Ok(Consultation {
        id: parse("consultation.id", &row.id)?,
        pair: Pair {
            doctor: parse("consultation.doctor_id", &row.doctor_id)?,
            patient: parse("consultation.patient_id", &row.patient_id)?,
        },
        relation_id: parse("consultation.relation_id", &row.relation_id)?,
        dialog_id: parse_opt("consultation.dialog_id", row.dialog_id.as_deref())?,
        status: known("consultation.status", Status::parse(&row.status))?,
        is_invalid: row.is_invalid,
        end_reason,
        end_note: row.end_note,
        kind: known("consultation.kind", ConsultationType::parse(&row.kind))?,
        price: row.price.map(Fen::from_stored),
        latest_report_id: parse_opt("consultation.latest_report_id", row.latest_report_id.as_deref())?,
        started_at: Timestamp::from_millis(row.started_at),
        first_reply_at: instant(row.first_reply_at),
        last_message_at: instant(row.last_message_at),
        ended_at: instant(row.ended_at),
        no_reply_deadline: instant(row.no_reply_deadline),
        idle_deadline: instant(row.idle_deadline),
        is_warned: row.is_warned,
        off_hours_reply_until: instant(row.off_hours_reply_until),
        patient_message_count: row.patient_message_count,
        extra: into_object("consultation.extra", row.extra)?,
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
        version: row.version,
    })
}

/// The id that a statement answered.
fn id(row: &QueryResult) -> Result<ConsultationId, StoreError> {
    let id: String = row.try_get("", "id").map_err(store_error)?;
    parse("consultation.id", &id)
}

#[async_trait]
impl ConsultationRepository for SeaUnit {
    async fn probe(&mut self, pairs: &[Pair]) -> Result<Vec<PairProbe>, StoreError> {
        probe::probe(self, pairs).await
    }

    async fn find(&mut self, id: ConsultationId) -> Result<Option<Consultation>, StoreError> {
        Entity::find_by_id(text(&id)).one(&self.db()).await.map_err(store_error)?.map(consultation).transpose()
    }

    async fn find_all(&mut self, ids: &[ConsultationId]) -> Result<Vec<Consultation>, StoreError> {
        self.rows_of::<Entity>(ids, "").await?.into_iter().map(consultation).collect()
    }

    async fn find_open(&mut self, pairs: &[Pair]) -> Result<Vec<Consultation>, StoreError> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT * FROM consultation WHERE {IS_OPEN} AND {}", probe::is_of_pair(self.backend));
        self.rows::<Entity>(&sql, [probe::pair_list(pairs)]).await?.into_iter().map(consultation).collect()
    }

    async fn find_open_of_doctor(&mut self, doctor: DoctorId) -> Result<Vec<Consultation>, StoreError> {
        let select = Entity::find().filter(Column::DoctorId.eq(text(&doctor))).filter(Expr::cust(IS_OPEN));
        select.all(&self.db()).await.map_err(store_error)?.into_iter().map(consultation).collect()
    }

    async fn find_open_of_patient(&mut self, patient: PatientId) -> Result<Vec<Consultation>, StoreError> {
        let select = Entity::find().filter(Column::PatientId.eq(text(&patient))).filter(Expr::cust(IS_OPEN));
        select.all(&self.db()).await.map_err(store_error)?.into_iter().map(consultation).collect()
    }

    async fn list(&mut self, filter: &ConsultationFilter, page: PageRequest) -> Result<Page<Consultation>, StoreError> {
        let mut select = Entity::find();
        if let Some(doctor) = filter.doctor {
            select = select.filter(Column::DoctorId.eq(text(&doctor)));
        }
        if let Some(patient) = filter.patient {
            select = select.filter(Column::PatientId.eq(text(&patient)));
        }
        if let Some(status) = filter.status {
            select = select.filter(Column::Status.eq(status.as_str()));
        }
        newest_first(QueryTrait::query(&mut select), "consultation", "created_at", page);
        let rows = select.all(&self.db()).await.map_err(store_error)?;
        let found = rows.into_iter().map(consultation).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(found, page.limit, |c| Cursor { at: c.created_at, id: c.id.0 }))
    }

    async fn insert_open(&mut self, new: &[Consultation]) -> Result<Vec<ConsultationId>, StoreError> {
        let unless_open = format!("ON CONFLICT (doctor_id, patient_id) WHERE {IS_OPEN} DO NOTHING");
        let inserted = bulk::insert::<Entity>(self, new.iter().map(row), &unless_open).await?;
        if inserted == new.len() as u64 {
            return Ok(new.iter().map(|c| c.id).collect());
        }
        let sql = format!("SELECT id FROM consultation WHERE {}", self.backend.is_among("id", "$1"));
        let rows = self.query(&sql, [list(new.iter().map(|c| c.id))]).await?;
        rows.iter().map(id).collect()
    }

    async fn update(&mut self, c: &Consultation) -> Result<(), StoreError> {
        let next = ActiveModel { version: Set(c.version + 1), ..row(c) };
        let update =
            Entity::update_many().set(next).filter(Column::Id.eq(text(&c.id))).filter(Column::Version.eq(c.version));
        let done = update.exec(&self.db()).await.map_err(store_error)?;
        if done.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn set_latest_report(
        &mut self,
        patient: PatientId,
        report: ReportId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "UPDATE consultation SET latest_report_id = $1, updated_at = $2, version = version + 1 \
             WHERE patient_id = $3 AND {IS_OPEN}"
        );
        self.execute(&sql, [text(&report).into(), now.as_millis().into(), text(&patient).into()]).await?;
        Ok(())
    }

    async fn find_overdue(
        &mut self,
        what: Overdue,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ConsultationId>, StoreError> {
        let (condition, order) = match what {
            Overdue::NoReply => ("status = '0' AND no_reply_deadline < $1", "no_reply_deadline"),
            Overdue::Idle => ("status = '1' AND idle_deadline < $1", "idle_deadline"),
            Overdue::Unwarned => (
                "NOT is_warned AND ((status = '0' AND no_reply_deadline < $1) OR (status = '1' AND idle_deadline < $1))",
                "CASE status WHEN '0' THEN no_reply_deadline ELSE idle_deadline END",
            ),
            Overdue::StartedBefore => ("status <> '2' AND started_at < $1", "started_at"),
        };
        let sql =
            format!("SELECT id FROM consultation WHERE NOT is_invalid AND {condition} ORDER BY {order} LIMIT {limit}");
        let rows = self.query(&sql, [before.as_millis().into()]).await?;
        rows.iter().map(id).collect()
    }

    async fn append_events(&mut self, events: &[ConsultationEvent]) -> Result<(), StoreError> {
        event::append(self, events).await
    }

    async fn events(&mut self, id: ConsultationId) -> Result<Vec<ConsultationEvent>, StoreError> {
        event::list(self, id).await
    }
}
