//! What the platform knows: apps, tokens, people, consents, and everything it was told to do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};
use wechat::push::envelope::EnvelopeKey;
use wechat::{PushFormat, PushMode};

use crate::faults::Fault;

/// Where an app's pushes go.
#[derive(Clone)]
pub struct StandinPush {
    /// An `http://` address.
    pub url: String,
    pub token: String,
    pub key: Option<EnvelopeKey>,
    pub mode: PushMode,
    pub format: PushFormat,
}

/// A template of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandinTemplate {
    pub id: String,
    pub title: String,
    pub content: String,
    pub is_long_term: bool,
}

/// An app of the console.
#[derive(Clone)]
pub struct StandinApp {
    pub appid: String,
    pub secret: String,
    pub is_miniprogram: bool,
    pub templates: Vec<StandinTemplate>,
    pub push: Option<StandinPush>,
}

/// A message that reached somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivered {
    pub appid: String,
    /// `subscribe`, `template` or `custom`.
    pub kind: &'static str,
    pub openid: String,
    pub template_id: Option<String>,
    pub body: Value,
    pub msg_id: u64,
    pub at: Timestamp,
}

#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) value: String,
    pub(crate) good_until: Timestamp,
}

/// One of the two families of tokens; they do not affect each other.
#[derive(Default, Clone)]
pub(crate) struct Family {
    pub(crate) current: Option<Token>,
    pub(crate) previous: Option<Token>,
}

#[derive(Default)]
pub(crate) struct AppState {
    pub(crate) stable: Family,
    pub(crate) legacy: Family,
    pub(crate) forced_at: Option<Timestamp>,
    pub(crate) forced: (i64, u32),
}

pub(crate) struct Person {
    pub(crate) unionid: Option<String>,
    pub(crate) session_key: String,
    pub(crate) visited_at: Timestamp,
    pub(crate) is_following: bool,
    pub(crate) wrote: Option<(Timestamp, u32)>,
    pub(crate) entered: Option<(Timestamp, u32)>,
}

pub(crate) struct OneTimeCode {
    pub(crate) appid: String,
    /// openid of a login code, number of a phone code.
    pub(crate) stands_for: String,
    pub(crate) unionid: Option<String>,
    pub(crate) expires_at: Timestamp,
    pub(crate) is_used: bool,
}

/// The platform. One lock around it: its rules are about order.
pub struct Platform {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) apps: Vec<StandinApp>,
    pub(crate) states: HashMap<String, AppState>,
    pub(crate) people: HashMap<(String, String), Person>,
    pub(crate) login_codes: HashMap<String, OneTimeCode>,
    pub(crate) phone_codes: HashMap<String, OneTimeCode>,
    /// By app, openid and template.
    pub(crate) grants: HashMap<(String, String, String), (u32, bool)>,
    pub(crate) sending: HashMap<(String, String), u32>,
    pub(crate) message_ids: HashMap<(String, String), (u64, Timestamp)>,
    pub(crate) traces: HashMap<String, (String, String)>,
    pub(crate) minutes: HashMap<(String, i64), u32>,
    /// Words the content check finds risky.
    pub(crate) risky_words: Vec<String>,
    pub faults: Vec<Fault>,
    pub delivered: Vec<Delivered>,
    /// Calls by path, faults included.
    pub calls: BTreeMap<String, u32>,
    seed: String,
    counter: u64,
}

/// A code lives five minutes.
const CODE_LIFE: Duration = Duration::from_mins(5);

impl Platform {
    /// `seed` makes its tokens and ids unlike those of another one.
    pub fn new(clock: Arc<dyn Clock>, apps: Vec<StandinApp>, seed: &str) -> Self {
        Self {
            clock,
            apps,
            states: HashMap::new(),
            people: HashMap::new(),
            login_codes: HashMap::new(),
            phone_codes: HashMap::new(),
            grants: HashMap::new(),
            sending: HashMap::new(),
            message_ids: HashMap::new(),
            traces: HashMap::new(),
            minutes: HashMap::new(),
            risky_words: vec!["赌博".to_owned(), "代开发票".to_owned()],
            faults: Vec::new(),
            delivered: Vec::new(),
            calls: BTreeMap::new(),
            seed: seed.to_owned(),
            counter: 3_248_682_510_344_190_000,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn app(&self, appid: &str) -> Option<&StandinApp> {
        self.apps.iter().find(|app| app.appid == appid)
    }

    /// A text that was never made before.
    pub(crate) fn fresh(&mut self, prefix: &str) -> String {
        self.counter += 1;
        let digest = Sha256::digest(format!("{}:{prefix}:{}", self.seed, self.counter));
        let hex: String = hex::encode(digest).chars().take(40).collect();
        format!("{prefix}{hex}")
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Somebody opens the app: a login code for them.
    pub fn login_code(&mut self, appid: &str, openid: &str, unionid: Option<&str>) -> String {
        let code = self.fresh("0");
        let expires_at = self.now() + CODE_LIFE;
        let (appid, stands_for, unionid) = (appid.to_owned(), openid.to_owned(), unionid.map(str::to_owned));
        self.login_codes.insert(code.clone(), OneTimeCode { appid, stands_for, unionid, expires_at, is_used: false });
        code
    }

    /// Somebody taps the phone button: a phone code.
    pub fn phone_code(&mut self, appid: &str, phone: &str) -> String {
        let code = self.fresh("p");
        let expires_at = self.now() + CODE_LIFE;
        let (appid, stands_for) = (appid.to_owned(), phone.to_owned());
        let held = OneTimeCode { appid, stands_for, unionid: None, expires_at, is_used: false };
        self.phone_codes.insert(code.clone(), held);
        code
    }

    /// Somebody accepts a template so many times.
    pub fn accept(&mut self, appid: &str, openid: &str, template_id: &str, times: u32) {
        let app = self.app(appid);
        let template = app.and_then(|app| app.templates.iter().find(|template| template.id == template_id));
        let is_long_term = template.is_some_and(|template| template.is_long_term);
        let key = (appid.to_owned(), openid.to_owned(), template_id.to_owned());
        let grant = self.grants.entry(key).or_default();
        *grant = (grant.0 + times, grant.1 || is_long_term);
    }

    /// What is left of somebody's consent, which the real platform tells nobody.
    pub fn grants_left(&self, appid: &str, openid: &str, template_id: &str) -> u32 {
        let key = (appid.to_owned(), openid.to_owned(), template_id.to_owned());
        self.grants.get(&key).map_or(0, |grant| grant.0)
    }

    /// Somebody edits an app's templates.
    pub fn set_templates(&mut self, appid: &str, templates: Vec<StandinTemplate>) {
        if let Some(app) = self.apps.iter_mut().find(|app| app.appid == appid) {
            app.templates = templates;
        }
    }

    /// Follows a service account, or not any more.
    pub fn follow(&mut self, appid: &str, openid: &str, unionid: Option<&str>, is_following: bool) {
        let person = self.person(appid, openid);
        person.is_following = is_following;
        person.unionid = unionid.map(str::to_owned).or(person.unionid.take());
    }

    /// Writes in the customer-service session.
    pub fn wrote(&mut self, appid: &str, openid: &str) {
        let now = self.now();
        self.person(appid, openid).wrote = Some((now, 0));
    }

    pub(crate) fn person(&mut self, appid: &str, openid: &str) -> &mut Person {
        let now = self.now();
        self.people.entry((appid.to_owned(), openid.to_owned())).or_insert_with(|| Person {
            unionid: None,
            session_key: String::new(),
            visited_at: now,
            is_following: false,
            wrote: None,
            entered: None,
        })
    }

    /// Makes the current stable token invalid, as a rotation elsewhere would.
    pub fn kill_token(&mut self, appid: &str) {
        let state = self.states.entry(appid.to_owned()).or_default();
        state.stable = Family::default();
    }

    /// Calls of a path so far.
    pub fn count(&self, path: &str) -> u32 {
        self.calls.get(path).copied().unwrap_or(0)
    }

    /// The token that is valid now, to look for it where it must not be.
    pub fn current_token(&self, appid: &str) -> Option<String> {
        self.states.get(appid)?.stable.current.as_ref().map(|token| token.value.clone())
    }

    /// Everything it gave out that must not be seen elsewhere: secrets, tokens, session keys.
    pub fn secrets(&self) -> Vec<String> {
        let tokens = |state: &AppState| {
            let families = [state.stable.clone(), state.legacy.clone()];
            families.into_iter().flat_map(|family| [family.current, family.previous]).flatten().collect::<Vec<_>>()
        };
        let given = self.states.values().flat_map(tokens).map(|token| token.value);
        let keys = self.people.values().map(|person| person.session_key.clone());
        let secrets = self.apps.iter().map(|app| app.secret.clone());
        given.chain(keys).chain(secrets).filter(|secret| !secret.is_empty()).collect()
    }

    /// The person's session key, to look for it where it must not be.
    pub fn session_key(&self, appid: &str, openid: &str) -> Option<String> {
        let person = self.people.get(&(appid.to_owned(), openid.to_owned()))?;
        Some(person.session_key.clone())
    }
}
