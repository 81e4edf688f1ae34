//! How many SMS codes may be asked for and tried: every limit, and the decision as pure functions.
//!
//! Sources: NIST SP 800-63B-4 §3.1.3 and OWASP ASVS 5.0 V6.5 for lifetime, tries and locks; the sending
//! limits are stricter than the strictest provider's.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use domain::Phone;
use domain::time::span;
use ipnet::IpNet;

use crate::counter::{GuardPolicy, Ledger, Window};
use domain::Timestamp;

/// Settings of SMS codes; [`SmsCodePolicy::default`] is the documented default.
#[derive(Debug, Clone, PartialEq)]
pub struct SmsCodePolicy {
    /// How long a code is valid. Default 5 minutes.
    pub lifetime: Duration,
    /// Wrong tries after which a challenge is dead. Default 5.
    pub tries_per_challenge: u32,
    /// Consecutive wrong codes per number, over all its challenges. Default: 10 lock for 30 minutes,
    /// doubling; 50 lock until an administrator unlocks.
    pub guard: GuardPolicy,
    /// Codes per number. Default 1/60 s, 5/h, 10/24 h.
    pub per_number: Vec<Window>,
    /// Codes per address (IPv6: per /64). Default 10/h, 50/24 h.
    pub per_address: Vec<Window>,
    /// Different numbers per address. Default 5/h.
    pub numbers_per_address: Window,
    /// Codes per device. Default 5/h.
    pub per_device: Vec<Window>,
    /// Codes altogether: 2,000/h, and a budget of 20,000/24 h.
    pub overall: Vec<Window>,
    /// Without a session, codes per address and per device before a captcha is needed. Default 1/24 h.
    pub free_of_captcha: Window,
    /// Captcha for all when the last hour saw more than this many times the usual hour. Default 3.
    pub surge_factor: u32,
    /// A surge needs at least this many codes within the hour. Default 60.
    pub surge_floor: u32,
    /// Captcha for all when less than this share of the last hour's codes was used. Default 20 %. An address of its own
    /// needs no such share: its second code within a day needs a captcha already.
    pub used_percent_floor: u32,
    /// The share is looked at from this many codes within the hour. Default 50.
    pub used_percent_from: u32,
    /// Captcha for all when this many codes were refused within the hour. Default 300.
    pub failures_for_captcha: u32,
    /// Refused codes per address. Default 30/h.
    pub failures_per_address: Window,
    /// Refused codes altogether; nobody may try beyond this. Default 2,000/h.
    pub failures_overall: Window,
    /// Country codes that are served. Default mainland China only.
    pub country_codes: Vec<String>,
    /// National prefixes that are refused, e.g. those of virtual operators. Default none.
    pub refused_prefixes: Vec<String>,
    /// Networks to which the limits per address and device and the captcha do not apply. The limits per
    /// number always do. Default none.
    pub exempt_networks: Vec<IpNet>,
}

impl Default for SmsCodePolicy {
    fn default() -> Self {
        Self {
            lifetime: span::minutes(5),
            tries_per_challenge: 5,
            guard: GuardPolicy {
                failures_per_lock: 10,
                first_lock: span::minutes(30),
                longest_lock: span::hours(24),
                hard_lock_at: Some(50),
                forget_after: None,
            },
            per_number: vec![
                Window::new(1, span::minutes(1)),
                Window::new(5, span::hours(1)),
                Window::new(10, span::hours(24)),
            ],
            per_address: vec![Window::new(10, span::hours(1)), Window::new(50, span::hours(24))],
            numbers_per_address: Window::new(5, span::hours(1)),
            per_device: vec![Window::new(5, span::hours(1))],
            overall: vec![Window::new(2_000, span::hours(1)), Window::new(20_000, span::hours(24))],
            free_of_captcha: Window::new(1, span::hours(24)),
            surge_factor: 3,
            surge_floor: 60,
            used_percent_floor: 20,
            used_percent_from: 50,
            failures_for_captcha: 300,
            failures_per_address: Window::new(30, span::hours(1)),
            failures_overall: Window::new(2_000, span::hours(1)),
            country_codes: vec!["86".into()],
            refused_prefixes: Vec::new(),
            exempt_networks: Vec::new(),
        }
    }
}

/// Overall counts are kept in buckets of this length.
pub const OVERALL_GRAIN: Duration = span::minutes(10);
/// The budget is nearly used up at this share, in percent; operators are warned.
pub const BUDGET_WARNING_PERCENT: u32 = 80;

/// The counts that a request for a code is judged by. Address and device are `None` where they do not count.
#[derive(Debug, Clone)]
pub struct SendCounts {
    pub number: Ledger,
    pub address: Option<Ledger>,
    pub device: Option<Ledger>,
    pub overall: Ledger,
    pub used: Ledger,
    pub refused: Ledger,
}

/// What is known of a request for a code when it is judged.
#[derive(Debug, Clone)]
pub struct SendRequest {
    /// Stands for the number among those of one address.
    pub number_tag: String,
    pub is_signed_in: bool,
    /// From one of [`SmsCodePolicy::exempt_networks`].
    pub is_exempt: bool,
    pub captcha: CaptchaState,
}

/// How a request for a code stands to captchas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptchaState {
    Missing,
    /// From a client that cannot solve any: asked for only under attack.
    Spared,
    Solved,
}

/// Why no code is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendRefusal {
    TooMany { wait: Duration },
    CaptchaNeeded,
}

impl SmsCodePolicy {
    /// Whether numbers of this country and range are served.
    pub fn serves(&self, phone: &Phone) -> bool {
        let digits = phone.as_e164().trim_start_matches('+');
        let is_served = self.country_codes.iter().any(|code| !code.is_empty() && digits.starts_with(code.as_str()));
        let is_refused =
            self.refused_prefixes.iter().any(|p| !p.is_empty() && phone.national().starts_with(p.as_str()));
        is_served && !is_refused
    }

    /// Whether this address is free of the limits per address.
    pub fn is_exempt(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.exempt_networks.iter().any(|network| network.contains(&address))
    }

    /// Whether one more code may be sent.
    ///
    /// # Errors
    /// [`SendRefusal`] if not; nothing is to be counted then.
    pub fn judge(&self, counts: &SendCounts, request: &SendRequest, now: Timestamp) -> Result<(), SendRefusal> {
        let too_many = |wait: Option<Duration>| wait.map_or(Ok(()), |wait| Err(SendRefusal::TooMany { wait }));
        too_many(counts.number.wait(&self.per_number, now))?;
        too_many(counts.overall.wait(&self.overall, now))?;
        if request.is_exempt {
            return Ok(());
        }
        if let Some(address) = &counts.address {
            too_many(address.wait(&self.per_address, now))?;
            too_many(self.wait_for_another_number(address, &request.number_tag, now))?;
        }
        if let Some(device) = &counts.device {
            too_many(device.wait(&self.per_device, now))?;
        }
        if self.needs_captcha(counts, request, now) && request.captcha != CaptchaState::Solved {
            return Err(SendRefusal::CaptchaNeeded);
        }
        Ok(())
    }

    fn wait_for_another_number(&self, address: &Ledger, tag: &str, now: Timestamp) -> Option<Duration> {
        let Window { max, within } = self.numbers_per_address;
        let is_one_too_many = |at: Timestamp| address.distinct(tag, within, at) > max as usize;
        if !is_one_too_many(now) {
            return None;
        }
        let leaves = address.marks.iter().map(|mark| mark.at + within).filter(|at| *at > now);
        leaves.filter(|at| !is_one_too_many(*at)).min().map(|at| at.since(now)).or(Some(within))
    }

    fn needs_captcha(&self, counts: &SendCounts, request: &SendRequest, now: Timestamp) -> bool {
        if request.is_signed_in {
            return false;
        }
        let Window { max, within } = self.free_of_captcha;
        let is_used_up = |ledger: &Option<Ledger>| ledger.as_ref().is_some_and(|l| l.count(within, now) >= max);
        let is_repeated = is_used_up(&counts.address) || is_used_up(&counts.device);
        (is_repeated && request.captcha != CaptchaState::Spared) || self.is_under_attack(counts, now)
    }

    /// Many more codes than usual, few of them used, or many wrong ones.
    fn is_under_attack(&self, counts: &SendCounts, now: Timestamp) -> bool {
        let hour = span::hours(1);
        let sent = counts.overall.count(hour, now);
        let before = counts.overall.count(span::hours(24), now) - sent;
        let is_surge = sent >= self.surge_floor && sent.saturating_mul(23) > before.saturating_mul(self.surge_factor);
        let used = counts.used.count(hour, now);
        let is_unused = sent >= self.used_percent_from
            && u64::from(used) * 100 < u64::from(sent) * u64::from(self.used_percent_floor);
        is_surge || is_unused || counts.refused.count(hour, now) >= self.failures_for_captcha
    }

    /// Whether the share of the daily budget that is used calls for a warning.
    pub fn is_budget_nearly_used(&self, overall: &Ledger, now: Timestamp) -> bool {
        let warns = |w: &Window| {
            u64::from(overall.count(w.within, now)) * 100 >= u64::from(w.max) * u64::from(BUDGET_WARNING_PERCENT)
        };
        self.overall.iter().max_by_key(|w| w.within).is_some_and(warns)
    }
}

/// What an address counts as: itself for IPv4, its /64 for IPv6.
pub fn address_group(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::counter::{LedgerKey, LedgerScope, Mark};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn ledger(scope: LedgerScope, ago: &[Duration]) -> Ledger {
        let mut ledger = Ledger::empty(LedgerKey::all(scope));
        ledger.marks = ago.iter().rev().map(|ago| Mark { at: NOW - *ago, count: 1, tag: None }).collect();
        ledger
    }

    fn counts() -> SendCounts {
        SendCounts {
            number: ledger(LedgerScope::SmsNumber, &[]),
            address: Some(ledger(LedgerScope::SmsAddress, &[])),
            device: Some(ledger(LedgerScope::SmsDevice, &[])),
            overall: ledger(LedgerScope::SmsAll, &[]),
            used: ledger(LedgerScope::CodeSuccessAll, &[]),
            refused: ledger(LedgerScope::CodeFailureAll, &[]),
        }
    }

    fn request() -> SendRequest {
        SendRequest { number_tag: "n".into(), is_signed_in: false, is_exempt: false, captcha: CaptchaState::Solved }
    }

    fn judge(counts: &SendCounts, request: &SendRequest) -> Result<(), SendRefusal> {
        SmsCodePolicy::default().judge(counts, request, NOW)
    }

    fn minutes_ago(minutes: &[u64]) -> Vec<Duration> {
        minutes.iter().map(|m| span::minutes(*m)).collect()
    }

    fn refused_for(wait: Duration) -> Result<(), SendRefusal> {
        Err(SendRefusal::TooMany { wait })
    }

    #[rstest]
    #[case::after_59_seconds(vec![Duration::from_secs(59)], refused_for(Duration::from_secs(1)))]
    #[case::after_60_seconds(vec![span::minutes(1)], Ok(()))]
    #[case::four_in_the_hour(minutes_ago(&[2, 3, 4, 5]), Ok(()))]
    #[case::five_in_the_hour(minutes_ago(&[2, 3, 4, 5, 59]), refused_for(span::minutes(1)))]
    #[case::one_just_left_the_hour(minutes_ago(&[2, 3, 4, 5, 60]), Ok(()))]
    #[case::nine_in_the_day(minutes_ago(&[2, 70, 80, 90, 100, 110, 120, 130, 140]), Ok(()))]
    #[case::ten_in_the_day(
        minutes_ago(&[2, 70, 80, 90, 100, 110, 120, 130, 140, 23 * 60]),
        refused_for(span::hours(1))
    )]
    #[case::one_just_left_the_day(minutes_ago(&[2, 70, 80, 90, 100, 110, 120, 130, 140, 24 * 60]), Ok(()))]
    fn a_number_gets_one_a_minute_five_an_hour_ten_a_day(
        #[case] ago: Vec<Duration>,
        #[case] expected: Result<(), SendRefusal>,
    ) {
        let counts = SendCounts { number: ledger(LedgerScope::SmsNumber, &ago), ..counts() };
        assert_eq!(judge(&counts, &request()), expected);
        let exempt = SendRequest { is_exempt: true, is_signed_in: true, ..request() };
        assert_eq!(judge(&counts, &exempt), expected, "the limits per number always apply");
    }

    #[rstest]
    #[case(9, 0, true)]
    #[case(10, 0, false)]
    #[case(9, 40, true)]
    #[case(9, 41, false)]
    fn an_address_gets_ten_an_hour_and_fifty_a_day(#[case] hour: u64, #[case] before: u64, #[case] passes: bool) {
        let mut ago: Vec<u64> = (1..=hour).collect();
        ago.extend((0..before).map(|i| 70 + i));
        let counts = SendCounts { address: Some(ledger(LedgerScope::SmsAddress, &minutes_ago(&ago))), ..counts() };
        assert_eq!(judge(&counts, &request()).is_ok(), passes);
        assert!(judge(&counts, &SendRequest { is_exempt: true, ..request() }).is_ok());
    }

    #[test]
    fn an_address_gets_five_different_numbers_an_hour() {
        let mut address = ledger(LedgerScope::SmsAddress, &[]);
        for (i, tag) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
            let at = NOW - span::minutes(50 - 10 * i as u64);
            address.marks.push(Mark { at, count: 1, tag: Some(tag.into()) });
        }
        let counts = SendCounts { address: Some(address), ..counts() };
        let with = |tag: &str| judge(&counts, &SendRequest { number_tag: tag.into(), ..request() });
        assert_eq!(with("e"), Ok(()));
        assert_eq!(with("f"), refused_for(span::minutes(10)));
    }

    #[test]
    fn a_device_gets_five_an_hour() {
        let with = |ago: &[u64]| {
            let device = Some(ledger(LedgerScope::SmsDevice, &minutes_ago(ago)));
            judge(&SendCounts { device, ..counts() }, &request())
        };
        assert_eq!(with(&[1, 2, 3, 4]), Ok(()));
        assert_eq!(with(&[1, 2, 3, 4, 50]), refused_for(span::minutes(10)));
    }

    #[test]
    fn everybody_together_gets_a_budget() {
        let with = |count: u32, ago: Duration| {
            let mut overall = ledger(LedgerScope::SmsAll, &[]);
            overall.marks = vec![Mark { at: NOW - ago, count, tag: None }];
            let counts = SendCounts { overall, ..counts() };
            judge(&counts, &SendRequest { is_exempt: true, is_signed_in: true, ..request() })
        };
        assert_eq!(with(1_999, span::minutes(5)), Ok(()));
        assert_eq!(with(2_000, span::minutes(5)), refused_for(span::minutes(55)));
        assert_eq!(with(19_999, span::hours(5)), Ok(()));
        assert_eq!(with(20_000, span::hours(5)), refused_for(span::hours(19)));
    }

    #[test]
    fn the_budget_warning_comes_at_eighty_percent() {
        let with = |count| {
            let mut overall = ledger(LedgerScope::SmsAll, &[]);
            overall.marks = vec![Mark { at: NOW - span::hours(5), count, tag: None }];
            SmsCodePolicy::default().is_budget_nearly_used(&overall, NOW)
        };
        assert!(!with(15_999));
        assert!(with(16_000));
    }

    #[test]
    fn the_second_request_of_an_address_or_device_needs_a_captcha() {
        let bare = SendRequest { captcha: CaptchaState::Missing, ..request() };
        assert_eq!(judge(&counts(), &bare), Ok(()));
        let address = Some(ledger(LedgerScope::SmsAddress, &minutes_ago(&[90])));
        let again = SendCounts { address, ..counts() };
        assert_eq!(judge(&again, &bare), Err(SendRefusal::CaptchaNeeded));
        assert_eq!(judge(&again, &request()), Ok(()));
        assert_eq!(judge(&again, &SendRequest { is_signed_in: true, ..bare.clone() }), Ok(()));
        assert_eq!(judge(&again, &SendRequest { is_exempt: true, ..bare.clone() }), Ok(()));
        assert_eq!(judge(&again, &SendRequest { captcha: CaptchaState::Spared, ..bare.clone() }), Ok(()));
        let device = Some(ledger(LedgerScope::SmsDevice, &minutes_ago(&[90])));
        assert_eq!(judge(&SendCounts { device, ..counts() }, &bare), Err(SendRefusal::CaptchaNeeded));
        let day_ago = Some(ledger(LedgerScope::SmsAddress, &minutes_ago(&[24 * 60])));
        assert_eq!(judge(&SendCounts { address: day_ago, ..counts() }, &bare), Ok(()));
    }

    #[rstest]
    #[case::quiet(59, 0, 59, 0, false)]
    #[case::surge(60, 0, 60, 0, true)]
    #[case::as_usual(60, 460, 60, 0, false)]
    #[case::just_under_three_times(60, 461, 60, 0, false)]
    #[case::just_over_three_times(60, 459, 60, 0, true)]
    #[case::well_used(50, 5_000, 10, 0, false)]
    #[case::hardly_used(50, 5_000, 9, 0, true)]
    #[case::hardly_used_but_few(49, 5_000, 0, 0, false)]
    #[case::some_wrong(10, 5_000, 10, 299, false)]
    #[case::many_wrong(10, 5_000, 10, 300, true)]
    fn an_attack_means_captcha_for_all(
        #[case] sent: u32,
        #[case] before: u32,
        #[case] used: u32,
        #[case] refused: u32,
        #[case] needs_captcha: bool,
    ) {
        let marks = |scope, recent, earlier| {
            let mut ledger = ledger(scope, &[]);
            let mark = |count, ago| Mark { at: NOW - span::minutes(ago), count, tag: None };
            ledger.marks = vec![mark(earlier, 600), mark(recent, 5)];
            ledger
        };
        let counts = SendCounts {
            overall: marks(LedgerScope::SmsAll, sent, before),
            used: marks(LedgerScope::CodeSuccessAll, used, 0),
            refused: marks(LedgerScope::CodeFailureAll, refused, 0),
            ..counts()
        };
        let bare = SendRequest { captcha: CaptchaState::Missing, ..request() };
        let expected = if needs_captcha { Err(SendRefusal::CaptchaNeeded) } else { Ok(()) };
        assert_eq!(judge(&counts, &bare), expected);
        assert_eq!(judge(&counts, &SendRequest { captcha: CaptchaState::Spared, ..bare.clone() }), expected);
        assert_eq!(judge(&counts, &SendRequest { is_signed_in: true, ..bare }), Ok(()));
    }

    #[test]
    fn only_mainland_numbers_are_served_by_default() {
        let policy = SmsCodePolicy { refused_prefixes: vec!["170".into()], ..SmsCodePolicy::default() };
        let serves = |phone: &str| policy.serves(&phone.parse().unwrap());
        assert!(serves("13900000000"));
        assert!(!serves("17000000000"));
        assert!(!serves("+14155550100"));
    }

    #[test]
    fn ipv6_addresses_count_by_their_64_bit_prefix() {
        let group = |text: &str| address_group(text.parse().unwrap());
        assert_eq!(group("2001:db8:1:2:3:4:5:6"), group("2001:db8:1:2:ffff::1"));
        assert_ne!(group("2001:db8:1:2::1"), group("2001:db8:1:3::1"));
        assert_eq!(group("::ffff:192.0.2.1"), "192.0.2.1");
        assert_ne!(group("192.0.2.1"), group("192.0.2.2"));
    }

    #[test]
    fn exempt_networks_match_mapped_addresses_too() {
        let policy =
            SmsCodePolicy { exempt_networks: vec!["127.0.0.0/8".parse().unwrap()], ..SmsCodePolicy::default() };
        for (address, exempt) in [("127.0.0.1", true), ("::ffff:127.0.0.9", true), ("128.0.0.1", false), ("::1", false)]
        {
            assert_eq!(policy.is_exempt(address.parse().unwrap()), exempt, "{address}");
        }
    }
}
