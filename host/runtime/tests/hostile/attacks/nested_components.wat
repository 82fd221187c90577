;; A component in a component, to hide what it brings.
;; call: load
;; says: hostile does not fit the world scanner: no exported instance named `fumehood:scanner/guest@0.1.0`
(component
  (component (core module (func (export "f") (loop (br 0))))))
