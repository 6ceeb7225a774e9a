//! Comparisons and arithmetic: which kinds go together, and what comes out.

use super::shape::{Kinds, Shape};
use rust_decimal::Decimal;
use std::cmp::Ordering;

/// The six comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Comparison {
    pub(super) fn of(operator: &str) -> Option<Self> {
        Some(match operator {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            _ => return None,
        })
    }

    pub(super) fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }

    /// The comparison that holds when this one does not.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
        }
    }

    /// The comparison with its sides changed.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }
}

/// Classes within which values can be put in order, then those that can only be equal.
const CLASSES: [Kinds; 8] = [
    Kinds::NUMBER,
    Kinds::TEXT,
    Kinds::TIME,
    Kinds::BOOL,
    Kinds::LIST,
    Kinds::MAP,
    Kinds::RECORD,
    Kinds::OTHER,
];
const ORDERED: usize = 4;

/// Whether the two can be compared at all, where both are there.
pub(super) fn are_comparable(comparison: Comparison, a: &Shape, b: &Shape) -> bool {
    let (x, y) = (a.kinds.without(Kinds::UNIT), b.kinds.without(Kinds::UNIT));
    if x.is_none() || y.is_none() {
        return !comparison.is_order();
    }
    let classes = if comparison.is_order() {
        ORDERED
    } else {
        CLASSES.len()
    };
    CLASSES
        .iter()
        .take(classes)
        .any(|class| x.has(*class) && y.has(*class))
}

/// What the comparison certainly gives, if anything is certain.
pub(super) fn outcome(comparison: Comparison, a: &Shape, b: &Shape) -> Option<bool> {
    match comparison {
        Comparison::Equal => equal(a, b),
        Comparison::NotEqual => equal(a, b).map(|same| !same),
        Comparison::Less => less(a, b),
        Comparison::Greater => less(b, a),
        Comparison::GreaterOrEqual => less(a, b).map(|less| !less),
        Comparison::LessOrEqual => less(b, a).map(|less| !less),
    }
}

fn equal(a: &Shape, b: &Shape) -> Option<bool> {
    if a.kinds == Kinds::UNIT && b.kinds == Kinds::UNIT {
        return Some(true);
    }
    if a.kinds == Kinds::UNIT || b.kinds == Kinds::UNIT {
        let other = if a.kinds == Kinds::UNIT { b } else { a };
        return (!other.kinds.has(Kinds::UNIT)).then_some(false);
    }
    if a.kinds.has(Kinds::UNIT) && b.kinds.has(Kinds::UNIT) {
        return None;
    }
    let apart =
        |low: Option<Decimal>, high: Option<Decimal>| low.zip(high).is_some_and(|(l, h)| h < l);
    if apart(a.low, b.high) || apart(b.low, a.high) {
        return Some(false);
    }
    if let (Some(x), Some(y)) = (&a.texts, &b.texts)
        && x.is_disjoint(y)
    {
        return Some(false);
    }
    let is_filled = !a.kinds.has(Kinds::UNIT) && !b.kinds.has(Kinds::UNIT);
    let is_same = (a.number().is_some() && a.number() == b.number())
        || (a.text().is_some() && a.text() == b.text());
    if is_filled && is_same {
        return Some(true);
    }
    match (a.truth, b.truth) {
        (Some(x), Some(y)) if is_filled || x != y => Some(x == y),
        _ => None,
    }
}

fn less(a: &Shape, b: &Shape) -> Option<bool> {
    if !a.kinds.is_within(Kinds::NUMBER.or(Kinds::UNIT))
        || !b.kinds.is_within(Kinds::NUMBER.or(Kinds::UNIT))
    {
        return None;
    }
    if let (Some(high), Some(low)) = (a.high, b.low)
        && high < low
    {
        return Some(true);
    }
    match (a.low, b.high) {
        (Some(low), Some(high)) if high <= low => Some(false),
        _ => None,
    }
}

/// What `a` is where `a comparison b` holds; `None` if it can then be nothing.
pub(super) fn narrowed(comparison: Comparison, a: &Shape, b: &Shape) -> Option<Shape> {
    let mut shape = a.clone();
    match comparison {
        Comparison::Equal => {
            if b.kinds == Kinds::UNIT {
                shape.kinds = Kinds::UNIT;
                return Some(shape);
            }
            if !b.kinds.has(Kinds::UNIT) {
                shape = shape.filled();
            }
            shape.low = later(shape.low, b.low);
            shape.high = earlier(shape.high, b.high);
            shape.texts = match (shape.texts, &b.texts) {
                (Some(x), Some(y)) => Some(x.intersection(y).cloned().collect()),
                (x, y) => x.or_else(|| y.clone()),
            };
            shape.truth = shape.truth.or(b.truth);
        }
        Comparison::NotEqual => {
            if b.kinds == Kinds::UNIT {
                shape = shape.filled();
            } else if let Some(text) = b.text()
                && let Some(texts) = &mut shape.texts
            {
                texts.remove(text);
            } else if let Some(truth) = b.truth
                && shape.kinds.is_within(Kinds::BOOL)
            {
                shape.truth = Some(!truth);
            } else if let Some(number) = b.number()
                && shape.kinds.is_within(Kinds::INT)
            {
                if shape.low == Some(number) {
                    shape.low = Some(number + Decimal::ONE);
                }
                if shape.high == Some(number) {
                    shape.high = Some(number - Decimal::ONE);
                }
            }
        }
        Comparison::Less | Comparison::LessOrEqual => {
            shape = shape.filled();
            let is_strict = comparison == Comparison::Less;
            let bound = b.high.map(|high| below(high, is_strict, shape.kinds));
            shape.high = earlier(shape.high, bound);
        }
        Comparison::Greater | Comparison::GreaterOrEqual => {
            shape = shape.filled();
            let is_strict = comparison == Comparison::Greater;
            let bound = b.low.map(|low| -below(-low, is_strict, shape.kinds));
            shape.low = later(shape.low, bound);
        }
    }
    let is_possible = shape
        .low
        .zip(shape.high)
        .is_none_or(|(low, high)| low <= high);
    (is_possible && !shape.kinds.is_none()).then_some(shape)
}

/// The greatest value of these kinds that is (strictly) not above the bound.
fn below(bound: Decimal, is_strict: bool, kinds: Kinds) -> Decimal {
    if !kinds.is_within(Kinds::INT) {
        return bound;
    }
    if is_strict && bound == bound.floor() {
        bound - Decimal::ONE
    } else {
        bound.floor()
    }
}

fn later(a: Option<Decimal>, b: Option<Decimal>) -> Option<Decimal> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

fn earlier(a: Option<Decimal>, b: Option<Decimal>) -> Option<Decimal> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// What `a operator b` gives; `None` if the two do not go together.
pub(super) fn arithmetic(operator: &str, a: &Shape, b: &Shape) -> Option<Shape> {
    let (x, y) = (a.kinds, b.kinds);
    let mut kinds = Kinds::NONE;
    if x.has(Kinds::NUMBER) && y.has(Kinds::NUMBER) {
        let both = x.and(y);
        if both.has(Kinds::INT) {
            kinds = kinds.or(Kinds::INT);
        }
        if x.or(y).has(Kinds::DECIMAL) {
            kinds = kinds.or(Kinds::DECIMAL);
        }
    }
    match operator {
        "+" => {
            if x.has(Kinds::TEXT) || y.has(Kinds::TEXT) {
                kinds = kinds.or(Kinds::TEXT);
            }
            let both = x.and(y);
            kinds = kinds.or(both.and(Kinds::LIST.or(Kinds::MAP)));
        }
        "-" if x.has(Kinds::TEXT) && y.has(Kinds::TEXT) => kinds = kinds.or(Kinds::TEXT),
        _ => {}
    }
    if kinds.is_none() {
        return None;
    }
    let mut shape = Shape::of(kinds);
    shape.varies = a.varies || b.varies;
    if kinds.is_within(Kinds::NUMBER) {
        (shape.low, shape.high) = bounds(operator, a, b);
    }
    if kinds == Kinds::LIST {
        shape.items = match (&a.items, &b.items) {
            (Some(x), Some(y)) => Some(Box::new(x.join(y))),
            _ => None,
        };
    }
    Some(shape)
}

type Bounds = (Option<Decimal>, Option<Decimal>);

fn bounds(operator: &str, a: &Shape, b: &Shape) -> Bounds {
    let each =
        |x: Option<Decimal>, y: Option<Decimal>, f: fn(Decimal, Decimal) -> Option<Decimal>| {
            x.zip(y).and_then(|(x, y)| f(x, y))
        };
    match operator {
        "+" => (
            each(a.low, b.low, Decimal::checked_add),
            each(a.high, b.high, Decimal::checked_add),
        ),
        "-" => (
            each(a.low, b.high, Decimal::checked_sub),
            each(a.high, b.low, Decimal::checked_sub),
        ),
        "*" => match (a.low, b.low) {
            (Some(x), Some(y)) if !x.is_sign_negative() && !y.is_sign_negative() => {
                (x.checked_mul(y), each(a.high, b.high, Decimal::checked_mul))
            }
            _ => (None, None),
        },
        "/" => match (a.low, b.number()) {
            // Whole numbers are cut, decimals are not: the lower bound is cut to be safe.
            (Some(x), Some(by)) if Decimal::ZERO < by && !x.is_sign_negative() => (
                x.checked_div(by).map(|q| q.floor()),
                a.high.and_then(|high| high.checked_div(by)),
            ),
            _ => (None, None),
        },
        _ => (None, None),
    }
}

/// The smaller (or greater) of two.
pub(super) fn extreme(wanted: Ordering, a: &Shape, b: &Shape) -> Shape {
    let mut shape = Shape::of(a.kinds.or(b.kinds));
    shape.varies = a.varies || b.varies;
    if wanted == Ordering::Less {
        shape.low = a.low.zip(b.low).map(|(x, y)| x.min(y));
        shape.high = earlier(a.high, b.high);
    } else {
        shape.low = later(a.low, b.low);
        shape.high = a.high.zip(b.high).map(|(x, y)| x.max(y));
    }
    shape
}
