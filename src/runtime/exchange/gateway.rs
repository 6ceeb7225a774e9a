//! The signed HTTPS way: the header protocol of the national data-sharing exchange.
//!
//! Each request carries `gjgxjhpt_rid`, `gjgxjhpt_sid`, `gjgxjhpt_rtime`, `gjgxjhpt_sign` and the parcel's id as
//! `Idempotency-Key`. A parcel that was tried before is asked for first (`GET ?id=`), so a far end that ignores keys does
//! not get it twice after a lost answer. A receipt counts only when it names this id and the SM3 of these bytes and is
//! signed with the shared secret: `Base64(HMAC(secret, id + sm3 + number + accepted_at))`.
//!
//! | answer                                              | then                                                |
//! |-----------------------------------------------------|-----------------------------------------------------|
//! | 2xx, code "0", receipt that fits                    | accepted                                            |
//! | 2xx with a receipt that does not fit, or none       | unsure: the secret is fetched anew, the same again  |
//! | 2xx, another code; 4xx of the parcel's own          | refused: the lane waits for a person                |
//! | 409                                                 | asked for: accepted only if the bytes are the same  |
//! | 401, 403, 404, 405, 407, 410, 3xx                   | denied: secret, clock or address; nothing passes    |
//! | 408, 425, 429, 5xx, no answer                       | unsure: the same again, as late as it asks          |
//! | TLS fails; nginx's 400, 495, 496 on the certificate | untrusted: nothing is sent                          |
//!
//! bounds   answers up to 64 KiB, a list up to 64 MiB; redirects not followed; no proxy
//! source   `domain.md` §6.1; what a receipt looks like is not published: this is the contract that we ask for

use super::sign::{Algorithm, open_secret, sign, verify};
use super::{Adapter, ExchangeError, Held, Outcome, Parcel, Receipt};
use crate::runtime::clock::Clock;
use crate::runtime::secret::{Sensitive, read_secret};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

const ANSWER_BYTES_MAX: u64 = 64 << 10;
const LIST_BYTES_MAX: u64 = 64 << 20;
/// Characters of an answer that go into a reason.
const EXCERPT_CHARS: usize = 200;
/// The gateway takes ±10 min; from here on we say so, ms.
const SKEW_MS_TOLD: i64 = 60_000;
/// A refreshed secret is fetched anew so long before its end, ms.
const REFRESH_AHEAD_MS: i64 = 60_000;

/// Where to, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// `https://…`, or `http://` on this machine.
    pub url: String,
    /// Who asks.
    pub rid: String,
    /// The service.
    pub sid: String,
    /// The HMAC's hash.
    pub algorithm: Algorithm,
    /// Where the secret comes from.
    pub secret: SecretFrom,
    /// Our certificate chain and key, PEM.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Those who may vouch for the far end, PEM; without it the public ones.
    pub ca: Option<PathBuf>,
    /// Time for one request.
    pub timeout_ms: u64,
}

/// Where the secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    /// A file, mode 0600; read again when the far end no longer knows us.
    File(PathBuf),
    /// The refresh interface, and the application's key (16 or 32 bytes, mode 0600) that opens its answer.
    Refresh {
        /// Its address.
        url: String,
        /// The key's file.
        app_key: PathBuf,
    },
}

#[derive(Debug, Default)]
struct Secrets {
    now: Sensitive<Vec<u8>>,
    /// Receipts on their way may be signed with the one before.
    before: Sensitive<Vec<u8>>,
    end_ms: i64,
    is_stale: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Gateway {
    config: GatewayConfig,
    agent: Agent,
    clock: Clock,
    secrets: Mutex<Secrets>,
    /// Held while the secret is fetched, so that one thread does it for all.
    refreshing: Mutex<()>,
    /// The newest rtime; no two requests carry the same, because the far end would take the second for a replay.
    rtime: AtomicI64,
    /// How far our clock is ahead of the far end's, ms, as last seen.
    skew_ms: AtomicI64,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    receipt: Option<Slip>,
}

#[derive(Debug, Deserialize)]
struct Slip {
    id: String,
    sm3: String,
    number: String,
    accepted_at: String,
    sign: String,
}

#[derive(Debug, Deserialize)]
struct SecretAnswer {
    #[serde(default)]
    code: String,
    #[serde(default)]
    secret: String,
    #[serde(rename = "secretEndTime", default)]
    end_ms: i64,
}

/// A request: what is posted with which key, or a question.
struct Call<'a> {
    url: &'a str,
    post: Option<(&'a [u8], &'a str)>,
    /// Bytes of the answer.
    most: u64,
}

/// A status and a body, or why there is none.
type Spoken = Result<(u16, Vec<u8>, Option<u64>), Outcome>;

impl Gateway {
    /// Checks certificates and keys; connects only when there is something to send.
    pub fn new(config: GatewayConfig, clock: Clock) -> Result<Self, ExchangeError> {
        let tls = tls(&config)?;
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(config.timeout_ms)))
            .max_redirects(0)
            .http_status_as_error(false)
            .proxy(None)
            .tls_config(tls)
            .build()
            .new_agent();
        let gateway = Self {
            config,
            agent,
            clock,
            secrets: Mutex::default(),
            refreshing: Mutex::default(),
            rtime: AtomicI64::new(0),
            skew_ms: AtomicI64::new(0),
        };
        if let SecretFrom::File(_) = &gateway.config.secret {
            let told = gateway.refresh();
            told.map_err(|outcome| ExchangeError::Setting(outcome.reason().to_owned()))?;
        } else {
            gateway.secrets().is_stale = true;
        }
        Ok(gateway)
    }

    fn secrets(&self) -> std::sync::MutexGuard<'_, Secrets> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time now, or a millisecond more than the newest.
    fn rtime(&self) -> i64 {
        let now = self.clock.now().0;
        let later = |newest: i64| Some(now.max(newest.saturating_add(1)));
        let before = self
            .rtime
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
        now.max(before.unwrap_or_default().saturating_add(1))
    }

    /// Fetches the secret anew; why it could not be had means for parcels what it means for the secret.
    fn refresh(&self) -> Result<(), Outcome> {
        let denied =
            |error: &dyn std::error::Error| Outcome::Denied(crate::runtime::logging::chain(error));
        let (secret, end_ms) = match &self.config.secret {
            SecretFrom::File(path) => {
                let secret = read_secret(path, 16, 4_096).map_err(|error| denied(&error))?;
                let text = secret.expose().trim_ascii().to_vec();
                (text, i64::MAX)
            }
            SecretFrom::Refresh { url, app_key } => {
                let key = read_secret(app_key, 16, 32).map_err(|error| denied(&error))?;
                let spoken = self.speak(
                    key.expose(),
                    &Call {
                        url,
                        post: None,
                        most: ANSWER_BYTES_MAX,
                    },
                );
                let (status, body, after_ms) = spoken?;
                let said = format!("the secret's refresh answered {status}: {}", excerpt(&body));
                if matches!(status, 408 | 425 | 429 | 500..=599) {
                    let reason = said;
                    return Err(Outcome::Unsure { reason, after_ms });
                }
                if matches!(status, 400 | 495 | 496) && said.contains("SSL certificate") {
                    return Err(Outcome::Untrusted(said));
                }
                let answer: SecretAnswer =
                    serde_json::from_slice(&body).map_err(|_| Outcome::Denied(said))?;
                let opened = open_secret(key.expose(), &answer.secret);
                let Some(secret) = opened.filter(|_| answer.code == "0") else {
                    return Err(Outcome::Denied(format!(
                        "the secret's refresh gave code \"{}\" and a secret that the application's key does not open",
                        answer.code
                    )));
                };
                (secret, answer.end_ms)
            }
        };
        let mut secrets = self.secrets();
        if *secrets.now.expose() != secret {
            secrets.before = core::mem::replace(&mut secrets.now, Sensitive::new(secret));
            tracing::info!(way = "gateway", "the exchange has a new secret");
        }
        secrets.end_ms = end_ms;
        secrets.is_stale = false;
        Ok(())
    }

    /// The secret to sign with now.
    fn secret(&self) -> Result<Vec<u8>, Outcome> {
        let is_due = || {
            let secrets = self.secrets();
            let until_ms = secrets.end_ms.saturating_sub(REFRESH_AHEAD_MS);
            secrets.is_stale || until_ms < self.clock.now().0
        };
        if is_due() {
            let alone = self.refreshing.lock();
            let _alone = alone.unwrap_or_else(PoisonError::into_inner);
            // Another thread may have done it meanwhile.
            if is_due() {
                self.refresh()?;
            }
        }
        Ok(self.secrets().now.expose().clone())
    }

    fn speak(&self, secret: &[u8], request: &Call<'_>) -> Spoken {
        let Call { url, post, most } = *request;
        let rtime = self.rtime().to_string();
        let (rid, sid) = (&self.config.rid, &self.config.sid);
        let signature = sign(self.config.algorithm, secret, &format!("{sid}{rid}{rtime}"));
        let headers = [
            ("gjgxjhpt_rid", rid.as_str()),
            ("gjgxjhpt_sid", sid),
            ("gjgxjhpt_rtime", &rtime),
            ("gjgxjhpt_sign", &signature),
        ];
        let sent = if let Some((body, key)) = post {
            let mut request = self
                .agent
                .post(url)
                .header("content-type", "application/json");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            request.header("idempotency-key", key).send(body)
        } else {
            let mut request = self.agent.get(url);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            request.call()
        };
        let mut response = sent.map_err(|error| failed(&error))?;
        self.note_skew(&response);
        let after_ms = retry_after_ms(&response);
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(most).read_to_vec();
        let body = body.map_err(|error| failed(&error))?;
        Ok((status, body, after_ms))
    }

    /// Compares clocks by the answer's `Date`.
    fn note_skew<B>(&self, response: &Response<B>) {
        let date = response.headers().get("date").and_then(|d| d.to_str().ok());
        let there = date.and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
        let Some(there) = there else { return };
        let skew = self
            .clock
            .now()
            .0
            .saturating_sub(there.timestamp().as_millisecond());
        let before = self.skew_ms.swap(skew, Ordering::Relaxed);
        if SKEW_MS_TOLD < skew.abs() && before.abs() <= SKEW_MS_TOLD {
            tracing::error!(
                skew_seconds = skew / 1_000,
                "this machine's clock and the national gateway's differ; beyond 10 minutes it refuses everything: set the clock"
            );
        }
    }

    /// Judges an answer about a parcel; nothing when it says that it does not have it.
    fn judge(&self, parcel: &Parcel, spoken: Spoken) -> Option<Outcome> {
        let (status, body, after_ms) = match spoken {
            Ok(spoken) => spoken,
            Err(outcome) => return Some(outcome),
        };
        let said = || format!("{status}: {}", excerpt(&body));
        Some(match status {
            200..=299 => self.receipt(parcel, status, &body),
            409 => return None,
            400 | 495 | 496 if excerpt(&body).contains("SSL certificate") => {
                Outcome::Untrusted(said())
            }
            300..=399 | 401 | 403 | 404 | 405 | 407 | 410 => {
                self.secrets().is_stale = true;
                let skew = self.skew_ms.load(Ordering::Relaxed);
                let hint = if SKEW_MS_TOLD < skew.abs() {
                    format!(" (our clock differs by {} s)", skew / 1_000)
                } else {
                    String::new()
                };
                Outcome::Denied(format!("{}{hint}", said()))
            }
            408 | 425 | 429 | 500..=599 => Outcome::Unsure {
                reason: said(),
                after_ms,
            },
            400..=499 => Outcome::Refused(said()),
            _ => Outcome::Unsure {
                reason: said(),
                after_ms,
            },
        })
    }

    fn receipt(&self, parcel: &Parcel, status: u16, body: &[u8]) -> Outcome {
        let unsure = |what: &str| Outcome::Unsure {
            reason: format!("{status} with {what}: {}", excerpt(body)),
            after_ms: None,
        };
        let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
            return unsure("an answer that is not JSON of the protocol");
        };
        if answer.code != "0" {
            return Outcome::Refused(format!("code {}: {}", answer.code, clean(&answer.message)));
        }
        let Some(slip) = answer.receipt else {
            return unsure("no receipt");
        };
        let text = format!("{}{}{}{}", slip.id, slip.sm3, slip.number, slip.accepted_at);
        let is_signed = {
            let secrets = self.secrets();
            [&secrets.now, &secrets.before].into_iter().any(|secret| {
                !secret.expose().is_empty()
                    && verify(self.config.algorithm, secret.expose(), &text, &slip.sign)
            })
        };
        if !is_signed {
            self.secrets().is_stale = true;
            return unsure("a receipt whose signature is bad");
        }
        if slip.id != parcel.id {
            return unsure("a receipt for another parcel");
        }
        if slip.sm3 != parcel.body_sm3 {
            return Outcome::Refused(format!(
                "the far end signs for other bytes under this id: SM3 {} there, {} here",
                clean(&slip.sm3),
                parcel.body_sm3
            ));
        }
        Outcome::Accepted(Receipt {
            number: slip.number,
            accepted_at: slip.accepted_at,
            raw: String::from_utf8_lossy(body).into_owned(),
        })
    }

    /// Asks whether the far end has a parcel; nothing when it has not.
    fn ask(&self, parcel: &Parcel, secret: &[u8]) -> Option<Outcome> {
        let url = format!("{}?id={}", self.config.url, parcel.id);
        match self.speak(
            secret,
            &Call {
                url: &url,
                post: None,
                most: ANSWER_BYTES_MAX,
            },
        ) {
            Ok((404, _, _)) => None,
            spoken => self.judge(parcel, spoken),
        }
    }
}

impl Adapter for Gateway {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn send(&self, parcel: &Parcel, attempts: u32) -> Outcome {
        let secret = match self.secret() {
            Ok(secret) => secret,
            Err(outcome) => return outcome,
        };
        if 0 < attempts
            && let Some(outcome) = self.ask(parcel, &secret)
        {
            return outcome;
        }
        let spoken = self.speak(
            &secret,
            &Call {
                url: &self.config.url,
                post: Some((&parcel.body, &parcel.id)),
                most: ANSWER_BYTES_MAX,
            },
        );
        self.judge(parcel, spoken)
            .or_else(|| self.ask(parcel, &secret))
            .unwrap_or_else(|| Outcome::Unsure {
                reason: "409, but it does not know the id when asked".to_owned(),
                after_ms: None,
            })
    }

    fn doubt_ms(&self) -> i64 {
        i64::try_from(self.config.timeout_ms).unwrap_or(i64::MAX)
    }

    fn list(&self) -> Result<Vec<Held>, String> {
        let secret = self
            .secret()
            .map_err(|outcome| outcome.reason().to_owned())?;
        let url = format!("{}/list", self.config.url);
        let spoken = self.speak(
            &secret,
            &Call {
                url: &url,
                post: None,
                most: LIST_BYTES_MAX,
            },
        );
        let (status, body, _) = spoken.map_err(|outcome| {
            format!(
                "cannot read what the far end holds from {url}: {}; check the address and that the far end is up, then \
                 compare again",
                outcome.reason()
            )
        })?;
        if status != 200 {
            return Err(format!(
                "{url} refused the list, {status}: {}",
                excerpt(&body)
            ));
        }
        body.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                serde_json::from_slice(line)
                    .map_err(|error| format!("{url} lists {}: {error}", excerpt(line)))
            })
            .collect()
    }
}

fn failed(error: &ureq::Error) -> Outcome {
    let text = crate::runtime::logging::chain(error);
    let is_tls = matches!(
        error,
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_)
    ) || matches!(error, ureq::Error::Io(io) if io.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>));
    if is_tls {
        Outcome::Untrusted(text)
    } else {
        Outcome::Unsure {
            reason: text,
            after_ms: None,
        }
    }
}

/// `Retry-After` in its seconds form.
fn retry_after_ms<B>(response: &Response<B>) -> Option<u64> {
    let seconds = response.headers().get("retry-after")?.to_str().ok()?;
    Some(seconds.trim().parse::<u64>().ok()?.saturating_mul(1_000))
}

fn excerpt(bytes: &[u8]) -> String {
    clean(&String::from_utf8_lossy(bytes))
}

/// The beginning of a text, printable.
fn clean(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control()).take(EXCERPT_CHARS);
    shown.collect::<String>().trim().to_owned()
}

fn tls(config: &GatewayConfig) -> Result<TlsConfig, ExchangeError> {
    let setting = |name: &str, path: &PathBuf, why: String| {
        ExchangeError::Setting(format!(
            "exchange.gateway.{name} \"{}\": {why}",
            path.display()
        ))
    };
    let certificates = |name: &str,
                        path: &PathBuf|
     -> Result<Vec<Certificate<'static>>, ExchangeError> {
        let pem = std::fs::read(path).map_err(|error| setting(name, path, error.to_string()))?;
        let found: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                Ok(_) | Err(_) => None,
            })
            .collect();
        if found.is_empty() {
            return Err(setting(name, path, "holds no PEM certificate".to_owned()));
        }
        Ok(found)
    };
    let mut tls = TlsConfig::builder();
    if let Some(path) = &config.ca {
        tls = tls.root_certs(RootCerts::new_with_certs(&certificates("ca", path)?));
    }
    if let Some((cert, key)) = &config.client {
        let chain = certificates("tls_cert", cert)?;
        let pem = read_secret(key, 1, 1 << 20)
            .map_err(|error| setting("tls_key", key, crate::runtime::logging::chain(&error)))?;
        let private = PrivateKey::from_pem(pem.expose())
            .map_err(|error| setting("tls_key", key, format!("holds no PEM key: {error}")))?;
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, private)));
    }
    Ok(tls.build())
}

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
