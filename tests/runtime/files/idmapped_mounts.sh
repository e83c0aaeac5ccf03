#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# mounts[].uidMappings and gidMappings: owners of a bind mount appear through them, and what is made there belongs to the ids outside.
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "mapping the ids of a mount needs root"; exit 77; }
chmod 755 "$work"
mkdir "$work/src" && echo one >"$work/src/one" && echo two >"$work/src/two" && chown 1000:1001 "$work/src/one" && chown 5:5 "$work/src/two"
make_bundle "$work/b" '.root.readonly=false | .process.capabilities |= map_values(. + ["CAP_CHOWN","CAP_DAC_OVERRIDE"])'
for applet in stat chown sort; do ln -s busybox "$work/b/rootfs/bin/$applet"; done
maps='[{"containerID":1000,"hostID":0,"size":10},{"containerID":0,"hostID":1000,"size":10}]'
runs() { # MOUNT COMMAND [FILTER]
    jq --argjson m "$1" --arg c "$2" --arg s "$work/src" --arg r "$work/b/rootfs" '.root.path=$r | .process.args=["sh","-c",$c]
        | .mounts+=[{destination:"/m",type:"bind",source:$s}+$m] | '"${3:-.}" "$work/b/config.json" >"$work/c.json" || fail jq
    mkdir -p "$work/c" && cp "$work/c.json" "$work/c/config.json"
    runsc run --bundle "$work/c" m1 2>&1 </dev/null
}
is() { [ "$2" = "$3" ] || fail "$1: \"$2\", not \"$3\""; }
show='cd /m; stat -c "%n %u:%g" * | sort'
is "plain" "$(runs '{"options":["bind"]}' "$show")" $'one 1000:1001\ntwo 5:5'
is "mapped" "$(runs '{"options":["bind","idmap"],"uidMappings":'"$maps"',"gidMappings":'"$maps"'}' "$show; echo three >three; chown 3:4 three; stat -c %u:%g three")" \
    $'one 0:1\ntwo 1005:1005\n3:4'
is "outside" "$(stat -c %u:%g "$work/src/three")" 1003:1004
rm "$work/src/three"

# In a container that has a user namespace, whose ids 0.. are 1000.. outside.
ids='[{"containerID":0,"hostID":1000,"size":10}]'
chown -hR 1000:1000 "$work/b/rootfs"
own='.linux.namespaces+=[{type:"user"}] | .linux.uidMappings='"$ids"' | .linux.gidMappings='"$ids"
is "with a user namespace" "$(runs '{"options":["bind","idmap"],"uidMappings":'"$maps"',"gidMappings":'"$maps"'}' "$show" "$own")" \
    $'one 65534:65534\ntwo 5:5'
[ -z "${RUNTIME:-}" ] || exit 0 # crun 1.8 has words of its own for the rest
is "the container's own" "$(runs '{"options":["bind","idmap"]}' "$show" "$own")" $'one 65534:65534\ntwo 5:5'
out=$(runs '{"options":["bind","idmap"]}' true) && fail "an id-mapped mount without maps"
grep -q 'mounts\[7\]: an id-mapped mount needs' <<<"$out" || fail "without maps: $out"
out=$(runs '{"options":["bind"],"uidMappings":'"$maps"'}' true) && fail "an id-mapped mount with half a map"
exit 0
