;; An answer where none can lie.
;; says: hostile broke the plugin contract: a value that it handed over is not well formed
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (i32.const 257))
