#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run, state, list, kill, delete of OCI bundles, in the foreground and detached.
. "$(dirname "$0")/../lib.sh"

b=$work/b
make_bundle "$b" '.process.args=["sh","-c","echo out; echo err >&2; exit 3"]'
out=$(runsc run --bundle "$b" c1 2>"$work/err")
rc=$?
[ $rc = 3 ] || fail "exit code $rc, wanted 3: $(cat "$work/err")"
[ "$out" = out ] || fail "stdout: $out"
grep -qx err "$work/err" || fail "stderr: $(cat "$work/err")"
[ ! -e "$state/c1" ] || fail "state of c1 was left behind"

# Process attributes.
jq '.process.args=["sh","-c","id -u; id -g; pwd; echo $FOO; hostname; ulimit -n"]
    | .process.user={"uid":1000,"gid":1001} | .process.cwd="/tmp" | .process.env+=["FOO=bar baz"]
    | .hostname="testhost" | .process.rlimits=[{"type":"RLIMIT_NOFILE","soft":77,"hard":88}]' \
    "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
out=$(runsc run --bundle "$b" c2 | tr '\n' '|')
[ "$out" = '1000|1001|/tmp|bar baz|testhost|77|' ] || fail "attributes: $out"

# A read-only root, a tmpfs and a bind mount, masked paths.
mkdir "$work/bind" && echo payload >"$work/bind/file"
jq --arg src "$work/bind" '.process.user={"uid":0,"gid":0} | .root.readonly=true
    | .mounts+=[{"destination":"/bound","type":"bind","source":$src,"options":["bind","rw"]},
                {"destination":"/t","type":"tmpfs","source":"tmpfs","options":["size=64k"]}]
    | .process.args=["sh","-c","cat /bound/file; echo back >/bound/new; touch /t/x && echo t; touch /ro 2>/dev/null || echo ro"]' \
    "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
out=$(runsc run --bundle "$b" c3 | tr '\n' '|')
[ "$out" = 'payload|t|ro|' ] || fail "mounts: $out"
[ "$(cat "$work/bind/new")" = back ] || fail "a write through the bind mount was lost"

# Detached: state running, listed, killed, stopped, deleted.
jq '.process.args=["sleep","1000"]' "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
runsc run --detach --pid-file "$work/pid" --bundle "$b" c4 </dev/null >"$work/out" 2>&1 || fail "run -d: $(cat "$work/out")"
started+=("$(cat "$work/pid")")
[ "$(runsc state c4 | jq -r .status)" = running ] || fail "state: $(runsc state c4)"
[ "$(runsc state c4 | jq -r .pid)" = "$(cat "$work/pid")" ] || fail "pid file and state differ"
runsc list --quiet | grep -qx c4 || fail "list"
runsc list --format json | jq -e '.[] | select(.id == "c4")' >/dev/null || fail "list --format json"
expect 1 'already exists' runsc run --bundle "$b" c4
expect 1 'not stopped' runsc delete c4
runsc kill c4 KILL || fail "kill"
stopped() { [ "$(runsc state c4 | jq -r .status)" = stopped ]; }
wait_until stopped || fail "c4 does not stop"
expect 1 'not running' runsc kill c4 TERM
runsc delete c4 || fail "delete"
expect 1 'does not exist' runsc state c4

# What `do` runs may make control groups of its own.
[ "$("$RUNSC" do -- sh -c 'mkdir /sys/fs/cgroup/mine && echo $$ >/sys/fs/cgroup/mine/cgroup.procs && tail -n 1 /proc/self/cgroup')" = 0::/mine ] ||
    fail "control groups in do"

runsc run -d -b "$b" c5 </dev/null >/dev/null 2>&1 || fail "run -d -b"
runsc delete --force c5 || fail "delete --force"
echo "ok"
