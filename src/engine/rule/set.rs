//! A rule set: an immutable, versioned bundle, loaded whole or not at all.
//!
//! [`RuleSet::load`] compiles every file, reads its manifest, checks every name in it and builds the indexes that say
//! which rules a fact concerns. What is wrong comes back together, for all files. The hash over all sources stands on
//! every warning.
//!
//! cost     about a millisecond a rule; look-ups in the indexes are array reads

use super::analyse::{Analysis, Reads};
use super::basis::check_basis;
use super::bodies::bodies;
use super::check;
use super::compiled::{Core, Feed, Judgement, Rule, Shared};
use super::diagnostic::{Diagnostic, Report, Severity};
use super::gate::Gate;
use super::guard::{Guard, Memo, Questions};
use super::law::{Laws, Measures};
use super::manifest::{Literal, Manifest};
use super::scan::{Word, words};
use super::syntax::misread;
use super::{api, sandbox};
use crate::engine::calendar::Calendar;
use crate::engine::desk::offices::Offices;
use crate::engine::event::SubjectKind;
use crate::engine::hash::sm3_hex;
use crate::engine::schema::Stream;
use crate::engine::score::Scoring;
use crate::engine::time::EventTime;
use rhai::{Dynamic, Position};
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
        files.extend([
            ("calendar.toml", self.calendar.as_str()),
            ("scoring.toml", self.scoring.as_str()),
            ("laws.toml", self.laws.as_str()),
            ("measures.toml", self.measures.as_str()),
            ("routing.toml", self.routing.as_str()),
            ("sanctions.toml", self.sanctions.as_str()),
        ]);
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
        Self::load_as(sources, Entry::New)
    }

    /// The same as of a day: a basis that is no longer in force on it is an error, one that is not yet, a warning.
    pub fn check(sources: &RuleSources, today: EventTime) -> Result<Self, Vec<Diagnostic>> {
        Self::load_as(sources, Entry::Checked(today))
    }

    /// To try out: drafts and rules in the shadow are judged and speak as if they were in service.
    pub fn trial(sources: &RuleSources) -> Result<Self, Vec<Diagnostic>> {
        Self::load_as(sources, Entry::Tried)
    }

    /// A rule set that was in service before. What only [`check`](super::check) holds against it does not stop it: checks
    /// grow with the program, and state that was written with a rule set must stay readable.
    pub fn restore(sources: &RuleSources) -> Result<Self, Vec<Diagnostic>> {
        Self::load_as(sources, Entry::Stored)
    }

    fn load_as(sources: &RuleSources, entry: Entry) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        let Some(shared) = load_shared(sources, &mut diagnostics) else {
            return Err(diagnostics);
        };
        let mut files: Vec<&(String, String)> = sources.files.iter().collect();
        files.sort_unstable();
        let mut rules = Vec::new();
        let mut questions = Questions::default();
        for (path, text) in files {
            let mut report = Report::new(path, text, &mut diagnostics);
            let rule = load_rule((path, text), entry, &shared, &mut questions, &mut report);
            rules.extend(rule.map(Arc::new));
        }
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

fn load_shared(sources: &RuleSources, out: &mut Vec<Diagnostic>) -> Option<Arc<Shared>> {
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
        traced: std::sync::OnceLock::new(),
        calendar: calendar?,
        scoring: scoring?,
        laws: laws?,
        measures,
        offices: offices?,
    }))
}

/// On a collective: the groups that the rule reads.
fn feeds_of(manifest: &Manifest, reads: &Reads) -> Vec<(Stream, Feed)> {
    let mut feeds = Vec::new();
    if manifest.is_collective() {
        let others = manifest.reads.iter().filter(|s| !manifest.on.contains(s));
        for stream in manifest.on.iter().chain(others) {
            let counted = reads.distinct.iter().filter(|(s, _)| s == stream);
            let before = feeds.len();
            feeds.extend(counted.map(|(_, f)| (*stream, Feed::new(&manifest.by, Some(*f)))));
            if feeds.len() == before {
                feeds.push((*stream, Feed::new(&manifest.by, None)));
            }
        }
    }
    feeds
}

/// How a rule set comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry {
    /// To be put into service.
    New,
    /// To be looked at, as of a day.
    Checked(EventTime),
    /// It was in service before.
    Stored,
    /// To be tried on the past.
    Tried,
}

pub(super) fn load_rule(
    (path, text): (&str, &str),
    entry: Entry,
    shared: &Arc<Shared>,
    questions: &mut Questions,
    report: &mut Report<'_>,
) -> Option<Rule> {
    if sandbox::SOURCE_BYTES_MAX < text.len() {
        let message = format!("规则文件超过 {} KiB", sandbox::SOURCE_BYTES_MAX / 1024);
        report.error("too-long", Position::NONE, message, "");
        return None;
    }
    let ast = match shared.engine.compile(text) {
        Ok(ast) => ast,
        Err(error) => {
            let found = misread(&error, text);
            report.error(found.code, found.at, found.message, found.help);
            return None;
        }
    };
    let literal = Literal::find(&ast, report)?;
    let params = literal.params(report);
    let mut manifest = literal.manifest(path, text, &shared.scoring, report);
    // What a wrong manifest makes wrong further on says nothing of its own.
    let is_readable = report.errors_beside("missing-key") == 0;
    check_basis(&manifest, &literal, &shared.laws, entry, report);
    if !ast.iter_fn_def().any(|f| f.name.starts_with("test_")) {
        let help = "至少写一个应预警的和一个不应预警的";
        report.warning("no-tests", literal.at, "规则没有测试(fn test_…)", help);
    }
    if !is_readable {
        return None;
    }
    let reads = Analysis::run(&ast, &manifest, &params, &shared.measures, report);
    manifest.reads = reads.streams.iter().copied().collect();
    let bodies = bodies(&ast);
    report.only_warns(matches!(entry, Entry::Stored));
    super::captured::check(&ast, report);
    check::run(
        (&ast, &bodies),
        &manifest,
        &params,
        &shared.measures,
        report,
    );
    report.only_warns(false);
    let feeds = feeds_of(&manifest, &reads);
    // Counts of groups are the same for rules that count the same feeds only.
    if manifest.is_collective() {
        questions.scope(&format!("{feeds:?}"));
    } else {
        questions.scope("");
    }
    let guard = (!manifest.is_interpreted)
        .then(|| Guard::new(&bodies, &params, &manifest, questions))
        .flatten();
    let witness = guard.as_ref().map_or_else(Default::default, |guard| {
        guard.witness(&manifest, questions)
    });
    let mentions = super::needs::mentions(&ast);
    Some(Rule {
        guard,
        witness,
        core: Arc::new(Core {
            manifest,
            shared: Arc::clone(shared),
            feeds,
        }),
        ast,
        params: Dynamic::from_map(params),
        source: text.into(),
        mentions,
    })
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
