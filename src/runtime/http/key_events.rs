//! Doors to key events (重点事件): all, one, its report, and what officers do.
//!
//! The id in a path may stand with or without `event:`.
//!
//! errors   404 `unknown_key_event`; 400 `bad_form` for a report in another form than `markdown`, `html` or `xlsx`

use super::answer::Failure;
use super::behind::Act;
use super::guard::Caller;
use super::routes::{self, ID_BYTES_MAX, object, parameters, segment};
use super::{Shared, blocking};
use crate::engine::desk::key_event::PREFIX;
use crate::runtime::paper::Form;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Query, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportParameters {
    form: Option<String>,
}

fn key(id: Result<Path<String>, PathRejection>) -> Result<String, Failure> {
    let id = segment(id, ID_BYTES_MAX)?;
    Ok(format!("{PREFIX}{}", id.trim_start_matches(PREFIX)))
}

fn unknown(id: &str) -> Failure {
    Failure::not_found("unknown_key_event", format!("no key event \"{id}\""))
}

/// All of them.
pub(super) async fn list(State(shared): State<Shared>) -> Result<Json<Value>, Failure> {
    let found = blocking(move || shared.doors.read.key_events()).await?;
    found.map(Json).ok_or_else(|| {
        let what = "the loop did not answer in time; try again";
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", what)
    })
}

/// One, with its own course.
pub(super) async fn one(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Failure> {
    let id = key(id)?;
    let failure = unknown(&id);
    let found = blocking(move || shared.doors.read.key_event(&id)).await?;
    found.map(Json).ok_or(failure)
}

/// Its report.
pub(super) async fn report(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Failure> {
    let id = key(id)?;
    let Query(parameters) = parameters::<ReportParameters>(&uri)?;
    let name = parameters.form.unwrap_or_else(|| "markdown".to_owned());
    let form = Form::by_name(&name).ok_or_else(|| {
        let what = "expected markdown, html or xlsx";
        Failure::bad("bad_form", format!("form \"{name}\": {what}"))
    })?;
    let failure = unknown(&id);
    let found = blocking(move || shared.doors.read.event_report(&id, form)).await?;
    let bytes = found
        .ok_or(failure)?
        .map_err(|why| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "report_failed", why))?;
    Ok(([(header::CONTENT_TYPE, form.media_type())], bytes).into_response())
}

/// Opens, joins, takes out, closes.
pub(super) async fn act(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let object_id = key(id)?;
    let what = object(&shared, request).await?;
    let act = Act::Dispose {
        object: object_id,
        what,
    };
    routes::act(shared, caller, act).await
}
