//! The log viewer: windows onto lines of any length, and masked text that is the text that leaves.

use fumehood_tests::{Data, Person, Random, Server};

struct Bench {
    // Dropped last: the server's folder.
    server: Server,
    person: Person,
    token: String,
    _data: Data,
}

fn bench() -> Bench {
    let data = Data::prepared();
    let server = data.start();
    let person = Person::first(&server);
    let token = data.token("admin");
    Bench { server, person, token, _data: data }
}

impl Bench {
    /// Uploads a log into an incident of its own: its page's address and the text that leaves.
    fn log(&self, text: &str) -> (String, String) {
        let client = self.server.client(&self.token);
        let incident = client.incident("Viewer");
        let log = client.upload(&incident, "app.log", text.as_bytes()).expect(201).json();
        let id = log["id"].as_str().unwrap();
        let redacted = client.get(&format!("/api/v1/logs/{id}/redacted")).expect(200).text();
        (format!("/incidents/{incident}/logs/{id}"), redacted)
    }

    fn rows(&self, page: &str, query: &str) -> Vec<String> {
        let html = self.person.get(&format!("{page}/lines?{query}")).expect(200).text();
        html.split("<span class=\"tx\">").skip(1).map(|row| plain(row.split("</div>").next().unwrap())).collect()
    }
}

/// The text of a row, without what the viewer says beside it.
fn plain(row: &str) -> String {
    let row = row.split("<a class=\"more").next().unwrap().split("<span class=\"goes-on\">").next().unwrap();
    let text: String = row
        .split('<')
        .enumerate()
        .map(|(at, part)| match at {
            0 => part,
            _ => part.split_once('>').map_or("", |(_, text)| text),
        })
        .collect();
    text.replace("&#38;", "&").replace("&#34;", "\"").replace("&#39;", "'").replace("&#60;", "<").replace("&#62;", ">")
}

fn key_file(random: &mut Random) -> String {
    let body: Vec<String> = (0..12).map(|_| random.word(64)).collect();
    format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", body.join("\n"))
}

#[test]
fn the_masked_view_is_the_text_that_leaves() {
    let bench = bench();
    let mut random = Random::new(77);
    let key = key_file(&mut random);
    let mut text = String::from("start anna@corp.example\r\nkey follows\n");
    text.push_str(&key);
    text.push_str("\nafter ben@corp.example and 10.1.2.3\n\nkey again\n");
    text.push_str(&key);
    for at in 0..300 {
        text.push_str(&format!("\nline {at} anna@corp.example"));
    }
    let (page, redacted) = bench.log(&text);
    assert!(!redacted.contains("PRIVATE_KEY-2"), "one key, one pseudonym: {redacted}");
    // Lines within a value are empty: it stands on the first of them.
    let rows = bench.rows(&page, "view=masked&from=1&count=1000");
    assert_eq!(rows.len(), text.lines().count());
    let kept: Vec<&str> = rows.iter().map(String::as_str).filter(|row| !row.is_empty()).collect();
    let want: Vec<&str> = redacted.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    assert_eq!(kept, want);
    // The same rows, however they are asked for.
    for (from, count) in [(4, 3), (9, 1), (10, 200), (20, 7)] {
        let some = bench.rows(&page, &format!("view=masked&from={from}&count={count}"));
        assert_eq!(some, rows[from - 1..from - 1 + count], "{from}+{count}");
    }
}

#[test]
fn a_finding_deep_in_a_long_line_is_shown_and_the_rest_can_be_read() {
    let bench = bench();
    let tokens: Vec<String> = (0..500_000).map(|at| format!("té{at}")).collect();
    let line = format!("{} far@corp.example {}", tokens[..350_000].join(" "), tokens[350_000..].join(" "));
    let (page, redacted) = bench.log(&format!("first\n{line}\nlast near@corp.example\n"));
    let found = bench.person.get(&format!("{page}/findings/next?line=2&dir=next")).expect(200).json();
    assert_eq!(found["line"], 2);
    let id = found["id"].as_str().unwrap();
    let rows = bench.rows(&page, &format!("from=1&count=100&finding={id}"));
    assert_eq!(rows.len(), 3);
    assert!(rows[1].contains(" far@corp.example "), "the row is a window around it");
    assert!(rows[1].len() <= 2048, "{}", rows[1].len());
    assert_eq!((rows[0].as_str(), rows[2].as_str()), ("first", "last near@corp.example"));
    let panel = bench.person.get(&format!("{page}/findings/{id}")).expect(200).text();
    assert!(panel.contains("far@corp.example"), "{panel}");
    let masked = bench.rows(&page, &format!("from=2&count=1&view=masked&finding={id}"));
    assert!(masked[0].contains(" [EMAIL-") && redacted.contains(masked[0].trim()), "{}", masked[0]);

    // The whole line, window by window, forwards and back.
    let mut seen = std::collections::HashSet::new();
    let mut windows = 0;
    for (start, direction) in [("", "class=\"more\""), (&*format!("&at={}", line.len()), "class=\"more before\"")] {
        seen.clear();
        let mut at = start.to_owned();
        loop {
            let html = bench.person.get(&format!("{page}/lines?from=2&count=1&whole=1{at}")).expect(200).text();
            seen.extend(
                plain(html.split("<span class=\"tx\">").nth(1).unwrap().split("</div>").next().unwrap())
                    .split(' ')
                    .map(str::to_owned),
            );
            windows += 1;
            let link = html.split("<a ").find(|link| link.starts_with(direction));
            let Some(next) = link.and_then(|link| link.split("data-at=\"").nth(1)) else { break };
            at = format!("&at={}", next.split('"').next().unwrap());
        }
        let missing = tokens.iter().filter(|token| !seen.contains(*token)).count();
        assert_eq!(missing, 0, "of {} tokens", tokens.len());
    }
    assert!(windows < 30, "{windows}");
}

/// Where a value is found once, by what stands around it, it is masked in every place and through every window, whoever
/// looked before.
#[test]
fn a_secret_that_was_found_once_is_masked_wherever_it_stands() {
    let bench = bench();
    let secret = "Zebra99Quokka77!";
    let filler: String = (0..3000).map(|at| format!("calm line {at} without anything\n")).collect();
    let lead = "lorem ipsum dolor ".repeat(140);
    let cut = &lead[..2040];
    let many = format!("{secret} ").repeat(40_000);
    let text = format!("early bare {secret} here\n{filler}{cut}{secret} after\nlogin password={secret} end\n{many}\n");
    let (page, redacted) = bench.log(&text);
    let pieces: Vec<&str> = (0..=secret.len() - 8).map(|at| &secret[at..at + 8]).collect();
    let clean = |what: &str, shown: &str| {
        for piece in &pieces {
            assert!(!shown.contains(piece), "{what} shows {piece}");
        }
    };
    clean("what leaves", &redacted);
    let line = 3002;
    let begin = text.find(cut).unwrap() as u64;
    for query in [
        "from=1&count=1".to_owned(),
        format!("from={line}&count=3"),
        format!("from={line}&count=1&whole=1"),
        format!("from={}&count=1&whole=1", line + 2),
    ] {
        clean(&query, &bench.rows(&page, &format!("view=masked&{query}")).join("\n"));
    }
    for at in (0..2400).step_by(67) {
        let query = format!("view=masked&from={line}&count=1&at={}", begin + at);
        clean(&query, &bench.rows(&page, &query).join("\n"));
    }
    for at in [300_003_u64, 262_144, 524_288] {
        let query = format!("view=masked&from={}&count=1&whole=1&at={}", line + 2, begin + 2_100 + at);
        clean(&query, &bench.rows(&page, &query).join("\n"));
    }
}

/// What may leave depends on what was decided, and not on what was read last.
#[test]
fn a_value_is_let_go_when_it_is_rejected_everywhere() {
    let bench = bench();
    let secret = "Zebra99Quokka77!";
    let filler: String = (0..20_000).map(|at| format!("calm line {at} without anything\n")).collect();
    let text = format!("bare {secret} here\nlogin password={secret} end\n{filler}login password={secret} end\n");
    let (page, _) = bench.log(&text);
    let bare = |what: &str| {
        let row = bench.rows(&page, "view=masked&from=1&count=1").remove(0);
        assert_eq!(row.contains(secret), what == "leaves", "{row}");
    };
    let first = bench.person.get(&format!("{page}/findings/next?line=1&dir=next")).expect(200).json();
    let second = bench.person.get(&format!("{page}/findings/next?line=3&dir=next")).expect(200).json();
    let judge = |finding: &serde_json::Value, verdict: &str| {
        let path = format!("{page}/findings/{}", finding["id"].as_str().unwrap());
        bench.person.submit(&path, &[("verdict", verdict)]);
    };
    bare("is masked");
    judge(&first, "rejected");
    bare("is masked");
    // Reading around the rejected one changes nothing.
    let row = bench.rows(&page, "view=masked&from=2&count=1").remove(0);
    assert!(!row.contains(secret), "{row}");
    bare("is masked");
    judge(&second, "rejected");
    bare("leaves");
    judge(&first, "accepted");
    bare("is masked");
}
