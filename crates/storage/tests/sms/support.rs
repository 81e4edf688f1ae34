//! Databases of one test each, and the use cases wired to them and to a stand-in.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::id::{AgentId, SmsMessageId};
use domain::outbox::{JobOutcome, JobQueue};
use domain::time::span;
use domain::{Actor, Clock, ObjectId, Timestamp};
use sea_orm::{ConnectionTrait, Database};
use sms::aliyun::{AliyunSettings, AliyunSms};
use sms::breaker::{Breaker, BreakerState};
use sms::budget::Budget;
use sms::context::Pause;
use sms::http::{BaseUrl, HyperHttp};
use sms::inbox::Inbox;
use sms::message::{Attempt, MessageState, TemplateKind};
use sms::oversight::SmsOversight;
use sms::poll::Polls;
use sms::reconcile::{Progress, RECONCILE_SMS, Reconciler};
use sms::template::{ProviderTemplate, Templates};
use sms::tencent::{TencentSettings, TencentSms};
use sms::{
    Credential, Dispatcher, Draft, ProviderName, SmsContext, SmsError, SmsKeys, SmsProvider, SmsSettings, SmsStore,
};
use storage::{DatabaseOptions, SeaStore, Seal, SqliteSync};
use tempfile::TempDir;
use testkit::sms::{ALIYUN_KEY, ALIYUN_TEMPLATES, At, SDK_APP_ID, SIGN_NAME, TENCENT_KEY, TENCENT_TEMPLATES};
use testkit::{CountingSignal, ManualClock, SeededRandom, SequentialIds, SmsStandIn};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_406_400_000);
pub(crate) const PHONE: &str = "13900000001";
pub(crate) const CODE: &str = "012345";
/// 1/1000 yuan.
pub(crate) const PRICE: i64 = 45;

/// A migrated database without rows, a stand-in, and everything between them.
pub(crate) struct Fixture {
    pub(crate) store: SeaStore,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) providers: SmsStandIn,
    pub(crate) context: SmsContext,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) reconciler: Reconciler,
    pub(crate) inbox: Inbox,
    pub(crate) polls: Polls,
    pub(crate) oversight: SmsOversight,
    pub(crate) pauses: Arc<Pauses>,
    schema: Option<(String, String)>,
    folder: TempDir,
}

/// Does not wait, and keeps how long it should have.
#[derive(Default)]
pub(crate) struct Pauses(Mutex<Vec<Duration>>);

impl Pauses {
    pub(crate) fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[async_trait]
impl Pause for Pauses {
    async fn pause(&self, length: Duration) {
        self.0.lock().unwrap().push(length);
    }
}

/// Runs a test on each database there is, with Aliyun preferred to Tencent.
pub(crate) async fn on_each_database(test: impl AsyncFn(&Fixture)) {
    with_providers(&[ProviderName::Aliyun, ProviderName::Tencent], test).await;
}

/// The same with these providers, in order of preference.
pub(crate) async fn with_providers(providers: &[ProviderName], test: impl AsyncFn(&Fixture)) {
    Box::pin(async {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        let fixture = Box::new(Fixture::new(&url, None, folder, providers).await);
        test(&fixture).await;
        fixture.close().await;
        let Ok(base) = env::var("DATABASE_URL_PG") else { return };
        let schema = schema_name();
        run_postgres(&base, &format!("CREATE SCHEMA {schema}")).await;
        let separator = if base.contains('?') { '&' } else { '?' };
        let url = format!("{base}{separator}options[search_path]={schema}");
        let folder = TempDir::new().unwrap();
        let fixture = Box::new(Fixture::new(&url, Some((base, schema)), folder, providers).await);
        test(&fixture).await;
        fixture.close().await;
    })
    .await;
}

/// Of this process and test, so that tests can run side by side.
fn schema_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("sms_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst))
}

async fn run_postgres(url: &str, sql: &str) {
    let db = Database::connect(url).await.unwrap();
    db.execute_unprepared(sql).await.unwrap();
    db.close().await.unwrap();
}

fn templates(provider: ProviderName, ids: [&str; 2], params: [&[&str]; 2]) -> Templates {
    let names = ["login_code", "new_message"].into_iter().zip(ids).zip(params);
    let by_name = names.map(|((name, id), params)| {
        let params = params.iter().map(ToString::to_string).collect();
        (name.to_owned(), ProviderTemplate { id: id.to_owned(), params })
    });
    Templates::new(provider, by_name.collect()).unwrap()
}

fn adapter(name: ProviderName, stand_in: &SmsStandIn, clock: &Arc<ManualClock>) -> Arc<dyn SmsProvider> {
    let http = Arc::new(HyperHttp::new(Duration::from_secs(20)).unwrap());
    if name == ProviderName::Tencent {
        let settings = TencentSettings {
            base_url: BaseUrl::parse(&stand_in.url(At::Tencent)).unwrap(),
            credential: Credential::new(TENCENT_KEY.0, TENCENT_KEY.1),
            sdk_app_id: SDK_APP_ID.into(),
            sign_name: SIGN_NAME.into(),
            region: "ap-guangzhou".into(),
            templates: templates(name, TENCENT_TEMPLATES, [&["code", "minutes"], &["link"]]),
        };
        return Arc::new(TencentSms::new(settings, http, clock.clone()));
    }
    let settings = AliyunSettings {
        base_url: BaseUrl::parse(&stand_in.url(At::Aliyun)).unwrap(),
        credential: Credential::new(ALIYUN_KEY.0, ALIYUN_KEY.1),
        sign_name: SIGN_NAME.into(),
        templates: templates(name, ALIYUN_TEMPLATES, [&["code"], &["link"]]),
    };
    Arc::new(AliyunSms::new(settings, http, clock.clone(), Arc::new(SeededRandom::new(7))))
}

impl Fixture {
    async fn new(url: &str, schema: Option<(String, String)>, folder: TempDir, providers: &[ProviderName]) -> Self {
        let options =
            DatabaseOptions { sqlite_sync: SqliteSync::Normal, ..DatabaseOptions::new(url, Seal::derive(&[7; 32])) };
        let store = SeaStore::connect(&options).await.unwrap();
        store.migrate().await.unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let stand_in = SmsStandIn::start(clock.clone());
        let pauses = Arc::new(Pauses::default());
        let prices = ProviderName::ALL.into_iter().map(|name| (name, PRICE)).collect::<BTreeMap<_, _>>();
        let context = SmsContext {
            store: Arc::new(store.clone()),
            clock: clock.clone(),
            ids: Arc::new(SequentialIds::default()),
            signal: Arc::new(CountingSignal::default()),
            pause: pauses.clone(),
            keys: SmsKeys::derive(&[7; 32], Arc::new(SeededRandom::new(1))),
            providers: providers.iter().map(|name| adapter(*name, &stand_in, &clock)).collect(),
            settings: Arc::new(SmsSettings {
                timezone: chrono_tz::Asia::Shanghai,
                daily_budget: Budget(1_000 * PRICE),
                prices_milliyuan: prices,
                notices_per_day: 10,
            }),
        };
        Self {
            store,
            clock,
            providers: stand_in,
            dispatcher: Dispatcher::new(context.clone()),
            reconciler: Reconciler::new(context.clone()),
            inbox: Inbox::new(context.clone()),
            polls: Polls::new(context.clone()),
            oversight: SmsOversight::new(context.clone(), "abc".to_owned()),
            context,
            pauses,
            schema,
            folder,
        }
    }

    async fn close(self: Box<Self>) {
        self.store.close().await;
        if let Some((base, schema)) = self.schema {
            run_postgres(&base, &format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }

    /// The files of the database, when it is SQLite.
    pub(crate) fn database_files(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
    }

    /// Another message of the same thread and number.
    pub(crate) fn code(&self, key: &str) -> Draft {
        Draft {
            phone: PHONE.parse().unwrap(),
            template: "login_code".into(),
            params: vec![("code".into(), CODE.into()), ("minutes".into(), "5".into())],
            idempotency_key: key.into(),
            thread: key.into(),
            useful_until: self.clock.now() + span::minutes(5),
            origin: Some("someone".into()),
            only: None,
        }
    }

    pub(crate) fn notice(&self, key: &str) -> Draft {
        Draft { template: "new_message".into(), params: vec![("link".into(), "abc".into())], ..self.code(key) }
    }

    pub(crate) async fn send_code(&self, key: &str) -> SmsMessageId {
        self.dispatcher.dispatch(&self.code(key)).await.unwrap()
    }

    pub(crate) async fn message_under(&self, key: &str) -> SmsMessageId {
        SmsStore::read(&self.store).messages().find_by_key(key).await.unwrap().unwrap().id
    }

    pub(crate) async fn state(&self, id: SmsMessageId) -> MessageState {
        SmsStore::read(&self.store).messages().find(id).await.unwrap().unwrap().state
    }

    pub(crate) async fn attempts(&self, id: SmsMessageId) -> Vec<Attempt> {
        SmsStore::read(&self.store).messages().attempts(id).await.unwrap()
    }

    pub(crate) async fn breaker(&self, provider: ProviderName, kind: TemplateKind) -> BreakerState {
        let all: Vec<Breaker> = SmsStore::read(&self.store).breakers().list().await.unwrap();
        let of_it = all.iter().find(|b| b.provider == provider && b.kind == kind);
        of_it.map_or(BreakerState::Closed, |b| b.state)
    }

    pub(crate) async fn spent(&self) -> i64 {
        let actor = admin();
        self.oversight.budget(&actor).await.unwrap().spent_milliyuan
    }

    /// Runs every job that is queued for messages of unknown fate, as a worker would, moving time on as they ask.
    pub(crate) async fn reconcile_all(&self) {
        let lease = Duration::from_mins(1);
        for _ in 0..100 {
            let Some(due) = self.store.next_due().await.unwrap() else { return };
            if due > self.clock.now() {
                self.clock.set(due);
            }
            let jobs = self.store.claim("w", 10, self.clock.now(), lease).await.unwrap();
            let mut outcomes = Vec::new();
            for job in jobs {
                let outcome = if job.kind == RECONCILE_SMS {
                    let field = |name: &str| job.payload.get(name).unwrap().clone();
                    let id: SmsMessageId = serde_json::from_value(field("messageId")).unwrap();
                    let attempt: u32 = serde_json::from_value(field("attempt")).unwrap();
                    match self.reconciler.run(id, attempt).await.unwrap() {
                        Progress::Settled => JobOutcome::Done,
                        Progress::NotYet(at) => JobOutcome::Postpone { at },
                    }
                } else {
                    self.inbox.apply().await.unwrap();
                    JobOutcome::Done
                };
                outcomes.push((job.id, outcome));
            }
            self.store.settle("w", &outcomes, self.clock.now()).await.unwrap();
        }
        panic!("the jobs never end");
    }
}

pub(crate) fn admin() -> Actor {
    Actor::Admin(AgentId(ObjectId::from_parts(9, [0; 5], 9)))
}

pub(crate) fn is_not_sent<T>(result: &Result<T, SmsError>) -> bool {
    matches!(result, Err(SmsError::NotSent))
}
