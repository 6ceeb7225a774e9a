//! A fact as a rule reads it: `ev`, and the items of `who.list`.
//!
//! A [`Record`] has the fields of its stream as properties, and `time`, `stream`, `id`. A field that the fact does not
//! state reads as `()`; a field that its stream does not have is an error. Content is decoded when first read.
//!
//! cost     a clone is one pointer; the first read of a listed fact decodes it, about a microsecond

use super::context::Context;
use super::convert::{fail, to_dynamic};
use crate::engine::event::{Event, RecordKey, Value};
use crate::engine::schema::{FIELDS, Field, Stream, field};
use crate::engine::subject::facts::{Fact, Facts};
use crate::engine::subject::view::{Anchor, View};
use crate::engine::time::EventTime;
use rhai::{Dynamic, Engine, EvalAltResult};
use std::sync::{Arc, OnceLock};

/// A fact, or a day of a group.
#[derive(Debug, Clone)]
pub(super) struct Record(Arc<Source>);

#[derive(Debug)]
enum Source {
    /// What is judged.
    Anchor(Arc<Context>),
    /// One of the subject's facts.
    Fact {
        stream: Stream,
        facts: Arc<Facts>,
        at: usize,
        /// A licence calls itself by its own name, not by its holder's.
        is_licence: bool,
        event: OnceLock<Option<Event>>,
    },
}

impl Record {
    /// What is judged.
    pub(super) fn anchor(context: Arc<Context>) -> Self {
        Self(Arc::new(Source::Anchor(context)))
    }

    /// The fact at place `at` of its stream.
    pub(super) fn fact(stream: Stream, facts: &Arc<Facts>, at: usize) -> Self {
        Self::make(stream, facts, at, false)
    }

    /// The licence at place `at` of its stream.
    pub(super) fn licence(facts: &Arc<Facts>, at: usize) -> Self {
        Self::make(Stream::Licence, facts, at, true)
    }

    fn make(stream: Stream, facts: &Arc<Facts>, at: usize, is_licence: bool) -> Self {
        Self(Arc::new(Source::Fact {
            stream,
            facts: Arc::clone(facts),
            at,
            is_licence,
            event: OnceLock::new(),
        }))
    }

    /// The identity of the fact; a day of a group has none.
    pub(super) fn key(&self) -> Option<RecordKey> {
        match &*self.0 {
            Source::Anchor(context) => match context.anchor {
                Anchor::Fact(key) => Some(key),
                Anchor::Day(_) => None,
            },
            Source::Fact { .. } => self.stored().map(|fact| fact.key),
        }
    }

    /// When it happened.
    pub(super) fn time(&self) -> EventTime {
        match &*self.0 {
            Source::Anchor(context) => context.anchor_time(),
            Source::Fact { .. } => self.stored().map_or(EventTime::MIN, |fact| fact.time),
        }
    }

    /// Its stream.
    pub(super) fn stream(&self) -> Stream {
        match &*self.0 {
            Source::Anchor(context) => context.anchor_stream(),
            Source::Fact { stream, .. } => *stream,
        }
    }

    /// How evidence names it.
    pub(super) fn id(&self) -> String {
        match &*self.0 {
            Source::Anchor(context) => context.anchor_id(),
            Source::Fact { .. } => self.event().map(Event::id).unwrap_or_default(),
        }
    }

    /// What the field holds.
    pub(super) fn value(&self, field: Field) -> Option<&Value> {
        match &*self.0 {
            Source::Anchor(context) => context.event.as_ref()?.fields.get(field),
            Source::Fact { .. } => self.event()?.fields.get(field),
        }
    }

    fn stored(&self) -> Option<&Fact> {
        match &*self.0 {
            Source::Anchor(_) => None,
            Source::Fact {
                stream, facts, at, ..
            } => facts.of(*stream).get(*at),
        }
    }

    fn event(&self) -> Option<&Event> {
        match &*self.0 {
            Source::Anchor(context) => context.event.as_deref(),
            Source::Fact { stream, event, .. } => event
                .get_or_init(|| self.stored().and_then(|fact| fact.event(*stream)))
                .as_ref(),
        }
    }

    fn get(&self, wanted: Field) -> Result<Dynamic, Box<EvalAltResult>> {
        let stream = self.stream();
        match &*self.0 {
            Source::Anchor(context) => {
                if let View::Collective { group, .. } = &context.view {
                    return context.group_value(group, wanted);
                }
                // With several streams in `on`, a field that only another of them has is simply not there.
                let on = &context.rule.manifest.on;
                if !wanted.spec().is_of(stream) && !on.iter().any(|s| wanted.spec().is_of(*s)) {
                    return fail(no_field(stream, wanted));
                }
            }
            Source::Fact { is_licence, .. } => {
                if *is_licence && wanted == field::name {
                    return Ok(self
                        .value(field::licence_kind)
                        .map_or(Dynamic::UNIT, to_dynamic));
                }
                if !wanted.spec().is_of(stream) {
                    return fail(no_field(stream, wanted));
                }
            }
        }
        Ok(self.value(wanted).map_or(Dynamic::UNIT, to_dynamic))
    }
}

fn no_field(stream: Stream, field: Field) -> String {
    format!(
        "{}({})没有字段 {}({})",
        stream.title(),
        stream.name(),
        field.name(),
        field.spec().title
    )
}

/// Registers the properties.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Record>("记录")
        .register_get("time", |r: &mut Record| r.time())
        .register_get("stream", |r: &mut Record| r.stream().name())
        .register_get("id", |r: &mut Record| r.id())
        .register_fn("to_string", |r: &mut Record| r.id())
        .register_fn("to_debug", |r: &mut Record| r.id())
        .register_fn("==", |a: Record, b: Record| a.id() == b.id())
        .register_fn("!=", |a: Record, b: Record| a.id() != b.id());
    // A field stands once in the table, whichever streams have it.
    for stream in Stream::ALL {
        for field in Field::all_of(stream) {
            engine.register_get(field.name(), move |r: &mut Record| r.get(field));
        }
    }
    debug_assert!(
        FIELDS
            .iter()
            .all(|spec| !matches!(spec.name, "time" | "stream" | "id"))
    );
}
