#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podman with runc and with runsc-c, probe by probe.
. "$(dirname "$0")/lib.sh"
need podman conmon busybox script runc

busybox_root "$work/root"
"$here/../support/podman_conf" "runc=$(command -v runc)" "runsc-c=$RUNSC" >"$work/containers.conf"
export CONTAINERS_CONF=$work/containers.conf
mkdir -p "$work"/podman/{root,run,tmp}
pm() { command podman --root "$work/podman/root" --runroot "$work/podman/run" --tmpdir "$work/podman/tmp" --storage-driver overlay "$@"; }
export -f pm
export work
tar -C "$work/root" -c . | pm import -c 'CMD ["sh"]' -c 'ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin' - localhost/busybox:latest \
    >/dev/null 2>&1 || fail "import"
echo data >"$work/f"
mkdir "$work/v"

matrix() {
    local f=$work/$1
    export R=$1
    # shellcheck disable=SC2086
    s() { probe "$f" "$1" bash -c "p() { pm --runtime $R \"\$@\"; }; $2"; }
    s "echo" 'p run --rm --network none busybox echo hi'
    s "exit code" 'p run --rm --network none busybox sh -c "exit 42"'
    s "stdin pipe" 'echo data | p run -i --rm --network none busybox cat'
    s "attributes" 'p run --rm -u 1000:1000 -w /tmp -e A=b -h foo --network none busybox sh -c "id -u; pwd; echo \$A; hostname"'
    s "volume" 'p run --rm -v $work/v:/v --network none busybox sh -c "echo x >/v/x"; cat $work/v/x; p run --rm -v $work/v:/v:ro --network none busybox touch /v/y'
    s "read-only root" 'p run --rm --read-only --tmpfs /t --network none busybox touch /t/a'
    s "missing command" 'p run --rm --network none busybox /nonexistent'
    s "command that cannot be executed" 'p run --rm --network none busybox /etc/passwd'
    s "detached" 'p run -d --name m1 --network none busybox sh -c "trap \"exit 7\" TERM; while :; do sleep 1; done" | wc -l'
    s "exec" 'p exec m1 echo x'
    s "exec code" 'p exec m1 sh -c "exit 9"'
    s "exec missing" 'p exec m1 /nonexistent'
    s "exec attributes" 'p exec -u 1000 -w /tmp -e Q=1 m1 sh -c "id -u; pwd; echo \$Q"'
    s "exec detached" 'p exec -d m1 sleep 77 | wc -l'
    s "exec with descriptors" 'p exec --preserve-fds=1 m1 sh -c "cat <&3" 3<$work/f'
    s "top" 'p top m1 | grep -c sleep'
    s "copy in" 'p cp $work/f m1:/tmp/f; p exec m1 cat /tmp/f'
    s "pause" 'p pause m1 | wc -l'
    s "unpause" 'p unpause m1 | wc -l'
    s "update" 'p update --memory 128m m1 | wc -l'
    s "signal" 'p kill -s WINCH m1'
    s "stop" 'p stop -t 5 m1; p inspect -f "{{.State.ExitCode}}" m1'
    s "start again" 'p start m1'
    s "kill" 'p kill m1; sleep .5; p inspect -f "{{.State.ExitCode}}" m1'
    s "remove" 'p rm m1 | wc -l'
    s "out of memory" 'p run --name oo -m 32m --memory-swap 32m --network none busybox sh -c "x=\$(head -c 60000000 /dev/zero | tr \"\\0\" x); echo \${#x}" >/dev/null 2>&1; p inspect -f "{{.State.OOMKilled}} {{.State.ExitCode}}" oo; p rm -f oo | wc -l'
}
matrix runc
matrix runsc-c
pm rm -fa >/dev/null 2>&1
compare "$work/runc" "$work/runsc-c" "$here/podman.differences"
