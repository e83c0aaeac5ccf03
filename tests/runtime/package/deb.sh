#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cpack makes a Debian package: its files, no dependencies, a man page and completions that know every command and global
# option, lintian without a word. With RUNSC_TEST_FULL=ON (or as FULL=1 by hand) it is installed into a clean Debian made
# with mmdebstrap, and runs a program there.
. "$(dirname "$0")/../lib.sh"
cd "$RUNSC_BUILD_DIR" || fail "no build directory"
sanitized && { echo "packages are made of the release build"; exit 77; }
[ -x "$(command -v cpack)" ] || { echo "no cpack"; exit 77; }
cpack -G DEB -B "$work/deb" >"$work/log" 2>&1 || fail "cpack: $(tail -5 "$work/log")"
deb=$(echo "$work"/deb/*.deb)

dpkg-deb -c "$deb" >"$work/list" || fail "dpkg-deb -c"
for f in usr/bin/runsc-c usr/share/man/man1/runsc-c.1.gz usr/share/doc/runsc-c/copyright usr/share/doc/runsc-c/licenses/glibc \
    usr/share/bash-completion/completions/runsc-c usr/share/zsh/vendor-completions/_runsc-c \
    usr/share/fish/vendor_completions.d/runsc-c.fish; do
    grep -q " root/root .* ./$f\$" "$work/list" || grep -q "root/root .*\./$f\$" "$work/list" || fail "no $f in: $(cat "$work/list")"
done
[ -z "$(dpkg-deb -f "$deb" Depends)" ] || fail "depends on $(dpkg-deb -f "$deb" Depends)"

dpkg-deb -x "$deb" "$work/root" || fail "dpkg-deb -x"
new=$work/root/usr/bin/runsc-c
"$new" version | grep -q '^runsc-c version' || fail "the packaged binary does not run"
man=$(gzip -dc "$work/root/usr/share/man/man1/runsc-c.1.gz" | sed 's/\\-/-/g')
for word in $("$new" help | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p') \
    $("$new" help | grep -oE '^ +--[a-z-]+' | grep -v -e --help -e --version); do
    grep -qF -- "$word" <<<"$man" || fail "the man page does not have $word"
done
# What bash offers, without a terminal.
offers() {
    bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _runsc_c; printf "%s\n" "${COMPREPLY[@]}"' \
        sh "$work/root/usr/share/bash-completion/completions/runsc-c" "$new" "$@"
}
offers sta | grep -qx state || fail "completion of sta: $(offers sta)"
offers --plat | grep -qx -- --platform || fail "completion of --plat: $(offers --plat)"
offers --platform '' | grep -qx ptrace || fail "completion of --platform: $(offers --platform '')"
offers --root /tmp spec --bu | grep -qx -- --bundle || fail "completion of spec --bu: $(offers spec --bu)"

if command -v lintian >/dev/null; then
    lintian "$deb" >"$work/lintian" 2>/dev/null
    [ ! -s "$work/lintian" ] || fail "lintian: $(cat "$work/lintian")"
else
    echo "lintian is not installed: not asked"
fi

if [ "${FULL:-}" != 1 ] && ! grep -q '^RUNSC_TEST_FULL:.*=ON' CMakeCache.txt; then
    echo "a clean Debian is made in the full tier only"
    exit 0
fi
[ "$(id -u)" = 0 ] || { echo "a chroot needs root"; exit 77; }
root=$work/debian
mmdebstrap --variant=minbase --include=passwd bookworm "$root" >"$work/log" 2>&1 || fail "mmdebstrap: $(tail -5 "$work/log")"
cp "$deb" "$root/tmp/"
chroot "$root" sh -c 'apt-get install -y --no-install-recommends /tmp/*.deb' >"$work/log" 2>&1 || fail "apt: $(tail -5 "$work/log")"
# In a mount namespace of its own, where the new Debian is the root as it is on a machine.
unshare --mount --pid --fork --propagation private sh -c '
    mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --rbind /sys "$1/sys" &&
    cd "$1" && pivot_root . mnt && exec chroot . sh -c "umount -l /mnt; runsc-c do true && runsc-c do -- cat /etc/debian_version"' \
    sh "$root" >"$work/out" 2>&1 || fail "in the new Debian: $(cat "$work/out")"
grep -q '^12' "$work/out" || fail "in the new Debian: $(cat "$work/out")"
chroot "$root" apt-get remove -y runsc-c >"$work/log" 2>&1 || fail "apt remove"
[ ! -e "$root/usr/bin/runsc-c" ] || fail "the package left its binary"
exit 0
