//! Many random schedules of the desk in one database, which is emptied between them.
//!
//! `DESK_SCHEDULES` says how many, `DESK_SEED` which is the first.

use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use storage::{DatabaseOptions, SqliteSync};
use testkit::contract::desk_schedules::{play, play_evenly};

use super::{Place, SeaHarness};

/// Played by every run of the tests; the long proof plays thousands.
const SCHEDULES: u64 = 4;
/// One in so many is of agents who are all alike.
const EVEN: u64 = 4;
/// Longest one may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// `PostgreSQL` is rid of deleted rows after so many.
const VACUUM_EVERY: u64 = 50;

/// What a schedule leaves behind.
const TABLES: [&str; 11] = [
    "assistant",
    "audit_event",
    "conversation",
    "conversation_member",
    "desk_agent",
    "desk_chat",
    "desk_entry",
    "desk_episode",
    "job",
    "log_event",
    "message",
];

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Nothing here has to survive a loss of power.
fn hurried(options: DatabaseOptions) -> DatabaseOptions {
    let mut options = DatabaseOptions { sqlite_sync: SqliteSync::Normal, ..options };
    if options.url.starts_with("postgres") {
        let joint = if options.url.contains('?') { '&' } else { '?' };
        options.url = format!("{}{joint}options[synchronous_commit]=off", options.url);
    }
    options
}

async fn hand_on(options: &DatabaseOptions) -> DatabaseConnection {
    let mut connect = ConnectOptions::new(options.url.clone());
    connect.max_connections(1).sqlx_logging(false);
    Database::connect(connect).await.unwrap()
}

async fn wipe(hand: &DatabaseConnection) {
    let deletes: Vec<String> = TABLES.iter().map(|table| format!("DELETE FROM {table};")).collect();
    hand.execute_unprepared(&format!("BEGIN; {} COMMIT;", deletes.concat())).await.unwrap();
}

pub(crate) async fn many_schedules_of_the_desk_break_no_rule(place: &impl Place) {
    let (first, count) = (number("DESK_SEED", 1), number("DESK_SCHEDULES", SCHEDULES));
    let options = hurried(place.options());
    let harness = SeaHarness::open_with(place, &options).await;
    let hand = hand_on(&options).await;
    let begun = Instant::now();
    for seed in first..first + count {
        let outcome = if seed.is_multiple_of(EVEN) {
            tokio::time::timeout(PATIENCE, play_evenly(&harness, seed)).await
        } else {
            tokio::time::timeout(PATIENCE, play(&harness, seed)).await
        };
        assert!(outcome.is_ok(), "schedule {seed} did not end within {PATIENCE:?}");
        wipe(&hand).await;
        if options.url.starts_with("postgres") && seed.is_multiple_of(VACUUM_EVERY) {
            hand.execute_unprepared(&format!("VACUUM {}", TABLES.join(", "))).await.unwrap();
        }
    }
    println!("{count} schedules from {first} in {:.1} s", begun.elapsed().as_secs_f64());
    hand.close().await.unwrap();
    harness.store.close().await;
}
