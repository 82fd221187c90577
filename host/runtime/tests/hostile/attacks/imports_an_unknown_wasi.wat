;; Wants a part of WASI that is not linked, from a package that is.
;; call: load
;; says: hostile does not fit the world scanner: component imports instance `wasi:filesystem/secrets@0.2.0`, but a matching implementation was not found in the linker: instance export `read` has the wrong type: function implementation is missing
(component
  (import "wasi:filesystem/secrets@0.2.0" (instance $i (export "read" (func)))))
