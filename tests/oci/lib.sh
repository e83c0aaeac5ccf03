# SPDX-License-Identifier: Apache-2.0
# Helpers for tests/oci/*.sh: sourced, bash.
set -u
RUNSC=${RUNSC:?run through ctest, or set RUNSC to the runsc-c binary}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ "$(id -u)" = 0 ] || { echo "skipped: engines need root"; exit 77; }
work=$(mktemp -d /var/tmp/runsc-c-oci.XXXXXX)
daemons=()
failed=0
trap 'status=$?; oci_cleanup; exit $status' EXIT

oci_cleanup() {
    local pid mount
    for pid in $(cat "$work/docker/pid" 2>/dev/null) "${daemons[@]:-}"; do
        [ -n "$pid" ] && kill "$pid" 2>/dev/null && timeout 20 tail --pid="$pid" -f /dev/null
    done
    for mount in $(awk -v d="$work/" 'index($5, d) == 1 {print $5}' /proc/self/mountinfo | sort -r); do
        umount -l "$mount" 2>/dev/null
    done
    rm -rf "$work"
}

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

need() {
    local tool
    for tool; do
        command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed (tests/packages-full.txt)"; exit 77; }
    done
}

# busybox_root DIR: a root file system of one static binary.
busybox_root() {
    local applet
    mkdir -p "$1"/{bin,dev,etc,home,proc,root,sys,tmp,usr/bin,usr/sbin,var,sbin,lib}
    cp /bin/busybox "$1/bin/"
    for applet in $(busybox --list); do
        [ "$applet" = busybox ] || ln -sf /bin/busybox "$1/bin/$applet"
    done
    chmod 1777 "$1/tmp"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$1/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
}

# probe FILE NAME COMMAND...: one line "NAME<tab>exit code<tab>output" in FILE.
probe() {
    local file=$1 name=$2 out rc
    shift 2
    out=$(timeout -k 2 "${probe_seconds:-60}" "$@" 2>&1 </dev/null)
    rc=$?
    printf '%s\t%s\t%s\n' "$name" "$rc" "$(tr '\r\n\0' '   ' <<<"$out" | cut -c1-400)" >>"$file"
}

# What differs between any two runs: ids, pids, names of the runtime, order of stdout and stderr.
normalised() {
    sed -E -e 's/sha256:[0-9a-f]+/ID/g; s/[0-9a-f]{64}/ID/g; s/[0-9a-f]{12}/ID/g' \
        -e 's/\brunsc-c\b/runc/g; s/: runc (create|run|exec)( failed)/: \1\2/g; s/Error: runc: runc create/Error: runc: create/' \
        -e 's/ +/ /g; s/ +$//' "$1"
}

# compare ORACLE OURS DIFFERENCES: every probe that differs must be listed, every listed one must differ.
compare() {
    local name rest listed
    normalised "$1" >"$1.n"
    normalised "$2" >"$2.n"
    while IFS= read -r rest; do
        name=${rest%%$'\t'*}
        listed=$(grep -cP "^\Q$name\E\t" "$3" 2>/dev/null)
        if [ "$(grep -P "^\Q$name\E\t" "$2.n")" = "$rest" ]; then
            [ "$listed" = 0 ] || { echo "agrees, but is in $3: $name"; failed=1; }
        elif [ "$listed" = 0 ]; then
            printf 'differs: %s\n  runc:    %s\n  runsc-c: %s\n' "$name" "$rest" "$(grep -P "^\Q$name\E\t" "$2.n")"
            failed=1
        fi
    done <"$1.n"
    echo "$(wc -l <"$1.n") probes, $(grep -vc "^#" "$3" 2>/dev/null) differences known"
    return $failed
}

# dockerd_start RUNTIMES OPTION...: a Docker daemon with these runtimes (JSON), DOCKER_HOST for its clients. It has a network of
# its own: bridges, netfilter rules and published ports go with it; in_network runs a command there. The network "net" is there.
dockerd_start() {
    local runtimes=$1
    shift
    mkdir "$work/docker"
    jq -n --argjson r "$runtimes" '{runtimes: $r}' >"$work/daemon.json" || fail "runtimes: $runtimes"
    unshare --net sh -c 'ip link set lo up && exec sleep infinity' &
    network=$!
    daemons+=("$network")
    export work network dockerd_options="$*" DOCKER_HOST=unix://$work/docker.sock
    while [ "$(readlink "/proc/$network/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
    dockerd_run
    docker network create net >/dev/null || fail "dockerd: $(tail -n 5 "$work/docker/log")"
}
in_network() { nsenter -t "$network" -n "$@"; }
# Also again. Its containerd gets 15 seconds, which a busy machine may not give it at once.
dockerd_run() {
    local tries
    for tries in 1 2 3; do
        # shellcheck disable=SC2086
        in_network dockerd --config-file "$work/daemon.json" --data-root "$work/docker/data" --exec-root "$work/docker/exec" \
            --pidfile "$work/docker/pid" -H "unix://$work/docker.sock" --bridge=none $dockerd_options \
            >>"$work/docker/log" 2>&1 </dev/null &
        while kill -0 $! 2>/dev/null; do
            docker info >/dev/null 2>&1 && return
            sleep 0.2
        done
    done
    return 1
}
export -f in_network dockerd_run

# source_package NAME DIR: the files of a Debian source package, with apt lists of our own.
source_package() {
    local parts=$work/apt/parts lists=$work/apt/lists
    mkdir -p "$parts" "$lists/partial" "$2"
    if [ ! -e "$parts/src.sources" ]; then
        sed 's/^Types: .*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$parts/src.sources" 2>/dev/null || return 1
        apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$parts" -o Dir::State::Lists="$lists" update || return 1
    fi
    (cd "$2" && apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$parts" \
        -o Dir::State::Lists="$lists" source --download-only "$1" >/dev/null 2>&1)
}

# unpack NAME: source_package, unpacked as $work/src/NAME.
unpack() {
    source_package "$1" "$work/src" && (cd "$work/src" && dpkg-source -x "$1"_*.dsc "$1" >/dev/null 2>&1) ||
        { echo "skipped: no source package of $1 (deb-src)"; exit 77; }
}

# A suite is run whole, or in pieces: SUITE.sh [FILE...] runs these files only. With OCI_RESULTS=DIR what a file said is kept there, and
# a file that has been run is not run again: pieces first, then a call without arguments that judges all.
suite_begin() { # ALL... -- WANTED...
    results=${OCI_RESULTS:-$work/results} all=() wanted=()
    while [ "$1" != -- ]; do
        all+=("$1")
        shift
    done
    shift
    wanted=("${@:-${all[@]}}")
    for file in "${wanted[@]}"; do
        [[ " ${all[*]} " == *" $file "* ]] || fail "no file $file in this suite: ${all[*]}"
    done
}

# suite_file RUNTIME FILE COMMAND...: the command's output, TAP, with a bound for one that hangs.
suite_file() {
    local tap=$results/$1/$2.tap began=$EPOCHSECONDS
    [ ! -e "$tap" ] || return
    mkdir -p "$results/$1"
    timeout -k 5 1200 "${@:3}" </dev/null 2>&1 | tr -d '\r' | sed 's/#SKIP/# skip/' >"$tap.part"
    mv "$tap.part" "$tap"
    echo "$1 $2: $(counts "$tap"), $((EPOCHSECONDS - began)) s"
}

# suite_taps RUNTIME: what its files said.
suite_taps() {
    local file
    for file in "${wanted[@]}"; do cat "$results/$1/$file.tap"; done
}

# The counts of a TAP file.
counts() {
    echo "passed $(grep '^ok' "$1" | grep -vciE '# ?skip'), skipped $(grep -ciE '^ok.*# ?skip' "$1"), failed $(grep -c '^not ok' "$1")"
}

# suite_run FUNCTION BINARY: FUNCTION RUNTIME BINARY FILE for every file that is wanted; with RUNSC_ORACLE=1 with runc too.
suite_run() {
    for file in "${wanted[@]}"; do
        "$1" runsc-c "$2" "$file"
        [ -z "${RUNSC_ORACLE:-}" ] || "$1" runc "$(command -v runc)" "$file"
    done
    [ -z "${RUNSC_ORACLE:-}" ] || suite_taps runc | grep '^not ok' | sed 's/^/runc: /'
}

# suite_judge DIFFERENCES ATLEAST: what fails must be listed, what is listed must fail, and of a whole suite enough must pass at all.
suite_judge() {
    local tap=$work/ours.tap bad=$work/bad known=$work/known
    suite_taps runsc-c >"$tap"
    echo "runsc-c: $(counts "$tap")"
    grep '^not ok' "$tap" | sed -E 's/^not ok [0-9]+ (- )?//' | sort >"$bad"
    grep -v '^#' "$1" | cut -f1 | sort >"$known"
    if [ ${#wanted[@]} -lt ${#all[@]} ]; then # a piece: of the known ones, those that are in it
        grep -E '^(not )?ok' "$tap" | sed -E 's/^(not )?ok [0-9]+ (- )?//; s/ # ?skip.*//' | sort | comm -12 - "$known" >"$known.part"
        mv "$known.part" "$known"
    elif [ "$(grep '^ok' "$tap" | grep -vciE '# ?skip')" -lt "$2" ]; then
        echo "fewer than $2 pass"
        failed=1
    fi
    comm -23 "$bad" "$known" | sed 's/^/fails: /' | grep . && failed=1
    comm -13 "$bad" "$known" | sed "s|^|passes, but is in ${1##*/}: |" | grep . && failed=1
    [ $failed = 0 ] || while IFS= read -r name; do # what those that are not known had to say
        grep -A25 -F " $name" "$tap" | grep -A25 '^not ok' | grep '^\(not\|#\)'
    done < <(comm -23 "$bad" "$known")
    return $failed
}
