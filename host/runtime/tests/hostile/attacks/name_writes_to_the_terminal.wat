;; A name that would write to the terminal, in an error about it.
;; call: load
;; says: ?
(component
  (core module $m (func (export "\1b[2J\0d\0aok")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "\1b[2J\0d\0aNOT")))
  (export "f" (func $f)))
