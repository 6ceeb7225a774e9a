//! Which rules an event can concern: the predicate index over a rule set.
//!
//! Every rule that is judged on a stream is kept here by the atoms of one clause of its witness: by a text in a field of the
//! event, by a flag, by an amount, by a field that it lacks, or by what a question about the subject must at least answer. An event brings up the
//! rules of the atoms that hold, and those of which nothing is known. A question is asked once for all rules that wait on
//! its answer, and only if the subject has facts enough. A day of a collective's group has no fields: its rules wait on counts.
//!
//! A rule that is not brought up would have said nothing, asked for no other look, and not failed: the clauses guarantee it
//! ([`super::guard::Witness`]), and a property test holds rules in the index to plain Rhai.
//!
//! cost     one look-up for each field and question that some rule of the stream waits on, and what is brought up

use super::compiled::Core;
use super::guard::{Atom, Clause, Memo, Question, Sight, Whose, measure, price};
use super::{Judgement, Rule};
use crate::engine::event::{Event, SubjectKey, Value};
use crate::engine::hash::FixedState;
use crate::engine::schema::{Field, Stream};
use crate::engine::subject::facts::Facts;
use crate::engine::subject::view::{Anchor, View};
use crate::engine::time::EventTime;
use hashbrown::HashMap;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The rules that are judged on one stream of one kind of subject.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Rules of which nothing is known.
    always: Vec<usize>,
    texts: BTreeMap<Field, HashMap<Box<str>, Vec<usize>, FixedState>>,
    /// Where it is false, where it is true.
    truths: BTreeMap<Field, [Vec<usize>; 2]>,
    held: BTreeMap<Field, Vec<usize>>,
    lacked: BTreeMap<Field, Vec<usize>>,
    /// With the least number, the smallest first.
    amounts: BTreeMap<Field, Vec<(Decimal, usize)>>,
    /// With the least number of facts, the smallest first.
    facts: BTreeMap<Stream, Vec<(i64, usize)>>,
    asked: Vec<Waiting>,
}

/// The rules that wait on the answer to a question.
#[derive(Debug)]
struct Waiting {
    number: u32,
    question: Question,
    /// The core of one of the rules, with what all of them share.
    core: Arc<Core>,
    /// With the least answer, the smallest first.
    rules: Vec<(i64, usize)>,
}

impl Gate {
    /// The gate of these rules, by place, on a stream.
    pub(super) fn new(rules: &[Arc<Rule>], places: &[usize], stream: Stream) -> Self {
        let mut gate = Self::default();
        for at in places {
            if let Some(rule) = rules.get(*at) {
                gate.add(*at, rule, stream);
            }
        }
        for amounts in gate.amounts.values_mut() {
            amounts.sort_unstable();
        }
        for rules in gate.facts.values_mut() {
            rules.sort_unstable();
        }
        for waiting in &mut gate.asked {
            waiting.rules.sort_unstable();
        }
        gate
    }

    fn add(&mut self, at: usize, rule: &Rule, stream: Stream) {
        match best(rule, stream) {
            None => self.always.push(at),
            Some(clause) => {
                for atom in &clause {
                    self.keep(at, rule, atom);
                }
            }
        }
    }

    fn keep(&mut self, at: usize, rule: &Rule, atom: &Atom) {
        match atom {
            // Known at load; see `best`.
            Atom::Of(_) => {}
            Atom::Text(field, text) => {
                let texts = self.texts.entry(*field).or_default();
                texts.entry(text.clone()).or_default().push(at);
            }
            Atom::Truth(field, truth) => {
                if let Some(rules) = self
                    .truths
                    .entry(*field)
                    .or_default()
                    .get_mut(usize::from(*truth))
                {
                    rules.push(at);
                }
            }
            Atom::Held(field) => self.held.entry(*field).or_default().push(at),
            Atom::Lacks(field) => self.lacked.entry(*field).or_default().push(at),
            Atom::Amount(field, least) => {
                self.amounts.entry(*field).or_default().push((*least, at));
            }
            Atom::Facts(stream, least) => {
                self.facts.entry(*stream).or_default().push((*least, at));
            }
            Atom::Asked(ask) => {
                let known = self.asked.iter_mut().find(|w| w.number == ask.number);
                match known {
                    Some(waiting) => waiting.rules.push((ask.least, at)),
                    None => self.asked.push(Waiting {
                        number: ask.number,
                        question: ask.question.clone(),
                        core: Arc::clone(&rule.core),
                        rules: vec![(ask.least, at)],
                    }),
                }
            }
        }
    }

    /// The rules that an event, or a day of a group, can concern, by place, in order. `None` for what is neither.
    pub(super) fn rules<'a>(
        &'a self,
        judgement: &Judgement<'a>,
        memo: &mut Memo<'a>,
    ) -> Option<Vec<usize>> {
        let mut found = Vec::with_capacity(self.always.len().saturating_add(16));
        found.extend(&self.always);
        match (judgement.view, judgement.event, judgement.anchor) {
            (View::Individual { facts, key }, Some(event), _) => {
                self.by_event(event, facts, &mut found);
                let whose = Whose::Individual(facts, event);
                self.by_answers((key, whose), judgement.as_of, memo, &mut found);
            }
            (View::Collective { groups, group, key }, None, Anchor::Day(day)) => {
                let whose = Whose::Collective(groups, group, EventTime::from_day(day));
                self.by_answers((key, whose), judgement.as_of, memo, &mut found);
            }
            _ => return None,
        }
        found.sort_unstable();
        found.dedup();
        Some(found)
    }

    /// Rules that wait on what the event says, or on so many facts.
    fn by_event(&self, event: &Event, facts: &Facts, found: &mut Vec<usize>) {
        for (field, texts) in &self.texts {
            let held = event.fields.text(*field);
            found.extend(held.and_then(|text| texts.get(text)).into_iter().flatten());
        }
        for (field, rules) in &self.truths {
            if let Some(Value::Bool(truth)) = event.fields.get(*field) {
                found.extend(rules.get(usize::from(*truth)).into_iter().flatten());
            }
        }
        for (field, rules) in &self.held {
            if event.fields.get(*field).is_some() {
                found.extend(rules);
            }
        }
        for (field, rules) in &self.lacked {
            if event.fields.get(*field).is_none() {
                found.extend(rules);
            }
        }
        for (field, rules) in &self.amounts {
            let amount = match event.fields.get(*field) {
                Some(Value::Int(amount)) => Decimal::from(*amount),
                Some(Value::Decimal(amount)) => *amount,
                _ => continue,
            };
            let reached = rules.iter().take_while(|(least, _)| *least <= amount);
            found.extend(reached.map(|(_, at)| at));
        }
        for (stream, rules) in &self.facts {
            let count = i64::try_from(facts.of(*stream).len()).unwrap_or(i64::MAX);
            let reached = rules.iter().take_while(|(least, _)| *least <= count);
            found.extend(reached.map(|(_, at)| at));
        }
    }

    /// Rules that wait on the answer to a question.
    fn by_answers<'a>(
        &'a self,
        (key, whose): (&'a SubjectKey, Whose<'a>),
        as_of: EventTime,
        memo: &mut Memo<'a>,
        found: &mut Vec<usize>,
    ) {
        for waiting in &self.asked {
            let least = waiting.rules.first().map_or(1, |(least, _)| *least);
            if let Whose::Individual(facts, _) = whose {
                let most = facts.of(waiting.question.stream()).len();
                if i64::try_from(most).unwrap_or(i64::MAX) < least {
                    continue;
                }
            }
            let sight = Sight {
                core: &waiting.core,
                key,
                whose,
                as_of,
            };
            let answer = measure(&waiting.question, waiting.number, sight, memo);
            let reached = waiting
                .rules
                .iter()
                .take_while(|(least, _)| answer.is_none_or(|answer| *least <= answer));
            found.extend(reached.map(|(_, at)| at));
        }
    }
}

/// The clause that keeps a rule away best on a stream; none if every one holds there.
pub(super) fn best(rule: &Rule, stream: Stream) -> Option<Clause> {
    let clauses = rule.witness.0.iter();
    clauses
        .filter_map(|clause| on(clause, stream))
        .min_by_key(price)
}

/// A clause on the events of one stream; none if it holds for all of them.
fn on(clause: &Clause, stream: Stream) -> Option<Clause> {
    let holds = clause.iter().any(|atom| match atom {
        Atom::Of(named) => *named == stream,
        // The judged fact is one.
        Atom::Facts(named, least) => *named == stream && *least <= 1,
        _ => false,
    });
    (!holds).then(|| {
        let open = clause.iter().filter(|atom| !matches!(atom, Atom::Of(_)));
        open.cloned().collect()
    })
}
