//! Every bound on a plugin, in one place: its unit, its default, its reason and what it does not cover.

use std::time::Duration;

/// Linear memory of one component instance, bytes, over all its memories. Enough for automata and a 1 MiB window; 64
/// instances fit a small machine. Does not cover what the host keeps for the plugin (log, tables), which has bounds of
/// its own below.
pub const MEMORY_BYTES: usize = 64 << 20;

/// Of the memory of a slot that is not in use, what stays in the process, bytes.
pub const KEPT_BYTES: usize = 1 << 20;

/// The same of a table.
pub const KEPT_TABLE_BYTES: usize = 64 << 10;

/// Elements over all tables of one component instance. A fat-LTO Rust guest has a few thousand function pointers.
pub const TABLE_ELEMENTS: usize = 100_000;

/// Core instances within one component. Rust guests have 3, componentize-py about 40.
pub const CORE_INSTANCES: usize = 64;

/// Memories within one component.
pub const MEMORIES: usize = 8;
/// Tables within one component; each core module of an adapter may bring one.
pub const TABLES: usize = 64;

/// WebAssembly stack, bytes. Recursion deeper than this traps.
pub const WASM_STACK_BYTES: usize = 1 << 20;

/// Fibre stack for asynchronous host calls, bytes; must exceed the WebAssembly stack.
pub const ASYNC_STACK_BYTES: usize = 2 << 20;

/// Bytes that one call may make the host lift (strings, lists), arguments and results alike. wasmtime starts afresh
/// with each host call, so cumulative quotas are kept separately.
pub const HOSTCALL_BYTES: usize = 4 << 20;

/// Lifted bytes for scanner results: 100,000 findings of about 64 bytes.
pub const FINDINGS_BYTES: usize = 16 << 20;

/// Findings of one window. More means that the scanner marks everything, which masks nothing usefully.
pub const FINDINGS: usize = 100_000;

/// Live handles and host-side resources of one store.
pub const HANDLES: usize = 1_000;

/// Bytes of plugin log kept for one call; the rest is counted and dropped.
pub const LOG_BYTES: usize = 64 << 10;
/// Bytes of one log message.
pub const LOG_MESSAGE_BYTES: usize = 4 << 10;

/// One tick of the epoch clock: the grain of interruption and of CPU accounting.
pub const TICK: Duration = Duration::from_millis(10);

/// Computing time of one call. Time in host calls does not count; bulk memory instructions are bounded by memory.
pub const CPU_PER_CALL: Duration = Duration::from_secs(5);

/// Computing time of a scanner's `prepare`.
pub const CPU_PREPARE: Duration = Duration::from_secs(30);

/// Wall-clock bound on a scanner's start and `prepare`: waiting costs no computing time, and would never end.
pub const PREPARE_WALL: Duration = Duration::from_secs(60);

/// Wall-clock bound on a scanner call, which makes no waiting host call: also covers a starved machine.
pub const SCAN_WALL: Duration = Duration::from_secs(30);

/// Wall-clock bound on a provider or integration call as a whole, so that a slow-drip upstream cannot hold a slot.
pub const CALL_WALL: Duration = Duration::from_secs(900);

/// Wall-clock bound on one transport event: no waiting host call is possible in one.
pub const EVENT_WALL: Duration = Duration::from_secs(10);

/// Bytes one call may hand to host-side storage or the network in all, on top of the grant's own budgets.
pub const CUMULATIVE_BYTES: u64 = 256 << 20;

/// Host calls within one call: a loop over cheap host calls is bounded although each is small.
pub const HOST_CALLS: u64 = 1_000_000;

/// Size of a component that is loaded, bytes.
pub const COMPONENT_BYTES: usize = 64 << 20;

/// Random bytes a guest may ask for at once.
pub const RANDOM_BYTES: u64 = 64 << 10;

/// Actions that a transport may answer to one event.
pub const ACTIONS: usize = 1_000;

/// Instances that live at the same time (connections included). Calls beyond it queue.
pub const INSTANCES: u32 = 96;
/// Of these, at most this many may be held by long-lived connections and completions, so that scans are never starved.
pub const LONG_LIVED: usize = 64;

/// Bytes of a key in a plugin's key-value store.
pub const KV_KEY_BYTES: usize = 256;
/// Bytes of a value in a plugin's key-value store.
pub const KV_VALUE_BYTES: usize = 256 << 10;

/// How long a component may be compiled: a base, and more for each whole MiB of it. In a child process; the computing time of
/// its threads together may be twice that. A component of 18 MiB (componentize-py) takes about a minute on two cores.
pub const COMPILE_BASE: Duration = Duration::from_secs(30);
/// See [`COMPILE_BASE`].
pub const COMPILE_PER_MIB: Duration = Duration::from_secs(10);
/// Private memory of the compiler's child, bytes.
pub const COMPILE_MEMORY_BYTES: u64 = 3 << 30;
/// Machine code of one component, bytes.
pub const COMPILED_BYTES: usize = 512 << 20;
/// What the compiler's child is told beside the component, bytes: mostly a scanner's rules.
pub const COMPILE_ORDER_BYTES: usize = 8 << 20;

/// Of one answer's body, what is handed on to be kept for a replay, bytes. The hash and the count are of all of it.
pub const KEPT_BODY_BYTES: usize = 4 << 20;
