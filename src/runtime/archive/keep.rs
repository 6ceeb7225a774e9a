//! The archive of a running engine: every event that was applied, once, whatever stops the process.
//!
//! A batch's events are appended to `tail.log` and made durable *before* the store's commit, and put into files after it.
//! So the archive is never behind the store. At a start the tail is cut back to the inputs that the store has, because those
//! after them come again; the rest goes into files at once. Files are written when the day of arrival passes, when
//! [`ROWS_MAX`] events wait, and at an orderly end.
//!
//! shape    a tail entry: length (u32 LE), CRC-32C (u32 LE), postcard of (number, event)
//! cost     one append and `fdatasync` a commit; events of the open day stay in memory until they are in a file
//! errors   [`ArchiveError`], which ends the process like a fault of the store

use super::columns::{ROWS_MAX, Row};
use super::{ArchiveError, fault, write};
use crate::engine::event::Event;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const TAIL: &str = "tail.log";

/// See the module.
#[derive(Debug)]
pub struct Keep {
    dir: PathBuf,
    tail: File,
    open: Vec<Row>,
}

impl Keep {
    /// Goes on with the archive of a store that has the inputs up to `seq`.
    pub fn open(dir: &Path, seq: u64) -> Result<Self, ArchiveError> {
        std::fs::create_dir_all(dir).map_err(fault("create", dir))?;
        let path = dir.join(TAIL);
        let mut bytes = Vec::new();
        let mut tail = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(fault("open", &path))?;
        tail.read_to_end(&mut bytes).map_err(fault("read", &path))?;
        let open = entries(&bytes)
            .into_iter()
            .filter(|(number, _)| *number <= seq)
            .collect();
        let mut keep = Self {
            dir: dir.to_owned(),
            tail,
            open,
        };
        // If the process died while files were written, the same files are written again under the same names.
        keep.close()?;
        Ok(keep)
    }

    /// Makes a batch's events durable, before the store's commit.
    pub fn append(&mut self, rows: &[Row]) -> Result<(), ArchiveError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.put(rows)?;
        self.open.extend(rows.iter().cloned());
        Ok(())
    }

    /// Puts what is complete into files, after the store's commit.
    pub fn settle(&mut self) -> Result<(), ArchiveError> {
        let day = |row: Option<&Row>| row.map(|(_, event)| event.arrived_at.day());
        let passed = day(self.open.first()) < day(self.open.last());
        if passed || ROWS_MAX <= self.open.len() {
            return self.close();
        }
        Ok(())
    }

    /// Puts everything into files.
    pub fn close(&mut self) -> Result<(), ArchiveError> {
        write(&self.dir, &self.open)?;
        self.open.clear();
        self.rewrite()
    }

    fn put(&mut self, rows: &[Row]) -> Result<(), ArchiveError> {
        let path = self.dir.join(TAIL);
        let mut bytes = Vec::with_capacity(rows.len() * 256);
        for (number, event) in rows {
            let body = postcard::to_stdvec(&(*number, event.as_ref())).unwrap_or_default();
            let len = u32::try_from(body.len()).unwrap_or(0);
            bytes.extend(len.to_le_bytes());
            bytes.extend(crc32c::crc32c(&body).to_le_bytes());
            bytes.extend(body);
        }
        self.tail.write_all(&bytes).map_err(fault("write", &path))?;
        self.tail.sync_data().map_err(fault("make durable", &path))
    }

    /// Makes the tail hold what is open and nothing else.
    fn rewrite(&mut self) -> Result<(), ArchiveError> {
        let path = self.dir.join(TAIL);
        self.tail.set_len(0).map_err(fault("cut", &path))?;
        let open = core::mem::take(&mut self.open);
        let put = self.put(&open);
        self.open = open;
        put
    }
}

/// The entries of a tail, up to the first that is cut short or damaged.
fn entries(mut bytes: &[u8]) -> Vec<Row> {
    let mut rows = Vec::new();
    while let Some((row, rest)) = entry(bytes) {
        rows.push(row);
        bytes = rest;
    }
    rows
}

fn entry(bytes: &[u8]) -> Option<(Row, &[u8])> {
    let (head, rest) = bytes.split_at_checked(8)?;
    let (len, crc) = head.split_at_checked(4)?;
    let len = usize::try_from(u32::from_le_bytes(len.try_into().ok()?)).ok()?;
    let crc = u32::from_le_bytes(crc.try_into().ok()?);
    let (body, rest) = rest.split_at_checked(len)?;
    if crc32c::crc32c(body) != crc {
        return None;
    }
    let (number, event): (u64, Event) = postcard::from_bytes(body).ok()?;
    Some(((number, Arc::new(event)), rest))
}
