//! Standing by: a process follows the state logs of partitions that others own, so that it can take over at once.
//!
//! A follower reads what the log gets into the cache that it would own the partition with; at a take-over only the last
//! records are still to be read. It claims nothing and writes nothing. Which partitions it follows is worked out from the
//! members of the group ([`crate::engine::owner::standbys`]), looked at every [`LOOK_US`].
//!
//! What a follower holds, a cache that is read up and a log with a producer that was let in, goes to the work that takes the
//! partition over.
//!
//! bounds   one thread, one reader, one producer and one cache on disk a partition that is followed
//! errors   a follower that cannot go on says so and ends; the partition is then taken over more slowly, nothing else

use super::log::Log;
use super::member::Member;
use super::store::Cache;
use super::switchboard::Switchboard;
use super::topic::TopicLog;
use crate::engine::owner::standbys;
use crate::runtime::clock::Stopwatch;
use crate::runtime::config::cluster::ClusterConfig;
use crate::runtime::kafka::Settings;
use crate::runtime::metrics::ClusterMetrics;
use crate::runtime::store::StoreError;
use prometheus::IntGauge;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope as Threads, ScopedJoinHandle};
use std::time::Duration;

/// How often the members of the group are looked at, µs.
const LOOK_US: u64 = 5_000_000;
/// How long a follower rests when it has read everything.
const REST: Duration = Duration::from_millis(250);
/// How long a follower rests when the broker is away.
const AWAY: Duration = Duration::from_secs(2);

/// What followers need to know.
pub(super) struct Followers<'f> {
    pub cluster: &'f ClusterConfig,
    pub settings: &'f Settings,
    pub partitions: u32,
    pub metrics: &'f ClusterMetrics,
    /// Is told who has what.
    pub board: &'f Switchboard,
    /// Where the cache of a partition is.
    pub directory: &'f (dyn Fn(u32) -> PathBuf + Sync),
}

/// What taking a partition over needs.
pub(super) struct Ready {
    pub log: TopicLog,
    pub cache: Cache,
}

/// A follower still has the cache of the partition.
pub(super) struct Busy;

/// A thread that follows a log.
struct Follower<'t> {
    stop: Arc<AtomicBool>,
    thread: ScopedJoinHandle<'t, Option<Ready>>,
}

impl Follower<'_> {
    fn end(&self) {
        if !self.stop.swap(true, Ordering::AcqRel) {
            self.thread.thread().unpark();
        }
    }
}

/// The followers of a process.
pub(super) struct Standing<'t> {
    following: BTreeMap<u32, Follower<'t>>,
    looked: Option<Stopwatch>,
    wanted: BTreeSet<u32>,
}

impl<'t> Standing<'t> {
    pub(super) fn new() -> Self {
        Self {
            following: BTreeMap::new(),
            looked: None,
            wanted: BTreeSet::new(),
        }
    }

    /// Follows what this process shall follow now and lets go of what it owns; asked before a partition is taken over.
    pub(super) fn look(
        &mut self,
        followers: &'t Followers<'t>,
        (member, mine): (&Member, &BTreeSet<u32>),
        threads: &'t Threads<'t, '_>,
    ) {
        let count = followers.cluster.standby;
        if self
            .looked
            .is_none_or(|looked| LOOK_US < looked.elapsed_us())
        {
            self.looked = Some(Stopwatch::start());
            if let Some(owners) = member.members() {
                let me = followers.cluster.instance.as_str();
                self.wanted = standbys(&owners, me, (count, followers.partitions));
                followers.board.note(owners);
            }
        }
        let wanted: BTreeSet<u32> = self.wanted.difference(mine).copied().collect();
        for (partition, follower) in &self.following {
            if !wanted.contains(partition) {
                follower.end();
            }
        }
        // What this process shall own is fetched by who takes it over.
        self.following.retain(|partition, f| {
            mine.contains(partition) || !f.thread.is_finished() || !f.stop.load(Ordering::Acquire)
        });
        for partition in wanted {
            // One that could not go on is not tried again before somebody has looked.
            self.following.entry(partition).or_insert_with(|| {
                let stop = Arc::new(AtomicBool::new(false));
                let told = Arc::clone(&stop);
                let thread = threads.spawn(move || follow(followers, partition, &told));
                Follower { stop, thread }
            });
        }
    }

    /// What the follower of a partition has got, if there was one.
    pub(super) fn take(&mut self, partition: u32) -> Result<Option<Ready>, Busy> {
        match self.following.get(&partition) {
            None => return Ok(None),
            Some(follower) if !follower.thread.is_finished() => return Err(Busy),
            Some(_) => {}
        }
        let ended = self.following.remove(&partition);
        let ready = ended.map(|follower| follower.thread.join());
        match ready.transpose() {
            Ok(ready) => Ok(ready.flatten()),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Standing<'_> {
    /// Tells all to end, however the work of the process ends; its threads are waited for by their scope.
    fn drop(&mut self) {
        for follower in self.following.values() {
            follower.end();
        }
    }
}

/// Counts itself as long as it is there.
pub(super) struct Counted<'g>(&'g IntGauge);

impl<'g> Counted<'g> {
    pub(super) fn new(gauge: &'g IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn follow(followers: &Followers<'_>, partition: u32, stop: &Arc<AtomicBool>) -> Option<Ready> {
    while !stop.load(Ordering::Acquire) {
        match try_follow(followers, partition, stop) {
            Ok(ready) => return Some(ready),
            Err(StoreError::Log { what }) => {
                tracing::warn!(partition, what, "the state log cannot be followed now");
                std::thread::park_timeout(AWAY);
            }
            Err(error) => {
                tracing::error!(partition, %error, "this process does not stand by for the partition any more");
                return None;
            }
        }
    }
    None
}

fn try_follow(
    followers: &Followers<'_>,
    partition: u32,
    stop: &Arc<AtomicBool>,
) -> Result<Ready, StoreError> {
    let topic = followers.cluster.state_topic();
    let mut log = TopicLog::new(followers.settings, (&topic, partition), Arc::clone(stop))?;
    let cache = Cache::open(&(followers.directory)(partition), followers.partitions)?;
    let mut cache = cache.shown_by(followers.metrics.behind(partition));
    let _followed = Counted::new(&followers.metrics.followed);
    let mut is_told = false;
    while !stop.load(Ordering::Acquire) {
        let (_, end) = log.bounds()?;
        if cache.position().next < end {
            let (caught, _) = cache.catch_up(&mut log)?;
            cache = caught;
        } else {
            if !core::mem::replace(&mut is_told, true) {
                log.prepare()?;
                tracing::info!(partition, next = end, "followed to the end");
            }
            std::thread::park_timeout(REST);
        }
    }
    Ok(Ready { log, cache })
}
