//! What must be so before a rule can say anything, read off the tree of its guard.
//!
//! Most rules begin with conditions that end them: `if ev.result != "不合格" { return; }`, `if rows.len() < 3 { return; }`.
//! Each gives a *clause*: at least one of its [`Atom`]s must hold, or the rule surely says nothing, asks for no other look
//! and does not fail. [`super::super::gate`] keeps rules by their atoms, so that an event brings up the rules that it can
//! concern and no others.
//!
//! Reading stops at the first statement that might fail ([`super::kinds`]) or say something, so a clause is never wrong;
//! it is only missing where the rule is not understood. What fails only if a list is long, or has any item, is a *doubt*:
//! it stands in every later clause.
//!
//! cost     at load only

mod loops;

use super::clause::{ATOMS_MAX, Atom, Clause, Witness, asked, price};
use super::kinds::{Kinds, Knowledge, last_item, only_value};
use super::value::Constant;
use super::{Comparison, Each, Function, Guard, Operation, Question, Questions, Step, Tree};
use crate::engine::rule::manifest::Manifest;
use crate::engine::schema::{FieldType, Stream};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeMap;

impl Witness {
    /// What the guard of a rule shows.
    pub(in crate::engine::rule) fn of(
        guard: &Guard,
        manifest: &Manifest,
        questions: &mut Questions,
    ) -> Self {
        let mut reader = Reader {
            questions,
            knowledge: Knowledge::new(manifest, guard.slots),
            bound: BTreeMap::new(),
            clauses: Vec::new(),
        };
        reader.steps(&guard.body);
        let mut clauses = reader.clauses;
        // A day of a group has no event whose fields could be looked up; what is asked of it can be asked.
        if manifest.is_collective() {
            clauses.retain(|clause| clause.iter().all(|atom| matches!(atom, Atom::Asked(_))));
        }
        Self(clauses)
    }
}

/// Reads a guard from its beginning.
struct Reader<'a, 'q> {
    questions: &'q mut Questions,
    knowledge: Knowledge<'a>,
    /// What variables were last set to.
    bound: BTreeMap<usize, &'a Tree>,
    clauses: Vec<Clause>,
}

impl<'a> Reader<'a, '_> {
    fn steps(&mut self, steps: &'a [Step]) {
        for (at, step) in steps.iter().enumerate() {
            let is_last = steps.len() == at.saturating_add(1);
            if !self.step(step, is_last) {
                return;
            }
        }
    }

    /// Whether what comes after the step can be read too.
    fn step(&mut self, step: &'a Step, is_last: bool) -> bool {
        match step {
            Step::Nothing => true,
            Step::Set(slot, tree) => self.set(*slot, tree),
            Step::Value(tree) => self.sure(tree),
            // The list is not longer afterwards.
            Step::Sort(slot) | Step::Dedup(slot) => self.knowledge.can_sort(*slot),
            Step::If(condition, yes, no) => self.branch(condition, yes, no, is_last),
            Step::For(_, list, _) if is_last => {
                if self.sure(list)
                    && let Some(clause) = self.some(list)
                {
                    self.add(clause);
                }
                // A loop over what stands in the rule, that goes on to the next unless a question has an answer.
                if let Step::For(slot, list, body) = step
                    && let Tree::Constant(Constant::List(items)) = list
                {
                    let item = self.knowledge.kinds(list).map(Kinds::item);
                    self.knowledge.set(*slot, item);
                    if let Some(clause) = self.of_each(*slot, items, body) {
                        self.add(clause);
                    }
                    self.body(body);
                }
                false
            }
            _ => false,
        }
    }

    /// `let x = …;`, also `let x = … ?? return;`.
    fn set(&mut self, slot: usize, tree: &'a Tree) -> bool {
        if let Tree::Coalesce(parts) = tree
            && let [first, Tree::Block(steps)] = parts.as_slice()
            && is_return(steps)
        {
            let Some(kinds) = self.knowledge.kinds(first) else {
                return false;
            };
            if let Some(clause) = self.held(first) {
                self.add(clause);
            }
            self.bind(slot, kinds.without_unit(), first);
            return true;
        }
        let Some(kinds) = self.knowledge.kinds(tree) else {
            return false;
        };
        self.bind(slot, kinds, tree);
        true
    }

    /// What a variable holds from here on. One that is set again takes with it what is known of all: another may have been
    /// made of it.
    fn bind(&mut self, slot: usize, kinds: Kinds, tree: &'a Tree) {
        if self.knowledge.of_slot(slot).is_some() {
            self.bound.clear();
        } else {
            self.bound.insert(slot, tree);
        }
        self.knowledge.set(slot, Some(kinds));
    }

    fn branch(
        &mut self,
        condition: &'a Tree,
        yes: &'a [Step],
        no: &'a [Step],
        is_last: bool,
    ) -> bool {
        if !self.sure_truth(condition) {
            // What stands first in an `||` ends the rule before the rest is looked at.
            if let Tree::Or(parts) = condition
                && is_return(yes)
            {
                for part in parts {
                    if !self.sure_truth(part) {
                        break;
                    }
                    let clauses = self.needs(part, false);
                    self.add_all(clauses);
                }
            }
            return false;
        }
        if is_return(yes) && no.is_empty() {
            let clauses = self.needs(condition, false);
            self.add_all(clauses);
            return true;
        }
        if is_last && no.is_empty() {
            let clauses = self.needs(condition, true);
            self.add_all(clauses);
            return false;
        }
        // Both ways go on: variables that either sets are no longer known.
        let mut set = Vec::new();
        let goes_on = [yes, no]
            .iter()
            .flat_map(|steps| steps.iter())
            .all(|step| match step {
                Step::Set(slot, tree) => {
                    let kinds = self.knowledge.kinds(tree);
                    set.push((*slot, kinds));
                    kinds.is_some()
                }
                Step::Nothing => true,
                _ => false,
            });
        for (slot, kinds) in set {
            let before = self.knowledge.of_slot(slot);
            let either = before.zip(kinds).and_then(|(a, b)| a.or(b));
            self.knowledge.set(slot, either);
            self.bound.clear();
        }
        goes_on
    }

    /// Whether an expression has a value whatever the facts.
    fn sure(&mut self, tree: &'a Tree) -> bool {
        self.knowledge.kinds(tree).is_some()
    }

    /// Whether an expression is true or false whatever the facts.
    fn sure_truth(&mut self, tree: &'a Tree) -> bool {
        self.knowledge.kinds(tree).is_some_and(Kinds::is_bool)
    }

    fn add_all(&mut self, clauses: impl IntoIterator<Item = Clause>) {
        for clause in clauses {
            self.add(clause);
        }
    }

    /// Keeps a clause; it also holds wherever there is a doubt about what stands before it.
    fn add(&mut self, mut clause: Clause) {
        for doubt in self.knowledge.doubts() {
            let Atom::Asked(doubt) = doubt else {
                clause.push(doubt.clone());
                continue;
            };
            let same = clause.iter_mut().find_map(|atom| match atom {
                Atom::Asked(ask) if ask.number == doubt.number => Some(ask),
                _ => None,
            });
            match same {
                Some(ask) => ask.least = ask.least.min(doubt.least),
                None => clause.push(Atom::Asked(doubt.clone())),
            }
        }
        if clause.len() <= ATOMS_MAX {
            self.clauses.push(clause);
        }
    }

    fn resolved(&self, mut tree: &'a Tree) -> &'a Tree {
        while let Tree::Slot(slot) = tree {
            match self.bound.get(slot) {
                Some(bound) => tree = bound,
                None => break,
            }
        }
        tree
    }

    /// The clauses that hold wherever a condition is what is wanted.
    fn needs(&self, condition: &'a Tree, wanted: bool) -> Vec<Clause> {
        match self.resolved(condition) {
            Tree::Not(of) => self.needs(of, !wanted),
            Tree::And(parts) if wanted => self.all_of(parts, wanted),
            Tree::Or(parts) if !wanted => self.all_of(parts, wanted),
            Tree::And(parts) | Tree::Or(parts) => self.one_of(parts, wanted),
            Tree::Block(steps) => {
                only_value(steps).map_or_else(Vec::new, |t| self.needs(t, wanted))
            }
            Tree::Compare(how, pair) => {
                let [left, right] = &**pair;
                self.compared(if wanted { *how } else { opposite(*how) }, left, right)
            }
            Tree::Call(Function::IsEmpty, arguments) if !wanted => arguments
                .first()
                .and_then(|list| self.some(list))
                .into_iter()
                .collect(),
            Tree::Call(Function::Contains, arguments) if wanted => {
                self.contained(arguments).into_iter().collect()
            }
            Tree::Each(Each::Some, list, ..) if wanted => self.some(list).into_iter().collect(),
            Tree::Question(question, _) if wanted && is_yes_or_no(question) => {
                self.least(condition, 1).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn all_of(&self, parts: &'a [Tree], wanted: bool) -> Vec<Clause> {
        parts
            .iter()
            .flat_map(|part| self.needs(part, wanted))
            .collect()
    }

    /// One clause that holds wherever one of the parts is what is wanted.
    fn one_of(&self, parts: &'a [Tree], wanted: bool) -> Vec<Clause> {
        let mut either = Clause::new();
        for part in parts {
            let best = self.needs(part, wanted).into_iter().min_by_key(price);
            match best {
                Some(clause) => either.extend(clause),
                None => return Vec::new(),
            }
        }
        vec![either]
    }

    fn compared(&self, how: Comparison, left: &'a Tree, right: &'a Tree) -> Vec<Clause> {
        let (left, right) = (self.resolved(left), self.resolved(right));
        let (how, tree, constant) = match (left, right) {
            (tree, Tree::Constant(constant)) => (how, tree, constant),
            (Tree::Constant(constant), tree) => (mirrored(how), tree, constant),
            _ => return Vec::new(),
        };
        let clause = match (how, constant) {
            (Comparison::Equal, Constant::Text(text)) => Self::text(tree, text),
            (Comparison::Equal, Constant::Bool(truth)) => self.truth(tree, *truth),
            (Comparison::NotEqual, Constant::Unit) => self.held(tree),
            (Comparison::Equal, Constant::Unit) => Self::lacked(tree),
            (Comparison::NotEqual, Constant::Int(0)) if is_count(tree) => self.least(tree, 1),
            (Comparison::GreaterOrEqual | Comparison::Equal, _) => {
                number(constant).and_then(|n| self.at_least(tree, n))
            }
            // More than that is at least that; of whole numbers, at least one more.
            (Comparison::Greater, Constant::Int(least)) if is_whole(tree) => {
                self.at_least(tree, Decimal::from(least.saturating_add(1)))
            }
            (Comparison::Greater, _) => number(constant).and_then(|n| self.at_least(tree, n)),
            _ => None,
        };
        clause.into_iter().collect()
    }

    fn text(tree: &Tree, text: &str) -> Option<Clause> {
        match tree {
            Tree::Stream(of) if matches!(**of, Tree::Anchor) => {
                Some(vec![Atom::Of(Stream::by_name(text)?)])
            }
            Tree::Coalesce(parts) => match parts.as_slice() {
                [
                    Tree::Field(of, field),
                    Tree::Constant(Constant::Text(stand_in)),
                ] if matches!(**of, Tree::Anchor) && **stand_in != *text => {
                    Some(vec![Atom::Text(*field, text.into())])
                }
                _ => None,
            },
            Tree::Field(of, field)
                if matches!(**of, Tree::Anchor) && field.spec().field_type == FieldType::Text =>
            {
                Some(vec![Atom::Text(*field, text.into())])
            }
            _ => None,
        }
    }

    /// `["吊销", "注销"].contains(ev.licence_act)`: any of the texts.
    fn contained(&self, arguments: &'a [Tree]) -> Option<Clause> {
        let [Tree::Constant(Constant::List(items)), tree] = arguments else {
            return None;
        };
        let tree = self.resolved(tree);
        let mut clause = Clause::new();
        for item in items {
            let Constant::Text(text) = item else {
                return None;
            };
            clause.extend(Self::text(tree, text)?);
        }
        Some(clause)
    }

    fn truth(&self, tree: &'a Tree, truth: bool) -> Option<Clause> {
        match tree {
            Tree::Field(of, field)
                if matches!(**of, Tree::Anchor) && field.spec().field_type == FieldType::Bool =>
            {
                Some(vec![Atom::Truth(*field, truth)])
            }
            Tree::Question(question, _) if truth && is_yes_or_no(question) => self.least(tree, 1),
            _ => None,
        }
    }

    /// Something is there: a field, or what a question asks for.
    fn held(&self, tree: &'a Tree) -> Option<Clause> {
        match self.resolved(tree) {
            Tree::Field(of, field) if matches!(**of, Tree::Anchor) => {
                Some(vec![Atom::Held(*field)])
            }
            Tree::Question(question, _) => match &**question {
                Question::Last(..)
                | Question::Licence(_)
                | Question::ListEntry(_)
                | Question::Registry => self.least(tree, 1),
                _ => None,
            },
            Tree::Block(steps) => {
                let slot = last_item(steps)?;
                self.some(self.bound.get(&slot)?)
            }
            _ => None,
        }
    }

    /// A field of the event is not there.
    fn lacked(tree: &Tree) -> Option<Clause> {
        match tree {
            Tree::Field(of, field) if matches!(**of, Tree::Anchor) => {
                Some(vec![Atom::Lacks(*field)])
            }
            _ => None,
        }
    }

    /// A list has an item.
    fn some(&self, list: &'a Tree) -> Option<Clause> {
        self.least(list, 1)
    }

    /// A number is at least this.
    fn at_least(&self, tree: &'a Tree, least: Decimal) -> Option<Clause> {
        match self.resolved(tree) {
            Tree::Coalesce(parts) => match parts.as_slice() {
                [Tree::Field(of, field), Tree::Constant(stand_in)]
                    if matches!(**of, Tree::Anchor) && number(stand_in)? < least =>
                {
                    Some(vec![Atom::Amount(*field, least)])
                }
                _ => None,
            },
            Tree::Call(Function::Max, pair) => {
                let mut either = Clause::new();
                for part in pair {
                    either.extend(self.at_least(part, least)?);
                }
                Some(either)
            }
            Tree::Call(Function::Min, pair) => {
                pair.iter().find_map(|part| self.at_least(part, least))
            }
            Tree::Field(of, field) if matches!(**of, Tree::Anchor) => {
                Some(vec![Atom::Amount(*field, least)])
            }
            // A difference of counts is at most the first.
            Tree::Arithmetic(Operation::Subtract, pair) => {
                let [first, second] = &**pair;
                is_count(self.resolved(second))
                    .then(|| self.at_least(first, least))
                    .flatten()
            }
            other => self.least(other, least.ceil().to_i64()?),
        }
    }

    /// The answer to a question, or the length of a list, is at least this.
    fn least(&self, tree: &'a Tree, least: i64) -> Option<Clause> {
        if least < 1 {
            return None;
        }
        match self.resolved(tree) {
            Tree::Call(Function::Len, arguments) => self.least(arguments.first()?, least),
            Tree::Each(Each::Filter | Each::Map, list, ..) => self.least(list, least),
            Tree::Question(question, number) => {
                if matches!(
                    **question,
                    Question::Average(..) | Question::Sum(..) | Question::DaysSince(..)
                ) {
                    return None;
                }
                Some(vec![asked(question, *number, least)])
            }
            _ => None,
        }
    }
}

/// A block that does nothing but end the rule.
fn is_return(steps: &[Step]) -> bool {
    let mut steps = steps.iter().filter(|step| !matches!(step, Step::Nothing));
    matches!(
        (steps.next(), steps.next()),
        (Some(Step::Return(None)), None)
    )
}

fn is_yes_or_no(question: &Question) -> bool {
    matches!(question, Question::OnList(_) | Question::HasTag(_))
}

fn is_whole(tree: &Tree) -> bool {
    let is_whole_field =
        |tree: &Tree| matches!(tree, Tree::Field(_, f) if f.spec().field_type == FieldType::Int);
    match tree {
        Tree::Coalesce(parts) => parts
            .iter()
            .all(|part| is_whole_field(part) || matches!(part, Tree::Constant(Constant::Int(_)))),
        other => is_count(other) || is_whole_field(other),
    }
}

fn is_count(tree: &Tree) -> bool {
    match tree {
        Tree::Question(question, _) => matches!(
            **question,
            Question::Count(..) | Question::CountBy(..) | Question::Distinct(..)
        ),
        Tree::Call(Function::Len, _) => true,
        _ => false,
    }
}

fn number(constant: &Constant) -> Option<Decimal> {
    match constant {
        Constant::Int(number) => Some(Decimal::from(*number)),
        Constant::Decimal(number) => Some(*number),
        _ => None,
    }
}

fn opposite(how: Comparison) -> Comparison {
    match how {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::Less => Comparison::GreaterOrEqual,
        Comparison::LessOrEqual => Comparison::Greater,
        Comparison::Greater => Comparison::LessOrEqual,
        Comparison::GreaterOrEqual => Comparison::Less,
    }
}

fn mirrored(how: Comparison) -> Comparison {
    match how {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same => same,
    }
}
