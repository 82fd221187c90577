//! Sizes, numbers, times and ids as people read them.
//!
//! Invariant: the text of these types consists of digits, fixed words and punctuation that mean nothing in HTML, or is
//! checked to be so ([`Id`]). That is why they may be written without escaping.

use std::fmt;

use askama::filters::HtmlSafe;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A size in bytes, shown in binary steps with decimal names' brevity: `3.2 KB`, `118 MB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
        if self.0 < 1024 {
            return write!(f, "{}\u{a0}B", self.0);
        }
        let mut whole = self.0;
        let mut rest = 0;
        let mut unit = "B";
        for name in UNITS {
            if whole < 1024 {
                break;
            }
            rest = whole % 1024;
            whole /= 1024;
            unit = name;
        }
        let tenths = rest * 10 / 1024;
        if whole < 10 && tenths > 0 {
            write!(f, "{whole}.{tenths}\u{a0}{unit}")
        } else {
            write!(f, "{whole}\u{a0}{unit}")
        }
    }
}

/// A number with its thousands set apart: `1,048,576`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

impl Count {
    /// Whether the noun beside it is in the singular.
    #[must_use]
    pub const fn is_one(self) -> bool {
        self.0 == 1
    }

    /// `""` for one, `"s"` for any other number.
    #[must_use]
    pub const fn s(self) -> &'static str {
        if self.0 == 1 { "" } else { "s" }
    }

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let lead = digits.len() % 3;
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && i % 3 == lead {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A moment, seen from `now`. Written as a `<time>` element: relative text, the absolute time in UTC on hover.
///
/// The relative text is made on the server, so that a page reads the same without scripts. A script can switch the
/// page to absolute times in the reader's zone; it works from the `datetime` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// The moment itself.
    pub at: Timestamp,
    /// The moment at which the page is made; the same for every time on one page.
    pub now: Timestamp,
}

impl When {
    /// `at`, seen from `now`.
    #[must_use]
    pub const fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    /// `just now`, `3 min ago`, `in 2 h`, `yesterday`, or the date where it lies more than a week off.
    #[must_use]
    pub fn relative(&self) -> String {
        let seconds = self.now.as_second().saturating_sub(self.at.as_second());
        let (span, past) = (seconds.unsigned_abs(), seconds >= 0);
        let amount = match span {
            0..45 => return if past { "just now" } else { "in a moment" }.to_owned(),
            45..3_570 => format!("{}\u{a0}min", (span + 30) / 60),
            3_570..84_600 => format!("{}\u{a0}h", (span + 1_800) / 3_600),
            84_600..604_800 => format!("{}\u{a0}d", (span + 43_200) / 86_400),
            _ => return self.zoned().strftime("%-d %b %Y").to_string(),
        };
        if past { format!("{amount} ago") } else { format!("in {amount}") }
    }

    /// `2026-03-04 03:12:09 UTC`.
    #[must_use]
    pub fn absolute(&self) -> String {
        self.zoned().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    /// `03:12:09`, in UTC.
    #[must_use]
    pub fn clock(&self) -> String {
        self.zoned().strftime("%H:%M:%S").to_string()
    }

    /// RFC 3339 in UTC, to the second.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        self.zoned().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn zoned(&self) -> jiff::Zoned {
        self.at.to_zoned(TimeZone::UTC)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<time datetime=\"{}\" title=\"{}\">{}</time>", self.rfc3339(), self.absolute(), self.relative())
    }
}

/// An id as it stands in URLs and forms. [`Id::short`] is what people see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(String);

impl Id {
    /// Keeps letters, digits, `-` and `_`, and drops everything else, so that an id is safe in a URL, an attribute and
    /// a selector.
    #[must_use]
    pub fn new(id: impl AsRef<str>) -> Self {
        Self(id.as_ref().chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect())
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last eight characters: of a UUID v7 the ones that differ between neighbours.
    #[must_use]
    pub fn short(&self) -> &str {
        let start = self.0.len().saturating_sub(8);
        self.0.get(start..).unwrap_or(&self.0)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a piece of work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are done.
    pub done: Bytes,
    /// Bytes in all; nothing where the length is unknown (a compressed upload).
    pub total: Option<Bytes>,
    /// How long the rest will take, in seconds, where that can be told.
    pub seconds_left: Option<u64>,
}

impl Progress {
    /// Whole per cent, where the total is known; never more than 100.
    #[must_use]
    pub fn percent(&self) -> Option<u64> {
        let total = self.total?.0;
        if total == 0 {
            return None;
        }
        let percent = u128::from(self.done.0) * 100 / u128::from(total);
        Some(u64::try_from(percent.min(100)).unwrap_or(100))
    }

    /// `about 40 s left`, `about 3 min left`, or nothing.
    #[must_use]
    pub fn left(&self) -> Option<String> {
        self.seconds_left.map(|seconds| match seconds {
            0..=90 => format!("about {seconds}\u{a0}s left"),
            91..=5_400 => format!("about {}\u{a0}min left", (seconds + 30) / 60),
            _ => format!("about {}\u{a0}h left", (seconds + 1_800) / 3_600),
        })
    }
}

impl HtmlSafe for Bytes {}
impl HtmlSafe for Count {}
impl HtmlSafe for When {}
impl HtmlSafe for Id {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn sizes_read_well() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KB"),
            (3277, "3.2 KB"),
            (10 * 1024 + 600, "10 KB"),
            (118 << 20, "118 MB"),
            (2 << 30, "2 GB"),
            (u64::MAX, "16383 PB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Bytes(bytes).to_string().replace('\u{a0}', " "), text);
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_048_576, "1,048,576")] {
            assert_eq!(Count(n).to_string(), text);
        }
    }

    #[test]
    fn times_are_relative_with_the_absolute_on_hover() {
        let now = at(1_772_000_000);
        let cases = [
            (0, "just now"),
            (-20, "in a moment"),
            (60, "1 min ago"),
            (3_569, "59 min ago"),
            (7_200, "2 h ago"),
            (-7_200, "in 2 h"),
            (3 * 86_400, "3 d ago"),
        ];
        for (ago, text) in cases {
            let when = When::new(at(1_772_000_000 - ago), now);
            assert_eq!(when.relative().replace('\u{a0}', " "), text, "{ago}");
        }
        assert_eq!(When::new(at(1_700_000_000), now).relative(), "14 Nov 2023");
        assert_eq!(
            When::new(at(1_700_000_000), now).to_string(),
            "<time datetime=\"2023-11-14T22:13:20Z\" title=\"2023-11-14 22:13:20 UTC\">14 Nov 2023</time>"
        );
    }

    #[test]
    fn progress_never_passes_a_hundred() {
        let progress = Progress { done: Bytes(30), total: Some(Bytes(20)), seconds_left: Some(200) };
        assert_eq!(progress.percent(), Some(100));
        assert_eq!(progress.left().unwrap().replace('\u{a0}', " "), "about 3 min left");
        assert_eq!(Progress { total: Some(Bytes(0)), ..progress }.percent(), None);
    }

    proptest! {
        #[test]
        fn unescaped_text_is_harmless(n: u64, id: String, a in -2_000_000_000i64..2_000_000_000, b in 0i64..2_000_000_000) {
            let harmless = |text: &str| !text.contains(['<', '>', '"', '\'', '&']);
            prop_assert!(harmless(&Bytes(n).to_string()));
            prop_assert!(harmless(&Count(n).to_string()));
            prop_assert!(harmless(&Id::new(&id).to_string()));
            let when = When::new(at(a), at(b));
            prop_assert!(harmless(&when.relative()) && harmless(&when.absolute()) && harmless(&when.rfc3339()));
        }

        #[test]
        fn grouping_keeps_the_number(n: u64) {
            prop_assert_eq!(Count(n).to_string().replace(',', "").parse::<u64>().unwrap(), n);
        }

        #[test]
        fn short_ids_end_the_long_ones(id in "[a-z0-9-]{0,40}") {
            let id = Id::new(&id);
            prop_assert!(id.as_str().ends_with(id.short()) && id.short().len() <= 8);
        }
    }
}
