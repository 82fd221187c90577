//! Everything wrong that a data folder, a key or a machine can be: a message that says what happened and what to do, an
//! exit code, and not one byte changed.

use std::path::PathBuf;

use fumehood_tests::machine::{Tmpfs, can_mount, copy_folder, skip, snapshot};
use fumehood_tests::server::text;
use fumehood_tests::{Data, Launch};

/// A folder with an incident in it, stopped.
fn used() -> Data {
    let data = Data::prepared();
    let server = data.start();
    server.client(&data.token("admin")).incident("Here before");
    assert!(server.stop().success());
    data
}

/// Put `bytes` in the place of the database, without the log of changes that would stand in for its pages.
fn replace_database(data: &Data, bytes: &[u8]) {
    for name in ["fumehood.db-wal", "fumehood.db-shm"] {
        let _ = std::fs::remove_file(data.path().join(name));
    }
    std::fs::write(data.database(), bytes).unwrap();
}

#[test]
fn an_orderly_end_leaves_everything_in_the_database_file() {
    let data = used();
    let wal = std::fs::metadata(data.path().join("fumehood.db-wal")).map_or(0, |file| file.len());
    let bytes = std::fs::metadata(data.database()).unwrap().len();
    assert!(
        wal == 0,
        "{wal} bytes are in the write-ahead log only, {bytes} in the database: a copy of the database misses them"
    );
}

/// What matters in a folder: not the lock, not SQLite's index, not the cache.
fn kept(data: &Data) -> Vec<(PathBuf, Vec<u8>)> {
    let names = ["fumehood.db", "fumehood.db-wal", "master.key", "keyring.json"];
    let all = snapshot(&data.path()).into_iter();
    all.filter(|(path, bytes)| {
        names.iter().any(|name| path.ends_with(name)) && !(path.ends_with("fumehood.db-wal") && bytes.is_empty())
    })
    .collect()
}

/// The server and the commands refuse, say one of `words`, and change nothing.
fn refused(data: &Data, words: &[&str]) {
    let before = kept(data);
    let said = Launch::new(&data.path()).refuse();
    assert!(words.iter().any(|word| said.to_lowercase().contains(word)), "none of {words:?} in: {said}");
    let lines = said.lines().filter(|line| line.starts_with("fumehood: ")).count();
    assert_eq!(lines, 1, "one message for the person: {said}");
    for arguments in [["audit", "verify"].as_slice(), &["token", "create", "--role", "admin"]] {
        let output = data.run(arguments);
        assert!(output.status.code().is_some_and(|code| code != 0), "{arguments:?}: {}", text(&output.stdout));
        assert!(!text(&output.stderr).contains("panicked"), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty() || arguments[0] == "audit", "{arguments:?} prints {}", text(&output.stdout));
    }
    assert_eq!(before.len(), kept(data).len());
    for ((path, old), (_, new)) in before.iter().zip(kept(data)) {
        assert!(*old == new, "{} was changed", path.display());
    }
}

#[test]
fn a_wrong_key() {
    let data = used();
    std::fs::write(data.path().join("master.key"), "ab".repeat(32)).unwrap();
    refused(&data, &["master key"]);
}

#[test]
fn a_wrong_key_in_the_environment() {
    let data = used();
    let before = kept(&data);
    let said = Launch::new(&data.path()).env("FUMEHOOD_MASTER_KEY", &"cd".repeat(32)).refuse();
    assert!(said.contains("master key"), "{said}");
    assert!(!said.contains(&"cd".repeat(32)), "the key is in the message: {said}");
    assert_eq!(before, kept(&data));
}

#[test]
fn a_key_that_is_no_key_or_is_gone() {
    let data = used();
    for bad in ["", "hello", &"zz".repeat(32), &"ab".repeat(31)] {
        std::fs::write(data.path().join("master.key"), bad).unwrap();
        refused(&data, &["key"]);
    }
    std::fs::remove_file(data.path().join("master.key")).unwrap();
    let said = Launch::new(&data.path()).refuse();
    assert!(said.contains("key"), "{said}");
    assert!(!data.path().join("master.key").exists(), "a new key for an old database hides that the old one is lost");
}

#[test]
fn a_key_file_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = used();
    let path = data.path().join("master.key");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&data, &["0600", "permission", "others", "readable"]);
}

#[test]
fn a_keyring_that_is_gone_or_damaged() {
    let data = used();
    let path = data.path().join("keyring.json");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    refused(&data, &["keyring"]);
    std::fs::write(&path, "{}").unwrap();
    refused(&data, &["keyring"]);
    std::fs::remove_file(&path).unwrap();
    refused(&data, &["keyring"]);
    assert!(!path.exists());
}

#[test]
fn a_database_whose_header_is_zeros() {
    let data = used();
    let mut bytes = std::fs::read(data.database()).unwrap();
    bytes[..4096].fill(0);
    replace_database(&data, &bytes);
    refused(&data, &["not a fumehood database", "damaged"]);
}

#[test]
fn a_plain_sqlite_database() {
    let data = used();
    let mut plain = b"SQLite format 3\0\x10\x00\x01\x01\x00\x40\x20\x20".to_vec();
    plain.resize(8192, 0);
    replace_database(&data, &plain);
    refused(&data, &["not a fumehood database", "damaged"]);
}

#[test]
fn an_empty_file_and_one_of_text() {
    let data = used();
    replace_database(&data, "dear diary\n".repeat(1_000).as_bytes());
    refused(&data, &["not a fumehood database", "damaged"]);
    replace_database(&data, b"");
    refused(&data, &["empty", "not a fumehood database", "damaged"]);
}

#[test]
fn another_installations_database() {
    let (data, other) = (used(), Data::empty());
    assert!(other.start().stop().success());
    replace_database(&data, &std::fs::read(other.database()).unwrap());
    refused(&data, &["not a fumehood database", "damaged"]);
}

#[test]
fn a_folder_that_is_a_file() {
    let data = Data::empty();
    std::fs::write(data.path(), "I am a file").unwrap();
    let said = Launch::new(&data.path()).refuse();
    assert!(said.contains(data.path().to_str().unwrap()), "{said}");
    assert_eq!(std::fs::read(data.path()).unwrap(), b"I am a file");
}

#[test]
fn a_read_only_folder() {
    if !can_mount() {
        return skip("a_read_only_folder", "file systems cannot be mounted here");
    }
    let data = used();
    let place = data.beside("ro");
    std::fs::create_dir(&place).unwrap();
    let disk = Tmpfs::mount(&place, 256 << 20).unwrap();
    let folder = place.join("data");
    copy_folder(&data.path(), &folder);
    assert!(disk.seal());
    let before = snapshot(&folder);
    let said = Launch::new(&folder).refuse();
    assert!(said.to_lowercase().contains("read-only") || said.contains("permission"), "{said}");
    assert_eq!(before, snapshot(&folder));
    // A place that is not there yet cannot be made either.
    let said = Launch::new(&place.join("new")).refuse();
    assert!(said.contains(place.join("new").to_str().unwrap()), "{said}");
}

#[test]
fn a_port_that_is_taken() {
    let data = Data::empty();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = Launch::new(&data.path()).arg("--listen").arg(&address).refuse();
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
    assert!(!data.path().exists(), "nothing was made before the port was known to be free");
}

#[test]
fn a_second_server_on_the_same_folder() {
    let data = used();
    let server = data.start();
    let said = Launch::new(&data.path()).refuse();
    assert!(said.contains(&server.pid().to_string()), "it names the process that runs: {said}");
    let client = server.client(&data.token("admin"));
    client.incident("The first one goes on");
    assert!(server.stop().success());
    // The lock of a server that was killed does not stand in the way.
    data.start().kill();
    assert!(data.start().stop().success());
}

#[test]
fn certificates_that_are_none() {
    let data = Data::prepared();
    let file = data.beside("cert.pem");
    std::fs::write(&file, "not a certificate").unwrap();
    let path = file.to_str().unwrap();
    let said = Launch::new(&data.path()).arg("--tls-cert").arg(path).arg("--tls-key").arg(path).refuse();
    assert!(said.contains(path), "{said}");
    let said = Launch::new(&data.path()).arg("--tls-cert").arg(path).refuse();
    assert!(said.contains("--tls-key"), "{said}");
}
