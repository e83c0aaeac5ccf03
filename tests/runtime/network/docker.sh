#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Docker's networks with this runtime: none, bridge, a published port, another container by address and by name (Docker's
# resolver on 127.0.0.11), a shared network namespace, the host's. The daemon runs in network and mount namespaces of the
# test, with its own directories; runc is the oracle.
[ "$(id -u)" = 0 ] || { echo "dockerd needs root"; exit 77; }
for program in dockerd docker runc iptables; do
    command -v "$program" >/dev/null || { echo "$program is not installed"; exit 77; }
done
[ -n "${IN_DOCKER_TEST:-}" ] || exec env IN_DOCKER_TEST=1 unshare --net --mount --propagation private "$0"
. "$(dirname "$0")/../lib.sh"

group=runsc-c-docker-$$
daemon=
stop() {
    local status=$?
    docker ps -aq 2>/dev/null | xargs -r docker rm -f >/dev/null 2>&1
    [ -z "$daemon" ] || { kill "$daemon"; wait "$daemon"; } 2>/dev/null
    awk -v w="$work/" 'index($5, w) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l
    cleanup
    find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -name "$group" -exec rmdir {} + 2>/dev/null
    exit "$status"
}
trap stop EXIT
ip link set lo up
mkdir -p /run/docker && mount -t tmpfs none /run/docker || fail "tmpfs"
# As an operator does it: `install` into a configuration that has other settings.
config=$work/prefix/etc/docker/daemon.json
mkdir -p "$(dirname "$config")"
echo '{"exec-opts": ["native.cgroupdriver=cgroupfs"], "cgroup-parent": "/'$group'"}' >"$config"
"$RUNSC" install --docker --prefix "$work/prefix" --binary "$RUNSC" >/dev/null || fail "install"
dockerd --config-file "$config" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" \
    -H "unix://$work/sock" >"$work/log" 2>&1 </dev/null &
daemon=$!
export DOCKER_HOST=unix://$work/sock
wait_until docker info || { echo "dockerd does not start here: $(tail -2 "$work/log")"; exit 77; }
mkdir -p "$work/fs"/{bin,etc,proc,dev,sys,tmp} && cp /bin/busybox "$work/fs/bin/" || fail "busybox-static is not installed"
for applet in sh cat echo ip ping nc httpd mkdir wc grep head tail; do ln -s busybox "$work/fs/bin/$applet"; done
tar -C "$work/fs" -c . | docker import -c 'ENV PATH=/bin' - box:latest >/dev/null || fail "import"

serve='mkdir /tmp/w; echo served > /tmp/w/index.html; httpd -f -h /tmp/w -p 80'
get() { printf 'printf "GET /index.html HTTP/1.0\\r\\n\\r\\n" | nc -w 5 %s 80 | tail -n 1' "$1"; }
show() { echo "== $1"; shift; timeout 100 "$@" 2>&1; echo "exit code $?"; }
probe() {
    local rt=$1 address
    show none docker run --rm --runtime "$rt" --network none box sh -c 'ip -o -4 addr'
    show bridge docker run --rm --runtime "$rt" box sh -c 'ip -o -4 addr show dev eth0 | grep -c 172; ip route | head -n 1; ping -c 1 -W 5 172.17.0.1 | grep -c "1 packets received"'
    show host docker run --rm --runtime "$rt" --network host box sh -c 'ip -o link | grep -c docker0'
    docker run -d --name web --runtime "$rt" -p 8080:80 box sh -c "$serve" >/dev/null || fail "$rt: web"
    wait_until python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8080), 2).close()' || fail "$rt: port 8080"
    show publish python3 -c 'import urllib.request; print(urllib.request.urlopen("http://127.0.0.1:8080/index.html", timeout=20).read())'
    address=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' web)
    show address docker run --rm --runtime "$rt" box sh -c "$(get "$address")"
    docker rm -f web >/dev/null
    docker network create net >/dev/null
    docker run -d --name srv --network net --runtime "$rt" box sh -c "$serve" >/dev/null || fail "$rt: srv"
    sleep 1
    show name docker run --rm --network net --runtime "$rt" box sh -c "grep nameserver /etc/resolv.conf; $(get srv)"
    show shared docker run --rm --network container:srv --runtime "$rt" box sh -c "$(get 127.0.0.1)"
    docker rm -f srv >/dev/null
    docker network rm net >/dev/null
}
before=$(readlink /proc/self/ns/net)
probe runc >"$work/runc"
grep -q served "$work/runc" || { echo "Docker's network does not work here with runc: $(cat "$work/runc")"; exit 77; }
probe runsc-c >"$work/ours"
diff "$work/runc" "$work/ours" || fail "differs from runc"
[ "$before" = "$(readlink /proc/self/ns/net)" ] || fail "network namespace"
exit 0
