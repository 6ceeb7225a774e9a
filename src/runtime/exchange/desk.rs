//! What the exchange remembers, in a store of its own: parcels that wait, lanes, receipts.
//!
//! A second store, because lanes change at their own pace and one slow far end must not stretch the engine's commits. The
//! hand-over between the two needs no transaction over both: outputs are numbered, the desk keeps the number up to which
//! it has taken them in the same commit as the parcels, and what comes again after a crash is known by its number.
//!
//! ```text
//! m            Mark: how far outputs are taken, receipts, the end of their chain
//! i<seq:8>     a parcel that waits, in chunks
//! l<hash>      a lane, by the first 32 hex digits of SM3 of its subject
//! p<number:8>  a receipt, in chunks; kept
//! ```
//!
//! A receipt holds the hash of the one before it, so a record that is changed or taken out later shows (GB/T 32905).
//!
//! cost     a commit for a batch of outputs, and one for a round of attempts
//! errors   as of the store: the first fault is final, and the process ends

use super::lane::{Lane, Next, next};
use super::{ExchangeError, Outcome, Parcel, Receipt, Tried};
use crate::engine::hash::sm3_hex;
use crate::runtime::journal::{delete_chunks, put_chunks, read_chunks};
use crate::runtime::sink::OutputKind;
use crate::runtime::store::{Batch, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// The format of what this module writes.
const FORMAT: u16 = 1;
const MARK: &[u8] = b"m";

/// Where everything stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    format: u16,
    /// The first output that has not been taken.
    pub next_seq: u64,
    /// Receipts so far.
    pub receipts: u64,
    /// The hash of the last.
    pub chain: String,
}

/// A receipt on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filed {
    /// The parcel's id.
    pub id: String,
    /// Whose.
    pub subject: String,
    /// Its place in the lane.
    pub lane_no: u32,
    /// SM3 of what was sent.
    pub body_sm3: String,
    /// When we filed it, ms.
    pub at_ms: i64,
    /// What the far end gave.
    pub receipt: Receipt,
    /// The hash of the receipt before.
    pub prev: String,
    /// SM3 over all of the above.
    pub hash: String,
}

impl Filed {
    fn seal(&mut self) {
        self.hash = self.sum();
    }

    fn sum(&self) -> String {
        let (no, at) = (self.lane_no.to_string(), self.at_ms.to_string());
        sm3_hex(&[
            self.prev.as_bytes(),
            self.id.as_bytes(),
            self.subject.as_bytes(),
            no.as_bytes(),
            self.body_sm3.as_bytes(),
            at.as_bytes(),
            self.receipt.number.as_bytes(),
            self.receipt.accepted_at.as_bytes(),
            self.receipt.raw.as_bytes(),
        ])
    }
}

/// How the desk stands, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Parcels that wait.
    pub waiting: u64,
    /// Lanes with something in them.
    pub lanes: u64,
    /// Lanes that wait for a person: subject and reason.
    pub parked: Vec<(String, String)>,
    /// Since when the oldest waits, ms.
    pub oldest_ms: Option<i64>,
    /// Receipts so far.
    pub receipts: u64,
}

#[derive(Debug, Default)]
struct Queue {
    lane: Lane,
    /// Numbers and times of the parcels that wait, in order.
    waiting: VecDeque<(u64, i64)>,
    /// A process that is gone may have sent the head, and not written down what came of it.
    is_doubtful: bool,
}

/// See the module.
pub struct Desk {
    store: Box<dyn Store>,
    mark: Mark,
    queues: BTreeMap<String, Queue>,
    /// The head of each lane that has one, and whose it is: what [`Desk::ready`] goes through, longest waiting first.
    heads: BTreeMap<u64, String>,
    /// Until when the far end may still be taking what a process that is gone has sent, ms.
    doubt_until_ms: i64,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}

/// A new output, before it has a place in a lane.
#[derive(Debug, Clone, Copy)]
pub struct Fresh<'a> {
    /// Its number.
    pub seq: u64,
    /// Its id.
    pub id: &'a str,
    /// Whose.
    pub subject: &'a str,
    /// What it is.
    pub kind: OutputKind,
    /// The line as it left the core.
    pub line: &'a [u8],
}

/// Ids of what could not be shaped, with the reason.
pub type Unshaped = Vec<(String, String)>;

/// Makes the bytes that are sent: of an output, with its place in the lane.
pub type Shape<'a> = dyn Fn(&Fresh<'_>, u32) -> Result<Vec<u8>, String> + 'a;

impl Desk {
    /// Takes up from a store.
    pub fn open(store: Box<dyn Store>) -> Result<Self, ExchangeError> {
        let mark = match store.get(MARK)? {
            None => Mark {
                format: FORMAT,
                chain: "0".repeat(64),
                ..Mark::default()
            },
            Some(bytes) => postcard::from_bytes::<Mark>(&bytes)
                .ok()
                .filter(|mark| mark.format == FORMAT)
                .ok_or_else(|| StoreError::damaged(MARK, "a mark that cannot be read"))?,
        };
        let mut queues: BTreeMap<String, Queue> = BTreeMap::new();
        store.scan(b"l", &mut |key, value| {
            let (subject, lane): (String, Lane) = postcard::from_bytes(value)
                .map_err(|_| StoreError::damaged(key, "a lane that cannot be read"))?;
            queues.entry(subject).or_default().lane = lane;
            Ok(())
        })?;
        read_chunks(store.as_ref(), b'i', &mut |seq, bytes| {
            let parcel = parcel_of(seq, &bytes)?;
            let queue = queues.entry(parcel.subject).or_default();
            queue.waiting.push_back((seq, parcel.since_ms));
            queue.is_doubtful = true;
            Ok(())
        })?;
        let head = |(subject, queue): (&String, &Queue)| {
            let (seq, _) = queue.waiting.front()?;
            Some((*seq, subject.clone()))
        };
        let heads = queues.iter().filter_map(head).collect();
        Ok(Self {
            store,
            mark,
            queues,
            heads,
            doubt_until_ms: i64::MIN,
        })
    }

    /// Lets what a process that is gone may have sent rest until this time: asked earlier, the far end would say that it does not have
    /// what it is still taking.
    pub fn rest_doubts(&mut self, until_ms: i64) {
        self.doubt_until_ms = until_ms;
    }

    /// How long they still rest; none when nothing does.
    pub fn doubt_left_ms(&self, now_ms: i64) -> Option<u64> {
        let left = self.doubt_until_ms.saturating_sub(now_ms);
        let is_any = self.queues.values().any(|queue| queue.is_doubtful);
        u64::try_from(left).ok().filter(|left| is_any && 0 < *left)
    }

    /// How far outputs are taken, and the receipts.
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Puts outputs into their lanes, up to (without) number `until`; those that were taken before are known. Durable when
    /// it returns. What cannot be shaped is returned with the reason: a bug, to be told aloud.
    pub fn take(
        &mut self,
        fresh: &[Fresh<'_>],
        until: u64,
        now_ms: i64,
        shape: &Shape<'_>,
    ) -> Result<Unshaped, ExchangeError> {
        if until <= self.mark.next_seq {
            return Ok(Vec::new());
        }
        let (mut batch, mut bad, mut lanes) = (Batch::new(), Vec::new(), BTreeMap::new());
        let mut added = Vec::new();
        for one in fresh.iter().filter(|one| self.mark.next_seq <= one.seq) {
            let known = lanes.entry(one.subject.to_owned());
            let lane: &mut Lane = known.or_insert_with(|| {
                let queue = self.queues.get(one.subject);
                queue.map(|queue| queue.lane.clone()).unwrap_or_default()
            });
            let body = match shape(one, lane.newest_no + 1) {
                Ok(body) => body,
                Err(reason) => {
                    bad.push((one.id.to_owned(), reason));
                    continue;
                }
            };
            lane.newest_no += 1;
            let parcel = Parcel {
                seq: one.seq,
                id: one.id.to_owned(),
                subject: one.subject.to_owned(),
                lane_no: lane.newest_no,
                since_ms: now_ms,
                body_sm3: sm3_hex_of(&body),
                body,
            };
            put_chunks(&mut batch, b'i', one.seq, &encode(&parcel));
            added.push((one.subject.to_owned(), one.seq));
        }
        for (subject, lane) in &lanes {
            put_lane(&mut batch, subject, lane);
        }
        let mark = Mark {
            next_seq: until,
            ..self.mark.clone()
        };
        batch.put(MARK, encode(&mark));
        self.store.commit(&batch)?;
        self.mark = mark;
        for (subject, lane) in lanes {
            self.queues.entry(subject).or_default().lane = lane;
        }
        for (subject, seq) in added {
            let queue = self.queues.entry(subject.clone()).or_default();
            if queue.waiting.is_empty() {
                self.heads.insert(seq, subject);
            }
            queue.waiting.push_back((seq, now_ms));
        }
        Ok(bad)
    }

    /// Up to `most` parcels from the heads (`is_deep`: and what waits behind them) of lanes that may send now and are not among `busy`, longest waiting first, each with how many
    /// attempts have failed or may have been made; and when the next lane may.
    pub fn ready(
        &self,
        most: usize,
        now_ms: i64,
        (busy, is_deep): (&BTreeSet<String>, bool),
    ) -> Result<(Vec<Tried>, Option<i64>), ExchangeError> {
        let mut ready = Vec::new();
        let mut wake: Option<i64> = None;
        for (seq, subject) in &self.heads {
            let room = most.saturating_sub(ready.len());
            if room == 0 {
                break;
            }
            let Some(queue) = self.queues.get(subject).filter(|_| !busy.contains(subject)) else {
                continue;
            };
            let may = match next(&queue.lane, true, now_ms) {
                Next::Send if queue.is_doubtful && now_ms < self.doubt_until_ms => {
                    Next::Wait(self.doubt_until_ms)
                }
                may => may,
            };
            match may {
                Next::Send => {
                    let attempts = queue.lane.attempts.max(u32::from(queue.is_doubtful));
                    let depth = if is_deep { room } else { 1 };
                    debug_assert_eq!(queue.waiting.front().map(|(seq, _)| *seq), Some(*seq));
                    for (seq, _) in queue.waiting.iter().take(depth) {
                        ready.push((self.parcel(*seq)?, attempts));
                    }
                }
                Next::Wait(at) => wake = Some(wake.map_or(at, |known| known.min(at))),
                Next::Idle | Next::Parked => {}
            }
        }
        Ok((ready, wake))
    }

    fn parcel(&self, seq: u64) -> Result<Parcel, ExchangeError> {
        let mut prefix = vec![b'i'];
        prefix.extend_from_slice(&seq.to_be_bytes());
        let mut bytes = Vec::new();
        self.store.scan(&prefix, &mut |_, value| {
            bytes.extend_from_slice(value);
            Ok(())
        })?;
        Ok(parcel_of(seq, &bytes)?)
    }

    /// Writes down what came of attempts, all in one commit.
    pub fn settle(
        &mut self,
        attempts: &[(Parcel, Outcome)],
        now_ms: i64,
    ) -> Result<(), ExchangeError> {
        let mut batch = Batch::new();
        let mut mark = self.mark.clone();
        let mut lanes: BTreeMap<&str, (Lane, usize)> = BTreeMap::new();
        // Behind one that is not done nothing of its subject counts.
        let mut stopped = BTreeSet::new();
        for (parcel, outcome) in attempts {
            let subject = parcel.subject.as_str();
            let Some(queue) = self.queues.get(subject) else {
                continue;
            };
            if stopped.contains(subject) {
                continue;
            }
            let (before, done) = lanes
                .get(subject)
                .cloned()
                .unwrap_or_else(|| (queue.lane.clone(), 0));
            let (lane, is_done) = super::lane::after(&before, &parcel.id, outcome, now_ms);
            if let (true, Outcome::Accepted(receipt)) = (is_done, outcome) {
                delete_chunks(&mut batch, self.store.as_ref(), b'i', parcel.seq)?;
                file(&mut batch, &mut mark, parcel, receipt, now_ms);
            } else {
                stopped.insert(subject);
            }
            lanes.insert(subject, (lane, done + usize::from(is_done)));
        }
        for (subject, (lane, _)) in &lanes {
            put_lane(&mut batch, subject, lane);
        }
        batch.put(MARK, encode(&mark));
        self.store.commit(&batch)?;
        self.mark = mark;
        for (subject, (lane, done)) in lanes {
            if let Some(queue) = self.queues.get_mut(subject) {
                queue.lane = lane;
                queue.is_doubtful = false;
                for (seq, _) in queue.waiting.drain(..done) {
                    self.heads.remove(&seq);
                }
                let head = queue.waiting.front().map(|(seq, _)| *seq);
                self.heads.extend(head.map(|seq| (seq, subject.to_owned())));
            }
        }
        Ok(())
    }

    /// Parks a lane by hand, or lets a parked one go on. False when there is no such lane.
    pub fn set_parked(&mut self, subject: &str, why: Option<&str>) -> Result<bool, ExchangeError> {
        let Some(queue) = self.queues.get(subject) else {
            return Ok(false);
        };
        let lane = Lane {
            newest_no: queue.lane.newest_no,
            parked: why.map(str::to_owned),
            ..Lane::default()
        };
        let mut batch = Batch::new();
        put_lane(&mut batch, subject, &lane);
        self.store.commit(&batch)?;
        if let Some(queue) = self.queues.get_mut(subject) {
            queue.lane = lane;
        }
        Ok(true)
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let mut standing = Standing {
            receipts: self.mark.receipts,
            ..Standing::default()
        };
        for (subject, queue) in self
            .queues
            .iter()
            .filter(|(_, q)| !q.waiting.is_empty() || q.lane.parked.is_some())
        {
            standing.lanes += 1;
            standing.waiting += u64::try_from(queue.waiting.len()).unwrap_or(0);
            if let Some(reason) = &queue.lane.parked {
                standing.parked.push((subject.clone(), reason.clone()));
            }
            let since = queue.waiting.front().map(|(_, at)| *at);
            standing.oldest_ms = match (standing.oldest_ms, since) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        standing
    }

    /// Ids and body hashes of all that waits: the far end may hold them already, with the answer lost.
    pub fn waiting(&self) -> Result<Vec<(String, String)>, ExchangeError> {
        let mut all = Vec::new();
        read_chunks(self.store.as_ref(), b'i', &mut |seq, bytes| {
            let parcel = parcel_of(seq, &bytes)?;
            all.push((parcel.id, parcel.body_sm3));
            Ok(())
        })?;
        Ok(all)
    }

    /// All receipts in order, each checked against the chain; the error names the first that does not fit.
    pub fn receipts(&self) -> Result<Vec<Filed>, ExchangeError> {
        let mut all: Vec<Filed> = Vec::new();
        let mut chain = "0".repeat(64);
        read_chunks(self.store.as_ref(), b'p', &mut |number, bytes| {
            let key = number.to_string();
            let filed: Filed = postcard::from_bytes(&bytes).map_err(|_| {
                StoreError::damaged(key.as_bytes(), "a receipt that cannot be read")
            })?;
            if filed.prev != chain || filed.hash != filed.sum() {
                let what =
                    "a receipt that breaks the chain: it was changed, or one before it is gone";
                return Err(StoreError::damaged(key.as_bytes(), what));
            }
            chain.clone_from(&filed.hash);
            all.push(filed);
            Ok(())
        })?;
        if chain != self.mark.chain {
            let what = "the chain of receipts ends elsewhere than it should: the last are gone";
            return Err(StoreError::damaged(MARK, what).into());
        }
        Ok(all)
    }
}

fn file(batch: &mut Batch, mark: &mut Mark, parcel: &Parcel, receipt: &Receipt, now_ms: i64) {
    let mut filed = Filed {
        id: parcel.id.clone(),
        subject: parcel.subject.clone(),
        lane_no: parcel.lane_no,
        body_sm3: parcel.body_sm3.clone(),
        at_ms: now_ms,
        receipt: receipt.clone(),
        prev: mark.chain.clone(),
        hash: String::new(),
    };
    filed.seal();
    mark.receipts += 1;
    mark.chain.clone_from(&filed.hash);
    put_chunks(batch, b'p', mark.receipts, &encode(&filed));
}

fn put_lane(batch: &mut Batch, subject: &str, lane: &Lane) {
    let hash = sm3_hex(&[subject.as_bytes()]);
    let key = format!("l{}", hash.get(..32).unwrap_or_default());
    batch.put(key.into_bytes(), encode(&(subject, lane)));
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).unwrap_or_default()
}

fn parcel_of(seq: u64, bytes: &[u8]) -> Result<Parcel, StoreError> {
    postcard::from_bytes(bytes).map_err(|_| {
        StoreError::damaged(seq.to_string().as_bytes(), "a parcel that cannot be read")
    })
}

fn sm3_hex_of(bytes: &[u8]) -> String {
    use sm3::{Digest, Sm3};
    crate::engine::hash::hex(&Sm3::digest(bytes))
}
