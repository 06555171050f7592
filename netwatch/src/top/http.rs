//! Asking the daemon: over HTTP or TLS, with the token, and never for more than there is room for.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ureq::config::Config;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, http};

use super::words::harmless;
use crate::outputs::trust;

/// Bytes of the longest answer.
const ANSWER: u64 = 2 << 20;
/// How long connecting and waiting for an answer may take, each.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a question may take from its first byte to the answer's last, so that an answer that drips holds nobody for long.
const WHOLE: Duration = Duration::from_secs(30);
/// How long a stream may be silent: the daemon says something every 15 s.
const SILENCE: Duration = Duration::from_secs(40);
/// How long a connection is kept for the next question; the daemon ends it after ten seconds.
const IDLE: Duration = Duration::from_secs(7);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nobody answers.
    #[error("{0}")]
    Unreachable(String),
    /// It wants a token, or another one.
    #[error("{0}")]
    Token(&'static str),
    /// It answers something else than was asked for.
    #[error("{0}")]
    Refused(String),
}

/// Whom to ask.
pub struct Http {
    base: String,
    /// What the header says that bears the token.
    bearer: Option<String>,
    agent: Agent,
    /// How long a question may take in all.
    whole: Duration,
}

impl Http {
    /// Whoever answers at a URL.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with the URL, the token or the file of certificates.
    pub fn new(url: &str, token: Option<&str>, ca: Option<&Path>) -> Result<Self, String> {
        let wrong = |why: &str| format!("--url {}: {why}", harmless(url));
        let uri: http::Uri =
            url.parse().map_err(|_| wrong("is no URL; write it like http://127.0.0.1:8080"))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("must begin with http:// or https://")),
        };
        if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return Err(wrong("names no host, or a user; a token comes from --token-file"));
        }
        if uri.query().is_some() {
            return Err(wrong("must end before the question mark"));
        }
        let mut tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(trust::provider());
        if is_tls {
            let trusted = trust::authorities(ca)?;
            let trusted: Vec<_> = trusted.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
            tls = tls.root_certs(RootCerts::new_with_certs(&trusted));
        }
        let patience = Some(PATIENCE);
        let config = Config::builder()
            .tls_config(tls.build())
            .proxy(None)
            // The token is for whoever the URL names, and for nobody else.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("netwatch-top/", env!("CARGO_PKG_VERSION")))
            .max_idle_connections(1)
            .max_idle_age(IDLE)
            .max_response_header_size(16 << 10)
            .timeout_resolve(patience)
            .timeout_connect(patience)
            .timeout_send_request(patience)
            .timeout_recv_response(patience)
            .timeout_per_read(Some(SILENCE));
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            bearer: token.map(|token| format!("Bearer {token}")),
            agent: config.build().new_agent(),
            whole: WHOLE,
        })
    }

    /// Where it is asked.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Asks for JSON.
    ///
    /// # Errors
    ///
    /// Nobody answers, or not with JSON.
    pub fn get(&self, path: &str) -> Result<Value, Trouble> {
        let mut answer = self.call(path, None)?;
        let body = answer.body_mut().with_config().limit(ANSWER).read_to_vec();
        let body = body.map_err(|error| self.failed(&error))?;
        serde_json::from_slice(&body).map_err(|_| {
            Trouble::Refused(format!("{} does not answer as netwatch does; check the URL", self.base))
        })
    }

    /// Asks for a stream, to go on after an event where its identifier is given.
    ///
    /// # Errors
    ///
    /// Nobody answers, or not with a stream.
    pub fn stream(&self, path: &str, after: &str) -> Result<impl Read + use<>, Trouble> {
        let answer = self.call(path, Some(after))?;
        // A stream has no end, so its length has no bound; the parser bounds what is kept of it.
        Ok(answer.into_body().into_with_config().limit(u64::MAX).reader())
    }

    fn call(&self, path: &str, after: Option<&str>) -> Result<http::Response<ureq::Body>, Trouble> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(bearer) = &self.bearer {
            request = request.header("Authorization", bearer);
        }
        // A stream has no end; everything else has.
        let whole = after.is_none().then_some(self.whole);
        if let Some(after) = after.filter(|after| !after.is_empty()) {
            request = request.header("Last-Event-ID", after);
        }
        let request = request.config().timeout_global(whole).build();
        let mut answer = request.call().map_err(|error| self.failed(&error))?;
        let status = answer.status().as_u16();
        match status {
            200 => Ok(answer),
            401 | 403 if self.bearer.is_some() => {
                Err(Trouble::Token("it takes another token; check --token-file"))
            }
            401 | 403 => Err(Trouble::Token(
                "it wants a token; name its file with --token-file, or set NETWATCH_TOKEN",
            )),
            _ => {
                let body =
                    answer.body_mut().with_config().limit(4 << 10).read_to_string().unwrap_or_default();
                let says: Value = serde_json::from_str(&body).unwrap_or_default();
                let says =
                    says.get("error").and_then(Value::as_str).map(|says| format!(": {}", harmless(says)));
                Err(Trouble::Refused(format!("{} answers {status}{}", self.base, says.unwrap_or_default())))
            }
        }
    }

    fn failed(&self, error: &ureq::Error) -> Trouble {
        Trouble::Unreachable(format!("{}: {}", self.base, harmless(&error.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_url_that_is_not_right_is_said_so() {
        for (url, says) in [
            ("", "is no URL"),
            ("127.0.0.1:8080", "must begin with"),
            ("ftp://127.0.0.1", "must begin with"),
            ("http://me:secret@127.0.0.1", "names no host, or a user"),
            ("http://127.0.0.1?token=x", "before the question mark"),
        ] {
            let error = Http::new(url, None, None).err().unwrap();
            assert!(error.contains(says), "{url}: {error}");
        }
        assert_eq!(Http::new("http://[::1]:8080/", None, None).unwrap().base(), "http://[::1]:8080");
        assert!(
            Http::new("https://127.0.0.1", None, Some(Path::new("/none"))).err().unwrap().contains("/none")
        );
    }

    #[test]
    fn an_answer_that_drips_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut http = Http::new(&format!("http://{}", listener.local_addr().unwrap()), None, None).unwrap();
        http.whole = Duration::from_secs(1);
        let drip = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
            let mut goes_on = connection.write_all(head.as_bytes()).is_ok();
            while goes_on {
                goes_on = connection.write_all(b" ").is_ok();
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        assert!(matches!(http.get("/"), Err(Trouble::Unreachable(_))));
        // It ends because nobody reads it any more.
        drip.join().unwrap();
    }
}
