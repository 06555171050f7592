//! Signed JSON for whomever.

use std::sync::Arc;

use jiff::Timestamp;

use super::http::Client;
use super::transport::{Transport, Trouble};
use super::trust::Secret;
use crate::config::{UrlSource, WebhookTarget};
use crate::report::Told;
use crate::report::snapshot::Run;
use crate::sinks::webhook::{body, signature};

/// A webhook.
pub(super) struct Webhook {
    target: WebhookTarget,
    run: Arc<Run>,
    client: Client,
    secret: Option<Secret>,
}

impl Webhook {
    pub(super) fn new(target: &WebhookTarget, run: &Arc<Run>) -> Result<Self, String> {
        let client = client(target)?;
        let secret = target.secret_file.as_deref().map(Secret::read).transpose()?;
        Ok(Self { target: target.clone(), run: Arc::clone(run), client, secret })
    }
}

/// Who is posted to; where that is a secret, its file is read.
fn client(target: &WebhookTarget) -> Result<Client, String> {
    let url = match &target.url {
        UrlSource::Said(url) => url.clone(),
        UrlSource::File(path) => {
            let wrong = || format!("{}: has no URL in it; write https://... into it", path.display());
            let text = String::from_utf8(Secret::read(path)?.bytes().to_vec()).map_err(|_| wrong())?;
            let is_url = ["https://", "http://"].iter().any(|begin| text.starts_with(begin));
            Some(text.trim().to_owned()).filter(|_| is_url).ok_or_else(wrong)?
        }
    };
    Client::new(url, target.ca_file.as_deref())
}

impl Transport for Webhook {
    fn deliver(&mut self, batch: &[Arc<Told>], _: &mut usize) -> Result<(), Trouble> {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return Ok(()) };
        let body = body(batch.iter().map(|told| &**told), &self.run);
        // The same for each try, so that a receiver knows what it has already.
        let key = format!("{}-{}-{}", self.run.id, first.number, last.number);
        let mut headers = vec![("Idempotency-Key", key)];
        if let Some(secret) = &self.secret {
            let now = Timestamp::now().as_second().to_string();
            headers.push(("X-Netwatch-Signature", signature(secret.bytes(), &now, &body)));
            headers.push(("X-Netwatch-Timestamp", now));
        }
        self.client.post(&headers, &body)
    }

    fn reopen(&mut self) -> Result<(), Trouble> {
        self.client = client(&self.target).map_err(Trouble::again)?;
        self.secret =
            self.target.secret_file.as_deref().map(Secret::read).transpose().map_err(Trouble::again)?;
        Ok(())
    }
}
