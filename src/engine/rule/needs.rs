//! What of a fact a rule can look at: fewer columns for a back-test, fewer judgements after an update.
//!
//! A field is read under its name, as a property or in a text, so the names in a rule's tree are never fewer than the fields
//! that it reads; its tests do not count. Questions to `who` read fields that no rule has to name ([`STANDING_FIELDS`]), and
//! the engine itself looks at some ([`ENGINE_FIELDS`]; `tests/it/tidy.rs` holds the lists to the sources).

use super::set::RuleSet;
use crate::engine::event::SubjectKind;
use crate::engine::schema::{Field, Stream, field};
use rhai::{AST, ASTNode, Expr};
use std::collections::BTreeSet;

/// The fields that questions about licences, lists, tags and the registration read.
pub const STANDING_FIELDS: [Field; 10] = [
    field::licence_kind,
    field::licence_no,
    field::licence_act,
    field::valid_to,
    field::list_type,
    field::action,
    field::entry_id,
    field::removed_at,
    field::tags,
    field::changed_items,
];

/// The fields that judging, scoring, counting and the words of warnings look at, whatever the rules are.
pub const ENGINE_FIELDS: [Field; 10] = [
    field::name,
    field::region,
    field::department,
    field::department_code,
    field::industry,
    field::warning_id,
    field::verdict,
    field::dispute_group,
    field::domain,
    field::item_code,
];

impl RuleSet {
    /// The fields that a judgement by this set can look at.
    pub fn fields(&self) -> BTreeSet<Field> {
        let named = self.rules().iter().flat_map(|rule| rule.mentions.iter());
        named.copied().chain(ENGINE_FIELDS).collect()
    }

    /// Whether a collective of this kind counts facts of this stream, or what rules find on them.
    pub fn counts(&self, kind: SubjectKind, stream: Stream) -> bool {
        !self.feeds(kind, stream).is_empty() || !self.feeds(kind, Stream::Finding).is_empty()
    }
}

/// The fields that a rule can look at, in order.
pub(super) fn mentions(ast: &AST) -> Box<[Field]> {
    let mut own = ast.clone();
    own.retain_functions(|_, _, name, _| !name.starts_with("test_"));
    let mut fields: BTreeSet<Field> = STANDING_FIELDS.into_iter().collect();
    own.walk(&mut |path| {
        if let Some(ASTNode::Expr(expression)) = path.last() {
            match expression {
                Expr::Property(property, _) => named(property.2.as_str(), &mut fields),
                Expr::StringConstant(text, _) => named(text, &mut fields),
                Expr::DynamicConstant(value, _) => named(&value.to_string(), &mut fields),
                Expr::Map(map, _) => {
                    for (key, _) in &map.0 {
                        named(&key.name, &mut fields);
                    }
                }
                _ => {}
            }
        }
        true
    });
    fields.into_iter().collect()
}

/// The fields that a text names.
fn named(text: &str, fields: &mut BTreeSet<Field>) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_name(c)).filter(|word| !word.is_empty());
    for word in words {
        let of = |stream| Field::of(stream, word);
        fields.extend(Stream::ALL.into_iter().chain(Stream::UNREAD).filter_map(of));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_looks_at_what_its_tree_names_and_not_at_what_its_tests_name() {
        let text = r#"
            const RULE = #{ by: ["industry"], params: #{ what: "rework_count" } };
            fn decide(ev, who, p) {
                let far = who.list("complaint", "7d", #{ keywords: ["退费"] }).some(|c| c.channel != ());
                if ev.kind == "投诉" { warn(#{ message: `${ev["category"]}: ${helper(ev)}` }); }
            }
            fn helper(x) { x.topic }
            fn test_a() { scenario().add("complaint", "2026-01-01", #{ title: "x", urgency: "y" }); }
        "#;
        let ast = super::super::sandbox::engine().compile(text).unwrap();
        let found = mentions(&ast);
        let has = |f: Field| found.contains(&f);
        for read in [
            field::industry,
            field::rework_count,
            field::keywords,
            field::channel,
            field::kind,
            field::category,
            field::topic,
            field::tags,
        ] {
            assert!(has(read), "{}", read.name());
        }
        assert!(!has(field::title) && !has(field::urgency));
    }
}
