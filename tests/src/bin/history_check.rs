//! Tries whether messaging keeps its promise while servers are killed: `docs/history-checker.md`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};
use tests::history::check::{Violation, check};
use tests::history::device::Tally;
use tests::history::record::History;
use tests::history::round::{Round, Trial};
use tests::history::seed::BUGS;
use tests::server::Database;

/// Tries whether messaging keeps its promise while servers are killed.
#[derive(Parser)]
#[command(name = "history-check")]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Runs rounds against real servers and judges each.
    Run {
        /// One node over SQLite, or several over PostgreSQL and NATS.
        #[arg(long, value_enum, default_value = "sqlite")]
        database: Kind,
        /// Nodes over PostgreSQL.
        #[arg(long, default_value_t = 3)]
        nodes: usize,
        #[arg(long, default_value_t = 100)]
        rounds: u32,
        /// The same seed makes the same choices; how they fall in time differs.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where the history of a round that breaks the promise is kept.
        #[arg(long, default_value = "target/histories")]
        keep: PathBuf,
    },
    /// Judges a history that was kept.
    Judge { file: PathBuf },
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Sqlite,
    Postgres,
}

fn main() -> ExitCode {
    match Options::parse().what {
        What::Run { database: Kind::Sqlite, rounds, seed, keep, .. } => run(Database::Sqlite, 1, rounds, seed, &keep),
        What::Run { database: Kind::Postgres, nodes, rounds, seed, keep } => {
            run(Database::Postgres, nodes, rounds, seed, &keep)
        }
        What::Judge { file } => {
            let text = fs::read_to_string(file).expect("the file can be read");
            report(&check(&serde_json::from_str(&text).expect("the file holds a history")))
        }
    }
}

fn run(database: Database, nodes: usize, rounds: u32, seed: u64, keep: &Path) -> ExitCode {
    println!("{rounds} rounds on {nodes} node(s) over {database:?}, seed {seed}");
    let began = Instant::now();
    let mut trial = Trial::start(database, nodes, seed);
    let mut sums = Sums::default();
    for number in 0..rounds {
        let round = trial.round(number);
        let violations = check(&round.history);
        if !violations.is_empty() {
            println!("round {number} ({:?}) breaks the promise:", round.blows);
            keep_history(&round.history, keep, number);
            keep_logs(&trial, keep);
            return report(&violations);
        }
        sums.add(&round);
        if number == 0 && !prove(&round.history) {
            return ExitCode::FAILURE;
        }
        if number % 10 == 9 || number + 1 == rounds {
            let inspected = trial.inspect();
            if !inspected.is_empty() {
                println!("after round {number} the store itself is not consistent: {inspected:?}");
                keep_history(&round.history, keep, number);
                return ExitCode::FAILURE;
            }
            println!("{:>4} rounds, {:.0} s: {sums}", number + 1, began.elapsed().as_secs_f64());
        }
    }
    println!("the promise was kept in all {rounds} rounds");
    ExitCode::SUCCESS
}

/// Tries the judge itself on the history spoiled in each known way.
fn prove(history: &History) -> bool {
    let mut caught = 0;
    let mut tried = 0;
    for bug in BUGS {
        let Some(spoiled) = bug.in_history(history) else {
            println!("seeded bug not tried, the history has no place for it: {}", bug.name);
            continue;
        };
        tried += 1;
        if check(&spoiled).iter().any(|violation| violation.rule == bug.caught_by) {
            caught += 1;
        } else {
            println!("seeded bug NOT CAUGHT: {}", bug.name);
        }
    }
    println!("seeded bugs caught: {caught} of {tried}");
    caught == tried
}

fn keep_history(history: &History, folder: &Path, round: u32) {
    let file = folder.join(format!("round-{round}.json"));
    fs::create_dir_all(folder).expect("the folder can be made");
    fs::write(&file, serde_json::to_vec_pretty(history).expect("a history is JSON")).expect("the history is kept");
    println!("history kept in {}", file.display());
}

/// What the servers wrote.
fn keep_logs(trial: &Trial, folder: &Path) {
    for entry in fs::read_dir(trial.folder()).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let _ = fs::copy(&path, folder.join(entry.file_name()));
        }
    }
}

fn report(violations: &[Violation]) -> ExitCode {
    for violation in violations.iter().take(20) {
        println!("  {violation}");
    }
    println!("{} broken promises", violations.len());
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What all rounds came to.
#[derive(Default)]
struct Sums {
    messages: usize,
    acks: usize,
    duplicates: usize,
    seen: usize,
    blows: usize,
    longest: Duration,
    tally: Tally,
}

impl Sums {
    fn add(&mut self, round: &Round) {
        let history = &round.history;
        self.messages += history.conversations.iter().map(|c| c.messages.len()).sum::<usize>();
        self.acks += history.acks.len();
        self.duplicates += history.acks.iter().filter(|ack| ack.is_duplicate).count();
        self.seen += history.devices.iter().map(|device| device.seen.len()).sum::<usize>();
        self.blows += round.blows.len();
        self.longest = self.longest.max(round.took);
        self.tally += round.tally;
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { connects, drops, repeats, over_http, conflicts, recalls } = self.tally;
        let Self { messages, acks, duplicates, seen, blows, longest, .. } = self;
        write!(
            f,
            "{messages} messages ({over_http} over HTTP), {acks} acks ({duplicates} of retries), {repeats} repeats, \
             {conflicts} conflicts, {recalls} recalls, {seen} deliveries, {connects} connections ({drops} dropped by \
             clients), {blows} blows, longest round {:.1} s",
            longest.as_secs_f64()
        )
    }
}
