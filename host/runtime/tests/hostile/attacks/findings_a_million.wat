;; Answers with a million findings.
;; says: hostile went over its limit of bytes handed to the host in one call and was stopped
(memory $memory (export "memory") 600)
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (i32.store (i32.const 264) (i32.const 65536))
  (i32.store (i32.const 268) (i32.const 1000000))
  (i32.const 256))
