//! A deployment with the stand-in for WeChat beside it, and the stand-in's own controls.

use std::time::Duration;

use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::server::{Api, Deployment, free_port};
use crate::world::{As, Http, create_admin};

/// The stand-in's own controls.
pub struct Platform {
    client: Client,
    base: String,
}

impl Platform {
    /// # Panics
    /// When the client cannot be built.
    pub fn at(port: u16) -> Self {
        let client = Client::builder().timeout(Duration::from_secs(30)).build().expect("a client");
        Self { client, base: format!("http://127.0.0.1:{port}") }
    }

    /// # Panics
    /// When it is refused.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.client.post(format!("{}/_standin{path}", self.base)).json(body).send().expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "{path} {body}");
        answer.json().expect("JSON")
    }

    /// # Panics
    /// When it does not answer.
    pub fn get(&self, path: &str) -> Value {
        self.client.get(format!("{}{path}", self.base)).send().expect("an answer").json().expect("JSON")
    }

    /// # Panics
    /// When it does not answer.
    pub fn delete(&self, path: &str) {
        self.client.delete(format!("{}/_standin{path}", self.base)).send().expect("an answer");
    }

    /// A code of `wx.login`.
    pub fn login(&self, app: &str, openid: &str, unionid: Option<&str>) -> Value {
        let body = json!({ "appid": format!("wx-standin-{app}"), "openid": openid, "unionid": unionid });
        self.post("/login", &body)["code"].clone()
    }

    /// A code of the phone button.
    pub fn phone(&self, app: &str, phone: &str) -> Value {
        self.post("/phone", &json!({ "appid": format!("wx-standin-{app}"), "phone": phone }))["code"].clone()
    }

    pub fn consent(&self, app: &str, openid: &str) -> Value {
        let template = format!("standin-{app}-new-message");
        let body = json!({ "appid": format!("wx-standin-{app}"), "openid": openid, "templateId": template });
        self.post("/consent", &body)
    }

    /// # Panics
    /// When it does not answer.
    pub fn deliveries(&self, openid: &str) -> Vec<Value> {
        let items = self.get("/_standin/deliveries")["items"].clone();
        let items = items.as_array().expect("deliveries");
        items.iter().filter(|item| item["openid"] == openid).cloned().collect()
    }
}

/// A running deployment with its worker and the stand-in inside, and an administrator signed in to it.
pub struct WithWechat {
    pub deployment: Deployment,
    pub api: Api,
    pub http: Http,
    pub admin: As,
    pub platform: Platform,
}

impl WithWechat {
    /// Starts it, after `prepare` has filled its database.
    ///
    /// # Panics
    /// When something does not start.
    pub fn start(deployment: Deployment, prepare: impl FnOnce(&Deployment)) -> Self {
        let port = free_port();
        let deployment = deployment
            .with("wechat.standin", &format!("127.0.0.1:{port}"))
            .with("worker.embedded", "true")
            .with("worker.poll", "100ms");
        prepare(&deployment);
        let (name, password) = create_admin(&deployment);
        let api = deployment.start_api();
        let http = Http::new(&api);
        let admin = http.sign_in_staff(&name, &password);
        Self { deployment, api, http, admin, platform: Platform::at(port) }
    }
}
