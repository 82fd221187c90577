//! Hostile plugins: one for each limit that the runtime keeps.
//!
//! Each attack is a text in `attacks/`, with what it tries and what must come of it in its head:
//!
//! | line | meaning |
//! |---|---|
//! | `;; world:` | what it is built as: `scanner` (the default), `transport` or `provider` |
//! | `;; call:` | where it strikes: `load`, `detects`, or what its world is for (the default) |
//! | `;; says:` | the whole error |
//! | `;; code:` | the error's code, where it matters |
//! | `;; finds:` | no error: the one finding, as kind, range, confidence and detector |
//! | `;; does:` | no error: how many actions the transport answers |
//!
//! After each attack the same runtime, which has room for one instance only, must serve an honest scanner in less than
//! 100 ms. What needs more than one call, or bytes that are no WebAssembly text, is in the modules.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bytes;
mod guest;
mod harness;
mod leftovers;
mod logs;
mod many;

use harness::{Room, block_on, said};

macro_rules! attacks {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                attack(include_str!(concat!("attacks/", stringify!($name), ".wat")));
            }
        )*

        #[test]
        fn every_attack_is_listed() {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/attacks");
            let mut there: Vec<_> = std::fs::read_dir(folder)
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            let mut listed = vec![$(concat!(stringify!($name), ".wat").to_owned()),*];
            there.sort();
            listed.sort();
            assert_eq!(there, listed);
        }
    };
}

attacks! {
    actions_too_many
    answer_is_misaligned
    answer_is_neither
    answer_lies_outside
    bytes_in_all
    confidence_infinite
    confidence_nan
    exit
    exports_another_type
    exports_nothing
    failure_floods
    failure_quotes_the_text
    finding_empty
    finding_far_outside
    finding_inside_a_character
    finding_outside
    finding_reversed
    findings_a_million
    findings_one_too_many
    findings_with_long_kinds
    handle_after_drop
    handle_flood
    handle_flood_of_its_own
    handle_forged
    handle_lied_about
    headers_in_all
    headers_too_many
    host_calls
    imports_a_bare_function
    imports_a_strangers_interface
    imports_an_unknown_wasi
    imports_another_type
    imports_another_version
    imports_config
    imports_http
    imports_http_as_a_transport
    imports_kv
    imports_kv_as_a_provider
    imports_wasi_http
    imports_wasi_sockets
    instances_too_many
    kind_is_a_surrogate
    kind_is_not_utf_8
    kind_lies_outside
    labels_quote_the_text
    labels_with_markup
    list_is_endless
    log_level_of_nowhere
    log_message_outside_memory
    log_message_too_large
    loop_at_start
    loop_at_start_of_a_connection
    loop_in_bulk_memory
    loop_in_detects
    loop_in_prepare
    loop_in_scan
    loop_of_calls
    memories_nine
    memory_64_bit
    memory_declared_4_gib
    memory_for_the_text_outside
    memory_grows_in_steps
    memory_grows_to_4_gib
    memory_shared
    name_writes_to_the_terminal
    nested_components
    random_bytes
    reads_outside_memory
    recursion
    recursion_in_realloc
    removes_what_it_refers_to
    sleep_in_an_event
    sleep_in_prepare
    sleep_in_scan
    table_grows
    table_too_large
    tables_sixty_five
    trap
    trap_at_start
    trap_by_division
    writes_outside_memory
}

/// Run an attack, compare what comes of it, and see that the host serves on.
fn attack(text: &str) {
    let case = harness::Case::parse(text);
    block_on(async {
        let room = Room::new();
        let honest = room.honest().await;
        let (result, code) = said(&room, &case, text).await;
        assert_eq!(result, case.expect);
        if let Some(expected) = case.code {
            assert_eq!(code.as_deref(), Some(expected));
        }
        honest.answers(&room).await;
    });
}
