//! What stands behind the doors: pushed bodies into lanes, questions to the loop, the board of warnings, metrics.
//!
//! The board is a map that several threads share at low rate: it is written when a batch is durable and read by HTTP.
//! A question about a subject goes to the loop and is answered between batches.
//!
//! bounds   the board holds the warnings that the state holds; [`QUESTIONS_MAX`] questions wait

use super::audit::{Act as AuditAct, Audit, read as read_audit};
use super::clock::Clock;
use super::http::answer::RequestId;
use super::http::behind::{
    Act, ActError, AuditEntry, AuditFault, AuditSink, Control, Health, Ingest, PushError,
    ReadModel, Receipt, WarningQuery,
};
use super::metrics::warnings::Standing;
use super::paper::Form;
use super::rollout::reload::{ReloadError, Reloader};
use super::run::{AboutSubject, Question};
use super::source::{PushQueue, Pushed};
use crate::engine::desk::joint;
use crate::engine::desk::key_event::{KeyEvent, PREFIX};
use crate::engine::desk::task::Word;
use crate::engine::duel::duel;
use crate::engine::event::{RecordKey, SubjectKey, SubjectKind};
use crate::engine::province::Province;
use crate::engine::subject::state::{Status, Subject};
use crate::engine::warning::{Message, Warning};
use axum::body::Bytes;
use dashmap::DashMap;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Questions that wait for the loop.
pub const QUESTIONS_MAX: usize = 64;
/// How long a question waits for its answer, ms.
const ANSWER_MS_MAX: u64 = 5_000;
/// The connector that takes what officers found out.
const FEEDBACK_CONNECTOR: &str = "feedback";
/// The connector that takes what officers do, and the source under which it is recorded.
const ACTION_CONNECTOR: &str = "action";
const ACTION_SOURCE: &str = "fenghuo-action";

/// See the module.
#[derive(Debug)]
pub struct Service {
    board: DashMap<String, Warning>,
    standing: Mutex<Standing>,
    queues: BTreeMap<String, Arc<PushQueue>>,
    receipts: DashMap<u64, oneshot::Sender<Receipt>>,
    next_receipt: AtomicU64,
    questions: SyncSender<Question>,
    rules: Mutex<Value>,
    health: Arc<Health>,
    clock: Clock,
    reloader: Arc<Reloader>,
    elsewhere: Option<Arc<dyn Elsewhere>>,
}

/// Knows which subjects are with other processes.
pub trait Elsewhere: Send + Sync + std::fmt::Debug {
    /// Where a subject is, in words, if it is not with this process.
    fn elsewhere(&self, key: &SubjectKey) -> Option<String>;
}

impl Service {
    /// A service over these push queues.
    pub fn new(
        queues: BTreeMap<String, Arc<PushQueue>>,
        questions: SyncSender<Question>,
        health: Arc<Health>,
        clock: Clock,
        reloader: Arc<Reloader>,
    ) -> Self {
        Self {
            board: DashMap::new(),
            standing: Mutex::default(),
            queues,
            receipts: DashMap::new(),
            next_receipt: AtomicU64::new(1),
            questions,
            rules: Mutex::new(Value::Null),
            health,
            clock,
            reloader,
            elsewhere: None,
        }
    }

    /// The same for a process that shares the subjects with others.
    #[must_use]
    pub fn shared(self, elsewhere: Arc<dyn Elsewhere>) -> Self {
        Self {
            elsewhere: Some(elsewhere),
            ..self
        }
    }

    /// Lets go of the warnings on some subjects, which another process tells of from now on.
    pub fn forget(&self, is_of: &dyn Fn(&str) -> bool) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        self.board.retain(|_, warning| {
            let is_gone = is_of(&warning.subject);
            if is_gone && warning.status == Status::Open {
                standing.add(warning.level, &warning.rule_id, warning.score, -1);
            }
            !is_gone
        });
    }

    /// Takes up what left.
    pub fn post(&self, messages: impl IntoIterator<Item = Message>) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut add = |warning: &Warning, count| {
            if warning.status == Status::Open {
                standing.add(warning.level, &warning.rule_id, warning.score, count);
            }
        };
        for message in messages {
            if let Message::Warning(warning) = message {
                add(&warning, 1);
                let id = warning.warning_id.clone();
                if let Some(before) = self.board.insert(id, *warning) {
                    add(&before, -1);
                }
            }
        }
    }

    /// Looks at how many warnings are open.
    pub fn with_standing(&self, look: impl FnOnce(&Standing)) {
        look(&self.standing.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Tells who pushed a body what became of it.
    pub fn settle(&self, receipt: u64, read: u64, refused: u64) {
        if let Some((_, sender)) = self.receipts.remove(&receipt) {
            // Whoever asked may have gone away.
            let _ = sender.send(Receipt {
                read,
                accepted: read - refused.min(read),
                refused,
            });
        }
    }

    /// Says which rules are in force, and from when on each has judged.
    pub fn show_rules(&self, province: &Province) {
        let shown = super::describe::rules(province);
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    /// Asks the loop; `None` if it does not answer in time.
    fn look<T: Send + 'static>(
        &self,
        key: &SubjectKey,
        about: impl FnOnce(&Province, Option<&Subject>) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = sync_channel(1);
        let reply: AboutSubject = Box::new(move |province, subject| {
            // Whoever asked may have given up.
            let _ = sender.send(about(province, subject));
        });
        if !self.ask(Question::Subject(key.clone(), reply)) {
            return None;
        }
        receiver
            .recv_timeout(Duration::from_millis(ANSWER_MS_MAX))
            .ok()
    }

    fn ask(&self, question: Question) -> bool {
        self.questions.try_send(question).is_ok()
    }
}

impl Ingest for Service {
    fn push(
        &self,
        connector: &str,
        body: Bytes,
        request: &RequestId,
    ) -> Result<oneshot::Receiver<Receipt>, PushError> {
        if self.health.is_draining() {
            return Err(PushError::Draining);
        }
        let queue = self
            .queues
            .get(connector)
            .ok_or(PushError::UnknownConnector)?;
        let receipt = self.next_receipt.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        if body.iter().all(u8::is_ascii_whitespace) {
            let _ = sender.send(Receipt {
                read: 0,
                accepted: 0,
                refused: 0,
            });
            return Ok(receiver);
        }
        self.receipts.insert(receipt, sender);
        let pushed = Pushed {
            body: body.to_vec(),
            request: request.as_str().to_owned(),
            receipt,
        };
        if queue.push(pushed).is_err() {
            self.receipts.remove(&receipt);
            return Err(PushError::Full { retry_after_s: 1 });
        }
        // A full queue of questions wakes the loop as well.
        self.ask(Question::Wake);
        Ok(receiver)
    }
}

impl ReadModel for Service {
    fn elsewhere(&self, key: &SubjectKey) -> Option<String> {
        self.elsewhere.as_ref()?.elsewhere(key)
    }

    fn subject(&self, key: &SubjectKey) -> Option<Value> {
        self.look(key, |province, subject| {
            subject.map(|subject| super::describe::describe(province, subject))
        })
        .flatten()
    }

    fn duel(&self, challenger: &str) -> Option<Result<Value, String>> {
        let id = challenger.to_owned();
        self.consult(move |province| {
            duel(province, &id)
                .map(|duel| super::describe::duel(&duel))
                .map_err(|error| error.to_string())
        })
    }

    fn warnings(&self, query: &WarningQuery) -> Value {
        let mut found: Vec<Warning> =
            self.board
                .iter()
                .filter(|w| query.level.is_none_or(|level| w.level == level))
                .filter(|w| {
                    query.city.as_ref().is_none_or(|city| {
                        city.get(..4).is_some_and(|city| w.region.starts_with(city))
                    })
                })
                .map(|w| w.value().clone())
                .collect();
        found.sort_by(|a, b| {
            b.generated_at
                .cmp(&a.generated_at)
                .then(a.warning_id.cmp(&b.warning_id))
        });
        let total = found.len();
        found.truncate(query.limit);
        json!({ "total": total, "warnings": found })
    }

    fn warning(&self, id: &str) -> Option<Value> {
        self.board.get(id).map(|warning| json!(warning.value()))
    }

    fn case(&self, id: &str) -> Option<Value> {
        let key = id.to_owned();
        self.consult(move |province| province.desk().get(&key).map(super::describe::case))
            .flatten()
    }

    fn key_events(&self) -> Option<Value> {
        self.consult(super::describe::key_events)
    }

    fn key_event(&self, id: &str) -> Option<Value> {
        self.about_event(id, |_, event| super::describe::key_event(event))
    }

    fn event_report(&self, id: &str, form: Form) -> Option<Result<Vec<u8>, String>> {
        // Written here, not in the loop: a workbook takes its time.
        let paper = self.about_event(id, super::event_report::paper)?;
        Some(paper.write(form).map_err(|error| error.to_string()))
    }

    fn rules(&self) -> Value {
        self.rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Control for Service {
    fn act(&self, actor: &str, act: &Act) -> Result<Value, ActError> {
        if self.elsewhere.is_some() {
            let what = "this process shares the subjects with others: rules change with a restart of each, acts of officers need one process without [cluster]";
            return Err(ActError::Refused(what.to_owned()));
        }
        match act {
            Act::ReloadRules => match self.reloader.reload() {
                Ok(hash) => Ok(json!({ "rule_set": hash })),
                Err(ReloadError::Refused(why)) => Err(ActError::Refused(why)),
                Err(ReloadError::Unavailable(why)) => Err(ActError::Unavailable(why)),
            },
            Act::Feedback { warning, finding } => self.feedback(actor, warning, finding),
            Act::Dispose { object, what } => self.dispose(actor, object, what),
        }
    }
}

impl Service {
    /// Asks the loop something about the whole province; none when it does not answer.
    fn consult<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Province) -> T + Send + 'static,
    ) -> Option<T> {
        // Any subject will do: the question is about all.
        let anybody = SubjectKey::new(SubjectKind::Unresolved, "");
        self.look(&anybody, move |province, _| ask(province))
    }

    fn about_event<T: Send + 'static>(
        &self,
        id: &str,
        ask: impl FnOnce(&Province, &KeyEvent) -> T + Send + 'static,
    ) -> Option<T> {
        let id = id.to_owned();
        let find = move |province: &Province| {
            let mut events = province.desk().key_events();
            let event = events.find(|event| event.id == id)?;
            Some(ask(province, event))
        };
        self.consult(find).flatten()
    }

    /// What an officer does becomes an event for the desk, durable before this answers with what came of it.
    fn dispose(&self, actor: &str, object: &str, what: &Value) -> Result<Value, ActError> {
        let text = |name: &str| what.get(name).and_then(Value::as_str).unwrap_or_default();
        let case = self.case(object);
        let subject = match &case {
            Some(case) => case
                .get("subject")
                .and_then(Value::as_str)
                .map(str::to_owned),
            None if object.starts_with("rule:") || object.starts_with(PREFIX) => {
                Some("region:320000".to_owned())
            }
            None => None,
        };
        let Some(subject) = subject else {
            return Err(ActError::NotFound(format!(
                "no case \"{object}\": expected the id of a warning, of a sanction, rule:<id>, or event:<id>"
            )));
        };
        let now = self.clock.now();
        let record = match text("id") {
            "" => format!("{object}/{}/{actor}/{}", text("act"), now.0),
            id => format!("{actor}/{id}"),
        };
        let mut fields = json!({ "warning_id": object, "act": text("act"), "actor": actor, "actor_role": "officer" });
        for (field, name) in [("note", "why"), ("target", "target")] {
            if !text(name).is_empty()
                && let Some(fields) = fields.as_object_mut()
            {
                fields.insert(field.to_owned(), json!(text(name)));
            }
        }
        let line = json!({
            "source": ACTION_SOURCE, "record_id": record, "version": 1, "stream": "action",
            "occurred_at": now.rfc3339(), "subjects": [subject], "fields": fields,
        });
        self.push_line(ACTION_CONNECTOR, &line)?;
        let key = RecordKey::of(ACTION_SOURCE, &record);
        let object = object.to_owned();
        let done = self.consult(move |province| {
            let item = province.desk().get(&object)?;
            let step = item
                .steps()
                .iter()
                .find(|s| s.origin.is_some_and(|o| o.key == key))?;
            Some((step.word, step.why.clone(), super::describe::case(item)))
        });
        match done.flatten() {
            Some((Word::Refused, why, _)) => Err(ActError::Refused(why)),
            Some((_, _, case)) => Ok(case),
            None => Err(ActError::Refused(
                "动作未予受理,原因见 tasks.jsonl 中 step 为 refused 的一条".to_owned(),
            )),
        }
    }

    /// Pushes a line and waits until it is durable.
    fn push_line(&self, connector: &str, line: &Value) -> Result<(), ActError> {
        let request = RequestId::new(connector);
        let receiver = self
            .push(connector, Bytes::from(line.to_string()), &request)
            .map_err(|error| {
                ActError::Unavailable(format!(
                    "{error}; give an http source with connector \"{connector}\""
                ))
            })?;
        match receiver.blocking_recv() {
            Ok(receipt) if receipt.refused == 0 => Ok(()),
            Ok(_) => Err(ActError::Refused(
                "the event was refused; see the dead letters".to_owned(),
            )),
            Err(_) => Err(ActError::Unavailable(
                "what became of it is not known; look at the warning".to_owned(),
            )),
        }
    }

    /// What officers found out becomes an event on the warning's subject, durable before this answers.
    fn feedback(&self, actor: &str, id: &str, finding: &Value) -> Result<Value, ActError> {
        // A joint task of the nation is a case without a warning.
        let subject = match self.board.get(id).map(|w| w.value().subject.clone()) {
            Some(subject) => Some(subject),
            None if id.starts_with(joint::PREFIX) => self.case(id).and_then(|case| {
                let subject = case.get("subject").and_then(Value::as_str);
                subject.map(str::to_owned)
            }),
            None => None,
        };
        let Some(subject) = subject else {
            return Err(ActError::NotFound(format!("no warning {id}")));
        };
        let verdict = finding
            .get("verdict")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !["属实", "部分属实", "不属实", "无法核实"].contains(&verdict) {
            return Err(ActError::Refused(format!(
                "verdict \"{verdict}\" is none of 属实, 部分属实, 不属实, 无法核实"
            )));
        }
        let now = self.clock.now();
        let line = json!({
            "source": "fenghuo-feedback", "record_id": format!("{id}/{}", now.0), "version": now.0, "stream": "feedback",
            "occurred_at": now.rfc3339(), "subjects": [subject],
            "fields": { "warning_id": id, "verdict": verdict, "unit": actor },
        });
        self.push_line(FEEDBACK_CONNECTOR, &line)?;
        Ok(json!({ "warning_id": id, "verdict": verdict }))
    }
}

/// The audit log behind the doors.
#[derive(Debug)]
pub struct AuditLog {
    log: Mutex<Audit>,
    path: PathBuf,
    clock: Clock,
}

impl AuditLog {
    /// Opens it.
    pub fn open(path: PathBuf, clock: Clock) -> Result<Self, super::audit::AuditError> {
        Ok(Self {
            log: Mutex::new(Audit::open(&path)?),
            path,
            clock,
        })
    }
}

impl AuditSink for AuditLog {
    fn append(&self, entry: &AuditEntry<'_>) -> Result<(), AuditFault> {
        let act = AuditAct {
            time: self.clock.now(),
            actor: entry.actor,
            role: entry.role,
            action: entry.action,
            object: entry.object,
            result: entry.result,
        };
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.append(&act)
            .map(|_| ())
            .map_err(|error| AuditFault(error.to_string()))
    }

    fn recent(&self, limit: usize) -> Result<Value, AuditFault> {
        let mut last = std::collections::VecDeque::new();
        read_audit(&self.path, |entry| {
            last.push_front(json!(entry));
            last.truncate(limit);
        })
        .map_err(|error| AuditFault(error.to_string()))?;
        Ok(Value::Array(last.into()))
    }
}
