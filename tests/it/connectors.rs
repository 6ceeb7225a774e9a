//! The shipped feeds against sample records: `fixtures/connectors/<id>/records.*` become `expected.jsonl`, one line per
//! record, a canonical event or a reject. `UPDATE_EXPECT=1 cargo test` writes them anew; they are read in review.

use expect_test::expect_file;
use fenghuo::engine::connector::{Connector, Decoder, Frame, Framer, Framing, canonical};
use fenghuo::engine::event::{Event, Op, SubjectKind};
use fenghuo::engine::reject::Reject;
use fenghuo::engine::schema::Stream;
use fenghuo::engine::time::EventTime;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const KEY: &[u8] = b"the key of the fixtures, no other";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn connectors(folder: &str) -> Vec<Connector> {
    let mut files: Vec<_> = std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files.iter().map(|path| connector(path)).collect()
}

fn connector(path: &Path) -> Connector {
    let toml = std::fs::read_to_string(path).unwrap();
    let script = std::fs::read_to_string(path.with_extension("rhai")).ok();
    let name = path.file_name().unwrap().to_string_lossy();
    Connector::parse(&name, &toml, script.as_deref())
        .map_err(|error| error.to_string())
        .unwrap()
}

/// Decodes a whole file as the runtime does: framed, header first.
fn decode_all(connector: Connector, bytes: &[u8], now: EventTime) -> Vec<Result<Event, Reject>> {
    let mut framer = Framer::new(connector.framing());
    let mut needs_header = connector.framing() == Framing::Csv;
    let mut decoder = Decoder::new(Arc::new(connector), KEY.into());
    let mut made = Vec::new();
    let mut rest = bytes;
    loop {
        let (frame, consumed) = match framer.next(rest, true) {
            Frame::Record {
                start,
                end,
                consumed,
            } => (&rest[start..end], consumed),
            other => {
                assert_eq!(other, Frame::End);
                return made;
            }
        };
        if needs_header {
            decoder.set_header(frame).unwrap();
            needs_header = false;
        } else {
            made.push(decoder.decode(frame, now));
        }
        rest = &rest[consumed..];
    }
}

#[test]
fn every_feed_reads_its_samples() {
    let (now, _) = EventTime::parse("2026-06-30").unwrap();
    for connector in connectors("connectors") {
        let folder = root().join("fixtures/connectors").join(connector.id());
        let records = ["records.csv", "records.jsonl", "records.xml"];
        let records = records.map(|name| folder.join(name));
        let records = records.iter().find(|path| path.exists()).unwrap();
        let bytes = std::fs::read(records).unwrap();
        let mut lines = String::new();
        for made in decode_all(connector, &bytes, now) {
            lines.push_str(&match made {
                Ok(event) => {
                    let line = canonical::write(&event);
                    assert_eq!(canonical::read(&line), Ok(event));
                    line
                }
                Err(reject) => serde_json::to_string(&reject).unwrap(),
            });
            lines.push('\n');
        }
        expect_file![folder.join("expected.jsonl")].assert_eq(&lines);
    }
}

#[test]
fn samples_hold_every_stream_and_no_personal_data() {
    let mut streams: Vec<_> = connectors("connectors")
        .iter()
        .map(Connector::stream)
        .collect();
    streams.sort_unstable();
    streams.dedup();
    let mut all: Vec<_> = Stream::fed().collect();
    all.sort_unstable();
    assert_eq!(streams, all);
    for connector in connectors("connectors") {
        let folder = root().join("fixtures/connectors").join(connector.id());
        let expected = std::fs::read_to_string(folder.join("expected.jsonl")).unwrap();
        for personal in [
            "320106199003078",
            "13900005678",
            "13700001111",
            "13800001234",
            "张示例",
            "李示例",
            "赵示例",
            "周示例",
            "吴示例",
            "孙示例",
            "王甲",
            "320100001",
            "示例小区",
        ] {
            assert!(
                !expected.contains(personal),
                "{}: {personal}",
                connector.id()
            );
        }
    }
}

/// Counts by stream, reject code and kind of home over the public records of one city, when they lie beside the project.
/// They are not copied into it; without them only the layouts are checked.
#[test]
fn every_record_of_chicago_is_an_event_or_a_reject() {
    let data = root().join("../shared/data/chicago");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for connector in connectors("fixtures/chicago/connectors") {
        let file = match connector.stream() {
            Stream::Complaint => "complaints.csv",
            Stream::Inspection => "inspections.csv",
            _ => "licences.csv",
        };
        let Ok(bytes) = std::fs::read(data.join(file)) else {
            continue;
        };
        let stream = connector.stream().name();
        for made in decode_all(connector, &bytes, EventTime::MAX) {
            let key = match made {
                Ok(event) => {
                    assert_eq!(event.op, Op::Insert);
                    format!("{stream} {}", event.subjects[0].kind.name())
                }
                Err(reject) => format!("{stream} reject {}", reject.code.name()),
            };
            *counts.entry(key).or_default() += 1;
        }
    }
    if counts.is_empty() {
        return;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(key, n)| format!("{key}: {n}"))
        .collect();
    expect_test::expect![[r#"
        complaint place: 61556
        complaint unresolved: 1
        inspection licence: 21039
        licence licence: 16449"#]]
    .assert_eq(&counts.join("\n"));
}

#[test]
fn records_of_chicago_have_the_right_subjects() {
    let rows = [
        (
            "service_request_number,creation_date,completion_date,status,type,nature,street_address,\
             zip,ward,community_area,latitude,longitude\n\
             00-1,2011-01-03,,Open - Dup,Sanitation Code Violation,Other,1 N EXAMPLE ST,60601.0,20.0,8.0,,\n\
             00-1,2011-01-03,2011-01-09,Completed,Sanitation Code Violation,,1 N EXAMPLE ST,,20.0,8.0,,\n",
            ["place:zip-60601", "place:community-area-08"],
        ),
        (
            "inspection_id,license,dba_name,facility_type,risk,address,zip,inspection_date,\
             inspection_type,results,violations,critical_count,serious_count,minor_count,inspector,latitude,longitude\n\
             1,99001,EXAMPLE  CAFE,Restaurant,Risk 1 (High),1 N EXAMPLE ST ,60601,2011-09-02,Canvass,Fail,3;18;32,1,1,1,orange,,\n\
             2,99001,EXAMPLE  CAFE,Restaurant,Risk 1 (High),1 N EXAMPLE ST ,60601,2011-09-03,Canvass,Pass,,0,0,0,,,\n",
            [
                "licence:99001 place:zip-60601 department:orange",
                "licence:99001 place:zip-60601",
            ],
        ),
        (
            "id,license_number,dba_name,address,license_description,application_type,term_start,term_expiration,status\n\
             99001-2011,99001,EXAMPLE CAFE,1 N EXAMPLE ST,Retail Food Establishment,ISSUE,2011-01-01,2013-01-01,AAI\n\
             99001-2013,99001,EXAMPLE CAFE,1 N EXAMPLE ST,Retail Food Establishment,RENEW,2013-01-01,2015-01-01,AAC\n",
            ["licence:99001", "licence:99001"],
        ),
    ];
    for (connector, (rows, subjects)) in connectors("fixtures/chicago/connectors")
        .into_iter()
        .zip(rows)
    {
        let made = decode_all(connector, rows.as_bytes(), EventTime::MAX);
        let found: Vec<String> = made
            .into_iter()
            .map(|event| {
                let subjects = event.unwrap().subjects;
                assert!(!subjects.iter().any(|s| s.kind == SubjectKind::Region));
                subjects
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        assert_eq!(found, subjects);
    }
}
