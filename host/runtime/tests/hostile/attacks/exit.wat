;; Ends the process that it takes itself to be.
;; says: hostile trapped and was stopped: it ended itself by exit
(import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $exit (i32.const 0))
  (i32.const 0))
