//! Outputs to an HTTP endpoint, one POST each, in order.
//!
//! The request is a CloudEvent in binary mode; `ce-id` and `Idempotency-Key` are the output's id, so a copy can be
//! told. What the answer means:
//!
//! | answer                                            | then                                                       |
//! |---------------------------------------------------|------------------------------------------------------------|
//! | 2xx, 409 (has it already)                         | done                                                       |
//! | 408, 425, 429, 5xx, time-out, no connection       | the same one again later, with back-off                    |
//! | 3xx, 401, 403, 407 (address or token is wrong)    | the same: the fault is not the output's, so nothing passes |
//! | any other 4xx                                     | parked with its reason, see [`SinkPosition::parked`]       |
//!
//! Once an output is parked, later ones of the same subject are parked behind it: a lift must not leave when the
//! sanction before it has not. [`WebhookSink::release`] gives them back after a person has decided.
//!
//! bounds   back-off 1 s, doubling to 5 min, or what `Retry-After` asks for up to 1 h; [`PARKED_MAX`] parked outputs,
//!          then the sink holds everything; one request at a time, `timeout_ms` for all of it; redirects not followed,
//!          no proxy
//! errors   only a configuration that makes no sense is a fault
//! source   CloudEvents 1.0.2 HTTP binding; draft-ietf-httpapi-idempotency-key-header-07

use super::{Delivered, OutboxEntry, OutputKind, Parked, Retry, Sink, SinkError, SinkPosition};
use std::fmt::{self, Write as _};
use std::io::Read;
use std::time::Duration;
use ureq::http::{Response, Uri};
use ureq::{Agent, Body};

/// The most outputs that are parked before the sink holds everything.
pub const PARKED_MAX: usize = 1_000;
const BACK_OFF_MS_MIN: u64 = 1_000;
const BACK_OFF_MS_MAX: u64 = 300_000;
const RETRY_AFTER_MS_MAX: u64 = 3_600_000;
/// Bytes of an answer that go into a reason.
const EXCERPT_BYTES_MAX: u64 = 200;

/// Where to and how.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// `http://` or `https://`.
    pub url: String,
    /// For `Authorization: Bearer ..`; never shown.
    pub token: Option<String>,
    /// Time for one request, from name look-up to the end of the answer.
    pub timeout_ms: u64,
    /// `ce-source`: a URI reference that names this installation.
    pub source: String,
    /// What to send; entries of other kinds are of no concern.
    pub kinds: Vec<OutputKind>,
}

impl WebhookConfig {
    /// Warnings, sanction proposals, steps of cases and orders to `url`, 10 s a request.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            token: None,
            timeout_ms: 10_000,
            source: "/fenghuo".to_owned(),
            kinds: vec![
                OutputKind::Warning,
                OutputKind::Sanction,
                OutputKind::Task,
                OutputKind::Measure,
            ],
        }
    }
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("url", &self.url)
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("timeout_ms", &self.timeout_ms)
            .field("source", &self.source)
            .field("kinds", &self.kinds)
            .finish()
    }
}

/// Sends to one endpoint.
#[derive(Debug)]
pub struct WebhookSink {
    config: WebhookConfig,
    agent: Agent,
    parked: Vec<Parked>,
    /// Failed tries of the entry at the head.
    attempts: u32,
}

enum Outcome {
    Done,
    Park(String),
    Retry {
        reason: String,
        after_ms: Option<u64>,
    },
}

impl WebhookSink {
    /// Checks the configuration; connects only when there is something to send.
    pub fn new(config: WebhookConfig) -> Result<Self, SinkError> {
        let uri: Result<Uri, _> = config.url.parse();
        let scheme = uri.as_ref().ok().and_then(Uri::scheme_str);
        if !matches!(scheme, Some("http" | "https")) {
            let what = format!(
                "\"{}\" is not an address (expected http:// or https://)",
                config.url
            );
            return Err(SinkError::Configuration { what });
        }
        let is_clean = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !config.token.as_deref().is_none_or(is_clean) {
            let what = "the token has characters that no header can carry".to_owned();
            return Err(SinkError::Configuration { what });
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(config.timeout_ms)))
            .max_redirects(0)
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .new_agent();
        Ok(Self {
            config,
            agent,
            parked: Vec::new(),
            attempts: 0,
        })
    }

    /// Outputs that wait for a person, in order.
    pub fn parked(&self) -> &[Parked] {
        &self.parked
    }

    /// Gives back what is parked for a subject, in order, to be put into the outbox again or given up. Commit the
    /// position together with that.
    pub fn release(&mut self, subject: &str) -> Vec<OutboxEntry> {
        let taken = self
            .parked
            .extract_if(.., |parked| parked.entry.subject == subject);
        taken.map(|parked| parked.entry).collect()
    }

    fn send(&self, entry: &OutboxEntry) -> Outcome {
        let mut request = self
            .agent
            .post(&self.config.url)
            .header("content-type", "application/json")
            .header("ce-specversion", "1.0")
            .header("ce-id", header_value(&entry.id))
            .header("ce-source", header_value(&self.config.source))
            .header("ce-type", entry.kind.topic())
            .header("ce-subject", header_value(&entry.subject))
            .header("ce-sequence", entry.seq.to_string())
            .header("idempotency-key", header_value(&entry.id));
        if let Some(token) = &self.config.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        match request.send(&entry.line) {
            Ok(response) => judge(response),
            Err(error) => Outcome::Retry {
                reason: error.to_string(),
                after_ms: None,
            },
        }
    }

    /// The outcome of one entry, with lanes: behind a parked output of the same subject nothing is sent.
    fn outcome(&self, entry: &OutboxEntry) -> Outcome {
        if self.parked.len() >= PARKED_MAX {
            let reason = format!("{PARKED_MAX} outputs are parked; decide on them first");
            return Outcome::Retry {
                reason,
                after_ms: Some(BACK_OFF_MS_MAX),
            };
        }
        let ahead = self
            .parked
            .iter()
            .find(|parked| parked.entry.subject == entry.subject);
        match ahead {
            Some(ahead) => Outcome::Park(format!("waits behind {}", ahead.entry.id)),
            None => self.send(entry),
        }
    }

    fn back_off_ms(&mut self) -> u64 {
        let factor = 1_u64.checked_shl(self.attempts).unwrap_or(u64::MAX);
        self.attempts = self.attempts.saturating_add(1);
        BACK_OFF_MS_MIN.saturating_mul(factor).min(BACK_OFF_MS_MAX)
    }
}

impl Sink for WebhookSink {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn resume(&mut self, position: &SinkPosition) -> Result<(), SinkError> {
        self.parked.clone_from(&position.parked);
        Ok(())
    }

    fn deliver(&mut self, entries: &[OutboxEntry]) -> Result<Delivered, SinkError> {
        let mut delivered = Delivered::default();
        for entry in entries {
            if self.config.kinds.contains(&entry.kind) {
                match self.outcome(entry) {
                    Outcome::Done => {}
                    Outcome::Park(reason) => {
                        let entry = entry.clone();
                        self.parked.push(Parked { entry, reason });
                        delivered.parked += 1;
                    }
                    Outcome::Retry { reason, after_ms } => {
                        let back_off_ms = self.back_off_ms();
                        let after_ms = after_ms.unwrap_or(0).max(back_off_ms);
                        delivered.retry = Some(Retry { after_ms, reason });
                        return Ok(delivered);
                    }
                }
                self.attempts = 0;
            }
            delivered.count += 1;
        }
        Ok(delivered)
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn position(&self) -> SinkPosition {
        SinkPosition {
            parked: self.parked.clone(),
            ..SinkPosition::default()
        }
    }
}

fn judge(mut response: Response<Body>) -> Outcome {
    let status = response.status().as_u16();
    let retry = |reason: String, after_ms| Outcome::Retry { reason, after_ms };
    match status {
        200..=299 | 409 => Outcome::Done,
        300..=399 => {
            let location = response.headers().get("location");
            let location = location.map_or("nowhere".into(), |to| {
                String::from_utf8_lossy(to.as_bytes()).into_owned()
            });
            let reason = format!("{status}: redirect to {location} not followed, set that address");
            retry(reason, None)
        }
        401 | 403 | 407 => retry(format!("{status}: set a valid token"), None),
        408 | 425 | 429 | 500..=599 => {
            let after_ms = retry_after_ms(&response);
            retry(format!("{status}: {}", excerpt(&mut response)), after_ms)
        }
        400..=499 => Outcome::Park(format!("{status}: {}", excerpt(&mut response))),
        _ => retry(format!("{status}: not an answer to a POST"), None),
    }
}

/// `Retry-After` in its seconds form.
fn retry_after_ms(response: &Response<Body>) -> Option<u64> {
    let seconds = response.headers().get("retry-after")?.to_str().ok()?;
    let ms = seconds.trim().parse::<u64>().ok()?.saturating_mul(1_000);
    Some(ms.min(RETRY_AFTER_MS_MAX))
}

/// The beginning of the answer, printable.
fn excerpt(response: &mut Response<Body>) -> String {
    let mut bytes = Vec::new();
    let reader = response.body_mut().as_reader();
    // What cannot be read is not needed: the status has decided.
    let _: Result<usize, _> = reader.take(EXCERPT_BYTES_MAX).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.trim().to_owned()
}

/// A text as the value of a CloudEvents header: blanks, quotes, `%` and all but printable ASCII percent-encoded.
fn header_value(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            value.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _: fmt::Result = write!(value, "%{byte:02X}");
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::far_end::{answer, serve};
    use crate::runtime::sink::entry;
    use std::thread::JoinHandle;

    fn server(answers: &[&str]) -> (String, JoinHandle<Vec<String>>) {
        let answers = answers.iter().map(|answer| (*answer).to_owned());
        serve("hook", answers.collect())
    }

    fn sink(url: &str) -> WebhookSink {
        let mut config = WebhookConfig::new(url);
        config.token = Some("secret".to_owned());
        WebhookSink::new(config).unwrap()
    }

    #[test]
    fn a_request_is_a_cloud_event() {
        let (url, serving) = server(&[&answer("202 Accepted", "", "")]);
        let entries = [
            entry(7, OutputKind::Warning, "department:南京市 \"监管\""),
            entry(8, OutputKind::DeadLetter, "not sent"),
        ];
        let delivered = sink(&url).deliver(&entries).unwrap();
        assert_eq!(delivered.count, 2);
        assert_eq!(delivered.retry, None);
        let requests = serving.join().unwrap();
        let request = requests[0].to_lowercase();
        for expected in [
            "post /hook http/1.1",
            "ce-id: id-7",
            "ce-type: fenghuo.warning.v1",
            "ce-specversion: 1.0",
            "ce-subject: department:%e5%8d%97%e4%ba%ac%e5%b8%82%20%22%e7%9b%91%e7%ae%a1%22",
            "idempotency-key: id-7",
            "authorization: bearer secret",
            "content-type: application/json",
            "\r\n\r\n{\"seq\":7}",
        ] {
            assert!(request.contains(expected), "{expected}\n{request}");
        }
    }

    #[test]
    fn what_is_not_the_outputs_fault_is_tried_again() {
        let busy = answer("429 Too Many Requests", "retry-after: 7\r\n", "busy");
        let broken = answer("503 Service Unavailable", "", "down");
        let moved = answer("302 Found", "location: http://127.0.0.1:1/\r\n", "");
        let denied = answer("401 Unauthorized", "", "");
        let known = answer("409 Conflict", "", "");
        let answers = [&*busy, &broken, &moved, &denied, "", &known];
        let (url, serving) = server(&answers);
        let mut sink = sink(&url);
        let entries = [entry(1, OutputKind::Sanction, "a")];
        let mut waits = Vec::new();
        let mut reasons = String::new();
        loop {
            let delivered = sink.deliver(&entries).unwrap();
            let Some(retry) = delivered.retry else {
                assert_eq!(delivered.count, 1);
                break;
            };
            assert_eq!(delivered.count, 0);
            waits.push(retry.after_ms);
            reasons.push_str(&retry.reason);
        }
        assert_eq!(waits, [7_000, 2_000, 4_000, 8_000, 16_000]);
        for expected in ["429: busy", "503: down", "redirect to http", "valid token"] {
            assert!(reasons.contains(expected), "{expected}: {reasons}");
        }
        assert_eq!(serving.join().unwrap().len(), 6);
        assert!(sink.parked().is_empty());
        for _ in 0..70 {
            assert!(sink.back_off_ms() <= BACK_OFF_MS_MAX);
        }
    }

    #[test]
    fn a_time_out_is_tried_again() {
        let (url, serving) = server(&["wait"]);
        let mut config = WebhookConfig::new(url);
        config.timeout_ms = 100;
        let mut sink = WebhookSink::new(config).unwrap();
        let entries = [entry(1, OutputKind::Warning, "a")];
        let delivered = sink.deliver(&entries).unwrap();
        assert!(delivered.retry.unwrap().reason.contains("timeout"));
        drop(sink);
        serving.join().unwrap();
    }

    #[test]
    fn a_refused_output_is_parked_and_its_subject_waits_behind_it() {
        let refused = answer("422 Unprocessable Content", "", "no such firm");
        let accepted = answer("200 OK", "", "");
        let (url, serving) = server(&[&refused, &accepted]);
        let mut sink = sink(&url);
        let entries = [
            entry(1, OutputKind::Sanction, "a"),
            entry(2, OutputKind::Sanction, "a"),
            entry(3, OutputKind::Warning, "b"),
        ];
        let delivered = sink.deliver(&entries).unwrap();
        assert_eq!((delivered.count, delivered.parked), (3, 2));
        assert_eq!(serving.join().unwrap().len(), 2);
        let reasons: Vec<_> = sink.parked().iter().map(|p| p.reason.as_str()).collect();
        assert_eq!(reasons, ["422: no such firm", "waits behind id-1"]);

        let mut after_crash = self::sink(&url);
        after_crash.resume(&sink.position()).unwrap();
        assert_eq!(after_crash.release("a"), entries[..2]);
        assert!(after_crash.parked().is_empty());
    }

    #[test]
    fn secrets_are_not_shown_and_nonsense_is_refused() {
        let shown = format!("{:?}", sink("http://127.0.0.1:1/"));
        assert!(!shown.contains("secret"), "{shown}");
        let error = WebhookSink::new(WebhookConfig::new("ftp://x/")).unwrap_err();
        assert!(error.to_string().contains("\"ftp://x/\" is not an address"));
    }
}
