#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# After cycles of create, start, exec and delete, and after kill -9 of the proxy, the sentry, the gofer and the
# creating command at different moments, nothing is left: no process, mount, cgroup or file.
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "skipped: containers of root"; exit 77; }
b=$work/b
id=leak$$
trap 'status=$?; runsc delete --force $id >/dev/null 2>&1; cleanup; exit $status' EXIT
make_bundle "$b" ".process.args=[\"sh\",\"-c\",\"while :; do sleep 0.1; done\"] | .linux.cgroupsPath=\"/runsc-c-leak-$$\""
pids_of() { jq -r '.proxy.pid, .sentry.pid, .gofer.pid' "$state/$id/state.json" 2>/dev/null | grep -v '^0$'; }
dead() {
    local pid
    for pid; do
        [ -e "/proc/$pid" ] && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null && return 1
    done
    return 0
}
cgroups() { find /sys/fs/cgroup -maxdepth 3 -type d -name "runsc-c-leak-$$*" 2>/dev/null; }
check() {
    wait_until dead $seen || fail "$1: processes are left: $(ps -o pid,ppid,stat,args -p "$(tr ' ' , <<<"${seen# }")")"
    [ ! -e "$state/$id" ] || fail "$1: $state/$id is left"
    [ -z "$(cgroups)" ] || fail "$1: cgroups are left: $(cgroups)"
}

seen=
for _ in $(seq 15); do
    runsc create --bundle "$b" "$id" </dev/null >/dev/null 2>&1 || fail create
    seen="$seen $(pids_of | tr '\n' ' ')"
    runsc start "$id" && runsc exec "$id" true && runsc delete --force "$id" || fail "a cycle"
done
check "cycles"

for victim in proxy sentry gofer; do
    for moment in created running executing paused; do
        seen=
        runsc create --bundle "$b" "$id" </dev/null >/dev/null 2>&1 || fail create
        seen=$(pids_of | tr '\n' ' ')
        [ $moment = created ] || runsc start "$id" || fail start
        [ $moment != executing ] || runsc exec -d "$id" sleep 1000 </dev/null >/dev/null 2>&1 || fail exec
        [ $moment != paused ] || runsc pause "$id" || fail pause
        kill -KILL "$(jq ".$victim.pid" "$state/$id/state.json")"
        stopped() { [ "$(runsc state "$id" | jq -r .status)" = stopped ]; }
        wait_until stopped || fail "$victim killed while $moment: state $(runsc state "$id" | jq -r .status)"
        runsc delete "$id" || fail "$victim killed while $moment: cannot be deleted"
        check "$victim killed while $moment"
    done
done

# The creating command killed at different moments: what exists can be deleted by force.
for delay in 0.005 0.01 0.02 0.03 0.05 0.08; do
    "$RUNSC" --root "$state" create --bundle "$b" "$id" </dev/null >/dev/null 2>&1 &
    creator=$!
    sleep $delay
    kill -KILL $creator 2>/dev/null
    wait $creator 2>/dev/null
    seen=$(pids_of | tr '\n' ' ')
    runsc delete --force "$id" || fail "creator killed after $delay s"
    check "creator killed after $delay s"
done
! grep -F "$work" /proc/self/mountinfo || fail "mounts were left behind"
echo ok
