//! A rule's tree, read before it is run: what the rule asks of `who`, and whether every name in it exists.
//!
//! Streams and fields must stand in the text, in `params` or in a `let` that is a literal; then the streams that a rule
//! reads are known exactly, which is what decides when it has to be judged again.
//!
//! why      Rhai finds a misspelt function when it is called and a misspelt property when it is read: too late

use super::bodies::bodies;
use super::diagnostic::{Help, Report};
use super::law::Measures;
use super::manifest::{Manifest, help};
use super::names::{
    FUNCTIONS, LIBRARY, Method, PROPERTIES, SCENARIO, WHO, WHO_PROPERTIES, nearest,
};
use super::says::{SANCTION_KEYS, SIGNAL_KEYS, WARN_KEYS};
use super::tails::tails;
use crate::engine::schema::{FIELDS, Field, Stream};
use crate::engine::subject::view::Level;
use rhai::{AST, ASTNode, Dynamic, Expr, FnCallExpr, Map, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// What a rule reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reads {
    /// The streams.
    pub streams: BTreeSet<Stream>,
    /// The fields whose different values it counts, by stream.
    pub distinct: BTreeSet<(Stream, Field)>,
}

/// Walks the functions of a rule.
#[derive(Debug)]
pub(super) struct Analysis<'a, 'r> {
    pub(super) manifest: &'a Manifest,
    params: &'a Map,
    measures: &'a Measures,
    pub(super) report: &'a mut Report<'r>,
    pub(super) reads: Reads,
    functions: BTreeSet<(String, usize)>,
    properties: BTreeSet<String>,
    names: Names,
    literals: BTreeMap<String, String>,
}

/// What `decide` calls its parameters.
#[derive(Debug)]
struct Names {
    ev: String,
    who: String,
    p: String,
}

impl<'a, 'r> Analysis<'a, 'r> {
    /// Reads the tree. What is wrong goes to the report.
    pub(super) fn run(
        ast: &AST,
        manifest: &'a Manifest,
        params: &'a Map,
        measures: &'a Measures,
        report: &'a mut Report<'r>,
    ) -> Reads {
        let decide = ast
            .iter_fn_def()
            .find(|f| f.name == "decide" && f.params.len() == 3);
        let parameter = |at: usize| {
            decide
                .and_then(|f| f.params.get(at))
                .map_or(String::new(), ToString::to_string)
        };
        let names = Names {
            ev: parameter(0),
            who: parameter(1),
            p: parameter(2),
        };
        if decide.is_none() {
            let other = ast.iter_fn_def().find(|f| f.name == "decide");
            let at = other.map_or(Position::NONE, |f| f.body.start_position());
            let message = match other {
                Some(f) => format!("decide 应有三个参数,这里有 {} 个", f.params.len()),
                None => "缺少 fn decide(ev, who, p)".to_owned(),
            };
            let help = "每条规则都要有 fn decide(ev, who, p)";
            report.error("no-decide", at, message, help);
        }
        let mut analysis = Self {
            manifest,
            params,
            measures,
            report,
            reads: Reads::default(),
            functions: ast
                .iter_fn_def()
                .map(|f| (f.name.to_string(), f.params.len()))
                .collect(),
            properties: BTreeSet::new(),
            names,
            literals: BTreeMap::new(),
        };
        analysis.know_properties(ast);
        analysis.refuse_taken_names(ast);
        analysis.walk(ast);
        analysis.reads
    }

    /// Every property that can be there: fields, the keys of params, and the keys of maps that the rule writes itself.
    fn know_properties(&mut self, ast: &AST) {
        let own = FIELDS.iter().map(|spec| spec.name);
        let known = own.chain(PROPERTIES).chain(WHO_PROPERTIES);
        self.properties = known.map(str::to_owned).collect();
        know_keys(&Dynamic::from(self.params.clone()), &mut self.properties);
        ast.walk(&mut |path| {
            if let Some(ASTNode::Expr(Expr::Map(map, _))) = path.last() {
                self.properties
                    .extend(map.0.iter().map(|(key, _)| key.name.to_string()));
            }
            true
        });
    }

    /// A function of the rule would stand before a method of the same name, whatever it is called on.
    fn refuse_taken_names(&mut self, ast: &AST) {
        for function in ast.iter_fn_def() {
            let name = function.name.as_str();
            let is_taken = LIBRARY.contains(&name)
                || WHO.iter().any(|method| method.name == name)
                || FUNCTIONS.iter().chain(&SCENARIO).any(|(n, _)| *n == name);
            if is_taken {
                let at = function.body.start_position();
                let message = format!("函数名 {name} 已被占用");
                self.report.error("taken-name", at, message, "请换一个名字");
            }
        }
    }

    fn walk(&mut self, ast: &AST) {
        for body in bodies(ast) {
            // What is known of variables holds within one function.
            self.literals.clear();
            body.ast.walk(&mut |path| {
                match path.last() {
                    Some(ASTNode::Stmt(statement)) => self.statement(statement),
                    Some(ASTNode::Expr(expression)) => self.expression(expression),
                    _ => {}
                }
                true
            });
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Var(parts, ..) => {
                if let Some(text) = self.literal(&parts.1) {
                    self.literals.insert(parts.0.name.to_string(), text);
                }
            }
            Stmt::Assignment(parts) => {
                if let Some(name) = variable(&parts.1.lhs) {
                    self.literals.remove(name);
                }
            }
            Stmt::FnCall(call, at) => self.free_call(call, *at),
            _ => {}
        }
    }

    fn expression(&mut self, expression: &Expr) {
        match expression {
            Expr::FnCall(call, at) => self.free_call(call, *at),
            Expr::Dot(parts, ..) => {
                let link = first_link(&parts.rhs);
                match link {
                    Expr::MethodCall(call, at) => self.method(&parts.lhs, call, *at),
                    Expr::Property(property, at) => self.property(&parts.lhs, &property.2, *at),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// The text that an expression certainly is.
    pub(super) fn literal(&self, expression: &Expr) -> Option<String> {
        match expression {
            Expr::StringConstant(text, _) => Some(text.to_string()),
            Expr::Variable(..) => self.literals.get(variable(expression)?).cloned(),
            Expr::Dot(parts, ..) if variable(&parts.lhs) == Some(self.names.p.as_str()) => {
                let Expr::Property(property, _) = &parts.rhs else {
                    return None;
                };
                let value = self.params.get(property.2.as_str())?;
                value.is_string().then(|| value.to_string())
            }
            _ => None,
        }
    }

    fn free_call(&mut self, call: &FnCallExpr, at: Position) {
        if call.op_token.is_some() {
            return;
        }
        let (name, count) = (call.name.as_str(), call.args.len());
        if self.functions.contains(&(name.to_owned(), count)) {
            return;
        }
        if let Some((_, counts)) = FUNCTIONS.iter().find(|(n, _)| *n == name) {
            self.count_arguments(name, counts, count, at);
        } else if WHO.iter().any(|method| method.name == name) {
            let message = format!("没有函数 {name}");
            let help = format!("请写作 {}.{name}(…)", self.names.who);
            self.report.error("unknown-function", at, message, help);
        } else if !LIBRARY.contains(&name) {
            let own: Vec<String> = self
                .functions
                .iter()
                .map(|(name, _)| name.clone())
                .collect();
            let all = FUNCTIONS.iter().map(|(n, _)| *n).chain(LIBRARY);
            let all = all.chain(own.iter().map(String::as_str));
            let help = Help::near(name, nearest(name, all), "可用的函数见指南的函数表");
            let message = format!("没有函数 {name}(参数 {count} 个)");
            self.report.error("unknown-function", at, message, help);
        }
        if let Some(Expr::Map(map, _)) = call.args.first() {
            match name {
                "warn" => self.says(name, &map.0, &WARN_KEYS),
                "signal" => self.says(name, &map.0, &SIGNAL_KEYS),
                "sanction" => self.says(name, &map.0, &SANCTION_KEYS),
                _ => {}
            }
        }
    }

    fn count_arguments(&mut self, name: &str, counts: &[usize], count: usize, at: Position) {
        if !counts.contains(&count) {
            let wanted: Vec<String> = counts.iter().map(ToString::to_string).collect();
            let wanted = wanted.join(" 或 ");
            let message = format!("{name} 应有 {wanted} 个参数,这里有 {count} 个");
            let help = "各个函数怎么写,见指南的函数表";
            self.report.error("wrong-arguments", at, message, help);
        }
    }

    fn says(&mut self, function: &str, entries: &[(rhai::Ident, Expr)], keys: &[&str]) {
        for (key, value) in entries {
            let name = key.name.as_str();
            if !keys.contains(&name) {
                let message = format!("{function} 没有参数“{name}”");
                self.report.error(
                    "unknown-argument",
                    key.pos,
                    message,
                    help(name, keys.iter().copied()),
                );
            }
            match name {
                "level" => {
                    for (level, at) in tails(value) {
                        if Level::by_name(level).is_none() {
                            let message = format!("预警级别“{level}”无效");
                            self.report.error(
                                "unknown-level",
                                at,
                                message,
                                "应为 红、橙、黄、蓝 之一",
                            );
                        }
                    }
                }
                "measures" => {
                    let Expr::Array(items, _) = value else {
                        continue;
                    };
                    for (measure, at) in items.iter().flat_map(tails) {
                        if self.measures.get(measure).is_none() {
                            let message = format!("惩戒措施“{measure}”不在 measures.toml 中");
                            // Which measure is meant is for a person to say.
                            let help = match self.measures.nearest(measure) {
                                Some(near) => format!("是不是想写 {near}?"),
                                None => "只能建议清单里的措施".to_owned(),
                            };
                            self.report.error("unknown-measure", at, message, help);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn method(&mut self, receiver: &Expr, call: &FnCallExpr, at: Position) {
        let (name, count) = (call.name.as_str(), call.args.len());
        let rows: Vec<&Method> = WHO.iter().filter(|method| method.name == name).collect();
        let is_who = variable(receiver) == Some(self.names.who.as_str());
        if let Some(row) = rows.iter().find(|row| row.arguments.len() == count) {
            self.question(row, call, at);
        } else if is_who && !rows.is_empty() {
            let counts: Vec<usize> = rows.iter().map(|row| row.arguments.len()).collect();
            self.count_arguments(name, &counts, count, at);
        } else if is_who {
            let names = WHO.iter().map(|method| method.name);
            let message = format!("who 没有方法 {name}");
            self.report
                .error("unknown-method", at, message, help(name, names));
        } else if let Some((_, counts)) = SCENARIO.iter().find(|(n, _)| *n == name) {
            self.count_arguments(name, counts, count, at);
            if name == "add" {
                self.added(call);
            }
        } else if !LIBRARY.contains(&name)
            && !FUNCTIONS.iter().any(|(n, _)| *n == name)
            && !self.functions.iter().any(|(n, _)| n == name)
        {
            let all = WHO.iter().map(|method| method.name);
            let all = all.chain(LIBRARY).chain(SCENARIO.iter().map(|(n, _)| *n));
            let help = Help::near(name, nearest(name, all), "可用的方法见指南的函数表");
            self.report
                .error("unknown-method", at, format!("没有方法 {name}"), help);
        }
    }

    fn property(&mut self, receiver: &Expr, name: &str, at: Position) {
        let receiver = variable(receiver).unwrap_or("");
        if receiver == self.names.ev {
            self.event_property(name, at);
        } else if receiver == self.names.who {
            if !WHO_PROPERTIES.contains(&name) {
                let message = format!("who 没有属性 {name}");
                self.report.error(
                    "unknown-property",
                    at,
                    message,
                    help(name, WHO_PROPERTIES.into_iter()),
                );
            }
        } else if receiver == self.names.p {
            if !self.params.contains_key(name) {
                let message = format!("RULE.params 里没有 {name}");
                let names = self.params.keys().map(rhai::Identifier::as_str);
                self.report
                    .error("unknown-param", at, message, help(name, names));
            }
        } else if !self.properties.contains(name) {
            let names = self.properties.iter().map(String::as_str);
            let help = Help::near(name, nearest(name, names), "有哪些字段,见指南的字段表");
            self.report
                .error("unknown-field", at, format!("没有字段 {name}"), help);
        }
    }

    fn event_property(&mut self, name: &str, at: Position) {
        if PROPERTIES.iter().take(3).any(|property| *property == name) {
            return;
        }
        let manifest = self.manifest;
        if manifest.is_collective() {
            if !manifest.by.iter().any(|field| field.name() == name) {
                let message = format!("群体主体的规则只能读 by 里的字段,没有 {name}");
                let names = manifest.by.iter().map(|field| field.name());
                self.report
                    .error("unknown-field", at, message, help(name, names));
            }
        } else if !manifest
            .on
            .iter()
            .any(|stream| Field::of(*stream, name).is_some())
        {
            let titles: Vec<&str> = manifest.on.iter().map(|stream| stream.title()).collect();
            let names: BTreeSet<&str> = manifest
                .on
                .iter()
                .flat_map(|s| Field::all_of(*s))
                .map(Field::name)
                .collect();
            let message = format!("{}没有字段 {name}", titles.join("、"));
            let help = Help::near(name, nearest(name, names), owners(name));
            self.report.error("unknown-field", at, message, help);
        }
    }
}

/// Which streams have the field, in words.
pub(super) fn owners(name: &str) -> String {
    let owners: Vec<&str> = Stream::ALL
        .into_iter()
        .filter(|s| Field::of(*s, name).is_some())
        .map(Stream::title)
        .collect();
    if owners.is_empty() {
        return "这种记录有哪些字段,见指南的字段表".to_owned();
    }
    format!("有这个字段的是{}", owners.join("、"))
}

/// The name, if the expression is a variable.
fn variable(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Variable(parts, ..) => Some(parts.1.as_str()),
        _ => None,
    }
}

/// The first link of what follows a dot: `a` of `.a.b[c]`.
fn first_link(rest: &Expr) -> &Expr {
    match rest {
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) => &parts.lhs,
        other => other,
    }
}

fn know_keys(value: &Dynamic, known: &mut BTreeSet<String>) {
    if let Some(map) = value.read_lock::<Map>() {
        for (key, value) in map.iter() {
            known.insert(key.to_string());
            know_keys(value, known);
        }
    }
}
