//! The store through its own interface: what is acknowledged stays, what is foreign is refused and left alone, and an
//! audit log that was edited with the key in hand is found out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "the tests play the attacker who opens the database")]

use std::path::Path;
use std::sync::Arc;

use fumehood_store::incidents::{IncidentFields, IncidentFilter};
use fumehood_store::{Change, OpenOptions, Scope, Store, StoreError, VerifyReport, verify};
use fumehood_vault::{Keyring, MasterKey, Vault};
use secrecy::ExposeSecret as _;

fn vault() -> Arc<Vault> {
    let master = MasterKey::generate().unwrap();
    Arc::new(Keyring::create(&master).unwrap().open(&master).unwrap())
}

fn open(folder: &Path, vault: &Arc<Vault>) -> Store {
    Store::open(folder, Arc::clone(vault), &OpenOptions::default()).unwrap()
}

fn fields(title: &str) -> IncidentFields {
    IncidentFields { title: title.into(), severity: "high".into(), status: "open".into(), ..IncidentFields::default() }
}

fn raw(folder: &Path, vault: &Vault) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(folder.join("fumehood.db")).unwrap();
    connection.execute_batch(&format!("PRAGMA key = \"x'{}'\"", vault.database_key_hex().expose_secret())).unwrap();
    connection
}

async fn filled(folder: &Path, vault: &Arc<Vault>, outside: Option<&Path>) -> Vec<u8> {
    let options = OpenOptions { checkpoint_file: outside.map(Into::into), ..OpenOptions::default() };
    let store = Store::open(folder, Arc::clone(vault), &options).unwrap();
    let scope = Scope::system();
    for number in 0..12 {
        store.create_incident(&scope, fields(&format!("number {number}"))).await.unwrap();
    }
    let intent = store.intent(&scope, Change::new("effect.test", "test:1")).await.unwrap();
    store.outcome(&scope, intent, Change::new("effect.test", "test:1"), "ok").await.unwrap();
    store.close();
    outside.map(|path| std::fs::read(path).unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault();
    let store = open(folder.path(), &vault);
    let scope = Scope::system();
    let writes = (0..50).map(|number| {
        let (store, scope) = (store.clone(), scope.clone());
        tokio::spawn(async move { store.create_incident(&scope, fields(&format!("incident {number}"))).await })
    });
    let mut numbers = Vec::new();
    for write in writes.collect::<Vec<_>>() {
        numbers.push(write.await.unwrap().unwrap().number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>(), "numbers are given once");
    store.close();
    drop(store);
    let store = open(folder.path(), &vault);
    let (_, total) = store.incidents(&scope, IncidentFilter { limit: 10, ..IncidentFilter::default() }).await.unwrap();
    assert_eq!(total, 50);
    store.close();
    match verify(folder.path(), &vault, None).unwrap() {
        VerifyReport::Ok(report) => assert_eq!(report.entries, 50),
        VerifyReport::Bad { sentence, .. } => panic!("{sentence}"),
    }
}

#[tokio::test]
async fn a_write_that_fails_leaves_neither_row_nor_entry() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault();
    let store = open(folder.path(), &vault);
    let scope = Scope::system();
    let incident = store.create_incident(&scope, fields("one")).await.unwrap();
    let stale = store.update_incident(&scope, incident.id, 99, fields("two")).await;
    assert!(matches!(stale, Err(StoreError::Conflict(_))));
    assert_eq!(store.incident(&scope, incident.id).await.unwrap().title, "one");
    store.close();
    let VerifyReport::Ok(report) = verify(folder.path(), &vault, None).unwrap() else { panic!("the log is in order") };
    assert_eq!(report.entries, 1);
}

#[tokio::test]
async fn a_full_disk_fails_writes_keeps_reads_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault();
    open(folder.path(), &vault).close();
    let options = OpenOptions { max_pages: Some(140), ..OpenOptions::default() };
    let store = Store::open(folder.path(), Arc::clone(&vault), &options).unwrap();
    let scope = Scope::system();
    let mut written = 0;
    let full = loop {
        let large = IncidentFields { description: "x".repeat(20_000), ..fields("large") };
        match store.create_incident(&scope, large).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1000, "the limit is reached");
    };
    assert!(matches!(full, StoreError::Full), "{full}");
    let (_, total) = store.incidents(&scope, IncidentFilter { limit: 1, ..IncidentFilter::default() }).await.unwrap();
    assert_eq!(total, written, "what was acknowledged is readable, what was refused is not there");
    store.close();
    drop(store);
    let store = open(folder.path(), &vault);
    store.create_incident(&scope, fields("after")).await.unwrap();
    store.close();
    assert!(matches!(verify(folder.path(), &vault, None).unwrap(), VerifyReport::Ok(_)));
}

#[tokio::test]
async fn foreign_and_damaged_files_are_refused_and_left_alone() {
    let cases: [(&str, Vec<u8>); 4] = [
        ("plain SQLite", {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("plain.db");
            rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
            std::fs::read(path).unwrap()
        }),
        ("garbage", vec![7; 8192]),
        ("zeros", vec![0; 8192]),
        ("a text", b"not a database at all, but long enough to be looked at\n".repeat(100)),
    ];
    for (what, bytes) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fumehood.db");
        std::fs::write(&path, &bytes).unwrap();
        let error = Store::open(folder.path(), vault(), &OpenOptions::default()).err().expect(what);
        assert!(error.to_string().contains("fumehood.db"), "{what}: {error}");
        assert!(error.to_string().contains("Nothing was changed"), "{what}: {error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{what} is as it was");
    }
}

#[tokio::test]
async fn another_vault_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path(), &vault()).close();
    let before = std::fs::read(folder.path().join("fumehood.db")).unwrap();
    assert!(Store::open(folder.path(), vault(), &OpenOptions::default()).is_err());
    assert_eq!(std::fs::read(folder.path().join("fumehood.db")).unwrap(), before);
}

#[tokio::test]
async fn one_process_owns_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault();
    let store = open(folder.path(), &vault);
    let second = Store::open(folder.path(), Arc::clone(&vault), &OpenOptions::default()).err().unwrap();
    assert!(matches!(second, StoreError::Locked { .. }), "{second}");
    store.close();
}

#[tokio::test]
async fn the_database_file_holds_no_plain_text() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault();
    let store = open(folder.path(), &vault);
    store.create_incident(&Scope::system(), fields("canary-7f3a-visible")).await.unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(19).any(|window| window == b"canary-7f3a-visible"));
        assert!(!bytes.windows(15).any(|window| window == b"SQLite format 3"));
    }
    store.close();
}

/// Each form of tampering, done by someone who has the key.
#[tokio::test]
async fn tampering_is_found() {
    let edits: [(&str, &str); 8] = [
        (
            "edited",
            "UPDATE audit_entries SET body = CAST(substr(body, 1, length(body) - 1) || x'00' AS BLOB) WHERE idx = 3",
        ),
        ("deleted", "DELETE FROM audit_entries WHERE idx = 5"),
        ("truncated", "DELETE FROM audit_entries WHERE idx > 8"),
        (
            "swapped",
            "UPDATE audit_entries SET idx = -1 WHERE idx = 2; UPDATE audit_entries SET idx = 2 WHERE idx = 3;
             UPDATE audit_entries SET idx = 3 WHERE idx = -1",
        ),
        ("renumbered", "UPDATE audit_entries SET idx = idx + 100 WHERE idx >= 6"),
        (
            "duplicated",
            "INSERT INTO audit_entries SELECT 14, tenant_id, leaf, body, time_us, actor, action, target FROM audit_entries WHERE idx = 1",
        ),
        ("columns edited", "UPDATE audit_entries SET actor = 'user:someone-else' WHERE idx = 4"),
        (
            "checkpoints dropped and cut",
            "DELETE FROM audit_checkpoints; DELETE FROM audit_head; DELETE FROM audit_entries WHERE idx > 8",
        ),
    ];
    for (what, sql) in edits {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault();
        let outside = folder.path().join("outside.txt");
        let notes = filled(folder.path(), &vault, Some(&outside)).await;
        assert!(
            matches!(verify(folder.path(), &vault, Some(&notes)).unwrap(), VerifyReport::Ok(_)),
            "{what}: in order before"
        );
        raw(folder.path(), &vault).execute_batch(sql).unwrap();
        match verify(folder.path(), &vault, Some(&notes)).unwrap() {
            VerifyReport::Bad { .. } => {}
            VerifyReport::Ok(report) => panic!("{what} was not found in {} entries", report.entries),
        }
    }
}

#[tokio::test]
async fn an_older_copy_of_the_whole_database_is_found_by_the_file_outside() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault();
    let outside = folder.path().join("outside.txt");
    filled(folder.path(), &vault, Some(&outside)).await;
    let old = std::fs::read(folder.path().join("fumehood.db")).unwrap();
    let notes = filled(folder.path(), &vault, Some(&outside)).await;
    let _ = std::fs::remove_file(folder.path().join("fumehood.db-wal"));
    std::fs::write(folder.path().join("fumehood.db"), old).unwrap();
    assert!(matches!(verify(folder.path(), &vault, None).unwrap(), VerifyReport::Ok(_)), "alone it looks right");
    assert!(matches!(verify(folder.path(), &vault, Some(&notes)).unwrap(), VerifyReport::Bad { .. }));
}

#[tokio::test]
async fn a_torn_file_outside_is_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault();
    let outside = folder.path().join("outside.txt");
    let notes = filled(folder.path(), &vault, Some(&outside)).await;
    std::fs::write(&outside, &notes[..notes.len() - 10]).unwrap();
    let notes = filled(folder.path(), &vault, Some(&outside)).await;
    assert!(matches!(verify(folder.path(), &vault, Some(&notes)).unwrap(), VerifyReport::Ok(_)));
}
