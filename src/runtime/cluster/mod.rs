//! Several processes that share the subjects of a province, held together by the broker alone.
//!
//! ```text
//! sources ─▶ ingest: one process ─▶ fenghuo.event.v1, by subject ─▶ engine: an owner a partition ─▶ fenghuo.warning.v1, ..
//!                 │ fenghuo.ingest.v1                                        │ ▲ fenghuo.state.v1
//!                 └ positions, routes                                        └─┘ inputs, images, positions, outbox
//! ```
//!
//! Each partition of the event topic is a small province of its own: its subjects, their record index, their cases. It is a
//! run like the embedded one, whose store writes every commit to its partition of the state topic first ([`store`]). The
//! consumer group only says who *tries* to own a partition; whether a commit counts is decided by the order of the log
//! ([`crate::engine::owner`]).
//!
//! What needs all partitions at once is refused at the start, so that nothing is judged wrongly: rules about regions,
//! industries and departments, and acts of officers, whose quotas hold for the whole province.
//!
//! source   the group protocol: Kafka's, static membership (KIP-345), range assignment

pub mod carry;
pub mod event;
pub mod follower;
pub mod ingest;
pub mod log;
pub mod member;
pub mod routes;
mod standby;
pub mod store;
pub mod switchboard;
pub mod teller;
pub mod terms;
mod told;
pub mod topic;
pub mod wire;
pub mod work;
