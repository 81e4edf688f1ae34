//! How SQLite and PostgreSQL are opened, and everywhere else they differ.
//!
//! SQLite: one writer connection whose transactions begin IMMEDIATE, so units never run side by side and row locks
//! are not needed (sea-query leaves `FOR UPDATE` out there); a separate pool reads. PostgreSQL: one pool, row locks.

use std::path::Path;
use std::time::Duration;

use domain::StoreError;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbErr, RuntimeErr, SqlErr};
use sqlx::error::DatabaseError;

use crate::seal::Seal;

/// Which database this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// How hard SQLite waits for the disk before a commit is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SqliteSync {
    /// Survives power loss: what was acknowledged stays. The default, since acks promise durability.
    #[default]
    Full,
    /// Survives a crash of the process, may lose the newest commits with the power.
    Normal,
}

/// How to reach the database.
#[derive(Clone)]
pub struct DatabaseOptions {
    /// `sqlite://path/to/file.db` or `postgres://…`.
    pub url: String,
    /// Most connections to `PostgreSQL`.
    pub max_connections: u32,
    /// Reading connections to `SQLite`, beside its single writer.
    pub sqlite_readers: u32,
    /// How long to wait for a free connection.
    pub acquire_timeout: Duration,
    pub sqlite_sync: SqliteSync,
    /// Seals phone numbers. The database opens with the seal it was made with only.
    pub seal: Seal,
}

impl DatabaseOptions {
    pub fn new(url: impl Into<String>, seal: Seal) -> Self {
        Self {
            url: url.into(),
            max_connections: 16,
            sqlite_readers: 4,
            acquire_timeout: Duration::from_secs(10),
            sqlite_sync: SqliteSync::Full,
            seal,
        }
    }
}

/// Connections to `PostgreSQL` for appending messages, beside `max_connections`: enough for the lanes of one process.
const APPENDERS: u32 = 4;

/// The database could not be opened. Never shows the password of the address.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("database.url must begin with sqlite:// or postgres://")]
    UnknownScheme,
    #[error("the folder {folder} of the database could not be made")]
    Folder { folder: String, source: std::io::Error },
    #[error("the database at {address} could not be opened: {reason}")]
    Unreachable { address: String, reason: String },
}

/// The two roads to a database: reading and writing.
pub(crate) struct Connections {
    pub(crate) backend: Backend,
    pub(crate) writer: DatabaseConnection,
    pub(crate) reader: DatabaseConnection,
    /// For messages that are appended as a unit of their own.
    pub(crate) appender: DatabaseConnection,
}

impl Backend {
    /// Reads the kind off the address.
    ///
    /// # Errors
    /// [`ConnectError::UnknownScheme`].
    pub fn of_url(url: &str) -> Result<Self, ConnectError> {
        if url.starts_with("sqlite:") {
            Ok(Self::Sqlite)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Ok(Self::Postgres)
        } else {
            Err(ConnectError::UnknownScheme)
        }
    }

    /// Column type of JSON documents.
    pub(crate) const fn json_type(self) -> &'static str {
        match self {
            Self::Sqlite => "text",
            Self::Postgres => "jsonb",
        }
    }

    /// Column type of bytes.
    pub(crate) const fn bytes_type(self) -> &'static str {
        match self {
            Self::Sqlite => "blob",
            Self::Postgres => "bytea",
        }
    }

    /// Column type of places in the log: on `SQLite` the row id itself, which needs no index of its own.
    pub(crate) const fn position_type(self) -> &'static str {
        match self {
            Self::Sqlite => "integer",
            Self::Postgres => "bigint",
        }
    }

    /// Suffix of a table whose rows are updated all the time: `PostgreSQL` leaves room for the new version beside
    /// the old one, so that no index has to change.
    pub(crate) const fn hot_table(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " WITH (fillfactor = 50)",
        }
    }

    /// What makes the rows of a table stand in its primary key, which saves a tree.
    pub(crate) const fn keyed_table(self) -> &'static str {
        match self {
            Self::Sqlite => " WITHOUT ROWID",
            Self::Postgres => "",
        }
    }

    /// Whether the further fields of a conversation say that it is a service. The index of services holds these words.
    pub(crate) fn is_service(self, extra: &str) -> String {
        match self {
            Self::Sqlite => format!("{extra} ->> '$.sys' = 1"),
            Self::Postgres => format!("{extra} ->> 'sys' = 'true'"),
        }
    }

    /// The table function that lists the elements of a JSON array of strings, in a column named `value`.
    pub(crate) const fn json_elements(self) -> &'static str {
        match self {
            Self::Sqlite => "json_each",
            Self::Postgres => "jsonb_array_elements_text",
        }
    }

    /// The rows of a parameter that is a JSON array, in a column named `value`: elements of arrays are read by
    /// `value ->> 0`.
    pub(crate) fn each(self, parameter: usize) -> String {
        match self {
            Self::Sqlite => format!("json_each(${parameter})"),
            Self::Postgres => format!("json_array_elements(CAST(${parameter} AS json))"),
        }
    }

    /// The condition that a column equals one of the strings in a parameter that is a JSON array.
    pub(crate) fn is_among(self, column: &str, parameter: &str) -> String {
        match self {
            Self::Sqlite => format!("{column} IN (SELECT value FROM json_each({parameter}))"),
            // As an array and not as a join, whose size PostgreSQL would guess.
            Self::Postgres => {
                format!("{column} = ANY (ARRAY(SELECT json_array_elements_text(CAST({parameter} AS json))))")
            }
        }
    }

    /// Joins the at most one row of `table` that meets `condition`, looked up for each row before it, in their order;
    /// `lock` as below. PostgreSQL would otherwise plan by what it knew of the tables long ago, when they were small,
    /// and read all of them.
    pub(crate) fn look_up(self, table: &str, condition: &str, lock: &str) -> String {
        match self {
            Self::Sqlite => format!("LEFT JOIN {table} ON {condition}"),
            Self::Postgres => {
                format!("LEFT JOIN LATERAL (SELECT * FROM {table} WHERE {condition} LIMIT 1{lock}) AS {table} ON true")
            }
        }
    }

    /// Suffix of a select whose rows nobody else may change, though others may hold them the same way.
    pub(crate) const fn for_share(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR SHARE",
        }
    }

    /// Suffix of a select whose rows nobody else may change until the unit ends.
    pub(crate) const fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// Suffix of a select that claims rows no other worker is claiming.
    pub(crate) const fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }
}

pub(crate) async fn connect(options: &DatabaseOptions) -> Result<Connections, ConnectError> {
    match Backend::of_url(&options.url)? {
        Backend::Sqlite => connect_sqlite(options).await,
        Backend::Postgres => connect_postgres(options).await,
    }
}

async fn connect_sqlite(options: &DatabaseOptions) -> Result<Connections, ConnectError> {
    make_folder(&options.url)?;
    let writer = open(sqlite_options(options, false)).await?;
    let reader = open(sqlite_options(options, true)).await?;
    Ok(Connections { backend: Backend::Sqlite, appender: writer.clone(), writer, reader })
}

/// Copies an SQLite database as it is committed now, whoever is writing to it meanwhile.
///
/// # Errors
/// [`ConnectError`] when the one cannot be read or the other not written.
pub async fn copy_sqlite(original: &Path, copy: &Path) -> Result<(), ConnectError> {
    let url = format!("sqlite://{}?mode=ro", original.display());
    let connection = open(ConnectOptions::new(url)).await?;
    let quoted = copy.display().to_string().replace('\'', "''");
    let copied = connection.execute_unprepared(&format!("VACUUM INTO '{quoted}'")).await;
    // Closing a connection fails only when it is closed already.
    let _ = connection.close().await;
    let address = original.display().to_string();
    copied.map(|_| ()).map_err(|error| ConnectError::Unreachable { address, reason: reason_of(&error) })
}

fn make_folder(url: &str) -> Result<(), ConnectError> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let path = path.split('?').next().unwrap_or(path);
    let Some(folder) = Path::new(path).parent().filter(|f| !f.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::create_dir_all(folder)
        .map_err(|source| ConnectError::Folder { folder: folder.display().to_string(), source })
}

fn sqlite_options(options: &DatabaseOptions, is_reader: bool) -> ConnectOptions {
    let synchronous = match options.sqlite_sync {
        SqliteSync::Full => "FULL",
        SqliteSync::Normal => "NORMAL",
    };
    let mut connect = ConnectOptions::new(options.url.clone());
    connect
        .max_connections(if is_reader { options.sqlite_readers } else { 1 })
        .min_connections(1)
        .acquire_timeout(options.acquire_timeout)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .create_if_missing(!is_reader)
                .pragma("synchronous", synchronous)
                .pragma("busy_timeout", "10000")
                .pragma("cache_size", "-65536")
                .pragma("mmap_size", "268435456")
                .pragma("temp_store", "MEMORY")
                // A checkpoint flushes the database itself: seldom, so that commits flush the log only.
                .pragma("wal_autocheckpoint", "16384")
                .statement_cache_capacity(256)
                // `$regex` of the LeanCloud surface, matched in linear time.
                .with_regexp();
            // The journal mode is kept in the file; only the writer, which makes the file, sets it.
            if is_reader { sqlite.pragma("query_only", "ON") } else { sqlite.pragma("journal_mode", "WAL") }
        });
    connect
}

async fn connect_postgres(options: &DatabaseOptions) -> Result<Connections, ConnectError> {
    let pool = open(postgres_options(options, options.max_connections, &[])).await?;
    let appender = open(postgres_options(options, APPENDERS, &BY_INDEX)).await?;
    Ok(Connections { backend: Backend::Postgres, writer: pool.clone(), reader: pool, appender })
}

/// Few rows are looked up in tables that grow, by a plan that is kept: never by reading a whole index, however short it
/// was when the plan was made.
const BY_INDEX: [(&str, &str); 2] = [("enable_hashjoin", "off"), ("enable_mergejoin", "off")];

fn postgres_options(
    options: &DatabaseOptions,
    max_connections: u32,
    further: &'static [(&'static str, &'static str)],
) -> ConnectOptions {
    let mut connect = ConnectOptions::new(options.url.clone());
    connect
        .max_connections(max_connections)
        .min_connections(1)
        .acquire_timeout(options.acquire_timeout)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire_if_idle_for(Duration::from_secs(30))
        .map_sqlx_postgres_opts(move |postgres| {
            // Statements are planned once and kept: planning takes longer than running most of them. One planned while
            // a table was empty must not read it whole when it has grown. Where there is no index, tables are read
            // whole all the same, and look so dear then that the database would compile every such statement, for
            // seconds.
            let options = [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("jit", "off")];
            let options = options.iter().chain(further).copied();
            postgres.application_name("zhaoguan").options(options).statement_cache_capacity(256)
        });
    connect
}

async fn open(connect: ConnectOptions) -> Result<DatabaseConnection, ConnectError> {
    let address = address_without_credentials(connect.get_url());
    Database::connect(connect).await.map_err(|error| ConnectError::Unreachable { address, reason: reason_of(&error) })
}

/// The address as it may be shown: no user, no password, no parameters.
fn address_without_credentials(url: &str) -> String {
    let without_query = url.split('?').next().unwrap_or(url);
    match (without_query.split_once("://"), without_query.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => without_query.to_owned(),
    }
}

fn reason_of(error: &DbErr) -> String {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(source)) => source.to_string(),
        other => other.to_string(),
    }
}

/// Translates a failure of the database into the domain's words.
pub(crate) fn store_error(error: DbErr) -> StoreError {
    if let Some(SqlErr::UniqueConstraintViolation(message)) = error.sql_err() {
        return StoreError::Unique(broken_rule(&error, &message));
    }
    if is_serialization_failure(&error) { StoreError::Conflict } else { StoreError::backend(error) }
}

/// The broken rule, beginning with its table: the constraint on `PostgreSQL` (`patient_user`), the columns on
/// `SQLite` (`patient.user_id`), which does not tell the index.
fn broken_rule(error: &DbErr, message: &str) -> String {
    let constraint = database_error(error).and_then(|e| e.constraint());
    constraint.unwrap_or_else(|| message.trim_start_matches("UNIQUE constraint failed: ")).to_owned()
}

/// `PostgreSQL`: serialization failure (40001) or deadlock (40P01): the same unit may succeed when run again.
fn is_serialization_failure(error: &DbErr) -> bool {
    matches!(sql_state(error).as_deref(), Some("40001" | "40P01"))
}

/// The code of what the database said, as the SQL standard names it on `PostgreSQL`.
pub(crate) fn sql_state(error: &DbErr) -> Option<String> {
    database_error(error).and_then(DatabaseError::code).map(Into::into)
}

/// What the database itself said, if it said anything.
fn database_error(error: &DbErr) -> Option<&dyn DatabaseError> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(source)) | DbErr::Query(RuntimeErr::SqlxError(source)) => {
            source.as_database_error()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_credentials() {
        assert_eq!(address_without_credentials("postgres://u:p@db:5432/z?sslmode=require"), "postgres://db:5432/z");
        assert_eq!(address_without_credentials("sqlite://data/zhaoguan.db"), "sqlite://data/zhaoguan.db");
    }

    #[test]
    fn unknown_schemes_are_refused() {
        assert!(matches!(Backend::of_url("mysql://x"), Err(ConnectError::UnknownScheme)));
    }

    #[tokio::test]
    async fn an_unreachable_database_is_named_without_its_password() {
        let mut options = DatabaseOptions::new("postgres://u:hidden@127.0.0.1:1/z", Seal::derive(&[7; 32]));
        options.acquire_timeout = Duration::from_secs(2);
        let Err(error) = connect(&options).await else { panic!("nothing listens on port 1") };
        let text = error.to_string();
        assert!(text.contains("postgres://127.0.0.1:1/z"), "{text}");
        assert!(!text.contains("hidden"), "{text}");
    }
}
