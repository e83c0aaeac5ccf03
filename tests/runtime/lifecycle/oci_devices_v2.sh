#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# linux.resources.devices on a host with control groups of version 2 alone (a mount namespace that shows nothing else): what the
# container's processes on the host may open, which a process of the test's own in that group tells. Passes with RUNTIME=runc.
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "skipped: containers of root"; exit 77; }
if [ "${1:-}" != inside ]; then
    grep -q ' - cgroup2 ' /proc/self/mountinfo || { echo "skipped: no tree of version 2 on this host"; exit 77; }
    rm -rf "$work" # the one inside has its own
    exec unshare --mount bash -c 'while umount -l /sys/fs/cgroup 2>/dev/null; do :; done
        mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$0" inside' "$0"
fi
id=dev$$
group=/sys/fs/cgroup/runsc-c-dev-$$
trap 'status=$?; runsc delete --force $id >/dev/null 2>&1; cleanup; exit $status' EXIT
mknod "$work/kmsg" c 1 11 || fail "mknod"
# opens REDIRECTION: what a process in the container's group is told
opens() { bash -c "echo \$\$ >$group/cgroup.procs && exec 3$1" 2>&1 | grep -o 'Operation not permitted'; }
container() { # RULES
    rm -f "$work/b/config.json"
    make_bundle "$work/b" ".process.args=[\"sleep\",\"1000\"] | .linux.cgroupsPath=\"/${group##*/}\" | .linux.resources.devices=$1"
    runsc run --detach --bundle "$work/b" $id </dev/null >/dev/null 2>"$work/err" || fail "run: $(cat "$work/err")"
}

container '[{allow:false,access:"rwm"},{allow:true,type:"c",major:1,minor:11,access:"r"}]'
[ -n "$(cat $group/cgroup.procs)" ] || fail "nobody is in $group"
[ -z "$(opens "<$work/kmsg")" ] || fail "what is allowed is forbidden"
[ -n "$(opens ">$work/kmsg")" ] || fail "allowed for reading alone, and opened for writing"
[ -z "$(opens '<>/dev/null')" ] || fail "null is forbidden"
runsc delete --force $id || fail "delete"
[ ! -e $group ] || fail "$group is left"

container '[{allow:false,access:"rwm"}]'
[ -n "$(opens "<$work/kmsg")" ] || fail "what nothing allows is allowed"
runsc exec $id true || fail "exec"
runsc delete --force $id || fail "delete"
echo ok
