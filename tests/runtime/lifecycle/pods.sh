#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pods, as containerd's and CRI-O's CRI and our own annotations say them: the members live in the sandbox's sentry, each with its own
# root, pid and uts namespace; ipc and network are the sandbox's.
. "$(dirname "$0")/../lib.sh"

# make_member DIR TYPE_NAME SANDBOX_NAME SANDBOX_ID FILTER
make_member() {
    make_bundle "$1" ".annotations={\"$2\":\"container\",\"$3\":\"$4\"} | $5"
}

# sentry_of ID: its sandbox process on the host
sentry_of() {
    jq -r .sentry.pid "$state/$1/state.json"
}

try_pod() {
    local kind=$1 type=$2 name=$3 got
    local pod=pod-$kind-$$ b=$work/$kind
    make_bundle "$b/sandbox" ".annotations={\"$type\":\"sandbox\",\"$name\":\"$pod\"} | .process.args=[\"sleep\",\"1000\"] | .hostname=\"thepod\""
    runsc run --detach --bundle "$b/sandbox" "$pod" >"$work/out" 2>&1 </dev/null || fail "$kind: the sandbox: $(cat "$work/out")"
    for member in one two; do
        make_member "$b/$member" "$type" "$name" "$pod" \
            ".process.args=[\"sh\",\"-c\",\"echo $member >/root/mine; exec sleep 1000\"] | .root.readonly=false | .hostname=\"$member\""
        runsc run --detach --bundle "$b/$member" "$member-$kind-$$" >"$work/out" 2>&1 </dev/null ||
            fail "$kind: member $member: $(cat "$work/out")"
        [ "$(sentry_of "$member-$kind-$$")" = "$(sentry_of "$pod")" ] || fail "$kind: $member has a sentry of its own"
        wait_until runsc exec "$member-$kind-$$" cat /root/mine || fail "$kind: $member wrote no file"
        [ "$(runsc exec "$member-$kind-$$" cat /root/mine)" = "$member" ] || fail "$kind: $member sees another root"
        [ "$(runsc exec "$member-$kind-$$" hostname)" = "$member" ] || fail "$kind: $member has another name"
        got=$(runsc exec "$member-$kind-$$" sh -c 'readlink /proc/1/exe; ls -d /proc/[0-9]* | wc -l' 2>&1 | tr '\n' ' ')
        [ "$got" = "/bin/busybox 4 " ] || [ "$got" = "/bin/busybox 3 " ] || fail "$kind: $member sees processes of others: $got"
    done
    [ ! -e "$b/sandbox/rootfs/root/mine" ] || fail "$kind: a member wrote to the sandbox's root"
    for ns in ipc net; do
        [ "$(runsc exec "one-$kind-$$" readlink "/proc/self/ns/$ns")" = "$(runsc exec "two-$kind-$$" readlink "/proc/self/ns/$ns")" ] ||
            fail "$kind: members have different $ns namespaces"
    done
    runsc delete --force "one-$kind-$$" || fail "$kind: delete of a member"
    [ "$(runsc exec "two-$kind-$$" cat /root/mine)" = two ] || fail "$kind: the other member ended too"
    # The sandbox's end is everybody's.
    runsc delete --force "$pod" || fail "$kind: delete of the sandbox"
    wait_until sh -c "[ \"\$('$RUNSC' --root '$state' state two-$kind-$$ | jq -r .status)\" = stopped ]" ||
        fail "$kind: a member outlived its sandbox"
    runsc delete "two-$kind-$$" || fail "$kind: delete of what is left"
}

try_pod containerd io.kubernetes.cri.container-type io.kubernetes.cri.sandbox-id
try_pod crio io.kubernetes.cri-o.ContainerType io.kubernetes.cri-o.SandboxID
try_pod own org.runsc-c.container-type org.runsc-c.sandbox-id
make_member "$work/lost" io.kubernetes.cri-o.ContainerType io.kubernetes.cri-o.SandboxID "nobody-$$" .
expect 1 'does not exist' runsc run --bundle "$work/lost" "lost-$$"
[ ! -e "$state/lost-$$" ] || fail "a member of no sandbox left something"
echo ok
