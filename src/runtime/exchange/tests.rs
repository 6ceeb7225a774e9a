//! The exchange against a far end that misbehaves on schedule, with the store failing at every operation in turn.

use super::desk::{Desk, Fresh};
use super::orders::{self, Order};
use super::reconcile::reconcile;
use super::worker::{Equipment, Exchange};
use super::{Adapter, Held, Outcome, Parcel, Receipt};
use crate::engine::time::EventTime;
use crate::runtime::clock::Clock;
use crate::runtime::sink::{OutboxEntry, OutputKind, Sink};
use crate::runtime::store::crash::InDoubt;
use crate::runtime::store::{CrashStore, MemoryStore, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const START_MS: i64 = 1_790_000_000_000;

/// Takes parcels, and per attempt does what the schedule says: loses the answer, is busy, refuses.
#[derive(Default)]
struct FarEnd {
    held: Mutex<Vec<Parcel>>,
    attempts: Mutex<u64>,
    /// Refuses this subject.
    refused: Mutex<Option<String>>,
    is_good: bool,
    /// Answers everything with 503.
    is_down: AtomicBool,
    doubt_ms: i64,
}

impl FarEnd {
    fn receipt(&self, parcel: &Parcel) -> Outcome {
        let mut held = self.held.lock().unwrap();
        if !held.iter().any(|known| known.id == parcel.id) {
            held.push(parcel.clone());
        }
        Outcome::Accepted(Receipt {
            number: format!("n{}", parcel.seq),
            accepted_at: "2026-09-21T00:00:00+08:00".into(),
            raw: "{}".into(),
        })
    }
}

impl Adapter for Arc<FarEnd> {
    fn name(&self) -> &'static str {
        "far end"
    }

    fn send(&self, parcel: &Parcel, attempts: u32) -> Outcome {
        let unsure = |reason: &str| Outcome::Unsure {
            reason: reason.into(),
            after_ms: None,
        };
        if self.refused.lock().unwrap().as_ref() == Some(&parcel.subject) {
            return Outcome::Refused("no such firm".into());
        }
        let mut count = self.attempts.lock().unwrap();
        *count += 1;
        if self.is_down.load(Ordering::Relaxed) {
            return unsure("503");
        }
        if self.is_good || 3 < attempts {
            return self.receipt(parcel);
        }
        match *count % 7 {
            0 => {
                self.receipt(parcel);
                unsure("the answer is lost")
            }
            1 => unsure("503"),
            3 => Outcome::Denied("401".into()),
            5 => Outcome::Untrusted("expired".into()),
            _ => self.receipt(parcel),
        }
    }

    fn doubt_ms(&self) -> i64 {
        self.doubt_ms
    }

    fn list(&self) -> Result<Vec<Held>, String> {
        let held = self.held.lock().unwrap();
        Ok(held
            .iter()
            .map(|parcel| Held {
                id: parcel.id.clone(),
                sm3: parcel.body_sm3.clone(),
            })
            .collect())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it stands where shaping can fail")]
fn raw(fresh: &Fresh<'_>, lane_no: u32) -> Result<Vec<u8>, String> {
    Ok([fresh.line, lane_no.to_string().as_bytes()].concat())
}

/// Twelve outputs of three subjects, as the keeper would bring them: again from `next` after every crash.
fn hand_over(desk: &mut Desk, now_ms: i64) -> Result<(), super::ExchangeError> {
    for chunk in [0..5_u64, 5..6, 6..12] {
        let ids: Vec<(u64, String, String)> = chunk
            .clone()
            .map(|seq| (seq, format!("id-{seq}"), format!("enterprise:{}", seq % 3)))
            .collect();
        let fresh: Vec<Fresh<'_>> = ids
            .iter()
            .map(|(seq, id, subject)| Fresh {
                seq: *seq,
                id,
                subject,
                kind: OutputKind::Warning,
                line: b"x",
            })
            .collect();
        desk.take(&fresh, chunk.end, now_ms, &raw)?;
    }
    Ok(())
}

fn exchange(
    store: impl Store + 'static,
    far: &Arc<FarEnd>,
    clock: &Clock,
    dir: &Path,
) -> Result<Exchange, super::ExchangeError> {
    Ok(Exchange::new(Equipment {
        desk: Desk::open(Box::new(store))?,
        adapter: Box::new(Arc::clone(far)),
        clock: clock.clone(),
        parallel: 2,
        province: "320000".into(),
        sends: OutputKind::ALL.to_vec(),
        reconcile_at_ms: None,
        directory: dir.to_owned(),
    }))
}

/// Rounds until nothing waits; the clock is set to whatever is next.
fn drain(exchange: &Exchange, clock: &Clock) -> Result<(), super::ExchangeError> {
    for _ in 0..400 {
        let (tried, wake) = exchange.round()?;
        if tried == 0 {
            let Some(at) = wake else { return Ok(()) };
            clock.set(EventTime(at.max(clock.now().0 + 1)));
        }
    }
    panic!("it never ends");
}

#[test]
fn what_a_gone_process_may_have_sent_rests_until_the_far_end_must_have_taken_it() {
    let dir = tempfile::tempdir().unwrap();
    let far = Arc::new(FarEnd {
        is_good: true,
        doubt_ms: 5_000,
        ..FarEnd::default()
    });
    let clock = Clock::at(EventTime(1_000));
    let store = Lent(Arc::new(Mutex::new(CrashStore::new())));
    let before = exchange(store.clone(), &far, &clock, dir.path()).unwrap();
    before.with_desk(|desk| hand_over(desk, 0)).unwrap();
    // What was taken over after the start nobody has sent before.
    assert!(0 < before.round().unwrap().0);
    let sent = far.held.lock().unwrap().len();
    drop(before);
    let again = exchange(store, &far, &clock, dir.path()).unwrap();
    assert_eq!(again.round().unwrap(), (0, Some(6_000)));
    clock.set(EventTime(5_999));
    assert_eq!(again.round().unwrap(), (0, Some(6_000)));
    assert_eq!(
        far.held.lock().unwrap().len(),
        sent,
        "nothing was asked or sent"
    );
    clock.set(EventTime(6_000));
    drain(&again, &clock).unwrap();
    assert_eq!(far.held.lock().unwrap().len(), 12);
}

/// A store that outlives its desk, so that the test can look at what a crash leaves.
#[derive(Clone)]
struct Lent(Arc<Mutex<CrashStore>>);

impl Store for Lent {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, crate::runtime::store::StoreError> {
        self.0.lock().unwrap().get(key)
    }
    fn scan(
        &self,
        prefix: &[u8],
        each: &mut crate::runtime::store::Visit<'_>,
    ) -> Result<(), crate::runtime::store::StoreError> {
        self.0.lock().unwrap().scan(prefix, each)
    }
    fn commit(
        &mut self,
        batch: &crate::runtime::store::Batch,
    ) -> Result<(), crate::runtime::store::StoreError> {
        self.0.lock().unwrap().commit(batch)
    }
    fn ledger(&self) -> crate::runtime::store::Ledger {
        self.0.lock().unwrap().ledger()
    }
    fn verify(
        &self,
    ) -> Result<crate::runtime::store::VerifyReport, crate::runtime::store::StoreError> {
        self.0.lock().unwrap().verify()
    }
    fn size_bytes(&self) -> u64 {
        self.0.lock().unwrap().size_bytes()
    }
}

fn assert_whole(exchange: &Exchange, far: &FarEnd, name: &str) {
    let filed = exchange.with_desk(|desk| desk.receipts().unwrap());
    assert_eq!(filed.len(), 12, "{name}");
    let held = far.held.lock().unwrap();
    assert_eq!(held.len(), 12, "{name}: nothing lost, nothing doubled");
    let mut last: BTreeMap<&str, u32> = BTreeMap::new();
    for parcel in held.iter() {
        let before = last.insert(&parcel.subject, parcel.lane_no).unwrap_or(0);
        assert_eq!(
            before + 1,
            parcel.lane_no,
            "{name}: {} in order",
            parcel.subject
        );
    }
    let there: Vec<Held> = held
        .iter()
        .map(|p| Held {
            id: p.id.clone(),
            sm3: p.body_sm3.clone(),
        })
        .collect();
    assert!(reconcile(&filed, &[], &there).is_empty(), "{name}");
}

#[test]
fn at_every_operation_of_the_store_nothing_is_lost_doubled_or_out_of_order() {
    let dir = tempfile::tempdir().unwrap();
    let run = |store: &Lent,
               far: &Arc<FarEnd>,
               clock: &Clock|
     -> Result<Exchange, super::ExchangeError> {
        let exchange = exchange(store.clone(), far, clock, dir.path())?;
        exchange.with_desk(|desk| hand_over(desk, clock.now().0))?;
        drain(&exchange, clock)?;
        Ok(exchange)
    };
    let clock = Clock::at(EventTime(START_MS));
    let far = Arc::new(FarEnd::default());
    let store = Lent(Arc::new(Mutex::new(CrashStore::new())));
    let whole = run(&store, &far, &clock).unwrap();
    assert_whole(&whole, &far, "no crash");
    let operations = store.0.lock().unwrap().operations();
    assert!(60 < operations, "{operations}");
    let mut crashes = 0;
    for operation in 0..operations {
        for in_doubt in [InDoubt::Lost, InDoubt::Kept] {
            let name = format!("operation {operation}, {in_doubt:?}");
            let far = Arc::new(FarEnd::default());
            let clock = Clock::at(EventTime(START_MS));
            let store = Lent(Arc::new(Mutex::new(CrashStore::new().fail_at(operation))));
            if run(&store, &far, &clock).is_ok() {
                // The far end's schedule depends on threads, so a run may be over before.
                continue;
            }
            crashes += 1;
            let left = store.0.lock().unwrap().restart(in_doubt);
            let again = run(&Lent(Arc::new(Mutex::new(left))), &far, &clock).unwrap();
            assert_whole(&again, &far, &name);
        }
    }
    assert!(operations < crashes, "{crashes} crashes");
}

#[test]
fn a_refused_subject_waits_alone_and_goes_on_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::at(EventTime(START_MS));
    let far = Arc::new(FarEnd {
        is_good: true,
        ..FarEnd::default()
    });
    *far.refused.lock().unwrap() = Some("enterprise:1".into());
    let exchange = exchange(MemoryStore::default(), &far, &clock, dir.path()).unwrap();
    exchange
        .with_desk(|desk| hand_over(desk, START_MS))
        .unwrap();
    drain(&exchange, &clock).unwrap();
    let standing = exchange.standing();
    assert_eq!((standing.waiting, standing.receipts), (4, 8));
    assert_eq!(
        standing.parked,
        [("enterprise:1".to_owned(), "no such firm".to_owned())]
    );
    assert_eq!(standing.oldest_ms, Some(START_MS));
    *far.refused.lock().unwrap() = None;
    drain(&exchange, &clock).unwrap();
    assert_eq!(
        exchange.standing().waiting,
        4,
        "only a person lets it go on"
    );
    assert!(
        exchange
            .with_desk(|desk| desk.set_parked("enterprise:1", None))
            .unwrap()
    );
    assert!(
        !exchange
            .with_desk(|desk| desk.set_parked("enterprise:9", None))
            .unwrap()
    );
    drain(&exchange, &clock).unwrap();
    assert_whole(&exchange, &far, "after the decision");
}

#[test]
fn a_far_end_that_is_down_for_a_day_is_asked_seldom_and_gets_all_of_it_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::at(EventTime(START_MS));
    let far = Arc::new(FarEnd {
        is_good: true,
        is_down: AtomicBool::new(true),
        ..FarEnd::default()
    });
    let exchange = exchange(MemoryStore::default(), &far, &clock, dir.path()).unwrap();
    exchange
        .with_desk(|desk| hand_over(desk, START_MS))
        .unwrap();
    let day_ms = 86_400_000;
    while clock.now().0 < START_MS + day_ms {
        let (_, wake) = exchange.round().unwrap();
        let at = wake.expect("it is tried again").max(clock.now().0 + 1);
        clock.set(EventTime(at));
    }
    let attempts = *far.attempts.lock().unwrap();
    // Every five minutes once it is known to be down: 288 a day.
    assert!((288..330).contains(&attempts), "{attempts} attempts");
    assert_eq!(exchange.standing().waiting, 12);
    assert!(exchange.standing().parked.is_empty());
    far.is_down.store(false, Ordering::Relaxed);
    drain(&exchange, &clock).unwrap();
    assert_whole(&exchange, &far, "after a day");
    let late_ms = clock.now().0 - START_MS - day_ms;
    assert!(late_ms < 700_000, "{late_ms} ms after it was back");
}

#[test]
fn after_a_kill_the_head_of_each_lane_is_asked_for_first() {
    let clock = Clock::at(EventTime(START_MS));
    let dir = tempfile::tempdir().unwrap();
    let far = Arc::new(FarEnd::default());
    let store = Lent(Arc::new(Mutex::new(CrashStore::new())));
    let one = exchange(store.clone(), &far, &clock, dir.path()).unwrap();
    one.with_desk(|desk| hand_over(desk, START_MS)).unwrap();
    let tries = |exchange: &Exchange| {
        let none = BTreeSet::new();
        let (ready, _) =
            exchange.with_desk(|desk| desk.ready(9, START_MS, (&none, false)).unwrap());
        let busy = BTreeSet::from(["enterprise:1".to_owned()]);
        let (others, _) =
            exchange.with_desk(|desk| desk.ready(9, START_MS, (&busy, false)).unwrap());
        assert_eq!(
            others.len(),
            ready.len() - 1,
            "a lane under way is left alone"
        );
        ready
            .into_iter()
            .map(|(_, attempts)| attempts)
            .collect::<Vec<_>>()
    };
    assert_eq!(tries(&one), [0, 0, 0], "nothing was sent yet");
    drop(one);
    let two = exchange(store, &far, &clock, dir.path()).unwrap();
    assert_eq!(
        tries(&two),
        [1, 1, 1],
        "the process before may have sent them"
    );
}

#[test]
fn a_receipt_that_was_changed_or_cut_off_is_found() {
    let clock = Clock::at(EventTime(START_MS));
    let far = Arc::new(FarEnd {
        is_good: true,
        ..FarEnd::default()
    });
    let dir = tempfile::tempdir().unwrap();
    for change in ["edit", "remove the last", "none"] {
        let store = Lent(Arc::new(Mutex::new(CrashStore::new())));
        let one = exchange(store.clone(), &far, &clock, dir.path()).unwrap();
        one.with_desk(|desk| hand_over(desk, START_MS)).unwrap();
        drain(&one, &clock).unwrap();
        let mut all = Vec::new();
        store
            .scan(b"p", &mut |key, value| {
                all.push((key.to_vec(), value.to_vec()));
                Ok(())
            })
            .unwrap();
        let mut batch = crate::runtime::store::Batch::new();
        let (key, mut value) = if change == "edit" {
            all[3].clone()
        } else {
            all[11].clone()
        };
        match change {
            "edit" => {
                value[5] ^= 1;
                batch.put(key, value);
            }
            "remove the last" => batch.delete(key),
            _ => {}
        }
        let mut lent = store.clone();
        lent.commit(&batch).unwrap();
        let found = one.with_desk(|desk| desk.receipts());
        assert_eq!(found.is_ok(), change == "none", "{change}");
    }
}

#[test]
fn the_sink_takes_warnings_once_and_tells_what_it_cannot_shape() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::at(EventTime(START_MS));
    let far = Arc::new(FarEnd {
        is_good: true,
        ..FarEnd::default()
    });
    let exchange = exchange(MemoryStore::default(), &far, &clock, dir.path()).unwrap();
    let mut sink = exchange.sink();
    let entry = |seq: u64, kind, line: &str| OutboxEntry {
        seq,
        kind,
        subject: "enterprise:1".into(),
        id: format!("id-{seq}"),
        line: line.as_bytes().to_vec(),
    };
    let entries = [
        entry(3, OutputKind::Warning, WARNING),
        entry(4, OutputKind::DeadLetter, "{}"),
        entry(5, OutputKind::Warning, "{}"),
    ];
    for _ in 0..2 {
        assert_eq!(sink.deliver(&entries).unwrap().count, 3);
    }
    drain(&exchange, &clock).unwrap();
    let held = far.held.lock().unwrap();
    assert_eq!(held.len(), 1);
    expect_test::expect![[r#"{"kind":"riskWarning","id":"a1","record":"a0","operation":"i","subject":"enterprise:91320106MA1XK8QJ3T","lane_no":1,"riskWarning":{"riskObject":"某店","riskObjectCertCode":"91320106MA1XK8QJ3T","fxyjId":"a0","domain":"SP","province":"320000","title":"投诉集中","level":"P1","createdAt":"2026-03-02T00:00:00+08:00","source":"provincial","ruleId":"SP-001","props":{"basis":[],"department":"","due":null,"evidence":["s/1@0"],"firstEventAt":"2026-03-01T00:00:00+08:00","group":"","lastEventAt":"2026-03-01T00:00:00+08:00","message":"三起投诉","observed":[],"points":20,"reason":"","region":"320106","revision":0,"ruleSet":"h","score":20.5,"status":"open","transition":"raised","transitionNumber":1}}}"#]]
        .assert_eq(std::str::from_utf8(&held[0].body).unwrap());
}

const WARNING: &str = r#"{"id":"a1","warning_id":"a0","transition":"raised","transition_number":1,"status":"open","revision":0,"subject":"enterprise:91320106MA1XK8QJ3T","subject_name":"某店","rule_id":"SP-001","rule_name":"投诉集中","level":"橙","level_code":"P1","message":"三起投诉","points":20,"score":20.5,"first_event_at":"2026-03-01T00:00:00+08:00","last_event_at":"2026-03-01T00:00:00+08:00","generated_at":"2026-03-02T00:00:00+08:00","is_late":false,"region":"320106","findings":1,"evidence":["s/1@0"],"observed":[],"basis":[],"rule_set":"h"}"#;

#[test]
fn decisions_are_taken_once_and_bad_ones_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    assert!(orders::take(dir.path()).is_empty());
    let order = |park: Option<&str>| Order {
        subject: "enterprise:1".into(),
        park: park.map(str::to_owned),
    };
    orders::leave(dir.path(), &order(Some("重名"))).unwrap();
    orders::leave(dir.path(), &order(None)).unwrap();
    std::fs::write(dir.path().join("orders/x.json"), "nonsense").unwrap();
    assert_eq!(orders::take(dir.path()), [order(None)], "the last counts");
    assert!(orders::take(dir.path()).is_empty());
    assert!(dir.path().join("orders/x.bad").exists());
}
