//! Databases of one test each, and the use cases wired to them.

use std::env;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use account::captcha::{ProofOfWork, ProofOfWorkSettings};
use account::challenge::{Origin, Purpose};
use account::codes::CodeRequest;
use account::password::{ArgonHasher, PasswordCost};
use account::{AccountKeys, AccountPorts, AccountSettings, Accounts};
use async_trait::async_trait;
use domain::file::MockBlobStore;
use domain::sms::{SmsGateway, SmsNotSent, SmsRequest, SmsResend};
use domain::{ObjectId, Timestamp};
use sea_orm::{ConnectionTrait, Database};
use storage::{DatabaseOptions, SeaStore, Seal};
use tempfile::TempDir;
use testkit::{ManualClock, SeededRandom, SequentialIds};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_406_400_000);
pub(crate) const PHONE: &str = "13900000000";

/// A migrated database without rows; it goes away with this value or with [`Fixture::close`].
pub(crate) struct Fixture {
    pub(crate) store: SeaStore,
    pub(crate) accounts: Accounts,
    pub(crate) sms: Arc<RecordingSms>,
    schema: Option<(String, String)>,
    _folder: TempDir,
}

/// Runs a test on each database there is.
pub(crate) async fn on_each_database(test: impl AsyncFn(&Fixture)) {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    let fixture = Fixture::new(&url, None, folder).await;
    test(&fixture).await;
    fixture.close().await;
    if let Ok(base) = env::var("DATABASE_URL_PG") {
        let schema = schema_name();
        run_postgres(&base, &format!("CREATE SCHEMA {schema}")).await;
        let separator = if base.contains('?') { '&' } else { '?' };
        let url = format!("{base}{separator}options[search_path]={schema}");
        let fixture = Fixture::new(&url, Some((base, schema)), TempDir::new().unwrap()).await;
        test(&fixture).await;
        fixture.close().await;
    }
}

/// Of this process and test, so that tests can run side by side.
fn schema_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("account_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst))
}

async fn run_postgres(url: &str, sql: &str) {
    let db = Database::connect(url).await.unwrap();
    db.execute_unprepared(sql).await.unwrap();
    db.close().await.unwrap();
}

impl Fixture {
    async fn new(url: &str, schema: Option<(String, String)>, folder: TempDir) -> Self {
        let store = SeaStore::connect(&DatabaseOptions::new(url, Seal::derive(&[7; 32]))).await.unwrap();
        store.migrate().await.unwrap();
        let sms = Arc::new(RecordingSms::default());
        let random = Arc::new(SeededRandom::new(1));
        let keys = AccountKeys::derive(&[7; 32]).unwrap();
        let easy = ProofOfWorkSettings { bits: 0, ..ProofOfWorkSettings::default() };
        let cost = PasswordCost { memory_kib: 8, passes: 1, lanes: 1 };
        let ports = AccountPorts {
            store: Arc::new(store.clone()),
            clock: Arc::new(ManualClock::at(NOW)),
            ids: Arc::new(SequentialIds::default()),
            random: random.clone(),
            sms: sms.clone(),
            captcha: Arc::new(ProofOfWork::new(easy, keys.clone(), random.clone())),
            hasher: Arc::new(ArgonHasher::new(cost, 2, random).unwrap()),
            blobs: Arc::new(MockBlobStore::new()),
        };
        let mut settings = AccountSettings::default();
        settings.codes.exempt_networks = vec!["10.0.0.0/8".parse().unwrap()];
        let accounts = Accounts::new(ports, keys, settings);
        Self { store, accounts, sms, schema, _folder: folder }
    }

    async fn close(self) {
        self.store.close().await;
        if let Some((base, schema)) = self.schema {
            run_postgres(&base, &format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }

    /// A request for a sign-in code from an exempt address.
    pub(crate) fn code_request(phone: &str) -> CodeRequest {
        CodeRequest {
            purpose: Purpose::Login,
            phone: phone.parse().unwrap(),
            origin: exempt(),
            captcha: None,
            is_findable_by_phone: false,
            is_spared_captcha: false,
        }
    }
}

pub(crate) fn exempt() -> Origin {
    Origin { address: Ipv4Addr::new(10, 0, 0, 1).into(), device: None }
}

pub(crate) fn object_id(n: u32) -> ObjectId {
    ObjectId::from_parts(2, [0; 5], n)
}

#[derive(Default)]
pub(crate) struct RecordingSms(Mutex<Vec<SmsRequest>>);

impl RecordingSms {
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn last_code(&self) -> String {
        let sent = self.0.lock().unwrap();
        let (_, code) = sent.last().unwrap().params.iter().find(|(name, _)| *name == "code").unwrap();
        code.clone()
    }
}

#[async_trait]
impl SmsGateway for RecordingSms {
    async fn send(&self, message: SmsRequest) -> Result<(), SmsNotSent> {
        self.0.lock().unwrap().push(message);
        Ok(())
    }

    async fn resend(&self, resend: SmsResend) -> Result<bool, SmsNotSent> {
        let mut sent = self.0.lock().unwrap();
        let earlier = sent.iter().rev().find(|m| m.thread == resend.thread).cloned();
        let Some(earlier) = earlier else { return Ok(false) };
        sent.push(SmsRequest { idempotency_key: resend.idempotency_key, ..earlier });
        Ok(true)
    }
}
