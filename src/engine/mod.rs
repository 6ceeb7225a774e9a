//! The pure core. Modules stand in the order in which a record travels.
//!
//! Nothing here can fail for reasons outside its arguments: no clock, task, disk, network, log or random order.

// The vocabulary.
pub mod time;
pub mod calendar;
pub mod schema;
pub mod duel;
pub mod event;
pub mod reject;
pub mod hash;
// From bytes to an event.
pub mod identity;
pub mod region;
pub mod industry;
pub mod connector;
// From an event to its place in the stream.
pub mod input;
pub mod record;
mod recount;
pub mod province;
pub mod adopt;
pub mod owner;
// One shard and one subject.
pub mod work;
pub mod shard;
mod slots;
pub mod cold;
mod keep;
pub mod tally;
pub mod subject;
// From rules to what leaves.
pub mod rule;
pub mod sentence;
mod reach;
pub mod judge;
mod ledger;
mod moved;
pub mod episode;
pub mod score;
pub mod feedback;
pub mod settle;
pub mod desk;
pub mod frequency;
pub mod warning;
pub mod remark;
pub mod backtest;
pub mod explain;
