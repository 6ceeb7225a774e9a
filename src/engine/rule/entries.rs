//! A manifest as texts, key by key: for lists of rules and for what has changed between two of them.

use super::manifest::Manifest;

impl Manifest {
    /// Its entries as texts.
    pub(super) fn entries(&self) -> Vec<(String, String)> {
        let basis: Vec<&str> = self.basis.iter().map(AsRef::as_ref).collect();
        let subjects: Vec<&str> = self.subjects.iter().map(|kind| kind.name()).collect();
        let on: Vec<&str> = self.on.iter().map(|stream| stream.name()).collect();
        let by: Vec<&str> = self.by.iter().map(|field| field.name()).collect();
        [
            ("id", self.id.to_string()),
            ("name", self.name.to_string()),
            ("owner", self.owner.to_string()),
            ("basis", basis.join("、")),
            ("subject", subjects.join("、")),
            ("on", on.join("、")),
            ("history", span_text(self.history_ms)),
            ("cooldown", span_text(self.cooldown_ms)),
            ("status", self.status.name().to_owned()),
            ("dimension", self.dimension.to_string()),
            ("by", by.join("、")),
            ("interpreted", self.is_interpreted.to_string()),
            ("suggest", self.suggest.as_deref().unwrap_or("").to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec()
    }
}

/// `30d`, or hours if it is no whole number of days.
fn span_text(ms: i64) -> String {
    use crate::engine::time::{DAY_MS, HOUR_MS};
    if ms % DAY_MS == 0 {
        format!("{}d", ms / DAY_MS)
    } else {
        format!("{}h", ms / HOUR_MS)
    }
}
