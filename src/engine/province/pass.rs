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
use std::sync::Arc;

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
        let mut outputs = crew.each(&mut self.shards, &|at, shard| {
            let mut out = Outputs::default();
            if let Some(works) = first.works.get(at) {
                // A fact is mostly counted by its region, its industry and its department.
                out.tallies.reserve(works.len().saturating_mul(3));
                shard.run(&court, works, false, &mut out);
            }
            out
        });
        let mut tallies: Vec<SentTally> =
            Vec::with_capacity(outputs.iter().map(|out| out.tallies.len()).sum());
        for out in &mut outputs {
            tallies.append(&mut out.tallies);
        }
        let second = self.second_pass(&first, tallies);
        let court = Court {
            set: &self.set,
            suspended: &self.suspended,
            clock: EventTime(0),
            check_every: self.check_every,
            stopwatch: self.stopwatch,
            is_filling: false,
            asked: self.asked,
        };
        outputs.extend(crew.each(&mut self.shards, &|at, shard| {
            let mut out = Outputs::default();
            if let Some(works) = second.get(at) {
                shard.run(&court, works, true, &mut out);
            }
            out
        }));
        self.gather(outputs, outcome);
    }

    /// The collectives' works, in the order of their places; of one place, in the order of the individuals' keys.
    fn second_pass(&mut self, first: &Segment, mut tallies: Vec<SentTally>) -> Vec<Vec<Work>> {
        // What is taken away comes before what is added: a record that moves between firms is one for a region.
        tallies.sort_by(|a, b| {
            (a.seq, a.clock, a.tally.add)
                .cmp(&(b.seq, b.clock, b.tally.add))
                .then_with(|| a.from.cmp(&b.from))
        });
        let ticks: Vec<&Work> = first
            .works
            .first()
            .map(|works| {
                works
                    .iter()
                    .filter(|w| matches!(w.what, What::Tick))
                    .collect()
            })
            .unwrap_or_default();
        let mut ticks = ticks.into_iter().peekable();
        let mut works: Vec<Vec<Work>> = self.shards.iter().map(|_| Vec::new()).collect();
        let mut told: Vec<(Arc<SubjectKey>, Work)> = tallies
            .into_iter()
            .map(|sent| {
                let (seq, clock, mut tally) = (sent.seq, sent.clock, sent.tally);
                tally.subject = self.collective(&tally.subject);
                let key = Arc::clone(&tally.subject);
                let what = What::Tally(tally);
                (key, Work { seq, clock, what })
            })
            .collect();
        if !first.words.is_empty() {
            told.extend(first.words.iter().filter_map(|work| match &work.what {
                What::Hear { subject, .. } => Some((Arc::clone(subject), work.clone())),
                What::Put { .. } | What::Withdraw { .. } | What::Tally(_) | What::Tick => None,
            }));
            // Stable: at one place counts come before words.
            told.sort_by_key(|(_, work)| (work.seq, work.clock));
        }
        for (key, work) in told {
            let before = |tick: &&Work| tick.seq <= work.seq && tick.clock <= work.clock;
            while let Some(tick) = ticks.next_if(before) {
                for works in &mut works {
                    works.push(tick.clone());
                }
            }
            let place = self.place(&key);
            if let Some(works) = works.get_mut(place) {
                works.push(work);
            }
        }
        for tick in ticks {
            for works in &mut works {
                works.push(tick.clone());
            }
        }
        works
    }

    fn collective(&mut self, key: &Arc<SubjectKey>) -> Arc<SubjectKey> {
        Arc::clone(
            self.collectives
                .entry(key.as_ref().clone())
                .or_insert_with(|| Arc::clone(key)),
        )
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
