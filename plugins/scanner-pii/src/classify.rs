//! What the name of a field says about its value.
//!
//! Invariant: the last words of a name decide (`passwordPolicy` is a policy, `reset_api_token` a token), so that names
//! never need to be listed whole. Pure.

use crate::field_words::{
    KEY_OF_KNOWN, KEY_WORDS, NO_POSTAL_KNOWN, NO_TOKEN_KNOWN, OF_THINGS, PART_OF, PART_WORDS, PASS_OF_KNOWN,
    PERSON_OF_KNOWN, PERSON_WORDS, TRAILING_KNOWN,
};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Password,
    /// A secret or key in the wide sense: long and random, but a passphrase happens.
    Secret,
    /// Random, of some length.
    Token,
    /// As [`Class::Token`], but the name is used for other things too, so the value has to look random.
    Weak,
    AwsSecret,
    AzureKey,
    /// A signature counts in a query alone: there it authorises.
    Signature,
    Authorization,
    Cookie,
    Session,
    /// A few digits that somebody types.
    Pin,
    /// A person's name or a part of one: the name of the field leaves no doubt.
    NamePart,
    /// A person's name; the name of the field says so.
    Person,
    /// `name`: a person's, if it looks like one.
    Name,
    Username,
    /// Who did something: a person, an account, or a program.
    Actor,
    Address,
    /// The line of an address that has the street.
    Street,
    Birth,
    Host,
}

/// The longest name that is looked at; of longer ones, the end.
pub(crate) const MAX_NAME: usize = 64;

/// `name` in lower case with an underscore between words, in `buffer`. Digits separate words and are left out.
fn snake<'b>(name: &[u8], buffer: &'b mut [u8; MAX_NAME * 2]) -> &'b str {
    let mut length = 0;
    let mut push = |byte: u8| {
        if let Some(place) = buffer.get_mut(length) {
            *place = byte;
            length += 1;
        }
    };
    let mut open = false;
    for (i, byte) in name.iter().enumerate() {
        if !byte.is_ascii_alphabetic() {
            open = false;
            continue;
        }
        let before = i.checked_sub(1).and_then(|j| name.get(j)).copied().unwrap_or(0);
        let after = name.get(i + 1).copied().unwrap_or(0);
        let hump = byte.is_ascii_uppercase()
            && (before.is_ascii_lowercase() || (before.is_ascii_uppercase() && after.is_ascii_lowercase()));
        if (!open || hump) && i > 0 {
            push(b'_');
        }
        open = true;
        push(byte.to_ascii_lowercase());
    }
    let bytes = buffer.get(..length).unwrap_or_default();
    std::str::from_utf8(bytes).unwrap_or_default().trim_matches('_')
}

/// Whether the word before "address" makes it one of machines.
pub(crate) fn is_technical(word: &[u8]) -> bool {
    NO_POSTAL_KNOWN.has(word)
}

/// What the name of a field says; nothing where it says nothing.
pub(crate) fn classify(name: &[u8]) -> Option<Class> {
    let mut buffer = [0; MAX_NAME * 2];
    let mut name = snake(name, &mut buffer);
    for _ in 0..2 {
        match name.rsplit_once('_') {
            Some((rest, last)) if TRAILING_KNOWN.has(last.as_bytes()) => name = rest,
            _ => break,
        }
    }
    let (rest, last) = name.rsplit_once('_').unwrap_or(("", name));
    let previous = rest.rsplit('_').next().unwrap_or_default();
    secret(name, previous, last).or_else(|| personal(name, rest, previous, last))
}

fn secret(name: &str, previous: &str, last: &str) -> Option<Class> {
    let ends = |ends: &[&str]| ends.iter().any(|end| last.ends_with(end));
    if ends(&["password", "passwd", "passphrase", "passcode", "pwd", "passwort", "kennwort", "contrasena", "passwrd"])
        || ["pass", "pw", "psk", "wpapsk", "motdepasse", "pswd", "psw", "requirepass", "masterauth"].contains(&last)
        || name.ends_with("naming_security_credentials")
        || last.strip_suffix("pass").is_some_and(|of| PASS_OF_KNOWN.has(of.as_bytes()))
        || (last == "phrase" || last == "word") && previous == "pass"
    {
        return Some(Class::Password);
    }
    let key = last == "key" && KEY_OF_KNOWN.has(previous.as_bytes()) || KEY_WORDS.contains(&last);
    if last == "libsecret" {
        return None;
    }
    if key || ends(&["secret"]) || (last == "key" && previous == "secret") {
        if name.ends_with("secret_access_key")
            || name.ends_with("secretaccesskey")
            || name.ends_with("aws_secret_key")
            || name.ends_with("aws_secret")
        {
            return Some(Class::AwsSecret);
        }
        if name.ends_with("account_key")
            || name.ends_with("accountkey")
            || name.ends_with("shared_access_key")
            || name.ends_with("sharedaccesskey")
        {
            return Some(Class::AzureKey);
        }
        return Some(if ends(&["secret"]) || previous == "secret" { Class::Secret } else { Class::Token });
    }
    if ends(&["token"]) {
        // `PublicKeyToken` is a part of an assembly's name.
        let public = name.ends_with("public_key_token");
        return (!public && !NO_TOKEN_KNOWN.has(previous.as_bytes())).then_some(Class::Token);
    }
    let community = matches!(last, "rocommunity" | "rwcommunity" | "trapcommunity" | "snmpcommunity")
        || last == "community" && ["snmp", "trap", "ro", "rw", "read", "write"].contains(&previous);
    if community || last == "authtok" || last == "kenncode" || last == "zugangscode" {
        return Some(Class::Password);
    }
    match last {
        "pin" | "otp" | "mpin" | "tpin" | "cvv" | "cvc" => Some(Class::Pin),
        "code" if ["pin", "otp", "access", "unlock", "passcode"].contains(&previous) => Some(Class::Pin),
        "seed" if ["totp", "otp", "mfa"].contains(&previous) => Some(Class::Token),
        // Sessions of networks are numbers of records, and open nothing.
        "id" if name.ends_with("acs_session_id")
            || name.ends_with("cpm_session_id")
            || name.ends_with("acct_session_id")
            || name.ends_with("audit_session_id") =>
        {
            None
        }
        "authorization" => Some(Class::Authorization),
        "cookie" => Some(Class::Cookie),
        "jsessionid" | "phpsessid" | "sessionid" | "sessid" | "sid" | "session" => Some(Class::Session),
        "id" if previous == "secret" => Some(Class::Secret),
        "id" if ["session", "sess"].contains(&previous) => Some(Class::Session),
        "salt" => Some(Class::Weak),
        "sig" | "signature" => Some(Class::Signature),
        // The scope of a signature, with the id of its key.
        "credential" if name.ends_with("amz_credential") => None,
        "auth" | "credential" | "credentials" | "creds" | "cred" => Some(Class::Weak),
        _ => None,
    }
}

/// What stands before `_by` where somebody did it.
const DEEDS: &[&str] = &[
    "created",
    "modified",
    "updated",
    "changed",
    "edited",
    "deleted",
    "removed",
    "added",
    "assigned",
    "requested",
    "reviewed",
    "approved",
    "rejected",
    "submitted",
    "reported",
    "opened",
    "closed",
    "resolved",
    "merged",
    "triggered",
    "initiated",
    "started",
    "performed",
    "executed",
    "acknowledged",
    "acked",
    "uploaded",
    "owned",
    "granted",
    "revoked",
    "invited",
    "signed",
];

fn personal(name: &str, rest: &str, previous: &str, last: &str) -> Option<Class> {
    match last {
        "username" | "user" | "login" | "uname" | "usr" | "logname" | "suser" | "duser" | "ruser" => {
            return Some(Class::Username);
        }
        "name" if ["user", "login", "principal", "usr"].contains(&previous) => return Some(Class::Username),
        "id" if previous == "user" || previous == "login" => return Some(Class::Username),
        "uid" | "acct" | "userid" | "auid" if name == last => return Some(Class::Username),
        "name" if PART_OF.contains(&previous) => return Some(Class::NamePart),
        // `appDisplayName`
        "name"
            if previous == "display" && OF_THINGS.iter().any(|thing| rest.strip_suffix("_display") == Some(*thing)) =>
        {
            return None;
        }
        "name" if PERSON_OF_KNOWN.has(previous.as_bytes()) => return Some(Class::Person),
        "name" if name == "name" => return Some(Class::Name),
        "cn" if name == last => return Some(Class::Name),
        "by" if DEEDS.contains(&previous) => return Some(Class::Actor),
        "to" if previous == "assigned" => return Some(Class::Actor),
        "actor" | "author" | "committer" | "reviewer" | "assignee" | "approver" | "requester" | "requestor"
        | "reporter" | "operator"
            if rest.is_empty() || !OF_THINGS.contains(&previous) =>
        {
            return Some(Class::Actor);
        }
        "dob" | "birthdate" | "birthday" | "dateofbirth" => return Some(Class::Birth),
        "birth" if previous == "of" => return Some(Class::Birth),
        "date" if previous == "birth" => return Some(Class::Birth),
        "hostname" | "host" | "fqdn" | "servername" | "server" | "shost" | "dhost" | "rmtsrvname" | "devname"
        | "srcname" | "dstname" | "srvname" => {
            return Some(Class::Host);
        }
        "name" if ["workstation", "computer", "machine", "host", "server", "node", "switch"].contains(&previous) => {
            return Some(Class::Host);
        }
        _ => {}
    }
    if last == "line" && ["street", "address", "addr"].contains(&previous) {
        return Some(Class::Street);
    }
    if PART_WORDS.contains(&last) {
        return Some(Class::NamePart);
    }
    if PERSON_WORDS.contains(&last) {
        return Some(Class::Person);
    }
    let postal = ["address", "addr", "street", "streetaddress", "adresse", "anschrift", "addresses"].contains(&last)
        && !NO_POSTAL_KNOWN.has(previous.as_bytes());
    postal.then_some(Class::Address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_decide() {
        for (name, class) in [
            ("password", Some(Class::Password)),
            ("DB_PASSWORD", Some(Class::Password)),
            ("spring.datasource.password", Some(Class::Password)),
            ("dbPassword2", Some(Class::Password)),
            ("passwordPolicy", None),
            ("password_reset_url", None),
            ("bypass", None),
            ("dbpass", Some(Class::Password)),
            ("resetAPI_TOKEN", Some(Class::Token)),
            ("X-Api-Key", Some(Class::Token)),
            ("APIKey", Some(Class::Token)),
            ("public_key", None),
            ("primaryKey", None),
            ("nextToken", None),
            ("token_count", None),
            ("max_tokens", None),
            ("client_secret", Some(Class::Secret)),
            ("secretName", None),
            ("AWS_SECRET_ACCESS_KEY", Some(Class::AwsSecret)),
            ("SecretAccessKey", Some(Class::AwsSecret)),
            ("AccountKey", Some(Class::AzureKey)),
            ("access_key_id", None),
            ("Proxy-Authorization", Some(Class::Authorization)),
            ("Set-Cookie", Some(Class::Cookie)),
            ("user_name", Some(Class::Username)),
            ("createdBy", Some(Class::Actor)),
            ("last_modified_by", Some(Class::Actor)),
            ("sortedBy", None),
            ("assigned_to", Some(Class::Actor)),
            ("reviewer", Some(Class::Actor)),
            ("firstName", Some(Class::NamePart)),
            ("filename", None),
            ("name", Some(Class::Name)),
            ("pod_name", None),
            ("ip_address", None),
            ("home_address", Some(Class::Address)),
            ("date_of_birth", Some(Class::Birth)),
            ("inside", None),
        ] {
            assert_eq!(classify(name.as_bytes()), class, "{name}");
        }
    }

    #[test]
    fn any_name_fits_the_buffer() {
        let name = "aB".repeat(MAX_NAME);
        assert_eq!(classify(name.as_bytes()), None);
    }
}
