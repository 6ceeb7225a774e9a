//! Logs: one line on standard error per happening, as JSON for machines or as text for eyes.
//!
//! Levels say what an operator must do: ERROR act now, WARN look today, INFO the life of the process, DEBUG for authors.
//! No line is written per event, and none holds a name, a number of a person or a token: secrets travel in
//! [`super::secret::Sensitive`], and personal data ends in the connector.
//!
//! errors   a filter that cannot be read refuses the start and is quoted
//! why      control characters are escaped in both forms, so a record cannot forge a line

use std::io;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Read when no filter is given on the command line.
pub const FILTER_VARIABLE: &str = "FENGHUO_LOG";
/// What is logged when nobody says otherwise.
pub const FILTER_DEFAULT: &str = "info";

/// How a line looks (`--log text|json`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For eyes.
    Text,
    /// One JSON object per line.
    #[default]
    Json,
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter makes no sense.
    #[error(
        "log filter \"{filter}\" cannot be read: {why} (expected a level or \"fenghuo=debug\")"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        why: String,
    },
    /// Logging was started before.
    #[error("logging has already been started")]
    Twice,
}

/// Starts logging to standard error. Without a `filter` the environment variable `FENGHUO_LOG` decides, else `info`.
pub fn start(format: LogFormat, filter: Option<&str>) -> Result<(), LogError> {
    let from_environment = std::env::var(FILTER_VARIABLE).ok();
    let filter = filter
        .or(from_environment.as_deref())
        .unwrap_or(FILTER_DEFAULT);
    let subscriber = subscriber(format, filter, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)
}

/// The subscriber that [`start`] installs, with another writer.
pub fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let parsed = EnvFilter::try_new(filter).map_err(|error| LogError::Filter {
        filter: filter.to_owned(),
        why: error.to_string(),
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(writer);
    Ok(match format {
        LogFormat::Json => Box::new(
            builder
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .finish(),
        ),
        LogFormat::Text => Box::new(builder.with_ansi(false).finish()),
    })
}

/// An error with its causes on one line, for logs.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::secret::Sensitive;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, body: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(format, "info", move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, body);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_is_one_json_object_and_hides_secrets() {
        let token = Sensitive::new("fh_canary");
        let text = logged(LogFormat::Json, || {
            tracing::info!(connector = "a\nb", ?token, "source opened");
            tracing::debug!("not shown");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "source opened");
        assert_eq!(line["connector"], "a\nb");
        assert_eq!(line["token"], "***");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn text_cannot_forge_a_line_or_move_the_cursor() {
        let text = logged(LogFormat::Text, || {
            tracing::info!(value = "a\nINFO forged \u{1b}[2J", "refused");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_filter_that_makes_no_sense_is_quoted() {
        let error = subscriber(LogFormat::Json, "fenghuo=loud", io::stderr)
            .err()
            .unwrap();
        assert!(error.to_string().contains("\"fenghuo=loud\""), "{error}");
    }
}
