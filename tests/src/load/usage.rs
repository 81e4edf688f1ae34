//! What processes use, as Linux tells it: processor time and memory.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

/// Clock ticks of `/proc` a second; the same on every Linux of today.
const TICKS: u64 = 100;

/// A process, with those it has started, under a name for the figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    pub name: String,
    pub pid: u32,
}

impl std::str::FromStr for Watched {
    type Err = String;

    /// `name=pid`
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, pid) = text.split_once('=').ok_or("is written name=pid")?;
        let pid = pid.parse().or(Err("is written name=pid"))?;
        Ok(Self { name: name.to_owned(), pid })
    }
}

/// Parent, own time and time of children that have ended, in ticks.
struct Stat {
    parent: u32,
    own: u64,
    ended: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        own: number(11)? + number(12)?,
        ended: number(13)? + number(14)?,
    })
}

/// User and system time that each of these processes and their descendants have taken so far.
pub fn processor_times(watched: &[Watched]) -> Vec<Duration> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let all: HashMap<u32, Stat> = pids.filter_map(|pid| Some((pid, stat(pid)?))).collect();
    watched.iter().map(|root| family_time(root.pid, &all)).collect()
}

fn family_time(root: u32, all: &HashMap<u32, Stat>) -> Duration {
    let mut family = HashSet::from([root]);
    loop {
        let before = family.len();
        family.extend(
            all.iter().filter(|(_, stat)| family.contains(&stat.parent)).map(|(pid, _)| *pid).collect::<Vec<_>>(),
        );
        if family.len() == before {
            break;
        }
    }
    let ticks: u64 = family.iter().filter_map(|pid| all.get(pid)).map(|stat| stat.own + stat.ended).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// Memory a process holds, in KiB.
pub fn resident_kib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
