#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The sentry killed: no stub and no gofer survives. The gofer killed: the sandbox ends with a reason.
# The command killed: everything ends. No mount is left behind in any case.
# Others may mount and unmount on this host meanwhile: what counts is what is in a mount namespace of the test's own.
[ -n "${IN_DEATHS:-}" ] || [ "$(id -u)" != 0 ] || exec env IN_DEATHS=1 unshare --mount --propagation private "$0"
. "$(dirname "$0")/../lib.sh"

mounts_before=$(sort /proc/self/mountinfo)

busy='while :; do cat /etc/hostname /etc/passwd >/dev/null; sleep 0.05; done'
start() {
    "$RUNSC" do -- sh -c "$1" \
        >/dev/null 2>"$work/err" </dev/null &
    main=$!
    started+=("$main")
    have_stub() { [ "$(descendants $main | wc -l)" -ge 4 ]; }
    wait_until have_stub || fail "the sandbox did not come up: $(cat "$work/err")"
    all=$(descendants $main)
}

role_of() { tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null; }
find_role() {
    local pid
    for pid in $all; do
        case $(role_of $pid) in *"$1"*) echo "$pid" && return ;; esac
    done
}
all_gone() {
    local pid
    for pid in $all; do
        [ -e "/proc/$pid" ] && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null && return 1
    done
    return 0
}

start "$busy"
kill -KILL "$(find_role sentry)"
wait $main
rc=$?
[ $rc -ne 0 ] || fail "exit code 0 after the sentry was killed"
grep -qi "unexpectedly" "$work/err" || fail "no reason on stderr: $(cat "$work/err")"
wait_until all_gone || fail "processes survive the sentry: $(ps -o pid,ppid,args -p $(echo $all | tr ' ' ,))"

for program in "$busy" 'sleep 1000'; do
    start "$program"
    kill -KILL "$(find_role gofer)"
    wait $main
    rc=$?
    [ $rc -ne 0 ] || fail "exit code 0 after the gofer was killed"
    grep -qi "gofer" "$work/err" || fail "the reason does not name the gofer: $(cat "$work/err")"
    wait_until all_gone || fail "processes survive the gofer"
done

start "$busy"
kill -KILL $main
wait $main
wait_until all_gone || fail "processes survive the command"

[ "$mounts_before" = "$(sort /proc/self/mountinfo)" ] || fail "mounts were left behind"
echo "no survivor in three deaths"
