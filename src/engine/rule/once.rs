//! `who.count_by`: how many facts, those that say the same in a field counted once.
//!
//! One dispute comes in by three channels, one decision is published twice, one person writes every day: what matters is
//! how many disputes, decisions, people. A fact that does not state the field stands for itself, so a feed that lacks it
//! is counted by records and not passed over.
//!
//! cost     reads one field of each fact of the window where it stands

use super::ask::Filter;
use super::context::Context;
use super::noted;
use super::who::{Given, Text, facts, field_of, span_ms, stream};
use rhai::{Engine, INT, Map};

/// Registers the method.
pub(super) fn register(engine: &mut Engine) {
    use super::who::Who;
    engine
        .register_fn("count_by", |who: &mut Who, s: Text, f: Text, w: Text| {
            count_by(&who.0, &s, &f, &w, None)
        })
        .register_fn(
            "count_by",
            |who: &mut Who, s: Text, f: Text, w: Text, only: Map| {
                count_by(&who.0, &s, &f, &w, Some(&only))
            },
        );
}

fn count_by(
    context: &Context,
    name: &str,
    field_name: &Text,
    span: &Text,
    only: Option<&Map>,
) -> Given<INT> {
    let stream = stream(name)?;
    let field = field_of(stream, field_name)?;
    let ms = span_ms(context, stream, span)?;
    let filter = only.map(|map| Filter::read(stream, map)).transpose()?;
    let held = facts(context, "count_by")?;
    let (what, span) = ((stream, field), (ms, span));
    Ok(noted::count_by(
        (context, held),
        what,
        span,
        filter.as_ref(),
    ))
}
