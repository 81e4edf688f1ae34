//! Invitations.

use ::consultation::relation::{Invitation, InvitationRepository};
use async_trait::async_trait;
use domain::id::{DoctorId, InvitationId};
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::QueryOrder;
use sea_orm::entity::prelude::*;

use crate::backend::store_error;
use crate::convert::{instant, millis, parse, text};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "invitation")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub doctor_id: String,
    pub scene: String,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
    pub scan_count: i64,
    pub created_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn invitation(row: Model) -> Result<Invitation, StoreError> {
    Ok(Invitation {
        id: parse("invitation.id", &row.id)?,
        doctor_id: parse("invitation.doctor_id", &row.doctor_id)?,
        scene: row.scene,
        expires_at: instant(row.expires_at),
        revoked_at: instant(row.revoked_at),
        scan_count: row.scan_count,
        created_at: Timestamp::from_millis(row.created_at),
    })
}

#[async_trait]
impl InvitationRepository for SeaUnit {
    async fn insert(&mut self, invitation: &Invitation) -> Result<(), StoreError> {
        let row = ActiveModel {
            id: Set(text(&invitation.id)),
            doctor_id: Set(text(&invitation.doctor_id)),
            scene: Set(invitation.scene.clone()),
            expires_at: Set(millis(invitation.expires_at)),
            revoked_at: Set(millis(invitation.revoked_at)),
            scan_count: Set(invitation.scan_count),
            created_at: Set(invitation.created_at.as_millis()),
        };
        Entity::insert(row).exec_without_returning(&self.db()).await.map_err(store_error)?;
        Ok(())
    }

    async fn find(&mut self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        Entity::find_by_id(text(&id)).one(&self.db()).await.map_err(store_error)?.map(invitation).transpose()
    }

    async fn find_by_scene(&mut self, scene: &str) -> Result<Option<Invitation>, StoreError> {
        let select = Entity::find().filter(Column::Scene.eq(scene));
        select.one(&self.db()).await.map_err(store_error)?.map(invitation).transpose()
    }

    async fn list(&mut self, doctor: DoctorId) -> Result<Vec<Invitation>, StoreError> {
        let select = Entity::find()
            .filter(Column::DoctorId.eq(text(&doctor)))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id);
        select.all(&self.db()).await.map_err(store_error)?.into_iter().map(invitation).collect()
    }

    async fn revoke(&mut self, id: InvitationId, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE invitation SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2";
        self.execute(sql, [now.as_millis().into(), text(&id).into()]).await?;
        Ok(())
    }

    async fn count_scan(&mut self, id: InvitationId) -> Result<(), StoreError> {
        self.execute("UPDATE invitation SET scan_count = scan_count + 1 WHERE id = $1", [text(&id).into()]).await?;
        Ok(())
    }
}
