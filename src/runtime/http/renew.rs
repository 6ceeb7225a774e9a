//! The certificate of the doors, read again when its files have changed, so that a renewed one needs no restart.
//!
//! The files are looked at before each handshake. A pair that makes no TLS, as while one of the two files is being
//! replaced, is logged once and the certificate in use stays.
//!
//! cost     two looks at the file system a connection

use super::read_tls;
use crate::runtime::config::TlsConfig;
use crate::runtime::metrics::Metrics;
use axum_server::accept::Accept;
use axum_server::tls_rustls::RustlsConfig;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What tells that a file is another one: its number, size and time of change.
type Mark = Option<(u64, u64, i64, i64)>;

/// Looks at the files, then lets the acceptor inside go on.
#[derive(Clone, Debug)]
pub(super) struct Renewed<A> {
    pub(super) inner: A,
    pub(super) pair: Arc<Pair>,
}

/// Certificate and key, and how they looked when they were read.
#[derive(Debug)]
pub(super) struct Pair {
    files: TlsConfig,
    config: RustlsConfig,
    seen: Mutex<(Mark, Mark)>,
    metrics: Arc<Metrics>,
}

impl Pair {
    pub(super) fn new(files: TlsConfig, config: RustlsConfig, metrics: Arc<Metrics>) -> Self {
        let seen = Mutex::new(marks(&files));
        Self {
            files,
            config,
            seen,
            metrics,
        }
    }

    fn look(&self) {
        let now = marks(&self.files);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return;
            }
            *seen = now;
        }
        match read_tls(&self.files) {
            Ok(config) => {
                self.config.reload_from_config(config);
                self.metrics.around.certificate("http", &self.files.cert);
                tracing::info!(path = %self.files.cert.display(), "a renewed certificate is in use");
            }
            Err(error) => {
                let why = crate::runtime::logging::chain(&error);
                tracing::warn!(
                    why,
                    "certificate or key has changed and cannot be used; the one before stays in use"
                );
            }
        }
    }
}

fn marks(files: &TlsConfig) -> (Mark, Mark) {
    let mark = |path: &Path| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.ino(), data.size(), data.mtime(), data.mtime_nsec()))
    };
    (mark(&files.cert), mark(&files.key))
}

impl<A: Accept<I, S>, I, S> Accept<I, S> for Renewed<A> {
    type Stream = A::Stream;
    type Service = A::Service;
    type Future = A::Future;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        self.pair.look();
        self.inner.accept(stream, service)
    }
}
