#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# runc's own integration suite (Debian source package) against runsc-c.
. "$(dirname "$0")/lib.sh"
need bats jq go script busybox gawk runc

source_package runc "$work/src" && (cd "$work/src" && dpkg-source -x runc_*.dsc runc >/dev/null 2>&1) ||
    { echo "skipped: no source package of runc (deb-src)"; exit 77; }
mkdir -p "$work/gopath/src/github.com/opencontainers"
ln -s "$work/src/runc" "$work/gopath/src/github.com/opencontainers/runc"
for helper in recvtty sd-helper; do
    (cd "$work/gopath/src/github.com/opencontainers/runc/contrib/cmd/$helper" &&
        GO111MODULE=off GOFLAGS='' GOPATH=$work/gopath:/usr/share/gocode go build -o $helper .) || fail "cannot build $helper"
done
busybox_root "$work/root"
data=$work/src/runc/tests/integration/testdata
tar -C "$work/root" -cJf "$data/busybox-amd64.tar.xz" .
cp "$data/busybox-amd64.tar.xz" "$data/debian-amd64.tar.xz" # only its tests of the host's namespaces want more
cd "$work/src/runc" || fail "no source"
suite() {
    local name
    for name in cgroup_delegation cgroups create cwd debug delete dev events exec help hooks kill list mask mounts \
        mounts_recursive no_pivot pause ps root run seccomp start start_detached start_hello state tty umask update userns version; do
        [ -e "tests/integration/$name.bats" ] || continue
        RUNC=$1 timeout -k 5 600 script -qec "bats --tap tests/integration/$name.bats" /dev/null </dev/null 2>&1 | tr -d '\r'
    done
}
suite "$RUNSC" >"$work/ours.tap"
grep '^not ok' "$work/ours.tap" | sed -E 's/^not ok [0-9]+ //' | sort >"$work/bad"
grep -v "^#" "$here/runc_suite.differences" | cut -f1 | sort >"$work/known"
echo "passed $(grep '^ok' "$work/ours.tap" | grep -vc '# skip'), skipped $(grep -c '^ok.*# skip' "$work/ours.tap"), failed $(wc -l <"$work/bad")"
comm -23 "$work/bad" "$work/known" | sed 's/^/fails: /' | grep . && failed=1
comm -13 "$work/bad" "$work/known" | sed 's/^/passes, but is in runc_suite.differences: /' | grep . && failed=1
exit $failed
