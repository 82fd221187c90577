//! Fields with a name: `name=value` in every notation, and what the value then is.
//!
//! Invariant: the name decides what is looked for, the value whether it is there. A value is looked at a bounded number
//! of times, however many names stand inside it.

use crate::classify::{self, Class, MAX_NAME};
use crate::kind::Kind;
use crate::literals::Cue;
use crate::scan::Scan;
use crate::text::{BASE64, BLANK, KEY};
use crate::value::{self, Join, Makeup, Value};
use crate::{auth, block, csv, dates, hosts, logins, people, places, prose, worded};

/// Names inside one value that are looked at.
pub(crate) const NESTED: usize = 4;

/// A literal that may be part of a field's name stands at `start..end`.
pub(crate) fn key(scan: &mut Scan<'_>, start: usize, end: usize) {
    if end <= scan.key_done {
        return;
    }
    // Some literals bring what stands around them, to be rarer.
    let end = if matches!(scan.text.at(end - 1), b'=' | b'"' | b':') { end - 1 } else { end };
    let start = if matches!(scan.text.at(start), b' ' | b'"' | b'\n') { start + 1 } else { start };
    let name_end = scan.text.run(end, KEY);
    // A dot at the end is the sentence's.
    let name_end = if scan.text.at(name_end - 1) == b'.' { name_end - 1 } else { name_end };
    let name_start = scan.text.run_back(start, KEY, MAX_NAME);
    scan.key_done = name_end;
    if name_end - name_start > MAX_NAME * 2 {
        return;
    }
    let name_start = name_start.max(name_end.saturating_sub(MAX_NAME));
    // `AWS::ApiKey` names a type.
    if scan.text.has_before(name_start, "::") {
        return;
    }
    // `arn:aws:secretsmanager:…:secret:name` names where a secret is.
    if scan.text.before(name_start) == b':' && scan.text.at(name_end) == b':' {
        let before = scan.text.slice(name_start.saturating_sub(80), name_start);
        scan.text.tick(before.len());
        if before.windows(4).any(|w| w == b"arn:") {
            return;
        }
    }
    let name_start = worded::whole_name(&scan.text, name_start, name_end);
    let Some(class) = classify::classify(scan.text.slice(name_start, name_end)) else {
        return;
    };
    if csv::between_separators(&scan.text, name_start, name_end) {
        csv::header(scan, name_start);
    }
    if class == Class::Cookie {
        auth::cookie_field(scan, name_end);
        return;
    }
    let Some(found) = value::after(&scan.text, &mut scan.quotes, name_start, name_end) else {
        if class == Class::Password {
            prose::found(scan, name_end);
        }
        return;
    };
    let found = if class == Class::Username { logins::inner(scan, found) } else { found };
    if scan.value_again(name_start, found.end) > NESTED {
        return;
    }
    field(scan, class, name_start, found);
}

/// A field of `class` has the value `found`.
pub(crate) fn field(scan: &mut Scan<'_>, class: Class, name_start: usize, found: Value) {
    if found.block.is_some() && is_secret(class) {
        return block::field(scan, class, name_start, found);
    }
    one_value(scan, class, name_start, found);
    // Plans of changes show the value that was and the one that will be: `"old" -> "new"`.
    if found.quoted && scan.text.has(found.end + 1, " -> \"") {
        let start = found.end + 6;
        if let Some(end) = scan.quotes.close(&scan.text, start, b'"', false) {
            one_value(scan, class, name_start, Value { start, end, ..found });
        }
    }
}

/// Fields whose value is secret as a whole, however many lines it has.
fn is_secret(class: Class) -> bool {
    use Class::{AwsSecret, AzureKey, Password, Secret, Session, Token, Weak};
    matches!(class, Password | Secret | Token | Weak | AwsSecret | AzureKey | Session)
}

#[inline]
pub(crate) fn one_value(scan: &mut Scan<'_>, class: Class, name_start: usize, found: Value) {
    let value = scan.text.slice(found.start, found.end);
    scan.text.tick(value.len());
    if value::is_placeholder(value) {
        return;
    }
    // `key_password=key_password` hands a variable on.
    let name = scan.text.slice(name_start, name_start + value.len());
    if !found.quoted && name.eq_ignore_ascii_case(value) {
        return;
    }
    match class {
        Class::Password => password(scan, name_start, found),
        Class::Secret | Class::Token | Class::Weak | Class::Signature => token(scan, class, name_start, found),
        Class::AwsSecret => aws_secret(scan, found),
        Class::AzureKey => {
            let end = scan.text.run(found.start, BASE64);
            if end - found.start >= 40 && Makeup::of(value).mixed() {
                scan.emit(Kind::AzureKey, found.start, end, 0.99, true, "azure account key");
            }
        }
        Class::Authorization => auth::authorization(scan, found),
        Class::Session => auth::session_value(scan, name_start, found),
        Class::Cookie => {}
        Class::Person => people::field(scan, found, false),
        Class::Name => people::field(scan, found, true),
        Class::Username => logins::field(scan, name_start, found),
        Class::Address => places::field(scan, name_start, found),
        Class::Birth => {
            if let Some(end) = dates::date(&scan.text, found.start) {
                scan.emit(Kind::Dob, found.start, end, 0.95, true, "field of a birth date");
            }
        }
        Class::Host => hosts::field(scan, found),
    }
}

fn password(scan: &mut Scan<'_>, name_start: usize, found: Value) {
    let mut found = found;
    if found.join == Join::Blank {
        let flag = scan.text.has_before(name_start, "--") || scan.text.has(name_start, "--");
        // "to pass", a verb as often as a name.
        let verb =
            scan.text.has(name_start, "pass ") && scan.text.slice(name_start, name_start + 4) != b"PASS" && !flag;
        if verb {
            return;
        }
        if !(flag || found.quoted || prose::is_directive(&scan.text, name_start, found)) {
            return prose::found(scan, found.start.saturating_sub(1));
        }
        if flag && scan.text.at(found.start) == b'-' {
            return;
        }
    }
    let value = scan.text.slice(found.start, found.end);
    if value.len() < 3 || value::is_state(value) || value::is_code(value) || !found.quoted && value::is_text(value) {
        return;
    }
    // Ratios, clocks, versions: "pass: 12/15".
    let counted = value.iter().all(|b| b.is_ascii_digit() || b"/:.,%".contains(b));
    if counted && value.len() < 12 && !value.iter().all(u8::is_ascii_digit) {
        return;
    }
    // The argument of a call is as often the name of a setting.
    if found.join == Join::Call && makeup_marks(value) == 0 {
        return;
    }
    // `PWD=/var/www` is the working directory.
    if value::is_path(value) {
        return;
    }
    let makeup = Makeup::of(value);
    let plain_word = makeup.digits + makeup.upper + makeup.other == 0;
    if !found.quoted {
        // `password = quote(x)`
        let word = value.iter().take_while(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'.')).count();
        if word > 2 && value.get(word) == Some(&b'(') {
            return;
        }
        // "password: please enter it": a word with blanks before it and after it is prose.
        let more = scan.text.run(found.end, BLANK) > found.end;
        let capitalised = makeup.upper == 1 && makeup.digits + makeup.other == 0;
        if (plain_word || capitalised) && (found.spaced && more || value.len() < 4) {
            return;
        }
        if (value.len() < 4 && makeup.digits == 0) || prose::is_remark(&scan.text, found) {
            return;
        }
    }
    if found.quoted {
        // A sentence in quotes: most of what has three blanks and no digit.
        let blanks = value.iter().filter(|b| **b == b' ').count();
        let phrase = scan.text.slice(name_start, found.start).windows(6).any(|w| w.eq_ignore_ascii_case(b"phrase"));
        if blanks > 2 && makeup.digits == 0 && !phrase || !phrase && value::is_text(value) {
            return;
        }
        while !scan.text.is_cut(found.end) && scan.text.at(found.end.wrapping_sub(1)) == b' ' && found.end > found.start
        {
            found.end -= 1;
        }
    }
    let kind = if scan.cue_before(Cue::Connection, name_start, 200).is_some() {
        Kind::ConnectionString
    } else {
        Kind::Password
    };
    let confidence = if plain_word { 0.7 } else { 0.9 };
    scan.emit(kind, found.start, found.end, confidence, true, "password field");
}

/// How many digits and marks there are.
fn makeup_marks(value: &[u8]) -> usize {
    let makeup = Makeup::of(value);
    makeup.digits + value.iter().filter(|b| b"!@#$%^&*?".contains(b)).count()
}

fn token(scan: &mut Scan<'_>, class: Class, name_start: usize, found: Value) {
    if found.join == Join::Blank
        && !found.quoted
        && !scan.text.has_before(name_start, "--")
        && !scan.text.has(name_start, "--")
    {
        return;
    }
    if class == Class::Signature
        && !matches!(scan.text.before(name_start), b'?' | b'&')
        && !scan.text.has_before(name_start, "%26")
    {
        return;
    }
    if found.join == Join::Call && Makeup::of(scan.text.slice(found.start, found.end)).digits == 0 {
        return;
    }
    let mut end = found.end;
    // No token has blanks: behind the first one stands something else.
    let whole = scan.text.slice(found.start, found.end);
    if let Some(blank) = whole.iter().position(|b| *b <= b' ') {
        end = found.start + blank;
    }
    let value = scan.text.slice(found.start, end);
    let makeup = Makeup::of(value);
    if value::is_state(value) || value::is_path(value) || value::is_code(value) || value.contains(&b'(') {
        return;
    }
    let fits = match class {
        Class::Weak => value::is_random(value, 16) && makeup.upper > 0 && makeup.digits > 0,
        Class::Secret => {
            // `secret` is also what applications call a passphrase.
            let worded = whole.len() >= 6 && makeup.digits > 0 && makeup.lower + makeup.upper >= 3;
            value::is_random(value, 8)
                || worded
                || (value.len() >= 8 && makeup.other > 0 && makeup.upper > 0 && makeup.lower > 0)
        }
        _ => {
            let long_number = makeup.digits == value.len() && value.len() >= 16;
            value::is_random(value, 8) || long_number && class != Class::Signature
        }
    };
    // A vendor's scheme before the key: `token abc`, `sha256=abc` is a digest.
    if !fits || value.starts_with(b"sha") && value.contains(&b'=') || is_name(value, makeup) || is_moment(value) {
        return;
    }
    let kind = if class == Class::Secret && makeup.other + makeup.digits < value.len() / 3 && value.len() < 20 {
        Kind::Password
    } else {
        Kind::GenericSecret
    };
    scan.emit(kind, found.start, end, 0.9, true, "secret field");
}

/// `my-service-2`, `tls_cert_v1`: words joined by dashes, with a number of one or two digits at most, name things.
fn is_name(value: &[u8], makeup: Makeup) -> bool {
    let short_number = makeup.digits <= 1;
    short_number
        && makeup.upper == 0
        && value.iter().any(|b| matches!(b, b'-' | b'_' | b'.' | b'/'))
        && value.split(|b| matches!(b, b'-' | b'_' | b'.' | b'/')).all(|word| word.len() <= 12)
}

/// A date with a time.
fn is_moment(value: &[u8]) -> bool {
    value.len() >= 10
        && value.get(4) == Some(&b'-')
        && value.get(7) == Some(&b'-')
        && value.iter().take(4).all(u8::is_ascii_digit)
        && value.iter().all(|b| b.is_ascii_digit() || b"-T:.Z+".contains(b))
}

fn aws_secret(scan: &mut Scan<'_>, found: Value) {
    let end = scan.text.run(found.start, BASE64);
    let value = scan.text.slice(found.start, end);
    if value.len() == 40 && Makeup::of(value).mixed() {
        scan.emit(Kind::AwsSecretKey, found.start, end, 0.99, true, "aws secret key field");
    } else {
        token(scan, Class::Token, found.start, found);
    }
}

/// Whether the byte before a name makes it part of a query.
pub(crate) fn in_query(scan: &Scan<'_>, name_start: usize) -> bool {
    matches!(scan.text.before(name_start), b'?' | b'&')
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, nothing, one};

    #[test]
    fn passwords_in_assignments() {
        for text in [
            "password=Kestrel81!",
            "\"db_password\": \"Kestrel81!\"",
            "DB_PASSWORD: Kestrel81!\n",
            "<password>Kestrel81!</password>",
            "mysql --password Kestrel81! -h db",
            "mysql --password=Kestrel81! -h db",
            "POST /login?user=x&password=Kestrel81!&go=1",
            "CREATE USER x IDENTIFIED BY 'Kestrel81!'",
            "ALTER ROLE x WITH PASSWORD 'Kestrel81!';",
            "login with password Kestrel81! now",
            "the password is Kestrel81!, again",
            "{\\\"pwd\\\":\\\"Kestrel81!\\\"}",
            "  - name: DB_PASSWORD\n    value: Kestrel81!\n",
            "spring.datasource.password=Kestrel81!",
            "GET /xPASSWORD=Kestrel81! HTTP/1.1",
            "requirepass Kestrel81!\nmaxmemory 2gb",
            "redis-server --requirepass Kestrel81! --appendonly yes",
            "1.2 [0 x] \"AUTH\" \"Kestrel81!\"",
            "CREATE USER x IDENTIFIED WITH sha2 BY 'Kestrel81!'",
            "ConvertTo-SecureString \"Kestrel81!\" -AsPlainText",
            "your password is <b>Kestrel81!</b>",
            "root password set to Kestrel81!\n",
            "password: >-\n  Kestrel81!\nnext: 1",
            "config[\"password\"] = \"Kestrel81!\";",
            "~ password = \"${X}\" -> \"Kestrel81!\"",
            "x: ${DB_PASSWORD:-Kestrel81!}",
            "username bob privilege 15 password 0 Kestrel81!",
            "form-data; name=\"password\"\r\n\r\nKestrel81!\r\n--x",
            "[\"password\"]=>\n  string(10) \"Kestrel81!\"\n",
            "the creds: pw Kestrel81!",
            "the new password for user jo is Kestrel81!",
            "Initial password for jo: Kestrel81!",
            "**Password:** Kestrel81!",
            "**Password**: `Kestrel81!`",
            "WITH PASSWORD = N'Kestrel81!', X",
        ] {
            assert_eq!(one(text, "PASSWORD"), "Kestrel81!", "{text}");
        }
    }

    #[test]
    fn connection_strings() {
        for text in [
            "Server=tcp:db,1433;Database=x;User ID=sa;Password=Kestrel81$;Encrypt=True;",
            "jdbc:mysql://db/x?user=app&password=Kestrel81$&useSSL=true",
            "host=db port=5432 dbname=x user=app password=Kestrel81$ sslmode=require",
            "Data Source=ORCL;User Id=scott;Password=Kestrel81$;",
        ] {
            assert_eq!(one(text, "CONNECTION_STRING"), "Kestrel81$", "{text}");
        }
    }

    #[test]
    fn tokens_in_fields() {
        for text in [
            "api_key=9f8e7d6c5b4a39281706",
            "X-Api-Key: 9f8e7d6c5b4a39281706",
            "\"refreshToken\":\"9f8e7d6c5b4a39281706\"",
            "GET /a?sv=1&sig=9f8e7d6c5b4a39281706 HTTP/1.1",
            "client_secret: '9f8e7d6c5b4a39281706'",
            "<meta name=\"csrf-token\" content=\"9f8e7d6c5b4a39281706\">",
        ] {
            assert_eq!(all(text), [("GENERIC_SECRET", "9f8e7d6c5b4a39281706")], "{text}");
        }
        let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        assert_eq!(one(&format!("aws_secret_access_key = \"{key} - x"), "AWS_SECRET_KEY"), key);
    }

    #[test]
    fn what_is_no_value() {
        for text in [
            "password=${PGPASSWORD}",
            "password: \"<redacted>\"",
            "password: [FILTERED]",
            "password=********",
            "Failed password for root from nowhere",
            "password authentication failed",
            "passwordPolicy=lenient",
            "token_count=977",
            "PWD=/var/www/html",
            "secretName: tls-wildcard",
            "password: required",
            "if (password == null) return",
            "password = os.environ['DB']",
            "token=getToken(request)",
            "nextToken=abc123def456ghi789",
            "the token expired at 10",
            "api_key=YOUR_KEY_HERE",
            "password: {{ vault_password }}",
            "key: value",
            "std::token::Token123456",
            "token_expires=2026-01-02T03:04:05Z",
            "secret \"tls\" not found",
            "pass: 12/15 tests",
            "connect(key_password=key_password)",
            "password: bytes,",
            "pwd: *mut passwd,",
            "my $pwd = CPAN::anycwd();",
            "data['password'] = data['email']",
            "SecretId=arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-Ab3dEf",
            "x: ${DB_PASSWORD:?not set}",
            "+ password = (sensitive value)",
            "password: !vault |\n  $ANSIBLE_VAULT;1.1",
            "password: !Ref DatabaseSecret",
            "Passwort: erforderlich",
            "password for user jo was changed today",
            "password for 2fa users",
            "CREATE TABLE x (password varchar(255) NOT NULL)",
            "PublicKeyToken=30ad4fe6b2a6aeed",
            "\"secret\": \"projects/acme/secrets/db/versions/3\"",
        ] {
            nothing(text);
        }
    }
}
