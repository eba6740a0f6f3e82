//! Whether a webhook was sent by somebody who knows the secret.

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::Sha256;

/// OpenProject's header: `sha1=` and the HMAC-SHA1 of the body, in hexadecimal digits.
const OPENPROJECT: &str = "x-op-signature";

/// Headers with `sha256=` and the HMAC-SHA256 of the body, in hexadecimal digits.
const GENERIC: [&str; 2] = ["x-magnus-signature", "x-hub-signature-256"];

/// Whether one of the known headers holds the signature of this very body under this secret. The comparison takes the
/// same time wherever a wrong signature differs.
pub(crate) fn is_genuine(headers: &HeaderMap, body: &[u8], secret: &SecretString) -> bool {
    let key = secret.expose_secret().as_bytes();
    if key.is_empty() {
        return false;
    }
    if let Some(signature) = signature(headers, OPENPROJECT, "sha1=") {
        return verify::<Hmac<Sha1>>(key, body, &signature);
    }
    GENERIC
        .iter()
        .find_map(|name| signature(headers, name, "sha256="))
        .is_some_and(|signature| verify::<Hmac<Sha256>>(key, body, &signature))
}

fn verify<M: Mac + KeyInit>(key: &[u8], body: &[u8], signature: &[u8]) -> bool {
    // A key of any length will do.
    <M as KeyInit>::new_from_slice(key).is_ok_and(|mut mac| {
        mac.update(body);
        mac.verify_slice(signature).is_ok()
    })
}

fn signature(headers: &HeaderMap, name: &str, prefix: &str) -> Option<Vec<u8>> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    from_hex(text.strip_prefix(prefix)?)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    /// From RFC 2202 and RFC 4231: the key "Jefe" and this text.
    const BODY: &[u8] = b"what do ya want for nothing?";
    const SHA1: &str = "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
    const SHA256: &str = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn both_kinds_of_signature_are_known() {
        let secret = SecretString::from("Jefe");
        assert!(is_genuine(&headers(OPENPROJECT, SHA1), BODY, &secret));
        for name in GENERIC {
            assert!(is_genuine(&headers(name, SHA256), BODY, &secret));
        }
    }

    #[test]
    fn what_is_not_signed_like_that_is_refused() {
        let secret = SecretString::from("Jefe");
        let other = SecretString::from("Chef");
        let cut = SHA1.get(..SHA1.len() - 2).unwrap();
        for (headers, body, secret) in [
            (HeaderMap::new(), BODY, &secret),
            (
                headers(OPENPROJECT, SHA1),
                b"what do ya want for nothing!".as_slice(),
                &secret,
            ),
            (headers(OPENPROJECT, SHA1), BODY, &other),
            (headers(OPENPROJECT, SHA1), BODY, &SecretString::from("")),
            (headers(OPENPROJECT, cut), BODY, &secret),
            (headers(OPENPROJECT, "sha1="), BODY, &secret),
            (headers(OPENPROJECT, "sha1=zz"), BODY, &secret),
            (headers(OPENPROJECT, SHA256), BODY, &secret),
            (headers(GENERIC[0], SHA1), BODY, &secret),
        ] {
            assert!(!is_genuine(&headers, body, secret), "{headers:?}");
        }
    }
}
