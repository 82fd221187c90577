;; Has the names of a scanner, and other parameters.
;; call: load
;; says: hostile does not fit the world scanner: failed to convert function to given type: type mismatch with results: expected 1-tuple, found 0-tuple
(component
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (instance $guest (export "detects" (func $f)) (export "prepare" (func $f)) (export "scan" (func $f)))
  (export "fumehood:scanner/guest@0.1.0" (instance $guest)))
