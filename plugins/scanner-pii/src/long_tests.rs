//! Long values are found to their end, in one window and through those of the host.

use crate::Finding;
use crate::testing::{SCANNER, found, nothing, one};

/// What the host's windows have by default, and what they overlap by.
const WINDOW: usize = 256 << 10;
const OVERLAP: usize = 32 << 10;

/// `length` bytes of `alphabet`, in no order that shows.
fn random(alphabet: &str, length: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(alphabet.as_bytes()[(state >> 33) as usize % alphabet.len()])
    };
    (0..length).map(|_| next()).collect()
}

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let all = three.iter().fold(0, |all, b| all << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for i in 0..=three.len() {
            out.push(char::from(BASE64.as_bytes()[(all >> (18 - 6 * i)) as usize & 63]));
        }
    }
    out + &"=".repeat((3 - bytes.len() % 3) % 3)
}

/// A private key of about `length` bytes, its lines joined by `line`.
fn pem(length: usize, line: &str) -> String {
    let body = random(BASE64, length / (64 + line.len()) * 64);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
    format!("-----BEGIN RSA PRIVATE KEY-----{line}{}{line}-----END RSA PRIVATE KEY-----", lines.join(line))
}

#[test]
fn passwords() {
    for length in [255, 256, 257, 300, 5_000, 100_000] {
        for alphabet in [ALNUM, BASE64, "aB3!x-7_Q.w~Z0(k)V"] {
            let secret = format!("aB3{}z", random(alphabet, length - 4));
            for text in [
                format!("password={secret}\nnext"),
                format!("DB_PASSWORD: {secret}\n"),
                format!("\"password\": \"{secret}\", \"next\": 1"),
                format!("{{\\\"password\\\":\\\"{secret}\\\",\\\"next\\\":1}}"),
                format!("<password>{secret}</password>"),
                format!("IDENTIFIED BY '{secret}';"),
                format!("curl -u 'bob:{secret}' x"),
                format!("mysql -ubob -p{secret} db").replace("-p(", "-pa"),
                format!("id,name,password\n1,x,\"{secret}\"\n"),
                format!("INSERT INTO x(id,password) VALUES (1,'{secret}')"),
                format!("password = \"Kestrel81!\" -> \"{secret}\""),
            ] {
                let values = found(&text, "PASSWORD");
                let shown = text.get(..80).unwrap_or(&text);
                assert_eq!(values.iter().filter(|value| **value == secret).count(), 1, "{length} {shown} {values:?}");
            }
        }
        let secret = random(ALNUM, length);
        assert_eq!(one(&format!("login with password {secret} now"), "PASSWORD"), secret);
    }
    let words = random(" abcDEF0123456789!$%&", 600).trim().replace("  ", "a ");
    assert_eq!(one(&format!("\"password\": \"{words}\""), "PASSWORD"), words);
}

#[test]
fn what_is_long_and_no_password() {
    let help = "Choose a password that has 8 characters or more, with a digit and a letter in it. ".repeat(6);
    nothing(&format!("\"password\": \"{help}\""));
    nothing(&format!("password={}", "*".repeat(300)));
    nothing(&format!("\"password\": \"${{{}}}\"", "lookup_of_it".repeat(40)));
    nothing(&format!("password={}\n", "a.validate(b.value)||c.state(d);".repeat(20)));
}

#[test]
fn authorisation() {
    for length in [1_000, 1_500, 2_100, 4_000, 20_000] {
        let basic = encode(format!("user:{}", random(ALNUM, length / 4 * 3)).as_bytes());
        assert_eq!(one(&format!("Authorization: Basic {basic}\nx"), "BASIC_AUTH"), basic);
        let plain = encode(format!("\0user\0{}", random(ALNUM, length / 4 * 3)).as_bytes());
        assert_eq!(one(&format!("AUTH PLAIN {plain}\n"), "BASIC_AUTH"), plain);
    }
    for length in [4_000, 8_200, 20_000, 200_000] {
        let token = random(ALNUM, length);
        assert_eq!(one(&format!("Authorization: Bearer {token}\nx"), "BEARER_TOKEN"), token);
        assert_eq!(one(&format!("Authorization: {token}\nx"), "GENERIC_SECRET"), token);
        assert_eq!(one(&format!("access_token={token}&x=1"), "GENERIC_SECRET"), token);
        assert_eq!(one(&format!("\"client_secret\": \"{token}\"}}"), "GENERIC_SECRET"), token);
        let jwt = format!("eyJhbGciOiJIUzI1NiJ9.{token}.{token}");
        for text in [format!("x {jwt} y"), format!("Authorization: Bearer {jwt}\nx"), format!("token={jwt}")] {
            assert_eq!(one(&text, "JWT"), jwt);
        }
        let chain = encode(format!("{{\"x5c\":[\"{token}\"],\"alg\":\"RS256\"}}").as_bytes()).replace('=', "");
        let jwt = format!("{}.{token}.{token}", chain.replace('+', "-").replace('/', "_"));
        assert_eq!(one(&format!("x {jwt} y"), "JWT"), jwt);
    }
}

#[test]
fn cookies() {
    for length in [4_000, 4_096, 4_097, 10_000, 50_000] {
        let value = random(ALNUM, length);
        for name in ["sid", "x", "theme"] {
            let text = format!("Cookie: lang=en; {name}={value}; tz=1\nx");
            assert_eq!(one(&text, "SESSION_COOKIE"), value, "{name} {length}");
            let text = format!("Set-Cookie: {name}={value}; Path=/; HttpOnly\n");
            assert_eq!(one(&text, "SESSION_COOKIE"), value, "{name} {length}");
        }
        assert_eq!(one(&format!("JSESSIONID={value} x"), "SESSION_COOKIE"), value);
    }
}

#[test]
fn a_value_cut_off_by_the_windows_end_touches_it() {
    // Punctuation and brackets there are no sentence's; a quote may close behind it.
    for text in [
        "Authorization: Bearer aB3dE6gH9jK2mN5p.",
        "password=aB3dE6gH9jK2.",
        "password=aB3dE6gH9jK2)",
        "password=aB3dE6gH9jK2&",
        "\"password\": \"aB3 dE6,gH9 ",
        "token: 'aB3dE6gH9jK2mN5p'".trim_end_matches('\''),
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.",
        "eyJhbGciOiJIUzI1NiJ9.",
        "login with password aB3dE6gH9jK2.",
        "password: |\n  aB3dE6gH9j\n  kL2mN5\n",
    ] {
        let last = SCANNER.scan(text, false, true).into_iter().map(|f| f.end).max();
        assert_eq!(last, Some(text.len()), "{text:?}");
    }
}

/// What of a text the host masks, as it cuts the windows, chooses the owner of a finding and follows a token that goes
/// on behind a window (`host/redact`, windows and seams).
fn masked(text: &str) -> Vec<bool> {
    let mut masked = vec![false; text.len()];
    let mut mark = |start: usize, end: usize| masked[start..end].fill(true);
    let newline =
        |from: usize, to: usize| text.as_bytes()[from..to].iter().rposition(|b| *b == b'\n').map(|n| from + n + 1);
    let (mut offset, mut owned) = (0, 0);
    let mut open: Vec<usize> = Vec::new();
    loop {
        let last = text.len() - offset <= WINDOW;
        let end = if last {
            text.len()
        } else {
            newline(offset + (OVERLAP + WINDOW) / 2, offset + WINDOW).unwrap_or(offset + WINDOW)
        };
        let next = newline(end.saturating_sub(2 * OVERLAP), end.saturating_sub(OVERLAP))
            .unwrap_or(end.saturating_sub(OVERLAP));
        let border = if last { end } else { usize::midpoint(next, end) };
        let seam = open.pop();
        if let Some(seam) = seam {
            let ends = |c: char| c.is_whitespace() || "\"'`,;<>()[]{}|\\".contains(c);
            let stop = seam + text[seam..end].find(ends).unwrap_or(end - seam);
            mark(seam, stop);
            if stop == end {
                open.push(stop);
            }
        }
        for Finding { start, end: stop, .. } in SCANNER.scan(&text[offset..end], offset > 0, !last) {
            if (owned..border).contains(&(offset + start)) {
                mark(offset + start, offset + stop);
                if offset + stop == end {
                    open = vec![end];
                }
            }
        }
        if last {
            return masked;
        }
        (offset, owned) = (next, border);
    }
}

/// All of `secret` is masked wherever it stands to the border of two windows, and nothing of what stands around it.
fn through_windows(open: &str, secret: &str, close: &str) {
    let line = "a line of the log that says nothing to anyone\n";
    let total = WINDOW + 64 * 1024 + secret.len();
    for before_end in (0..=secret.len() + 2 * OVERLAP + 4_000).step_by(1_777) {
        let lead = line.repeat(WINDOW.saturating_sub(before_end) / line.len());
        let start = lead.len() + open.len();
        let tail = line.repeat((total - start.min(total)) / line.len() + 1);
        let text = format!("{lead}{open}{secret}{close}{tail}");
        let masked = masked(&text);
        let missed = masked[start..start + secret.len()].iter().position(|masked| !masked);
        assert_eq!(missed, None, "{open:?} of {} bytes, {before_end} before the window's end", secret.len());
        let more = masked.iter().filter(|masked| **masked).count() - secret.len();
        assert_eq!(more, 0, "{open:?} of {} bytes, {before_end} before the window's end", secret.len());
    }
}

#[test]
fn private_keys_through_windows() {
    for length in [3_000, 30_000, 60_000, 150_000] {
        through_windows("", &pem(length, "\n"), "\n");
    }
    through_windows("key: |\n  ", &pem(30_000, "\n  "), "\nnext: 1\n");
    through_windows("{\"key\":\"", &pem(30_000, "\\n"), "\"}\n");
    through_windows("{\"key\":\"", &pem(60_000, "\\n"), "\"}\n");
}

#[test]
fn other_values_through_windows() {
    for length in [300, 5_000, 30_000, 100_000] {
        let token = random(ALNUM, length);
        through_windows("Authorization: Bearer ", &token, "\n");
        through_windows("{\"password\":\"", &token, "\"}\n");
    }
    through_windows("Cookie: sid=", &random(ALNUM, 10_000), "; a=b\n");
    let lines = random(ALNUM, 30_000)
        .as_bytes()
        .chunks(40)
        .map(|l| String::from_utf8_lossy(l).into_owned())
        .collect::<Vec<_>>();
    through_windows("password: |\n  ", &lines.join("\n  "), "\nnext: 1\n");
    through_windows("\"password\": \"", &random("aB3 xY7,kQ9;", 28_000).trim().replace(' ', "q "), "\"\n");
}

#[test]
fn the_rest_of_a_key_is_one() {
    let key = pem(3_000, "\n");
    let rest = &key[100..];
    let found: Vec<_> = SCANNER.scan(&format!("{rest}\nx"), true, false).iter().map(|f| (f.start, f.end)).collect();
    assert_eq!(found, [(0, rest.len())]);
    assert!(SCANNER.scan(rest, false, false).is_empty(), "no text begins so");
    let public = rest.replace("RSA PRIVATE KEY", "CERTIFICATE");
    assert!(SCANNER.scan(&public, true, false).is_empty());
    let prose = "the key goes before the line -----END PRIVATE KEY----- and nothing behind it";
    assert!(SCANNER.scan(prose, true, false).is_empty());
}
