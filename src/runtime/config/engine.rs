//! `[engine]`: the state, its size in memory, and the clock.

use super::table::{Table, TomlError};
use super::{defaults, path, small};
use crate::runtime::secret::{SecretError, Sensitive, read_secret};
use crate::runtime::spill::Spill;
use std::path::{Path, PathBuf};

/// `[engine]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// The directory of the durable state.
    pub state: PathBuf,
    /// How many shards.
    pub shards: u32,
    /// What moves the logical clock.
    pub clock: ClockKind,
    /// The key for personal columns.
    pub personal_key_file: Option<PathBuf>,
    /// Events in one commit.
    pub commit_events_max: usize,
    /// Firms and other individuals that are kept ready in memory; the others are packed.
    pub warm_subjects_max: usize,
    /// Whether the packed ones are put away in a file beside the state.
    pub resting_on_disk: bool,
    /// One in so many facts is judged by one of its rules in the interpreter as well; 0: none.
    pub rule_check_every: u32,
    /// How long the end waits for sinks that have not taken everything, s.
    pub last_deliveries_seconds: u64,
    /// Journal before a new base image.
    pub checkpoint_journal_bytes: u64,
}

impl EngineConfig {
    /// Where subjects at rest go whose state is in this directory.
    pub fn spill(&self, state: &Path) -> Spill {
        if self.resting_on_disk {
            Spill::beside(state)
        } else {
            Spill::none()
        }
    }

    /// Reads the key for personal columns, if there is one.
    pub fn personal_key(&self) -> Result<Option<Sensitive<Vec<u8>>>, SecretError> {
        let (min, max) = defaults::PERSONAL_KEY_BYTES;
        let read = |path: &PathBuf| read_secret(path, min, max);
        self.personal_key_file.as_ref().map(read).transpose()
    }
}

/// What moves the logical clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockKind {
    /// The event time of the records: replays give the same answers at any speed.
    Events,
    /// The machine's clock: checks fire when their time comes though no record arrives.
    Wall,
}

pub(super) fn engine(file: &mut Table<'_>, dir: &Path) -> Result<EngineConfig, TomlError> {
    let Some(mut table) = file.table("engine")? else {
        return Err(file.missing("engine"));
    };
    let clocks = [("events", ClockKind::Events), ("wall", ClockKind::Wall)];
    let config = EngineConfig {
        state: path(&mut table, "state", dir)?.unwrap_or_else(|| dir.join(defaults::STATE)),
        shards: small(table.integer("shards", defaults::SHARDS, 1..=4_096)?),
        clock: table.choice("clock", &clocks, ClockKind::Events)?,
        personal_key_file: path(&mut table, "personal_key_file", dir)?,
        commit_events_max: small(table.integer(
            "commit_events_max",
            defaults::COMMIT_EVENTS_MAX,
            1..=100_000,
        )?),
        warm_subjects_max: small(table.integer(
            "warm_subjects_max",
            defaults::WARM_SUBJECTS_MAX,
            1..=1_000_000_000,
        )?),
        resting_on_disk: table.flag("resting_on_disk", defaults::RESTING_ON_DISK)?,
        rule_check_every: small(table.integer(
            "rule_check_every",
            defaults::RULE_CHECK_EVERY,
            0..=1_000_000_000,
        )?),
        last_deliveries_seconds: table.integer(
            "last_deliveries_seconds",
            defaults::LAST_DELIVERIES_SECONDS,
            0..=3_600,
        )?,
        checkpoint_journal_bytes: table.integer(
            "checkpoint_journal_kb",
            defaults::CHECKPOINT_JOURNAL_KB,
            16..=67_108_864,
        )? * 1_024,
    };
    table.finish()?;
    Ok(config)
}
