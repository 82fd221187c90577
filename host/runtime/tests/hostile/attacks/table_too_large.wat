;; Declares a table of more elements than all of a component's tables may have.
;; call: load
;; says: ?
(table 100001 funcref)
