//! Figures over episodes.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{NaiveDate, Timelike};
use chrono_tz::Tz;
use domain::Timestamp;
use domain::id::AgentId;

use super::episode::Episode;

/// Longest period of one report.
pub const MAX_PERIOD: Duration = domain::time::span::days(366);
/// Most episodes of one report.
pub const MAX_EPISODES: u32 = 100_000;

/// How long something took, over several episodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spread {
    pub count: u64,
    pub average_ms: u64,
    pub median_ms: u64,
    pub p90_ms: u64,
}

impl Spread {
    pub fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut millis: Vec<u64> =
            durations.into_iter().map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)).collect();
        millis.sort_unstable();
        let count = millis.len();
        // The smallest value that at least this share of all does not exceed.
        let share = |percent: usize| {
            let at = (count * percent).div_ceil(100).saturating_sub(1);
            millis.get(at).copied().unwrap_or_default()
        };
        let count_u64 = count as u64;
        let average_ms = millis.iter().sum::<u64>().checked_div(count_u64).unwrap_or_default();
        Self { count: count_u64, average_ms, median_ms: share(50), p90_ms: share(90) }
    }
}

/// What customers thought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Satisfaction {
    /// How many gave 1, 2, 3, 4 and 5.
    pub scores: [u64; 5],
}

impl Satisfaction {
    fn add(&mut self, rating: Option<u8>) {
        let place = rating.and_then(|score| usize::from(score).checked_sub(1)).and_then(|at| self.scores.get_mut(at));
        if let Some(count) = place {
            *count += 1;
        }
    }

    pub fn count(&self) -> u64 {
        self.scores.iter().sum()
    }

    /// In hundredths, so that it is exact enough and comparable.
    pub fn average_hundredths(&self) -> Option<u64> {
        let sum: u64 = self.scores.iter().zip(1..).map(|(count, score)| count * score).sum();
        (sum * 100).checked_div(self.count())
    }
}

/// How many in one hour of the day or on one date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    pub opened: u64,
    pub closed: u64,
}

/// The figures of one group of episodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    pub episodes: u64,
    pub closed: u64,
    pub replies: i64,
    pub first_response: Spread,
    pub wait: Spread,
    pub handling: Spread,
    pub satisfaction: Satisfaction,
}

impl Figures {
    fn of(episodes: &[&Episode]) -> Self {
        let mut satisfaction = Satisfaction::default();
        for episode in episodes {
            satisfaction.add(episode.rating);
        }
        Self {
            episodes: episodes.len() as u64,
            closed: episodes.iter().filter(|episode| episode.closed_at.is_some()).count() as u64,
            replies: episodes.iter().map(|episode| episode.reply_count).sum(),
            first_response: Spread::of(episodes.iter().filter_map(|episode| episode.first_response())),
            wait: Spread::of(episodes.iter().filter_map(|episode| episode.wait())),
            handling: Spread::of(episodes.iter().filter_map(|episode| episode.handling())),
            satisfaction,
        }
    }
}

/// A report over the episodes that were opened in a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub from: Timestamp,
    pub to: Timestamp,
    pub all: Figures,
    /// By hour of the day, 24 of them.
    pub by_hour: Vec<Load>,
    pub by_day: BTreeMap<NaiveDate, Load>,
    pub by_agent: BTreeMap<AgentId, Figures>,
}

impl Report {
    /// `zone` says which hour and date an instant belongs to.
    pub fn of(episodes: &[Episode], from: Timestamp, to: Timestamp, zone: Tz) -> Self {
        let mut by_hour = vec![Load::default(); 24];
        let mut by_day: BTreeMap<NaiveDate, Load> = BTreeMap::new();
        let mut of_agents: BTreeMap<AgentId, Vec<&Episode>> = BTreeMap::new();
        let mut count = |at: Timestamp, add: fn(&mut Load)| {
            let local = at.to_datetime().with_timezone(&zone);
            if let Some(load) = by_hour.get_mut(local.hour() as usize) {
                add(load);
            }
            add(by_day.entry(local.date_naive()).or_default());
        };
        for episode in episodes {
            count(episode.opened_at, |load| load.opened += 1);
            if let Some(at) = episode.closed_at {
                count(at, |load| load.closed += 1);
            }
            if let Some(agent) = episode.agent {
                of_agents.entry(agent).or_default().push(episode);
            }
        }
        let all = Figures::of(&episodes.iter().collect::<Vec<_>>());
        let by_agent = of_agents.into_iter().map(|(agent, episodes)| (agent, Figures::of(&episodes))).collect();
        Self { from, to, all, by_hour, by_day, by_agent }
    }
}

#[cfg(test)]
mod tests {
    use domain::ObjectId;
    use domain::time::span;

    use super::*;
    use crate::conversation::MemberKind;

    fn id(n: u32) -> ObjectId {
        ObjectId::from_parts(1, [0; 5], n)
    }

    #[test]
    fn spreads_are_by_nearest_rank() {
        let spread = Spread::of((1..=10).map(Duration::from_millis));
        assert_eq!(spread, Spread { count: 10, average_ms: 5, median_ms: 5, p90_ms: 9 });
        assert_eq!(Spread::of([]), Spread::default());
        assert_eq!(Spread::of([Duration::from_millis(7)]).p90_ms, 7);
    }

    #[test]
    fn episodes_are_counted_by_hour_day_and_agent() {
        let zone = chrono_tz::Asia::Shanghai;
        let opened = Timestamp::parse_rfc3339("2026-11-23T23:50:00+08:00").unwrap();
        let episode = |n: u32, rating| Episode {
            assigned_at: Some(opened + span::minutes(1)),
            first_reply_at: Some(opened + span::minutes(3)),
            closed_at: Some(opened + span::minutes(21)),
            agent: Some(id(n).into()),
            rating,
            ..Episode::new(id(n).into(), id(1).into(), MemberKind::Patient, 1, opened)
        };
        let report = Report::of(&[episode(7, Some(5)), episode(8, Some(4)), episode(8, None)], opened, opened, zone);
        assert_eq!(report.by_hour[23], Load { opened: 3, closed: 0 });
        assert_eq!(report.by_hour[0], Load { opened: 0, closed: 3 });
        assert_eq!(report.by_day.len(), 2);
        assert_eq!(report.all.first_response.median_ms, 180_000);
        assert_eq!(report.all.handling.average_ms, 20 * 60_000);
        assert_eq!(report.all.satisfaction.average_hundredths(), Some(450));
        assert_eq!(report.by_agent[&AgentId(id(8))].episodes, 2);
    }
}
