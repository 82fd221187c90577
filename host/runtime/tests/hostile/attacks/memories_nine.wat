;; One memory more than a component may have.
;; call: load
;; says: ?
(memory $memory (export "memory") 1)
(memory $a 0) (memory $b 0) (memory $c 0) (memory $d 0) (memory $e 0) (memory $f 0) (memory $g 0) (memory $h 0)
