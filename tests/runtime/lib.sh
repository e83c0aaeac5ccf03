# SPDX-License-Identifier: Apache-2.0
# Helpers for tests/runtime/*/*.sh: sourced, bash. $RUNSC is the binary under test;
# lifecycle/oci_*.sh also pass with RUNTIME=runc, the oracle.
set -u
RUNSC=${RUNTIME:-${RUNSC:?run through ctest, or set RUNSC to the runsc-c binary}}
work=$(mktemp -d /tmp/runsc-c-test.XXXXXX)
state=$work/state
trap 'status=$?; cleanup; exit $status' EXIT
started=()

# Whatever a test left running ends with it.
cleanup() {
    local pid id
    if [ -d "$state" ]; then
        for id in $("$RUNSC" --root "$state" list -q 2>/dev/null); do
            "$RUNSC" --root "$state" delete --force "$id" >/dev/null 2>&1
        done
    fi
    for pid in "${started[@]:-}"; do
        [ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null
    done
    rm -rf "$work"
}

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

# Is this a build with sanitizers? Their shadow memory counts against a container's limits.
sanitized() {
    grep -qE '^RUNSC_SANITIZE:[A-Z]+=.' "${RUNSC_BUILD_DIR:-/none}/CMakeCache.txt" 2>/dev/null
}

runsc() {
    "$RUNSC" --root "$state" "$@"
}

# expect WANTED_EXIT_CODE TEXT_IN_STDERR COMMAND...
expect() {
    local want=$1 text=$2 rc
    shift 2
    "$@" >"$work/out" 2>"$work/err" </dev/null
    rc=$?
    [ "$rc" = "$want" ] || fail "$*: exit code $rc, wanted $want; stderr: $(cat "$work/err")"
    [ -z "$text" ] || grep -qiF -- "$text" "$work/err" || fail "$*: stderr has no \"$text\": $(cat "$work/err")"
}

# A bundle with a busybox root file system: make_bundle DIR [JQ_FILTER]
make_bundle() {
    local dir=$1 filter=${2:-.} applet
    mkdir -p "$dir/rootfs"/{bin,etc,proc,dev,sys,tmp,root}
    cp /bin/busybox "$dir/rootfs/bin/" || fail "busybox-static is not installed"
    for applet in sh true false cat ls sleep echo id env pwd hostname mount touch kill ps head tty stty readlink wc unshare stat df grep dd; do
        ln -sf busybox "$dir/rootfs/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$dir/rootfs/etc/passwd"
    "$RUNSC" spec --bundle "$dir" || fail "spec"
    jq ".process.terminal=false | .process.args=[\"true\"] | $filter" "$dir/config.json" >"$dir/c.json" &&
        mv "$dir/c.json" "$dir/config.json" || fail "jq"
}

# Waits until COMMAND succeeds (about 20 s at most; the verdict is the command's, not the clock's).
wait_until() {
    local i
    for i in $(seq 400); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    return 1
}

# Host pids of the sandbox processes below a runsc-c process: descendants PID
descendants() {
    local p
    for p in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
        echo "$p"
        descendants "$p"
    done
}
