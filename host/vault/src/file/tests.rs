//! The key file: made once, durable, refused when loose or garbled, never overwritten.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn refusal(path: &Path) -> String {
    MasterKey::load_or_create_file(path).err().unwrap().to_string()
}

#[test]
fn a_key_is_made_once_and_read_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let made = MasterKey::load_or_create_file(&path).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o600);
    assert_eq!((metadata.len(), metadata.nlink()), (65, 1));
    assert!(MasterKey::load_or_create_file(&path).unwrap().to_hex() == made.to_hex());
    assert!(MasterKey::load_file(&path).unwrap().to_hex() == made.to_hex());
    // Nothing else is left in the folder.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn creating_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    fs::write(&path, "something").unwrap();
    let refused = MasterKey::create_file(&path).err().unwrap();
    assert!(matches!(&refused, VaultError::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists));
    assert_eq!(fs::read_to_string(&path).unwrap(), "something");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    // Neither where the file system has no links.
    assert!(write_durably(&path, &MasterKey::generate().unwrap()).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "something");
    // Neither through a link that leads nowhere.
    let link = folder.path().join("link");
    symlink(folder.path().join("nowhere"), &link).unwrap();
    assert!(MasterKey::load_or_create_file(&link).is_err());
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn of_several_that_start_at_once_all_get_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let keys: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| MasterKey::load_or_create_file(&path).unwrap().to_hex().to_string()))
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[test]
fn loose_permissions_are_refused_with_the_command_that_helps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    MasterKey::create_file(&path).unwrap();
    for mode in [0o644, 0o640, 0o660, 0o604, 0o601, 0o620] {
        set_mode(&path, mode);
        let shown = path.display();
        assert_eq!(
            refusal(&path),
            format!(
                "the master key file {shown} can be used by others than its owner (mode {mode:04o}); run: chmod 600 \
                 {shown}"
            )
        );
    }
    for mode in [0o600, 0o400] {
        set_mode(&path, mode);
        MasterKey::load_file(&path).unwrap();
    }
}

#[test]
fn short_and_garbled_files_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    for (content, reason) in [
        (b"".to_vec(), "this has another length"),
        (b"abcd\n".to_vec(), "this has another length"),
        ([b"g".repeat(64)].concat(), "this has other characters"),
        (b"0".repeat(64), "this is a placeholder of equal bytes"),
        (vec![0xff; 64], "it is not text"),
        (b"a".repeat(257), "it is too long"),
    ] {
        fs::write(&path, &content).unwrap();
        set_mode(&path, 0o600);
        let refused = refusal(&path);
        assert!(refused.ends_with(reason), "{refused}");
        assert!(refused.contains("was refused, and left as it is: "), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    assert!(refusal(folder.path()).ends_with("it is not a regular file"));
}

#[test]
fn a_missing_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let refused = refusal(&folder.path().join("none/master.key"));
    assert!(refused.starts_with("cannot create the master key file "), "{refused}");
}

#[test]
fn a_path_is_one_word_of_the_command() {
    assert_eq!(shell_word(Path::new("/etc/fumehood/master.key")), "/etc/fumehood/master.key");
    assert_eq!(shell_word(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    assert_eq!(shell_word(Path::new("-x")), "'./-x'");
}
