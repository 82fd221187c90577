//! The order of the passes over one window, and what they share.
//!
//! Invariant: hits are handled in ascending order, so that every "done up to here" mark only moves forward.

use crate::kind::{Group, Kind};
use crate::literals::{CUES, Cue, Hit, Literals, Start};
use crate::text::{ALPHA, HEX, Text, WORD, is};
use crate::{
    Finding, assign, auth, cards, cli, credentials, csv, email, encoded, grid, hashes, hosts, ids, jwt, network,
    numbers, payment, pem, people, phone, places, prose, segments, sql, syslog, url, users, vendors, worded,
};

/// One window being scanned.
pub(crate) struct Scan<'a> {
    pub text: Text<'a>,
    out: Vec<Finding>,
    cues: [Vec<usize>; CUES],
    /// Where at signs of URLs stand that end a user's part: no mail address has its at sign there.
    pub authority_ats: Vec<usize>,
    /// Up to where each matcher with a mark has come.
    pub key_done: usize,
    pub field_done: usize,
    pub cookie_done: usize,
    /// The end of the last bearer's token, and how often the word stood in it.
    pub bearer: (usize, usize),
    pub pem_done: usize,
    pub jwt_done: usize,
    pub host_done: usize,
    pub insert_done: usize,
    pub create_done: usize,
    pub segment_done: usize,
    pub encoded_done: usize,
    pub hash_done: usize,
    /// The end of the last line behind which a rule was looked for.
    pub rule_done: usize,
    pub card_done: usize,
    /// Where the last line ends that had options of programs, and how many.
    pub options: (usize, usize),
    pub manifest_done: usize,
    /// The tables that were created so far.
    pub tables: Vec<crate::sql::Table<'a>>,
    /// Where versions stand that look like addresses of networks.
    pub versions: Vec<(usize, usize)>,
    pub csv_done: usize,
    pub colon_done: usize,
    pub place_done: usize,
    pub quotes: crate::value::Quotes,
    /// The ends of values of fields that are not passed yet, and how many names led to each. Values end at quotes of a
    /// few kinds or with their word, so there are few.
    values: Vec<(usize, usize)>,
    pub groups: Vec<numbers::Group>,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(text: &'a str, continues_before: bool, continues_after: bool) -> Self {
        Self {
            text: Text::new(text, continues_before).continued(continues_after),
            out: Vec::new(),
            cues: [const { Vec::new() }; CUES],
            authority_ats: Vec::new(),
            key_done: 0,
            field_done: 0,
            cookie_done: 0,
            bearer: (0, 0),
            pem_done: 0,
            jwt_done: 0,
            host_done: 0,
            insert_done: 0,
            create_done: 0,
            segment_done: 0,
            encoded_done: 0,
            hash_done: 0,
            rule_done: usize::MAX,
            card_done: 0,
            options: (0, 0),
            manifest_done: 0,
            tables: Vec::new(),
            versions: Vec::new(),
            csv_done: 0,
            colon_done: 0,
            place_done: 0,
            quotes: crate::value::Quotes::default(),
            values: Vec::new(),
            groups: Vec::new(),
        }
    }

    pub(crate) fn run(&mut self, literals: &Literals) {
        let hits = literals.all(self.text.bytes());
        self.text.tick(self.text.len() + hits.len());
        for hit in &hits {
            if let Start::Cue(cue) = hit.what
                && self.is_word(cue, hit)
            {
                self.add_cue(cue, hit.end);
            }
        }
        pem::rest(self);
        for hit in hits {
            self.start(hit);
        }
        // Tables add cues behind those of the text.
        for ends in &mut self.cues {
            ends.sort_unstable();
        }
        self.versions.sort_unstable();
        self.classes();
    }

    fn start(&mut self, hit: Hit) {
        let Hit { start, end, what } = hit;
        match what {
            Start::Key => assign::key(self, start, end),
            Start::Cue(cue) => {
                // The name of a column, perhaps.
                if matches!(cue, Cue::Phone | Cue::Ssn | Cue::Nhs) {
                    csv::consider(self, start, end);
                }
            }
            Start::Vendor(index) => vendors::matched(self, index, start),
            Start::Pem => pem::matched(self, start, end),
            Start::Jwt => jwt::matched(self, start),
            Start::Url => url::matched(self, start, end),
            Start::AzureSecret => vendors::azure_secret(self, start),
            Start::Slack => vendors::slack(self, start),
            Start::SlackHook => vendors::slack_hook(self, start, end),
            Start::Bearer => auth::bearer(self, start, end),
            Start::Basic => auth::basic(self, start, end),
            Start::EncodedAt => email::at_sign(self, start, end - start),
            Start::EncodedPlus => phone::encoded_plus(self, end),
            Start::HostLabel => hosts::matched(self, start, end),
            Start::Home => users::home(self, start, end),
            Start::User(cue) => users::cue(self, cue, start, end),
            Start::Person(cue) => people::cue(self, cue, start, end),
            Start::Place => places::cue(self, start, end),
            Start::Birth => {
                csv::consider(self, start, end);
                ids::birth(self, start, end);
            }
            Start::Passport => {
                csv::consider(self, start, end);
                ids::passport(self, start, end);
            }
            Start::Insert => sql::insert(self, end),
            Start::CurlUser => auth::curl_user(self, end),
            Start::Secret => prose::bare_secret(self, end),
            Start::SecretPlugin => prose::plugin_secret(self, end),
            Start::Worded(index) => worded::matched(self, index, start, end),
            Start::Fields => csv::fields(self, start, end),
            Start::Copy => sql::copy(self, end),
            Start::SaslPlain => auth::sasl_plain(self, end),
            Start::Telegram => vendors::telegram(self, start, end),
            Start::MysqlPassword => auth::mysql_password(self, end),
            Start::OracleThin => url::oracle_thin(self, end),
            _ => self.start_of_record(hit),
        }
    }

    /// What records and commands begin with: rarer, and apart, so that the rest stays in the cache.
    #[inline(never)]
    fn start_of_record(&mut self, hit: Hit) {
        let Hit { start, end, what } = hit;
        match what {
            Start::Header => csv::consider(self, start, end),
            Start::Field => assign::record(self, start, end),
            Start::Record => grid::record(self, start),
            Start::Segment(index) => segments::segment(self, index, start),
            Start::Swift => segments::swift(self, start, end),
            Start::Statement => segments::statement(self, end),
            Start::Dicom => segments::dicom(self, start, end),
            Start::Gedcom => segments::gedcom(self, start, end),
            Start::Option(index) => cli::option(self, index, start, end),
            Start::Hash(index) => hashes::matched(self, index, start, end),
            Start::Passwd => hashes::passwd(self, start, end),
            Start::LoginCall => cli::login_call(self, end),
            Start::Dsn => cli::dsn(self, start),
            Start::Todo => users::todo(self, end),
            Start::Nick => users::nick(self, start),
            Start::By => users::by(self, end),
            Start::NetUse => cli::net_use(self, end),
            Start::Squid => users::before_bracket(self, start),
            Start::Lead(index) => credentials::matched(self, index, start, end),
            Start::RedisRule => cli::redis_rule(self, end),
            Start::Relay => cli::relay(self, end),
            Start::Process => syslog::process(self, start),
            Start::Program => syslog::program(self, start),
            Start::Versioned => syslog::versioned(self, end - 2),
            Start::Uid => users::before_bracket(self, start),
            Start::Cron => users::before_bracket(self, start),
            Start::Card => cards::card(self, end),
            Start::EncodedPem => encoded::pem(self, start),
            Start::Smtp(secret) => encoded::smtp(self, end, secret),
            Start::Manifest => encoded::manifest(self, start, end),
            Start::CookieJar => auth::cookie_jar(self, end),
            Start::Create => sql::create(self, end),
            _ => {}
        }
    }

    /// What no literal starts: digits and the marks within values, most of a log being neither.
    fn classes(&mut self) {
        self.authority_ats.sort_unstable();
        let (words, rest) = self.text.bytes().as_chunks::<8>();
        self.text.tick(self.text.len());
        let (mut n, mut next) = (0, 0);
        'words: while let Some(word) = words.get(n) {
            let begin = n * 8;
            let mut marks = marks(u64::from_le_bytes(*word)) & from_byte(next - begin);
            while marks != 0 {
                let place = marks.trailing_zeros() as usize / 8;
                let i = begin + place;
                // Most marks are in dates, paths and sentences, and are told here.
                let passed = match word.get(place) {
                    Some(b'/') => true,
                    Some(b'-') => self.text.at(i + 3) != b'-',
                    Some(b'.') => !is(self.text.at(i + 4), HEX),
                    _ => false,
                };
                if passed {
                    marks &= marks - 1;
                    continue;
                }
                next = self.class(i);
                if next - begin >= 8 {
                    n = next / 8;
                    continue 'words;
                }
                marks &= from_byte(next - begin);
            }
            n += 1;
            next = n * 8;
        }
        let end = words.len() * 8 + rest.len();
        while next < end {
            next = self.class(next);
        }
    }

    /// Looks at a digit or a mark; gives where to go on.
    #[inline(never)]
    fn class(&mut self, i: usize) -> usize {
        match self.text.at(i) {
            b'0'..=b'9' => numbers::at(self, i),
            b':' => network::colon(self, i),
            b'-' if self.text.at(i + 3) == b'-' => network::dash(self, i),
            b'.' if is(self.text.at(i + 4), HEX) => network::dot(self, i),
            b'@' => {
                email::at_sign(self, i, 1);
                users::mention(self, i);
                users::quoted_at(self, i);
                cli::remote(self, i);
                i + 1
            }
            _ => i + 1,
        }
    }

    /// A number begins at `i` after letters, as IBANs and insurance numbers do. Gives where to go on.
    pub(crate) fn lettered_number(&mut self, i: usize) -> usize {
        // Both have two letters, at the start of a word; most digits behind letters are parts of hashes.
        let start = i.saturating_sub(2);
        let letters = is(self.text.before(i), ALPHA) && is(self.text.at(start), ALPHA) && start + 2 == i;
        // `?31` of an account statement leads to the other account.
        let found = if letters && (self.text.starts_word(start) || self.text.has_before(start, "?31")) {
            payment::iban(self, i).or_else(|| ids::nino(self, i))
        } else {
            None
        };
        found.unwrap_or_else(|| self.text.run(i, WORD))
    }

    /// How many names, the one at `at` the last, have led to a value that ends at `end`: names inside a long value are
    /// not looked at for ever.
    pub(crate) fn value_again(&mut self, at: usize, end: usize) -> usize {
        self.text.tick(self.values.len());
        self.values.retain(|(end, _)| *end > at);
        if let Some((_, count)) = self.values.iter_mut().find(|(known, _)| *known == end) {
            *count += 1;
            return *count;
        }
        self.values.push((end, 1));
        1
    }

    /// Report a value. Empty ranges and ranges off character boundaries are no values.
    pub(crate) fn emit(
        &mut self,
        kind: Kind,
        start: usize,
        end: usize,
        confidence: f32,
        validated: bool,
        detector: &'static str,
    ) {
        let whole = self.text.str();
        if start < end && whole.is_char_boundary(start) && whole.is_char_boundary(end) {
            self.out.push(Finding { kind, start, end, confidence, validated, detector });
        }
    }

    /// Whether a column of versions has what stands at `at`.
    pub(crate) fn is_version(&self, at: usize) -> bool {
        let before = self.versions.partition_point(|(start, _)| *start <= at);
        before.checked_sub(1).and_then(|last| self.versions.get(last)).is_some_and(|(_, end)| at < *end)
    }

    /// How many values were reported so far.
    pub(crate) fn reported(&self) -> usize {
        self.out.len()
    }

    /// Take back what was reported since `mark`.
    pub(crate) fn retract(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    /// What was reported since `mark` is one value, which lies at `start..end` and further where it was found there.
    pub(crate) fn widen(&mut self, mark: usize, start: usize, end: usize) {
        self.out.truncate(mark + 1);
        if let Some(found) = self.out.get_mut(mark) {
            found.start = found.start.min(start);
            found.end = found.end.max(end);
        }
    }

    /// Whether a cue is a word of its own, or a part of a name as names are put together: no "telegram", "cancel", "machine".
    fn is_word(&self, cue: Cue, hit: &Hit) -> bool {
        if matches!(cue, Cue::Connection | Cue::Card) {
            return true;
        }
        let after = self.text.at(hit.end);
        let goes_on = after.is_ascii_lowercase() && after != b's' && self.text.at(hit.end - 1) != b' ';
        let (before, first) = (self.text.before(hit.start), self.text.at(hit.start));
        let short = hit.end - hit.start <= 5;
        // Account numbers and hashes have digits before their letters.
        let inside = short && before.is_ascii_digit()
            || short && before.is_ascii_alphabetic() && !(before.is_ascii_lowercase() && first.is_ascii_uppercase());
        !goes_on && !inside
    }

    /// A cue for what begins at `at`.
    pub(crate) fn add_cue(&mut self, cue: Cue, at: usize) {
        if let Some(ends) = self.cues.get_mut(cue as usize) {
            ends.push(at);
        }
    }

    /// How far before `at` the last such cue ended, where that is on the same line and within `limit` bytes.
    pub(crate) fn cue_before(&self, cue: Cue, at: usize, limit: usize) -> Option<usize> {
        let ends = self.cues.get(cue as usize)?;
        let last = ends.partition_point(|end| *end <= at).checked_sub(1)?;
        let end = *ends.get(last)?;
        let between = at - end;
        if between > limit {
            return None;
        }
        self.text.tick(between + 1);
        let same_line = !self.text.slice(end, at).contains(&b'\n');
        same_line.then_some(between)
    }

    /// The findings in their order, without those that another covers with better evidence.
    pub(crate) fn finish(self) -> Vec<Finding> {
        let mut out = self.out;
        let rank = |f: &Finding| {
            let specific =
                !matches!(f.kind, Kind::GenericSecret | Kind::Password | Kind::ConnectionString | Kind::BearerToken);
            (specific, f.validated)
        };
        out.sort_by(|a, b| {
            (a.start, std::cmp::Reverse(a.end))
                .cmp(&(b.start, std::cmp::Reverse(b.end)))
                .then_with(|| rank(b).cmp(&rank(a)))
        });
        let mut kept: Vec<Finding> = Vec::with_capacity(out.len());
        for finding in out {
            let covered = kept.last().is_some_and(|last| covers(last, &finding));
            if covered {
                continue;
            }
            // A general finding gives way to a specific one of the same range or more; of the same start and less, it
            // stays, because more would be masked.
            kept.push(finding);
        }
        kept
    }
}

/// The highest bit of each of eight bytes that is `@` or from `-` to `:`, which are the digits and the marks that
/// [`Scan::class`] looks at, and a slash.
const fn marks(word: u64) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    let low = word & each(0x7f);
    let from_dash = low + each(0x80 - b'-');
    let behind_colon = low + each(0x80 - b':' - 1);
    let no_at = (low ^ each(b'@')) + each(0x7f);
    ((from_dash & !behind_colon) | !no_at) & !word & each(0x80)
}

/// All bits of the bytes from `place` on, which is below eight.
const fn from_byte(place: usize) -> u64 {
    u64::MAX << ((place & 7) * 8)
}

/// Whether `inner` says nothing that `outer` does not: same range and group, or a part of a secret.
fn covers(outer: &Finding, inner: &Finding) -> bool {
    if inner.start < outer.start || inner.end > outer.end {
        return false;
    }
    let same_range = inner.start == outer.start && inner.end == outer.end;
    match (outer.kind.group(), inner.kind.group()) {
        (Group::Secret, _) => true,
        (a, b) => inner.kind == outer.kind || (same_range && a == b && !inner.validated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_what_is_looked_at() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut bytes = [b'A'; 8];
                bytes[place] = byte;
                let expected = if matches!(byte, b'-'..=b':' | b'@') { 0x80 << (place * 8) } else { 0 };
                assert_eq!(marks(u64::from_le_bytes(bytes)), expected, "{byte} at {place}");
            }
        }
    }
}
