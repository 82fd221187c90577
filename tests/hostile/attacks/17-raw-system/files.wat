;; Wants files that nobody has heard of.
;; says: does not fit the world scanner
(import "wasi:filesystem/secrets@0.2.0" "read" (func $wanted))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $wanted)
  (i32.const 0))
