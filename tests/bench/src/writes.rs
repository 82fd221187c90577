//! Durable audited writes: through the store, and as bare SQLCipher inserts.
//!
//! Ours creates incidents: a row, its event on the timeline, an audit entry that goes into the Merkle tree, and a signed
//! checkpoint, acknowledged when the commit is on disk. The reference inserts the incident's row alone, into a table
//! with the same columns and indexes, one transaction each, with the same key and the same durability (write-ahead log,
//! `synchronous=FULL`), in the same folder. With eight callers it is eight threads, each with a connection.
//!
//! For information, the smallest audited write too: an event, which is one audit entry, against one row like it.
//!
//! What ours computes beside the flush is constant, so the ratio of one caller depends on the disk; what its flush takes
//! is printed with it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use fumehood_store::incidents::{IncidentFields, IncidentFilter};
use fumehood_store::record::EntryFilter;
use fumehood_store::{Change, IncidentId, OpenOptions, Scope, Store};
use fumehood_vault::{Keyring, MasterKey, Vault};
use rusqlite::Connection;
use secrecy::ExposeSecret as _;

use crate::measure::{Goal, Report, median, rounds, spread};

const ROUNDS: usize = 15;
/// How long one side of a round writes.
const SPAN: Duration = Duration::from_millis(700);
/// Writes before the clock starts.
const WARM_UP: usize = 50;

const TITLE: &str = "Orders are answered with 503 since the deployment";
const DESCRIPTION: &str = "Since 03:12 UTC about a third of all orders fail with 503. The deployment of 03:05 was \
    rolled back without effect; the connection pool of the payment service is exhausted, and its database is idle.";

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Incident,
    Event,
}

pub fn run(report: &mut Report, folder: &Path) {
    let place = tempfile::Builder::new().prefix("bench-writes-").tempdir_in(folder).unwrap();
    println!("writes: to {}, where 4 KiB and a flush take {} µs", place.path().display(), flush(place.path()));
    let master = MasterKey::generate().unwrap();
    let vault = Arc::new(Keyring::create(&master).unwrap().open(&master).unwrap());
    let measured = [
        ("durable audited writes, 1 caller", Write::Incident, 1, Some(Goal::AtLeast(0.9))),
        ("durable audited writes, 8 callers", Write::Incident, 8, Some(Goal::Above(1.0))),
        ("durable audited events, 1 caller", Write::Event, 1, None),
    ];
    for (name, what, callers, goal) in measured {
        let ours = || ours(place.path(), &vault, what, callers);
        let rounds = rounds(ROUNDS, ours, || bare(place.path(), &vault, what, callers));
        report.ratio(name, "writes/s", &rounds, goal);
    }
}

/// What the disk takes to make 4 KiB durable, by itself.
fn flush(folder: &Path) -> String {
    use std::io::Write as _;
    let mut file = tempfile::tempfile_in(folder).unwrap();
    let once = |_| {
        let began = Instant::now();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        began.elapsed().as_secs_f64() * 1e6
    };
    let times: Vec<_> = (0..200).map(once).collect();
    format!("{:.0} ({})", median(&times), spread(&times))
}

/// One audited write; acknowledged when this returns.
async fn write(store: &Store, what: Write) {
    match what {
        Write::Incident => {
            let fields = IncidentFields {
                title: TITLE.into(),
                description: DESCRIPTION.into(),
                severity: "high".into(),
                status: "open".into(),
                category: "network".into(),
                tags: vec!["orders".into(), "payment".into()],
            };
            store.create_incident(&Scope::system(), fields).await.unwrap();
        }
        Write::Event => {
            let change = Change::new("bench.event", format!("incident:{}", IncidentId::new())).with("severity", "high");
            store.event(&Scope::system(), change, "ok").await.unwrap();
        }
    }
}

/// Acknowledged writes a second through the store.
fn ours(folder: &Path, vault: &Arc<Vault>, what: Write, callers: usize) -> f64 {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let store = Store::open(folder.path(), Arc::clone(vault), &OpenOptions::default()).unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (written, seconds, found) = tokio.block_on(async {
        for _ in 0..WARM_UP {
            write(&store, what).await;
        }
        let began = Instant::now();
        let caller = |_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut written = 0;
                while began.elapsed() < SPAN {
                    write(&store, what).await;
                    written += 1;
                }
                written
            })
        };
        let mut written = 0;
        for caller in (0..callers).map(caller).collect::<Vec<_>>() {
            written += caller.await.unwrap();
        }
        (written, began.elapsed().as_secs_f64(), count(&store, what).await)
    });
    assert_eq!(found, written + WARM_UP, "what was acknowledged is there");
    store.close();
    written as f64 / seconds
}

/// What the store holds.
async fn count(store: &Store, what: Write) -> usize {
    match what {
        Write::Incident => {
            let filter = IncidentFilter { limit: 1, ..IncidentFilter::default() };
            usize::try_from(store.incidents(&Scope::system(), filter).await.unwrap().1).unwrap()
        }
        Write::Event => {
            let filter = EntryFilter { limit: usize::MAX >> 1, ..EntryFilter::default() };
            store.entries(&Scope::system(), filter).await.unwrap().len()
        }
    }
}

/// One table for each kind of write: the columns and indexes that the row has in the store.
const TABLES: &str = "
    CREATE TABLE incidents (
        id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, number INTEGER NOT NULL, title TEXT NOT NULL,
        description TEXT NOT NULL, severity TEXT NOT NULL, status TEXT NOT NULL, category TEXT NOT NULL,
        tags TEXT NOT NULL, created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL, created_by TEXT NOT NULL,
        sash_lowered_us INTEGER, version INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX incidents_number ON incidents (tenant_id, number);
    CREATE INDEX incidents_updated ON incidents (tenant_id, updated_us);
    CREATE TABLE events (
        idx INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, leaf BLOB NOT NULL, body BLOB NOT NULL,
        time_us INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_target ON events (tenant_id, target, idx);";

fn connect(path: &Path, vault: &Vault) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(&format!("PRAGMA key = \"x'{}'\"", vault.database_key_hex().expose_secret())).unwrap();
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    connection.execute_batch("PRAGMA synchronous = FULL").unwrap();
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    connection
}

/// One row, in a transaction of its own.
fn insert(connection: &Connection, what: Write, number: i64) {
    let (id, time_us) = (IncidentId::new(), 1_700_000_000_000_000 + number);
    let inserted = match what {
        Write::Incident => connection
            .prepare_cached(
                "INSERT INTO incidents VALUES (?1, 'default', ?2, ?3, ?4, 'high', 'open', 'network',
                 '[\"orders\",\"payment\"]', ?5, ?5, 'system', NULL, 1)",
            )
            .unwrap()
            .execute((id, number, TITLE, DESCRIPTION, time_us)),
        Write::Event => connection
            .prepare_cached("INSERT INTO events VALUES (?1, 'default', ?2, ?3, ?4, 'system', 'bench.event', ?5)")
            .unwrap()
            .execute((number, [7; 32], [8; 150], time_us, format!("incident:{id}"))),
    };
    assert_eq!(inserted.unwrap(), 1);
}

/// Inserts a second on SQLCipher alone.
fn bare(folder: &Path, vault: &Vault, what: Write, callers: usize) -> f64 {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let path = folder.path().join("bare.db");
    let first = connect(&path, vault);
    first.execute_batch(TABLES).unwrap();
    let number = AtomicI64::new(0);
    let next = || number.fetch_add(1, Ordering::Relaxed);
    for _ in 0..WARM_UP {
        insert(&first, what, next());
    }
    let connections: Vec<_> = (0..callers).map(|_| connect(&path, vault)).collect();
    let began = Instant::now();
    let written: usize = std::thread::scope(|scope| {
        let caller = |connection: Connection| {
            let next = &next;
            scope.spawn(move || {
                let mut written = 0;
                while began.elapsed() < SPAN {
                    insert(&connection, what, next());
                    written += 1;
                }
                written
            })
        };
        let threads: Vec<_> = connections.into_iter().map(caller).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let seconds = began.elapsed().as_secs_f64();
    let table = if what == Write::Incident { "incidents" } else { "events" };
    let total: i64 = first.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(total).unwrap(), written + WARM_UP, "what was acknowledged is there");
    written as f64 / seconds
}
