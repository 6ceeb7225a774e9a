//! Clauses: what an event or a subject must show before a rule can say anything. [`super::witness`] reads them off a guard;
//! [`super::super::gate`] keeps rules by them.
//!
//! shape    a rule has clauses, all of which must hold; a clause has atoms, one of which must hold
//! bounds   [`ATOMS_MAX`] atoms a clause

use super::Question;
use crate::engine::schema::{Field, Stream};
use rust_decimal::Decimal;

/// The most atoms of a clause; a longer one keeps nothing away.
pub(super) const ATOMS_MAX: usize = 12;

/// One thing that an event or a subject can show.
#[derive(Debug, Clone)]
pub(in crate::engine::rule) enum Atom {
    /// The event is of this stream.
    Of(Stream),
    /// The field of the event holds this text.
    Text(Field, Box<str>),
    /// The field of the event holds this truth.
    Truth(Field, bool),
    /// The field of the event is there.
    Held(Field),
    /// The field of the event is not there.
    Lacks(Field),
    /// The field of the event is a number of at least this.
    Amount(Field, Decimal),
    /// The subject has at least so many facts of this stream.
    Facts(Stream, i64),
    /// The answer to a question is at least this: a count, the length of a list, 1 for what is there or true.
    Asked(Ask),
}

/// A question and the least answer.
#[derive(Debug, Clone)]
pub(in crate::engine::rule) struct Ask {
    /// The number of the question in the rule set.
    pub number: u32,
    /// The question.
    pub question: Question,
    /// The least answer.
    pub least: i64,
}

/// One of these must hold.
pub(in crate::engine::rule) type Clause = Vec<Atom>;

/// The clauses of a rule; none where nothing is known.
#[derive(Debug, Clone, Default)]
pub(in crate::engine::rule) struct Witness(pub(in crate::engine::rule) Vec<Clause>);

/// How much a clause lets through, roughly: the least is the best to keep a rule by.
pub(in crate::engine::rule) fn price(clause: &Clause) -> u32 {
    let of = |atom: &Atom| match atom {
        Atom::Of(_) => 0,
        // Few have this licence, or stand on this list.
        Atom::Text(..)
        | Atom::Asked(Ask {
            question: Question::Licence(_) | Question::ListEntry(_) | Question::OnList(_),
            ..
        }) => 2,
        Atom::Asked(ask) if 2 < ask.least => 3,
        Atom::Asked(_) | Atom::Amount(..) => 5,
        Atom::Truth(..) => 6,
        Atom::Lacks(_) => 7,
        Atom::Facts(_, least) if 2 < *least => 4,
        Atom::Facts(..) => 8,
        Atom::Held(_) => 9,
    };
    clause.iter().map(of).sum()
}

/// The answer to a question is at least this; if the question is not the same for all rules, there are facts to ask about.
pub(super) fn asked(question: &Question, number: Option<u32>, least: i64) -> Atom {
    match number {
        Some(number) => Atom::Asked(Ask {
            number,
            question: question.clone(),
            least,
        }),
        None => Atom::Facts(question.stream(), least),
    }
}
