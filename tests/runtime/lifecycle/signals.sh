#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Signals to the command reach the program; Ctrl-C at any moment leaves nothing behind; twenty at once.
. "$(dirname "$0")/../lib.sh"

"$RUNSC" do sh -c 'trap "echo got; exit 5" TERM; echo ready; while :; do sleep 0.1; done' >"$work/log" 2>&1 </dev/null &
main=$!
started+=("$main")
wait_until grep -q ready "$work/log" || fail "not ready: $(cat "$work/log")"
kill -TERM $main
wait $main
rc=$?
[ $rc = 5 ] || fail "exit code $rc, wanted the trap's 5: $(cat "$work/log")"
grep -q got "$work/log" || fail "the trap did not run"

interrupted() { ! kill -INT $main 2>/dev/null; }

# Interrupted at moments from before the sandbox exists to its end.
for delay in 0 0.002 0.005 0.01 0.015 0.02 0.03 0.05 0.1 0.2; do
    setsid "$RUNSC" do sleep 1000 >/dev/null 2>&1 </dev/null &
    main=$!
    sleep $delay
    all=$(descendants $main)
    # A background job of this shell starts with SIGINT ignored: one that comes before runsc-c has
    # taken its signals over is lost, as it would be for any program.
    wait_until interrupted || fail "delay $delay: SIGINT does not end it"
    wait $main
    gone() { local p; for p in $all; do [ -e /proc/$p ] && return 1; done; return 0; }
    wait_until gone || fail "delay $delay: processes are left: $all"
done

for i in $(seq 20); do
    "$RUNSC" do sh -c "sleep 0.2; echo $i" >"$work/out.$i" 2>&1 </dev/null &
    pids[$i]=$!
done
for i in $(seq 20); do
    wait ${pids[$i]} || fail "sandbox $i: exit code $?: $(cat "$work/out.$i")"
    [ "$(cat "$work/out.$i")" = "$i" ] || fail "sandbox $i printed $(cat "$work/out.$i")"
done
echo "ok"
