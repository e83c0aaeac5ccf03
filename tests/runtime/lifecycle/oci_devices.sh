#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is in /dev. linux.resources.devices: what no rule allows is EPERM, whatever is behind the number; what every container has stays; the
# kernel's log is a device that can be allowed. Passes with RUNTIME=runc (which writes to the host's log).
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "skipped: containers of root"; exit 77; }
b=$work/b
id=dev$$
trap 'status=$?; runsc delete --force $id >/dev/null 2>&1; cleanup; exit $status' EXIT
make_bundle "$b" '.linux.devices=[{path:"/dev/kmsg",type:"c",major:1,minor:11},{path:"/dev/nothing",type:"c",major:240,minor:77}]
    | .process.capabilities |= map_values(. + ["CAP_SYSLOG"])'
for applet in dd grep; do ln -sf busybox "$b/rootfs/bin/$applet"; done
# as RULES COMMAND: its output and errors
as() {
    jq ".linux.resources.devices=$1 | .process.args=[\"sh\",\"-c\",\$c]" --arg c "$2" "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
    runsc run --bundle "$b" "$id" </dev/null 2>&1
}
out=$(as '[]' 'echo $(ls /dev)')
[ "$out" = "fd full kmsg mqueue nothing null ptmx pts random shm stderr stdin stdout tty urandom zero" ] || fail "in /dev: $out"
deny='{allow:false,access:"rwm"}'
out=$(as "[$deny]" 'echo x >/dev/kmsg; cat /dev/nothing; echo fine >/dev/null && dd if=/dev/urandom of=/dev/zero bs=1 count=1 2>/dev/null && echo usual')
grep -q "kmsg: Operation not permitted" <<<"$out" || fail "kmsg is not forbidden: $out"
grep -q "nothing'\?: Operation not permitted" <<<"$out" || fail "a device without a driver is not forbidden: $out"
grep -q '^usual$' <<<"$out" || fail "null, zero or urandom is forbidden: $out"
out=$(as "[$deny,{allow:true,type:\"c\",major:1,minor:11,access:\"rwa\"}]" \
    'echo "runsc-c-test-line" >/dev/kmsg && dd if=/dev/kmsg bs=8192 count=1 2>/dev/null | grep -c ";"; cat /dev/nothing')
grep -q '^1$' <<<"$out" || fail "the log, allowed: $out"
grep -q "nothing'\?: Operation not permitted" <<<"$out" || fail "another device than the allowed one: $out"
out=$(as "[{allow:false,type:\"\",access:\"rwm\"},{allow:true,type:\"c\",major:1,minor:11,access:\"r\"}]" 'cat </dev/kmsg >/dev/null & sleep 0.1; kill $! 2>/dev/null; echo x >/dev/kmsg')
grep -q "kmsg: Operation not permitted" <<<"$out" || fail "allowed for reading alone: $out"
# Read-only once all is in it.
jq '.mounts|=map(if .destination=="/dev" then .options+=["ro"] else . end)' "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
out=$(as "[$deny]" 'ls -d /dev/pts/ptmx /dev/mqueue; touch /dev/new; touch /dev/shm/new && echo fine')
[ "$out" = "/dev/mqueue
/dev/pts/ptmx
touch: /dev/new: Read-only file system
fine" ] || fail "/dev with ro: $out"
echo ok
