//! The state of a process that has everything, carried into the partitions of a cluster that is new.
//!
//! ```text
//! export ─▶ province ─▶ for each partition: its subjects and cases as images, the rule set ─▶ fenghuo.state.v1
//!                    └▶ how far the sources are read, where each record is kept        ─▶ fenghuo.ingest.v1
//! ```
//!
//! Afterwards the cluster goes on where the process stopped: what was told has its numbers, so nothing is told anew and the next
//! message of a subject is the next one. What a cluster does not keep is refused or left behind: key events, quotas and the
//! catalogue are refused; regions, industries and departments are left behind, and so are the rules about them, which the
//! configuration of a cluster cannot have.
//!
//! bounds   the whole state is in memory meanwhile
//! errors   [`ClusterError::Carry`]: messages that some sink lacks, a cluster that has state already; after any error make the
//!          topics anew and begin again

use super::ingest::recovering;
use super::routes::{RECORDS_MAX, Routes};
use super::terms::ClusterError;
use super::work::Process;
use crate::engine::desk::Item;
use crate::engine::event::{Event, Rank, RecordKey, SubjectKey};
use crate::engine::input::{Alone, Globals};
use crate::engine::owner::Scope;
use crate::engine::province::{Province, Restored};
use crate::engine::rule::RuleSources;
use crate::engine::shard::Shard;
use crate::engine::subject::state::Subject;
use crate::runtime::attempt::Attempts;
use crate::runtime::journal::{FORMAT, Head, put_scope, read_head, read_rules};
use crate::runtime::keeper::{Commit, Images, Keeper};
use crate::runtime::pipeline::Pipeline;
use crate::runtime::recover::{Recovered, recover};
use crate::runtime::run::RunError;
use crate::runtime::store::{Batch, MemoryStore, Store, StoreError, stream};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Records whose partitions go into one commit of the ingest stage.
const RECORDS_A_COMMIT: usize = 100_000;

/// What was carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Subjects.
    pub subjects: usize,
    /// Regions, industries and departments that were left behind.
    pub left: usize,
    /// Records whose partitions are known.
    pub records: usize,
}

/// What is taken out of an export.
struct Source {
    recovered: Recovered,
    rules: (String, RuleSources),
}

impl Process<'_> {
    /// Reads an export and gives every partition its part.
    pub fn carry(&self, file: &mut dyn Read) -> Result<Carried, ClusterError> {
        let source = read(file)?;
        let mut carried = Carried::default();
        for partition in 0..self.partitions {
            let scope = Scope {
                partition,
                partitions: self.partitions,
            };
            let done = self.carry_partition(&source, scope);
            carried.subjects += done.map_err(at("engine", partition))??;
        }
        let (province, globals) = (
            &source.recovered.province,
            &source.recovered.province.globals,
        );
        carried.left = subjects(province)
            .filter(|s| s.key.kind.is_collective())
            .count();
        let records = records(province, self.partitions);
        carried.records = records.len();
        let done = self.carry_ingest((&source.recovered.head, globals), records);
        done.map_err(at("ingest", 0))??;
        Ok(carried)
    }

    /// The subjects of a partition; how many there are.
    fn carry_partition(
        &self,
        source: &Source,
        scope: Scope,
    ) -> Result<Result<usize, ClusterError>, RunError> {
        let (topic, directory) = (self.state_topic(), self.directory(scope.partition));
        let mut store = self.claim((&topic, scope.partition), &directory)?;
        if let Some(refused) = has_state(store.as_ref(), (&topic, scope.partition))? {
            return Ok(Err(refused));
        }
        let mut first = Batch::new();
        put_scope(&mut first, scope);
        store.commit(&first).map_err(recovering)?;
        let whole = &source.recovered.province;
        let mut part = Province::new(Arc::clone(whole.set()), 1);
        part.set_scope(Some(scope));
        part.restore_globals(whole.globals.clone());
        let is_mine = |key: &SubjectKey| scope.holds(key) && !key.kind.is_collective();
        let mine = subjects(whole).filter(|subject| is_mine(&subject.key));
        part.restore(mine.map(|one| Restored::of(one.into_owned())), &Alone);
        let items = whole.desk().items().filter(|item| is_of(item, scope));
        part.restore_desk(items.cloned());
        let count = part.shards().iter().map(Shard::len).sum();
        let mut pipeline = Pipeline::new(part, (Vec::new(), Attempts::none()), Vec::new());
        let head = Head {
            format: FORMAT,
            shards: 1,
            ..Head::default()
        };
        let (hash, sources) = source.rules.clone();
        let mut keeper = Keeper::new(store, head, Vec::new(), &[])?;
        keeper.commit(Commit {
            rules: Some((hash, sources)),
            images: Some(pipeline.checkpoint()),
            ..Commit::default()
        })?;
        keeper.finish(|_| false)?;
        Ok(Ok(count))
    }

    /// How far the sources are read, and where each record is.
    fn carry_ingest(
        &self,
        (from, globals): (&Head, &Globals),
        records: BTreeMap<RecordKey, Kept>,
    ) -> Result<Result<(), ClusterError>, RunError> {
        let (topic, directory) = (self.ingest_topic(), self.ingest_directory());
        let store = self.claim((&topic, 0), &directory)?;
        if let Some(refused) = has_state(store.as_ref(), (&topic, 0))? {
            return Ok(Err(refused));
        }
        let head = Head {
            format: FORMAT,
            tally: from.tally.clone(),
            ..Head::default()
        };
        let mut keeper = Keeper::new(store, head, Vec::new(), &[])?;
        let mut routes = Routes::new(self.partitions, RECORDS_MAX);
        for (number, (key, kept)) in (1..).zip(records) {
            routes.carry((key, kept.newest), [&kept.all, &kept.keep]);
            if number % RECORDS_A_COMMIT == 0 {
                keeper.commit(Commit {
                    routes: routes.take_trail(),
                    ..Commit::default()
                })?;
            }
        }
        let positions = from.sources.iter().flat_map(|(source, position)| {
            let files = position.files.iter();
            files.map(|(file, to)| (source.clone(), file.clone(), *to))
        });
        keeper.commit(Commit {
            routes: routes.take_trail(),
            positions: positions.collect(),
            images: Some(Images {
                base: Globals {
                    clock: globals.clock,
                    ..Globals::default()
                },
                blocks: VecDeque::new(),
                is_full: false,
            }),
            ..Commit::default()
        })?;
        keeper.finish(|_| false)?;
        Ok(Ok(()))
    }

    fn claim(
        &self,
        at: (&str, u32),
        directory: &std::path::Path,
    ) -> Result<Box<dyn Store>, RunError> {
        let stop = Arc::new(AtomicBool::new(false));
        let ready = self.open(at, directory, &stop).map_err(recovering)?;
        let (store, _) = self.own(at, ready)?;
        Ok(Box::new(store))
    }
}

fn at(stage: &'static str, partition: u32) -> impl Fn(RunError) -> ClusterError {
    move |cause| ClusterError::Run {
        stage,
        partition,
        cause: Box::new(cause),
    }
}

fn unfit(what: impl Into<String>) -> ClusterError {
    ClusterError::Carry { what: what.into() }
}

/// Refuses to put a state over another one.
fn has_state(
    store: &dyn Store,
    (topic, partition): (&str, u32),
) -> Result<Option<ClusterError>, RunError> {
    let head = read_head(store).map_err(recovering)?;
    Ok(head.map(|_| {
        unfit(format!(
            "{topic}/{partition} has a state already; make the topics anew, or give the cluster another prefix"
        ))
    }))
}

fn read(file: &mut dyn Read) -> Result<Source, ClusterError> {
    let mut store = MemoryStore::default();
    let failed = |error: StoreError| unfit(crate::runtime::logging::chain(&error));
    stream::import(&mut store, file).map_err(failed)?;
    let recovered = recover(&store, usize::MAX);
    let recovered = recovered.map_err(|error| unfit(crate::runtime::logging::chain(&error)))?;
    let Some(recovered) = recovered else {
        return Err(unfit(
            "the export is of a state in which nothing has happened yet",
        ));
    };
    if read_scope_of(&store)? {
        return Err(unfit(
            "the export is of one partition of a cluster, not of a process that has everything",
        ));
    }
    let marks = recovered.head.sinks.values().map(|mark| mark.next_entry);
    let told = marks.min().unwrap_or(recovered.head.next_entry);
    let entries = recovered.waiting.iter().flat_map(|(_, entries)| entries);
    let waiting = entries.filter(|entry| told <= entry.seq).count();
    if 0 < waiting {
        return Err(unfit(format!(
            "{waiting} messages have not left yet; start the process again until its sinks have everything, then export"
        )));
    }
    let kept = recovered.province.desk().items().find(|item| {
        matches!(item, Item::Event(_) | Item::Matter(_))
            || matches!(item, Item::Brake(brake) if !brake.steps.is_empty())
    });
    if let Some(item) = kept {
        let what = format!(
            "the state has \"{}\", which needs one process that sees everything (key events, the catalogue, what officers said of rules)",
            item.key()
        );
        return Err(unfit(what));
    }
    let hash = recovered.head.rule_set.clone();
    let sources = read_rules(&store, &hash).map_err(failed)?;
    let sources = sources.ok_or_else(|| unfit(format!("rule set {hash} is not in the export")))?;
    Ok(Source {
        recovered,
        rules: (hash, sources),
    })
}

fn read_scope_of(store: &dyn Store) -> Result<bool, ClusterError> {
    let scope = crate::runtime::journal::read_scope(store);
    let scope = scope.map_err(|error| unfit(crate::runtime::logging::chain(&error)))?;
    Ok(scope.is_some())
}

fn subjects(province: &Province) -> impl Iterator<Item = Cow<'_, Subject>> {
    province.shards().iter().flat_map(Shard::subjects)
}

/// Whether what the desk keeps is about a subject of this partition.
fn is_of(item: &Item, scope: Scope) -> bool {
    let of = |subject: &str| {
        let key = SubjectKey::parse(subject);
        key.is_some_and(|key| scope.holds(&key) && !key.kind.is_collective())
    };
    match item {
        Item::Case(case) => of(&case.subject),
        Item::Order(order) => of(&order.subject),
        Item::Brake(_) | Item::Stray(_) | Item::Event(_) | Item::Matter(_) => false,
    }
}

/// Which partitions have something of a record.
struct Kept {
    newest: Rank,
    /// Any version of it.
    all: BTreeSet<u32>,
    /// The newest.
    keep: BTreeSet<u32>,
}

/// Where the records are that individuals keep, or remember to be withdrawn.
fn records(province: &Province, partitions: u32) -> BTreeMap<RecordKey, Kept> {
    let mut records: BTreeMap<RecordKey, Kept> = BTreeMap::new();
    let mut note = |key: RecordKey, rank: Rank, place: u32| {
        let known = records.entry(key).or_insert_with(|| Kept {
            newest: rank,
            all: BTreeSet::new(),
            keep: BTreeSet::new(),
        });
        known.all.insert(place);
        if known.newest < rank {
            known.newest = rank;
            known.keep.clear();
        }
        if known.newest == rank {
            known.keep.insert(place);
        }
    };
    for subject in subjects(province).filter(|s| !s.key.kind.is_collective()) {
        let place = subject.key.shard(partitions);
        let Some(facts) = subject.facts() else {
            continue;
        };
        for (stream, list) in facts.streams() {
            let events = list
                .iter()
                .filter_map(|fact| Some((fact.key, fact.event(stream)?)));
            for (key, event) in events {
                note(key, Event::rank(&event), place);
            }
        }
        for dead in facts.tombstones() {
            note(dead.key, dead.rank, place);
        }
    }
    records
}
