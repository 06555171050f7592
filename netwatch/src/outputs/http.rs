//! Posting JSON over HTTP: no proxy, no redirects, a connection for each request.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::config::Config;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, http};

use super::transport::Trouble;
use super::{limits, trust};

/// Whom something is posted to.
pub(super) struct Client {
    url: String,
    ca_file: Option<PathBuf>,
    agent: Agent,
}

impl Client {
    /// What is wrong is said without the URL, in which there may be a secret.
    pub(super) fn new(url: String, ca_file: Option<&Path>) -> Result<Self, String> {
        url.parse::<http::Uri>().map_err(|wrong| format!("its URL: {wrong}"))?;
        let agent = agent(url.starts_with("https:"), ca_file)?;
        Ok(Self { url, ca_file: ca_file.map(Path::to_owned), agent })
    }

    /// Reads the certificates again.
    pub(super) fn reopen(&mut self) -> Result<(), Trouble> {
        let is_tls = self.url.starts_with("https:");
        self.agent = agent(is_tls, self.ca_file.as_deref()).map_err(Trouble::again)?;
        Ok(())
    }

    /// Scheme, host and port: the rest is nobody's business.
    pub(super) fn place(&self) -> &str {
        let begin = self.url.find("://").map_or(0, |at| at + 3);
        let end = self
            .url
            .get(begin..)
            .and_then(|rest| rest.find(['/', '?']))
            .map_or(self.url.len(), |at| begin + at);
        self.url.get(..end).unwrap_or_default()
    }

    pub(super) fn post(&self, headers: &[(&str, String)], body: &[u8]) -> Result<(), Trouble> {
        let place = self.place();
        let mut request = self.agent.post(&self.url).header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut answer = request.send(body).map_err(|error| failed(place, &error))?;
        let status = answer.status().as_u16();
        let after =
            answer.headers().get("Retry-After").and_then(|value| value.to_str().ok()).and_then(retry_after);
        let says = if (200..300).contains(&status) {
            return Ok(());
        } else {
            let body =
                answer.body_mut().with_config().limit(limits::ANSWER).read_to_string().unwrap_or_default();
            let line: String =
                body.chars().take(200).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
            // What somebody can put right is said beside it.
            let to_do = match status {
                401 | 403 => "; check the token or the secret, and who may post there",
                404 => "; check the URL, and whether what stands behind it is there",
                407 => "; a proxy answers, and none is used: check the URL",
                _ => "",
            };
            format!("{place} answers {status}: {}{to_do}", line.trim())
        };
        match status {
            // A redirect is not followed: alerts are for whom they were meant. But it may go away.
            // Who we are and where it is can be put right while alerts wait; and 404 is what a proxy in front of a receiver
            // says while that one is away.
            300..=399 | 401 | 403 | 404 | 407 | 408 | 425 | 429 | 500.. => Err(Trouble::Again(says, after)),
            _ => Err(Trouble::Refused(says)),
        }
    }
}

fn agent(is_tls: bool, ca_file: Option<&Path>) -> Result<Agent, String> {
    let mut tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(trust::provider());
    if is_tls {
        let trusted = trust::authorities(ca_file)?;
        let trusted: Vec<_> = trusted.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
        tls = tls.root_certs(RootCerts::new_with_certs(&trusted));
    }
    let patience = Some(limits::PATIENCE);
    let config = Config::builder()
        .tls_config(tls.build())
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("netwatch/", env!("CARGO_PKG_VERSION")))
        // A connection that was kept may be closed by the time that it is used, which looks like a receiver that is down.
        .max_idle_connections(0)
        .max_response_header_size(16 << 10)
        .timeout_resolve(patience)
        .timeout_connect(patience)
        .timeout_send_request(patience)
        .timeout_send_body(patience)
        .timeout_recv_response(patience)
        .timeout_recv_body(patience);
    Ok(config.build().new_agent())
}

/// The error without the URL.
fn failed(place: &str, error: &ureq::Error) -> Trouble {
    match error {
        // No alert is at fault, and the files that these come from may be read again.
        ureq::Error::Http(_) | ureq::Error::BadUri(_) => Trouble::again(format!(
            "post to {place}: the URL or a header is wrong; check the URL and the token"
        )),
        error => Trouble::again(format!("post to {place}: {error}")),
    }
}

/// Seconds; a date is not waited for.
fn retry_after(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}
