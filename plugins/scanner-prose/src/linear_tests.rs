//! Time is linear whatever the text holds: the work is counted, not clocked.

use crate::steps;
use crate::testing::SCANNER;

/// What hostile texts are made of: everything that begins, joins or ends a name, an address or a date.
const PIECES: &[&str] = &[
    "a",
    "A",
    "Aa ",
    "Aa",
    "Aa-",
    "Aa'",
    "Aa, ",
    "Aa, Bb",
    "A. ",
    "A.",
    "AA ",
    "Jane ",
    "Jane",
    "Jane Roe ",
    "Jane Roe, ",
    "Roe, Jane ",
    "Jane van der ",
    "van ",
    "de la ",
    "Dr. ",
    "Dr ",
    "Mr. Roe ",
    "Jane Roe's ",
    "Dear Jane,\n",
    "Jane\n",
    "\n",
    " ",
    "\t",
    "  ",
    "\\n",
    "\\n\\n",
    "\\",
    "\\u00e9",
    "\\u00e9a",
    "M\\u00fcller ",
    "É",
    "Élan ",
    "é",
    "1",
    "1 ",
    "1, ",
    "12 Oak ",
    "12 Oak Street, ",
    "12 Oak Street ",
    "Flat 2, ",
    "Flat 2, 14 ",
    "Hauptstraße 5, ",
    "Hauptstraße ",
    "Hauptstraße 5, 10115 ",
    "rue de la ",
    "12 rue ",
    "12 rue de ",
    "Calle Mayor 5, ",
    "Via ",
    "Via Roma ",
    "ul. ",
    "PO Box 1, ",
    "Unit 1 Box ",
    "Springfield, ",
    "Springfield, IL ",
    "IL 62704 ",
    "62704 ",
    "SW1A 2AA ",
    "10115 Berlin, ",
    "born ",
    "born on ",
    "born 1",
    "born on 1/1/1980 ",
    "1/1/1980 ",
    "1.",
    "1/",
    "1-",
    "3 May 1980 ",
    "May 3, 1980 ",
    "May 3, ",
    "3 May ",
    "geb. ",
    "王",
    "王秀英",
    "王秀英，",
    "和王秀英说",
    "佐藤 ",
    "佐藤 太郎 ",
    "김영수 ",
    "김",
    "สมชาย ",
    "דוד כהן ",
    "דוד ",
    "ア",
    "ア・",
    "Иван ",
    "Иван Петров ",
    "’",
    "-",
    "—",
    ".",
    ",",
    ", ",
    ":",
    "\"",
    "{\"a\":\"",
    "@a ",
    "/a",
    "_",
    "#",
    "A_",
    "Aa_b ",
    "a@b.c ",
    "Aa::Bb ",
    "Aa.bb ",
    "Aa(",
    "the ",
    "and ",
    "said ",
    "by ",
    "INFO ",
    "Kafka ",
    "Page ",
    "Page Long ",
    "Will May ",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    "=",
    "a=",
    "&",
    " & ",
];

fn work(text: &str) -> u64 {
    steps::take();
    let _ = SCANNER.scan(text, false, false);
    steps::take()
}

fn check(text: impl Fn(usize) -> String, name: &str) {
    let once = work(&text(20_000));
    let twice = work(&text(40_000));
    assert!(twice <= once * 5 / 2 + 4000, "{name:?}: {once} steps for 20 kB, {twice} for 40 kB");
    // No matcher may be linear by a constant that is no better.
    assert!(once < 20_000 * 250, "{name:?}: {once} steps for 20 kB");
}

#[test]
fn doubling_the_text_doubles_the_work() {
    for piece in PIECES {
        check(|bytes| piece.repeat(bytes / piece.len()), piece);
    }
}

#[test]
fn two_pieces_in_turn_and_one_after_the_other() {
    for (i, a) in PIECES.iter().enumerate() {
        let b = PIECES[(i * 37 + 11) % PIECES.len()];
        let pair = format!("{a}{b}");
        check(|bytes| pair.repeat(bytes / pair.len()), &pair);
        check(
            |bytes| format!("{}{}", a.repeat(bytes / 2 / a.len()), b.repeat(bytes / 2 / b.len())),
            &format!("{a}* {b}*"),
        );
    }
}
