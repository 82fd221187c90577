//! Logs come in: plain and compressed, whole and broken, in every encoding; findings and masked text come out.

use std::io::Write as _;

use fumehood_tests::fixtures::contains;
use fumehood_tests::{Client, Data, Plants, Random, Server};
use serde_json::{Value, json};

struct Bench {
    // Dropped last: the server's folder.
    _server: Server,
    client: Client,
    incident: String,
    _data: Data,
}

fn bench() -> Bench {
    let data = Data::prepared();
    let server = data.start();
    let client = server.client(&data.token("responder"));
    let incident = client.incident("Intake");
    Bench { _server: server, client, incident, _data: data }
}

impl Bench {
    fn upload(&self, name: &str, body: &[u8]) -> Value {
        self.client.upload(&self.incident, name, body).expect(201).json()
    }

    fn redacted(&self, log: &Value) -> Vec<u8> {
        self.client.get(&format!("/api/v1/logs/{}/redacted", log["id"].as_str().unwrap())).expect(200).body
    }

    fn findings(&self, log: &Value) -> Vec<Value> {
        let id = log["id"].as_str().unwrap();
        let (mut all, mut cursor) = (Vec::new(), json!(0));
        while !cursor.is_null() {
            let page =
                self.client.get(&format!("/api/v1/logs/{id}/findings?limit=1000&cursor={cursor}")).expect(200).json();
            all.extend(page["findings"].as_array().unwrap().iter().cloned());
            cursor = page["next"].clone();
        }
        all
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_log_is_taken_raw_gzipped_and_as_zstd_and_masked_alike() {
    let bench = bench();
    let plants = Plants::new(21);
    let text = plants.lines();
    let mut masked = Vec::new();
    // A line of its own in each, or the later ones would be duplicates.
    for (name, encoding) in [("a.log", "plain"), ("a.log.gz", "gzip"), ("a.log.zst", "zstd")] {
        let body = format!("{text}as {encoding}\n");
        let sent = match encoding {
            "gzip" => gzip(body.as_bytes()),
            "zstd" => zstd::encode_all(body.as_bytes(), 3).unwrap(),
            _ => body.clone().into_bytes(),
        };
        let log = bench.upload(name, &sent);
        assert_eq!((&log["encoding"], &log["state"]), (&json!(encoding), &json!("ready")), "{log}");
        assert_eq!(log["text_bytes"], body.len());
        assert_eq!(log["lines"], plants.values.len() + 1);
        let findings = bench.findings(&log);
        for (kind, value) in &plants.values {
            let at = body.find(value.as_str()).unwrap();
            let mut covered = vec![false; value.len()];
            for finding in &findings {
                let (start, end) =
                    (finding["start"].as_u64().unwrap() as usize, finding["end"].as_u64().unwrap() as usize);
                for (i, one) in covered.iter_mut().enumerate() {
                    *one |= (start..end).contains(&(at + i));
                }
            }
            assert!(covered.iter().all(|one| *one), "{kind} {value} is not covered: {findings:?}");
        }
        assert!(
            !findings.iter().any(|finding| plants.leak(finding.to_string().as_bytes()).is_some()),
            "a finding holds the value"
        );
        let text = bench.redacted(&log);
        assert_eq!(plants.leak(&text), None, "{encoding}");
        masked.push(String::from_utf8(text).unwrap().replace(encoding, ""));
    }
    assert!(masked.windows(2).all(|pair| pair[0] == pair[1]), "pseudonyms are the same in every log of an incident");
}

#[test]
fn the_same_text_twice_is_one_log_whatever_it_is_packed_in() {
    let bench = bench();
    let text = b"one\ntwo from jane.roe@customer-mail.example\n";
    let first = bench.upload("a.log", text);
    for body in [text.to_vec(), gzip(text), zstd::encode_all(text.as_slice(), 1).unwrap()] {
        let again = bench.client.upload(&bench.incident, "b.log", &body).expect(200).json();
        assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
    }
    assert_eq!(
        bench.client.get(&format!("/api/v1/incidents/{}/logs", bench.incident)).json().as_array().unwrap().len(),
        1
    );
    // In another incident it is another log.
    let other = bench.client.incident("Other");
    assert_ne!(bench.client.upload(&other, "a.log", text).expect(201).json()["id"], first["id"]);
}

#[test]
fn what_is_not_utf8_is_replaced_and_counted() {
    let bench = bench();
    let mut body = b"caf\xe9 latin one from jane.roe@customer-mail.example\n".to_vec();
    body.extend_from_slice(b"cut \xe2\x82\nend \xff\xfe\xfd\n");
    let log = bench.upload("latin.log", &body);
    assert!(log["replaced"].as_i64().unwrap() >= 3, "{log}");
    let text = String::from_utf8(bench.redacted(&log)).expect("what is given out is UTF-8");
    assert!(text.contains("caf\u{fffd} latin one") && !text.contains("jane.roe"), "{text}");
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn what_is_no_text_is_refused_and_leaves_nothing() {
    let bench = bench();
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend_from_slice(&Random::new(3).bytes(100_000));
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain("mail to a@b.example\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let mut cut = gzip(&Plants::new(4).lines().repeat(200).into_bytes());
    cut.truncate(cut.len() / 2);
    let mut flipped = gzip(&Plants::new(5).lines().repeat(200).into_bytes());
    let last = flipped.len() - 6;
    flipped[last] ^= 0xff;
    let zip = [b"PK\x03\x04\x14\0\0\0\x08\0".as_slice(), &Random::new(6).bytes(5_000)].concat();
    for (name, body) in [("a.elf", elf), ("utf16.log", utf16), ("cut.gz", cut), ("flipped.gz", flipped), ("a.zip", zip)]
    {
        let problem = bench.client.upload(&bench.incident, name, &body).problem(422);
        assert!(problem["detail"].as_str().unwrap().len() > 20, "{name}: {problem}");
    }
    let logs = bench.client.get(&format!("/api/v1/incidents/{}/logs", bench.incident)).json();
    for log in logs.as_array().unwrap() {
        assert_eq!(log["state"], "failed", "{log}");
        assert!(!log["reason"].as_str().unwrap().is_empty());
        let id = log["id"].as_str().unwrap();
        bench.client.get(&format!("/api/v1/logs/{id}/redacted")).problem(409);
    }
    bench.upload("good.log", b"and then a good one\n");
}

#[test]
fn an_empty_log_and_one_without_a_last_line_break() {
    let bench = bench();
    let log = bench.upload("one.log", b"no line break from jane.roe@customer-mail.example");
    assert_eq!((&log["lines"], &log["state"]), (&json!(1), &json!("ready")));
    assert_eq!(bench.redacted(&log), b"no line break from [EMAIL-1]");
    let empty = bench.client.upload(&bench.incident, "empty.log", b"");
    assert!(empty.status == 201 || empty.status == 422, "{}", empty.text());
    let windows = bench.upload("crlf.log", b"one\r\ntwo\r\n");
    assert_eq!(windows["lines"], 2);
    assert_eq!(bench.redacted(&windows), b"one\r\ntwo\r\n");
}

#[test]
fn a_line_of_twenty_megabytes_is_one_line_and_masked() {
    let bench = bench();
    let mut body = Vec::with_capacity(21 << 20);
    let mut planted = 0;
    while body.len() < 20 << 20 {
        body.extend_from_slice("{\"k\":\"lorem ipsum dolor sit amet\"},".repeat(800).as_bytes());
        body.extend_from_slice(format!("u{planted}@customer-mail.example ").as_bytes());
        planted += 1;
    }
    let log = bench.upload("long.json", &body);
    assert_eq!(log["lines"], 1);
    let text = bench.redacted(&log);
    assert!(!contains(&text, b"@customer-mail.example"));
    assert_eq!(String::from_utf8(text).unwrap().matches("[EMAIL-").count(), planted);
    assert_eq!(bench.findings(&log).len(), planted);
}

#[test]
fn a_bomb_is_stopped() {
    let bench = bench();
    // Half a gibibyte of one letter: about 500 KiB as gzip, 1:1000.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let block = vec![b'a'; 1 << 20];
    for _ in 0..512 {
        encoder.write_all(&block).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let begun = std::time::Instant::now();
    bench.client.upload(&bench.incident, "bomb.gz", &bomb).problem(413);
    eprintln!("a bomb of {} KiB was stopped after {:?}", bomb.len() >> 10, begun.elapsed());
    bench.upload("good.log", b"and then a good one\n");
}

#[test]
fn a_name_is_a_name_and_no_path() {
    let bench = bench();
    for (i, (given, kept)) in [
        ("..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("a%5Cb.log", "b.log"),
        ("x%0Ay.log", "xy.log"),
        ("%3Cb%3E.log", "<b>.log"),
    ]
    .iter()
    .enumerate()
    {
        let log = bench.upload(given, format!("text {i}\n").as_bytes());
        assert_eq!(log["name"], *kept);
    }
    bench.client.upload(&bench.incident, "%2F", b"text\n").problem(422);
    bench.client.upload(&bench.incident, "", b"text\n").problem(422);
}

#[test]
fn a_judgement_changes_what_would_leave() {
    let bench = bench();
    let log =
        bench.upload("a.log", b"from jane.roe@customer-mail.example at 10.20.30.40\nand bob@customer-mail.example\n");
    let decide = |body: Value| {
        let path = format!("/api/v1/logs/{}/decisions", log["id"].as_str().unwrap());
        bench.client.send("POST", &path, &body)
    };
    let findings = bench.findings(&log);
    let email = findings.iter().find(|finding| finding["type"] == "EMAIL").unwrap();
    assert_eq!(decide(json!({"id": email["id"], "verdict": "rejected"})).expect(200).json()["changed"], 1);
    let text = String::from_utf8(bench.redacted(&log)).unwrap();
    assert!(
        text.contains("jane.roe@customer-mail.example") && !text.contains("10.20.30.40") && !text.contains("bob@"),
        "{text}"
    );
    assert_eq!(decide(json!({"type": "EMAIL", "verdict": "accepted"})).expect(200).json()["changed"], 2);
    let text = String::from_utf8(bench.redacted(&log)).unwrap();
    assert!(!text.contains("@customer-mail.example"), "{text}");
    decide(json!({"type": "EMAIL", "verdict": "perhaps"})).problem(422);
    decide(json!({"verdict": "accepted"})).problem(422);
    decide(json!({"id": "EMAIL-1-2-3", "verdict": "accepted"})).problem(404);
}

#[test]
fn an_upload_that_breaks_off_leaves_no_readable_log() {
    let bench = bench();
    let path = format!("/api/v1/incidents/{}/logs?name=half.log", bench.incident);
    let broken = std::io::Read::chain(fumehood_tests::fixtures::Stream::new(3 << 20, 100), Breaks);
    let mut broken = broken;
    assert!(bench.client.try_send("POST", &path, &[], ureq::SendBody::from_reader(&mut broken)).is_err());
    let list = || bench.client.get(&format!("/api/v1/incidents/{}/logs", bench.incident)).json();
    fumehood_tests::machine::wait_for("the end of the half log", std::time::Duration::from_secs(20), || {
        list().as_array().unwrap().iter().all(|log| log["state"] == "failed").then_some(())
    });
    bench.upload("whole.log", b"and then a whole one\n");
}

/// A stream that fails.
struct Breaks;

impl std::io::Read for Breaks {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the network is gone"))
    }
}

#[test]
fn what_a_file_is_does_not_depend_on_how_it_arrives() {
    /// Gives a first piece of a few bytes, and the rest.
    struct Pieces<'a>(&'a [u8], usize);
    impl std::io::Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            (self.0, self.1) = (&self.0[count..], usize::MAX);
            std::thread::sleep(std::time::Duration::from_millis(50));
            Ok(count)
        }
    }
    let bench = bench();
    let text = Plants::new(5).lines();
    for (name, first, encoding) in [("1.gz", 1, "gzip"), ("3.zst", 3, "zstd"), ("1.log", 1, "plain")] {
        let line = format!("{text}{name}\n");
        let body = match encoding {
            "gzip" => gzip(line.as_bytes()),
            "zstd" => zstd::encode_all(line.as_bytes(), 3).unwrap(),
            // Rare control characters do not make a log binary, even where one comes first.
            _ => format!("\u{1}{line}").into_bytes(),
        };
        let log = bench.client.upload_from(&bench.incident, name, Pieces(&body, first)).unwrap().expect(201).json();
        assert_eq!(log["encoding"], encoding, "{log}");
    }
}

#[test]
fn a_zstd_window_that_takes_too_much_memory_is_refused_with_what_to_do() {
    let bench = bench();
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all("a line that says nothing\n".repeat(20_000).as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let answer = bench.client.upload(&bench.incident, "long.zst", &body);
    let problem = answer.problem(413);
    assert!(problem["detail"].as_str().unwrap().contains("--long"), "{problem}");
}

/// Chunks are stored while a value still goes on: none of it may be stored as if nothing had been found.
#[test]
fn a_secret_that_is_longer_than_any_window_is_masked_whole() {
    let bench = bench();
    let mut random = Random::new(5);
    // Around the borders of windows (256 KiB, of which the last 16 KiB belong to the next).
    for (lead, length) in [(0, 2_500_000), (239 << 10, 60_000), (245_700, 120_000), (255 << 10, 300_000)] {
        let secret = random.word(length);
        let lines = "calm line without anything\n".repeat(lead / 27);
        let text = format!("{lines}login password={secret} done\nlast a@corp.example\n");
        let log = bench.upload(&format!("{lead}-{length}.log"), text.as_bytes());
        let masked = String::from_utf8(bench.redacted(&log)).unwrap();
        let (before, after) = (text.split("password=").next().unwrap(), " done\nlast ");
        assert!(masked.starts_with(before) && masked.contains(after), "{lead}: {}", masked.len());
        assert!(masked.len() < before.len() + 200, "{lead}: {} bytes are left of {}", masked.len(), text.len());
    }
}

#[test]
fn a_quoted_secret_over_a_border_is_masked_to_its_closing_quote() {
    let bench = bench();
    let mut random = Random::new(9);
    for separator in [", ", ";", " ", "\\/", "(", "|"] {
        let pieces: Vec<String> = (0..600).map(|_| random.word(60)).collect();
        let value = pieces.join(separator);
        let lead = "x".repeat(245_000);
        let text = format!("{{\"note\":\"{lead}\",\"password\":\"{value}\",\"after\":\"kept text\"}}\n");
        let log = bench.upload(&format!("{}.json", random.word(6)), text.as_bytes());
        let masked = String::from_utf8(bench.redacted(&log)).unwrap();
        let left = pieces.iter().filter(|piece| masked.contains(*piece)).count();
        assert_eq!(left, 0, "{separator:?}: {left} pieces are left");
        assert!(masked.contains("kept text"), "{separator:?}: what stands after it is kept");
    }
}

#[test]
fn a_log_is_removed_with_its_text_unless_it_is_evidence() {
    let bench = bench();
    let log = bench.upload("wrong.log", b"customer a@corp.example\n");
    let path = format!("/api/v1/logs/{}", log["id"].as_str().unwrap());
    bench.client.send("DELETE", &path, &json!(null)).expect(204);
    bench.client.get(&path).problem(404);
    bench.client.get(&format!("{path}/redacted")).problem(404);
    bench.client.send("DELETE", &path, &json!(null)).problem(404);
    let listed = bench.client.get(&format!("/api/v1/incidents/{}/logs", bench.incident)).expect(200).json();
    assert_eq!(listed, json!([]));
    // The same file can come again: it is no duplicate of what is gone.
    let again = bench.upload("wrong.log", b"customer a@corp.example\n");
    assert_ne!(again["id"], log["id"]);
    let events = bench.client.get(&format!("/api/v1/incidents/{}/timeline", bench.incident)).expect(200).text();
    assert!(events.contains("Log removed: wrong.log"), "{events}");
}
