//! Who may pass: every route stands behind this, and every answer goes out through it.
//!
//! With tokens configured, a call needs a good one (401) whose role has the route's right (403). Without, the doors are on
//! loopback only: reading and feeding are free, control acts are refused, and so is what a web page in a browser on this
//! machine could send (an `Origin`, or a `Host` that is not this machine).
//!
//! A control act is in the audit log before it is done, and its outcome after; if the log cannot be written, the act is not
//! done. A denied call is in the log as well. Many denials in one second are answered 429 and written as a number with the
//! next denial, so that knocking cannot fill the disk.
//!
//! source   `GB/T 22239` 8.1.4.2 and 8.1.4.3; Vault's rule to refuse what cannot be logged

use super::answer::{Failure, RequestId, dress};
use super::behind::AuditEntry;
use super::routes::Route;
use super::{Shared, blocking, detached};
use crate::engine::time::EventTime;
use crate::runtime::tokens::Token;
use crate::runtime::tokens::rights::Right;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

const OBJECT_CHARS_MAX: usize = 200;

/// Who calls.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The token's name, or what is known without one.
    pub(super) name: String,
    /// The action of the route, for the audit log.
    action: &'static str,
    /// The path asked for, for the audit log.
    object: String,
    token: Option<Arc<Token>>,
}

impl Caller {
    pub(super) fn may_feed(&self, connector: &str) -> bool {
        self.token.as_ref().is_none_or(|t| t.may_feed(connector))
    }

    fn role(&self) -> &'static str {
        self.token.as_ref().map_or("none", |t| t.role.name())
    }
}

/// Lets a request through to its route, or not.
pub(super) async fn guard(
    State((shared, route)): State<(Shared, &'static Route)>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::of(request.headers(), &shared.numbers);
    let (caller, verdict) = identify(&shared, route, &request);
    let response = match verdict {
        Err(denial) => deny(&shared, &caller, denial).await.into_response(),
        Ok(()) if route.right.is_some_and(Right::is_control) => {
            controlled(&shared, caller, &id, request, next).await
        }
        Ok(()) => {
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(id.clone());
            next.run(request).await
        }
    };
    leave(&shared, route.path, &id, response)
}

/// Counts and dresses an answer.
pub(super) fn leave(
    shared: &Shared,
    route: &'static str,
    id: &RequestId,
    mut response: Response,
) -> Response {
    dress(&mut response, id, shared.is_tls);
    let metrics = &shared.doors.metrics;
    metrics.request(route, response.status().as_u16());
    response
}

fn identify(shared: &Shared, route: &Route, request: &Request) -> (Caller, Result<(), Failure>) {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or_else(|| "?".to_owned(), |peer| peer.0.ip().to_string());
    let mut caller = Caller {
        name: format!("unknown from {peer}"),
        action: route.action,
        object: request
            .uri()
            .path()
            .chars()
            .take(OBJECT_CHARS_MAX)
            .collect(),
        token: None,
    };
    let Some(right) = route.right else {
        return (caller, Ok(()));
    };
    let Some(tokens) = &shared.tokens else {
        let verdict = without_tokens(right, request.headers());
        return (caller, verdict);
    };
    let Some(presented) = bearer(request.headers()) else {
        let message = "a bearer token is needed: Authorization: Bearer fh_…";
        let failure = Failure::new(StatusCode::UNAUTHORIZED, "token_missing", message)
            .with(header::WWW_AUTHENTICATE, "Bearer realm=\"fenghuo\"");
        return (caller, Err(failure));
    };
    let Some(token) = tokens.find(presented, shared.doors.clock.now()) else {
        let message = "the token is unknown or has expired; ask the administrator for a new one";
        let failure = Failure::new(StatusCode::UNAUTHORIZED, "token_invalid", message).with(
            header::WWW_AUTHENTICATE,
            "Bearer realm=\"fenghuo\", error=\"invalid_token\"",
        );
        return (caller, Err(failure));
    };
    caller.name.clone_from(&token.name);
    let role = token.role;
    caller.token = Some(token);
    if role.may(right) {
        return (caller, Ok(()));
    }
    let message = format!("role \"{}\" may not do \"{}\"", role.name(), route.action);
    let failure = Failure::new(StatusCode::FORBIDDEN, "role_insufficient", message);
    (caller, Err(failure))
}

fn without_tokens(right: Right, headers: &HeaderMap) -> Result<(), Failure> {
    if right.is_control() {
        let message = "control acts need a name: configure http.tokens";
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "tokens_needed",
            message,
        ));
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    if headers.contains_key(header::ORIGIN) || !host.is_none_or(is_this_machine) {
        let message = "without http.tokens only programs on this machine may call, no web pages";
        return Err(Failure::new(StatusCode::FORBIDDEN, "not_local", message));
    }
    Ok(())
}

/// Whether a `Host` header names this machine: `localhost:9464`, `127.0.0.1`, `[::1]:9464`.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(one), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Writes a denial down and gives the answer.
pub(super) async fn deny(shared: &Shared, caller: &Caller, denial: Failure) -> Failure {
    let now = shared.doors.clock.now();
    let per_second_max = shared.limits.denials_per_second_max;
    let Some(left_out) = shared.denials.admit(now, per_second_max) else {
        let message = "too many denied calls; wait a second";
        let status = StatusCode::TOO_MANY_REQUESTS;
        return Failure::new(status, "too_many_denied", message).retry_after(1);
    };
    let mut result = format!("denied {}", denial.status().as_u16());
    if 0 < left_out {
        // Writing to a String cannot fail.
        let _ = write!(result, ", {left_out} more before not written");
    }
    match audit(shared, caller, result).await {
        Ok(()) => denial,
        Err(failure) => failure,
    }
}

/// Runs a control act between its two lines in the audit log, to the end: a caller who hangs up leaves neither an act
/// half done nor one without its outcome.
async fn controlled(
    shared: &Shared,
    caller: Caller,
    id: &RequestId,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(caller.clone());
    request.extensions_mut().insert(id.clone());
    let shared = Arc::clone(shared);
    let finished = detached(async move {
        audit(&shared, &caller, "requested".to_owned()).await?;
        let response = next.run(request).await;
        let status = response.status();
        let result = if status.is_success() {
            "done".to_owned()
        } else {
            format!("failed {}", status.as_u16())
        };
        if audit(&shared, &caller, result).await.is_err() {
            let message =
                format!("the act ended with status {status}, but its outcome could not be audited");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Err(Failure::new(status, "audit_incomplete", message));
        }
        Ok(response)
    });
    match finished.await {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) | Err(failure) => failure.into_response(),
    }
}

async fn audit(shared: &Shared, caller: &Caller, result: String) -> Result<(), Failure> {
    let sink = Arc::clone(&shared.doors.audit);
    let caller = caller.clone();
    let action = caller.action;
    let written = blocking(move || {
        sink.append(&AuditEntry {
            actor: &caller.name,
            role: caller.role(),
            action,
            object: &caller.object,
            result: &result,
        })
    })
    .await?;
    written.map_err(|fault| {
        tracing::error!(error = %fault, action, "audit log cannot be written");
        let message = "the audit log cannot be written; nothing was done";
        Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "audit_unavailable",
            message,
        )
    })
}

/// How many denials were written in the current second, and how many were left out since the last written one.
#[derive(Debug, Default)]
pub(super) struct Denials(Mutex<(i64, u32, u64)>);

impl Denials {
    /// The number left out before this one, or nothing if this one is left out.
    fn admit(&self, now: EventTime, per_second_max: u32) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (second, written, left_out) = &mut *state;
        let this_second = now.0.div_euclid(1_000);
        if *second != this_second {
            (*second, *written) = (this_second, 0);
        }
        if per_second_max <= *written {
            *left_out = left_out.saturating_add(1);
            return None;
        }
        *written += 1;
        Some(std::mem::take(left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_are_written_up_to_the_limit_then_counted() {
        let denials = Denials::default();
        let at = |second: i64| EventTime(second * 1_000);
        assert_eq!(denials.admit(at(5), 2), Some(0));
        assert_eq!(denials.admit(at(5), 2), Some(0));
        assert_eq!(denials.admit(at(5), 2), None);
        assert_eq!(denials.admit(at(5), 2), None);
        assert_eq!(denials.admit(at(6), 2), Some(2));
        assert_eq!(denials.admit(at(6), 2), Some(0));
    }

    #[test]
    fn hosts_of_this_machine() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:9464",
            "[::1]:9464",
            "[::1]",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "evil.cn",
            "127.0.0.1.evil.cn",
            "localhost.evil.cn:80",
            "10.0.0.1",
            "",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn only_one_bearer_token_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        headers.insert(header::AUTHORIZATION, "bearer fh_1".parse().unwrap());
        assert_eq!(bearer(&headers), Some("fh_1"));
        headers.append(header::AUTHORIZATION, "Bearer fh_2".parse().unwrap());
        assert_eq!(bearer(&headers), None);
        headers.insert(header::AUTHORIZATION, "Basic Zm9v".parse().unwrap());
        assert_eq!(bearer(&headers), None);
    }
}
