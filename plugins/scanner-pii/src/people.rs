//! Names of people, behind cues alone.
//!
//! Invariant: a name is one to four words that begin with capitals, none of them a word of the trade; without a cue,
//! nothing is a name. Letters are Unicode's here, because names are; this runs only behind a cue.

use crate::kind::Kind;
use crate::names;
use crate::scan::Scan;
use crate::text::{BLANK, UPPER, WORD, is};
use crate::value::Value;
use crate::words::{List, Words};

/// How the words before a name bind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cue {
    /// One word suffices.
    One,
    /// A title, written with a capital: one word suffices ("15 ms. Use" has none).
    Title,
    /// Two words at least.
    Two,
}

pub(crate) const CUES: &[(&str, Cue)] = &[
    ("dear ", Cue::One),
    ("mr. ", Cue::Title),
    ("mr ", Cue::Title),
    ("frau ", Cue::Title),
    ("herr ", Cue::Title),
    ("herrn ", Cue::Title),
    ("madame ", Cue::Title),
    ("monsieur ", Cue::Title),
    ("señor ", Cue::Title),
    ("señora ", Cue::Title),
    ("signora ", Cue::Title),
    ("from: \"", Cue::Two),
    ("to: \"", Cue::Two),
    ("mrs. ", Cue::Title),
    ("mrs ", Cue::Title),
    ("ms. ", Cue::Title),
    ("dr. ", Cue::Title),
    ("prof. ", Cue::Title),
    ("my name is ", Cue::One),
    ("i am ", Cue::Two),
    ("i'm ", Cue::Two),
    ("this is ", Cue::Two),
    ("patient ", Cue::Two),
    ("customer ", Cue::Two),
    ("client ", Cue::Two),
    ("employee ", Cue::Two),
    ("attention ", Cue::Two),
    ("attn ", Cue::Two),
    ("attn: ", Cue::Two),
    ("regards, ", Cue::One),
    ("regards,\n", Cue::One),
    ("thanks, ", Cue::One),
    ("thanks,\n", Cue::One),
    ("thank you, ", Cue::One),
    ("cheers, ", Cue::One),
    ("sincerely, ", Cue::One),
    ("owner: ", Cue::Two),
    ("owner ", Cue::Two),
    ("engineer ", Cue::Two),
    ("holder ", Cue::Two),
    ("holder: ", Cue::Two),
    ("escalated to ", Cue::Two),
    ("assigned to ", Cue::Two),
    ("reported by ", Cue::Two),
    ("started by user ", Cue::Two),
    ("entered by ", Cue::Two),
    ("signed by ", Cue::Two),
    ("approved by ", Cue::Two),
    ("contact ", Cue::Two),
    ("contact: ", Cue::Two),
    ("call ", Cue::Two),
    ("colleague ", Cue::Two),
    ("manager ", Cue::Two),
    ("spoke with ", Cue::Two),
    ("spoke to ", Cue::Two),
    ("talked to ", Cue::Two),
    ("meeting with ", Cue::Two),
    ("number for ", Cue::Two),
    ("on behalf of ", Cue::Two),
];

/// Words of the trade, of the calendar and of organisations that are written with capitals.
const NO_NAMES: &[&str] = &[
    "apache",
    "free",
    "software",
    "foundation",
    "clerk",
    "university",
    "institute",
    "association",
    "committee",
    "council",
    "hospital",
    "school",
    "insurance",
    "kafka",
    "jenkins",
    "tomcat",
    "redis",
    "sentinel",
    "ansible",
    "tower",
    "rancher",
    "spring",
    "hibernate",
    "nginx",
    "docker",
    "kubernetes",
    "linux",
    "windows",
    "ubuntu",
    "server",
    "service",
    "services",
    "manager",
    "controller",
    "handler",
    "error",
    "exception",
    "default",
    "test",
    "user",
    "users",
    "admin",
    "system",
    "root",
    "cause",
    "athena",
    "java",
    "python",
    "google",
    "amazon",
    "azure",
    "microsoft",
    "oracle",
    "chrome",
    "mozilla",
    "internal",
    "unknown",
    "none",
    "null",
    "true",
    "false",
    "team",
    "support",
    "customer",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "cloud",
    "gateway",
    "cluster",
    "node",
    "database",
    "api",
    "http",
    "https",
    "the",
    "a",
    "this",
    "that",
    "all",
    "any",
    "no",
    "not",
    "yes",
    "please",
    "hello",
    "hi",
    "number",
    "id",
    "name",
    "data",
    "center",
    "portal",
    "bank",
    "inc",
    "ltd",
    "gmbh",
    "llc",
    "corp",
    "group",
    "company",
    "department",
    "office",
    "street",
    "avenue",
    "road",
    "north",
    "south",
    "east",
    "west",
    "new",
    "security",
    "network",
    "web",
    "app",
    "application",
    "job",
    "task",
    "worker",
    "pool",
    "queue",
    "engine",
    "platform",
    "elasticsearch",
    "grafana",
    "prometheus",
    "mongo",
    "mongodb",
    "postgres",
    "mysql",
    "terraform",
    "vault",
    "consul",
    "istio",
    "helm",
    "argo",
    "argocd",
    "gitlab",
    "github",
    "bitbucket",
    "jira",
    "confluence",
    "slack",
    "teams",
    "pagerduty",
    "splunk",
    "datadog",
    "sentry",
    "hikari",
    "zookeeper",
    "cassandra",
    "hadoop",
    "spark",
    "flink",
    "airflow",
    "celery",
    "rabbitmq",
    "activemq",
    "solr",
    "lucene",
    "maven",
    "gradle",
    "eureka",
    "zuul",
    "feign",
    "hystrix",
    "ribbon",
    "sleuth",
    "zipkin",
    "jaeger",
    "envoy",
    "traefik",
    "haproxy",
    "varnish",
    "memcached",
    "hazelcast",
    "ignite",
    "coherence",
    "websphere",
    "weblogic",
    "jboss",
    "wildfly",
    "jetty",
    "undertow",
    "netty",
    "vertx",
    "quarkus",
    "micronaut",
    "django",
    "flask",
    "fastapi",
    "rails",
    "laravel",
    "symfony",
    "express",
    "react",
    "angular",
    "vue",
    "swift",
    "kotlin",
    "scala",
    "rust",
    "android",
    "apple",
    "mac",
    "intel",
    "amd",
    "nvidia",
    "dell",
    "cisco",
    "juniper",
    "vmware",
    "debian",
    "fedora",
    "centos",
    "alpine",
    "bash",
    "status",
    "request",
    "response",
    "connection",
    "session",
    "account",
    "order",
    "invoice",
    "payment",
    "card",
    "email",
    "phone",
    "address",
    "date",
    "time",
    "version",
    "release",
    "build",
    "production",
    "staging",
    "development",
    "primary",
    "secondary",
    "master",
    "slave",
    "replica",
    "leader",
    "follower",
    "global",
    "local",
    "remote",
    "public",
    "private",
    "main",
    "backup",
];

static NO_NAMES_KNOWN: Words = Words::new(|| List::new(NO_NAMES));

/// Build what is built once; the first look-up would.
pub(crate) fn warm() {
    Words::force(&NO_NAMES_KNOWN);
}

const PARTICLES: &[&str] = &[
    "van", "von", "de", "der", "den", "di", "da", "del", "della", "la", "le", "du", "dos", "bin", "al", "ten", "ter",
    "zu",
];

/// Titles that belong to no name.
const TITLES: &[&str] = &["mr", "mrs", "ms", "miss", "dr", "prof", "sir", "herr", "frau", "mme", "m"];

/// The most words of a name.
const WORDS: usize = 4;

/// Where a name that begins at `at` ends, and of how many words it is.
pub(crate) fn name(scan: &Scan<'_>, at: usize) -> Option<(usize, usize, usize)> {
    let text = &scan.text;
    let limit = text.floor(at + 96);
    let rest = text.part(at, limit);
    text.tick(rest.len());
    let mut start = at;
    let mut end = at;
    let mut words = 0;
    let mut offset = 0;
    while words < WORDS {
        let word_text = rest.get(offset..)?;
        let length = word_text
            .char_indices()
            .find(|(_, c)| !(c.is_alphabetic() || matches!(c, '-' | '\'' | '’')))
            .map_or(word_text.len(), |(i, _)| i);
        let word = word_text.get(..length)?;
        // `Acme's`: the ending is no part of the name.
        let word = word
            .strip_suffix("'s")
            .or_else(|| word.strip_suffix("’s"))
            .unwrap_or(word)
            .trim_end_matches(['\'', '’', '-']);
        let lower = word.to_lowercase();
        let particle = PARTICLES.contains(&word) && words > 0;
        let first = word.chars().next();
        let initial = word.len() == 1 && word_text.get(1..2) == Some(".");
        let capital = first.is_some_and(char::is_uppercase);
        let acronym = word.len() > 2 && !word.chars().any(char::is_lowercase);
        if words == 0 && TITLES.contains(&lower.as_str()) {
            let skip = word.len() + usize::from(word_text.get(word.len()..word.len() + 1) == Some("."));
            if word_text.get(skip..skip + 1) != Some(" ") {
                return None;
            }
            offset += skip + 1;
            start = at + offset;
            continue;
        }
        if !particle && (!capital || acronym || NO_NAMES_KNOWN.has(word.as_bytes()) || (word.len() < 2 && !initial)) {
            // A capital word of the trade makes a product of the words before it.
            if capital && words > 0 && NO_NAMES_KNOWN.has(word.as_bytes()) {
                return None;
            }
            break;
        }
        let stop = offset + word.len() + usize::from(initial);
        if !particle {
            words += 1;
            end = at + stop;
        }
        if word.len() < length || rest.get(stop..stop + 1) != Some(" ") {
            break;
        }
        offset = stop + 1;
    }
    (words > 0 && end > start).then_some((start, end, words))
}

/// A literal of [`CUES`] stands at `start..end`.
pub(crate) fn cue(scan: &mut Scan<'_>, cue: Cue, start: usize, end: usize) {
    if is(scan.text.before(start), WORD) || (cue == Cue::Title && !is(scan.text.at(start), UPPER)) {
        return;
    }
    let at = scan.text.run(end, BLANK);
    // Columns stand further apart.
    if at > end + 1 {
        return;
    }
    let Some((start, end, words)) = name(scan, at) else {
        return;
    };
    let least = if cue == Cue::Two { 2 } else { 1 };
    let next = scan.text.at(end);
    if words < least
        || is(next, WORD)
        || next == b'('
        || next == b'/'
        || (next == b'.' && is(scan.text.at(end + 1), WORD))
    {
        return;
    }
    scan.emit(Kind::Person, start, end, if words > 1 { 0.8 } else { 0.6 }, false, "name behind a cue");
}

/// The value of a field for names. Where the field is `name` alone, only two words and more are somebody's.
pub(crate) fn field(scan: &mut Scan<'_>, found: Value, any: bool) {
    if found.join == crate::value::Join::Blank {
        return;
    }
    let Some((start, end, words)) = name(scan, found.start) else {
        return;
    };
    let next = scan.text.at(end);
    let whole = if found.quoted {
        end == found.end
    } else {
        matches!(next, b'\n' | b'\r' | 0 | b',' | b';' | b'|' | b'\t' | b' ' | b')' | b'&')
            || scan.text.has(end, ":mailto:")
    };
    if whole && words > usize::from(any) && !names::is_company(scan.text.part(start, end)) {
        scan.emit(Kind::Person, start, end, if words > 1 { 0.85 } else { 0.6 }, false, "field of a name");
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{nothing, one};

    #[test]
    fn names_behind_cues() {
        for (text, name) in [
            ("Dear Zoë, we", "Zoë"),
            ("\"name\":\"Marie-Søren Ødegård\"", "Marie-Søren Ødegård"),
            ("Name:    Deirdre O'Malley\nx", "Deirdre O'Malley"),
            ("I am Ludwig van Beethoven and", "Ludwig van Beethoven"),
            ("patient Mr. John Q. Adams,", "John Q. Adams"),
            ("first_name=Ada, x", "Ada"),
            ("assigned to Éloïse Bertrand.", "Éloïse Bertrand"),
        ] {
            assert_eq!(one(text, "PERSON"), name, "{text}");
        }
    }

    #[test]
    fn no_names() {
        for text in [
            "I am Jenkins Worker",
            "\"name\":\"nginx\"",
            "name=Kafka Consumer Group",
            "this is HTTP",
            "owner: Apache Kafka",
            "Dear Customer",
            "customer Service Portal",
            "call Foo.bar()",
            "name: orders",
            "thanks, all",
            "of 15 ms. Use it",
        ] {
            nothing(text);
        }
    }
}
