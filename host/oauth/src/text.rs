//! What another side says in words, made fit for a person's eyes.
//!
//! Invariant: what comes out is printable ASCII of at most [`MAX_WORDS`] characters (RFC 6749, section 5.2, allows an
//! `error_description` no other), and repeats none of the secrets that were sent with the question.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::limits::MAX_WORDS;

/// What stands for words that hold a secret.
const LEFT_OUT: &str = "(left out: it repeats a secret)";

/// What is shorter could stand in any sentence by chance.
const SHORTEST_SECRET: usize = 6;

/// Printable and short.
pub(crate) fn clean(words: &str) -> String {
    let printable = |character: char| if matches!(character, ' '..='~') { character } else { '?' };
    let mut characters = words.trim().chars();
    let mut cleaned: String = characters.by_ref().take(MAX_WORDS).map(printable).collect();
    if characters.next().is_some() {
        cleaned.truncate(MAX_WORDS - 3);
        cleaned.push_str("...");
    }
    cleaned
}

/// Printable, short, and without what is secret: words that hold any of it, plain or encoded, are dropped whole.
pub(crate) fn clean_of(words: &str, secrets: &[&SecretString]) -> String {
    if secrets.iter().any(|secret| repeats(words, secret.expose_secret())) { LEFT_OUT.to_owned() } else { clean(words) }
}

fn repeats(words: &str, secret: &str) -> bool {
    if secret.len() < SHORTEST_SECRET {
        return false;
    }
    let forms: [Zeroizing<String>; 3] = [
        Zeroizing::new(byte_serialize(secret.as_bytes()).collect()),
        Zeroizing::new(BASE64.encode(secret.as_bytes())),
        Zeroizing::new(BASE64URL_NOPAD.encode(secret.as_bytes())),
    ];
    words.contains(secret) || forms.iter().any(|form| words.contains(form.as_str()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_lose_what_is_not_printable() {
        assert_eq!(clean(" a\u{1b}[31mb\r\nc\u{202e}d "), "a?[31mb??c?d");
        let long = clean(&"x".repeat(MAX_WORDS + 1));
        assert!(long.len() == MAX_WORDS && long.ends_with("..."));
        assert_eq!(clean(&"x".repeat(MAX_WORDS)).len(), MAX_WORDS);
    }

    #[test]
    fn words_that_repeat_a_secret_are_dropped() {
        let secret = SecretString::from("s3cret+/value");
        for words in ["no s3cret+/value here", "s3cret%2B%2Fvalue", "czNjcmV0Ky92YWx1ZQ==", "xczNjcmV0Ky92YWx1ZQ"] {
            assert_eq!(clean_of(words, &[&secret]), LEFT_OUT, "{words}");
        }
        // beyond the cut, too
        assert_eq!(clean_of(&format!("{}s3cret+/value", "x".repeat(900)), &[&secret]), LEFT_OUT);
        assert_eq!(clean_of("the grant expired", &[&secret, &SecretString::from("")]), "the grant expired");
    }

    proptest! {
        #[test]
        fn whatever_goes_in_comes_out_short_and_printable(words in any::<String>()) {
            let cleaned = clean(&words);
            prop_assert!(cleaned.len() <= MAX_WORDS && cleaned.chars().all(|character| matches!(character, ' '..='~')));
        }
    }
}
