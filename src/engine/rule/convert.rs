//! Between the engine's values and Rhai's.

use crate::engine::event::Value;
use crate::engine::schema::{Field, FieldType};
use crate::engine::time::{EventTime, Precision};
use rhai::{Array, Dynamic, EvalAltResult, INT, Position};
use rust_decimal::Decimal;

/// A failure of a rule, in words that an analyst understands; without a place it gets that of the call.
#[expect(
    clippy::unnecessary_box_returns,
    reason = "Rhai takes its errors boxed"
)]
pub(super) fn fault(message: impl Into<String>, position: Position) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorRuntime(
        Dynamic::from(message.into()),
        position,
    ))
}

/// A failure at the place of the call.
pub(super) fn fail<T>(message: impl Into<String>) -> Result<T, Box<EvalAltResult>> {
    Err(fault(message, Position::NONE))
}

/// What an analyst calls the type of a value.
pub(super) fn type_title(value: &Dynamic) -> &'static str {
    if value.is_unit() {
        "空值"
    } else if value.is_int() {
        "整数"
    } else if value.is_decimal() {
        "小数"
    } else if value.is_bool() {
        "是否"
    } else if value.is_string() || value.is_char() {
        "文本"
    } else if value.is_array() {
        "列表"
    } else if value.is_map() {
        "映射"
    } else if value.is::<EventTime>() {
        "时间"
    } else if value.is::<super::record::Record>() {
        "记录"
    } else {
        "其他类型"
    }
}

/// A field's value as a rule sees it.
pub(super) fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Bool(value) => Dynamic::from(*value),
        Value::Int(value) => Dynamic::from(*value),
        Value::Decimal(value) => Dynamic::from(*value),
        Value::Text(value) => value.as_str().into(),
        Value::Time(time, _) => Dynamic::from(*time),
        Value::List(values) => {
            let values: Array = values.iter().map(|v| v.as_ref().into()).collect();
            Dynamic::from(values)
        }
    }
}

/// A rule's value as what the field holds; the error says what would fit.
pub(super) fn to_value(field: Field, value: &Dynamic) -> Result<Value, String> {
    let spec = field.spec();
    let bad = || {
        format!(
            "字段 {}({})应为{},而这里是{}",
            spec.name,
            spec.title,
            spec.field_type.title(),
            type_title(value)
        )
    };
    match spec.field_type {
        FieldType::Bool => value.as_bool().map(Value::Bool).map_err(|_| bad()),
        FieldType::Int => value.as_int().map(Value::Int).map_err(|_| bad()),
        FieldType::Decimal => decimal(value).map(Value::Decimal).ok_or_else(bad),
        FieldType::Text => text(value).map(|t| Value::Text(t.into())).ok_or_else(bad),
        FieldType::Time => time(value)
            .map(|(time, precision)| Value::Time(time, precision))
            .ok_or_else(bad),
        FieldType::List => texts(value).map(Value::List).ok_or_else(bad),
    }
}

/// A number, whole or decimal.
pub(super) fn decimal(value: &Dynamic) -> Option<Decimal> {
    value
        .as_decimal()
        .or_else(|_| value.as_int().map(Decimal::from))
        .ok()
}

/// A whole number; a decimal is rounded half away from zero.
pub(super) fn whole(value: &Dynamic) -> Option<INT> {
    use rust_decimal::prelude::{RoundingStrategy, ToPrimitive};
    value.as_int().ok().or_else(|| {
        value
            .as_decimal()
            .ok()?
            .round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero)
            .to_i64()
    })
}

/// A text.
pub(super) fn text(value: &Dynamic) -> Option<String> {
    value.is_string().then(|| value.to_string())
}

/// A time, or a text that is one.
pub(super) fn time(value: &Dynamic) -> Option<(EventTime, Precision)> {
    if let Some(time) = value.clone().try_cast::<EventTime>() {
        let precision = if time.ms_of_day() == 0 {
            Precision::Day
        } else {
            Precision::Second
        };
        return Some((time, precision));
    }
    EventTime::parse(&text(value)?)
}

/// A list of texts, or one text.
pub(super) fn texts(value: &Dynamic) -> Option<Box<[Box<str>]>> {
    if let Some(one) = text(value) {
        return Some(Box::new([one.into_boxed_str()]));
    }
    let array = value.clone().try_cast::<Array>()?;
    array
        .iter()
        .map(|item| text(item).map(String::into_boxed_str))
        .collect()
}
