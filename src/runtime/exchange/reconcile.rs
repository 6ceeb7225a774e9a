//! Daily reconciliation: our receipts against what the far end holds, by id and by the hash of the bytes.
//!
//! Four things can be wrong. Each is listed, and a person decides; nothing is mended behind anyone's back.
//!
//! why      the only defence when the far end ignores idempotency keys, or loses what it has signed for

use super::Held;
use super::desk::Filed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What does not agree; empty when all does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Signed for, but not there.
    pub lost: Vec<String>,
    /// There more than once.
    pub doubled: Vec<String>,
    /// There with other bytes.
    pub changed: Vec<String>,
    /// There, but never sent from here.
    pub foreign: Vec<String>,
}

impl Difference {
    /// How many.
    pub fn len(&self) -> usize {
        self.lost.len() + self.doubled.len() + self.changed.len() + self.foreign.len()
    }

    /// Whether all agrees.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a comparison came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// When, ms since 1970-01-01 UTC.
    pub at_ms: i64,
    /// Receipts of ours.
    pub ours: usize,
    /// Without a receipt yet.
    pub waiting: usize,
    /// What the far end says it holds.
    pub theirs: usize,
    /// What does not agree.
    pub difference: Difference,
}

/// The last comparison, as `reconciled.json` in the exchange's directory.
#[derive(Debug, Clone, Copy)]
pub struct Last;

impl Last {
    /// Writes it down. Losing it costs a comparison more.
    pub fn write(directory: &Path, compared: &Compared) {
        let path = directory.join("reconciled.json");
        let part = path.with_extension("part");
        let text = serde_json::to_vec_pretty(compared).unwrap_or_default();
        let written = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &path));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "cannot write down what a comparison came to");
        }
    }

    /// The last one, if there is any.
    pub fn read(directory: &Path) -> Option<Compared> {
        let bytes = std::fs::read(directory.join("reconciled.json")).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

/// Compares. `waiting` are ids and hashes of what has no receipt yet: the far end may hold it, with the answer lost.
pub fn reconcile(filed: &[Filed], waiting: &[(String, String)], held: &[Held]) -> Difference {
    let mut there: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in held {
        there.entry(&one.id).or_default().push(&one.sm3);
    }
    let mut ours: BTreeMap<&str, (&str, bool)> = BTreeMap::new();
    ours.extend(
        waiting
            .iter()
            .map(|(id, sm3)| (id.as_str(), (sm3.as_str(), false))),
    );
    ours.extend(
        filed
            .iter()
            .map(|f| (f.id.as_str(), (f.body_sm3.as_str(), true))),
    );
    let mut difference = Difference::default();
    for (id, (sm3, is_filed)) in &ours {
        match there.get(id).map(Vec::as_slice) {
            None if *is_filed => difference.lost.push((*id).to_owned()),
            None => {}
            Some(copies) => {
                if 1 < copies.len() {
                    difference.doubled.push((*id).to_owned());
                }
                if copies.iter().any(|copy| copy != sm3) {
                    difference.changed.push((*id).to_owned());
                }
            }
        }
    }
    let foreign = there.keys().filter(|id| !ours.contains_key(**id));
    difference.foreign = foreign.map(|id| (*id).to_owned()).collect();
    difference
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::exchange::Receipt;

    #[test]
    fn each_kind_of_difference_is_named() {
        let filed = |id: &str| Filed {
            id: id.into(),
            subject: String::new(),
            lane_no: 1,
            body_sm3: format!("h{id}"),
            at_ms: 0,
            receipt: Receipt {
                number: String::new(),
                accepted_at: String::new(),
                raw: String::new(),
            },
            prev: String::new(),
            hash: String::new(),
        };
        let held = |id: &str, sm3: &str| Held {
            id: id.into(),
            sm3: sm3.into(),
        };
        let ours = [filed("a"), filed("b"), filed("c"), filed("d")];
        let waiting = [
            ("e".to_owned(), "he".to_owned()),
            ("f".to_owned(), "hf".to_owned()),
        ];
        let there = [
            held("a", "ha"),
            held("b", "hb"),
            held("b", "hb"),
            held("c", "other"),
            held("e", "he"),
            held("x", "hx"),
        ];
        let difference = reconcile(&ours, &waiting, &there);
        assert_eq!(difference.lost, ["d"]);
        assert_eq!(difference.doubled, ["b"]);
        assert_eq!(difference.changed, ["c"]);
        assert_eq!(difference.foreign, ["x"]);
        assert!(reconcile(&ours[..1], &waiting, &there[..1]).is_empty());
    }
}
