;; Wants a version of the contract that the host does not have.
;; says: The component needs Fumehood 0.2.0 or newer because it imports fumehood:log/log@0.2.0
(import "fumehood:log/log@0.2.0" "shout" (func $wanted))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $wanted)
  (i32.const 0))
