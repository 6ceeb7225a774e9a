//! Answers that rules share.
//!
//! A thousand rules ask about the same few windows. A question whose stream, span, field and filter all stand in the rule
//! means the same in every rule, so it has one number in a rule set, and is answered once for all rules that judge one
//! subject as of one time.
//!
//! shape    the answers so far, in the order of their numbers
//! cost     an answer that is there is found among a few dozen

use super::value::Value;
use super::{Question, Tree, Wanted};
use crate::engine::rule::ask::Standing;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The numbers of the questions of a rule set.
#[derive(Debug, Default, Clone)]
pub(in crate::engine::rule) struct Questions {
    scope: String,
    known: BTreeMap<String, u32>,
}

impl Questions {
    /// Keeps the questions of rules apart that count different things.
    pub(in crate::engine::rule) fn scope(&mut self, scope: &str) {
        scope.clone_into(&mut self.scope);
    }

    /// How many there are.
    pub(in crate::engine::rule) fn len(&self) -> usize {
        self.known.len()
    }

    /// The number of a question, if its answer depends on nothing but the subject and the time.
    pub(super) fn number(&mut self, question: &Question) -> Option<u32> {
        let stands_still = match question {
            Question::Count(_, _, wanted)
            | Question::CountBy(_, _, _, wanted)
            | Question::List(_, _, wanted)
            | Question::Last(_, _, wanted)
            | Question::DaysSince(_, _, wanted) => !matches!(wanted, Wanted::Made(..)),
            Question::Sum(..)
            | Question::Distinct(..)
            | Question::Average(..)
            | Question::Licences
            | Question::Registry => true,
            Question::Licence(what)
            | Question::OnList(what)
            | Question::ListEntry(what)
            | Question::HasTag(what) => matches!(what, Tree::Constant(_)),
        };
        let next = u32::try_from(self.known.len()).ok()?;
        let words = format!("{}{question:?}", self.scope);
        stands_still.then(|| *self.known.entry(words).or_insert(next))
    }
}

/// The answers as of one time about one subject.
#[derive(Debug, Default)]
pub struct Memo<'a> {
    /// In the order of their numbers.
    answers: Vec<(u32, Value<'a>)>,
    /// The subject's licences, once somebody asked for one.
    pub(super) licences: Option<Rc<[Standing<'a>]>>,
    /// Room for the variables of the next rule.
    pub(super) spare: Vec<Value<'a>>,
}

impl<'a> Memo<'a> {
    /// The answer to a question, if it was asked before.
    pub(super) fn get(&self, number: u32) -> Option<&Value<'a>> {
        let place = self.answers.binary_search_by_key(&number, |(n, _)| *n);
        place
            .ok()
            .and_then(|at| self.answers.get(at))
            .map(|(_, a)| a)
    }

    /// Keeps an answer.
    pub(super) fn keep(&mut self, number: u32, answer: Value<'a>) {
        let place = self.answers.binary_search_by_key(&number, |(n, _)| *n);
        if let Err(at) = place {
            self.answers.insert(at, (number, answer));
        }
    }
}
