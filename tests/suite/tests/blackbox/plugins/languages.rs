//! The contract is of no one language: the same scanner in each, in a running server.

use super::{House, example};

fn scans(language: &str) {
    let name = format!("{language}-scanner");
    let Some(component) = example(&name, &name) else { return };
    let house = House::new();
    let manifest = format!(
        "name = \"{name}\"\nversion = \"1.0.0\"\npublisher = \"example\"\nworld = \"scanner\"\ndescription = \"Finds\"\n"
    );
    house.ok(&["install", &house.packed(&component, &manifest)]);
    house.ok(&["approve", &name, "--all"]);
    let text = "größe 😀 EMP-123456 schrieb an ana@ops.example\n".repeat(3000);
    let masked = house.masked(&text).unwrap();
    assert_eq!(masked, "größe 😀 [EMPLOYEE_ID-1] schrieb an [EMAIL-1]\n".repeat(3000));
    let shown = house.ok(&["show", &name]);
    assert!(shown.contains(" 0 errors"), "{shown}");
}

#[test]
fn a_scanner_in_rust() {
    scans("rust");
}

#[test]
fn a_scanner_in_python() {
    scans("python");
}

#[test]
fn a_scanner_in_javascript() {
    scans("javascript");
}
