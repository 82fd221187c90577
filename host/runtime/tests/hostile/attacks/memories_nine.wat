;; One memory more than a component may have.
;; call: load
;; says: hostile could not be compiled: module memory does not fit in pooling allocator requirements: defined memories count of 9 exceeds the per-instance limit of 1
(memory $memory (export "memory") 1)
(memory $a 0) (memory $b 0) (memory $c 0) (memory $d 0) (memory $e 0) (memory $f 0) (memory $g 0) (memory $h 0)
