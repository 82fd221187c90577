;; Takes what it read as kind and detector.
;; finds: OTHER 0..4 1 unnamed
(func $scan (param $text i32) (param $len i32) (param i64 i32 i32 i32 i32) (result i32)
  (call $report (local.get $text) (local.get $len) (i32.const 0) (i32.const 4) (f32.const 1) (local.get $text) (local.get $len)))
