//! From `[kafka]` to librdkafka's settings.
//!
//! The defaults that lose data or memory are changed: nothing is committed automatically, an offset that is gone is an
//! error and not a jump to the end, aborted transactions are not read, checksums are checked, buffers are bounded.
//!
//! errors   [`SettingsError`]: a password that cannot be read, TLS or SCRAM in a build without OpenSSL

use crate::runtime::config::kafka::{KafkaConfig, PasswordPlace};
use crate::runtime::secret::{SecretError, read_secret};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a question to the cluster may take before the next try.
pub(in crate::runtime) const ANSWER: Duration = Duration::from_secs(10);
/// Things that are told of connections and listened to when a question fails.
const HEARD_MAX: usize = 64;

/// Hears what a consumer is told of its connections, so that who is refused learns why: the error of a question says only
/// that nobody answers.
#[derive(Debug, Clone, Default)]
pub(in crate::runtime) struct Heard(Arc<Mutex<Option<String>>>);

impl Heard {
    /// Takes note of what went wrong with a connection.
    pub(in crate::runtime) fn note(&self, error: &KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // That all brokers are down follows from the reason that came before.
        let is_vague = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if last.is_none() || !is_vague {
            *last = Some(reason.to_owned());
        }
    }

    /// The error of a question, with what the consumer that asked was told meanwhile.
    pub(in crate::runtime) fn explain<C: ConsumerContext>(
        &self,
        error: &KafkaError,
        consumer: Option<&BaseConsumer<C>>,
    ) -> String {
        for _ in 0..HEARD_MAX {
            if consumer
                .and_then(|c| c.poll(Duration::from_millis(10)))
                .is_none()
            {
                break;
            }
        }
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_deref() {
            Some(reason) => format!("{error} ({reason})"),
            None => error.to_string(),
        }
    }
}

impl ClientContext for Heard {
    fn error(&self, error: KafkaError, reason: &str) {
        self.note(&error, reason);
    }
}

impl ConsumerContext for Heard {}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The password file.
    #[error("kafka.sasl_password_file")]
    Password(#[from] SecretError),
    /// The password is not text.
    #[error("the Kafka password is not UTF-8 text, or is empty; write it anew")]
    NotText,
    /// The variable is not there.
    #[error(
        "kafka.sasl_password_env names \"{name}\", which is not set in the environment; set it, or use sasl_password_file"
    )]
    NoVariable {
        /// Its name.
        name: String,
    },
    /// This build has no OpenSSL.
    #[error(
        "kafka.security asks for {what}, which this build cannot do; build it with `cargo build --release --features kafka-tls` (needs OpenSSL's headers)"
    )]
    NoTls {
        /// What was asked for.
        what: &'static str,
    },
}

/// Settings of a connection; never shown, because they may hold a password.
#[derive(Clone)]
pub struct Settings {
    common: ClientConfig,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("brokers", &self.common.get("bootstrap.servers"))
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the secrets that the configuration names.
    pub fn new(config: &KafkaConfig) -> Result<Self, SettingsError> {
        let mut common = ClientConfig::new();
        common
            .set("bootstrap.servers", &config.brokers)
            .set("client.id", "fenghuo")
            .set("allow.auto.create.topics", "false")
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000");
        let has_tls = cfg!(feature = "kafka-tls");
        if config.is_tls && !has_tls {
            return Err(SettingsError::NoTls { what: "TLS" });
        }
        let protocol = match (config.is_tls, config.sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        common.set("security.protocol", protocol);
        if let Some(sasl) = &config.sasl {
            if sasl.mechanism != "PLAIN" && !has_tls {
                return Err(SettingsError::NoTls { what: "SCRAM" });
            }
            common
                .set("sasl.mechanism", sasl.mechanism)
                .set("sasl.username", &sasl.user)
                .set("sasl.password", password(&sasl.password)?);
        }
        if let Some(ca) = &config.ca {
            common.set("ssl.ca.location", ca.display().to_string());
        }
        if let Some((cert, key)) = &config.identity {
            common
                .set("ssl.certificate.location", cert.display().to_string())
                .set("ssl.key.location", key.display().to_string());
        }
        Ok(Self { common })
    }

    /// For asking about topics and making them.
    pub(in crate::runtime) fn plain(&self) -> ClientConfig {
        self.common.clone()
    }

    /// For reading with partitions that are assigned by hand.
    pub(in crate::runtime) fn reader(&self) -> ClientConfig {
        let mut config = self.common.clone();
        config
            // Needed for assigning; nothing is ever committed under it.
            .set("group.id", "fenghuo")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .set("enable.partition.eof", "true")
            .set("queued.min.messages", "10000")
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.message.max.bytes", "1048576")
            .set("fetch.wait.max.ms", "100")
            .set("statistics.interval.ms", "1000");
        config
    }

    /// For producing: every message, once a session, in order.
    pub(in crate::runtime) fn writer(&self) -> ClientConfig {
        let mut config = self.common.clone();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // A message that may not get lost has no time after which it is given up.
            .set("message.timeout.ms", "0")
            .set("topic.metadata.propagation.max.ms", "5000")
            .set("compression.type", "lz4")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "2")
            .set("queue.buffering.max.kbytes", "65536")
            .set("queue.buffering.max.messages", "50000");
        config
    }
}

fn password(place: &PasswordPlace) -> Result<String, SettingsError> {
    let text = match place {
        PasswordPlace::File(path) => {
            let bytes = read_secret(path, 1, 4_096)?;
            String::from_utf8(bytes.expose().clone()).map_err(|_| SettingsError::NotText)?
        }
        PasswordPlace::Environment(name) => {
            std::env::var(name).map_err(|_| SettingsError::NoVariable { name: name.clone() })?
        }
    };
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(SettingsError::NotText),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::config::kafka::SaslConfig;

    fn config(sasl: Option<SaslConfig>, is_tls: bool) -> KafkaConfig {
        KafkaConfig {
            brokers: "127.0.0.1:9".to_owned(),
            is_tls,
            sasl,
            ca: None,
            identity: None,
        }
    }

    #[test]
    fn a_password_comes_from_its_file_and_is_not_shown() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "open sesame\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let sasl = SaslConfig {
            mechanism: "PLAIN",
            user: "fenghuo".to_owned(),
            password: PasswordPlace::File(path),
        };
        let settings = Settings::new(&config(Some(sasl), false)).unwrap();
        assert_eq!(settings.plain().get("sasl.password"), Some("open sesame"));
        assert_eq!(
            settings.plain().get("security.protocol"),
            Some("sasl_plaintext")
        );
        assert!(!format!("{settings:?}").contains("sesame"));
    }

    #[test]
    fn what_cannot_be_had_is_said() {
        let sasl = SaslConfig {
            mechanism: "PLAIN",
            user: "fenghuo".to_owned(),
            password: PasswordPlace::Environment("FENGHUO_NO_SUCH_VARIABLE".to_owned()),
        };
        let error = Settings::new(&config(Some(sasl), false)).unwrap_err();
        assert!(
            error.to_string().contains("FENGHUO_NO_SUCH_VARIABLE"),
            "{error}"
        );
        let tls = Settings::new(&config(None, true));
        assert_eq!(tls.is_ok(), cfg!(feature = "kafka-tls"));
    }
}
