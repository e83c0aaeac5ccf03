#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Hooks: all kinds, in order, with the state on stdin and a pid in the container's network namespace; one that
# fails or hangs undoes the create. Passes with RUNTIME=runc (which runs poststart at create).
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "skipped: containers of root"; exit 77; }
b=$work/b
id=h$$
trap 'status=$?; runsc delete --force $id >/dev/null 2>&1; cleanup; exit $status' EXIT
make_bundle "$b" '.process.args=["sleep","1000"]'
cat >"$work/hook" <<'END'
#!/bin/bash
state=$(cat)
pid=$(jq -r '.pid // 0' <<<"$state")
echo "$1 $(jq -r '"\(.id) \(.status) \(.bundle)"' <<<"$state") net=$(readlink "/proc/$pid/ns/net") own=$(readlink /proc/self/ns/net) $2 $X" >>"$(dirname "$0")/log"
END
chmod 755 "$work/hook"
hook() { printf '{"path":"%s","args":["hook","%s","arg"],"env":["X=env","PATH=%s"]}' "$work/hook" "$1" "$PATH"; }
jq ".hooks={prestart:[$(hook prestart)],createRuntime:[$(hook createRuntime)],createContainer:[$(hook createContainer)],
    poststart:[$(hook poststart)],poststop:[$(hook poststop)]}" "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
runsc create --bundle "$b" --pid-file "$work/pid" "$id" </dev/null >"$work/out" 2>&1 || fail "create: $(cat "$work/out")"
net=$(readlink "/proc/$(cat "$work/pid")/ns/net")
mine=$(readlink /proc/self/ns/net)
grep -v '^poststart' "$work/log" | cut -d' ' -f1 | tr '\n' ' ' | grep -qx 'prestart createRuntime createContainer ' || fail "order: $(cat "$work/log")"
for kind in prestart createRuntime; do
    grep -qE "^$kind $id (creating|created) $b net=$(printf %q "$net" | sed 's/\\//g; s/\[/\\[/; s/\]/\\]/') own=.* arg env\$" "$work/log" ||
        fail "$kind: $(cat "$work/log")"
    grep "^$kind" "$work/log" | grep -qF "own=$mine" || fail "$kind does not run in the caller's namespace"
done
grep '^createContainer' "$work/log" | grep -qF "own=$net" || fail "createContainer runs in $(cat "$work/log")"
runsc start "$id" || fail start
grep -q '^poststart' "$work/log" || fail "no poststart"
runsc kill "$id" KILL
wait_until sh -c "[ \"\$('$RUNSC' --root '$state' state $id | jq -r .status)\" = stopped ]" || fail "does not stop"
runsc delete "$id" || fail delete
grep -q "^poststop $id stopped" "$work/log" || fail "poststop: $(cat "$work/log")"

# Failures.
jq '.hooks={createRuntime:[{path:"/bin/sh",args:["sh","-c","echo broken >&2; exit 5"]}]}' "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
expect 1 'error running hook #0' runsc create --bundle "$b" "$id"
grep -q broken "$work/err" || fail "the hook's words are lost: $(cat "$work/err")"
expect 1 'does not exist' runsc state "$id"
jq '.hooks={prestart:[{path:"/bin/sleep",args:["sleep","1000"],timeout:1}]}' "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
expect 1 'timeout' runsc create --bundle "$b" "$id"
jq '.hooks={prestart:[{path:"/no/such/hook"}]}' "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
expect 1 'no such file or directory' runsc create --bundle "$b" "$id"
expect 1 'does not exist' runsc state "$id"

# One that hangs keeps nobody from ending the container: the command that waits for it fails.
hangs() { jq ".process.args=[\"sleep\",\"1000\"] | .hooks={$1:[{path:\"/bin/sleep\",args:[\"sleep\",\"1000.$$\"]}]}" "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"; }
at_work() { pgrep -f "^sleep 1000.$$" >/dev/null; }
end_hook() { for pid in $(pgrep -f "^sleep 1000.$$"); do kill -KILL "$pid"; done; }
nobody_at_work() { ! at_work; }
for kind in prestart createRuntime createContainer startContainer poststart; do
    hangs $kind
    case $kind${RUNTIME:+ of runc} in *reate* | prestart* | "poststart of runc") runsc create --bundle "$b" "$id" </dev/null >/dev/null 2>"$work/out" & ;;
    *)
        runsc create --bundle "$b" "$id" </dev/null >/dev/null 2>&1 || fail "create"
        runsc start "$id" </dev/null >/dev/null 2>"$work/out" &
        ;;
    esac
    waits=$!
    started+=($waits)
    if [ $kind = startContainer ]; then sleep 1; else wait_until at_work || fail "$kind: the hook does not run"; fi
    runsc delete --force "$id" || fail "delete --force while a $kind hook hangs"
    expect 1 'does not exist' runsc state "$id"
    # A hook in the host's namespaces after the start is nobody's to end; runc never ends any.
    [ $kind = poststart ] || [ -n "${RUNTIME:-}" ] && end_hook
    wait $waits && [ -z "${RUNTIME:-}" ] && fail "$kind: success although the container was deleted"
    wait_until nobody_at_work || fail "$kind: the hook lives on"
done
echo ok
