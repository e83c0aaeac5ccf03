#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# crun's own test suite (Debian source package; GPL, run and not copied) against runsc-c. RUNSC_ORACLE=1 runs runc beside it.
#   crun_suite.sh [FILE...]      pieces: lib.sh, suite_begin
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

# Left out: test_seccomp, which waits for ever for a listener that crun makes even where no rule notifies it.
# shellcheck disable=SC2046
suite_begin $(basename -s .py -a tests/test_*.py | grep -vx test_seccomp) -- "$@"

python_file() { # RUNTIME BINARY FILE
    export REAL=$2 OCI_RUNTIME=$PWD/as-crun INIT=$PWD/tests/init PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1
    # test_exec wants a pid of five digits
    while [ "$3" = test_exec ] && [ "$(sh -c 'echo $$')" -lt 10000 ]; do :; done
    suite_file "$1" "$3" script -qec "/usr/bin/python3 tests/$3.py 2>>$work/stderr" /dev/null
    [ ! -d /sys/fs/cgroup/freezer/frozen ] || thaw # test_delete's, where nothing frozen can be killed
    end_left
}
# A test that fails leaves its containers to nobody: their state directory is gone, only their control groups still name them.
end_left() {
    for _ in $(seq 200); do
        ls -d /sys/fs/cgroup/*/test-tmp* >/dev/null 2>&1 || return
        cat /sys/fs/cgroup/*/test-tmp*/cgroup.procs 2>/dev/null | sort -u | xargs -r kill -KILL 2>/dev/null
        rmdir /sys/fs/cgroup/*/test-tmp* 2>/dev/null
        sleep 0.05
    done
}
thaw() {
    echo THAWED >/sys/fs/cgroup/freezer/frozen/freezer.state
    for _ in $(seq 200); do
        rmdir /sys/fs/cgroup/freezer/frozen 2>/dev/null && break
        sleep 0.05
    done
}
suite_run python_file "$RUNSC"
suite_judge "$here/crun_suite.differences" 60
