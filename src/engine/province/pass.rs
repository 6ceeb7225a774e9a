//! The passes over a segment: individuals in all shards, the collectives on what came of it, then the desk, in one order.
//!
//! order    messages by (place, individuals before collectives, subject), stable; what the desk is told by place
//! cost     a sort of what left; the shards' own work is in `shard`

use super::{Province, Segment};
use crate::engine::event::SubjectKey;
use crate::engine::input::{Crew, Outcome};
use crate::engine::judge::Court;
use crate::engine::remark::{Remark, arrange};
use crate::engine::time::EventTime;
use crate::engine::work::{Fault, Outputs, Sent, SentTally, What, Work, add};

impl Province {
    /// Runs the works so far: individuals, then the collectives on what came of it.
    pub(super) fn run(&mut self, segment: &mut Segment, crew: &dyn Crew, outcome: &mut Outcome) {
        let is_idle = segment.works.iter().all(Vec::is_empty) && segment.words.is_empty();
        if is_idle && self.cues.is_empty() {
            return;
        }
        let first = core::mem::replace(segment, self.segment());
        let court = Court {
            set: &self.set,
            suspended: &self.suspended,
            clock: EventTime(0),
            check_every: self.check_every,
            stopwatch: self.stopwatch,
            is_filling: false,
            asked: self.asked,
        };
        let owners = u32::try_from(self.shards.len()).unwrap_or(1);
        let mut outputs = crew.each(&mut self.shards, &|at, shard| {
            let mut out = Outputs::default();
            if let Some(works) = first.works.get(at) {
                // A fact is mostly counted by its region, its industry and its department.
                out.tallies.reserve(works.len().saturating_mul(3));
                shard.run(&court, works, &mut out);
                out.told = by_owner(core::mem::take(&mut out.tallies), owners);
            }
            out
        });
        for out in &mut outputs {
            for (shard, told) in self.shards.iter_mut().zip(&mut out.told) {
                shard.be_told(told);
            }
        }
        outputs.extend(crew.each(&mut self.shards, &|at, shard| {
            let mut out = Outputs::default();
            shard.run_told(&court, &others(&first, (at, owners)), &mut out);
            out
        }));
        self.gather(outputs, outcome);
    }

    /// A fact is a call of every rule of its place, or a debt of those that are suspended, whether the rule was looked at or
    /// the index kept it away.
    fn count_seats(&mut self, seats: &[u64], outcome: &mut Outcome) {
        for (seat, count) in seats.iter().enumerate().filter(|(_, n)| 0 < **n) {
            for at in self.set.anchored_at(seat) {
                let is_suspended = self.suspended.get(*at).copied().unwrap_or(false);
                let conduct = self.globals.conduct.get_mut(*at);
                match conduct {
                    Some(conduct) if is_suspended => conduct.debt += count,
                    Some(conduct) => {
                        conduct.calls += count;
                        add(&mut outcome.calls, *at, *count);
                    }
                    None => {}
                }
            }
        }
    }

    pub(in crate::engine) fn gather(&mut self, outputs: Vec<Outputs>, outcome: &mut Outcome) {
        let mut sent: Vec<Sent> = Vec::new();
        let mut faults: Vec<Fault> = Vec::new();
        let mut remarks: Vec<Remark> = Vec::new();
        for mut out in outputs {
            self.count_seats(&out.seats, outcome);
            sent.extend(out.sent);
            faults.extend(out.faults);
            remarks.append(&mut out.remarks);
            outcome.checked += out.checked;
            outcome.timed.extend(out.timed);
            outcome.differences.extend(out.differences);
            self.forgotten.extend(out.forgotten);
            for ((at, n), conduct) in (0..).zip(&out.calls).zip(&mut self.globals.conduct) {
                conduct.calls += n;
                add(&mut outcome.calls, at, *n);
            }
            for (n, conduct) in out.debts.iter().zip(&mut self.globals.conduct) {
                conduct.debt += n;
            }
            for (at, n) in (0..).zip(&out.firings) {
                add(&mut outcome.firings, at, *n);
            }
        }
        // Stable: what one subject says at one place stays in its order.
        sent.sort_by(|a, b| {
            (a.seq, a.is_collective)
                .cmp(&(b.seq, b.is_collective))
                .then_with(|| a.subject.cmp(&b.subject))
        });
        faults.sort_by(|a, b| a.seq.cmp(&b.seq).then_with(|| a.subject.cmp(&b.subject)));
        for fault in &faults {
            if let Some(conduct) = self.globals.conduct.get_mut(fault.fault.rule) {
                conduct.faults += 1;
            }
        }
        let cues = core::mem::take(&mut self.cues);
        outcome.sent.extend(self.desk.work(&self.set, cues, sent));
        outcome.faults.extend(faults);
        arrange(&mut remarks);
        outcome.remarks.append(&mut remarks);
    }
}

/// Tallies by the shard that owns whom they are for, in their order.
fn by_owner(tallies: Vec<SentTally>, owners: u32) -> Vec<Vec<SentTally>> {
    let mut told: Vec<Vec<SentTally>> = (0..owners).map(|_| Vec::new()).collect();
    for sent in tallies {
        if let Some(told) = told.get_mut(owner(&sent.tally.subject, owners)) {
            told.push(sent);
        }
    }
    told
}

fn owner(subject: &SubjectKey, owners: u32) -> usize {
    usize::try_from(subject.shard(owners)).unwrap_or(0)
}

/// What one shard's collectives do beside counting, in the order of their places: hours that ended, and what officers said.
fn others(first: &Segment, (at, owners): (usize, u32)) -> Vec<&Work> {
    let ticks = first.works.first().into_iter().flatten();
    let ticks = ticks.filter(|work| matches!(work.what, What::Tick));
    let words = first.words.iter().filter(
        |work| matches!(&work.what, What::Hear { subject, .. } if owner(subject, owners) == at),
    );
    let mut others: Vec<&Work> = ticks.chain(words).collect();
    // Stable: where an hour ends, that comes first.
    others.sort_by_key(|work| (work.seq, work.clock));
    others
}
