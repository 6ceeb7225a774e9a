//! Grafana's dashboard-linter, stated anew: each of its rules by its name, on each dashboard.
//!
//! The linter cannot be built here, so its rules are written down as its documents and source say them (as of June 2026, 17
//! rules). That queries are PromQL at all is seen here from their brackets and quotes alone, and in full by `.ci/watch`, where
//! the real Prometheus answers every one of them.
//! Left out on purpose, and said so: what the linter only *warns* of, that variables be labelled `Data source`, `Job` and
//! `Instance` in English. These are read by Chinese officers.
//!
//! source   github.com/grafana/dashboard-linter, docs/rules and lint/

use super::support::{dashboards, list, word};
use serde_json::Value;

/// The units that occur, of those that the linter knows.
const UNITS: [&str; 10] = [
    "none",
    "short",
    "percentunit",
    "s",
    "bytes",
    "cps",
    "cpm",
    "reqps",
    "dateTimeAsLocal",
    "string",
];
/// The kinds of panel that occur, of those that its panel rules look at.
const PANELS: [&str; 4] = ["stat", "timeseries", "gauge", "table"];

struct Board {
    name: String,
    json: Value,
}

type Rule = fn(&Board) -> Vec<String>;

/// The linter's rules, in its order.
const RULES: [(&str, Rule); 17] = [
    ("template-datasource-rule", template_datasource),
    ("template-job-rule", |board| template(board, "job")),
    ("template-instance-rule", |board| {
        template(board, "instance")
    }),
    ("template-label-promql-rule", template_label_promql),
    ("template-on-time-change-reload-rule", template_reload),
    ("panel-datasource-rule", panel_datasource),
    ("panel-title-description-rule", panel_text),
    ("panel-units-rule", panel_units),
    ("panel-no-targets-rule", panel_no_targets),
    ("target-logql-rule", no_logql),
    ("target-logql-auto-rule", no_logql),
    ("target-promql-rule", target_promql),
    ("target-rate-interval-rule", target_rate_interval),
    ("target-job-rule", |board| target_matcher(board, "job")),
    ("target-instance-rule", |board| {
        target_matcher(board, "instance")
    }),
    ("target-counter-agg-rule", target_counter_agg),
    ("uneditable-dashboard", uneditable),
];

fn boards() -> Vec<Board> {
    let found = dashboards().into_iter();
    found.map(|(name, json)| Board { name, json }).collect()
}

impl Board {
    fn variables(&self) -> &[Value] {
        list(&self.json, "/templating/list")
    }

    fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.variables().iter().filter(move |v| v["type"] == kind)
    }

    fn reads_prometheus(&self) -> bool {
        let first = self.of_type("datasource").next();
        first.is_some_and(|v| v["query"] == "prometheus")
    }

    fn panels(&self, kinds: &[&str]) -> impl Iterator<Item = &Value> {
        let panels = list(&self.json, "/panels").iter();
        panels.filter(move |panel| kinds.contains(&word(panel, "/type")))
    }

    /// Title and query of each target that is asked of Prometheus.
    fn queries(&self) -> Vec<(&str, &str)> {
        if !self.reads_prometheus() {
            return Vec::new();
        }
        let panels = list(&self.json, "/panels").iter();
        panels
            .flat_map(|panel| {
                let targets = list(panel, "/targets").iter();
                targets.map(|target| (word(panel, "/title"), word(target, "/expr")))
            })
            .collect()
    }

    /// What a rule finds in the selectors of the queries.
    fn hold(&self, rule: impl Fn(&Selector<'_>) -> Option<String>) -> Vec<String> {
        let mut faults = Vec::new();
        for (title, query) in self.queries() {
            let found = selectors(query);
            let found = found.iter().filter_map(&rule);
            faults.extend(found.map(|what| format!("{title}: {what}: {query}")));
        }
        faults
    }
}

/// `call(metric{matchers}[range])`; what is not there is empty.
struct Selector<'a> {
    call: &'a str,
    metric: &'a str,
    matchers: &'a str,
    range: &'a str,
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Every selector of a query: here each one has matchers in braces, so the braces are looked for.
fn selectors(query: &str) -> Vec<Selector<'_>> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices('{') {
        let (before, rest) = query.split_at(at);
        let metric_at = before.rfind(|c| !is_name(c)).map_or(0, |i| i + 1);
        let (outside, metric) = before.split_at(metric_at);
        let outside = outside.strip_suffix('(').unwrap_or("");
        let call = outside.rsplit(|c| !is_name(c)).next().unwrap_or("");
        let (matchers, after) = rest[1..].split_once('}').unwrap_or((&rest[1..], ""));
        let range = after
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next())
            .unwrap_or("");
        found.push(Selector {
            call,
            metric,
            matchers,
            range,
        });
    }
    found
}

/// Whether brackets and quotes close, and every metric has its braces.
fn parsed(query: &str) -> Result<(), String> {
    let mut open = Vec::new();
    let mut is_quoted = false;
    for c in query.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' | '{' | '[' => open.push(c),
            ')' | '}' | ']' => {
                let fits = matches!(
                    (open.pop(), c),
                    (Some('('), ')') | (Some('{'), '}') | (Some('['), ']')
                );
                if !fits {
                    return Err(format!("{c} closes nothing"));
                }
            }
            _ => {}
        }
    }
    if is_quoted || !open.is_empty() || query.is_empty() {
        return Err("does not close".to_owned());
    }
    let named = query.matches("fenghuo_").count();
    let braced = selectors(query).len();
    if named != braced {
        return Err(format!("{named} metrics with {braced} pairs of braces"));
    }
    Ok(())
}

fn template_datasource(board: &Board) -> Vec<String> {
    let all: Vec<&Value> = board.of_type("datasource").collect();
    if all.is_empty() {
        return vec!["has no variable for the data source".to_owned()];
    }
    let faults = all.iter().filter_map(|v| {
        let own = format!("{}_datasource", word(v, "/query").to_lowercase());
        let fits = word(v, "/name") == own || (all.len() == 1 && v["name"] == "datasource");
        (!fits).then(|| format!("{} has to be called datasource or {own}", v["name"]))
    });
    faults.collect()
}

fn template(board: &Board, name: &str) -> Vec<String> {
    if !board.reads_prometheus() {
        return Vec::new();
    }
    let Some(v) = board.variables().iter().find(|v| v["name"] == name) else {
        return vec![format!("has no variable {name}")];
    };
    let holds = [
        (
            ["$datasource", "${datasource}"].contains(&word(v, "/datasource/uid")),
            "uses the variable data source",
        ),
        (v["type"] == "query", "is a query"),
        (v["multi"] == true, "takes several"),
        (v["allValue"] == ".+", "takes .+ for all"),
    ];
    let broken = holds.iter().filter(|(holds, _)| !holds);
    broken
        .map(|(_, what)| format!("{name} is not so: {what}"))
        .collect()
}

fn template_label_promql(board: &Board) -> Vec<String> {
    if !board.reads_prometheus() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for v in board.of_type("query") {
        let query = match &v["query"] {
            Value::String(text) => text.as_str(),
            other => word(other, "/query"),
        };
        let inside = query
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')'));
        let metric = inside
            .and_then(|inside| inside.rsplit_once(", "))
            .map(|(metric, _)| metric);
        if metric.is_none_or(|metric| !metric.chars().all(is_name) && parsed(metric).is_err()) {
            faults.push(format!("{}: {query}", v["name"]));
        }
    }
    faults
}

fn template_reload(board: &Board) -> Vec<String> {
    let stale = board.of_type("query").filter(|v| v["refresh"] != 2);
    stale
        .map(|v| format!("{} is not renewed with the time range", v["name"]))
        .collect()
}

fn panel_datasource(board: &Board) -> Vec<String> {
    let known: Vec<String> = board
        .of_type("datasource")
        .flat_map(|v| {
            [
                format!("${}", word(v, "/name")),
                format!("${{{}}}", word(v, "/name")),
            ]
        })
        .collect();
    let foreign = board.panels(&["timeseries", "table"]).filter(|panel| {
        !known
            .iter()
            .any(|uid| uid == word(panel, "/datasource/uid"))
    });
    foreign
        .map(|panel| format!("{}: its data source is no variable", panel["title"]))
        .collect()
}

fn panel_text(board: &Board) -> Vec<String> {
    let bare = board
        .panels(&PANELS)
        .filter(|panel| word(panel, "/title").is_empty() || word(panel, "/description").is_empty());
    bare.map(|panel| format!("{}: no title or no description", panel["title"]))
        .collect()
}

fn panel_units(board: &Board) -> Vec<String> {
    let odd = board.panels(&PANELS).filter(|panel| {
        list(panel, "/fieldConfig/defaults/mappings").is_empty()
            && !UNITS.contains(&word(panel, "/fieldConfig/defaults/unit"))
    });
    odd.map(|panel| format!("{}: no unit that Grafana knows", panel["title"]))
        .collect()
}

fn panel_no_targets(board: &Board) -> Vec<String> {
    let idle = board
        .panels(&PANELS)
        .filter(|panel| list(panel, "/targets").is_empty());
    idle.map(|panel| format!("{}: asks nothing", panel["title"]))
        .collect()
}

/// There is no Loki here, so its two rules have nothing to hold.
fn no_logql(board: &Board) -> Vec<String> {
    let loki = board.of_type("datasource").filter(|v| v["query"] == "loki");
    loki.map(|v| format!("{} reads Loki: state its rules", v["name"]))
        .collect()
}

fn target_promql(board: &Board) -> Vec<String> {
    let bad = board.queries().into_iter().filter_map(|(title, query)| {
        parsed(query)
            .err()
            .map(|why| format!("{title}: {why}: {query}"))
    });
    bad.collect()
}

fn target_rate_interval(board: &Board) -> Vec<String> {
    board.hold(|selector| {
        let is_rate = ["rate", "irate"].contains(&selector.call);
        let is_free = selector.range.is_empty() || selector.range == "$__rate_interval";
        let is_faulty = !is_free && (is_rate || selector.call.is_empty());
        is_faulty.then(|| "the range is not $__rate_interval".to_owned())
    })
}

fn target_matcher(board: &Board, label: &str) -> Vec<String> {
    let wanted = format!("{label}=~\"${label}\"");
    board.hold(|selector| {
        let has_it = selector.matchers.split(',').any(|one| one == wanted);
        (!has_it).then(|| format!("a selector without {wanted}"))
    })
}

fn target_counter_agg(board: &Board) -> Vec<String> {
    board.hold(|selector| {
        let is_rated =
            ["rate", "irate", "increase"].contains(&selector.call) && !selector.range.is_empty();
        let is_bare = selector.metric.ends_with("_total") && !is_rated;
        is_bare.then(|| "a counter without rate, irate or increase".to_owned())
    })
}

fn uneditable(board: &Board) -> Vec<String> {
    let is_editable = board.json["editable"] != false;
    is_editable
        .then(|| "is editable".to_owned())
        .into_iter()
        .collect()
}

#[test]
fn every_dashboard_keeps_every_rule_of_the_linter() {
    let mut faults = Vec::new();
    let boards = boards();
    assert!(7 < boards.len());
    for board in &boards {
        for (name, rule) in RULES {
            let found = rule(board).into_iter();
            faults.extend(found.map(|what| format!("{}: {name}: {what}", board.name)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A dashboard that keeps all rules is spoilt for each of them: where, and by what.
const SPOILT: [(&str, &str, &str); 17] = [
    (
        "template-datasource-rule",
        "/templating/list/0/name",
        "source",
    ),
    ("template-job-rule", "/templating/list/1/allValue", ".*"),
    (
        "template-instance-rule",
        "/templating/list/2/datasource/uid",
        "fixed",
    ),
    (
        "template-label-promql-rule",
        "/templating/list/1/query/query",
        "label_values(a{, job)",
    ),
    (
        "template-on-time-change-reload-rule",
        "/templating/list/1/refresh",
        "1",
    ),
    ("panel-datasource-rule", "/panels/0/datasource/uid", "fixed"),
    ("panel-title-description-rule", "/panels/0/description", ""),
    (
        "panel-units-rule",
        "/panels/0/fieldConfig/defaults/unit",
        "apples",
    ),
    ("panel-no-targets-rule", "/panels/0/targets", ""),
    ("target-logql-rule", "/templating/list/0/query", "loki"),
    ("target-logql-auto-rule", "/templating/list/0/query", "loki"),
    (
        "target-promql-rule",
        "/panels/0/targets/0/expr",
        "sum(fenghuo_ready{",
    ),
    (
        "target-rate-interval-rule",
        "/panels/0/targets/0/expr",
        "rate(fenghuo_a_total{job=~\"$job\",instance=~\"$instance\"}[5m])",
    ),
    (
        "target-job-rule",
        "/panels/0/targets/0/expr",
        "fenghuo_a{instance=~\"$instance\"}",
    ),
    (
        "target-instance-rule",
        "/panels/0/targets/0/expr",
        "fenghuo_a{job=~\"$job\",instance=\"$instance\"}",
    ),
    (
        "target-counter-agg-rule",
        "/panels/0/targets/0/expr",
        "sum(fenghuo_a_total{job=~\"$job\",instance=~\"$instance\"})",
    ),
    ("uneditable-dashboard", "/editable", "yes"),
];

#[test]
fn each_rule_finds_what_it_is_for() {
    let boards = boards();
    let sound = boards
        .iter()
        .find(|board| board.name == "fenghuo-rules")
        .unwrap();
    let graph = list(&sound.json, "/panels")
        .iter()
        .position(|p| p["type"] == "timeseries")
        .unwrap();
    for ((name, rule), (spoils, at, by)) in RULES.iter().zip(SPOILT) {
        assert_eq!(*name, spoils);
        let mut board = Board {
            name: sound.name.clone(),
            json: sound.json.clone(),
        };
        board.json["panels"].as_array_mut().unwrap().swap(0, graph);
        *board.json.pointer_mut(at).unwrap() = Value::from(by);
        assert!(!rule(&board).is_empty(), "{name} takes {by} at {at}");
    }
}
