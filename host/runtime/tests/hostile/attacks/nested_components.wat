;; A component in a component, to hide what it brings.
;; call: load
;; says: hostile is not a WebAssembly component: nested components with modules not currently supported
(component
  (component (core module (func (export "f") (loop (br 0))))))
