;; Wants a function without a package.
;; call: load
;; says: hostile imports door, which a scanner may not have
(component (import "door" (func)))
