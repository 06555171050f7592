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
    /// What could be done instead, where it is the method that is not right.
    pub allow: &'static str,
    /// After how many seconds it may be tried again, where that matters.
    pub after: u64,
}

impl Refusal {
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), ends: false, allow: "GET, HEAD", after: 1 }
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

    /// To be tried again after so many seconds.
    pub fn after(mut self, seconds: u64) -> Self {
        self.after = seconds;
        self
    }

    /// The method is none that is taken there.
    pub fn method(allow: &'static str) -> Self {
        let text = format!("only {allow} is answered here");
        Self { allow, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, text) }
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
        let problem = Problem { error: self.text.clone() };
        let mut response = (self.status, Json(problem)).into_response();
        self.put_headers(&mut response);
        // For whoever makes a page of it.
        response.extensions_mut().insert(self);
        response
    }
}

impl Refusal {
    /// Says in an answer's headers what programs look for.
    pub fn put_headers(&self, response: &mut Response) {
        let mut set = |name, value| drop(response.headers_mut().insert(name, value));
        match self.status {
            StatusCode::METHOD_NOT_ALLOWED => set(header::ALLOW, HeaderValue::from_static(self.allow)),
            StatusCode::UNAUTHORIZED => {
                set(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"netwatch\""));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                set(header::RETRY_AFTER, self.after.into());
            }
            _ => {}
        }
        if self.ends {
            set(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}
