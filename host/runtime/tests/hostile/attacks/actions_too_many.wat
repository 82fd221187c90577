;; Answers one event with more actions than it may.
;; world: transport
;; says: hostile went over its limit of actions for one event and was stopped
(import "[export]fumehood:transport/guest@0.1.0" "[resource-new]connection" (func $new (param i32) (result i32)))
(memory $memory (export "memory") 10)
(func $handle (param i32 i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store (i32.const 264) (i32.const 65536))
  (i32.store (i32.const 268) (i32.const 1001))
  (i32.const 256))
