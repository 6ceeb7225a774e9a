//! Opens the doors of a run: HTTP, metrics, audit; and lets them watch it.
//!
//! Without `[http]` in the configuration nothing listens; metrics are counted all the same, at no cost worth naming.

mod seen;

pub use self::seen::Seen;
use self::seen::Share;
use super::alert::{Alerts, AlertsError};
use super::assembly::{AssemblyError, alertmanagers, personal_key_bytes};
use super::clock::Clock;
use super::config::exchange::Way;
use super::config::{Config, HttpConfig, SourceKind};
use super::http::behind::Health;
use super::http::{Doors as Behind, Limits, ServeError, Server, StartError};
use super::journal::Head;
use super::kafka::tally::Tally;
use super::metrics::{ClusterMetrics, ConnectorMetrics, Metrics, RuleMetrics};
use super::rollout::Reloader;
use super::rollout::watching::{Watching, watch};
use super::run::{Job, Question};
use super::service::{AuditLog, Elsewhere, QUESTIONS_MAX, Service};
use super::source::{Lane, PushLane, PushQueue};
use crate::engine::connector::Connector;
use crate::engine::rule::RuleSet;
use crate::engine::time::EventTime;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
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
    /// What each run has told.
    shares: Mutex<BTreeMap<u32, Share>>,
    server: Option<(Server, oneshot::Sender<()>)>,
    alerts: Vec<Alerts>,
    _watching: Option<Watching>,
}

/// What stands behind the doors: the service in all its parts.
fn behind(
    (service, audit, health, metrics): (&Arc<Service>, Arc<AuditLog>, &Arc<Health>, &Arc<Metrics>),
    clock: &Clock,
) -> Behind {
    Behind {
        ingest: Arc::<Service>::clone(service),
        read: Arc::<Service>::clone(service),
        control: Arc::<Service>::clone(service),
        audit,
        health: Arc::clone(health),
        metrics: Arc::clone(metrics),
        clock: clock.clone(),
    }
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
            (config.rules.clone(), Arc::clone(&job.rules.0)),
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
        let counts = connector_metrics(&job.connectors, &metrics, clock);
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
                let shared = (&service, audit, &health, &metrics);
                Some(serve(http, behind(shared, clock))?)
            }
        };
        Ok(Self {
            metrics,
            service,
            health,
            clock: clock.clone(),
            counts,
            rules: Mutex::new(rules),
            shares: Mutex::default(),
            server,
            alerts,
            _watching: watching,
        })
    }

    /// Opens the doors of a process in a cluster, whose runs come and go with their partitions; what they ask of a run comes
    /// out of the receiver. Pushed records, acts of officers and other rules are not taken.
    pub fn shared(
        config: &Config,
        (set, connectors): (&Arc<RuleSet>, &[Arc<Connector>]),
        (clock, kafka): (&Clock, Tally),
        elsewhere: Arc<dyn Elsewhere>,
    ) -> Result<(Self, Receiver<Question>), DoorsError> {
        let metrics = Arc::new(Metrics::new(clock.now()));
        look_around(config, &metrics);
        metrics.kafka.watch(&kafka);
        let health = Arc::new(Health::default());
        let (sender, receiver) = sync_channel(QUESTIONS_MAX);
        let place = (config.rules.clone(), Arc::clone(set));
        let reloader = Reloader::new(place, sender.clone(), clock.clone());
        let service = Service::new(
            BTreeMap::new(),
            sender,
            Arc::clone(&health),
            clock.clone(),
            Arc::new(reloader),
        );
        let service = Arc::new(service.shared(elsewhere));
        let counts = connector_metrics(connectors, &metrics, clock);
        let rules = rule_metrics(&metrics, set);
        let server = match &config.http {
            None => None,
            Some(http) => {
                let audit = AuditLog::open(config.audit.clone(), clock.clone())?;
                let shared = (&service, Arc::new(audit), &health, &metrics);
                Some(serve(http, behind(shared, clock))?)
            }
        };
        let doors = Self {
            metrics,
            service,
            health,
            clock: clock.clone(),
            counts,
            rules: Mutex::new(rules),
            shares: Mutex::default(),
            server,
            alerts: Vec::new(),
            _watching: None,
        };
        Ok((doors, receiver))
    }

    /// The doors, as one run is seen through them: of a partition, or 0, the only one.
    pub fn of(&self, number: u32) -> Seen<'_> {
        Seen {
            doors: self,
            number,
        }
    }

    /// What is counted of a cluster.
    pub fn cluster(&self) -> ClusterMetrics {
        self.metrics.cluster()
    }

    /// From now on the process does its work.
    pub fn ready(&self) {
        self.health.set_recovered();
        self.health.set_sources_running(true);
        self.metrics.ready.set(1);
    }

    fn in_force(&self, set: &RuleSet) {
        self.metrics.rule_set(set.hash(), self.clock.now());
        let year = set.calendar().published_through().unwrap_or(1970);
        if let Some((last, _)) = EventTime::parse(&format!("{year}-12-31")) {
            self.metrics.calendar_until(last);
        }
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
}

fn connector_metrics(
    connectors: &[Arc<Connector>],
    metrics: &Metrics,
    clock: &Clock,
) -> BTreeMap<String, Arc<ConnectorMetrics>> {
    let one = |c: &Arc<Connector>| {
        let counts = metrics.connector(c.id(), c.silence_hours(), clock.now());
        (c.id().to_owned(), counts)
    };
    connectors.iter().map(one).collect()
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

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "far below 2^53"
)]
fn seconds(us: u64) -> f64 {
    us as f64 / 1_000_000.0
}
