//! Fenghuo (烽火): a streaming risk-warning engine for a province's "Internet + Supervision" system.
//!
//! ```text
//! source → connector → event → route → shard: [ correct/dedupe → state → rules → score → warnings ] → commit → sinks
//! ```
//!
//! [`engine`] is the pure core: it has no clock, task, disk, network, log or random order. [`runtime`] is the shell that
//! has them. [`generate`] makes a plausible province for trials, and [`cli`] is what a user types.

pub mod cli;
pub mod engine;
pub mod generate;
pub mod runtime;
