//! Help, configuration and its precedence, completions, plugins, tokens, first and second start.

use fumehood_tests::machine::snapshot;
use fumehood_tests::server::text;
use fumehood_tests::{Data, Launch};

#[test]
fn help_names_every_command_and_option_that_is_promised() {
    let data = Data::empty();
    let help = text(&data.run(&["--help"]).stdout);
    for word in [
        "serve",
        "scan",
        "audit",
        "token",
        "plugin",
        "config",
        "completions",
        "--data",
        "--listen",
        "--checkpoint-file",
    ] {
        assert!(help.contains(word), "--help does not name {word}:\n{help}");
    }
    for command in [
        ["scan"].as_slice(),
        &["audit", "verify"],
        &["token", "create"],
        &["plugin", "list"],
        &["serve"],
        &["config"],
        &["mcp", "replay"],
    ] {
        let output = data.run(&[command, &["--help"]].concat());
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("Usage:"), "{command:?}");
    }
    assert!(text(&data.run(&["--version"]).stdout).starts_with("fumehood "));
    assert!(!data.path().exists(), "asking for help makes no data folder");
}

#[test]
fn a_typing_error_is_refused_with_the_usage_on_standard_error() {
    let data = Data::empty();
    for wrong in [
        ["--liste", "x"].as_slice(),
        &["scna"],
        &["token", "create"],
        &["token", "create", "--role", "root"],
        &["--listen", "nowhere"],
    ] {
        let output = data.run(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty(), "{wrong:?}: {}", text(&output.stdout));
        assert!(!output.stderr.is_empty());
    }
    assert!(!data.path().exists());
}

#[test]
fn completions_are_printed_for_the_usual_shells() {
    let data = Data::empty();
    for shell in ["bash", "zsh", "fish"] {
        let output = data.run(&["completions", shell]);
        assert!(output.status.success());
        let script = text(&output.stdout);
        assert!(script.contains("fumehood") && script.contains("checkpoint"), "{shell}");
    }
}

#[test]
fn configuration_flag_over_environment_over_file_over_default() {
    let data = Data::empty();
    let file = data.beside("conf.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:1111\"\nlog = \"warn\"\n").unwrap();
    let shown = |listen_flag: bool, listen_variable: bool| {
        let mut command = data.command(&["--config", file.to_str().unwrap()]);
        if listen_flag {
            command.args(["--listen", "127.0.0.1:3333"]);
        }
        if listen_variable {
            command.env("FUMEHOOD_LISTEN", "127.0.0.1:2222");
        }
        let output = command.arg("config").output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let line =
        |shown: &str, name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    let all = line(&shown(true, true), "listen");
    assert!(all.contains("127.0.0.1:3333") && all.contains("flag"), "{all}");
    let variable = line(&shown(false, true), "listen");
    assert!(variable.contains("127.0.0.1:2222") && variable.contains("environment"), "{variable}");
    let from_file = line(&shown(false, false), "listen");
    assert!(from_file.contains("127.0.0.1:1111") && from_file.contains("file"), "{from_file}");
    let default = line(&shown(false, false), "public-url");
    assert!(default.contains("default"), "{default}");
    let data_line = line(&shown(false, false), "data");
    assert!(data_line.contains(data.path().to_str().unwrap()) && data_line.contains("flag"), "{data_line}");

    std::fs::write(&file, "lisen = \"127.0.0.1:1111\"\n").unwrap();
    let output = data.command(&["--config", file.to_str().unwrap(), "config"]).output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("lisen"), "a wrong key is named: {}", text(&output.stderr));
}

#[test]
fn plugin_list_has_every_plugin_that_ships() {
    let output = Data::empty().run(&["plugin", "list"]);
    assert!(output.status.success());
    let list = text(&output.stdout);
    for name in ["scanner-pii", "provider-openai", "transport-stdio", "transport-http", "integration-confluence"] {
        assert!(list.contains(name), "{name} is missing:\n{list}");
    }
}

#[test]
fn a_first_start_makes_folder_key_and_link_and_a_second_one_is_faster() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = Data::empty();
    let begun = std::time::Instant::now();
    let server = data.start();
    let first = begun.elapsed();
    let mode = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(data.path()), 0o700);
    assert_eq!(mode(data.path().join("master.key")), 0o600);
    let link = server.sign_in().expect("a sign-in link follows the first line").to_owned();
    assert!(link.starts_with(server.url()), "{link} is not below {}", server.url());
    assert_eq!(server.stranger().get("/health").status, 200);
    assert!(server.stop().success());

    let header = std::fs::read(data.database()).unwrap();
    assert!(!header.starts_with(b"SQLite format 3"), "the database is encrypted from the first byte");

    let begun = std::time::Instant::now();
    let server = data.start();
    let second = begun.elapsed();
    eprintln!("first start {first:?}, second {second:?}");
    assert!(second < first, "compiled plugins come from the cache: first {first:?}, second {second:?}");
    assert!(server.sign_in().is_some(), "nobody has signed in yet, so there is a link again");
    assert!(server.stop().success());
}

#[test]
fn a_compiled_plugin_that_was_tampered_with_is_not_loaded() {
    let data = Data::prepared();
    let mut damaged = 0;
    for (path, mut bytes) in snapshot(&data.path()) {
        // Compiled components are the only large files beside the database.
        if path.starts_with(data.path().join("cache")) && bytes.len() > 10_000 {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x40;
            std::fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0, "no compiled plugins were found in the data folder's cache");
    let server = data.start();
    let client = server.client(&data.token("admin"));
    let incident = client.incident("after the cache was touched");
    client.upload(&incident, "a.log", b"mail to jane.roe@customer-mail.example\n").expect(201);
    assert!(server.stop().success());
}

#[test]
fn tokens_are_made_beside_a_running_server_and_without_one() {
    let data = Data::prepared();
    let offline = data.token("viewer");
    let server = data.start();
    let online = data.token("viewer");
    assert_ne!(offline, online);
    for token in [&offline, &online] {
        server.client(token).get("/api/v1/incidents").expect(200);
    }
    server.client("not-a-token").get("/api/v1/incidents").problem(401);
    // Stored as hashes: the file and its log do not hold them, even encrypted it would be one search away.
    assert!(server.stop().success());
    for (path, bytes) in snapshot(&data.path()) {
        assert!(!fumehood_tests::fixtures::contains(&bytes, online.as_bytes()), "{} holds the token", path.display());
    }
}

#[test]
fn listening_beyond_this_machine_needs_tls_or_a_public_url() {
    let data = Data::prepared();
    let before = snapshot(&data.path());
    let said = Launch::new(&data.path()).arg("--listen").arg("0.0.0.0:0").refuse();
    assert!(said.contains("--tls-cert") && said.contains("--public-url"), "{said}");
    assert_eq!(before, snapshot(&data.path()));
}
