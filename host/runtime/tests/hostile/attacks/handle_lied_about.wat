;; Answers with a connection that it never made.
;; world: transport
;; says: hostile trapped and was stopped: it used a handle that it does not have
(import "[export]fumehood:transport/guest@0.1.0" "[resource-new]connection" (func $new (param i32) (result i32)))
(func $open (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store (i32.const 264) (i32.const 4242))
  (i32.const 256))
