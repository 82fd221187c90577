;; Hands the host a message of 20 MiB.
;; says: hostile went over its limit of bytes handed to the host in one call and was stopped
(import "fumehood:log/log@0.1.0" "log" (func $log (param i32 i32 i32)))
(memory $memory (export "memory") 500)
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $log (i32.const 0) (i32.const 0) (i32.const 20971520))
  (i32.const 0))
