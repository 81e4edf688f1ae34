//! Which provider takes the next attempt, and what an outcome does to the breakers: pure functions.

use domain::Timestamp;

use crate::breaker::{Breaker, PAUSE, REPAIR_PAUSE, may_open};
use crate::message::TemplateKind;
use crate::provider::ProviderName;
use crate::reaction::Blame;

/// The way to try next: the first of `usable` that was not tried and is not left alone; if all of them are left
/// alone, the first that was not tried, since sending may still work and not sending cannot. `avoided` comes last.
pub fn choose(
    usable: &[ProviderName],
    tried: &[ProviderName],
    avoided: Option<ProviderName>,
    breakers: &[Breaker],
    kind: TemplateKind,
    now: Timestamp,
) -> Option<ProviderName> {
    let is_avoided = |name: &ProviderName| Some(*name) == avoided;
    let mut ways: Vec<ProviderName> = usable.iter().copied().filter(|name| !tried.contains(name)).collect();
    ways.sort_by_key(is_avoided);
    let admits = |name: &ProviderName| {
        breakers.iter().find(|b| b.provider == *name && b.kind == kind).is_none_or(|b| b.admits(now))
    };
    ways.iter().copied().find(admits).or_else(|| ways.first().copied())
}

/// The breakers that an outcome changes, as they are afterwards.
pub fn after_failure(
    provider: ProviderName,
    kind: TemplateKind,
    blame: Blame,
    code: &str,
    usable: &[ProviderName],
    breakers: &[Breaker],
    now: Timestamp,
) -> Vec<Breaker> {
    let kinds: &[TemplateKind] = match blame {
        Blame::None => &[],
        Blame::Count | Blame::Template => &[kind],
        Blame::Provider => &TemplateKind::ALL,
    };
    let changed = kinds.iter().map(|kind| {
        let mut breaker = of(breakers, provider, *kind, now);
        let may_open = may_open(provider, usable, breakers, *kind);
        match blame {
            Blame::Count => breaker.fail(code, may_open, now),
            Blame::Template | Blame::Provider => breaker.open(code, REPAIR_PAUSE, may_open, now),
            Blame::None => {}
        }
        breaker
    });
    changed.collect()
}

/// The breaker after an accepted message, if that changes it.
pub fn after_success(
    provider: ProviderName,
    kind: TemplateKind,
    breakers: &[Breaker],
    now: Timestamp,
) -> Option<Breaker> {
    let known = breakers.iter().find(|b| b.provider == provider && b.kind == kind)?;
    let mut breaker = known.clone();
    breaker.succeed(now);
    (breaker != *known).then_some(breaker)
}

/// The breaker opened because too little of what the provider took arrived in time.
pub fn after_poor_delivery(
    provider: ProviderName,
    kind: TemplateKind,
    usable: &[ProviderName],
    breakers: &[Breaker],
    now: Timestamp,
) -> Option<Breaker> {
    let known = of(breakers, provider, kind, now);
    let mut breaker = known.clone();
    breaker.open("own.few_deliveries", PAUSE.max(REPAIR_PAUSE), may_open(provider, usable, breakers, kind), now);
    (breaker != known).then_some(breaker)
}

/// The breaker of one way; closed where none was ever written.
pub fn of(breakers: &[Breaker], provider: ProviderName, kind: TemplateKind, now: Timestamp) -> Breaker {
    let known = breakers.iter().find(|b| b.provider == provider && b.kind == kind);
    known.cloned().unwrap_or_else(|| Breaker::closed(provider, kind, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::BreakerState;
    use ProviderName::{Aliyun, Tencent};
    use TemplateKind::{Code, Notice};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const BOTH: [ProviderName; 2] = [Aliyun, Tencent];

    fn open(provider: ProviderName) -> Breaker {
        let mut breaker = Breaker::closed(provider, Code, NOW);
        breaker.open("x", PAUSE, true, NOW);
        breaker
    }

    #[test]
    fn the_preferred_one_comes_first_unless_tried_avoided_or_left_alone() {
        let pick =
            |tried: &[ProviderName], avoided, breakers: &[Breaker]| choose(&BOTH, tried, avoided, breakers, Code, NOW);
        assert_eq!(pick(&[], None, &[]), Some(Aliyun));
        assert_eq!(pick(&[Aliyun], None, &[]), Some(Tencent));
        assert_eq!(pick(&BOTH, None, &[]), None);
        assert_eq!(pick(&[], Some(Aliyun), &[]), Some(Tencent));
        assert_eq!(pick(&[], None, &[open(Aliyun)]), Some(Tencent));
        assert_eq!(pick(&[], None, &[open(Aliyun), open(Tencent)]), Some(Aliyun), "sending may still work");
        assert_eq!(choose(&[Aliyun], &[], Some(Aliyun), &[], Code, NOW), Some(Aliyun), "there is no other");
        assert_eq!(choose(&BOTH, &[], None, &[open(Aliyun)], Code, NOW + PAUSE), Some(Aliyun), "one tries it");
    }

    #[test]
    fn faults_of_the_account_concern_both_kinds_and_those_of_a_template_one() {
        let opened = |blame| -> Vec<TemplateKind> {
            let changed = after_failure(Aliyun, Code, blame, "x", &BOTH, &[], NOW);
            changed.into_iter().filter(|b| b.state == BreakerState::Open).map(|b| b.kind).collect()
        };
        assert_eq!(opened(Blame::Provider), [Code, Notice]);
        assert_eq!(opened(Blame::Template), [Code]);
        assert_eq!(opened(Blame::Count), []);
        assert_eq!(opened(Blame::None), []);
    }

    #[test]
    fn the_last_one_that_works_is_never_left_alone() {
        let changed = after_failure(Aliyun, Code, Blame::Provider, "x", &[Aliyun], &[], NOW);
        assert!(changed.iter().all(|b| b.state == BreakerState::Closed));
        let other_is_open = [open(Tencent)];
        assert!(after_poor_delivery(Aliyun, Code, &BOTH, &other_is_open, NOW).is_none());
        assert!(after_poor_delivery(Aliyun, Code, &BOTH, &[], NOW).is_some());
    }

    #[test]
    fn a_success_is_written_only_where_it_changes_something() {
        assert_eq!(after_success(Aliyun, Code, &[], NOW), None);
        assert_eq!(after_success(Aliyun, Code, &[Breaker::closed(Aliyun, Code, NOW)], NOW), None);
        let closed = after_success(Aliyun, Code, &[open(Aliyun)], NOW).unwrap();
        assert_eq!(closed.state, BreakerState::Closed);
    }
}
