//! Answers: JSON, and why there is none.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::shapes::Problem;
use crate::report::HistoryError;

/// Why a request is not answered as it wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: StatusCode,
    /// A sentence.
    pub text: String,
    /// Whether the connection ends with it, because nobody knows where the next request begins.
    pub ends: bool,
}

impl Refusal {
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), ends: false }
    }

    /// The request is not right.
    pub fn wrong(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// There is no such thing.
    pub fn missing(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// Not now.
    pub fn busy(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// And the connection ends.
    pub fn ending(mut self) -> Self {
        self.ends = true;
        self
    }
}

impl From<HistoryError> for Refusal {
    fn from(error: HistoryError) -> Self {
        Self::busy(error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(Problem { error: self.text })).into_response();
        let mut set = |name, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
        match self.status {
            StatusCode::METHOD_NOT_ALLOWED => drop(set(header::ALLOW, "GET, HEAD")),
            StatusCode::UNAUTHORIZED => drop(set(header::WWW_AUTHENTICATE, "Bearer realm=\"netwatch\"")),
            StatusCode::SERVICE_UNAVAILABLE => drop(set(header::RETRY_AFTER, "1")),
            _ => {}
        }
        if self.ends {
            set(header::CONNECTION, "close");
        }
        response
    }
}
