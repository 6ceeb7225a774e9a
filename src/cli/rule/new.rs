//! `fenghuo rule new`: a rule that checks and passes its tests, to be changed into the one that is meant.

use super::args::NewArgs;
use crate::cli::{CliError, Ending, say};
use crate::engine::rule::{RuleSet, Severity};
use crate::runtime::bundle;
use crate::runtime::clock::Clock;

/// `rule new`
pub(super) fn new(args: &NewArgs) -> Result<Ending, CliError> {
    for text in [&args.id, &args.name, &args.owner, &args.basis] {
        if text.trim().is_empty() || text.contains(['"', '\\', '\n']) {
            return Err(CliError::Usage(format!(
                "\"{text}\" cannot stand in a rule; leave out quotes and backslashes"
            )));
        }
    }
    let is_plain = |text: &str| {
        let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        !text.is_empty() && text.chars().all(is_letter)
    };
    let slug = args
        .file
        .clone()
        .unwrap_or_else(|| args.id.to_lowercase().replace('-', "_"));
    if !is_plain(&slug) || !is_plain(&args.line) {
        return Err(CliError::Usage(format!(
            "\"{}/{slug}\" is no place for a rule; write folder and file in small letters, digits and _",
            args.line
        )));
    }
    let name = format!("{}/{slug}.rhai", args.line);
    let path = args.dir.join(&name);
    if path.exists() {
        return Err(CliError::Usage(format!(
            "\"{}\" is there already; choose another --file",
            path.display()
        )));
    }
    let mut sources = bundle::rules_in(&args.dir)?;
    sources.files.push((name.clone(), template(args)));
    let found = match RuleSet::check(&sources, Clock::System.now()) {
        Ok(set) => set.warnings().to_vec(),
        Err(found) => found,
    };
    let own: Vec<_> = found.iter().filter(|d| d.file == name).collect();
    for diagnostic in &own {
        say(&format!("{diagnostic}\n"));
    }
    if own.iter().any(|d| d.severity == Severity::Error) {
        say("没有新建规则：请改正以上各项再试");
        return Ok(Ending::Finding);
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&path, template(args))?;
    let shown = path.display();
    say(&format!(
        "新建 {shown}\n改好以后：fenghuo rule check {shown} && fenghuo rule test {shown} --coverage"
    ));
    Ok(Ending::Fine)
}

/// A rule that counts a stream and warns from three on.
fn template(args: &NewArgs) -> String {
    let NewArgs {
        id,
        name,
        owner,
        basis,
        on,
        ..
    } = args;
    format!(
        r#"//! {name}：近30天三件以上。（改成：防的是什么，什么不算）
const RULE = #{{
    id:      "{id}",
    name:    "{name}",
    owner:   "{owner}",
    basis:   ["{basis}"],
    on:      ["{on}"],
    history: "30d",
    status:  "draft",
    params:  #{{ window: "30d", min_count: 3 }},
}};

fn decide(ev, who, p) {{
    let n = who.count("{on}", p.window);
    if n < p.min_count {{ return; }}

    warn(#{{
        level:   "蓝",
        score:   10,
        message: `近30天 ${{n}} 件`,
    }})
}}

fn test_三件_应预警() {{
    let t = scenario();
    for d in 1..4 {{ t.add("{on}", `2026-06-0${{d}}`, #{{}}); }}
    t.expect("蓝", "3 件");
}}

fn test_两件_不预警() {{
    let t = scenario();
    for d in 1..3 {{ t.add("{on}", `2026-06-0${{d}}`, #{{}}); }}
    t.expect_none();
}}

fn test_撤回一件后不足三件_预警撤销() {{
    let t = scenario();
    let last = ();
    for d in 1..4 {{ last = t.add("{on}", `2026-06-0${{d}}`, #{{}}); }}
    t.expect("蓝", "3 件");
    t.withdraw(last);
    t.expect_withdrawn();
}}
"#
    )
}
