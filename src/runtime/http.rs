//! The doors: an HTTP server for records that come in, questions, control acts, and what watches the process.
//!
//! It runs on one thread of its own with its own event loop, so that callers cannot slow the engine down and the engine
//! cannot make a probe wait. What may block (a lock, the audit log's disk) runs on a few helper threads beside it. This is
//! the only place where tasks of an event loop are started.
//!
//! ```text
//! TCP → slot → [TLS] → headers in time → route → guard (token, role, audit) → what stands behind
//! ```
//!
//! bounds   [`Limits`]: connections, bodies in flight, body size, and a time for each step
//! errors   [`StartError`] before anything listens; later ones are answers
//! why      other machines may connect only with tokens *and* TLS: a missing setting must not be an open door

pub mod answer;
pub mod behind;
mod connection;
mod guard;
mod key_events;
mod renew;
pub mod routes;

use super::clock::Clock;
use super::config::{HttpConfig, TlsConfig};
use super::metrics::Metrics;
use super::secret::{SecretError, read_secret};
use super::tokens::{TokenError, TokenFile};
use answer::Failure;
use axum::http::StatusCode;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use behind::{AuditSink, Control, Health, Ingest, ReadModel};
use connection::Bounded;
use guard::Denials;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinError;

const PEM_BYTES_MAX: u64 = 1_024 * 1_024;
const HEADERS_MAX: usize = 64;
/// What the server buffers of headers before it refuses; a read may go over it once, so the true bound is twice this.
const HEADER_BYTES_MAX: usize = 32 * 1_024;
const BLOCKING_THREADS_MAX: usize = 8;

/// What callers may take of the machine.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections; above it, new ones are closed at once.
    pub connections_max: usize,
    /// Bodies of events in memory at once; above it, 429.
    pub bodies_max: usize,
    /// The size of a body of events.
    pub body_bytes_max: usize,
    /// From the first moment of a connection, or the answer before, to the end of a request's headers.
    pub header_ms_max: u64,
    /// From the headers to the end of the body.
    pub body_ms_max: u64,
    /// From the end of the body to the durable records.
    pub receipt_ms_max: u64,
    /// No byte moves in either direction; above `receipt_ms_max`.
    pub idle_ms_max: u64,
    /// From the connection to the end of the TLS handshake.
    pub handshake_ms_max: u64,
    /// From the wish to stop to the end of the last answer.
    pub drain_ms_max: u64,
    /// Denied calls written to the audit log in a second; above it, 429 and a number.
    pub denials_per_second_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 256,
            bodies_max: 32,
            body_bytes_max: 1_024 * 1_024,
            header_ms_max: 15_000,
            body_ms_max: 30_000,
            receipt_ms_max: 30_000,
            idle_ms_max: 60_000,
            handshake_ms_max: 10_000,
            drain_ms_max: 5_000,
            denials_per_second_max: 20,
        }
    }
}

/// What stands behind the doors.
#[derive(Clone)]
pub struct Doors {
    /// Takes records.
    pub ingest: Arc<dyn Ingest>,
    /// Answers questions.
    pub read: Arc<dyn ReadModel>,
    /// Does control acts.
    pub control: Arc<dyn Control>,
    /// Writes down who did what.
    pub audit: Arc<dyn AuditSink>,
    /// Whether the process can work.
    pub health: Arc<Health>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// Wall time, for the expiry of tokens and for ages.
    pub clock: Clock,
}

impl fmt::Debug for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doors").finish_non_exhaustive()
    }
}

/// What every request needs.
struct Inner {
    doors: Doors,
    tokens: Option<TokenFile>,
    is_tls: bool,
    limits: Limits,
    bodies: Semaphore,
    denials: Denials,
    numbers: AtomicU64,
}

type Shared = Arc<Inner>;

/// Why the doors do not open.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Other machines could connect, and something that guards the doors is missing.
    #[error("{0}")]
    Exposed(String),
    /// The tokens cannot be read.
    #[error("http.tokens \"{}\"", path.display())]
    Tokens {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TokenError,
    },
    /// The key cannot be read.
    #[error("http.tls_key")]
    Key(#[source] SecretError),
    /// Certificate or key make no TLS.
    #[error("{setting} \"{}\": {why}", path.display())]
    Tls {
        /// `http.tls_cert` or `http.tls_key`.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The address cannot be listened on.
    #[error("http.listen \"{address}\" cannot be listened on")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No thread or no event loop.
    #[error("the http thread cannot be started")]
    Thread(#[source] io::Error),
}

/// Why the doors closed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The server failed.
    #[error("http server failed")]
    Serve(#[from] io::Error),
    /// The thread panicked.
    #[error("http thread panicked")]
    Panicked,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    thread: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Opens the doors. They close when `shutdown` is done: no new connection, answers under way are finished within
    /// `drain_ms_max`.
    pub fn start(
        config: &HttpConfig,
        limits: Limits,
        doors: Doors,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, StartError> {
        if let Some(why) = config.exposed() {
            return Err(StartError::Exposed(why));
        }
        let tokens = config.tokens.as_deref().map(open_tokens).transpose()?;
        let files = config.tls.clone();
        let tls = files.map(|files| read_tls(&files).map(|read| (files, read)));
        let tls = tls.transpose()?;
        let (listener, address) = listen(config.listen).map_err(|source| StartError::Listen {
            address: config.listen,
            source,
        })?;
        let shared = Arc::new(Inner {
            doors,
            tokens,
            is_tls: tls.is_some(),
            limits,
            bodies: Semaphore::new(limits.bodies_max),
            denials: Denials::default(),
            numbers: AtomicU64::new(1),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .build()
            .map_err(StartError::Thread)?;
        let thread = std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || runtime.block_on(serve(listener, shared, tls, shutdown)))
            .map_err(StartError::Thread)?;
        tracing::info!(%address, "doors are open");
        Ok(Self { address, thread })
    }

    /// Where the doors are; with port 0, the port that was found.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the doors are closed.
    pub fn join(self) -> Result<(), ServeError> {
        self.thread.join().map_err(|_| ServeError::Panicked)??;
        Ok(())
    }
}

async fn serve(
    listener: TcpListener,
    shared: Shared,
    tls: Option<(TlsConfig, Arc<rustls::ServerConfig>)>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let limits = shared.limits;
    let handle = axum_server::Handle::new();
    let service = routes::router(&shared).into_make_service_with_connect_info::<SocketAddr>();
    let idle = Duration::from_millis(limits.idle_ms_max);
    let metrics = Arc::clone(&shared.doors.metrics);
    let bounded = Bounded::new(limits.connections_max, idle, Arc::clone(&metrics));
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle.clone())
        .http1_only();
    server
        .http_builder()
        .http1()
        .header_read_timeout(Duration::from_millis(limits.header_ms_max))
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX);
    let closing = async {
        shutdown.await;
        let patience = Duration::from_millis(limits.drain_ms_max);
        handle.graceful_shutdown(Some(patience));
        std::future::pending::<io::Result<()>>().await
    };
    let serving = async {
        let Some((files, config)) = tls else {
            return server.acceptor(bounded).serve(service).await;
        };
        let config = RustlsConfig::from_config(config);
        let inner = RustlsAcceptor::new(config.clone())
            .handshake_timeout(Duration::from_millis(limits.handshake_ms_max))
            .acceptor(bounded);
        let pair = Arc::new(renew::Pair::new(files, config, metrics));
        let acceptor = renew::Renewed { inner, pair };
        server.acceptor(acceptor).serve(service).await
    };
    tokio::select! {
        ended = serving => ended,
        never = closing => never,
    }
}

/// Runs what may block on a helper thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(failed_inside)
}

/// Runs a future to its end though the one who waits for it may go away.
#[expect(
    clippy::disallowed_methods,
    reason = "tasks start only here; one per request, and requests are bounded"
)]
async fn detached<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Failure> {
    tokio::spawn(work).await.map_err(failed_inside)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
fn failed_inside(error: JoinError) -> Failure {
    tracing::error!(%error, "a request failed inside");
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Failure::new(
        status,
        "internal",
        "the request failed inside; it is in the log",
    )
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn open_tokens(path: &Path) -> Result<TokenFile, StartError> {
    TokenFile::open(path).map_err(|source| StartError::Tokens {
        path: path.to_owned(),
        source,
    })
}

fn read_tls(files: &TlsConfig) -> Result<Arc<rustls::ServerConfig>, StartError> {
    let bad = |setting, path: &Path, why: String| StartError::Tls {
        setting,
        path: path.to_owned(),
        why,
    };
    let bad_cert = |why: String| bad("http.tls_cert", &files.cert, why);
    let pem = std::fs::read(&files.cert).map_err(|error| bad_cert(error.to_string()))?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| bad_cert(error.to_string()))?;
    if chain.is_empty() {
        return Err(bad_cert("no PEM certificate in it".to_owned()));
    }
    let bad_key = |why: String| bad("http.tls_key", &files.key, why);
    let pem = read_secret(&files.key, 1, PEM_BYTES_MAX).map_err(StartError::Key)?;
    let key = PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|e| bad_key(e.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad_cert(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad_key(format!("certificate and key make no TLS: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
