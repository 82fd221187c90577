;; Is a component, and no scanner.
;; call: load
;; says: hostile does not fit the world scanner: no exported instance named `fumehood:scanner/guest@0.1.0`
(component)
