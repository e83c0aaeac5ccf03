#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What can go wrong on disk and in configurations of containers that live: corrupt state, half-made containers, a
# bundle that changes, links in mount targets, a read-only or full root, big configurations, strange names. Each
# is a clear error, and nothing stays behind.
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "skipped: containers of root"; exit 77; }
b=$work/b
id=b$$
trap 'status=$?; runsc delete --force $id >/dev/null 2>&1; umount "$work/small" 2>/dev/null; cleanup; exit $status' EXIT
make_bundle "$b" '.process.args=["sleep","1000"] | .root.readonly=false'
config() { jq "$1" "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"; }
cp "$b/config.json" "$work/good"
restore() { cp "$work/good" "$b/config.json"; }
none_left() { [ -z "$(ls "$state" 2>/dev/null)" ]; }

# Names.
for name in 'a/b' '..' '.' 'a b' '' "$(printf 'x%.0s' $(seq 1100))"; do
    expect 1 'invalid container id' runsc create --bundle "$b" "$name"
done
long=$(printf 'x%.0s' $(seq 300))
expect 1 'file name too long' runsc create --bundle "$b" "$long"

# State files: corrupt, empty, missing; a directory that a killed create left.
runsc create --bundle "$b" --pid-file "$work/pid" "$id" </dev/null >/dev/null 2>&1 || fail create
proxy=$(cat "$work/pid")
started+=("$proxy")
echo '{"id": tru' >"$state/$id/state.json"
[ "$(runsc state "$id" | jq -r .status)" = stopped ] || fail "state of a corrupt one: $(runsc state "$id")"
runsc list >/dev/null || fail "list with a corrupt state"
expect 1 'stopped' runsc start "$id"
runsc delete "$id" || fail "delete of a corrupt one"
kill -KILL "$proxy" 2>/dev/null
mkdir -p "$state/$id"
runsc delete "$id" || fail "delete of an empty directory"
mkdir -p "$state/$id" && echo x >"$state/$id/state.json.tmp"
expect 1 'already exists' runsc create --bundle "$b" "$id"
runsc delete --force "$id" || fail "delete --force of a left-over"

# The bundle changes between create and start: what was created counts.
runsc create --bundle "$b" "$id" </dev/null >/dev/null 2>&1 || fail create
echo garbage >"$b/config.json"
runsc start "$id" || fail "start with a changed bundle"
runsc exec "$id" true || fail "exec with a changed bundle"
runsc delete --force "$id" || fail delete
restore

# A mount target that is a link out of the root stays inside.
mkdir "$work/outside"
ln -s "$work/outside" "$b/rootfs/link"
for readonly in true false; do
    config ".root.readonly=$readonly | .mounts+=[{destination:\"/link/sub\",type:\"tmpfs\",source:\"tmpfs\"}]"
    runsc run --bundle "$b" "$id" </dev/null >"$work/out" 2>&1 &
    run=$!
    started+=("$run")
    wait_until sh -c "! kill -0 $run 2>/dev/null || [ \"\$('$RUNSC' --root '$state' state $id 2>/dev/null | jq -r .status)\" = running ]"
    runsc delete --force "$id"
    wait "$run" 2>/dev/null
    [ -z "$(ls "$work/outside")" ] || fail "a link led out: $(ls "$work/outside")"
    restore
done

# Configurations.
jq '.root.path="/etc/passwd"' "$work/good" >"$b/config.json"
expect 1 'not a directory' runsc create --bundle "$b" "$id"
jq '.annotations={"big": ("x" * 10000000)}' "$work/good" >"$b/config.json"
runsc create --bundle "$b" "$id" </dev/null >"$work/out" 2>&1 || fail "10 MB: $(cut -c1-200 "$work/out")"
runsc delete --force "$id" || fail "delete of 10 MB"
jq '.mounts+=[range(10000) | {destination:"/m\(.)",type:"bind",source:"/tmp",options:["bind"]}]' "$work/good" >"$b/config.json"
expect 1 'bind mounts' runsc create --bundle "$b" "$id"
jq '.linux.seccomp={defaultAction:"SCMP_ACT_ALLOW",syscalls:[{names:["mkdir"],action:"SCMP_ACT_NONSENSE"}]}' "$work/good" >"$b/config.json"
expect 1 'linux.seccomp: action "SCMP_ACT_NONSENSE"' runsc create --bundle "$b" "$id"
jq '.linux.devices=[{path:"/dev/x",type:"q"}]' "$work/good" >"$b/config.json"
expect 1 'linux.devices[0].type' runsc create --bundle "$b" "$id"
jq '.hooks={poststop:[{path:"relative"}]}' "$work/good" >"$b/config.json"
expect 1 'hooks.poststop[0].path' runsc create --bundle "$b" "$id"
jq '.linux.resources.memory.limit="much"' "$work/good" >"$b/config.json"
expect 1 'linux.resources.memory.limit must be an integer' runsc create --bundle "$b" "$id"
restore
none_left || fail "left in $state: $(ls "$state")"

# podman takes the log for the reason, if it is one line of JSON.
mkdir "$work"/v1 "$work"/v2
jq --arg w "$work" '.process.args=["/etc"] | .mounts+=[{destination:"/v1",type:"bind",source:($w+"/v1"),options:["rbind"]},
    {destination:"/v2",type:"bind",source:($w+"/v2"),options:["rbind"]}]' "$work/good" >"$b/config.json"
for _ in 1 2 3 4 5 6 7 8; do
    rm -f "$work/log"
    expect 126 'permission denied' runsc --log "$work/log" --log-format json create --bundle "$b" "$id"
    [ "$(jq -r .level "$work/log")" = error ] || fail "the log is not one line: $(cat "$work/log")"
done
restore

# A root that is full or cannot be written.
mkdir "$work/small"
if mount -t tmpfs -o size=8k none "$work/small" 2>/dev/null; then
    head -c 8192 /dev/zero >"$work/small/fill" 2>/dev/null
    expect 1 '' "$RUNSC" --root "$work/small/state" create --bundle "$b" "$id"
    [ -s "$work/err" ] || fail "a full root: no reason"
    mount -o remount,ro "$work/small"
    expect 1 'read-only file system' "$RUNSC" --root "$work/small/other" create --bundle "$b" "$id"
fi
echo ok
