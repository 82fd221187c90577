//! `fumehood scan`: formats, standard input and files, exit codes, seams, constant memory.

use std::io::{Read as _, Write as _};
use std::process::{Output, Stdio};
use std::time::Duration;

use fumehood_tests::fixtures::{Stream, contains};
use fumehood_tests::machine::{peak_memory, soak, wait_for};
use fumehood_tests::server::text;
use fumehood_tests::{Data, Plants};

/// Run `scan` with `input` on standard input.
fn scan(data: &Data, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = data.command(&[&["scan"], arguments].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let bytes = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = pipe.write_all(&bytes);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[test]
fn spans_are_byte_ranges_of_the_values() {
    let data = Data::prepared();
    let plants = Plants::new(7);
    // A character of several bytes before everything: offsets are bytes, not characters.
    let log = format!("größe — ok\n{}", plants.lines());
    let output = scan(&data, &[], log.as_bytes());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut covered = vec![false; log.len()];
    for line in text(&output.stdout).lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        assert_eq!(fields.len(), 4, "{line}");
        let (start, end): (usize, usize) = (fields[0].parse().unwrap(), fields[1].parse().unwrap());
        assert!(start < end && end <= log.len() && log.is_char_boundary(start) && log.is_char_boundary(end), "{line}");
        assert!(fields[2].chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'), "{line}");
        let confidence: f32 = fields[3].parse().unwrap();
        assert!((0.0..=1.0).contains(&confidence), "{line}");
        covered[start..end].fill(true);
    }
    for (kind, value) in &plants.values {
        let at = log.find(value.as_str()).unwrap();
        assert!(covered[at..at + value.len()].iter().all(|one| *one), "{kind} {value} is not covered");
    }
    let first_line = log.find('\n').unwrap();
    assert!(!covered[..first_line].iter().any(|one| *one), "there is nothing to find in the first line");
}

#[test]
fn redacted_text_holds_no_original_and_keeps_the_rest() {
    let data = Data::prepared();
    let plants = Plants::new(8);
    let log = format!("{}{}", plants.lines(), plants.lines());
    let output = scan(&data, &["--format", "redacted"], log.as_bytes());
    assert!(output.status.success());
    let masked = text(&output.stdout);
    assert_eq!(plants.leak(masked.as_bytes()), None);
    assert_eq!(masked.lines().count(), log.lines().count());
    assert!(masked.contains("was locked out") && masked.contains("ERROR orders[211]"));
    // The same value has the same name each time.
    let lines: Vec<&str> = masked.lines().collect();
    assert_eq!(lines[0], lines[plants.values.len()]);
    assert!(lines[0].contains("[EMAIL-1]"), "{}", lines[0]);
}

#[test]
fn a_file_and_standard_input_give_the_same() {
    let data = Data::prepared();
    let log = Plants::new(9).lines();
    let file = data.beside("a.log");
    std::fs::write(&file, &log).unwrap();
    let piped = scan(&data, &["-"], log.as_bytes()).stdout;
    assert!(!piped.is_empty());
    assert_eq!(piped, scan(&data, &[], log.as_bytes()).stdout);
    assert_eq!(piped, scan(&data, &[file.to_str().unwrap()], b"").stdout);
    let missing = scan(&data, &["/nowhere/at/all.log"], b"");
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("/nowhere/at/all.log"));
}

#[test]
fn exit_code_is_asked_for() {
    let data = Data::prepared();
    let found = b"mail to jane.roe@customer-mail.example\n";
    let nothing = b"all quiet\n";
    assert_eq!(scan(&data, &[], found).status.code(), Some(0));
    assert_eq!(scan(&data, &["--exit-code"], found).status.code(), Some(1));
    assert_eq!(scan(&data, &["--exit-code"], nothing).status.code(), Some(0));
    assert_eq!(scan(&data, &["--exit-code"], b"").status.code(), Some(0));
}

#[test]
fn jsonl_answers_each_line_in_order_with_byte_offsets() {
    let data = Data::prepared();
    let mut input = String::new();
    for i in 0..200 {
        let doc = serde_json::json!({"id": i, "text": format!("é{i} from a{i}@customer-mail.example ok")});
        input.push_str(&format!("{doc}\n"));
    }
    input.push_str("{\"id\":\"last\",\"text\":\"nothing here\"}\n");
    let output = scan(&data, &["--format", "jsonl"], input.as_bytes());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let answers: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 201);
    for (i, answer) in answers.iter().take(200).enumerate() {
        assert_eq!(answer["id"], i);
        let value = format!("a{i}@customer-mail.example");
        let start = format!("é{i} from ").len();
        let span = &answer["spans"][0];
        assert_eq!(span["type"], "EMAIL");
        assert_eq!((&span["start"], &span["end"]), (&start.into(), &(start + value.len()).into()), "{answer}");
        assert!(span["confidence"].is_number());
    }
    assert_eq!(answers[200], serde_json::json!({"id": "last", "spans": []}));

    let bad = scan(&data, &["--format", "jsonl"], b"{\"id\":1,\"text\":\"a\"}\nnot json\n");
    assert_eq!(bad.status.code(), Some(2));
    assert!(text(&bad.stderr).contains("line 2"), "{}", text(&bad.stderr));
}

#[test]
fn nothing_is_lost_or_doubled_at_a_seam() {
    let data = Data::prepared();
    // Values at every distance from each other, so that windows of any size are cut through some of them.
    let mut log = String::new();
    let mut planted = Vec::new();
    for i in 0..4_000_usize {
        log.push_str(&"abc def ghi ".repeat(1 + i % 23 * (1 + i % 5)));
        log.push('\n');
        planted.push(log.len());
        log.push_str(&format!("u{i}@customer-mail.example\n"));
    }
    let output = scan(&data, &[], log.as_bytes());
    assert!(output.status.success());
    let starts: Vec<usize> =
        text(&output.stdout).lines().map(|line| line.split('\t').next().unwrap().parse().unwrap()).collect();
    assert_eq!(starts.len(), planted.len());
    assert_eq!(starts, planted);
}

#[test]
fn what_is_not_text_does_not_stop_the_scan() {
    let data = Data::prepared();
    let mut bytes: Vec<u8> = (0..100_000_u32).map(|i| (i * 7 + i / 3) as u8).collect();
    bytes.extend_from_slice(b"\nmail to jane.roe@customer-mail.example\n\xff\xfe\n");
    let output = scan(&data, &["--format", "redacted"], &bytes);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!contains(&output.stdout, b"jane.roe@customer-mail.example"));
    assert!(contains(&output.stdout, b"[EMAIL-"));
}

#[test]
fn a_large_stream_is_scanned_in_constant_memory() {
    let data = Data::prepared();
    let size: u64 = if soak() { 2 << 30 } else { 96 << 20 };
    let mut command = data.command(&["scan", "--format", "spans"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let mut log = Stream::new(size, 1_000);
        std::io::copy(&mut log, &mut pipe).unwrap();
        log.planted
    });
    let mut out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        out.read_to_string(&mut said).unwrap();
        said.lines().count() as u64
    });
    let mut peak = 0;
    let status = wait_for("the end of the scan", Duration::from_secs(1800), || {
        peak = peak.max(peak_memory(child.id()).unwrap_or(0));
        child.try_wait().unwrap()
    });
    assert!(status.success());
    assert_eq!(reader.join().unwrap(), writer.join().unwrap());
    eprintln!("{} MiB scanned, peak {} MiB", size >> 20, peak >> 20);
    assert!(peak < 400 << 20, "peak of {} MiB for {} MiB", peak >> 20, size >> 20);
}

#[test]
fn what_is_packed_is_refused_and_not_called_clean() {
    let data = Data::prepared();
    for packed in [&b"\x1f\x8b\x08\0rest of it"[..], b"\x28\xb5\x2f\xfdrest of it", b"PK\x03\x04rest of it"] {
        let output = scan(&data, &["--exit-code"], packed);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty() && text(&output.stderr).contains("standard input is "));
    }
}

#[test]
fn documents_keep_their_ids_and_the_answers_before_a_bad_line_arrive() {
    let data = Data::prepared();
    let input = "\u{feff}{\"id\":12345678901234567890123,\"text\":\"a\"}\n{\"id\":{\"b\":1e2,\"a\":[ ]},\"text\":\"b\"}\nno document\n";
    let output = scan(&data, &["--format", "jsonl"], input.as_bytes());
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stdout);
    assert!(said.contains("\"id\":12345678901234567890123,") && said.contains("{\"b\":1e2,\"a\":[ ]}"), "{said}");
    assert!(text(&output.stderr).contains("line 3"), "{}", text(&output.stderr));
}
