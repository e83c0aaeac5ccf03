#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The OCI life cycle as engines use it: create blocks, start runs, the pid in the pid-file is a host process that
# ends as the container does; exec likewise; errors in create. Passes with RUNTIME=runc.
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "skipped: containers of root"; exit 77; }
b=$work/b
id=t$$
config() { jq "$1" "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"; }
status_is() { [ "$(runsc state "$1" | jq -r .status)" = "$2" ]; }
gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.*Z' "/proc/$1/status"; }
finish() { runsc delete --force "$id" >/dev/null 2>&1; runsc delete --force "$id-2" >/dev/null 2>&1; cleanup; }
trap 'status=$?; finish; exit $status' EXIT

make_bundle "$b" '.root.readonly=false'
mkdir "$work/shared"
jq --arg src "$work/shared" '.process.args=["sh","-c","echo ran >/shared/ran; trap \"exit 7\" TERM; trap \"echo hup >/shared/hup\" HUP; while :; do sleep 0.1; done"]
    | .mounts+=[{"destination":"/shared","type":"bind","source":$src,"options":["rbind","rw"]}]' \
    "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"

# create: loaded, not running; a second one of the name is refused.
runsc create --bundle "$b" --pid-file "$work/pid" "$id" </dev/null >"$work/out" 2>&1 || fail "create: $(cat "$work/out")"
pid=$(cat "$work/pid")
status_is "$id" created || fail "state after create: $(runsc state "$id")"
[ "$(runsc state "$id" | jq .pid)" = "$pid" ] || fail "pid-file and state differ"
kill -0 "$pid" || fail "no process $pid"
[ "$(readlink /proc/self/ns/net)" != "$(readlink "/proc/$pid/ns/net")" ] || fail "the pid is in our network namespace"
[ ! -e "$work/shared/ran" ] || fail "ran before start"
expect 1 'already exists' runsc create --bundle "$b" "$id"
expect 255 '' runsc exec "$id" /nonexistent

# start, once.
runsc start "$id" || fail start
wait_until test -e "$work/shared/ran" || fail "does not run"
status_is "$id" running || fail "state after start"
expect 1 'cannot start an already running container' runsc start "$id"
expect 1 'that is not stopped' runsc delete "$id"
runsc list -q | grep -qx "$id" || fail "list -q"
runsc list -f json | jq -e --arg id "$id" '.[] | select(.id == $id and .status == "running")' >/dev/null || fail "list -f json"
runsc list | grep -q "^$id .*running" || fail "list: $(runsc list)"

# exec: codes, words, environment, user; detached with a pid of its own.
out=$(runsc exec --env A=b --cwd /tmp --user 12:34 "$id" sh -c 'echo "$A $(pwd) $(id -u) $(id -g)"; exit 9')
rc=$?
[ "$rc $out" = "9 b /tmp 12 34" ] || fail "exec: $rc $out"
expect 255 'set in config.json failed: no such file or directory' runsc exec --cwd /nosuch "$id" pwd
echo piped | runsc exec "$id" cat >"$work/out" || fail "exec with a pipe"
[ "$(cat "$work/out")" = piped ] || fail "exec with a pipe: $(cat "$work/out")"
expect 255 'executable file not found' runsc exec "$id" nonexistent
expect 255 'no such file or directory' runsc exec "$id" /nonexistent
expect 255 'permission denied' runsc exec "$id" /etc/passwd
runsc exec -d --pid-file "$work/epid" "$id" sleep 1000 </dev/null >/dev/null 2>&1 || fail "exec -d"
epid=$(cat "$work/epid")
[ "$epid" != "$pid" ] || fail "exec has the container's pid"
runsc ps -f json "$id" | jq -e --argjson a "$pid" --argjson b "$epid" 'index($a) != null and index($b) != null' >/dev/null ||
    fail "ps -f json: $(runsc ps -f json "$id")"
runsc ps "$id" | grep -q sleep || fail "ps: $(runsc ps "$id")"
kill -KILL "$epid"
wait_until gone "$epid" || fail "the exec's process stays"
no_sleeper() { ! runsc exec "$id" ps | grep -q 'sleep 1000'; }
wait_until no_sleeper || fail "killing the exec's pid leaves its program"
jq '.process | .args=["sh","-c","exit 21"] | .terminal=false' "$b/config.json" >"$work/p.json"
runsc exec --process "$work/p.json" "$id"
rc=$?
[ $rc = 21 ] || fail "exec --process: $rc"

# Signals by name and number, to the container through its host process too.
runsc kill "$id" SIGHUP || fail "kill SIGHUP"
wait_until test -e "$work/shared/hup" || fail "no HUP by name"
rm "$work/shared/hup"
kill -HUP "$pid"
wait_until test -e "$work/shared/hup" || fail "no HUP through the host process"
expect 1 'unknown signal' runsc kill "$id" FROB

# pause, resume.
runsc pause "$id" || fail pause
status_is "$id" paused || fail "state after pause"
expect 255 'paused container' runsc exec "$id" true
runsc resume "$id" || fail resume
status_is "$id" running || fail "state after resume"
expect 1 'not paused' runsc resume "$id"

# The end: stopped, then gone.
runsc kill "$id" 15 || fail "kill 15"
wait_until status_is "$id" stopped || fail "does not stop"
wait_until gone "$pid" || fail "the container's process stays"
expect 1 'not running' runsc kill "$id" 9
runsc kill --all "$id" 9 || fail "kill --all of a stopped one"
expect 255 'stopped container' runsc exec "$id" true
expect 1 'that has stopped' runsc start "$id"
runsc delete "$id" || fail delete
expect 1 'does not exist' runsc state "$id"
expect 1 'does not exist' runsc delete "$id"
runsc delete --force "$id" || fail "delete --force of nothing"

# A bad command fails in create and leaves nothing.
for case in 'nonexistent|executable file not found' '/nonexistent|no such file or directory' '/etc/passwd|permission denied'; do
    config ".process.args=[\"${case%|*}\"]"
    runsc create --bundle "$b" "$id" >"$work/out" 2>"$work/err" </dev/null && fail "create of ${case%|*} succeeds"
    grep -qF "${case#*|}" "$work/err" || fail "create of ${case%|*}: $(cat "$work/err")"
    expect 1 'does not exist' runsc state "$id"
done

# Killed from outside: stopped, deletable; created and deleted without a start.
config '.process.args=["sleep","1000"]'
runsc run -d --bundle "$b" --pid-file "$work/pid" "$id" </dev/null >/dev/null 2>&1 || fail "run -d"
kill -KILL "$(cat "$work/pid")"
wait_until status_is "$id" stopped || fail "not stopped after kill -9"
runsc delete "$id" || fail "delete after kill -9"
runsc create --bundle "$b" "$id" </dev/null >/dev/null 2>&1 || fail "create"
runsc delete --force "$id" || fail "delete --force of a created one"
runsc run -d --bundle "$b" "$id" </dev/null >/dev/null 2>&1 || fail "run -d again"
runsc delete --force "$id" || fail "delete --force of a running one"
# A signal that ends the container is delivered, however soon everything is gone.
for _ in $(seq 8); do
    runsc run -d --bundle "$b" "$id" </dev/null >/dev/null 2>&1 || fail "run -d"
    expect 0 '' runsc kill "$id" KILL
    wait_until status_is "$id" stopped || fail "does not stop"
    runsc delete "$id" || fail "delete"
done
echo ok
