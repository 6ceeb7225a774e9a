//! Every door: one table of routes with the right that each needs, and what each does.
//!
//! The router is built from [`ROUTES`] alone, so the tests can walk all of it for every role.
//!
//! errors   as in [`super::answer`]; 404 and 405 are JSON too
//! bounds   bodies 1 MiB (events) or 64 KiB (feedback); lists at most 500 entries

use super::answer::{Failure, RequestId};
use super::behind::{Act, ActError, PushError, Receipt, WarningQuery};
use super::guard::{Caller, deny, guard, leave};
use super::{Shared, blocking, key_events};
use crate::engine::event::SubjectKey;
use crate::engine::subject::view::Level;
use crate::runtime::tokens::rights::Right;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Extension, FromRequest, Path, Query, Request, State};
use axum::handler::Handler;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router, middleware};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const LIST_MAX: usize = 500;
const LIST_DEFAULT: usize = 50;
pub(super) const ID_BYTES_MAX: usize = 128;
const SUBJECT_BYTES_MAX: usize = 240;
const FEEDBACK_BYTES_MAX: usize = 64 * 1_024;
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Counts what matches no route.
const OTHER: &str = "other";

/// A door.
#[derive(Debug)]
pub struct Route {
    /// `GET` or `POST`.
    pub method: Method,
    /// The template, which is also its name in the metrics.
    pub path: &'static str,
    /// Its name in the audit log.
    pub action: &'static str,
    /// What a caller needs; none: open to all, says nothing.
    pub right: Option<Right>,
    endpoint: Endpoint,
}

#[derive(Debug, Clone, Copy)]
enum Endpoint {
    Metrics,
    Alive,
    Ready,
    Events,
    Subject,
    Warnings,
    Warning,
    Feedback,
    Dispose,
    Case,
    KeyEvents,
    KeyEvent,
    EventReport,
    EventAct,
    Rules,
    Duel,
    Reload,
    Audit,
}

const fn row(
    method: Method,
    path: &'static str,
    action: &'static str,
    right: Option<Right>,
    endpoint: Endpoint,
) -> Route {
    Route {
        method,
        path,
        action,
        right,
        endpoint,
    }
}

/// All doors.
#[rustfmt::skip]
pub static ROUTES: [Route; 18] = [
    row(Method::GET, "/healthz", "health.alive", None, Endpoint::Alive),
    row(Method::GET, "/readyz", "health.ready", None, Endpoint::Ready),
    row(Method::GET, "/metrics", "metrics.read", Some(Right::Metrics), Endpoint::Metrics),
    row(Method::POST, "/api/v1/events/{connector}", "events.push", Some(Right::Ingest), Endpoint::Events),
    row(Method::GET, "/api/v1/subjects/{subject}", "subject.read", Some(Right::Read), Endpoint::Subject),
    row(Method::GET, "/api/v1/warnings", "warnings.list", Some(Right::Read), Endpoint::Warnings),
    row(Method::GET, "/api/v1/warnings/{id}", "warning.read", Some(Right::Read), Endpoint::Warning),
    row(Method::POST, "/api/v1/warnings/{id}/feedback", "warning.feedback", Some(Right::Act), Endpoint::Feedback),
    row(Method::POST, "/api/v1/warnings/{id}/actions", "warning.act", Some(Right::Act), Endpoint::Dispose),
    row(Method::GET, "/api/v1/cases/{id}", "case.read", Some(Right::Read), Endpoint::Case),
    row(Method::GET, "/api/v1/key-events", "key_events.list", Some(Right::Read), Endpoint::KeyEvents),
    row(Method::GET, "/api/v1/key-events/{id}", "key_event.read", Some(Right::Read), Endpoint::KeyEvent),
    row(Method::GET, "/api/v1/key-events/{id}/report", "key_event.report", Some(Right::Read), Endpoint::EventReport),
    row(Method::POST, "/api/v1/key-events/{id}/actions", "key_event.act", Some(Right::Act), Endpoint::EventAct),
    row(Method::GET, "/api/v1/rules", "rules.read", Some(Right::Rules), Endpoint::Rules),
    row(Method::GET, "/api/v1/rules/{id}/duel", "rules.duel", Some(Right::Rules), Endpoint::Duel),
    row(Method::POST, "/api/v1/rules/reload", "rules.reload", Some(Right::Administer), Endpoint::Reload),
    row(Method::GET, "/api/v1/audit", "audit.read", Some(Right::Audit), Endpoint::Audit),
];

/// The router of all doors.
pub(super) fn router(shared: &Shared) -> Router {
    let mut router = Router::new();
    for route in &ROUTES {
        let guard = middleware::from_fn_with_state((Arc::clone(shared), route), guard);
        router = router.route(route.path, handler(route).route_layer(guard));
    }
    let body_bytes_max = shared.limits.body_bytes_max;
    router
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .with_state(Arc::clone(shared))
}

fn handler(route: &Route) -> MethodRouter<Shared> {
    match route.endpoint {
        Endpoint::Metrics => on(&route.method, metrics),
        Endpoint::Alive => on(&route.method, alive),
        Endpoint::Ready => on(&route.method, ready),
        Endpoint::Events => on(&route.method, events),
        Endpoint::Subject => on(&route.method, subject),
        Endpoint::Warnings => on(&route.method, warnings),
        Endpoint::Warning => on(&route.method, warning),
        Endpoint::Feedback => on(&route.method, feedback),
        Endpoint::Dispose => on(&route.method, dispose),
        Endpoint::Case => on(&route.method, case),
        Endpoint::KeyEvents => on(&route.method, key_events::list),
        Endpoint::KeyEvent => on(&route.method, key_events::one),
        Endpoint::EventReport => on(&route.method, key_events::report),
        Endpoint::EventAct => on(&route.method, key_events::act),
        Endpoint::Rules => on(&route.method, rules),
        Endpoint::Duel => on(&route.method, duel),
        Endpoint::Reload => on(&route.method, reload),
        Endpoint::Audit => on(&route.method, audit),
    }
}

fn on<H: Handler<T, Shared>, T: 'static>(method: &Method, handler: H) -> MethodRouter<Shared> {
    if *method == Method::POST {
        post(handler)
    } else {
        get(handler)
    }
}

async fn no_route(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let failure = Failure::not_found("no_route", "no such path");
    let id = RequestId::of(&headers, &shared.numbers);
    leave(&shared, OTHER, &id, failure.into_response())
}

async fn no_method(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let failure = Failure::new(status, "no_method", "the path has no such method");
    let id = RequestId::of(&headers, &shared.numbers);
    leave(&shared, OTHER, &id, failure.into_response())
}

async fn alive() -> Json<Value> {
    Json(json!({"status": "alive"}))
}

async fn ready(State(shared): State<Shared>) -> Result<Json<Value>, Failure> {
    let obstacles = shared.doors.health.obstacles();
    if obstacles.is_empty() {
        return Ok(Json(json!({"status": "ready"})));
    }
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Err(Failure::new(status, "not_ready", obstacles.join("; ")))
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let doors = &shared.doors;
    let is_ready = doors.health.obstacles().is_empty();
    doors.metrics.ready.set(i64::from(is_ready));
    let text = doors.metrics.render(doors.clock.now());
    ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response()
}

async fn events(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Extension(id): Extension<RequestId>,
    connector: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Receipt>, Failure> {
    let connector = segment(connector, ID_BYTES_MAX)?;
    if !caller.may_feed(&connector) {
        let message = format!("the token may not feed connector \"{connector}\"");
        let denial = Failure::new(StatusCode::FORBIDDEN, "connector_denied", message);
        return Err(deny(&shared, &caller, denial).await);
    }
    if shared.doors.health.is_draining() {
        return Err(push_failure(&connector, PushError::Draining));
    }
    let Ok(_slot) = shared.bodies.try_acquire() else {
        let retry_after_s = 1;
        return Err(push_failure(&connector, PushError::Full { retry_after_s }));
    };
    let body = read_body(&shared, request, shared.limits.body_bytes_max).await?;
    if body.is_empty() {
        return Err(Failure::bad("body_empty", "the body has no record"));
    }
    let ingest = &shared.doors.ingest;
    let receipt = ingest
        .push(&connector, body, &id)
        .map_err(|error| push_failure(&connector, error))?;
    let again = "send the same body again: records are known by their ids, none counts twice";
    let wait = Duration::from_millis(shared.limits.receipt_ms_max);
    match tokio::time::timeout(wait, receipt).await {
        Ok(Ok(receipt)) => Ok(Json(receipt)),
        Ok(Err(_)) => Err(Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "outcome_unknown",
            format!("the process stopped before the records were known to be stored; {again}"),
        )),
        Err(_) => Err(Failure::new(
            StatusCode::GATEWAY_TIMEOUT,
            "outcome_unknown",
            format!("the records are not stored yet; {again}"),
        )),
    }
}

fn push_failure(connector: &str, error: PushError) -> Failure {
    let message = error.to_string();
    match error {
        PushError::UnknownConnector => {
            let what = format!("connector \"{connector}\" has no source of kind \"http\"");
            Failure::not_found("unknown_connector", what)
        }
        PushError::Full { retry_after_s } => {
            Failure::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message)
                .retry_after(retry_after_s)
        }
        PushError::Draining => {
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "draining", message).retry_after(10)
        }
        PushError::Body(what) => Failure::bad("body_refused", what),
    }
}

/// The whole body, within its size and its time.
async fn read_body(shared: &Shared, request: Request, bytes_max: usize) -> Result<Bytes, Failure> {
    let headers = request.headers();
    if headers.contains_key(header::CONTENT_ENCODING) {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Failure::new(
            status,
            "encoded",
            "send the body without content-encoding",
        ));
    }
    let too_large = || {
        let message = format!("the body is larger than {bytes_max} bytes; send it in parts");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
            .with(header::CONNECTION, "close")
    };
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| bytes_max < length) {
        return Err(too_large());
    }
    let wait = Duration::from_millis(shared.limits.body_ms_max);
    let read = Bytes::from_request(request, &());
    match tokio::time::timeout(wait, read).await {
        Ok(Ok(body)) if body.len() <= bytes_max => Ok(body),
        Ok(Ok(_)) => Err(too_large()),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(too_large())
        }
        Ok(Err(_)) => Err(Failure::bad(
            "body_broken",
            "the body ended early or is malformed",
        )),
        Err(_) => Err(Failure::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_slow",
            "the body did not arrive in time",
        )
        .with(header::CONNECTION, "close")),
    }
}

async fn subject(
    State(shared): State<Shared>,
    subject: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Failure> {
    let text = segment(subject, SUBJECT_BYTES_MAX)?;
    let Some(key) = SubjectKey::parse(&text) else {
        let what = "expected kind:key, for example enterprise:91320100…";
        return Err(Failure::bad("bad_subject", format!("\"{text}\": {what}")));
    };
    let found = blocking(move || match shared.doors.read.elsewhere(&key) {
        Some(place) => Err(place),
        None => Ok(shared.doors.read.subject(&key)),
    })
    .await?
    .map_err(|place| Failure::new(StatusCode::MISDIRECTED_REQUEST, "elsewhere", place))?;
    let message = format!("nothing is known of \"{text}\"");
    found
        .map(Json)
        .ok_or_else(|| Failure::not_found("unknown_subject", message))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WarningParameters {
    level: Option<String>,
    city: Option<String>,
    limit: Option<usize>,
}

async fn warnings(State(shared): State<Shared>, uri: Uri) -> Result<Json<Value>, Failure> {
    let Query(parameters) = parameters::<WarningParameters>(&uri)?;
    let level = match parameters.level {
        Some(word) => Some(Level::by_name(&word).ok_or_else(|| {
            let what = "expected 红, 橙, 黄, 蓝 or P0 to P3";
            Failure::bad("bad_level", format!("level \"{word}\": {what}"))
        })?),
        None => None,
    };
    if let Some(city) = &parameters.city
        && (city.len() != 6 || !city.bytes().all(|b| b.is_ascii_digit()))
    {
        let what = "expected a code of 6 digits like 320100";
        return Err(Failure::bad("bad_city", format!("city \"{city}\": {what}")));
    }
    let query = WarningQuery {
        level,
        city: parameters.city,
        limit: limit(parameters.limit)?,
    };
    Ok(Json(
        blocking(move || shared.doors.read.warnings(&query)).await?,
    ))
}

async fn warning(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Failure> {
    let id = segment(id, ID_BYTES_MAX)?;
    let message = format!("no warning \"{id}\"");
    let found = blocking(move || shared.doors.read.warning(&id)).await?;
    found
        .map(Json)
        .ok_or_else(|| Failure::not_found("unknown_warning", message))
}

async fn feedback(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let warning = segment(id, ID_BYTES_MAX)?;
    let finding = object(&shared, request).await?;
    act(shared, caller, Act::Feedback { warning, finding }).await
}

async fn dispose(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let id = segment(id, ID_BYTES_MAX)?;
    let what = object(&shared, request).await?;
    act(shared, caller, Act::Dispose { object: id, what }).await
}

/// A body that is a JSON object.
pub(super) async fn object(shared: &Shared, request: Request) -> Result<Value, Failure> {
    let body = read_body(shared, request, FEEDBACK_BYTES_MAX).await?;
    match serde_json::from_slice::<Value>(&body) {
        Ok(object) if object.is_object() => Ok(object),
        Ok(_) => Err(Failure::bad("bad_json", "expected a JSON object")),
        Err(error) => Err(Failure::bad("bad_json", format!("not JSON: {error}"))),
    }
}

async fn case(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Failure> {
    let id = segment(id, ID_BYTES_MAX)?;
    let message = format!("no case \"{id}\"");
    let found = blocking(move || shared.doors.read.case(&id)).await?;
    found
        .map(Json)
        .ok_or_else(|| Failure::not_found("unknown_case", message))
}

async fn reload(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Failure> {
    act(shared, caller, Act::ReloadRules).await
}

pub(super) async fn act(shared: Shared, caller: Caller, act: Act) -> Result<Json<Value>, Failure> {
    let done = blocking(move || shared.doors.control.act(&caller.name, &act)).await?;
    done.map(Json).map_err(|error| match error {
        ActError::NotFound(what) => Failure::not_found("not_found", what),
        ActError::Refused(what) => Failure::new(StatusCode::CONFLICT, "refused", what),
        ActError::Unavailable(what) => {
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", what)
        }
    })
}

async fn rules(State(shared): State<Shared>) -> Result<Json<Value>, Failure> {
    Ok(Json(blocking(move || shared.doors.read.rules()).await?))
}

async fn duel(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Failure> {
    let id = segment(id, ID_BYTES_MAX)?;
    match blocking(move || shared.doors.read.duel(&id)).await? {
        Some(Ok(found)) => Ok(Json(found)),
        Some(Err(why)) => Err(Failure::not_found("no_challenge", why)),
        None => Err(Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the loop did not answer in time; try again",
        )),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    limit: Option<usize>,
}

async fn audit(State(shared): State<Shared>, uri: Uri) -> Result<Json<Value>, Failure> {
    let Query(parameters) = parameters::<ListParameters>(&uri)?;
    let limit = limit(parameters.limit)?;
    let recent = blocking(move || shared.doors.audit.recent(limit)).await?;
    recent.map(Json).map_err(|fault| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Failure::new(status, "audit_unavailable", fault.to_string())
    })
}

pub(super) fn parameters<T: for<'a> Deserialize<'a>>(uri: &Uri) -> Result<Query<T>, Failure> {
    Query::try_from_uri(uri).map_err(|error| Failure::bad("bad_query", error.body_text()))
}

fn limit(asked: Option<usize>) -> Result<usize, Failure> {
    let limit = asked.unwrap_or(LIST_DEFAULT);
    if (1..=LIST_MAX).contains(&limit) {
        return Ok(limit);
    }
    let message = format!("limit is {limit}; expected 1 to {LIST_MAX}");
    Err(Failure::bad("bad_limit", message))
}

pub(super) fn segment(
    path: Result<Path<String>, PathRejection>,
    bytes_max: usize,
) -> Result<String, Failure> {
    match path {
        Ok(Path(text)) if text.len() <= bytes_max && !text.contains(char::is_control) => Ok(text),
        _ => Err(Failure::bad(
            "bad_path",
            "the path is malformed or too long",
        )),
    }
}
