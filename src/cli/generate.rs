//! `fenghuo generate`: a province in a directory, ready for `fenghuo run`.

use super::args::{Format, GenerateArgs};
use super::progress::Progress;
use super::{CliError, Ending, say, say_json};
use crate::generate::{Folders, Plan, Summary, write_package};
use crate::runtime::bundle;
use serde_json::json;
use std::path::Path;

/// `generate`
pub(super) fn generate(args: &GenerateArgs, format: Format) -> Result<Ending, CliError> {
    let plan = Plan::new(args.subjects, args.events, args.seed);
    package(&args.out, &plan)?;
    let run = args.out.join("fenghuo.toml").display().to_string();
    match format {
        Format::Json => say_json(&json!({
            "out": args.out, "subjects": args.subjects, "events": args.events, "seed": args.seed, "config": run,
        })),
        Format::Table => say(&format!(
            "已生成 {} 个主体、{} 条记录（种子 {}）于 {}\n真值见 truth.csv，脏数据计数见 manifest.json\n运行：fenghuo run --config {run} --until-end",
            args.subjects,
            args.events,
            args.seed,
            args.out.display()
        )),
    }
    Ok(Ending::Fine)
}

/// Writes a province with the shipped rules and connectors beside it, so that the directory stands on its own.
pub(super) fn package(dir: &Path, plan: &Plan) -> Result<Summary, CliError> {
    let progress = Progress::new("generated", Some(plan.events));
    let folders = Folders {
        rules: "rules".to_owned(),
        connectors: "connectors".to_owned(),
    };
    let mut told = 0;
    let summary = write_package(dir, plan, &folders, &mut |done| {
        progress.add(done.saturating_sub(told));
        told = told.max(done);
    })?;
    progress.finish();
    bundle::write_shipped(dir)?;
    Ok(summary)
}
