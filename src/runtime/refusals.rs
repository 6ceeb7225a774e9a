//! Acts of officers and words of feedback that were refused, in the log: who wanted what, and why not.
//!
//! The refusal itself is a step in `tasks.jsonl`; the log is where whoever watches the engine sees it.
//!
//! bounds   at most [`LINES_MAX`] lines a batch, then how many more there were: whoever floods a case does not flood the log

use crate::engine::desk::task::Word;
use crate::engine::warning::Message;
use crate::engine::work::Sent;

/// Lines of one batch.
const LINES_MAX: usize = 20;

/// Tells the refusals among what left.
pub fn log(sent: &[Sent]) {
    let refused = || {
        sent.iter().filter_map(|one| match &one.message {
            Message::Task(task) if task.step == Word::Refused => Some(task),
            _ => None,
        })
    };
    for task in refused().take(LINES_MAX) {
        tracing::warn!(
            case = task.case_id,
            act = task.act_id,
            actor = task.actor,
            why = task.why,
            "an act or a feedback was refused and has changed nothing; whoever sent it has to correct it"
        );
    }
    let more = refused().count().saturating_sub(LINES_MAX);
    if 0 < more {
        tracing::warn!(
            more,
            "more acts or feedback were refused in this batch: see tasks.jsonl, step refused"
        );
    }
}
