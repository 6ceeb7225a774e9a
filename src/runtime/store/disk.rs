//! The store on disk: sled 0.34.7, with what it needs to keep its word.
//!
//! Opening goes in this order: our own lock; sweep what a kill has left half-made; refuse what is not safe; sled; sync
//! of files and directory; full check. A commit is one sled batch, `flush`, and our own `fdatasync`.
//!
//! shape    one sled tree; every value in the envelope of [`codec`]; the [`Ledger`] under a reserved key in each batch
//! files    `lock` (ours, holds a process id), the notes of `runtime::attempt`, `resting` of `runtime::spill` (for a moment), and sled's: `conf`, `db`, `snap.*`, `blobs/`
//! cost     see `benches/commit.rs`; the check on opening reads everything at several hundred MB a second
//! why      sled's `flush` calls `sync_file_range`, which promises nothing: alone it lost acknowledged data in 20 of 25
//!          power cuts, with our `fdatasync` in 0 of 225 (spacejam/sled#1452). A `snap.*.generating` left by a kill
//!          makes sled unopenable (#1533); finished snapshots must stay, without one damage goes unseen. After an I/O
//!          error sled's memory is ahead of the disk, so the first fault is final

use super::{
    Batch, IMPORTING_KEY, LEDGER_KEY, Ledger, RESERVED, Store, StoreError, VerifyReport, Visit,
    codec,
};
use std::any::Any;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

/// How often a store that this process has just closed is tried again, [`RETRY_MS`] apart: sled's own threads may
/// hold its file a little longer.
const RETRIES_MAX: usize = 100;
const RETRY_MS: u64 = 20;

/// How to open a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskOptions {
    /// Sled's cache of pages, in bytes.
    pub cache_bytes: u64,
    /// Whether to check every entry before the first use.
    pub verify: bool,
}

impl Default for DiskOptions {
    /// 64 MiB, checked.
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            verify: true,
        }
    }
}

/// A directory that holds a store. The process that has it is the only one.
pub struct DiskStore {
    db: sled::Db,
    /// Our own descriptor of sled's log, for `fdatasync`.
    log: File,
    directory: PathBuf,
    ledger: Ledger,
    fault: OnceLock<StoreError>,
    /// Held until everything above is gone.
    _lock: File,
}

impl std::fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskStore")
            .field("directory", &self.directory)
            .field("ledger", &self.ledger)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl DiskStore {
    /// Opens the store in a directory, which is made if it is not there.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(directory, DiskOptions::default())
    }

    /// Opens the store as `options` say.
    pub fn open_with(
        directory: impl AsRef<Path>,
        options: DiskOptions,
    ) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        create_directory(directory)?;
        let lock = lock(directory)?;
        sweep(directory)?;
        refuse_blobs(directory)?;
        let db = guarded("open", || open_sled(directory, options))?;
        let log = sync_files(directory)?;
        let mut store = Self {
            db,
            log,
            directory: directory.to_path_buf(),
            ledger: Ledger::default(),
            fault: OnceLock::new(),
            _lock: lock,
        };
        store.ledger = store.kept_ledger()?;
        if store.read(IMPORTING_KEY)?.is_some() {
            let directory = store.directory.clone();
            return Err(StoreError::HalfImported { directory });
        }
        if options.verify {
            store.verify()?;
        }
        Ok(store)
    }

    /// The directory it lives in.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the last commit says of itself. A store without it must be empty.
    fn kept_ledger(&self) -> Result<Ledger, StoreError> {
        match self.read(LEDGER_KEY)? {
            Some(bytes) => Ledger::from_bytes(&bytes)
                .ok_or_else(|| StoreError::damaged(LEDGER_KEY, "not a ledger")),
            None if self.db.is_empty() => Ok(Ledger::default()),
            None => Err(StoreError::damaged(LEDGER_KEY, "missing")),
        }
    }

    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        guarded("read", || {
            let Some(stored) = self.db.get(key).map_err(engine("read"))? else {
                return Ok(None);
            };
            codec::open(key, &stored).map(|payload| Some(payload.to_vec()))
        })
    }

    fn write(&self, batch: &Batch) -> Result<Ledger, StoreError> {
        let ledger = self.ledger.after(batch, |key| self.read(key))?;
        let mut changes = sled::Batch::default();
        for (key, value) in batch.changes() {
            match value {
                Some(value) => changes.insert(key, codec::seal(key, value)),
                None => changes.remove(key),
            }
        }
        changes.insert(LEDGER_KEY, codec::seal(LEDGER_KEY, &ledger.to_bytes()));
        guarded("commit", || {
            self.db.apply_batch(changes).map_err(engine("commit"))?;
            self.db.flush().map_err(engine("flush"))?;
            Ok(())
        })?;
        let path = self.directory.join("db");
        self.log.sync_data().map_err(failed("sync", &path))?;
        Ok(ledger)
    }

    fn count(&self) -> Result<Ledger, StoreError> {
        let mut found = Ledger::default();
        self.visit(b"", &mut |key, value| {
            found.add(key, value);
            Ok(())
        })
        .map_err(|(error, _)| error)?;
        Ok(found)
    }

    /// A scan whose error says whether it was the visitor's own.
    fn visit(&self, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), (StoreError, bool)> {
        let mut entries = self.db.scan_prefix(prefix);
        loop {
            let entry = guarded("scan", || {
                entries.next().transpose().map_err(engine("scan"))
            });
            let Some((key, stored)) = entry.map_err(|error| (error, false))? else {
                return Ok(());
            };
            if key.first() != Some(&RESERVED) {
                let payload = codec::open(&key, &stored).map_err(|error| (error, false))?;
                each(&key, payload).map_err(|error| (error, true))?;
            }
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        self.fault.get().map_or(Ok(()), |fault| Err(fault.clone()))
    }

    /// Keeps the first fault.
    fn poison<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|fault| {
            self.fault.get_or_init(|| fault.clone());
        })
    }
}

impl Store for DiskStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check()?;
        self.poison(self.read(key))
    }

    fn scan(&self, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.check()?;
        match self.visit(prefix, each) {
            Ok(()) => Ok(()),
            Err((error, true)) => Err(error),
            Err((error, false)) => self.poison(Err(error)),
        }
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.check()?;
        if batch.is_empty() {
            return Ok(());
        }
        self.ledger = self.poison(self.write(batch))?;
        Ok(())
    }

    fn ledger(&self) -> Ledger {
        self.ledger
    }

    fn verify(&self) -> Result<VerifyReport, StoreError> {
        self.check()?;
        let kept = self.poison(self.kept_ledger())?;
        let found = self.poison(self.count())?;
        if kept == found && kept == self.ledger {
            Ok(VerifyReport { ledger: found })
        } else {
            self.poison(Err(StoreError::Unbalanced { kept, found }))
        }
    }

    fn size_bytes(&self) -> u64 {
        self.log.metadata().map_or(0, |metadata| metadata.len())
    }
}

/// Makes the directory and its way there durable.
fn create_directory(directory: &Path) -> Result<(), StoreError> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(failed("create", directory))?;
    let parents = directory.ancestors().skip(1);
    for parent in parents.filter(|parent| !parent.as_os_str().is_empty()) {
        // A directory above that this user may not read was there before.
        if sync_directory(parent).is_err() {
            break;
        }
    }
    Ok(())
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&path).map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The name of the holder is a courtesy; without it the message still says what to do.
            let holder = file.read_to_string(&mut text).ok().map(|_| text.trim());
            let holder = holder.filter(|id| !id.is_empty()).map(str::to_owned);
            let directory = directory.to_path_buf();
            return Err(StoreError::Locked { directory, holder });
        }
        Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
    }
    let id = format!("{}\n", std::process::id());
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(id.as_bytes()))
        .map_err(failed("write", &path))?;
    Ok(file)
}

/// Deletes what a kill during start-up has left: snapshots that were never finished, and a `conf` without `db`, which
/// sled writes first and may have written in part.
fn sweep(directory: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(directory).map_err(failed("list", directory))? {
        let path = entry.map_err(failed("list", directory))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(&path).map_err(failed("delete", &path))?;
        }
    }
    let conf = directory.join("conf");
    if conf.exists() && !directory.join("db").exists() {
        fs::remove_file(&conf).map_err(failed("delete", &conf))?;
    }
    sync_directory(directory)
}

fn refuse_blobs(directory: &Path) -> Result<(), StoreError> {
    let blobs = directory.join("blobs");
    if !blobs.is_dir() {
        return Ok(());
    }
    let count = fs::read_dir(&blobs)
        .map_err(failed("list", &blobs))?
        .count();
    if count == 0 {
        Ok(())
    } else {
        let directory = directory.to_path_buf();
        Err(StoreError::Blobs { directory, count })
    }
}

fn open_sled(directory: &Path, options: DiskOptions) -> Result<sled::Db, StoreError> {
    let config = sled::Config::new()
        .path(directory)
        .cache_capacity(options.cache_bytes)
        .flush_every_ms(None);
    // We hold the directory's lock, so only threads of this process can still have sled's. Nothing is ever sent here:
    // it is a wait with an end.
    let (_keep_open, never) = mpsc::channel::<()>();
    for _ in 0..RETRIES_MAX {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                let _: Result<(), _> = never.recv_timeout(Duration::from_millis(RETRY_MS));
            }
            opened => return opened.map_err(engine("open")),
        }
    }
    config.open().map_err(engine("open"))
}

/// Syncs every file that sled has made and the directory's entries; gives our descriptor of its log.
fn sync_files(directory: &Path) -> Result<File, StoreError> {
    for entry in fs::read_dir(directory).map_err(failed("list", directory))? {
        let path = entry.map_err(failed("list", directory))?.path();
        let file = File::open(&path).map_err(failed("open", &path))?;
        file.sync_all().map_err(failed("sync", &path))?;
    }
    sync_directory(directory)?;
    let path = directory.join("db");
    File::open(&path).map_err(failed("open", &path))
}

fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(failed("sync", directory))
}

/// Runs sled, which panics on some damaged files (38 of 100 truncated ones) where it should return an error.
fn guarded<T>(
    doing: &'static str,
    call: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let message = panic_text(panic.as_ref());
        Err(StoreError::Panicked { doing, message })
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message").to_owned()
}

fn engine(doing: &'static str) -> impl FnOnce(sled::Error) -> StoreError {
    move |source| StoreError::Engine {
        doing,
        source: Arc::new(source),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io {
        doing,
        path: path.to_path_buf(),
        source: Arc::new(source),
    }
}

#[cfg(test)]
mod tests;
