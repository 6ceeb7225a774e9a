//! From a store back to a living province: images, then the journal, with the rule sets that were in force.
//!
//! cost     in proportion to the subjects and to the journal since the last images; both are bounded by configuration
//! errors   a store that does not decode is a fault that names the key; a rule set that no longer loads as well

use super::journal::{
    Change, Head, decode_entries, decode_inputs, decode_items, read_changes, read_chunks,
    read_head, read_rules, read_scope, unpack_images,
};
use super::sink::OutboxEntry;
use super::spill::Spill;
use super::store::{Store, StoreError};
use crate::engine::desk::Item;
use crate::engine::input::{Alone, Crew, Input};
use crate::engine::province::{Province, Restored};
use crate::engine::record::Prepared;
use crate::engine::rule::{RuleSet, RuleSources};
use crate::engine::shard::Shard;
use crate::engine::work::Outputs;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Blocks of images that are unpacked before their subjects are taken up.
const BLOCKS_AT_ONCE: usize = 32;

/// Runs the shards on all processors.
#[derive(Debug, Clone, Copy, Default)]
pub struct Together;

impl Crew for Together {
    fn each(
        &self,
        shards: &mut [Shard],
        job: &(dyn Fn(usize, &mut Shard) -> Outputs + Sync),
    ) -> Vec<Outputs> {
        if shards.len() < 2 {
            return Alone.each(shards, job);
        }
        // One at a time, so that who is done early takes one from the other.
        shards
            .par_iter_mut()
            .with_max_len(1)
            .enumerate()
            .map(|(at, shard)| job(at, shard))
            .collect()
    }
}

/// Why state cannot be recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The store.
    #[error("cannot read the state")]
    Store(#[from] StoreError),
    /// The rule set that was in force does not load.
    #[error("rule set {hash} of the stored state does not load with this version: {first}")]
    Rules {
        /// Its hash.
        hash: String,
        /// The first diagnostic.
        first: String,
    },
    /// The sources of the rule set that was in force are not there.
    #[error("rule set {hash} of the stored state is missing from the store; the store is damaged")]
    NoRules {
        /// Its hash.
        hash: String,
    },
    /// Another number of shards.
    #[error(
        "the stored state has {stored} shards, the configuration {configured}: set engine.shards = {stored}"
    )]
    Shards {
        /// As stored.
        stored: u32,
        /// As configured.
        configured: u32,
    },
}

/// A recovered province.
#[derive(Debug)]
pub struct Recovered {
    /// All subjects, up to the last commit.
    pub province: Province,
    /// Where everything stands.
    pub head: Head,
    /// What stands in the outbox, by commit.
    pub waiting: Vec<(u64, Vec<OutboxEntry>)>,
    /// How many inputs of the journal were stepped over.
    pub replayed: u64,
}

/// Reads the province of a store, so many of its subjects kept ready and the others packed, in memory; nothing in a new store.
pub fn recover(
    store: &dyn Store,
    warm_subjects_max: usize,
) -> Result<Option<Recovered>, RecoverError> {
    recover_with(store, (warm_subjects_max, &Spill::none()))
}

/// The same, the others where subjects at rest go.
pub fn recover_with(
    store: &dyn Store,
    (warm_subjects_max, spill): (usize, &Spill),
) -> Result<Option<Recovered>, RecoverError> {
    let Some(head) = read_head(store)? else {
        return Ok(None);
    };
    let sets = sets_of(store, &head)?;
    let mut province = Province::new(Arc::clone(&sets.first), head.shards);
    province.set_scope(read_scope(store)?);
    province.restore_globals(head.base.clone());
    spill.lend(&mut province);
    province.set_warm_max(warm_subjects_max);
    restore_images(store, &head, &mut province)?;
    province.restore_desk(read_items(store, &head)?);
    let mut replayed = 0;
    let mut changes = sets.changes.iter().peekable();
    read_chunks(store, b'j', &mut |number, bytes| {
        if head.journal_from <= number && number <= head.commit {
            while let Some((_, set)) = changes.next_if(|(at, _)| *at < number) {
                province.change_rules(set, &Together);
            }
            let inputs = decode_inputs(number, &bytes)?;
            replayed += u64::try_from(inputs.len()).unwrap_or(0);
            let prepared = prepare(&inputs);
            province.step(&inputs, &prepared, &Together);
        }
        Ok(())
    })?;
    for (_, set) in changes {
        province.change_rules(set, &Together);
    }
    let waiting = read_waiting(store, &head)?;
    Ok(Some(Recovered {
        province,
        head,
        waiting,
        replayed,
    }))
}

/// What stands in the outbox, by commit.
pub fn read_waiting(
    store: &dyn Store,
    head: &Head,
) -> Result<Vec<(u64, Vec<OutboxEntry>)>, StoreError> {
    let mut waiting = Vec::new();
    read_chunks(store, b'o', &mut |number, bytes| {
        if head.outbox_from <= number {
            waiting.push((number, decode_entries(number, &bytes)?));
        }
        Ok(())
    })?;
    Ok(waiting)
}

/// The rule sets that the journal was written with.
struct Sets {
    /// That of the images.
    first: Arc<RuleSet>,
    /// Those that came into force later, with the commit.
    changes: Vec<(u64, Arc<RuleSet>)>,
}

fn sets_of(store: &dyn Store, head: &Head) -> Result<Sets, RecoverError> {
    let in_journal = head.journal_from..=head.commit;
    let changes = read_changes(store)?.into_iter();
    let changes: Vec<(u64, Change)> = changes.filter(|(n, _)| in_journal.contains(n)).collect();
    let first = changes
        .first()
        .map_or(&head.rule_set, |(_, change)| &change.from);
    let mut last = Arc::new(rules_of(store, first)?);
    let mut sets = Sets {
        first: Arc::clone(&last),
        changes: Vec::with_capacity(changes.len()),
    };
    for (number, change) in changes {
        last = Arc::new(rules_after(store, &change.to, Some(&last))?);
        sets.changes.push((number, Arc::clone(&last)));
    }
    Ok(sets)
}

/// Loads the rule set with this hash from the store.
pub fn rules_of(store: &dyn Store, hash: &str) -> Result<RuleSet, RecoverError> {
    rules_after(store, hash, None)
}

fn rules_after(
    store: &dyn Store,
    hash: &str,
    before: Option<&RuleSet>,
) -> Result<RuleSet, RecoverError> {
    let sources: RuleSources = read_rules(store, hash)?.ok_or_else(|| RecoverError::NoRules {
        hash: hash.to_owned(),
    })?;
    let loaded = match before {
        Some(before) => RuleSet::restore_after(before, &sources),
        None => RuleSet::restore(&sources),
    };
    loaded.map_err(|diagnostics| RecoverError::Rules {
        hash: hash.to_owned(),
        first: diagnostics
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
    })
}

/// Takes up the newest image of every subject: from the newest block to the oldest, some at a time on all processors.
fn restore_images(
    store: &dyn Store,
    head: &Head,
    province: &mut Province,
) -> Result<(), StoreError> {
    let mut blocks: Vec<(u64, Vec<u8>)> = Vec::new();
    read_chunks(store, b'g', &mut |number, bytes| {
        if head.images_from <= number && number < head.images_to {
            blocks.push((number, bytes));
        }
        Ok(())
    })?;
    while !blocks.is_empty() {
        let some = blocks.split_off(blocks.len().saturating_sub(BLOCKS_AT_ONCE));
        let unpack = |(number, bytes): (u64, Vec<u8>)| -> Result<Vec<Restored>, StoreError> {
            let subjects = unpack_images(number, &bytes)?;
            Ok(subjects.into_iter().map(Restored::of).collect())
        };
        let unpacked: Result<Vec<_>, _> = some.into_par_iter().rev().map(unpack).collect();
        province.restore(unpacked?.into_iter().flatten(), &Together);
    }
    Ok(())
}

/// The newest image of everything that the desk keeps.
fn read_items(store: &dyn Store, head: &Head) -> Result<Vec<Item>, StoreError> {
    let mut newest: BTreeMap<String, Item> = BTreeMap::new();
    read_chunks(store, b'c', &mut |number, bytes| {
        if head.images_from <= number && number < head.images_to {
            for item in decode_items(number, &bytes)? {
                newest.insert(item.key().to_owned(), item);
            }
        }
        Ok(())
    })?;
    Ok(newest.into_values().collect())
}

/// Identity and rank of the events among inputs.
pub fn prepare(inputs: &[Input]) -> Vec<Prepared> {
    inputs
        .par_iter()
        .with_min_len(256)
        .filter_map(|input| match input {
            Input::Event(event) => Some(Prepared {
                event: Arc::clone(event),
                key: event.record_key(),
                rank: event.rank(),
            }),
            Input::Clock(_) => None,
        })
        .collect()
}
