//! What a process counts of the cluster that it is in; all zero when it is in none.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// From a millisecond to a minute.
pub(super) const BUCKETS_SECONDS: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];

/// Handles of the metrics of a cluster.
#[derive(Debug, Clone)]
pub struct ClusterMetrics {
    /// Partitions that this process judges.
    pub judged: IntGauge,
    /// 1 when it reads the sources.
    pub ingests: IntGauge,
    /// Partitions whose logs it follows.
    pub followed: IntGauge,
    /// Claims that made it the owner.
    pub won: IntCounter,
    /// Claims that another process was faster with.
    pub lost: IntCounter,
    /// Records of state logs that count for nobody.
    pub void: IntCounter,
    /// How long an append takes until all replicas in sync have it.
    pub append_seconds: Histogram,
    /// How long a take-over takes.
    pub take_over_seconds: Histogram,
    behind: IntGaugeVec,
}

impl ClusterMetrics {
    pub(super) fn new(
        partitions: &IntGaugeVec,
        claims: &IntCounterVec,
        (void, behind): (IntCounter, IntGaugeVec),
        (append_seconds, take_over_seconds): (Histogram, Histogram),
    ) -> Self {
        let of = |role| partitions.with_label_values(&[role]);
        Self {
            judged: of("engine"),
            ingests: of("ingest"),
            followed: of("standby"),
            won: claims.with_label_values(&["won"]),
            lost: claims.with_label_values(&["lost"]),
            void,
            append_seconds,
            take_over_seconds,
            behind,
        }
    }

    /// Shows how far this process is behind the state log of a partition, as long as the value lives.
    pub fn behind(&self, partition: u32) -> Behind {
        let label = partition.to_string();
        Behind {
            gauge: self.behind.with_label_values(&[&label]),
            family: self.behind.clone(),
            label,
        }
    }
}

/// Records of one partition's state log that this process has not read yet.
#[derive(Debug)]
pub struct Behind {
    gauge: IntGauge,
    family: IntGaugeVec,
    label: String,
}

impl Behind {
    /// So many.
    pub fn set(&self, records: u64) {
        self.gauge.set(i64::try_from(records).unwrap_or(i64::MAX));
    }
}

impl Drop for Behind {
    /// The process neither owns nor follows it any more.
    fn drop(&mut self) {
        // Gone already when two values stood for one partition.
        let _ = self.family.remove_label_values(&[&self.label]);
    }
}
