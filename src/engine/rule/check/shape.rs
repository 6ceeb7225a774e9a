//! What an expression can come out as: its kinds, and, where they are known, its bounds, texts and truth.
//!
//! A [`Shape`] says too much rather than too little: whatever the expression gives is in it. So "no kind in common" is
//! certain, and "may be empty" is possible.
//!
//! bounds   texts are listed up to [`TEXTS_MAX`], then they are any text

use crate::engine::schema::{FIELDS, FieldType, Stream};
use rhai::{Dynamic, INT, Map};
use rust_decimal::Decimal;
use std::collections::BTreeSet;

/// The most texts that are told apart.
const TEXTS_MAX: usize = 32;

/// A set of kinds of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds(u16);

impl Kinds {
    pub(super) const UNIT: Self = Self(1);
    pub(super) const BOOL: Self = Self(2);
    pub(super) const INT: Self = Self(4);
    pub(super) const DECIMAL: Self = Self(8);
    pub(super) const TEXT: Self = Self(16);
    pub(super) const TIME: Self = Self(32);
    pub(super) const LIST: Self = Self(64);
    pub(super) const MAP: Self = Self(128);
    pub(super) const RECORD: Self = Self(256);
    pub(super) const OTHER: Self = Self(512);
    pub(super) const NUMBER: Self = Self(4 | 8);
    pub(super) const ANY: Self = Self(1023);
    pub(super) const NONE: Self = Self(0);

    const TITLES: [(Self, &'static str); 9] = [
        (Self::BOOL, "是否"),
        (Self::INT, "整数"),
        (Self::DECIMAL, "小数"),
        (Self::TEXT, "文本"),
        (Self::TIME, "时间"),
        (Self::LIST, "列表"),
        (Self::MAP, "映射"),
        (Self::RECORD, "记录"),
        (Self::UNIT, "空值"),
    ];

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// `整数或空值`.
    pub(super) fn title(self) -> String {
        let titles: Vec<&str> = Self::TITLES
            .iter()
            .filter(|(kind, _)| self.has(*kind))
            .map(|(_, title)| *title)
            .collect();
        titles.join("或")
    }

    /// What a field of this type holds when it is filled in.
    pub(super) const fn of_field(field_type: FieldType) -> Self {
        match field_type {
            FieldType::Bool => Self::BOOL,
            FieldType::Int => Self::INT,
            FieldType::Decimal => Self::DECIMAL,
            FieldType::Text => Self::TEXT,
            FieldType::Time => Self::TIME,
            FieldType::List => Self::LIST,
        }
    }
}

/// What an expression can come out as.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// Its kinds.
    pub kinds: Kinds,
    /// Not less than this, if it is a number.
    pub low: Option<Decimal>,
    /// Not more than this, if it is a number.
    pub high: Option<Decimal>,
    /// One of these, if it is a text.
    pub texts: Option<BTreeSet<String>>,
    /// What it is, if it is a truth.
    pub truth: Option<bool>,
    /// What its items are, if it is a list.
    pub items: Option<Box<Shape>>,
    /// Whose fields it has, if it is a record.
    pub streams: Vec<Stream>,
    /// The entries, if it is a map that the rule writes down.
    pub entries: Option<Vec<(String, Shape)>>,
    /// Whether it depends on facts; else it is written in the rule.
    pub varies: bool,
}

impl Shape {
    /// A value of these kinds that comes from facts.
    pub(super) fn of(kinds: Kinds) -> Self {
        Self {
            kinds,
            low: None,
            high: None,
            texts: None,
            truth: None,
            items: None,
            streams: Vec::new(),
            entries: None,
            varies: true,
        }
    }

    /// Nothing is known.
    pub(super) fn any() -> Self {
        Self::of(Kinds::ANY)
    }

    /// Nothing.
    pub(super) fn unit() -> Self {
        Self {
            varies: false,
            ..Self::of(Kinds::UNIT)
        }
    }

    /// A whole number between bounds.
    pub(super) fn int(low: Option<INT>, high: Option<INT>) -> Self {
        Self {
            low: low.map(Decimal::from),
            high: high.map(Decimal::from),
            ..Self::of(Kinds::INT)
        }
    }

    /// A fact of one of these streams.
    pub(super) fn record(streams: &[Stream]) -> Self {
        Self {
            streams: streams.to_vec(),
            ..Self::of(Kinds::RECORD)
        }
    }

    /// A list of such items.
    pub(super) fn list(items: Self) -> Self {
        Self {
            items: Some(Box::new(items)),
            ..Self::of(Kinds::LIST)
        }
    }

    /// One of these texts.
    pub(super) fn one_of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        Self {
            texts: Some(texts.into_iter().map(str::to_owned).collect()),
            ..Self::of(Kinds::TEXT)
        }
    }

    /// A truth that is known or not.
    pub(super) fn bool(truth: Option<bool>) -> Self {
        Self {
            truth,
            ..Self::of(Kinds::BOOL)
        }
    }

    /// The same, or nothing.
    pub(super) fn or_unit(mut self) -> Self {
        self.kinds = self.kinds.or(Kinds::UNIT);
        self
    }

    /// The same, certainly there.
    pub(super) fn filled(mut self) -> Self {
        self.kinds = self.kinds.without(Kinds::UNIT);
        self
    }

    /// What a field of a fact holds, by its name; it may not be filled in.
    pub(super) fn field(name: &str) -> Option<Self> {
        let spec = FIELDS.iter().find(|spec| spec.name == name)?;
        let mut shape = Self::of(Kinds::of_field(spec.field_type)).or_unit();
        if spec.field_type == FieldType::List {
            shape.items = Some(Box::new(Self::of(Kinds::TEXT)));
        }
        Some(shape)
    }

    /// A value that stands in the rule.
    pub(super) fn literal(value: &Dynamic) -> Self {
        let mut shape = Self::unit();
        if let Ok(number) = value.as_int() {
            (shape.kinds, shape.low) = (Kinds::INT, Some(number.into()));
            shape.high = shape.low;
        } else if let Ok(number) = value.as_decimal() {
            (shape.kinds, shape.low, shape.high) = (Kinds::DECIMAL, Some(number), Some(number));
        } else if let Ok(truth) = value.as_bool() {
            (shape.kinds, shape.truth) = (Kinds::BOOL, Some(truth));
        } else if value.is_string() || value.is_char() {
            shape.kinds = Kinds::TEXT;
            shape.texts = Some(BTreeSet::from([value.to_string()]));
        } else if let Some(list) = value.read_lock::<rhai::Array>() {
            shape.kinds = Kinds::LIST;
            let items = list.iter().map(Self::literal).reduce(|a, b| a.join(&b));
            shape.items = items.map(Box::new);
        } else if let Some(map) = value.read_lock::<Map>() {
            shape.kinds = Kinds::MAP;
            let entries = map.iter().map(|(k, v)| (k.to_string(), Self::literal(v)));
            shape.entries = Some(entries.collect());
        } else if !value.is_unit() {
            shape.kinds = Kinds::OTHER;
        }
        shape
    }

    /// What comes out of one or the other.
    pub(super) fn join(&self, other: &Self) -> Self {
        if self.kinds.is_none() {
            return other.clone();
        }
        if other.kinds.is_none() {
            return self.clone();
        }
        // What is empty has no bounds, texts or truth of its own.
        let (a, b) = (self.content(), other.content());
        let (a, b) = match (a, b) {
            (Some(a), Some(b)) => (a, b),
            (Some(only), None) | (None, Some(only)) => (only, only),
            (None, None) => (self, other),
        };
        let mut streams = a.streams.clone();
        streams.extend(b.streams.iter().filter(|s| !a.streams.contains(s)));
        if a.streams.is_empty() || b.streams.is_empty() {
            streams.clear();
        }
        let texts = a.texts.as_ref().zip(b.texts.as_ref());
        let texts = texts.map(|(x, y)| x.union(y).cloned().collect::<BTreeSet<_>>());
        let items = match (&a.items, &b.items) {
            (Some(x), Some(y)) => Some(Box::new(x.join(y))),
            (x, y) if a.kinds.is_none() || b.kinds.is_none() => x.clone().or(y.clone()),
            _ => None,
        };
        Self {
            kinds: self.kinds.or(other.kinds),
            low: a.low.zip(b.low).map(|(x, y)| x.min(y)),
            high: a.high.zip(b.high).map(|(x, y)| x.max(y)),
            texts: texts.filter(|texts| texts.len() <= TEXTS_MAX),
            truth: a.truth.filter(|_| a.truth == b.truth),
            items,
            streams,
            entries: a.entries.clone().filter(|_| a.entries == b.entries),
            varies: true,
        }
    }

    fn content(&self) -> Option<&Self> {
        (self.kinds != Kinds::UNIT).then_some(self)
    }

    /// The one number that it is.
    pub(super) fn number(&self) -> Option<Decimal> {
        self.low.filter(|_| self.low == self.high)
    }

    /// The one text that it is.
    pub(super) fn text(&self) -> Option<&str> {
        let texts = self.texts.as_ref().filter(|texts| texts.len() == 1)?;
        texts.first().map(String::as_str)
    }
}
