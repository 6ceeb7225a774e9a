//! Kills a process that commits to the disk store, again and again, and looks at what is left.
//!
//! The child is this test binary itself, started for [`child`] only. It opens the store, checks that the last batch is
//! whole, says `open <n>`, and then commits numbered batches, saying `ack <n>` after each. The parent kills it with
//! SIGKILL at seeded moments: half of them by time from the start, so that opening and checking are hit too, half
//! after a number of acknowledgements. The next child must find the last acknowledged batch, or at most the one after
//! it.
//!
//! count    `FENGHUO_KILLS`, else 15; `FENGHUO_KILL_SEED`, else 1

use fenghuo::runtime::store::{Batch, DiskStore, Store};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

const DIRECTORY: &str = "FENGHUO_KILL_DIRECTORY";
/// Slots that are written over, and entries that live for this many batches.
const SLOTS: u64 = 64;
/// The longest time from start to kill.
const KILL_AFTER_US_MAX: u64 = 60_000;
/// A child that says nothing for this long hangs.
const SILENCE: Duration = Duration::from_mins(1);

/// Batch `n` writes its number to the head, to four slots, and to an entry of its own whose length varies; it deletes
/// the entry of batch `n - SLOTS`.
fn numbered(n: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put(*b"head", n.to_be_bytes());
    for slot in 0..4 {
        let key = [b"s/".as_slice(), &((n * 4 + slot) % SLOTS).to_be_bytes()].concat();
        batch.put(key, n.to_be_bytes().repeat(40));
    }
    let length = 1 + usize::try_from(n * 7_919 % 500).unwrap();
    batch.put(own_key(n), n.to_be_bytes().repeat(length));
    if n > SLOTS {
        batch.delete(own_key(n - SLOTS));
    }
    batch
}

fn own_key(n: u64) -> Vec<u8> {
    [b"e/".as_slice(), &n.to_be_bytes()].concat()
}

/// The number of the last batch, which has to be there as a whole, like all before it that still show.
fn last_whole(store: &DiskStore) -> u64 {
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes[..8].try_into().unwrap());
    let last = store
        .get(b"head")
        .unwrap()
        .map_or(0, |value| number(&value));
    let mut expected = fenghuo::runtime::store::MemoryStore::default();
    for n in last.saturating_sub(2 * SLOTS).max(1)..=last {
        expected.commit(&numbered(n)).unwrap();
    }
    for n in 1..=last.saturating_sub(SLOTS) {
        let mut gone = Batch::new();
        gone.delete(own_key(n));
        expected.commit(&gone).unwrap();
    }
    assert_eq!(store.ledger(), expected.ledger(), "after batch {last}");
    last
}

/// Not a test of its own: what the parent starts.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let mut store = DiskStore::open(Path::new(&directory)).unwrap();
    let mut last = last_whole(&store);
    say(&format!("open {last}"));
    loop {
        last += 1;
        store.commit(&numbered(last)).unwrap();
        say(&format!("ack {last}"));
    }
}

/// A line of its own, after whatever the test harness has left on this one.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "\n{text}\n")
        .and_then(|()| stdout.flush())
        .unwrap();
}

fn start(directory: &Path) -> (Child, Receiver<(String, u64)>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::child", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, said) = mpsc::sync_channel(1_000);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some((word @ ("open" | "ack"), number)) = line.split_once(' ') {
                // The last line may be cut by the kill; a number that was cut is smaller, never larger.
                let Ok(number) = number.parse() else { continue };
                let _ = sender.send((word.to_owned(), number));
            }
        }
    });
    (child, said)
}

/// What one child said before it was killed.
#[derive(Debug, Default)]
struct Heard {
    opened: Option<u64>,
    acknowledged: u64,
}

impl Heard {
    fn note(&mut self, (word, number): (String, u64)) {
        if word == "open" {
            self.opened = Some(number);
        } else {
            self.acknowledged = self.acknowledged.max(number);
        }
    }
}

/// Starts a child, kills it at a moment that `random` chooses, and returns what it said.
fn start_and_kill(directory: &Path, random: &mut ChaCha8Rng) -> Heard {
    let (mut child, said) = start(directory);
    let mut heard = Heard::default();
    if random.next_u32().is_multiple_of(2) {
        let after = Duration::from_micros(random.next_u64() % KILL_AFTER_US_MAX);
        // Nothing is sent on this channel: it is a wait with an end.
        let (_keep_open, never) = mpsc::channel::<()>();
        assert_eq!(never.recv_timeout(after), Err(RecvTimeoutError::Timeout));
    } else {
        for _ in 0..=random.next_u32() % 40 {
            let line = said.recv_timeout(SILENCE);
            heard.note(line.expect("the child ended by itself or hangs, see its output"));
        }
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    // Killed, so without an exit code; a child that ends by itself has found something wrong.
    assert_eq!(status.code(), None, "see the child's output");
    for line in said {
        heard.note(line);
    }
    heard
}

fn assert_follows(found: u64, acknowledged: u64, kill: u64) {
    assert!(
        found == acknowledged || found == acknowledged + 1,
        "kill {kill}: found {found}, acknowledged {acknowledged}"
    );
}

fn number_from(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn no_acknowledged_batch_is_lost_or_torn_by_kills() {
    let kills = number_from("FENGHUO_KILLS", 15);
    let mut random = ChaCha8Rng::seed_from_u64(number_from("FENGHUO_KILL_SEED", 1));
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("state");
    let mut acknowledged = 0;
    let mut opened = 0;
    for kill in 0..kills {
        let heard = start_and_kill(&store, &mut random);
        if let Some(found) = heard.opened {
            opened += 1;
            assert_follows(found, acknowledged, kill);
            acknowledged = found;
        }
        acknowledged = acknowledged.max(heard.acknowledged);
    }
    let last = DiskStore::open(&store).unwrap();
    let found = last_whole(&last);
    assert_follows(found, acknowledged, kills);
    assert!(
        kills < 10 || (opened > 2 && found > 10),
        "the kills hit nothing"
    );
}
