//! The frame as a client meets it: what every answer carries, and how bad requests are refused.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::leancloud::realtime::signature::Signer;
use ::leancloud::realtime::{Devices, Realtime, RealtimePolicy, RealtimePorts, RealtimeStore, RealtimeUnit};
use ::leancloud::rest::{Rest, RestPorts, RestStore, RestUnit};
use account::captcha::MockCaptchaVerifier;
use account::oversight::{Oversight, OversightStore, OversightUnit};
use account::password::MockPasswordHasher;
use account::{AccountKeys, AccountPorts, AccountSettings, AccountStore, AccountUnit, Accounts, AppAccess, AppHeaders};
use async_trait::async_trait;
use consultation::service::{
    Certifications, Consultations, Context, DeskTasks, Doctors, Initiate, Initiated, Invitations, Registry, Relations,
    Reports,
};
use consultation::{ConsultationPolicy, ConsultationStore, ConsultationUnit};
use domain::actor::{AccessError, UserActor};
use domain::file::MockBlobStore;
use domain::id::{ConversationId, DoctorId, SessionId, UserId};
use domain::outbox::{JobSignal, MockJobQueue};
use domain::rng::SecureRandom;
use domain::sms::MockSmsGateway;
use domain::{Actor, Clock, ObjectId, StoreError, Timestamp};
use im::desk::{Desk, DeskStore, DeskUnit};
use im::log::{MockLogListener, MockLogWatch};
use im::owner::MockConversationOwner;
use im::policy::{DEFAULT_ASSISTANT, ImPolicy};
use im::service::{Ack, ImContext, MessageQueue, Told};
use im::{Appended, ImError, ImStore, ImUnit, NewMessage};
use poem::http::StatusCode;
use poem::{Body, Endpoint, Request, RequestBuilder, Response, Route};
use rstest::rstest;
use runtime::thumbnails::Thumbnails;
use serde_json::{Value, json};
use sms::budget::Budget;
use sms::oversight::SmsOversight;
use sms::{SmsContext, SmsKeys, SmsSettings, SmsStore, SmsUnit, TokioPause};
use tokio_util::sync::CancellationToken;

use crate::http::caller::{Gatekeeper, KnownSession};
use crate::http::frame::FrameSettings;
use crate::http::messaging::{MessagingUseCases, Waits};
use crate::http::ops::Readiness;
use crate::http::problem::ApiError;
use crate::http::router::{Parts, server};
use crate::http::services::{InitiateQueue, Services};
use crate::http::testing::FixedIds;
use crate::http::wechat::Wechat;
use crate::leancloud;

const DOCTOR: &str = "5daeb07b7b968a0074945056";
const MAX_BODY_BYTES: u64 = 2_000;

/// A world in which the database is down and one doctor is signed in.
struct World;

fn down() -> StoreError {
    StoreError::backend(std::io::Error::other("connection refused"))
}

#[async_trait]
impl ConsultationStore for World {
    async fn begin(&self) -> Result<Box<dyn ConsultationUnit>, StoreError> {
        Err(down())
    }

    fn read(&self) -> Box<dyn ConsultationUnit> {
        panic!("these tests stop before anything is read")
    }
}

#[async_trait]
impl AccountStore for World {
    async fn begin(&self) -> Result<Box<dyn AccountUnit>, StoreError> {
        Err(down())
    }

    fn read(&self) -> Box<dyn AccountUnit> {
        panic!("these tests stop before anything is read")
    }
}

#[async_trait]
impl OversightStore for World {
    async fn begin(&self) -> Result<Box<dyn OversightUnit>, StoreError> {
        Err(down())
    }

    fn read(&self) -> Box<dyn OversightUnit> {
        panic!("these tests stop before anything is read")
    }
}

#[async_trait]
impl SmsStore for World {
    async fn begin(&self) -> Result<Box<dyn SmsUnit>, StoreError> {
        Err(down())
    }

    fn read(&self) -> Box<dyn SmsUnit> {
        panic!("these tests stop before anything is read")
    }
}

/// Text messages without a provider.
fn no_sms() -> SmsContext {
    SmsContext {
        store: Arc::new(World),
        clock: Arc::new(World),
        ids: Arc::new(FixedIds),
        signal: Arc::new(World),
        pause: Arc::new(TokioPause),
        keys: SmsKeys::derive(&[0; 32], Arc::new(World)),
        providers: Arc::new([]),
        settings: Arc::new(SmsSettings {
            timezone: chrono_tz::Asia::Shanghai,
            daily_budget: Budget(0),
            prices_milliyuan: BTreeMap::new(),
            notices_per_day: 0,
        }),
    }
}

#[async_trait]
impl ImStore for World {
    async fn begin(&self) -> Result<Box<dyn ImUnit>, StoreError> {
        Err(down())
    }

    fn read(&self) -> Box<dyn ImUnit> {
        panic!("these tests stop before anything is read")
    }

    async fn append(&self, _: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
        Err(down())
    }
}

#[async_trait]
impl DeskStore for World {
    async fn begin(&self) -> Result<Box<dyn DeskUnit>, StoreError> {
        Err(down())
    }

    fn read(&self) -> Box<dyn DeskUnit> {
        panic!("these tests stop before anything is read")
    }
}

impl MessageQueue for World {
    fn hand_in(&self, _: NewMessage) -> Pin<Box<dyn Future<Output = Result<Ack, ImError>> + Send>> {
        Box::pin(std::future::ready(Err(ImError::Stopping)))
    }

    fn hand_in_told(&self, _: NewMessage, told: Told) {
        told(Err(ImError::Stopping));
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }
}

impl JobSignal for World {
    fn wake(&self) {}
}

impl SecureRandom for World {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

#[async_trait]
impl InitiateQueue for World {
    /// Never answers, so that the time limit has to.
    async fn call(&self, _: Initiate) -> Result<Initiated, ApiError> {
        std::future::pending().await
    }
}

#[async_trait]
impl Gatekeeper for World {
    fn check_app(&self, sent: AppHeaders<'_>) -> Result<AppAccess, ApiError> {
        match (sent.id, sent.key) {
            (Some("app"), Some("key")) => Ok(AppAccess::Client),
            _ => Err(AccessError::Unauthenticated.into()),
        }
    }

    async fn find_session(&self, token: &str) -> Result<Option<KnownSession>, ApiError> {
        let id: ObjectId = DOCTOR.parse().unwrap();
        let doctor = UserActor { user: UserId(id), session: SessionId(id), patient: None, doctor: Some(DoctorId(id)) };
        Ok((token == "doctor").then_some(KnownSession { id: SessionId(id), actor: Actor::User(doctor) }))
    }
}

#[async_trait]
impl Readiness for World {
    async fn try_write(&self) -> Result<(), StoreError> {
        Err(down())
    }

    fn fanout(&self) -> &'static str {
        "alone"
    }
}

fn parts() -> Parts {
    let context = Context {
        store: Arc::new(World),
        clock: Arc::new(World),
        ids: Arc::new(FixedIds),
        signal: Arc::new(World),
        policy: Arc::new(ConsultationPolicy::default()),
    };
    let messaging = ImContext {
        store: Arc::new(World),
        clock: Arc::new(World),
        ids: Arc::new(FixedIds),
        log: Arc::new(MockLogListener::new()),
        owner: Arc::new(MockConversationOwner::new()),
        policy: Arc::new(ImPolicy::default()),
    };
    let waits = Waits { longest: Duration::from_millis(50), stop: CancellationToken::new() };
    let desk = Desk {
        store: Arc::new(World),
        clock: Arc::new(World),
        ids: Arc::new(FixedIds),
        signal: Arc::new(World),
        assistant: DEFAULT_ASSISTANT,
        home: chrono_tz::Asia::Shanghai,
        recall_within: Duration::from_mins(2),
        relays_messages: false,
    };
    let services = Services {
        realtime: Arc::new(realtime(&messaging, &desk)),
        messaging: MessagingUseCases::new(&messaging, Arc::new(World), Arc::new(MockLogWatch::new()), waits),
        gatekeeper: Arc::new(World),
        clock: Arc::new(World),
        accounts: accounts(),
        public_url: "http://localhost".into(),
        certifications: Certifications::new(context.clone()),
        consultations: Consultations::new(context.clone()),
        desk_tasks: DeskTasks::new(context.clone()),
        doctors: Doctors::new(context.clone()),
        desk,
        initiate: Arc::new(World),
        invitations: Invitations::new(context.clone(), Arc::new(World)),
        oversight: Oversight {
            store: Arc::new(World),
            queue: Arc::new(MockJobQueue::new()),
            clock: Arc::new(World),
            ids: Arc::new(FixedIds),
            signal: Arc::new(World),
        },
        kept_sms: None,
        rest: Arc::new(rest(&context)),
        thumbnails: Thumbnails::new(1),
        sms: SmsOversight::new(no_sms(), String::new()),
        relations: Relations::new(context.clone()),
        reports: Reports::new(context),
        wechat: crate::http::wechat::testing::nothing(),
    };
    Parts {
        services: Arc::new(services),
        ids: Arc::new(FixedIds),
        readiness: Arc::new(World),
        metrics: Arc::new(|| "# metrics".into()),
        settings: FrameSettings {
            trusted_proxies: Vec::new(),
            max_body_bytes: MAX_BODY_BYTES,
            max_upload_bytes: 10 * MAX_BODY_BYTES,
            request_timeout: Duration::from_millis(50),
            is_https: true,
        },
        render_leancloud: leancloud::render,
    }
}

fn accounts() -> Arc<Accounts> {
    let ports = AccountPorts {
        store: Arc::new(World),
        clock: Arc::new(World),
        ids: Arc::new(FixedIds),
        random: Arc::new(World),
        sms: Arc::new(MockSmsGateway::new()),
        captcha: Arc::new(MockCaptchaVerifier::new()),
        hasher: Arc::new(MockPasswordHasher::new()),
        blobs: Arc::new(MockBlobStore::new()),
    };
    Arc::new(Accounts::new(ports, AccountKeys::derive(&[0; 32]).unwrap(), AccountSettings::default()))
}

fn no_mini_programs() -> leancloud::WechatMiniPrograms {
    let Wechat { apps, logins, .. } = crate::http::wechat::testing::nothing();
    leancloud::WechatMiniPrograms { apps, logins, shows_session_key: false }
}

fn rest(context: &Context) -> Rest {
    Rest::new(RestPorts {
        store: Arc::new(World),
        clock: Arc::new(World),
        ids: Arc::new(FixedIds),
        urls: Arc::new(leancloud::PathLinks { accounts: accounts(), public_url: "http://localhost".into() }),
        accounts: accounts(),
        certifications: Certifications::new(context.clone()),
        doctors: Doctors::new(context.clone()),
        relations: Relations::new(context.clone()),
        registry: Registry::new(context.clone()),
        mini_program: Arc::new(no_mini_programs()),
        spares_captcha: true,
        takes_claims: false,
    })
}

fn realtime(messaging: &ImContext, desk: &Desk) -> Realtime {
    Realtime::new(RealtimePorts {
        store: Arc::new(World),
        im: messaging.clone(),
        queue: Arc::new(World),
        devices: Arc::new(World),
        relay: Arc::new(leancloud::OpenClients::default()),
        clock: Arc::new(World),
        ids: Arc::new(FixedIds),
        random: Arc::new(World),
        urls: Arc::new(leancloud::PathLinks { accounts: accounts(), public_url: "http://localhost".into() }),
        desk: Arc::new(desk.clone()),
        signer: Signer { app_id: "app".into(), master_key: "key2".into() },
        policy: RealtimePolicy::default(),
    })
}

impl Devices for World {
    fn delivered(&self, _: ConversationId, _: &[String], _: i64) {}

    fn connected(&self, _: &[String]) -> Vec<String> {
        Vec::new()
    }
}

#[async_trait]
impl RealtimeStore for World {
    async fn begin(&self) -> Result<Box<dyn RealtimeUnit>, StoreError> {
        Err(down())
    }

    fn read(&self) -> Box<dyn RealtimeUnit> {
        panic!("these tests stop before anything is read")
    }
}

#[async_trait]
impl RestStore for World {
    async fn begin(&self) -> Result<Box<dyn RestUnit>, StoreError> {
        Err(down())
    }

    fn read(&self) -> Box<dyn RestUnit> {
        panic!("these tests stop before anything is read")
    }
}

async fn send(request: Request) -> Response {
    let parts = parts();
    let router = leancloud::add_to(Route::new(), &parts.services);
    server(parts, router).get_response(request).await
}

fn request(method: &str, path: &str) -> RequestBuilder {
    Request::builder().method(method.parse().unwrap()).uri_str(path).header("accept-language", "en")
}

fn patch_doctor() -> RequestBuilder {
    request("PATCH", &format!("/api/v1/doctors/{DOCTOR}")).header("authorization", "Bearer doctor")
}

async fn problem(request: Request) -> (u16, Value) {
    let response = send(request).await;
    let status = response.status().as_u16();
    assert_eq!(response.content_type(), Some("application/problem+json"), "status {status}");
    let problem: Value = response.into_body().into_json().await.unwrap();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["request_id"], "000000010000000000000001");
    (status, problem)
}

fn fields(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().into_iter().flatten().filter_map(|e| e["field"].as_str()).collect()
}

#[rstest]
#[case::no_route("GET", "/api/v1/nowhere", 404, "request.unknown_path")]
#[case::no_surface("GET", "/nowhere", 404, "request.unknown_path")]
#[case::no_method("DELETE", "/api/v1/doctors", 405, "request.method_not_allowed")]
#[case::nobody("GET", "/api/v1/doctors", 401, "access.unauthenticated")]
#[tokio::test]
async fn the_router_refuses_with_problems(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let (found, problem) = problem(request(method, path).finish()).await;
    assert_eq!((found, problem["code"].as_str()), (status, Some(code)));
}

#[tokio::test]
async fn a_malformed_path_parameter_is_named() {
    let refused = request("GET", "/api/v1/doctors/5dae").header("authorization", "Bearer doctor").finish();
    let (status, problem) = problem(refused).await;
    assert_eq!((status, fields(&problem)), (400, vec!["id"]));
    assert_eq!(problem["errors"][0]["message"], "must be an id of 24 hexadecimal digits");
}

#[rstest]
#[case("limit=0", "limit")]
#[case("limit=101", "limit")]
#[case("limit=many", "limit")]
#[case("cursor=nonsense", "cursor")]
#[tokio::test]
async fn a_malformed_query_parameter_is_named(#[case] query: &str, #[case] field: &str) {
    let refused = request("GET", &format!("/api/v1/doctors?{query}")).header("authorization", "Bearer doctor");
    let (status, problem) = problem(refused.finish()).await;
    assert_eq!((status, fields(&problem)), (400, vec![field]));
    assert!(!problem.to_string().contains("nonsense") && !problem.to_string().contains("many"));
}

#[tokio::test]
async fn every_fault_of_a_body_is_named_and_nothing_quoted() {
    let body = json!({
        "name": 13_900_000_000_i64, "weeklyHours": [{"weekday": 8, "start": "08:00", "end": "09:00"}], "status": "1",
    });
    let (status, problem) = problem(patch_doctor().content_type("application/json").body(body.to_string())).await;
    assert_eq!(status, 400);
    assert_eq!(fields(&problem), ["name", "status", "weeklyHours[0].weekday"]);
    assert!(!problem.to_string().contains("13900000000"), "{problem}");
}

#[rstest]
#[case::broken("{\"name\": \"王", "request.malformed_json")]
#[case::empty("", "request.malformed_json")]
#[case::not_an_object("[]", "request.invalid")]
#[tokio::test]
async fn json_that_is_none_is_refused(#[case] body: &'static str, #[case] code: &str) {
    let (status, problem) = problem(patch_doctor().content_type("application/json").body(body)).await;
    assert_eq!((status, problem["code"].as_str()), (400, Some(code)));
    assert!(!problem.to_string().contains('王'));
}

#[rstest]
#[case::other(Some("text/plain"))]
#[case::none(None)]
#[tokio::test]
async fn other_content_types_are_refused(#[case] content_type: Option<&str>) {
    let builder = content_type.into_iter().fold(patch_doctor(), RequestBuilder::content_type);
    let (status, problem) = problem(builder.body("{}")).await;
    assert_eq!((status, problem["code"].as_str()), (415, Some("request.unsupported_media")));
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit_and_not_larger() {
    let sized = |bytes: u64| {
        let text = format!("{{\"x\":\"{}\"}}", "y".repeat(usize::try_from(bytes - 8).unwrap()));
        patch_doctor().content_type("application/json").header("content-length", text.len()).body(text)
    };
    assert_eq!(problem(sized(MAX_BODY_BYTES)).await.0, 400);
    assert_eq!(problem(sized(MAX_BODY_BYTES + 1)).await.0, 413);
}

#[tokio::test]
async fn a_body_without_length_is_cut_off_at_the_limit() {
    let chunk = "y".repeat(1_000);
    let endless = futures_util::stream::iter((0..1_000).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
    let streamed = patch_doctor().content_type("application/json").body(Body::from_bytes_stream(endless));
    let (status, problem) = problem(streamed).await;
    assert_eq!((status, problem["code"].as_str()), (413, Some("request.too_large")));
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let body = json!({"doctorId": DOCTOR, "patientId": DOCTOR}).to_string();
    let slow = request("POST", "/api/v1/consultations")
        .header("x-lc-id", "app")
        .header("x-lc-key", "key")
        .content_type("application/json")
        .body(body);
    let (status, problem) = problem(slow).await;
    assert_eq!((status, problem["code"].as_str()), (503, Some("request.timeout")));
}

#[tokio::test]
async fn a_database_that_is_down_is_a_calm_problem() {
    let (status, problem) = problem(patch_doctor().content_type("application/json").body("{}")).await;
    assert_eq!((status, problem["code"].as_str()), (503, Some("store.unavailable")));
    assert!(!problem.to_string().contains("connection refused"));
    assert_eq!(problem_status("/readyz").await, 503);
}

async fn problem_status(path: &str) -> u16 {
    problem(request("GET", path).finish()).await.0
}

#[tokio::test]
async fn every_answer_carries_id_and_security_headers() {
    let response = send(request("GET", "/healthz").header("x-request-id", "proxy-12345").finish()).await;
    assert_eq!(response.status(), StatusCode::OK);
    for (name, value) in [
        ("x-request-id", "proxy-12345"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
        ("strict-transport-security", "max-age=31536000"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(response.header(name), Some(value), "{name}");
    }
    assert_eq!(response.header("access-control-allow-origin"), None);
}

#[rstest]
#[case("/api/v1/consultations")]
#[case("/1.1/functions/initiateConsultation")]
#[tokio::test]
async fn browsers_of_other_sites_may_ask_first(#[case] path: &str) {
    let asked = request("OPTIONS", path)
        .header("origin", "https://h5.example.cn")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-lc-id,x-lc-sign,x-lc-ua,content-type");
    let response = send(asked.finish()).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    assert_eq!(response.header("access-control-allow-headers"), Some("x-lc-id,x-lc-sign,x-lc-ua,content-type"));
}

#[tokio::test]
async fn errors_below_the_leancloud_prefix_have_its_shape() {
    let missing = json!({ "code": 101, "error": "There is nothing under this path." });
    assert_eq!(leancloud_error(request("GET", "/1.2/nowhere").finish()).await, (404, missing.clone()));
    let unauthorized = json!({ "code": 401, "error": "Unauthorized." });
    assert_eq!(leancloud_error(request("GET", "/1.1/nowhere").finish()).await, (401, unauthorized));
    let client = request("GET", "/1.1/nowhere").header("x-lc-id", "app").header("x-lc-key", "key");
    assert_eq!(leancloud_error(client.finish()).await, (404, missing));
}

fn function(name: &str) -> RequestBuilder {
    request("POST", &format!("/1.1/functions/{name}")).header("x-lc-id", "app").header("x-lc-key", "key")
}

async fn leancloud_error(request: Request) -> (u16, Value) {
    let response = send(request).await;
    let status = response.status().as_u16();
    (status, response.into_body().into_json().await.unwrap())
}

#[tokio::test]
async fn functions_need_the_application() {
    let (status, body) = leancloud_error(request("POST", "/1.1/functions/initiateConsultation").finish()).await;
    assert_eq!((status, body), (401, json!({"code": 401, "error": "Unauthorized."})));
}

#[rstest]
#[case::unknown("noSuchFunction", "", 404, 1)]
#[case::empty("initiateConsultation", "", 400, 142)]
#[case::null("initiateConsultation", "null", 400, 142)]
#[case::malformed("initiateConsultation", "{", 400, 107)]
#[tokio::test]
async fn functions_refuse_in_leanclouds_words(
    #[case] name: &str,
    #[case] body: &'static str,
    #[case] status: u16,
    #[case] code: i32,
) {
    let (found, answer) = leancloud_error(function(name).content_type("text/plain").body(body)).await;
    assert_eq!((found, answer["code"].as_i64()), (status, Some(code.into())), "{answer}");
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_given_up() {
    let body = json!({"doctorId": DOCTOR, "patientId": DOCTOR, "__ignore_hooks": true}).to_string();
    let (status, answer) = leancloud_error(function("initiateConsultation").body(body)).await;
    assert_eq!((status, answer["code"].as_i64()), (503, Some(503)));
}

#[tokio::test]
async fn the_servers_time_is_a_typed_date() {
    let response = send(request("GET", "/1.1/date").finish()).await;
    let body: Value = response.into_body().into_json().await.unwrap();
    assert_eq!(body, json!({"__type": "Date", "iso": "1970-01-01T00:00:00.000Z"}));
}

#[tokio::test]
async fn a_refused_method_is_told_which_ones_are_served() {
    let response = send(request("DELETE", "/api/v1/doctors/5daeb07b7b968a0074945056").finish()).await;
    assert_eq!((response.status().as_u16(), response.header("allow")), (405, Some("GET, PATCH")));
    let response = send(request("POST", "/healthz").finish()).await;
    assert_eq!((response.status().as_u16(), response.header("allow")), (405, Some("GET")));
}

#[tokio::test]
async fn an_idempotency_key_is_checked_before_anything_is_done() {
    let keyed = request("POST", &format!("/api/v1/doctors/{DOCTOR}/invitations"))
        .header("authorization", "Bearer doctor")
        .header("idempotency-key", "with space")
        .content_type("application/json")
        .body("{}");
    let (status, problem) = problem(keyed).await;
    assert_eq!((status, fields(&problem)), (400, vec!["Idempotency-Key"]));
}

#[tokio::test]
async fn the_document_and_its_page_are_part_of_the_server() {
    let document: Value = send(request("GET", "/openapi.json").finish()).await.into_body().into_json().await.unwrap();
    assert_eq!(document["paths"]["/api/v1/consultations"]["post"]["operationId"], "initiate_consultation");
    let page = send(request("GET", "/docs").finish()).await;
    assert!(page.header("content-security-policy").unwrap().contains("script-src 'unsafe-inline'"));
    let page = page.into_body().into_string().await.unwrap();
    assert!(page.contains("\"additionalProperties\": false"), "the page shows the finished document");
}

#[tokio::test]
async fn metrics_are_rendered() {
    let response = send(request("GET", "/metrics").finish()).await;
    assert_eq!(response.into_body().into_string().await.unwrap(), "# metrics");
}
