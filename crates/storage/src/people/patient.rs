//! Patients.

use async_trait::async_trait;
use domain::gender::Gender;
use domain::id::{PatientId, UserId};
use domain::patient::{Patient, PatientRepository};
use domain::{Phone, StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};

use crate::backend::store_error;
use crate::convert::{instant, into_object, known, millis, object, parse, parse_opt, text, text_opt};
use crate::seal::Seal;
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "patient")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub user_id: Option<String>,
    pub name: Option<String>,
    pub gender: Option<String>,
    pub birthday: Option<String>,
    #[sea_orm(column_type = "Double", nullable)]
    pub height_cm: Option<f64>,
    #[sea_orm(column_type = "Double", nullable)]
    pub weight_kg: Option<f64>,
    pub phone: Option<String>,
    pub icon: Option<String>,
    pub location: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub openids: Json,
    pub unionid: Option<String>,
    pub latest_report_id: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub extra: Json,
    pub closed_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(crate) fn row(seal: &Seal, patient: &Patient) -> ActiveModel {
    ActiveModel {
        id: Set(text(&patient.id)),
        user_id: Set(text_opt(patient.user_id.as_ref())),
        name: Set(patient.name.clone()),
        gender: Set(patient.gender.map(|g| g.as_str().to_owned())),
        birthday: Set(text_opt(patient.birthday.as_ref())),
        height_cm: Set(patient.height_cm),
        weight_kg: Set(patient.weight_kg),
        phone: Set(seal.phone_opt(patient.phone.as_ref())),
        icon: Set(text_opt(patient.icon.as_ref())),
        location: Set(patient.location.clone()),
        openids: Set(object(&patient.openids)),
        unionid: Set(patient.unionid.clone()),
        latest_report_id: Set(text_opt(patient.latest_report_id.as_ref())),
        extra: Set(seal.extra(&patient.extra)),
        closed_at: Set(millis(patient.closed_at)),
        created_at: Set(patient.created_at.as_millis()),
        updated_at: Set(patient.updated_at.as_millis()),
        version: Set(patient.version),
    }
}

fn patient(seal: &Seal, row: Model) -> Result<Patient, StoreError> {
    Ok(Patient {
        id: parse("patient.id", &row.id)?,
        user_id: parse_opt("patient.user_id", row.user_id.as_deref())?,
        name: row.name,
        gender: row.gender.map(|g| known("patient.gender", Gender::parse(&g))).transpose()?,
        birthday: parse_opt("patient.birthday", row.birthday.as_deref())?,
        height_cm: row.height_cm,
        weight_kg: row.weight_kg,
        phone: seal.open_phone_opt("patient.phone", row.phone.as_deref())?,
        icon: parse_opt("patient.icon", row.icon.as_deref())?,
        location: row.location,
        openids: into_object("patient.openids", row.openids)?,
        unionid: row.unionid,
        latest_report_id: parse_opt("patient.latest_report_id", row.latest_report_id.as_deref())?,
        extra: seal.open_extra("patient.extra", row.extra)?,
        closed_at: instant(row.closed_at),
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
        version: row.version,
    })
}

impl SeaUnit {
    async fn patient_of(&self, select: Select<Entity>) -> Result<Option<Patient>, StoreError> {
        let found = select.one(&self.db()).await.map_err(store_error)?;
        found.map(|row| patient(&self.seal, row)).transpose()
    }
}

#[async_trait]
impl PatientRepository for SeaUnit {
    async fn find(&mut self, id: PatientId) -> Result<Option<Patient>, StoreError> {
        self.patient_of(Entity::find_by_id(text(&id))).await
    }

    async fn find_all(&mut self, ids: &[PatientId]) -> Result<Vec<Patient>, StoreError> {
        let rows = self.rows_of::<Entity>(ids, "").await?;
        rows.into_iter().map(|row| patient(&self.seal, row)).collect()
    }

    async fn find_by_user(&mut self, user: UserId) -> Result<Option<Patient>, StoreError> {
        let select = Entity::find().filter(Column::UserId.eq(text(&user)));
        self.patient_of(select).await
    }

    async fn find_unlinked_by_phone(&mut self, phone: &Phone) -> Result<Option<Patient>, StoreError> {
        let select = Entity::find()
            .filter(Column::Phone.eq(self.seal.phone(phone)))
            .filter(Column::UserId.is_null())
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id)
            .limit(1);
        self.patient_of(select).await
    }

    async fn insert(&mut self, patient: &Patient) -> Result<(), StoreError> {
        Entity::insert(row(&self.seal, patient)).exec_without_returning(&self.db()).await.map_err(store_error)?;
        Ok(())
    }

    async fn update(&mut self, patient: &Patient) -> Result<(), StoreError> {
        let next = ActiveModel { version: Set(patient.version + 1), ..row(&self.seal, patient) };
        let update = Entity::update_many()
            .set(next)
            .filter(Column::Id.eq(text(&patient.id)))
            .filter(Column::Version.eq(patient.version));
        let done = update.exec(&self.db()).await.map_err(store_error)?;
        if done.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
