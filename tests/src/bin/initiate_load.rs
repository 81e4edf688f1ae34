//! Load on `initiateConsultation` from outside: `initiate-load export DIR` writes an application to import,
//! `initiate-load run …` measures a running server through its public HTTP port only, and `initiate-load compare …` what
//! the call costs on each surface.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};
use hdrhistogram::Histogram;
use tests::load::client::Connection;
use tests::load::export::{self, doctor_id, patient_id};
use tests::load::figures::Figures;
use tests::load::initiate::{Surface, Writer};

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Measures initiateConsultation")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes a synthetic LeanCloud export into DIR.
    Export {
        dir: PathBuf,
        #[arg(long, default_value_t = 200)]
        doctors: u32,
        #[arg(long, default_value_t = 5000)]
        patients: u32,
    },
    /// Calls a running server and prints req/s and latencies.
    Run(Run),
    /// Calls it on the native surface and on those of LeanCloud's SDK in turns, and prints what these cost beside it.
    Compare {
        #[command(flatten)]
        run: Run,
        /// Turns, each as long as `--seconds` on each surface.
        #[arg(long, default_value_t = 6)]
        turns: u32,
    },
}

#[derive(clap::Args, Clone)]
struct Run {
    /// host:port of the server.
    #[arg(long)]
    address: String,
    #[arg(long)]
    app_id: String,
    #[arg(long)]
    app_key: String,
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Length of the measured part.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    #[arg(long, value_enum)]
    pairs: Pairs,
    #[arg(long, value_enum, default_value_t = Surface::Documented)]
    surface: Surface,
    /// First pair used, so that runs do not meet each other's pairs.
    #[arg(long, default_value_t = 0)]
    offset: u32,
    #[arg(long, default_value_t = 200)]
    doctors: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Pairs {
    /// 1,000 pairs again and again; each has an open consultation after the warm-up.
    Existing,
    /// A pair never seen before for every call.
    New,
}

impl Pairs {
    const fn name(self) -> &'static str {
        match self {
            Self::Existing => "existing",
            Self::New => "new",
        }
    }
}

/// Pairs of the `existing` run.
const EXISTING_PAIRS: u32 = 1000;

fn main() -> Result<(), Failure> {
    match Arguments::parse().command {
        Command::Export { dir, doctors, patients } => Ok(export::write(&dir, doctors, patients)?),
        Command::Run(run) => {
            let next = Arc::new(AtomicU32::new(run.offset));
            let figures = runtime()?.block_on(measure(run.clone(), next))?;
            println!("{:<9} {:>4} connections {figures}", run.pairs.name(), run.connections);
            if figures.failures > 0 { Err("some calls were not answered as expected".into()) } else { Ok(()) }
        }
        Command::Compare { run, turns } => runtime()?.block_on(compare(run, turns)),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Turns of one surface after the other, so that whatever else the machine does meets all of them alike.
async fn compare(run: Run, turns: u32) -> Result<(), Failure> {
    let next = Arc::new(AtomicU32::new(run.offset));
    let surfaces = [Surface::Native, Surface::Run, Surface::Rpc];
    let mut whole = Vec::new();
    for surface in surfaces {
        whole.push((surface, Figures { elapsed: Duration::ZERO, latencies: Histogram::new(3)?, failures: 0 }));
    }
    for _ in 0..turns {
        for (surface, sum) in &mut whole {
            let turn = measure(Run { surface: *surface, ..run.clone() }, Arc::clone(&next)).await?;
            sum.elapsed += turn.elapsed;
            sum.latencies.add(turn.latencies)?;
            sum.failures += turn.failures;
        }
        // What a turn leaves behind weighs on each alike.
        whole.reverse();
    }
    let native = whole.iter().find(|(surface, _)| *surface == Surface::Native);
    let native = native.map_or(0.0, |(_, figures)| figures.per_second());
    for (surface, figures) in &whole {
        let cost = (native / figures.per_second() - 1.0) * 100.0;
        let (pairs, name) = (run.pairs.name(), format!("{surface:?}").to_lowercase());
        println!("{pairs:<9} {name:<7} {:>4} connections {figures}   {cost:+.1} % of the native call", run.connections);
    }
    let failures: u64 = whole.iter().map(|(_, figures)| figures.failures).sum();
    if failures > 0 { Err("some calls were not answered as expected".into()) } else { Ok(()) }
}

async fn measure(run: Run, next: Arc<AtomicU32>) -> Result<Figures, Failure> {
    if run.pairs == Pairs::Existing {
        warm_up(&run).await?;
    }
    let started = Instant::now();
    let until = started + Duration::from_secs(run.seconds);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..run.connections {
        clients.spawn(client(run.clone(), Arc::clone(&next), until));
    }
    let mut latencies = Histogram::new(3)?;
    let mut failures = 0;
    while let Some(done) = clients.join_next().await {
        let (of_client, failed) = done??;
        latencies.add(of_client)?;
        failures += failed;
    }
    Ok(Figures { elapsed: started.elapsed(), latencies, failures })
}

/// Sees to it that the existing pairs exist.
async fn warm_up(run: &Run) -> Result<(), Failure> {
    let mut connection = Connection::open(&run.address).await?;
    let writer = run.writer();
    for n in 0..EXISTING_PAIRS {
        connection.call(&request(run, &writer, n)).await?;
    }
    Ok(())
}

async fn client(run: Run, next: Arc<AtomicU32>, until: Instant) -> Result<(Histogram<u64>, u64), Failure> {
    let mut connection = Connection::open(&run.address).await?;
    let mut latencies = Histogram::new(3)?;
    let mut failures = 0;
    let writer = run.writer();
    let is_new = run.pairs == Pairs::New;
    let expected: &[u8] = if is_new { b"\"isOld\":false" } else { b"\"isOld\":true" };
    while Instant::now() < until {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let bytes = request(&run, &writer, if is_new { n } else { n % EXISTING_PAIRS });
        let sent = Instant::now();
        let answer = connection.call(&bytes).await?;
        latencies.record(u64::try_from(sent.elapsed().as_micros())?)?;
        let is_expected =
            (200..300).contains(&answer.status) && answer.body.windows(expected.len()).any(|w| w == expected);
        failures += u64::from(!is_expected);
    }
    Ok((latencies, failures))
}

/// Pair `n`: doctors in turn, a further patient each time all doctors were used.
fn request(run: &Run, writer: &Writer, n: u32) -> Vec<u8> {
    writer.request(&doctor_id(n % run.doctors), &patient_id(n / run.doctors))
}

impl Run {
    fn writer(&self) -> Writer {
        Writer::new(self.surface, &self.address, &self.app_id, &self.app_key)
    }
}
