#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# linux.uidMappings of a container that root starts (docker's userns-remap): what belongs to the range outside belongs to the
# container's ids inside, in both directions, and ids outside the range cannot be given to files.
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "mapping foreign ids needs root"; exit 77; }
chmod 755 "$work"
ids='[{"containerID":0,"hostID":300000,"size":1000}]'
make_bundle "$work/b" '.process.args=["sh","-c","stat -c %u:%g /bin; touch /new; chown 5:6 /new; stat -c %u:%g /new; chown 2000 /new 2>/dev/null; echo $?"]
    | .root.readonly=false | .process.capabilities |= map_values(. + ["CAP_CHOWN"]) | .linux.namespaces += [{"type":"user"}]
    | .linux.uidMappings='"$ids"' | .linux.gidMappings='"$ids"
for applet in stat chown; do ln -s busybox "$work/b/rootfs/bin/$applet"; done
chown -hR 300000:300000 "$work/b/rootfs"
runsc run --bundle "$work/b" c1 >"$work/out" 2>"$work/err" </dev/null || fail "run: $(cat "$work/err")"
[ "$(cat "$work/out")" = $'0:0\n5:6\n1' ] || fail "inside: $(cat "$work/out")"
[ "$(stat -c %u:%g "$work/b/rootfs/new")" = 300005:300006 ] || fail "outside: $(stat -c %u:%g "$work/b/rootfs/new")"

# What a user namespace says of itself, and that there are no other ids.
echo far:x:2000:2000::/:/bin/sh >>"$work/b/rootfs/etc/passwd"
for applet in start-stop-daemon grep; do ln -s busybox "$work/b/rootfs/bin/$applet"; done
jq '.process.args=["sh","-c","cat /proc/self/uid_map /proc/1/gid_map; start-stop-daemon -S -c far -x /bin/true 2>&1 | grep -c Invalid"]
    | .process.capabilities |= map_values(. + ["CAP_SETUID","CAP_SETGID"])' "$work/b/config.json" >"$work/c" && cp "$work/c" "$work/b/config.json"
out=$(runsc run --bundle "$work/b" c1 2>"$work/err" </dev/null)
[ "$(tr -s ' ' <<<"$out")" = $' 0 300000 1000\n 0 300000 1000\n1' ] || fail "maps inside: $out $(cat "$work/err")"

# Nor can a process be given one.
for user in '{"uid":2000,"gid":0}:cannot set uid to unmapped user' '{"uid":0,"gid":2000}:cannot set gid to unmapped user' \
    '{"uid":0,"gid":0,"additionalGids":[5000]}:setgroups: invalid argument'; do
    jq ".process.user=${user%%\}:*}}" "$work/b/config.json" >"$work/c" || fail jq
    mkdir -p "$work/u" && jq --arg r "$work/b/rootfs" '.root.path=$r' "$work/c" >"$work/u/config.json"
    expect 1 "unable to setup user: ${user#*\}:}" runsc run --bundle "$work/u" c2
done

# A mount source that only the host's root can reach.
mkdir -p "$work/private/dir"
chmod 700 "$work/private"
echo found >"$work/private/dir/file"
jq --arg dir "$work/private/dir" '.process.args=["cat","/tmp/file"] | .mounts+=[{destination:"/tmp",source:$dir,options:["bind"]}]' \
    "$work/b/config.json" >"$work/c" && cp "$work/c" "$work/b/config.json"
out=$(runsc run --bundle "$work/b" c1 2>"$work/err" </dev/null)
[ "$out" = found ] || fail "a source behind a directory of root's: $out $(cat "$work/err")"
exit 0
