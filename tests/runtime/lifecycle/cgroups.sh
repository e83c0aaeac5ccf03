#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every host process of a container (sentry, stubs, gofer, proxies, those of exec too) is in its cgroup in every hierarchy, with
# the configured limits; delete leaves none behind, also when somebody has frozen it or the command failed half way.
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "host cgroups need root"; exit 77; }
[ -d /sys/fs/cgroup/memory ] || [ -e /sys/fs/cgroup/cgroup.controllers ] || { echo "no cgroups here"; exit 77; }
base=runsc-c-test-$$
trap 'status=$?; runsc delete --force c1 2>/dev/null; cleanup; find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -name "$base" -exec rmdir {} + 2>/dev/null; exit $status' EXIT
dirs() { find /sys/fs/cgroup -mindepth 1 -maxdepth 3 -path "*/$base/c1" -type d; }

make_bundle "$work/b" '.process.args=["sleep","1000"] | .linux.cgroupsPath="/'$base'/c1" |
    .linux.resources={"memory":{"limit":134217728},"cpu":{"shares":512},"pids":{"limit":100}}'
runsc create --bundle "$work/b" c1 </dev/null >"$work/out" 2>&1 || fail "create: $(cat "$work/out")"
runsc start c1 || fail "start"
runsc exec c1 sleep 1000 </dev/null >/dev/null 2>&1 &
started+=($!)
[ -n "$(dirs)" ] || fail "no cgroup was made"
enough() { for d in $(dirs); do [ "$(wc -l <"$d/cgroup.procs")" -ge 6 ] || return 1; done; } # sentry, gofer, 2 proxies, 2 stubs at least
wait_until enough || fail "processes: $(for d in $(dirs); do echo "$d: $(tr '\n' ' ' <"$d/cgroup.procs")"; done)"
d=/sys/fs/cgroup/memory/$base/c1
if [ -d "$d" ]; then
    [ "$(cat "$d/memory.limit_in_bytes")" = 134217728 ] || fail "memory limit"
    [ "$(cat "/sys/fs/cgroup/cpu/$base/c1/cpu.shares")" = 512 ] || fail "cpu shares"
    [ "$(cat "$d/memory.usage_in_bytes")" -gt 1000000 ] || fail "nothing is charged"
fi
[ -d "/sys/fs/cgroup/freezer/$base/c1" ] && echo FROZEN >"/sys/fs/cgroup/freezer/$base/c1/freezer.state"
timeout 100 "$RUNSC" --root "$state" delete --force c1 || fail "delete"
[ -z "$(dirs)" ] || fail "left: $(dirs)"

# Refused: nothing stays.
make_bundle "$work/b2" '.process.args=["no-such-program"] | .linux.cgroupsPath="/'$base'/c1"'
expect 127 'executable file not found' runsc run --bundle "$work/b2" c1
[ -z "$(dirs)" ] || fail "left after a failed run: $(dirs)"
make_bundle "$work/b3" '.linux.cgroupsPath="/'$base'/c1" | .linux.resources={"cpu":{"shares":1}}'
expect 1 'minimum allowed cpu-shares' runsc run --bundle "$work/b3" c1
[ -z "$(dirs)" ] || fail "left after a refused limit: $(dirs)"
make_bundle "$work/b4" '.linux.cgroupsPath="/"'
expect 1 'cgroupsPath' runsc run --bundle "$work/b4" c1
# Attached: gone when the program ends.
make_bundle "$work/b5" '.linux.cgroupsPath="/'$base'/c1"'
runsc run --bundle "$work/b5" c1 </dev/null || fail "run"
[ -z "$(dirs)" ] || fail "left after run: $(dirs)"

# The container's own groups, inside: exec --cgroup.
make_bundle "$work/b6" '.process.args=["sleep","1000"] | .linux.cgroupsPath="/'$base'/c1" |
    .mounts |= map(if .type=="cgroup" then .options=["rw"] else . end)'
mkdir -p "$work/b6/rootfs/bin" && ln -s busybox "$work/b6/rootfs/bin/mkdir"
runsc run --detach --bundle "$work/b6" c1 </dev/null >/dev/null 2>&1 || fail "run"
runsc exec c1 mkdir -p /sys/fs/cgroup/one/two || fail "mkdir"
[ "$(runsc exec c1 cat /proc/self/cgroup)" = 0::/ ] || fail "exec without --cgroup"
[ "$(runsc exec --cgroup one/two c1 cat /proc/self/cgroup)" = 0::/one/two ] || fail "exec --cgroup"
[ "$(runsc exec --cgroup cpu,memory:/one c1 cat /proc/self/cgroup)" = 0::/one ] || fail "exec --cgroup with controllers"
expect 255 'cgroup nosuch: No such file' runsc exec --cgroup nosuch c1 true
expect 255 'cgroup one/../..: No such file' runsc exec --cgroup one/../.. c1 true
# Its own group has handed on controllers: a process there is not allowed, so exec joins the first process.
runsc exec c1 sh -c 'cd /sys/fs/cgroup && mkdir init && echo 1 >init/cgroup.procs && echo $$ >init/cgroup.procs && echo +memory >cgroup.subtree_control' ||
    fail "handing on a controller"
[ "$(runsc exec c1 cat /proc/self/cgroup)" = 0::/init ] || fail "exec beside handed on controllers"
[ "$(runsc exec --cgroup one c1 cat /proc/self/cgroup)" = 0::/one ] || fail "exec --cgroup beside handed on controllers"
expect 255 'cgroup /: Device or resource busy' runsc exec --cgroup / c1 true
runsc exec c1 sh -c 'cd /sys/fs/cgroup && exec sleep 1000' </dev/null >/dev/null 2>&1 & started+=($!)
runsc exec c1 sh -c 'echo +cpu >/sys/fs/cgroup/cgroup.subtree_control' || fail "handing on a further controller beside an exec"
runsc delete --force c1
exit 0
