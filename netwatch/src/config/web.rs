//! How alerts are served over HTTP, of all that the command line and the file say about it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::layer::{Said, first};
use super::show::{self, Row};

/// Where is listened, unless configured otherwise: this machine alone gets there.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// What stands for not listening at all.
const NONE: &str = "none";
/// Most names that a request may call this machine by.
pub(super) const HOSTS_MAX: usize = 64;
/// Letters of the longest name that there is.
const HOST_MAX: usize = 253;

/// What one place says about it.
#[derive(Clone, Debug, Default)]
pub(super) struct WebLayer {
    /// Within: `None` where nothing is to be served.
    pub listen: Option<Said<Option<SocketAddr>>>,
    pub token_file: Option<Said<NamedFile>>,
    pub hosts: Option<Said<Vec<String>>>,
    pub tls_cert: Option<Said<NamedFile>>,
    pub tls_key: Option<Said<NamedFile>>,
}

/// A file that is read when the server starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NamedFile {
    /// As it was written.
    pub text: String,
    /// Where it is: what the configuration file names is looked for beside it.
    pub path: PathBuf,
}

/// How alerts are served over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSettings {
    /// Where is listened; none where nothing is served.
    pub listen: Option<SocketAddr>,
    /// Whether anybody said so: what nobody asked for may fail.
    pub is_listen_said: bool,
    /// The file with the token that requests must bear; none where they need not.
    pub token_file: Option<PathBuf>,
    /// What a request may call this machine besides the names of loopback and the address itself, in lower-case letters.
    pub hosts: Vec<String>,
    /// The certificate and those that vouch for it, as PEM; none where TLS is not spoken.
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, as PEM; there exactly where the certificate is.
    pub tls_key: Option<PathBuf>,
}

/// Puts the layers on top of each other.
pub(super) fn resolve(line: WebLayer, file: WebLayer) -> Result<(WebSettings, Vec<Row>), String> {
    let listen = first([line.listen, file.listen], Some(LISTEN));
    let token_file = first([line.token_file, file.token_file], NamedFile::default());
    let hosts = first([line.hosts, file.hosts], Vec::new());
    let tls_cert = first([line.tls_cert, file.tls_cert], NamedFile::default());
    let tls_key = first([line.tls_key, file.tls_key], NamedFile::default());

    for (one, said, other) in [("tls_cert", &tls_cert, "tls_key"), ("tls_key", &tls_key, "tls_cert")] {
        let rest = if other == "tls_key" { &tls_key } else { &tls_cert };
        if !said.value.text.is_empty() && rest.value.text.is_empty() {
            return Err(format!("{}: is of no use without {other}; name both files", said.origin.name(one)));
        }
    }
    if let Some(address) = listen.value.filter(|address| !address.ip().to_canonical().is_loopback())
        && token_file.value.text.is_empty()
    {
        return Err(format!(
            "{}: {address} can be reached from other machines, so requests must bear a token: name its file as \
             token_file below [web], or listen on 127.0.0.1",
            listen.origin.name("listen")
        ));
    }

    let table = "web";
    let text =
        |address: &Option<SocketAddr>| address.map_or_else(|| NONE.to_owned(), |address| address.to_string());
    let rows = vec![
        show::text_of(table, "listen", &listen, text),
        show::text_of(table, "token_file", &token_file, |file| file.text.clone()),
        show::strings_of(table, "hosts", &hosts, |host| host),
        show::text_of(table, "tls_cert", &tls_cert, |file| file.text.clone()),
        show::text_of(table, "tls_key", &tls_key, |file| file.text.clone()),
    ];
    let path =
        |said: Said<NamedFile>| Some(said.value).filter(|file| !file.text.is_empty()).map(|file| file.path);
    let settings = WebSettings {
        is_listen_said: listen.origin.is_said(),
        listen: listen.value,
        token_file: path(token_file),
        hosts: hosts.value,
        tls_cert: path(tls_cert),
        tls_key: path(tls_key),
    };
    Ok((settings, rows))
}

/// Reads `127.0.0.1:8080`, `[::1]:8080` or `none`.
pub(super) fn listen(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == NONE {
        return Ok(None);
    }
    let wrong = || {
        format!(
            "{text:?} is no address with a port; write it like 127.0.0.1:8080 or [::1]:8080, or none to serve nothing"
        )
    };
    text.parse().map(Some).map_err(|_| wrong())
}

/// A name without port, as the `Host` of a request would have it.
pub(super) fn host(text: &str) -> Result<String, String> {
    let is_part = |part: &str| {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        !part.is_empty() && part.len() < 64 && part.chars().all(is_letter)
    };
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    if is_address || (text.len() <= HOST_MAX && text.split('.').all(is_part)) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!("{text:?} is no name of a host; write it like netwatch.example.org, without a port"))
}
