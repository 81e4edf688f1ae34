//! `demo`: a first consultation from beginning to end, against a real server on a throw-away database, told aloud.
#![expect(clippy::indexing_slicing, reason = "indexing a JSON value answers null where there is nothing")]

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use runtime::OsRandom;
use serde_json::{Value, json};

use super::Failure;

/// The sample application, as exported from LeanCloud. Nobody in it exists.
const SAMPLE: [(&str, &str); 6] = [
    ("_User", include_str!("../../../../demo/leancloud-export/_User.0.jsonl")),
    ("Doctor", include_str!("../../../../demo/leancloud-export/Doctor.0.jsonl")),
    ("Patients", include_str!("../../../../demo/leancloud-export/Patients.0.jsonl")),
    ("DoctorPatientRelation", include_str!("../../../../demo/leancloud-export/DoctorPatientRelation.0.jsonl")),
    ("Consultation", include_str!("../../../../demo/leancloud-export/Consultation.0.jsonl")),
    ("_Conversation", include_str!("../../../../demo/leancloud-export/_Conversation.0.jsonl")),
];
const DOCTOR: &str = "5daeb07b7b968a0074945056";
const PATIENT: &str = "5db2cf72f884af0073deb1bc";
const PATIENT_PHONE: &str = "13900000000";
const APP_ID: &str = "demo-application";
/// Looks at something that takes a moment, and the pause between two.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn run() -> Result<(), Failure> {
    let folder = Folder::make()?;
    let demo = Demo::prepare(&folder.0)?;
    demo.tell()
}

/// A folder that is gone in the end.
struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Self> {
        let name = domain::rng::SecureRandom::base62(&OsRandom, 12);
        let path = std::env::temp_dir().join(format!("zhaoguan-demo-{name}"));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server that is stopped in the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have stopped by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Demo<'a> {
    folder: &'a Path,
    address: String,
    app_key: String,
}

impl<'a> Demo<'a> {
    fn prepare(folder: &'a Path) -> Result<Self, Failure> {
        let export = folder.join("export");
        fs::create_dir(&export)?;
        for (class, rows) in SAMPLE {
            fs::write(export.join(format!("{class}.0.jsonl")), rows)?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let app_key = domain::rng::SecureRandom::base62(&OsRandom, 24);
        Ok(Self { folder, address: format!("127.0.0.1:{port}"), app_key })
    }

    fn command(&self, arguments: &[&str]) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(arguments)
            .current_dir(self.folder)
            .env("ZHAOGUAN__PROFILE", "development")
            .env("ZHAOGUAN__DATABASE__URL", format!("sqlite://{}/demo.db", self.folder.display()))
            .env("ZHAOGUAN__HTTP__LISTEN", &self.address)
            .env("ZHAOGUAN__APP__ID", APP_ID)
            .env("ZHAOGUAN__APP__KEY", &self.app_key)
            .env("ZHAOGUAN__LOG__FILTER", "warn")
            .env_remove("ZHAOGUAN_CONFIG");
        Ok(command)
    }

    fn tell(&self) -> Result<(), Failure> {
        println!("1. Importing an exported LeanCloud application (invented people):\n");
        if !self.command(&["import-leancloud", "export"])?.status()?.success() {
            return Err("the sample could not be imported".into());
        }
        println!("\n2. Serving it at http://{} …", self.address);
        let serving = self.command(&["serve"])?.stdout(Stdio::null()).spawn()?;
        let _running = Running(serving);
        wait_until("the server is ready", || Ok(self.call("GET", "/readyz", None, None)?.0 == 200))?;

        println!("\n3. The patient signs in with an SMS code:");
        let token = self.sign_in()?;

        println!("\n4. The patient starts a consultation, by the call that LeanCloud clients make:");
        let first = self.initiate(&token)?;
        println!("   and once more, as impatient people do:");
        self.initiate(&token)?;

        println!("\n5. Was the doctor told?");
        self.show_decision(&token, &first)?;

        println!("\n6. The patient ends it:");
        let path = format!("/api/v1/consultations/{first}/end");
        let (_, ended) = self.call("POST", &path, Some(&token), Some(&json!({})))?;
        println!("   status {} ({})", ended["status"], ended["endReason"]);
        println!("\nThat was the whole road. `just run` starts a server of your own; /docs describes its API.");
        Ok(())
    }

    fn sign_in(&self) -> Result<String, Failure> {
        let (_, asked) = self.call("POST", "/api/v1/auth/sms-codes", None, Some(&json!({ "phone": PATIENT_PHONE })))?;
        let (_, inbox) = self.call("GET", "/api/v1/dev/sms", None, None)?;
        let message = &inbox["items"][0];
        println!("   the development provider shows the message: {}", text(&message["text"]));
        let answer = json!({ "challengeId": asked["challengeId"], "code": message["code"], "role": "patient" });
        let (status, signed_in) = self.call("POST", "/api/v1/auth/sign-in/sms", None, Some(&answer))?;
        println!("   signed in ({status}) as patient {}", text(&signed_in["patientId"]));
        Ok(text(&signed_in["token"]).to_owned())
    }

    fn initiate(&self, token: &str) -> Result<String, Failure> {
        let body = json!({ "doctorId": DOCTOR, "patientId": PATIENT });
        let (_, answer) = self.call("POST", "/1.1/functions/initiateConsultation", Some(token), Some(&body))?;
        println!("   {answer}");
        Ok(text(&answer["result"]["consultationId"]).to_owned())
    }

    fn show_decision(&self, token: &str, consultation: &str) -> Result<(), Failure> {
        let path = format!("/api/v1/consultations/{consultation}/notifications");
        let look =
            || -> Result<Value, Failure> { Ok(self.call("GET", &path, Some(token), None)?.1["items"][0].clone()) };
        wait_until("the doctor is told, or is to be told later", || {
            let told = look()?;
            Ok(told["state"] == "sent" || told["reason"] == "OUTSIDE_WINDOW")
        })?;
        let told = look()?;
        println!("   cause {}: {} because {}, due {}", told["cause"], told["state"], told["reason"], told["dueAt"]);
        Ok(())
    }

    /// One request over HTTP/1.1, on a connection of its own.
    fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(u16, Value), Failure> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let session = token.map(|t| format!("X-LC-Session: {t}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nX-LC-Id: {APP_ID}\r\nX-LC-Key: {}\r\n{session}\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            self.app_key,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address)?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("the server broke off")?;
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("the server does not speak HTTP")?;
        Ok((status, serde_json::from_str(body).unwrap_or_default()))
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> Result<bool, Failure>) -> Result<(), Failure> {
    for _ in 0..LOOKS {
        // Until it listens, the server cannot be reached.
        if is_so().unwrap_or(false) {
            return Ok(());
        }
        sleep(PAUSE);
    }
    Err(format!("waited in vain until {what}").into())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
