#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# linux.resources of a bundle inside the sandbox: what the container's control group and meminfo say, how
# many processes fit, and that files fill the memory overlay with ENOSPC instead of using up its memory.
. "$(dirname "$0")/../lib.sh"

b=$work/b
make_bundle "$b" '.linux.resources={"memory":{"limit":268435456},"pids":{"limit":6},
    "cpu":{"shares":1024,"quota":50000,"period":100000}}
    | .process.args=["sh","-c","cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max; head -n 1 /proc/meminfo; cat /proc/self/cgroup"]'
mkdir -p "$b/rootfs/sys"
runsc run --bundle "$b" res1 >"$work/out" 2>"$work/err" </dev/null || fail "res1: $(cat "$work/err")"
out=$(tr -s ' \n' ' |' <"$work/out")
[ "$out" = '268435456|6|50000 100000|MemTotal: 262144 kB|0::/|' ] || fail "limits inside: $out"

jq '.process.args=["sh","-c","for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo started"]' \
    "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
runsc run --bundle "$b" res2 >"$work/out" 2>"$work/err" </dev/null
grep -q 'Resource temporarily unavailable\|[Cc]an.t fork' "$work/err" || fail "more than 6 processes: $(cat "$work/err")"

ln -sf busybox "$b/rootfs/bin/dd"
ln -sf busybox "$b/rootfs/bin/rm"
jq '.root.readonly=false | .process.args=["sh","-c","dd if=/dev/zero of=/big bs=1M count=200; echo rc $?; rm /big; echo more >/f && cat /f"]' \
    "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
runsc --overlay root:memory run --bundle "$b" res3 >"$work/out" 2>"$work/err" </dev/null || fail "res3: $(cat "$work/err")"
grep -qi 'no space left' "$work/err" || fail "a full overlay says: $(cat "$work/err")"
grep -qx 'rc 1' "$work/out" && grep -qx more "$work/out" || fail "after a full overlay: $(cat "$work/out")"

# Above the limit one process is killed, not the sandbox. (Sanitizers hold back more memory than the limit leaves.)
if ! sanitized; then
    ln -sf busybox "$b/rootfs/bin/grep"
    jq '.linux.resources={"memory":{"limit":100663296}}
        | .process.args=["sh","-c","sh -c \"x=0123456789abcdef; while :; do x=\\$x\\$x; done\"; echo rc $?; grep oom_kill /sys/fs/cgroup/memory.events"]' \
        "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
    # With a log that nobody has written to before the jail.
    runsc --log "$work/log" run --bundle "$b" res5 >"$work/out" 2>"$work/err" </dev/null || fail "res5: $(cat "$work/err")"
    grep -q 'Out of memory: killed process' "$work/log" || fail "out of memory: not in the log: $(cat "$work/log")"
    grep -qx 'rc 137' "$work/out" && grep -qx 'oom_kill 1' "$work/out" || fail "out of memory: $(cat "$work/out" "$work/err")"
fi

# The host's counters tell engines of it, for an exec's process too, and the container goes on.
if ! sanitized && [ "$(id -u)" = 0 ] && { [ -w /sys/fs/cgroup/memory/tasks ] || grep -qsw memory /sys/fs/cgroup/cgroup.controllers; }; then
    # As a user of its own: the proxy has no privileges left for it.
    jq '.process.args=["sleep","1000"] | .process.user={"uid":1000,"gid":1000}' "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
    runsc run --detach --bundle "$b" res6 >"$work/out" 2>"$work/err" </dev/null || fail "res6: $(cat "$work/err")"
    runsc events res6 >"$work/events" 2>"$work/events.err" &
    events=$!
    pid=$(runsc state res6 | jq -r .pid)
    score=$(cat "/proc/$pid/oom_score_adj")
    sleep 0.3
    runsc exec res6 sh -c 'x=0123456789abcdef; while :; do x=$x$x; done' >"$work/out" 2>&1 </dev/null
    [ $? = 137 ] || fail "res6: the process that takes too much: $(cat "$work/out")"
    for _ in $(seq 50); do
        grep -q '"type":"oom"' "$work/events" && break
        sleep 0.1
    done
    grep -q '"type":"oom","id":"res6"' "$work/events" || fail "no OOM event: $(cat "$work/events" "$work/events.err")"
    [ "$(runsc state res6 | jq -r .status)" = running ] || fail "res6 did not survive"
    [ "$(cat "/proc/$pid/oom_score_adj")" = "$score" ] || fail "res6's process is first in line for the next OOM kill"
    runsc delete --force res6
    wait "$events"
    jq '.process.user={"uid":0,"gid":0}' "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
fi

# `update` reaches the guest; -1 lifts a limit. A promise larger than the limit is given, as to any control group.
jq '.linux.resources={"memory":{"limit":100663296},"pids":{"limit":10}} | .process.args=["sleep","1000"]' \
    "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
runsc run --detach --bundle "$b" res7 >"$work/out" 2>"$work/err" </dev/null || fail "res7: $(cat "$work/err")"
inside() { runsc exec res7 cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max </dev/null 2>&1 | tr '\n' ' '; }
[ "$(inside)" = '100663296 10 max 100000 ' ] || fail "before update: $(inside)"
runsc update --memory 201326592 --pids-limit 20 --cpu-quota 50000 --cpu-period 100000 res7 || fail "update"
[ "$(inside)" = '201326592 20 50000 100000 ' ] || fail "after update: $(inside)"
echo '{"memory":{"limit":-1},"pids":{"limit":-1}}' | runsc update --resources - res7 || fail "update to no limit"
[ "$(inside)" = 'max max 50000 100000 ' ] || fail "without limits: $(inside)"
runsc update --memory 100663296 res7 || fail "update, third"
runsc exec res7 dd if=/dev/null of=/dev/null bs=200M </dev/null 2>"$work/err" || fail "a promise: $(cat "$work/err")"
runsc delete --force res7

# Overcommit: a buffer of 8 GiB is refused by mode 2, promised by mode 1.
jq 'del(.linux.resources) | .process.args=["sh","-c","echo 1 >/proc/sys/vm/overcommit_memory; dd if=/dev/null of=/dev/null bs=8192M 2>/dev/null; echo $?;
    echo 2 >/proc/sys/vm/overcommit_memory; echo 4194304 >/proc/sys/vm/overcommit_kbytes; dd if=/dev/null of=/dev/null bs=8192M 2>/dev/null; echo $?"]
    | .linux.readonlyPaths=[] | .linux.maskedPaths=[]' "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
out=$(runsc run --bundle "$b" res4 2>"$work/err" </dev/null | tr '\n' ' ')
[ "$out" = '0 1 ' ] || fail "overcommit modes: $out; $(cat "$work/err")"
echo ok
