#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What annotations ask of the sandbox (runsc-c/container/annotations.h), under runsc's names and ours: options, volumes, the root's overlay.
. "$(dirname "$0")/../lib.sh"
b=$work/b
make_bundle "$b" '.root.readonly=false'

# with FILTER: the bundle's config.json, changed
with() {
    cp "$b/config.json" "$work/saved"
    jq "$1" "$work/saved" >"$b/config.json" || fail "jq $1"
}
again() {
    cp "$work/saved" "$b/config.json"
}
# run OPTIONS...: the container, its output to $work/out
run() {
    "$RUNSC" --root "$state" "$@" run --bundle "$b" "a-$$" >"$work/out" 2>"$work/err" </dev/null
}
# refused TEXT OPTIONS...
refused() {
    local text=$1
    shift
    run "$@" && fail "accepted: wanted $text"
    grep -qF -- "$text" "$work/err" || fail "no \"$text\" in: $(cat "$work/err")"
    [ ! -e "$state/a-$$" ] || fail "left something behind: $text"
}

# ---- options
with '.annotations={"dev.gvisor.flag.platform":"ptrace"}'
refused 'annotations.dev.gvisor.flag.platform: "ptrace" needs --allow-flag-override'
run --log "$work/log" --debug --allow-flag-override || fail "platform: $(cat "$work/err")"
grep -q 'platform ptrace' "$work/log" || fail "the annotation set no platform: $(grep platform "$work/log")"
again
with '.annotations={"dev.gvisor.flag.platform":"seccomp","org.runsc-c.flag.platform":"ptrace"}'
rm "$work/log"
run --log "$work/log" --debug --allow-flag-override || fail "both names: $(cat "$work/err")"
grep -q 'platform ptrace' "$work/log" || fail "our name does not win"
again
with '.annotations={"org.runsc-c.flag.platform":"vax"}'
refused '"vax" is not a value' --allow-flag-override
again
with '.annotations={"org.runsc-c.flag.bogus":"1"}'
refused 'annotations.org.runsc-c.flag.bogus: there is no such option' --allow-flag-override
again
for option in root log log-format systemd-cgroup rootless allow-flag-override; do
    with ".annotations={\"dev.gvisor.flag.$option\":\"true\"}"
    refused "annotations.dev.gvisor.flag.$option: an annotation cannot set this option" --allow-flag-override
    again
done
with '.annotations={"dev.gvisor.flag.strace":"/tmp/elsewhere"}'
refused 'true or false' --allow-flag-override
again
with '.annotations={"dev.gvisor.flag.strace":"true"}'
run --allow-flag-override || fail "strace: $(cat "$work/err")"
grep -q 'execve\|exit_group' "$work/err" || fail "no strace: $(cat "$work/err")"
again
with '.annotations={"dev.gvisor.flag.debug":"true"}'
refused 'needs --allow-flag-override'
rm -f "$work/log"
run --log "$work/log" --allow-flag-override || fail "debug: $(cat "$work/err")"
grep -q ' debug boot: phase program loaded' "$work/log" || fail "no debug log: $(cat "$work/log")"
again
with '.annotations={"dev.gvisor.flag.oci-seccomp":"true","dev.gvisor.flag.directfs":"false"}'
rm "$work/log"
run --log "$work/log" || fail "an option without meaning: $(cat "$work/err")"
grep -q 'annotations.dev.gvisor.flag.directfs has no meaning here' "$work/log" || fail "not said: $(cat "$work/log")"
again
with '.annotations={"dev.gvisor.flag.oci-seccomp":"false"}'
refused 'needs --allow-flag-override'
refused 'is not possible here' --allow-flag-override
again
# Stricter is anybody's to ask for: a server on the host's loopback is not reached.
with '.annotations={"dev.gvisor.flag.network":"none"} | .linux.namespaces-=[{"type":"network"}] | .process.args=["cat","/proc/net/dev"]'
run || fail "network: $(cat "$work/err")"
[ "$(grep -c : "$work/out")" = 1 ] || fail "network=none shows other interfaces: $(cat "$work/out")"
again

# ---- the root's overlay
with '.annotations={"dev.gvisor.flag.overlay2":"root:memory"} | .process.args=["touch","/made"]'
run || fail "overlay: $(cat "$work/err")"
[ ! -e "$b/rootfs/made" ] || fail "overlay2: the write went to the bundle"
again
with '.annotations={"dev.gvisor.spec.rootfs.overlay":"memory","dev.gvisor.spec.rootfs.options":"size=1m"}
    | .process.args=["sh","-c","head -c 500000 /dev/zero >/small && dd if=/dev/zero of=/large bs=100000 count=30"]'
run && fail "3 MB fit into an overlay of 1 MB"
grep -q 'No space left' "$work/err" || fail "overlay size: $(cat "$work/err")"
[ ! -e "$b/rootfs/small" ] || fail "rootfs.overlay: the write went to the bundle"
again
with '.annotations={"dev.gvisor.spec.rootfs.overlay":"none"} | .process.args=["touch","/made"]'
refused 'needs --allow-flag-override' --overlay=root:memory
run --overlay=root:memory --allow-flag-override || fail "overlay none: $(cat "$work/err")"
[ -e "$b/rootfs/made" ] || fail "overlay none: nothing in the bundle"
again
with '.annotations={"dev.gvisor.spec.rootfs.source":"/etc"}'
refused 'the root file system is the one that root.path names' --allow-flag-override
again
with '.annotations={"dev.gvisor.spec.rootfs.options":"size=-1"}'
refused 'is not size=BYTES'
again

# ---- volumes
empty=$work/pods/uid-1/volumes/kubernetes.io~empty-dir/cache
mkdir -p "$empty" "$work/host"
chmod 1777 "$empty"
chown 7:8 "$empty"
echo outside >"$empty/file"
mount_empty="{destination:\"/cache\",type:\"bind\",source:\"$empty\",options:[\"rbind\",\"rprivate\",\"rw\"]}"
pod() { # pod SHARE TYPE: a sandbox with that hint, and two members that mount the volume
    local id=pod-$$
    with ".annotations={\"io.kubernetes.cri.container-type\":\"sandbox\",\"io.kubernetes.cri.sandbox-uid\":\"uid-1\",
        \"dev.gvisor.spec.mount.cache.share\":\"$1\",\"dev.gvisor.spec.mount.cache.type\":\"$2\",
        \"dev.gvisor.spec.mount.cache.options\":\"rw,size=2m\"} | .process.args=[\"sleep\",\"1000\"]"
    runsc run --detach --bundle "$b" "$id" >"$work/out" 2>&1 </dev/null || fail "sandbox: $(cat "$work/out")"
    again
    for member in m1 m2; do
        member $member
    done
}
member() {
    with ".annotations={\"io.kubernetes.cri.container-type\":\"container\",\"io.kubernetes.cri.sandbox-id\":\"pod-$$\"}
        | .process.args=[\"sleep\",\"1000\"] | .mounts+=[$mount_empty]"
    runsc run --detach --bundle "$b" "$1-$$" >"$work/out" 2>&1 </dev/null || fail "$1: $(cat "$work/out")"
    again
}
inside() { # inside MEMBER SCRIPT
    runsc exec "$1-$$" sh -c "$2" 2>&1
}
end_pod() {
    for id in m1 m2 pod; do
        runsc delete --force "$id-$$" || fail "delete of $id"
    done
}
pod pod tmpfs
[ "$(inside m1 'ls -A /cache; stat -c "%a %u:%g" /cache')" = "1777 7:8" ] || fail "an emptyDir in memory: $(inside m1 'ls -lA /cache; stat /cache')"
inside m1 'echo from one >/cache/shared' || fail "write"
[ "$(inside m2 'cat /cache/shared')" = "from one" ] || fail "the volume is not shared: $(inside m2 'ls -l /cache')"
[ ! -e "$empty/shared" ] || fail "the volume is on the host"
inside m2 'dd if=/dev/zero of=/cache/large bs=100000 count=30' | grep -q 'No space left' || fail "its size has no limit"
runsc delete --force "m1-$$" || fail "delete"
member m1
[ "$(inside m1 'cat /cache/shared')" = "from one" ] || fail "a member that came again lost its files"
end_pod
# Seen from outside: what the host has.
pod shared tmpfs
[ "$(inside m1 'cat /cache/file')" = outside ] || fail "share=shared is not the host's directory"
end_pod
pod container bind
[ "$(inside m1 'cat /cache/file')" = outside ] || fail "bind: not the host's directory"
end_pod
# Without a pod; by its source; what the volume's options forbid stays forbidden.
with "$(printf '.annotations={"org.runsc-c.spec.mount.v.source":"%s","org.runsc-c.spec.mount.v.type":"tmpfs","org.runsc-c.spec.mount.v.share":"container","org.runsc-c.spec.mount.v.options":"ro"}' "$work/host")
    | .mounts+=[{destination:\"/v\",type:\"bind\",source:\"$work/host\",options:[\"bind\",\"rw\"]}]
    | .process.args=[\"sh\",\"-c\",\"stat -f -c %T /v; touch /v/x; true\"]"
run || fail "a volume by its source: $(cat "$work/err")"
[ "$(cat "$work/out")" = tmpfs ] || fail "not in memory: $(cat "$work/out" "$work/err")"
grep -q 'Read-only' "$work/err" || fail "the volume's ro was dropped: $(cat "$work/err")"
again
with '.annotations={"dev.gvisor.spec.mount.a.b.c":"x"}'
refused 'invalid mount annotation'
again
with '.annotations={"dev.gvisor.spec.mount.a.type":"tmpfs"}'
run --log "$work/log" || fail "an incomplete hint: $(cat "$work/err")"
grep -q 'spec.mount.a.\*: ignored' "$work/log" || fail "not said: $(cat "$work/log")"
again
with '.annotations={"dev.gvisor.spec.mount.a.type":"bind","dev.gvisor.spec.mount.a.share":"pod","dev.gvisor.spec.mount.a.source":"/s",
    "dev.gvisor.spec.mount.b.type":"bind","dev.gvisor.spec.mount.b.share":"pod","dev.gvisor.spec.mount.b.source":"/s"}'
refused 'have the same source /s'
again
echo ok
