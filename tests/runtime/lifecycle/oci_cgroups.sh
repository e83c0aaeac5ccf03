#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What others left in the control group of a new container: processes are a warning, a frozen group is refused and stays
# as it was; a control group that cannot be made is an error that names it. Nobody but the
# program holds the stderr of a command that has left, with --debug either. Passes with RUNTIME=runc.
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "skipped: containers of root"; exit 77; }
base=runsc-c-oci-$$
trap 'status=$?; set_freezer "$thawed"; cleanup; find /sys/fs/cgroup -mindepth 1 -maxdepth 3 -name "$base" -exec rmdir {} + 2>/dev/null; exit $status' EXIT
freezer='' thawed=''
set_freezer() { [ ! -e "$freezer" ] || echo "$1" >"$freezer"; }
ended() { [ "$(runsc state "$1" | jq -r .status)" = stopped ]; }
make_bundle "$work/b" '.process.args=["sleep","1000"] | .linux.cgroupsPath="/'$base'"'

runsc --debug run -d --bundle "$work/b" c1 </dev/null >/dev/null 2>"$work/debug" || fail "run -d: $(cat "$work/debug")"
# Who reads the command's output to its end waits for the container's own descriptors at most.
gofer=$(jq -r '.gofer.pid // 0' "$state/c1/state.json")
[ -z "${RUNTIME:-}" ] && readlink /proc/"$gofer"/fd/* | grep -F "$work/debug" && fail "the gofer holds the stderr of a command that has left"
runsc create --bundle "$work/b" c2 </dev/null >/dev/null 2>"$work/err" || fail "create: $(cat "$work/err")"
grep -q "cgroup is not empty" "$work/err" || fail "no warning: $(cat "$work/err")"
for id in c1 c2; do runsc delete --force $id || fail "delete of $id"; done # what c2 needs is left to it
[ -z "$(find /sys/fs/cgroup -mindepth 1 -maxdepth 3 -name "$base")" ] || fail "control groups are left"

if [ -d /sys/fs/cgroup/freezer ]; then
    freezer=/sys/fs/cgroup/freezer/$base/freezer.state frozen=FROZEN thawed=THAWED
else
    freezer=/sys/fs/cgroup/$base/cgroup.freeze frozen=1 thawed=0
fi
mkdir -p "${freezer%/*}" || fail "no cgroup: ${freezer%/*}"
set_freezer $frozen
expect 1 'unexpectedly frozen' runsc create --bundle "$work/b" c1
[ "$(cat "$freezer")" = $frozen ] || fail "the frozen group was changed"
expect 1 'does not exist' runsc state c1
rmdir "${freezer%/*}"

# Read-only control groups.
expect 1 "$base" unshare -m sh -c 'for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mount -o remount,bind,ro "$d"; done 2>/dev/null
    exec "$0" --root "$1" create --bundle "$2" c1' "$RUNSC" "$state" "$work/b"
expect 1 'does not exist' runsc state c1
echo ok
