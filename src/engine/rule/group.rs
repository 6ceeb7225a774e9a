//! What `who` answers on a collective: counts by day of the judged group.
//!
//! A rule on a region, an industry or a department is judged per (group, day). The group has a value for each field of
//! the rule's `by`; counts of other streams are those with the same values. Windows are whole days.

use super::context::{Answer, Context, Question, Seen};
use super::convert::fail;
use super::who::Given;
use crate::engine::schema::{Field, Stream};
use crate::engine::subject::series::Series;
use crate::engine::subject::view::View;
use crate::engine::time::DAY_MS;
use rhai::{Dynamic, INT};

/// How many facts of the stream in the last `ms`.
pub(super) fn count(context: &Context, stream: Stream, ms: i64, question: Question) -> Given<INT> {
    let count = count_silently(context, stream, ms)?;
    context.note(question, Answer::Value(Dynamic::from(count)), Seen::Nothing);
    Ok(count)
}

/// The same, without a note.
pub(super) fn count_silently(context: &Context, stream: Stream, ms: i64) -> Given<INT> {
    let (after, through) = days(context, ms)?;
    Ok(series(context, stream, None)?.map_or(0, |series| series.count(after, through)))
}

/// How many different values of the field in the last `ms`.
pub(super) fn distinct(
    context: &Context,
    stream: Stream,
    field: Field,
    ms: i64,
    question: Question,
) -> Given<INT> {
    let (after, through) = days(context, ms)?;
    let count =
        series(context, stream, Some(field))?.map_or(0, |series| series.distinct(after, through));
    context.note(question, Answer::Value(Dynamic::from(count)), Seen::Nothing);
    Ok(count)
}

fn days(context: &Context, ms: i64) -> Given<(i32, i32)> {
    let days = i32::try_from(ms / DAY_MS).unwrap_or(i32::MAX);
    if ms % DAY_MS != 0 || days == 0 {
        return fail("群体主体(区域、行业、部门)按日计数,时间窗应为整日,如 1d、7d");
    }
    let through = context.as_of.day();
    Ok((through.saturating_sub(days), through))
}

fn series(context: &Context, stream: Stream, distinct: Option<Field>) -> Given<Option<&Series>> {
    let View::Collective { groups, group, .. } = &context.view else {
        return Ok(None);
    };
    let Some(feed) = context.rule.feed(stream, distinct) else {
        return fail(format!(
            "规则没有声明要读 {}{};流名和字段名应直接写出,或写在 params 里",
            stream.name(),
            distinct.map_or(String::new(), |field| format!(" 的 {}", field.name()))
        ));
    };
    Ok(feed.series(stream, groups, group))
}
