//! The author's commands: refusals that say what to do.

use fumehood_tests::Data;
use fumehood_tests::server::text;

#[test]
fn a_new_plugin_is_a_whole_folder_and_never_overwrites_one() {
    let data = Data::empty();
    let place = data.beside("work");
    std::fs::create_dir_all(&place).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = data.command(&[&["plugin"], arguments].concat());
        command.current_dir(&place).output().unwrap()
    };
    for language in ["rust", "python", "javascript"] {
        for world in ["scanner", "provider", "integration", "transport"] {
            let name = format!("{language}-{world}");
            let output = run(&["new", &name, "--world", world, "--lang", language]);
            assert!(output.status.success(), "{}", text(&output.stderr));
            for file in ["fumehood.toml", "README.md", "wit/types-0.1.0/types.wit", &format!("tests/{world}.toml")] {
                let content = std::fs::read_to_string(place.join(&name).join(file)).unwrap();
                assert!(!content.contains("{{"), "{name}/{file} holds a placeholder");
            }
        }
    }
    let again = run(&["new", "rust-scanner", "--world", "scanner"]);
    assert!(text(&again.stderr).contains("rust-scanner is there already"), "{}", text(&again.stderr));
    let bad = run(&["new", "Rust_Scanner", "--world", "scanner"]);
    assert!(text(&bad.stderr).contains("lower-case letters, digits and hyphens"), "{}", text(&bad.stderr));
    assert_eq!(run(&["new", "a", "--world", "everything"]).status.code(), Some(2));
    let unbuilt = run(&["test", "rust-scanner"]);
    assert!(text(&unbuilt.stderr).contains("build it first: fumehood plugin build"), "{}", text(&unbuilt.stderr));
    let nowhere = run(&["build", "nowhere"]);
    assert!(text(&nowhere.stderr).contains("`fumehood plugin new NAME --world WORLD`"), "{}", text(&nowhere.stderr));
    assert!(!data.path().exists(), "none of this makes a data folder");
}

#[test]
fn a_key_is_private_and_signs_only_components() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = Data::empty();
    let (key, file) = (data.beside("p.key"), data.beside("a.wasm"));
    let (key, file) = (key.display().to_string(), file.display().to_string());
    assert!(data.run(&["plugin", "key", &key]).status.success());
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let again = data.run(&["plugin", "key", &key]);
    assert!(text(&again.stderr).contains("cannot be made"), "a key is never overwritten: {}", text(&again.stderr));
    std::fs::write(&file, "no component").unwrap();
    let refused = data.run(&["plugin", "sign", "--key", &key, &file]);
    assert!(text(&refused.stderr).contains("is not a WebAssembly component"), "{}", text(&refused.stderr));
    let no_key = data.run(&["plugin", "sign", "--key", &file, &file]);
    assert!(text(&no_key.stderr).contains("is no key of `fumehood plugin key`"), "{}", text(&no_key.stderr));
}
