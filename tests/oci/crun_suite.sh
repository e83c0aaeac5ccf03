#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# crun's own test suite (Debian source package; GPL, run and not copied) against runsc-c, with runc beside it.
. "$(dirname "$0")/lib.sh"
need script gcc runc
[ -e /usr/include/seccomp.h ] || { echo "skipped: libseccomp-dev is not installed"; exit 77; }

unpack crun
cd "$work/src/crun" || fail "no source"
mkdir cfg
printf '#define HAVE_SECCOMP 1\n#define HAVE_ERROR_H 1\n' >cfg/config.h
gcc -static -Icfg -o tests/init tests/init.c || fail "cannot build init"
# crun's options that runc does not have, with the values that mean nothing else here.
cat >as-crun <<'END'
#!/bin/bash
args=()
while [ $# -gt 0 ]; do
    case $1 in
    --cgroup-manager) shift 2 ;;
    --config)
        [ "$2" = config.json ] || args+=("$1" "$2")
        shift 2
        ;;
    *)
        args+=("$1")
        shift
        ;;
    esac
done
exec "$REAL" "${args[@]}"
END
chmod +x as-crun

suite() {
    local t
    export REAL=$1 OCI_RUNTIME=$PWD/as-crun INIT=$PWD/tests/init PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1
    for t in tests/test_*.py; do
        # test_exec wants a pid of five digits
        while [ "$(sh -c 'echo $$')" -lt 10000 ] && [ "$t" = tests/test_exec.py ]; do :; done
        timeout -k 5 300 script -qec "/usr/bin/python3 $t 2>>$work/stderr" /dev/null </dev/null | tr -d '\r' | sed 's/#SKIP/# skip/'
    done
    [ ! -d /sys/fs/cgroup/freezer/frozen ] || thaw # test_delete's, where nothing frozen can be killed
}
thaw() {
    echo THAWED >/sys/fs/cgroup/freezer/frozen/freezer.state
    for _ in $(seq 200); do
        rmdir /sys/fs/cgroup/freezer/frozen 2>/dev/null && break
        sleep 0.05
    done
}
suite "$(command -v runc)" >"$work/runc.tap"
suite "$RUNSC" >"$work/ours.tap"
echo "runc: $(counts "$work/runc.tap")"
echo "runsc-c: $(counts "$work/ours.tap")"
judge "$work/ours.tap" "$here/crun_suite.differences" 60
