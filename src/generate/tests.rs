//! The province against its own promises: same bytes, exact counts, and every record through the real decoders.

use super::*;
use crate::engine::connector::{Connector, Decoder, Frame, Framer, Framing};
use crate::engine::event::Event;
use crate::engine::hash::sm3_hex;
use crate::engine::reject::Reject;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn made(plan: &Plan) -> (MemoryFeeds, Summary) {
    let mut feeds = MemoryFeeds::new();
    let summary = generate(plan, &mut feeds, &mut |_| {}).unwrap();
    (feeds, summary)
}

fn hash(feeds: &MemoryFeeds) -> String {
    let parts: Vec<&[u8]> = Feed::ALL.iter().map(|feed| feeds.bytes(*feed)).collect();
    sm3_hex(&parts)
}

fn connector(feed: Feed) -> Arc<Connector> {
    let file = format!("connectors/{}.toml", feed.connector());
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    let toml = std::fs::read_to_string(path).unwrap();
    Arc::new(Connector::parse(&file, &toml, None).unwrap())
}

/// Each record of a feed, as the engine would read it.
#[expect(
    clippy::type_complexity,
    reason = "a visitor of bytes and what they gave"
)]
fn decoded(feeds: &MemoryFeeds, feed: Feed, each: &mut dyn FnMut(&[u8], Result<Event, Reject>)) {
    let connector = connector(feed);
    let mut framer = Framer::new(connector.framing());
    let mut needs_header = connector.framing() == Framing::Csv;
    let mut decoder = Decoder::new(connector, Arc::from(PERSONAL_KEY));
    let mut rest = feeds.bytes(feed);
    loop {
        match framer.next(rest, true) {
            Frame::Record {
                start,
                end,
                consumed,
            } => {
                let record = &rest[start..end];
                if needs_header {
                    decoder.set_header(record).unwrap();
                    needs_header = false;
                } else {
                    each(record, decoder.decode(record, EventTime::MAX));
                }
                rest = &rest[consumed..];
            }
            Frame::TooLong { consumed } | Frame::Skip { consumed } => rest = &rest[consumed..],
            Frame::NeedMore | Frame::End => return,
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (first, summary) = made(&Plan::new(300, 3000, 7));
    let (second, again) = made(&Plan::new(300, 3000, 7));
    assert_eq!((hash(&first), &summary), (hash(&second), &again));
    assert_ne!(hash(&first), hash(&made(&Plan::new(300, 3000, 8)).0));
    expect_test::expect!["d06d4063817e03c50c1e38667bed35a149f1b84c820ec8bfb40bc72cd8b665c6"]
        .assert_eq(&hash(&first));
}

#[test]
fn counts_are_those_of_the_summary_and_every_refusal_was_declared() {
    let plan = Plan::new(1000, 12_000, 2026);
    let (feeds, summary) = made(&plan);
    assert_eq!(summary.records, plan.events);
    let mut records = 0;
    for feed in Feed::ALL {
        let mut count = 0;
        let mut refused: BTreeMap<&str, u64> = BTreeMap::new();
        decoded(&feeds, feed, &mut |record, event| {
            count += 1;
            if let Err(reject) = event {
                *refused.entry(reject.code.name()).or_default() += 1;
                let known = summary.refused.contains_key(&(feed, reject.code.name()));
                assert!(
                    known,
                    "{feed:?} {reject}\n{}",
                    String::from_utf8_lossy(record)
                );
            }
        });
        records += count;
        assert_eq!(summary.feeds[&feed], count, "{feed:?}");
        let declared: BTreeMap<&str, u64> = summary
            .refused
            .iter()
            .filter(|((each, _), _)| *each == feed)
            .map(|((_, code), count)| (*code, *count))
            .collect();
        assert_eq!(refused, declared, "{feed:?}");
    }
    assert_eq!(records, plan.events);
    assert!(summary.manifest_json(&plan).contains("\"bad_check_digit\""));
}

#[test]
fn truth_names_subjects_that_have_records() {
    let (feeds, summary) = made(&Plan::new(2000, 20_000, 2026));
    let mut subjects = BTreeSet::new();
    for feed in Feed::ALL {
        decoded(&feeds, feed, &mut |_, event| {
            for subject in event.map(|event| event.subjects).unwrap_or_default() {
                subjects.insert(subject.to_string());
            }
        });
    }
    let scenarios: BTreeSet<&str> = summary.truths.iter().map(|truth| truth.scenario).collect();
    assert_eq!(scenarios.len(), scenario::SCENARIOS.len(), "{scenarios:?}");
    for truth in &summary.truths {
        assert!(subjects.contains(&truth.subject), "{truth:?}");
        assert!(truth.from <= truth.to, "{truth:?}");
    }
    assert_eq!(
        summary.truth_csv().lines().count(),
        summary.truths.len() + 1
    );
}

#[test]
fn without_dirt_every_record_is_read_and_has_its_code() {
    let mut plan = Plan::new(500, 5000, 3);
    plan.dirt = Dirt::none();
    let (feeds, summary) = made(&plan);
    assert_eq!(summary.refused_count(), 0);
    let mut records = BTreeSet::new();
    for feed in Feed::ALL {
        decoded(&feeds, feed, &mut |record, event| {
            let event = event.unwrap();
            assert!(
                records.insert((event.record_key(), event.version)),
                "{}",
                String::from_utf8_lossy(record)
            );
        });
    }
    // What a scenario repairs or revokes is a story, not an accident.
    let told = [Kind::Repaired, Kind::Revoked];
    for (kind, count) in &summary.dirt {
        assert!(
            told.contains(kind) || (*kind == Kind::NoCode),
            "{kind:?} {count}"
        );
    }
}

#[test]
fn records_arrive_in_order_and_within_the_period() {
    let plan = Plan::new(800, 8000, 5);
    let (feeds, _) = made(&plan);
    let (from, to) = (
        EventTime::from_date(plan.from),
        EventTime::from_date(plan.to).plus_days(1),
    );
    for feed in [
        Feed::HotlineOrder,
        Feed::SupervisionInspection,
        Feed::CreditPenalty,
        Feed::MarketRegister,
    ] {
        let (mut newest, mut late, mut count) = (from, 0, 0);
        decoded(&feeds, feed, &mut |_, event| {
            let Ok(event) = event else { return };
            assert!(
                from <= event.arrived_at && event.arrived_at < to,
                "{}",
                event.arrived_at
            );
            late += u32::from(event.arrived_at < newest);
            newest = newest.max(event.arrived_at);
            count += 1;
        });
        // Only copies and swapped versions stand behind their time.
        assert!(late * 12 < count, "{feed:?}: {late} of {count}");
    }
}

#[test]
fn nothing_of_a_person_is_left_after_decoding() {
    let (feeds, _) = made(&Plan::new(300, 4000, 11));
    for feed in Feed::ALL {
        decoded(&feeds, feed, &mut |_, event| {
            if let Ok(event) = event {
                let text = crate::engine::connector::canonical::write(&event);
                assert!(!text.contains("拟"), "{text}");
                let mut numbers = text.split(|c: char| !c.is_ascii_digit());
                // Seventeen digits of a citizen number, or a telephone number.
                let is_of_a_person = |part: &str| {
                    (17 <= part.len() && part.starts_with("329999"))
                        || (part.len() == 11 && part.starts_with("100"))
                };
                assert!(!numbers.any(is_of_a_person), "{text}");
            }
        });
    }
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let say = |plan: Plan| {
        generate(&plan, &mut MemoryFeeds::new(), &mut |_| {})
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        say(Plan::new(0, 1, 1)),
        "0 subjects cannot be made (give 1 to 20,000,000)"
    );
    assert_eq!(
        say(Plan::new(1, 0, 1)),
        "0 events cannot be made (give 1 to 1,000,000,000)"
    );
    let plan = Plan {
        to: Date::constant(2025, 6, 30),
        ..Plan::new(1, 1, 1)
    };
    expect_test::expect!["a period from 2025-07-01 to 2025-06-30 cannot be made (give at most ten years, from 1990 to 2080)"].assert_eq(&say(plan));
}

#[test]
fn a_package_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let plan = Plan::new(50, 400, 1);
    let folders = Folders {
        rules: "../rules".into(),
        connectors: "../connectors".into(),
    };
    let mut heard = 0;
    let summary = write_package(dir.path(), &plan, &folders, &mut |count| heard = count).unwrap();
    let mut bytes = 0;
    for feed in Feed::ALL {
        bytes += std::fs::metadata(dir.path().join(feed.file_name()))
            .unwrap()
            .len();
    }
    assert_eq!(summary.bytes, bytes);
    let config = std::fs::read_to_string(dir.path().join("fenghuo.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    assert_eq!(config["source"].as_array().unwrap().len(), 9);
    for name in ["truth.csv", "manifest.json", "personal.key"] {
        assert!(dir.path().join(name).exists());
    }
    let (feeds, _) = made(&plan);
    let file = std::fs::read(dir.path().join("market-register.csv")).unwrap();
    assert_eq!(file, feeds.bytes(Feed::MarketRegister));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_small_plan_is_kept_exactly(
        subjects in 1_u64..200, events in 1_u64..600, seed: u64, days in 0_i8..28, dirty in 0_u32..10_001,
    ) {
        let mut plan = Plan::new(subjects, events, seed);
        plan.from = Date::constant(2026, 2, 1);
        plan.to = Date::constant(2026, 2, days + 1);
        plan.dirt = Kind::ALL.iter().fold(Dirt::default(), |dirt, kind| {
            if dirty % 3 == 0 { dirt.with(*kind, dirty) } else { dirt }
        });
        let (_, summary) = made(&plan);
        prop_assert_eq!(summary.records, events);
        prop_assert_eq!(summary.feeds.values().sum::<u64>(), events);
    }
}
