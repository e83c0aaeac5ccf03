#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bundles that cannot run, each with the reason that the message must name.
. "$(dirname "$0")/../lib.sh"

b=$work/b
mkdir "$b"
expect 1 'config.json not found' runsc run --bundle "$b" x
expect 1 'no such file' runsc run --bundle "$work/none" x
printf '{\n  "ociVersion": "1.0.2",\n  oops\n}\n' >"$b/config.json"
expect 1 'config.json:3:' runsc run --bundle "$b" x
rm -r "$b"
make_bundle "$b"
cp "$b/config.json" "$work/good.json"

# try JQ_FILTER TEXT
try() {
    jq "$1" "$work/good.json" >"$b/config.json" || fail "jq $1"
    expect 1 "$2" runsc run --bundle "$b" x
    [ ! -e "$state/x" ] || fail "$1: state was left behind"
}
try '.process.args="true"' 'process.args must be an array'
try '.process.args=[]' 'process.args is empty'
try '.process.args=[1]' 'process.args[0] must be a string'
try '.process.cwd="here"' 'absolute path'
try 'del(.process.cwd)' 'process.cwd is missing'
try '.process.user.uid="root"' 'process.user.uid must be an integer'
try '.process.user.uid=-1' 'out of range'
try 'del(.root)' 'root is missing'
try '.root.path="/no/such/root"' 'invalid rootfs: stat /no/such/root'
try '.root.path=""' 'root.path is empty'
try 'del(.process)' 'process is missing'
try 'del(.ociVersion)' 'ociVersion is missing'
try '.ociVersion="9.0"' 'not supported'
try '.linux.namespaces=[{"type":"quantum"}]' 'unknown namespace'
try '.linux.namespaces+=[{"type":"pid"}]' 'given twice'
try '.linux.namespaces=[{"type":"pid"}] | .hostname="h"' 'uts namespace'
try '.process.rlimits=[{"type":"RLIMIT_NOFILE","soft":2,"hard":1}]' 'soft limit above'
try '.process.rlimits=[{"type":"RLIMIT_NOFILE","soft":1,"hard":1},{"type":"RLIMIT_NOFILE","soft":1,"hard":1}]' 'twice'
try '.mounts+=[{"destination":"/x","type":"bind","source":"/no/such/source"}]' '/no/such/source'
try '.mounts+=[{"destination":"/x","type":"bind"}]' 'needs a source'
try '.mounts+=[{"destination":"/x","type":"no-such-fs","source":"x"}]' '/x'
rmdir "$b/rootfs/proc" && ln -s /tmp "$b/rootfs/proc"
try '.' 'must be mounted on ordinary directory'
rm "$b/rootfs/proc" && mkdir "$b/rootfs/proc"

expect 1 'invalid container id' runsc run --bundle "$b" ../x
expect 1 'does not exist' runsc state nobody
expect 1 'does not exist' runsc kill nobody TERM
expect 1 'does not exist' runsc delete nobody
expect 0 '' runsc delete --force nobody
expect 1 'unknown signal' runsc kill x SIGFROB

# Members that this version does not know are ignored, as the specification asks.
jq '.futureMember={"a":1} | .process.futureMember=true' "$work/good.json" >"$b/config.json"
expect 0 '' runsc run --bundle "$b" x
echo "ok"
