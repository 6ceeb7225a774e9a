//! What the process counts of itself, as Prometheus reads it from `/metrics`.
//!
//! [`Metrics`] registers every row of [`table::TABLE`] and hands out handles: [`Metrics::connector`], [`Metrics::rule`] and
//! [`Metrics::sink`] are asked for once, at start or when rules change, and kept by whoever counts. A label is never looked
//! up on the way of a record, where it would cost ten times the count.
//!
//! Ages (silence, oldest output) and percentiles are computed when someone reads, in [`Metrics::render`].
//!
//! units    handles take the units of their rows; times come as [`EventTime`] and leave as Unix seconds
//! bounds   labels: connectors × 15 codes, 4 levels × 14 cities × 16 lines × 5 transitions, rules, sinks; no subject ever
//! errors   none: a row that cannot be registered is a bug, and a test registers all of them

pub mod around;
pub mod cluster;
pub mod disposal;
pub mod exchange;
pub mod kafka;
pub mod latency;
mod registrar;
mod resting;
pub mod rules;
pub mod table;
pub mod warnings;
mod words;

use crate::engine::event::SubjectKind;
use crate::engine::reject::RejectCode;
use crate::engine::time::EventTime;
use around::Around;
pub use cluster::{Behind, ClusterMetrics};
pub use disposal::DisposalMetrics;
pub use exchange::ExchangeMetrics;
use kafka::KafkaMetrics;
use latency::Latency;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry, TextEncoder,
};
use registrar::Registrar;
use resting::RestingMetrics;
use rules::RuleFamilies;
pub use rules::RuleMetrics;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use warnings::WarningMetrics;
pub use words::{Outcome, SanctionStatus, Transition};

/// From a second to a year: a penalty may be published 20 working days after its decision.
const LATENESS_BUCKETS_SECONDS: &[f64] = &[
    1.0,
    60.0,
    600.0,
    3_600.0,
    21_600.0,
    86_400.0,
    259_200.0,
    604_800.0,
    1_209_600.0,
    2_419_200.0,
    5_184_000.0,
    7_776_000.0,
    15_552_000.0,
    31_536_000.0,
];
const COMMIT_BUCKETS_SECONDS: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];
const QUANTILES: [(&str, f64); 3] = [("0.5", 0.5), ("0.99", 0.99), ("0.999", 0.999)];
const HASH_LABEL_CHARS: usize = 12;
/// No record yet.
const NEVER: i64 = i64::MIN;

/// The counts of one connector.
#[derive(Debug)]
pub struct ConnectorMetrics {
    /// Records read.
    pub records: IntCounter,
    /// How late events are.
    pub lateness_seconds: Histogram,
    refused: Vec<(RejectCode, IntCounter)>,
    events: Vec<(Outcome, IntCounter)>,
    watermark: IntGauge,
    silence: Gauge,
    last_record_ms: AtomicI64,
}

impl ConnectorMetrics {
    /// Counts refused records.
    pub fn refused(&self, code: RejectCode, count: u64) {
        add(&self.refused, code, count);
    }

    /// Counts what became of events.
    pub fn events(&self, outcome: Outcome, count: u64) {
        add(&self.events, outcome, count);
    }

    /// The latest event time seen.
    pub fn watermark(&self, time: EventTime) {
        self.watermark.set(unix_seconds(time));
    }

    /// A record came at this wall time. Silence counts from here; at the start, from [`Metrics::connector`]'s `since`.
    pub fn heard(&self, now: EventTime) {
        self.last_record_ms.fetch_max(now.0, Ordering::Relaxed);
    }
}

/// The counts of one sink.
#[derive(Debug, Clone)]
pub struct SinkMetrics {
    /// Outputs delivered.
    pub deliveries: IntCounter,
    /// Attempts that failed.
    pub failures: IntCounter,
}

/// Every metric of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Families,
    connectors: Mutex<BTreeMap<String, Arc<ConnectorMetrics>>>,
    rules: RuleFamilies,
    warnings: WarningMetrics,
    sanctions: Vec<(SanctionStatus, IntGauge)>,
    subjects: Vec<(SubjectKind, IntGauge)>,
    end_to_end: Mutex<Latency>,
    outbox_oldest_ms: AtomicI64,
    /// How long commits take.
    pub commit_seconds: Histogram,
    /// Journal since the last base image.
    pub journal_bytes: IntGauge,
    /// Size of the state.
    pub state_bytes: IntGauge,
    /// Outputs not yet delivered.
    pub outbox_entries: IntGauge,
    /// Records in the dead letters.
    pub dead_letters: IntCounter,
    /// Judgements held to the interpreter.
    pub rule_checks: IntCounter,
    /// Rule sets that could not be loaded.
    pub rule_set_failures: IntCounter,
    /// 1 when ready.
    pub ready: IntGauge,
    /// Open HTTP connections.
    pub http_connections: IntGauge,
    /// HTTP connections closed because there were too many.
    pub http_connections_refused: IntCounter,
    /// Records that the process has ended over again and again.
    pub deadly_records: IntCounter,
    /// Who is at rest, and where.
    pub resting: RestingMetrics,
    /// The disk and the certificates.
    pub around: Around,
    /// How far topics are read.
    pub kafka: KafkaMetrics,
    exchange: ExchangeMetrics,
    cluster: ClusterMetrics,
    disposal: DisposalMetrics,
    rule_set_since: IntGauge,
    calendar_until: IntGauge,
    logical_clock: IntGauge,
    outbox_oldest_seconds: Gauge,
}

#[derive(Debug)]
struct Families {
    records: IntCounterVec,
    refused: IntCounterVec,
    events: IntCounterVec,
    lateness: HistogramVec,
    watermark: IntGaugeVec,
    silence: GaugeVec,
    silence_limit: IntGaugeVec,
    deliveries: IntCounterVec,
    failures: IntCounterVec,
    end_to_end: GaugeVec,
    rule_set: IntGaugeVec,
    requests: IntCounterVec,
}

impl Metrics {
    /// Registers every metric. `now` is wall time.
    pub fn new(now: EventTime) -> Self {
        let registry = Registry::new();
        let r = &Registrar {
            registry: &registry,
        };
        let families = Families::register(r);
        let version = r.int_gauges("fenghuo_build_info");
        version
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        let by_status = r.int_gauges("fenghuo_sanctions");
        let by_kind = r.int_gauges("fenghuo_subjects");
        Self {
            rules: RuleFamilies::register(r),
            warnings: WarningMetrics::new(
                r.int_counters("fenghuo_warnings_total"),
                r.int_gauges("fenghuo_open_warnings"),
                r.int_gauges("fenghuo_open_warning_scores"),
            ),
            sanctions: SanctionStatus::ALL
                .map(|(status, word)| (status, by_status.with_label_values(&[word])))
                .into(),
            subjects: SubjectKind::ALL
                .map(|kind| (kind, by_kind.with_label_values(&[kind.name()])))
                .into(),
            connectors: Mutex::default(),
            end_to_end: Mutex::new(Latency::new(now)),
            outbox_oldest_ms: AtomicI64::new(NEVER),
            commit_seconds: r.histogram("fenghuo_commit_seconds", COMMIT_BUCKETS_SECONDS),
            journal_bytes: r.int_gauge("fenghuo_journal_bytes"),
            state_bytes: r.int_gauge("fenghuo_state_bytes"),
            outbox_entries: r.int_gauge("fenghuo_outbox_entries"),
            dead_letters: r.int_counter("fenghuo_dead_letters_total"),
            rule_checks: r.int_counter("fenghuo_rule_checks_total"),
            rule_set_failures: r.int_counter("fenghuo_rule_set_failures_total"),
            ready: r.int_gauge("fenghuo_ready"),
            http_connections: r.int_gauge("fenghuo_http_connections"),
            http_connections_refused: r.int_counter("fenghuo_http_connections_refused_total"),
            deadly_records: r.int_counter("fenghuo_deadly_records_total"),
            exchange: ExchangeMetrics::new(
                &r.int_counters("fenghuo_exchange_attempts_total"),
                r.int_gauge("fenghuo_exchange_waiting"),
                r.int_gauge("fenghuo_exchange_parked"),
                r.int_gauge("fenghuo_exchange_oldest_seconds"),
                (
                    &r.int_gauges("fenghuo_exchange_differences"),
                    r.int_gauge("fenghuo_exchange_reconciled_timestamp_seconds"),
                ),
            ),
            resting: RestingMetrics::register(r),
            around: Around::register(r),
            kafka: KafkaMetrics::register(r),
            cluster: cluster_metrics(r),
            disposal: DisposalMetrics::register(r),
            rule_set_since: r.int_gauge("fenghuo_rule_set_loaded_timestamp_seconds"),
            calendar_until: r.int_gauge("fenghuo_calendar_until_timestamp_seconds"),
            logical_clock: r.int_gauge("fenghuo_logical_clock_timestamp_seconds"),
            outbox_oldest_seconds: r.gauge("fenghuo_outbox_oldest_seconds"),
            families,
            registry,
        }
    }

    /// The counts of a connector; the same for the same id. Silence counts from `since` (wall time) until it speaks.
    pub fn connector(
        &self,
        id: &str,
        silence_hours: Option<i64>,
        since: EventTime,
    ) -> Arc<ConnectorMetrics> {
        let mut connectors = lock(&self.connectors);
        if let Some(known) = connectors.get(id) {
            return Arc::clone(known);
        }
        let f = &self.families;
        if let Some(hours) = silence_hours {
            let limit = f.silence_limit.with_label_values(&[id]);
            limit.set(hours.saturating_mul(3_600));
        }
        let made = Arc::new(ConnectorMetrics {
            records: f.records.with_label_values(&[id]),
            lateness_seconds: f.lateness.with_label_values(&[id]),
            refused: RejectCode::ALL
                .map(|code| (code, f.refused.with_label_values(&[id, code.name()])))
                .into(),
            events: Outcome::ALL
                .map(|(outcome, word)| (outcome, f.events.with_label_values(&[id, word])))
                .into(),
            watermark: f.watermark.with_label_values(&[id]),
            silence: f.silence.with_label_values(&[id]),
            last_record_ms: AtomicI64::new(since.0),
        });
        connectors.insert(id.to_owned(), Arc::clone(&made));
        made
    }

    /// The counts of a rule. Its line is known from [`WarningMetrics::set_lines`].
    pub fn rule(&self, id: &str) -> RuleMetrics {
        self.rules.of(id, &self.warnings.line(id))
    }

    /// Before the rules of a new set are asked for: a suspended rule that is gone must not alarm for ever.
    pub fn forget_suspended(&self) {
        self.rules.forget_suspended();
    }

    /// What is counted of warnings.
    pub fn warnings(&self) -> &WarningMetrics {
        &self.warnings
    }

    /// The counts of a sink.
    pub fn sink(&self, name: &str) -> SinkMetrics {
        SinkMetrics {
            deliveries: self.families.deliveries.with_label_values(&[name]),
            failures: self.families.failures.with_label_values(&[name]),
        }
    }

    /// The counts of the national exchange.
    pub fn exchange(&self) -> ExchangeMetrics {
        self.exchange.clone()
    }

    /// What is counted of a cluster.
    pub fn cluster(&self) -> ClusterMetrics {
        self.cluster.clone()
    }

    /// What is counted of disposal and sanctions.
    pub fn disposal(&self) -> &DisposalMetrics {
        &self.disposal
    }

    /// How many sanction proposals stand so.
    pub fn sanctions(&self, status: SanctionStatus, count: i64) {
        set(&self.sanctions, status, count);
    }

    /// How many subjects of a kind have state.
    pub fn subjects(&self, kind: SubjectKind, count: i64) {
        set(&self.subjects, kind, count);
    }

    /// `count` records took `us` from being read to being durable; `now` is wall time.
    pub fn end_to_end(&self, us: u64, count: u64, now: EventTime) {
        lock(&self.end_to_end).record(us, count, now);
    }

    /// When the oldest output not yet delivered was committed (wall time), if there is one.
    pub fn outbox_oldest(&self, since: Option<EventTime>) {
        let ms = since.map_or(NEVER, |time| time.0);
        self.outbox_oldest_ms.store(ms, Ordering::Relaxed);
    }

    /// The rule set in use, by its hash, since `now` (wall time); it replaces the one before.
    pub fn rule_set(&self, hash: &str, now: EventTime) {
        self.rule_set_since.set(unix_seconds(now));
        let short: String = hash.chars().take(HASH_LABEL_CHARS).collect();
        self.families.rule_set.reset();
        self.families.rule_set.with_label_values(&[&short]).set(1);
    }

    /// Up to when the working-day calendar is published.
    pub fn calendar_until(&self, time: EventTime) {
        self.calendar_until.set(unix_seconds(time));
    }

    /// The logical clock.
    pub fn logical_clock(&self, time: EventTime) {
        self.logical_clock.set(unix_seconds(time));
    }

    /// Counts an HTTP answer. `route` is a template of the route table.
    pub fn request(&self, route: &str, status: u16) {
        let status = status.to_string();
        let requests = &self.families.requests;
        requests.with_label_values(&[route, &status]).inc();
    }

    /// Everything as Prometheus text, ages and percentiles as of `now` (wall time).
    pub fn render(&self, now: EventTime) -> String {
        self.around.look();
        self.kafka.look();
        for connector in lock(&self.connectors).values() {
            let last = EventTime(connector.last_record_ms.load(Ordering::Relaxed));
            connector.silence.set(age_seconds(last, now));
        }
        let oldest = EventTime(self.outbox_oldest_ms.load(Ordering::Relaxed));
        self.outbox_oldest_seconds.set(if oldest.0 == NEVER {
            0.0
        } else {
            age_seconds(oldest, now)
        });
        {
            let mut latency = lock(&self.end_to_end);
            for (word, q) in QUANTILES {
                let gauge = self.families.end_to_end.with_label_values(&[word]);
                gauge.set(latency.quantile_seconds(q, now));
            }
        }
        let mut text = String::new();
        // Writing to a String fails only for a family without samples, and `gather` leaves those out.
        let _ = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text);
        text
    }
}

fn cluster_metrics(r: &Registrar<'_>) -> ClusterMetrics {
    let histogram = |name| r.histogram(name, cluster::BUCKETS_SECONDS);
    ClusterMetrics::new(
        &r.int_gauges("fenghuo_cluster_partitions"),
        &r.int_counters("fenghuo_cluster_claims_total"),
        (
            r.int_counter("fenghuo_cluster_void_records_total"),
            r.int_gauges("fenghuo_cluster_behind_records"),
        ),
        (
            histogram("fenghuo_cluster_append_seconds"),
            histogram("fenghuo_cluster_take_over_seconds"),
        ),
    )
}

impl Families {
    fn register(r: &Registrar<'_>) -> Self {
        Self {
            records: r.int_counters("fenghuo_connector_records_total"),
            refused: r.int_counters("fenghuo_connector_refused_total"),
            events: r.int_counters("fenghuo_connector_events_total"),
            lateness: r.histograms(
                "fenghuo_connector_lateness_seconds",
                LATENESS_BUCKETS_SECONDS,
            ),
            watermark: r.int_gauges("fenghuo_connector_watermark_timestamp_seconds"),
            silence: r.gauges("fenghuo_connector_silence_seconds"),
            silence_limit: r.int_gauges("fenghuo_connector_silence_limit_seconds"),
            deliveries: r.int_counters("fenghuo_sink_deliveries_total"),
            failures: r.int_counters("fenghuo_sink_failures_total"),
            end_to_end: r.gauges("fenghuo_end_to_end_seconds"),
            rule_set: r.int_gauges("fenghuo_rule_set_info"),
            requests: r.int_counters("fenghuo_http_requests_total"),
        }
    }
}

fn add<K: PartialEq + Copy>(counters: &[(K, IntCounter)], key: K, count: u64) {
    if let Some((_, counter)) = counters.iter().find(|(k, _)| *k == key) {
        counter.inc_by(count);
    }
}

fn set<K: PartialEq + Copy>(gauges: &[(K, IntGauge)], key: K, count: i64) {
    if let Some((_, gauge)) = gauges.iter().find(|(k, _)| *k == key) {
        gauge.set(count);
    }
}

fn unix_seconds(time: EventTime) -> i64 {
    time.0.div_euclid(1_000)
}

fn age_seconds(since: EventTime, now: EventTime) -> f64 {
    let ms = now.0.saturating_sub(since.0).max(0);
    std::time::Duration::from_millis(ms.unsigned_abs()).as_secs_f64()
}

/// Counting goes on though another counter panicked: nothing here is left half done.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
