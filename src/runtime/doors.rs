//! Opens the doors of a run: HTTP, metrics, audit; and lets them watch it.
//!
//! Without `[http]` in the configuration nothing listens; metrics are counted all the same, at no cost worth naming.

use super::alert::{Alerts, AlertsError};
use super::assembly::{AssemblyError, alertmanagers, personal_key_bytes};
use super::clock::Clock;
use super::config::exchange::Way;
use super::config::{Config, HttpConfig, SourceKind};
use super::http::behind::Health;
use super::http::{Doors as Behind, Limits, ServeError, Server, StartError};
use super::journal::Head;
use super::keeper::Delivery;
use super::metrics::{
    ConnectorMetrics, Metrics, Outcome as Became, RuleMetrics, SanctionStatus, Transition as Told,
};
use super::pipeline::Stepped;
use super::rollout::Reloader;
use super::rollout::watching::{Watching, watch};
use super::run::{Durable, Job, Watch};
use super::service::{AuditLog, QUESTIONS_MAX, Service};
use super::source::{Lane, PushLane, PushQueue};
use crate::engine::connector::Connector;
use crate::engine::desk::sanction::Stand;
use crate::engine::episode::Transition;
use crate::engine::input::Outcome;
use crate::engine::province::Province;
use crate::engine::reject::RejectCode;
use crate::engine::rule::RuleSet;
use crate::engine::settle::standing;
use crate::engine::time::EventTime;
use crate::engine::warning::Message;
use crate::engine::work::Sent;
use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Why the doors do not open.
#[derive(Debug, thiserror::Error)]
pub enum DoorsError {
    /// The server.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] super::audit::AuditError),
    /// A source.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// An Alertmanager's address.
    #[error(transparent)]
    Alerts(#[from] AlertsError),
}

/// The doors of a run.
#[derive(Debug)]
pub struct Doors {
    metrics: Arc<Metrics>,
    service: Arc<Service>,
    health: Arc<Health>,
    clock: Clock,
    counts: BTreeMap<String, Arc<ConnectorMetrics>>,
    rules: Mutex<Vec<RuleMetrics>>,
    /// What was stepped and is not yet durable, batch by batch.
    pending: Mutex<VecDeque<Vec<Message>>>,
    server: Option<(Server, oneshot::Sender<()>)>,
    alerts: Vec<Alerts>,
    _watching: Option<Watching>,
}

impl Doors {
    /// Opens them; a run `until_end` takes no pushed records and tells no Alertmanager, as nobody would say when a warning ends.
    pub fn open(
        config: &Config,
        job: &mut Job,
        clock: &Clock,
        until_end: bool,
    ) -> Result<Self, DoorsError> {
        let metrics = Arc::new(Metrics::new(clock.now()));
        look_around(config, &metrics);
        metrics.kafka.watch(&job.kafka);
        if let Some(exchange) = &job.exchange {
            exchange.count_with(metrics.exchange());
        }
        let health = Arc::new(Health::default());
        let (sender, receiver) = sync_channel(QUESTIONS_MAX);
        job.questions = Some(receiver);
        let queues = if until_end {
            BTreeMap::new()
        } else {
            push_lanes(config, job, clock)?
        };
        let reloader = Arc::new(Reloader::new(
            config.rules.clone(),
            sender.clone(),
            clock.clone(),
        ));
        let service = Arc::new(Service::new(
            queues,
            sender,
            Arc::clone(&health),
            clock.clone(),
            Arc::clone(&reloader),
        ));
        let counts = connector_metrics(job, &metrics, clock);
        let rules = rule_metrics(&metrics, &job.rules.0);
        let alerts = tellers(config, &metrics, clock, until_end)?;
        // A run to the end of its sources changes no rules on the way.
        let audit = if config.http.is_some() || !until_end {
            Some(Arc::new(AuditLog::open(
                config.audit.clone(),
                clock.clone(),
            )?))
        } else {
            None
        };
        let watching = match &audit {
            Some(audit) if !until_end => {
                Some(watch(Arc::clone(&reloader), Arc::<AuditLog>::clone(audit)))
            }
            _ => None,
        };
        let server = match (&config.http, audit) {
            (None, _) | (_, None) => None,
            (Some(http), Some(audit)) => {
                let behind = Behind {
                    ingest: Arc::<Service>::clone(&service),
                    read: Arc::<Service>::clone(&service),
                    control: Arc::<Service>::clone(&service),
                    audit,
                    health: Arc::clone(&health),
                    metrics: Arc::clone(&metrics),
                    clock: clock.clone(),
                };
                Some(serve(http, behind)?)
            }
        };
        Ok(Self {
            metrics,
            service,
            health,
            clock: clock.clone(),
            counts,
            rules: Mutex::new(rules),
            pending: Mutex::default(),
            server,
            alerts,
            _watching: watching,
        })
    }

    /// Closes them: no new connection, answers under way are finished.
    pub fn close(self) -> Result<(), ServeError> {
        self.health.set_draining();
        match self.server {
            None => Ok(()),
            Some((server, close)) => {
                // A server that is gone has closed already.
                let _ = close.send(());
                server.join()
            }
        }
    }

    /// Counts what is about to leave and keeps it until it is durable.
    fn told(&self, outcome: &Outcome) {
        self.metrics.disposal().count(&outcome.sent);
        super::refusals::log(&outcome.sent);
        let messages: Vec<Message> = outcome.sent.iter().map(|s| s.message.clone()).collect();
        for message in &messages {
            if let Message::Warning(w) = message {
                let told = match w.transition {
                    Transition::Raised => Told::Raised,
                    Transition::Revised => Told::Revised,
                    Transition::Withdrawn => Told::Withdrawn,
                    Transition::Ended | Transition::Closed => Told::Ended,
                };
                let region = (!w.region.is_empty()).then_some(w.region.as_str());
                let of = (w.level, w.rule_id.as_str());
                self.metrics.warnings().told(of, region, told);
            }
        }
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(messages);
    }

    /// Takes up how warnings and proposals stand.
    fn posted(&self, messages: Vec<Message>) {
        for alerts in &self.alerts {
            alerts.post(&messages);
        }
        self.service.post(messages);
    }

    fn count_open(&self) {
        self.service
            .with_standing(|standing| self.metrics.warnings().open(standing));
    }

    fn desk(&self, province: &Province) {
        let counts = province.desk().count();
        self.metrics.disposal().standing(&counts);
        let of = |stands: &[Stand]| stands.iter().filter_map(|s| counts.sanctions.get(s)).sum();
        let lifted = [Stand::Lifted, Stand::Lapsed, Stand::Rejected];
        for (status, stands) in [
            (
                SanctionStatus::Proposed,
                &[Stand::Proposed, Stand::Halfway][..],
            ),
            (SanctionStatus::Confirmed, &[Stand::InForce, Stand::Lifting]),
            (SanctionStatus::Lifted, &lifted),
        ] {
            self.metrics.sanctions(status, of(stands));
        }
    }

    fn in_force(&self, set: &RuleSet) {
        self.metrics.rule_set(set.hash(), self.clock.now());
        let year = set.calendar().published_through().unwrap_or(1970);
        if let Some((last, _)) = EventTime::parse(&format!("{year}-12-31")) {
            self.metrics.calendar_until(last);
        }
    }

    fn became(&self, stepped: &Stepped) {
        let now = self.clock.now();
        for (connector, account) in &stepped.accounts {
            let Some(counts) = self.counts.get(connector) else {
                continue;
            };
            counts.records.inc_by(account.read);
            counts.heard(now);
            counts.events(Became::Applied, account.applied);
            counts.events(Became::Duplicate, account.duplicates);
            counts.events(Became::Stale, account.stale);
            for (code, count) in &account.refused {
                let code = RejectCode::ALL.into_iter().find(|c| c.name() == code);
                match code {
                    Some(RejectCode::TooOld) => counts.events(Became::TooOld, *count),
                    Some(code) => counts.refused(code, *count),
                    None => {}
                }
                self.metrics.dead_letters.inc_by(*count);
            }
        }
        for (connector, times) in &stepped.times {
            let Some(counts) = self.counts.get(connector) else {
                continue;
            };
            counts.watermark(times.newest);
            for late_ms in &times.late_ms {
                counts
                    .lateness_seconds
                    .observe(seconds(late_ms.saturating_mul(1_000)));
            }
        }
    }

    fn suspensions(&self, province: &Province) {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        for (rule, conduct) in rules.iter().zip(&province.globals.conduct) {
            let is_suspended = conduct.suspended_since.is_some();
            rule.suspended.set(i64::from(is_suspended));
        }
    }

    fn spoke(&self, province: &Province, stepped: &Stepped) {
        self.suspensions(province);
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        for (rule, firings) in rules.iter().zip(&stepped.outcome.firings) {
            rule.firings.inc_by(*firings);
        }
        for fault in &stepped.outcome.faults {
            if let Some(rule) = rules.get(fault.fault.rule) {
                rule.errors.inc();
            }
        }
        for fault in stepped.outcome.faults.iter().take(1) {
            tracing::warn!(subject = %fault.subject, message = fault.fault.message, "a rule failed");
        }
        for (at, ns) in &stepped.outcome.timed {
            if let Some(rule) = rules.get(*at) {
                rule.took(*ns);
            }
        }
        self.metrics.rule_checks.inc_by(stepped.outcome.checked);
        for difference in &stepped.outcome.differences {
            if let Some(rule) = rules.get(difference.fault.rule) {
                rule.differences.inc();
            }
            tracing::error!(subject = %difference.subject, message = difference.fault.message, "a rule is not run as it is written");
        }
        for at in &stepped.outcome.suspended {
            let id = province
                .set()
                .rules()
                .get(*at)
                .map_or("", |r| r.manifest().id.as_ref());
            tracing::error!(
                rule = id,
                "rule suspended: it keeps failing; mend it and reload, what it owes is judged then"
            );
        }
        self.metrics.logical_clock(province.clock());
    }
}

fn connector_metrics(
    job: &Job,
    metrics: &Metrics,
    clock: &Clock,
) -> BTreeMap<String, Arc<ConnectorMetrics>> {
    let one = |c: &Arc<Connector>| {
        let counts = metrics.connector(c.id(), c.silence_hours(), clock.now());
        (c.id().to_owned(), counts)
    };
    job.connectors.iter().map(one).collect()
}

fn serve(http: &HttpConfig, behind: Behind) -> Result<(Server, oneshot::Sender<()>), StartError> {
    let (close, closed) = oneshot::channel::<()>();
    let shutdown = async move {
        // A dropped sender closes the doors as well.
        let _ = closed.await;
    };
    let server = Server::start(http, Limits::default(), behind, shutdown)?;
    Ok((server, close))
}

/// What runs out: the disk, certificates.
fn look_around(config: &Config, metrics: &Metrics) {
    metrics.around.disk(&config.engine.state);
    if let Some(tls) = config.http.as_ref().and_then(|http| http.tls.as_ref()) {
        metrics.around.certificate("http", &tls.cert);
    }
    let way = config.exchange.as_ref().map(|exchange| &exchange.way);
    if let Some(Way::Gateway(gateway)) = way
        && let Some((certificate, _)) = &gateway.client
    {
        metrics.around.certificate("exchange", certificate);
    }
}

/// One for each Alertmanager.
fn tellers(
    config: &Config,
    metrics: &Metrics,
    clock: &Clock,
    until_end: bool,
) -> Result<Vec<Alerts>, DoorsError> {
    let mut tellers = Vec::new();
    if until_end {
        return Ok(tellers);
    }
    for told in alertmanagers(config)? {
        let counts = metrics.sink("alertmanager");
        tellers.push(Alerts::start(told, clock.clone(), counts)?);
    }
    Ok(tellers)
}

/// Lanes for the sources of kind "http", in front of what the job has.
fn push_lanes(
    config: &Config,
    job: &mut Job,
    clock: &Clock,
) -> Result<BTreeMap<String, Arc<PushQueue>>, AssemblyError> {
    let key = personal_key_bytes(config)?;
    let mut queues = BTreeMap::new();
    let mut lanes: Vec<Box<dyn Lane>> = Vec::new();
    for source in config.sources.iter().filter(|s| s.kind == SourceKind::Http) {
        let found = job
            .connectors
            .iter()
            .position(|c| c.id() == source.connector);
        let Some(connector) =
            found.and_then(|at| job.connectors.get(at).map(|c| (at, Arc::clone(c))))
        else {
            continue;
        };
        let queue = Arc::new(PushQueue::default());
        queues.insert(source.connector.clone(), Arc::clone(&queue));
        lanes.push(Box::new(PushLane::new(
            connector,
            Arc::clone(&key),
            queue,
            clock.clone(),
        )));
    }
    let rest = core::mem::replace(&mut job.lanes, Box::new(|_: &Head| Vec::new()));
    job.lanes = Box::new(move |head| {
        lanes.extend(rest(head));
        lanes
    });
    Ok(queues)
}

fn rule_metrics(metrics: &Metrics, set: &RuleSet) -> Vec<RuleMetrics> {
    let manifests = || set.rules().iter().map(|rule| rule.manifest());
    metrics.forget_suspended();
    let lines = manifests().map(|m| (&m.id, m.line.as_ref()));
    metrics.warnings().set_lines(lines);
    manifests().map(|m| metrics.rule(&m.id)).collect()
}

impl Watch for Doors {
    fn recovered(&self, province: &Province, head: &Head, replayed: u64) {
        let court = province.court();
        for shard in province.shards() {
            for subject in shard.subjects() {
                self.posted(standing(&court, &subject));
            }
        }
        self.count_open();
        self.desk(province);
        self.health.set_recovered();
        self.health.set_sources_running(true);
        self.metrics.ready.set(1);
        self.in_force(province.set());
        self.service.show_rules(province);
        tracing::info!(commit = head.commit, replayed, clock = %province.clock(), "state recovered");
    }

    fn stepped(&self, province: &Province, stepped: &Stepped) {
        self.became(stepped);
        self.spoke(province, stepped);
        let is_task = |sent: &Sent| matches!(sent.message, Message::Task(_));
        if stepped.outcome.sent.iter().any(is_task) {
            self.desk(province);
        }
        self.metrics.disposal().inspected(province, stepped);
        self.told(&stepped.outcome);
    }

    fn adopted(&self, outcome: &Outcome) {
        self.told(outcome);
    }

    fn delivered(&self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            let sink = self.metrics.sink(&delivery.sink);
            sink.deliveries.inc_by(delivery.delivered);
            sink.failures.inc_by(delivery.failures);
        }
        let waiting = deliveries.iter().map(|d| d.waiting).max().unwrap_or(0);
        self.metrics
            .outbox_entries
            .set(i64::try_from(waiting).unwrap_or(i64::MAX));
        let oldest = deliveries.iter().filter_map(|d| d.oldest_ms).max();
        let now = self.clock.now();
        self.metrics.outbox_oldest(
            oldest.map(|ms| now.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX).saturating_neg())),
        );
    }

    fn durable(&self, durable: &Durable) {
        let messages = self
            .pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        let any = messages.as_ref().is_some_and(|m| !m.is_empty());
        self.posted(messages.unwrap_or_default());
        if any {
            self.count_open();
        }
        if durable.is_rules {
            return;
        }
        for (receipt, what) in &durable.receipts {
            self.service.settle(*receipt, what.read, what.refused_total);
        }
        let records = u64::try_from(durable.records).unwrap_or(0);
        self.metrics
            .end_to_end(durable.latency_us, records, self.clock.now());
        self.metrics
            .commit_seconds
            .observe(seconds(durable.commit_us));
        self.metrics
            .journal_bytes
            .set(i64::try_from(durable.journal_bytes).unwrap_or(i64::MAX));
        self.metrics
            .state_bytes
            .set(i64::try_from(durable.state_bytes).unwrap_or(i64::MAX));
        for (kind, count) in &durable.subjects {
            self.metrics.subjects(*kind, *count);
        }
    }

    fn source_fault(&self, message: &str) {
        tracing::error!(message, "a source cannot be read; the others go on");
    }

    fn rules(&self, province: &Province, failure: Option<&str>) {
        let set = province.set();
        if let Some(why) = failure {
            self.metrics.rule_set_failures.inc();
            tracing::error!(why, "rules were not loaded; those in force stay");
            return;
        }
        self.in_force(set);
        self.service.show_rules(province);
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) =
            rule_metrics(&self.metrics, set);
        self.suspensions(province);
        self.count_open();
        tracing::info!(hash = set.hash(), "rules are in force");
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "far below 2^53"
)]
fn seconds(us: u64) -> f64 {
    us as f64 / 1_000_000.0
}
