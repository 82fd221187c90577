//! Linearity, by counted steps: doubling an adversarial text doubles the work.

use crate::scan::Scan;
use crate::testing::SCANNER;

/// Steps that a scan of `text` takes.
fn steps(text: &str) -> u64 {
    let mut scan = Scan::new(text, false, true);
    scan.run(&SCANNER.literals);
    scan.text.steps()
}

/// Texts made of one piece, over and over: each is the worst case of some matcher.
const PIECES: &[&str] = &[
    "@",
    "a@",
    "a.b@",
    "@a.b",
    "1",
    "12 ",
    "1.",
    "1-",
    "1.1.1.1 ",
    "+1 ",
    "(1",
    "0",
    ":",
    "a:",
    "::",
    "1:2",
    "fe80::1:",
    "\"",
    "'",
    "\\\"",
    "\\",
    "password=",
    "password=\"",
    "password='",
    "password=\\\"",
    "password",
    "password ",
    "key=",
    "key=key",
    "token:",
    "secret=a,",
    "secret=a;b",
    "pass&",
    "<password>",
    "<password",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nAAAA\n",
    "eyJ",
    "eyJ.",
    "eyJhbGciOiJIUzI1NiJ9.",
    "://",
    "a://b",
    "a://b:c",
    "a://b:c@",
    "://@",
    "sk-",
    "sk-a1",
    "ghp_",
    "ya29.",
    "xox",
    "xoxb-",
    "glpat-",
    "AKIA",
    "Bearer ",
    "bearer bearer ",
    "Basic ",
    "basic a",
    "cookie: a=b; ",
    "cookie: ",
    "a=b; ",
    "%40",
    "a%40",
    "%2B",
    "%2B1",
    ".internal",
    ".corp",
    "a.local.",
    "/home/",
    "/Users/a",
    "C:\\Users\\",
    "user ",
    "user x ",
    "sudo: ",
    "Dear ",
    "Dear A",
    "Dear Aa Bb ",
    "name: Aa ",
    "mr ",
    "lives at 1 A",
    "address=1 Aa ",
    "born on ",
    "dob 1",
    "passport ",
    "passport A1",
    "INSERT INTO a(b) VALUES (",
    "insert into a(name",
    "insert into (((((",
    " -u ",
    "curl -u a:b ",
    "identified by ",
    "Q~",
    "aaa1Q~",
    "hooks.slack.com/services/",
    "00:",
    "02-1B-",
    "021b.",
    "GB82",
    "GB82WEST1234",
    "AB12 34 56 ",
    "AB 12 ",
    "x",
    "é",
    "パスワード",
    "パスワード：a",
    "contraseña: ",
    "mot de passe est ",
    "Key 1: ",
    "Secret Access Key [",
    "A <a@b.co> ",
    "Aa Bb <a@b.co>",
    "\"a\" -> \"",
    "password=\"a\" -> \"",
    "${PASSWORD:-",
    "password: >-\n  ",
    "password: |\n",
    "password: |\n  a1\n",
    "secret: |\n  \n",
    "(password)=(",
    "bearer+",
    "bearer+a1",
    "basic a+basic ",
    "identified by '",
    "login with password ",
    "password I had was ",
    "password: : ",
    "curl -u a:",
    "-----END PRIVATE KEY-----",
    "\ncopy a (name) from stdin;\n",
    "\n#Fields: user a b\n",
    "'a'@'",
    "identified with a by ",
    "user=a\\",
    "password for ",
    "password for a: ",
    "password:*",
    "*password*",
    "Élan ",
    "dear É",
    "$(",
    "${",
    "{{",
    "[",
    "]",
    "<",
    ">",
    "name\"value",
    "key\"\nvalue",
    "\n",
    " ",
    "\t",
    "session=",
    "sig=",
    "&sig=",
    "host=",
    "host=a-1",
    "server=a;",
    "jdbc:",
    "-",
    "_",
    ".",
    "a.",
    "a-",
    "=",
    "==",
    ",",
    ";",
    "nhs 943 476 ",
    "ssn 123-45-",
    "phone 1",
    "call 1-2 ",
    "authorization: a ",
    "authorization: ",
    "set-cookie: a=",
    "secret_",
    "name,dob,x\n",
    "a,name,",
    "a,b,name\na,b,c\n",
    "password('",
    "cn=Aa ",
    "12345678:AA",
    "auth plain A",
    "mac=02:",
    "user=<a>",
    "uid=1(a)",
    "mysql -pa1 ",
    "jdbc:oracle:thin:a/",
    "<a name=\"password\">",
    "sk_live_",
    "first_name;dob\n",
    "a;vorname;b\nAda;x;y\n",
    "|name|dob|\n|-|-|\n",
    "name | x\n----+--\n a | b\n",
    "NAME  SSN\n----  ---\n a    b\n",
    "name  \n",
    "name, ",
    "-[ RECORD 1\nname | Ada\n",
    "\n-[ RECORD 1",
    "create table a (\n name x\n",
    "insert into a values ('x',",
    "insert into a(name) values ('x'), ",
    "\"given\":[\"A\",",
    "\"given\":[\"",
    "\"name\":{\"S\":\"",
    "<td>name</td>",
    "<td>name</td><td>",
    "<a name=\"uid\"><b>",
    "\npid|1|a^b|c",
    "pid|||||A^B|",
    "NM1*IL*1*A*B~",
    "N3*1 A~",
    "NAD+A+++B:C+D 1'",
    "\n:50K:/1\nA B\n",
    "\n:59:A\n",
    "?32A B",
    "(0010,0010) PN [A^B]\n",
    "\n1 NAME A /B/\n",
    "\n1 BIRT\n2 DATE 1",
    "BEGIN:VCARD\nN:A;B\n",
    "begin%3avcard%0afn%3aA",
    "begin:vcard",
    "LS0tLS1CRUdJTi",
    "eyJhIjoi",
    "eyJ eyJh",
    "\ncn:: SsO8",
    "kind: secret\ndata:\n  a: YnR1cm5lcg==\n",
    "kind: secret\n",
    "data:\n kind: secret",
    "334 VXNlcm5hbWU6\nYQ==\n",
    "e\t/\tTRUE\t0\ta\tb\n",
    "psql -U a ",
    "lftp -u a,b1 ",
    "ssh a@b ",
    "user a on >b1 ",
    "]:587 a:b1 ",
    "[1]: ",
    "00:00:00 a-1 b[1]: ",
    ">1 2000-00-00T00:00:00Z a-1 ",
    "a(uid=",
    "(a) cmd (",
    "=?utf-8?Q?a?= <a@b.co>",
    "message-id: <a@b.co>",
    "%2B1%20",
    "%2B1+",
    "%2540",
    "prenom: Ada ",
    "nombre=",
    "prénom: Ada\n",
    "\"first\":\"A\",",
    "lastName: A, ",
    "last_name=A%20",
    "street: 1 A, ",
    "{\"team\":{\"name\":\"Aa Bb\"",
    "{name: Aa Bb",
    "name=\"a[name]\"\n\nA B\n",
    "sw 11.2.3.4 -> ",
    "aA1",
    "0x",
];

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

#[test]
fn blocks_within_blocks() {
    let nested = |bytes: usize| {
        let mut text = String::new();
        for depth in 0.. {
            if text.len() > bytes {
                break;
            }
            text.push_str(&" ".repeat(depth));
            text.push_str("password: |\n");
        }
        text
    };
    check(nested, "blocks within blocks");
    check(|bytes| format!("{}{}", nested(bytes / 2), " ".repeat(300).repeat(bytes / 600)), "blocks and blanks");
}

#[test]
fn one_long_value() {
    for head in ["password=", "password=\"", "token: ", "Basic ", "Bearer ", "Cookie: a=", "password: |\n  "] {
        for piece in ["aB3", "aB3/", "token=a1", "key: a1 ", "eyJ0", "a1\n  ", "password=a1&", "bearer+a1"] {
            check(|bytes| format!("{head}{}", piece.repeat(bytes / piece.len())), &format!("{head} {piece}*"));
        }
    }
}

fn check(text: impl Fn(usize) -> String, name: &str) {
    let once = steps(&text(20_000));
    let twice = steps(&text(40_000));
    assert!(twice <= once * 5 / 2 + 2000, "{name:?}: {once} steps for 20 kB, {twice} for 40 kB");
    // No matcher may be linear by a constant that is no better.
    assert!(once < 20_000 * 150, "{name:?}: {once} steps for 20 kB");
}
