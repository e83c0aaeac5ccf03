#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The CPUs that the sandbox may use are those that programs inside see: taskset around it, a cpuset of the
# container's control group inside it.
. "$(dirname "$0")/../lib.sh"

list=$(sed -n 's/^Cpus_allowed_list:.//p' /proc/self/status)
last=$(echo "$list" | sed 's/.*[,-]//')
probe='nproc; cat /sys/devices/system/cpu/online; grep -c ^processor /proc/cpuinfo; grep -c "^cpu[0-9]" /proc/stat
    sed -n "s/^Cpus_allowed_list:.//p" /proc/self/status; lscpu -p=CPU | grep -vc "^#"
    python3 -c "import os; print(len(os.sched_getaffinity(0)))"'

out=$(taskset -c "$last" "$RUNSC" --root "$state" do -- sh -c "$probe" 2>&1 | tr '\n' ' ')
[ "$out" = "1 $last 1 1 $last 1 1 " ] || fail "on one CPU: $out"
n=$(nproc)
out=$("$RUNSC" --root "$state" do -- sh -c "$probe" 2>&1 | tr '\n' ' ')
[ "$out" = "$n $list $n $n $list $n $n " ] || fail "on all CPUs: $out"

# The cpuset of an OCI bundle narrows affinity. (Where the host has the controller, its own group does too.)
b=$work/b
make_bundle "$b" ".linux.resources={\"cpu\":{\"cpus\":\"$last\"}}
    | .process.args=[\"sh\",\"-c\",\"nproc; cat /sys/fs/cgroup/cpuset.cpus.effective; cat /proc/self/status\"]"
mkdir -p "$b/rootfs/sys"
ln -sf busybox "$b/rootfs/bin/nproc"
out=$(runsc run --bundle "$b" cpu1 2>"$work/err" </dev/null | grep -v '^[A-Za-z]'; cat "$work/err")
[ "$(echo "$out" | tr '\n' ' ')" = "1 $last " ] || fail "cpuset of a bundle: $out"
runsc run --bundle "$b" cpu2 2>"$work/err" </dev/null | grep -qx "Cpus_allowed_list:.$last" || fail "status: $(cat "$work/err")"
echo ok
