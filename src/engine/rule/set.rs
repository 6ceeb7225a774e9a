//! A rule set: an immutable, versioned bundle, loaded whole or not at all.
//!
//! [`RuleSet::load`] compiles every file, reads its manifest, checks every name in it and builds the indexes that say
//! which rules a fact concerns. What is wrong comes back together, for all files. The hash over all sources stands on
//! every warning.
//!
//! cost     a third of a millisecond a rule whose text is new, see [`super::loaded`]; look-ups in the indexes are array reads

use super::compiled::{Feed, Judgement, Rule, Shared};
use super::diagnostic::{Diagnostic, Report, Severity};
use super::gate::Gate;
use super::guard::Memo;
use super::law::{Laws, Measures};
use super::loaded::{Entry, Loaded};
use super::scan::{Word, words};
use super::{api, sandbox};
use crate::engine::calendar::Calendar;
use crate::engine::desk::offices::Offices;
use crate::engine::event::SubjectKind;
use crate::engine::hash::sm3_hex;
use crate::engine::schema::Stream;
use crate::engine::score::Scoring;
use crate::engine::time::EventTime;
use rhai::Position;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The texts that a rule set is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct RuleSources {
    /// Path like `complaint/surge.rhai`, and text, in any order.
    pub files: Vec<(String, String)>,
    /// `calendar.toml`.
    pub calendar: String,
    /// `scoring.toml`.
    pub scoring: String,
    /// `laws.toml`.
    pub laws: String,
    /// `measures.toml`.
    pub measures: String,
    /// `routing.toml`.
    pub routing: String,
    /// `sanctions.toml`.
    pub sanctions: String,
}

impl RuleSources {
    /// SM3 over the sorted names and texts, as 64 hex digits.
    pub fn hash(&self) -> String {
        let mut files: Vec<(&str, &str)> = self
            .files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        files.extend(self.tables());
        Self::hash_of(files)
    }

    /// The same over the tables alone.
    fn tables_hash(&self) -> String {
        Self::hash_of(self.tables().into())
    }

    fn tables(&self) -> [(&str, &str); 6] {
        [
            ("calendar.toml", self.calendar.as_str()),
            ("scoring.toml", self.scoring.as_str()),
            ("laws.toml", self.laws.as_str()),
            ("measures.toml", self.measures.as_str()),
            ("routing.toml", self.routing.as_str()),
            ("sanctions.toml", self.sanctions.as_str()),
        ]
    }

    fn hash_of(mut files: Vec<(&str, &str)>) -> String {
        files.sort_unstable();
        // Lengths keep apart what a byte of the text could run together.
        let lengths: Vec<[u8; 8]> = files
            .iter()
            .map(|(_, text)| u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes())
            .collect();
        let parts: Vec<&[u8]> = files
            .iter()
            .zip(&lengths)
            .flat_map(|((path, text), length)| {
                [path.as_bytes(), length.as_slice(), text.as_bytes()]
            })
            .collect();
        sm3_hex(&parts)
    }
}

/// A rule set in service.
#[derive(Debug)]
pub struct RuleSet {
    hash: String,
    shared: Arc<Shared>,
    rules: Vec<Arc<Rule>>,
    warnings: Vec<Diagnostic>,
    index: Index,
    loaded: Loaded,
}

/// Which rules a fact concerns.
#[derive(Debug)]
struct Index {
    anchored: Vec<Vec<usize>>,
    gates: Vec<Gate>,
    readers: Vec<Vec<usize>>,
    feeds: Vec<Vec<Feed>>,
    history_ms: Vec<i64>,
    listens_to_findings: bool,
}

impl RuleSet {
    /// Compiles and checks the sources. Tests are run by the caller, see [`super::run_tests`].
    pub fn load(sources: &RuleSources) -> Result<Self, Vec<Diagnostic>> {
        Self::load_as(sources, Entry::New, None)
    }

    /// The same as of a day: a basis that is no longer in force on it is an error, one that is not yet, a warning.
    pub fn check(sources: &RuleSources, today: EventTime) -> Result<Self, Vec<Diagnostic>> {
        Self::load_as(sources, Entry::Checked(today), None)
    }

    /// The same, after another set: rules whose texts have not changed are taken from it, if the tables have not either.
    pub fn check_after(
        before: &Self,
        sources: &RuleSources,
        today: EventTime,
    ) -> Result<Self, Vec<Diagnostic>> {
        Self::load_as(sources, Entry::Checked(today), Some(before))
    }

    /// To try out: drafts and rules in the shadow are judged and speak as if they were in service.
    pub fn trial(sources: &RuleSources) -> Result<Self, Vec<Diagnostic>> {
        Self::load_as(sources, Entry::Tried, None)
    }

    /// A rule set that was in service before. What only [`check`](super::check) holds against it does not stop it: checks
    /// grow with the program, and state that was written with a rule set must stay readable.
    pub fn restore(sources: &RuleSources) -> Result<Self, Vec<Diagnostic>> {
        Self::load_as(sources, Entry::Stored, None)
    }

    /// The same, after another that was in service; see [`RuleSet::check_after`].
    pub fn restore_after(before: &Self, sources: &RuleSources) -> Result<Self, Vec<Diagnostic>> {
        Self::load_as(sources, Entry::Stored, Some(before))
    }

    fn load_as(
        sources: &RuleSources,
        entry: Entry,
        before: Option<&Self>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        let tables = sources.tables_hash();
        let before = before.filter(|set| set.shared.tables == tables);
        let before = before.and_then(|set| Some((set, set.loaded.lend(entry)?)));
        let (shared, mut loaded) = if let Some((set, loaded)) = before {
            (Arc::clone(&set.shared), loaded)
        } else {
            let Some(shared) = load_shared(sources, tables, &mut diagnostics) else {
                return Err(diagnostics);
            };
            (shared, Loaded::new(entry))
        };
        let mut files: Vec<&(String, String)> = sources.files.iter().collect();
        files.sort_unstable();
        let rules = files.into_iter().filter_map(|(path, text)| {
            loaded.take_or_load((path, text), &shared, &mut diagnostics)
        });
        let mut rules: Vec<Arc<Rule>> = rules.collect();
        loaded.forget_others();
        refuse_twins(&rules, &mut diagnostics);
        super::service::refuse_challenges(&rules, &mut diagnostics);
        diagnostics.sort_by_key(|d| (d.file.clone(), d.line, d.column));
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            return Err(diagnostics);
        }
        if matches!(entry, Entry::Tried) {
            rules.iter_mut().for_each(super::service::put_into_service);
        }
        rules.sort_by(|a, b| a.manifest().id.cmp(&b.manifest().id));
        Ok(Self {
            hash: sources.hash(),
            index: Index::new(&rules),
            shared,
            rules,
            warnings: diagnostics,
            loaded,
        })
    }

    /// SM3 over all sources, 64 hex digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// All rules, in the order of ids, drafts and retired ones among them.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The place of the rule with this id.
    pub fn place(&self, id: &str) -> Option<usize> {
        self.rules
            .binary_search_by(|rule| rule.manifest().id.as_ref().cmp(id))
            .ok()
    }

    /// The rule with this id.
    pub fn rule(&self, id: &str) -> Option<&Arc<Rule>> {
        self.rules.get(self.place(id)?)
    }

    /// What somebody should look at, though it did not stop the load.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Numbers of the score.
    pub fn scoring(&self) -> &Scoring {
        &self.shared.scoring
    }

    /// Whether the tables that all rules share are the same in both.
    pub fn shares_tables_with(&self, other: &Self) -> bool {
        self.shared.tables == other.shared.tables
    }

    /// Working days.
    pub fn calendar(&self) -> &Calendar {
        &self.shared.calendar
    }

    /// What the rules share.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Who is responsible for warnings and measures.
    pub fn offices(&self) -> &Offices {
        &self.shared.offices
    }

    /// Laws.
    pub fn laws(&self) -> &Laws {
        &self.shared.laws
    }

    /// Measures of joint sanction.
    pub fn measures(&self) -> &Measures {
        &self.shared.measures
    }

    /// The rules in service (or shadow) that are judged on a fact of this stream, for this kind of subject.
    pub fn anchored(&self, kind: SubjectKind, stream: Stream) -> &[usize] {
        self.index
            .anchored
            .get(slot(kind, stream))
            .map_or(&[], Vec::as_slice)
    }

    /// Where rules are kept that are judged on the same facts: the place of a kind of subject and a stream.
    pub fn seat(kind: SubjectKind, stream: Stream) -> usize {
        slot(kind, stream)
    }

    /// The rules that are judged at such a place.
    pub fn anchored_at(&self, seat: usize) -> &[usize] {
        self.index.anchored.get(seat).map_or(&[], Vec::as_slice)
    }

    /// Those of them that an individual's fact can concern, by place, in order: all others surely say nothing of it, ask for
    /// no other look, and do not fail. `None` where all have to be looked at.
    pub fn concerned<'a>(
        &'a self,
        seat: usize,
        judgement: &Judgement<'a>,
        memo: &mut Memo<'a>,
    ) -> Option<Vec<usize>> {
        self.index.gates.get(seat)?.rules(judgement, memo)
    }

    /// The rules in service (or shadow) on this kind of subject that are judged on this stream or read it.
    pub fn readers(&self, kind: SubjectKind, stream: Stream) -> &[usize] {
        self.index
            .readers
            .get(slot(kind, stream))
            .map_or(&[], Vec::as_slice)
    }

    /// The groups of such a collective that a fact of this stream is counted in.
    pub fn feeds(&self, kind: SubjectKind, stream: Stream) -> &[Feed] {
        self.index
            .feeds
            .get(slot(kind, stream))
            .map_or(&[], Vec::as_slice)
    }

    /// The longest history of the rules that are judged on this stream or read it, ms.
    pub fn history_ms(&self, stream: Stream) -> i64 {
        self.index
            .history_ms
            .get(stream_at(stream))
            .copied()
            .unwrap_or(0)
    }

    /// Whether any rule is judged on findings or reads them.
    pub fn listens_to_findings(&self) -> bool {
        self.index.listens_to_findings
    }
}

fn stream_at(stream: Stream) -> usize {
    Stream::ALL.iter().position(|s| *s == stream).unwrap_or(0)
}

fn slot(kind: SubjectKind, stream: Stream) -> usize {
    let kind = SubjectKind::ALL
        .iter()
        .position(|k| *k == kind)
        .unwrap_or(0);
    kind * Stream::ALL.len() + stream_at(stream)
}

impl Index {
    fn new(rules: &[Arc<Rule>]) -> Self {
        let slots = SubjectKind::ALL.len() * Stream::ALL.len();
        let mut index = Self {
            anchored: vec![Vec::new(); slots],
            gates: Vec::new(),
            readers: vec![Vec::new(); slots],
            feeds: vec![Vec::new(); slots],
            history_ms: vec![0; Stream::ALL.len()],
            listens_to_findings: false,
        };
        for (at, rule) in rules.iter().enumerate() {
            if rule.manifest().status.is_judged() {
                index.add(at, rule);
            }
        }
        for feeds in &mut index.feeds {
            feeds.sort_unstable();
            feeds.dedup();
        }
        for (slot, places) in index.anchored.iter().enumerate() {
            if let Some(stream) = Stream::ALL.get(slot % Stream::ALL.len()) {
                index.gates.push(Gate::new(rules, places, *stream));
            }
        }
        index
    }

    fn add(&mut self, at: usize, rule: &Rule) {
        let manifest = rule.manifest();
        let others = manifest.reads.iter().filter(|s| !manifest.on.contains(s));
        for stream in manifest.on.iter().chain(others) {
            if let Some(history) = self.history_ms.get_mut(stream_at(*stream)) {
                *history = manifest.history_ms.max(*history);
            }
            self.listens_to_findings |= *stream == Stream::Finding;
            for kind in &manifest.subjects {
                let slot = slot(*kind, *stream);
                if let Some(readers) = self.readers.get_mut(slot) {
                    readers.push(at);
                }
                if manifest.on.contains(stream)
                    && let Some(anchored) = self.anchored.get_mut(slot)
                {
                    anchored.push(at);
                }
                if let Some(feeds) = self.feeds.get_mut(slot) {
                    feeds.extend(rule.feeds(*stream).cloned());
                }
            }
        }
    }
}

fn load_shared(
    sources: &RuleSources,
    tables: String,
    out: &mut Vec<Diagnostic>,
) -> Option<Arc<Shared>> {
    fn read<T>(
        file: &str,
        text: &str,
        result: Result<T, String>,
        out: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(message) => {
                let message = format!("{file} 无法使用:{message}");
                Report::new(file, text, out).error("bad-file", Position::NONE, message, "");
                None
            }
        }
    }
    let calendar = Calendar::parse(&sources.calendar).map_err(|error| error.to_string());
    let calendar = read("calendar.toml", &sources.calendar, calendar, out);
    let scoring = Scoring::parse(&sources.scoring).map_err(|error| error.to_string());
    let scoring = read("scoring.toml", &sources.scoring, scoring, out);
    let laws = read("laws.toml", &sources.laws, Laws::parse(&sources.laws), out);
    let measures = Measures::parse(&sources.measures);
    let measures = read("measures.toml", &sources.measures, measures, out);
    let measures = measures?;
    let offices = Offices::parse(&sources.routing, &sources.sanctions, &measures);
    let offices = read("routing.toml", &sources.routing, offices, out);
    let mut engine = sandbox::engine();
    api::register(&mut engine);
    Some(Arc::new(Shared {
        engine,
        tables,
        traced: std::sync::OnceLock::new(),
        calendar: calendar?,
        scoring: scoring?,
        laws: laws?,
        measures,
        offices: offices?,
    }))
}

fn refuse_twins(rules: &[Arc<Rule>], out: &mut Vec<Diagnostic>) {
    let mut by_id: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
    for rule in rules {
        by_id.entry(&rule.manifest().id).or_default().push(rule);
    }
    for (id, twins) in by_id.iter().filter(|(_, twins)| 1 < twins.len()) {
        for rule in twins {
            let file = &rule.manifest().file;
            let others = twins.iter().map(|other| &other.manifest().file);
            let others: Vec<&str> = others.filter(|o| o != &file).map(AsRef::as_ref).collect();
            let message = format!("规则编号 {id} 也用在 {}", others.join("、"));
            let words = words(rule.source());
            let key = words.iter().find(|word| word.text == "id");
            let at = key.map_or(Position::NONE, Word::position);
            let help = "规则编号在整个规则集里应唯一,请换一个没用过的";
            Report::new(file, rule.source(), out).error("duplicate-id", at, message, help);
        }
    }
}
