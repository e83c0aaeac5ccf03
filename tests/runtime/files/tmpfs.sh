#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tmpfs mounts of a container: the mode of the directory that is covered, tmpcopyup, read-only ones, ones that are too small.
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "files of several users need root"; exit 77; }

make_bundle "$work/b" '.root.readonly=false'
for applet in stat readlink find sort; do ln -s busybox "$work/b/rootfs/bin/$applet"; done
data=$work/b/rootfs/data
mkdir -m 750 "$data" && mkdir -m 1711 "$data/sub" && echo text >"$data/sub/file" && chmod 644 "$data/sub/file"
ln -s sub/file "$data/link"
head -c 300000 /dev/urandom >"$data/big"
chown -h 3:4 "$data/link" "$data/sub/file" && touch -d @1000000 "$data/sub/file"
runs() { # OPTIONS COMMAND: with a tmpfs on /data
    jq --argjson o "$1" --arg c "$2" --arg r "$work/b/rootfs" '.root.path=$r | .process.args=["sh","-c",$c] | .mounts+=[{destination:"/data",type:"tmpfs",source:"tmpfs",options:$o}]' \
        "$work/b/config.json" >"$work/c.json" || fail jq
    mkdir -p "$work/c" && cp "$work/c.json" "$work/c/config.json"
    runsc run --bundle "$work/c" t1 2>&1 </dev/null
}
is() { [ "$2" = "$3" ] || fail "$1: \"$2\", not \"$3\""; }

is "the directory's mode" "$(runs '[]' 'stat -c %a /data; ls /data')" 750
# runc heeds it since 1.2.
[ -n "${RUNTIME:-}" ] || is "a mode of its own" "$(runs '["mode=1700"]' 'stat -c %a /data')" 1700
list='cd "${in:-/data}" && find . ! -name . | sort | while read -r f; do stat -c "%n %f %u:%g" "$f"; done; readlink link; cat link; md5sum <big'
ln -s busybox "$work/b/rootfs/bin/md5sum"
is "a copy" "$(runs '["tmpcopyup"]' "$list")" "$(in=$data && eval "$list")"
[ -n "${RUNTIME:-}" ] || is "times" "$(runs '["tmpcopyup"]' 'stat -c %Y /data/sub/file')" 1000000
is "written" "$(runs '["tmpcopyup"]' 'echo new >/data/big; echo more >/data/n; cat /data/big /data/n')" $'new\nmore'
is "outside" "$(wc -c <"$data/big"; ls "$data")" $'300000\nbig\nlink\nsub'
is "read-only" "$(runs '["tmpcopyup","ro"]' 'cat /data/link; touch /data/x 2>/dev/null || echo refused')" $'text\nrefused'
out=$(runs '["tmpcopyup","size=64k"]' 'echo ran') && fail "what does not fit was mounted: $out"
grep -qi "no space left" <<<"$out" || fail "what does not fit: $out"
exit 0
