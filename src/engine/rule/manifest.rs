//! What a rule says of itself: the literal `const RULE = #{ … }`.
//!
//! ```text
//! id, name, owner, basis   texts, needed                 subject  "enterprise" (default), or a list
//! on                       streams, needed                by       fields that group a collective
//! history                  "0d" (default)                 cooldown "30d" (default)
//! status                   "active" (default), draft, shadow, retired
//! fill                     "0d" (default): how much of the past is judged when the text comes into force
//! challenges               the id of the rule beside which this one runs, in the shadow
//! dimension                default: the folder, if scoring.toml has it, else "complaint"
//! suggest                  text                           params   #{ … }: what `decide` gets as `p`
//! ```

use super::diagnostic::{Help, Report};
use crate::engine::event::SubjectKind;
use crate::engine::schema::{Field, Stream};
use crate::engine::score::Scoring;
use crate::engine::time::parse_span_ms;
use rhai::{AST, ASTFlags, Dynamic, Expr, Map, Position, Stmt};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether a rule is in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleStatus {
    /// Being written: checked and tested, judged nowhere.
    Draft,
    /// Judged beside the others; what it says is kept and not sent.
    Shadow,
    /// In service.
    Active,
    /// Out of service.
    Retired,
}

impl RuleStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Draft, Self::Shadow, Self::Active, Self::Retired];

    /// The word in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Shadow => "shadow",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    /// Whether rules of this status judge anything.
    pub fn is_judged(self) -> bool {
        matches!(self, Self::Shadow | Self::Active)
    }
}

/// What a rule says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Unique in the rule set.
    pub id: Arc<str>,
    /// Chinese title.
    pub name: Box<str>,
    /// The office that answers for it.
    pub owner: Box<str>,
    /// The laws it rests on, as written.
    pub basis: Vec<Box<str>>,
    /// The kinds of subject that it judges: individuals only, or collectives only.
    pub subjects: Vec<SubjectKind>,
    /// The streams whose facts it is judged on.
    pub on: Vec<Stream>,
    /// The streams that it reads through `who`, its own among them if it does.
    pub reads: Vec<Stream>,
    /// Whether it asks to be judged again later.
    pub uses_checks: bool,
    /// How far back it looks, ms.
    pub history_ms: i64,
    /// How long an episode lasts after the last finding, ms.
    pub cooldown_ms: i64,
    /// Whether it is in service.
    pub status: RuleStatus,
    /// How much of the past it judges when it comes into force, ms.
    pub fill_ms: i64,
    /// The rule whose place it would take.
    pub challenges: Option<Arc<str>>,
    /// The dimension of risk that its points count in.
    pub dimension: Box<str>,
    /// The fields that group a collective's facts.
    pub by: Vec<Field>,
    /// The folder.
    pub line: Box<str>,
    /// The file.
    pub file: Box<str>,
    /// What officers might do, if `warn` says nothing else.
    pub suggest: Option<Box<str>>,
    /// Whether Rhai shall run all of it: no first look, no index.
    pub is_interpreted: bool,
    /// What the first lines of the file say.
    pub summary: Box<str>,
}

impl Manifest {
    /// The manifest of the warning on a subject's whole score, which no file writes.
    pub fn composite() -> Self {
        Self {
            id: Arc::from(crate::engine::settle::COMPOSITE),
            name: "综合风险".into(),
            owner: "".into(),
            basis: vec!["《企业信用风险分类管理》（国市监信发〔2022〕6号）".into()],
            subjects: Vec::new(),
            on: Vec::new(),
            reads: Vec::new(),
            uses_checks: false,
            history_ms: 0,
            cooldown_ms: 0,
            status: RuleStatus::Active,
            fill_ms: 0,
            challenges: None,
            dimension: "".into(),
            by: Vec::new(),
            line: "".into(),
            file: "".into(),
            suggest: Some("综合研判，确定监管方式和频次；优先采用非现场方式".into()),
            is_interpreted: false,
            summary: "".into(),
        }
    }

    /// Whether it judges collectives.
    pub fn is_collective(&self) -> bool {
        self.subjects.iter().any(|kind| kind.is_collective())
    }
}

/// A manifest as it stands in the file.
#[derive(Debug)]
pub(super) struct Literal {
    /// Where `RULE` stands.
    pub at: Position,
    entries: BTreeMap<String, (Dynamic, Position)>,
    /// Where the texts of an entry stand.
    texts: BTreeMap<(String, String), Position>,
}

pub(super) const KEYS: [&str; 16] = [
    "id",
    "name",
    "owner",
    "basis",
    "subject",
    "on",
    "history",
    "cooldown",
    "status",
    "fill",
    "challenges",
    "dimension",
    "by",
    "suggest",
    "interpreted",
    "params",
];

impl Literal {
    /// Finds `const RULE = #{…}` and reads its literals.
    pub(super) fn find(ast: &AST, report: &mut Report<'_>) -> Option<Self> {
        let mut found = None;
        for statement in ast.statements() {
            match statement {
                Stmt::Var(parts, flags, at)
                    if parts.0.name == "RULE" && flags.contains(ASTFlags::CONSTANT) =>
                {
                    found = Self::read(&parts.1, *at, report);
                }
                Stmt::Noop(_) => {}
                other => report.error(
                    "statement-outside",
                    other.position(),
                    "规则文件的顶层只能有 const RULE 和函数",
                    "请把这一句移到 decide 里",
                ),
            }
        }
        if found.is_none() {
            report.error(
                "no-manifest",
                Position::NONE,
                "缺少 const RULE = #{ … }",
                "至少写出 id、name、owner、basis、on",
            );
        }
        found
    }

    fn read(expression: &Expr, at: Position, report: &mut Report<'_>) -> Option<Self> {
        let Expr::Map(map, _) = expression else {
            report.error("no-manifest", at, "RULE 应为映射 #{ … }", "");
            return None;
        };
        let mut entries = BTreeMap::new();
        let mut texts = BTreeMap::new();
        for (key, value) in &map.0 {
            let items = match value {
                Expr::Array(items, _) => items.as_slice(),
                one => core::slice::from_ref(one),
            };
            for item in items {
                if let Expr::StringConstant(text, at) = item {
                    texts.insert((key.name.to_string(), text.to_string()), *at);
                }
            }
            match value.get_literal_value(None) {
                Some(literal) => {
                    entries.insert(key.name.to_string(), (literal, key.pos));
                }
                None => report.error(
                    "not-literal",
                    computed(value).start_position(),
                    format!("RULE.{} 应为纯字面量,不能计算", key.name),
                    "RULE 里直接写出结果;要算的放进 decide",
                ),
            }
        }
        Some(Self { at, entries, texts })
    }

    /// Where an entry stands, else where `RULE` does.
    pub(super) fn place(&self, key: &str) -> Position {
        self.entries.get(key).map_or(self.at, |(_, at)| *at)
    }

    /// Where this text of an entry stands, else the entry.
    pub(super) fn place_of(&self, key: &str, text: &str) -> Position {
        let place = self.texts.get(&(key.to_owned(), text.to_owned()));
        place.copied().unwrap_or_else(|| self.place(key))
    }

    /// The parameters.
    pub(super) fn params(&self, report: &mut Report<'_>) -> Map {
        match self.entries.get("params") {
            None => Map::new(),
            Some((value, at)) => value.clone().try_cast::<Map>().unwrap_or_else(|| {
                report.error("bad-manifest", *at, "params 应为映射 #{ … }", "");
                Map::new()
            }),
        }
    }

    /// The manifest; what is wrong is reported and replaced by a default.
    pub(super) fn manifest(
        &self,
        file: &str,
        source: &str,
        scoring: &Scoring,
        report: &mut Report<'_>,
    ) -> Manifest {
        for key in self
            .entries
            .keys()
            .filter(|key| !KEYS.contains(&key.as_str()))
        {
            report.error(
                "bad-manifest",
                self.place(key),
                format!("RULE 没有“{key}”这一项"),
                help(key, KEYS.into_iter()),
            );
        }
        let line = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let line = line.rsplit_once('/').map_or(line, |(_, last)| last);
        let on = self.streams("on", report);
        let subjects = self.subjects(report);
        let status = self.status(report);
        Manifest {
            id: self.text("id", report).into(),
            name: self.text("name", report).into(),
            owner: self.text("owner", report).into(),
            basis: self
                .list("basis", true, report)
                .into_iter()
                .map(Into::into)
                .collect(),
            by: self.by(&subjects, &on, report),
            fill_ms: self.span("fill", 0, report),
            challenges: self.challenges(status, report),
            subjects,
            on,
            reads: Vec::new(),
            uses_checks: source.contains("check_on("),
            history_ms: self.span("history", 0, report),
            cooldown_ms: self.span("cooldown", 30 * crate::engine::time::DAY_MS, report),
            status,
            dimension: self.dimension(line, scoring, report).into(),
            line: line.into(),
            file: file.into(),
            suggest: self.optional("suggest", report).map(Into::into),
            is_interpreted: self.is_interpreted(report),
            summary: summary(source).into(),
        }
    }

    /// `interpreted: true`.
    fn is_interpreted(&self, report: &mut Report<'_>) -> bool {
        let Some((value, at)) = self.entries.get("interpreted") else {
            return false;
        };
        value.as_bool().unwrap_or_else(|_| {
            let message = "interpreted 应为 true 或 false";
            report.error(
                "bad-manifest",
                *at,
                message,
                "平时不必写;写 true 则整条规则由 Rhai 解释执行",
            );
            false
        })
    }

    pub(super) fn optional(&self, key: &str, report: &mut Report<'_>) -> Option<String> {
        let (value, at) = self.entries.get(key)?;
        let text = value.is_string().then(|| value.to_string());
        if text.as_ref().is_none_or(|text| text.trim().is_empty()) {
            report.error(
                "bad-manifest",
                *at,
                format!("{key} 应为文本,且不能为空"),
                format!("写作 {key}: \"…\","),
            );
        }
        text
    }

    fn text(&self, key: &str, report: &mut Report<'_>) -> String {
        if !self.entries.contains_key(key) {
            let help = format!("在 RULE 里加一行 {key}: \"…\",");
            report.error("missing-key", self.at, format!("RULE 缺少 {key}"), help);
        }
        self.optional(key, report).unwrap_or_default()
    }

    fn list(&self, key: &str, is_needed: bool, report: &mut Report<'_>) -> Vec<String> {
        let texts = match self.entries.get(key) {
            None => Some(Vec::new()),
            Some((value, _)) => super::convert::texts(value)
                .map(|texts| texts.into_iter().map(String::from).collect::<Vec<_>>()),
        };
        match texts {
            Some(texts) if !is_needed || !texts.is_empty() => texts,
            Some(_) => {
                report.error(
                    "missing-key",
                    self.place(key),
                    format!("RULE 缺少 {key}"),
                    format!("在 RULE 里加一行 {key}: [\"…\"],"),
                );
                Vec::new()
            }
            None => {
                let message = format!("{key} 应为文本列表,如 [\"…\"]");
                report.error(
                    "bad-manifest",
                    self.place(key),
                    message,
                    "文字加引号,列表加方括号",
                );
                Vec::new()
            }
        }
    }

    fn streams(&self, key: &str, report: &mut Report<'_>) -> Vec<Stream> {
        let mut streams = Vec::new();
        for name in self.list(key, true, report) {
            match Stream::by_name(&name) {
                Some(stream) if streams.contains(&stream) => {}
                Some(stream) => streams.push(stream),
                None => report.error(
                    "unknown-stream",
                    self.place_of(key, &name),
                    format!("没有名为“{name}”的数据流"),
                    help(&name, Stream::ALL.iter().map(|s| s.name())),
                ),
            }
        }
        streams
    }

    fn subjects(&self, report: &mut Report<'_>) -> Vec<SubjectKind> {
        let names = self.list("subject", false, report);
        let mut subjects = Vec::new();
        for name in &names {
            match SubjectKind::by_name(name) {
                Some(kind) if subjects.contains(&kind) => {}
                Some(kind) => subjects.push(kind),
                None => report.error(
                    "unknown-subject",
                    self.place_of("subject", name),
                    format!("没有名为“{name}”的主体类型"),
                    help(name, SubjectKind::ALL.iter().map(|k| k.name())),
                ),
            }
        }
        if subjects.is_empty() {
            subjects.push(SubjectKind::Enterprise);
        }
        let collectives = subjects.iter().filter(|kind| kind.is_collective()).count();
        if 0 < collectives && collectives < subjects.len() {
            report.error(
                "bad-manifest",
                self.place("subject"),
                "一条规则不能既研判个体(企业等)又研判群体(区域、行业、部门)",
                "请分成两条规则",
            );
        }
        subjects
    }

    fn by(&self, subjects: &[SubjectKind], on: &[Stream], report: &mut Report<'_>) -> Vec<Field> {
        let at = self.place("by");
        let names = self.list("by", false, report);
        if !names.is_empty() && !subjects.iter().any(|kind| kind.is_collective()) {
            report.error(
                "bad-manifest",
                at,
                "by 只用于群体主体(区域、行业、部门)",
                "个体的规则不写 by;要按区域分组就写 subject: \"region\"",
            );
        }
        let mut fields = Vec::new();
        for name in &names {
            let Some(first) = on.first() else { continue };
            match Field::of(*first, name) {
                Some(field) if fields.contains(&field) => {}
                Some(field) => fields.push(field),
                None => report.error(
                    "unknown-field",
                    self.place_of("by", name),
                    format!("{}({})没有字段“{name}”", first.title(), first.name()),
                    help(name, Field::all_of(*first).map(Field::name)),
                ),
            }
        }
        fields
    }

    pub(super) fn span(&self, key: &str, default: i64, report: &mut Report<'_>) -> i64 {
        let Some(text) = self.optional(key, report) else {
            return default;
        };
        if text == "0d" {
            return 0;
        }
        parse_span_ms(&text).unwrap_or_else(|| {
            report.error(
                "bad-span",
                self.place(key),
                format!("{key} 的“{text}”不是时间长度"),
                "应写作 90d、24h、2w、30m",
            );
            default
        })
    }

    fn dimension(&self, line: &str, scoring: &Scoring, report: &mut Report<'_>) -> String {
        let Some(name) = self.optional("dimension", report) else {
            let known = scoring.has_dimension(line);
            return if known { line } else { "complaint" }.to_owned();
        };
        if !scoring.has_dimension(&name) {
            report.error(
                "unknown-dimension",
                self.place_of("dimension", &name),
                format!("scoring.toml 没有维度“{name}”"),
                help(&name, scoring.dimensions()),
            );
        }
        name
    }
}

/// The part of an expression that is computed.
fn computed(expression: &Expr) -> &Expr {
    let is_computed = |part: &&Expr| part.get_literal_value(None).is_none();
    let inner = match expression {
        Expr::Map(map, _) => map.0.iter().map(|(_, value)| value).find(is_computed),
        Expr::Array(items, _) => items.iter().find(is_computed),
        _ => None,
    };
    inner.map_or(expression, computed)
}

/// `是不是想写 …?`, or the whole list.
pub(super) fn help<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Help {
    let names: Vec<&str> = names.collect();
    let near = super::names::nearest(wanted, names.iter().copied());
    Help::near(wanted, near, format!("可用的有 {}", names.join("、")))
}

/// The text of the leading `//!` lines.
fn summary(source: &str) -> String {
    let lines: Vec<&str> = source
        .lines()
        .map_while(|line| line.trim_start().strip_prefix("//!"))
        .map(str::trim)
        .collect();
    lines.join(" ").trim().to_owned()
}
