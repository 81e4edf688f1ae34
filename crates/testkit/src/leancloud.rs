//! A small stateful stand-in of LeanCloud's REST interface, as far as `import-leancloud --fetch` asks it: schemas, scan,
//! members of relations, the history of messages page by page, and addresses of files. [`There`] answers by itself;
//! [`LeanCloudStandIn`] does so over HTTP, and checks the master key. It answers too many requests at times, and can be told
//! to break off.

#![expect(clippy::indexing_slicing, reason = "what is missing in a JSON value reads as null")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

/// What is over there.
#[derive(Debug, Clone, Default)]
pub struct There {
    pub classes: BTreeMap<String, Vec<Value>>,
    /// Newest first.
    pub messages: Vec<Value>,
    /// Of relations: owner and field, and the ids of the members.
    pub members: BTreeMap<(String, String), Vec<String>>,
    /// By path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// There is no scan, as for applications that never had it.
    pub lacks_scan: bool,
    /// Nobody tells which classes there are.
    pub lacks_schemas: bool,
    /// The next so many requests are refused as too many.
    pub busy_for: u64,
    /// Every so many requests are refused as too many; 0: none.
    pub busy_every: u64,
    /// Requests that are still answered; `None`: all.
    pub answers_left: Option<u64>,
    pub requests: u64,
    /// Files that were asked for with credentials, which must never be.
    pub leaked: u64,
}

/// A request that is refused, with LeanCloud's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    pub code: i64,
}

impl Refused {
    /// What LeanCloud says to it.
    const fn text(self) -> &'static str {
        match self.status {
            401 => "Unauthorized.",
            429 => "Too many requests.",
            _ => "Not found.",
        }
    }
}

const TOO_MANY: Refused = Refused { status: 429, code: 429 };
const UNAUTHORIZED: Refused = Refused { status: 401, code: 401 };
const NO_CLASS: Refused = Refused { status: 404, code: 101 };
const NO_PATH: Refused = Refused { status: 404, code: 1 };

/// The parameters of a request.
pub type Parameters = BTreeMap<String, String>;

impl There {
    /// Answers a request that shows the master key.
    ///
    /// # Errors
    /// [`Refused`], also when it is busy or was told to break off.
    pub fn ask(&mut self, path: &str, query: &Parameters) -> Result<Value, Refused> {
        self.requests += 1;
        if self.busy_for > 0 {
            self.busy_for -= 1;
            return Err(TOO_MANY);
        }
        if self.busy_every > 0 && self.requests.is_multiple_of(self.busy_every) {
            return Err(TOO_MANY);
        }
        if let Some(left) = &mut self.answers_left {
            *left = left.checked_sub(1).ok_or(UNAUTHORIZED)?;
        }
        match path {
            "/1.1/schemas" if self.lacks_schemas => Err(NO_PATH),
            "/1.1/schemas" => Ok(self.schemas()),
            "/1.2/rtm/messages" => Ok(self.page_of_messages(query)),
            "/1.1/users" => self.rows("_User", query, false),
            path => match (path.strip_prefix("/1.1/scan/classes/"), path.strip_prefix("/1.1/classes/")) {
                (Some(class), _) if !self.lacks_scan => self.rows(class, query, true),
                (None, Some(class)) => self.rows(class, query, false),
                _ => Err(NO_PATH),
            },
        }
    }

    fn schemas(&self) -> Value {
        let schema = |class: &String| (class.clone(), json!({ "objectId": { "type": "String" } }));
        self.classes.keys().map(schema).collect::<serde_json::Map<_, _>>().into()
    }

    fn page_of_messages(&self, query: &Parameters) -> Value {
        let limit = number(query, "limit").unwrap_or(100);
        let named = query.get("msgid");
        let is_named = |message: &Value| message["msg-id"].as_str() == named.map(String::as_str);
        let from = named.and_then(|_| self.messages.iter().position(is_named)).map_or(0, |at| at + 1);
        self.messages.iter().skip(from).take(limit).cloned().collect()
    }

    fn rows(&self, class: &str, query: &Parameters, is_scan: bool) -> Result<Value, Refused> {
        let text = |name: &str| query.get(name).cloned().unwrap_or_default();
        let limit = number(query, "limit").unwrap_or(100);
        let filter: Value = serde_json::from_str(&text("where")).unwrap_or_default();
        if let Some(related) = filter.get("$relatedTo") {
            let owner = related["object"]["objectId"].as_str().unwrap_or_default().to_owned();
            let field = related["key"].as_str().unwrap_or_default().to_owned();
            let members = self.members.get(&(owner, field)).cloned().unwrap_or_default();
            let skipped = number(query, "skip").unwrap_or(0);
            let page = members.iter().skip(skipped).take(limit).map(|id| json!({ "objectId": id }));
            return Ok(json!({ "results": page.collect::<Vec<_>>() }));
        }
        let all = self.classes.get(class).ok_or(NO_CLASS)?;
        if !text("count").is_empty() {
            return Ok(json!({ "results": [], "count": all.len() }));
        }
        let since = filter["updatedAt"]["$gte"]["iso"].as_str().unwrap_or_default().to_owned();
        let after = match text("cursor") {
            cursor if cursor.is_empty() => filter["objectId"]["$gt"].as_str().unwrap_or_default().to_owned(),
            cursor => cursor,
        };
        let id = |row: &Value| row["objectId"].as_str().unwrap_or_default().to_owned();
        let is_wanted =
            |row: &&Value| id(row) > after && row["updatedAt"].as_str().unwrap_or_default() >= since.as_str();
        let wanted: Vec<&Value> = all.iter().filter(is_wanted).collect();
        let page: Vec<&Value> = wanted.iter().copied().take(limit).collect();
        let mut body = json!({ "results": page });
        if is_scan && page.len() < wanted.len() {
            body["cursor"] = page.last().map(|row| json!(id(row))).unwrap_or_default();
        }
        Ok(body)
    }
}

fn number(query: &Parameters, name: &str) -> Option<usize> {
    query.get(name)?.parse().ok()
}

/// The running stand-in.
pub struct LeanCloudStandIn {
    address: String,
    there: Arc<Mutex<There>>,
}

impl LeanCloudStandIn {
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
    query: Parameters,
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

fn answer(asked: &Asked, there: &mut There, (app_id, key): &(String, String)) -> (u16, Vec<u8>) {
    let header = |name: &str| asked.headers.get(name).map(String::as_str);
    if let Some(bytes) = there.files.get(&asked.path) {
        there.leaked += u64::from(header("x-lc-key").is_some());
        return (200, bytes.clone());
    }
    let is_known = header("x-lc-id") == Some(app_id.as_str()) && header("x-lc-key") == Some(key.as_str());
    let answered = if is_known { there.ask(&asked.path, &asked.query) } else { Err(UNAUTHORIZED) };
    match answered {
        Ok(body) => (200, body.to_string().into_bytes()),
        Err(refused) => {
            let body = json!({ "code": refused.code, "error": refused.text() });
            (refused.status, body.to_string().into_bytes())
        }
    }
}
