;; A name that would write to the terminal, in an error about it.
;; call: load
;; says: hostile is not a WebAssembly component: wasm validation failed: core instance 0 has no export named `␤[2J␤␤NOT` (at offset 0x4b)
(component
  (core module $m (func (export "\1b[2J\0d\0aok")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "\1b[2J\0d\0aNOT")))
  (export "f" (func $f)))
