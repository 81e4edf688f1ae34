//! A deployment with the imported sample-like application and people signed in to it.

use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::load::export;
use crate::server::{APP_ID, APP_KEY, Api, Deployment, MASTER_KEY};

/// How a request identifies itself.
#[derive(Debug, Clone)]
pub enum As {
    Nobody,
    /// The application's key.
    App,
    /// The master key.
    Integrator,
    /// A session token.
    Session(String),
}

/// A client of one running API.
#[derive(Clone)]
pub struct Http {
    client: Client,
    base: String,
}

impl Http {
    /// # Panics
    /// When the client cannot be built.
    pub fn new(api: &Api) -> Self {
        let client = Client::builder().timeout(std::time::Duration::from_secs(30)).build().expect("a client");
        Self { client, base: format!("http://{}", api.address) }
    }

    pub fn request(&self, method: Method, path: &str, who: &As) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match who {
            As::Nobody => request,
            As::App => request.header("X-LC-Id", APP_ID).header("X-LC-Key", APP_KEY),
            As::Integrator => request.header("X-LC-Id", APP_ID).header("X-LC-Key", format!("{MASTER_KEY},master")),
            As::Session(token) => request.bearer_auth(token),
        }
    }

    /// # Panics
    /// When the server does not answer.
    pub fn get(&self, path: &str, who: &As) -> Answer {
        Answer::of(self.request(Method::GET, path, who).send().expect("an answer"))
    }

    /// # Panics
    /// When the server does not answer.
    pub fn post(&self, path: &str, who: &As, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path, who).json(body).send().expect("an answer"))
    }

    /// # Panics
    /// When the server does not answer.
    pub fn patch(&self, path: &str, who: &As, body: &Value) -> Answer {
        Answer::of(self.request(Method::PATCH, path, who).json(body).send().expect("an answer"))
    }

    /// The documented call.
    pub fn initiate(&self, doctor: &str, patient: &str) -> Answer {
        let body = json!({ "doctorId": doctor, "patientId": patient });
        self.post("/1.1/functions/initiateConsultation", &As::App, &body)
    }

    /// Signs in by SMS code as `patient` or `doctor`; needs the development profile.
    ///
    /// # Panics
    /// When any step is refused.
    pub fn sign_in(&self, phone: &str, role: &str) -> As {
        let asked = self.post("/api/v1/auth/sms-codes", &As::Nobody, &json!({ "phone": phone }));
        assert_eq!(asked.status, 201, "{}", asked.body);
        let inbox = self.get("/api/v1/dev/sms", &As::Nobody).body;
        let is_mine = |m: &&Value| m["phone"].as_str().is_some_and(|p| p.ends_with(phone));
        let message = inbox["items"].as_array().and_then(|items| items.iter().find(is_mine)).expect("a code was sent");
        let answer = json!({ "challengeId": asked.body["challengeId"], "code": message["code"], "role": role });
        let signed_in = self.post("/api/v1/auth/sign-in/sms", &As::Nobody, &answer);
        assert_eq!(signed_in.status, 201, "{}", signed_in.body);
        As::Session(signed_in.body["token"].as_str().expect("a token").to_owned())
    }

    /// Signs an agent or administrator in.
    ///
    /// # Panics
    /// When it is refused.
    pub fn sign_in_staff(&self, username: &str, password: &str) -> As {
        let answer = json!({ "username": username, "password": password });
        let signed_in = self.post("/api/v1/auth/sign-in/agent", &As::Nobody, &answer);
        assert_eq!(signed_in.status, 201, "{}", signed_in.body);
        As::Session(signed_in.body["token"].as_str().expect("a token").to_owned())
    }
}

/// Status and JSON body of an answer; `null` when the body is not JSON.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// # Panics
    /// When the answer breaks off.
    pub fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        let text = response.text().expect("a whole answer");
        Self { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
    }
}

/// Imports `doctors` certified doctors and `patients` patients, all with phone numbers.
///
/// # Panics
/// When the import fails.
pub fn populate(deployment: &Deployment, doctors: u32, patients: u32) {
    let folder = deployment.path().join("export");
    export::write(&folder, doctors, patients).expect("the export is written");
    deployment.run_ok(&["import-leancloud", &folder.display().to_string()]);
}

/// Makes an administrator and answers name and password.
///
/// # Panics
/// When the command fails or prints no password.
pub fn create_admin(deployment: &Deployment) -> (String, String) {
    let printed = deployment.run_ok(&["create-admin", "root-admin"]);
    let password = printed.lines().find_map(|line| line.split_once("password: ")).expect("a password is printed").1;
    ("root-admin".to_owned(), password.trim().to_owned())
}

/// The consistency rules that some rows break, as `check --json` tells them.
///
/// # Panics
/// When the check itself fails.
pub fn violations(deployment: &Deployment) -> Vec<Value> {
    let printed = deployment.run_ok(&["check", "--json"]);
    let report: Value = serde_json::from_str(&printed).expect("check prints JSON");
    report["violations"].as_array().expect("a list of violations").clone()
}
