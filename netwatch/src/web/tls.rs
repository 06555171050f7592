//! Certificate and key, from their files.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Error;
use super::token::load;

/// What TLS needs to know, out of a certificate with its chain and its key.
pub(super) fn read(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, Error> {
    let wrong_cert = |reason: String| Error::Certificate { path: cert.to_owned(), reason };
    let wrong_key = |reason: String| Error::Key { path: key.to_owned(), reason };
    let text = load(cert).map_err(wrong_cert)?;
    let chain = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| wrong_cert(format!("is not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(wrong_cert("holds no certificate; it must be PEM".into()));
    }
    let text = load(key).map_err(wrong_key)?;
    // What is wrong with a key is not told in detail: nothing of it goes to a log.
    let secret = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
        wrong_key("holds no private key that can be used; it must be PEM, without a password".into())
    })?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong_cert(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, secret);
    let mut config = match config {
        Ok(config) => config,
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(wrong_key(format!("is not the key of {}", cert.display())));
        }
        Err(error) => return Err(wrong_cert(error.to_string())),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
