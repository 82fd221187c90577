//! Readers: a small pool of read-only connections, used on blocking threads.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use fumehood_vault::Vault;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use crate::{StoreError, open};

/// Reads that run at once; the rest wait.
const READERS: usize = 4;

pub(crate) struct Readers {
    path: PathBuf,
    vault: Arc<Vault>,
    idle: Arc<Mutex<Vec<Connection>>>,
    room: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, vault: Arc<Vault>) -> Self {
        Self { path, vault, idle: Arc::default(), room: Arc::new(Semaphore::new(READERS)) }
    }

    /// Run a read on a connection of the pool. One that failed is not used again.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Vault) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.room).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (path, vault, idle) = (self.path.clone(), Arc::clone(&self.vault), Arc::clone(&self.idle));
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let kept = idle.lock().ok().and_then(|mut idle| idle.pop());
            let connection = match kept {
                Some(connection) => connection,
                None => open::connect(&path, &vault, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
            };
            let result = work(&connection, &vault);
            if !matches!(result, Err(StoreError::Io(_) | StoreError::Decode(_)))
                && let Ok(mut idle) = idle.lock()
            {
                idle.push(connection);
            }
            result
        })
        .await
        .map_err(|_| StoreError::Closed)?
    }
}
