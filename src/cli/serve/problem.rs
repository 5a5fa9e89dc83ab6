//! What goes wrong with a request, as RFC 9457 has it: `application/problem+json`.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request has no answer.
#[derive(Debug)]
pub enum Problem {
    /// It has not the form that the route takes.
    Form(StatusCode, String),
    /// Its picture or its question cannot be worked on.
    Content(String),
    /// It comes from where nothing is answered to.
    Forbidden(&'static str),
    /// As many as may wait are waiting.
    Busy,
    /// It took longer than one may, in seconds.
    TooLong(u64),
    /// Its time was over while it was worked on.
    Late,
    /// gradlens itself is at fault.
    Internal(String),
}

impl Problem {
    /// A form that lacks something, or has too much.
    pub fn form(detail: impl Into<String>) -> Problem {
        Problem::Form(StatusCode::BAD_REQUEST, detail.into())
    }

    fn status(&self) -> StatusCode {
        match self {
            Problem::Form(status, _) => *status,
            Problem::Content(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::Forbidden(_) => StatusCode::FORBIDDEN,
            Problem::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Problem::TooLong(_) | Problem::Late => StatusCode::GATEWAY_TIMEOUT,
            Problem::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn detail(&self) -> String {
        match self {
            Problem::Form(_, detail) | Problem::Content(detail) => detail.clone(),
            Problem::Forbidden(detail) => (*detail).to_owned(),
            Problem::Busy => "as many requests as may wait are waiting; try again".into(),
            Problem::TooLong(seconds) => {
                format!("the request took longer than {seconds} s, which is the limit")
            }
            Problem::Late => "the request took too long".into(),
            Problem::Internal(detail) => format!("an error in gradlens itself: {detail}"),
        }
    }
}

impl IntoResponse for &Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = Json(json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": self.detail(),
        }));
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if matches!(self, Problem::Busy) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
