//! Questions to `who` once their words are understood: the answer, and the note of it in the context.
//!
//! Rhai's methods ([`super::who`], [`super::standing`], [`super::once`]) read the words of a call and end here; a rule
//! that speaks without Rhai ([`super::guard`]) asks the same functions, so that what a warning says it saw, and the
//! facts that it names, are the same whichever way the rule ran.
//!
//! shape    facts are given as places in their stream
//! cost     as in [`super::who`]

use super::ask::{self, Filter, Window, int, time};
use super::context::{Answer, Context, Question, Seen};
use super::group;
use super::who::{Given, LIST_LENGTH_MAX, Text, facts};
use crate::engine::event::RecordKey;
use crate::engine::schema::{Field, Stream, field};
use crate::engine::subject::facts::{Fact, Facts};
use crate::engine::subject::view::View;
use crate::engine::time::EventTime;
use rhai::{Dynamic, INT};
use rust_decimal::Decimal;

/// A window: its length in ms, and as the rule writes it.
pub(super) type Span<'a> = (i64, &'a Text);

fn of(fact: &Fact) -> (EventTime, RecordKey) {
    (fact.time, fact.key)
}

fn window<'a>(context: &Context, facts: &'a Facts, stream: Stream, ms: i64) -> Window<'a> {
    Window::new(facts, stream, ms, context.as_of)
}

fn windowed(
    method: &'static str,
    stream: Stream,
    filter: Option<&Filter>,
    span: &Text,
) -> Question {
    match filter {
        None => Question::Window(method, stream, span.clone()),
        Some(filter) => Question::Detail(method, stream, filter.text(), span.clone()),
    }
}

/// `count(stream, span)`, of an individual or a judged group.
pub(super) fn count(context: &Context, stream: Stream, (ms, span): Span<'_>) -> Given<INT> {
    let question = Question::Window("count", stream, span.clone());
    if let View::Collective { .. } = &context.view {
        return group::count(context, stream, ms, question);
    }
    let window = window(context, facts(context, "count")?, stream, ms);
    let count = int(window.len());
    let seen = Seen::After(stream, window.after());
    context.note(question, Answer::Value(Dynamic::from(count)), seen);
    Ok(count)
}

/// `count(stream, span, filter)`
pub(super) fn count_fitting(
    (context, held): (&Context, &Facts),
    stream: Stream,
    (ms, span): Span<'_>,
    filter: &Filter,
) -> INT {
    let fitting = window(context, held, stream, ms);
    let keys: Vec<_> = fitting
        .fitting(Some(filter))
        .map(|(fact, _)| of(fact))
        .collect();
    let count = int(keys.len());
    context.note(
        windowed("count", stream, Some(filter), span),
        Answer::Value(Dynamic::from(count)),
        Seen::Keys(keys),
    );
    count
}

/// `count_by(stream, field, span)`, perhaps with a filter.
pub(super) fn count_by(
    (context, held): (&Context, &Facts),
    (stream, field): (Stream, Field),
    (ms, span): Span<'_>,
    filter: Option<&Filter>,
) -> INT {
    let mut keys = Vec::new();
    let window = window(context, held, stream, ms);
    let count = window.count_by(field, filter.map(Filter::as_fits), |fact| {
        keys.push(of(fact));
    });
    let detail = filter.map_or_else(
        || field.name().to_owned(),
        |filter| format!("{}, {}", field.name(), filter.text()),
    );
    context.note(
        Question::Detail("count_by", stream, detail.into(), span.clone()),
        Answer::Value(Dynamic::from(count)),
        Seen::Keys(keys),
    );
    count
}

/// `sum(stream, field, span)`; none if it is beyond what a decimal holds.
pub(super) fn sum(
    (context, held): (&Context, &Facts),
    (stream, field): (Stream, Field),
    (ms, span): Span<'_>,
) -> Option<Decimal> {
    let mut keys = Vec::new();
    let total = window(context, held, stream, ms).sum(field, |fact| keys.push(of(fact)))?;
    context.note(
        Question::Detail("sum", stream, field.name().into(), span.clone()),
        Answer::Value(Dynamic::from(total)),
        Seen::Keys(keys),
    );
    Some(total)
}

/// `distinct(stream, field, span)`, of an individual or a judged group.
pub(super) fn distinct(
    context: &Context,
    (stream, field): (Stream, Field),
    (ms, span): Span<'_>,
) -> Given<INT> {
    let question = Question::Detail("distinct", stream, field.name().into(), span.clone());
    if let View::Collective { .. } = &context.view {
        return group::distinct(context, stream, field, ms, question);
    }
    let window = window(context, facts(context, "distinct")?, stream, ms);
    let mut keys = Vec::new();
    let count = window.distinct(field, |fact| keys.push(of(fact)));
    let answer = Answer::Value(Dynamic::from(count));
    context.note(question, answer, Seen::Keys(keys));
    Ok(count)
}

/// `list(stream, span)`, perhaps with a filter; none if there are too many.
pub(super) fn list(
    (context, held): (&Context, &Facts),
    stream: Stream,
    (ms, span): Span<'_>,
    filter: Option<&Filter>,
) -> Option<Vec<usize>> {
    let mut places = Vec::new();
    let mut keys = Vec::new();
    for (at, fact) in window(context, held, stream, ms).places() {
        let fits = filter.is_none_or(|filter| {
            let peek = fact.peek();
            peek.is_some_and(|peek| filter.as_fits().fits(&peek))
        });
        if !fits {
            continue;
        }
        if LIST_LENGTH_MAX <= places.len() {
            return None;
        }
        keys.push(of(fact));
        places.push(at);
    }
    let question = windowed("list", stream, filter, span);
    context.note(question, Answer::Facts(places.len()), Seen::Keys(keys));
    Some(places)
}

/// The newest fact that fits, within the rule's history unless the stream is a standing one.
fn newest<'a>(
    (context, held): (&Context, &'a Facts),
    stream: Stream,
    filter: Option<&Filter>,
) -> Option<(usize, &'a Fact)> {
    let window = if stream.is_standing() {
        Window::whole(held, stream, context.as_of)
    } else {
        window(context, held, stream, context.rule.manifest.history_ms)
    };
    window.newest(filter.map(Filter::as_fits))
}

fn asked(method: &'static str, stream: Stream, filter: Option<&Filter>) -> Question {
    match filter {
        None => Question::Stream(method, stream),
        Some(filter) => Question::Detail(method, stream, filter.text(), Text::new()),
    }
}

/// `last(stream)`, perhaps with a filter.
pub(super) fn last(
    (context, held): (&Context, &Facts),
    stream: Stream,
    filter: Option<&Filter>,
) -> Option<usize> {
    let found = newest((context, held), stream, filter);
    let (answer, seen) = match found {
        None => (Answer::None, Seen::Nothing),
        Some((_, fact)) => (Answer::At(fact.time), Seen::Keys(vec![of(fact)])),
    };
    context.note(asked("last", stream, filter), answer, seen);
    found.map(|(at, _)| at)
}

/// `days_since(stream)`, perhaps with a filter.
pub(super) fn days_since(
    (context, held): (&Context, &Facts),
    stream: Stream,
    filter: Option<&Filter>,
) -> Option<INT> {
    let found = newest((context, held), stream, filter);
    let days = found
        .map(|(_, fact)| INT::from(context.as_of.day()).saturating_sub(INT::from(fact.time.day())));
    let (answer, seen) = match (days, found) {
        (Some(days), Some((_, fact))) => (
            Answer::Value(Dynamic::from(days)),
            Seen::Keys(vec![of(fact)]),
        ),
        _ => (Answer::None, Seen::Nothing),
    };
    context.note(asked("days_since", stream, filter), answer, seen);
    days
}

/// `weekly_average`, `daily_average`: facts per so many days, over a window. It is a yardstick: its facts are no evidence.
pub(super) fn average(
    context: &Context,
    stream: Stream,
    (ms, span): Span<'_>,
    days: i64,
) -> Given<Decimal> {
    let count = match &context.view {
        View::Individual { facts, .. } => int(window(context, facts, stream, ms).len()),
        View::Collective { .. } => group::count_silently(context, stream, ms)?,
    };
    let average = ask::average(count, ms, days);
    let method = if days == 7 {
        "weekly_average"
    } else {
        "daily_average"
    };
    context.note(
        Question::Window(method, stream, span.clone()),
        Answer::Value(Dynamic::from(average)),
        Seen::Nothing,
    );
    Ok(average)
}

/// `licence(kind)`
pub(super) fn licence((context, held): (&Context, &Facts), kind: &Text) -> Option<usize> {
    let question = Question::Name("licence", kind.clone());
    let Some((at, fact, peek)) = ask::licence(held, context.as_of, kind) else {
        context.note(question, Answer::None, Seen::Nothing);
        return None;
    };
    let answer = match time(&peek, field::valid_to) {
        None => Answer::Value("长期有效".into()),
        Some(valid_to) => Answer::Value(format!("有效期至 {valid_to}").into()),
    };
    context.note(question, answer, Seen::Keys(vec![of(fact)]));
    Some(at)
}

/// `licences()`
pub(super) fn licences((context, held): (&Context, &Facts)) -> Vec<usize> {
    let found = ask::licences(held, context.as_of);
    let keys = found.iter().map(|(_, fact, _)| of(fact)).collect();
    context.note(
        Question::Plain("licences"),
        Answer::Facts(found.len()),
        Seen::Keys(keys),
    );
    found.into_iter().map(|(at, ..)| at).collect()
}

/// `on_list(name)`
pub(super) fn on_list((context, held): (&Context, &Facts), list: &Text) -> bool {
    let found = ask::entry(held, context.as_of, list);
    let is_on = found.is_some();
    let keys = found.map(|(_, fact, _)| of(fact));
    context.note(
        Question::Name("on_list", list.clone()),
        Answer::Value(is_on.into()),
        Seen::Keys(keys.into_iter().collect()),
    );
    is_on
}

/// `list_entry(name)`
pub(super) fn list_entry((context, held): (&Context, &Facts), list: &Text) -> Option<usize> {
    let question = Question::Name("list_entry", list.clone());
    let Some((at, fact, _)) = ask::entry(held, context.as_of, list) else {
        context.note(question, Answer::None, Seen::Nothing);
        return None;
    };
    let seen = Seen::Keys(vec![of(fact)]);
    context.note(question, Answer::At(fact.time), seen);
    Some(at)
}

/// `has_tag(tag)`
pub(super) fn has_tag((context, held): (&Context, &Facts), tag: &Text) -> bool {
    let found = ask::tag(held, context.as_of, tag);
    let has = found.is_some_and(|(has, _)| has);
    context.note(
        Question::Name("has_tag", tag.clone()),
        Answer::Value(has.into()),
        Seen::Keys(found.map(|(_, key)| key).into_iter().collect()),
    );
    has
}

/// `registry()`
pub(super) fn registry<'a>((context, held): (&Context, &'a Facts)) -> Option<ask::Registry<'a>> {
    let question = Question::Plain("registry");
    let found = ask::registry(held, context.as_of);
    let (answer, seen) = match &found {
        None => (Answer::Facts(0), Seen::Nothing),
        Some(registry) => (
            Answer::Facts(registry.count),
            Seen::Keys(vec![of(registry.newest)]),
        ),
    };
    context.note(question, answer, seen);
    found
}
