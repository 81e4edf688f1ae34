//! Pushing messages to the product, as the platform would.

use std::fmt::Write;

use bytes::Bytes;
use domain::rng::SecureRandom;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use wechat::PushFormat;
use wechat::PushMode;
use wechat::push::envelope::EnvelopeKey;
use wechat::sign::push_signature;

use crate::platform::{Platform, StandinApp};

/// A request that is ready to go.
#[derive(Clone)]
pub(crate) struct Outgoing {
    host: String,
    path: String,
    body: String,
}

struct Fixed;
impl SecureRandom for Fixed {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(b'x');
    }
}

/// Signs and seals a message for an app's callback; `None` when it has none.
pub(crate) fn prepare(platform: &mut Platform, appid: &str, message: &Value) -> Option<Outgoing> {
    let nonce = platform.next_number().to_string();
    let timestamp = (platform.now().as_millis() / 1_000).to_string();
    let app: &StandinApp = platform.app(appid)?;
    let push = app.push.as_ref()?;
    let rest = push.url.strip_prefix("http://")?;
    let (host, path) = rest.split_once('/')?;
    let written = write(push.format, message);
    let signature = push_signature(&[&push.token, &timestamp, &nonce]);
    let openid = message.get("FromUserName").and_then(Value::as_str).unwrap_or_default();
    let mut path = format!("/{path}?signature={signature}&timestamp={timestamp}&nonce={nonce}&openid={openid}");
    let sealed = push.key.as_ref().filter(|_| push.mode != PushMode::Plain);
    let body = match sealed {
        None => written,
        Some(key) => {
            let encrypted = EnvelopeKey::seal(key, &Fixed, written.as_bytes(), appid);
            let signature = push_signature(&[&push.token, &timestamp, &nonce, &encrypted]);
            path.push_str("&encrypt_type=aes&msg_signature=");
            path.push_str(&signature);
            let mut outer = if push.mode == PushMode::Compat { message.clone() } else { json!({}) };
            if let Some(map) = outer.as_object_mut() {
                map.insert("ToUserName".to_owned(), json!("gh_standin"));
                map.insert("Encrypt".to_owned(), json!(encrypted));
            }
            write(push.format, &outer)
        }
    };
    Some(Outgoing { host: host.to_owned(), path, body })
}

fn write(format: PushFormat, message: &Value) -> String {
    match format {
        PushFormat::Json => message.to_string(),
        PushFormat::Xml => {
            let mut text = String::from("<xml>");
            for (name, value) in message.as_object().into_iter().flatten() {
                element(&mut text, name, value);
            }
            text.push_str("</xml>");
            text
        }
    }
}

fn element(text: &mut String, name: &str, value: &Value) {
    if let Value::Array(items) = value {
        for item in items {
            element(text, name, item);
        }
        return;
    }
    // Writing to a String cannot fail.
    let _ = write!(text, "<{name}>");
    match value {
        Value::Object(map) => children(text, map),
        Value::String(words) => {
            let _ = write!(text, "<![CDATA[{words}]]>");
        }
        other => text.push_str(&other.to_string()),
    }
    let _ = write!(text, "</{name}>");
}

fn children(text: &mut String, map: &Map<String, Value>) {
    for (name, value) in map {
        element(text, name, value);
    }
}

/// Sends it; the status of the answer, or none when there was none.
pub(crate) async fn send(outgoing: Outgoing) -> Option<StatusCode> {
    let stream = TcpStream::connect(&outgoing.host).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::post(outgoing.path)
        .header("host", outgoing.host)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(outgoing.body)))
        .ok()?;
    let exchange = async {
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        response.into_body().collect().await.ok()?;
        Some(status)
    };
    tokio::select! {
        biased;
        status = exchange => status,
        _ = connection => None,
    }
}
