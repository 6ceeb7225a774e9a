//! The national exchange, outward: what left the core goes to the far end, subject by subject, until there is a receipt.
//!
//! ```text
//! keeper ─ ExchangeSink ─▶ desk: one durable commit ─▶ lanes, one a subject ─▶ worker ─▶ Adapter ─▶ far end
//!          (knows its seq)  bodies, lanes, receipts      in order, alone        back-off    signed       receipt
//! ```
//!
//! A [`Parcel`] is made once: its id, its place in the lane and its bytes never change, so a copy can be told from a
//! new thing at the far end. A subject that is refused waits in its lane for a person and holds nobody else up.
//!
//! [`handover`] takes over, [`lane`] decides (pure), [`desk`] remembers, [`worker`] acts, [`gateway`] speaks the header protocol, [`shape`] puts a
//! warning into the national `riskWarning` form, [`sign`] signs. Two other ways take many parcels at once: [`batch`] files in a
//! directory, and [`database`] tables. [`daily`] compares with what the far end holds ([`reconcile`]).
//!
//! source   `domain.md` §1.8 and §6.1; `reliability.md` §2.10

pub mod batch;
pub mod daily;
pub mod database;
pub mod desk;
pub mod gateway;
pub mod handover;
pub mod lane;
pub mod orders;
pub mod reconcile;
mod records;
pub mod shape;
pub mod sign;
pub mod worker;

#[cfg(test)]
mod tests;

use super::store::StoreError;
use serde::{Deserialize, Serialize};

/// One thing for the far end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// Its place in the order in which outputs left the core; unique.
    pub seq: u64,
    /// The same for every copy: the idempotency key.
    pub id: String,
    /// Whose lane it is in: `enterprise:9132…`.
    pub subject: String,
    /// Its place in the lane, from 1 without gaps.
    pub lane_no: u32,
    /// When it was put into the lane, ms since 1970-01-01 UTC.
    pub since_ms: i64,
    /// The bytes that are sent.
    pub body: Vec<u8>,
    /// SM3 of those bytes, 64 hex digits.
    pub body_sm3: String,
}

/// What the far end has given for a parcel, verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The far end's number for it.
    pub number: String,
    /// When the far end took it, as it says.
    pub accepted_at: String,
    /// What it signed and the signature, as received.
    pub raw: String,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The far end has it, and has signed for these bytes.
    Accepted(Receipt),
    /// The far end will not have it as it is: a person has to look.
    Refused(String),
    /// Nobody knows, or not now; the same again later.
    Unsure {
        /// What happened.
        reason: String,
        /// What the far end asked for, ms.
        after_ms: Option<u64>,
    },
    /// The far end does not know us (secret, clock): nothing passes until that is mended.
    Denied(String),
    /// The far end is not who it should be, or our certificate is no good: nothing may be sent.
    Untrusted(String),
}

impl Outcome {
    /// Why it came to this, for logs.
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Refused(reason)
            | Self::Denied(reason)
            | Self::Untrusted(reason)
            | Self::Unsure { reason, .. } => reason,
        }
    }
}

/// What the far end says it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Held {
    /// The parcel's id.
    pub id: String,
    /// SM3 of the bytes it holds.
    pub sm3: String,
}

/// A parcel, and how many attempts have failed or may have been made.
pub type Tried = (Parcel, u32);

/// How parcels go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bundle {
    /// The most that go together; 1: each for itself.
    pub most: usize,
    /// Not more often than this, ms.
    pub every_ms: i64,
}

impl Default for Bundle {
    fn default() -> Self {
        Self {
            most: 1,
            every_ms: 0,
        }
    }
}

/// One way to the far end.
pub trait Adapter: Send + Sync {
    /// Its name in logs.
    fn name(&self) -> &str;
    /// Sends a parcel. Called from several threads, never twice at once for one subject.
    /// `attempts` have failed before, or may have been made by a process that is gone: where it can, it asks first whether
    /// the far end has it.
    fn send(&self, parcel: &Parcel, attempts: u32) -> Outcome;
    /// How long the far end may go on taking a message whose sender is gone, ms; nothing when taking is one act.
    fn doubt_ms(&self) -> i64 {
        0
    }
    /// How many parcels go together, and how seldom.
    fn bundle(&self) -> Bundle {
        Bundle::default()
    }
    /// Sends parcels together, those of one subject in their order: one outcome for each. A subject's later parcel is never
    /// accepted when an earlier one is not.
    fn send_all(&self, parcels: &[Tried]) -> Vec<Outcome> {
        let one = |(parcel, attempts): &Tried| self.send(parcel, *attempts);
        parcels.iter().map(one).collect()
    }
    /// What the far end holds, every copy that it counts as one of its own; for reconciliation.
    fn list(&self) -> Result<Vec<Held>, String>;
}

/// What can go wrong beyond one parcel; the process has to end.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The exchange's own store.
    #[error("the exchange's store fails")]
    Store(#[from] StoreError),
    /// Something in `[exchange]` cannot be used.
    #[error("exchange: {0}")]
    Setting(String),
}
