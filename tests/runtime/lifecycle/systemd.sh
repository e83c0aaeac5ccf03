#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --systemd-cgroup against a real systemd: first process of namespaces of the test's own, once with a v2 tree alone and once with v1
# hierarchies (where the host has them), in cgroups below the host's that go with the test. The container's processes are in the scope
# that cgroupsPath names, limits are systemd's properties from the start and after update, a reload leaves them, delete ends the scope.
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
v2=$(awk '$(NF-2) == "cgroup2" || / - cgroup2 / {print $5; exit}' /proc/self/mountinfo)
[ -n "$v2" ] || { echo "no cgroup2 mount"; exit 77; }
name=systemd-test-$$
hierarchies=$(awk '/ - cgroup2? / {print $5}' /proc/self/mountinfo)

end() {
    local status=$? h round
    [ -n "${init:-}" ] && kill -KILL "$init" 2>/dev/null
    for round in 1 2 3 4 5 6 7 8 9 10; do
        for h in $hierarchies; do
            find "$h/$name" -depth -type d -exec rmdir {} \; 2>/dev/null
        done
        [ -z "$(for h in $hierarchies; do ls -d "$h/$name" 2>/dev/null; done)" ] && break
        sleep 0.2
    done
    cleanup
    exit "$status"
}
trap end EXIT

# What becomes systemd. Only units that are written here: those of the host would clean up /tmp and more.
cat >"$work/init" <<'INIT'
set -e
layout=$1 name=$2
mount -t proc proc /proc
mount --bind /etc /etc && mount -o remount,bind,ro /etc
for d in /run /var/lib/systemd; do mkdir -p "$d" && mount -t tmpfs -o mode=755 tmpfs "$d"; done
controllers=$(awk -F: '$2 != "" {print $2}' /proc/self/cgroup)
umount -R -l /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup 2>/dev/null || true
if [ "$layout" = v2 ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
    for c in $controllers; do
        d=/sys/fs/cgroup/${c#name=}
        mkdir -p "$d"
        case $c in name=*) mount -t cgroup -o "none,$c" cgroup "$d" ;; *) mount -t cgroup -o "$c" cgroup "$d" ;; esac
    done
fi
mkdir -p /run/systemd/system /run/dbus
printf '[Unit]\nDefaultDependencies=no\nWants=dbus.service\n' >/run/systemd/system/test.target
printf '[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/dbus/system_bus_socket\n' >/run/systemd/system/dbus.socket
printf '[Unit]\nDefaultDependencies=no\nRequires=dbus.socket\nAfter=dbus.socket\n[Service]\nType=notify\nExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation\n' >/run/systemd/system/dbus.service
exec env container=test /lib/systemd/systemd --system --unit=test.target --log-target=console --log-level=notice
INIT

inside() { nsenter -t "$init" -m -p -C -i -u -- "$@"; }

start_systemd() {
    local h i
    for h in $hierarchies; do
        mkdir -p "$h/$name"
        for i in cpuset.cpus cpuset.mems; do
            [ ! -f "$h/$name/$i" ] || cat "$h/$i" >"$h/$name/$i"
        done
    done
    # shellcheck disable=SC2016
    sh -c 'for h in $2; do echo $$ >"$h/$3/cgroup.procs"; done; exec unshare -m -p -C -i -u -f --kill-child --propagation private sh "$4" "$1" "$3"' \
        sh "$1" "$hierarchies" "$name" "$work/init" >"$work/systemd.$1" 2>&1 </dev/null &
    started+=($!)
    for i in $(seq 300); do
        init=$(cat "/proc/${started[-1]}/task/${started[-1]}/children" 2>/dev/null | tr -d ' ')
        [ -n "$init" ] && inside systemctl is-active dbus.service >/dev/null 2>&1 && return
        sleep 0.1
    done
    fail "systemd did not start: $(cat "$work/systemd.$1")"
}

# What runs inside, as a service: a caller in a cgroup of its own.
cat >"$work/client" <<'CLIENT'
set -u
runsc="$1 --root $2/state-$3 --systemd-cgroup" layout=$3 work=$2
fail() { echo "FAIL: $layout: $*"; exit 1; }
show() { systemctl show -p "$1" --value test-one.scope; }
expect() { [ "$(show "$1")" = "$2" ] || fail "$1 is $(show "$1"), not $2"; }
$runsc run --detach --bundle "$work/b" one </dev/null >"$work/run.out" 2>&1 || fail "run: $(cat "$work/run.out")"
expect ActiveState active
expect Slice runscc-test.slice
expect Delegate yes
pid=$($runsc state one | jq .pid)
for p in $pid $(pgrep -x runsc-c-sentry) $(pgrep -x runsc-c-gofer); do
    grep -q '/runscc.slice/runscc-test.slice/test-one.scope$' "/proc/$p/cgroup" || fail "$p is in $(cat "/proc/$p/cgroup")"
done
if [ "$layout" = v1 ]; then # where the limits of the configuration can be had
    expect TasksMax 264 # twice the guest's and 64 for the sandbox
    expect MemoryLimit 104857600
    expect CPUShares 512
    expect CPUQuotaPerSecUSec 500ms
    [ "$(cat /sys/fs/cgroup/memory/runscc.slice/runscc-test.slice/test-one.scope/memory.limit_in_bytes)" = 104857600 ] || fail "memory.limit_in_bytes"
    $runsc update --memory 209715200 --pids-limit 50 one || fail "update"
    expect MemoryLimit 209715200
    expect TasksMax 164
    systemctl daemon-reload
    [ "$(cat /sys/fs/cgroup/memory/runscc.slice/runscc-test.slice/test-one.scope/memory.limit_in_bytes)" = 209715200 ] || fail "a reload changed the limit"
    [ "$(cat /sys/fs/cgroup/pids/runscc.slice/runscc-test.slice/test-one.scope/pids.max)" = 164 ] || fail "a reload changed pids.max"
else # this tree may have no controllers: then the files are refused, as with runc, when the properties are set
    $runsc update --memory 209715200 --memory-swap 314572800 --cpu-share 512 --cpu-quota 50000 --cpu-period 100000 --cpuset-cpus 0 --blkio-weight 500 one 2>"$work/update.err" ||
        ! grep -qw memory /sys/fs/cgroup/cgroup.controllers || fail "update: $(cat "$work/update.err")"
    expect MemoryMax 209715200
    expect MemorySwapMax 104857600
    expect CPUWeight 20
    expect CPUQuotaPerSecUSec 500ms
    expect AllowedCPUs 0
    expect IOWeight 4950
fi
$runsc exec one echo in the scope >"$work/exec.out" || fail "exec"
grep -q 'in the scope' "$work/exec.out" || fail "exec said $(cat "$work/exec.out")"
$runsc kill one KILL
for i in $(seq 100); do [ "$($runsc state one | jq -r .status)" = stopped ] && break; sleep 0.1; done
$runsc delete one || fail "delete"
[ "$(systemctl show -p LoadState --value test-one.scope)" = not-found ] || fail "the scope stayed"
$runsc run --bundle "$work/bad" two >"$work/run.out" 2>&1 </dev/null && fail "a slice that is none was taken"
grep -q 'slice' "$work/run.out" || fail "bad slice: $(cat "$work/run.out")"
echo "$layout fine"
CLIENT

make_bundle "$work/b" '.process.args=["sleep","1000"] | .linux.cgroupsPath="runscc-test.slice:test:one" | del(.linux.resources)'
make_bundle "$work/bad" '.linux.cgroupsPath="no-slice:test:two"'
cp "$work/b/config.json" "$work/plain.json"
for layout in v2 v1; do
    if [ $layout = v1 ]; then
        grep -q ' - cgroup .*memory' /proc/self/mountinfo || continue
        jq '.linux.resources={"memory":{"limit":104857600},"cpu":{"shares":512,"quota":50000,"period":100000},"pids":{"limit":100}}' "$work/plain.json" >"$work/b/config.json"
    fi
    start_systemd $layout
    inside systemd-run --wait --pipe --quiet -p DefaultDependencies=no bash "$work/client" "$RUNSC" "$work" $layout >"$work/said" 2>&1
    cat "$work/said"
    grep -q "^$layout fine$" "$work/said" || fail "$layout"
    kill -KILL "$init"
    wait "${started[-1]}" 2>/dev/null
    init=
done
exit 0
