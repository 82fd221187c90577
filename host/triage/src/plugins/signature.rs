//! Who signed a plugin. Checked in this process, against the keys that the organisation trusts, without a network.
//!
//! Two forms: ours (an Ed25519 signature of the component's and the manifest's hashes) and minisign's (of the
//! component). A signature that holds says that the publisher made these bytes, and nothing about what they do.

use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use fumehood_policy::{Digest, Policy};
use sha2::Digest as _;

/// First line of a signature file in our form.
const HEAD: &str = "fumehood-signature-v1";
/// What a public key in our form begins with.
const KEY: &str = "ed25519:";
/// Longest signature file, bytes.
pub(crate) const MAX_SIGNATURE_BYTES: usize = 4 << 10;

/// Why a signature does not count. Each says what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The publisher is not one of the trusted.
    #[error(
        "its publisher `{publisher}` is not trusted here. Where it should be, add its public key to policy.toml:\n\
         [publishers.{publisher}]\nkeys = [\"…\"]"
    )]
    UnknownPublisher { publisher: String },
    /// None of the publisher's keys has made it.
    #[error(
        "its signature was made with none of the keys that are trusted for the publisher `{publisher}`, or its bytes were changed since"
    )]
    NoKeyFits { publisher: String },
    /// Neither form.
    #[error("its signature cannot be read; a file of `fumehood plugin sign` or of minisign is needed")]
    Unreadable,
    /// The key in the policy.
    #[error(
        "a key of the publisher `{publisher}` in policy.toml cannot be read: write ed25519: and Base64, or a minisign key"
    )]
    BadKey { publisher: String },
    /// A minisign signature covers the component alone.
    #[error(
        "a minisign signature does not cover a manifest that lies beside the component; put the manifest into it with \
         `fumehood plugin build` or `pack`"
    )]
    ManifestBeside,
}

/// What our form signs.
fn message(component: &[u8], manifest_beside: Option<&str>) -> String {
    let hash = |bytes: &[u8]| Digest::new(sha2::Sha256::digest(bytes).into());
    let manifest = manifest_beside.map_or_else(|| "-".to_owned(), |text| hash(text.as_bytes()).to_string());
    format!("{HEAD}\n{}\n{manifest}\n", hash(component))
}

/// Sign a plugin; gives the signature file.
#[must_use]
pub fn sign(key: &SigningKey, component: &[u8], manifest_beside: Option<&str>) -> String {
    use ed25519_dalek::Signer as _;
    let signature = key.sign(message(component, manifest_beside).as_bytes());
    format!("{HEAD}\n{}\n{}\n", public_key(&key.verifying_key()), data_encoding::BASE64.encode(&signature.to_bytes()))
}

/// A public key as policies have it.
#[must_use]
pub fn public_key(key: &VerifyingKey) -> String {
    format!("{KEY}{}", data_encoding::BASE64.encode(key.as_bytes()))
}

enum Key {
    Ours(VerifyingKey),
    Minisign(minisign_verify::PublicKey),
}

impl Key {
    fn read(text: &str, publisher: &str) -> Result<Self, SignatureError> {
        let bad = || SignatureError::BadKey { publisher: publisher.to_owned() };
        let Some(text) = text.strip_prefix(KEY) else {
            return minisign_verify::PublicKey::from_base64(text.trim()).map(Self::Minisign).map_err(|_| bad());
        };
        let bytes = data_encoding::BASE64.decode(text.trim().as_bytes()).map_err(|_| bad())?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| bad())?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| bad())?;
        // A key of small order would take signatures that nobody made.
        if key.is_weak() { Err(bad()) } else { Ok(Self::Ours(key)) }
    }
}

/// Whether every key of a policy can be read.
///
/// # Errors
/// [`SignatureError::BadKey`].
pub(super) fn check_keys(policy: &Policy) -> Result<(), SignatureError> {
    let keys = policy.publishers.iter().flat_map(|(name, publisher)| publisher.keys.iter().map(move |key| (name, key)));
    keys.into_iter().try_for_each(|(name, key)| Key::read(key, name).map(drop))
}

/// The trusted key that signed a plugin of this publisher.
///
/// # Errors
/// [`SignatureError`].
pub(crate) fn verify(
    policy: &Policy,
    publisher: &str,
    component: &[u8],
    manifest_beside: Option<&str>,
    signature: &str,
) -> Result<String, SignatureError> {
    let name = || publisher.to_owned();
    let trusted = policy.publishers.get(publisher);
    let trusted = trusted.ok_or_else(|| SignatureError::UnknownPublisher { publisher: name() })?;
    let ours = ours(signature);
    let minisign = minisign_verify::Signature::decode(signature).ok();
    if ours.is_none() && minisign.is_none() {
        return Err(SignatureError::Unreadable);
    }
    if ours.is_none() && manifest_beside.is_some() {
        return Err(SignatureError::ManifestBeside);
    }
    let message = message(component, manifest_beside);
    for text in &trusted.keys {
        let fits = match Key::read(text, publisher)? {
            // Strictly: no key and no signature of small order, which would fit more than one message.
            Key::Ours(key) => ours.is_some_and(|signature| key.verify_strict(message.as_bytes(), &signature).is_ok()),
            Key::Minisign(key) => {
                minisign.as_ref().is_some_and(|signature| key.verify(component, signature, false).is_ok())
            }
        };
        if fits {
            return Ok(text.clone());
        }
    }
    Err(SignatureError::NoKeyFits { publisher: name() })
}

fn ours(text: &str) -> Option<Signature> {
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return None;
    }
    let bytes = data_encoding::BASE64.decode(lines.nth(1)?.trim().as_bytes()).ok()?;
    Some(Signature::from_bytes(&bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(keys: &[&str]) -> Policy {
        let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
        Policy::parse(&format!("[publishers.acme]\nkeys = [{}]", keys.join(", "))).unwrap()
    }

    #[test]
    fn a_signature_counts_for_its_bytes_its_manifest_and_its_publisher_alone() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let other = SigningKey::from_bytes(&[8; 32]);
        let public = public_key(&key.verifying_key());
        let policy = policy(&[&public_key(&other.verifying_key()), &public]);
        let signed = sign(&key, b"component", Some("manifest"));
        let check = |publisher, component: &[u8], manifest, signature: &str| {
            verify(&policy, publisher, component, manifest, signature)
        };
        assert_eq!(check("acme", b"component", Some("manifest"), &signed), Ok(public));
        let no_key_fits = Err(SignatureError::NoKeyFits { publisher: "acme".into() });
        assert_eq!(check("acme", b"Component", Some("manifest"), &signed), no_key_fits);
        assert_eq!(check("acme", b"component", Some("manifesto"), &signed), no_key_fits);
        assert_eq!(check("acme", b"component", None, &signed), no_key_fits);
        let stranger = SigningKey::from_bytes(&[9; 32]);
        assert_eq!(check("acme", b"component", None, &sign(&stranger, b"component", None)), no_key_fits);
        assert_eq!(
            check("evil", b"component", None, &signed),
            Err(SignatureError::UnknownPublisher { publisher: "evil".into() })
        );
        assert_eq!(check("acme", b"component", None, "nonsense"), Err(SignatureError::Unreadable));
    }

    #[test]
    fn every_changed_bit_of_a_signature_is_seen() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let policy = policy(&[&public_key(&key.verifying_key())]);
        let signed = sign(&key, b"component", None);
        let (head, last) = signed.trim_end().rsplit_once('\n').unwrap();
        let bytes = data_encoding::BASE64.decode(last.as_bytes()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let text = format!("{head}\n{}\n", data_encoding::BASE64.encode(&changed));
            assert!(verify(&policy, "acme", b"component", None, &text).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn minisign_signs_the_component_alone() {
        // Made by minisign 0.11 of the text `test`, its own documentation's example.
        let public = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        let signature = "untrusted comment: signature from minisign secret key\n\
            RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
            trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
            wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n";
        let policy = policy(&[public]);
        assert_eq!(verify(&policy, "acme", b"test", None, signature), Ok(public.to_owned()));
        assert!(verify(&policy, "acme", b"Test", None, signature).is_err());
        assert_eq!(verify(&policy, "acme", b"test", Some("m"), signature), Err(SignatureError::ManifestBeside));
        assert!(matches!(
            verify(&super::tests::policy(&["RWnonsense"]), "acme", b"test", None, signature),
            Err(SignatureError::BadKey { .. })
        ));
    }
}
