//! WeChat with nothing behind it, and its gateway over a real database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::file::MockBlobStore;
use domain::outbox::{JobQueue, JobSignal};
use domain::rng::SecureRandom;
use domain::{Clock, StoreError, Timestamp};
use poem::http::StatusCode;
use poem::{Endpoint, Request, Response, Route};
use runtime::{ObjectIds, OsRandom, SystemClock, Tasks};
use serde_json::json;
use storage::{DatabaseOptions, SeaStore, Seal};
use wechat::content::ContentSettings;
use wechat::inbox::Inbox;
use wechat::ports::{WechatStore, WechatUnit};
use wechat::sign::push_signature;
use wechat::token::{NewToken, TokenFault, TokenRepository, TokenRow};
use wechat::wire::{Wire, WireError, WireRequest, WireResponse};
use wechat::{
    App, AppKind, Apps, Audience, Client, Context, EnvVersion, PushFormat, PushMode, PushSettings, Sealer, Secret,
    Tokens,
};

use super::{Wechat, callback};
use crate::http::testing::FixedIds;

/// No database, no platform, and time that stands still.
struct Nothing;

fn down() -> StoreError {
    StoreError::backend(std::io::Error::other("connection refused"))
}

#[async_trait]
impl WechatStore for Nothing {
    async fn begin(&self) -> Result<Box<dyn WechatUnit>, StoreError> {
        Err(down())
    }
    fn read(&self) -> Box<dyn WechatUnit> {
        panic!("these tests stop before anything is read")
    }
    async fn try_lease(&self, _: &str, _: &str, _: Timestamp, _: Timestamp) -> Result<bool, StoreError> {
        Err(down())
    }
    async fn end_lease(&self, _: &str, _: &str) -> Result<(), StoreError> {
        Err(down())
    }
}

#[async_trait]
impl TokenRepository for Nothing {
    async fn find(&self, _: &str) -> Result<TokenRow, StoreError> {
        Err(down())
    }
    async fn try_lease(&self, _: &str, _: &str, _: i64, _: Timestamp, _: Timestamp) -> Result<bool, StoreError> {
        Err(down())
    }
    async fn save(&self, _: &str, _: &str, _: &NewToken, _: Timestamp) -> Result<Option<i64>, StoreError> {
        Err(down())
    }
    async fn fail(&self, _: &str, _: &str, _: &TokenFault, _: Timestamp) -> Result<(), StoreError> {
        Err(down())
    }
    async fn invalidate(
        &self,
        _: &str,
        _: i64,
        _: u32,
        _: Timestamp,
        _: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        Err(down())
    }
    async fn count_force(&self, _: &str, _: &str, _: u32, _: Timestamp, _: Timestamp) -> Result<bool, StoreError> {
        Err(down())
    }
}

#[async_trait]
impl Wire for Nothing {
    async fn exchange(&self, _: WireRequest) -> Result<WireResponse, WireError> {
        Err(WireError::NotSent)
    }
}

impl Clock for Nothing {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }
}

impl JobSignal for Nothing {
    fn wake(&self) {}
}

impl SecureRandom for Nothing {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

/// The use cases of a deployment without apps.
pub(crate) fn nothing() -> Wechat {
    let sealer = Sealer::derive(&[0; 32]).unwrap();
    let here = || Arc::new(Nothing);
    let tokens = Tokens::new(here(), here(), here(), here(), sealer.clone());
    let context = Context {
        apps: Apps::default(),
        client: Client::new(here(), Arc::new(tokens)),
        store: here(),
        clock: here(),
        ids: Arc::new(FixedIds),
        random: here(),
        sealer,
        signal: here(),
    };
    Wechat::new(&context, Arc::new(MockBlobStore::new()), ContentSettings::default(), Duration::from_mins(10))
}

/// The gateway of one app that receives plain pushes, over this database.
fn gateway(store: &SeaStore, tasks: &Tasks) -> Route {
    let app = App {
        name: "patient".into(),
        appid: "wx1".into(),
        secret: Secret::new("secret"),
        kind: AppKind::Miniprogram,
        audience: Audience::Patient,
        push: Some(PushSettings {
            token: Secret::new("AAAAA"),
            aes_key: None,
            mode: PushMode::Plain,
            format: PushFormat::Json,
        }),
        templates: BTreeMap::new(),
        invitation_page: None,
        message_page: None,
        env_version: EnvVersion::Release,
    };
    let sealer = Sealer::derive(&[0; 32]).unwrap();
    let (clock, random) = (Arc::new(SystemClock), Arc::new(OsRandom));
    let store = Arc::new(store.clone());
    let wire = Arc::new(Nothing);
    let tokens = Tokens::new(wire.clone(), store.clone(), clock.clone(), random.clone(), sealer.clone());
    let ids = Arc::new(ObjectIds::new(clock.clone(), &*random));
    let context = Context {
        apps: Apps::new(vec![app]),
        client: Client::new(wire.clone(), Arc::new(tokens)),
        store,
        clock,
        ids,
        random,
        sealer,
        signal: wire,
    };
    callback::add_to(Route::new(), Inbox::new(context, Duration::from_mins(10)), tasks)
}

async fn database() -> (tempfile::TempDir, SeaStore) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    let store = SeaStore::connect(&DatabaseOptions::new(url, Seal::derive(&[7; 32]))).await.unwrap();
    store.migrate().await.unwrap();
    (folder, store)
}

async fn call(route: &Route, method: &str, query: &str, body: impl Into<poem::Body>) -> Response {
    let uri = format!("/wechat/patient/callback?{query}");
    let request = Request::builder().method(method.parse().unwrap()).uri_str(uri).body(body);
    route.get_response(request).await
}

fn signed() -> String {
    let timestamp = (SystemClock.now().as_millis() / 1_000).to_string();
    let signature = push_signature(&["AAAAA", &timestamp, "1"]);
    format!("signature={signature}&timestamp={timestamp}&nonce=1&openid=o1&encrypt_type=aes&msg_signature=x")
}

fn popup() -> String {
    json!({ "FromUserName": "o1", "CreateTime": SystemClock.now().as_millis() / 1_000, "MsgType": "event",
        "Event": "subscribe_msg_popup_event",
        "List": { "TemplateId": "t", "SubscribeStatusString": "accept", "PopupScene": "0" } })
    .to_string()
}

#[tokio::test]
async fn the_published_handshake_is_answered_and_a_forged_one_is_not() {
    let (_folder, store) = database().await;
    let route = gateway(&store, &Tasks::new());
    let query = "signature=f464b24fc39322e44b38aa78f5edd27bd1441696&echostr=4375120948345356249\
                 &timestamp=1714036504&nonce=1514711492";
    let answer = call(&route, "GET", query, "").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.into_body().into_string().await.unwrap(), "4375120948345356249");
    let forged = query.replace("f464", "f465");
    assert_eq!(call(&route, "GET", &forged, "").await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn forgeries_are_refused_each_in_its_way() {
    let (_folder, store) = database().await;
    let route = gateway(&store, &Tasks::new());
    let unsigned = signed().replace("signature=", "other=");
    assert_eq!(call(&route, "POST", &unsigned, popup()).await.status(), StatusCode::FORBIDDEN);
    let timestamp = "1714036504";
    let signature = push_signature(&["AAAAA", timestamp, "1"]);
    let old = format!("signature={signature}&timestamp={timestamp}&nonce=1");
    assert_eq!(call(&route, "POST", &old, popup()).await.status(), StatusCode::FORBIDDEN, "a replay");
    let large = "x".repeat(65 * 1024);
    assert_eq!(call(&route, "POST", &signed(), large).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(call(&route, "POST", &signed(), "<xml/>").await.status(), StatusCode::BAD_REQUEST);
    let nobody = Request::builder().uri_str(format!("/wechat/nobody/callback?{}", signed()));
    let nobody = route.get_response(nobody.method(poem::http::Method::POST).body(popup())).await;
    assert_eq!(nobody.status(), StatusCode::NOT_FOUND);
    assert_eq!(store.depth(SystemClock.now()).await.unwrap().due, 0, "nothing was written");
}

#[tokio::test]
async fn a_slow_database_is_answered_within_five_seconds_and_loses_nothing() {
    let (_folder, store) = database().await;
    let tasks = Tasks::new();
    let route = gateway(&store, &tasks);
    // Somebody else holds the one writer.
    let held = store.unit().await.unwrap();
    let began = Instant::now();
    let (query, body) = (signed(), popup());
    let answer = call(&route, "POST", &query, body.clone()).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "the platform tries again");
    drop(held);
    // Stopping waits for what is being written.
    tasks.shut_down(Duration::from_secs(30)).await.unwrap();
    assert_eq!(store.depth(SystemClock.now()).await.unwrap().due, 1, "it was written all the same");
    let tasks = Tasks::new();
    let route = gateway(&store, &tasks);
    let again = call(&route, "POST", &query, body).await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(store.depth(SystemClock.now()).await.unwrap().due, 1, "and once");
}
