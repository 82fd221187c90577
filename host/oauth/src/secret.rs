//! Secrets as they are stored: plain, because the host encrypts the whole record, and only through these functions.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serializer};

/// 256 random bits as 43 characters that need no escape.
pub(crate) fn random() -> Result<SecretString, crate::Error> {
    let mut bits = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(bits.as_mut_slice()).map_err(|_| crate::Error::Random)?;
    Ok(data_encoding::BASE64URL_NOPAD.encode(bits.as_slice()).into())
}

pub(crate) fn serialize<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// The same for a secret that may be missing.
pub(crate) mod optional {
    use secrecy::{ExposeSecret as _, SecretString};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => serializer.serialize_some(secret.expose_secret()),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
    }
}
