;; Asks for memory until there is none: 64 MiB are 1,024 pages, of which it began with one.
;; finds: PAGES 0..4 1 unnamed
(global $pages (mut i32) (i32.const 1))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (block $full
    (loop $more
      (br_if $full (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
      (memory.fill (i32.mul (global.get $pages) (i32.const 65536)) (i32.const 7) (i32.const 65536))
      (global.set $pages (i32.add (global.get $pages) (i32.const 1)))
      (br $more)))
  (call $report (i32.const 1024) (i32.const 5)
    (i32.const 0) (i32.shr_u (global.get $pages) (i32.const 8)) (f32.const 1) (i32.const 0) (i32.const 200)))
(data (i32.const 1024) "PAGES")
