#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Hosts that refuse something: no ptrace, no user namespaces, no io_uring; a root that cannot be read;
# guest memory that runs out.
. "$(dirname "$0")/../lib.sh"
deny=${RUNSC_BUILD_DIR:?}/bin/deny_syscall

expect 1 'ptrace' "$deny" ptrace "$RUNSC" --platform=ptrace do true
expect 1 'user namespaces' "$deny" clone3 "$RUNSC" do true

# The sanitizer's run-time library makes host calls of its own in the gofer's worker threads, which the
# default-kill filter answers with death: there the sandbox must end with a reason, not hang.
out=$(timeout 60 "$deny" io_uring_setup "$RUNSC" do cat /etc/hostname 2>"$work/err")
rc=$?
if strings -a "$RUNSC" 2>/dev/null | grep -q __asan_init; then
    [ $rc = 0 ] || { [ $rc -ne 124 ] && [ -s "$work/err" ]; } || fail "a dead gofer: code $rc, $(cat "$work/err")"
else
    [ $rc = 0 ] || fail "without io_uring: $(cat "$work/err")"
    [ "$out" = "$(cat /etc/hostname)" ] || fail "without io_uring: $out"
fi

# A root that its user may not enter.
b=$work/b
make_bundle "$b"
if [ "$(id -u)" = 0 ] && id nobody >/dev/null 2>&1; then
    chmod 755 "$work"
    chmod 700 "$b/rootfs"
    mkdir -m 777 "$work/nobody"
    expect 1 'permission denied' setpriv --reuid nobody --regid nogroup --clear-groups \
        "$RUNSC" --root "$work/nobody" run --bundle "$b" x
    chmod 755 "$b/rootfs"
fi

sanitized && { echo "the rest ran; sanitizers need more memory than the limit of the last part"; exit 77; }

# 48 MiB for everything: a program that wants more dies or is told; the sandbox says 137 or the
# program's own code, and the next command in it still works.
jq '.linux.resources.memory.limit=50331648
    | .process.args=["sh","-c","head -c 200000000 /dev/zero | tail -c 150000000 >/dev/null; echo after $?; head -c 100000000 /dev/zero >/tmp/big; echo full $?; rm /tmp/big; echo x >/tmp/x && cat /tmp/x"]
    | .root.readonly=false' "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
out=$(runsc --overlay root:memory run --bundle "$b" mem 2>"$work/err" | tr '\n' ' ')
case $out in
"after "[1-9]*" full "[1-9]*" x ") ;;
*) fail "out of memory: $out; $(cat "$work/err")" ;;
esac
echo ok
