//! Putting the server together from its configuration, and running it until it is asked to stop.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use account::captcha::{ProofOfWork, ProofOfWorkSettings};
use account::password::{ArgonHasher, PasswordCost};
use account::{AccountKeys, AccountPorts, Accounts, AppCredentials};
use async_trait::async_trait;
use consultation::ConsultationError;
use consultation::service::{
    Certifications, Consultations, Doctors, Initiate, InitiateConsultations, Initiated, Invitations, Relations, Reports,
};
use domain::sms::{SmsGateway, SmsNotSent, SmsRequest};
use domain::{Clock, StoreError};
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::{Route, Server};
use runtime::config::SmsProvider;
use runtime::telemetry::Metrics;
use runtime::{BatchError, BatchSettings, Batcher, Config, Credentials, LogSms, OpendalBlobs, Tasks, tasks};
use storage::SeaStore;
use tracing::{info, warn};
use worker::Ground;

use crate::http::catalogue::code;
use crate::http::frame::FrameSettings;
use crate::http::gatekeeper::AccountGatekeeper;
use crate::http::ops::Readiness;
use crate::http::problem::ApiError;
use crate::http::router::{self, Parts};
use crate::http::services::{InitiateQueue, Services};
use crate::leancloud;

/// Longest wait for requests and jobs in hand when asked to stop.
const SHUTDOWN: Duration = Duration::from_secs(30);

/// Passwords hashed at the same time; each takes one core for some tens of milliseconds and 19 MiB.
const HASHES_AT_ONCE: usize = 2;

/// Why a command could not be carried out; shown to the operator.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The use cases around accounts over a ground, with the credentials of the application.
pub struct AccountParts {
    pub accounts: Arc<Accounts>,
    pub credentials: Credentials,
    /// The development gateway, when it is the one in use.
    pub log_sms: Option<Arc<LogSms>>,
}

/// Wires the account rules.
///
/// # Errors
/// When a credential, the file store or an SMS provider cannot be used; names the key.
pub fn account_parts(config: &Config, ground: &Ground) -> Result<AccountParts, Failure> {
    let credentials = Credentials::resolve(config, &*ground.random)?;
    let keys = AccountKeys::derive(credentials.secret.expose().as_bytes())?;
    let settings = config.account_settings();
    let (sms, log_sms) = sms_gateway(config, &ground.clock)?;
    let ports = AccountPorts {
        store: Arc::new(ground.store.clone()),
        clock: ground.clock.clone(),
        ids: ground.ids.clone(),
        random: ground.random.clone(),
        sms,
        captcha: Arc::new(ProofOfWork::new(ProofOfWorkSettings::default(), keys.clone(), ground.random.clone())),
        hasher: Arc::new(ArgonHasher::new(PasswordCost::default(), HASHES_AT_ONCE, ground.random.clone())?),
        blobs: Arc::new(OpendalBlobs::open(&config.files)?),
    };
    Ok(AccountParts { accounts: Arc::new(Accounts::new(ports, keys, settings)), credentials, log_sms })
}

type Gateways = (Arc<dyn SmsGateway>, Option<Arc<LogSms>>);

fn sms_gateway(config: &Config, clock: &Arc<dyn Clock>) -> Result<Gateways, Failure> {
    match config.sms_providers() {
        [] => Ok((Arc::new(NoSms), None)),
        [SmsProvider::Log] => {
            let log = Arc::new(LogSms::new(config.profile, true, clock.clone())?);
            Ok((log.clone(), Some(log)))
        }
        [other, ..] => Err(format!("sms.providers: {} is not built into this server", other.as_str()).into()),
    }
}

/// Without a provider no code leaves, and whoever asks for one is told so.
struct NoSms;

#[async_trait]
impl SmsGateway for NoSms {
    async fn send(&self, _: SmsRequest) -> Result<(), SmsNotSent> {
        Err(SmsNotSent)
    }
}

/// Initiate calls gathered into batches.
struct InitiateBatches(Batcher<Initiate, Result<Initiated, ConsultationError>>);

impl InitiateBatches {
    fn start(config: &Config, ground: &Ground) -> Self {
        let use_case = InitiateConsultations::new(ground.context.clone());
        let settings = BatchSettings {
            runners: config.database.batch_runners(),
            max_batch: config.database.batch_max.get(),
            ..BatchSettings::default()
        };
        let run = move |calls| {
            let use_case = use_case.clone();
            async move { use_case.run(calls).await }
        };
        Self(Batcher::start("initiate", settings, run))
    }
}

#[async_trait]
impl InitiateQueue for InitiateBatches {
    async fn call(&self, call: Initiate) -> Result<Initiated, ApiError> {
        match self.0.call(call).await {
            Ok(answer) => Ok(answer?),
            Err(BatchError::Closed) => Err(ApiError::of(code::STOPPING).retry_after(1)),
            Err(broken @ BatchError::BrokenOff) => Err(ApiError::internal(broken)),
        }
    }
}

/// `/readyz` over the store.
struct WriteProbe {
    store: SeaStore,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Readiness for WriteProbe {
    async fn try_write(&self) -> Result<(), StoreError> {
        self.store.probe_write(self.clock.now()).await
    }
}

/// Serves until SIGTERM or ctrl-c, then finishes what is in hand.
///
/// # Errors
/// When something it needs cannot be opened; names it.
pub async fn serve(config: &Config) -> Result<(), Failure> {
    let metrics = Metrics::install()?;
    for warning in config.warnings() {
        warn!("{warning}");
    }
    let ground = Ground::lay(config).await?;
    let parts = account_parts(config, &ground)?;
    announce(&parts.credentials);
    let tasks = Tasks::new();
    metrics.keep_up(&tasks);
    let batches = Arc::new(InitiateBatches::start(config, &ground));
    let services = Arc::new(services(config, &ground, parts, batches.clone()));
    let surface = if config.leancloud.enabled {
        leancloud::add_to(Route::new(), &services, ground.clock.clone())
    } else {
        Route::new()
    };
    let rendered = metrics.clone();
    let endpoint = router::server(
        Parts {
            services,
            ids: ground.ids.clone(),
            readiness: Arc::new(WriteProbe { store: ground.store.clone(), clock: ground.clock.clone() }),
            metrics: Arc::new(move || rendered.render()),
            settings: frame_settings(config),
            render_leancloud: leancloud::render,
        },
        surface,
    );
    let listener = TcpListener::bind(config.http.listen).into_acceptor().await;
    let listener = listener.map_err(|error| format!("http.listen {} cannot be used: {error}", config.http.listen))?;
    let address = listener.local_addr().first().map(ToString::to_string).unwrap_or_default();
    if config.worker_is_embedded() {
        ground.worker(config).start(&tasks);
    }
    info!(%address, url = config.http.public_url(), "serving");
    let stop = async {
        if let Err(error) = tasks::termination().await {
            warn!(error = &error as &dyn Error, "signals cannot be heard");
        }
    };
    Server::new_with_acceptor(listener).run_with_graceful_shutdown(endpoint, stop, Some(SHUTDOWN)).await?;
    batches.0.close().await;
    tasks.shut_down(SHUTDOWN).await?;
    ground.store.close().await;
    info!("stopped");
    Ok(())
}

/// Credentials made at the first start are shown once, for the people who set the server up.
fn announce(credentials: &Credentials) {
    if credentials.is_fresh {
        println!("Generated for this development server, shown only now (kept in security.secrets_file):");
        println!("  app.id         {}", credentials.app_id);
        println!("  app.key        {}", credentials.app_key.expose());
        println!("  app.master_key {}", credentials.master_key.expose());
    }
}

fn services(config: &Config, ground: &Ground, parts: AccountParts, initiate: Arc<dyn InitiateQueue>) -> Services {
    let context = &ground.context;
    let credentials = AppCredentials {
        id: parts.credentials.app_id.clone(),
        key: parts.credentials.app_key.expose().to_owned(),
        master_key: parts.credentials.master_key.expose().to_owned(),
    };
    Services {
        gatekeeper: Arc::new(AccountGatekeeper { credentials, accounts: parts.accounts.clone() }),
        accounts: parts.accounts,
        certifications: Certifications::new(context.clone()),
        consultations: Consultations::new(context.clone()),
        doctors: Doctors::new(context.clone()),
        initiate,
        invitations: Invitations::new(context.clone(), ground.random.clone()),
        relations: Relations::new(context.clone()),
        reports: Reports::new(context.clone()),
        public_url: config.http.public_url(),
    }
}

fn frame_settings(config: &Config) -> FrameSettings {
    let bytes = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    FrameSettings {
        trusted_proxies: config.http.trusted_proxies.clone(),
        max_body_bytes: bytes(config.http.max_body_bytes.get()),
        // Four pictures in one form, and what surrounds them.
        max_upload_bytes: bytes(config.files.max_bytes.get()).saturating_mul(4).saturating_add(64 * 1024),
        request_timeout: config.http.request_timeout,
        is_https: config.http.public_url().starts_with("https://"),
    }
}
