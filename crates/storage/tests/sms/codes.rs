//! Codes from the request to the phone: accounts over the dispatcher over the stand-in.

use std::net::Ipv4Addr;
use std::sync::Arc;

use account::captcha::{ProofOfWork, ProofOfWorkSettings};
use account::challenge::{ChallengeRef, Origin, Purpose};
use account::codes::CodeRequest;
use account::password::{ArgonHasher, PasswordCost};
use account::sign_in::SmsSignIn;
use account::{AccountError, AccountKeys, AccountPorts, AccountSettings, Accounts};
use domain::Actor;
use domain::file::MockBlobStore;
use domain::time::span;
use futures_util::future::join_all;
use testkit::SeededRandom;
use testkit::sms::At;

use crate::support::{Fixture, PHONE, on_each_database};

fn accounts(f: &Fixture) -> Accounts {
    let random = Arc::new(SeededRandom::new(3));
    let keys = AccountKeys::derive(&[7; 32]).unwrap();
    let easy = ProofOfWorkSettings { bits: 0, ..ProofOfWorkSettings::default() };
    let cost = PasswordCost { memory_kib: 8, passes: 1, lanes: 1 };
    let ports = AccountPorts {
        store: Arc::new(f.store.clone()),
        clock: f.clock.clone(),
        ids: f.context.ids.clone(),
        random: random.clone(),
        sms: Arc::new(f.dispatcher.clone()),
        captcha: Arc::new(ProofOfWork::new(easy, keys.clone(), random.clone())),
        hasher: Arc::new(ArgonHasher::new(cost, 2, random).unwrap()),
        blobs: Arc::new(MockBlobStore::new()),
    };
    let mut settings = AccountSettings::default();
    settings.codes.exempt_networks = vec!["10.0.0.0/8".parse().unwrap()];
    Accounts::new(ports, keys, settings)
}

fn origin() -> Origin {
    Origin { address: Ipv4Addr::new(10, 0, 0, 1).into(), device: None }
}

fn request() -> CodeRequest {
    CodeRequest {
        purpose: Purpose::Login,
        phone: PHONE.parse().unwrap(),
        origin: origin(),
        captcha: None,
        is_findable_by_phone: false,
        is_spared_captcha: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_simultaneous_requests_for_one_number_send_one_message() {
    on_each_database(async |f| {
        let accounts = accounts(f);
        let asked = (0..100).map(|_| accounts.request_code(&Actor::App, request()));
        let answers = join_all(asked).await;
        let sent = answers.iter().filter(|answer| answer.is_ok()).count();
        let others = answers.iter().filter_map(|answer| answer.as_ref().err());
        assert!(others.into_iter().all(|e| matches!(e, AccountError::TooManyCodes { .. })));
        assert_eq!((sent, f.providers.accepted().len()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn whichever_of_two_messages_arrives_signs_in_once() {
    on_each_database(async |f| {
        let accounts = accounts(f);
        let first = accounts.request_code(&Actor::App, request()).await.unwrap();
        f.clock.advance(span::minutes(1));
        let again = accounts.request_code(&Actor::App, request()).await.unwrap();
        assert_eq!((first.id, first.expires_at), (again.id, again.expires_at));
        let accepted = f.providers.accepted();
        assert_eq!((accepted[0].at, accepted[1].at), (At::Aliyun, At::Tencent));
        assert_eq!(accepted[0].params[0], accepted[1].params[0], "the same code both ways");
        let sign_in = |code: &str| SmsSignIn {
            challenge: ChallengeRef::Id(first.id),
            code: code.to_owned(),
            role: None,
            device_label: None,
            origin: origin(),
        };
        accounts.sign_in_with_sms(&Actor::App, sign_in(&accepted[1].params[0])).await.unwrap();
        let twice = accounts.sign_in_with_sms(&Actor::App, sign_in(&accepted[0].params[0])).await;
        assert!(matches!(twice, Err(AccountError::CodeNotAccepted)));
    })
    .await;
}
