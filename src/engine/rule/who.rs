//! What a rule may ask about the subject: `who`.
//!
//! All answers are as of the judging time. A window of `7d` reaches from just after seven days before that time up to it;
//! on a collective, whose counts are by day, it covers seven whole days. A window must not be longer than the rule's
//! `history`, which is how long facts are kept for it; licences, lists and the registration are kept as long as they are
//! the latest word, so windows on them have no such bound. Without a window, `last` and `days_since` look back over the
//! rule's `history`.
//!
//! cost     a count is two binary searches; filters, sums and different values read one or two fields of each fact of
//!          the window where they stand

use super::ask::{self, Filter};
use super::context::Context;
use super::convert::fail;
use super::names::suggestion;
use super::record::Record;
use super::{noted, standing};
use crate::engine::schema::{Field, FieldType, Stream, field};
use crate::engine::subject::facts::Facts;
use crate::engine::subject::view::View;
use crate::engine::time::{DAY_MS, parse_span_ms};
use rhai::{Array, Dynamic, Engine, EvalAltResult, INT, ImmutableString, Map};
use rust_decimal::Decimal;
use std::sync::Arc;

/// The subject, as `decide` gets it.
#[derive(Debug, Clone)]
pub(super) struct Who(pub Arc<Context>);

/// What a method gives.
pub(super) type Given<T> = Result<T, Box<EvalAltResult>>;

/// The most records that `list` gives.
pub(super) const LIST_LENGTH_MAX: usize = 1_000;

/// A text of a rule.
pub(super) type Text = ImmutableString;

/// Registers the methods.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Who>("who")
        .register_get("name", |who: &mut Who| name(&who.0))
        .register_get("kind", |who: &mut Who| who.0.view.key().kind.name())
        .register_get("key", |who: &mut Who| who.0.view.key().key.to_string())
        .register_get("now", |who: &mut Who| who.0.as_of)
        .register_fn("count", |who: &mut Who, s: Text, w: Text| {
            count(&who.0, &s, &w)
        })
        .register_fn("count", |who: &mut Who, s: Text, w: Text, f: Map| {
            count_where(&who.0, &s, &w, &f)
        })
        .register_fn("sum", |who: &mut Who, s: Text, f: Text, w: Text| {
            sum(&who.0, &s, &f, &w)
        })
        .register_fn("distinct", |who: &mut Who, s: Text, f: Text, w: Text| {
            distinct(&who.0, &s, &f, &w)
        })
        .register_fn("list", |who: &mut Who, s: Text, w: Text| {
            list(&who.0, &s, &w, None)
        })
        .register_fn("list", |who: &mut Who, s: Text, w: Text, f: Map| {
            list(&who.0, &s, &w, Some(&f))
        })
        .register_fn("last", |who: &mut Who, s: Text| last(&who.0, &s, None))
        .register_fn("last", |who: &mut Who, s: Text, f: Map| {
            last(&who.0, &s, Some(&f))
        })
        .register_fn("days_since", |who: &mut Who, s: Text| {
            days_since(&who.0, &s, None)
        })
        .register_fn("days_since", |who: &mut Who, s: Text, f: Map| {
            days_since(&who.0, &s, Some(&f))
        })
        .register_fn("weekly_average", |who: &mut Who, s: Text, w: Text| {
            average(&who.0, &s, &w, 7)
        })
        .register_fn("daily_average", |who: &mut Who, s: Text, w: Text| {
            average(&who.0, &s, &w, 1)
        });
    standing::register(engine);
}

/// The stream of this name.
pub(super) fn stream(name: &str) -> Given<Stream> {
    match Stream::by_name(name) {
        Some(stream) => Ok(stream),
        None => fail(format!(
            "没有名为“{name}”的数据流{}",
            suggestion(name, Stream::ALL.iter().map(|s| s.name()))
        )),
    }
}

/// The field of this name that the stream has.
pub(super) fn field_of(stream: Stream, name: &str) -> Given<Field> {
    match Field::of(stream, name) {
        Some(field) => Ok(field),
        None => fail(format!(
            "{}({})没有字段“{name}”{}",
            stream.title(),
            stream.name(),
            suggestion(name, Field::all_of(stream).map(Field::name))
        )),
    }
}

/// The length of a window, within the rule's history.
pub(super) fn span_ms(context: &Context, stream: Stream, span: &str) -> Given<i64> {
    let Some(ms) = parse_span_ms(span) else {
        return fail(format!("“{span}”不是时间窗,应写作 7d、24h、2w、30m"));
    };
    let history = context.rule.manifest.history_ms;
    if history < ms && !stream.is_standing() {
        return fail(format!(
            "时间窗 {span} 比规则的 history({} 天)长;请加大 history",
            history / DAY_MS
        ));
    }
    Ok(ms)
}

/// The facts of an individual; a collective has none.
pub(super) fn facts<'a>(context: &'a Context, method: &str) -> Given<&'a Arc<Facts>> {
    match &context.view {
        View::Individual { facts, .. } => Ok(facts),
        View::Collective { .. } => fail(format!(
            "群体主体(区域、行业、部门)只有按日计数,不能用 {method};可用 count、distinct、weekly_average、daily_average"
        )),
    }
}

fn count(context: &Context, name: &Text, span: &Text) -> Given<INT> {
    let stream = stream(name)?;
    let ms = span_ms(context, stream, span)?;
    noted::count(context, stream, (ms, span))
}

fn count_where(context: &Context, name: &str, span: &Text, filter: &Map) -> Given<INT> {
    let stream = stream(name)?;
    let ms = span_ms(context, stream, span)?;
    if let View::Collective { .. } = &context.view {
        return fail("群体主体(区域、行业、部门)的 count 不能带筛选条件;请用规则的 by 分组");
    }
    let filter = Filter::read(stream, filter)?;
    let held = facts(context, "count")?;
    Ok(noted::count_fitting(
        (context, held),
        stream,
        (ms, span),
        &filter,
    ))
}

fn sum(context: &Context, name: &str, field_name: &Text, span: &Text) -> Given<Decimal> {
    let stream = stream(name)?;
    let field = field_of(stream, field_name)?;
    let ms = span_ms(context, stream, span)?;
    if !matches!(field.spec().field_type, FieldType::Int | FieldType::Decimal) {
        return fail(format!("字段 {field_name} 不是数,不能求和"));
    }
    let held = facts(context, "sum")?;
    match noted::sum((context, held), (stream, field), (ms, span)) {
        Some(total) => Ok(total),
        None => fail(format!("字段 {field_name} 求和超出小数的范围")),
    }
}

fn distinct(context: &Context, name: &str, field_name: &Text, span: &Text) -> Given<INT> {
    let stream = stream(name)?;
    let field = field_of(stream, field_name)?;
    let ms = span_ms(context, stream, span)?;
    noted::distinct(context, (stream, field), (ms, span))
}

fn list(context: &Context, name: &str, span: &Text, filter: Option<&Map>) -> Given<Array> {
    let stream = stream(name)?;
    let ms = span_ms(context, stream, span)?;
    let held = facts(context, "list")?;
    let filter = filter.map(|map| Filter::read(stream, map)).transpose()?;
    let found = noted::list((context, held), stream, (ms, span), filter.as_ref());
    let Some(places) = found else {
        return fail(format!(
            "时间窗 {span} 内的记录超过 list 的上限 {LIST_LENGTH_MAX} 条;请缩短时间窗、加筛选条件,或用 count、sum、distinct"
        ));
    };
    let records = places.into_iter();
    Ok(records
        .map(|at| Dynamic::from(Record::fact(stream, held, at)))
        .collect())
}

fn last(context: &Context, name: &str, filter: Option<&Map>) -> Given<Dynamic> {
    let stream = stream(name)?;
    let filter = filter.map(|map| Filter::read(stream, map)).transpose()?;
    let held = facts(context, "last")?;
    let found = noted::last((context, held), stream, filter.as_ref());
    Ok(found.map_or(Dynamic::UNIT, |at| {
        Dynamic::from(Record::fact(stream, held, at))
    }))
}

fn days_since(context: &Context, name: &str, filter: Option<&Map>) -> Given<Dynamic> {
    let stream = stream(name)?;
    let filter = filter.map(|map| Filter::read(stream, map)).transpose()?;
    let held = facts(context, "days_since")?;
    let days = noted::days_since((context, held), stream, filter.as_ref());
    Ok(days.map_or(Dynamic::UNIT, Dynamic::from))
}

fn average(context: &Context, name: &str, span: &Text, days: i64) -> Given<Decimal> {
    let stream = stream(name)?;
    let ms = span_ms(context, stream, span)?;
    noted::average(context, stream, (ms, span), days)
}

/// The subject's name: of the anchor, else of its newest fact that has one, else its key.
fn name(context: &Context) -> String {
    if let Some(name) = context
        .event
        .as_ref()
        .and_then(|e| e.fields.text(field::name))
    {
        return name.to_owned();
    }
    if let View::Individual { facts, .. } = &context.view
        && let Some(name) = ask::name(facts, context.as_of)
    {
        return name.to_owned();
    }
    context.view.key().key.to_string()
}
