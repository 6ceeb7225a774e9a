//! What a rule may say: `warn`, `signal`, `sanction`, `check_on`.
//!
//! They may be called together, in any order. Of several calls of the same one the last holds; of several `check_on` the
//! earliest time that is still to come. `score` in all of them are risk points, 0 to 100; a decimal is rounded.
//!
//! errors   a key that is not known, a level that is none, a text where a list is expected: each fails at its place

use super::context::{Context, current};
use super::convert::{fault, text, texts, type_title, whole};
use super::dates::moment;
use super::names::suggestion;
use super::record::Record;
use crate::engine::event::RecordKey;
use crate::engine::subject::view::{Level, SanctionCall, SignalCall, WarnCall};
use crate::engine::time::EventTime;
use rhai::{Array, Dynamic, Engine, EvalAltResult, Map, NativeCallContext};

/// The longest message, bytes.
const MESSAGE_BYTES_MAX: usize = 1_024;

type Done = Result<(), Box<EvalAltResult>>;

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    /// `warn`
    Warning,
    /// `signal`
    Signal,
    /// `sanction`
    Sanction,
}

impl Speech {
    /// By the name of the function.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        match name {
            "warn" => Some(Self::Warning),
            "signal" => Some(Self::Signal),
            "sanction" => Some(Self::Sanction),
            _ => None,
        }
    }
}

/// Says it, in these words; the error says what is wrong with them.
pub(super) fn say(speech: Speech, context: &Context, map: &Map) -> Result<(), String> {
    match speech {
        Speech::Warning => warn(context, map),
        Speech::Signal => signal(context, map),
        Speech::Sanction => sanction(context, map),
    }
}

/// The keys that each of them knows.
pub(super) const WARN_KEYS: [&str; 5] = ["level", "score", "message", "suggest", "evidence"];
/// See [`WARN_KEYS`].
pub(super) const SIGNAL_KEYS: [&str; 3] = ["score", "message", "evidence"];
/// See [`WARN_KEYS`].
pub(super) const SANCTION_KEYS: [&str; 6] = [
    "measures", "partners", "message", "review", "months", "evidence",
];

/// Registers them.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn("warn", |call: NativeCallContext, map: Map| {
            placed(&call, Speech::Warning, &map)
        })
        .register_fn("signal", |call: NativeCallContext, map: Map| {
            placed(&call, Speech::Signal, &map)
        })
        .register_fn("sanction", |call: NativeCallContext, map: Map| {
            placed(&call, Speech::Sanction, &map)
        })
        .register_fn(
            "check_on",
            |call: NativeCallContext, time: Dynamic| -> Done {
                let context = current(&call)?;
                let time = moment(&time)?;
                // A time that has come asks for nothing: the judgement at that time must not ask for itself again.
                if context.as_of < time {
                    let mut book = context.book();
                    book.check_at = Some(book.check_at.map_or(time, |earlier| earlier.min(time)));
                }
                Ok(())
            },
        );
}

fn placed(call: &NativeCallContext, speech: Speech, map: &Map) -> Done {
    let context = current(call)?;
    say(speech, &context, map).map_err(|message| fault(message, call.call_position()))
}

fn warn(context: &Context, map: &Map) -> Result<(), String> {
    known(map, "warn", &WARN_KEYS)?;
    let level = needed_text(map, "warn", "level")?;
    let call = WarnCall {
        level: Level::by_name(&level)
            .ok_or_else(|| format!("预警级别“{level}”无效,应为 红、橙、黄、蓝 之一"))?,
        points: points(map, "warn", true)?,
        message: message(map, "warn")?,
        suggest: optional_text(map, "warn", "suggest")?,
    };
    let named = evidence(map, "warn")?;
    let mut book = context.book();
    book.warning = Some(call);
    if named.is_some() {
        book.named = named;
    }
    Ok(())
}

fn signal(context: &Context, map: &Map) -> Result<(), String> {
    known(map, "signal", &SIGNAL_KEYS)?;
    let call = SignalCall {
        points: points(map, "signal", false)?,
        message: message(map, "signal")?,
    };
    let named = evidence(map, "signal")?;
    let mut book = context.book();
    book.signal = Some(call);
    if named.is_some() {
        book.named = named;
    }
    Ok(())
}

fn sanction(context: &Context, map: &Map) -> Result<(), String> {
    known(map, "sanction", &SANCTION_KEYS)?;
    let measures = list(map, "measures")?;
    for measure in &measures {
        context.rule.shared.measures.check(measure)?;
    }
    let months = match map.get("months").filter(|v| !v.is_unit()) {
        None => None,
        Some(value) => Some(
            whole(value)
                .and_then(|months| u16::try_from(months).ok())
                .filter(|months| (1..=120).contains(months))
                .ok_or("sanction 的 months 应为 1 到 120 的整数(月)")?,
        ),
    };
    let review = match map.get("review").filter(|v| !v.is_unit()) {
        None => true,
        Some(value) => value
            .as_bool()
            .map_err(|_| "sanction 的 review 应为 true 或 false")?,
    };
    let call = SanctionCall {
        measures,
        partners: list(map, "partners")?,
        message: message(map, "sanction")?,
        months,
        review,
    };
    let named = evidence(map, "sanction")?;
    let mut book = context.book();
    book.sanction = Some(call);
    if named.is_some() {
        book.named = named;
    }
    Ok(())
}

fn known(map: &Map, function: &str, keys: &[&str]) -> Result<(), String> {
    match map.keys().find(|key| !keys.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(format!(
            "{function} 没有参数“{key}”{}",
            suggestion(key, keys.iter().copied())
        )),
    }
}

fn needed_text(map: &Map, function: &str, key: &str) -> Result<String, String> {
    match map.get(key) {
        None => Err(format!("{function} 缺少参数 {key}")),
        Some(value) => text(value)
            .ok_or_else(|| format!("{function} 的 {key} 应为文本,而不是{}", type_title(value))),
    }
}

fn optional_text(map: &Map, function: &str, key: &str) -> Result<Option<Box<str>>, String> {
    if map.get(key).is_none_or(Dynamic::is_unit) {
        return Ok(None);
    }
    needed_text(map, function, key).map(|text| Some(text.into_boxed_str()))
}

fn message(map: &Map, function: &str) -> Result<Box<str>, String> {
    let message = needed_text(map, function, "message")?;
    if message.trim().is_empty() {
        return Err(format!("{function} 的 message 不能为空"));
    }
    if MESSAGE_BYTES_MAX < message.len() {
        return Err(format!(
            "{function} 的 message 超过 {MESSAGE_BYTES_MAX} 字节"
        ));
    }
    Ok(message.into_boxed_str())
}

fn points(map: &Map, function: &str, is_needed: bool) -> Result<u8, String> {
    let Some(value) = map.get("score") else {
        return if is_needed {
            Err(format!("{function} 缺少参数 score"))
        } else {
            Ok(0)
        };
    };
    whole(value)
        .and_then(|points| u8::try_from(points).ok())
        .filter(|points| *points <= 100)
        .ok_or_else(|| {
            let shown = if value.is_unit() {
                "空值".to_owned()
            } else {
                value.to_string()
            };
            format!("{function} 的 score 应为 0 到 100 的数,而这里是 {shown}")
        })
}

fn list(map: &Map, key: &str) -> Result<Box<[Box<str>]>, String> {
    let value = map
        .get(key)
        .ok_or_else(|| format!("sanction 缺少参数 {key}"))?;
    texts(value)
        .filter(|texts| !texts.is_empty())
        .ok_or_else(|| format!("sanction 的 {key} 应为文本列表,如 [\"…\"]"))
}

type Named = Vec<(EventTime, RecordKey)>;

fn evidence(map: &Map, function: &str) -> Result<Option<Named>, String> {
    let Some(value) = map.get("evidence").filter(|v| !v.is_unit()) else {
        return Ok(None);
    };
    let items = match value.read_lock::<Array>() {
        Some(array) => array.clone(),
        None => vec![value.clone()],
    };
    let mut named = Vec::with_capacity(items.len());
    for item in items.iter().filter(|item| !item.is_unit()) {
        let Some(record) = item.read_lock::<Record>() else {
            return Err(format!(
                "{function} 的 evidence 应为 who.list、who.last 等给出的记录,而不是{}",
                type_title(item)
            ));
        };
        if let Some(key) = record.key() {
            named.push((record.time(), key));
        }
    }
    Ok(Some(named))
}
