;; Wants the settings, which are of other worlds.
;; says: The component imports fumehood:config/config@0.1.0, which a scanner may not have
(import "fumehood:config/config@0.1.0" "get" (func $get (param i32 i32 i32)))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $get (i32.const 0) (i32.const 0) (i32.const 1024))
  (i32.const 0))
