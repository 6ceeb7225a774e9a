//! The real server with something behind its doors that tests can steer, and a client that speaks raw HTTP.

use axum::body::Bytes;
use fenghuo::engine::event::SubjectKey;
use fenghuo::engine::time::EventTime;
use fenghuo::runtime::clock::Clock;
use fenghuo::runtime::config::HttpConfig;
use fenghuo::runtime::http::answer::RequestId;
use fenghuo::runtime::http::behind::{
    Act, ActError, AuditEntry, AuditFault, AuditSink, Control, Health, Ingest, PushError,
    ReadModel, Receipt, WarningQuery,
};
use fenghuo::runtime::http::{Doors, Limits, Server, StartError};
use fenghuo::runtime::metrics::Metrics;
use fenghuo::runtime::paper::Form;
use fenghuo::runtime::tokens::rights::Role;
use fenghuo::runtime::tokens::{NewToken, create};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// 2026-03-01 08:00 in Shanghai.
pub(super) const NOW: EventTime = EventTime(1_772_323_200_000);
/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Behind the doors: what arrives is kept, what is answered can be set.
pub(super) struct Behind {
    pub(super) pushed: Mutex<Vec<(String, Vec<u8>, String)>>,
    pub(super) push_error: Mutex<Option<PushError>>,
    /// Receipts go here instead of being given at once.
    pub(super) held: Mutex<Option<mpsc::Sender<oneshot::Sender<Receipt>>>>,
    pub(super) audited: Mutex<Vec<String>>,
    pub(super) audit_fails: AtomicBool,
    /// Acts wait for a word from here.
    pub(super) act_gate: Mutex<Option<mpsc::Receiver<()>>>,
    /// Hears each line of the audit log.
    pub(super) audit_tap: Mutex<Option<mpsc::Sender<String>>>,
    pub(super) acts: Mutex<Vec<(String, Act)>>,
    pub(super) queries: Mutex<Vec<WarningQuery>>,
}

impl Ingest for Behind {
    fn push(
        &self,
        connector: &str,
        body: Bytes,
        request: &RequestId,
    ) -> Result<oneshot::Receiver<Receipt>, PushError> {
        if let Some(error) = self.push_error.lock().unwrap().clone() {
            return Err(error);
        }
        if connector == "nobody" {
            return Err(PushError::UnknownConnector);
        }
        let read = u64::try_from(body.split(|byte| *byte == b'\n').count()).unwrap();
        let entry = (connector.to_owned(), body.to_vec(), request.to_string());
        self.pushed.lock().unwrap().push(entry);
        let (give, receipt) = oneshot::channel();
        match &*self.held.lock().unwrap() {
            Some(hold) => hold.send(give).unwrap(),
            None => give
                .send(Receipt {
                    read,
                    accepted: read - 1,
                    refused: 1,
                })
                .unwrap(),
        }
        Ok(receipt)
    }
}

impl ReadModel for Behind {
    fn subject(&self, key: &SubjectKey) -> Option<Value> {
        (&*key.key == "91320100MA1TEST00X").then(|| json!({"subject": key.to_string()}))
    }
    fn warnings(&self, query: &WarningQuery) -> Value {
        self.queries.lock().unwrap().push(query.clone());
        json!({"warnings": []})
    }
    fn warning(&self, id: &str) -> Option<Value> {
        (id == "w1").then(|| json!({"id": id}))
    }
    fn case(&self, id: &str) -> Option<Value> {
        (id == "w1").then(|| json!({"id": id}))
    }

    fn key_events(&self) -> Option<Value> {
        Some(json!({"key_events": []}))
    }
    fn key_event(&self, id: &str) -> Option<Value> {
        (id == "event:w1").then(|| json!({"id": id}))
    }
    fn event_report(&self, id: &str, form: Form) -> Option<Result<Vec<u8>, String>> {
        (id == "event:w1").then(|| Ok(format!("{form:?}").into_bytes()))
    }

    fn rules(&self) -> Value {
        json!({"rules": []})
    }
    fn duel(&self, challenger: &str) -> Option<Result<Value, String>> {
        Some(match challenger {
            "FS-003-B" => Ok(json!({"challenger": challenger})),
            other => Err(format!("no rule \"{other}\" is in force")),
        })
    }
}

impl Control for Behind {
    fn act(&self, actor: &str, act: &Act) -> Result<Value, ActError> {
        if let Act::Feedback { warning, .. } = act
            && warning != "w1"
        {
            return Err(ActError::NotFound(format!("no warning \"{warning}\"")));
        }
        if let Some(gate) = &*self.act_gate.lock().unwrap() {
            gate.recv().unwrap();
        }
        self.acts
            .lock()
            .unwrap()
            .push((actor.to_owned(), act.clone()));
        Ok(json!({"done": true}))
    }
}

impl AuditSink for Behind {
    fn append(&self, entry: &AuditEntry<'_>) -> Result<(), AuditFault> {
        if self.audit_fails.load(Ordering::Relaxed) {
            return Err(AuditFault("disk full".to_owned()));
        }
        let line = format!(
            "{} [{}] {} {}: {}",
            entry.actor, entry.role, entry.action, entry.object, entry.result
        );
        if let Some(tap) = &*self.audit_tap.lock().unwrap() {
            tap.send(line.clone()).unwrap();
        }
        self.audited.lock().unwrap().push(line);
        Ok(())
    }
    fn recent(&self, limit: usize) -> Result<Value, AuditFault> {
        Ok(json!({"entries": self.audited.lock().unwrap().len().min(limit)}))
    }
}

/// A running server and all that a test wants of it.
pub(super) struct House {
    pub(super) behind: Arc<Behind>,
    pub(super) health: Arc<Health>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
    pub(super) address: SocketAddr,
    pub(super) dir: tempfile::TempDir,
    server: Option<Server>,
    stop: Option<oneshot::Sender<()>>,
}

/// How to build a [`House`].
pub(super) struct Plan {
    pub(super) limits: Limits,
    pub(super) with_tokens: bool,
    pub(super) tls: Option<fenghuo::runtime::config::TlsConfig>,
    pub(super) listen: &'static str,
}

impl Default for Plan {
    fn default() -> Self {
        let limits = Limits {
            denials_per_second_max: 1_000,
            ..Limits::default()
        };
        Self {
            limits,
            with_tokens: false,
            tls: None,
            listen: "127.0.0.1:0",
        }
    }
}

impl Plan {
    pub(super) fn with_tokens() -> Self {
        Self {
            with_tokens: true,
            ..Self::default()
        }
    }

    pub(super) fn limits(change: impl FnOnce(&mut Limits)) -> Self {
        let mut plan = Self::default();
        change(&mut plan.limits);
        plan
    }

    pub(super) fn build(self) -> House {
        self.try_build().unwrap()
    }

    pub(super) fn try_build(self) -> Result<House, StartError> {
        let dir = tempfile::tempdir().unwrap();
        let behind = Arc::new(Behind {
            pushed: Mutex::default(),
            push_error: Mutex::default(),
            held: Mutex::default(),
            audited: Mutex::default(),
            audit_fails: AtomicBool::new(false),
            act_gate: Mutex::default(),
            audit_tap: Mutex::default(),
            acts: Mutex::default(),
            queries: Mutex::default(),
        });
        let health = Arc::new(Health::default());
        let metrics = Arc::new(Metrics::new(NOW));
        let clock = Clock::at(NOW);
        let tokens: Option<PathBuf> = self.with_tokens.then(|| dir.path().join("tokens.toml"));
        if let Some(path) = &tokens {
            add_token(path, "first", Role::Reader, &[]);
        }
        let config = HttpConfig {
            listen: self.listen.parse().unwrap(),
            tokens,
            tls: self.tls,
        };
        let doors = Doors {
            ingest: behind.clone(),
            read: behind.clone(),
            control: behind.clone(),
            audit: behind.clone(),
            health: Arc::clone(&health),
            metrics: Arc::clone(&metrics),
            clock: clock.clone(),
        };
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            // A dropped sender stops the server as well.
            let _ = stopped.await;
        };
        let server = Server::start(&config, self.limits, doors, shutdown)?;
        let address = SocketAddr::from(([127, 0, 0, 1], server.address().port()));
        Ok(House {
            behind,
            health,
            metrics,
            clock,
            address,
            dir,
            server: Some(server),
            stop: Some(stop),
        })
    }
}

fn add_token(path: &std::path::Path, name: &str, role: Role, connectors: &[&str]) -> String {
    let new = NewToken {
        name: name.to_owned(),
        role,
        days: 30,
        connectors: connectors.iter().map(|c| (*c).to_owned()).collect(),
    };
    create(path, &new, NOW).unwrap().expose().clone()
}

impl House {
    /// Makes a token; its name is that of the role.
    pub(super) fn token(&self, role: Role, connectors: &[&str]) -> String {
        add_token(
            &self.dir.path().join("tokens.toml"),
            role.name(),
            role,
            connectors,
        )
    }

    /// A connection that is closed after [`PATIENCE`] without a byte.
    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends what is written and reads until the server closes.
    pub(super) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // The server may answer and close before everything is sent.
        let _ = stream.write_all(bytes);
        Answer::read(&mut stream)
    }

    /// One request on its own connection.
    pub(super) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.raw(&request(method, path, headers, body))
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub(super) fn ask_as(&self, token: &str, method: &str, path: &str, body: &[u8]) -> Answer {
        self.ask(
            method,
            path,
            &[&format!("Authorization: Bearer {token}")],
            body,
        )
    }

    pub(super) fn audited(&self) -> Vec<String> {
        self.behind.audited.lock().unwrap().clone()
    }

    /// Tells the server to stop.
    pub(super) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits for the end.
    pub(super) fn join(&mut self) {
        self.server.take().unwrap().join().unwrap();
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(server) = self.server.take()
            && !std::thread::panicking()
        {
            server.join().unwrap();
        }
    }
}

/// A request that asks the server to close afterwards.
pub(super) fn request(method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    if method == "POST" {
        text.push_str("Content-Length: ");
        text.push_str(&body.len().to_string());
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// What came back; status 0 if the server closed without a word.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn read(stream: &mut impl Read) -> Self {
        let mut bytes = Vec::new();
        if let Err(error) = stream.read_to_end(&mut bytes) {
            use std::io::ErrorKind::{ConnectionReset, UnexpectedEof};
            let kind = error.kind();
            assert!([ConnectionReset, UnexpectedEof].contains(&kind), "{error}");
        }
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .map_or(0, |word| word.parse().unwrap());
        Self {
            status,
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&start))
    }

    /// `404 unknown_connector`, or only the status of what is no error.
    pub(super) fn code(&self) -> String {
        let error = serde_json::from_str::<Value>(&self.body)
            .ok()
            .and_then(|json| json.get("error").cloned());
        let Some(error) = error else {
            return self.status.to_string();
        };
        let text = |key| error.get(key).and_then(Value::as_str).unwrap();
        assert!(!text("message").is_empty());
        format!("{} {}", self.status, text("code"))
    }
}
