;; Wants a part of WASI that is not linked, from a package that is.
;; call: load
;; says: ?
(component
  (import "wasi:filesystem/secrets@0.2.0" (instance $i (export "read" (func)))))
