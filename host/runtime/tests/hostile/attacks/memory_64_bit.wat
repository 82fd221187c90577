;; A memory that 64 bits address, which is switched off.
;; call: load
;; says: hostile could not be compiled: failed to parse WebAssembly module: memory64 must be enabled for 64-bit memories (at offset 0x15)
(component (core module (memory i64 1)))
