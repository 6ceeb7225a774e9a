//! One rule, compiled, and how it is judged.

use super::context::{Context, Tag};
use super::error::RuleError;
use super::guard::{Guard, Look, Memo, Sight, Whose, Witness};
use super::law::{Laws, Measures};
use super::manifest::Manifest;
use super::record::Record;
use super::who::Who;
use crate::engine::calendar::Calendar;
use crate::engine::desk::offices::Offices;
use crate::engine::event::{Event, Fields, Value};
use crate::engine::schema::{Field, Stream};
use crate::engine::score::Scoring;
use crate::engine::subject::groups::{GroupKey, Groups, Sought};
use crate::engine::subject::series::Series;
use crate::engine::subject::view::{Anchor, Verdict, View};
use crate::engine::time::EventTime;
use rhai::{AST, CallFnOptions, Dynamic, Engine, Scope};
use std::borrow::Cow;
use std::sync::Arc;

/// What all rules of a set share.
#[derive(Debug)]
pub(super) struct Shared {
    /// The sealed engine.
    pub engine: Engine,
    /// SM3 over the tables.
    pub tables: String,
    /// The same engine with comparisons that note what they saw; built when somebody asks why.
    pub traced: std::sync::OnceLock<Engine>,
    /// Working days.
    pub calendar: Calendar,
    /// Numbers of the score.
    pub scoring: Scoring,
    /// Laws.
    pub laws: Laws,
    /// Measures of joint sanction.
    pub measures: Measures,
    /// Who is responsible for warnings and measures.
    pub offices: Offices,
}

/// Which groups of a collective a fact is counted in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Feed {
    /// The fields whose values make the group.
    pub by: Box<[Field]>,
    /// The field whose different values are counted.
    pub distinct: Option<Field>,
    /// Both as text: `industry,problem_type|complainant`.
    pub key: Arc<str>,
}

impl Feed {
    /// The feed of these fields.
    pub fn new(by: &[Field], distinct: Option<Field>) -> Self {
        let names: Vec<&str> = by.iter().map(|field| field.name()).collect();
        let key = format!("{}|{}", names.join(","), distinct.map_or("", Field::name));
        Self {
            by: by.into(),
            distinct,
            key: key.into(),
        }
    }
}

impl Feed {
    /// The group that a fact with these fields is counted in.
    pub fn group(&self, stream: Stream, fields: &Fields) -> GroupKey {
        GroupKey {
            stream,
            by: self.key.clone(),
            values: self.values(fields),
        }
    }

    /// The group's values of a fact with these fields; an absent field is an empty text.
    pub fn values(&self, fields: &Fields) -> Box<[Box<str>]> {
        let texts = self.texts(fields).into_iter();
        texts.map(|text| text.into_owned().into()).collect()
    }

    /// The same, borrowed.
    pub fn texts<'f>(&self, fields: &'f Fields) -> Vec<Cow<'f, str>> {
        let by = self.by.iter();
        by.map(|field| text_of(fields, *field).unwrap_or_default())
            .collect()
    }

    /// The group of a fact whose values of this feed are `texts`, to be looked up.
    pub fn sought<'a>(&'a self, stream: Stream, texts: &'a [Cow<'a, str>]) -> Sought<'a> {
        Sought {
            stream,
            by: &self.key,
            values: texts,
        }
    }

    /// The counts of this feed that go with a judged group: those of the same values.
    pub(super) fn series<'a>(
        &self,
        stream: Stream,
        groups: &'a Groups,
        judged: &GroupKey,
    ) -> Option<&'a Series> {
        if judged.stream == stream && judged.by == self.key {
            return groups.get(judged);
        }
        let values = judged.values.iter();
        let texts: Vec<Cow<'_, str>> = values.map(|text| Cow::Borrowed(text.as_ref())).collect();
        groups.find(&self.sought(stream, &texts))
    }

    /// The value that is counted once, if the feed counts different values and the fact has one.
    pub fn distinct_value<'f>(&self, fields: &'f Fields) -> Option<Cow<'f, str>> {
        text_of(fields, self.distinct?)
    }
}

fn text_of(fields: &Fields, field: Field) -> Option<Cow<'_, str>> {
    match fields.get(field)? {
        Value::Text(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(super::convert::to_dynamic(other).to_string())),
    }
}

/// A rule without its tree: what a judgement needs to know of it.
#[derive(Debug)]
pub(super) struct Core {
    /// What it says of itself.
    pub manifest: Manifest,
    /// What all rules share.
    pub shared: Arc<Shared>,
    /// On collectives: the groups it reads, by stream; the first of a stream is the one that is judged.
    pub feeds: Vec<(Stream, Feed)>,
}

impl Core {
    /// The feed that answers: of this stream, counting different values of this field if one is named.
    pub(super) fn feed(&self, stream: Stream, distinct: Option<Field>) -> Option<&Feed> {
        let mut of_stream = self
            .feeds
            .iter()
            .filter(|(s, _)| *s == stream)
            .map(|(_, feed)| feed);
        match distinct {
            None => of_stream.next(),
            Some(_) => of_stream.find(|feed| feed.distinct == distinct),
        }
    }
}

/// One rule, compiled.
#[derive(Debug)]
pub struct Rule {
    pub(super) core: Arc<Core>,
    pub(super) ast: AST,
    /// A map.
    pub(super) params: Dynamic,
    pub(super) guard: Option<Guard>,
    /// What must be so before it can say anything.
    pub(super) witness: Witness,
    pub(super) source: Arc<str>,
    /// The fields that it can look at, in order; see [`super::needs::mentions`].
    pub(super) mentions: Box<[Field]>,
}

/// What is to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Judgement<'a> {
    /// The subject.
    pub view: &'a View,
    /// The anchor.
    pub anchor: Anchor,
    /// The anchor's event, for [`Anchor::Fact`].
    pub event: Option<&'a Arc<Event>>,
    /// As of when: see [`crate::engine::time::as_of`].
    pub as_of: EventTime,
}

impl Rule {
    /// Whether the rule may look at one of these fields.
    pub fn mentions_any(&self, fields: &[Field]) -> bool {
        fields
            .iter()
            .any(|field| self.mentions.binary_search(field).is_ok())
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.core.manifest
    }

    /// What it says of itself as texts, parameters among them: `("params.min_count", "5")`; in the order of the guide.
    pub fn entries(&self) -> Vec<(String, String)> {
        let mut entries = self.core.manifest.entries();
        if let Some(params) = self.params.read_lock::<rhai::Map>() {
            let params = params.iter();
            entries.extend(params.map(|(key, value)| (format!("params.{key}"), value.to_string())));
        }
        entries
    }

    /// The names of its tests, in the order of the text.
    pub fn tests(&self) -> Vec<String> {
        super::scenario::tests(&self.ast)
    }

    /// Its source text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// On collectives: the groups that a fact of this stream is counted in for this rule. The first is the one that is
    /// judged, if the stream is in `on`.
    pub fn feeds(&self, stream: Stream) -> impl Iterator<Item = &Feed> {
        self.core
            .feeds
            .iter()
            .filter(move |(s, _)| *s == stream)
            .map(|(_, feed)| feed)
    }

    /// Judges an anchor. The verdict is a function of the judgement and the rule set alone; `memo` keeps what other rules
    /// asked of the same subject as of the same time.
    pub fn decide<'a>(
        &'a self,
        judgement: &Judgement<'a>,
        memo: &mut Memo<'a>,
    ) -> Result<Verdict, RuleError> {
        match self.look(judgement, memo) {
            Look::Silent(check_at) => Ok(Verdict {
                check_at,
                ..Verdict::default()
            }),
            Look::Unknown => match self.speak(judgement) {
                Some(verdict) => Ok(verdict),
                None => self.judge(judgement, false),
            },
        }
    }

    /// The verdict without Rhai, if all that the rule does on its way is understood.
    pub(super) fn speak(&self, judgement: &Judgement<'_>) -> Option<Verdict> {
        let guard = self.guard.as_ref()?;
        let sight = self.sight(judgement)?;
        let context = self.context(judgement);
        guard.speak(sight, &context).then(|| context.verdict(false))
    }

    /// Holds the index and the first look to the interpreter; says in what they differ.
    pub fn check(&self, judgement: &Judgement<'_>, is_kept_away: bool) -> Result<(), String> {
        let look = if is_kept_away {
            Look::Silent(None)
        } else {
            self.look(judgement, &mut Memo::default())
        };
        let spoken = (look == Look::Unknown)
            .then(|| self.speak(judgement))
            .flatten();
        let is_right = match self.judge(judgement, false) {
            Ok(verdict) => look.agrees(&verdict) && spoken.is_none_or(|spoken| spoken == verdict),
            Err(_) => look == Look::Unknown && spoken.is_none(),
        };
        if is_right {
            return Ok(());
        }
        let by = if is_kept_away {
            "the index"
        } else {
            "the first look"
        };
        Err(format!(
            "rule {}: {by} says {look:?} and the interpreter does not; set `interpreted: true` in its manifest and report it",
            self.manifest().id
        ))
    }

    /// What the rule's first look shows.
    pub fn look<'a>(&'a self, judgement: &Judgement<'a>, memo: &mut Memo<'a>) -> Look {
        match (&self.guard, self.sight(judgement)) {
            (Some(guard), Some(sight)) => guard.look(sight, memo),
            _ => Look::Unknown,
        }
    }

    fn sight<'a>(&'a self, judgement: &Judgement<'a>) -> Option<Sight<'a>> {
        let whose = match (judgement.view, judgement.event, judgement.anchor) {
            (View::Individual { facts, .. }, Some(event), _) => Whose::Individual(facts, event),
            (View::Collective { groups, group, .. }, _, Anchor::Day(day)) => {
                Whose::Collective(groups, group, EventTime::from_day(day))
            }
            _ => return None,
        };
        Some(Sight {
            core: &self.core,
            key: judgement.view.key(),
            whose,
            as_of: judgement.as_of,
        })
    }

    fn context(&self, judgement: &Judgement<'_>) -> Context {
        Context::new(
            Arc::clone(&self.core),
            judgement.view.clone(),
            judgement.anchor,
            judgement.event.map(Arc::clone),
            judgement.as_of,
        )
    }

    /// The same, with what the rule saw even if it said nothing.
    pub fn explain(&self, judgement: &Judgement<'_>) -> Result<Verdict, RuleError> {
        self.judge(judgement, true)
    }

    pub(super) fn judge(
        &self,
        judgement: &Judgement<'_>,
        with_observations: bool,
    ) -> Result<Verdict, RuleError> {
        let (context, ran) = self.run(&self.core.shared.engine, judgement);
        ran.map(|()| context.verdict(with_observations))
    }

    /// Runs `decide` in an engine. What it gives back means nothing; what it said is in the context.
    pub(super) fn run(
        &self,
        engine: &Engine,
        judgement: &Judgement<'_>,
    ) -> (Arc<Context>, Result<(), RuleError>) {
        let (context, ran) = self.evaluate(engine, judgement);
        (context, ran.map(|_| ()))
    }

    /// The same, with what it gives back.
    pub(super) fn evaluate(
        &self,
        engine: &Engine,
        judgement: &Judgement<'_>,
    ) -> (Arc<Context>, Result<Dynamic, RuleError>) {
        let context = Arc::new(self.context(judgement));
        let options = CallFnOptions::new()
            .eval_ast(false)
            .with_tag(Dynamic::from(Tag::Judgement(Arc::clone(&context))));
        let arguments = (
            Dynamic::from(Record::anchor(Arc::clone(&context))),
            Dynamic::from(Who(Arc::clone(&context))),
            self.params.clone(),
        );
        let mut scope = Scope::new();
        let ran = engine
            .call_fn_with_options::<Dynamic>(options, &mut scope, &self.ast, "decide", arguments)
            .map_err(|error| RuleError::read(self, &error));
        (context, ran)
    }

    /// Runs one test function.
    pub(super) fn call_test(self: &Arc<Self>, name: &str) -> Result<(), RuleError> {
        let options = CallFnOptions::new()
            .eval_ast(false)
            .with_tag(Dynamic::from(Tag::Test(Arc::clone(self))));
        let mut scope = Scope::new();
        self.core
            .shared
            .engine
            .call_fn_with_options::<Dynamic>(options, &mut scope, &self.ast, name, ())
            .map(|_| ())
            .map_err(|error| RuleError::read(self, &error))
    }
}
