//! What it costs to make one event of one record: a CSV row of 40 columns, a JSON order, a canonical line.
//!
//! Prints what it measures and never fails by time. Records are those of `fixtures/connectors`, good ones only.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fenghuo::engine::connector::{Connector, Decoder, Frame, Framer, Framing, canonical};
use fenghuo::engine::time::EventTime;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

/// A decoder of a shipped feed and its first sample record.
fn sample(id: &str, extension: &str) -> (Decoder, Vec<u8>) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let toml = std::fs::read_to_string(root.join(format!("connectors/{id}.toml"))).unwrap();
    let bytes = root.join(format!("fixtures/connectors/{id}/records.{extension}"));
    let bytes = std::fs::read(bytes).unwrap();
    let connector = Connector::parse(id, &toml, None).unwrap();
    let mut framer = Framer::new(connector.framing());
    let is_csv = connector.framing() == Framing::Csv;
    let mut decoder = Decoder::new(Arc::new(connector), Arc::from(&b"key"[..]));
    let mut records = Vec::new();
    let mut rest = &bytes[..];
    while let Frame::Record {
        start,
        end,
        consumed,
    } = framer.next(rest, true)
    {
        records.push(rest.get(start..end).unwrap().to_vec());
        rest = rest.get(consumed..).unwrap();
    }
    if is_csv {
        decoder.set_header(&records.remove(0)).unwrap();
    }
    let record = records.swap_remove(0);
    decoder.decode(&record, EventTime::MAX).unwrap();
    (decoder, record)
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, id, extension) in [
        ("csv penalty", "credit-penalty", "csv"),
        ("csv inspection", "supervision-inspection", "csv"),
        ("csv gb18030 register", "market-register", "csv"),
        ("json order", "hotline-order", "jsonl"),
        ("canonical feedback", "feedback", "jsonl"),
    ] {
        let (decoder, record) = sample(id, extension);
        group.throughput(Throughput::Bytes(u64::try_from(record.len()).unwrap()));
        group.bench_function(name, |bencher| {
            bencher.iter(|| decoder.decode(black_box(&record), EventTime::MAX));
        });
    }
    let (decoder, record) = sample("hotline-order", "jsonl");
    let event = decoder.decode(&record, EventTime::MAX).unwrap();
    let line = canonical::write(&event);
    group.throughput(Throughput::Bytes(u64::try_from(line.len()).unwrap()));
    group.bench_function("canonical order", |bencher| {
        bencher.iter(|| canonical::read(black_box(&line)));
    });
    group.bench_function("write canonical order", |bencher| {
        bencher.iter(|| canonical::write(black_box(&event)));
    });
    group.finish();
}

fn frame(criterion: &mut Criterion) {
    let line = "a,\"b\nc\",".repeat(40) + "\n";
    let bytes = line.repeat(1000).into_bytes();
    let mut group = criterion.benchmark_group("frame");
    group.throughput(Throughput::Bytes(u64::try_from(bytes.len()).unwrap()));
    group.bench_function("csv", |bencher| {
        bencher.iter(|| {
            let mut framer = Framer::new(Framing::Csv);
            let mut rest = &bytes[..];
            let mut count = 0;
            while let Frame::Record { consumed, .. } = framer.next(rest, true) {
                rest = rest.get(consumed..).unwrap_or_default();
                count += 1;
            }
            count
        });
    });
    group.finish();
}

criterion_group!(benches, parse, frame);
criterion_main!(benches);
