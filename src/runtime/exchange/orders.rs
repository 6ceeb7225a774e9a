//! What a person has decided on a lane, left as small files for a running process, which alone may touch the store.
//!
//! shape    `orders/<16 hex of SM3>.json`: subject, and why it is to be parked, or nothing for "go on". Written whole under
//!          another name first. One decision a subject: the last counts. An order that cannot be read is set aside as `.bad`.

use crate::engine::hash::sm3_hex;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Whose lane.
    pub subject: String,
    /// Why it is to wait; nothing lets it go on.
    pub park: Option<String>,
}

/// Leaves a decision.
pub fn leave(directory: &Path, order: &Order) -> io::Result<()> {
    let folder = directory.join("orders");
    std::fs::create_dir_all(&folder)?;
    let name = sm3_hex(&[order.subject.as_bytes()]);
    let path = folder.join(format!("{}.json", name.get(..16).unwrap_or_default()));
    let part = path.with_extension("part");
    std::fs::write(&part, serde_json::to_vec(order)?)?;
    std::fs::rename(part, path)
}

/// Takes all decisions that were left. A kill right after loses at most a decision that its author sees was not carried out.
pub fn take(directory: &Path) -> Vec<Order> {
    let Ok(found) = std::fs::read_dir(directory.join("orders")) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = found.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    let mut orders = Vec::new();
    for path in paths {
        let read = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let done = if let Some(order) = read {
            orders.push(order);
            std::fs::remove_file(&path)
        } else {
            tracing::error!(path = %path.display(), "a decision on a lane cannot be read and is set aside as .bad");
            std::fs::rename(&path, path.with_extension("bad"))
        };
        if let Err(error) = done {
            tracing::warn!(path = %path.display(), %error, "cannot clear a decision");
        }
    }
    orders
}
