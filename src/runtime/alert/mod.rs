//! Open warnings as alerts in Alertmanager, one each: told when they open, told again while they are open, resolved at the end.
//!
//! An alert is a state, not a message: Alertmanager forgets it when it is not told again in time. So nothing of this is in
//! the store. After a start every warning that stands open is told again, and one that ended while nobody was there to
//! say so runs out by itself. Silences, groups and inhibitions are Alertmanager's.
//!
//! ```text
//! labels       alertname=FenghuoWarning, family=warning, level=红, level_code=P0, city=320500, city_name=苏州,
//!              rule=CF-001, subject=enterprise:9132…, group=industry=H (collectives only)
//! annotations  summary, description, suggest, claim_until, warning_id, link
//! ```
//!
//! bounds   never more than `alerts_per_second_max` alerts a second to each Alertmanager; the gravest are told first. When
//!          there are more open warnings than that allows, they are told less often and stay valid for longer
//! errors   a far end that does not answer is tried again, 1 s to 1 min apart; nothing else waits for it
//! source   Alertmanager API v2, `POST /api/v2/alerts`

mod roll;
mod worker;

pub use worker::{Alerts, AlertsError};

use crate::engine::subject::view::Level;

/// Where to and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertsConfig {
    /// `http://127.0.0.1:9093`, without a path of the API.
    pub url: String,
    /// For `Authorization: Bearer ..`.
    pub token: Option<String>,
    /// Where people look: an address in which `{subject}` stands for the subject.
    pub link: Option<String>,
    /// The least level that is told.
    pub level_min: Level,
    /// How often an open warning is told again, ms.
    pub refresh_ms: i64,
    /// The most alerts a second.
    pub alerts_per_second_max: u32,
    /// Time for one request.
    pub timeout_ms: u64,
}
