//! A client of LeanCloud's storage interface that says whatever it is told to.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, As, Http};

/// What everybody signs up with.
pub const PASSWORD: &str = "a long password";

/// Somebody with the application's key, signed in or not.
pub struct Client<'a> {
    http: &'a Http,
    token: Option<String>,
}

impl<'a> Client<'a> {
    pub const fn nobody(http: &'a Http) -> Self {
        Self { http, token: None }
    }

    /// A new account under a name.
    ///
    /// # Panics
    /// When it is refused.
    pub fn sign_up(http: &'a Http, name: &str) -> Self {
        let body = json!({ "username": name, "password": PASSWORD });
        let answer = Self::nobody(http).call(Method::POST, "/users", &body);
        assert_eq!(answer.status, 201, "{}", answer.body);
        let token = answer.body["sessionToken"].as_str().expect("a token").to_owned();
        Self { http, token: Some(token) }
    }

    /// A patient or doctor.
    ///
    /// # Panics
    /// When it is refused.
    pub fn sign_in(http: &'a Http, phone: &str, role: &str) -> Self {
        let As::Session(token) = http.sign_in(phone, role) else { panic!("no session") };
        Self { http, token: Some(token) }
    }

    /// # Panics
    /// When the server does not answer.
    pub fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.http.request(method, &format!("/1.1{path}"), &As::App).json(body);
        let request = match &self.token {
            Some(token) => request.header("X-LC-Session", token),
            None => request,
        };
        Answer::of(request.send().expect("an answer"))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &Value::Null)
    }

    /// What a query answers; it goes through a batch, as long ones do.
    pub fn query(&self, class: &str, params: &Value) -> Value {
        let request = json!({ "method": "GET", "path": format!("/1.1/classes/{class}"), "params": params });
        self.call(Method::POST, "/batch", &json!({ "requests": [request] })).body[0].clone()
    }

    /// Ids that a query finds.
    ///
    /// # Panics
    /// When it is refused.
    pub fn find(&self, class: &str, filter: &Value) -> Vec<String> {
        let answer = self.query(class, &json!({ "where": filter.to_string() }));
        let rows = answer["success"]["results"].as_array();
        let rows = rows.unwrap_or_else(|| panic!("no results: {answer}"));
        rows.iter().map(|row| row["objectId"].as_str().expect("an id").to_owned()).collect()
    }

    /// Makes an object and answers its id.
    ///
    /// # Panics
    /// When it is refused.
    pub fn create(&self, class: &str, body: &Value) -> String {
        let answer = self.call(Method::POST, &format!("/classes/{class}"), body);
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["objectId"].as_str().expect("an id").to_owned()
    }

    /// The id of the own account.
    ///
    /// # Panics
    /// When nobody is signed in.
    pub fn user(&self) -> String {
        self.get("/users/me").body["objectId"].as_str().expect("an id").to_owned()
    }
}

/// # Panics
/// When it was not refused with this status and code.
#[track_caller]
pub fn refused(answer: &Answer, status: u16, code: i64) {
    assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{}", answer.body);
}

pub fn pointer(class: &str, id: &str) -> Value {
    json!({ "__type": "Pointer", "className": class, "objectId": id })
}
