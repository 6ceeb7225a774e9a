//! Everything that a rule sees beside Rhai itself, registered in one place.

use super::{dates, numbers, once, record, says, scenario, who};
use rhai::Engine;

/// Registers the types and functions of rules and of their tests.
pub(super) fn register(engine: &mut Engine) {
    numbers::register(engine);
    dates::register(engine);
    record::register(engine);
    who::register(engine);
    once::register(engine);
    says::register(engine);
    scenario::register(engine);
}
