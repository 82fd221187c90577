//! What a value looks like: a placeholder, a state, a path, code, or random characters.
//!
//! Invariant: pure; each function passes over the value a fixed number of times.

use crate::text::{Class as Bytes, is};
use crate::vendors::distinct;
use crate::words::{List, Words};

/// Longer values hold the marks of a reference by chance; one that is a reference begins with them.
const LONG: usize = 256;

/// What stands for a value that is elsewhere or was taken out.
pub(crate) fn is_placeholder(value: &[u8]) -> bool {
    let Some(first) = value.first().copied() else {
        return true;
    };
    let last = value.last().copied().unwrap_or(0);
    let framed = matches!((first, last), (b'<', b'>') | (b'[', b']') | (b'{', b'}') | (b'%', b'%') | (b'(', b')'));
    if framed && !value.iter().any(u8::is_ascii_digit) || first == b'<' && last == b'>' {
        return true;
    }
    // What is masked, and a variable's name.
    let masked = value.iter().all(|b| matches!(b, b'*' | b'x' | b'X' | b'.' | b'-' | b'_' | b'#' | b'?'));
    let variable = (first == b'$' && value.len() > 1)
        && value.iter().skip(1).all(|b| is(*b, crate::text::WORD))
        && (!value.iter().any(u8::is_ascii_lowercase) || is_state(value.get(1..).unwrap_or_default()));
    // `$hash` of a program, `:password` of a statement.
    let variable = variable
        || matches!(first, b'$' | b':')
            && value.len() > 2
            && value.iter().skip(1).all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'$'));
    let variable = variable || value.starts_with(b"$$") && value.iter().skip(2).all(|b| is(*b, crate::text::WORD));
    // What tools have encrypted in its place.
    let format = value.len() <= 3 && first == b'%' || value.starts_with(b"ENC[") || value.starts_with(b"ENC(");
    masked
        || variable
        || format
        || is_pseudonym(value)
        || (0..if value.len() < LONG { value.len() } else { 1 }).any(|i| refers(value.get(i..).unwrap_or_default()))
}

/// Whether a reference or a word for a missing value begins here.
fn refers(rest: &[u8]) -> bool {
    let needles: &[&str] = match rest.first().copied().unwrap_or(0).to_ascii_lowercase() {
        b'$' => &["${", "$(", "$env{", "$env[", "$_env["],
        b'{' => &["{{"],
        b'}' => &["}}"],
        b'<' => &["<%"],
        b'%' => &["%("],
        b'#' => &["#{"],
        b'*' => &["****"],
        b'@' => &["@@@@"],
        b'x' => &["xxxx"],
        b'[' => &["[filtered", "[masked", "[hidden"],
        b'r' => &["redacted"],
        b'c' => &["changeme", "change_me", "change-me"],
        b'p' => &["placeholder", "process.env"],
        b'y' => &["your_", "your-", "yourpass", "yourtoken", "yoursecret"],
        b'a' => &["arn:aws"],
        b's' => &["secretref"],
        b'v' => &["valuefrom", "vault:"],
        b'n' => &["no_log_", "not_logged"],
        b'o' => &["os.environ"],
        b'g' => &["getenv"],
        b'e' => &["env."],
        0xe2 => &["\u{2022}", "\u{2026}"],
        _ => return false,
    };
    // The second byte tells in most cases.
    let second = rest.get(1).copied().unwrap_or(0).to_ascii_lowercase();
    needles.iter().any(|needle| {
        needle.as_bytes().get(1) == Some(&second)
            && rest.get(..needle.len()).is_some_and(|start| start.eq_ignore_ascii_case(needle.as_bytes()))
    })
}

/// `[EMAIL-1]` and its like.
fn is_pseudonym(value: &[u8]) -> bool {
    value.first() == Some(&b'[')
        && value.last() == Some(&b']')
        && value.get(1).is_some_and(u8::is_ascii_uppercase)
        && value.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'[' | b']' | b'-' | b'_'))
}

/// States and types that a log or a schema puts behind such a name.
const STATES: &[&str] = &[
    "null",
    "none",
    "nil",
    "true",
    "false",
    "undefined",
    "empty",
    "required",
    "optional",
    "string",
    "str",
    "number",
    "integer",
    "int",
    "bool",
    "boolean",
    "object",
    "text",
    "invalid",
    "expired",
    "missing",
    "incorrect",
    "wrong",
    "changed",
    "updated",
    "reset",
    "set",
    "unset",
    "not",
    "no",
    "yes",
    "is",
    "was",
    "has",
    "for",
    "failed",
    "failure",
    "success",
    "ok",
    "error",
    "unknown",
    "denied",
    "valid",
    "correct",
    "default",
    "hidden",
    "disabled",
    "enabled",
    "provided",
    "authentication",
    "mismatch",
    "strict",
    "basic",
    "bearer",
    "digest",
    "negotiate",
    "token",
    "password",
    "secret",
    "key",
    "user",
    "username",
    "admin",
    "mandatory",
    "protected",
    "secure",
    "encrypted",
    "hashed",
    "revoked",
    "refresh",
    "access",
    "jwt",
    "oauth",
    "oauth2",
    "saml",
    "ldap",
    "kerberos",
    "md5",
    "trust",
    "peer",
    "scram-sha-256",
    "n/a",
    "the",
    "a",
    "an",
    "and",
    "or",
    "with",
    "from",
    "to",
    "in",
    "of",
    "on",
    "at",
    "by",
    "must",
    "should",
    "cannot",
    "can",
    "will",
    "may",
    "too",
    "does",
    "that",
    "this",
    "it",
    "when",
    "if",
    "please",
    "use",
    "using",
    "example",
    "sample",
    "test",
    "todo",
    "tbd",
    "ask",
    "see",
    "check",
    "generated",
    "rotated",
    "rotation",
    "policy",
    "manager",
    "varchar",
    "char",
    "securestring",
    "any",
    "absent",
    "present",
    "ignored",
    "auto",
    "bytes",
    "buffer",
    "credentials",
    "callable",
    "anonymous",
    "public",
    "private",
    // What forms say in other languages.
    "erforderlich",
    "falsch",
    "ungültig",
    "vergessen",
    "unbekannt",
    "abgelaufen",
    "obligatoire",
    "requis",
    "invalide",
    "inconnu",
    "oublié",
    "expiré",
    "requerida",
    "requerido",
    "incorrecta",
    "incorrecto",
    "inválida",
    "olvidada",
    "caducada",
    "obligatoria",
    "obrigatória",
    "obrigatório",
    "incorreta",
    "esquecida",
    "obbligatoria",
    "obbligatorio",
    "errata",
    "wymagane",
    "verplicht",
    "必須",
    "なし",
];

static STATES_KNOWN: Words = Words::new(|| List::new(STATES));

/// Build what is built once; the first look-up would.
pub(crate) fn warm() {
    Words::force(&STATES_KNOWN);
}

/// Whether the value is a word that says how things stand.
pub(crate) fn is_state(value: &[u8]) -> bool {
    value.len() <= 16 && STATES_KNOWN.has(value)
}

/// `8-4-4-4-12` hexadecimal digits: what names things.
pub(crate) fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value
            .iter()
            .enumerate()
            .all(|(i, b)| if matches!(i, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() })
}

/// A label, a type, a variable that is called after what it holds: `Passwort`, `SecretString`, `RAW_PASSWORD`, `username_here`.
pub(crate) fn is_label(value: &[u8]) -> bool {
    let bare = value.strip_suffix(b"!").or(value.strip_suffix(b"?")).unwrap_or(value);
    if bare.len() > 40 || bare.is_empty() {
        return false;
    }
    let ends = |words: &[&str]| {
        words
            .iter()
            .any(|word| bare.len() >= word.len() && bare.iter().rev().zip(word.bytes().rev()).all(|(a, b)| *a == b))
    };
    let camel = bare.first().is_some_and(u8::is_ascii_uppercase) && bare.iter().all(u8::is_ascii_alphanumeric);
    let kind =
        camel && ends(&["String", "Str", "Array", "Field", "Buffer", "Bytes", "Factory", "Password", "Type", "Input"]);
    let plain = !bare.iter().any(u8::is_ascii_digit);
    let named = plain
        && ["password", "passwort", "passwd", "kennwort", "username", "contrase", "mot de passe", "mot\\u0020de"]
            .iter()
            .any(|word| bare.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes())));
    let bare_word = ["pass", "pwd", "user", "on_create", "string", "apikey"];
    kind || named || bare_word.iter().any(|word| bare.eq_ignore_ascii_case(word.as_bytes()))
}

/// What a value is made of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Makeup {
    pub digits: usize,
    pub lower: usize,
    pub upper: usize,
    pub other: usize,
}

impl Makeup {
    pub(crate) fn of(value: &[u8]) -> Self {
        let mut makeup = Self::default();
        for byte in value {
            match byte {
                b'0'..=b'9' => makeup.digits += 1,
                b'a'..=b'z' => makeup.lower += 1,
                b'A'..=b'Z' => makeup.upper += 1,
                _ => makeup.other += 1,
            }
        }
        makeup
    }

    /// Letters and digits, or letters of both cases in no word's order.
    pub(crate) fn mixed(self) -> bool {
        let letters = self.lower + self.upper;
        letters > 0 && (self.digits > 0 || (self.lower > 3 && self.upper > 3))
    }
}

/// A file, a folder or an address of the web is no password.
pub(crate) fn is_path(value: &[u8]) -> bool {
    let drive = value.get(1) == Some(&b':') && matches!(value.get(2), Some(b'\\' | b'/'));
    let rooted = matches!(value.first(), Some(b'/' | b'~'))
        && value.iter().filter(|b| **b == b'/').count() >= 1
        && value.iter().all(|b| is(*b, PATH_BYTES) || matches!(b, b'/' | b'~'))
        && !is_scrambled(value);
    drive
        || (rooted && value.get(1).is_some_and(u8::is_ascii_alphabetic))
        || value.windows(3).any(|w| w == b"://")
        || value.starts_with(b"./")
        || value == b"/"
        || value == b"~"
}

/// Base64 that begins with a slash: letters of both cases and digits in turns, as no folder's name has them.
fn is_scrambled(value: &[u8]) -> bool {
    let makeup = Makeup::of(value);
    let turns = value.windows(2).filter(|w| matches!(w, [a, b] if a.is_ascii_digit() != b.is_ascii_digit())).count();
    value.len() >= 16 && makeup.upper > 2 && makeup.lower > 2 && turns > 3 && !value.contains(&b'.')
}

const PATH_BYTES: Bytes = crate::text::KEY;

/// A call, an index or a member of a program.
pub(crate) fn is_code(value: &[u8]) -> bool {
    let call = value.iter().position(|b| *b == b'(').is_some_and(|at| {
        at > 2
            && value.get(..at).unwrap_or_default().iter().all(|b| is(*b, crate::text::KEY) || *b == b':')
            && value.get(..at).unwrap_or_default().iter().any(u8::is_ascii_alphabetic)
            && value.last().is_some_and(|b| matches!(b, b')' | b'(' | b';'))
    });
    let member = value.contains(&b'.')
        && value.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'.' | b'_'))
        && value.split(|b| *b == b'.').all(|part| part.len() > 1);
    // A type or a path of a program: `&str`, `auth::token`.
    let borrowed = matches!(value.first(), Some(b'&' | b'*'))
        && value.get(1).is_some_and(u8::is_ascii_alphabetic)
        && value.iter().skip(1).all(|b| b.is_ascii_alphabetic() || *b == b'\'' || *b == b' ');
    let scoped = value.windows(2).any(|w| w == b"::") && value.iter().all(|b| is(*b, crate::text::WORD) || *b == b':');
    // `data['x']` loses its quotes and what stands behind them.
    let indexed = matches!(value.last(), Some(b']' | b'['))
        && value.iter().position(|b| *b == b'[').is_some_and(|at| {
            at > 1
                && value
                    .get(..at)
                    .unwrap_or_default()
                    .iter()
                    .all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'.'))
        });
    call || member || indexed || borrowed || scoped
}

/// A long text or a program, as fields of documentation and scripts in one line have them in a password's place.
pub(crate) fn is_text(value: &[u8]) -> bool {
    if value.len() <= LONG {
        return false;
    }
    let makeup = Makeup::of(value);
    let program = value.contains(&b'(')
        && value.contains(&b')')
        && makeup.lower * 5 > value.len() * 2
        && makeup.digits * 20 < value.len();
    // Words with a comma or a full stop behind them make up a text, but no secret that has blanks.
    let (mut words, mut plain) = (0, 0);
    for word in value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        let word = word.strip_suffix(b",").or(word.strip_suffix(b".")).unwrap_or(word);
        words += 1;
        plain += usize::from(word.iter().skip(1).all(u8::is_ascii_lowercase));
    }
    program || words > 3 && plain * 2 > words
}

/// Random enough for a token: letters and digits, many different ones.
pub(crate) fn is_random(value: &[u8], min: usize) -> bool {
    let makeup = Makeup::of(value);
    value.len() >= min
        && makeup.mixed()
        && distinct(value) >= 6
        && !value.iter().any(|b| *b <= b' ')
        && !is_path(value)
        && !is_code(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders() {
        for value in [
            "${DB_PASSWORD}",
            "$(cat x)",
            "{{ vault }}",
            "<redacted>",
            "[REDACTED]",
            "********",
            "xxxxxxxx",
            "$DB_PASS",
            "$password",
            "%s",
            "YOUR_API_KEY",
            "changeme",
            "[PASSWORD-1]",
            "",
            "<your password>",
        ] {
            assert!(is_placeholder(value.as_bytes()), "{value}");
        }
        assert!(is_path(b"/etc/ssl/private/server-2024") && !is_path(b"/k6G/PxT4OMBS0/1d1i3toPR"));
        for value in ["hunter2", "$ecret1", "p*ss-w0rd", "[a1]b", "P@ss<1>x"] {
            assert!(!is_placeholder(value.as_bytes()), "{value}");
        }
    }
}
