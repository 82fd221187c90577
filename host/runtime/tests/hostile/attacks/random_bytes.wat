;; Asks for a terabyte of random bytes.
;; says: hostile went over its limit of random bytes and was stopped
(import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $random (i64.const 1099511627776) (i32.const 256))
  (i32.const 0))
