#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every process of a running sandbox, seen from outside: uid, capabilities, namespaces, seccomp mode,
# no_new_privs, root directory and open descriptors are what DESIGN.md section 1 promises.
. "$(dirname "$0")/../lib.sh"

"$RUNSC" do -- sleep 1000 >/dev/null 2>"$work/err" </dev/null &
main=$!
started+=("$main")
# do -> gofer, sentry -> stubs: at least four processes once the program runs.
have_stub() { [ "$(descendants $main | wc -l)" -ge 4 ]; }
wait_until have_stub || fail "the sandbox did not come up: $(cat "$work/err")"

field() { awk -v f="$2:" '$1 == f { print $2 }' "/proc/$1/status"; }
ns() { readlink "/proc/$1/ns/$2"; }

sentries=0 gofers=0 stubs=0
for pid in $(descendants $main); do
    cmd=$(tr '\0' ' ' <"/proc/$pid/cmdline")
    case $cmd in
    *gofer*) role=gofer ;;
    *sentry*) role=sentry ;;
    *) role=stub ;;
    esac
    # The sentry's stubs are its children; their address space has no argv of ours any more.
    [ "$role" = sentry ] && grep -q "sentry" "/proc/$(field $pid PPid)/cmdline" && role=stub

    [ "$(field $pid Seccomp)" = 2 ] || fail "$role $pid: Seccomp is $(field $pid Seccomp)"
    [ "$(field $pid NoNewPrivs)" = 1 ] || fail "$role $pid: no_new_privs is not set"
    for n in mnt pid ipc uts net; do
        [ "$(ns $pid $n)" != "$(ns $$ $n)" ] || fail "$role $pid shares the host's $n namespace"
    done
    case $role in
    sentry | stub)
        [ "$role" = sentry ] && sentries=$((sentries + 1)) || stubs=$((stubs + 1))
        for set in CapInh CapPrm CapEff CapBnd CapAmb; do
            [ "$(field $pid $set)" = 0000000000000000 ] || fail "$role $pid: $set $(field $pid $set)"
        done
        [ "$(ns $pid user)" != "$(ns $$ user)" ] || fail "$role $pid is in the host's user namespace"
        if [ "$(id -u)" = 0 ]; then
            [ "$(field $pid Uid)" = 65534 ] || fail "$role $pid runs as uid $(field $pid Uid)"
        fi
        [ -z "$(ls -A "/proc/$pid/root/")" ] || fail "$role $pid sees files: $(ls -A "/proc/$pid/root/")"
        touch "/proc/$pid/root/x" 2>/dev/null && fail "$role $pid: the root is writable"
        # Donated regular files and sockets only: no directory, no device but null and the terminal.
        for fd in /proc/$pid/fd/*; do
            target=$(readlink "$fd") || continue
            [ -d "$fd/" ] && fail "$role $pid holds a directory: $target"
        done
        ;;
    gofer)
        gofers=$((gofers + 1))
        [ "$(ns $pid mnt)" != "$(ns $$ mnt)" ] || fail "gofer shares the host's mount namespace"
        [ -e "/proc/$pid/root/proc/self" ] && fail "gofer $pid sees a /proc"
        caps=$((16#$(field $pid CapEff)))
        # CAP_SYS_ADMIN 21, SYS_PTRACE 19, NET_ADMIN 12, SYS_MODULE 16, SYS_RAWIO 17, MKNOD 27
        for bit in 21 19 12 16 17; do
            [ $(((caps >> bit) & 1)) = 0 ] || fail "gofer $pid still has capability $bit"
        done
        ;;
    esac
done
[ $sentries = 1 ] || fail "$sentries sentry processes"
[ $gofers -ge 1 ] || fail "no gofer process"
[ $stubs -ge 1 ] || fail "no stub process"
echo "checked $sentries sentry, $gofers gofer, $stubs stub processes"
