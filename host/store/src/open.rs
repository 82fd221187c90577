//! Opening the data folder: the lock, the key, the schema, the writer and the readers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fumehood_vault::Vault;
use rusqlite::{Connection, OpenFlags};
use secrecy::ExposeSecret as _;

use crate::people::KnownTokens;
use crate::read::Readers;
use crate::record::Recorder;
use crate::writer::{Tx, Writer};
use crate::{StoreError, migrate};

/// Name of the database in the data folder.
pub const DATABASE: &str = "fumehood.db";
/// Name of the lock file in the data folder.
pub const LOCK: &str = "lock";

/// Databases up to this size are checked whole at the start.
const QUICK_CHECK_BYTES: u64 = 32 << 20;

/// How to open.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Where copies of the signed checkpoints go.
    pub checkpoint_file: Option<PathBuf>,
    /// Largest size of the database in pages of 4 KiB; for tests of a full disk.
    pub max_pages: Option<u32>,
}

/// An open store; cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    writer: Mutex<Option<Writer>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    readers: Readers,
    folder: PathBuf,
    /// API tokens in force, as they were read last.
    known_tokens: KnownTokens,
    _lock: std::fs::File,
}

impl Store {
    /// Open the store in `folder`, creating it where there is none.
    ///
    /// # Errors
    /// Any of [`StoreError`] that speaks of a path; nothing was changed then.
    pub fn open(folder: &Path, vault: Arc<Vault>, options: &OpenOptions) -> Result<Self, StoreError> {
        let lock = lock(folder)?;
        let path = folder.join(DATABASE);
        match path.metadata() {
            // A database that was emptied must not be taken for a first start.
            Ok(file) if file.len() == 0 => {
                return Err(StoreError::Corrupt {
                    path,
                    detail: "it is empty; if nothing was ever stored here, delete it".into(),
                });
            }
            Ok(_) => {}
            Err(_) => create_private(&path)?,
        }
        let mut connection = connect(&path, &vault, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        prepare(&mut connection, &path).map_err(|error| at(&path, error))?;
        if let Some(pages) = options.max_pages {
            connection.pragma_update(None, "max_page_count", pages)?;
        }
        let recorder = Recorder::open(&connection, vault.signing_key(), options.checkpoint_file.clone())?;
        let readers = Readers::new(path, Arc::clone(&vault));
        let (writer, thread) = Writer::start(connection, recorder, Arc::clone(&vault));
        Ok(Self(Arc::new(Inner {
            writer: Mutex::new(Some(writer)),
            thread: Mutex::new(Some(thread)),
            readers,
            folder: folder.into(),
            known_tokens: KnownTokens::default(),
            _lock: lock,
        })))
    }

    /// The folder that the store lives in.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    pub(crate) fn known_tokens(&self) -> &KnownTokens {
        &self.0.known_tokens
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let writer = self.0.writer.lock().ok().and_then(|writer| writer.clone());
        writer.ok_or(StoreError::Closed)?.write(work).await
    }

    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Vault) -> Result<T, StoreError> + Send + 'static,
    {
        self.0.readers.run(work).await
    }

    /// Finish what is queued, sign the last checkpoint, and close. Later writes fail with `Closed`.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        if let Ok(mut writer) = self.writer.lock() {
            writer.take();
        }
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl Drop for Inner {
    /// A process that ends must not take the cipher away from under a writer that still writes.
    fn drop(&mut self) {
        self.close();
    }
}

/// A new database is readable by its owner alone; SQLite gives its companions the same permissions.
fn create_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let created = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    created.map(drop).map_err(|error| StoreError::ReadOnly { path: path.into(), detail: error.to_string() })
}

/// Take the folder's lock for as long as the file lives.
fn lock(folder: &Path) -> Result<std::fs::File, StoreError> {
    use std::io::{Read as _, Seek as _, Write as _};
    let path = folder.join(LOCK);
    let read_only = |error: std::io::Error| StoreError::ReadOnly { path: path.clone(), detail: error.to_string() };
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(read_only)?;
    if file.try_lock().is_err() {
        let mut pid = String::new();
        let _ = file.read_to_string(&mut pid);
        return Err(StoreError::Locked { path: folder.into(), pid: pid.trim().into() });
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(read_only)?;
    writeln!(file, "{}", std::process::id()).map_err(read_only)?;
    Ok(file)
}

/// How the file is encrypted: AES-256 with HMAC-SHA-256, which processors compute in hardware, by pages of 2 KiB. What a
/// write costs is the encryption of the pages that it touches, a few rows in each.
pub const CIPHER: &str = "PRAGMA cipher_page_size = 2048; PRAGMA cipher_hmac_algorithm = HMAC_SHA256;";

/// Open a connection with the key, without touching the file.
pub(crate) fn connect(path: &Path, vault: &Vault, flags: OpenFlags) -> Result<Connection, StoreError> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that opens the database")]
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| at(path, error.into()))?;
    let key = vault.database_key_hex();
    connection.execute_batch(&format!("PRAGMA key = \"x'{}'\"; {CIPHER}", key.expose_secret()))?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    // The first read tells whether the key fits.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(StoreError::ReadOnly { path: path.into(), detail: format!("the journal stays in {mode} mode") });
    }
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;
         PRAGMA secure_delete = ON; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 2000;",
    )?;
    migrate::migrate(connection, path)?;
    // Reading all of a large database would make every start slow; its pages are checked when they are read.
    // (A page of an older copy would pass either check: the record's verifier is what finds that.)
    if path.metadata().is_ok_and(|file| file.len() > QUICK_CHECK_BYTES) {
        return Ok(());
    }
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(StoreError::Corrupt { path: path.into(), detail: verdict });
    }
    Ok(())
}

/// Say of an error at opening which file it speaks of.
fn at(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Decode(_) => StoreError::NotOurs { path: path.into() },
        StoreError::Io(detail) => StoreError::ReadOnly { path: path.into(), detail },
        other => other,
    }
}
