//! Sees that rules have changed on disk, or that SIGHUP came, and takes them up.
//!
//! Editors write a file in several steps, and a person changes several files; so the rules are read when nothing has changed
//! for [`QUIET_MS`]. The system says when files change (inotify on Linux); a watch that cannot be set is logged, and the
//! rules are then taken up by SIGHUP or by `POST /api/v1/rules/reload`.
//!
//! Every attempt is written to the audit log, as `system`.

use super::super::http::behind::{AuditEntry, AuditSink};
use super::reload::Reloader;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long nothing may have changed before the rules are read, ms.
const QUIET_MS: u64 = 300;

/// Why the rules are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Files,
    Signal,
}

/// Keeps the watch; it ends when this is dropped.
#[derive(Debug)]
pub struct Watching {
    _watcher: Option<RecommendedWatcher>,
}

/// Begins to watch.
pub fn watch(reloader: Arc<Reloader>, audit: Arc<dyn AuditSink>) -> Watching {
    let (sender, receiver) = channel();
    on_hangup(sender.clone());
    let watcher = if reloader.place().is_watched {
        set(reloader.place().path(), sender)
    } else {
        None
    };
    std::thread::spawn(move || follow(&reloader, audit.as_ref(), &receiver));
    Watching { _watcher: watcher }
}

fn set(path: &Path, sender: Sender<Cause>) -> Option<RecommendedWatcher> {
    // Of a file its folder is watched: a new version comes by renaming over the old.
    let dir = if path.is_dir() {
        path
    } else {
        path.parent().filter(|dir| !dir.as_os_str().is_empty())?
    };
    let told = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|p| counts(p)))
        {
            // The follower may have ended.
            let _ = sender.send(Cause::Files);
        }
    };
    let set = notify::recommended_watcher(told).and_then(|mut watcher| {
        watcher.watch(dir, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    match set {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            let dir = dir.display().to_string();
            tracing::error!(
                dir,
                %error,
                "the rules are not watched; take changes up with SIGHUP or POST /api/v1/rules/reload"
            );
            None
        }
    }
}

/// Whether a change of this file can change the rules; editors' own files begin with a dot.
fn counts(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ending = Path::new(name.as_ref()).extension();
    !name.starts_with('.')
        && ending.is_none_or(|e| ["rhai", "toml", "fhb"].iter().any(|known| e == *known))
}

fn follow(reloader: &Reloader, audit: &dyn AuditSink, causes: &Receiver<Cause>) {
    while let Ok(mut cause) = causes.recv() {
        loop {
            match causes.recv_timeout(Duration::from_millis(QUIET_MS)) {
                Ok(next) => cause = next,
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        let object = match cause {
            Cause::Files => "files changed",
            Cause::Signal => "SIGHUP",
        };
        let result = match reloader.reload() {
            Ok(hash) => format!("done {hash}"),
            Err(why) => format!("refused {why}"),
        };
        let entry = AuditEntry {
            actor: "system",
            role: "system",
            action: "rules.reload",
            object,
            result: &result,
        };
        if let Err(error) = audit.append(&entry) {
            tracing::error!(%error, "a reload of rules could not be written to the audit log");
        }
    }
}

/// Hears SIGHUP from when this returns on; before, the signal would end the process.
#[cfg(unix)]
fn on_hangup(sender: Sender<Cause>) {
    let (ready, is_ready) = channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let Ok(mut hangup) = signal(SignalKind::hangup()) else {
                return;
            };
            drop(ready);
            while hangup.recv().await.is_some() {
                if sender.send(Cause::Signal).is_err() {
                    return;
                }
            }
        });
    });
    // Nothing is sent: it ends when the other side is dropped, ready or not.
    let _ = is_ready.recv();
}

#[cfg(not(unix))]
fn on_hangup(_sender: Sender<Cause>) {}
