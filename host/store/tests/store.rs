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
    let key = vault.database_key_hex();
    let cipher = fumehood_store::CIPHER;
    connection.execute_batch(&format!("PRAGMA key = \"x'{}'\"; {cipher}", key.expose_secret())).unwrap();
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

#[tokio::test]
async fn a_checkpoint_file_that_cannot_be_written_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no-such-folder/checkpoints");
    let options = OpenOptions { checkpoint_file: Some(path.clone()), ..OpenOptions::default() };
    let error = Store::open(folder.path(), vault(), &options).err().expect("it is refused");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

mod tool_calls {
    use super::*;
    use fumehood_store::approvals::{Approval, Binding, Verdict};
    use fumehood_store::conversation::Turn;
    use fumehood_store::outside::{McpServer, Model};
    use fumehood_store::{ApprovalId, IncidentId, ModelId, ServerId, clock};

    /// An incident whose turn waits for as many decisions.
    async fn waiting(store: &Store, calls: usize) -> (IncidentId, Turn, Vec<ApprovalId>) {
        let scope = Scope::system();
        let incident = store.create_incident(&scope, fields("calls")).await.unwrap().id;
        let model = Model {
            id: ModelId::new(),
            name: "m".into(),
            plugin: "p".into(),
            private_nets: vec!["10.0.0.0/8".into()],
            base_url: "http://127.0.0.1:9/v1".into(),
            model: "m".into(),
            settings: Default::default(),
            credential_id: None,
            created_us: 0,
            checked_us: None,
            problem: String::new(),
            position: 0,
            enabled: true,
            context_tokens: None,
            listed_tokens: None,
            input_price: None,
            output_price: None,
        };
        let model_id = model.id;
        store.create_model(&scope, model).await.unwrap();
        let server = McpServer {
            id: ServerId::new(),
            name: "s".into(),
            slug: format!("s{}", clock::now_us()),
            transport: "stdio".into(),
            plugin: String::new(),
            private_nets: Vec::new(),
            url: String::new(),
            command: "/bin/true".into(),
            arguments: Vec::new(),
            program_sha256: String::new(),
            auth_kind: "none".into(),
            auth_header: String::new(),
            credential_id: None,
            enabled: true,
            created_us: 0,
            state: "connected".into(),
            reason: String::new(),
            checked_us: None,
        };
        let server_id = server.id;
        store.create_server(&scope, server).await.unwrap();
        let turn = store.begin_turn(&scope, incident, (model_id, "m".into()), "why?".into()).await.unwrap();
        let ask = |number: usize| Approval {
            id: ApprovalId::new(),
            incident_id: incident,
            turn_id: turn.id,
            call_id: format!("call-{number}"),
            server_id,
            server: "s".into(),
            method: "tools/call".into(),
            tool: "t".into(),
            tool_sha256: vec![1; 32],
            plugin_sha256: vec![2; 32],
            arguments: "{}".into(),
            arguments_sha256: vec![3; 32],
            masked: Vec::new(),
            risk: "high".into(),
            for_incident: false,
            state: "pending".into(),
            decided_by: None,
            decided_us: None,
            expires_us: clock::now_us() + 60_000_000,
            result: String::new(),
            problem: String::new(),
            created_us: 0,
        };
        let asks: Vec<Approval> = (0..calls).map(ask).collect();
        let ids = asks.iter().map(|ask| ask.id).collect();
        store.ask(&scope, turn.id, asks).await.unwrap();
        (incident, turn, ids)
    }

    #[tokio::test]
    async fn of_decisions_at_the_same_time_one_goes_on_with_the_turn() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), &vault());
        let scope = Scope::system();
        for round in 0..20 {
            let (_, turn, ids) = waiting(&store, 4).await;
            let decided =
                futures_util::future::join_all(ids.iter().map(|id| store.decide_call(&scope, *id, Verdict::Approve)))
                    .await;
            let going_on = decided.into_iter().filter_map(Result::unwrap).count();
            assert_eq!(going_on, 1, "round {round}");
            assert_eq!(store.turn(&scope, turn.id).await.unwrap().state, "running");
        }
    }

    #[tokio::test]
    async fn a_call_is_used_once_and_ends_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), &vault());
        let scope = Scope::system();
        let (_, _, ids) = waiting(&store, 1).await;
        let binding =
            || Binding { tool_sha256: vec![1; 32], plugin_sha256: vec![2; 32], arguments_sha256: vec![3; 32] };
        assert!(store.consume(&scope, ids[0], binding()).await.is_err(), "nobody has approved it");
        store.decide_call(&scope, ids[0], Verdict::Approve).await.unwrap();
        let other = Binding { arguments_sha256: vec![4; 32], ..binding() };
        assert!(matches!(store.consume(&scope, ids[0], other).await, Err(StoreError::Conflict(_))));
        store.consume(&scope, ids[0], binding()).await.unwrap();
        assert!(matches!(store.consume(&scope, ids[0], binding()).await, Err(StoreError::Conflict(_))));
        store.finish_call(&scope, ids[0], "done", "42".into(), String::new()).await.unwrap();
        let late = store.finish_call(&scope, ids[0], "failed", String::new(), "late".into()).await;
        assert!(matches!(late, Err(StoreError::Conflict(_))));
        assert_eq!(store.approval(&scope, ids[0]).await.unwrap().result, "42");
    }

    #[tokio::test]
    async fn what_waits_in_a_turn_that_was_stopped_is_never_called() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), &vault());
        let scope = Scope::system();
        let (_, turn, ids) = waiting(&store, 2).await;
        assert!(
            store.decide_call(&scope, ids[0], Verdict::Approve).await.unwrap().is_none(),
            "the other one still waits"
        );
        store.set_turn(&scope, turn.id, "stopped", String::new(), "").await.unwrap();
        assert!(matches!(store.decide_call(&scope, ids[1], Verdict::Approve).await, Err(StoreError::Conflict(_))));
        for id in ids {
            assert_eq!(store.approval(&scope, id).await.unwrap().state, "expired");
        }
        assert_eq!(store.turn(&scope, turn.id).await.unwrap().state, "stopped");
    }
}
