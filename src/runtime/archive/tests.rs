//! Every event comes back whole, damage is named, and a killed process leaves each event once.

use super::columns::{self, Row};
use super::keep::Keep;
use super::parcel::Parcel;
use super::*;
use crate::engine::event::{Event, Fields, Op, SubjectKey, SubjectKind, Validity, Value};
use crate::engine::schema::{FIELDS, Field, Stream};
use crate::engine::time::Precision;
use proptest::prelude::*;
use rust_decimal::Decimal;

fn precision() -> impl Strategy<Value = Precision> {
    prop_oneof![
        Just(Precision::Day),
        Just(Precision::Minute),
        Just(Precision::Second)
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (any::<i64>(), 0_u32..10).prop_map(|(n, scale)| Value::Decimal(Decimal::new(n, scale))),
        "\\PC{0,12}".prop_map(|t| Value::Text(t.into())),
        (any::<i64>(), precision()).prop_map(|(ms, p)| Value::Time(EventTime(ms), p)),
        prop::collection::vec("\\PC{0,6}", 0..4)
            .prop_map(|list| Value::List(list.into_iter().map(Into::into).collect())),
    ]
}

prop_compose! {
    fn event()(
        (source, record_id) in ("\\PC{0,8}", "\\PC{0,8}"),
        version in any::<i64>(),
        op in prop_oneof![Just(Op::Insert), Just(Op::Update), Just(Op::Delete)],
        stream in prop::sample::select(&Stream::ALL[..]),
        (occurred, arrived) in (any::<i64>(), 0_i64..4_000_000_000_000),
        precision in precision(),
        validity in prop::sample::select(vec![
            Validity::Valid, Validity::Revoked, Validity::Retracted, Validity::Repaired, Validity::Shielded, Validity::Deleted,
        ]),
        subjects in prop::collection::vec((prop::sample::select(&SubjectKind::ALL[..]), "\\PC{1,8}"), 0..4),
        fields in prop::collection::vec((0..FIELDS.len() + 3, value()), 0..12),
    ) -> Event {
        let mut all = Fields::new();
        for (row, value) in fields {
            all.set(Field::at_row(u8::try_from(row).unwrap()), value);
        }
        Event {
            source: source.into(),
            record_id: record_id.into(),
            version,
            op,
            stream,
            occurred_at: EventTime(occurred),
            precision,
            arrived_at: EventTime(arrived),
            validity,
            subjects: subjects.into_iter().map(|(kind, key)| SubjectKey::new(kind, &key)).collect(),
            fields: all,
        }
    }
}

fn back(rows: &[Row]) -> Vec<Row> {
    let bytes = columns::write(Vec::new(), rows).unwrap();
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    columns::read(reader.get_row_group(0).unwrap().as_ref()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_event_comes_back_whole(events in prop::collection::vec(event(), 1..8)) {
        let rows: Vec<Row> = (7..).zip(events.into_iter().map(Arc::new)).collect();
        prop_assert_eq!(back(&rows), rows);
    }
}

fn scanned(bytes: Vec<u8>, wanted: &Wanted) -> Vec<String> {
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    let mut told = Vec::new();
    scan_group(
        reader.get_row_group(0).unwrap().as_ref(),
        wanted,
        &mut |slip| told.push(format!("{slip:?}")),
    )
    .unwrap();
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// What is read of the columns is what an event shows of itself, and packing loses nothing of it.
    #[test]
    fn a_scan_shows_what_the_events_show(events in prop::collection::vec(event(), 1..8), all in any::<bool>()) {
        let set = Arc::new(shipped());
        let wanted = if all { Wanted::all() } else { Wanted::of(&[set], &[]) };
        let rows: Vec<Row> = (7..).zip(events.into_iter().map(Arc::new)).collect();
        let slips: Vec<Slip<'_>> = rows.iter().map(|(seq, event)| Slip::of(*seq, event, &wanted)).collect();
        let shown: Vec<String> = slips.iter().map(|slip| format!("{slip:?}")).collect();
        prop_assert_eq!(scanned(columns::write(Vec::new(), &rows).unwrap(), &wanted), shown);
        for ((_, event), slip) in rows.iter().zip(&slips) {
            let mut bytes = Vec::new();
            let whose = (SubjectKind::Place, "某地");
            parcel::pack(slip, whose, &mut bytes);
            let (parcel, rest) = Parcel::next(&bytes).unwrap();
            prop_assert_eq!(((parcel.kind, parcel.name), parcel.seq, rest.len()), (whose, slip.seq, 0));
            prop_assert_eq!((parcel.key, parcel.rank), (event.record_key(), event.rank()));
            let mut shown = slip.event();
            // Only what stands is packed.
            shown.validity = Validity::Valid;
            prop_assert_eq!(&parcel.event().unwrap(), &shown);
            if all {
                shown.validity = event.validity;
                prop_assert_eq!(&shown, event.as_ref());
            }
            for cut in 0..bytes.len() {
                prop_assert!(Parcel::next(&bytes[..cut]).is_none());
            }
        }
    }
}

fn shipped() -> crate::engine::rule::RuleSet {
    let sources = crate::runtime::bundle::shipped_rules();
    crate::engine::rule::RuleSet::load(&sources).unwrap()
}

fn plain(id: u64, day: i32) -> Row {
    let at = EventTime::from_day(day);
    let event = Event {
        source: "s".into(),
        record_id: id.to_string().into(),
        version: 0,
        op: Op::Insert,
        stream: Stream::Complaint,
        occurred_at: at,
        precision: Precision::Minute,
        arrived_at: at,
        validity: Validity::Valid,
        subjects: vec![SubjectKey::new(SubjectKind::Enterprise, "A")],
        fields: Fields::new(),
    };
    (id, Arc::new(event))
}

fn numbers(dir: &Path) -> Vec<u64> {
    let mut all: Vec<u64> = parts(dir)
        .unwrap()
        .iter()
        .flat_map(|part| read(part).0)
        .map(|(number, _)| number)
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn a_file_cut_short_is_named_and_the_rest_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<Row> = (1..=30)
        .map(|n| plain(n, 20_000 + i32::try_from(n / 11).unwrap()))
        .collect();
    assert_eq!(write(dir.path(), &rows).unwrap(), 3);
    let first = &parts(dir.path()).unwrap()[1];
    let whole = std::fs::read(&first.path).unwrap();
    std::fs::write(&first.path, &whole[..whole.len() / 2]).unwrap();
    let (mut read_rows, mut damaged) = (0, Vec::new());
    for part in parts(dir.path()).unwrap() {
        let (rows, damage) = read(&part);
        read_rows += rows.len();
        damaged.extend(damage);
    }
    assert_eq!((read_rows, damaged.len()), (19, 1));
    assert_eq!(damaged[0].inputs, (11, 21));
    assert!(
        damaged[0].to_string().contains("cut short"),
        "{}",
        damaged[0]
    );
}

#[test]
fn an_interrupted_archive_holds_what_the_store_holds_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut keep = Keep::open(dir.path(), 0).unwrap();
    keep.append(&[plain(1, 20_000), plain(2, 20_000)]).unwrap();
    keep.settle().unwrap();
    // The process dies after the archive's append and before the store's commit.
    keep.append(&[plain(3, 20_000)]).unwrap();
    drop(keep);
    let mut keep = Keep::open(dir.path(), 2).unwrap();
    keep.append(&[plain(3, 20_000), plain(4, 20_001)]).unwrap();
    keep.settle().unwrap();
    assert_eq!(numbers(dir.path()), [1, 2, 3, 4]);
    // It dies in the middle of an append: what is torn was never acknowledged.
    keep.append(&[plain(5, 20_001)]).unwrap();
    drop(keep);
    let tail = dir.path().join("tail.log");
    let bytes = std::fs::read(&tail).unwrap();
    std::fs::write(&tail, &bytes[..bytes.len() - 1]).unwrap();
    let mut keep = Keep::open(dir.path(), 4).unwrap();
    keep.append(&[plain(5, 20_001)]).unwrap();
    keep.close().unwrap();
    assert_eq!(numbers(dir.path()), [1, 2, 3, 4, 5]);
}
