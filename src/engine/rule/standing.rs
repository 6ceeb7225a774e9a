//! What holds of the subject at the judging time: its licences, lists, tags and registration.
//!
//! These come from the standing streams, whose facts are kept as long as they are the latest word.

use super::ask::{self, time};
use super::context::{Answer, Context, Question, Seen};
use super::convert::to_dynamic;
use super::record::Record;
use super::who::{Given, Who, facts};
use crate::engine::schema::{Field, Stream, field};
use crate::engine::time::EventTime;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map};

/// Registers the methods.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn("licence", |who: &mut Who, kind: ImmutableString| {
            licence(&who.0, &kind)
        })
        .register_fn("licences", |who: &mut Who| licences(&who.0))
        .register_fn("on_list", |who: &mut Who, list: ImmutableString| {
            on_list(&who.0, &list)
        })
        .register_fn("list_entry", |who: &mut Who, list: ImmutableString| {
            list_entry(&who.0, &list)
        })
        .register_fn("has_tag", |who: &mut Who, tag: ImmutableString| {
            has_tag(&who.0, &tag)
        })
        .register_fn("registry", |who: &mut Who| registry(&who.0));
}

fn licence(context: &Context, kind: &ImmutableString) -> Given<Dynamic> {
    let held = facts(context, "licence")?;
    let question = Question::Name("licence", kind.clone());
    let Some((at, fact, peek)) = ask::licence(held, context.as_of, kind) else {
        context.note(question, Answer::None, Seen::Nothing);
        return Ok(Dynamic::UNIT);
    };
    let answer = match time(&peek, field::valid_to) {
        None => Answer::Value("长期有效".into()),
        Some(valid_to) => Answer::Value(format!("有效期至 {valid_to}").into()),
    };
    context.note(question, answer, Seen::Keys(vec![(fact.time, fact.key)]));
    Ok(Dynamic::from(Record::licence(held, at)))
}

fn licences(context: &Context) -> Given<Array> {
    let held = facts(context, "licences")?;
    let found = ask::licences(held, context.as_of);
    let keys = found
        .iter()
        .map(|(_, fact, _)| (fact.time, fact.key))
        .collect();
    context.note(
        Question::Plain("licences"),
        Answer::Facts(found.len()),
        Seen::Keys(keys),
    );
    Ok(found
        .into_iter()
        .map(|(at, ..)| Dynamic::from(Record::licence(held, at)))
        .collect())
}

fn on_list(context: &Context, list: &ImmutableString) -> Given<bool> {
    let held = facts(context, "on_list")?;
    let found = ask::entry(held, context.as_of, list);
    let is_on = found.is_some();
    let keys = found.map(|(_, fact, _)| (fact.time, fact.key));
    context.note(
        Question::Name("on_list", list.clone()),
        Answer::Value(is_on.into()),
        Seen::Keys(keys.into_iter().collect()),
    );
    Ok(is_on)
}

fn list_entry(context: &Context, list: &ImmutableString) -> Given<Dynamic> {
    let held = facts(context, "list_entry")?;
    let question = Question::Name("list_entry", list.clone());
    let Some((at, fact, _)) = ask::entry(held, context.as_of, list) else {
        context.note(question, Answer::None, Seen::Nothing);
        return Ok(Dynamic::UNIT);
    };
    context.note(
        question,
        Answer::At(fact.time),
        Seen::Keys(vec![(fact.time, fact.key)]),
    );
    Ok(Dynamic::from(Record::fact(Stream::ListChange, held, at)))
}

fn has_tag(context: &Context, tag: &ImmutableString) -> Given<bool> {
    let held = facts(context, "has_tag")?;
    let found = ask::tag(held, context.as_of, tag);
    let has = found.is_some_and(|(has, _)| has);
    context.note(
        Question::Name("has_tag", tag.clone()),
        Answer::Value(has.into()),
        Seen::Keys(found.map(|(_, key)| key).into_iter().collect()),
    );
    Ok(has)
}

fn registry(context: &Context) -> Given<Dynamic> {
    let held = facts(context, "registry")?;
    let Some(registry) = ask::registry(held, context.as_of) else {
        context.note(Question::Plain("registry"), Answer::Facts(0), Seen::Nothing);
        return Ok(Dynamic::UNIT);
    };
    let mut map = Map::new();
    for field in Field::all_of(Stream::RegistryChange) {
        let held = registry.fields.get(&field);
        let value = held.map_or(Dynamic::UNIT, |value| to_dynamic(&value.to_value()));
        map.insert(field.name().into(), value);
    }
    map.insert("time".into(), Dynamic::from(registry.newest.time));
    let id = registry.newest.peek().map(|peek| peek.id());
    map.insert("id".into(), id.unwrap_or_default().into());
    let newest: (EventTime, _) = (registry.newest.time, registry.newest.key);
    context.note(
        Question::Plain("registry"),
        Answer::Facts(registry.count),
        Seen::Keys(vec![newest]),
    );
    Ok(Dynamic::from_map(map))
}
