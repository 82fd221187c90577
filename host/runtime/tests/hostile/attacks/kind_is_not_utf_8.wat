;; A kind that is not text.
;; says: hostile broke the plugin contract: a value that it handed over is not well formed
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $report (i32.const 1024) (i32.const 4) (i32.const 0) (i32.const 4) (f32.const 1) (i32.const 0) (i32.const 0)))
(data (i32.const 1024) "\ff\fe\c0\80")
