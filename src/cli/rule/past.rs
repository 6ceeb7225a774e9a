//! The past that `rule backtest`, `sweep` and `fit` look at: an archive, or the sources of a configuration read directly.

use super::super::archive::{day, read_sources, tell};
use super::super::progress::Progress;
use super::super::{CliError, Ending};
use crate::engine::rule::{RuleSet, RuleSources, RuleStatus};
use crate::engine::schema::Field;
use crate::engine::time::{DAY_MS, EventTime};
use crate::runtime::archive::slip::Wanted;
use crate::runtime::archive::{self, Damage};
use crate::runtime::backtest::gather::{Each, Gathered, Taking};
use crate::runtime::backtest::judge::{self, Order, Side};
use crate::runtime::bundle;
use crate::runtime::signal;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Which past.
#[derive(Debug, Clone, clap::Args)]
pub struct PastArgs {
    /// The archive of events.
    #[arg(long, required_unless_present = "config")]
    pub archive: Option<PathBuf>,
    /// Instead of an archive: the configuration whose sources are read.
    #[arg(long, conflicts_with = "archive")]
    pub config: Option<PathBuf>,
    /// The first day of the period, `2026-03-01`; what came before is known, and not reported on.
    #[arg(long)]
    pub from: Option<String>,
    /// The last day of the period; what came later is not known. Without it, the day of the last event.
    #[arg(long)]
    pub to: Option<String>,
    /// Keep partial results in this directory: the same command goes on after an interruption.
    #[arg(long)]
    pub work: Option<PathBuf>,
}

/// The past, gathered.
pub(super) struct Past {
    pub(super) gathered: Gathered,
    pub(super) period: (EventTime, EventTime),
    pub(super) damage: Vec<Damage>,
    stop: Arc<AtomicBool>,
    input: String,
    work: Option<PathBuf>,
}

fn end_of(day: i32) -> EventTime {
    EventTime::from_day(day).plus_ms(DAY_MS - 1)
}

impl PastArgs {
    /// Gathers what these rule sets can look at, and the fields in `besides`; `each` sees every event first.
    pub(super) fn gather(
        &self,
        sets: &[Arc<RuleSet>],
        besides: &[Field],
        each: &Each<'_>,
    ) -> Result<Past, CliError> {
        let from = self.from.as_deref().map(day).transpose()?;
        let to = self.to.as_deref().map(day).transpose()?;
        let stop = Arc::new(AtomicBool::new(false));
        signal::stop_on_signal(Arc::clone(&stop));
        let wanted = Wanted::of(sets, besides);
        let taking = Taking {
            wanted: &wanted,
            until: to.map_or(EventTime::MAX, end_of),
            each,
        };
        let mut gathered = Gathered::default();
        let mut input = String::new();
        if let Some(config) = &self.config {
            read_sources(config, 1, &mut |rows| {
                gathered.take_rows(&rows, taking);
                Ok(())
            })?;
            input = format!("{} events", gathered.tally().events);
        } else if let Some(dir) = &self.archive {
            let parts = archive::parts(dir)?;
            for part in &parts {
                let _ = write!(input, "{}-{}:{};", part.from, part.to, part.bytes);
            }
            let span = parts.iter().map(|p| p.to - p.from + 1).sum();
            let progress = Progress::new("读取", Some(span));
            gathered.take_parts(&parts, taking, &stop, &|rows| progress.add(rows))?;
            progress.finish();
        }
        gathered.settle();
        let damage = gathered.damage();
        tell(&damage);
        let tally = gathered.tally();
        let last = to.unwrap_or_else(|| tally.newest.day());
        if tally.events == 0 {
            return Err(CliError::Usage(
                "there are no events up to the end of the period".to_owned(),
            ));
        }
        let first = EventTime::from_day(from.unwrap_or_else(|| tally.oldest.day()));
        Ok(Past {
            period: (first, end_of(last)),
            gathered,
            damage,
            stop,
            input,
            work: self.work.clone(),
        })
    }
}

impl Past {
    /// Judges it with rule sets; scores are read at the moments.
    pub(super) fn judge(
        &self,
        sets: Vec<Arc<RuleSet>>,
        moments: &BTreeMap<String, Vec<EventTime>>,
    ) -> Result<Vec<Side>, CliError> {
        let order = Order {
            sets,
            until: self.period.1,
            moments,
            work: self.work.clone(),
            input: self.input.clone(),
        };
        let progress = Progress::new("研判", Some(self.gathered.bytes()));
        let sides = judge::judge(&order, &self.gathered, &self.stop, &|bytes| {
            progress.add(bytes);
        })?;
        progress.finish();
        judge::forget(&order);
        Ok(sides)
    }

    /// How it ended, so far.
    pub(super) fn ending(&self) -> Ending {
        if self.damage.is_empty() {
            Ending::Fine
        } else {
            Ending::Finding
        }
    }
}

/// A rule set in which drafts and rules in the shadow speak as if they were in service, and which those are.
pub(super) fn load_trial(
    dir: Option<&Path>,
    config: Option<&Path>,
) -> Result<(Arc<RuleSet>, Vec<String>), CliError> {
    let (set, sources) = load(dir, config)?;
    let is_tried = |status| matches!(status, RuleStatus::Draft | RuleStatus::Shadow);
    let manifests = set.rules().iter().map(|rule| rule.manifest());
    let tried: Vec<String> = manifests
        .filter(|manifest| is_tried(manifest.status))
        .map(|manifest| format!("{}（{}）", manifest.id, manifest.status.name()))
        .collect();
    // What loads as it stands loads like this.
    let trial = RuleSet::trial(&sources).ok().filter(|_| !tried.is_empty());
    Ok((trial.map_or(set, Arc::new), tried))
}

/// A rule set, and what it is made of.
pub(super) fn load(
    dir: Option<&Path>,
    config: Option<&Path>,
) -> Result<(Arc<RuleSet>, RuleSources), CliError> {
    let (path, sources) = match (dir, config) {
        (Some(dir), _) => (dir.to_owned(), bundle::rules_in(dir)?),
        (None, Some(config)) => {
            let config = crate::runtime::config::Config::load(config)?;
            let sources = config
                .rules
                .sources()
                .map_err(crate::runtime::assembly::AssemblyError::from)?;
            (config.rules.path().to_owned(), sources)
        }
        (None, None) => (PathBuf::from("rules"), bundle::shipped_rules()),
    };
    Ok((Arc::new(bundle::load_rules(&path, &sources)?), sources))
}
