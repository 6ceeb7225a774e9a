//! Numbers as officers count them: `round` rounds half away from zero (四舍五入), not half to even.

use rhai::{Engine, INT};
use rust_decimal::{Decimal, RoundingStrategy};

/// Registers `round`.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn("round", |number: Decimal| round(number, 0))
        .register_fn("round", round)
        .register_fn("round", |number: INT| number)
        .register_fn("round", |number: INT, _digits: INT| number);
}

/// Rounded half away from zero, to so many digits behind the point.
pub(super) fn round(number: Decimal, digits: INT) -> Decimal {
    let digits = u32::try_from(digits.clamp(0, 28)).unwrap_or(0);
    number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)
}
