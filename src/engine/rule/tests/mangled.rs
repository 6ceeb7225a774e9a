//! Rules as they are while somebody types: cut short, with pieces gone, doubled, swapped. Checking them never panics, and
//! every finding can be shown.

use super::*;
use crate::engine::rule::scan::words;
use crate::engine::time::EventTime;
use proptest::prelude::*;

const RULES: [&str; 6] = [
    include_str!("../../../../rules/complaint/overdue.rhai"),
    include_str!("../../../../rules/complaint/prepaid_flight.rhai"),
    include_str!("../../../../rules/inspection/special_equipment.rhai"),
    include_str!("../../../../rules/region/cluster.rhai"),
    include_str!("../../../../rules/list/serious.rhai"),
    include_str!("../../../../rules/licence/expired_active.rhai"),
];

const PIECES: [&str; 24] = [
    "(",
    ")",
    "{",
    "}",
    "#{",
    "[",
    "]",
    "\"",
    "`",
    "${",
    "'",
    "，",
    "“",
    "|",
    "||",
    "=",
    "==",
    ";",
    "return",
    "switch",
    "_ =>",
    "if",
    "1..9999999999",
    "()",
];

/// A rule with some of its words left out, doubled or replaced, or cut short.
fn mangled() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0_usize..4, 0..PIECES.len());
    let edits = prop::collection::vec(edit, 1..4);
    (0..RULES.len(), edits).prop_map(|(rule, edits)| {
        let source = RULES[rule];
        let spans = words(source);
        let mut parts: Vec<String> = Vec::new();
        let mut done = 0;
        for word in &spans {
            parts.push(source[done..word.start].to_owned());
            parts.push(word.text.to_owned());
            done = word.start + word.text.len();
        }
        parts.push(source[done..].to_owned());
        for (at, what, piece) in edits {
            let at = at.index(parts.len());
            match what {
                0 => parts[at].clear(),
                1 => parts[at] = parts[at].repeat(2),
                2 => parts[at] = PIECES[piece].to_owned(),
                _ => parts.truncate(at + 1),
            }
        }
        parts.concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_rule_that_is_being_typed_is_checked(text in mangled()) {
        let today = EventTime::parse("2026-11-02").unwrap().0;
        let found = match RuleSet::check(&sources(&[("complaint/t.rhai", &text)]), today) {
            Ok(set) => set.warnings().to_vec(),
            Err(found) => found,
        };
        for diagnostic in found {
            prop_assert!(!diagnostic.to_string().is_empty());
            prop_assert!(diagnostic.line <= text.lines().count() + 1);
        }
    }
}
