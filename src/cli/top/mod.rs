//! `fenghuo top`: what the dashboards show, at a terminal, from the engine's own `/metrics`.
//!
//! On a terminal the screen is drawn anew every few seconds, until Ctrl-C. Elsewhere, and with `--once`, two readings a
//! second apart are taken, so that there are rates, and printed as plain lines.
//!
//! errors   an engine that does not answer is a fault with `--once`; on a terminal it is shown and asked again

mod sample;
mod screen;

use super::args::{Format, TopArgs};
use super::{CliError, Ending, say, say_json};
use crate::runtime::clock::Stopwatch;
use crate::runtime::secret::read_secret;
use sample::Sample;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// Between the two readings of `--once`, ms.
const ONCE_MS: u64 = 1_000;
const TIMEOUT_MS: u64 = 5_000;
const TOKEN_BYTES_MAX: u64 = 4_096;
/// To the upper left, and everything below away.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// The engine cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{url} {what}")]
struct Unread {
    url: String,
    what: String,
}

struct Reader {
    agent: Agent,
    url: String,
    token: Option<String>,
}

/// `top`
pub(super) fn top(args: &TopArgs, format: Format) -> Result<Ending, CliError> {
    let reader = Reader::new(args)?;
    let is_live = std::io::stdout().is_terminal() && !args.once && format == Format::Table;
    let mut watch = Stopwatch::start();
    let mut before = reader.read();
    if !is_live {
        let before = before?;
        pause(ONCE_MS);
        let now = reader.read()?;
        let view = screen::View::new(&now, Some((&before, watch.elapsed_seconds())));
        match format {
            Format::Table => say(view.text(&reader.url).trim_end()),
            Format::Json => say_json(&view.json()),
        }
        return Ok(Ending::Fine);
    }
    let mut seconds = 0.0;
    let mut last: Option<Sample> = None;
    loop {
        let text = match &before {
            Ok(now) => {
                let earlier = last.as_ref().map(|last| (last, seconds));
                screen::View::new(now, earlier).text(&reader.url)
            }
            Err(error) => format!("烽火 top\n{error}\n（每 {} 秒再试）", args.every),
        };
        let mut out = std::io::stdout().lock();
        let drawn = write!(out, "{CLEAR}{text}\nCtrl-C 退出\n").and_then(|()| out.flush());
        drop(out);
        if drawn.is_err() {
            return Ok(Ending::Fine);
        }
        pause(args.every.saturating_mul(1_000));
        last = before.ok();
        before = reader.read();
        seconds = watch.elapsed_seconds();
        watch = Stopwatch::start();
    }
}

fn pause(ms: u64) {
    let (watch, us) = (Stopwatch::start(), ms.saturating_mul(1_000));
    // Parking may end early.
    while let Some(left) = us.checked_sub(watch.elapsed_us()).filter(|left| 0 < *left) {
        std::thread::park_timeout(Duration::from_micros(left));
    }
}

impl Reader {
    fn new(args: &TopArgs) -> Result<Self, CliError> {
        let token = match &args.token_file {
            None => None,
            Some(path) => {
                let bytes = read_secret(path, 1, TOKEN_BYTES_MAX)?;
                Some(String::from_utf8_lossy(bytes.expose()).trim().to_owned())
            }
        };
        let mut tls = TlsConfig::builder();
        if let Some(path) = &args.ca {
            let pem = std::fs::read(path)?;
            let found: Vec<_> = parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    Ok(_) | Err(_) => None,
                })
                .collect();
            if found.is_empty() {
                let what = format!("--ca \"{}\" holds no PEM certificate", path.display());
                return Err(CliError::Usage(what));
            }
            tls = tls.root_certs(RootCerts::new_with_certs(&found));
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(TIMEOUT_MS)))
            .max_redirects(0)
            .http_status_as_error(false)
            .proxy(None)
            .tls_config(tls.build())
            .build()
            .new_agent();
        Ok(Self {
            agent,
            url: args.url.trim_end_matches('/').to_owned(),
            token,
        })
    }

    fn read(&self) -> Result<Sample, Unread> {
        let unread = |what: String| Unread {
            url: self.url.clone(),
            what,
        };
        let mut request = self.agent.get(format!("{}/metrics", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request
            .call()
            .map_err(|error| unread(format!("does not answer: {error}; is the engine running?")))?;
        let text = response
            .body_mut()
            .read_to_string()
            .map_err(|error| unread(format!("cannot be read: {error}")))?;
        match response.status().as_u16() {
            200 => Ok(Sample::parse(&text)),
            401 | 403 => Err(unread(
                "wants a token: --token-file with one of `fenghuo token new`".to_owned(),
            )),
            status => Err(unread(format!("answers {status}"))),
        }
    }
}
