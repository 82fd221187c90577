//! The protocol's public conformance suite judges Fumehood as a client of MCP servers and of their issuers: every scenario
//! that a revision requires, each with a server of its own, driven over pages, forms and the gateway.

use std::collections::BTreeSet;
use std::process::Command;

use fumehood_tests::Data;
use fumehood_tests::fakes::node;
use fumehood_tests::machine::{binary, root, skip};
use serde_json::Value;

/// Judge one revision, which requires so many scenarios.
fn conforms(era: &str, scenarios: usize) {
    let test = format!("conformance as a client, {era}");
    let Some(node) = node() else { return skip(&test, "there is no Node.js") };
    let folder = root().join("tests/conformance");
    if !folder.join("node_modules/@modelcontextprotocol/conformance").exists() {
        return skip(&test, "the conformance suite is not installed: npm ci in tests/conformance");
    }
    if Command::new("flock").arg("--version").output().is_err() {
        return skip(&test, "there is no flock (util-linux)");
    }
    // Its plugins are compiled.
    let data = Data::prepared();
    let mut command = Command::new(node);
    command.arg(folder.join("judge.mjs")).args(["client", "--requirements", era]);
    command.arg("--bin").arg(binary()).arg("--data").arg(data.path());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let checks: Value = serde_json::from_slice(&output.stdout).unwrap();
    let passed = checks.as_object().unwrap().iter().filter(|(_, status)| *status == "SUCCESS");
    let names: BTreeSet<&str> = passed.filter_map(|(key, _)| key.strip_suffix("/steps")).collect();
    // One more than is required is asked for here.
    assert_eq!(names.len(), scenarios + 1, "{names:?}");
}

#[test]
fn a_client_of_servers_with_sessions_does_all_that_is_required() {
    conforms("2025-11-25", 18);
}

#[test]
fn a_client_of_servers_without_sessions_does_all_that_is_required() {
    conforms("2026-07-28", 32);
}
