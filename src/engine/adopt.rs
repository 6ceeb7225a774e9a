//! A rule set takes the place of another, at one place in the stream.
//!
//! Windows, facts and counts stay. What a rule had said that is no longer in force is ended aloud. A suspended rule whose
//! text has changed is given another chance, and what it owes is judged now. A new text judges what comes from now on, and what
//! is kept of as much of the past as its manifest asks for (`fill`): that is recorded, and wakes nobody. From which event time
//! on each rule has judged everything is noted, so that no gap is silent. What collectives have not counted until now is counted
//! from what individuals keep ([`super::recount`]), before rules about collectives catch up.
//!
//! A subject is looked at if a rule has said something of it that is gone or says other things of itself now, or if the tables
//! that all rules share are others ([`super::moved`]); for all others nothing changes.
//!
//! cost     one step over the places of all subjects, and what there is to say of those that are looked at; one pass over all
//!          subjects when a rule catches up. Shards do it side by side if the crew does

use super::episode::{Step, Transition};
use super::input::{Crew, Globals, Outcome};
use super::judge::Court;
use super::moved::Moved;
use super::province::Province;
use super::remark::{self, Settled};
use super::rule::{Manifest, Rule, RuleSet};
use super::schema::Stream;
use super::sentence::Sentence;
use super::settle::{COMPOSITE, settle, write};
use super::shard::{Shard, retention_ms};
use super::subject::state::{Core, Status, Subject};
use super::time::EventTime;
use super::warning::Message;
use super::work::{Outputs, add, collect};
use std::sync::Arc;

/// After so many subjects those that were looked at may rest again: a rule that catches up looks at all there are.
const REST_EVERY: usize = 4_096;

/// What a rule that comes into force has to catch up with.
#[derive(Debug, Clone, Copy)]
struct Catch {
    rule: usize,
    since: EventTime,
    /// Whether nobody is woken: it was not in force at that time.
    is_filling: bool,
}

impl Province {
    /// Puts another rule set into force. What ends or is judged anew leaves as usual.
    pub fn change_rules(&mut self, set: &Arc<RuleSet>, crew: &dyn Crew) -> Outcome {
        let old = Arc::clone(self.set());
        let mut globals = self.globals.clone();
        let clock = self.clock();
        keep_longer(&old, set, clock, &mut globals);
        let mut catches: Vec<Catch> = Vec::new();
        for conduct in &mut globals.conduct {
            let (Some(since), Some(was), Some(at)) = (
                conduct.suspended_since,
                old.rule(&conduct.rule),
                set.place(&conduct.rule),
            ) else {
                continue;
            };
            let Some(is) = set.rules().get(at) else {
                continue;
            };
            if was.source() != is.source() {
                catches.push(Catch {
                    rule: at,
                    since,
                    is_filling: false,
                });
                (conduct.suspended_since, conduct.debt) = (None, 0);
            }
        }
        self.replace_set(Arc::clone(set), globals);
        for (at, rule) in set.rules().iter().enumerate() {
            let manifest = rule.manifest();
            if !manifest.status.is_judged() {
                continue;
            }
            let before = old.rule(&manifest.id).filter(|b| b.judges_like(rule));
            // One that is known is gone through again when it asks for another part of the past.
            let asks = |before: &Arc<Rule>| {
                0 < manifest.fill_ms && before.manifest().fill_ms != manifest.fill_ms
            };
            if before.is_none_or(asks) {
                catches.extend(self.enter(at, (manifest, before.is_some()), clock));
            }
        }
        let (outputs, filled) = self.catch_up(&old, &catches, crew);
        for (conduct, count) in self.globals.conduct.iter_mut().zip(filled) {
            if 0 < count {
                conduct.filled = count;
            }
        }
        let mut outcome = Outcome::default();
        self.gather(outputs, &mut outcome);
        // Deadlines come of the tables alone.
        if !old.shares_tables_with(set) {
            self.recalculate(&mut outcome);
        }
        outcome
    }

    /// Individuals first, then what collectives count of them, then collectives; with how many anchors each rule was filled.
    fn catch_up(
        &mut self,
        old: &RuleSet,
        catches: &[Catch],
        crew: &dyn Crew,
    ) -> (Vec<Outputs>, Vec<u64>) {
        let (seq, set) = (self.globals.seq, Arc::clone(self.set()));
        let moved = Moved::between(old, &set);
        let suspended = self.suspensions().to_vec();
        let court = Court {
            set: &set,
            suspended: &suspended,
            clock: self.clock(),
            check_every: 0,
            stopwatch: None,
            is_filling: false,
            asked: self.asked,
        };
        let mut outputs = Vec::new();
        let mut filled = vec![0_u64; set.rules().len()];
        for is_collective in [false, true] {
            if is_collective {
                self.recount(old);
            }
            let place = (seq, is_collective);
            outputs.extend(crew.each(self.shards_mut(), &|_, shard| {
                let mut out = Outputs::default();
                shard.adopt(&court, place, (&moved, catches), &mut out);
                out
            }));
        }
        for out in &outputs {
            for (total, count) in filled.iter_mut().zip(&out.filled) {
                *total = total.saturating_add(*count);
            }
        }
        (outputs, filled)
    }

    /// Notes from when on a text that is new in force judges, and how much of the past it sees; gives what it has to catch up with.
    fn enter(
        &mut self,
        at: usize,
        (manifest, is_known): (&Manifest, bool),
        clock: EventTime,
    ) -> Option<Catch> {
        let kept = |streams: &mut dyn Iterator<Item = &Stream>| {
            streams
                .filter_map(|stream| self.globals.kept_from(*stream))
                .max()
        };
        let reach = kept(&mut manifest.on.iter());
        let whole = kept(&mut manifest.on.iter().chain(&manifest.reads))
            .map(|kept| kept.plus_ms(manifest.history_ms));
        let since = clock.plus_ms(-manifest.fill_ms);
        let since = reach.map_or(since, |reach| since.max(reach));
        let conduct = self.globals.conduct.get_mut(at)?;
        // What a known text has judged it has judged; `None` is everything.
        conduct.judged_from = match (is_known, conduct.judged_from) {
            (true, known) => known.map(|known| known.min(since)),
            (false, _) => Some(since.min(clock)),
        };
        let begin = conduct.judged_from.unwrap_or(EventTime::MIN);
        conduct.whole_from = whole.filter(|whole| begin < *whole);
        conduct.filled = 0;
        (0 < manifest.fill_ms).then_some(Catch {
            rule: at,
            since,
            is_filling: true,
        })
    }
}

/// Notes where facts begin of streams that are kept longer from now on.
fn keep_longer(old: &RuleSet, new: &RuleSet, clock: EventTime, globals: &mut Globals) {
    for stream in Stream::ALL {
        let (was, is) = (retention_ms(old, stream), retention_ms(new, stream));
        let begin = clock.plus_ms(-was);
        let known = globals.kept_from(stream);
        globals.kept.retain(|(kept, _)| *kept != stream);
        let begin = if was < is {
            known.max(Some(begin))
        } else {
            known
        };
        // What is past the new retention is let go anyhow.
        if let Some(begin) = begin.filter(|begin| clock.plus_ms(-is) < *begin) {
            globals.kept.push((stream, begin));
        }
    }
}

impl Shard {
    fn adopt(
        &mut self,
        court: &Court<'_>,
        place: (u64, bool),
        (moved, catches): (&Moved<'_>, &[Catch]),
        out: &mut Outputs,
    ) {
        let mut keys = if catches.is_empty() {
            self.concerned(moved)
        } else {
            self.keys()
        };
        keys.retain(|key| key.kind.is_collective() == place.1);
        for (number, key) in keys.into_iter().enumerate() {
            if number.is_multiple_of(REST_EVERY) {
                self.lay_to_rest();
            }
            let subject = self.subject_mut(&key);
            let was_known = remark::is_known(subject);
            let retired = retire(court, subject);
            let none = Sentence::default();
            remark::remark(
                court,
                subject,
                &Settled {
                    seq: place.0,
                    sentence: &none,
                    messages: &retired,
                    cause: None,
                    was_known,
                },
                out,
            );
            collect(place, &key, retired, none, out);
            for is_filling in [true, false] {
                let court = Court {
                    is_filling,
                    ..*court
                };
                let mut sentence = Sentence::default();
                let was_known = remark::is_known(subject);
                for catch in catches.iter().filter(|c| c.is_filling == is_filling) {
                    let count = court.judge_again(subject, catch.rule, catch.since, &mut sentence);
                    if is_filling {
                        add(&mut out.filled, catch.rule, count);
                    }
                }
                let messages = settle(&court, subject, &sentence);
                remark::remark(
                    &court,
                    subject,
                    &Settled {
                        seq: place.0,
                        sentence: &sentence,
                        messages: &messages,
                        cause: None,
                        was_known,
                    },
                    out,
                );
                collect(place, &key, messages, sentence, out);
            }
            self.schedule(court, &key);
        }
        self.lay_to_rest();
    }
}

/// Ends what rules said that are no longer in force.
fn retire(court: &Court<'_>, subject: &mut Subject) -> Vec<Message> {
    let Some(mut core) = subject.core.take() else {
        return Vec::new();
    };
    let in_force = |id: &str| {
        id == COMPOSITE
            || court
                .set
                .rule(id)
                .is_some_and(|rule| rule.manifest().status.is_judged())
    };
    core.findings.retain(|f| in_force(&f.rule));
    core.checks.retain(|c| in_force(&c.rule));
    let mut steps = Vec::new();
    for at in 0..core.episodes.len() {
        end(&mut core, at, &in_force, &mut steps);
    }
    core.episodes
        .retain(|e| in_force(&e.rule) || e.status == Status::Ended);
    subject.core = (!core.is_empty()).then_some(core);
    let score = super::settle::score(court, subject);
    write(court, subject, score, &steps)
}

fn end(core: &mut Core, at: usize, in_force: &dyn Fn(&str) -> bool, steps: &mut Vec<Step>) {
    let Some(episode) = core.episodes.get(at) else {
        return;
    };
    if in_force(&episode.rule) || episode.status != Status::Open {
        return;
    }
    let rule = Arc::clone(&episode.rule);
    let number = core.next_number(&rule);
    let Some(episode) = core.episodes.get_mut(at) else {
        return;
    };
    episode.status = Status::Ended;
    steps.push(Step {
        transition: Transition::Ended,
        number,
        episode: episode.clone(),
        previous_level: None,
        lead: None,
        findings: episode.findings_told,
        why: "规则已停用",
    });
}

/// The manifest that a step is written with when its rule is no longer in the set.
pub(super) fn stand_in(id: &str) -> Manifest {
    let mut manifest = Manifest::composite();
    if id != COMPOSITE {
        manifest.id = Arc::from(id);
        manifest.name = Box::from(id);
        manifest.basis.clear();
    }
    manifest
}
