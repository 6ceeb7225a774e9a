//! Which rules a fact concerns, and the identity of a set.

use super::*;
use crate::engine::time::DAY_MS;

fn numbered(id: &str, manifest: &str, body: &str) -> (String, String) {
    (
        format!("complaint/{id}.rhai"),
        rule(manifest, body, "").replace("T-1", id),
    )
}

fn set(rules: &[(String, String)]) -> RuleSet {
    let files: Vec<(&str, &str)> = rules
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    load(&files)
}

#[test]
fn rules_are_found_by_kind_and_stream() {
    let set = set(&[
        numbered(
            "C",
            "history: \"90d\",",
            "if who.count(\"penalty\", \"60d\") > 1 { }",
        ),
        numbered(
            "A",
            "subject: [\"enterprise\", \"place\"], on: [\"penalty\", \"complaint\"],",
            "",
        ),
        numbered("B", "status: \"draft\",", ""),
        numbered("D", "status: \"retired\",", ""),
        numbered(
            "E",
            "status: \"shadow\", subject: \"region\", by: [\"industry\"], history: \"30d\",",
            "",
        ),
        numbered(
            "F",
            "history: \"0d\",",
            "if who.has_tag(\"x\") || who.on_list(\"serious\") || who.licence(\"y\") == () { }",
        ),
    ]);
    let ids = |at: &[usize]| -> String {
        at.iter()
            .map(|at| set.rules()[*at].manifest().id.to_string())
            .collect()
    };
    let kind = SubjectKind::Enterprise;
    assert_eq!(ids(set.anchored(kind, Stream::Complaint)), "ACF");
    assert_eq!(ids(set.anchored(kind, Stream::Penalty)), "A");
    assert_eq!(ids(set.readers(kind, Stream::Penalty)), "AC");
    assert_eq!(ids(set.readers(kind, Stream::Licence)), "F");
    assert_eq!(ids(set.readers(kind, Stream::ListChange)), "F");
    assert_eq!(ids(set.readers(kind, Stream::RegistryChange)), "F");
    assert_eq!(
        ids(set.anchored(SubjectKind::Place, Stream::Complaint)),
        "A"
    );
    assert_eq!(
        ids(set.anchored(SubjectKind::Region, Stream::Complaint)),
        "E"
    );
    assert_eq!(set.history_ms(Stream::Penalty), 365 * DAY_MS);
    assert_eq!(set.history_ms(Stream::Inspection), 0);
    assert!(!set.listens_to_findings());
    assert_eq!(
        set.feeds(SubjectKind::Region, Stream::Complaint)[0]
            .key
            .as_ref(),
        "industry|"
    );
    let manifest = set.rule("C").unwrap().manifest();
    assert_eq!(manifest.reads, [Stream::Penalty]);
    assert_eq!(
        (manifest.history_ms, manifest.cooldown_ms),
        (90 * DAY_MS, 30 * DAY_MS)
    );
    assert_eq!(
        (manifest.dimension.as_ref(), manifest.line.as_ref()),
        ("complaint", "complaint")
    );
    assert_eq!(manifest.summary.as_ref(), "试验规则");
}

#[test]
fn the_hash_is_over_everything_and_not_over_the_order() {
    let base = sources(&[("a/x.rhai", "1"), ("a/y.rhai", "2")]);
    let turned = sources(&[("a/y.rhai", "2"), ("a/x.rhai", "1")]);
    assert_eq!(base.hash(), turned.hash());
    assert_eq!(base.hash().len(), 64);
    let changed = |change: fn(&mut RuleSources)| {
        let mut other = base.clone();
        change(&mut other);
        assert_ne!(other.hash(), base.hash());
    };
    changed(|s| s.calendar.push(' '));
    changed(|s| s.scoring.push(' '));
    changed(|s| s.laws.push(' '));
    changed(|s| s.measures.push(' '));
    changed(|s| s.files[0].1.push(' '));
    changed(|s| s.files[0].0.push('x'));
    changed(|s| drop(s.files.pop()));
    let bytes = postcard::to_stdvec(&base).unwrap();
    assert_eq!(postcard::from_bytes::<RuleSources>(&bytes).unwrap(), base);
}
