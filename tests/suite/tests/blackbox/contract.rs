//! The contract's packages: what is frozen stays as it is.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use fumehood_tests::machine;

/// The folder's files, each with its name and its bytes, as one hash.
fn digest(folder: &Path) -> String {
    let mut files: Vec<_> = machine::snapshot(folder);
    files.sort();
    let mut all = Vec::new();
    for (path, bytes) in files {
        let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        all.extend(format!("{} {name} {}\n", name.len(), bytes.len()).into_bytes());
        all.extend(bytes);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), all).unwrap();
    let output = Command::new("sha256sum").arg(file.path()).output().expect("sha256sum");
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// Why the packages in a folder are not as its list of frozen ones has them.
fn check(wit: &Path) -> Result<(), String> {
    let list = std::fs::read_to_string(wit.join("frozen.txt")).map_err(|error| error.to_string())?;
    let lines = list.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let frozen: BTreeMap<&str, &str> =
        lines.filter_map(|line| line.split_once(' ')).map(|(digest, name)| (name.trim(), digest)).collect();
    for (name, digest_then) in &frozen {
        let folder = wit.join(name);
        if !folder.is_dir() {
            return Err(format!("{name} is frozen, and gone"));
        }
        if digest(&folder) != *digest_then {
            return Err(format!("{name} is frozen, and was edited; make a new version"));
        }
    }
    for entry in std::fs::read_dir(wit).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let version = name.rsplit_once('-').map(|(_, version)| version).unwrap_or_default();
        if !version.starts_with("0.") && !frozen.contains_key(name.as_str()) {
            return Err(format!(
                "{name} is no 0.x and stands in no line of frozen.txt: {} {name}",
                digest(&entry.path())
            ));
        }
    }
    Ok(())
}

#[test]
fn no_frozen_package_was_edited() {
    let root = machine::root();
    check(&root.join("wit")).unwrap();
    // Nor was its line: whatever once stood in the list still does.
    let git = |arguments: &[&str]| Command::new("git").arg("-C").arg(&root).args(arguments).output();
    let Ok(history) = git(&["log", "-p", "--format=", "--", "wit/frozen.txt"]) else {
        return machine::skip("no_frozen_package_was_edited", "git is missing, so the list's history was not read");
    };
    let history = String::from_utf8_lossy(&history.stdout).into_owned();
    let gone: Vec<&str> = history
        .lines()
        .filter(|line| line.starts_with('-') && !line.starts_with("---") && !line.starts_with("-#"))
        .collect();
    assert!(gone.is_empty(), "frozen.txt has lost {gone:?}");
}

#[test]
fn freezing_holds_on_a_sample_package() {
    let wit = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = wit.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let package = "package sample:one@1.0.0;\ninterface i { f: func(); }\n";
    write("sample-1.0.0/sample.wit", package);
    write("draft-0.3.0/draft.wit", "package sample:draft@0.3.0;\n");
    write("frozen.txt", "# nothing yet\n");
    let missing = check(wit.path()).unwrap_err();
    assert!(missing.contains("sample-1.0.0 is no 0.x and stands in no line of frozen.txt"), "{missing}");
    let line = missing.split("frozen.txt: ").nth(1).unwrap().to_owned();
    write("frozen.txt", &format!("{line}\n"));
    check(wit.path()).unwrap();
    write("draft-0.3.0/draft.wit", "package sample:draft@0.3.0;\ninterface new {}\n");
    check(wit.path()).expect("a draft may change");
    write("sample-1.0.0/sample.wit", &package.replace("f: func()", "f: func(); g: func()"));
    assert!(check(wit.path()).unwrap_err().contains("was edited"));
    write("sample-1.0.0/sample.wit", package);
    write("sample-1.0.0/more.wit", "package sample:one@1.0.0;\n");
    assert!(check(wit.path()).unwrap_err().contains("was edited"), "a file more is an edit");
    std::fs::remove_dir_all(wit.path().join("sample-1.0.0")).unwrap();
    assert!(check(wit.path()).unwrap_err().contains("is frozen, and gone"));
}
