//! Puts the server together from a configuration, runs it, and stops it in order.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::leancloud::realtime::{Realtime, RealtimePolicy, RealtimePorts, signature::Signer};
use ::leancloud::rest::{Rest, RestPorts};
use ::sms::Dispatcher;
use ::sms::inbox::Inbox;
use ::sms::oversight::SmsOversight;
use account::captcha::{ProofOfWork, ProofOfWorkSettings};
use account::oversight::Oversight;
use account::password::{ArgonHasher, HashingError, PasswordCost};
use account::{AccountKeys, AccountPorts, Accounts, AppCredentials};
use async_trait::async_trait;
use consultation::ConsultationError;
use consultation::service::{
    Certifications, Consultations, DeskTasks, Doctors, Initiate, InitiateConsultations, Initiated, Invitations,
    Registry, Relations, Reports,
};
use domain::file::BlobStore;
use domain::{Clock, StoreError};
use im::feed::FanoutState;
use poem::{Endpoint, Response, Route, Server};
use runtime::config::ConfigError;
use runtime::tasks::{self, StillRunning};
use runtime::telemetry::Metrics;
use runtime::thumbnails::Thumbnails;
use runtime::{BatchError, BatchSettings, Batcher, Config, Credentials, LiveLog, StartError, Tasks};
use storage::{DocumentIndex, SeaStore};
use wechat::identity::Logins;
use worker::sms::SmsSetupError;
use worker::{Ground, GroundError, Sms};

use crate::gateway;
use crate::http::catalogue::code;
use crate::http::gatekeeper::AccountGatekeeper;
use crate::http::ops::Readiness;
use crate::http::problem::ApiError;
use crate::http::router::{Parts, server};
use crate::http::services::{InitiateQueue, Services};
use crate::http::sms_receipts::{self, ReceiptGate};
use crate::http::wechat::{Wechat, callback};
use crate::leancloud::{OpenClients, PathLinks, RealtimeGateway, RealtimeLimits, WechatMiniPrograms};
use crate::listen::listen;
use crate::messaging::{Messaging, MessagingError};
use crate::{console, leancloud, settings, standin};

/// Longest wait for requests in hand, and then for background tasks, when asked to stop.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// Passwords hashed at the same time; each takes 19 MiB.
const HASHES_AT_ONCE: usize = 4;

/// Pictures made smaller at the same time; each may take 192 MiB.
const THUMBNAILS_AT_ONCE: usize = 2;

/// Why the server could not start, or did not stop as it should.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Ground(#[from] GroundError),
    #[error("leancloud.indexes: {name} is not a class of documents, a dot and a field")]
    Index { name: String },
    #[error("the indexes of leancloud.indexes could not be made")]
    Indexes(#[source] StoreError),
    #[error("security.secret is too short")]
    Secret(#[from] account::keys::SecretTooShort),
    #[error(transparent)]
    Hashing(#[from] HashingError),
    #[error(transparent)]
    Sms(#[from] SmsSetupError),
    #[error(transparent)]
    Messaging(#[from] MessagingError),
    #[error("http.listen: {address} cannot be listened at")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the signals to stop could not be listened for")]
    Signals(#[source] io::Error),
    #[error("the server stopped by itself")]
    Broken(#[source] io::Error),
    #[error(transparent)]
    Standin(#[from] standin::StandinNotStarted),
    #[error(transparent)]
    StillRunning(#[from] StillRunning),
}

/// Everything the commands work with: the database, the rules over it, and the accounts.
pub struct App {
    pub config: Config,
    pub ground: Ground,
    pub accounts: Arc<Accounts>,
    pub credentials: Credentials,
    blobs: Arc<dyn BlobStore>,
    pub sms: Sms,
}

impl App {
    /// Opens the database, brings it up to date and wires the use cases.
    ///
    /// # Errors
    /// [`ServeError`] naming what is missing or cannot be reached.
    pub async fn build(config: Config) -> Result<Self, ServeError> {
        let indexes = document_indexes(&config)?;
        let ground = Ground::lay(&config).await?;
        ground.store.index_documents(&indexes, ground.clock.now()).await.map_err(ServeError::Indexes)?;
        let credentials = ground.credentials.clone();
        let blobs = ground.blobs.clone();
        let keys = AccountKeys::derive(credentials.secret.expose().as_bytes())?;
        let sms = Sms::wire(&config, &ground, &credentials.secret)?;
        let captcha = ProofOfWork::new(ProofOfWorkSettings::default(), keys.clone(), ground.random.clone());
        let ports = AccountPorts {
            store: Arc::new(ground.store.clone()),
            clock: ground.clock.clone(),
            ids: ground.ids.clone(),
            random: ground.random.clone(),
            sms: Arc::new(Dispatcher::new(sms.context.clone())),
            captcha: Arc::new(captcha),
            hasher: Arc::new(ArgonHasher::new(PasswordCost::default(), HASHES_AT_ONCE, ground.random.clone())?),
            blobs: blobs.clone(),
        };
        let accounts = Arc::new(Accounts::new(ports, keys, config.account_settings()));
        Ok(Self { config, ground, accounts, credentials, blobs, sms })
    }

    /// Serves until the process is asked to stop, then finishes what is in hand.
    ///
    /// # Errors
    /// [`ServeError`] when it cannot listen, or something did not stop in time.
    pub async fn serve(self, metrics: Metrics) -> Result<(), ServeError> {
        let address = self.config.http.listen;
        let acceptor = listen(address).map_err(|source| ServeError::Listen { address, source })?;
        let tasks = Tasks::new();
        metrics.keep_up(&tasks);
        // Before the worker, which asks it for tokens at once: a refusal would keep everybody waiting for the next try.
        standin::start(&self.config, &self.ground.clock, &tasks).await?;
        if self.config.worker_is_embedded() {
            self.ground.worker(&self.config, &self.sms).start(&tasks);
        }
        let queue = Arc::new(BatchedInitiate::start(&self));
        let messaging = Messaging::start(&self, &tasks).await?;
        let sockets = self.realtime_sockets(&messaging);
        let endpoint = self.endpoint(queue.clone(), &messaging, &sockets, metrics, &tasks);
        tracing::info!(%address, public_url = self.config.http.public_url(), "serving");
        let begin_drain = messaging.begin_drain();
        let leaving = sockets.clone();
        let asked_to_stop = async {
            if let Err(error) = tasks::termination().await {
                tracing::error!(error = &error as &dyn Error, "stopping, because signals cannot be listened for");
            }
            begin_drain();
            leaving.begin_drain();
        };
        let served = Server::new_with_acceptor(acceptor);
        served.run_with_graceful_shutdown(endpoint, asked_to_stop, Some(SHUTDOWN)).await.map_err(ServeError::Broken)?;
        queue.0.close().await;
        sockets.drained(SHUTDOWN).await;
        messaging.stop(SHUTDOWN).await;
        tasks.shut_down(SHUTDOWN).await?;
        self.ground.store.close().await;
        Ok(())
    }

    fn endpoint(
        &self,
        initiate: Arc<dyn InitiateQueue>,
        messaging: &Messaging,
        sockets: &Arc<RealtimeGateway>,
        metrics: Metrics,
        tasks: &Tasks,
    ) -> impl Endpoint<Output = Response> + use<> {
        let services = Arc::new(self.services(initiate, messaging, sockets.realtime().clone()));
        let router = gateway::add_to(Route::new(), messaging.gateway.clone());
        let mut router = callback::add_to(router, services.wechat.inbox.clone(), tasks);
        if self.config.leancloud.enabled {
            router = leancloud::add_to(router, &services);
            router = leancloud::add_sockets(router, sockets, &services.public_url);
        }
        if let Some(secret) = &self.config.sms.receipt_secret {
            let gate = ReceiptGate {
                inbox: Inbox::new(self.sms.context.clone()),
                secret: secret.expose().to_owned(),
                networks: self.config.sms.receipt_networks.clone(),
            };
            router = sms_receipts::add_to(router, gate);
        }
        let parts = Parts {
            services,
            ids: self.ground.ids.clone(),
            readiness: Arc::new(WriteProbe {
                store: self.ground.store.clone(),
                clock: self.ground.clock.clone(),
                live: messaging.live.clone(),
            }),
            metrics: Arc::new(move || metrics.render()),
            settings: settings::frame(&self.config),
            render_leancloud: leancloud::render,
        };
        server(parts, console::add_to(router))
    }

    pub(crate) fn gatekeeper(&self) -> Arc<AccountGatekeeper> {
        let credentials = AppCredentials {
            id: self.credentials.app_id.clone(),
            key: self.credentials.app_key.expose().to_owned(),
            master_key: self.credentials.master_key.expose().to_owned(),
        };
        Arc::new(AccountGatekeeper { credentials, accounts: self.accounts.clone() })
    }

    fn services(&self, initiate: Arc<dyn InitiateQueue>, messaging: &Messaging, realtime: Arc<Realtime>) -> Services {
        let Ground { store, context, bell, clock, ids, random, .. } = &self.ground;
        Services {
            gatekeeper: self.gatekeeper(),
            clock: clock.clone(),
            accounts: self.accounts.clone(),
            certifications: Certifications::new(context.clone()),
            consultations: Consultations::new(context.clone()),
            desk_tasks: DeskTasks::new(context.clone()),
            doctors: Doctors::new(context.clone()),
            desk: self.ground.desk.clone(),
            initiate,
            invitations: Invitations::new(context.clone(), random.clone()),
            messaging: messaging.use_cases(self.config.http.request_timeout),
            oversight: Oversight {
                store: Arc::new(store.clone()),
                queue: Arc::new(store.clone()),
                clock: clock.clone(),
                ids: ids.clone(),
                signal: bell.clone(),
            },
            relations: Relations::new(context.clone()),
            reports: Reports::new(context.clone()),
            wechat: Wechat::new(
                &self.ground.wechat,
                self.blobs.clone(),
                self.config.content_settings(),
                self.config.wechat.push_window,
            ),
            rest: Arc::new(self.rest()),
            realtime,
            thumbnails: Thumbnails::new(THUMBNAILS_AT_ONCE),
            kept_sms: self.sms.kept.clone(),
            sms: SmsOversight::new(self.sms.context.clone(), self.sms.notice_link.clone()),
            public_url: self.config.http.public_url(),
        }
    }
}

impl App {
    /// The realtime protocol of LeanCloud clients, and its sockets.
    fn realtime_sockets(&self, messaging: &Messaging) -> Arc<RealtimeGateway> {
        let Ground { store, clock, ids, random, .. } = &self.ground;
        let urls = PathLinks { accounts: self.accounts.clone(), public_url: self.config.http.public_url() };
        let signer = Signer {
            app_id: self.credentials.app_id.clone(),
            master_key: self.credentials.master_key.expose().to_owned(),
        };
        let clients = Arc::new(OpenClients::default());
        let realtime = Realtime::new(RealtimePorts {
            store: Arc::new(store.clone()),
            im: messaging.context().clone(),
            queue: messaging.queue(),
            devices: messaging.gateway.clone(),
            relay: clients.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            random: random.clone(),
            urls: Arc::new(urls),
            desk: Arc::new(self.ground.desk.clone()),
            signer,
            policy: RealtimePolicy {
                assistant: Some(messaging.context().policy.assistant.to_string()),
                ..settings::realtime(&self.config)
            },
        });
        let limits = RealtimeLimits {
            max_sockets: self.config.im.max_sockets.get(),
            queue_frames: self.config.im.queue_frames.get(),
            drain_spread: self.config.im.drain_spread,
        };
        let (live, gateway) = (messaging.live.clone(), messaging.gateway.clone());
        RealtimeGateway::new(Arc::new(realtime), live, gateway, clients, limits)
    }

    /// The storage interface of LeanCloud clients.
    fn rest(&self) -> Rest {
        let Ground { store, context, clock, ids, .. } = &self.ground;
        let urls = PathLinks { accounts: self.accounts.clone(), public_url: self.config.http.public_url() };
        Rest::new(RestPorts {
            store: Arc::new(store.clone()),
            clock: clock.clone(),
            ids: ids.clone(),
            urls: Arc::new(urls),
            accounts: self.accounts.clone(),
            certifications: Certifications::new(context.clone()),
            doctors: Doctors::new(context.clone()),
            relations: Relations::new(context.clone()),
            registry: Registry::new(context.clone()),
            mini_program: Arc::new(WechatMiniPrograms {
                apps: self.ground.wechat.apps.clone(),
                logins: Logins::new(self.ground.wechat.clone()),
                shows_session_key: self.config.leancloud.weapp_session_key,
            }),
            spares_captcha: self.config.leancloud.sms_without_captcha,
            takes_claims: settings::takes_claims(&self.config),
        })
    }
}

/// The indexes over fields of documents that the configuration names.
fn document_indexes(config: &Config) -> Result<Vec<DocumentIndex>, ServeError> {
    let read = |name: &String| {
        let index = name.split_once('.').and_then(|(class, field)| DocumentIndex::new(class, field).ok());
        index.ok_or_else(|| ServeError::Index { name: name.clone() })
    };
    config.leancloud.indexes.iter().map(read).collect()
}

/// Gathers calls that start consultations; see [`InitiateConsultations`].
struct BatchedInitiate(Batcher<Initiate, Result<Initiated, ConsultationError>>);

impl BatchedInitiate {
    fn start(app: &App) -> Self {
        let database = &app.config.database;
        let settings = BatchSettings {
            runners: database.batch_runners(),
            max_batch: database.batch_max.get(),
            ..BatchSettings::default()
        };
        let use_case = InitiateConsultations::new(app.ground.context.clone());
        Self(Batcher::start("initiate", settings, move |calls| {
            let use_case = use_case.clone();
            async move { use_case.run(calls).await }
        }))
    }
}

#[async_trait]
impl InitiateQueue for BatchedInitiate {
    async fn call(&self, call: Initiate) -> Result<Initiated, ApiError> {
        match self.0.call(call).await {
            Ok(answer) => Ok(answer?),
            Err(BatchError::Closed) => Err(ApiError::of(code::STOPPING).retry_after(1)),
            Err(broken @ BatchError::BrokenOff) => Err(ApiError::internal(broken)),
        }
    }
}

/// Writes to the database for `/readyz`.
struct WriteProbe {
    store: SeaStore,
    clock: Arc<dyn Clock>,
    live: Arc<LiveLog>,
}

#[async_trait]
impl Readiness for WriteProbe {
    async fn try_write(&self) -> Result<(), StoreError> {
        self.store.probe_write(self.clock.now()).await
    }

    fn fanout(&self) -> &'static str {
        match self.live.fanout_state() {
            FanoutState::Alone => "alone",
            FanoutState::Connected => "connected",
            FanoutState::Lost => "lost",
        }
    }
}
