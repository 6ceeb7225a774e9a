//! What rules may ask about dates: free functions over event times and the published working days.
//!
//! errors   a text that is no date, and a year whose working days are not published, fail the rule at its place

use super::context::shared;
use super::convert::{fail, fault, time as read_time, type_title};
use crate::engine::calendar::Unpublished;
use crate::engine::time::EventTime;
use rhai::{Dynamic, Engine, EvalAltResult, INT, NativeCallContext};

/// Registers the type and the functions.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<EventTime>("时间")
        .register_fn("to_string", |time: &mut EventTime| time.to_string())
        .register_fn("to_debug", |time: &mut EventTime| time.to_string())
        .register_get("year", |time: &mut EventTime| INT::from(time.date().year()))
        .register_get("month", |time: &mut EventTime| {
            INT::from(time.date().month())
        })
        .register_get("day", |time: &mut EventTime| INT::from(time.date().day()))
        .register_get("hour", |time: &mut EventTime| {
            time.ms_of_day() / crate::engine::time::HOUR_MS
        })
        .register_fn("min", |a: EventTime, b: EventTime| a.min(b))
        .register_fn("max", |a: EventTime, b: EventTime| a.max(b))
        .register_fn("date", |text: &str| match EventTime::parse(text) {
            Some((time, _)) => Ok(time),
            None => fail(format!("“{text}”不是日期,应写作 2026-03-01")),
        })
        .register_fn("year_start", |time: Dynamic| {
            let time = moment(&time)?;
            let first = jiff::civil::Date::new(time.date().year(), 1, 1);
            Ok::<_, Box<EvalAltResult>>(first.map_or(time, EventTime::from_date))
        })
        .register_fn("days_between", |from: Dynamic, to: Dynamic| {
            let (from, to) = (moment(&from)?, moment(&to)?);
            Ok::<_, Box<EvalAltResult>>(INT::from(to.day()) - INT::from(from.day()))
        })
        .register_fn("add_days", |time: Dynamic, days: INT| {
            Ok::<_, Box<EvalAltResult>>(moment(&time)?.plus_days(days))
        })
        .register_fn(
            "working_days",
            |call: NativeCallContext, from: Dynamic, to: Dynamic| {
                let (from, to) = (moment(&from)?, moment(&to)?);
                let shared = shared(&call)?;
                let days = shared.calendar.working_days(from, to);
                days.map_err(|year| unpublished(year, &call))
            },
        )
        .register_fn(
            "add_working_days",
            |call: NativeCallContext, time: Dynamic, days: INT| {
                let time = moment(&time)?;
                let shared = shared(&call)?;
                let due = shared.calendar.add_working_days(time, days);
                due.map_err(|year| unpublished(year, &call))
            },
        )
        .register_fn(
            "is_working_day",
            |call: NativeCallContext, time: Dynamic| {
                let time = moment(&time)?;
                let shared = shared(&call)?;
                let answer = shared.calendar.is_working_day(time);
                answer.map_err(|year| unpublished(year, &call))
            },
        );
}

#[expect(
    clippy::unnecessary_box_returns,
    reason = "Rhai takes its errors boxed"
)]
fn unpublished(year: Unpublished, call: &NativeCallContext) -> Box<EvalAltResult> {
    fault(year.message(), call.call_position())
}

/// A time, or a text that is one.
pub(super) fn moment(value: &Dynamic) -> Result<EventTime, Box<EvalAltResult>> {
    match read_time(value) {
        Some((time, _)) => Ok(time),
        None if value.is_unit() => fail("这里需要时间,却没有值;先用 `== ()` 判断有没有"),
        None if value.is_string() => fail(format!("“{value}”不是日期,应写作 2026-03-01")),
        None => fail(format!("这里需要时间,而不是{}", type_title(value))),
    }
}
