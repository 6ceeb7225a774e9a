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
//! cost     a fact that is the newest of its subject is judged once per rule on its stream

use super::event::{Event, RecordKey};
use super::rule::{Judgement, Rule, RuleSet, RuleStatus};
use super::schema::Field;
use super::sentence::{Changed, RuleFault, Sentence, Shift, Spoken, count, finding_of, rests_on};
use super::subject::series::GroupKey;
use super::subject::state::{Check, Finding, Subject};
use super::subject::view::{Anchor, Verdict};
use super::time::{DAY_MS, EventTime, as_of};
use std::sync::Arc;

/// The most times that one anchor is judged again because its rule asked for it.
const CHECKS_MAX: usize = 16;

/// What judging is done with.
#[derive(Debug, Clone, Copy)]
pub struct Court<'a> {
    /// The rules in force.
    pub set: &'a RuleSet,
    /// Which of them are suspended, by place in the set.
    pub suspended: &'a [bool],
    /// The logical clock.
    pub clock: EventTime,
}

struct Bench<'a, 'b> {
    court: Court<'a>,
    subject: &'b mut Subject,
    out: &'b mut Sentence,
}

impl Court<'_> {
    /// Judges what a changed fact of an individual concerns.
    pub fn judge_fact(&self, subject: &mut Subject, changed: &Changed, out: &mut Sentence) {
        let kind = subject.key.kind;
        let fields = changed.fields();
        let mut bench = Bench {
            court: *self,
            subject,
            out,
        };
        for at in self.set.readers(kind, changed.stream) {
            if let Some(rule) = self.set.rules().get(*at) {
                bench.judge_rule(*at, rule, changed, fields.as_deref());
            }
        }
    }

    /// Judges an anchor again because its rule asked for it.
    pub fn judge_check(&self, subject: &mut Subject, check: &Check, out: &mut Sentence) {
        let found = self
            .set
            .rules()
            .iter()
            .enumerate()
            .find(|(_, r)| r.manifest().id == check.rule);
        let mut bench = Bench {
            court: *self,
            subject,
            out,
        };
        match found {
            Some((at, rule)) => {
                bench.judge(at, rule, check.anchor, check.group.as_ref(), None, None);
            }
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
        for at in self.set.readers(kind, event.stream) {
            if let Some(rule) = self.set.rules().get(*at) {
                bench.judge_group(*at, rule, event);
            }
        }
    }

    /// Judges every anchor of one rule from `since` on: for a rule that was mended after it had been suspended.
    pub fn judge_again(
        &self,
        subject: &mut Subject,
        at: usize,
        since: EventTime,
        out: &mut Sentence,
    ) {
        let Some(rule) = self.set.rules().get(at) else {
            return;
        };
        let mut bench = Bench {
            court: *self,
            subject,
            out,
        };
        for (key, _) in bench.anchors(rule, since, EventTime::MAX) {
            bench.judge(at, rule, Anchor::Fact(key), None, None, None);
        }
    }

    fn is_frozen(&self, as_of: EventTime) -> bool {
        as_of < self.clock.plus_ms(-self.set.scoring().late_ms_max)
    }
}

impl Bench<'_, '_> {
    fn judge_rule(
        &mut self,
        at: usize,
        rule: &Arc<Rule>,
        changed: &Changed,
        fields: Option<&[Field]>,
    ) {
        let manifest = rule.manifest();
        let lost = changed.was.map(|_| changed.key);
        if manifest.on.contains(&changed.stream) {
            let anchor = Anchor::Fact(changed.key);
            if let Some(event) = &changed.now {
                self.judge(at, rule, anchor, None, Some(event), lost);
            } else {
                self.set_check(&manifest.id, None, anchor, None);
                self.set_finding(at, rule, None, anchor, None, lost);
            }
        }
        if let Some(lost) = lost {
            self.drop_orphans(at, rule, lost);
        }
        if !manifest.reads.contains(&changed.stream) {
            return;
        }
        // An update of fields that the rule never looks at changes no other verdict.
        if fields.is_some_and(|fields| !rule.mentions_any(fields)) {
            return;
        }
        let times = [
            changed.was,
            changed.now.as_ref().map(|event| event.occurred_at),
        ];
        let from = times.into_iter().flatten().min().unwrap_or(EventTime::MAX);
        let newest = times.into_iter().flatten().max().unwrap_or(EventTime::MIN);
        let through = if changed.stream.is_standing() {
            EventTime::MAX
        } else {
            newest.plus_ms(manifest.history_ms)
        };
        for (key, as_of) in self.anchors(rule, from, through) {
            if key == changed.key {
                continue;
            }
            let anchor = Anchor::Fact(key);
            if self.court.is_frozen(as_of) {
                self.drop_if_rests_on(at, rule, anchor, lost);
            } else {
                self.judge(at, rule, anchor, None, None, lost);
            }
        }
    }

    /// The anchors of a rule whose judgement can reach the time from `from` to `through`, with their as-of times.
    fn anchors(
        &self,
        rule: &Rule,
        from: EventTime,
        through: EventTime,
    ) -> Vec<(RecordKey, EventTime)> {
        let manifest = rule.manifest();
        // A rule that looks again later may see the fact from an anchor before it.
        let back_ms = if manifest.uses_checks {
            manifest.history_ms.max(366 * DAY_MS)
        } else {
            0
        };
        let mut anchors = Vec::new();
        let Some(facts) = self.subject.facts() else {
            return anchors;
        };
        for stream in &manifest.on {
            let back_ms = if stream.is_standing() && manifest.uses_checks {
                i64::MAX
            } else {
                back_ms
            };
            let after = EventTime(from.0.saturating_sub(back_ms).saturating_sub(DAY_MS));
            for fact in facts.window(*stream, after, through) {
                let as_of = as_of(fact.time, fact.precision);
                if manifest.uses_checks || from <= as_of {
                    anchors.push((fact.key, as_of));
                }
            }
        }
        anchors
    }

    fn judge_group(&mut self, at: usize, rule: &Arc<Rule>, event: &Event) {
        let manifest = rule.manifest();
        let day = event.occurred_at.day();
        let span = i32::try_from(manifest.history_ms / DAY_MS).unwrap_or(i32::MAX);
        for stream in &manifest.on {
            let Some(feed) = rule.feeds(*stream).next() else {
                continue;
            };
            let group = Arc::new(feed.group(*stream, &event.fields));
            let days: Vec<i32> = match &self.subject.holdings {
                super::subject::state::Holdings::Groups(groups) => groups
                    .get(&group)
                    .map(|s| {
                        s.slice(day.saturating_sub(1), day.saturating_add(span))
                            .iter()
                            .map(|d| d.day)
                            .collect()
                    })
                    .unwrap_or_default(),
                super::subject::state::Holdings::Facts(_) => return,
            };
            // The day itself may have lost its last fact.
            if days.first() != Some(&day) && *stream == event.stream {
                let anchor = Anchor::Day(day);
                self.set_check(&manifest.id, Some(&group), anchor, None);
                self.set_finding(at, rule, Some(&group), anchor, None, None);
            }
            for day in days {
                if !self.court.is_frozen(EventTime::from_day(day)) {
                    self.judge(at, rule, Anchor::Day(day), Some(&group), None, None);
                }
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of one place or judgement"
    )]
    fn judge(
        &mut self,
        at: usize,
        rule: &Arc<Rule>,
        anchor: Anchor,
        group: Option<&Arc<GroupKey>>,
        event: Option<&Arc<Event>>,
        lost: Option<RecordKey>,
    ) {
        if !matches!(
            rule.manifest().status,
            RuleStatus::Active | RuleStatus::Shadow
        ) {
            return;
        }
        if self.court.suspended.get(at).copied().unwrap_or(false) {
            count(&mut self.out.debts, at);
            return;
        }
        let Some((event, mut now)) = self.anchor_event(anchor, event) else {
            return;
        };
        let Some(view) = self.subject.view(group) else {
            return;
        };
        let anchor_time = now;
        let mut next_check = None;
        let mut since = None;
        let mut verdict = Verdict::default();
        for _ in 0..CHECKS_MAX {
            count(&mut self.out.calls, at);
            let judgement = Judgement {
                view: &view,
                anchor,
                event: event.as_ref(),
                as_of: now,
            };
            verdict = match rule.decide(self.court.set, &judgement) {
                Ok(verdict) => verdict,
                Err(error) => {
                    let message = error.to_string();
                    self.out.faults.push(RuleFault {
                        rule: at,
                        anchor,
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
        self.set_check(&rule.manifest().id, group, anchor, next_check);
        let spoken = Spoken {
            anchor_time,
            since,
            judged_at: now,
            next_at: next_check,
        };
        let finding = finding_of(rule, anchor, group, spoken, verdict);
        self.set_finding(at, rule, group, anchor, finding, lost);
    }

    /// The anchor's event and its as-of time; nothing when the fact is gone.
    fn anchor_event(
        &self,
        anchor: Anchor,
        event: Option<&Arc<Event>>,
    ) -> Option<(Option<Arc<Event>>, EventTime)> {
        match (anchor, event) {
            (Anchor::Day(day), _) => Some((None, EventTime::from_day(day).plus_ms(DAY_MS - 1))),
            (Anchor::Fact(_), Some(event)) => Some((
                Some(Arc::clone(event)),
                as_of(event.occurred_at, event.precision),
            )),
            (Anchor::Fact(key), None) => {
                let (stream, fact) = self.subject.facts()?.find(key)?;
                let event = fact.event(stream)?;
                let time = as_of(event.occurred_at, event.precision);
                Some((Some(Arc::new(event)), time))
            }
        }
    }

    fn set_check(
        &mut self,
        rule: &Arc<str>,
        group: Option<&Arc<GroupKey>>,
        anchor: Anchor,
        at: Option<EventTime>,
    ) {
        if at.is_none()
            && self
                .subject
                .core
                .as_ref()
                .is_none_or(|core| core.checks.is_empty())
        {
            return;
        }
        let checks = &mut self.subject.core_mut().checks;
        let place = checks.binary_search_by(|c| {
            (c.rule.as_ref(), c.group.as_ref(), c.anchor).cmp(&(rule.as_ref(), group, anchor))
        });
        match (place, at) {
            (Ok(found), Some(at)) => {
                if let Some(check) = checks.get_mut(found) {
                    check.at = at;
                }
            }
            (Ok(found), None) => {
                checks.remove(found);
            }
            (Err(place), Some(at)) => {
                let check = Check {
                    rule: Arc::clone(rule),
                    group: group.cloned(),
                    anchor,
                    at,
                };
                checks.insert(place, check);
            }
            (Err(_), None) => {}
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of one place or judgement"
    )]
    fn set_finding(
        &mut self,
        at: usize,
        rule: &Arc<Rule>,
        group: Option<&Arc<GroupKey>>,
        anchor: Anchor,
        finding: Option<Finding>,
        lost: Option<RecordKey>,
    ) {
        let id = &rule.manifest().id;
        if finding.is_none()
            && self
                .subject
                .core
                .as_ref()
                .is_none_or(|c| c.findings.is_empty())
        {
            return;
        }
        let core = self.subject.core_mut();
        let place = core.place_of(id, group, anchor);
        let old = match place {
            Ok(found) => core.findings.get(found).cloned(),
            Err(_) => None,
        };
        let rests_on_lost = match (&old, lost) {
            // A record that was only updated and still carries the finding is not lost.
            (Some(old), Some(lost)) => {
                rests_on(old, lost) && !finding.as_ref().is_some_and(|new| rests_on(new, lost))
            }
            _ => false,
        };
        if old == finding && !rests_on_lost {
            return;
        }
        match (place, &finding) {
            (Ok(found), Some(new)) => {
                if let Some(slot) = core.findings.get_mut(found) {
                    slot.clone_from(new);
                }
            }
            (Ok(found), None) => {
                core.findings.remove(found);
            }
            (Err(place), Some(new)) => {
                core.findings.insert(place, new.clone());
                core.limit(id, group);
            }
            (Err(_), None) => {}
        }
        let lost = lost.filter(|_| rests_on_lost);
        self.out.shifts.push(Shift {
            rule: at,
            group: group.cloned(),
            old,
            new: finding,
            lost,
        });
    }

    /// Drops the findings that rest on a lost record and whose own anchor is past every window.
    fn drop_orphans(&mut self, at: usize, rule: &Arc<Rule>, lost: RecordKey) {
        let Some(core) = self.subject.core.as_ref() else {
            return;
        };
        let Some(facts) = self.subject.facts() else {
            return;
        };
        let id = &rule.manifest().id;
        let orphans: Vec<Anchor> = core
            .findings
            .iter()
            .filter(|f| f.rule == *id && rests_on(f, lost))
            .filter(|f| matches!(f.anchor, Anchor::Fact(key) if facts.find(key).is_none()))
            .map(|f| f.anchor)
            .collect();
        for anchor in orphans {
            self.set_finding(at, rule, None, anchor, None, Some(lost));
        }
    }

    fn drop_if_rests_on(
        &mut self,
        at: usize,
        rule: &Arc<Rule>,
        anchor: Anchor,
        lost: Option<RecordKey>,
    ) {
        let Some(lost) = lost else { return };
        let Some(core) = self.subject.core.as_ref() else {
            return;
        };
        let found = core.place_of(&rule.manifest().id, None, anchor).ok();
        if found
            .and_then(|p| core.findings.get(p))
            .is_some_and(|f| rests_on(f, lost))
        {
            self.set_finding(at, rule, None, anchor, None, Some(lost));
        }
    }
}
