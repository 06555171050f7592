//! Secrets, and who may have signed a receiver's certificate: read from files, and never shown.

use core::fmt::{self, Debug, Formatter};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::limits;

/// A secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Vec<u8>);

impl Debug for Secret {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Reads one, without the end of its last line. One with a control character in it was not meant so: it is a file of two
    /// lines, or another file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let mut bytes = read(path)?;
        while bytes.last().is_some_and(|byte| b"\r\n".contains(byte)) {
            bytes.pop();
        }
        if bytes.is_empty() {
            return Err(format!("{}: is empty; write the secret into it", path.display()));
        }
        if bytes.iter().any(u8::is_ascii_control) {
            return Err(format!(
                "{}: has a line break or another control character in it; write the secret alone, in one line",
                path.display()
            ));
        }
        Ok(Self(bytes))
    }

    /// Reads one that is sent in a header, where not everything can stand.
    pub(crate) fn token(path: &Path) -> Result<Self, String> {
        let token = Self::read(path)?;
        if !token.0.iter().all(u8::is_ascii_graphic) {
            return Err(format!(
                "{}: has something other than ASCII letters, digits and signs in it; write the token alone",
                path.display()
            ));
        }
        Ok(token)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Those that may have signed a certificate: those in the file, or else those that the system trusts.
pub(crate) fn authorities(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    let Some(path) = file else {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            return Err(
                "this system trusts nobody's certificates; name a ca_file, or install ca-certificates".into(),
            );
        }
        return Ok(found.certs);
    };
    let pem = read(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|wrong| format!("{}: is no file of certificates in PEM: {wrong}", path.display()))?;
    if found.is_empty() {
        return Err(format!("{}: has no certificate in it; it must be in PEM", path.display()));
    }
    Ok(found)
}

/// How TLS is spoken where it is spoken without HTTP.
pub(super) fn client(file: Option<&Path>) -> Result<Arc<rustls::ClientConfig>, String> {
    let mut roots = rustls::RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(authorities(file)?);
    if added == 0 {
        return Err("none of the certificates to trust can be understood".into());
    }
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|wrong| wrong.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Who does the cryptography.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(wrong)?;
    // A pipe would keep whoever reads it waiting, and a secret is asked for again and again.
    if !file.metadata().map_err(wrong)?.is_file() {
        return Err(format!("{}: is not a regular file", path.display()));
    }
    file.take(limits::SECRET).read_to_end(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}
