;; The WASI of preview 1 for modules whose memory nobody else may grow, such as Go's: an adapter to WASI 0.2 with no
;; memory of its own. The common one takes its memory with `memory.grow`, and Go's heap, which believes that it alone
;; grows the memory, then runs over it.
;;
;; Results are errno: 0 is success, 8 is `badf`, the descriptor that there is not.
(module
    (import "env" "memory" (memory 0))
    (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
    (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
    (import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
        (func $write (param i32 i32 i32 i32)))
    (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $drop (param i32)))
    (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))

    ;; No arguments and no environment: none of them, in no bytes.
    (func $no_words (param $count i32) (param $bytes i32) (result i32)
        (i32.store (local.get $count) (i32.const 0))
        (i32.store (local.get $bytes) (i32.const 0))
        (i32.const 0))
    (export "args_sizes_get" (func $no_words))
    (export "environ_sizes_get" (func $no_words))
    (func $nothing (param i32 i32) (result i32) (i32.const 0))
    (export "args_get" (func $nothing))
    (export "environ_get" (func $nothing))
    (func (export "sched_yield") (result i32) (i32.const 0))

    ;; Clocks stand still: the wall clock (0) at 0, the others at 1, since Go takes 0 for a broken clock.
    (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $time i32) (result i32)
        (i64.store (local.get $time) (i64.extend_i32_u (i32.ne (local.get $clock) (i32.const 0))))
        (i32.const 0))
    (func (export "clock_res_get") (param $clock i32) (param $resolution i32) (result i32)
        (i64.store (local.get $resolution) (i64.const 1))
        (i32.const 0))

    ;; Everything that is waited for has come: an event of 32 bytes for each subscription of 48.
    (func (export "poll_oneoff") (param $subscription i32) (param $event i32) (param $count i32) (param $events i32)
        (result i32)
        (i32.store (local.get $events) (local.get $count))
        (block $all
            (loop $next
                (br_if $all (i32.eqz (local.get $count)))
                (memory.fill (local.get $event) (i32.const 0) (i32.const 32))
                (i64.store (local.get $event) (i64.load (local.get $subscription)))
                (i32.store8 offset=10 (local.get $event) (i32.load8_u offset=8 (local.get $subscription)))
                (local.set $subscription (i32.add (local.get $subscription) (i32.const 48)))
                (local.set $event (i32.add (local.get $event) (i32.const 32)))
                (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                (br $next)))
        (i32.const 0))

    (func (export "random_get") (param $at i32) (param $length i32) (result i32)
        (local $bits i64)
        (local.set $bits (call $random))
        (block $all
            (loop $next
                (br_if $all (i32.eqz (local.get $length)))
                ;; One number of 64 bits for every eight bytes.
                (local.set $bits (i64.shr_u (local.get $bits) (i64.const 8)))
                (if (i32.eqz (i32.and (local.get $length) (i32.const 7)))
                    (then (local.set $bits (call $random))))
                (i64.store8 (local.get $at) (local.get $bits))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (local.set $length (i32.sub (local.get $length) (i32.const 1)))
                (br $next)))
        (i32.const 0))

    ;; What is printed to 1 or 2 goes to the event log.
    (func (export "fd_write") (param $fd i32) (param $pieces i32) (param $count i32) (param $written i32) (result i32)
        (local $stream i32) (local $from i32) (local $left i32) (local $part i32) (local $total i32)
        (if (i32.ge_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 2)) (then (return (i32.const 8))))
        (local.set $stream
            (if (result i32) (i32.eq (local.get $fd) (i32.const 1)) (then (call $stdout)) (else (call $stderr))))
        (block $all
            (loop $next
                (br_if $all (i32.eqz (local.get $count)))
                (local.set $from (i32.load (local.get $pieces)))
                (local.set $left (i32.load offset=4 (local.get $pieces)))
                (local.set $total (i32.add (local.get $total) (local.get $left)))
                (block $whole
                    (loop $more
                        (br_if $whole (i32.eqz (local.get $left)))
                        ;; The stream takes 4096 bytes at once.
                        (local.set $part (select (i32.const 4096) (local.get $left)
                            (i32.gt_u (local.get $left) (i32.const 4096))))
                        (call $print (local.get $stream) (local.get $from) (local.get $part))
                        (local.set $from (i32.add (local.get $from) (local.get $part)))
                        (local.set $left (i32.sub (local.get $left) (local.get $part)))
                        (br $more)))
                (local.set $pieces (i32.add (local.get $pieces) (i32.const 8)))
                (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                (br $next)))
        (call $drop (local.get $stream))
        (i32.store (local.get $written) (local.get $total))
        (i32.const 0))

    ;; Prints, and leaves the memory as it was: the result of 12 bytes is put at 0, over what is there.
    (func $print (param $stream i32) (param $from i32) (param $length i32)
        (local $first i64) (local $last i32)
        (local.set $first (i64.load (i32.const 0)))
        (local.set $last (i32.load (i32.const 8)))
        (call $write (local.get $stream) (local.get $from) (local.get $length) (i32.const 0))
        (i64.store (i32.const 0) (local.get $first))
        (i32.store (i32.const 8) (local.get $last)))

    ;; Descriptors 0, 1 and 2 are streams of characters, with every right.
    (func (export "fd_fdstat_get") (param $fd i32) (param $stat i32) (result i32)
        (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
        (i64.store (local.get $stat) (i64.const 2))
        (i64.store offset=8 (local.get $stat) (i64.const -1))
        (i64.store offset=16 (local.get $stat) (i64.const -1))
        (i32.const 0))

    (func (export "proc_exit") (param $code i32)
        (call $exit (i32.ne (local.get $code) (i32.const 0)))
        unreachable)

    ;; There are no files and no sockets.
    (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
    (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
    (func (export "fd_close") (param i32) (result i32) (i32.const 8))
    (func (export "fd_datasync") (param i32) (result i32) (i32.const 8))
    (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
    (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
    (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
    (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
    (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
    (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
    (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
    (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
    (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
    (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (i32.const 8))
    (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
    (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
    (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
    (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
    (func (export "fd_tell") (param i32 i32) (result i32) (i32.const 8))
    (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 8))
    (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
    (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
    (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
    (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
    (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
    (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 8))
    (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
    (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
    (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 8))
    (func (export "proc_raise") (param i32) (result i32) (i32.const 8))
    (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
    (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
    (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
    (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8))
)
