//! Doctors.

use async_trait::async_trait;
use domain::certification::Certification;
use domain::doctor::{Doctor, DoctorRepository, DoctorSearch};
use domain::gender::Gender;
use domain::id::{DoctorId, UserId};
use domain::money::Fen;
use domain::page::{Cursor, Page, PageRequest};
use domain::{Phone, StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect, QueryTrait, Select};

use crate::backend::store_error;
use crate::convert::{
    from_json, instant, known, like_pattern, millis, newest_first, parse, parse_opt, text, text_opt, to_json,
};
use crate::seal::Seal;
use crate::store::SeaUnit;
use crate::values::condition;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "doctor")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub user_id: Option<String>,
    pub openid: Option<String>,
    pub unionid: Option<String>,
    pub name: Option<String>,
    pub gender: Option<String>,
    pub phone: Option<String>,
    pub icon: Option<String>,
    pub hospital: Option<String>,
    pub department: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub certification: String,
    pub certificate1: Option<String>,
    pub certificate2: Option<String>,
    pub licence1: Option<String>,
    pub licence2: Option<String>,
    pub reject_reason: Option<String>,
    pub reviewer: Option<String>,
    pub reviewed_at: Option<i64>,
    pub start_consultation: Option<bool>,
    pub start_consultation_time: Option<String>,
    pub end_consultation_time: Option<String>,
    pub timezone: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub weekly_hours: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub hour_exceptions: Json,
    pub normal_price: Option<i64>,
    pub phone_price: Option<i64>,
    pub is_normal_open: Option<bool>,
    pub is_phone_open: Option<bool>,
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

pub(crate) fn row(seal: &Seal, doctor: &Doctor) -> ActiveModel {
    ActiveModel {
        id: Set(text(&doctor.id)),
        user_id: Set(text_opt(doctor.user_id.as_ref())),
        openid: Set(doctor.openid.clone()),
        unionid: Set(doctor.unionid.clone()),
        name: Set(doctor.name.clone()),
        gender: Set(doctor.gender.map(|g| g.as_str().to_owned())),
        phone: Set(seal.phone_opt(doctor.phone.as_ref())),
        icon: Set(text_opt(doctor.icon.as_ref())),
        hospital: Set(doctor.hospital.clone()),
        department: Set(doctor.department.clone()),
        title: Set(doctor.title.clone()),
        description: Set(doctor.description.clone()),
        certification: Set(doctor.certification.as_str().to_owned()),
        certificate1: Set(text_opt(doctor.certificate1.as_ref())),
        certificate2: Set(text_opt(doctor.certificate2.as_ref())),
        licence1: Set(text_opt(doctor.licence1.as_ref())),
        licence2: Set(text_opt(doctor.licence2.as_ref())),
        reject_reason: Set(doctor.reject_reason.clone()),
        reviewer: Set(text_opt(doctor.reviewer.as_ref())),
        reviewed_at: Set(millis(doctor.reviewed_at)),
        start_consultation: Set(doctor.start_consultation),
        start_consultation_time: Set(doctor.start_consultation_time.clone()),
        end_consultation_time: Set(doctor.end_consultation_time.clone()),
        timezone: Set(doctor.timezone.clone()),
        weekly_hours: Set(to_json(&doctor.weekly_hours)),
        hour_exceptions: Set(to_json(&doctor.hour_exceptions)),
        normal_price: Set(doctor.normal_price.map(Fen::as_fen)),
        phone_price: Set(doctor.phone_price.map(Fen::as_fen)),
        is_normal_open: Set(doctor.is_normal_open),
        is_phone_open: Set(doctor.is_phone_open),
        extra: Set(seal.extra(&doctor.extra)),
        closed_at: Set(millis(doctor.closed_at)),
        created_at: Set(doctor.created_at.as_millis()),
        updated_at: Set(doctor.updated_at.as_millis()),
        version: Set(doctor.version),
    }
}

fn doctor(seal: &Seal, row: Model) -> Result<Doctor, StoreError> {
    Ok(Doctor {
        id: parse("doctor.id", &row.id)?,
        user_id: parse_opt("doctor.user_id", row.user_id.as_deref())?,
        openid: row.openid,
        unionid: row.unionid,
        name: row.name,
        gender: row.gender.map(|g| known("doctor.gender", Gender::parse(&g))).transpose()?,
        phone: seal.open_phone_opt("doctor.phone", row.phone.as_deref())?,
        icon: parse_opt("doctor.icon", row.icon.as_deref())?,
        hospital: row.hospital,
        department: row.department,
        title: row.title,
        description: row.description,
        certification: known("doctor.certification", Certification::parse(&row.certification))?,
        certificate1: parse_opt("doctor.certificate1", row.certificate1.as_deref())?,
        certificate2: parse_opt("doctor.certificate2", row.certificate2.as_deref())?,
        licence1: parse_opt("doctor.licence1", row.licence1.as_deref())?,
        licence2: parse_opt("doctor.licence2", row.licence2.as_deref())?,
        reject_reason: row.reject_reason,
        reviewer: parse_opt("doctor.reviewer", row.reviewer.as_deref())?,
        reviewed_at: instant(row.reviewed_at),
        start_consultation: row.start_consultation,
        start_consultation_time: row.start_consultation_time,
        end_consultation_time: row.end_consultation_time,
        timezone: row.timezone,
        weekly_hours: from_json("doctor.weekly_hours", row.weekly_hours)?,
        hour_exceptions: from_json("doctor.hour_exceptions", row.hour_exceptions)?,
        normal_price: row.normal_price.map(Fen::from_stored),
        phone_price: row.phone_price.map(Fen::from_stored),
        is_normal_open: row.is_normal_open,
        is_phone_open: row.is_phone_open,
        extra: seal.open_extra("doctor.extra", row.extra)?,
        closed_at: instant(row.closed_at),
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
        version: row.version,
    })
}

fn doctors(seal: &Seal, rows: Vec<Model>) -> Result<Vec<Doctor>, StoreError> {
    rows.into_iter().map(|row| doctor(seal, row)).collect()
}

async fn page_of(unit: &SeaUnit, mut select: Select<Entity>, page: PageRequest) -> Result<Page<Doctor>, StoreError> {
    newest_first(QueryTrait::query(&mut select), "doctor", "created_at", page);
    let rows = select.all(&unit.db()).await.map_err(store_error)?;
    let doctors = doctors(&unit.seal, rows)?;
    Ok(Page::from_rows(doctors, page.limit, |d| Cursor { at: d.created_at, id: d.id.0 }))
}

impl SeaUnit {
    /// Those of the selected doctors that somebody looks for.
    fn matching(
        &self,
        mut select: Select<Entity>,
        search: &DoctorSearch,
        state: Option<Certification>,
    ) -> Select<Entity> {
        if let Some(state) = state {
            select = select.filter(Column::Certification.eq(state.as_str()));
        }
        if let Some(part) = search.text.as_deref().filter(|t| !t.is_empty()) {
            let line = |column| format!("LOWER(doctor.{column}) LIKE LOWER($1) ESCAPE '\\'");
            let any = ["name", "hospital", "department", "title"].map(line).join(" OR ");
            select = select.filter(condition(self.backend, &format!("({any})"), &[like_pattern(part).into()]));
        }
        select
    }

    async fn doctor_of(&self, select: Select<Entity>) -> Result<Option<Doctor>, StoreError> {
        let found = select.one(&self.db()).await.map_err(store_error)?;
        found.map(|row| doctor(&self.seal, row)).transpose()
    }
}

#[async_trait]
impl DoctorRepository for SeaUnit {
    async fn find(&mut self, id: DoctorId) -> Result<Option<Doctor>, StoreError> {
        self.doctor_of(Entity::find_by_id(text(&id))).await
    }

    async fn find_all(&mut self, ids: &[DoctorId]) -> Result<Vec<Doctor>, StoreError> {
        doctors(&self.seal, self.rows_of::<Entity>(ids, "").await?)
    }

    async fn find_all_shared(&mut self, ids: &[DoctorId]) -> Result<Vec<Doctor>, StoreError> {
        let in_order = format!(" ORDER BY id{}", self.backend.for_share());
        doctors(&self.seal, self.rows_of::<Entity>(ids, &in_order).await?)
    }

    async fn find_by_user(&mut self, user: UserId) -> Result<Option<Doctor>, StoreError> {
        let select = Entity::find().filter(Column::UserId.eq(text(&user)));
        self.doctor_of(select).await
    }

    async fn find_unlinked_by_phone(&mut self, phone: &Phone) -> Result<Option<Doctor>, StoreError> {
        let select = Entity::find()
            .filter(Column::Phone.eq(self.seal.phone(phone)))
            .filter(Column::UserId.is_null())
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id)
            .limit(1);
        self.doctor_of(select).await
    }

    async fn search_certified(&mut self, search: &DoctorSearch, page: PageRequest) -> Result<Page<Doctor>, StoreError> {
        let select = Entity::find().filter(Column::ClosedAt.is_null());
        page_of(self, self.matching(select, search, Some(Certification::Certified)), page).await
    }

    async fn search_all(
        &mut self,
        search: &DoctorSearch,
        state: Option<Certification>,
        page: PageRequest,
    ) -> Result<Page<Doctor>, StoreError> {
        page_of(self, self.matching(Entity::find(), search, state), page).await
    }

    async fn list_by_certification(
        &mut self,
        state: Certification,
        page: PageRequest,
    ) -> Result<Page<Doctor>, StoreError> {
        let open = Entity::find().filter(Column::ClosedAt.is_null());
        page_of(self, open.filter(Column::Certification.eq(state.as_str())), page).await
    }

    async fn insert(&mut self, doctor: &Doctor) -> Result<(), StoreError> {
        Entity::insert(row(&self.seal, doctor)).exec_without_returning(&self.db()).await.map_err(store_error)?;
        Ok(())
    }

    async fn update(&mut self, doctor: &Doctor) -> Result<(), StoreError> {
        let next = ActiveModel { version: Set(doctor.version + 1), ..row(&self.seal, doctor) };
        let update = Entity::update_many()
            .set(next)
            .filter(Column::Id.eq(text(&doctor.id)))
            .filter(Column::Version.eq(doctor.version));
        let done = update.exec(&self.db()).await.map_err(store_error)?;
        if done.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
