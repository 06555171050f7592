//! How alerts are served over HTTP, of all that the command line and the file say about it.

use super::show::Row;

/// What one place says about it.
#[derive(Clone, Debug, Default)]
pub(super) struct WebLayer {}

/// How alerts are served over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSettings {
    /// Where to listen.
    pub listen: Option<std::net::SocketAddr>,
    /// Whether anybody said that.
    pub is_listen_said: bool,
}

/// Puts the layers on top of each other.
pub(super) fn resolve(_line: WebLayer, _file: WebLayer) -> Result<(WebSettings, Vec<Row>), String> {
    Ok((WebSettings::default(), Vec::new()))
}
