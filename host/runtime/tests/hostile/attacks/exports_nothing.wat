;; Is a component, and no scanner.
;; call: load
;; says: ?
(component)
