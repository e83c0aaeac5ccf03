#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Docker with runc and with runsc-c, probe by probe.
. "$(dirname "$0")/lib.sh"
need dockerd docker jq busybox script runc python3 nsenter

busybox_root "$work/root"
dockerd_start "$(jq -n --arg p "$RUNSC" '{"runsc-c": {path: $p}}')" --live-restore
tar -C "$work/root" -c . | docker import -c 'CMD ["sh"]' \
    -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - busybox:latest >/dev/null || fail "import"
echo data >"$work/f"
mkdir "$work/v"

# until_state CONTAINER STATE
until_state() {
    for _ in $(seq 300); do
        [ "$(docker inspect -f '{{.State.Status}}' "$1")" = "$2" ] && return
        sleep 0.1
    done
}
export -f until_state
export here

matrix() {
    local f=$work/$1 x="--runtime=$1 --network none"
    # shellcheck disable=SC2086
    run() { docker run --rm $x busybox "$@"; }
    export -f run
    export x
    p() { probe "$f" "$@"; }
    s() { probe "$f" "$1" bash -c "$2"; }
    s "echo" 'run echo hi'
    s "exit code" 'run sh -c "exit 42"'
    s "death by signal" 'run sh -c "kill -9 \$\$"'
    s "stdin pipe" 'echo data | docker run -i --rm $x busybox cat'
    s "100 MB through stdout" 'docker run --rm $x busybox head -c 100000000 /dev/zero | wc -c'
    s "terminal" 'script -qec "docker run -it --rm $x busybox sh -c \"sleep .5; tty\"" /dev/null'
    s "stdin that is closed" 'docker run --rm $x busybox sh -c "cat; echo rc \$?"; docker run -i --rm $x busybox cat <&-'
    s "100 MB through stdin and stdout" 'head -c 100000000 /dev/zero | docker run -i --rm $x busybox cat | wc -c'
    s "terminal, resized" 'python3 $here/terminal.py "docker run -it --rm $x busybox" 120x40 "sleep 1; stty size; exit"'
    s "terminal, changed size" 'python3 $here/terminal.py "docker run -it --rm $x busybox" 80x24 "sleep 1; stty size" 101x33 "sleep 1; stty size; exit"'
    s "detach keys" 'python3 $here/terminal.py "docker run -it --name dk $x busybox" 80x24 "echo in" 80x24 "$(printf "raw:\x10\x11")"; docker inspect -f "{{.State.Running}}" dk; python3 $here/terminal.py "docker attach dk" 80x24 "now:echo back; exit 5"; echo $?; until_state dk exited; docker inspect -f "{{.State.ExitCode}}" dk; docker rm -f dk'
    s "attributes" 'docker run --rm -u 1000:1000 -w /tmp -e A=b -h foo $x busybox sh -c "id -u; pwd; echo \$A; hostname"'
    s "volume rw" "docker run --rm -v $work/v:/v \$x busybox sh -c 'echo x >/v/x'; cat $work/v/x"
    s "volume ro" "docker run --rm -v $work/v:/v:ro \$x busybox touch /v/y"
    s "read-only root" 'docker run --rm --read-only $x busybox touch /b'
    s "tmpfs" 'docker run --rm --read-only --tmpfs /t $x busybox touch /t/a'
    s "tmpfs with options" 'docker run --rm --tmpfs /t:size=64k,mode=1770,uid=5,noexec $x busybox sh -c "grep \" /t \" /proc/mounts; stat -c \"%a %u %g %s\" /t"'
    s "devices" 'docker run --rm $x busybox ls /dev; docker run --rm --ipc none $x busybox ls /dev; docker run --rm --device /dev/kmsg:/dev/km2:r $x busybox sh -c "echo x >/dev/km2"'
    s "limits of ipc" 'docker run --rm --sysctl kernel.shmmax=99 --sysctl kernel.sem="10 20 30 40" --sysctl fs.mqueue.msg_max=33 $x busybox cat /proc/sys/kernel/shmmax /proc/sys/kernel/sem /proc/sys/fs/mqueue/msg_max; docker run --rm --sysctl kernel.nosuch=1 $x busybox true'
    s "names" 'docker run --rm -h my.host --domainname dom.x $x busybox sh -c "hostname; cat /proc/sys/kernel/domainname /etc/hostname"'
    s "missing command" 'run /nonexistent'
    s "missing command in PATH" 'run nonexistent'
    s "command that cannot be executed" 'run /etc/passwd'
    s "capabilities" 'docker run --rm --cap-drop ALL $x busybox chown 1 /tmp'
    s "seccomp" 'run unshare -U true'
    s "ulimit" 'docker run --rm --ulimit nofile=77:88 $x busybox sh -c "ulimit -n; ulimit -Hn"'
    s "detached" 'docker run -d --name m1 $x busybox sh -c "trap \"exit 7\" TERM; while :; do sleep 1; done" | wc -l'
    p "exec" docker exec m1 echo x
    s "exec code" 'docker exec m1 sh -c "exit 9"'
    p "exec in a directory that is missing" docker exec -w /nosuch m1 pwd
    p "exec missing" docker exec m1 /nonexistent
    s "exec terminal" 'script -qec "docker exec -it m1 sh -c \"sleep .5; tty\"" /dev/null'
    s "several exec terminals" 'for i in 1 2 3 4; do script -qec "docker exec -it m1 sh -c \"tty; sleep 3\"" /dev/null & done | grep -c /dev/pts/; wait'
    s "exec attributes" 'docker exec -u 1000 -w /tmp -e Q=1 m1 sh -c "id -u; pwd; echo \$Q"'
    p "exec detached" docker exec -d m1 sleep 77
    s "top" 'docker top m1 | sed "1d; s/.* \(sh\|sleep\)/\1/" | sort | uniq'
    s "stats" 'docker stats --no-stream --format "{{.MemUsage}}" m1 | grep -c iB'
    p "copy in" docker cp "$work/f" m1:/tmp/f
    p "copied file" docker exec m1 cat /tmp/f
    s "copy out" 'docker exec m1 sh -c "echo out >/tmp/o"; docker cp m1:/tmp/o - | tar -xO'
    p "pause" docker pause m1
    p "unpause" docker unpause m1
    p "exec after unpause" docker exec m1 echo alive
    p "update" docker update -m 128m --memory-swap 256m m1
    p "signal" docker kill -s WINCH m1
    s "commit" 'docker commit m1 imgx >/dev/null && docker run --rm --network none imgx cat /tmp/f'
    s "stop" 'docker stop -t 5 m1; docker inspect -f "{{.State.ExitCode}}" m1'
    s "start again" 'docker start m1 && docker exec m1 cat /tmp/f'
    p "restart" docker restart -t 1 m1
    s "kill" 'docker kill m1; docker inspect -f "{{.State.ExitCode}}" m1'
    p "remove" docker rm m1
    s "out of memory" 'docker run --name oo -m 32m --memory-swap 32m $x busybox sh -c "x=\$(head -c 60000000 /dev/zero | tr \"\\0\" x); echo \${#x}" >/dev/null 2>&1; docker inspect -f "{{.State.OOMKilled}} {{.State.ExitCode}}" oo; docker rm -f oo'
    s "out of memory in an exec" 'docker run -d --name oo -m 64m --memory-swap 64m $x busybox sleep 1000 >/dev/null; docker exec oo sh -c "x=\$(head -c 90000000 /dev/zero | tr \"\\0\" x); echo \${#x}" 2>&1; echo $?; docker kill oo; docker inspect -f "{{.State.OOMKilled}} {{.State.ExitCode}}" oo; docker rm -f oo'
    s "health check" 'docker run -d --name hc --health-cmd true --health-interval 1s $x busybox sleep 100 >/dev/null; sleep 4; docker inspect -f "{{.State.Health.Status}}" hc; docker rm -f hc'
    s "kill -9 of the pid" 'docker run -d --name cr $x busybox sleep 100 >/dev/null; kill -9 $(docker inspect -f "{{.State.Pid}}" cr); sleep 1.5; docker inspect -f "{{.State.Status}} {{.State.ExitCode}}" cr; docker rm -f cr'
    s "exec when the container ends" 'for i in 1 2 3; do docker run -d --name ee $x busybox sh -c "trap \"exit 3\" TERM; while :; do sleep .1; done" >/dev/null; docker exec ee sh -c "sleep 1; kill -TERM 1; sleep 100"; echo $?; until_state ee exited; docker inspect -f "{{.State.ExitCode}}" ee; docker rm ee; done'
    s "kill -9 of the shim" 'docker run -d --name cr $x busybox sleep 100 >/dev/null; kill -9 $(ps -o ppid= -p $(docker inspect -f "{{.State.Pid}}" cr)); until_state cr exited; docker inspect -f "{{.State.Status}} {{.State.ExitCode}}" cr; docker start cr; docker inspect -f "{{.State.Status}}" cr; docker rm -f cr'
    s "live restore" 'docker run -d --name lr $x busybox sh -c "trap \"exit 7\" TERM; i=0; while :; do i=\$((i + 1)); sleep .1; done" >/dev/null; docker exec lr true; d=$(cat $work/docker/pid); kill $d; timeout 50 tail --pid=$d -f /dev/null; dockerd_run; docker inspect -f "{{.State.Status}}" lr; docker exec lr echo alive; docker stop -t 10 lr; docker inspect -f "{{.State.ExitCode}}" lr; docker rm lr'
    s "restart policy" 'docker run -d --name rp --restart on-failure:2 $x busybox sh -c "exit 3" >/dev/null; until_state rp exited; docker inspect -f "{{.RestartCount}} {{.State.ExitCode}}" rp; docker rm rp'
    s "pid of another container" 'docker run -d --name pc $x busybox sleep 100 >/dev/null; docker run --rm --pid container:pc $x busybox ps | grep -c sleep; docker rm -f pc'
    s "init" 'docker run --rm --init $x busybox ps | grep -c docker-init'
}
matrix runc
matrix runsc-c
docker ps -aq | xargs -r docker rm -f >/dev/null 2>&1
left=$(pgrep -f "^runsc-c-(sentry|gofer)" | while read -r pid; do grep -qs "$work" "/proc/$pid/mountinfo" && echo "$pid"; done)
[ -z "$left" ] || { echo "left behind: $left"; failed=1; }
compare "$work/runc" "$work/runsc-c" "$here/docker.differences"
