//! Bodies: small forms and documents, of which the guard has seen the length and the kind.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, header};

use super::answer::Refusal;
use super::limits::BODY_BYTES;
use super::query::pairs;

/// Kinds that are taken.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
pub(super) const JSON: &str = "application/json";

/// The fields of a body.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads them; each is to be one of `known`. Of JSON, fields are those of an object, and text or null.
    pub async fn read(headers: &HeaderMap, body: Body, known: &[&str]) -> Result<Self, Refusal> {
        let bytes = to_bytes(body, BODY_BYTES).await.map_err(|_| Refusal::wrong("the body is cut off"))?;
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let fields = if kind(headers) == Some(JSON) {
            object(&bytes)?
        } else {
            let text = std::str::from_utf8(&bytes).map_err(|_| Refusal::wrong("the form must be UTF-8"))?;
            // In forms, a plus is a space.
            pairs(&text.replace('+', " "))?
        };
        for (place, (key, _)) in fields.iter().enumerate() {
            let is_twice = fields[..place].iter().any(|(other, _)| other == key);
            if is_twice || !known.contains(&&**key) {
                let known = known.join(", ");
                return Err(Refusal::wrong(format!("the body has once each, and nothing but: {known}")));
            }
        }
        Ok(Self(fields))
    }

    pub fn text(&self, key: &str) -> &str {
        self.0.iter().find(|(found, _)| found == key).map_or("", |(_, value)| value)
    }
}

fn object(bytes: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
    let wrong = || Refusal::wrong("the body must be an object of JSON, like {\"note\": \"looking into it\"}");
    let serde_json::Value::Object(object) = serde_json::from_slice(bytes).map_err(|_| wrong())? else {
        return Err(wrong());
    };
    let field = |(key, value)| match value {
        serde_json::Value::String(text) => Ok((key, text)),
        serde_json::Value::Null => Ok((key, String::new())),
        _ => Err(wrong()),
    };
    object.into_iter().map(field).collect()
}

/// What a body is said to be, where that is taken.
pub(super) fn kind(headers: &HeaderMap) -> Option<&'static str> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let name = text.split(';').next().unwrap_or("").trim();
    [FORM, JSON].into_iter().find(|kind| name.eq_ignore_ascii_case(kind))
}
