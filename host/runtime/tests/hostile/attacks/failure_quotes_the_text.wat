;; Refuses, with the text that it read as code and message.
;; says: hostile: the scanner refused this text (see the plugin's log)
;; code: internal
(func $scan (param $text i32) (param $len i32) (param i64 i32 i32 i32 i32) (result i32)
  (i32.store8 (i32.const 256) (i32.const 1))
  (i32.store (i32.const 264) (local.get $text))
  (i32.store (i32.const 268) (local.get $len))
  (i32.store (i32.const 272) (local.get $text))
  (i32.store (i32.const 276) (local.get $len))
  (i32.const 256))
