;; Exports a function under the name that pre-initialisation takes away, and refers to it afterwards.
;; call: load
;; says: hostile does not fit the world scanner: no exported instance named `fumehood:scanner/guest@0.1.0`
(component
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (export $g "wizer-initialize" (func $f))
  (export "again" (func $g)))
