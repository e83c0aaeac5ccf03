#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is mounted below the source of a bind mount: there with rbind, not with bind; `rbind` with `ro` makes the top read-only and leaves
# the rest as it is, `rro` is for all.
[ "$(id -u)" = 0 ] || { echo "mounting needs root"; exit 77; }
[ -n "${IN_SUBMOUNTS:-}" ] || exec env IN_SUBMOUNTS=1 unshare --mount --propagation private "$0"
. "$(dirname "$0")/../lib.sh"

src=$work/src
trap 'status=$?; umount -Rl "$src"; cleanup; exit $status' EXIT
mkdir "$src" && mount -t tmpfs zero "$src" && mkdir -p "$src/a" "$src/plain" && mount -t tmpfs one "$src/a" && mkdir "$src/a/b c" && mount -t tmpfs two "$src/a/b c" || fail mounts
mount -t tmpfs -o ro three "$src/plain" && touch "$src/file" "$src/alone" && mount --bind "$src/file" "$src/alone" || fail mounts
echo covered >"$src/a/b c/x"
make_bundle "$work/b" '.root.readonly=false'
for applet in grep sort; do ln -s busybox "$work/b/rootfs/bin/$applet"; done
runs() { # OPTIONS COMMAND
    jq --argjson o "$1" --arg c "$2" --arg s "$src" '.process.args=["sh","-c",$c] | .mounts+=[{destination:"/m",type:"bind",source:$s,options:$o}]' \
        "$work/b/config.json" >"$work/c.json" || fail jq
    mkdir -p "$work/c" && jq --arg r "$work/b/rootfs" '.root.path=$r' "$work/c.json" >"$work/c/config.json"
    runsc run --bundle "$work/c" s1 2>&1 </dev/null
}
is() { [ "$2" = "$3" ] || fail "$1: \"$2\", not \"$3\""; }
writes='for d in . a "a/b c" plain; do touch "/m/$d/new" 2>/dev/null && echo "$d"; done; echo y 2>/dev/null >/m/alone && echo alone; cat "/m/a/b c/x"'

is "rbind" "$(runs '["rbind"]' "$writes")" $'.\na\na/b c\nalone\ncovered'
is "rbind and ro" "$(runs '["rbind","ro"]' "$writes")" $'a\na/b c\nalone\ncovered'
is "rbind and rro" "$(runs '["rbind","rro"]' "$writes")" covered
is "bind" "$(runs '["bind"]' 'ls /m /m/a')" $'/m:\na\nalone\nfile\nnew\nplain\n\n/m/a:'
is "bind and ro" "$(runs '["bind","ro"]' 'touch /m/x 2>/dev/null || touch /m/a/x 2>/dev/null || echo refused')" refused
[ -n "${RUNTIME:-}" ] || is "what the guest is told" \
    "$(runs '["rbind","ro"]' 'grep " /m" /proc/mounts | while read -r _ where _ how _; do echo "$where ${how%%,*}"; done')" \
    $'/m ro\n/m/a rw\n/m/a/b\\040c rw\n/m/plain rw\n/m/alone rw'
exit 0
