//! Standard input, read by a thread of its own so that the loop never waits for it.
//!
//! bounds   four blocks are read ahead; then the writer of the pipe waits

use super::BLOCK_BYTES;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

/// Blocks read ahead.
const AHEAD: usize = 4;

/// A reader that says `WouldBlock` instead of waiting.
#[derive(Debug)]
pub(super) struct Piped {
    blocks: Receiver<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
}

impl Piped {
    /// Standard input.
    pub(super) fn stdin() -> Self {
        Self::of(io::stdin())
    }

    /// Any reader.
    pub(super) fn of(mut reader: impl Read + Send + 'static) -> Self {
        let (sender, blocks) = sync_channel(AHEAD);
        std::thread::spawn(move || {
            loop {
                let mut block = vec![0; BLOCK_BYTES / AHEAD];
                match reader.read(&mut block) {
                    Ok(0) | Err(_) => return,
                    Ok(count) => {
                        block.truncate(count);
                        if sender.send(block).is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Self {
            blocks,
            current: Vec::new(),
            at: 0,
        }
    }
}

impl Read for Piped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() {
            match self.blocks.try_recv() {
                Ok(block) => (self.current, self.at) = (block, 0),
                Err(TryRecvError::Empty) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(TryRecvError::Disconnected) => return Ok(0),
            }
        }
        let mut rest = self.current.get(self.at..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.at += count;
        Ok(count)
    }
}
