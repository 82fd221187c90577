;; Uses a handle that it was never given.
;; says: hostile trapped and was stopped: it used a handle that it does not have
(import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $block (i32.const 77))
  (i32.const 0))
