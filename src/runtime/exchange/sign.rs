//! Signatures of the national header protocol, and the secret that makes them.
//!
//! `gjgxjhpt_sign` = Base64(HMAC(secret, sid + rid + rtime)), HMAC over SHA-256 or SM3, rtime in epoch ms as decimal text.
//! The secret comes from a file, or from a refresh interface that gives it AES-encrypted with the application's key.
//!
//! bounds   AES-128 or AES-256 in ECB mode with PKCS#7 padding, as clients of the exchange in the field decrypt it
//! source   `domain.md` §6.1; RFC 2104; GB/T 32905 (SM3)

use aes::cipher::{BlockCipherDecrypt, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use sm3::Sm3;

/// Which hash the HMAC runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA256.
    Sha256,
    /// HMAC-SM3.
    Sm3,
}

/// Base64 of the HMAC of `text`.
pub fn sign(algorithm: Algorithm, secret: &[u8], text: &str) -> String {
    STANDARD.encode(hmac(algorithm, secret, text.as_bytes()))
}

/// Whether `signature` (Base64) is that of `text`; in constant time.
pub fn verify(algorithm: Algorithm, secret: &[u8], text: &str, signature: &str) -> bool {
    let Ok(given) = STANDARD.decode(signature) else {
        return false;
    };
    match algorithm {
        Algorithm::Sha256 => Hmac::<Sha256>::new_from_slice(secret)
            .is_ok_and(|mac| mac.chain_update(text).verify_slice(&given).is_ok()),
        Algorithm::Sm3 => Hmac::<Sm3>::new_from_slice(secret)
            .is_ok_and(|mac| mac.chain_update(text).verify_slice(&given).is_ok()),
    }
}

fn hmac(algorithm: Algorithm, secret: &[u8], bytes: &[u8]) -> Vec<u8> {
    // An HMAC takes a key of any length.
    match algorithm {
        Algorithm::Sha256 => Hmac::<Sha256>::new_from_slice(secret)
            .map(|mac| mac.chain_update(bytes).finalize().into_bytes().to_vec()),
        Algorithm::Sm3 => Hmac::<Sm3>::new_from_slice(secret)
            .map(|mac| mac.chain_update(bytes).finalize().into_bytes().to_vec()),
    }
    .unwrap_or_default()
}

/// Decrypts a refreshed secret: Base64 of AES-ECB with PKCS#7 padding under the application's key of 16 or 32 bytes.
pub fn open_secret(app_key: &[u8], sealed: &str) -> Option<Vec<u8>> {
    let mut bytes = STANDARD.decode(sealed).ok()?;
    if bytes.is_empty() || bytes.len() % 16 != 0 {
        return None;
    }
    let (blocks, _) = aes::Block::slice_as_chunks_mut(&mut bytes);
    match app_key.len() {
        16 => aes::Aes128::new_from_slice(app_key)
            .ok()?
            .decrypt_blocks(blocks),
        32 => aes::Aes256::new_from_slice(app_key)
            .ok()?
            .decrypt_blocks(blocks),
        _ => return None,
    }
    let padding = usize::from(*bytes.last()?);
    let keep = bytes.len().checked_sub(padding)?;
    let is_padded =
        (1..=16).contains(&padding) && bytes.iter().skip(keep).all(|b| usize::from(*b) == padding);
    if !is_padded {
        return None;
    }
    bytes.truncate(keep);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // RFC 4231 test case 2, then the same input over SM3 as OpenSSL 3 computes it:
        // printf '…' | openssl dgst -sm3 -hmac Jefe -binary | base64
        let text = "what do ya want for nothing?";
        assert_eq!(
            sign(Algorithm::Sha256, b"Jefe", text),
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
        );
        assert_eq!(
            sign(Algorithm::Sm3, b"Jefe", text),
            "Lofx0Whi5tlktQpSAL8rELdk+qloCilqJAXyS+w5+II="
        );
        for algorithm in [Algorithm::Sha256, Algorithm::Sm3] {
            let good = sign(algorithm, b"Jefe", text);
            assert!(verify(algorithm, b"Jefe", text, &good));
            assert!(!verify(algorithm, b"jefe", text, &good));
            assert!(!verify(algorithm, b"Jefe", text, "not base64"));
            assert!(!verify(algorithm, b"Jefe", "another", &good));
        }
    }

    #[test]
    fn a_sealed_secret_opens_with_its_key_only() {
        // printf 'new-secret' | openssl enc -aes-128-ecb -K 30313233343536373839616263646566 -base64
        let sealed = SEALED;
        assert_eq!(
            open_secret(b"0123456789abcdef", sealed).unwrap(),
            b"new-secret"
        );
        assert_ne!(
            open_secret(b"0123456789abcdeg", sealed).as_deref(),
            Some(&b"new-secret"[..])
        );
        for bad in ["", "AAAA", "%%%"] {
            assert!(open_secret(b"0123456789abcdef", bad).is_none(), "{bad}");
        }
    }

    const SEALED: &str = "ipfQaoSux2Tj6Qw7oUR7Nw==";
}
