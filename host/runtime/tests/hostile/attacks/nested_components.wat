;; A component in a component, to hide what it brings.
;; call: load
;; says: ?
(component
  (component (core module (func (export "f") (loop (br 0))))))
