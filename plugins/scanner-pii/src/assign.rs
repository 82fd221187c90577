//! Fields with a name: `name=value` in every notation, and what the value then is.
//!
//! Invariant: the name decides what is looked for, the value whether it is there. A value is looked at a bounded number
//! of times, however many names stand inside it.

use crate::classify::{self, Class, MAX_NAME};
use crate::columns::Column;
use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{BASE64, KEY, is};
use crate::value::{self, Join, Makeup, Value};
use crate::{
    auth, block, csv, dates, encoded, hosts, ids, logins, names, people, places, prose, secrets, vocab, worded,
};

/// The most values of a list that are looked at.
const LIST: usize = 16;
/// How the names of texts for forms begin.
const FORMS: &[&str] =
    &["label.", "error.", "message.", "messages.", "placeholder.", "tooltip.", "i18n.", "hint.", "validation."];
/// Names inside one value that are looked at.
pub(crate) const NESTED: usize = 4;

/// A literal that may be part of a field's name stands at `start..end`.
pub(crate) fn key(scan: &mut Scan<'_>, start: usize, end: usize) {
    if end <= scan.key_done {
        return;
    }
    // Some literals bring what stands around them, to be rarer.
    let end = if matches!(scan.text.at(end - 1), b'=' | b'"' | b':') { end - 1 } else { end };
    let start = if matches!(scan.text.at(start), b' ' | b'"' | b'\n' | b'?' | b'&') { start + 1 } else { start };
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
    // A name of SNMP has its module before it.
    let mib = scan.text.has_before(name_start, "mib::");
    if scan.text.has_before(name_start, "::") && !mib {
        return;
    }
    // `arn:aws:secretsmanager:…:secret:name` names where a secret is.
    if scan.text.before(name_start) == b':' && scan.text.at(name_end) == b':' {
        let before = scan.text.slice(name_start.saturating_sub(80), name_start);
        scan.text.tick(before.len());
        if before.windows(4).any(|w| matches!(w, b"arn:" | b"urn:" | b"cpe:")) {
            return;
        }
    }
    csv::consider(scan, name_start, name_end);
    let name_start = worded::whole_name(&scan.text, name_start, name_end);
    // `Workstation Name: x`
    let machine = ["workstation ", "computer ", "machine ", "device ", "server "]
        .iter()
        .any(|word| scan.text.before(name_start) == b' ' && scan.text.has_before(name_start, word));
    if machine && scan.text.has(name_start, "name") && name_end - name_start == 4 {
        if let Some(found) = value::after(&scan.text, &mut scan.quotes, name_start, name_end) {
            hosts::field(scan, found);
        }
        return;
    }
    let Some(class) = classify::classify(scan.text.slice(name_start, name_end)) else {
        if name_end - name_start == 3 && scan.text.has(name_start, "key") && !in_query(scan, name_start) {
            secrets::bare_key(scan, name_start, name_end);
        } else if scan.text.has(name_start, "key") && name_end - name_start == 4 {
            secrets::numbered_key(scan, name_end);
        } else if in_query(scan, name_start) && matches!(scan.text.slice(name_start, name_end + 1), b"key=" | b"code=")
        {
            secrets::query_key(scan, name_end + 1);
        }
        return;
    };
    if mib && class != Class::Password {
        return;
    }
    if class == Class::Cookie {
        auth::cookie_field(scan, name_end);
        return;
    }
    // LDIF has values in base64 behind two colons.
    if scan.text.at(name_end) == b':' && scan.text.slice(name_end, name_end + 3) == b":: " {
        return encoded::attribute(scan, class, name_start, name_end + 2);
    }
    let Some(found) = value::after(&scan.text, &mut scan.quotes, name_start, name_end) else {
        if class == Class::Password {
            prose::found(scan, name_end);
        }
        return;
    };
    let found = if matches!(class, Class::Username | Class::Actor) { logins::inner(scan, found) } else { found };
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
    if found.quoted && scan.text.before(found.start.saturating_sub(1)) <= b'[' {
        list(scan, class, name_start, found);
    }
    // Plans of changes show the value that was and the one that will be: `"old" -> "new"`.
    if found.quoted && scan.text.has(found.end + 1, " -> \"") {
        let start = found.end + 6;
        if let Some(end) = scan.quotes.close(&scan.text, start, b'"', false) {
            one_value(scan, class, name_start, Value { start, end, ..found });
        }
    }
}

/// The values behind the first of a list in brackets.
#[inline(never)]
fn list(scan: &mut Scan<'_>, class: Class, name_start: usize, found: Value) {
    let space = |text: &crate::text::Text<'_>, mut at: usize| {
        let limit = at + 40;
        while at < limit && matches!(text.at(at), b' ' | b'\t' | b'\r' | b'\n') {
            at += 1;
        }
        text.tick(1);
        at
    };
    let open = scan.text.slice(found.start.saturating_sub(24), found.start.saturating_sub(1));
    if open.trim_ascii_end().last() != Some(&b'[') {
        return;
    }
    let quote = scan.text.before(found.start);
    let mut end = found.end;
    for _ in 1..LIST {
        let comma = space(&scan.text, end + 1);
        let at = space(&scan.text, comma + 1);
        if scan.text.at(comma) != b',' || scan.text.at(at) != quote {
            break;
        }
        let Some(close) = scan.quotes.close(&scan.text, at + 1, quote, false) else {
            break;
        };
        one_value(scan, class, name_start, Value { start: at + 1, end: close, ..found });
        end = close;
    }
}

/// The name of a field of records stands at `start..end`, or a part of it: `vocab` knows what it means.
#[inline(never)]
pub(crate) fn record(scan: &mut Scan<'_>, start: usize, end: usize) {
    csv::consider(scan, start, end);
    if end <= scan.field_done {
        return;
    }
    let text = &scan.text;
    let letter = |b: u8| is(b, KEY) || b >= 0x80;
    // Some literals bring what stands around them, to be rarer.
    let (mut first, mut last) = (start, end);
    while last > start && !letter(text.at(last - 1)) {
        last -= 1;
    }
    while first < last && !letter(text.at(first)) {
        first += 1;
    }
    while last >= end && letter(text.at(last)) && last < end + MAX_NAME {
        last += 1;
    }
    while first <= start && first > 0 && letter(text.before(first)) && first + MAX_NAME > start {
        first -= 1;
    }
    text.tick(last - first + 1);
    scan.field_done = last;
    let name = text.slice(first, last);
    let column = vocab::column(name);
    if !column.telling() || matches!(name, b"first" | b"last") && !has_counterpart(scan, first, last) {
        return;
    }
    if scan.text.slice(last, last + 3) == b":: " {
        if let Column::Field(class) = column {
            encoded::attribute(scan, class, first, last + 2);
        }
        return;
    }
    let Some(found) = value::after(&scan.text, &mut scan.quotes, first, last) else {
        return;
    };
    if found.join == Join::Blank || scan.value_again(first, found.end) > NESTED {
        return;
    }
    match column {
        Column::Field(class) => field(scan, class, first, found),
        Column::Street => field(scan, Class::Street, first, found),
        Column::Passport if ids::is_passport(scan.text.slice(found.start, found.end)) => {
            scan.emit(Kind::Passport, found.start, found.end, 0.9, false, "passport field");
        }
        Column::Number(cue) => scan.add_cue(cue, found.start),
        _ => {}
    }
}

/// `first` and `last` name parts of a name where both stand together.
fn has_counterpart(scan: &Scan<'_>, start: usize, end: usize) -> bool {
    let other: &[u8] = if scan.text.slice(start, end) == b"first" { b"last" } else { b"first" };
    let near = scan.text.slice(start.saturating_sub(96), end + 96);
    scan.text.tick(near.len());
    near.windows(other.len()).any(|w| w == other)
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
    // What a form says: `label.password=Passwort`.
    if is_secret(class) && FORMS.iter().any(|form| scan.text.has(name_start, form)) {
        return;
    }
    // `-Name 'x'` of PowerShell.
    let found = if found.join == Join::Blank && found.quoted && scan.text.at(name_start) == b'-' {
        Value { join: Join::Equals, ..found }
    } else {
        found
    };
    match class {
        Class::Password => secrets::password(scan, name_start, found),
        Class::Secret | Class::Token | Class::Weak | Class::Signature => secrets::token(scan, class, name_start, found),
        Class::AwsSecret => secrets::aws_secret(scan, found),
        Class::AzureKey => {
            let end = scan.text.run(found.start, BASE64);
            if end - found.start >= 40 && Makeup::of(value).mixed() {
                scan.emit(Kind::AzureKey, found.start, end, 0.99, true, "azure account key");
            }
        }
        Class::Authorization => auth::authorization(scan, found),
        Class::Pin => secrets::pin(scan, found),
        Class::Session => auth::session_value(scan, name_start, found),
        Class::Cookie => {}
        Class::NamePart => {
            names::field(scan, found);
        }
        Class::Person => people::field(scan, found, false),
        // `name=jo password=x`
        Class::Name if !found.quoted && scan.text.has(found.end, " password=") => {
            logins::field(scan, name_start, found)
        }
        Class::Name => {
            let before = scan.reported();
            people::field(scan, found, true);
            if scan.reported() == before {
                names::common(scan, found);
            }
            let quoted =
                matches!(scan.text.before(name_start), b'"' | b'\'' | b'{') || scan.text.at(name_start + 4) == b'=';
            if quoted && scan.reported() > before && secrets::is_of_thing(scan, name_start) {
                scan.retract(before);
            }
        }
        Class::Username => logins::field(scan, name_start, found),
        Class::Actor => logins::actor(scan, name_start, found),
        Class::Address => places::field(scan, name_start, found),
        Class::Street => places::line(scan, name_start, found),
        Class::Birth => {
            // `ISODate('…')`, `new Date("…")`
            let call = scan.text.slice(found.start, found.start + 12);
            let open = call.iter().position(|b| *b == b'(').filter(|at| matches!(call.get(at + 1), Some(b'"' | b'\'')));
            let found = open.map_or(found, |at| Value { start: found.start + at + 2, quoted: false, ..found });
            let text = &scan.text;
            let end = dates::date(text, found.start)
                .or_else(|| if found.quoted { dates::lenient(text, found.start, found.end) } else { None })
                .or_else(|| dates::lenient(text, found.start, text.line_end(found.start).min(found.start + 32)));
            if let Some(end) = end {
                scan.emit(Kind::Dob, found.start, end, 0.95, true, "field of a birth date");
            }
        }
        Class::Host => hosts::field(scan, found),
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
    fn quotes_that_are_written_twice() {
        assert_eq!(one("password: 'Hun''ter2!xyzzy99'\n", "PASSWORD"), "Hun''ter2!xyzzy99");
        assert_eq!(one("SET PASSWORD = 'Kestrel81!', x = ''", "PASSWORD"), "Kestrel81!");
    }

    #[test]
    fn codes_of_sign_ins() {
        let code = "6RQQu2fRmMeChZRCGH5pWGttQX";
        assert_eq!(one(&format!("GET /callback?code={code}&state=xyz HTTP/2.0"), "GENERIC_SECRET"), code);
        nothing("GET /orders?code=6RQQu2fR&state=open HTTP/2.0");
    }

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
    fn values_of_programs_and_devices() {
        for text in [
            "[{<<\"password\">>,<<\"Kestrel81!\">>}]",
            "password= <<\"Kestrel81!\">>, x",
            "password <- \"Kestrel81!\"",
            "tacacs-server host 10.0.0.0 key Kestrel81!\n",
            "X-MIB::snmpTrapCommunity.0 = STRING: \"Kestrel81!\"",
            "ipmitool -H x -P Kestrel81! chassis",
            "xfreerdp /v:x /p:'Kestrel81!' /f",
        ] {
            assert_eq!(one(text, "PASSWORD"), "Kestrel81!", "{text}");
        }
        assert_eq!(one("\"pin\":\"480217\"", "PASSWORD"), "480217");
        nothing("\"pin\":13,");
        nothing("key: v1-deps-linux-node20\n");
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
