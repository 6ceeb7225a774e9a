//! Partitions that see only what concerns them say what one province that sees everything says: the same messages, byte for
//! byte, in the same order for each subject; also when each is restored from its images half-way.
//!
//! Events are those of the test of order, some of them about two firms, arriving over days and sometimes late: records
//! change, are withdrawn, and move between firms of different partitions.

use crate::order::{Spec, TODAY, event, spec};
use crate::support::project;
use fenghuo::engine::event::{Event, SubjectKey, SubjectKind};
use fenghuo::engine::input::{Alone, Input};
use fenghuo::engine::owner::Scope;
use fenghuo::engine::province::Province;
use fenghuo::engine::record::Prepared;
use fenghuo::engine::rule::{RuleSet, RuleSources};
use fenghuo::engine::subject::state::Subject;
use fenghuo::engine::time::EventTime;
use fenghuo::runtime::bundle;
use fenghuo::runtime::cluster::event::Told;
use fenghuo::runtime::cluster::routes::Routes;
use fenghuo::runtime::cluster::teller::Teller;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

const PARTITIONS: u32 = 4;

/// The shipped rules on individuals.
static SET: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
    let shipped = bundle::rules_in(&project("rules")).unwrap();
    let is_collective = |file: &str| file.starts_with("region/") || file.starts_with("department/");
    let files = shipped
        .files
        .iter()
        .filter(|(file, _)| !is_collective(file));
    let files = files.cloned().collect();
    Arc::new(RuleSet::load(&RuleSources { files, ..shipped }).unwrap())
});

fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(64)
}

type Said = BTreeMap<String, Vec<Vec<u8>>>;

fn step(province: &mut Province, inputs: &[Input], said: &mut Said) {
    let events = inputs.iter().filter_map(|input| match input {
        Input::Event(event) => Some(Prepared::new(event.as_ref().clone())),
        Input::Clock(_) => None,
    });
    let prepared: Vec<Prepared> = events.collect();
    for sent in province.step(inputs, &prepared, &Alone).sent {
        let subject = sent.message.subject().to_owned();
        said.entry(subject)
            .or_default()
            .push(sent.message.to_line());
    }
}

fn restored(province: &Province, scope: Scope) -> Province {
    let mut again = Province::new(Arc::clone(&SET), 1);
    again.set_scope(Some(scope));
    again.restore_globals(province.globals.clone());
    for shard in province.shards() {
        for key in shard.keys() {
            let image = shard.get(&key).unwrap().to_bytes();
            again.restore_subject(Subject::from_bytes(&image).unwrap());
        }
    }
    again.restore_desk(province.desk().items().cloned());
    again
}

/// What arrives when, and about whom else.
fn arriving(specs: &[(Spec, u8)]) -> Vec<Arc<Event>> {
    let mut now = EventTime::from_day(TODAY);
    let mut events = Vec::new();
    for (spec, how) in specs {
        let mut event = event(spec);
        now = now.plus_ms(i64::from(*how % 16) * 13 * 60_000);
        let late_ms = if how / 16 == 0 { 9 * 3_600_000 } else { 0 };
        event.arrived_at = now.plus_ms(-late_ms);
        if how / 16 == 1 {
            let other = SubjectKey::new(SubjectKind::Enterprise, &format!("firm-{}", how % 5));
            if !event.subjects.contains(&other) {
                event.subjects.push(other);
            }
        }
        events.push(Arc::new(event));
    }
    events
}

proptest! {
    // Each case is up to 120 events through five provinces. PROPTEST_CASES asks for more.
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn partitions_say_what_one_province_says(
        specs in prop::collection::vec((spec(), 0_u8..128), 1..120),
        split in 1_usize..120,
    ) {
        let events = arriving(&specs);
        let mut whole = Province::new(Arc::clone(&SET), 3);
        let mut expected = Said::new();
        let inputs: Vec<Input> = events.iter().cloned().map(Input::Event).collect();
        step(&mut whole, &inputs, &mut expected);

        let mut teller = Teller::new(Routes::new(PARTITIONS, 100), PARTITIONS, None);
        let mut parts: Vec<(Scope, Province)> = (0..PARTITIONS)
            .map(|partition| {
                let scope = Scope { partition, partitions: PARTITIONS };
                let mut province = Province::new(Arc::clone(&SET), 1);
                province.set_scope(Some(scope));
                (scope, province)
            })
            .collect();
        let mut said = Said::new();
        for (at, event) in events.iter().enumerate() {
            let mut out = Vec::new();
            teller.tell(event, &mut out);
            for (to, _, value) in out {
                let told = Told::decode(&value).unwrap();
                let mut inputs: Vec<Input> = told.clock.map(Input::Clock).into_iter().collect();
                inputs.extend(told.event.map(Input::Event));
                step(&mut parts[usize::try_from(to).unwrap()].1, &inputs, &mut said);
            }
            if at == split {
                for (scope, province) in &mut parts {
                    *province = restored(province, *scope);
                }
            }
        }
        prop_assert_eq!(said.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (subject, lines) in &expected {
            let text = |lines: &[Vec<u8>]| -> Vec<String> {
                lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
            };
            let found = said.get(subject).map(Vec::as_slice).unwrap_or_default();
            prop_assert_eq!(text(found), text(lines), "what is said of {}", subject);
        }
    }
}
