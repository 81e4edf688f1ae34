//! A small stateful stand-in of LeanCloud's REST interface, as far as `import-leancloud --fetch` asks it: schemas, scan,
//! members of relations, the history of messages page by page, and addresses of files. It checks the master key, answers
//! too many requests at times, and can be told to break off.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

/// What is over there.
#[derive(Default)]
pub struct There {
    pub classes: BTreeMap<String, Vec<Value>>,
    /// Newest first.
    pub messages: Vec<Value>,
    /// Of relations: owner and field, and the ids of the members.
    pub members: BTreeMap<(String, String), Vec<String>>,
    /// By path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Every so many requests are refused as too many; 0: none.
    pub busy_every: u64,
    /// Requests that are still answered; `None`: all.
    pub answers_left: Option<u64>,
    pub requests: u64,
    /// Files that were asked for with credentials, which must never be.
    pub leaked: u64,
}

/// The running stand-in.
pub struct LeanCloudStandin {
    address: String,
    there: Arc<Mutex<There>>,
}

impl LeanCloudStandin {
    /// Serves on a free port until the process ends.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start(app_id: &str, master_key: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let there = Arc::new(Mutex::new(There::default()));
        let credentials = (app_id.to_owned(), format!("{master_key},master"));
        let shared = Arc::clone(&there);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, credentials) = (Arc::clone(&shared), credentials.clone());
                // A client that goes away ends its connection.
                std::thread::spawn(move || _ = serve(stream, &shared, &credentials));
            }
        });
        Self { address, there }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// # Panics
    /// When a thread that held it panicked.
    pub fn there(&self) -> MutexGuard<'_, There> {
        self.there.lock().expect("not poisoned")
    }
}

struct Asked {
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
}

fn serve(stream: TcpStream, there: &Mutex<There>, credentials: &(String, String)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(asked) = read(&mut reader)? {
        let (status, body) = answer(&asked, &mut there.lock().expect("not poisoned"), credentials);
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len())?;
        stream.write_all(&body)?;
    }
    Ok(())
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_end(&mut Vec::new())?;
    let (path, query) = target.split_once('?').unwrap_or((target.as_str(), ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
    Ok(Some(Asked { path: decoded(path), query, headers }))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: String = rest.by_ref().take(2).map(char::from).collect();
            bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn json_answer(status: u16, body: &Value) -> (u16, Vec<u8>) {
    (status, body.to_string().into_bytes())
}

fn answer(asked: &Asked, there: &mut There, (app_id, key): &(String, String)) -> (u16, Vec<u8>) {
    there.requests += 1;
    let header = |name: &str| asked.headers.get(name).map(String::as_str);
    if let Some(bytes) = there.files.get(&asked.path) {
        there.leaked += u64::from(header("x-lc-key").is_some());
        return (200, bytes.clone());
    }
    if header("x-lc-id") != Some(app_id.as_str()) || header("x-lc-key") != Some(key.as_str()) {
        return json_answer(401, &json!({ "code": 401, "error": "Unauthorized." }));
    }
    if there.busy_every > 0 && there.requests.is_multiple_of(there.busy_every) {
        return json_answer(429, &json!({ "code": 429, "error": "Too many requests." }));
    }
    if let Some(left) = &mut there.answers_left {
        let Some(next) = left.checked_sub(1) else {
            return json_answer(401, &json!({ "code": 401, "error": "stopped" }));
        };
        *left = next;
    }
    match asked.path.as_str() {
        "/1.1/schemas" => json_answer(200, &schemas(there)),
        "/1.2/rtm/messages" => json_answer(200, &messages(asked, there)),
        path => match path.strip_prefix("/1.1/scan/classes/").or_else(|| path.strip_prefix("/1.1/classes/")) {
            Some(class) => rows(asked, there, class, path.contains("/scan/")),
            None if path == "/1.1/users" => rows(asked, there, "_User", false),
            None => json_answer(404, &json!({ "code": 1, "error": "Not found." })),
        },
    }
}

fn schemas(there: &There) -> Value {
    let schema = |class: &String| (class.clone(), json!({ "objectId": { "type": "String" } }));
    there.classes.keys().map(schema).collect::<serde_json::Map<_, _>>().into()
}

fn messages(asked: &Asked, there: &There) -> Value {
    let limit = asked.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(100);
    let named = asked.query.get("msgid");
    let is_named = |message: &Value| message["msg-id"].as_str() == named.map(String::as_str);
    let from = named.and_then(|_| there.messages.iter().position(is_named)).map_or(0, |at| at + 1);
    there.messages.iter().skip(from).take(limit).cloned().collect()
}

fn rows(asked: &Asked, there: &There, class: &str, is_scan: bool) -> (u16, Vec<u8>) {
    let query = |name: &str| asked.query.get(name).cloned().unwrap_or_default();
    let number = |name: &str| query(name).parse::<usize>().ok();
    let limit = number("limit").unwrap_or(100);
    let filter: Value = serde_json::from_str(&query("where")).unwrap_or_default();
    if let Some(related) = filter.get("$relatedTo") {
        let owner = related["object"]["objectId"].as_str().unwrap_or_default().to_owned();
        let field = related["key"].as_str().unwrap_or_default().to_owned();
        let members = there.members.get(&(owner, field)).cloned().unwrap_or_default();
        let page = members.iter().skip(number("skip").unwrap_or(0)).take(limit).map(|id| json!({ "objectId": id }));
        return json_answer(200, &json!({ "results": page.collect::<Vec<_>>() }));
    }
    let Some(all) = there.classes.get(class) else {
        return json_answer(404, &json!({ "code": 101, "error": "Class or object doesn't exists." }));
    };
    if !query("count").is_empty() {
        return json_answer(200, &json!({ "results": [], "count": all.len() }));
    }
    let since = filter["updatedAt"]["$gte"]["iso"].as_str().unwrap_or_default().to_owned();
    let after = query("cursor");
    let id = |row: &Value| row["objectId"].as_str().unwrap_or_default().to_owned();
    let is_wanted = |row: &&Value| id(row) > after && row["updatedAt"].as_str().unwrap_or_default() >= since.as_str();
    let wanted: Vec<&Value> = all.iter().filter(is_wanted).collect();
    let page: Vec<&Value> = wanted.iter().copied().take(limit).collect();
    let mut body = json!({ "results": page });
    if is_scan && page.len() < wanted.len() {
        body["cursor"] = page.last().map(|row| json!(id(row))).unwrap_or_default();
    }
    json_answer(200, &body)
}
