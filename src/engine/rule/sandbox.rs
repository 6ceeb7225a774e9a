//! The sealed engine in which rules run.
//!
//! It has arithmetic, text, lists, maps and what [`super::api`] adds; no clock, no sleep, no file, no output, no import,
//! no evaluation of text. Every limit is set, the same in debug and release. A comparison across types is an error
//! ([`super::compare`]), and so is a property that is not there.
//!
//! bounds   the constants below; a script that reaches one fails with the place where it was
//! cost     built once per rule set, a few milliseconds; [`Engine`] is `Sync` and shared by all threads
//! source   attack corpus and limits of the reliability notes, section 3

use super::compare;
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Engine, Module, OptimizationLevel};

/// The longest source of one rule, bytes.
pub(super) const SOURCE_BYTES_MAX: usize = 64 * 1024;
/// The most operations of one call.
pub(super) const OPERATIONS_MAX: u64 = 200_000;
const CALL_LEVELS_MAX: usize = 16;
const EXPRESSION_DEPTH_MAX: usize = 64;
/// A loop in a test that adds a fact with an interpolated text is 20 deep already.
const FUNCTION_EXPRESSION_DEPTH_MAX: usize = 32;
const STRING_BYTES_MAX: usize = 16 * 1024;
const ARRAY_LENGTH_MAX: usize = 1_000;
const MAP_LENGTH_MAX: usize = 500;
const VARIABLES_MAX: usize = 64;
const FUNCTIONS_MAX: usize = 32;

/// Words that a rule may not use: they would escape the static check, speak to the outside, or name a function by text.
pub(super) const FORBIDDEN: [&str; 8] = [
    "eval",
    "print",
    "debug",
    "import",
    "export",
    "Fn",
    "sleep",
    "timestamp",
];

/// An engine with the packages and limits, without the rules' vocabulary.
pub(super) fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    let mut module = Module::new();
    ArithmeticPackage::init(&mut module);
    LogicPackage::init(&mut module);
    BasicStringPackage::init(&mut module);
    BasicIteratorPackage::init(&mut module);
    BasicFnPackage::init(&mut module);
    BasicMathPackage::init(&mut module);
    BasicArrayPackage::init(&mut module);
    BasicMapPackage::init(&mut module);
    MoreStringPackage::init(&mut module);
    // Looked up by hash from now on, not by a walk over the packages.
    module.register_lazy_functions();
    module.build_index();
    engine.register_global_module(module.into());
    limit(&mut engine);
    compare::register(&mut engine);
    engine
}

fn limit(engine: &mut Engine) {
    engine
        .set_optimization_level(OptimizationLevel::None)
        .set_max_operations(OPERATIONS_MAX)
        .set_max_call_levels(CALL_LEVELS_MAX)
        .set_max_expr_depths(EXPRESSION_DEPTH_MAX, FUNCTION_EXPRESSION_DEPTH_MAX)
        .set_max_string_size(STRING_BYTES_MAX)
        .set_max_array_size(ARRAY_LENGTH_MAX)
        .set_max_map_size(MAP_LENGTH_MAX)
        .set_max_variables(VARIABLES_MAX)
        .set_max_functions(FUNCTIONS_MAX)
        .set_fail_on_invalid_map_property(true)
        .set_strict_variables(true)
        // Else `5 < "a"` is false without a word, whatever is registered for it.
        .set_fast_operators(false);
    for word in FORBIDDEN {
        engine.disable_symbol(word);
    }
}
