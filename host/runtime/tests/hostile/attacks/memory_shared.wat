;; A memory for threads, which are switched off.
;; call: load
;; says: hostile could not be compiled: failed to parse WebAssembly module: threads must be enabled for shared memories (at offset 0xc5)
(memory $shared 1 1 shared)
