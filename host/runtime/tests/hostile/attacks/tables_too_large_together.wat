;; Two tables, each below the bound, together over it.
;; call: load
;; says: ?
(table 60000 funcref)
(table 60000 funcref)
