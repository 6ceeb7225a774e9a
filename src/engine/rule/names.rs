//! Every name that a rule may call, and the nearest one to a name that does not exist.
//!
//! Rhai looks functions up when they are called, so a misspelt one would be found by the first firm it should have
//! warned of. This list is what the static check holds calls against; a test calls each of ours in a scenario.

/// Free functions of ours: name, how many arguments.
pub(super) const FUNCTIONS: [(&str, &[usize]); 13] = [
    ("warn", &[1]),
    ("signal", &[1]),
    ("sanction", &[1]),
    ("check_on", &[1]),
    ("working_days", &[2]),
    ("add_working_days", &[2]),
    ("is_working_day", &[1]),
    ("days_between", &[2]),
    ("add_days", &[2]),
    ("year_start", &[1]),
    ("date", &[1]),
    ("scenario", &[0]),
    ("round", &[1, 2]),
];

/// What stands at a place of a `who` method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    /// A stream's name.
    Stream,
    /// A field of that stream.
    Field,
    /// A number field of that stream.
    Number,
    /// A window.
    Span,
    /// Fields with values.
    Filter,
    /// Any text.
    Text,
}

use super::super::schema::Stream;
use Argument::{Field, Filter, Number, Span, Stream as S, Text};

/// A method of `who`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Method {
    /// Its name.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: &'static [Argument],
    /// The standing stream that it reads, if it does not say.
    pub reads: Option<Stream>,
    /// Whether collectives have it.
    pub is_for_groups: bool,
}

const fn method(name: &'static str, arguments: &'static [Argument], is_for_groups: bool) -> Method {
    Method {
        name,
        arguments,
        reads: None,
        is_for_groups,
    }
}

const fn standing(name: &'static str, arguments: &'static [Argument], reads: Stream) -> Method {
    Method {
        name,
        arguments,
        reads: Some(reads),
        is_for_groups: false,
    }
}

/// The methods of `who`, one row for each number of arguments.
pub(super) const WHO: [Method; 20] = [
    method("count", &[S, Span], true),
    method("count", &[S, Span, Filter], false),
    method("sum", &[S, Number, Span], false),
    method("distinct", &[S, Field, Span], true),
    method("count_by", &[S, Field, Span], false),
    method("count_by", &[S, Field, Span, Filter], false),
    method("list", &[S, Span], false),
    method("list", &[S, Span, Filter], false),
    method("last", &[S], false),
    method("last", &[S, Filter], false),
    method("days_since", &[S], false),
    method("days_since", &[S, Filter], false),
    method("weekly_average", &[S, Span], true),
    method("daily_average", &[S, Span], true),
    standing("licence", &[Text], Stream::Licence),
    standing("licences", &[], Stream::Licence),
    standing("on_list", &[Text], Stream::ListChange),
    standing("list_entry", &[Text], Stream::ListChange),
    standing("has_tag", &[Text], Stream::RegistryChange),
    standing("registry", &[], Stream::RegistryChange),
];

/// The properties of `who`.
pub(super) const WHO_PROPERTIES: [&str; 4] = ["name", "kind", "key", "now"];

/// Properties of records beside the fields, and of times.
pub(super) const PROPERTIES: [&str; 7] = ["time", "stream", "id", "year", "month", "day", "hour"];

/// The methods of a scenario: name, how many arguments.
pub(super) const SCENARIO: [(&str, &[usize]); 10] = [
    ("add", &[3]),
    ("withdraw", &[1]),
    ("at", &[1]),
    ("licence", &[2]),
    ("tag", &[1]),
    ("expect", &[2]),
    ("expect_none", &[0]),
    ("expect_signal", &[1]),
    ("expect_sanction", &[1]),
    ("expect_withdrawn", &[0]),
];

/// Functions and methods of Rhai's packages that the sandbox has, for numbers, texts, lists and maps.
pub(super) const LIBRARY: [&str; 94] = [
    "abs",
    "all",
    "append",
    "bits",
    "bytes",
    "call",
    "ceiling",
    "chars",
    "chop",
    "clear",
    "contains",
    "crop",
    "curry",
    "dedup",
    "drain",
    "end",
    "ends_with",
    "extract",
    "fill_with",
    "filter",
    "find",
    "find_map",
    "floor",
    "for_each",
    "fraction",
    "get",
    "index_of",
    "insert",
    "int",
    "is_anonymous",
    "is_empty",
    "is_even",
    "is_exclusive",
    "is_inclusive",
    "is_odd",
    "is_shared",
    "is_zero",
    "keys",
    "len",
    "make_lower",
    "make_upper",
    "map",
    "max",
    "min",
    "mixin",
    "name",
    "order",
    "order_by",
    "order_desc",
    "pad",
    "parse_decimal",
    "parse_int",
    "pop",
    "push",
    "range",
    "reduce",
    "reduce_rev",
    "remove",
    "replace",
    "retain",
    "reverse",
    "round",
    "round_down",
    "round_half_down",
    "round_half_up",
    "round_up",
    "set",
    "shift",
    "sign",
    "some",
    "sort",
    "sort_by",
    "sort_desc",
    "splice",
    "split",
    "split_rev",
    "sqrt",
    "start",
    "starts_with",
    "sub_string",
    "to_chars",
    "to_debug",
    "to_decimal",
    "to_int",
    "to_lower",
    "to_string",
    "to_upper",
    "trim",
    "truncate",
    "type_of",
    "values",
    "zip",
    "is_def_fn",
    "is_def_var",
];

/// The nearest of the names, if one is near enough to be meant.
pub(super) fn nearest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = wanted.chars().count();
    let far = (length / 3).max(1) + 1;
    names
        .into_iter()
        .map(|name| (distance(wanted, name), name))
        .filter(|(distance, _)| *distance <= far && *distance < length.max(2))
        .min()
        .map(|(_, name)| name)
}

/// `;是不是想写 problem_type?`, or nothing.
pub(super) fn suggestion<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wanted, names).map_or(String::new(), |name| format!(";是不是想写 {name}?"))
}

/// How many characters must be put in, left out, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let changed = at(&last, j) + usize::from(x != y);
            let mut best = changed.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let is_swap = 0 < i && 0 < j && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if is_swap {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = core::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let names = ["complaint", "inspection", "problem_type", "weekly_average"];
        assert_eq!(nearest("complant", names), Some("complaint"));
        assert_eq!(nearest("problem_typ", names), Some("problem_type"));
        assert_eq!(nearest("weekly_avreage", names), Some("weekly_average"));
        assert_eq!(nearest("xyz", names), None);
        assert_eq!(distance("ab", "ba"), 1);
    }
}
