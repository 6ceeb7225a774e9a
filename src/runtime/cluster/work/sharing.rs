//! Which partitions a process works on: those that the group gives it, one thread each, until the group takes them back or another
//! process owns them.
//!
//! bounds   a partition that was lost is left alone for [`PATIENCE_US`] and a little more
//! errors   what another process took over, and a broker that is away, are none: the partition is tried again

use super::super::member::{Group, Member};
use super::super::standby::{Followers, Ready, Standing};
use super::super::terms::ClusterError;
use super::{Done, Process};
use crate::runtime::clock::Stopwatch;
use crate::runtime::keeper::KeepError;
use crate::runtime::pipeline::PipelineError;
use crate::runtime::recover::RecoverError;
use crate::runtime::run::RunError;
use crate::runtime::store::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope as Threads, ScopedJoinHandle};

/// How long a partition that was lost is left alone, µs, for the process with the lowest number.
const PATIENCE_US: u64 = 500_000;

/// Works on a partition, with what a follower of it has got, until it shall stop.
type Work<'w> = dyn Fn(u32, Option<Ready>, &Arc<AtomicBool>) -> Done + Sync + 'w;

/// A stage: what is shared, and what is done with a partition of it.
pub(super) struct Stage<'s> {
    pub(super) name: &'static str,
    pub(super) group: Group,
    pub(super) work: &'s Work<'s>,
    /// Followers of what others own, if the stage has any.
    pub(super) followers: Option<&'s Followers<'s>>,
}

struct Owned<'t> {
    stop: Arc<AtomicBool>,
    thread: ScopedJoinHandle<'t, Done>,
}

impl Process<'_> {
    /// Works on the partitions that the group gives to this process.
    pub(super) fn share(&self, stage: &Stage<'_>, stop: &AtomicBool) -> Result<(), ClusterError> {
        let mut member = Member::join(&self.settings, stage.group.clone())?;
        std::thread::scope(|threads| {
            let mut owned = BTreeMap::new();
            let done = self.share_until(stage, (&mut member, stop), threads, &mut owned);
            for one in owned.values() {
                one.stop.store(true, Ordering::Release);
            }
            for (partition, one) in owned {
                match one.thread.join() {
                    Ok(Err(cause)) if done.is_ok() && !is_passing(&cause) => {
                        return Err(failed(stage, partition, cause));
                    }
                    Ok(_) => {}
                    Err(_) => return Err(ClusterError::Gone),
                }
            }
            done
        })
    }

    fn share_until<'t>(
        &self,
        stage: &Stage<'t>,
        (member, stop): (&mut Member, &AtomicBool),
        threads: &'t Threads<'t, '_>,
        owned: &mut BTreeMap<u32, Owned<'t>>,
    ) -> Result<(), ClusterError> {
        let mut done: BTreeSet<u32> = BTreeSet::new();
        let mut resting: BTreeMap<u32, Stopwatch> = BTreeMap::new();
        let mut standing = Standing::new();
        while !stop.load(Ordering::Acquire) {
            let wished = member.poll()?;
            for (partition, one) in owned.iter() {
                if !wished.contains(partition) {
                    one.stop.store(true, Ordering::Release);
                }
            }
            self.gather(stage, owned, (&wished, &mut done, &mut resting))?;
            if self.until_end && !wished.is_empty() && wished.is_subset(&done) {
                return Ok(());
            }
            if let Some(followers) = stage.followers {
                let mine = wished.iter().chain(owned.keys()).copied().collect();
                standing.look(followers, (member, &mine), threads);
            }
            for partition in wished {
                let patience_us = PATIENCE_US + u64::from(self.session % 512) * 1_000;
                let rests = |rest: &Stopwatch| rest.elapsed_us() < patience_us;
                let is_free = !owned.contains_key(&partition) && !done.contains(&partition);
                if !is_free || resting.get(&partition).is_some_and(rests) {
                    continue;
                }
                let Ok(ready) = standing.take(partition) else {
                    continue;
                };
                let stop = Arc::new(AtomicBool::new(false));
                let (mine, work) = (Arc::clone(&stop), stage.work);
                let thread = threads.spawn(move || work(partition, ready, &mine));
                owned.insert(partition, Owned { stop, thread });
            }
        }
        Ok(())
    }

    /// Takes note of partitions whose work has ended.
    fn gather(
        &self,
        stage: &Stage<'_>,
        owned: &mut BTreeMap<u32, Owned<'_>>,
        (wished, done, resting): (
            &BTreeSet<u32>,
            &mut BTreeSet<u32>,
            &mut BTreeMap<u32, Stopwatch>,
        ),
    ) -> Result<(), ClusterError> {
        let ended: Vec<u32> = owned
            .iter()
            .filter(|(_, one)| one.thread.is_finished())
            .map(|(partition, _)| *partition)
            .collect();
        for partition in ended {
            let Some(one) = owned.remove(&partition) else {
                continue;
            };
            match one.thread.join().map_err(|_| ClusterError::Gone)? {
                Ok(()) if self.until_end && wished.contains(&partition) => {
                    done.insert(partition);
                }
                Ok(()) => {}
                Err(cause) if is_passing(&cause) => {
                    tracing::warn!(stage = stage.name, partition, error = %crate::runtime::logging::chain(&cause), "partition given up");
                    resting.insert(partition, Stopwatch::start());
                }
                Err(cause) => return Err(failed(stage, partition, cause)),
            }
        }
        Ok(())
    }
}

fn failed(stage: &Stage<'_>, partition: u32, cause: RunError) -> ClusterError {
    ClusterError::Run {
        stage: stage.name,
        partition,
        cause: Box::new(cause),
    }
}

/// Whether a later try may succeed: somebody else owns the partition, or the broker cannot be reached.
fn is_passing(error: &RunError) -> bool {
    match error {
        RunError::Recover(RecoverError::Store(error)) | RunError::Keep(KeepError::Store(error)) => {
            matches!(error, StoreError::Lost { .. } | StoreError::Log { .. })
        }
        RunError::Pipeline(PipelineError::Source(fault)) => fault.may_pass(),
        _ => false,
    }
}
