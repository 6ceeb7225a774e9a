//! The files of a rule set, each compiled, checked and kept, so that the next set need not do it again for those that stay.
//!
//! A rule depends on its text and on the tables that all rules share. Of what was found in it only what its basis comes to
//! depends on the day; that is looked at anew. The numbers of questions go on from set to set.
//!
//! cost     a third of a millisecond a file that is new, some microseconds a file that stays
//! bounds   questions that no rule asks any more keep their numbers until they are as many as the others: then all is
//!          compiled anew

use super::analyse::{Analysis, Reads};
use super::basis::{self, check_basis};
use super::bodies::bodies;
use super::check;
use super::compiled::{Core, Feed, Rule, Shared};
use super::diagnostic::{Diagnostic, Report};
use super::guard::{Guard, Questions};
use super::manifest::{Literal, Manifest};
use super::sandbox;
use super::syntax::misread;
use crate::engine::schema::Stream;
use crate::engine::time::EventTime;
use rhai::{Dynamic, Position};
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(super) struct Loaded {
    entry: Entry,
    files: BTreeMap<Box<str>, File>,
    /// Files of the set before.
    old: BTreeMap<Box<str>, File>,
    questions: Questions,
    /// How many questions there were when all files were compiled last.
    questions_at_first: Option<usize>,
}

#[derive(Debug, Clone)]
struct File {
    rule: Arc<Rule>,
    /// What was found in it that does not depend on the day.
    found: Arc<[Diagnostic]>,
}

impl Loaded {
    /// None yet.
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            entry,
            files: BTreeMap::new(),
            old: BTreeMap::new(),
            questions: Questions::default(),
            questions_at_first: None,
        }
    }

    /// For the next set, if it comes in a way in which the files can be taken as they are.
    pub(super) fn lend(&self, entry: Entry) -> Option<Self> {
        let is_new = |entry| matches!(entry, Entry::New | Entry::Checked(_));
        let are_stored = matches!((self.entry, entry), (Entry::Stored, Entry::Stored));
        let is_alike = are_stored || is_new(self.entry) && is_new(entry);
        let most = self.questions_at_first?.saturating_mul(2);
        (is_alike && self.questions.len() <= most).then(|| Self {
            entry,
            files: BTreeMap::new(),
            old: self.files.clone(),
            questions: self.questions.clone(),
            questions_at_first: self.questions_at_first,
        })
    }

    /// The rule of a file, compiled if it was not or is another text; nothing if that fails. What is found goes to `out`.
    pub(super) fn take_or_load(
        &mut self,
        (path, text): (&str, &str),
        shared: &Arc<Shared>,
        out: &mut Vec<Diagnostic>,
    ) -> Option<Arc<Rule>> {
        let known = self.old.remove(path);
        let file = if let Some(file) = known.filter(|file| file.rule.source() == text) {
            out.extend(file.found.iter().cloned());
            let mut report = Report::new(path, text, out);
            let literal = Literal::find(&file.rule.ast, &mut report)?;
            let manifest = file.rule.manifest();
            check_basis(manifest, &literal, &shared.laws, self.entry, &mut report);
            file
        } else {
            let before = out.len();
            let mut report = Report::new(path, text, out);
            let questions = &mut self.questions;
            let rule = load_rule((path, text), self.entry, shared, questions, &mut report)?;
            let found = out.get(before..).unwrap_or_default().iter();
            let found = found.filter(|one| !basis::CODES.contains(&one.code));
            File {
                rule: Arc::new(rule),
                found: found.cloned().collect(),
            }
        };
        let rule = Arc::clone(&file.rule);
        // One that is tried is changed yet.
        if !matches!(self.entry, Entry::Tried) {
            self.files.insert(path.into(), file);
        }
        Some(rule)
    }

    /// Lets go of files of the set before that are not in this one.
    pub(super) fn forget_others(&mut self) {
        self.old.clear();
        self.questions_at_first.get_or_insert(self.questions.len());
    }
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
