//! The thread that tells one Alertmanager.
//!
//! bounds   [`BATCH_MAX`] alerts a request; an allowance fills up by `alerts_per_second_max` a second, to one second's worth
//! errors   [`AlertsError`] at the start; later ones are logged, counted and tried again

use super::AlertsConfig;
use super::roll::Roll;
use crate::engine::time::EventTime;
use crate::engine::warning::Message;
use crate::runtime::clock::Clock;
use crate::runtime::metrics::SinkMetrics;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Uri;

/// Alerts of one request.
const BATCH_MAX: usize = 100;
/// How long the thread waits when nothing is due, ms.
const IDLE_MS: u64 = 250;
const BACK_OFF_MS_MIN: i64 = 1_000;
const BACK_OFF_MS_MAX: i64 = 60_000;

/// The configuration makes no sense.
#[derive(Debug, Clone, thiserror::Error)]
#[error("alertmanager: {0}")]
pub struct AlertsError(String);

#[derive(Debug, Default)]
struct Inner {
    roll: Roll,
    is_stopping: bool,
    /// Thousandths of an alert that may be told now, as of `counted_at`.
    allowance_milli: i64,
    counted_at: Option<EventTime>,
    /// Failed tries in a row, and when the next one may be.
    failures: u32,
    not_before: Option<EventTime>,
}

struct Shared {
    inner: Mutex<Inner>,
    wake: Condvar,
    config: AlertsConfig,
    agent: Agent,
    clock: Clock,
    metrics: SinkMetrics,
}

/// Tells one Alertmanager about open warnings, until it is dropped.
pub struct Alerts {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts")
            .field("url", &self.shared.config.url)
            .finish_non_exhaustive()
    }
}

impl Alerts {
    /// Checks the configuration and starts the thread.
    pub fn start(
        config: AlertsConfig,
        clock: Clock,
        metrics: SinkMetrics,
    ) -> Result<Self, AlertsError> {
        let mut alerts = Self::new(config, clock, metrics)?;
        let shared = Arc::clone(&alerts.shared);
        alerts.thread = Some(std::thread::spawn(move || shared.turn()));
        Ok(alerts)
    }

    fn new(config: AlertsConfig, clock: Clock, metrics: SinkMetrics) -> Result<Self, AlertsError> {
        let uri: Result<Uri, _> = config.url.parse();
        let scheme = uri.as_ref().ok().and_then(Uri::scheme_str);
        if !matches!(scheme, Some("http" | "https")) {
            let what = "is not an address (expected http:// or https://)";
            return Err(AlertsError(format!("\"{}\" {what}", config.url)));
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(config.timeout_ms)))
            .max_redirects(0)
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .new_agent();
        let shared = Arc::new(Shared {
            inner: Mutex::default(),
            wake: Condvar::new(),
            config,
            agent,
            clock,
            metrics,
        });
        Ok(Self {
            shared,
            thread: None,
        })
    }

    /// Takes up how warnings stand; what else there is does not concern it.
    pub fn post(&self, messages: &[Message]) {
        let mut inner = self.shared.lock();
        for message in messages {
            if let Message::Warning(warning) = message {
                inner.roll.post(&self.shared.config, warning);
            }
        }
        drop(inner);
        self.shared.wake.notify_one();
    }
}

impl Drop for Alerts {
    fn drop(&mut self) {
        self.shared.lock().is_stopping = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) {
        while !self.lock().is_stopping {
            if !self.round() {
                let inner = self.lock();
                if !inner.is_stopping {
                    let wait = Duration::from_millis(IDLE_MS);
                    // Woken early or not, it looks again.
                    drop(self.wake.wait_timeout(inner, wait));
                }
            }
        }
    }

    /// Tells what is due and allowed; whether there was anything.
    fn round(&self) -> bool {
        let now = self.clock.now();
        let told = {
            let mut inner = self.lock();
            if inner.not_before.is_some_and(|until| now < until) {
                return false;
            }
            let most = inner.allowance(&self.config, now).min(BATCH_MAX);
            inner.roll.due(&self.config, now, most)
        };
        if told.is_empty() {
            return false;
        }
        let bodies: Vec<_> = told.iter().map(|one| &one.body).collect();
        let outcome = self.send(&serde_json::to_vec(&bodies).unwrap_or_default());
        let mut inner = self.lock();
        // A try that failed may have come through.
        inner.allowance_milli -= i64::try_from(told.len()).unwrap_or(0) * 1_000;
        match outcome {
            Ok(refused) => {
                inner.roll.told(&self.config, &told, now);
                inner.failures = 0;
                self.metrics
                    .deliveries
                    .inc_by(u64::try_from(told.len()).unwrap_or(0));
                if let Some(reason) = refused {
                    self.metrics.failures.inc();
                    tracing::error!(url = self.config.url, reason, "alertmanager refuses alerts");
                }
            }
            Err(reason) => {
                self.metrics.failures.inc();
                if inner.failures == 0 {
                    let open = inner.roll.open();
                    tracing::warn!(
                        url = self.config.url,
                        open,
                        reason,
                        "alertmanager cannot be told"
                    );
                }
                let wait_ms = BACK_OFF_MS_MIN
                    .checked_shl(inner.failures.min(6))
                    .unwrap_or(BACK_OFF_MS_MAX);
                inner.failures = inner.failures.saturating_add(1);
                inner.not_before = Some(now.plus_ms(wait_ms.min(BACK_OFF_MS_MAX)));
            }
        }
        true
    }

    /// Sent; with what the far end found wrong with some of them, of which telling them again would change nothing.
    fn send(&self, body: &[u8]) -> Result<Option<String>, String> {
        let url = format!("{}/api/v2/alerts", self.config.url.trim_end_matches('/'));
        let mut request = self
            .agent
            .post(&url)
            .header("content-type", "application/json");
        if let Some(token) = &self.config.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.send(body).map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let mut said = || {
            let text = response.body_mut().read_to_string().unwrap_or_default();
            let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
            format!("{status}: {text}")
        };
        match status {
            200..=299 => Ok(None),
            400 | 422 => Ok(Some(said())),
            _ => Err(said()),
        }
    }
}

impl Inner {
    /// How many alerts may be told now.
    fn allowance(&mut self, config: &AlertsConfig, now: EventTime) -> usize {
        let rate = i64::from(config.alerts_per_second_max);
        let full = rate * 1_000;
        let since_ms = self
            .counted_at
            .map_or(1_000, |then| (now.0 - then.0).clamp(0, 1_000));
        self.counted_at = Some(now);
        self.allowance_milli = (self.allowance_milli + since_ms * rate).min(full);
        usize::try_from(self.allowance_milli / 1_000).unwrap_or(0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::engine::subject::view::Level;
    use crate::engine::warning::Warning;
    use crate::runtime::far_end::{answer, serve};
    use crate::runtime::metrics::Metrics;

    pub(in super::super) fn config() -> AlertsConfig {
        AlertsConfig {
            url: "http://127.0.0.1:1".to_owned(),
            token: Some("secret".to_owned()),
            link: Some("https://g.example/d/fenghuo-subject?var-subject={subject}".to_owned()),
            level_min: Level::Blue,
            refresh_ms: 60_000,
            alerts_per_second_max: 50,
            timeout_ms: 2_000,
        }
    }

    pub(in super::super) fn warning(id: &str, level: Level) -> Warning {
        let value = serde_json::json!({
            "id": id, "warning_id": id, "transition": "raised", "transition_number": 1, "status": "open", "revision": 0,
            "subject": "enterprise:91320505MA0EX0026E", "subject_name": "示例公司", "rule_id": "CF-001", "rule_name": "屡罚不改",
            "level": level, "level_code": level.code(), "message": "近 12 个月被处罚 3 次", "points": 5, "score": 50.0,
            "first_event_at": "2026-05-01T00:00:00+08:00", "last_event_at": "2026-05-02T00:00:00+08:00",
            "generated_at": "2026-05-02T00:00:00+08:00", "is_late": false, "region": "320505", "findings": 1, "evidence": [],
            "observed": [], "basis": [], "suggest": "上门核查", "rule_set": "h",
            "due": { "claim_at": "2026-05-28T06:26:40+08:00", "verify_at": "", "feedback_at": "" },
        });
        serde_json::from_value(value).unwrap()
    }

    fn alerts(url: &str, rate: u32) -> (Alerts, Clock, SinkMetrics) {
        let clock = Clock::at(EventTime(1_780_000_000_000));
        let metrics = Metrics::new(clock.now()).sink("alertmanager");
        let config = AlertsConfig {
            url: url.trim_end_matches("/am").to_owned() + "/am",
            alerts_per_second_max: rate,
            ..config()
        };
        let alerts = Alerts::new(config, clock.clone(), metrics.clone()).unwrap();
        (alerts, clock, metrics)
    }

    fn many(count: usize) -> Vec<Message> {
        let one = |n: usize| {
            let mut one = warning(&format!("w{n}"), Level::Red);
            one.subject = format!("enterprise:{n}");
            Message::Warning(Box::new(one))
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn never_more_than_the_stated_rate() {
        let answers = vec![answer("200 OK", "", ""); 3];
        let (url, serving) = serve("am", answers);
        let (alerts, clock, metrics) = alerts(&url, 4);
        alerts.post(&many(20));
        for ms in [0, 0, 500, 500, 10_000, 10_000] {
            clock.set(EventTime(1_780_000_000_000 + ms));
            alerts.shared.round();
        }
        // A second's worth at once, half of it after half a second, and never more than a second's worth.
        assert_eq!(metrics.deliveries.get(), 4 + 2 + 4);
        let requests = serving.join().unwrap();
        let first = requests[0].to_lowercase();
        assert!(
            first.starts_with("post /am/api/v2/alerts http/1.1"),
            "{first}"
        );
        assert!(first.contains("authorization: bearer secret"), "{first}");
        assert_eq!(first.matches("\"alertname\"").count(), 4);
    }

    #[test]
    fn a_far_end_that_is_down_is_told_later() {
        let down = answer("503 Service Unavailable", "", "down");
        let (url, serving) = serve("am", vec![down, answer("200 OK", "", "")]);
        let (alerts, clock, metrics) = alerts(&url, 50);
        alerts.post(&many(1));
        for ms in [0, 999, 1_000] {
            clock.set(EventTime(1_780_000_000_000 + ms));
            alerts.shared.round();
        }
        assert_eq!(serving.join().unwrap().len(), 2);
        assert_eq!((metrics.deliveries.get(), metrics.failures.get()), (1, 1));
    }

    #[test]
    fn a_refusal_is_counted_and_does_not_come_at_once_again() {
        let (url, serving) = serve("am", vec![answer("400 Bad Request", "", "bad label")]);
        let (alerts, clock, metrics) = alerts(&url, 50);
        alerts.post(&many(1));
        for ms in [0, 2_000] {
            clock.set(EventTime(1_780_000_000_000 + ms));
            alerts.shared.round();
        }
        assert_eq!(serving.join().unwrap().len(), 1);
        assert_eq!(metrics.failures.get(), 1);
    }

    #[test]
    fn nonsense_is_refused() {
        let clock = Clock::at(EventTime(0));
        let metrics = Metrics::new(clock.now()).sink("alertmanager");
        let config = AlertsConfig {
            url: "alertmanager:9093".to_owned(),
            ..config()
        };
        let error = Alerts::new(config, clock, metrics).unwrap_err().to_string();
        assert!(error.contains("is not an address"), "{error}");
    }
}
