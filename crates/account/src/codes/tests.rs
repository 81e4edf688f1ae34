//! The rules of SMS codes, through the use cases.

use domain::time::span;

use super::*;
use crate::captcha::tests::solve;
use crate::memory::{Fixture, fixture, from, just_under, origin, other_code};
use crate::sign_in::{SignedIn, SmsSignIn};

const PHONE: &str = "13900000000";

fn request(origin: Origin, phone: &str) -> CodeRequest {
    let phone = phone.parse().unwrap();
    CodeRequest {
        purpose: Purpose::Login,
        phone,
        origin,
        captcha: None,
        is_findable_by_phone: false,
        is_spared_captcha: false,
    }
}

async fn ask(f: &Fixture, request: CodeRequest) -> Result<IssuedChallenge, AccountError> {
    f.accounts.request_code(&Actor::App, request).await
}

/// Asks from an exempt address, as soon as the limits of the number allow.
async fn issue(f: &Fixture) -> ChallengeRef {
    loop {
        match ask(f, request(from("10.0.0.1"), PHONE)).await {
            Ok(issued) => return ChallengeRef::Id(issued.id),
            Err(AccountError::TooManyCodes { wait } | AccountError::NumberLocked { wait: Some(wait) }) => {
                f.clock.advance(wait);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

async fn answer_from(
    f: &Fixture,
    origin: Origin,
    challenge: &ChallengeRef,
    code: &str,
) -> Result<SignedIn, AccountError> {
    let (challenge, code) = (challenge.clone(), code.to_owned());
    let request = SmsSignIn { challenge, code, role: None, device_label: None, origin };
    f.accounts.sign_in_with_sms(&Actor::App, request).await
}

async fn answer(f: &Fixture, challenge: &ChallengeRef, code: &str) -> Result<SignedIn, AccountError> {
    answer_from(f, from("10.0.0.1"), challenge, code).await
}

/// Answers wrongly so many times, with as many challenges as that takes.
async fn fail_times(f: &Fixture, times: u32) {
    let mut left = times;
    while left > 0 {
        let challenge = issue(f).await;
        let wrong = other_code(&f.last_code());
        for _ in 0..left.min(5) {
            let refused = answer(f, &challenge, &wrong).await;
            assert!(matches!(refused, Err(AccountError::CodeNotAccepted)), "{left} left");
            left -= 1;
        }
    }
}

fn refused(answer: &Result<SignedIn, AccountError>) -> bool {
    matches!(answer, Err(AccountError::CodeNotAccepted))
}

#[tokio::test]
async fn the_code_leaves_once_and_only_its_hash_stays() {
    let f = fixture();
    issue(&f).await;
    let messages = f.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!((messages[0].template, messages[0].phone.national()), ("login_code", PHONE));
    assert_eq!(messages[0].params[1], ("minutes", "5".to_owned()));
    let (code, state) = (f.last_code(), f.state());
    assert_eq!(state.challenges[0].code_hash.len(), 64);
    let kept = format!("{:?}{:?}{:?}", state.challenges, state.audit, state.ledgers);
    assert!(!kept.contains(&format!("\"{code}\"")) && !kept.contains(PHONE));
}

#[tokio::test]
async fn a_right_code_is_accepted_once() {
    let f = fixture();
    let challenge = issue(&f).await;
    let code = f.last_code();
    assert!(answer(&f, &challenge, &format!(" {code} ")).await.is_ok());
    assert!(refused(&answer(&f, &challenge, &code).await));
}

#[tokio::test]
async fn a_code_is_valid_for_five_minutes() {
    let f = fixture();
    for (after, works) in [(just_under(span::minutes(5)), true), (span::minutes(5), false)] {
        let challenge = issue(&f).await;
        f.clock.advance(after);
        assert_eq!(answer(&f, &challenge, &f.last_code()).await.is_ok(), works);
    }
}

#[tokio::test]
async fn five_wrong_tries_kill_a_challenge() {
    let f = fixture();
    for (wrong_tries, works) in [(4, true), (5, false)] {
        let challenge = issue(&f).await;
        let code = f.last_code();
        for _ in 0..wrong_tries {
            assert!(refused(&answer(&f, &challenge, &other_code(&code)).await));
        }
        assert_eq!(answer(&f, &challenge, &code).await.is_ok(), works);
    }
}

#[tokio::test]
async fn what_cannot_be_a_code_costs_no_try() {
    let f = fixture();
    let challenge = issue(&f).await;
    for _ in 0..20 {
        assert!(refused(&answer(&f, &challenge, "12345").await));
    }
    assert!(answer(&f, &challenge, &f.last_code()).await.is_ok());
}

#[tokio::test]
async fn asking_again_sends_the_same_code_once_more_without_fresh_tries() {
    let f = fixture();
    let first = issue(&f).await;
    let code = f.last_code();
    for _ in 0..4 {
        assert!(refused(&answer(&f, &first, &other_code(&code)).await));
    }
    let second = issue(&f).await;
    assert_eq!((&second, f.last_code()), (&first, code.clone()), "the same code");
    let messages = f.messages();
    assert_eq!((messages.len(), messages[0].thread == messages[1].thread), (2, true));
    assert_ne!(messages[0].idempotency_key, messages[1].idempotency_key);
    assert!(refused(&answer(&f, &first, &other_code(&code)).await));
    assert!(refused(&answer(&f, &first, &code).await), "the fifth wrong try was the last");
}

#[tokio::test]
async fn a_code_that_is_nearly_over_or_of_somebody_else_is_not_sent_again() {
    let f = fixture();
    let first = issue(&f).await;
    f.clock.advance(just_under(span::minutes(4)) + Duration::from_millis(2));
    let second = issue(&f).await;
    assert_ne!(first, second);
    f.clock.advance(span::minutes(1));
    let elsewhere = ask(&f, request(from("10.1.0.1"), PHONE)).await.unwrap();
    assert_ne!(ChallengeRef::Id(elsewhere.id), second);
    assert_eq!(f.messages().len(), 3);
}

#[tokio::test]
async fn an_earlier_code_stays_valid_beside_a_new_one_and_each_fits_only_its_challenge() {
    let f = fixture();
    let first = issue(&f).await;
    let first_code = f.last_code();
    f.clock.advance(just_under(just_under(span::minutes(5))));
    let second = issue(&f).await;
    assert!(refused(&answer(&f, &second, &first_code).await));
    assert!(answer(&f, &first, &first_code).await.is_ok());
    assert!(answer(&f, &second, &f.last_code()).await.is_ok());
}

#[tokio::test]
async fn a_code_is_bound_to_its_purpose() {
    let f = fixture();
    let issued = f.request_as(&Actor::App, Purpose::ResetPassword, PHONE).await.unwrap();
    assert!(refused(&answer(&f, &ChallengeRef::Id(issued.id), &f.last_code()).await));
}

#[tokio::test]
async fn a_code_is_bound_to_the_device_that_asked() {
    let f = fixture();
    let device = |name: &str| Origin { device: Some(name.into()), ..from("10.0.0.1") };
    let issued = ask(&f, request(device("one"), PHONE)).await.unwrap();
    let (challenge, code) = (ChallengeRef::Id(issued.id), f.last_code());
    assert!(refused(&answer_from(&f, device("two"), &challenge, &code).await));
    assert!(refused(&answer_from(&f, from("10.0.0.1"), &challenge, &code).await));
    assert!(answer_from(&f, device("one"), &challenge, &code).await.is_ok());
}

#[tokio::test]
async fn only_codes_meant_for_it_can_be_answered_by_number() {
    let f = fixture();
    let by_phone = ChallengeRef::Phone(PHONE.parse().unwrap());
    issue(&f).await;
    assert!(refused(&answer(&f, &by_phone, &f.last_code()).await));
    f.clock.advance(span::minutes(1));
    let findable = CodeRequest { is_findable_by_phone: true, ..request(from("10.0.0.1"), PHONE) };
    ask(&f, findable).await.unwrap();
    assert!(answer(&f, &by_phone, &f.last_code()).await.is_ok());
}

#[tokio::test]
async fn ten_failures_lock_the_number_although_new_codes_were_asked_for() {
    let f = fixture();
    fail_times(&f, 9).await;
    let challenge = issue(&f).await;
    let code = f.last_code();
    assert!(refused(&answer(&f, &challenge, &other_code(&code)).await));
    let locked = answer(&f, &challenge, &code).await;
    assert!(matches!(locked, Err(AccountError::NumberLocked { wait: Some(wait) }) if wait == span::minutes(30)));
    let asked = ask(&f, request(from("10.0.0.1"), PHONE)).await;
    assert!(matches!(asked, Err(AccountError::NumberLocked { .. })), "no code is sent to a locked number");
    assert!(f.state().audit.iter().any(|e| e.action == "phone.lock"));
    f.clock.advance(span::minutes(30));
    let challenge = issue(&f).await;
    assert!(answer(&f, &challenge, &f.last_code()).await.is_ok());
}

#[tokio::test]
async fn a_success_starts_the_count_anew() {
    let f = fixture();
    for _ in 0..3 {
        fail_times(&f, 9).await;
        let challenge = issue(&f).await;
        assert!(answer(&f, &challenge, &f.last_code()).await.is_ok());
    }
}

#[tokio::test]
async fn fifty_failures_lock_until_an_administrator_unlocks() {
    let f = fixture();
    fail_times(&f, 50).await;
    f.clock.advance(span::days(365));
    let asked = ask(&f, request(from("10.0.0.1"), PHONE)).await;
    assert!(matches!(asked, Err(AccountError::NumberLocked { wait: None })));
    let phone = PHONE.parse().unwrap();
    assert!(f.accounts.unlock_phone(&Actor::App, &phone).await.is_err());
    f.accounts.unlock_phone(&f.admin().await, &phone).await.unwrap();
    let challenge = issue(&f).await;
    assert!(answer(&f, &challenge, &f.last_code()).await.is_ok());
}

#[tokio::test]
async fn guesses_at_unknown_or_dead_challenges_lock_nobody() {
    let f = fixture();
    let challenge = issue(&f).await;
    let code = f.last_code();
    assert!(answer(&f, &challenge, &code).await.is_ok());
    for _ in 0..20 {
        assert!(refused(&answer(&f, &challenge, "000000").await));
        assert!(refused(&answer(&f, &ChallengeRef::Phone(PHONE.parse().unwrap()), "000000").await));
    }
    let challenge = issue(&f).await;
    assert!(answer(&f, &challenge, &f.last_code()).await.is_ok());
}

#[tokio::test]
async fn thirty_failures_of_one_address_hold_it_back() {
    let f = fixture();
    let unknown = ChallengeRef::Phone(PHONE.parse().unwrap());
    for _ in 0..30 {
        assert!(refused(&answer_from(&f, origin(), &unknown, "000000").await));
    }
    let held_back = answer_from(&f, origin(), &unknown, "000000").await;
    assert!(matches!(held_back, Err(AccountError::TooManyFailures { wait }) if wait == span::hours(1)));
    assert!(refused(&answer_from(&f, from("192.0.2.2"), &unknown, "000000").await), "others are not");
}

#[tokio::test]
async fn a_guessing_attack_over_many_numbers_addresses_and_codes_is_stopped_within_the_budget() {
    let f = fixture();
    let mut challenges = Vec::new();
    for n in 0..500 {
        let issued = ask(&f, request(from("10.0.0.1"), &format!("139{n:08}"))).await.unwrap();
        challenges.push((ChallengeRef::Id(issued.id), f.last_code()));
    }
    // Five guesses at every number, each guess from an address of its own.
    let (mut judged, mut stopped) = (0_u32, 0_u32);
    for (n, (challenge, code)) in (0..2_500_u32).zip(challenges.iter().cycle()) {
        let address = format!("198.{}.{}.7", n / 250, n % 250);
        match answer_from(&f, from(&address), challenge, &other_code(code)).await {
            Err(AccountError::CodeNotAccepted) => judged += 1,
            Err(AccountError::TooManyFailures { .. }) => stopped += 1,
            other => panic!("{:?}", other.err()),
        }
    }
    let budget = f.accounts.settings.codes.failures_overall.max;
    assert_eq!((judged, stopped), (budget, 2_500 - budget));
    let (challenge, code) = &challenges[0];
    let late = answer_from(&f, from("203.0.113.9"), challenge, code).await;
    assert!(matches!(late, Err(AccountError::TooManyFailures { .. })), "not even the right code helps now");
}

#[tokio::test]
async fn a_number_waits_a_minute_and_a_refusal_is_not_counted() {
    let f = fixture();
    let issued = ask(&f, request(from("10.0.0.1"), PHONE)).await.unwrap();
    assert_eq!(issued.resend_at, f.clock.now() + span::minutes(1));
    f.clock.advance(Duration::from_secs(59));
    let refused = ask(&f, request(from("10.0.0.1"), PHONE)).await;
    assert!(matches!(refused, Err(AccountError::TooManyCodes { wait }) if wait == Duration::from_secs(1)));
    f.clock.advance(Duration::from_secs(1));
    assert!(ask(&f, request(from("10.0.0.1"), PHONE)).await.is_ok());
}

#[tokio::test]
async fn a_message_that_was_not_sent_stays_counted() {
    let f = fixture();
    f.cut_sms();
    assert!(matches!(ask(&f, request(from("10.0.0.1"), PHONE)).await, Err(AccountError::SmsNotSent)));
    assert!(matches!(ask(&f, request(from("10.0.0.1"), PHONE)).await, Err(AccountError::TooManyCodes { .. })));
}

#[tokio::test]
async fn many_simultaneous_requests_send_one_message() {
    let f = fixture();
    let asked = (0..20).map(|_| ask(&f, request(from("10.0.0.1"), PHONE)));
    let mut sent = 0;
    for result in join_all(asked.collect()).await {
        sent += usize::from(result.is_ok());
    }
    assert_eq!((sent, f.messages().len()), (1, 1));
}

/// Polls all futures concurrently.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pinned: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut pinned {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if pinned.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    pinned.into_iter().filter_map(|(_, output)| output).collect()
}

#[tokio::test]
async fn the_second_request_of_an_address_needs_a_captcha_that_works_once() {
    let f = fixture();
    let numbers = ["13900000001", "13900000002", "13900000003"];
    assert!(ask(&f, request(origin(), numbers[0])).await.is_ok());
    assert!(matches!(ask(&f, request(origin(), numbers[1])).await, Err(AccountError::CaptchaNeeded)));
    let solved = Some(solve(&f.accounts.captcha_task()));
    let with_captcha = |phone| CodeRequest { captcha: solved.clone(), ..request(origin(), phone) };
    assert!(ask(&f, with_captcha(numbers[1])).await.is_ok());
    assert!(matches!(ask(&f, with_captcha(numbers[2])).await, Err(AccountError::CaptchaNotAccepted)));
    let nonsense = CodeRequest { captcha: Some("x".into()), ..request(origin(), numbers[2]) };
    assert!(matches!(ask(&f, nonsense).await, Err(AccountError::CaptchaNotAccepted)));
}

#[tokio::test]
async fn ipv6_neighbours_share_their_limits() {
    let f = fixture();
    assert!(ask(&f, request(from("2001:db8::1"), "13900000001")).await.is_ok());
    let neighbour = ask(&f, request(from("2001:db8::2"), "13900000002")).await;
    assert!(matches!(neighbour, Err(AccountError::CaptchaNeeded)));
    assert!(ask(&f, request(from("2001:db8:0:1::2"), "13900000002")).await.is_ok());
}

#[tokio::test]
async fn exempt_networks_need_no_captcha_and_are_not_counted() {
    let f = fixture();
    for i in 0..30 {
        ask(&f, request(from("10.0.0.1"), &format!("139000001{i:02}"))).await.unwrap();
    }
    assert_eq!(f.messages().len(), 30);
}

#[tokio::test]
async fn known_and_unknown_numbers_are_answered_alike() {
    let f = fixture();
    f.sign_in(PHONE).await;
    f.clock.advance(span::minutes(5));
    for purpose in [Purpose::Login, Purpose::ResetPassword] {
        let known = f.request_as(&Actor::App, purpose, PHONE).await.unwrap();
        let unknown = f.request_as(&Actor::App, purpose, "13900000001").await.unwrap();
        assert_eq!((known.expires_at, known.resend_at), (unknown.expires_at, unknown.resend_at));
        f.clock.advance(span::minutes(1));
    }
    assert_eq!(f.messages().len(), 5, "and each was sent a message");
}

#[tokio::test]
async fn foreign_numbers_and_staff_are_refused() {
    let f = fixture();
    let abroad = ask(&f, request(from("10.0.0.1"), "+14155550100")).await;
    assert!(matches!(abroad, Err(AccountError::NumberNotServed)));
    let staff = f.request_as(&f.admin().await, Purpose::Login, PHONE).await;
    assert!(matches!(staff, Err(AccountError::Access(AccessError::Forbidden))));
    assert!(f.messages().is_empty());
}
