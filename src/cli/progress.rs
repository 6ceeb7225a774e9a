//! Progress of long work: a bar on a terminal, a plain line now and then otherwise. Always on standard error.

use crate::runtime::clock::Stopwatch;
use crate::runtime::run::{Durable, Watch};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// Seconds between plain lines.
const LINE_SECONDS: f64 = 5.0;

/// See the module.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    plain: Mutex<Plain>,
    what: &'static str,
}

#[derive(Debug)]
struct Plain {
    done: u64,
    total: Option<u64>,
    told_at_seconds: f64,
    watch: Stopwatch,
}

impl Progress {
    /// Progress of `what`, towards a total if one is known.
    pub(super) fn new(what: &'static str, total: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            if let Some(total) = total {
                let template = "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} 剩余 {eta}";
                ProgressBar::new(total)
                    .with_style(style(template))
                    .with_message(what)
            } else {
                let template = "{spinner} {msg} {human_pos} {per_sec}";
                ProgressBar::new_spinner()
                    .with_style(style(template))
                    .with_message(what)
            }
        });
        let plain = Plain {
            done: 0,
            total,
            told_at_seconds: 0.0,
            watch: Stopwatch::start(),
        };
        Self {
            bar,
            plain: Mutex::new(plain),
            what,
        }
    }

    /// So much more is done.
    pub(super) fn add(&self, more: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(more);
            return;
        }
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        plain.done += more;
        let now = plain.watch.elapsed_seconds();
        if LINE_SECONDS <= now - plain.told_at_seconds {
            plain.told_at_seconds = now;
            let total = plain
                .total
                .map(|total| format!("/{total}"))
                .unwrap_or_default();
            let _ = writeln!(
                std::io::stderr().lock(),
                "{} {}{total} ({now:.0} s)",
                self.what,
                plain.done
            );
        }
    }

    /// It is over.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Progress {
    fn durable(&self, durable: &Durable) {
        self.add(u64::try_from(durable.records).unwrap_or(0));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
