;; Says that the text it is given goes where no memory is.
;; says: hostile broke the plugin contract: a value that it handed over is not well formed
(func $realloc (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
  (if (i32.le_u (local.get $size) (i32.const 2)) (then (return (i32.const 4096))))
  (i32.const -64))
