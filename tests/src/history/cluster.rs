//! The servers of a history, and the blows they are dealt.

use std::process::Command;
use std::thread;

use super::dice::Dice;
use crate::server::{Api, Database, Deployment, free_port};
use crate::services::{Nats, Postgres};
use crate::world::populate;

/// Something that breaks, and is made whole again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// `kill -9` of a node, which starts again.
    KillNode,
    /// A node does nothing for a while, and then goes on as if nothing had been.
    FreezeNode,
    /// The database is stopped without a checkpoint.
    StopDatabase,
    /// `kill -9` of the database.
    KillDatabase,
    /// NATS is away for a while, and a node dies meanwhile.
    LoseFanout,
}

/// What a round of one node over SQLite goes through.
const ALONE: [&[Blow]; 4] =
    [&[Blow::KillNode], &[Blow::KillNode, Blow::KillNode], &[Blow::FreezeNode, Blow::KillNode], &[Blow::KillNode]];
/// What a round of several nodes over PostgreSQL and NATS goes through.
const TOGETHER: [&[Blow]; 8] = [
    &[Blow::KillNode, Blow::KillNode],
    &[Blow::StopDatabase],
    &[Blow::LoseFanout],
    &[Blow::FreezeNode, Blow::KillNode],
    &[Blow::KillDatabase],
    &[Blow::LoseFanout, Blow::StopDatabase],
    &[Blow::KillNode, Blow::FreezeNode],
    &[Blow::KillDatabase, Blow::KillNode],
];

struct Node {
    port: u16,
    api: Option<Api>,
}

/// Running nodes with what they stand on. Fields are dropped in this order.
pub struct Cluster {
    nodes: Vec<Node>,
    deployment: Deployment,
    nats: Option<Nats>,
    postgres: Option<Postgres>,
    dice: Dice,
}

impl Cluster {
    /// Starts one node over SQLite, or several over a PostgreSQL and a NATS of their own, with some people in it.
    ///
    /// # Panics
    /// When anything of it does not start.
    pub fn start(database: Database, nodes: usize, doctors: u32, patients: u32, dice: Dice) -> Self {
        let (postgres, nats) = match database {
            Database::Sqlite => (None, None),
            Database::Postgres => (Some(Postgres::start()), Some(Nats::start())),
        };
        let mut deployment = match &postgres {
            None => Deployment::new(Database::Sqlite),
            Some(postgres) => Deployment::on_server(&postgres.url("postgres")),
        };
        deployment = deployment.with("im.frames_per_second", "10000");
        if let Some(nats) = &nats {
            deployment = deployment.with("fanout.url", &nats.url());
        }
        populate(&deployment, doctors, patients);
        let mut cluster = Self { nodes: Vec::new(), deployment, nats, postgres, dice };
        for _ in 0..nodes {
            let port = free_port();
            let api = cluster.deployment.start_api_at(port);
            cluster.nodes.push(Node { port, api: Some(api) });
        }
        cluster
    }

    pub const fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// `host:port` of every node.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect()
    }

    /// A node, for what is not part of the history.
    ///
    /// # Panics
    /// When there is none: never, outside of blows.
    pub fn api(&self) -> &Api {
        self.nodes.iter().find_map(|node| node.api.as_ref()).expect("a node runs")
    }

    /// What happens in a round.
    pub fn blows(&self, round: u32) -> &'static [Blow] {
        let of = |script: &[&'static [Blow]]| {
            let round = usize::try_from(round).unwrap_or_default();
            script.get(round % script.len().max(1)).copied().unwrap_or_default()
        };
        if self.postgres.is_some() { of(&TOGETHER) } else { of(&ALONE) }
    }

    /// Breaks something and makes it whole again.
    ///
    /// # Panics
    /// When it cannot be made whole.
    pub fn deal(&mut self, blow: Blow) {
        match blow {
            Blow::KillNode => self.kill_node(),
            Blow::FreezeNode => self.freeze_node(),
            Blow::StopDatabase | Blow::KillDatabase => self.crash_database(blow == Blow::KillDatabase),
            Blow::LoseFanout => self.lose_fanout(),
        }
    }

    fn kill_node(&mut self) {
        let pause = self.dice.millis(1, 120);
        let chosen = self.dice.below(self.nodes.len());
        let (node, deployment) = (&mut self.nodes[chosen], &self.deployment);
        if let Some(mut api) = node.api.take() {
            api.process.kill();
        }
        thread::sleep(pause);
        node.api = Some(deployment.start_api_at(node.port));
    }

    fn freeze_node(&mut self) {
        let pause = self.dice.millis(100, 500);
        let chosen = self.dice.below(self.nodes.len());
        let Some(api) = &self.nodes[chosen].api else { return };
        signal("-STOP", api.process.id());
        thread::sleep(pause);
        signal("-CONT", api.process.id());
    }

    fn crash_database(&mut self, is_killed: bool) {
        let pause = self.dice.millis(1, 200);
        let Some(postgres) = &self.postgres else { return };
        if is_killed {
            postgres.kill();
        } else {
            postgres.stop_at_once();
        }
        thread::sleep(pause);
        postgres.run();
    }

    fn lose_fanout(&mut self) {
        let pause = self.dice.millis(50, 300);
        if let Some(nats) = &mut self.nats {
            nats.stop();
        }
        thread::sleep(pause);
        self.kill_node();
        if let Some(nats) = &mut self.nats {
            nats.run();
        }
    }
}

fn signal(which: &str, process: u32) {
    let sent = Command::new("kill").args([which, &process.to_string()]).status().expect("kill runs");
    assert!(sent.success(), "{which} could not be sent");
}
