//! Tests of the whole, in one binary: what is in the repository against what the code does with it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

/// Paths, the shipped rules, events from files.
mod support;
/// Each shipped feed reads its sample records as expected.
mod connectors;
mod contracts;
/// The shipped rules load, and pass their own tests.
mod rollout;
mod rules;
/// Rules change on a running province, and it starts again.
mod change;
/// Rules with one mistake each, as analysts make them.
mod broken;
/// What an analyst types.
mod bench;
/// Rules in an editor.
mod editor;
/// Scenarios that an analyst can read.
mod golden;
/// A generated province and the real command.
mod province;
mod provisioned;
/// Whole runs: books, shards, looking.
mod whole;
/// Rules that fail.
mod faults;
/// Stored warnings are written anew, and verdicts say why.
mod explain;
/// Back-tests say what runs say.
mod backtest;
/// Every order of arrival ends the same.
mod order;
/// What is told beside warnings.
mod remarks;
#[cfg(feature = "rdkafka")]
mod partitions;
/// Records that kill the process.
mod deadly;
mod mortal;
/// Runs killed at any moment.
mod kill;
mod live;
/// The real records of one regulator.
mod chicago;
/// Kills a process that commits, again and again.
mod spilled;
mod store;
/// The HTTP doors, over the wire.
mod doors;
/// Documents say what the code does.
mod docs;
/// The page of metrics and the table in the code are one.
mod docs_metrics;
/// Grafana's dashboard-linter.
mod linted;
/// The runbook as a dashboard.
mod runbook;
/// Dashboards, alerts and runbooks.
mod watching;
/// The house rules that a compiler does not check.
mod tidy;
