//! Load on messaging from outside: `im-load export DIR` writes an application to import, the other commands measure a
//! running server through its WebSocket protocol only; see `docs/benchmarks.md`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tests::load::export;
use tests::load::im::{Failure, Idle, IdleFigures, Nodes, Pairs, Senders, Steady, Tally};
use tests::load::usage::{Watched, processor_times, resident_kib};

#[derive(Parser)]
#[command(about = "Measures messaging")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes a synthetic LeanCloud export of talking pairs into DIR.
    Export {
        dir: PathBuf,
        #[arg(long, default_value_t = 256)]
        pairs: u32,
        /// Patients who are signed in, those of the pairs among them: for idle connections.
        #[arg(long, default_value_t = 10_000)]
        patients: u32,
    },
    /// Pairs, each sending the next message when the other has the last one and its ack is back.
    Pairs {
        #[command(flatten)]
        target: Target,
        #[arg(long, default_value_t = 50)]
        pairs: u32,
        /// A line of figures after so many seconds.
        #[arg(long, default_value_t = 3600)]
        every: u64,
    },
    /// Senders, each sending the next message when its ack is back.
    Senders {
        #[command(flatten)]
        target: Target,
        #[arg(long, default_value_t = 64)]
        senders: u32,
        /// 1 is one hot conversation, in which the two parties write from several devices.
        #[arg(long, default_value_t = 256)]
        conversations: u32,
    },
    /// A steady rate of messages.
    Steady {
        #[command(flatten)]
        target: Target,
        #[arg(long, default_value_t = 256)]
        pairs: u32,
        /// Messages a second, all pairs together.
        #[arg(long, default_value_t = 2000)]
        rate: u32,
        /// A line of figures after so many seconds.
        #[arg(long, default_value_t = 3600)]
        every: u64,
    },
    /// Connections that say nothing.
    Idle {
        #[command(flatten)]
        target: Target,
        #[arg(long, default_value_t = 5000)]
        connections: u32,
    },
}

#[derive(clap::Args, Clone)]
struct Target {
    /// host:port of the server.
    #[arg(long)]
    address: String,
    /// host:port of another node, which patients connect to.
    #[arg(long)]
    second_address: Option<String>,
    /// Length of the run.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Processes whose processor time is shown, as name=pid; memory is shown of the one called `server`.
    #[arg(long)]
    watch: Vec<Watched>,
}

impl Target {
    fn nodes(&self) -> Nodes {
        let second = self.second_address.clone().unwrap_or_else(|| self.address.clone());
        Nodes { first: self.address.clone(), second }
    }

    const fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    fn server(&self) -> Option<u32> {
        self.watch.iter().find(|watched| watched.name == "server").map(|watched| watched.pid)
    }

    fn resident(&self) -> String {
        let kib = self.server().and_then(resident_kib);
        kib.map(|kib| format!("  server {:.1} MiB", mib(kib))).unwrap_or_default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "megabytes of a process")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn main() -> Result<(), Failure> {
    let command = Arguments::parse().command;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match command {
        Command::Export { dir, pairs, patients } => Ok(export::write_talking(&dir, pairs, patients)?),
        Command::Pairs { target, pairs, every } => {
            let every = Duration::from_secs(every);
            let run = Pairs { nodes: target.nodes(), pairs, length: target.length(), every };
            let report = |line: &str| println!("  {line}{}", target.resident());
            measured(&target, &format!("pairs {pairs}"), || runtime.block_on(run.run(report)))
        }
        Command::Senders { target, senders, conversations } => {
            let run = Senders { nodes: target.nodes(), senders, conversations, length: target.length() };
            let name = format!("senders {senders}, conversations {conversations}");
            measured(&target, &name, || runtime.block_on(run.run()))
        }
        Command::Steady { target, pairs, rate, every } => {
            let every = Duration::from_secs(every);
            let run = Steady { nodes: target.nodes(), pairs, rate, length: target.length(), every };
            let report = |line: &str| println!("  {line}{}", target.resident());
            measured(&target, &format!("steady {rate}/s, pairs {pairs}"), || runtime.block_on(run.run(report)))
        }
        Command::Idle { target, connections } => {
            let (server, length) = (target.server(), target.length());
            let figures = runtime.block_on(Idle { address: target.address, connections, length, server }.run())?;
            show_idle(figures)
        }
    }
}

/// Runs and prints one line: rate, latencies, and what a message took of each process.
fn measured(
    target: &Target,
    name: &str,
    run: impl FnOnce() -> Result<(Tally, Duration), Failure>,
) -> Result<(), Failure> {
    let mut watched = target.watch.clone();
    watched.push(Watched { name: "load".to_owned(), pid: std::process::id() });
    let before = processor_times(&watched);
    let (tally, elapsed) = run()?;
    let after = processor_times(&watched);
    let messages = u32::try_from(tally.acks.len().max(1)).unwrap_or(u32::MAX);
    let shares = watched.iter().zip(before.iter().zip(&after)).map(|(watched, (before, after))| {
        let each = after.saturating_sub(*before) / messages;
        format!("{} {:.1}", watched.name, each.as_secs_f64() * 1e6)
    });
    let shares: Vec<String> = shares.collect();
    println!("{name:<34}{:>8.0} msg/s{tally}  µs each: {}", tally.per_second(elapsed), shares.join(", "));
    Ok(())
}

fn show_idle(figures: IdleFigures) -> Result<(), Failure> {
    let IdleFigures { opened, alive, resident_kib } = figures;
    print!("{:<34}{alive} alive", format!("idle {opened}"));
    if let Some([before, with_all, after]) = resident_kib {
        let each = |now: u64| mib(now.saturating_sub(before)) * 1024.0 / f64::from(opened.max(1));
        print!(
            "  server {:.1} MiB before, {:.1} with all, {:.1} at the end: {:.1} KiB each, {:.1} at the end",
            mib(before),
            mib(with_all),
            mib(after),
            each(with_all),
            each(after)
        );
    }
    println!();
    if alive == opened { Ok(()) } else { Err("some connections did not live on".into()) }
}
