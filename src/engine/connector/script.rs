//! A connector's own function, for what no coercion can: `fn map(row)` gives further fields of the event.
//!
//! `row` holds the connector's columns by name, as text, after personal columns were dropped, masked or hashed. What
//! `map` returns are fields of the schema by name; a name or type that the stream does not have fails the record. The
//! engine is sealed: no clock, files, printing, modules or `eval`, and every limit is set, so a script is a pure function
//! that ends.
//!
//! bounds   20,000 operations per record, 16 calls deep, strings of 16 KiB, arrays and maps of 1,000

use super::super::event::{Fields, Value};
use super::super::reject::{Reject, RejectCode};
use super::super::schema::{Field, FieldType};
use super::super::time::EventTime;
use super::cell::{Cell, Row, Slot};
use super::coerce::kept;
use super::mapping::Mapping;
use super::personal::{Personal, PersonalKey, mask};
use super::plan::Plan;
use super::{ConnectorError, text};
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{AST, CallFnOptions, Dynamic, Engine, Map, Scope};
use rust_decimal::Decimal;
use std::fmt;

/// A checked script.
pub(super) struct Script {
    engine: Engine,
    ast: AST,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script(..)")
    }
}

impl Script {
    /// Compiles a script; `name` is the name of the TOML file beside it.
    pub(super) fn parse(name: &str, source: &str) -> Result<Self, ConnectorError> {
        let file = name.strip_suffix(".toml").unwrap_or(name);
        let file = format!("{file}.rhai");
        let error = |line: Option<usize>, column: Option<usize>, message: String| ConnectorError {
            file: file.as_str().into(),
            line: line.unwrap_or(1),
            column: column.unwrap_or(1),
            message: message.into(),
            help: None,
        };
        let engine = sealed_engine();
        let ast = engine.compile(source).map_err(|parse_error| {
            let place = parse_error.position();
            error(
                place.line(),
                place.position(),
                parse_error.err_type().to_string(),
            )
        })?;
        if !ast
            .iter_functions()
            .any(|f| f.name == "map" && f.params.len() == 1)
        {
            let message = "the script has no fn map(row)".to_owned();
            return Err(error(None, None, message));
        }
        Ok(Self { engine, ast })
    }

    /// Runs `map` on a row and sets the fields that it returns.
    pub(super) fn extend(
        &self,
        record: &Mapping<'_, '_>,
        fields: &mut Fields,
    ) -> Result<(), Reject> {
        let stream = record.connector.stream();
        let options = CallFnOptions::new().eval_ast(false);
        let arguments = (visible(record.plan, record.row, record.key),);
        let made: Map = self
            .engine
            .call_fn_with_options(options, &mut Scope::new(), &self.ast, "map", arguments)
            .map_err(|error| failed(&error.to_string()))?;
        for (name, value) in made {
            let Some(field) = Field::of(stream, &name) else {
                return Err(failed(&format!("{} has no field {name:?}", stream.name())));
            };
            if value.is_unit() {
                continue;
            }
            let wanted = field.spec().field_type;
            let Some(value) = field_value(wanted, &value) else {
                return Err(failed(&format!(
                    "field {name:?} is {:?}, the script gave {}",
                    wanted,
                    value.type_name()
                )));
            };
            fields.set(field, value);
        }
        Ok(())
    }
}

fn failed(what: &str) -> Reject {
    let message = format!("the script failed: {}", text::shortened(what));
    Reject::new(RejectCode::ScriptFailed, message)
}

fn sealed_engine() -> Engine {
    let mut engine = Engine::new_raw();
    ArithmeticPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    BasicFnPackage::new().register_into_engine(&mut engine);
    for symbol in ["eval", "print", "debug"] {
        engine.disable_symbol(symbol);
    }
    engine
        .set_max_operations(20_000)
        .set_max_call_levels(16)
        .set_max_expr_depths(32, 32)
        .set_max_string_size(16 * 1024)
        .set_max_array_size(1_000)
        .set_max_map_size(1_000)
        .set_max_variables(64)
        .set_max_functions(64)
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true);
    engine
}

/// The columns that a script may see.
fn visible(plan: &Plan, row: &Row<'_>, key: &PersonalKey) -> Map {
    let mut map = Map::new();
    for (column, number) in plan.columns.iter().zip(0_u16..) {
        let value = match (column.personal, row.get(Slot(number))) {
            (_, Cell::Absent | Cell::Nested) => Dynamic::UNIT,
            (None, Cell::Text(text)) => Dynamic::from(text.to_string()),
            (None, Cell::List(items)) => {
                let items: rhai::Array = items.iter().map(|item| item.to_string().into()).collect();
                items.into()
            }
            (Some(Personal::Hash), Cell::Text(text)) => key.text(text).into(),
            (Some(Personal::Mask), Cell::Text(text)) => mask(text).into(),
            (Some(_), Cell::Text(_) | Cell::List(_)) => continue,
        };
        map.insert((&*column.name).into(), value);
    }
    map
}

/// What a script gave, as a value of the field's type.
fn field_value(wanted: FieldType, given: &Dynamic) -> Option<Value> {
    let text = |given: &Dynamic| {
        given
            .as_immutable_string_ref()
            .ok()
            .map(|text| text.to_string())
    };
    match wanted {
        FieldType::Bool => given.as_bool().ok().map(Value::Bool),
        FieldType::Int => given.as_int().ok().map(Value::Int),
        FieldType::Decimal => {
            let whole = given.as_int().ok().map(Decimal::from);
            whole
                .or_else(|| given.as_decimal().ok())
                .map(Value::Decimal)
        }
        FieldType::Text => kept(&text(given)?).ok().map(Value::Text),
        FieldType::Time => {
            EventTime::parse(&text(given)?).map(|(time, precision)| Value::Time(time, precision))
        }
        FieldType::List => {
            let items = given.as_array_ref().ok()?;
            let items: Option<Vec<Box<str>>> = items
                .iter()
                .take(64)
                .map(|item| kept(&text(item)?).ok().map(Into::into))
                .collect();
            items.map(|items| Value::List(items.into()))
        }
    }
}
