//! How rules come to a running engine: from a directory or a signed bundle, checked and tested first, all or nothing.
//!
//! ```text
//! directory ─────────────┐  read   verify signatures   check as of today   run tests        between batches
//! bundle, signed twice ──┴─▶ ───────────▶ ──────────────────▶ ──────────────▶ ──▶ the loop ──▶ one place in the stream
//!    ▲ a file changed, SIGHUP, POST /api/v1/rules/reload
//! ```
//!
//! Everything up to the last arrow is done outside the loop, so a broken rule stops nothing and half a set is never in force.

pub mod place;
pub mod reload;
pub mod sealed;
pub mod watching;

pub use place::RulesPlace;
pub use reload::Reloader;

#[cfg(test)]
mod tests;
