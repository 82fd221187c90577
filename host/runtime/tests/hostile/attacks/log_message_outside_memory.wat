;; Hands the host a message of which most lies outside its memory.
;; says: hostile broke the plugin contract: a value that it handed over is not well formed
(import "fumehood:log/log@0.1.0" "log" (func $log (param i32 i32 i32)))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $log (i32.const 0) (i32.const 65000) (i32.const 1073741824))
  (i32.const 0))
