//! Opening the store, and the unit of work that is every repository at once.

use std::fmt::Display;
use std::sync::{Arc, OnceLock};

use ::consultation::desk_task::DeskTaskRepository;
use ::consultation::notification::NotificationRepository;
use ::consultation::relation::{InvitationRepository, RelationRepository};
use ::consultation::trace::TraceRepository;
use ::consultation::{ConsultationStore, ConsultationUnit, consultation::ConsultationRepository};
use ::im::log::{Committed, LogListener, LogRepository};
use ::im::presence::PresenceRepository;
use ::im::{ConversationRepository, MessageRepository};
use async_trait::async_trait;
use domain::audit::AuditRepository;
use domain::doctor::DoctorRepository;
use domain::file::FileRepository;
use domain::outbox::OutboxRepository;
use domain::patient::PatientRepository;
use domain::{StoreError, Timestamp};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseExecutor, DatabaseTransaction, EntityTrait, FromQueryResult,
    QueryResult, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, Value,
};
use tokio::sync::OwnedSemaphorePermit;

use crate::backend::{self, Backend, ConnectError, Connections, DatabaseOptions, store_error};
use crate::convert::list;
use crate::migration;
use crate::seal::Seal;
use crate::turns::Turns;

/// The database.
#[derive(Clone)]
pub struct SeaStore {
    backend: Backend,
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    /// For messages that are appended as a unit of their own.
    appender: DatabaseConnection,
    seal: Seal,
    news: News,
    turns: Turns,
}

/// Who is told that the log has moved on.
type News = Arc<OnceLock<Arc<dyn LogListener>>>;

impl SeaStore {
    /// Opens the database; makes the file and its folder on `SQLite`. Does not migrate.
    ///
    /// # Errors
    /// [`ConnectError`] saying which address could not be opened and why.
    pub async fn connect(options: &DatabaseOptions) -> Result<Self, ConnectError> {
        let Connections { backend, writer, reader, appender } = backend::connect(options).await?;
        let (seal, turns) = (options.seal.clone(), Turns::of(backend));
        Ok(Self { backend, writer, reader, appender, seal, news: News::default(), turns })
    }

    /// Tells `listener` from now on of every unit that moved the log on, whatever it was about. Counts once.
    /// Messages that go the quick way ([`::im::ImStore::append`]) are told of by whoever sends them.
    pub fn announce_to(&self, listener: Arc<dyn LogListener>) {
        // There is one log, and one listener in a process.
        let _ = self.news.set(listener);
    }

    /// Brings the tables up to date. Safe to run from several processes at once.
    ///
    /// # Errors
    /// [`StoreError`] when a step fails; that step is then undone.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migration::run(self.unit().await?).await
    }

    pub const fn backend(&self) -> Backend {
        self.backend
    }

    /// Begins a transaction that may write.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn unit(&self) -> Result<SeaUnit, StoreError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let turn = self.turns.wait().await;
        let txn = self.writer.begin_with_options(options).await.map_err(store_error)?;
        Ok(SeaUnit { _turn: turn, ..self.on(Road::Transaction(txn)) })
    }

    /// The repositories for reading only; each call sees what is committed then.
    pub fn reading(&self) -> SeaUnit {
        self.on(Road::Pool(self.reader.clone()))
    }

    /// For writing in single statements, each a transaction of its own.
    pub(crate) fn at_once(&self) -> SeaUnit {
        self.on(Road::Pool(self.appender.clone()))
    }

    fn on(&self, road: Road) -> SeaUnit {
        let (seal, news) = (self.seal.clone(), self.news.clone());
        SeaUnit { backend: self.backend, road, seal, news, has_news: false, _turn: None }
    }

    /// Proves that writing works, for `/readyz`.
    ///
    /// # Errors
    /// [`StoreError`] when it does not.
    pub async fn probe_write(&self, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE readiness SET checked_at = $1 WHERE id = 1";
        let statement = Statement::from_sql_and_values(self.sea_backend(), sql, [now.as_millis().into()]);
        self.writer.execute_raw(statement).await.map_err(store_error)?;
        Ok(())
    }

    /// Closes the pools; commits in flight finish first.
    pub async fn close(&self) {
        // Closing a pool fails only when it is closed already.
        let _ = self.writer.clone().close().await;
        let _ = self.reader.clone().close().await;
        let _ = self.appender.clone().close().await;
    }

    fn sea_backend(&self) -> sea_orm::DbBackend {
        self.writer.get_database_backend()
    }
}

/// Tells the listener of [`SeaStore::announce_to`], if there is one in this process.
impl LogListener for SeaStore {
    fn committed(&self, committed: Committed) {
        if let Some(listener) = self.news.get() {
            listener.committed(committed);
        }
    }

    fn moved(&self) {
        if let Some(listener) = self.news.get() {
            listener.moved();
        }
    }
}

/// A transaction, or the reading pool.
enum Road {
    Transaction(DatabaseTransaction),
    Pool(DatabaseConnection),
}

/// Every repository of the product over one transaction (or, for reading, over the pool).
pub struct SeaUnit {
    pub(crate) backend: Backend,
    road: Road,
    pub(crate) seal: Seal,
    news: News,
    /// It has moved the log on.
    pub(crate) has_news: bool,
    /// Given on when the unit is over.
    _turn: Option<OwnedSemaphorePermit>,
}

impl SeaUnit {
    /// What statements run on.
    pub(crate) fn db(&self) -> DatabaseExecutor<'_> {
        match &self.road {
            Road::Transaction(txn) => txn.into(),
            Road::Pool(pool) => pool.into(),
        }
    }

    /// Whether its statements belong together.
    pub(crate) const fn is_transaction(&self) -> bool {
        matches!(self.road, Road::Transaction(_))
    }

    /// Ends the transaction, keeping everything.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not confirm; nothing may be assumed then.
    pub async fn finish(self) -> Result<(), StoreError> {
        if let Road::Transaction(txn) = self.road {
            txn.commit().await.map_err(store_error)?;
        }
        if let (true, Some(listener)) = (self.has_news, self.news.get()) {
            listener.moved();
        }
        Ok(())
    }

    /// Runs a statement written once for both databases, with `$1`-style parameters; returns rows affected.
    pub(crate) async fn execute(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> Result<u64, StoreError> {
        let db = self.db();
        let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
        Ok(db.execute_raw(statement).await.map_err(store_error)?.rows_affected())
    }

    /// Like `execute`, for statements that answer rows.
    pub(crate) async fn query(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let db = self.db();
        let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
        db.query_all_raw(statement).await.map_err(store_error)
    }

    /// Like `query`, for whole rows of one table.
    pub(crate) async fn rows<E: EntityTrait>(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<E::Model>, StoreError> {
        let rows = self.query(sql, values).await?;
        rows.iter().map(|row| E::Model::from_query_result(row, "").map_err(store_error)).collect()
    }

    /// The rows of a table that have the given ids; `tail` is what follows the condition.
    pub(crate) async fn rows_of<E: EntityTrait>(
        &self,
        ids: &[impl Display],
        tail: &str,
    ) -> Result<Vec<E::Model>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (table, is_wanted) = (E::default().as_str().to_owned(), self.backend.is_among("id", "$1"));
        self.rows::<E>(&format!("SELECT * FROM {table} WHERE {is_wanted}{tail}"), [list(ids)]).await
    }
}

#[async_trait]
impl ConsultationUnit for SeaUnit {
    fn doctors(&mut self) -> &mut dyn DoctorRepository {
        self
    }
    fn patients(&mut self) -> &mut dyn PatientRepository {
        self
    }
    fn files(&mut self) -> &mut dyn FileRepository {
        self
    }
    fn relations(&mut self) -> &mut dyn RelationRepository {
        self
    }
    fn invitations(&mut self) -> &mut dyn InvitationRepository {
        self
    }
    fn consultations(&mut self) -> &mut dyn ConsultationRepository {
        self
    }
    fn conversations(&mut self) -> &mut dyn ConversationRepository {
        self
    }
    fn messages(&mut self) -> &mut dyn MessageRepository {
        self
    }
    fn log(&mut self) -> &mut dyn LogRepository {
        self
    }
    fn presence(&mut self) -> &mut dyn PresenceRepository {
        self
    }
    fn desk_tasks(&mut self) -> &mut dyn DeskTaskRepository {
        self
    }
    fn notifications(&mut self) -> &mut dyn NotificationRepository {
        self
    }
    fn audit(&mut self) -> &mut dyn AuditRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn OutboxRepository {
        self
    }
    fn traces(&mut self) -> &mut dyn TraceRepository {
        self
    }
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.finish().await
    }
}

#[async_trait]
impl ConsultationStore for SeaStore {
    async fn begin(&self) -> Result<Box<dyn ConsultationUnit>, StoreError> {
        Ok(Box::new(self.unit().await?))
    }

    fn read(&self) -> Box<dyn ConsultationUnit> {
        Box::new(self.reading())
    }
}
