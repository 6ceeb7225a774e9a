//! The same events in any order of arrival end in the same state: facts, findings, scores, and what is still warned of.
//!
//! Events are made at random over a few subjects: complaints, inspections, penalties, licences, list entries, each in one to
//! three versions, some of them withdrawn or moved to another firm. All arrive within one hour, in two shuffled orders.

use crate::support::shipped_set;
use fenghuo::engine::event::{Event, Fields, Op, SubjectKey, SubjectKind, Validity, Value};
use fenghuo::engine::input::{Alone, Input};
use fenghuo::engine::province::Province;
use fenghuo::engine::record::Prepared;
use fenghuo::engine::rule::RuleSet;
use fenghuo::engine::schema::{Stream, field};
use fenghuo::engine::settle::score;
use fenghuo::engine::subject::state::Status;
use fenghuo::engine::time::{EventTime, Precision};
use fenghuo::runtime::spill::Spill;
use proptest::prelude::*;
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

static SET: LazyLock<Arc<RuleSet>> = LazyLock::new(shipped_set);
/// Where subjects at rest are put away.
static REST: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
/// 2026-06-30; events happen in the 80 days before.
pub(crate) const TODAY: i32 = 20_634;

#[derive(Debug, Clone)]
pub(crate) struct Spec {
    record: u8,
    version: u8,
    day: u8,
    firm: u8,
    variant: u8,
    fate: u8,
}

pub(crate) fn spec() -> impl Strategy<Value = Spec> {
    (0_u8..40, 0_u8..3, 0_u8..80, 0_u8..3, 0_u8..4, 0_u8..10).prop_map(
        |(record, version, day, firm, variant, fate)| Spec {
            record,
            version,
            day,
            firm,
            variant,
            fate,
        },
    )
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[expect(
    clippy::too_many_lines,
    reason = "one row or step after the other; splitting would hide the order"
)]
pub(crate) fn event(spec: &Spec) -> Event {
    // A record keeps its stream and firm unless fate moves it.
    let stream = [
        Stream::Complaint,
        Stream::Inspection,
        Stream::Penalty,
        Stream::Licence,
        Stream::ListChange,
    ][usize::from(spec.record % 5)];
    let firm = if spec.fate == 9 {
        spec.firm
    } else {
        spec.record % 3
    };
    let variant = spec.variant;
    let mut fields = Fields::new();
    fields.set(field::name, text("某公司"));
    match stream {
        Stream::Complaint => {
            fields.set(
                field::problem_type,
                text(["食品安全", "虚假宣传"][usize::from(variant % 2)]),
            );
            fields.set(field::complainant, text(&format!("c{}", spec.record)));
            fields.set(field::kind, text("投诉"));
        }
        Stream::Inspection => {
            fields.set(
                field::result,
                text(["合格", "不合格", "不合格", "不配合检查情节严重"][usize::from(variant)]),
            );
            fields.set(field::inspection_no, text(&format!("i{}", spec.record)));
        }
        Stream::Penalty => {
            fields.set(
                field::illegal_type,
                text(["虚假宣传", "无证经营"][usize::from(variant % 2)]),
            );
            fields.set(
                field::kind_of_penalty,
                text(["罚款", "责令停产停业"][usize::from(variant / 2)]),
            );
            fields.set(field::decision_no, text(&format!("d{}", spec.record)));
        }
        Stream::Licence => {
            fields.set(field::licence_kind, text("食品经营许可证"));
            fields.set(field::licence_act, text("核发"));
            let to = EventTime::from_day(TODAY - 40 + i32::from(variant) * 20);
            fields.set(field::valid_to, Value::Time(to, Precision::Day));
        }
        _ => {
            fields.set(
                field::list_type,
                text(["abnormal", "serious"][usize::from(variant % 2)]),
            );
            fields.set(field::action, text("add"));
            fields.set(field::reason, text("通过登记的住所无法联系"));
        }
    }
    let day = TODAY - 80
        + i32::from(if spec.fate == 8 {
            spec.day
        } else {
            spec.record * 2
        });
    Event {
        source: "s".into(),
        record_id: spec.record.to_string().into(),
        version: i64::from(spec.version),
        op: if spec.fate == 7 {
            Op::Delete
        } else {
            Op::Update
        },
        stream,
        occurred_at: EventTime::from_day(day),
        precision: Precision::Day,
        arrived_at: EventTime::from_day(TODAY).plus_ms(3_600_000 * 9),
        validity: if spec.fate == 6 {
            Validity::Revoked
        } else {
            Validity::Valid
        },
        subjects: vec![
            SubjectKey::new(SubjectKind::Enterprise, &format!("firm-{firm}")),
            SubjectKey::new(SubjectKind::Region, "320106"),
            SubjectKey::new(SubjectKind::Department, "某局"),
        ],
        fields,
    }
}

/// One whose subjects are all ready, or one of several shards where nearly everybody is at rest and put away.
fn province(shards: u32) -> Province {
    let mut province = Province::new(Arc::clone(&SET), shards);
    if 1 < shards {
        Spill::beside(REST.path()).lend(&mut province);
        province.set_warm_max(1);
    }
    province
}

fn end_state(events: &[Event], shards: u32) -> String {
    let mut province = province(shards);
    let inputs: Vec<Input> = events
        .iter()
        .cloned()
        .map(Arc::new)
        .map(Input::Event)
        .collect();
    let prepared: Vec<Prepared> = events.iter().cloned().map(Prepared::new).collect();
    let outcome = province.step(&inputs, &prepared, &Alone);
    assert!(outcome.faults.is_empty(), "{:?}", outcome.faults);
    let court = province.court();
    let mut subjects: Vec<_> = province
        .shards()
        .iter()
        .flat_map(fenghuo::engine::shard::Shard::subjects)
        .collect();
    subjects.sort_by(|a, b| a.key.cmp(&b.key));
    let mut out = String::new();
    for subject in subjects {
        let core = subject.core.clone().unwrap_or_default();
        let mut open: Vec<String> = core
            .episodes
            .iter()
            .filter(|e| matches!(e.status, Status::Open | Status::Muted))
            .map(|e| {
                format!(
                    "{} {:?} {:?} {} {} {}",
                    e.rule,
                    e.group,
                    e.kind,
                    e.level.title(),
                    e.first_at,
                    e.last_at
                )
            })
            .collect();
        open.sort();
        // Withdrawals of records that were never here are remembered where they were first told of.
        let facts: Vec<String> = subject
            .facts()
            .map(|facts| {
                facts
                    .streams()
                    .flat_map(|(s, list)| {
                        list.iter().map(move |f| format!("{s:?} {:?}", f.event(s)))
                    })
                    .collect()
            })
            .unwrap_or_default();
        let groups = match &subject.holdings {
            fenghuo::engine::subject::state::Holdings::Groups(groups) => format!("{groups:?}"),
            fenghuo::engine::subject::state::Holdings::Facts(_) => String::new(),
        };
        // Whether somebody was ever here who holds nothing now depends on the order, and means nothing.
        let holds_nothing = facts.is_empty() && matches!(groups.as_str(), "" | "Groups({})");
        if holds_nothing && core.findings.is_empty() && open.is_empty() {
            continue;
        }
        let _ = write!(
            out,
            "{}\n{facts:#?}\n{groups}\n{:#?}\n{open:#?}\nscore {}\n",
            subject.key,
            core.findings,
            score(&court, &subject)
        );
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_of_arrival_ends_the_same(
        specs in proptest::collection::vec(spec(), 1..60),
        order in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let events: Vec<Event> = specs.iter().map(event).collect();
        let mut shuffled = events.clone();
        // A shuffle that shrinks well: rotate, then swap by a simple generator.
        shuffled.rotate_left(order.index(events.len()));
        let mut state = seed | 1;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
        }
        let expected = end_state(&events, 1);
        prop_assert_eq!(&expected, &end_state(&shuffled, 1));
        prop_assert_eq!(&expected, &end_state(&shuffled, 3));
    }
}
