//! What `fumehood scan` reads and what it says of what it does not read.

use std::path::{Path, PathBuf};

use fumehood_tests::Data;
use fumehood_tests::server::text;

use super::scan_tool::{MAIL, SECRET, scan};

#[test]
fn colours_hide_nothing() {
    let data = Data::prepared();
    let log = data.beside("colours.log");
    let token = "ghp_1a2B3c4D5e6F7g8H9i0JkLmNoPqRsTuVwXyZ";
    let text = format!(
        "x: \u{1b}[31m{token}\u{1b}[0m y\n\u{1b}[32mpassword\u{1b}[0m=\u{1b}[31m{SECRET}\u{1b}[0m\n\
         {{\"m\":\"\\u001b[31m{token}\\u001b[0m\"}}\nby \u{1b}[1m{MAIL}\u{1b}[0m\n"
    );
    std::fs::write(&log, &text).unwrap();
    let output = scan(&data, &["--format", "redacted", log.to_str().unwrap()]);
    let masked = String::from_utf8(output.stdout).unwrap();
    for value in [token, SECRET, MAIL] {
        assert!(!masked.contains(value), "{masked}");
    }
    assert!(masked.contains("\u{1b}[1m[EMAIL-"), "the colour stays: {masked:?}");
}

#[test]
fn what_was_not_read_is_said_and_exits_with_two() {
    let data = Data::prepared();
    let folder = data.beside("some");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.log"), format!("mail {MAIL}\n")).unwrap();
    std::fs::write(folder.join("names.txt"), "Anna Keller ".repeat(11_000)).unwrap();
    let wide = format!("mail {MAIL} twice\n");
    std::fs::write(folder.join("u16.txt"), wide.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
        .unwrap();
    std::fs::write(folder.join("z.log"), format!("password={SECRET}\n")).unwrap();
    let place = folder.to_str().unwrap();
    // Text of nothing but names is scanned like any other, and UTF-16 is read without a mark.
    let found = scan(&data, &["--exit-code", place]);
    assert_eq!(found.status.code(), Some(1), "{}", text(&found.stderr));
    for file in ["a.log", "u16.txt", "z.log"] {
        assert!(text(&found.stdout).contains(file), "{}", text(&found.stdout));
    }
    let four: Vec<u8> = wide.chars().flat_map(|c| u32::to_le_bytes(c as u32)).collect();
    std::fs::write(folder.join("u32.txt"), four).unwrap();
    let masked = data.beside("masked");
    for arguments in [
        vec!["--exit-code", place],
        vec![place],
        vec!["--format", "redacted", "--output", masked.to_str().unwrap(), place],
    ] {
        let output = scan(&data, &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("u32.txt: UTF-32"), "{}", text(&output.stderr));
    }
    let mut files = walk(&masked);
    files.sort();
    let names: Vec<_> = files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["a.log", "names.txt", "u16.txt", "z.log"]);
    // Like any file that the user makes, not for him alone.
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let usual = data.beside("usual");
    std::fs::write(&usual, "").unwrap();
    assert!(files.iter().all(|path| mode(path) == mode(&usual)), "{files:?}");
    let sarif = scan(&data, &["--format", "sarif", place]);
    let sarif: serde_json::Value = serde_json::from_slice(&sarif.stdout).unwrap();
    let invocation = &sarif["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert!(invocation["toolExecutionNotifications"][0]["message"]["text"].as_str().unwrap().contains("u32.txt"));
    let region = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"];
    assert_eq!((&region["startColumn"], &region["endLine"]), (&6.into(), &1.into()), "{region}");
    assert_eq!(region["endColumn"], 6 + MAIL.len());
}

/// The files in a folder and below.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            files.extend(walk(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

#[test]
fn documents_with_more_fields_do_not_pass_for_scanned() {
    let data = Data::prepared();
    let documents = data.beside("chat.jsonl");
    std::fs::write(&documents, format!("{{\"id\":1,\"text\":\"hello\",\"user\":\"{MAIL}\"}}\n")).unwrap();
    let file = documents.to_str().unwrap();
    let output = scan(&data, &["--exit-code", "--format", "jsonl", file]);
    assert_eq!(text(&output.stdout), "{\"id\":1,\"spans\":[]}\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("from line 1 on: fields beside id and text"), "{}", text(&output.stderr));
    let whole = scan(&data, &["--exit-code", "--format", "sarif", file]);
    assert_eq!(whole.status.code(), Some(1));
}

#[test]
fn excluded_files_are_left_out_by_any_name() {
    let data = Data::prepared();
    let folder = data.beside("tree");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    let (a, b) = (folder.join("a.log"), folder.join("sub/b.log"));
    for file in [&a, &b] {
        std::fs::write(file, format!("mail {MAIL}\n")).unwrap();
    }
    let (a, b, place) = (a.to_str().unwrap(), b.to_str().unwrap(), folder.to_str().unwrap());
    for (arguments, left) in [
        (vec!["--exclude", "sub/", place], "a.log"),
        (vec!["--exclude", "./sub", place], "a.log"),
        (vec!["--exclude", "*.log", a, b], ""),
        (vec!["--exclude", "b.log", a, b], "a.log"),
    ] {
        let output = scan(&data, &arguments);
        let found = text(&output.stdout);
        let files: Vec<_> = found.lines().map(|line| line.split(':').next().unwrap()).collect();
        assert!(
            files.iter().all(|file| file.ends_with(left)) && files.len() == usize::from(!left.is_empty()),
            "{found}"
        );
    }
}

#[test]
fn a_path_that_is_allowed_holds_beside_escapes() {
    let data = Data::prepared();
    let (rules, log) = (data.beside("never.toml"), data.beside("never.log"));
    std::fs::write(&rules, "[[field]]\npath = \"$.trace_id\"\nnever = true\n").unwrap();
    std::fs::write(&log, format!("{{\"n\":\"q\\\"r\",\"trace_id\":\"{MAIL}\"}}\n")).unwrap();
    let output = scan(&data, &["--rules", rules.to_str().unwrap(), log.to_str().unwrap()]);
    assert!(!text(&output.stdout).contains("EMAIL"), "{}", text(&output.stdout));
}
