//! Where `fumehood scan` keeps the compiled scanners: in a folder that is trusted as far as its owner and its key go.

use std::path::Path;

use fumehood_tests::Data;
use fumehood_tests::server::{command_on, text};

use super::scan_tool::MAIL;

#[test]
fn a_cache_of_its_own_is_used_and_not_trusted() {
    let data = Data::prepared();
    let cache = data.beside("cache");
    let file = data.beside("x.log");
    std::fs::write(&file, format!("mail {MAIL}\n")).unwrap();
    let empty = data.beside("no-data-here");
    let run = || {
        let arguments = ["scan", "--cache", cache.to_str().unwrap(), file.to_str().unwrap()];
        let output = command_on(&empty, &arguments).output().unwrap();
        assert!(text(&output.stdout).contains("EMAIL"), "{}", text(&output.stderr));
    };
    run();
    let entries = || -> Vec<std::path::PathBuf> {
        std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    assert!(entries().len() >= 2);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&cache), mode(&cache.join("key"))), (0o700, 0o600));
    // What was changed in it is made anew.
    for entry in entries().iter().filter(|path| !path.ends_with("key")) {
        let mut bytes = std::fs::read(entry).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(entry, bytes).unwrap();
    }
    run();
    assert!(!empty.exists(), "a scan makes no data folder");
}

#[test]
fn the_users_own_cache_is_used_where_nothing_is_named() {
    let data = Data::prepared();
    let (home, file) = (data.beside("cache-home"), data.beside("x.log"));
    std::fs::write(&file, format!("mail {MAIL}\n")).unwrap();
    let run = |options: &[&str]| {
        let mut arguments = vec!["scan", file.to_str().unwrap()];
        arguments.extend(options);
        let mut command = command_on(&data.beside("no-data"), &arguments);
        let output = command.env("XDG_CACHE_HOME", &home).output().unwrap();
        assert!(text(&output.stdout).contains("EMAIL"), "{}", text(&output.stderr));
    };
    run(&["--no-cache"]);
    assert!(!home.exists(), "nothing is kept");
    run(&[]);
    let compiled = home.join("fumehood/compiled");
    let kept = || std::fs::read_dir(&compiled).unwrap().count();
    let count = kept();
    assert!(count >= 2, "{count}");
    run(&[]);
    assert_eq!(kept(), count);
    // One that cannot be used costs time and nothing else.
    std::fs::remove_dir_all(&home).unwrap();
    std::fs::write(&home, "a file").unwrap();
    run(&[]);
}

#[test]
fn what_a_cache_folder_holds_beside_it_stays() {
    let data = Data::prepared();
    let (cache, file) = (data.beside("shared-cache"), data.beside("x.log"));
    std::fs::write(&file, format!("mail {MAIL}\n")).unwrap();
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new().mode(0o700).create(&cache).unwrap();
    let mine = std::fs::File::create(cache.join("thesis.img")).unwrap();
    // More than a cache may hold, and no byte of it on the disk.
    mine.set_len(3 << 30).unwrap();
    let run = || {
        let arguments = ["scan", "--cache", cache.to_str().unwrap(), file.to_str().unwrap()];
        command_on(&data.beside("no-data"), &arguments).output().unwrap()
    };
    assert!(run().status.success());
    assert!(cache.join("thesis.img").exists() && cache.join("key").exists());
    // One that others may write to is not used.
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).unwrap();
    let refused = run();
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("belong to you alone"), "{}", text(&refused.stderr));
}
