//! From a row of the table to a registered metric.
//!
//! errors   none: a row that is absent, of another kind, badly named or taken twice is a bug that every test meets

use super::table::{Kind, TABLE};
use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry,
};

/// Builds a metric from its row.
pub(super) struct Registrar<'a> {
    pub(super) registry: &'a Registry,
}

#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a row that is absent, of another kind or badly named is a bug that every test would meet"
)]
impl Registrar<'_> {
    fn add<M: Collector + Clone + 'static>(
        &self,
        name: &str,
        kind: Kind,
        make: impl FnOnce(Opts, &[&str]) -> prometheus::Result<M>,
    ) -> M {
        let Some(spec) = TABLE.iter().find(|spec| spec.name == name) else {
            panic!("{name} is not in the table of metrics");
        };
        assert!(spec.kind == kind, "{name} is of another kind in the table");
        let metric = make(Opts::new(spec.name, spec.help), spec.labels).expect("a well-formed row");
        self.registry
            .register(Box::new(metric.clone()))
            .expect("each row is registered once");
        metric
    }

    pub(super) fn counters(&self, name: &str) -> CounterVec {
        self.add(name, Kind::Counter, CounterVec::new)
    }

    pub(super) fn int_counters(&self, name: &str) -> IntCounterVec {
        self.add(name, Kind::Counter, IntCounterVec::new)
    }

    pub(super) fn int_counter(&self, name: &str) -> IntCounter {
        self.add(name, Kind::Counter, |opts, _| IntCounter::with_opts(opts))
    }

    pub(super) fn int_gauges(&self, name: &str) -> IntGaugeVec {
        self.add(name, Kind::Gauge, IntGaugeVec::new)
    }

    pub(super) fn int_gauge(&self, name: &str) -> IntGauge {
        self.add(name, Kind::Gauge, |opts, _| IntGauge::with_opts(opts))
    }

    pub(super) fn gauges(&self, name: &str) -> GaugeVec {
        self.add(name, Kind::Gauge, GaugeVec::new)
    }

    pub(super) fn gauge(&self, name: &str) -> Gauge {
        self.add(name, Kind::Gauge, |opts, _| Gauge::with_opts(opts))
    }

    pub(super) fn histograms(&self, name: &str, buckets: &[f64]) -> HistogramVec {
        self.add(name, Kind::Histogram, |opts, labels| {
            HistogramVec::new(HistogramOpts::from(opts).buckets(buckets.to_vec()), labels)
        })
    }

    pub(super) fn histogram(&self, name: &str, buckets: &[f64]) -> Histogram {
        self.add(name, Kind::Histogram, |opts, _| {
            Histogram::with_opts(HistogramOpts::from(opts).buckets(buckets.to_vec()))
        })
    }
}
