//! The data folder: created 0700, with a random master key (0600) and a keyring. There is no default key.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use fumehood_vault::{KdfParams, Keyring, MasterKey, Vault};

use crate::settings::Settings;

/// Name of the keyring in the data folder.
pub const KEYRING: &str = "keyring.json";
/// The master key itself, instead of a file.
const KEY_VARIABLE: &str = "FUMEHOOD_MASTER_KEY";
/// A passphrase, instead of a key.
const PASSPHRASE_VARIABLE: &str = "FUMEHOOD_PASSPHRASE";

/// Open the vault of the data folder, making folder, key and keyring where they are not.
pub fn open_or_create(settings: &Settings) -> anyhow::Result<Arc<Vault>> {
    create_folder(&settings.data)?;
    let path = settings.data.join(KEYRING);
    match std::fs::read_to_string(&path) {
        Ok(json) => open_keyring(settings, &path, &json),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create_keyring(settings, &path),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Open the vault of an existing data folder; nothing is made.
pub fn open(settings: &Settings) -> anyhow::Result<Arc<Vault>> {
    let path = settings.data.join(KEYRING);
    let json = std::fs::read_to_string(&path).with_context(|| {
        format!("{} is no data folder of Fumehood ({KEYRING} cannot be read)", settings.data.display())
    })?;
    open_keyring(settings, &path, &json)
}

fn create_folder(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("the data folder {} cannot be created", folder.display()))
}

fn open_keyring(settings: &Settings, path: &Path, json: &str) -> anyhow::Result<Arc<Vault>> {
    let keyring = Keyring::from_json(json).with_context(|| path.display().to_string())?;
    let master = match (std::env::var(KEY_VARIABLE), std::env::var(PASSPHRASE_VARIABLE)) {
        (Ok(key), _) => MasterKey::from_hex(&key).context(KEY_VARIABLE)?,
        (_, Ok(passphrase)) => keyring.master_from_passphrase(&passphrase).context(PASSPHRASE_VARIABLE)?,
        _ if keyring.kdf().is_some() => bail!("this data folder was made with a passphrase: set {PASSPHRASE_VARIABLE}"),
        _ => MasterKey::load_file(&settings.key_file)?,
    };
    let vault = keyring
        .open(&master)
        .with_context(|| format!("the data folder {} stays sealed. Nothing was changed", settings.data.display()))?;
    Ok(Arc::new(vault))
}

fn create_keyring(settings: &Settings, path: &Path) -> anyhow::Result<Arc<Vault>> {
    // A database without its keyring cannot be opened by a new one: making one would hide that it is lost.
    let database = settings.data.join("fumehood.db");
    if database.metadata().is_ok_and(|file| file.len() > 0) {
        bail!(
            "{} is there, but {} is not: without it the database cannot be opened. Restore it from a backup. Nothing was changed",
            database.display(),
            path.display()
        );
    }
    let master = match (std::env::var(KEY_VARIABLE), std::env::var(PASSPHRASE_VARIABLE)) {
        (Ok(key), _) => MasterKey::from_hex(&key).context(KEY_VARIABLE)?,
        (_, Ok(passphrase)) => {
            MasterKey::from_passphrase(&passphrase, &KdfParams::generate()?).context(PASSPHRASE_VARIABLE)?
        }
        _ => MasterKey::load_or_create_file(&settings.key_file)?,
    };
    let keyring = Keyring::create(&master)?;
    write_new(path, keyring.to_json().as_bytes()).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(Arc::new(keyring.open(&master)?))
}

/// Written aside, flushed and renamed: a crash leaves no half keyring.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}
