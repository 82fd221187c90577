//! Words, numbers and marks of a stretch of text.
//!
//! Invariant: tokens are in order, do not overlap, lie on character boundaries, and each byte is read once. Escapes of
//! JSON strings (`\n`, `\"`, `\u00e9`) are read as what they stand for.

use crate::lexicon::{AFTER_THING, FOREIGN, Flags, Hash, LAST, Lexicon, NAME, ORG, STREET, WORD};
use crate::steps::tick;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters, with hyphens and apostrophes inside.
    Word,
    /// Digits and what hangs on them.
    Number,
    /// One mark.
    Mark(u8),
    /// The end of a line, also an escaped one.
    Break,
    /// `'s` behind a name.
    Possessive,
    /// An identifier, a path, an address: letters with what no word has.
    Code,
}

/// How a word is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Lower,
    /// `Xxx`, also `McX`, `O'X`, `X-Y`.
    Capital,
    /// `XXX`.
    Upper,
    /// `X` or `X.`.
    Initial,
    /// `xxX`, `XxXx`.
    Mixed,
    /// Letters without case.
    Caseless,
}

/// A token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    /// In the text.
    pub start: usize,
    pub end: usize,
    pub kind: Kind,
    pub shape: Shape,
    pub flags: Flags,
    pub hash: Hash,
    /// A blank, or the start of the text, stands before it.
    pub space: bool,
    pub hyphen: bool,
    /// With the word that follows it is a known firm, law or thing.
    pub pair: bool,
}

impl Token {
    pub(crate) fn is(&self, flags: Flags) -> bool {
        self.kind == Kind::Word && self.flags & flags != 0
    }

    pub(crate) fn is_capital(&self) -> bool {
        self.kind == Kind::Word && matches!(self.shape, Shape::Capital | Shape::Upper)
    }

    pub(crate) fn is_mark(&self, mark: u8) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

/// Beginnings of names that have a capital inside.
const INNER: &[&str] = &[
    "Mc", "Mac", "De", "Di", "La", "Le", "Van", "Von", "Fitz", "Du", "Da", "El", "Al", "St", "O", "Mac", "Del", "Des",
    "Ten", "Mu", "Jo", "An", "Ja", "Le",
];

/// Whether a character belongs to words. Marks that combine do, in the scripts that need them.
pub(crate) fn is_letter(c: char) -> bool {
    c.is_alphabetic()
        || matches!(c as u32, 0x300..0x370 | 0x93c..0x950 | 0xe31..0xe4f | 0x591..0x5c8 | 0x64b..0x660 | 0x9bc..0x9d0 | 0xbbe..0xbd0)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    end: usize,
    lexicon: &'a Lexicon,
}

impl<'a> Reader<'a> {
    fn byte(&self, at: usize) -> u8 {
        if at < self.end { self.text.as_bytes().get(at).copied().unwrap_or(0) } else { 0 }
    }

    /// The character at `at`, and how many bytes of the text stand for it.
    fn char(&self, at: usize) -> Option<(char, usize)> {
        if at >= self.end {
            return None;
        }
        let b = self.byte(at);
        if b == b'\\' && self.byte(at + 1) == b'u' {
            let code = self.text.get(at + 2..at + 6).and_then(|hex| u32::from_str_radix(hex, 16).ok());
            return code.and_then(char::from_u32).filter(|c| *c as u32 >= 0x80).map(|c| (c, 6));
        }
        if b.is_ascii() {
            return Some((char::from(b), 1));
        }
        self.text.get(at..self.end)?.chars().next().map(|c| (c, c.len_utf8()))
    }

    fn letter(&self, at: usize) -> Option<(char, usize)> {
        self.char(at).filter(|(c, _)| is_letter(*c))
    }

    /// Reads a word that begins at `self.at`, with its hyphens and apostrophes.
    fn word(&mut self, space: bool, out: &mut Vec<Token>) {
        let start = self.at;
        let mut at = start;
        let mut whole = Hash::new();
        let mut part = Hash::new();
        let (mut part_start, mut part_letters, mut part_uppers) = (at, 0, 0);
        let mut flags_all: Option<Flags> = None;
        let (mut letters, mut uppers, mut caseless, mut inner, mut lower_part) = (0, 0, false, false, false);
        let mut first_upper = false;
        let mut hyphen = false;
        let mut possessive = None;
        let mut apostrophe = false;
        while let Some((c, width)) = self.letter(at) {
            let upper = c.is_uppercase();
            caseless |= !upper && !c.is_lowercase();
            if letters == 0 {
                first_upper = upper;
            } else if upper && part_letters > 0 {
                let head = self.text.get(part_start..at).unwrap_or_default();
                inner |= part_uppers < part_letters && !INNER.contains(&head);
            } else if !upper && part_uppers > 1 && part_uppers == part_letters {
                // `NSView`
                inner = true;
            } else if part_letters == 0 && !upper && hyphen {
                lower_part = true;
            }
            uppers += usize::from(upper);
            part_uppers += usize::from(upper);
            letters += 1;
            part_letters += 1;
            whole.push(c);
            part.push(c);
            at += width;
            tick(1);
            // What joins two parts of a word.
            if let Some((joint, mut joint_width)) = self.char(at)
                && matches!(joint, '-' | '\'' | '’' | '‐')
                && {
                    // "O''Shaughnessy", as in SQL.
                    joint_width += usize::from(letters == 1 && upper && joint == '\'' && self.byte(at + 1) == b'\'');
                    true
                }
                && let Some((next, next_width)) = self.letter(at + joint_width)
            {
                if matches!(joint, '-' | '‐') {
                    let flags = self.lexicon.get(part);
                    flags_all = Some(merge(flags_all, flags));
                    hyphen = true;
                    whole.push('-');
                } else if matches!(next, 's' | 'S') && self.letter(at + joint_width + next_width).is_none() {
                    possessive = Some((at, at + joint_width + next_width));
                    break;
                } else {
                    whole.push('\'');
                    apostrophe = true;
                }
                part = Hash::new();
                part_letters = 0;
                part_uppers = 0;
                at += joint_width;
                part_start = at;
            }
        }
        let end = at;
        let mut flags = self.lexicon.get(whole);
        if hyphen {
            let tail = self.lexicon.get(part);
            flags |= merge(flags_all, tail);
            // "Anne-Frank-Grundschule", "Baker-Zyste": the last part says what it is.
            if tail & (AFTER_THING | STREET | ORG) != 0 && tail & NAME == 0 {
                flags = flags & !NAME | WORD | AFTER_THING;
            }
            // "Hye-jin", but no "Turing-complete".
            let names =
                flags_all.is_some_and(|f| f & NAME != 0 || f == 0) && self.lexicon.get(part) & (NAME | WORD) == NAME;
            if !first_upper || lower_part && !names {
                flags = flags & !NAME | WORD;
            }
        } else if apostrophe && flags == 0 && first_upper {
            // O'Malley, D'Angelo; but not I'll.
            flags = if uppers > 1 { self.lexicon.get(part) & LAST | LAST } else { WORD };
        } else if apostrophe && flags == 0 {
            flags = WORD;
        }
        if flags == 0 && first_upper && ordinary(self.text.get(start..end).unwrap_or_default()) {
            flags = WORD;
        }
        let shape = if caseless && uppers == 0 {
            Shape::Caseless
        } else if uppers == 0 {
            Shape::Lower
        } else if letters == 1 {
            Shape::Initial
        } else if uppers == letters {
            Shape::Upper
        } else if first_upper && !inner {
            Shape::Capital
        } else {
            Shape::Mixed
        };
        self.at = possessive.map_or(end, |(_, end)| end);
        let mut token = Token { start, end, kind: Kind::Word, shape, flags, hash: whole, space, hyphen, pair: false };
        // An initial takes its dot along: "J. Roe", "J.R.R. Tolkien".
        if shape == Shape::Initial && self.byte(end) == b'.' && possessive.is_none() {
            token.end = end + 1;
            self.at = end + 1;
            out.push(token);
            return;
        }
        if self.joins_code(self.at) {
            self.at = self.code_end(self.at);
            token.kind = Kind::Code;
            token.end = self.at;
            token.flags = 0;
            out.push(token);
            return;
        }
        out.push(token);
        if let Some((start, end)) = possessive {
            out.push(Token { start, end, kind: Kind::Possessive, flags: 0, space: false, ..token });
        }
    }

    /// What stands at `at`, right behind letters, makes them a part of an identifier or address.
    fn joins_code(&self, at: usize) -> bool {
        let next = self.byte(at + 1);
        match self.byte(at) {
            b'_' | b'@' | b'$' | b'#' | b'0'..=b'9' | b'(' | b'{' | b'~' => true,
            b'.' => next.is_ascii_alphanumeric() || next == b'_',
            b':' => next == b':' || next == b'/' || next.is_ascii_alphabetic(),
            b'\\' => next.is_ascii_uppercase() || next == b'\\',
            b'/' => next.is_ascii_lowercase() || next.is_ascii_digit(),
            b'-' => next.is_ascii_digit(),
            _ => false,
        }
    }

    fn code_end(&self, mut at: usize) -> usize {
        while at < self.end
            && (self.byte(at).is_ascii_alphanumeric()
                || (matches!(
                    self.byte(at),
                    b'_' | b'.' | b':' | b'@' | b'/' | b'\\' | b'$' | b'#' | b'-' | b'~' | b'%' | b'+'
                ) && self.byte(at + 1) > b' '
                    && !matches!(self.byte(at + 1), b'"' | b',' | b')')))
        {
            tick(1);
            at += 1;
        }
        at
    }
}

/// Ends that make a long word, of which nothing is known, an ordinary one: no list has all forms.
const ENDS: &[&str] = &[
    "ing",
    "ings",
    "ied",
    "ated",
    "ized",
    "ised",
    "tion",
    "tions",
    "sion",
    "able",
    "ible",
    "ally",
    "fully",
    "ously",
    "ively",
    "ment",
    "ments",
    "ness",
    "izer",
    "izers",
    "izes",
    "ises",
    "ability",
    "ivity",
    "ology",
    "ware",
    "less",
    "wise",
    "tely",
    "ntly",
    "ably",
    "rly",
    "ung",
    "ungen",
    "heit",
    "keit",
    "schaft",
    "tät",
    "ismus",
    "ción",
    "ciones",
    "dade",
    "mente",
    "ção",
    "zione",
    "zioni",
    "heid",
    "ningen",
    "ingen",
    "ções",
    "dad",
    "dades",
    "miento",
    "mientos",
    "mento",
    "mentos",
    "mentu",
    "ità",
    "logia",
    "logía",
    "logie",
    "ität",
    "ierung",
    "ungs",
    "bericht",
    "zentrum",
    "antrag",
    "nummer",
    "dienst",
    "stelle",
    "protokoll",
    "gericht",
    "klinik",
    "anlage",
    "meldung",
    "vertrag",
    "schutz",
    "gesetz",
    "arbeit",
    "stunde",
    "stunden",
    "platz",
    "daten",
    "zeit",
    "ość",
    "ości",
    "anie",
    "ania",
    "enie",
    "enia",
    "stwo",
    "nych",
    "owej",
    "owego",
    "leri",
    "ları",
    "lari",
    "mesi",
    "ması",
    "lığı",
    "liği",
    "sında",
    "inde",
    "ning",
    "ningar",
    "else",
    "elser",
    "mötet",
    "möte",
    "het",
    "isten",
    "szeg",
    "ság",
    "ség",
    "sági",
    "ségi",
    "ului",
    "urilor",
    "ance",
    "ence",
    "iques",
    "ique",
    "eurs",
    "aire",
    "aires",
];

fn ordinary(word: &str) -> bool {
    let last = word.as_bytes().last();
    word.len() >= 8 && ENDS.iter().any(|end| end.as_bytes().last() == last && word.ends_with(end))
}

/// What is known of a word of several parts: a name only where each part is one, or unknown.
fn merge(before: Option<Flags>, flags: Flags) -> Flags {
    match before {
        None => flags,
        Some(before) => {
            let names = (before | flags) & NAME;
            let ordinary = (before | flags) & (WORD | FOREIGN);
            names | if before & NAME != 0 || flags & NAME != 0 { 0 } else { ordinary }
        }
    }
}

/// Marks the word before the one at `at` where both are a firm's: "Wells Fargo", "Johnson & Johnson", "Mann-Whitney".
fn pair(out: &mut [Token], at: usize, lexicon: &Lexicon) {
    let Some(second) = out.get(at).filter(|t| t.is_capital()).map(|t| (t.flags, t.hash)) else { return };
    let back = (1..=2).find(|n| {
        at.checked_sub(*n)
            .and_then(|i| out.get(i))
            .is_some_and(|t| *n == 2 || !(t.is_mark(b'&') || t.is_mark(b'-') || t.is(crate::lexicon::AND)))
    });
    if let Some(first) = back.and_then(|n| at.checked_sub(n)).and_then(|i| out.get_mut(i))
        && first.is_capital()
        && first.flags | second.0 != 0
    {
        first.pair = lexicon.pair(first.hash, second.1);
    }
}

/// Appends the tokens of `text[start..end]` to `out`.
pub(crate) fn read(text: &str, start: usize, end: usize, lexicon: &Lexicon, out: &mut Vec<Token>) {
    let mut reader = Reader { text, at: start, end: end.min(text.len()), lexicon };
    let mut space = true;
    while let Some((c, width)) = reader.char(reader.at) {
        tick(1);
        let at = reader.at;
        let mut token = Token {
            start: at,
            end: at + width,
            kind: Kind::Break,
            shape: Shape::Lower,
            flags: 0,
            hash: Hash::new(),
            space,
            hyphen: false,
            pair: false,
        };
        if is_letter(c) {
            let before = out.len();
            reader.word(space, out);
            if before > 0 {
                pair(out, before, lexicon);
            }
            space = false;
            continue;
        }
        if c == '\\' {
            let next = reader.byte(at + 1);
            let kind = match next {
                b'n' | b'r' => Some(Kind::Break),
                b't' => None,
                b'"' | b'\'' | b'/' | b'\\' => Some(Kind::Mark(next)),
                _ => Some(Kind::Mark(b'\\')),
            };
            let width = if matches!(next, b'n' | b'r' | b't' | b'"' | b'\'' | b'/' | b'\\') { 2 } else { 1 };
            reader.at += width;
            if let Some(kind) = kind {
                out.push(Token { kind, end: at + width, ..token });
            }
            space = kind.is_none() || kind == Some(Kind::Break);
            continue;
        }
        if c.is_whitespace() {
            reader.at += width;
            if matches!(c, '\n' | '\r') {
                out.push(token);
            } else if (c == '\t' || reader.byte(reader.at) == b' ')
                && !out.last().is_some_and(|t| {
                    matches!(t.kind, Kind::Break | Kind::Mark(b'\t' | b'.' | b'!' | b'?')) && t.start >= start
                })
            {
                // Columns: no name runs across.
                token.kind = Kind::Mark(b'\t');
                out.push(token);
            }
            space = true;
            continue;
        }
        if c.is_ascii_digit() {
            let mut end = at;
            while reader.byte(end).is_ascii_alphanumeric()
                || (matches!(reader.byte(end), b'.' | b':' | b',' | b'-' | b'_' | b'/' | b'@')
                    && reader.byte(end + 1).is_ascii_alphanumeric())
            {
                end += 1;
            }
            reader.at = end;
            out.push(Token { end, kind: Kind::Number, ..token });
            space = false;
            continue;
        }
        reader.at += width;
        let mark = match c {
            '“' | '”' | '„' | '«' | '»' => b'"',
            '‘' | '’' => b'\'',
            '–' | '—' => b'-',
            '…' => b'.',
            '•' | '·' => b'*',
            '，' | '、' => b',',
            '。' => b'.',
            c if c.is_ascii() => c as u8,
            _ => b'\x7f',
        };
        // `@name`, `#tag`, `$VAR`, `/path`: what follows is no word of prose.
        // But "-Jane" under a letter is.
        let signed = mark == b'-'
            && reader.byte(reader.at).is_ascii_uppercase()
            && reader.byte(reader.at + 1).is_ascii_lowercase();
        let needs_space = matches!(mark, b'/' | b'-' | b'.');
        if matches!(mark, b'@' | b'#' | b'$' | b'/' | b'_' | b'\\' | b'%' | b'.' | b'-' | b'~')
            && reader.byte(reader.at).is_ascii_alphanumeric()
            && (space || !needs_space)
            && !signed
        {
            reader.at = reader.code_end(reader.at);
            out.push(Token { end: reader.at, kind: Kind::Code, ..token });
            space = false;
            continue;
        }
        out.push(Token { kind: Kind::Mark(mark), ..token });
        space = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<(&str, Kind, Shape)> {
        let mut out = Vec::new();
        read(text, 0, text.len(), &Lexicon::new(), &mut out);
        out.iter().map(|t| (&text[t.start..t.end], t.kind, t.shape)).collect()
    }

    #[test]
    fn words_and_what_is_none() {
        use Kind::{Break, Code, Mark, Number, Possessive, Word};
        use Shape::{Capital, Initial, Lower, Upper};
        let all = tokens("Anne-Marie O'Neil's J. McX \\nfoo_bar a.b INFO 12:30, x");
        let kinds: Vec<_> = all.iter().map(|t| (t.0, t.1)).collect();
        assert_eq!(
            kinds,
            [
                ("Anne-Marie", Word),
                ("O'Neil", Word),
                ("'s", Possessive),
                ("J.", Word),
                ("McX", Word),
                ("\\n", Break),
                ("foo_bar", Code),
                ("a.b", Code),
                ("INFO", Word),
                ("12:30", Number),
                (",", Mark(b',')),
                ("x", Word),
            ]
        );
        assert_eq!([all[0].2, all[3].2, all[4].2, all[8].2, all[11].2], [Capital, Initial, Capital, Upper, Lower]);
    }

    #[test]
    fn escaped_letters_are_letters() {
        assert_eq!(tokens(r"M\u00fcller x")[0].0, r"M\u00fcller");
    }
}
