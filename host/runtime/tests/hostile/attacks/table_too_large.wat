;; Declares a table of more elements than all of a component's tables may have.
;; call: load
;; says: hostile could not be compiled: module table does not fit in pooling allocator requirements: table index 0 has a minimum element size of 100001 which exceeds the limit of 100000
(table 100001 funcref)
