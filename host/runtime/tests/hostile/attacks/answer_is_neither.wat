;; Neither a result nor a failure.
;; says: hostile broke the plugin contract: a value that it handed over is not well formed
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (i32.store8 (i32.const 256) (i32.const 7))
  (i32.const 256))
