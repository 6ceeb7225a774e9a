//! `fenghuo topics`: make the Kafka topics that a configuration writes, and look at all that it names.

use super::args::{Format, TopicsCommand};
use super::{CliError, Ending, say, say_json};
use crate::runtime::config::Config;
use crate::runtime::kafka::topics::{Shape, Standing, Topics};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::json;

/// `topics`
pub(super) fn topics(command: &TopicsCommand, format: Format) -> Result<Ending, CliError> {
    match command {
        TopicsCommand::Check { config } => {
            let topics = Topics::of(&Config::load(config)?)?;
            Ok(show(&topics.check()?, format))
        }
        TopicsCommand::Create(args) => {
            let topics = Topics::of(&Config::load(&args.config)?)?;
            let standings = topics.check()?;
            let missing: Vec<String> = standings
                .iter()
                .filter(|standing| standing.is_written && standing.partitions.is_none())
                .map(|standing| standing.topic.clone())
                .collect();
            let shape = Shape {
                partitions: args.partitions,
                replication: args.replication,
                retention_ms: args
                    .retention_days
                    .map_or(-1, |days| i64::from(days) * 86_400_000),
            };
            for topic in &missing {
                let verb = if args.dry_run { "would make" } else { "make" };
                say(&format!(
                    "{verb} {topic}: {} partitions, {} copies",
                    topics.partitions_of(topic, shape),
                    args.replication
                ));
            }
            if args.dry_run || missing.is_empty() {
                return Ok(Ending::Fine);
            }
            topics.create(&missing, shape)?;
            Ok(Ending::Fine)
        }
    }
}

fn show(standings: &[Standing], format: Format) -> Ending {
    match format {
        Format::Table => {
            let mut table = Table::new();
            table.load_style(UTF8_FULL_CONDENSED);
            table.set_header(["topic", "use", "partitions", "copies", "what is wrong"]);
            for standing in standings {
                table.add_row([
                    standing.topic.clone(),
                    if standing.is_written {
                        "written"
                    } else {
                        "read"
                    }
                    .to_owned(),
                    standing
                        .partitions
                        .map_or("-".to_owned(), |n| n.to_string()),
                    standing.replication.to_string(),
                    standing.wrong.join("; "),
                ]);
            }
            say(&table.to_string());
        }
        Format::Json => {
            let rows: Vec<_> = standings
                .iter()
                .map(|s| {
                    json!({ "topic": s.topic, "written": s.is_written, "partitions": s.partitions,
                            "replication": s.replication, "wrong": s.wrong })
                })
                .collect();
            say_json(&json!({ "topics": rows }));
        }
    }
    if standings.iter().all(|s| s.wrong.is_empty()) {
        Ending::Fine
    } else {
        Ending::Finding
    }
}
