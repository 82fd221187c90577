;; Answers with one finding more than a window may have.
;; says: hostile went over its limit of findings in one window and was stopped
(memory $memory (export "memory") 100)
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (i32.store (i32.const 264) (i32.const 65536))
  (i32.store (i32.const 268) (i32.const 100001))
  (i32.const 256))
