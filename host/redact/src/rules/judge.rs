//! What becomes of findings under the rules.
//!
//! Invariant: a finding is let through where a range that [`SCANNER`] allowed holds all of it, where its type was switched
//! off, or where its confidence is below the threshold; everything else is masked. What is masked stays masked even
//! where an allowed range lies within it.

use std::fmt;

use crate::rules::{Rules, SCANNER};
use crate::{Finding, Kind};

/// The reason that [`SCANNER`] gives for a value of the deny list.
const DENIED: &str = "deny list";

/// What a finding comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is masked.
    Masked,
    /// A rule of the organisation lets it through.
    Allowed,
    /// It is less sure than its type's threshold.
    Below(f32),
    /// Its type was switched off.
    Off,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Masked => formatter.write_str("masked"),
            Self::Allowed => formatter.write_str("allowed by a rule"),
            Self::Below(least) => write!(formatter, "below the threshold of {least}"),
            Self::Off => formatter.write_str("of a type that is switched off"),
        }
    }
}

impl Rules {
    /// What each finding of a window comes to. What only marks an allowed range is none.
    #[must_use]
    pub fn judge(&self, findings: Vec<Finding>) -> Vec<(Finding, Verdict)> {
        let marks = |finding: &Finding| finding.kind == Kind::ALLOWED && finding.scanner == SCANNER;
        let (allowed, findings): (Vec<Finding>, Vec<Finding>) = findings.into_iter().partition(marks);
        let allowed = Ranges::new(&allowed);
        let verdict = |finding: &Finding| {
            // What is always masked is, whatever else is allowed.
            if finding.scanner == SCANNER && finding.detector == DENIED {
                return Verdict::Masked;
            }
            let threshold = self.thresholds.get(finding.kind.as_str()).copied().unwrap_or(self.default_threshold);
            if allowed.hold(finding) {
                Verdict::Allowed
            } else if self.disabled.contains(&finding.kind) {
                Verdict::Off
            } else if finding.confidence() < threshold {
                Verdict::Below(threshold)
            } else {
                Verdict::Masked
            }
        };
        findings.into_iter().map(|finding| (verdict(&finding), finding)).map(|(v, f)| (f, v)).collect()
    }

    /// The findings that are masked.
    #[must_use]
    pub fn masked(&self, findings: Vec<Finding>) -> Vec<Finding> {
        let judged = self.judge(findings).into_iter();
        judged.filter(|(_, verdict)| *verdict == Verdict::Masked).map(|(finding, _)| finding).collect()
    }
}

/// Ranges in the order of their starts, each with the furthest end so far.
struct Ranges(Vec<(usize, usize)>);

impl Ranges {
    fn new(findings: &[Finding]) -> Self {
        let mut ranges: Vec<(usize, usize)> = findings.iter().map(|one| (one.start, one.end)).collect();
        ranges.sort_unstable();
        let mut reach = 0;
        for (_, end) in &mut ranges {
            reach = reach.max(*end);
            *end = reach;
        }
        Self(ranges)
    }

    /// Whether one of them holds all of it. The one that reaches furthest of those that begin before it does, if any.
    fn hold(&self, finding: &Finding) -> bool {
        let next = self.0.partition_point(|(start, _)| *start <= finding.start);
        next.checked_sub(1).and_then(|last| self.0.get(last)).is_some_and(|(_, reach)| *reach >= finding.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::strategies::plain;

    fn allowed(start: usize, end: usize, scanner: &str) -> Finding {
        Finding { scanner: scanner.to_owned(), ..plain("ALLOWED", start, end) }
    }

    #[test]
    fn only_our_own_scanner_lets_through() {
        let rules = Rules::default();
        let mail = plain("EMAIL", 3, 9);
        assert_eq!(rules.masked(vec![mail.clone(), allowed(3, 9, SCANNER)]), []);
        assert_eq!(rules.masked(vec![mail.clone(), allowed(0, 20, SCANNER), allowed(1, 2, SCANNER)]), []);
        assert_eq!(rules.masked(vec![mail.clone(), allowed(4, 9, SCANNER)]).len(), 1);
        assert_eq!(rules.masked(vec![mail.clone(), allowed(3, 9, "theirs")]).len(), 2);
    }

    #[test]
    fn what_is_always_masked_is() {
        let rules = Rules::parse("x", "[thresholds]\nCODENAME = 1.0\n[scanner]\ndisabled = ['CODENAME']").unwrap();
        let deny = |detector: &str, scanner: &str| Finding {
            detector: detector.to_owned(),
            scanner: scanner.to_owned(),
            ..plain("CODENAME", 3, 9)
        };
        assert_eq!(rules.masked(vec![deny(DENIED, SCANNER), allowed(0, 20, SCANNER)]).len(), 1);
        assert_eq!(rules.masked(vec![deny(DENIED, "theirs"), allowed(0, 20, SCANNER)]), []);
    }

    #[test]
    fn thresholds_and_switches() {
        let rules =
            Rules::parse("x", "[thresholds]\nPERSON = 0.6\ndefault = 0.4\n[scanner]\ndisabled = ['MAC']").unwrap();
        let verdicts: Vec<Verdict> = rules
            .judge(vec![plain("PERSON", 0, 3), plain("EMAIL", 4, 6), plain("MAC", 7, 9)])
            .into_iter()
            .map(|(_, verdict)| verdict)
            .collect();
        assert_eq!(verdicts, [Verdict::Below(0.6), Verdict::Masked, Verdict::Off]);
    }
}
