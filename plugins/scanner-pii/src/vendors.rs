//! Keys whose prefix names the service that issued them.
//!
//! Invariant: prefix, alphabet and length all have to fit; a prefix alone is never a finding. Formats follow the
//! services' own documentation; where one promises no length, a range is taken that no word of prose reaches.

use crate::kind::Kind;
use crate::scan::Scan;
use crate::text::{ALNUM, BASE64, BASE64URL, Class, DOTTED, HEX, UPPER, WORD, is};

/// One format.
pub(crate) struct Vendor {
    /// As it is spelled.
    pub prefix: &'static str,
    kind: Kind,
    /// What follows the prefix.
    body: Class,
    /// How many bytes follow, both ends included.
    min: usize,
    max: usize,
    detector: &'static str,
}

const fn vendor(
    prefix: &'static str,
    kind: Kind,
    body: Class,
    min: usize,
    max: usize,
    detector: &'static str,
) -> Vendor {
    Vendor { prefix, kind, body, min, max, detector }
}

/// No key is longer; longer runs are data.
const MAX: usize = 512;

use Kind::{AnthropicKey, AwsAccessKey, GcpApiKey, GithubToken, GitlabToken, OpenaiKey, OtherApiKey, StripeKey};

pub(crate) static VENDORS: &[Vendor] = &[
    vendor("AKIA", AwsAccessKey, ALNUM, 16, 16, "aws access key id"),
    vendor("ASIA", AwsAccessKey, ALNUM, 16, 16, "aws access key id"),
    vendor("ABIA", AwsAccessKey, ALNUM, 16, 16, "aws access key id"),
    vendor("ACCA", AwsAccessKey, ALNUM, 16, 16, "aws access key id"),
    vendor("ABSK", OtherApiKey, BASE64, 100, 300, "bedrock key"),
    vendor("AIza", GcpApiKey, BASE64URL, 35, 35, "google api key"),
    vendor("GOCSPX-", GcpApiKey, BASE64URL, 24, 40, "google client secret"),
    vendor("ya29.", GcpApiKey, DOTTED, 24, MAX, "google access token"),
    vendor("ghp_", GithubToken, ALNUM, 36, 255, "github token"),
    vendor("gho_", GithubToken, ALNUM, 36, 255, "github token"),
    vendor("ghu_", GithubToken, ALNUM, 36, 255, "github token"),
    vendor("ghs_", GithubToken, DOTTED, 36, MAX, "github token"),
    vendor("ghr_", GithubToken, ALNUM, 36, 255, "github token"),
    vendor("github_pat_", GithubToken, WORD, 60, 255, "github fine-grained token"),
    vendor("glpat-", GitlabToken, DOTTED, 20, MAX, "gitlab token"),
    vendor("glptt-", GitlabToken, DOTTED, 20, MAX, "gitlab token"),
    vendor("gldt-", GitlabToken, DOTTED, 20, MAX, "gitlab token"),
    vendor("glrt-", GitlabToken, DOTTED, 20, MAX, "gitlab token"),
    vendor("glrtr-", GitlabToken, DOTTED, 20, MAX, "gitlab token"),
    vendor("glcbt-", GitlabToken, DOTTED, 20, MAX, "gitlab token"),
    vendor("glft-", GitlabToken, DOTTED, 20, MAX, "gitlab token"),
    vendor("glsoat-", GitlabToken, DOTTED, 20, MAX, "gitlab token"),
    vendor("glimt-", GitlabToken, DOTTED, 20, MAX, "gitlab token"),
    vendor("glagent-", GitlabToken, DOTTED, 20, MAX, "gitlab token"),
    vendor("gloas-", GitlabToken, DOTTED, 20, MAX, "gitlab token"),
    vendor("glffct-", GitlabToken, DOTTED, 20, MAX, "gitlab token"),
    vendor("sk_live_", StripeKey, ALNUM, 10, 250, "stripe key"),
    vendor("rk_live_", StripeKey, ALNUM, 10, 250, "stripe key"),
    vendor("sk_test_", StripeKey, ALNUM, 10, 250, "stripe key"),
    vendor("rk_test_", StripeKey, ALNUM, 10, 250, "stripe key"),
    vendor("whsec_", StripeKey, BASE64, 24, 120, "stripe webhook secret"),
    vendor("sk-ant-", AnthropicKey, BASE64URL, 20, 250, "anthropic key"),
    vendor("sk-", OpenaiKey, BASE64URL, 20, 300, "openai key"),
    vendor("SG.", OtherApiKey, DOTTED, 60, 72, "sendgrid key"),
    vendor("npm_", OtherApiKey, ALNUM, 36, 36, "npm token"),
    vendor("pypi-AgE", OtherApiKey, BASE64URL, 50, MAX, "pypi token"),
    vendor("dop_v1_", OtherApiKey, HEX, 64, 64, "digitalocean token"),
    vendor("doo_v1_", OtherApiKey, HEX, 64, 64, "digitalocean token"),
    vendor("shpat_", OtherApiKey, HEX, 32, 32, "shopify token"),
    vendor("shpss_", OtherApiKey, HEX, 32, 32, "shopify secret"),
    vendor("shpca_", OtherApiKey, HEX, 32, 32, "shopify token"),
    vendor("hf_", OtherApiKey, ALNUM, 30, 50, "hugging face token"),
    vendor("glsa_", OtherApiKey, WORD, 36, 60, "grafana token"),
    vendor("glc_", OtherApiKey, BASE64, 32, 400, "grafana token"),
    vendor("lin_api_", OtherApiKey, ALNUM, 40, 40, "linear key"),
    vendor("sq0atp-", OtherApiKey, BASE64URL, 22, 22, "square token"),
    vendor("sq0csp-", OtherApiKey, BASE64URL, 43, 43, "square secret"),
    vendor("dapi", OtherApiKey, HEX, 32, 32, "databricks token"),
    vendor("hvs.", OtherApiKey, BASE64URL, 24, 300, "vault token"),
    vendor("hvb.", OtherApiKey, BASE64URL, 100, 300, "vault token"),
    vendor("NRAK-", OtherApiKey, ALNUM, 27, 27, "new relic key"),
    vendor("PMAK-", OtherApiKey, BASE64URL, 59, 59, "postman key"),
    vendor("rubygems_", OtherApiKey, HEX, 48, 48, "rubygems key"),
    vendor("sbp_", OtherApiKey, HEX, 40, 40, "supabase token"),
    vendor("dckr_pat_", OtherApiKey, BASE64URL, 27, 36, "docker token"),
    vendor("dp.pt.", OtherApiKey, ALNUM, 40, 44, "doppler token"),
    vendor("dp.st.", OtherApiKey, DOTTED, 40, 80, "doppler token"),
    vendor("figd_", OtherApiKey, BASE64URL, 40, 50, "figma token"),
    vendor("ntn_", OtherApiKey, ALNUM, 40, 50, "notion token"),
    vendor("ATATT3", OtherApiKey, BASE64, 150, 250, "atlassian token"),
    vendor("ATBB", OtherApiKey, ALNUM, 32, 32, "bitbucket password"),
    vendor("gsk_", OtherApiKey, ALNUM, 48, 60, "groq key"),
    vendor("r8_", OtherApiKey, ALNUM, 37, 37, "replicate token"),
    vendor("pplx-", OtherApiKey, ALNUM, 40, 60, "perplexity key"),
    vendor("xai-", OtherApiKey, ALNUM, 70, 90, "xai key"),
    vendor("tskey-", OtherApiKey, BASE64URL, 20, 80, "tailscale key"),
    vendor("AGE-SECRET-KEY-1", OtherApiKey, ALNUM, 58, 58, "age key"),
    vendor("sntrys_", OtherApiKey, BASE64, 60, MAX, "sentry token"),
    vendor("sntryu_", OtherApiKey, HEX, 64, 64, "sentry token"),
    vendor("pul-", OtherApiKey, HEX, 40, 40, "pulumi token"),
    vendor("EAACEdEose0cBA", OtherApiKey, ALNUM, 20, MAX, "facebook token"),
    vendor("key-", OtherApiKey, HEX, 32, 32, "mailgun key"),
    vendor("PRIVATE-TOKEN-", OtherApiKey, BASE64URL, 20, 60, "private token"),
    vendor("CCIPAT_", OtherApiKey, WORD, 40, 80, "circleci token"),
    vendor("FLWSECK", OtherApiKey, BASE64URL, 32, 60, "flutterwave key"),
    vendor("live_", OtherApiKey, ALNUM, 30, 60, "service key"),
    vendor("nvapi-", OtherApiKey, BASE64URL, 60, 80, "nvidia key"),
    vendor("secret_", OtherApiKey, ALNUM, 43, 43, "notion token"),
    vendor("oy2", OtherApiKey, ALNUM, 43, 43, "nuget key"),
    vendor("phc_", OtherApiKey, ALNUM, 43, 43, "posthog key"),
    vendor("phx_", OtherApiKey, ALNUM, 43, 48, "posthog key"),
    vendor("EZAK", OtherApiKey, ALNUM, 54, 54, "easypost key"),
    vendor("xkeysib-", OtherApiKey, BASE64URL, 64, 90, "brevo key"),
    vendor("rdme_", OtherApiKey, ALNUM, 70, 70, "readme key"),
    vendor("v1.0-", OtherApiKey, HEX, 140, 200, "cloudflare origin key"),
];

/// A literal of [`VENDORS`] stands at `start`.
pub(crate) fn matched(scan: &mut Scan<'_>, index: usize, start: usize) {
    let Some(vendor) = VENDORS.get(index) else {
        return;
    };
    let text = &scan.text;
    let body = start + vendor.prefix.len();
    if text.slice(start, body) != vendor.prefix.as_bytes() || !text.starts_word(start) {
        return;
    }
    let mut end = text.run(body, vendor.body);
    // A dot or dash at the end is the sentence's.
    while end > body && matches!(text.at(end - 1), b'.' | b'-') && vendor.body == DOTTED {
        end -= 1;
    }
    let length = end - body;
    if length < vendor.min || length > vendor.max {
        return;
    }
    let value = text.slice(body, end);
    let (kind, validated) = match vendor.kind {
        AwsAccessKey => {
            if !value.iter().all(|b| is(*b, UPPER) || is(*b, crate::text::DIGIT)) {
                return;
            }
            (vendor.kind, true)
        }
        GithubToken if vendor.body == ALNUM => (vendor.kind, crc_fits(value)),
        OpenaiKey => match openai(value) {
            Some(found) => found,
            None => return,
        },
        _ => {
            if !mixed(value) {
                return;
            }
            (vendor.kind, true)
        }
    };
    let confidence = if validated { 0.99 } else { 0.95 };
    scan.emit(kind, start, end, confidence, validated, vendor.detector);
}

/// Letters and digits both, and not one letter over and over: no placeholder.
fn mixed(value: &[u8]) -> bool {
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    let letters = value.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let steps = value.array_windows::<2>().filter(|[a, b]| a.is_ascii_uppercase() != b.is_ascii_uppercase()).count();
    // Letters alone, where small and large ones follow each other as no words do.
    digits > 0 && letters > 0 && distinct(value) >= 8
        || letters == value.len() && letters >= 30 && steps * 3 >= letters && distinct(value) > 12
}

/// How many different bytes there are.
pub(crate) fn distinct(value: &[u8]) -> u32 {
    value.iter().fold(0_u128, |seen, b| seen | 1 << (b & 0x7f)).count_ones()
}

/// `sk-` begins keys of OpenAI and of services that copied the form.
fn openai(value: &[u8]) -> Option<(Kind, bool)> {
    if value.starts_with(b"ant-") || !mixed(value) {
        return None;
    }
    let marked = value.windows(8).any(|w| w == b"T3BlbkFJ");
    if value.starts_with(b"or-v1-") || value.starts_with(b"lf-") {
        return Some((OtherApiKey, true));
    }
    let known =
        [&b"proj-"[..], b"svcacct-", b"admin-", b"None-", b"service-"].iter().any(|prefix| value.starts_with(prefix));
    if marked || known {
        return Some((OpenaiKey, true));
    }
    let plain = value.iter().all(u8::is_ascii_alphanumeric);
    (plain && value.len() >= 32).then_some((OpenaiKey, false))
}

/// GitHub's checksum: the last six characters are the CRC-32 of those before, in base 62. Old tokens lack it, so it
/// decides the confidence alone.
fn crc_fits(body: &[u8]) -> bool {
    let Some((random, check)) = body.split_last_chunk::<6>() else {
        return false;
    };
    let mut crc = u32::MAX;
    for byte in random {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let mut crc = !crc;
    check.iter().rev().all(|expected| {
        let digit = (crc % 62) as u8;
        crc /= 62;
        let digit = match digit {
            0..=9 => b'0' + digit,
            10..=35 => b'A' + digit - 10,
            _ => b'a' + digit - 36,
        };
        digit == *expected
    })
}

/// `q~` stands at `start`: an Azure client secret has it after three characters and a digit.
pub(crate) fn azure_secret(scan: &mut Scan<'_>, at: usize) {
    let text = &scan.text;
    let token = |b: u8| is(b, BASE64URL) || matches!(b, b'~' | b'.');
    let Some(start) = at.checked_sub(4) else {
        return;
    };
    if text.slice(at, at + 2) != b"Q~"
        || !text.at(at - 1).is_ascii_digit()
        || !text.slice(start, at - 1).iter().all(|b| token(*b))
        || token(text.before(start)) && !text.after_escape(start)
    {
        return;
    }
    let tail = text.slice(at + 2, at + 2 + 36);
    let length = tail.iter().position(|b| !token(*b)).unwrap_or(tail.len());
    text.tick(length);
    if (31..=34).contains(&length) {
        scan.emit(Kind::AzureKey, start, at + 2 + length, 0.99, true, "azure client secret");
    }
}

/// `xox` or `xapp-` stands at `start`.
pub(crate) fn slack(scan: &mut Scan<'_>, start: usize) {
    let text = &scan.text;
    if !text.starts_word(start) {
        return;
    }
    let end = text.run(start, DOTTED);
    let value = text.slice(start, end.min(start + 300));
    let dash = value.iter().position(|b| *b == b'-').unwrap_or(0);
    let named = (value.starts_with(b"xox") && (4..=10).contains(&dash)) || value.starts_with(b"xapp-");
    if named && value.len() - dash > 12 && mixed(value) {
        let end = if text.at(end - 1) == b'.' && !text.is_cut(end) { end - 1 } else { end };
        scan.emit(Kind::SlackToken, start, end, 0.99, true, "slack token");
    }
}

/// `hooks.slack.com/` stands at `start`: whoever has the address can post.
pub(crate) fn slack_hook(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    if !["services/", "workflows/", "triggers/"].iter().any(|path| text.has(end, path)) {
        return;
    }
    let stop = text.run(end, BASE64);
    if stop - end < 30 {
        return;
    }
    let begin = ["https://", "http://"]
        .iter()
        .find(|scheme| text.has_before(start, scheme))
        .map_or(start, |scheme| start - scheme.len());
    scan.emit(Kind::SlackToken, begin, stop, 0.99, true, "slack webhook");
}

/// `:AA` stands at `start..end`: tokens of Telegram's bots have the bot's number before it.
pub(crate) fn telegram(scan: &mut Scan<'_>, start: usize, end: usize) {
    let text = &scan.text;
    let number = text.run_back(start, crate::text::DIGIT, 11);
    let stop = text.run(end, BASE64URL);
    let fits =
        (8..=10).contains(&(start - number)) && text.slice(start, end) == b":AA" && (32..=34).contains(&(stop - end));
    // In a URL the word `bot` stands right before.
    let begins = text.starts_word(number) || text.has_before(number, "/bot");
    if fits && begins && mixed(text.slice(end, stop)) {
        scan.emit(OtherApiKey, number, stop, 0.97, true, "telegram bot token");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{found, nothing, one};

    #[test]
    fn letters_alone() {
        let token = "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";
        assert_eq!(one(token, "OTHER_API_KEY"), token);
        nothing("hf_YourTokenGoesHereYourTokenGoesHere");
    }

    #[test]
    fn the_checksum_of_a_real_format() {
        // The example of GitHub's own documentation on token formats, body of `ghp_`.
        assert!(crc_fits(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"));
        assert!(!crc_fits(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18"));
    }

    #[test]
    fn keys_are_found_whole() {
        for (key, kind) in [
            ("AKIAIOSFODNN7EXAMPLE", "AWS_ACCESS_KEY"),
            ("xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx", "SLACK_TOKEN"),
            ("sk-ant-api03-abcDEF0123456789_-abcDEF", "ANTHROPIC_KEY"),
            ("glpat-a1B2c3D4e5F6g7H8i9J0", "GITLAB_TOKEN"),
            ("110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "OTHER_API_KEY"),
            ("abc8Q~0123456789abcdefghijklmnopqrstu", "AZURE_KEY"),
        ] {
            for text in [format!("x {key} y"), format!("\\n{key}"), format!("a=\"{key}\".")] {
                assert_eq!(one(&text, kind), key, "{text}");
            }
            assert!(found(&format!("word{key}"), kind).is_empty(), "glued {key}");
        }
    }

    #[test]
    fn prefixes_alone_are_nothing() {
        for text in [
            "sk-learn-something-very-long-indeed",
            "task-0123456789abcdef0123456789",
            "AKIA",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ] {
            assert!(crate::testing::all(text).is_empty(), "{text}");
        }
    }
}
