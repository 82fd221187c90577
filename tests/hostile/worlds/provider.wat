  ;; What every hostile provider has beside its attack, which lies in `$models`.

;; part $memory
  (memory $memory (export "memory") 1)

;; part $realloc
  ;; Always the same place: what is written there is of no use to an attack.
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))

;; part $models
  (func $models (result i32) (i32.const 0))

;; part exports
  (func $complete (param i32 i32 i32 i32 i32 i32 i32 i32 i32 f32 i32 i32) (result i32) unreachable)
  (func $next (param i32) (result i32) unreachable)
  (export "fumehood:provider/guest@0.1.0#models" (func $models))
  (export "fumehood:provider/guest@0.1.0#complete" (func $complete))
  (export "fumehood:provider/guest@0.1.0#[method]completion.next" (func $next))
