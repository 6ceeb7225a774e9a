//! What rules would have said of a past that is known: every anchor judged once, by the core that judges live.
//!
//! A verdict is a function of the facts up to the anchor's as-of time, the calendar and the rule, so the past need not be
//! replayed: all facts of a subject are put in their places, each anchor is judged once by [`Rule::decide`], and the
//! findings are laid out along the logical clock, at the times at which a run would have had them. There they meet the same
//! episodes, score and composite as in a run ([`settle`]), so the messages are those of a run over the same facts, to the
//! byte (`tests/it/backtest.rs`).
//!
//! What differs from a run, and has to: a fact counts as it is known in the end, from its own time on. A record that came
//! late is seen by the anchors after its time; one that was withdrawn is not seen at all. A look that a rule asked for is taken
//! at the next hour's tick, where a run may take it at an event before. Collectives are judged once a day.
//!
//! bounds   facts a subject as in [`Facts`](super::subject::facts::Facts); [`CHECKS_MAX`] further looks an anchor
//! cost     one first look an anchor and rule that can concern it; settling only where a finding changes

pub mod collective;

use super::event::{Event, SubjectKey};
use super::judge::{Bench, Court};
use super::record::Prepared;
use super::remark::Asked;
use super::rule::{Judgement, Memo, Rule, RuleSet};
use super::schema::Stream;
use super::sentence::{Sentence, Spoken, finding_of};
use super::settle::{expire, next_due, score, settle, settle_fact};
use super::subject::facts::{Fact, Facts};
use super::subject::groups::GroupKey;
use super::subject::state::{Finding, Holdings, Subject};
use super::subject::view::{Anchor, View};
use super::tally::tally_findings;
use super::time::{EventTime, HOUR_MS, as_of};
use super::warning::Message;
use super::work::{Outputs, SentTally, What, Work};
use std::sync::Arc;

/// The most times that one anchor is judged again because its rule asked for it.
const CHECKS_MAX: usize = 16;
/// The most times that a subject is looked at only because an episode ends.
const EXPIRIES_MAX: usize = 100_000;

/// What is judged with, and up to when.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The rules.
    pub set: &'a RuleSet,
    /// The end of the logical clock; facts later than it are not given.
    pub until: EventTime,
}

/// The score at a moment, of what was known before it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reading {
    /// The moment.
    pub at: EventTime,
    /// Hundredths of a point.
    pub score: i64,
    /// For each rule that had said something by then (by place in the set): the age of its newest finding, ms, and how many.
    pub found: Vec<(usize, i64, u32)>,
}

/// What came of a subject.
#[derive(Debug, Default)]
pub struct Life {
    /// What would have left, in order.
    pub messages: Vec<Message>,
    /// The readings that were asked for, in order.
    pub readings: Vec<Reading>,
    /// Judgements that failed: the rule's place, the message.
    pub faults: Vec<(usize, String)>,
    /// Anchors judged.
    pub anchors: u64,
    /// Findings that appeared or changed, by place in the set.
    pub firings: Vec<u64>,
    /// Whether facts were let go because there were too many.
    pub is_truncated: bool,
    /// What regions, industries and departments are told of its findings.
    pub tallies: Vec<SentTally>,
    /// The findings at the end, in the order of the core.
    pub findings: Vec<Finding>,
}

/// A finding that appears, changes or goes at a place of the logical clock.
#[derive(Debug)]
struct Turn {
    clock: EventTime,
    /// Ticks come before the events of the same moment.
    is_event: bool,
    seq: u64,
    /// The rule's place; none for a word of officers.
    rule: Option<usize>,
    group: Option<Arc<GroupKey>>,
    anchor: Anchor,
    finding: Option<Finding>,
    event: Option<Arc<Event>>,
}

/// One anchor to be judged.
struct Seat<'v> {
    view: &'v View,
    anchor: Anchor,
    group: Option<&'v Arc<GroupKey>>,
    event: Option<&'v Arc<Event>>,
    as_of: EventTime,
    /// When a run would have judged it first.
    clock: EventTime,
    seq: u64,
}

/// The tick at which a run looks at what is due at a time.
fn tick_of(due: EventTime) -> EventTime {
    let hours = due.0.div_euclid(HOUR_MS);
    let on_the_hour = due.0.rem_euclid(HOUR_MS) == 0;
    EventTime((hours + i64::from(!on_the_hour)).saturating_mul(HOUR_MS))
}

/// Judges one individual: its facts (live, each record once, in the order of arrival) and the moments to read its score at.
pub fn individual(
    plan: &Plan<'_>,
    key: &Arc<SubjectKey>,
    kept: &[(u64, Prepared)],
    moments: &[EventTime],
) -> Life {
    let mut facts = Facts::default();
    for (_, one) in kept {
        facts.insert(one.event.stream, Fact::of_record(&one.event, one.key));
    }
    let mut life = Life {
        is_truncated: facts.is_truncated(),
        firings: vec![0; plan.set.rules().len()],
        ..Life::default()
    };
    let has_words = !facts.of(Stream::Feedback).is_empty();
    let facts = Arc::new(facts);
    let view = View::Individual {
        key: Arc::clone(key),
        facts: Arc::clone(&facts),
    };
    let mut turns = Vec::new();
    for (seq, one) in kept {
        judge_fact(plan, &view, (*seq, one), &mut turns, &mut life);
        if one.event.stream == Stream::Feedback {
            turns.push(word(*seq, one));
        }
    }
    let mut subject = Subject::new(Arc::clone(key));
    // Officers' words are heard when they come, not before.
    let held = if has_words {
        without_words(&facts)
    } else {
        facts
    };
    subject.holdings = Holdings::Facts(held);
    live(plan, &mut subject, turns, moments, &mut life);
    life
}

fn without_words(facts: &Facts) -> Arc<Facts> {
    let mut fewer = facts.clone();
    for fact in facts.of(Stream::Feedback) {
        fewer.remove(Stream::Feedback, fact.key);
    }
    Arc::new(fewer)
}

fn word(seq: u64, one: &Prepared) -> Turn {
    Turn {
        clock: one.event.arrived_at,
        is_event: true,
        seq,
        rule: None,
        group: None,
        anchor: Anchor::Fact(one.key),
        finding: None,
        event: Some(Arc::clone(&one.event)),
    }
}

fn court<'a>(plan: &Plan<'a>, clock: EventTime) -> Court<'a> {
    Court {
        set: plan.set,
        suspended: &[],
        check_every: 0,
        stopwatch: None,
        is_filling: false,
        asked: Asked::default(),
        clock,
    }
}

fn judge_fact(
    plan: &Plan<'_>,
    view: &View,
    (seq, one): (u64, &Prepared),
    turns: &mut Vec<Turn>,
    life: &mut Life,
) {
    let event = &one.event;
    let place = RuleSet::seat(view.key().kind, event.stream);
    let anchored = plan.set.anchored_at(place);
    if anchored.is_empty() {
        return;
    }
    let seat = Seat {
        view,
        anchor: Anchor::Fact(one.key),
        group: None,
        event: Some(event),
        as_of: as_of(event.occurred_at, event.precision),
        clock: event.arrived_at,
        seq,
    };
    let mut memo = Memo::default();
    let concerned = plan
        .set
        .concerned(place, &judgement(&seat, seat.as_of), &mut memo);
    life.anchors += 1;
    for at in concerned.as_deref().unwrap_or(anchored) {
        if let Some(rule) = plan.set.rules().get(*at) {
            chain(plan, (*at, rule), &seat, &mut memo, (turns, life));
        }
    }
}

fn judgement<'v>(seat: &Seat<'v>, now: EventTime) -> Judgement<'v> {
    Judgement {
        view: seat.view,
        anchor: seat.anchor,
        event: seat.event,
        as_of: now,
    }
}

/// Judges an anchor by a rule, and again whenever the rule wants to look again.
fn chain<'v>(
    plan: &Plan<'_>,
    (at, rule): (usize, &'v Arc<Rule>),
    seat: &Seat<'v>,
    memo: &mut Memo<'v>,
    (turns, life): (&mut Vec<Turn>, &mut Life),
) {
    let mut now = seat.as_of;
    let mut since = None;
    let mut spoke = false;
    let first = turns.len();
    for _ in 0..CHECKS_MAX {
        let decided = if now == seat.as_of {
            rule.decide(&judgement(seat, now), memo)
        } else {
            rule.decide(&judgement(seat, now), &mut Memo::default())
        };
        let verdict = match decided {
            Ok(verdict) => verdict,
            Err(error) => {
                life.faults.push((at, error.to_string()));
                return;
            }
        };
        since = verdict.speaks().then(|| since.unwrap_or(now));
        let next = verdict.check_at.filter(|time| now < *time);
        let speaks = verdict.speaks();
        if speaks || spoke {
            let looked = if now == seat.as_of {
                seat.clock
            } else {
                tick_of(now)
            };
            let is_event = looked <= seat.clock && seat.event.is_some();
            let spoken = Spoken {
                anchor_time: seat.as_of,
                since,
                judged_at: now,
                next_at: next,
            };
            let turn = Turn {
                clock: looked.max(seat.clock),
                is_event,
                seq: if is_event { seat.seq } else { 0 },
                rule: Some(at),
                group: seat.group.cloned(),
                anchor: seat.anchor,
                finding: finding_of(rule, seat.anchor, seat.group, spoken, verdict),
                event: seat.event.cloned(),
            };
            // What was due by the time of the fact is one judgement.
            let same = turns.len() != first && turns.last().is_some_and(|t| t.clock == turn.clock);
            if same {
                turns.pop();
            }
            turns.push(turn);
        }
        spoke |= speaks;
        match next {
            Some(time) if tick_of(time) <= plan.until => now = time,
            Some(_) | None => return,
        }
    }
}

/// Lays the turns out along the logical clock.
fn live(
    plan: &Plan<'_>,
    subject: &mut Subject,
    mut turns: Vec<Turn>,
    moments: &[EventTime],
    life: &mut Life,
) {
    turns.retain(|turn| turn.clock <= plan.until);
    turns.sort_by(|a, b| {
        (a.clock, a.is_event, a.seq, a.rule, &a.group, a.anchor)
            .cmp(&(b.clock, b.is_event, b.seq, b.rule, &b.group, b.anchor))
    });
    let mut moments = moments.iter().copied().peekable();
    for occasion in
        turns.chunk_by(|a, b| (a.clock, a.is_event, a.seq) == (b.clock, b.is_event, b.seq))
    {
        let Some(first) = occasion.first() else {
            continue;
        };
        while let Some(moment) = moments.next_if(|moment| *moment <= first.clock) {
            end_until(plan, subject, moment, life);
            life.readings.push(reading(plan, subject, moment));
        }
        let before = if first.is_event {
            first.clock.plus_ms(1)
        } else {
            first.clock
        };
        end_until(plan, subject, before, life);
        happen(plan, subject, occasion, life);
    }
    for moment in moments {
        end_until(plan, subject, moment, life);
        life.readings.push(reading(plan, subject, moment));
    }
    end_until(plan, subject, plan.until.plus_ms(1), life);
    life.findings = subject
        .core
        .as_ref()
        .map_or_else(Vec::new, |core| core.findings.clone());
}

fn happen(plan: &Plan<'_>, subject: &mut Subject, occasion: &[Turn], life: &mut Life) {
    let Some(first) = occasion.first() else {
        return;
    };
    let court = court(plan, first.clock);
    let mut sentence = Sentence::default();
    let mut stream = Stream::Finding;
    for turn in occasion {
        let Some(at) = turn.rule else {
            hear(subject, turn);
            stream = Stream::Feedback;
            continue;
        };
        if let Some(rule) = plan.set.rules().get(at) {
            let mut bench = Bench {
                court,
                subject: &mut *subject,
                out: &mut sentence,
            };
            let (group, finding) = (turn.group.as_ref(), turn.finding.clone());
            bench.set_finding(at, rule, group, turn.anchor, finding, None);
        }
    }
    life.messages.extend(if first.is_event {
        settle_fact(&court, subject, &sentence, stream)
    } else {
        settle(&court, subject, &sentence)
    });
    if !first.is_event {
        life.messages.extend(expire(&court, subject));
    }
    for shift in sentence.shifts.iter().filter(|s| s.new.is_some()) {
        if let Some(count) = life.firings.get_mut(shift.rule) {
            *count += 1;
        }
    }
    if plan.set.listens_to_findings() && !subject.key.kind.is_collective() {
        let work = Work {
            seq: first.seq,
            clock: first.clock,
            what: What::Tick,
        };
        let anchors = [None, first.event.clone()];
        let mut out = Outputs::default();
        tally_findings(&court, &work, subject, &sentence, &anchors, &mut out);
        life.tallies.append(&mut out.tallies);
    }
}

fn hear(subject: &mut Subject, turn: &Turn) {
    if let (Some(event), Some(facts)) = (&turn.event, subject.facts_mut()) {
        facts.insert(event.stream, Fact::of(event));
    }
}

/// Ends what is over before a time, at the ticks at which a run would.
fn end_until(plan: &Plan<'_>, subject: &mut Subject, before: EventTime, life: &mut Life) {
    let mut after = EventTime::MIN;
    for _ in 0..EXPIRIES_MAX {
        let Some(due) = next_due(subject) else { return };
        let tick = tick_of(due).max(after);
        if before <= tick {
            return;
        }
        let court = court(plan, tick);
        let settled = settle(&court, subject, &Sentence::default());
        life.messages.extend(settled);
        life.messages.extend(expire(&court, subject));
        after = tick.plus_ms(HOUR_MS);
    }
}

fn reading(plan: &Plan<'_>, subject: &Subject, at: EventTime) -> Reading {
    let mut found: Vec<(usize, i64, u32)> = Vec::new();
    for finding in subject.core.iter().flat_map(|core| &core.findings) {
        if finding.warning.is_none() && finding.signal.is_none() {
            continue;
        }
        let Some(place) = plan.set.place(&finding.rule) else {
            continue;
        };
        let age = at.0.saturating_sub(finding.judged_at.0).max(0);
        match found.last_mut() {
            Some((last, newest, count)) if *last == place => {
                *newest = (*newest).min(age);
                *count += 1;
            }
            Some(_) | None => found.push((place, age, 1)),
        }
    }
    Reading {
        at,
        score: score(&court(plan, at), subject),
        found,
    }
}
