//! The shell: everything that touches the world.

pub mod clock;
// What is configured, and what is judged with.
pub mod config;
pub mod bundle;
pub mod rollout;
pub mod assembly;
// Where records come from, and the loop.
pub mod source;
pub mod attempt;
pub mod pipeline;
pub mod run;
// Durable state.
pub mod store;
pub mod journal;
pub mod keeper;
pub mod spill;
pub mod recover;
pub mod archive;
pub mod backtest;
// Where outputs leave.
pub mod sink;
pub mod alert;
pub mod exchange;
pub mod reported;
pub mod kafka;
#[cfg(feature = "rdkafka")]
pub mod cluster;
pub mod dlq;
pub mod contracts;
// Watching and the doors.
pub mod digest;
pub mod describe;
pub mod event_report;
pub mod paper;
pub mod metrics;
pub mod service;
pub mod doors;
pub mod refusals;
pub mod http;
pub mod tokens;
pub mod secret;
pub mod audit;
pub mod logging;
pub mod signal;
#[cfg(test)]
mod far_end;
