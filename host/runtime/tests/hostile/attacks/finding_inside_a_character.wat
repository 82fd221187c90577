;; A finding that begins in the middle of a character.
;; says: hostile broke the plugin contract: a finding at 10..12 is no range of characters in a window of 25 bytes
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $report (i32.const 0) (i32.const 0) (i32.const 10) (i32.const 12) (f32.const 1) (i32.const 0) (i32.const 0)))
