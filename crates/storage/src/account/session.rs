//! Sessions.

use ::account::agent::AgentRole;
use ::account::session::{Session, SessionContext, SessionRepository, SessionSubject, TokenHash};
use ::im::log::{EventKind, LogRepository, NewEvent};
use async_trait::async_trait;
use domain::id::SessionId;
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{FromQueryResult, QueryOrder};
use serde_json::json;

use crate::backend::store_error;
use crate::convert::{corrupt, known, parse, parse_opt, text, text_opt};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub subject_kind: String,
    pub subject_id: String,
    pub token_hash: String,
    pub device_label: Option<String>,
    pub created_at: i64,
    pub last_seen_at: i64,
    pub expires_at: i64,
    pub revoked_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

const USER: &str = "user";
const AGENT: &str = "agent";

fn subject_columns(subject: SessionSubject) -> (&'static str, String) {
    match subject {
        SessionSubject::User(id) => (USER, text(&id)),
        SessionSubject::Agent(id) => (AGENT, text(&id)),
    }
}

fn session(row: Model) -> Result<Session, StoreError> {
    let subject = match row.subject_kind.as_str() {
        USER => SessionSubject::User(parse("session.subject_id", &row.subject_id)?),
        AGENT => SessionSubject::Agent(parse("session.subject_id", &row.subject_id)?),
        _ => return corrupt("session.subject_kind"),
    };
    Ok(Session {
        id: parse("session.id", &row.id)?,
        subject,
        token_hash: TokenHash(row.token_hash),
        device_label: row.device_label,
        created_at: Timestamp::from_millis(row.created_at),
        last_seen_at: Timestamp::from_millis(row.last_seen_at),
        expires_at: Timestamp::from_millis(row.expires_at),
    })
}

#[async_trait]
impl SessionRepository for SeaUnit {
    async fn insert(&mut self, session: &Session) -> Result<(), StoreError> {
        let (subject_kind, subject_id) = subject_columns(session.subject);
        let row = ActiveModel {
            id: Set(text(&session.id)),
            subject_kind: Set(subject_kind.to_owned()),
            subject_id: Set(subject_id),
            token_hash: Set(session.token_hash.0.clone()),
            device_label: Set(session.device_label.clone()),
            created_at: Set(session.created_at.as_millis()),
            last_seen_at: Set(session.last_seen_at.as_millis()),
            expires_at: Set(session.expires_at.as_millis()),
            revoked_at: Set(None),
        };
        Entity::insert(row).exec_without_returning(&self.db()).await.map_err(store_error)?;
        Ok(())
    }

    async fn find_active(&mut self, token_hash: &TokenHash) -> Result<Option<SessionContext>, StoreError> {
        let sql = "SELECT s.*, p.id AS patient, d.id AS doctor, a.role AS staff_role FROM session s \
                   LEFT JOIN patient p ON s.subject_kind = 'user' AND p.user_id = s.subject_id \
                   LEFT JOIN doctor d ON s.subject_kind = 'user' AND d.user_id = s.subject_id \
                   LEFT JOIN agent a ON s.subject_kind = 'agent' AND a.id = s.subject_id AND a.is_enabled \
                   WHERE s.token_hash = $1 AND s.revoked_at IS NULL AND NOT EXISTS \
                   (SELECT 1 FROM account_user u WHERE u.id = s.subject_id AND u.closed_at IS NOT NULL)";
        let rows = self.query(sql, [token_hash.0.as_str().into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let column = |name| row.try_get::<Option<String>>("", name).map_err(store_error);
        let staff_role = column("staff_role")?;
        Ok(Some(SessionContext {
            session: session(Model::from_query_result(row, "").map_err(store_error)?)?,
            patient: parse_opt("patient.id", column("patient")?.as_deref())?,
            doctor: parse_opt("doctor.id", column("doctor")?.as_deref())?,
            staff_role: staff_role.map(|role| known("agent.role", AgentRole::parse(&role))).transpose()?,
        }))
    }

    async fn list(&mut self, subject: SessionSubject, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let (kind, id) = subject_columns(subject);
        let select = Entity::find()
            .filter(Column::SubjectKind.eq(kind))
            .filter(Column::SubjectId.eq(id))
            .filter(Column::RevokedAt.is_null())
            .filter(Column::ExpiresAt.gt(now.as_millis()))
            .order_by_desc(Column::LastSeenAt)
            .order_by_desc(Column::Id);
        select.all(&self.db()).await.map_err(store_error)?.into_iter().map(session).collect()
    }

    async fn touch(&mut self, session: &Session) -> Result<(), StoreError> {
        let sql = "UPDATE session SET last_seen_at = $1, expires_at = $2 WHERE id = $3 AND revoked_at IS NULL";
        let values =
            [session.last_seen_at.as_millis().into(), session.expires_at.as_millis().into(), text(&session.id).into()];
        self.execute(sql, values).await?;
        Ok(())
    }

    async fn revoke(
        &mut self,
        subject: SessionSubject,
        id: SessionId,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (kind, of) = subject_columns(subject);
        let sql = "UPDATE session SET revoked_at = $1 WHERE id = $2 AND subject_kind = $3 AND subject_id = $4 \
                   AND revoked_at IS NULL RETURNING id";
        let values = [now.as_millis().into(), text(&id).into(), kind.into(), of.into()];
        Ok(end(self, subject, (sql, values), reason, now).await? == 1)
    }

    async fn revoke_all(
        &mut self,
        subject: SessionSubject,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (kind, of) = subject_columns(subject);
        let sql = "UPDATE session SET revoked_at = $1 WHERE subject_kind = $2 AND subject_id = $3 \
                   AND revoked_at IS NULL AND id <> $4 RETURNING id";
        // No id is empty, so an empty one keeps nothing.
        let keep = text_opt(keep.as_ref()).unwrap_or_default();
        let values = [now.as_millis().into(), kind.into(), of.into(), keep.into()];
        end(self, subject, (sql, values), account::session::REVOKED, now).await
    }

    async fn purge(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let sql = "DELETE FROM session WHERE expires_at < $1 OR revoked_at < $1";
        self.execute(sql, [before.as_millis().into()]).await
    }
}

/// Ends sessions and puts that into the log, so that their sockets are closed on every node and the person's other
/// devices know.
async fn end(
    unit: &mut SeaUnit,
    subject: SessionSubject,
    (sql, values): (&str, [Value; 4]),
    reason: &str,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let ended = unit.query(sql, values).await?;
    if ended.is_empty() {
        return Ok(0);
    }
    let client_ids = client_ids_of(unit, subject).await?;
    let mut events = Vec::with_capacity(ended.len());
    for row in &ended {
        let id: String = row.try_get("", "id").map_err(store_error)?;
        events.extend(client_ids.iter().map(|client_id| NewEvent {
            conversation_id: None,
            client_id: client_id.clone(),
            kind: EventKind::SessionEnded,
            payload: json!({ "sessionId": id, "reason": reason }),
            at: now,
        }));
    }
    unit.append_events(&events).await?;
    u64::try_from(ended.len()).map_err(StoreError::backend)
}

/// The client ids a subject listens under; one `None` for whoever has none.
async fn client_ids_of(unit: &SeaUnit, subject: SessionSubject) -> Result<Vec<Option<String>>, StoreError> {
    let user = match subject {
        SessionSubject::User(user) => user,
        SessionSubject::Agent(agent) => return Ok(vec![Some(text(&agent))]),
    };
    let sql = "SELECT id FROM patient WHERE user_id = $1 UNION SELECT id FROM doctor WHERE user_id = $1 ORDER BY id";
    let rows = unit.query(sql, [text(&user).into()]).await?;
    let ids = rows.iter().map(|row| row.try_get("", "id").map(Some).map_err(store_error));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    Ok(if ids.is_empty() { vec![None] } else { ids })
}
