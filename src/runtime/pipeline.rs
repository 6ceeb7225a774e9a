//! The loop: take records, step the province, hand the batch to the keeper.
//!
//! ```text
//! lanes ─ take ≤ commit_events_max ─▶ step (shards in parallel) ─▶ channel of 1 ─▶ keeper: commit ─▶ sinks
//!   └─ read and decode ahead meanwhile, while a processor has nothing to judge
//! ```
//!
//! The loop and the keeper overlap by one batch; when the keeper is behind, the loop waits, and batches grow to their
//! limit by themselves because more records are ready. Nothing else is queued.
//!
//! bounds   `commit_events_max` records a batch; one batch in the keeper, one in the channel
//! errors   a fault of the keeper ends the loop; what was acknowledged is there after a restart

use super::archive::columns::Row;
use super::attempt::Attempts;
use super::dlq::{DeadLetter, Place};
use super::journal::{Account, FilePosition, encode_items, pack_images};
use super::keeper::{Commit, Images, KeepError};
use super::recover::Together;
use super::sink::{OutboxEntry, OutputKind};
use super::source::{Decoded, Lane, LaneCard, Merge, Pull, SourceFault, Taken};
use crate::engine::connector::Connector;
use crate::engine::desk::Item;
use crate::engine::event::SubjectKey;
use crate::engine::input::{Disposition, Input, Outcome};
use crate::engine::province::Province;
use crate::engine::reject::{Reject, RejectCode};
use crate::engine::remark::Said;
use crate::engine::rule::RuleSources;
use crate::engine::shard::Shard;
use crate::engine::time::EventTime;
use crate::engine::warning::Message;
use crate::engine::work::Sent;
use rayon::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Images of changed subjects may come to so many times the size of the last images of all, before all are written anew.
const PARTIAL_SHARE_MAX: usize = 2;
/// Subjects of an image block.
const BLOCK_SUBJECTS: usize = 512;

/// A batch that was stepped, on its way to the keeper and to those who watch.
#[derive(Debug, Default)]
pub struct Stepped {
    /// For the keeper.
    pub commit: Commit,
    /// What the core gave.
    pub outcome: Outcome,
    /// How many records were taken.
    pub records: usize,
    /// The receipts of pushed bodies: how many of their records were read and refused.
    pub receipts: BTreeMap<u64, Receipt>,
    /// What came of the records, by connector.
    pub accounts: BTreeMap<String, Account>,
    /// When the events happened and how late they came, by connector.
    pub times: BTreeMap<String, Times>,
}

/// When the events of a batch happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    /// The latest.
    pub newest: EventTime,
    /// How long after it happened each arrived, ms.
    pub late_ms: Vec<u64>,
}

/// What became of a pushed body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Records read.
    pub read: u64,
    /// Records refused, with the first reasons.
    pub refused: Vec<String>,
    /// How many were refused.
    pub refused_total: u64,
}

/// Why the loop cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A source.
    #[error("cannot read")]
    Source(#[from] SourceFault),
    /// The keeper.
    #[error(transparent)]
    Keep(#[from] KeepError),
}

/// See the module.
#[derive(Debug)]
pub struct Pipeline {
    /// The core.
    pub province: Province,
    /// Whether events go into an archive.
    pub is_archived: bool,
    /// Whether records of supervision leave for the nation.
    pub is_reported: bool,
    merge: Merge,
    lanes: Vec<LaneCard>,
    attempts: Arc<Attempts>,
    connectors: Vec<Arc<Connector>>,
    /// Bytes of the last images of everything, and of those of changed subjects since.
    full_bytes: usize,
    partial_bytes: usize,
}

impl Pipeline {
    /// A pipeline over these lanes; that it is at work is noted.
    pub fn new(
        province: Province,
        (lanes, attempts): (Vec<Box<dyn Lane>>, Arc<Attempts>),
        connectors: Vec<Arc<Connector>>,
    ) -> Self {
        let merge = Merge::new(lanes, Arc::clone(&attempts));
        Self {
            province,
            attempts,
            is_archived: false,
            is_reported: false,
            lanes: merge.cards(),
            merge,
            connectors,
            full_bytes: 0,
            partial_bytes: 0,
        }
    }

    /// Takes a batch and steps over it; nothing when no record is ready. Whoever `watch`es sees it while it is noted that it is
    /// worked on.
    pub fn turn(
        &mut self,
        max: usize,
        clock: Option<EventTime>,
        watch: impl FnOnce(&Province, &Stepped) + Send,
    ) -> Result<(Pull, Option<Stepped>), PipelineError> {
        let max = self.attempts.batch_max(max);
        let mut taken: Vec<Taken> = Vec::with_capacity(max);
        let pull = self.merge.take(max, &mut taken)?;
        if taken.is_empty() && clock.is_none() {
            return Ok((pull, None));
        }
        let attempts = Arc::clone(&self.attempts);
        let _working = attempts.working(self.merge.work(&taken));
        let stepped = self.step(&taken, clock, watch);
        Ok((pull, Some(stepped)))
    }

    fn step(
        &mut self,
        taken: &[Taken],
        clock: Option<EventTime>,
        watch: impl FnOnce(&Province, &Stepped) + Send,
    ) -> Stepped {
        let mut inputs: Vec<Input> = Vec::with_capacity(taken.len() + 1);
        let mut prepared = Vec::with_capacity(taken.len());
        inputs.extend(clock.map(Input::Clock));
        for (_, record) in taken {
            inputs.extend(record.clock.map(Input::Clock));
            if let Some(Ok(one)) = &record.result {
                inputs.push(Input::Event(Arc::clone(&one.event)));
                prepared.push(one.clone());
            }
        }
        let is_ahead = !self.attempts.is_careful();
        let books = Books {
            connectors: &self.connectors,
            lanes: &self.lanes,
            is_archived: self.is_archived,
            is_reported: self.is_reported,
        };
        let (province, merge) = (&mut self.province, &mut self.merge);
        let (stepped, ()) = rayon::join(
            || {
                let before = province.globals.seq;
                let outcome = province.step(&inputs, &prepared, &Together);
                let stepped = books.stepped((taken, inputs), before, outcome);
                watch(province, &stepped);
                stepped
            },
            || {
                if is_ahead {
                    merge.read_ahead();
                }
            },
        );
        stepped
    }

    /// Images of what changed; of everything at first, and when what was written since is twice as much, so that the store
    /// does not grow with the age of the run.
    pub fn checkpoint(&mut self) -> Images {
        let is_full = self.full_bytes.saturating_mul(PARTIAL_SHARE_MAX) <= self.partial_bytes;
        self.images(is_full)
    }

    /// Images of the subjects that changed since the last time, or of all.
    fn images(&mut self, is_full: bool) -> Images {
        let base = self.province.globals.clone();
        let mut blocks = VecDeque::new();
        let of_shard = |shard: &mut Shard| {
            let dirty = shard.drain_dirty();
            if is_full { shard.keys() } else { dirty }
        };
        let shards = self.province.shards_mut().par_iter_mut().with_max_len(1);
        let keys: Vec<Vec<Arc<SubjectKey>>> = shards.map(of_shard).collect();
        for (shard, keys) in self.province.shards().iter().zip(keys) {
            if is_full {
                shard.foresee();
            }
            let parts = keys.par_chunks(BLOCK_SUBJECTS);
            let packed: Vec<Vec<u8>> = parts
                .map_init(Vec::new, |room, part| {
                    pack_images(part.iter().filter_map(|key| shard.get(key)), room)
                })
                .collect();
            blocks.extend(packed.into_iter().map(|block| (b'g', block)));
        }
        let changed = self.province.desk_mut().drain_dirty();
        let desk = self.province.desk();
        let items: Vec<&Item> = if is_full {
            desk.items().collect()
        } else {
            changed.iter().filter_map(|key| desk.get(key)).collect()
        };
        blocks.extend(
            items
                .chunks(BLOCK_SUBJECTS)
                .map(|part| (b'c', encode_items(part))),
        );
        let bytes = blocks.iter().map(|(_, block)| block.len()).sum();
        if is_full {
            (self.full_bytes, self.partial_bytes) = (bytes, 0);
        } else {
            self.partial_bytes = self.partial_bytes.saturating_add(bytes);
        }
        Images {
            base,
            blocks,
            is_full,
        }
    }

    /// A commit that puts a rule set into force, at its place in the journal.
    pub fn adopt(hash: &str, sources: RuleSources, outcome: &Outcome) -> Commit {
        Commit {
            entries: entries_of(outcome),
            rules: Some((hash.to_owned(), sources)),
            ..Commit::default()
        }
    }
}

/// What a stepped batch is written up with.
struct Books<'a> {
    connectors: &'a [Arc<Connector>],
    lanes: &'a [LaneCard],
    is_archived: bool,
    is_reported: bool,
}

impl Books<'_> {
    /// The batch as it goes to the keeper; the first of its inputs has the number after `before`.
    fn stepped(
        &self,
        (taken, inputs): (&[Taken], Vec<Input>),
        before: u64,
        outcome: Outcome,
    ) -> Stepped {
        let mut stepped = Stepped {
            records: taken.len(),
            ..Stepped::default()
        };
        if self.is_archived {
            stepped.commit.archived = archived(before, &inputs, &outcome.dispositions);
        }
        self.account(taken, &outcome, &mut stepped);
        stepped.commit.entries.splice(0..0, entries_of(&outcome));
        stepped.commit.inputs = inputs;
        stepped.outcome = outcome;
        stepped.commit.accounts = stepped
            .accounts
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        stepped
    }

    /// Says what became of every record; the refused go to the dead letters.
    #[expect(
        clippy::too_many_lines,
        reason = "one row or step after the other; splitting would hide the order"
    )]
    fn account(&self, taken: &[Taken], outcome: &Outcome, stepped: &mut Stepped) {
        let card = |lane: usize| self.lanes.get(lane);
        let mut dispositions = outcome.dispositions.iter();
        let mut positions: BTreeMap<(usize, &str), FilePosition> = BTreeMap::new();
        for (lane, record) in taken {
            let position = FilePosition {
                offset: record.place.to,
                number: record.place.number,
                arrived_at: record.arrived_at,
            };
            positions.insert((*lane, record.place.file.as_ref()), position);
            let Some(result) = &record.result else {
                continue;
            };
            let connector = card(*lane).and_then(|card| self.connectors.get(card.connector));
            // Events that another process has decoded have no connector here.
            let id = connector.map_or("event", |c| c.id());
            let account = match stepped.accounts.get_mut(id) {
                Some(account) => account,
                None => stepped.accounts.entry(id.to_owned()).or_default(),
            };
            account.read += 1;
            if let Ok(prepared) = result {
                let times = match stepped.times.get_mut(id) {
                    Some(times) => times,
                    None => stepped.times.entry(id.to_owned()).or_default(),
                };
                let (at, came) = (prepared.event.occurred_at, prepared.event.arrived_at);
                times.newest = times.newest.max(at);
                times
                    .late_ms
                    .push(u64::try_from(came.0.saturating_sub(at.0)).unwrap_or(0));
            }
            let too_old;
            let refused = match result {
                Err(reject) => Some(reject),
                Ok(prepared) => match dispositions.next() {
                    Some(Disposition::Duplicate) => {
                        account.duplicates += 1;
                        None
                    }
                    Some(Disposition::Stale) => {
                        account.stale += 1;
                        None
                    }
                    Some(Disposition::TooOld) => {
                        too_old = Reject::new(
                            RejectCode::TooOld,
                            format!(
                                "connector \"{id}\": occurred at {}, before everything that the rules look back on; load it into the archive if it is wanted",
                                prepared.event.occurred_at
                            ),
                        );
                        Some(&too_old)
                    }
                    done @ (Some(Disposition::Applied | Disposition::Replaced) | None) => {
                        account.applied += 1;
                        if self.is_reported {
                            let is_known = done == Some(&Disposition::Replaced);
                            let entry = super::reported::entry(&prepared.event, is_known);
                            stepped.commit.entries.extend(entry);
                        }
                        None
                    }
                },
            };
            if let Some(reject) = refused {
                *account
                    .refused
                    .entry(reject.code.name().to_owned())
                    .or_default() += 1;
                let clock = match result {
                    Ok(prepared) => prepared.event.arrived_at,
                    Err(_) => record.arrived_at,
                };
                stepped
                    .commit
                    .entries
                    .push(dead_entry(id, record, reject, clock));
            }
            if let Some(receipt) = record.receipt {
                let receipt = stepped.receipts.entry(receipt).or_default();
                receipt.read += 1;
                if let Some(reject) = refused {
                    receipt.refused_total += 1;
                    if receipt.refused.len() < 20 {
                        receipt.refused.push(reject.to_string());
                    }
                }
            }
        }
        stepped.commit.positions = positions
            .into_iter()
            .filter_map(|((lane, file), to)| Some((card(lane)?, file, to)))
            .filter(|(card, ..)| card.is_durable)
            .map(|(card, file, to)| (card.name.clone(), file.to_owned(), to))
            .collect();
    }
}

/// What goes into the archive: events that changed the state, and those too old for it.
fn archived(before: u64, inputs: &[Input], dispositions: &[Disposition]) -> Vec<Row> {
    let mut dispositions = dispositions.iter();
    let mut rows = Vec::with_capacity(inputs.len());
    for (number, input) in (before + 1..).zip(inputs) {
        if let Input::Event(event) = input
            && let Some(Disposition::Applied | Disposition::Replaced | Disposition::TooOld) =
                dispositions.next()
        {
            rows.push((number, Arc::clone(event)));
        }
    }
    rows
}

/// What leaves of a step: messages, then what is told beside them.
fn entries_of(outcome: &Outcome) -> Vec<OutboxEntry> {
    let remarks = outcome.remarks.iter().map(|remark| OutboxEntry {
        seq: 0,
        kind: match remark.said {
            Said::Decision(_) => OutputKind::Decision,
            Said::Risk(_) => OutputKind::SubjectRisk,
        },
        subject: remark.subject.to_string(),
        id: remark.id().to_owned(),
        line: remark.to_line(),
    });
    outcome.sent.iter().map(entry_of).chain(remarks).collect()
}

fn entry_of(sent: &Sent) -> OutboxEntry {
    let kind = match &sent.message {
        Message::Warning(_) => OutputKind::Warning,
        Message::Sanction(_) => OutputKind::Sanction,
        Message::Task(_) => OutputKind::Task,
        Message::Measure(_) => OutputKind::Measure,
    };
    OutboxEntry {
        seq: 0,
        kind,
        subject: sent.message.subject().to_owned(),
        id: sent.message.id().to_owned(),
        line: sent.message.to_line(),
    }
}

/// A refused record as it leaves.
pub(super) fn dead_entry(
    connector: &str,
    record: &Decoded,
    reject: &Reject,
    clock: EventTime,
) -> OutboxEntry {
    let place = Place {
        connector: connector.to_owned(),
        file: record.place.file.to_string(),
        offset: record.place.from,
        line_no: record.place.number,
    };
    // A record before which none was good has no time.
    let clock = Some(clock).filter(|clock| *clock != EventTime::MIN);
    DeadLetter::new(place, reject.clone(), clock, record.bytes())
        .with_header(record.header.as_deref())
        .to_entry(0)
}
