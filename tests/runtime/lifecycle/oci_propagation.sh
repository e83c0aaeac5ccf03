#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# linux.rootfsPropagation and the propagation of mounts, as the container sees them. Passes with RUNTIME=runc, which before 1.2 sets the
# root's before it has become the root.
. "$(dirname "$0")/../lib.sh"
b=$work/b
# In /proc/self/mountinfo the optional fields stand between the sixth and "-".
show='while read -r _ _ _ _ where _ rest; do case $where in /|/v) rest=${rest%%-*}; rest=${rest%% *}; echo "$where ${rest%%:*}";; esac; done </proc/self/mountinfo'
make_bundle "$b" ".mounts+=[{destination:\"/v\",type:\"tmpfs\",source:\"tmpfs\",options:[\"rw\"]}]"
cp "$b/config.json" "$work/plain"
roots=""
[ -n "${RUNTIME:-}" ] || roots="private rprivate shared rshared"
for root in "" $roots; do
    for mount in private shared rshared unbindable; do
        jq --arg s "$show" --arg r "$root" --arg m "$mount" \
            '.linux.rootfsPropagation=$r | .process.args=["sh","-c",$s] | .mounts|=map(if .destination=="/v" then .options=[$m] else . end)' \
            "$work/plain" >"$b/config.json"
        got=$(runsc run --bundle "$b" "p-$$" 2>&1 </dev/null | tr '\n' ',')
        want_root="/ " want_mount="/v "
        case $root in *shared) want_root="/ shared" ;; esac
        case $root in rshared) want_mount="/v shared" ;; esac
        case $mount in
        *shared) want_mount="/v shared" ;;
        unbindable) [ "$root" = rshared ] || want_mount="/v unbindable" ;;
        esac
        case $root in rprivate) want_mount="/v " ;; esac
        [ "$got" = "$want_root,$want_mount," ] || fail "root \"$root\", mount $mount: $got, wanted $want_root,$want_mount,"
    done
done
# A namespace of its own sees what is mounted later in the one it came from when the root is shared.
if [ -z "${RUNTIME:-}" ]; then
    for root in rshared rprivate; do
        jq --arg r "$root" '.linux.rootfsPropagation=$r | .process.capabilities[]=["CAP_SYS_ADMIN"] | .process.args=["sh","-c",
            "unshare -m --propagation shared sh -c \"echo >/tmp/ready; while ! [ -e /tmp/go ]; do sleep 0.05; done; ls /v\" & while ! [ -e /tmp/ready ]; do sleep 0.05; done; mount -t tmpfs x /v; echo >/v/seen; echo >/tmp/go; wait"]
            | .root.readonly=false' "$work/plain" >"$b/config.json"
        rm -f "$b/rootfs/tmp/ready" "$b/rootfs/tmp/go"
        got=$(runsc run --bundle "$b" "p-$$" 2>&1 </dev/null)
        case $root in
        rshared) [ "$got" = seen ] || fail "rshared: the other namespace saw \"$got\"" ;;
        *) [ "$got" = "" ] || fail "$root: the other namespace saw \"$got\"" ;;
        esac
    done
fi
jq '.linux.rootfsPropagation="bogus"' "$work/plain" >"$b/config.json"
expect 1 'rootfsPropagation=bogus is not supported' runsc run --bundle "$b" "p-$$"
echo ok
