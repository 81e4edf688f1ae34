//! A stage: the stand-in, a database, and any number of nodes over both.

use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use domain::file::{BlobError, BlobStore};
use domain::id::UserId;
use domain::outbox::JobQueue;
use domain::{ObjectId, Timestamp};
use runtime::{HyperWire, OsRandom};
use storage::{DatabaseOptions, SeaStore, Seal};
use tempfile::TempDir;
use testkit::{CountingSignal, ManualClock, SequentialIds};
use wechat::field::Facts;
use wechat::identity::{Identity, Logins};
use wechat::inbox::Inbox;
use wechat::message::{Message, Messages, NewMessage, NotQueued, Progress};
use wechat::ports::WechatStore;
use wechat::{
    App, AppKind, Apps, Audience, Client, Context, EnvVersion, PushFormat, PushMode, PushSettings, Sealer, Secret,
    Tokens,
};
use wechat_standin::{Platform, Standin, StandinApp, StandinTemplate};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_406_400_000);
pub(crate) const APPID: &str = "wx-patient";
pub(crate) const SERVICE_APPID: &str = "wx-service";
pub(crate) const TEMPLATE: &str = "tmpl-new-message";
pub(crate) const SERVICE_TEMPLATE: &str = "tmpl-service";
pub(crate) const WINDOW: Duration = Duration::from_mins(10);
const PUSH_TOKEN: &str = "push-token";
const PUSH_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

/// Runs a test on each database there is.
pub(crate) async fn on_each_database(test: impl AsyncFn(&Stage)) {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    test(&Stage::new(url, Some(folder)).await).await;
    if let Ok(base) = std::env::var("DATABASE_URL_PG") {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let schema = format!("wechat_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        psql(&base, format!("CREATE SCHEMA {schema}")).await;
        let separator = if base.contains('?') { '&' } else { '?' };
        test(&Stage::new(format!("{base}{separator}options[search_path]={schema}"), None).await).await;
        psql(&base, format!("DROP SCHEMA {schema} CASCADE")).await;
    }
}

/// Beside the runtime, which has to be free to roll back what a test left open.
async fn psql(base: &str, sql: String) {
    let base = base.to_owned();
    let run = tokio::task::spawn_blocking(move || Command::new("psql").args([&base, "-qc", &sql]).output());
    let done = run.await.unwrap().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

pub(crate) struct Stage {
    pub(crate) clock: Arc<ManualClock>,
    platform: Arc<Mutex<Platform>>,
    base_url: String,
    database: String,
    blobs: Arc<MemoryBlobs>,
    nodes: AtomicU32,
    _folder: Option<TempDir>,
}

/// Hundreds ask at once in these tests: on a machine that is busy with something else their turn may come late.
fn options(url: &str) -> DatabaseOptions {
    DatabaseOptions { acquire_timeout: Duration::from_mins(1), ..DatabaseOptions::new(url, Seal::derive(&[7; 32])) }
}

impl Stage {
    async fn new(database: String, folder: Option<TempDir>) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let template = |id: &str| StandinTemplate {
            id: id.to_owned(),
            title: "新消息提醒".to_owned(),
            content: "提醒:{{thing1.DATA}}\n时间:{{time2.DATA}}\n状态:{{phrase3.DATA}}\n备注:{{thing4.DATA}}"
                .to_owned(),
            is_long_term: false,
        };
        let app = |appid: &str, is_miniprogram, templates| StandinApp {
            appid: appid.to_owned(),
            secret: secret_of(appid),
            is_miniprogram,
            templates,
            push: None,
        };
        let apps = vec![
            app(APPID, true, vec![template(TEMPLATE)]),
            app(SERVICE_APPID, false, vec![template(SERVICE_TEMPLATE)]),
        ];
        let platform = Platform::new(clock.clone(), apps, "stage");
        let standin = Standin::listen("127.0.0.1:0".parse().unwrap(), platform).await.unwrap();
        let (platform, base_url) = (standin.platform(), standin.base_url().unwrap());
        let tasks = runtime::Tasks::new();
        tasks.spawn("standin", standin.serve());
        let store = SeaStore::connect(&options(&database)).await.unwrap();
        store.migrate().await.unwrap();
        store.close().await;
        let nodes = AtomicU32::new(0);
        Self { clock, platform, base_url, database, blobs: Arc::default(), nodes, _folder: folder }
    }

    /// The stand-in's side.
    pub(crate) fn platform(&self) -> MutexGuard<'_, Platform> {
        self.platform.lock().unwrap()
    }

    /// A process of its own over the same database.
    pub(crate) async fn node(&self) -> Node {
        self.node_of(apps(PushMode::Safe, PushFormat::Json)).await
    }

    pub(crate) async fn node_of(&self, apps: Apps) -> Node {
        let store = Arc::new(SeaStore::connect(&options(&self.database)).await.unwrap());
        let wire = Arc::new(HyperWire::new(&self.base_url, &[]).unwrap());
        let random = Arc::new(OsRandom);
        let sealer = Sealer::derive(&[7; 32]).unwrap();
        let tokens = Tokens::new(wire.clone(), store.clone(), self.clock.clone(), random.clone(), sealer.clone());
        let first = (self.nodes.fetch_add(1, Ordering::SeqCst) + 1) * 100_000;
        let context = Context {
            apps,
            client: Client::new(wire, Arc::new(tokens)),
            store: store.clone(),
            clock: self.clock.clone(),
            ids: Arc::new(SequentialIds::from(first)),
            random,
            sealer,
            signal: Arc::new(CountingSignal::default()),
        };
        Node { messages: Messages::new(context.clone()), context, store, blobs: self.blobs.clone() }
    }

    /// A visitor of the mini-program, with so many accepts on both sides.
    pub(crate) async fn consenting(&self, node: &Node, openid: &str, accepts: u32) {
        self.visitor(node, openid).await;
        self.platform().accept(APPID, openid, TEMPLATE, accepts);
        for n in 0..accepts {
            node.accept_by_client(openid, &format!("prompt-{n}")).await;
        }
    }

    /// Somebody who signed in to the mini-program.
    pub(crate) async fn visitor(&self, node: &Node, openid: &str) -> UserId {
        let code = self.platform().login_code(APPID, openid, None);
        let logins = Logins::new(node.context.clone());
        let person = logins.exchange("patient", &code).await.unwrap();
        let user = UserId(node.context.ids.next());
        logins.remember(&person, user).await.unwrap();
        user
    }
}

pub(crate) fn secret_of(appid: &str) -> String {
    format!("secret-of-{appid}-0123456789abcdef")
}

pub(crate) fn apps(mode: PushMode, format: PushFormat) -> Apps {
    let app = |name: &str, appid: &str, kind, template: &str| App {
        name: name.to_owned(),
        appid: appid.to_owned(),
        secret: Secret::new(secret_of(appid)),
        kind,
        audience: Audience::Patient,
        push: Some(PushSettings { token: Secret::new(PUSH_TOKEN), aes_key: Some(Secret::new(PUSH_KEY)), mode, format }),
        templates: BTreeMap::from([("new_message".to_owned(), template.to_owned())]),
        invitation_page: Some("pages/doctor".to_owned()),
        message_page: Some("pages/consultation?id={consultationId}".to_owned()),
        env_version: EnvVersion::Release,
    };
    Apps::new(vec![
        app("patient", APPID, AppKind::Miniprogram, TEMPLATE),
        app("service", SERVICE_APPID, AppKind::ServiceAccount, SERVICE_TEMPLATE),
    ])
}

pub(crate) fn new_message(app: &str, openid: &str, key: &str) -> NewMessage {
    NewMessage {
        app: app.to_owned(),
        openid: openid.to_owned(),
        template: "new_message".to_owned(),
        facts: Facts {
            subject: "医生回复提醒".to_owned(),
            hint: "请打开小程序查看".to_owned(),
            status: "待查看".to_owned(),
            sender: "兆观医生".to_owned(),
            reference: "1".to_owned(),
            at: NOW,
        },
        consultation: None,
        key: key.to_owned(),
        is_harmless_twice: false,
    }
}

pub(crate) struct Node {
    pub(crate) context: Context,
    pub(crate) messages: Messages,
    pub(crate) store: Arc<SeaStore>,
    pub(crate) blobs: Arc<MemoryBlobs>,
}

impl Node {
    pub(crate) fn app(&self) -> &App {
        self.context.apps.find("patient").unwrap()
    }

    pub(crate) fn inbox(&self) -> Inbox {
        Inbox::new(self.context.clone(), WINDOW)
    }

    pub(crate) async fn queue(&self, openid: &str, key: &str) -> Result<ObjectId, NotQueued> {
        self.messages.queue(&new_message("patient", openid, key)).await
    }

    /// Drives until it is settled, however long that takes on the stage's clock.
    pub(crate) async fn drive_to_end(&self, stage: &Stage, id: ObjectId) -> Progress {
        for _ in 0..200 {
            match self.messages.drive(id).await.unwrap() {
                Progress::Later(at) => {
                    let now = stage.clock_now();
                    if at > now {
                        stage.clock.set(at);
                    }
                }
                settled => return settled,
            }
        }
        panic!("a message that is never settled")
    }

    pub(crate) async fn message(&self, id: ObjectId) -> Message {
        WechatStore::read(&*self.store).messages().find(id).await.unwrap().unwrap()
    }

    pub(crate) async fn identity(&self, app: &str, openid: &str) -> Option<Identity> {
        WechatStore::read(&*self.store).identities().find(app, openid).await.unwrap()
    }

    /// What the ledger says may still be sent.
    pub(crate) async fn available(&self, openid: &str) -> u32 {
        let grants = WechatStore::read(&*self.store).grants().list("patient", openid).await.unwrap();
        grants.iter().find(|grant| grant.key.template_id == TEMPLATE).map_or(0, wechat::grant::Grant::available)
    }

    /// The client tells of an accept.
    pub(crate) async fn accept_by_client(&self, openid: &str, prompt: &str) {
        let key = wechat::grant::GrantKey {
            app: "patient".to_owned(),
            openid: openid.to_owned(),
            template_id: TEMPLATE.to_owned(),
        };
        let mut unit = WechatStore::begin(&*self.store).await.unwrap();
        let telling = (wechat::grant::Source::Client, prompt.to_owned(), self.context.clock.now());
        wechat::grant::record_accept(&mut *unit, &*self.context.ids, key, telling, false).await.unwrap();
        unit.commit().await.unwrap();
    }

    /// Runs everything in the outbox that is about pushes, once each.
    pub(crate) async fn take_in_pushes(&self) -> usize {
        let now = self.context.clock.now();
        let jobs = self.store.claim("test", 100, now, Duration::from_secs(1)).await.unwrap();
        let mut count = 0;
        for job in jobs.iter().filter(|job| job.kind == wechat::inbox::WECHAT_PUSH) {
            let id: ObjectId = job.payload["id"].as_str().unwrap().parse().unwrap();
            self.inbox().handle(id).await.unwrap();
            count += 1;
        }
        count
    }
}

impl Stage {
    pub(crate) fn clock_now(&self) -> Timestamp {
        domain::Clock::now(&*self.clock)
    }
}

/// Blobs that all nodes share.
#[derive(Default)]
pub(crate) struct MemoryBlobs(Mutex<HashMap<String, Vec<u8>>>);

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn put(&self, key: &str, bytes: Vec<u8>, _: &str) -> Result<(), BlobError> {
        self.0.lock().unwrap().insert(key.to_owned(), bytes);
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BlobError> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.0.lock().unwrap().remove(key);
        Ok(())
    }
}
