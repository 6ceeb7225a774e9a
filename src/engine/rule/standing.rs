//! What holds of the subject at the judging time: its licences, lists, tags and registration.
//!
//! These come from the standing streams, whose facts are kept as long as they are the latest word.

use super::context::Context;
use super::convert::to_dynamic;
use super::noted;
use super::record::Record;
use super::who::{Given, Who, facts};
use crate::engine::schema::{Field, Stream};
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
    let found = noted::licence((context, held), kind);
    Ok(found.map_or(Dynamic::UNIT, |at| Dynamic::from(Record::licence(held, at))))
}

fn licences(context: &Context) -> Given<Array> {
    let held = facts(context, "licences")?;
    let places = noted::licences((context, held)).into_iter();
    Ok(places
        .map(|at| Dynamic::from(Record::licence(held, at)))
        .collect())
}

fn on_list(context: &Context, list: &ImmutableString) -> Given<bool> {
    let held = facts(context, "on_list")?;
    Ok(noted::on_list((context, held), list))
}

fn list_entry(context: &Context, list: &ImmutableString) -> Given<Dynamic> {
    let held = facts(context, "list_entry")?;
    let found = noted::list_entry((context, held), list);
    Ok(found.map_or(Dynamic::UNIT, |at| {
        Dynamic::from(Record::fact(Stream::ListChange, held, at))
    }))
}

fn has_tag(context: &Context, tag: &ImmutableString) -> Given<bool> {
    let held = facts(context, "has_tag")?;
    Ok(noted::has_tag((context, held), tag))
}

fn registry(context: &Context) -> Given<Dynamic> {
    let held = facts(context, "registry")?;
    let Some(registry) = noted::registry((context, held)) else {
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
    Ok(Dynamic::from_map(map))
}
