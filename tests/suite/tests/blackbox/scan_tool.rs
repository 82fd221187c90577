//! `fumehood scan` as a tool of its own: folders, archives, encodings, formats, rules, baselines, exit codes.

use std::io::Write as _;
use std::process::{Output, Stdio};

use fumehood_tests::Data;
use fumehood_tests::fixtures::contains;
use fumehood_tests::server::text;

pub(super) const MAIL: &str = "jane.roe@customer-mail.example";
pub(super) const SECRET: &str = "Kestrel81!x";

pub(super) fn scan(data: &Data, arguments: &[&str]) -> Output {
    let mut command = data.command(&[&["scan"], arguments].concat());
    command.stdin(Stdio::null()).output().unwrap()
}

fn found(output: &Output) -> Vec<serde_json::Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A folder with a finding in each form of file that there is.
fn folder(data: &Data) -> std::path::PathBuf {
    let folder = data.beside("tree");
    std::fs::create_dir_all(folder.join("sub/.git")).unwrap();
    let line = format!("\n\nmail to {MAIL} now\n");
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(line.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let inner = zip(&[("deep.txt", line.as_bytes())]);
    let files: [(&str, Vec<u8>); 10] = [
        ("a.log", line.clone().into_bytes()),
        ("b.log.gz", gzip(line.as_bytes())),
        ("c.zst", zstd::encode_all(line.as_bytes(), 3).unwrap()),
        ("d.tar.gz", gzip(&tar(&[("x/one.log", line.as_bytes()), ("two.gz", &gzip(line.as_bytes()))]))),
        ("e.zip", zip(&[("one.log", line.as_bytes()), ("inner.zip", &inner)])),
        ("f.txt", wide),
        ("g.bin", vec![0, 1, 2, 3, 0, 0, 9]),
        ("quiet.log", b"nothing here\n".to_vec()),
        ("sub/.git/config", line.clone().into_bytes()),
        ("sub/h.min.js", line.into_bytes()),
    ];
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    folder
}

#[test]
fn folders_and_archives_are_scanned_with_lines_and_columns() {
    let data = Data::prepared();
    let folder = folder(&data);
    let output = scan(&data, &["--format", "jsonl", "--exclude", "*.min.js", folder.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let all = found(&output);
    let files: Vec<&str> =
        all.iter().map(|one| one["file"].as_str().unwrap().strip_prefix(folder.to_str().unwrap()).unwrap()).collect();
    let expected = [
        "/a.log",
        "/b.log.gz",
        "/c.zst",
        "/d.tar.gz!x/one.log",
        "/d.tar.gz!two.gz",
        "/e.zip!one.log",
        "/e.zip!inner.zip!deep.txt",
        "/f.txt",
    ];
    assert_eq!(files, expected);
    for one in &all {
        assert_eq!((&one["line"], &one["column"], &one["type"]), (&3.into(), &9.into(), &"EMAIL".into()), "{one}");
        assert_eq!(one["end"].as_u64().unwrap() - one["start"].as_u64().unwrap(), MAIL.len() as u64);
    }
    assert!(!contains(&output.stdout, MAIL.as_bytes()), "no format but the masked text says what was found");
    let spans = text(&scan(&data, &[folder.to_str().unwrap(), "--exclude", "sub"]).stdout);
    assert!(spans.lines().next().unwrap().contains("a.log:3:9\t10\t"), "{spans}");
    assert_eq!(spans.lines().count(), expected.len());
}

#[test]
fn one_packed_file_and_packed_standard_input_are_read() {
    let data = Data::prepared();
    let folder = folder(&data);
    for name in ["b.log.gz", "c.zst", "f.txt"] {
        let output = scan(&data, &["--exit-code", folder.join(name).to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("EMAIL"));
    }
    let piped = data.command(&["scan"]).stdin(std::fs::File::open(folder.join("b.log.gz")).unwrap()).output().unwrap();
    assert!(text(&piped.stdout).contains("EMAIL"));
}

#[test]
fn what_cannot_be_read_is_said_and_is_not_clean() {
    let data = Data::prepared();
    let folder = data.beside("odd");
    std::fs::create_dir_all(&folder).unwrap();
    let mut cut = gzip(&vec![b'x'; 100_000]);
    cut.truncate(cut.len() - 40);
    std::fs::write(folder.join("cut.gz"), cut).unwrap();
    std::fs::write(folder.join("old.xz"), b"\xfd7zXZ\0rest").unwrap();
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(b'a'), 400 << 20), 1).unwrap();
    std::fs::write(folder.join("bomb.zst"), bomb).unwrap();
    let output = scan(&data, &["--exit-code", folder.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    for (name, why) in [("cut.gz", "damaged"), ("old.xz", "xzcat FILE | fumehood scan"), ("bomb.zst", "times its size")]
    {
        assert!(said.lines().any(|line| line.contains(name) && line.contains(why)), "{name}: {said}");
    }
    let alone = scan(&data, &[folder.join("old.xz").to_str().unwrap()]);
    assert_eq!(alone.status.code(), Some(2));
    let missing = scan(&data, &[folder.to_str().unwrap(), "/nowhere/x"]);
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn masked_files_go_into_a_folder_with_one_book() {
    let data = Data::prepared();
    let folder = folder(&data);
    let out = data.beside("masked");
    let arguments = ["--format", "redacted", folder.to_str().unwrap()];
    let refused = scan(&data, &arguments);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--output FOLDER"), "{}", text(&refused.stderr));
    let output = scan(&data, &[&arguments[..], &["--output", out.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut files = 0;
    let mut waiting = vec![out.clone()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            let masked = std::fs::read_to_string(&path).unwrap();
            assert!(!masked.contains(MAIL));
            files += usize::from(masked.contains("mail to [EMAIL-1] now"));
        }
    }
    assert_eq!(files, 9);
    // Nothing is overwritten.
    let again = scan(&data, &[&arguments[..], &["--output", out.to_str().unwrap()]].concat());
    assert_eq!(again.status.code(), Some(2));
}

#[test]
fn encodings_are_seen_through_and_led_back() {
    let data = Data::prepared();
    use base64::Engine as _;
    let packed = base64::engine::general_purpose::STANDARD;
    let json = packed.encode(format!("{{\"user\":\"{MAIL}\"}}"));
    let zipped = packed.encode(gzip(format!("db_password={SECRET}").as_bytes()));
    let file = data.beside("layers.log");
    let lines = [
        format!("GET /x?next=%2Fa%3Fmail%3D{}", MAIL.replace('@', "%2540")),
        format!("payload={json}"),
        format!("blob: {zipped}"),
        format!("<to>{}</to>", MAIL.replace('@', "&#x40;")),
        format!("{{\"m\":\"{{\\\"mail\\\":\\\"{}\\\"}}\"}}", MAIL.replace('@', "\\u0040")),
    ];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let output = scan(&data, &["--format", "jsonl", file.to_str().unwrap()]);
    let all = found(&output);
    for line in 1..=5 {
        let of = all.iter().find(|one| one["line"] == line).unwrap_or_else(|| panic!("line {line}: {all:?}"));
        let expected = if line == 3 { "PASSWORD" } else { "EMAIL" };
        assert_eq!(of["type"], expected, "{of}");
    }
    let of = |line: u64| all.iter().find(|one| one["line"] == line).unwrap()["detector"].as_str().unwrap().to_owned();
    assert!(of(2).ends_with("in base64") && of(3).contains("gzip"), "{} / {}", of(2), of(3));
    let masked = text(&scan(&data, &["--format", "redacted", file.to_str().unwrap()]).stdout);
    assert!(!masked.contains(&zipped) && masked.contains("blob: [PASSWORD-1]"), "{masked}");
    assert_eq!(masked.matches("[EMAIL-1]").count(), 3, "one mailbox, however it is escaped: {masked}");
}

#[test]
fn sarif_is_of_its_schema_and_holds_no_value() {
    let data = Data::prepared();
    let file = data.beside("a b.env");
    std::fs::write(&file, format!("MAIL={MAIL}\nDB_PASSWORD={SECRET}\n")).unwrap();
    let output = scan(&data, &["--format", "sarif", "--exit-code", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let sarif: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(!rule["shortDescription"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].as_str().unwrap().ends_with("a%20b.env"));
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
    }
    assert!(!contains(&output.stdout, MAIL.as_bytes()) && !contains(&output.stdout, SECRET.as_bytes()));
    let empty = scan(&data, &["--format", "sarif", "/dev/null"]);
    let sarif: serde_json::Value = serde_json::from_slice(&empty.stdout).unwrap();
    assert_eq!(sarif["runs"][0]["results"], serde_json::json!([]));
}

#[test]
fn a_baseline_knows_values_without_holding_them() {
    let data = Data::prepared();
    let (file, baseline) = (data.beside("app.env"), data.beside("baseline.json"));
    let write = |lines: &str| std::fs::write(&file, lines).unwrap();
    let (path, known) = (file.to_str().unwrap(), baseline.to_str().unwrap());
    write(&format!("A_PASSWORD={SECRET}\n"));
    let made = scan(&data, &["--write-baseline", known, "--exit-code", path]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    assert!(!contains(&std::fs::read(&baseline).unwrap(), SECRET.as_bytes()));
    // It moved, and is known all the same.
    write(&format!("# new\n\nA_PASSWORD={SECRET}\n"));
    assert_eq!(scan(&data, &["--baseline", known, "--exit-code", path]).status.code(), Some(0));
    // A second one, and another value, are new.
    write(&format!("A_PASSWORD={SECRET}\nB_PASSWORD={SECRET}\n"));
    assert_eq!(scan(&data, &["--baseline", known, "--exit-code", path]).status.code(), Some(1));
    write("A_PASSWORD=Kestrel82!y\n");
    assert_eq!(scan(&data, &["--baseline", known, "--exit-code", path]).status.code(), Some(1));
    std::fs::write(&baseline, "{}").unwrap();
    let refused = scan(&data, &["--baseline", known, path]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--write-baseline"), "{}", text(&refused.stderr));
}

#[test]
fn what_is_reported_can_be_narrowed() {
    let data = Data::prepared();
    let file = data.beside("mixed.log");
    std::fs::write(&file, format!("mail {MAIL}\npassword={SECRET}\n")).unwrap();
    let kinds = |arguments: &[&str]| -> Vec<String> {
        let output = scan(&data, &[arguments, &["--format", "jsonl", file.to_str().unwrap()]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        found(&output).iter().map(|one| one["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&[]), ["EMAIL", "PASSWORD"]);
    assert_eq!(kinds(&["--only", "secret"]), ["PASSWORD"]);
    assert_eq!(kinds(&["--only", "personal"]), ["EMAIL"]);
    assert_eq!(kinds(&["--only", "EMAIL,structured"]), ["EMAIL"]);
    assert_eq!(kinds(&["--min-confidence", "0.999"]), Vec::<String>::new());
    let wrong = scan(&data, &["--only", "mails", file.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("neither a group"), "{}", text(&wrong.stderr));
}

#[test]
fn rules_of_ones_own_and_of_gitleaks_hold() {
    let data = Data::prepared();
    let write = |name: &str, content: &str| -> String {
        let path = data.beside(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ours = write(
        "ours.toml",
        r#"
        [[type]]
        name = "EMPLOYEE_ID"
        group = "contextual"
        pattern = '\bE-(\d{6})\b'
        words = ["employee"]
        matches = ["employee E-123456"]
        no-matches = ["E-123456"]
        [[field]]
        path = "$.trace.owner"
        type = "USERNAME"
        [[field]]
        path = "$.contact"
        never = true
        [allow]
        values = ["support@acme-mail.example"]
        [[deny]]
        values = ["Project Nightjar"]
        type = "CODENAME"
        [thresholds]
        IPV4 = 1.0
        "#,
    );
    let gitleaks = write(
        "gitleaks.toml",
        "[[rules]]\nid = \"acme-token\"\nregex = '''\\b(acme_[a-z0-9]{20})\\b'''\nkeywords = [\"acme_\"]\n",
    );
    let log = write(
        "rules.log",
        concat!(
            "employee E-123456 asked support@acme-mail.example about project  nightjar from 203.0.113.77\n",
            "{\"trace\":{\"owner\":\"zz-9\"},\"contact\":\"jo@customer-mail.example\"}\n",
            "t=acme_0123456789abcdefghij E-654321\n",
        ),
    );
    let output = scan(&data, &["--format", "jsonl", "--rules", &ours, "--rules", &gitleaks, &log]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let kinds: Vec<String> = found(&output)
        .iter()
        .map(|one| format!("{} {}", one["type"].as_str().unwrap(), one["detector"].as_str().unwrap()))
        .collect();
    let has = |kind: &str| kinds.iter().filter(|one| one.starts_with(kind)).count();
    assert_eq!(
        (has("EMPLOYEE_ID"), has("CODENAME"), has("USERNAME"), has("EMAIL"), has("IPV4")),
        (1, 1, 1, 0, 0),
        "{kinds:?}"
    );
    assert!(kinds.iter().any(|one| one.contains("gitleaks acme-token")), "{kinds:?}");

    for (rules, said) in [
        ("[[type]]\nname='A'\npattern='('\n", "A"),
        ("[[type]]\nname='A'\npattern='x'\nmatches=['y']\n", "y"),
        ("[[typ]]\n", "unknown field `typ`"),
    ] {
        let wrong = write("wrong.toml", rules);
        let refused = scan(&data, &["--rules", &wrong, &log]);
        assert_eq!(refused.status.code(), Some(2), "{rules}");
        assert!(text(&refused.stderr).contains(said), "{}", text(&refused.stderr));
    }
}

#[test]
fn a_long_secret_is_masked_from_its_first_byte() {
    let data = Data::prepared();
    let file = data.beside("long.log");
    let secret = "Xk29".repeat(600 << 10);
    for line in [format!("{{\"password\":\"{secret}\"}}\n"), format!("Authorization: Bearer {secret}\nnext\n")] {
        std::fs::write(&file, &line).unwrap();
        let output = scan(&data, &["--format", "redacted", file.to_str().unwrap()]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(!contains(&output.stdout, b"Xk29Xk29"), "{} bytes are left", output.stdout.len());
    }
}

#[test]
fn an_allowed_value_lets_nothing_through_that_is_packed_with_it() {
    let data = Data::prepared();
    use base64::Engine as _;
    let packed = base64::engine::general_purpose::STANDARD;
    let json = format!("{{\"mail\":\"support@acme-mail.example\",\"to\":\"{MAIL}\",\"password\":\"{SECRET}\"}}");
    let (rules, log) = (data.beside("allow.toml"), data.beside("packed.log"));
    std::fs::write(&rules, "[allow]\nvalues = [\"support@acme-mail.example\"]\n[scanner]\ndisabled = [\"USERNAME\"]\n")
        .unwrap();
    let zipped = packed.encode(gzip(json.as_bytes()));
    std::fs::write(&log, format!("blob={zipped}\nsecond: {}\n", packed.encode(&json))).unwrap();
    let arguments = ["--format", "redacted", "--rules", rules.to_str().unwrap(), log.to_str().unwrap()];
    let masked = text(&scan(&data, &arguments).stdout);
    assert!(!masked.contains(&zipped[..40]), "{masked}");
    let second = masked.lines().nth(1).unwrap();
    assert!(
        second.starts_with("second: ") && second.contains('[') && !second.contains(&packed.encode(&json)[60..90]),
        "{second}"
    );
}

#[test]
fn what_is_passed_over_in_folders_is_said() {
    let data = Data::prepared();
    let (folder, elsewhere) = (data.beside("links"), data.beside("elsewhere.log"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(&elsewhere, format!("mail {MAIL}\n")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, folder.join("link.log")).unwrap();
    let mut cut = vec![0; 20 << 10];
    cut.extend_from_slice(format!("\npassword={SECRET}\n").as_bytes());
    std::fs::write(folder.join("cut.log"), cut).unwrap();
    let plain = scan(&data, &["--exit-code", folder.to_str().unwrap()]);
    assert_eq!(plain.status.code(), Some(1), "zeros before a log do not hide it");
    assert!(text(&plain.stderr).contains("1 links in folders (follow them with --follow)"), "{}", text(&plain.stderr));
    let followed = text(&scan(&data, &["--follow", folder.to_str().unwrap()]).stdout);
    assert!(followed.contains("link.log") && followed.contains("EMAIL"), "{followed}");
}

#[test]
fn documents_of_an_archive_are_all_answered() {
    let data = Data::prepared();
    let file = data.beside("documents.zip");
    let line = |id: u32| format!("{{\"id\":{id},\"text\":\"mail {MAIL}\"}}\n");
    std::fs::write(&file, zip(&[("1.jsonl", line(1).as_bytes()), ("2.jsonl", line(2).as_bytes())])).unwrap();
    let output = scan(&data, &["--format", "jsonl", file.to_str().unwrap()]);
    let ids: Vec<serde_json::Value> = found(&output).into_iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, [1, 2]);
}
