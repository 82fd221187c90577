;; Declares all of the address space.
;; call: load
;; says: hostile could not be compiled: module memory does not fit in pooling allocator requirements: memory index 0 is unsupported in this pooling allocator configuration: memory has a minimum byte size of 4294967296 which exceeds the limit of 0x4000000 bytes
(memory $memory (export "memory") 65536)
