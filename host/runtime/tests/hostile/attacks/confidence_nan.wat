;; Is sure of something that is no number.
;; finds: EMAIL 0..4 0 rule
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $report (i32.const 1024) (i32.const 5) (i32.const 0) (i32.const 4) (f32.const nan:0x200001) (i32.const 1032) (i32.const 4)))
(data (i32.const 1024) "EMAIL\00\00\00rule")
