;; Makes handles of its own without end.
;; world: transport
;; says: hostile went over its limit of handles and was stopped
(import "[export]fumehood:transport/guest@0.1.0" "[resource-new]connection" (func $new (param i32) (result i32)))
(func $open (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (loop $again
    (drop (call $new (i32.const 1)))
    (br $again))
  unreachable)
