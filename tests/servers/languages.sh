#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run times and compilers of many languages, each with a small program that uses its threads, processes, sockets and
# files. A language that is not installed is left out.
. "$(dirname "$0")/lib"
need ruby
has() { command -v "$1" >/dev/null && echo "== $1"; }
has Rscript && Rscript -e 'set.seed(1); m <- matrix(rnorm(90000), 300); print(sum(solve(m) %*% m) > 299); print(length(svd(m)$d)); library(parallel)
    print(unlist(mclapply(1:4, function(i) i^2, mc.cores = 2))); print(summary(lm(mpg ~ wt, mtcars))$r.squared)
    f <- tempfile(); saveRDS(m, f); print(identical(readRDS(f), m)); print(system("echo hi", intern = TRUE)); pdf("x.pdf"); plot(1:10); dev.off()'
has octave-cli && octave-cli --no-gui --eval 'A = magic(6); disp(det(A(1:5, 1:5))); disp(eig([2 1; 1 2])); [s, o] = system("echo hi"); disp(o)
    disp(abs(fft(1:8)(1))); save -binary x.bin A; clear A; load x.bin; disp(sum(A(:)))' 2>/dev/null
if has ghc; then
    cat >a.hs <<'END'
import Control.Concurrent
import System.Process
main = do { m <- newEmptyMVar; _ <- forkIO (threadDelay 10000 >> putMVar m 42); takeMVar m >>= print; readProcess "echo" ["hi"] "" >>= putStr; print (sum [1..1000000]) }
END
    ghc -threaded -O a.hs -o hs >/dev/null && ./hs +RTS -N2
fi
has erl && erl -noshell -eval 'S = self(), [spawn(fun() -> S ! X * X end) || X <- lists:seq(1, 1000)],
    io:format("~p~n", [lists:sum([receive Y -> Y end || _ <- lists:seq(1, 1000)])]), {ok, L} = gen_tcp:listen(0, [{active, false}]), {ok, P} = inet:port(L),
    spawn(fun() -> {ok, C} = gen_tcp:accept(L), gen_tcp:send(C, "hi"), gen_tcp:close(C) end), {ok, C} = gen_tcp:connect("127.0.0.1", P, [{active, false}]),
    io:format("~p~n", [gen_tcp:recv(C, 0)]), io:format("~s", [os:cmd("echo x")]), halt(0).'
if has ocaml; then
    echo 'let () = Printf.printf "%d\n" (List.fold_left (+) 0 (List.init 100 Fun.id))' >a.ml
    ocaml a.ml && ocamlc -o mlc a.ml && ./mlc && ocamlopt -o mlo a.ml && ./mlo
fi
if has gfortran; then
    printf 'program a\ninteger :: i\nreal(8) :: s = 0\n!$omp parallel do reduction(+:s)\ndo i = 1, 1000000\ns = s + 1d0 / i\nend do\nprint *, s > 14\nopen(10, file="x", form="unformatted")\nwrite(10) s\nclose(10)\nend\n' >a.f90
    gfortran -fopenmp a.f90 -o f90 && ./f90 && stat -c %s x
fi
if has gnatmake; then
    printf 'with Ada.Text_IO; use Ada.Text_IO;\nprocedure A is\n task type T; task body T is begin delay 0.01; Put_Line("t"); end T;\n X: array(1..3) of T;\nbegin null; end A;\n' >a.adb
    gnatmake -q a.adb && ./a
fi
if has sbcl; then
    cat >a.lisp <<'END'
(print (loop for i below 1000000 sum i))
(sb-thread:join-thread (sb-thread:make-thread (lambda () (print :thread))))
(handler-case (sb-ext:with-timeout 0.1 (sleep 100)) (sb-ext:timeout () (print :late)))
(sb-ext:save-lisp-and-die "image" :executable t :toplevel (lambda () (print 42) (terpri) (sb-ext:exit)))
END
    sbcl --noinform --disable-debugger --load a.lisp 2>&1 | grep -v '^\['
    ./image
fi
has guile && guile --no-auto-compile -c '(use-modules (ice-9 threads)) (display (par-map (lambda (x) (* x x)) (iota 10))) (newline)'
has lua5.4 && lua5.4 -e 'local t = {} for i = 1, 1e5 do t[i] = i end print(#t, os.time() > 0, io.popen("echo hi"):read())'
if has tclsh; then
    cat >a.tcl <<'END'
set s [socket -server {apply {{c a p} {puts $c ok; close $c}}} -myaddr 127.0.0.1 0]
set c [socket 127.0.0.1 [lindex [fconfigure $s -sockname] 2]]
fileevent $c readable {puts [gets $c]; close $c; set done 1}
vwait done
puts "[expr 2**100] [exec echo x | tr x y]"
END
    tclsh a.tcl
fi
has ruby && ruby -rsocket -rtimeout -rfiddle -rpty -e '
    r, w = IO.pipe; pid = fork { w.puts :child; exit 3 }; Process.wait pid; w.close; p $?.exitstatus, r.read
    p 4.times.map { |i| Thread.new { sleep 0.01; i } }.map(&:value)
    s = TCPServer.new("127.0.0.1", 0); Thread.new { c = s.accept; c.puts :x; c.close }; p TCPSocket.new("127.0.0.1", s.addr[1]).read
    p Ractor.new { 42 }.take; trap(:USR1) { puts :usr1 }; Process.kill(:USR1, $$); sleep 0.05
    begin; Timeout.timeout(0.05) { sleep }; rescue Timeout::Error; p :timeout; end
    p Fiddle::Function.new(Fiddle.dlopen(nil)["getpid"], [], Fiddle::TYPE_INT).call == $$
    PTY.spawn("tty") { |r, w, pid| puts r.gets[0, 8] }' 2>/dev/null
rm -rf ./* 2>/dev/null
