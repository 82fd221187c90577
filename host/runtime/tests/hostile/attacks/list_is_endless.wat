;; A list of four billion findings.
;; says: hostile broke the plugin contract: a value that it handed over is not well formed
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (i32.store (i32.const 264) (i32.const 65536))
  (i32.store (i32.const 268) (i32.const -1))
  (i32.const 256))
