//! Comparisons that never lie.
//!
//! In plain Rhai `5 < "a"` is false, `"1" == 1` is false and `() < 3` is false: each is a missed warning. Here a
//! comparison is defined for two numbers (whole or decimal, mixed as one likes), two texts, two times, two truths;
//! `==` and `!=` also for lists and maps, and against `()`, which asks whether something is there. All else is an error
//! that stands at its line and column.
//!
//! cost     the pairs that rules use are registered one by one, so that the general case below is not looked at

use super::convert::{fault, type_title};
use super::trace::note;
use crate::engine::time::EventTime;
use rhai::{Dynamic, Engine, EvalAltResult, INT, NativeCallContext};
use rust_decimal::Decimal;
use std::cmp::Ordering;

type Answer = Result<bool, Box<EvalAltResult>>;
type Judge = fn(&NativeCallContext, &Dynamic, &Dynamic) -> Answer;
type Text = rhai::ImmutableString;

/// Registers the six comparisons.
pub(super) fn register(engine: &mut Engine) {
    macro_rules! operators {
        ($($op:tt),*) => {$(
            let name = stringify!($op);
            engine
                .register_fn(name, |a: INT, b: INT| a $op b)
                .register_fn(name, |a: Decimal, b: Decimal| a $op b)
                .register_fn(name, |a: INT, b: Decimal| Decimal::from(a) $op b)
                .register_fn(name, |a: Decimal, b: INT| a $op Decimal::from(b))
                .register_fn(name, |a: &str, b: &str| a $op b)
                .register_fn(name, |a: EventTime, b: EventTime| a $op b)
                .register_fn(name, |a: bool, b: bool| a $op b);
        )*};
    }
    operators!(==, !=, <, <=, >, >=);
    engine
        .register_fn("==", |c: NativeCallContext, a: Dynamic, b: Dynamic| {
            equal(&c, &a, &b)
        })
        .register_fn("!=", |c: NativeCallContext, a: Dynamic, b: Dynamic| {
            equal(&c, &a, &b).map(|same| !same)
        })
        .register_fn("<", |c: NativeCallContext, a: Dynamic, b: Dynamic| {
            order(&c, &a, &b).map(Ordering::is_lt)
        })
        .register_fn("<=", |c: NativeCallContext, a: Dynamic, b: Dynamic| {
            order(&c, &a, &b).map(Ordering::is_le)
        })
        .register_fn(">", |c: NativeCallContext, a: Dynamic, b: Dynamic| {
            order(&c, &a, &b).map(Ordering::is_gt)
        })
        .register_fn(">=", |c: NativeCallContext, a: Dynamic, b: Dynamic| {
            order(&c, &a, &b).map(Ordering::is_ge)
        });
}

/// Registers the six comparisons anew, for an engine that notes each with both sides and its outcome.
pub(super) fn register_noting(engine: &mut Engine) {
    macro_rules! pair {
        ($op:tt, $left:ty, $right:ty, $lift:expr) => {
            engine.register_fn(
                stringify!($op),
                |c: NativeCallContext, a: $left, b: $right| -> Answer {
                    let held = $lift(&a, &b, |a, b| a $op b);
                    note(&c, &a.into(), &b.into(), held);
                    Ok(held)
                },
            );
        };
    }
    macro_rules! operators {
        ($($op:tt),*) => {$(
            pair!($op, INT, INT, |a: &INT, b: &INT, f: fn(&INT, &INT) -> bool| f(a, b));
            pair!($op, Decimal, Decimal, |a: &Decimal, b: &Decimal, f: fn(&Decimal, &Decimal) -> bool| f(a, b));
            pair!($op, INT, Decimal, |a: &INT, b: &Decimal, f: fn(&Decimal, &Decimal) -> bool| f(&Decimal::from(*a), b));
            pair!($op, Decimal, INT, |a: &Decimal, b: &INT, f: fn(&Decimal, &Decimal) -> bool| f(a, &Decimal::from(*b)));
            pair!($op, Text, Text, |a: &Text, b: &Text, f: fn(&str, &str) -> bool| f(a, b));
            pair!($op, bool, bool, |a: &bool, b: &bool, f: fn(&bool, &bool) -> bool| f(a, b));
            engine.register_fn(
                stringify!($op),
                |c: NativeCallContext, a: EventTime, b: EventTime| -> Answer {
                    note(&c, &a.to_string().into(), &b.to_string().into(), a $op b);
                    Ok(a $op b)
                },
            );
        )*};
    }
    operators!(==, !=, <, <=, >, >=);
    let general: [(&str, Judge); 6] = [
        ("==", equal),
        ("!=", |c, a, b| equal(c, a, b).map(|same| !same)),
        ("<", |c, a, b| order(c, a, b).map(Ordering::is_lt)),
        ("<=", |c, a, b| order(c, a, b).map(Ordering::is_le)),
        (">", |c, a, b| order(c, a, b).map(Ordering::is_gt)),
        (">=", |c, a, b| order(c, a, b).map(Ordering::is_ge)),
    ];
    for (name, judge) in general {
        engine.register_fn(
            name,
            move |c: NativeCallContext, a: Dynamic, b: Dynamic| -> Answer {
                let held = judge(&c, &a, &b)?;
                note(&c, &a, &b, held);
                Ok(held)
            },
        );
    }
}

/// Whether two values are the same, where that can be asked.
fn equal(context: &NativeCallContext, a: &Dynamic, b: &Dynamic) -> Answer {
    if a.is_unit() || b.is_unit() {
        return Ok(a.is_unit() && b.is_unit());
    }
    order(context, a, b).map(Ordering::is_eq)
}

fn order(
    context: &NativeCallContext,
    a: &Dynamic,
    b: &Dynamic,
) -> Result<Ordering, Box<EvalAltResult>> {
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return Ok(a.cmp(&b));
    }
    if (a.is_string() || a.is_char()) && (b.is_string() || b.is_char()) {
        return Ok(a.to_string().cmp(&b.to_string()));
    }
    let (op, left, right) = (context.fn_name(), type_title(a), type_title(b));
    let message = if a.is_unit() || b.is_unit() {
        format!(
            "比较 {op} 的一边没有值,另一边是{};先用 `== ()` 判断有没有,或用 `?? 默认值`",
            if a.is_unit() { right } else { left }
        )
    } else if left == right {
        format!("{left}与{right}不能用 {op} 比较")
    } else {
        format!("不同类型不能比较:{left} {op} {right}")
    };
    Err(fault(message, context.call_position()))
}

fn number(value: &Dynamic) -> Option<Decimal> {
    value
        .as_int()
        .map(Decimal::from)
        .or_else(|_| value.as_decimal())
        .ok()
}
