#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podman's own system tests (Debian source package) with runsc-c as its runtime. RUNSC_ORACLE=1 runs runc beside it.
#   podman_suite.sh [NUMBER...]      pieces: lib.sh, suite_begin
. "$(dirname "$0")/lib.sh"
need podman buildah conmon busybox bats jq runc script gcc
suite_begin 030 045 050 055 075 080 130 -- "$@"

unpack libpod
# The tests' image, without a registry: busybox with the two files that they look for.
busybox_root "$work/root"
mkdir -p "$work/root/home/podman"
echo 20220615 >"$work/root/home/podman/testimage-id"
touch --date=@1600000000 "$work/root/home/podman/testimage-id"
printf '#!/bin/sh\necho Confirmed: testimage pause invoked as $0\nwhile :; do sleep 0.1; done\n' >"$work/root/home/podman/pause"
chmod 755 "$work/root/home/podman/pause"
# This busybox has no such applet.
cat >"$work/printenv.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv, char **envp)
{
    if (argc > 1)
        return getenv(argv[1]) ? puts(getenv(argv[1])) < 0 : 1;
    while (*envp)
        puts(*envp++);
    return 0;
}
END
gcc -static -O1 -o "$work/root/bin/printenv" "$work/printenv.c" || fail "printenv"
ln -s /proc/mounts "$work/root/etc/mtab"
export PODMAN_TEST_IMAGE_REGISTRY=localhost PODMAN_TEST_IMAGE_USER=libpod PODMAN_TEST_IMAGE_NAME=testimage \
    PODMAN_TEST_IMAGE_TAG=20220615 PODMAN_TIMEOUT=120

# Storage of its own for each runtime: the tests remove all images but theirs.
suite() {
    local name=$1 path=$2 dir=$work/podman-$1 number
    mkdir -p "$dir"/{root,run,tmp}
    "$here/../support/podman_conf" "$name=$path" >"$dir/containers.conf"
    cat >"$dir/podman" <<END
#!/bin/sh
export CONTAINERS_CONF=$dir/containers.conf
exec $(command -v podman) --root $dir/root --runroot $dir/run --tmpdir $dir/tmp --storage-driver overlay --runtime $name "\$@"
END
    # One test has buildah make what podman finds in its storage.
    printf '#!/bin/sh\nexec %s --root %s --runroot %s --storage-driver overlay "$@"\n' \
        "$(command -v buildah)" "$dir/root" "$dir/run" >"$dir/buildah"
    chmod +x "$dir/podman" "$dir/buildah"
    tar -C "$work/root" -c . | "$dir/podman" import -c 'CMD ["sh"]' -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - \
        localhost/libpod/testimage:20220615 >/dev/null 2>&1 || fail "import"
    cd "$work/src/libpod/test/system" || fail "no source"
    for number in "${wanted[@]}"; do
        PATH=$dir:$PATH PODMAN=$dir/podman suite_file "$name" "$number" bats --tap "$(echo "$number"-*.bats)"
    done
    "$dir/podman" rm -fa -t 0 >/dev/null 2>&1
    "$dir/podman" rmi -fa >/dev/null 2>&1
}
suite runsc-c "$RUNSC"
if [ -n "${RUNSC_ORACLE:-}" ]; then
    suite runc "$(command -v runc)"
    suite_taps runc | grep '^not ok' | sed 's/^/runc: /'
fi
suite_judge "$here/podman_suite.differences" 67
