//! `fenghuo audit verify`: is the log of control acts as it was written?

use super::args::{AuditArgs, AuditCommand, Format};
use super::{CliError, Ending, say, say_json};
use crate::runtime::audit::{AuditError, verify};
use serde_json::json;

/// `audit`
pub(super) fn audit(args: &AuditArgs, format: Format) -> Result<Ending, CliError> {
    let AuditCommand::Verify { file } = &args.command;
    match verify(file) {
        Ok(report) => {
            match format {
                Format::Json => say_json(&json!({
                    "entries": report.head.seq, "hash": report.head.hash, "bytes": report.bytes, "torn_bytes": report.torn_bytes,
                })),
                Format::Table => say(&format!(
                    "审计日志完好：{} 条，链尾 {}",
                    report.head.seq, report.head.hash
                )),
            }
            Ok(Ending::Fine)
        }
        Err(error @ AuditError::Io { .. }) => Err(error.into()),
        Err(error) => {
            say(&format!("审计日志不可信：{error}"));
            Ok(Ending::Finding)
        }
    }
}
