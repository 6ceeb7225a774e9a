//! Loops over what stands in the rule: what their first `continue` needs.

use super::super::clause::{ATOMS_MAX, Atom, Clause, asked};
use super::super::value::Constant;
use super::super::{Comparison, Step, Tree};
use super::Reader;

impl<'a> Reader<'a, '_> {
    /// `for kind in p.kinds { let lic = who.licence(kind); if lic == () { continue; } … }`: one of the questions, each with its
    /// constant, must have an answer.
    pub(super) fn of_each(
        &mut self,
        item: usize,
        items: &[Constant],
        body: &[Step],
    ) -> Option<Clause> {
        let [Step::Set(slot, tree), Step::If(condition, yes, no), ..] = body else {
            return None;
        };
        let Tree::Question(question, None) = tree else {
            return None;
        };
        let goes_on = matches!(yes.as_slice(), [Step::Continue]) && no.is_empty();
        let first = match condition {
            Tree::Or(parts) => parts.first()?,
            other => other,
        };
        let Tree::Compare(Comparison::Equal, pair) = first else {
            return None;
        };
        let is_absent = matches!(
            &**pair,
            [Tree::Slot(of), Tree::Constant(Constant::Unit)] if of == slot
        );
        self.knowledge.kinds(tree)?;
        if !goes_on || !is_absent || ATOMS_MAX < items.len() {
            return None;
        }
        let mut clause = Clause::new();
        for constant in items {
            let one = question.with_constant(item, constant)?;
            let number = self.questions.number(&one)?;
            clause.push(asked(&one, Some(number), 1));
        }
        Some(clause)
    }

    /// The body of a loop over constants: what its first `continue` needs.
    pub(super) fn body(&mut self, steps: &'a [Step]) {
        for step in steps {
            match step {
                Step::Set(slot, tree) => {
                    if !self.set(*slot, tree) {
                        return;
                    }
                }
                Step::If(condition, yes, no)
                    if matches!(yes.as_slice(), [Step::Continue]) && no.is_empty() =>
                {
                    // The rest of the condition is looked at only where its first part does not hold.
                    let first = match condition {
                        Tree::Or(parts) => parts.first().unwrap_or(condition),
                        other => other,
                    };
                    if self.sure_truth(first) {
                        let clauses = self.needs(first, false);
                        let clauses = clauses.into_iter();
                        let is_fixed = |atom: &Atom| !matches!(atom, Atom::Asked(_));
                        self.add_all(clauses.filter(|clause| clause.iter().all(is_fixed)));
                    }
                    return;
                }
                _ => return,
            }
        }
    }
}
