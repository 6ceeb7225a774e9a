//! Every complaint of the configuration, with its place, and the defaults of the example.

use super::exchange::Way;
use super::*;
use crate::engine::subject::view::Level;
use expect_test::{Expect, expect};

const EXAMPLE: &str = include_str!("../../../fixtures/config.example.toml");
const LEAST: &str = "[engine]\n[[source]]\nkind = \"stdin\"\nconnector = \"a\"\n[sinks.stdout]\n";

fn parse(text: &str) -> Result<Config, TomlError> {
    Config::parse("c.toml", text, Path::new("/etc/fenghuo"))
}

fn check(text: &str, expected: &Expect) {
    let error = parse(text).unwrap_err().to_string();
    expected.assert_eq(&error);
}

#[test]
fn the_least_gets_every_default() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.engine.state, Path::new("/etc/fenghuo/state"));
    assert_eq!(
        (config.engine.shards, config.engine.clock),
        (8, ClockKind::Events)
    );
    assert_eq!(config.engine.checkpoint_journal_bytes, 65_536 * 1_024);
    assert_eq!(config.audit, Path::new("/etc/fenghuo/audit.jsonl"));
    assert_eq!(config.http, None);
    assert!(config.sinks.stdout && config.sinks.file.is_none());
}

#[test]
fn the_example_shows_the_defaults() {
    let shown = parse(EXAMPLE).unwrap();
    let http = shown.http.as_ref().unwrap();
    assert!(http.tokens.is_none() && http.tls.is_none());
    // With every comment taken away nothing but what has no default may change.
    let all: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") || rest.starts_with('[') => format!("{rest}\n"),
            Some(_) => "\n".to_owned(),
            None => format!("{line}\n"),
        })
        .collect();
    let mut full = parse(&all).unwrap();
    assert!(full.engine.personal_key_file.take().is_some());
    assert_eq!(full.engine, shown.engine);
    assert_eq!(full.rules.dir, shown.rules.dir);
    let kinds = |config: &Config| -> Vec<SourceKind> {
        config.sources.iter().map(|s| s.kind.clone()).collect()
    };
    let (topics, others): (Vec<SourceKind>, Vec<SourceKind>) = kinds(&full)
        .into_iter()
        .partition(|kind| matches!(kind, SourceKind::Kafka(_)));
    assert_eq!(others, kinds(&shown));
    let least = parse(&format!(
        "{}[kafka]\nbrokers = \"b:1\"\n[[source]]\nkind = \"kafka\"\nconnector = \"c\"\ntopic = \"credit.licence\"\n",
        "[engine]\n[sinks.stdout]\n"
    ));
    assert_eq!(topics, kinds(&least.unwrap()));
    assert!(full.kafka.unwrap().sasl.is_some() && full.sinks.kafka.is_some());
    let webhook = full.sinks.webhook.take().unwrap();
    assert_eq!(webhook.timeout_ms, defaults::WEBHOOK_TIMEOUT_MS);
    let told = full.sinks.alertmanager.take().unwrap();
    assert_eq!(told.refresh_seconds, defaults::ALERT_REFRESH_SECONDS);
    assert_eq!(told.alerts_per_second_max, defaults::ALERTS_PER_SECOND_MAX);
    assert_eq!(
        (told.level_min, told.timeout_ms),
        (Level::Blue, defaults::WEBHOOK_TIMEOUT_MS)
    );
    let cluster = full.cluster.take().unwrap();
    let (session_ms, copy) = (cluster::SESSION_TIMEOUT_MS, cluster::COPY_AFTER_KB * 1_024);
    assert_eq!(
        (cluster.session_timeout_ms, cluster.copy_after_bytes),
        (session_ms, copy)
    );
    let exchange = full.exchange.take().unwrap();
    assert!(shown.exchange.is_none());
    assert_eq!(
        exchange.dir,
        shown.engine.state.with_file_name(defaults::EXCHANGE_DIR)
    );
    assert_eq!(exchange.province, defaults::PROVINCE);
    assert_eq!(
        u64::try_from(exchange.parallel).unwrap(),
        defaults::EXCHANGE_PARALLEL
    );
    assert_eq!(exchange.reconcile_at_ms, Some(defaults::RECONCILE_AT_MS));
    assert!(
        matches!(&exchange.way, Way::Gateway(gateway) if gateway.timeout_ms == defaults::GATEWAY_TIMEOUT_MS)
    );
    let http = full.http.unwrap();
    assert!(http.tokens.is_some() && http.tls.is_some());
}

#[test]
fn relative_paths_start_at_the_file_and_absolute_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fenghuo.toml");
    std::fs::write(
        &path,
        LEAST.replace("[engine]", "[engine]\nstate = \"/var/s\""),
    )
    .unwrap();
    let config = Config::load(&path).unwrap();
    assert_eq!(config.engine.state, Path::new("/var/s"));
    assert_eq!(config.rules.dir, dir.path().join("rules"));
    let error = Config::load(&dir.path().join("no.toml")).unwrap_err();
    assert!(matches!(error, ConfigError::Read { .. }));
}

#[test]
fn the_personal_key_is_long_and_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let text = LEAST.replace("[engine]", "[engine]\npersonal_key_file = \"p.key\"");
    let engine = Config::parse("c.toml", &text, dir.path()).unwrap().engine;
    assert!(engine.personal_key().is_err(), "absent");
    let path = dir.path().join("p.key");
    let write = |bytes: &[u8], mode| {
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        engine.personal_key().map(|key| key.unwrap().expose().len())
    };
    assert!(write(&[7; 31], 0o600).is_err());
    assert!(write(&[7; 32], 0o644).is_err());
    assert_eq!(write(&[7; 32], 0o600).unwrap(), 32);
    assert!(
        parse(LEAST)
            .unwrap()
            .engine
            .personal_key()
            .unwrap()
            .is_none()
    );
}

#[test]
fn unknown_keys_name_the_nearest() {
    check(
        &LEAST.replace("[engine]", "[engine]\nshard = 4"),
        &expect![[
            r#"c.toml:2:1: unknown key "shard" in [engine]; known here: "state", "shards", "clock", "personal_key_file", "commit_events_max", "warm_subjects_max", "resting_on_disk", "rule_check_every", "last_deliveries_seconds", "checkpoint_journal_kb" (did you mean "shards"?)"#
        ]],
    );
    check(
        &format!("{LEAST}[htpp]\n"),
        &expect![[
            r#"c.toml:6:2: unknown key "htpp" in the file; known here: "engine", "rules", "connectors", "http", "kafka", "source", "sinks", "cluster", "exchange", "audit", "archive" (did you mean "http"?)"#
        ]],
    );
    check(
        &LEAST.replace("kind = \"stdin\"", "kind = \"stdin\"\npath = \"x\""),
        &expect![[
            r#"c.toml:4:1: unknown key "path" in [source]; known here: "kind", "connector""#
        ]],
    );
    check(
        &format!("{LEAST}[sinks.pulsar]\n"),
        &expect![[
            r#"c.toml:6:8: unknown key "pulsar" in [sinks]; known here: "decisions", "subject_risks", "file", "stdout", "webhook", "kafka", "alertmanager""#
        ]],
    );
}

#[test]
fn wrong_types_and_numbers() {
    check(
        &LEAST.replace("[engine]", "[engine]\nshards = \"8\""),
        &expect![[
            r#"c.toml:2:10: "engine.shards" is of type string; expected a whole number from 1 to 4096"#
        ]],
    );
    check(
        &LEAST.replace("[engine]", "[engine]\nshards = 0"),
        &expect![[r#"c.toml:2:10: "engine.shards" is 0; expected a whole number from 1 to 4096"#]],
    );
    check(
        &LEAST.replace("[engine]", "[engine]\nshards = -1"),
        &expect![[r#"c.toml:2:10: "engine.shards" is -1; expected a whole number from 1 to 4096"#]],
    );
    check(
        &LEAST.replace("[engine]", "[engine]\nstate = \" \""),
        &expect![[r#"c.toml:2:9: "engine.state" is empty"#]],
    );
    check(
        &LEAST.replace("[engine]", "[engine]\nclock = \"event\""),
        &expect![[
            r#"c.toml:2:9: "engine.clock" is "event"; expected one of "events", "wall" (did you mean "events"?)"#
        ]],
    );
    check(
        &LEAST.replace("[engine]", "engine = 1"),
        &expect![[r#"c.toml:1:10: "engine" is of type integer; expected a table [engine]"#]],
    );
    check(
        &LEAST.replace("[[source]]", "[source]"),
        &expect![[r#"c.toml:2:1: "source" is of type table; expected tables [[source]]"#]],
    );
    check(
        "[engine]\nshards = 8\nshards = 9\n",
        &expect!["c.toml:3:1: not TOML: duplicate key"],
    );
    check(
        "[engine\n",
        &expect!["c.toml:1:8: not TOML: unclosed table, expected `]`"],
    );
}

#[test]
fn sources() {
    check(
        "[engine]\n[sinks.stdout]\n",
        &expect![[r#"c.toml:1:1: "source" is missing; it has no default"#]],
    );
    check(
        &LEAST.replace("kind = \"stdin\"\n", ""),
        &expect![[r#"c.toml:2:1: "source.kind" is missing; it has no default"#]],
    );
    check(
        &LEAST.replace("connector = \"a\"\n", ""),
        &expect![[r#"c.toml:2:1: "source.connector" is missing; it has no default"#]],
    );
    check(
        &LEAST.replace("\"stdin\"", "\"pulsar\""),
        &expect![[
            r#"c.toml:3:8: "source.kind" is "pulsar"; expected one of "file", "directory", "stdin", "http", "kafka""#
        ]],
    );
    check(
        &LEAST.replace("\"stdin\"", "\"file\""),
        &expect![[r#"c.toml:2:1: "source.path" is missing; it has no default"#]],
    );
    check(
        &LEAST.replace("\"stdin\"", "\"http\""),
        &expect![[
            r#"c.toml:2:1: a source of kind "http" needs [http]; add it or choose another kind"#
        ]],
    );
    check(
        &LEAST.replace(
            "\"stdin\"",
            "\"directory\"\npath = \"in\"\nglob = \"2026/*.csv\"",
        ),
        &expect![[
            r#"c.toml:5:8: "glob" is "2026/*.csv"; expected a file name in which `*` and `?` are wild; put directories into "path""#
        ]],
    );
    check(
        &format!("{LEAST}[[source]]\nkind = \"stdin\"\nconnector = \"b\"\n"),
        &expect![[
            r#"c.toml:6:1: "standard input" is already a source; each place is read by one source"#
        ]],
    );
}

#[test]
fn sinks_reach_somebody() {
    let none = LEAST.replace("[sinks.stdout]\n", "");
    check(
        &none,
        &expect![[r#"c.toml:1:1: "sinks" is missing; it has no default"#]],
    );
    check(
        &format!("{none}[sinks]\n"),
        &expect![
            "c.toml:5:1: no sink: warnings would reach nobody; add [sinks.file], [sinks.stdout], [sinks.webhook] or [sinks.kafka]"
        ],
    );
    for good in [
        "https://a.gov.cn/w",
        "http://127.0.0.1:8080/w",
        "http://[::1]/w",
        "http://localhost/",
    ] {
        parse(&format!("{none}[sinks.webhook]\nurl = \"{good}\"\n")).unwrap();
    }
    check(
        &format!("{none}[sinks.webhook]\nurl = \"http://127.0.0.1.evil.cn/w\"\n"),
        &expect![[
            r#"c.toml:6:7: "url" is "http://127.0.0.1.evil.cn/w"; expected https://…, or http:// on this machine"#
        ]],
    );
    check(
        &format!("{none}[sinks.webhook]\ntimeout_ms = 5\n"),
        &expect![[r#"c.toml:5:1: "sinks.webhook.url" is missing; it has no default"#]],
    );
}

#[test]
fn doors_to_other_machines_need_tokens_and_tls() {
    let tls = "tls_cert = \"c\"\ntls_key = \"k\"\n";
    for (settings, is_good) in [
        (String::new(), false),
        ("tokens = \"t\"\n".to_owned(), false),
        (tls.to_owned(), false),
        (format!("tokens = \"t\"\n{tls}"), true),
    ] {
        let text = format!("{LEAST}[http]\nlisten = \"0.0.0.0:9464\"\n{settings}");
        assert_eq!(parse(&text).is_ok(), is_good, "{settings}");
        let local = format!("{LEAST}[http]\nlisten = \"[::1]:0\"\n{settings}");
        parse(&local).unwrap();
    }
    check(
        &format!("{LEAST}[http]\nlisten = \"10.0.0.1:80\"\n"),
        &expect![[
            r#"c.toml:7:10: http.listen "10.0.0.1:80" can be reached from other machines, but http.tokens and http.tls_cert with http.tls_key are not set; set both, or listen on 127.0.0.1"#
        ]],
    );
    check(
        &format!("{LEAST}[http]\nlisten = \"localhost\"\n"),
        &expect![[
            r#"c.toml:7:10: "listen" is "localhost"; expected an address and a port like "127.0.0.1:9464""#
        ]],
    );
    check(
        &format!("{LEAST}[http]\ntls_cert = \"c\"\n"),
        &expect![[r#"c.toml:6:1: "tls_cert" needs "tls_key""#]],
    );
}

#[test]
fn alertmanager_stands_beside_another_sink_and_leads_somewhere() {
    let none = "[engine]\n[[source]]\nkind = \"stdin\"\nconnector = \"a\"\n";
    let told = "[sinks.alertmanager]\nurls = [\"http://127.0.0.1:9093\"]\n";
    let config = parse(&format!("{none}[sinks.stdout]\n{told}level_min = \"橙\"\n")).unwrap();
    assert_eq!(config.sinks.alertmanager.unwrap().level_min, Level::Orange);
    check(
        &format!("{none}{told}"),
        &expect![
            "c.toml:5:2: Alertmanager only shows what is open: sanction proposals and dead letters would reach nobody; add [sinks.file], [sinks.stdout], [sinks.webhook] or [sinks.kafka]"
        ],
    );
    for (line, expected) in [
        (
            "link = \"https://g.example/\"",
            expect![[
                r#"c.toml:8:8: "link" is "https://g.example/"; expected {subject} in it, for example "https://grafana.example/d/fenghuo-subject?var-subject={subject}""#
            ]],
        ),
        (
            "level_min = \"紫\"",
            expect![[
                r#"c.toml:8:13: "sinks.alertmanager.level_min" is "紫"; expected one of "蓝", "黄", "橙", "红" (did you mean "橙"?)"#
            ]],
        ),
        (
            "alerts_per_second_max = 0",
            expect![[
                r#"c.toml:8:25: "sinks.alertmanager.alerts_per_second_max" is 0; expected a whole number from 1 to 10000"#
            ]],
        ),
    ] {
        check(&format!("{none}[sinks.stdout]\n{told}{line}\n"), &expected);
    }
    check(
        &format!("{none}[sinks.stdout]\n[sinks.alertmanager]\nurls = []\n"),
        &expect![[r#"c.toml:6:1: "urls" is empty; name one Alertmanager or more"#]],
    );
}

#[test]
fn kafka_needs_its_cluster_and_keeps_passwords_out() {
    let source = "[engine]\n[sinks.stdout]\n[[source]]\nkind = \"kafka\"\nconnector = \"c\"\ntopic = \"t\"\n";
    let error = |text: &str| parse(text).unwrap_err().to_string();
    assert!(error(source).contains("needs [kafka]"));
    let sink = "[engine]\n[sinks.kafka]\n[[source]]\nkind = \"stdin\"\nconnector = \"c\"\n";
    assert!(error(sink).contains("[sinks.kafka] needs [kafka]"));
    let cluster = "[kafka]\nbrokers = \"b:1\"\nsecurity = \"sasl-tls\"\nsasl_user = \"u\"\n";
    assert!(error(&format!("{source}{cluster}")).contains("sasl_password_env"));
    assert!(
        error(&format!(
            "{source}{cluster}sasl_password = \"p\"\nsasl_password_env = \"P\"\n"
        ))
        .contains("unknown key \"sasl_password\"")
    );
    let wrong = source.replace("\"t\"", "\"a topic\"");
    assert!(error(&wrong).contains("a topic's name"));
}
