//! Connections that say nothing: what each costs the server, and whether all live on.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time;

use super::Failure;
use super::wire::Wire;
use crate::load::export::patient_token;
use crate::load::usage::resident_kib;

/// Connections opened at the same time.
const AT_ONCE: usize = 64;
/// What was only needed for opening is given back meanwhile.
const SETTLE: Duration = Duration::from_secs(5);

/// A run of idle connections.
#[derive(Debug, Clone)]
pub struct Idle {
    pub address: String,
    pub connections: u32,
    pub length: Duration,
    /// Process of the server.
    pub server: Option<u32>,
}

/// What a run of idle connections has measured.
#[derive(Debug, Clone, Copy)]
pub struct IdleFigures {
    pub opened: u32,
    /// Answered a ping at the end.
    pub alive: u32,
    /// Memory of the server before, with all connections, and at the end, in KiB.
    pub resident_kib: Option<[u64; 3]>,
}

impl Idle {
    /// # Errors
    /// When the server does not take a connection.
    pub async fn run(&self) -> Result<IdleFigures, Failure> {
        let resident = || self.server.and_then(resident_kib);
        // What the server needs once, whoever comes first.
        for n in 0..16 {
            Wire::open(&self.address, &patient_token(n)).await?.ping().await?;
        }
        time::sleep(SETTLE).await;
        let before = resident();
        let mut wires = self.open_all().await?;
        time::sleep(SETTLE).await;
        let opened = resident();
        self.wait(&mut wires).await?;
        let after = resident();
        let mut alive = 0;
        let mut asked = JoinSet::new();
        for mut wire in wires.drain(..) {
            asked.spawn(async move { wire.ping().await });
        }
        while let Some(answer) = asked.join_next().await {
            alive += u32::from(answer?.is_ok());
        }
        let resident_kib = before.zip(opened).zip(after).map(|((before, opened), after)| [before, opened, after]);
        Ok(IdleFigures { opened: self.connections, alive, resident_kib })
    }

    async fn open_all(&self) -> Result<Vec<Wire>, Failure> {
        let mut wires = Vec::new();
        let mut opening = JoinSet::new();
        for n in 0..self.connections {
            let (address, token) = (self.address.clone(), patient_token(n));
            opening.spawn(async move { Wire::open(&address, &token).await });
            if opening.len() >= AT_ONCE
                && let Some(opened) = opening.join_next().await
            {
                wires.push(opened??);
            }
        }
        while let Some(opened) = opening.join_next().await {
            wires.push(opened??);
        }
        Ok(wires)
    }

    /// Answers heartbeats for a while.
    async fn wait(&self, wires: &mut Vec<Wire>) -> Result<(), Failure> {
        let until = time::Instant::now() + self.length;
        let mut waiting = JoinSet::new();
        for mut wire in wires.drain(..) {
            waiting.spawn(async move {
                // A connection that ends early is found out by the ping at the end.
                let _ = time::timeout_at(until, async { while wire.next().await.is_ok() {} }).await;
                wire
            });
        }
        while let Some(wire) = waiting.join_next().await {
            wires.push(wire?);
        }
        Ok(())
    }
}
