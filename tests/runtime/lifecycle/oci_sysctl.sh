#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# linux.sysctl: what an ipc, uts or network namespace has of its own; a name that there is not, a value that is none and one of
# the whole machine are errors. Passes with RUNTIME=runc.
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "skipped: containers of root"; exit 77; }
b=$work/b
id=sysctl$$
trap 'status=$?; runsc delete --force $id >/dev/null 2>&1; cleanup; exit $status' EXIT
make_bundle "$b"
sysctl() { # JSON: linux.sysctl; the container prints those that it names
    jq ".linux.sysctl=$1 | .process.args=([\"cat\"] + (.linux.sysctl | keys | map(\"/proc/sys/\" + gsub(\"[.]\"; \"/\"))))" \
        "$b/config.json" >"$work/c" && cp "$work/c" "$b/config.json"
}
shows() { # JSON TEXT
    sysctl "$1"
    out=$(runsc run --bundle "$b" "$id" </dev/null 2>&1 | tr '\t\n' '  ')
    [ "$out" = "$2 " ] || fail "$1: $out"
}
refused() { # JSON TEXT
    sysctl "$1"
    expect 1 "$2" runsc run --bundle "$b" "$id"
}
shows '{"kernel.domainname":"dom.x"}' dom.x
shows '{"kernel.msgmax":"1000","kernel.msgmnb":"999","kernel.msgmni":"98"}' '1000 999 98'
shows '{"kernel.sem":"10 20 30 40","kernel.shm_rmid_forced":"1","kernel.shmall":"55555","kernel.shmmax":"99","kernel.shmmni":"44"}' \
    '10 20 30 40 1 55555 99 44'
shows '{"fs.mqueue.msg_max":"33","fs.mqueue.msgsize_max":"4444","fs.mqueue.queues_max":"9"}' '33 4444 9'
shows '{"net.core.somaxconn":"77","net.ipv4.ip_local_port_range":"20000 30000","net.ipv4.ip_unprivileged_port_start":"500","net.unix.max_dgram_qlen":"44"}' \
    '77 20000 30000 500 44'
refused '{"net.core.nosuch":"1"}' 'no such file or directory'
refused '{"kernel.msgmax":"abc"}' 'invalid argument'
refused '{"vm.swappiness":"1"}' 'is not in a separate kernel namespace'
echo ok
