;; Says that the text it is given goes where no memory is.
;; says: hostile broke the plugin contract: a result is not well formed
(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const -64))
