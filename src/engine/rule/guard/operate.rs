//! What a guard does with values: as Rhai does it, or not at all.
//!
//! errors   `None` where Rhai fails, or where guards do not know what it does

use super::Operation;
use super::value::{Value, Words};
use crate::engine::time::EventTime;
use std::cmp::Ordering;
use std::rc::Rc;

/// The longest text that a guard puts together, bytes; below Rhai's limit.
pub(super) const MADE_BYTES_MAX: usize = 4_096;

/// A time, or a text that is one.
pub(super) fn moment(value: &Value<'_>) -> Option<EventTime> {
    match value {
        Value::Time(time) => Some(*time),
        other => EventTime::parse(other.text()?).map(|(time, _)| time),
    }
}

/// The whole number.
pub(super) fn int(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

/// The first value if it stands so to the second, else the second; of a whole and a decimal number a decimal one.
pub(super) fn lesser<'a>(
    first: Value<'a>,
    second: Value<'a>,
    holds: fn(Ordering) -> bool,
) -> Option<Value<'a>> {
    let (first, second) = match (first, second) {
        (Value::Int(a), Value::Decimal(b)) => (Value::Decimal(a.into()), Value::Decimal(b)),
        (Value::Decimal(a), Value::Int(b)) => (Value::Decimal(a), Value::Decimal(b.into())),
        (
            pair @ (Value::Int(_) | Value::Decimal(_) | Value::Time(_)),
            other @ (Value::Int(_) | Value::Decimal(_) | Value::Time(_)),
        ) => (pair, other),
        _ => return None,
    };
    Some(if holds(first.order(&second)?) {
        first
    } else {
        second
    })
}

/// Whether a text, or a list, contains one of some words.
pub(super) fn any_of(whole: &Value<'_>, words: &Words) -> Option<bool> {
    if let (Some(text), Some(mut finders)) = (whole.text(), words.finders()) {
        return Some(finders.any(|finder| finder.find(text.as_bytes()).is_some()));
    }
    for word in words.constants() {
        if let Value::Bool(true) = contains(whole, &Value::constant(word))? {
            return Some(true);
        }
    }
    Some(false)
}

/// Whether a text, or a list, contains a part.
pub(super) fn contains<'a>(whole: &Value<'a>, part: &Value<'a>) -> Option<Value<'a>> {
    let Some(items) = whole.items() else {
        return Some(Value::Bool(whole.text()?.contains(part.text()?)));
    };
    for item in items.iter() {
        if item.equals(part)? {
            return Some(Value::Bool(true));
        }
    }
    Some(Value::Bool(false))
}

/// A sum, difference, product or quotient of numbers, or two texts in a row.
pub(super) fn arithmetic<'a>(
    what: Operation,
    left: &Value<'a>,
    right: &Value<'a>,
) -> Option<Value<'a>> {
    if let (Value::Int(a), Value::Int(b)) = (left, right) {
        let result = match what {
            Operation::Add => a.checked_add(*b),
            Operation::Subtract => a.checked_sub(*b),
            Operation::Multiply => a.checked_mul(*b),
            Operation::Divide => a.checked_div(*b),
        };
        return result.map(Value::Int);
    }
    if let (Operation::Add, Some(a), Some(b)) = (what, left.text(), right.text()) {
        let is_short = a.len().saturating_add(b.len()) <= MADE_BYTES_MAX;
        return is_short.then(|| Value::Made(Rc::new([a, b].concat())));
    }
    let (a, b) = (left.number()?, right.number()?);
    let result = match what {
        Operation::Add => a.checked_add(b),
        Operation::Subtract => a.checked_sub(b),
        Operation::Multiply => a.checked_mul(b),
        Operation::Divide => a.checked_div(b),
    };
    result.map(Value::Decimal)
}

/// The items in order, if they are all whole numbers or all texts.
pub(super) fn sorted(mut items: Vec<Value<'_>>) -> Option<Vec<Value<'_>>> {
    let alike = items.iter().all(|item| matches!(item, Value::Int(_)))
        || items.iter().all(|item| item.text().is_some());
    items.sort_by(|a, b| a.order(b).unwrap_or(Ordering::Equal));
    alike.then_some(items)
}

/// The items without those that repeat the one before.
pub(super) fn deduped(mut items: Vec<Value<'_>>) -> Option<Vec<Value<'_>>> {
    let alike = items.iter().all(|item| matches!(item, Value::Int(_)))
        || items.iter().all(|item| item.text().is_some());
    items.dedup_by(|a, b| a.equals(b) == Some(true));
    alike.then_some(items)
}

/// What `x += y` and its like make of `x`; a text that nobody else has grows where it is.
pub(super) fn changed<'a>(
    what: Operation,
    mut before: Value<'a>,
    by: &Value<'a>,
) -> Option<Value<'a>> {
    if let (Operation::Add, Value::Made(text), Some(more)) = (what, &mut before, by.text())
        && let Some(own) = Rc::get_mut(text)
    {
        if MADE_BYTES_MAX < own.len().saturating_add(more.len()) {
            return None;
        }
        own.push_str(more);
        return Some(before);
    }
    arithmetic(what, &before, by)
}
