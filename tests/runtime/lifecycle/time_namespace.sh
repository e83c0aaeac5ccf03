#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A container with a time namespace: linux.timeOffsets, for its first process and for those that exec adds.
. "$(dirname "$0")/../lib.sh"
make_bundle "$work/b" '.process.args=["sh","-c","cat /proc/self/timens_offsets /proc/uptime; sleep 100"]
    | .linux.namespaces += [{"type":"time"}] | .linux.timeOffsets={"monotonic":{"secs":1000,"nanosecs":5},"boottime":{"secs":5000000}}'
runsc run --bundle "$work/b" c1 >"$work/out" 2>"$work/err" </dev/null &
main=$!
started+=("$main")
wait_until grep -q '^50' "$work/out" || fail "run: $(cat "$work/out" "$work/err")"
[ "$(head -2 "$work/out")" = $'monotonic        1000         5\nboottime      5000000         0' ] || fail "offsets: $(cat "$work/out")"
own=$(cut -d. -f1 /proc/uptime)
for up in "$(tail -1 "$work/out")" "$(runsc exec c1 cat /proc/uptime)"; do
    up=${up%%.*}
    [ $((up - 5000000)) -ge $((own - 100)) ] && [ $((up - 5000000)) -le $((own + 100)) ] || fail "uptime: $up, outside $own"
done
runsc kill c1 KILL
wait "$main"

make_bundle "$work/no" '.linux.timeOffsets={"monotonic":{"secs":1}}'
expect 1 "has no time namespace" runsc run --bundle "$work/no" c2
make_bundle "$work/far" '.linux.namespaces += [{"type":"time"}] | .linux.timeOffsets={"monotonic":{"secs":-1000000000}}'
expect 1 "linux.timeOffsets: " runsc run --bundle "$work/far" c2
make_bundle "$work/nano" '.linux.namespaces += [{"type":"time"}] | .linux.timeOffsets={"monotonic":{"nanosecs":1000000000}}'
expect 1 "nanosecs" runsc run --bundle "$work/nano" c2
