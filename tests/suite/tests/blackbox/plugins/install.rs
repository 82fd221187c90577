//! What is taken, what is not, and what happens to it.

use super::{House, example, scanner_manifest};

#[test]
fn a_signed_plugin_waits_for_an_approval_and_then_works() {
    let Some(component) = example("a_signed_plugin_waits", "rust-scanner") else { return };
    let house = House::new();
    let packed = house.packed(&component, &scanner_manifest("1.0.0", "example"));
    let said = house.ok(&["install", &packed]);
    assert!(
        said.contains("rust-scanner 1.0.0 is installed: sha256:") && said.contains("waits for an approval"),
        "{said}"
    );
    assert!(house.masked("EMP-123456 came in\n").unwrap().contains("EMP-123456"), "it does not run yet");
    assert!(house.ok(&["list"]).contains("waiting"));
    house.ok(&["approve", "rust-scanner", "--all"]);
    let masked = house.masked("EMP-123456 wrote to ana@ops.example\n").unwrap();
    assert_eq!(masked, "[EMPLOYEE_ID-1] wrote to [EMAIL-1]\n");
    let call = &house.audit("plugin.call")[..];
    assert!(call.iter().any(|entry| entry["target"] == "plugin:rust-scanner"), "its calls are on record");

    // It is there after a start, without being compiled again.
    let House { data, server, .. } = house;
    assert!(server.stop().success());
    let server = data.start();
    let client = server.client(&data.token("responder"));
    let incident = client.incident("Later");
    client.upload(&incident, "a.log", b"EMP-123456\n").expect(201);
    assert!(!server.log().contains("compiled plugin rust-scanner"), "{}", server.log());
}

#[test]
fn what_nobody_trusted_signed_is_refused_and_on_record() {
    let Some(component) = example("what_nobody_trusted_signed", "rust-scanner") else { return };
    let house = House::new();
    let path = component.display().to_string();
    let unsigned = house.refused(&["install", &path]);
    assert!(
        unsigned.contains("rust-scanner is not signed") && unsigned.contains("allow-unsigned = [\"sha256:"),
        "{unsigned}"
    );

    // A name that somebody else's key signed.
    let packed = house.packed(&component, &scanner_manifest("1.0.0", "stranger"));
    let error = house.refused(&["install", &packed]);
    assert!(error.contains("its publisher `stranger` is not trusted here"), "{error}");

    // One byte of the component changed after it was signed: of the manifest in it, at its end.
    let packed = house.packed(&component, &scanner_manifest("1.0.0", "example"));
    let bytes = std::fs::read(&packed).unwrap();
    let changed = String::from_utf8_lossy(&bytes[bytes.len() - 10..]).into_owned();
    assert!(changed.contains("numbers"), "the manifest is at the end: {changed}");
    let mut other = bytes.clone();
    let at = other.len() - 5;
    other[at] ^= 1;
    std::fs::write(&packed, &other).unwrap();
    assert!(
        house.refused(&["install", &packed]).contains("none of the keys that are trusted for the publisher `example`")
    );

    // Names that are ours.
    let ours = house.packed(&component, &scanner_manifest("1.0.0", "fumehood"));
    assert!(house.refused(&["install", &ours]).contains("belongs to a plugin that ships with Fumehood"));
    let refused = house.audit("plugin.install");
    assert_eq!(refused.len(), 4, "{refused:?}");
    assert!(refused.iter().all(|entry| entry["result"] == "refused"));
    assert!(!house.ok(&["list"]).contains("rust-scanner"));

    // An operator may take one component all the same.
    let digest = unsigned.split("sha256:").nth(1).unwrap().split('"').next().unwrap();
    house.policy(&format!("allow-unsigned = [\"sha256:{digest}\"]\n"));
    assert!(house.ok(&["install", &path]).contains("is installed"));
}

#[test]
fn machine_code_and_other_bytes_are_refused() {
    let house = House::new();
    let file = house.data.beside("a.wasm");
    for (bytes, said) in [
        (b"\x7fELF\x02\x01\x01 but not of ours".as_slice(), "is not a WebAssembly component"),
        (b"\0asm\x01\0\0\0", "it is a core module; build for wasm32-wasip2"),
        (b"", "it does not begin with a component header"),
        (b"\0asm\x0d\0\x01\0", "it exports none of"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let error = house.refused(&["install", &file.display().to_string()]);
        assert!(error.contains(said), "{error}");
    }
    // What our own compiler makes of a component is refused like anybody else's machine code.
    let cache = std::fs::read_dir(house.data.path().join("cache")).unwrap().flatten().next().unwrap();
    let artefact = std::fs::read(cache.path()).unwrap();
    std::fs::write(&file, &artefact[32..]).unwrap();
    let error = house.refused(&["install", &file.display().to_string()]);
    assert!(error.contains("precompiled artefact") && error.contains("loads no foreign machine code"), "{error}");
    std::fs::write(&file, vec![0; (64 << 20) + 1]).unwrap();
    assert!(house.refused(&["install", &file.display().to_string()]).contains("larger than 65536 KiB"));
}

#[test]
fn an_upgrade_that_widens_waits_and_one_that_does_not_runs_and_both_are_rolled_back() {
    let Some(component) = example("an_upgrade_that_widens", "rust-integration") else { return };
    let house = House::new();
    let manifest = |version: &str, more: &str| {
        format!(
            "name = \"desk\"\nversion = \"{version}\"\npublisher = \"example\"\nworld = \"integration\"\n\
             description = \"Desk\"\n[[http]]\nreason = \"Tickets\"\nhost = \"desk.example.com\"\nmethods = [\"GET\"]\n{more}"
        )
    };
    house.ok(&["install", &house.packed(&component, &manifest("1.0.0", ""))]);
    house.ok(&["approve", "desk", "--all"]);
    let same = house.ok(&["install", &house.packed(&component, &manifest("1.0.1", ""))]);
    assert!(same.contains("It asks for nothing more than the version before it, so it runs already."), "{same}");
    let wider =
        manifest("1.1.0", "[[http]]\nreason = \"Also writes\"\nhost = \"desk.example.com\"\nmethods = [\"POST\"]\n");
    let said = house.ok(&["install", &house.packed(&component, &wider)]);
    assert!(said.contains("waits for an approval"), "{said}");
    assert!(said.contains("new: may POST to https://desk.example.com/"), "{said}");
    let shown = house.ok(&["show", "desk"]);
    assert!(shown.starts_with("desk 1.0.1 by example, integration, ready"), "{shown}");
    assert!(shown.contains("Against version 1.0.1, which runs until then:"), "{shown}");
    house.ok(&["approve", "desk", "--only", "1"]);
    let shown = house.ok(&["show", "desk"]);
    assert!(shown.contains("desk 1.1.0") && shown.contains("  2  -        may POST"), "{shown}");
    assert!(house.ok(&["rollback", "desk"]).contains("desk 1.0.1 runs again"));
    assert!(house.ok(&["show", "desk"]).starts_with("desk 1.0.1"));
    assert!(house.ok(&["remove", "desk"]).contains("was removed"));
    assert!(!house.ok(&["list"]).contains("desk"));
}

#[test]
fn what_lands_in_the_folder_waits_and_a_later_swap_changes_nothing() {
    let Some(component) = example("what_lands_in_the_folder", "rust-scanner") else { return };
    let house = House::new();
    let folder = house.data.path().join("plugins");
    std::fs::create_dir_all(&folder).unwrap();
    let packed = house.packed(&component, &scanner_manifest("1.0.0", "example"));
    let dropped = folder.join("s.wasm");
    std::fs::copy(format!("{packed}.sig"), folder.join("s.wasm.sig")).unwrap();
    std::fs::copy(&packed, &dropped).unwrap();
    let wait = |what: &str, said: &str| {
        fumehood_tests::machine::wait_for(what, std::time::Duration::from_secs(30), || {
            house.ok(&["list"]).contains(said).then_some(())
        });
    };
    wait("the component to be taken in", "rust-scanner               1.0.0");
    house.ok(&["approve", "rust-scanner", "--all"]);
    // Swapped on disk after the approval: by bytes that were never signed, and by a link out of the folder.
    std::fs::write(&dropped, b"\0asm\x0d\0\x01\0 something else").unwrap();
    wait("the swap to be seen", "not taken from the drop-in folder: s.wasm");
    std::fs::remove_file(&dropped).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &dropped).unwrap();
    wait("the link to be refused", "s.wasm cannot be read");
    assert!(house.masked("EMP-123456\n").unwrap().starts_with("[EMPLOYEE_ID-1]"), "what was approved runs");
    let House { data, server, .. } = house;
    assert!(server.stop().success());
    let server = data.start();
    let client = server.client(&data.token("responder"));
    let incident = client.incident("Later");
    let log = client.upload(&incident, "a.log", b"EMP-123456\n").expect(201).json();
    let log = log["id"].as_str().unwrap();
    let text = client.get(&format!("/api/v1/logs/{log}/redacted")).expect(200).text();
    assert!(text.starts_with("[EMPLOYEE_ID-1]"), "{text}");
}

#[test]
fn the_ceiling_holds_whatever_was_granted_and_a_broken_policy_loosens_nothing() {
    let Some(component) = example("the_ceiling_holds", "rust-integration") else { return };
    let house = House::new();
    let policy = std::fs::read_to_string(house.data.path().join("policy.toml")).unwrap();
    let manifest = "name = \"desk\"\nversion = \"1.0.0\"\npublisher = \"example\"\nworld = \"integration\"\n\
                    description = \"Desk\"\n[[http]]\nreason = \"Tickets\"\nhost = \"*.example.com\"\nmethods = [\"GET\", \"POST\"]\n\
                    [kv]\nbytes = 65536\nreason = \"Remembers\"\n";
    house.ok(&["install", &house.packed(&component, manifest)]);
    let capped = format!(
        "[all]\nhttp = [{{ methods = [\"GET\"] }}]\n[by-publisher.example]\nhttp = [{{ host = \"desk.example.com\" }}]\n\
         [by-world.integration]\nkv-bytes = 0\n{policy}"
    );
    house.policy(&capped);
    let shown = house.ok(&["show", "desk"]);
    assert!(shown.contains("the ceiling leaves: may GET to https://desk.example.com/"), "{shown}");
    assert!(shown.contains("the organisation's ceiling leaves nothing of it"), "{shown}");
    house.ok(&["approve", "desk", "--all"]);
    let may = |shown: &str| shown.split("It asks for").next().unwrap().to_owned();
    let shown = may(&house.ok(&["show", "desk"]));
    assert!(shown.contains("  may GET to https://desk.example.com/, sending") && !shown.contains("POST"), "{shown}");
    assert!(!shown.contains("keep"), "{shown}");

    std::fs::write(house.data.path().join("policy.toml"), "[all]\nhtpp = []\n").unwrap();
    fumehood_tests::machine::wait_for("the fault to be shown", std::time::Duration::from_secs(10), || {
        house.ok(&["list"]).contains("What was in force before stays in force.").then_some(())
    });
    assert_eq!(may(&house.ok(&["show", "desk"])), shown);
    let House { data, server, .. } = house;
    assert!(server.stop().success());
    let refusal = fumehood_tests::Launch::new(&data.path()).refuse();
    assert!(refusal.contains("policy.toml is not valid") && refusal.contains("htpp"), "{refusal}");
}

#[test]
fn a_kill_in_the_middle_of_an_installation_leaves_the_old_or_the_new() {
    let Some(component) = example("a_kill_in_the_middle", "rust-integration") else { return };
    let mut house = House::new();
    let manifest = |number: u64| {
        format!(
            "name = \"desk\"\nversion = \"1.0.{number}\"\npublisher = \"example\"\nworld = \"integration\"\n\
             description = \"Desk\"\n[[http]]\nreason = \"Tickets\"\nhost = \"desk.example.com\"\nmethods = [\"GET\"]\n"
        )
    };
    house.ok(&["install", &house.packed(&component, &manifest(0))]);
    house.ok(&["approve", "desk", "--all"]);
    let (mut running, mut taken) = (0, 0);
    // At every point from the first byte to the answer.
    for number in 1..=fumehood_tests::machine::kills() * 3 {
        let packed = house.packed(&component, &manifest(number));
        let install = house.data.command(&["plugin", "install", &packed]).stderr(std::process::Stdio::null()).spawn();
        std::thread::sleep(std::time::Duration::from_millis(number * 37 % 400));
        let House { data, server, client, key } = house;
        server.kill();
        let said = install.unwrap().wait().unwrap().success();
        let server = data.start();
        house = House { client: server.client(&data.token("admin")), data, server, key };
        drop(client);
        let shown = house.ok(&["show", "desk"]);
        let is_new = shown.starts_with(&format!("desk 1.0.{number} by example, integration, ready"));
        let is_old = shown.starts_with(&format!("desk 1.0.{running} by example, integration, ready"));
        assert!(is_new || is_old, "round {number}, {running} ran before: {shown}");
        assert!(is_new || !said, "round {number}: it was said to be installed: {shown}");
        assert!(shown.contains("  1  granted"), "with its grant: {shown}");
        assert!(!shown.contains("waits for an approval"), "nothing half is left: {shown}");
        if is_new {
            (running, taken) = (number, taken + 1);
        }
    }
    let verified = house.data.run(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", fumehood_tests::server::text(&verified.stderr));
    assert!(taken < fumehood_tests::machine::kills() * 3, "some were cut off");
}

#[test]
fn a_signature_of_minisign_itself_is_taken() {
    use std::process::Command;
    let test = "a_signature_of_minisign_itself";
    let Some(component) = example(test, "rust-scanner") else { return };
    let house = House::new();
    let at = |name: &str| house.data.beside(name).display().to_string();
    let minisign = |arguments: &[&str]| Command::new("minisign").args(arguments).output();
    let (public, secret, file) = (at("minisign.pub"), at("minisign.key"), at("signed.wasm"));
    let Ok(made) = minisign(&["-G", "-W", "-p", &public, "-s", &secret]) else {
        return fumehood_tests::machine::skip(test, "minisign is not here (Debian: apt-get install minisign)");
    };
    assert!(made.status.success(), "{made:?}");
    std::fs::copy(&component, &file).unwrap();
    let signed = minisign(&["-S", "-s", &secret, "-m", &file, "-x", &format!("{file}.minisig")]).unwrap();
    assert!(signed.status.success(), "{signed:?}");
    let key = std::fs::read_to_string(&public).unwrap().lines().nth(1).unwrap().to_owned();
    house.policy(&format!("[publishers.example]\nkeys = [\"{key}\"]\n"));
    assert!(house.ok(&["install", &file]).contains("rust-scanner 0.1.0 is installed"));
    house.ok(&["refuse", "rust-scanner"]);
    // The same signature beside other bytes.
    let other = at("other.wasm");
    let changed = [std::fs::read(&file).unwrap(), vec![0, 2, 1, b'x']].concat();
    std::fs::write(&other, changed).unwrap();
    std::fs::copy(format!("{file}.minisig"), format!("{other}.minisig")).unwrap();
    let error = house.refused(&["install", &other]);
    assert!(error.contains("none of the keys that are trusted for the publisher `example`"), "{error}");
}
