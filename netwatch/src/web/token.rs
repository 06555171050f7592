//! The token that requests bear. Of it, only a hash stays in memory.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use axum::http::HeaderValue;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Error;
use super::limits::{FILE_BYTES, TOKEN};

/// A token's hash.
#[derive(PartialEq, Eq)]
pub(super) struct Token([u8; 32]);

impl Token {
    /// Reads the file. The token is all of it but for white space around it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Token { path: path.to_owned(), reason };
        let text = load(path).map_err(wrong)?;
        let token = text.trim();
        let (least, most) = TOKEN;
        if token.len() < least || token.len() > most {
            let found = token.len();
            return Err(wrong(format!(
                "must hold a token of {least} to {most} characters, not {found}; `openssl rand -hex 32` makes one"
            )));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("a token is one word of ASCII letters, digits and signs".into()));
        }
        if path.metadata().is_ok_and(|file| file.mode() & 0o007 != 0) {
            tracing::warn!(
                "web.token_file {}: others may read it; `chmod 600` keeps it secret",
                path.display()
            );
        }
        Ok(Self(Sha256::digest(token).into()))
    }

    /// Whether a request's `Authorization` has it. How long that takes says nothing about the token.
    pub fn is_in(&self, authorization: &HeaderValue) -> bool {
        let bytes = authorization.as_bytes();
        let Some((scheme, token)) = bytes.split_at_checked(7) else { return false };
        self.is(token.trim_ascii()) && scheme.eq_ignore_ascii_case(b"bearer ")
    }

    /// Whether this is it. How long that takes says nothing about the token either.
    pub fn is(&self, token: &[u8]) -> bool {
        let hash: [u8; 32] = Sha256::digest(token).into();
        bool::from(hash.ct_eq(&self.0))
    }
}

/// The text of a file of moderate length.
pub(super) fn load(path: &Path) -> Result<String, String> {
    // A pipe would be waited for.
    if !path.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("is not a regular file".into());
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES {
        return Err(format!("is larger than {} KiB", FILE_BYTES >> 10));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash() {
        let folder = std::env::temp_dir().join(format!("netwatch-token-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("token");
        std::fs::write(&file, "  0123456789abcdef\n").unwrap();
        let token = Token::read(&file).unwrap();
        for (header, is_in) in [
            ("Bearer 0123456789abcdef", true),
            ("bearer 0123456789abcdef", true),
            ("Bearer 0123456789abcdeg", false),
            ("Bearer 0123456789abcde", false),
            ("Bearer", false),
            ("", false),
            ("Basic 0123456789abcdef", false),
            ("0123456789abcdef", false),
        ] {
            assert_eq!(token.is_in(&HeaderValue::from_static(header)), is_in, "{header}");
        }
        for (text, says) in [
            ("", "not 0"),
            ("short", "16 to 4096 characters, not 5"),
            ("two words of a token", "is one word"),
            ("0123456789abcd\u{e4}f", "is one word"),
        ] {
            std::fs::write(&file, text).unwrap();
            let Err(error) = Token::read(&file) else { panic!("{text}") };
            assert!(error.to_string().contains(says) && !error.to_string().contains("abcd"), "{error}");
        }
        assert!(Token::read(&folder).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
