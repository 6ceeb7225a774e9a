//! Which anchors are judged again when something changes, and what becomes of their findings.
//!
//! A rule judges an *anchor*: a fact of an individual, or a day of a collective's group. Its verdict is a function of the
//! facts up to the anchor's as-of time, so a fact that comes, changes or goes at time `t` concerns the anchors from `t` to
//! `t` plus the rule's history and no others; those are judged again. That is why late, corrected and withdrawn facts need
//! no special path, and why every order of arrival ends with the same findings.
//!
//! bounds   an anchor older than the allowance for late facts is frozen: its window may no longer be whole. Its finding
//!          stays, unless the fact it rests on is the one that went.
//! errors   a rule that fails gives a [`RuleFault`]; its older finding on that anchor stays
//! cost     a fact that is the newest of its subject is judged once per rule on its stream; what rules ask of the same
//!          subject as of the same time is answered once, so anchors are judged one after the other, each by all its rules

use super::event::{Event, RecordKey};
use super::recount::counted_days;
use super::remark::Asked;
use super::rule::{Judgement, Memo, Rule, RuleSet};
use super::sentence::{Changed, RuleFault, Sentence, Spoken, Stopwatch, count, finding_of};
use super::subject::groups::GroupKey;
use super::subject::state::{Check, Subject};
use super::subject::view::{Anchor, Verdict, View};
use super::time::{DAY_MS, EventTime, as_of};
use std::sync::Arc;

/// The most times that one anchor is judged again because its rule asked for it.
const CHECKS_MAX: usize = 16;

/// From so many rules on, an anchor is put to the index first.
const GATE_FROM: usize = 4;

/// What judging is done with.
#[derive(Debug, Clone, Copy)]
pub struct Court<'a> {
    /// The rules in force.
    pub set: &'a RuleSet,
    /// Which of them are suspended, by place in the set.
    pub suspended: &'a [bool],
    /// The logical clock.
    pub clock: EventTime,
    /// One in so many facts is judged by one of its rules in the interpreter as well; 0: none.
    pub check_every: u32,
    /// What times the calls of rules, if they are timed.
    pub stopwatch: Option<Stopwatch>,
    /// Whether a rule is filled back over the past: what it says is recorded and wakes nobody.
    pub is_filling: bool,
    /// What is told beside messages.
    pub asked: Asked,
}

/// One subject before the court.
pub(super) struct Bench<'a, 'b> {
    pub(super) court: Court<'a>,
    pub(super) subject: &'b mut Subject,
    pub(super) out: &'b mut Sentence,
}

/// An anchor that is judged, by one rule after the other.
#[derive(Debug)]
struct Seat<'s> {
    view: &'s View,
    anchor: Anchor,
    group: Option<&'s Arc<GroupKey>>,
    event: Option<&'s Arc<Event>>,
    as_of: EventTime,
    /// The record that a verdict may have to do without.
    lost: Option<RecordKey>,
    /// The rules that have a finding here or want to look again, by place, in order.
    held: Vec<usize>,
    /// The calls of all rules are counted by the place of the fact.
    is_counted: bool,
}

impl<'s> Seat<'s> {
    fn judgement(&self, as_of: EventTime) -> Judgement<'s> {
        Judgement {
            view: self.view,
            anchor: self.anchor,
            event: self.event,
            as_of,
        }
    }
}

impl Court<'_> {
    /// Judges what a changed fact of an individual concerns.
    pub fn judge_fact(&self, subject: &mut Subject, changed: &Changed, out: &mut Sentence) {
        let mut bench = Bench {
            court: *self,
            subject,
            out,
        };
        bench.judge_itself(changed);
        bench.judge_others(changed);
    }

    /// Judges an anchor again because its rule asked for it.
    pub fn judge_check(&self, subject: &mut Subject, check: &Check, out: &mut Sentence) {
        let mut bench = Bench {
            court: *self,
            subject,
            out,
        };
        match self.set.place(&check.rule) {
            Some(at) => bench.judge_by(&[at], check.anchor, check.group.as_ref(), None),
            None => bench.set_check(&check.rule, check.group.as_ref(), check.anchor, None),
        }
    }

    /// Judges what a changed count of a collective concerns; `event` is the fact that was added or taken away.
    pub fn judge_count(&self, subject: &mut Subject, event: &Event, out: &mut Sentence) {
        let kind = subject.key.kind;
        let mut bench = Bench {
            court: *self,
            subject,
            out,
        };
        let mut due = Vec::new();
        let mut known = Vec::new();
        for at in self.set.readers(kind, event.stream) {
            if let Some(rule) = self.set.rules().get(*at) {
                bench.days_of((*at, rule), event, &mut known, &mut due);
            }
        }
        due.sort_unstable();
        for same in due.chunk_by(|a, b| (&a.0, a.1) == (&b.0, b.1)) {
            let Some((group, day, _)) = same.first() else {
                continue;
            };
            let rules: Vec<usize> = same.iter().map(|(.., at)| *at).collect();
            bench.judge_by(&rules, Anchor::Day(*day), Some(group), None);
        }
    }

    /// Judges every anchor of one rule from `since` on: for a rule that was mended after it had been suspended, or that is filled
    /// back over the past. Gives how many there were.
    pub fn judge_again(
        &self,
        subject: &mut Subject,
        at: usize,
        since: EventTime,
        out: &mut Sentence,
    ) -> u64 {
        let rule = self.set.rules().get(at);
        let is_about = |rule: &&Arc<Rule>| rule.manifest().subjects.contains(&subject.key.kind);
        let Some(rule) = rule.filter(is_about) else {
            return 0;
        };
        let mut bench = Bench {
            court: *self,
            subject,
            out,
        };
        let anchors = bench.anchors(rule, since, EventTime::MAX);
        let days = counted_days(bench.subject, rule, since);
        for (key, _) in &anchors {
            bench.judge_by(&[at], Anchor::Fact(*key), None, None);
        }
        for (group, day) in &days {
            bench.judge_by(&[at], Anchor::Day(*day), Some(group), None);
        }
        u64::try_from(anchors.len() + days.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn is_frozen(&self, as_of: EventTime) -> bool {
        as_of < self.clock.plus_ms(-self.set.scoring().late_ms_max)
    }
}

impl Bench<'_, '_> {
    /// The changed fact itself, by the rules that are judged on its stream.
    fn judge_itself(&mut self, changed: &Changed) {
        let set = self.court.set;
        let kind = self.subject.key.kind;
        let lost = changed.was.map(|_| changed.key);
        let anchor = Anchor::Fact(changed.key);
        let anchored = set.anchored(kind, changed.stream);
        if let (Some(event), Some(view)) = (&changed.now, self.subject.view(None)) {
            let seat = Seat {
                view: &view,
                anchor,
                group: None,
                event: Some(event),
                as_of: as_of(event.occurred_at, event.precision),
                lost,
                held: self.held(anchor, None),
                is_counted: true,
            };
            let place = RuleSet::seat(kind, changed.stream);
            self.out.seat = Some(place);
            let mut memo = Memo::default();
            let mut concerned = set.concerned(place, &seat.judgement(seat.as_of), &mut memo);
            if let Some(concerned) = &mut concerned {
                let held = seat.held.iter().filter(|at| anchored.contains(at));
                concerned.extend(held);
                concerned.sort_unstable();
                concerned.dedup();
            }
            self.check_one(anchored, concerned.as_deref(), &seat);
            self.judge_seat(concerned.as_deref().unwrap_or(anchored), &seat, &mut memo);
        } else {
            for at in anchored {
                if let Some(rule) = set.rules().get(*at) {
                    self.set_check(&rule.manifest().id, None, anchor, None);
                    self.set_finding(*at, rule, None, anchor, None, lost);
                }
            }
        }
        let Some(lost) = lost else { return };
        for at in set.readers(kind, changed.stream) {
            if let Some(rule) = set.rules().get(*at) {
                self.drop_orphans(*at, rule, lost);
            }
        }
    }

    /// The other anchors that can see the changed fact, by the rules that read its stream.
    fn judge_others(&mut self, changed: &Changed) {
        let set = self.court.set;
        let lost = changed.was.map(|_| changed.key);
        let fields = changed.fields();
        let times = [
            changed.was,
            changed.now.as_ref().map(|event| event.occurred_at),
        ];
        let from = times.into_iter().flatten().min().unwrap_or(EventTime::MAX);
        let newest = times.into_iter().flatten().max().unwrap_or(EventTime::MIN);
        let is_last = self.is_last(changed.key, from);
        let mut due = Vec::new();
        for at in set.readers(self.subject.key.kind, changed.stream) {
            let Some(rule) = set.rules().get(*at) else {
                continue;
            };
            let manifest = rule.manifest();
            if (is_last && !manifest.uses_checks) || !manifest.reads.contains(&changed.stream) {
                continue;
            }
            // An update of fields that the rule never looks at changes no other verdict.
            if fields
                .as_ref()
                .is_some_and(|fields| !rule.mentions_any(fields))
            {
                continue;
            }
            let through = if changed.stream.is_standing() {
                EventTime::MAX
            } else {
                newest.plus_ms(manifest.history_ms)
            };
            let anchors = self.anchors(rule, from, through).into_iter();
            due.extend(
                anchors
                    .filter(|(key, _)| *key != changed.key)
                    .map(|(key, as_of)| (as_of, key, *at)),
            );
        }
        due.sort_unstable();
        for same in due.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let Some((as_of, key, _)) = same.first() else {
                continue;
            };
            let rules: Vec<usize> = same.iter().map(|(.., at)| *at).collect();
            if self.court.is_frozen(*as_of) {
                self.drop_if_rests_on(&rules, Anchor::Fact(*key), lost);
            } else {
                self.judge_by(&rules, Anchor::Fact(*key), None, lost);
            }
        }
    }

    /// Judges an anchor by some rules; does nothing when its fact is gone.
    fn judge_by(
        &mut self,
        rules: &[usize],
        anchor: Anchor,
        group: Option<&Arc<GroupKey>>,
        lost: Option<RecordKey>,
    ) {
        let Some(view) = self.subject.view(group) else {
            return;
        };
        let (event, as_of) = match anchor {
            Anchor::Day(day) => (None, EventTime::from_day(day).plus_ms(DAY_MS - 1)),
            Anchor::Fact(key) => {
                let found = self.subject.facts().and_then(|facts| facts.find(key));
                let Some(event) = found.and_then(|(stream, fact)| fact.event(stream)) else {
                    return;
                };
                let time = as_of(event.occurred_at, event.precision);
                (Some(Arc::new(event)), time)
            }
        };
        let seat = Seat {
            view: &view,
            anchor,
            group,
            event: event.as_ref(),
            as_of,
            lost,
            held: self.held(anchor, group),
            is_counted: false,
        };
        let mut memo = Memo::default();
        let stream = match (seat.event, seat.group) {
            (Some(event), _) => Some(event.stream),
            (None, group) => group.map(|group| group.stream),
        };
        let concerned = stream
            .filter(|_| GATE_FROM <= rules.len())
            .and_then(|stream| {
                let place = RuleSet::seat(self.subject.key.kind, stream);
                let judgement = seat.judgement(seat.as_of);
                self.court.set.concerned(place, &judgement, &mut memo)
            });
        if let Some(concerned) = concerned {
            let (some, others): (Vec<usize>, Vec<usize>) = rules.iter().partition(|at| {
                concerned.binary_search(at).is_ok() || seat.held.binary_search(at).is_ok()
            });
            for at in others {
                self.count_call(at);
            }
            self.judge_seat(&some, &seat, &mut memo);
        } else {
            self.judge_seat(rules, &seat, &mut memo);
        }
    }

    /// Holds one rule to the interpreter, on one fact in [`Court::check_every`]: which fact and which rule follow from the
    /// record's key, so that every run checks the same.
    fn check_one(&mut self, anchored: &[usize], concerned: Option<&[usize]>, seat: &Seat<'_>) {
        let Anchor::Fact(RecordKey([b0, b1, b2, b3, b4, b5, ..])) = seat.anchor else {
            return;
        };
        let is_chosen =
            u32::from_le_bytes([b0, b1, b2, b3]).checked_rem(self.court.check_every) == Some(0);
        let at = usize::from(u16::from_le_bytes([b4, b5])).checked_rem(anchored.len());
        let Some(at) = at.filter(|_| is_chosen).and_then(|at| anchored.get(at)) else {
            return;
        };
        let Some(rule) = self.court.set.rules().get(*at) else {
            return;
        };
        let is_kept_away = concerned.is_some_and(|some| some.binary_search(at).is_err());
        self.out.checked = self.out.checked.saturating_add(1);
        if let Err(message) = rule.check(&seat.judgement(seat.as_of), is_kept_away) {
            let anchor = seat.anchor;
            self.out.differences.push(RuleFault {
                rule: *at,
                anchor,
                message,
            });
        }
    }

    /// A rule that the index keeps away was called all the same, or owes the call.
    fn count_call(&mut self, at: usize) {
        let is_judged = self
            .court
            .set
            .rules()
            .get(at)
            .is_some_and(|rule| rule.manifest().status.is_judged());
        if !is_judged {
            return;
        }
        if self.court.suspended.get(at).copied().unwrap_or(false) {
            count(&mut self.out.debts, at);
        } else {
            count(&mut self.out.calls, at);
        }
    }

    fn judge_seat<'s>(&mut self, rules: &[usize], seat: &Seat<'s>, memo: &mut Memo<'s>)
    where
        Self: 's,
    {
        let set = self.court.set;
        for at in rules {
            let Some(rule) = set.rules().get(*at) else {
                continue;
            };
            if !rule.manifest().status.is_judged() {
                continue;
            }
            if self.court.suspended.get(*at).copied().unwrap_or(false) {
                if !seat.is_counted {
                    count(&mut self.out.debts, *at);
                }
                continue;
            }
            self.judge(*at, rule, seat, memo);
        }
    }

    /// The rules that have a finding on an anchor, or want to look at it again; the others have nothing to lose there.
    fn held(&self, anchor: Anchor, group: Option<&Arc<GroupKey>>) -> Vec<usize> {
        let Some(core) = &self.subject.core else {
            return Vec::new();
        };
        let found = core.findings.iter();
        let found = found.map(|f| (&f.rule, f.anchor, f.group.as_ref()));
        let checks = core.checks.iter();
        let checks = checks.map(|c| (&c.rule, c.anchor, c.group.as_ref()));
        let mut held: Vec<usize> = found
            .chain(checks)
            .filter(|(_, a, g)| *a == anchor && *g == group)
            .filter_map(|(rule, ..)| self.court.set.place(rule))
            .collect();
        held.sort_unstable();
        held.dedup();
        held
    }

    fn judge<'s>(&mut self, at: usize, rule: &'s Arc<Rule>, seat: &Seat<'s>, memo: &mut Memo<'s>) {
        let mut now = seat.as_of;
        let mut next_check = None;
        let mut since = None;
        let mut verdict = Verdict::default();
        for _ in 0..CHECKS_MAX {
            if !seat.is_counted || now != seat.as_of {
                count(&mut self.out.calls, at);
            }
            let judgement = seat.judgement(now);
            let begun = self.court.stopwatch.map(|tell| tell());
            let decided = if now == seat.as_of {
                rule.decide(&judgement, memo)
            } else {
                rule.decide(&judgement, &mut Memo::default())
            };
            if let (Some(begun), Some(tell)) = (begun, self.court.stopwatch) {
                self.out.timed.push((at, tell().saturating_sub(begun)));
            }
            verdict = match decided {
                Ok(verdict) => verdict,
                Err(error) => {
                    let message = error.to_string();
                    self.out.faults.push(RuleFault {
                        rule: at,
                        anchor: seat.anchor,
                        message,
                    });
                    return;
                }
            };
            since = verdict.speaks().then(|| since.unwrap_or(now));
            next_check = verdict.check_at.filter(|time| now < *time);
            match next_check {
                Some(time) if time <= self.court.clock => now = time,
                Some(_) | None => break,
            }
        }
        if next_check.is_none() && !verdict.speaks() && seat.held.binary_search(&at).is_err() {
            return;
        }
        self.set_check(&rule.manifest().id, seat.group, seat.anchor, next_check);
        let spoken = Spoken {
            anchor_time: seat.as_of,
            since,
            judged_at: now,
            next_at: next_check,
        };
        let finding = finding_of(rule, seat.anchor, seat.group, spoken, verdict);
        self.set_finding(at, rule, seat.group, seat.anchor, finding, seat.lost);
    }
}
