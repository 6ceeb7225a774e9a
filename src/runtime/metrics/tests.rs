//! All rows are registered, handles count where they say, labels stay bounded.

use super::table::{CITIES, Kind, Spec, TABLE};
use super::warnings::{BANDS, LINES_MAX};
use super::*;
use crate::engine::frequency::Kept;
use crate::engine::subject::view::Level;
use crate::runtime::http::routes::ROUTES;
use crate::runtime::kafka::tally::Tally;

const NOW: EventTime = EventTime(1_772_294_400_000);

fn sample(text: &str, start: &str) -> String {
    let mut found = text.lines().filter(|line| line.starts_with(start));
    let line = found
        .next()
        .unwrap_or_else(|| panic!("no {start} in\n{text}"));
    assert_eq!(found.next(), None, "{start} twice");
    line.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn every_row_is_registered_and_shown() {
    let metrics = Metrics::new(NOW);
    metrics.connector("a", Some(36), NOW);
    metrics.rule("r");
    metrics.sink("file");
    let tally = Tally::default();
    tally.begins_at(&"in".into(), 0, (3, NOW), 0);
    metrics.kafka.watch(&tally);
    let behind = metrics.cluster().behind(0);
    metrics.rule_set("0123456789abcdef", NOW);
    metrics.request("/healthz", 200);
    let dir = tempfile::tempdir().unwrap();
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.path().join("tls.crt"), key.cert.pem()).unwrap();
    metrics
        .around
        .certificate("http", &dir.path().join("tls.crt"));
    let text = metrics.render(NOW);
    for spec in TABLE {
        let help = format!("# HELP {} {}", spec.name, spec.help);
        assert!(text.contains(&help), "{help}");
    }
    let families = text
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .count();
    assert_eq!(families, TABLE.len());
    drop(behind);
    let text = metrics.render(NOW);
    assert!(!text.contains("fenghuo_cluster_behind_records{"), "{text}");
}

#[test]
fn handles_count_where_they_say() {
    let metrics = Metrics::new(NOW);
    let connector = metrics.connector("shuanggongshi-penalty", None, NOW);
    connector.records.inc_by(3);
    connector.refused(RejectCode::BadTime, 2);
    connector.events(Outcome::Stale, 1);
    connector.watermark(NOW);
    metrics.rule("R").took(1_500_000_000);
    metrics.subjects(SubjectKind::Enterprise, 9);
    metrics.sanctions(SanctionStatus::Lifted, 4);
    metrics.end_to_end(5_000_000, 1, NOW);
    let text = metrics.render(NOW);
    let id = "connector=\"shuanggongshi-penalty\"";
    let c = "fenghuo_connector";
    for (start, value) in [
        (format!("{c}_records_total{{{id}}}"), "3"),
        (format!("{c}_refused_total{{code=\"bad_time\",{id}}}"), "2"),
        (format!("{c}_events_total{{{id},outcome=\"stale\"}}"), "1"),
        (
            format!("{c}_watermark_timestamp_seconds{{{id}}}"),
            "1772294400",
        ),
        ("fenghuo_rule_timed_calls_total{".into(), "1"),
        ("fenghuo_rule_timed_seconds_total{".into(), "1.5"),
        ("fenghuo_subjects{kind=\"enterprise\"}".into(), "9"),
        ("fenghuo_sanctions{status=\"lifted\"}".into(), "4"),
    ] {
        assert_eq!(sample(&text, &start), value, "{start}");
    }
    let p50: f64 = sample(&text, "fenghuo_end_to_end_seconds{share=\"0.5\"}")
        .parse()
        .unwrap();
    assert!((4.9..5.1).contains(&p50), "{p50}");
}

#[test]
fn silence_and_age_grow_until_someone_speaks() {
    let metrics = Metrics::new(NOW);
    let connector = metrics.connector("a", Some(36), NOW);
    metrics.outbox_oldest(Some(NOW));
    let later = NOW.plus_ms(90_000);
    let text = metrics.render(later);
    assert_eq!(sample(&text, "fenghuo_connector_silence_seconds{"), "90");
    assert_eq!(
        sample(&text, "fenghuo_connector_silence_limit_seconds{"),
        "129600"
    );
    assert_eq!(sample(&text, "fenghuo_outbox_oldest_seconds"), "90");
    connector.heard(later);
    connector.heard(NOW);
    metrics.outbox_oldest(None);
    let text = metrics.render(later);
    assert_eq!(sample(&text, "fenghuo_connector_silence_seconds{"), "0");
    assert_eq!(sample(&text, "fenghuo_outbox_oldest_seconds"), "0");
}

#[test]
fn a_new_rule_set_replaces_the_old_one() {
    let metrics = Metrics::new(NOW);
    metrics.rule_set("aaaaaaaaaaaaaaaa", NOW);
    metrics.rule_set("bbbbbbbbbbbbbbbb", NOW.plus_ms(1_000));
    let text = metrics.render(NOW);
    assert_eq!(sample(&text, "fenghuo_rule_set_info{"), "1");
    assert!(text.contains("hash=\"bbbbbbbbbbbb\""), "{text}");
    let since = sample(&text, "fenghuo_rule_set_loaded_timestamp_seconds");
    assert_eq!(since, "1772294401");
}

#[test]
fn a_suspended_rule_that_is_gone_alarms_no_more() {
    let metrics = Metrics::new(NOW);
    metrics.rule("gone").suspended.set(1);
    metrics.rule("stays").suspended.set(1);
    metrics.forget_suspended();
    metrics.rule("stays").suspended.set(1);
    let text = metrics.render(NOW);
    let shown = sample(&text, "fenghuo_rule_suspended{");
    assert_eq!((shown.as_str(), text.contains("gone")), ("1", true));
}

#[test]
fn a_connector_asked_for_twice_is_the_same() {
    let metrics = Metrics::new(NOW);
    metrics.connector("a", None, NOW).records.inc();
    let again = metrics.connector("a", None, NOW.plus_ms(5));
    assert_eq!(again.records.get(), 1);
}

/// How many values a label has at the most, with the largest installation that is thought of: 1,000 rules, 64 connectors.
fn values_max(label: &str) -> usize {
    match label {
        "rule" => 1_000,
        "connector" | "topic" => 64,
        "code" => RejectCode::ALL.len(),
        "outcome" => 5,
        "level" => Level::ALL.len(),
        "city" => CITIES.len(),
        "transition" => Transition::ALL.len(),
        "status" => 24,
        "share" => QUANTILES.len(),
        "line" => LINES_MAX,
        "band" => BANDS.len(),
        "kind" => SubjectKind::ALL.len(),
        "sink" | "verdict" => 8,
        "partition" => 32,
        "hash" | "version" => 1,
        "role" => 3,
        "certificate" | "on_time" | "order" | "place" => 2,
        "frequency" => Kept::ALL.len(),
        "route" => ROUTES.len() + 1,
        "state" => 12,
        "step" => 40,
        other => panic!("how many values has the label {other}? Bound it, then write it down here"),
    }
}

#[test]
fn a_thousand_rules_give_fewer_than_fifty_thousand_series_however_many_subjects() {
    let bound_of = |spec: &Spec| {
        // A rule is of one line.
        let is_free = |label: &&&str| **label != "line" || !spec.labels.contains(&"rule");
        let labels = spec.labels.iter().filter(is_free);
        let children: usize = labels.map(|label| values_max(label)).product();
        let buckets = match spec.kind {
            Kind::Histogram if spec.labels.is_empty() => {
                let cluster = cluster::BUCKETS_SECONDS.len();
                COMMIT_BUCKETS_SECONDS.len().max(cluster) + 3
            }
            Kind::Histogram => LATENESS_BUCKETS_SECONDS.len() + 3,
            Kind::Counter | Kind::Gauge => 1,
        };
        (spec.name, children * buckets)
    };
    let bounds: BTreeMap<&str, usize> = TABLE.iter().map(bound_of).collect();
    let bound: usize = bounds.values().sum();
    assert!(bound < 50_000, "{bound}: {bounds:?}");

    // What is really there with so many rules and connectors is within the bound, metric by metric.
    let metrics = Metrics::new(NOW);
    for n in 0..1_000 {
        metrics.rule(&format!("R-{n}"));
    }
    for n in 0..64 {
        metrics.connector(&format!("c-{n}"), Some(1), NOW);
    }
    for kind in SubjectKind::ALL {
        metrics.subjects(kind, 1_000_000);
    }
    let text = metrics.render(NOW);
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| {
                name.strip_suffix(end)
                    .filter(|base| bounds.contains_key(base))
            })
            .unwrap_or(name);
        *counted.entry(base).or_default() += 1;
    }
    for (name, count) in counted {
        assert!(count <= bounds[name], "{name}: {count} series");
    }
}
