//! A stand-in for the SMS providers on loopback: it verifies signatures, keeps what it accepted, enforces limits,
//! reports deliveries, and fails as it is told.
//!
//! Aliyun is at `/aliyun`, Tencent Cloud at `/tencent`. It is written from the providers' documentation, not with the
//! code it is to test.

mod aliyun;
mod server;
mod tencent;
mod verify;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Clock, Timestamp};
use serde_json::{Value, json};

use self::server::Server;

pub use self::server::{Reply, Request};

/// Credentials the stand-in knows.
pub const ALIYUN_KEY: (&str, &str) = ("stand-in-aliyun-id", "stand-in-aliyun-secret");
pub const TENCENT_KEY: (&str, &str) = ("stand-in-tencent-id", "stand-in-tencent-secret");
pub const SIGN_NAME: &str = "兆观医生";
pub const SDK_APP_ID: &str = "1400000001";
/// Templates that are approved there, by provider: a code and a notice.
pub const ALIYUN_TEMPLATES: [&str; 2] = ["SMS_100000001", "SMS_100000002"];
pub const TENCENT_TEMPLATES: [&str; 2] = ["1000001", "1000002"];

/// Which provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    Aliyun,
    Tencent,
}

/// What happens to the next submission instead of the usual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is accepted, and the connection breaks off before the answer.
    LoseAnswer,
    /// The connection breaks off before anything is accepted.
    LoseRequest,
    /// It is accepted, and half of the answer arrives.
    HalfAnswer,
    /// A server error without an envelope; nothing is accepted.
    Bare(u16),
    /// It is refused with this code.
    Code(String),
}

/// What becomes of accepted messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    Delivered,
    /// No receipt.
    Silent,
    Failed(String),
}

/// A message that was accepted. No `Debug`: it holds a number and perhaps a code.
#[derive(Clone, PartialEq, Eq)]
pub struct Accepted {
    pub at: At,
    /// 11 digits.
    pub phone: String,
    pub template: String,
    /// Variables in the provider's order.
    pub params: Vec<String>,
    /// Our id.
    pub out_id: String,
    /// The provider's.
    pub provider_id: String,
    pub accepted_at: Timestamp,
}

/// How the stand-in behaves.
#[derive(Debug, Clone)]
struct Behaviour {
    faults: VecDeque<Fault>,
    /// Also to look-ups.
    is_deaf: bool,
    has_limits: bool,
    delivery: Delivery,
}

struct State {
    clock: Arc<dyn Clock>,
    behaviour: HashMap<At, Behaviour>,
    accepted: Vec<Accepted>,
    /// Submissions that arrived, whatever came of them.
    submissions: HashMap<At, u32>,
    nonces: HashSet<String>,
}

impl State {
    fn behaviour(&mut self, at: At) -> &mut Behaviour {
        self.behaviour.entry(at).or_insert_with(|| Behaviour {
            faults: VecDeque::new(),
            is_deaf: false,
            has_limits: false,
            delivery: Delivery::Delivered,
        })
    }

    /// Accepts a message and gives it an id.
    fn accept(&mut self, message: Accepted) -> String {
        let number = self.accepted.len() + 1;
        let provider_id = match message.at {
            At::Aliyun => format!("9006{number:014}^0"),
            At::Tencent => format!("8:{number:014}"),
        };
        self.accepted.push(Accepted { provider_id: provider_id.clone(), ..message });
        provider_id
    }

    /// Times at which messages to a number were accepted.
    fn times(&self, at: At, phone: &str) -> impl Iterator<Item = Timestamp> {
        self.accepted.iter().filter(move |m| m.at == at && m.phone == phone).map(|m| m.accepted_at)
    }
}

/// The running stand-in; it stops when dropped.
pub struct SmsStandIn {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl SmsStandIn {
    /// Starts on a free port, telling the time by `clock`.
    ///
    /// # Panics
    /// When the machine has no free port.
    pub fn start(clock: Arc<dyn Clock>) -> Self {
        let state = Arc::new(Mutex::new(State {
            clock,
            behaviour: HashMap::new(),
            accepted: Vec::new(),
            submissions: HashMap::new(),
            nonces: HashSet::new(),
        }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| {
            let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            match request.path.as_str() {
                "/aliyun" => aliyun::answer(&mut state, request),
                "/tencent" => tencent::answer(&mut state, request),
                _ => Reply::Whole(404, "nothing here".to_owned()),
            }
        });
        Self { server, state }
    }

    /// The base address to be configured.
    pub fn url(&self, at: At) -> String {
        let name = match at {
            At::Aliyun => "aliyun",
            At::Tencent => "tencent",
        };
        format!("http://{}/{name}", self.server.address())
    }

    /// What happens to the next submissions, one each; then the usual again.
    pub fn fail(&self, at: At, faults: impl IntoIterator<Item = Fault>) {
        self.state().behaviour(at).faults.extend(faults);
    }

    /// Whether look-ups are answered with an error.
    pub fn be_deaf(&self, at: At, is_deaf: bool) {
        self.state().behaviour(at).is_deaf = is_deaf;
    }

    /// Enforces the provider's default limits per number.
    pub fn enforce_limits(&self, at: At) {
        self.state().behaviour(at).has_limits = true;
    }

    /// What becomes of messages, those already accepted included.
    pub fn deliver(&self, at: At, delivery: Delivery) {
        self.state().behaviour(at).delivery = delivery;
    }

    /// Everything that was accepted, oldest first.
    pub fn accepted(&self) -> Vec<Accepted> {
        self.state().accepted.clone()
    }

    /// Submissions that arrived, whatever came of them.
    pub fn submissions(&self, at: At) -> u32 {
        self.state().submissions.get(&at).copied().unwrap_or_default()
    }

    /// What the provider pushes about the accepted messages: one receipt each.
    pub fn receipts(&self, at: At) -> Vec<Value> {
        let mut state = self.state();
        let delivery = state.behaviour(at).delivery.clone();
        let of_it = state.accepted.iter().filter(|m| m.at == at);
        of_it.filter_map(|message| pushed_receipt(message, &delivery)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pushed_receipt(message: &Accepted, delivery: &Delivery) -> Option<Value> {
    let (is_delivered, code) = match delivery {
        Delivery::Silent => return None,
        Delivery::Delivered => (true, if message.at == At::Aliyun { "DELIVERED" } else { "DELIVRD" }),
        Delivery::Failed(code) => (false, code.as_str()),
    };
    let at = verify::beijing(message.accepted_at);
    Some(match message.at {
        At::Aliyun => json!({
            "phone_number": message.phone, "send_time": at, "report_time": at, "success": is_delivered,
            "err_code": code, "err_msg": "…", "sms_size": "1", "biz_id": message.provider_id, "out_id": message.out_id,
        }),
        At::Tencent => json!({
            "user_receive_time": at, "nationcode": "86", "mobile": message.phone,
            "report_status": if is_delivered { "SUCCESS" } else { "FAIL" },
            "errmsg": code, "description": "…", "sid": message.provider_id,
        }),
    })
}
