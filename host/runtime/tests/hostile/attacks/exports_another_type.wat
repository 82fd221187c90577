;; Has the names of a scanner, and other parameters.
;; call: load
;; says: ?
(component
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (instance $guest (export "detects" (func $f)) (export "prepare" (func $f)) (export "scan" (func $f)))
  (export "fumehood:scanner/guest@0.1.0" (instance $guest)))
