;; Waits for a century while it is prepared, and computes nothing.
;; call: load
;; says: hostile: preparing the rules failed: it gave no result within 60000 ms and was stopped
(import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $in (param i64) (result i32)))
(import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
(func $prepare (param i32 i32) (result i32)
  (call $block (call $in (i64.const 3000000000000000000)))
  (i32.const 0))
