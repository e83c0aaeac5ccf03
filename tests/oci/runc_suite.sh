#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# runc's own integration suite (Debian source package) against runsc-c, called by runc's name. RUNSC_ORACLE=1 runs runc beside it.
#   runc_suite.sh [FILE...]      pieces: lib.sh, suite_begin
. "$(dirname "$0")/lib.sh"
need bats jq go script busybox gawk runc mmdebstrap xz
# Left out: checkpoint (criu), mounts_sshfs, seccomp-notify (an agent that loads from the network), and spec's validator.
suite_begin cgroup_delegation cgroups create cwd debug delete dev events exec help hooks kill list mask mounts mounts_recursive no_pivot pause \
    ps root run seccomp spec start start_detached start_hello state tty umask update userns version -- "$@"

unpack runc
mkdir -p "$work/gopath/src/github.com/opencontainers" "$work/bin"
ln -s "$work/src/runc" "$work/gopath/src/github.com/opencontainers/runc"
for helper in recvtty sd-helper; do
    (cd "$work/gopath/src/github.com/opencontainers/runc/contrib/cmd/$helper" &&
        GO111MODULE=off GOFLAGS='' GOPATH=$work/gopath:/usr/share/gocode go build -o $helper .) || fail "cannot build $helper"
done
busybox_root "$work/root"
rmdir "$work/root/proc" "$work/root/sys" # as in the image that the tests were written for
data=$work/src/runc/tests/integration/testdata
tar -C "$work/root" -cJf "$data/busybox-amd64.tar.xz" .
mmdebstrap --variant=essential bookworm "$work/debian" >"$work/mmdebstrap.log" 2>&1 || fail "mmdebstrap: $(tail -3 "$work/mmdebstrap.log")"
tar -C "$work/debian" -c . | xz -0 >"$data/debian-amd64.tar.xz"
ln -s "$RUNSC" "$work/bin/runc"
cd "$work/src/runc" || fail "no source"

# The tests want a terminal.
bats_file() { # RUNTIME BINARY FILE
    RUNC=$2 suite_file "$1" "$3" script -qec "bats --tap tests/integration/$3.bats" /dev/null
}
suite_run bats_file "$work/bin/runc"
suite_judge "$here/runc_suite.differences" 116
