#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --network=host lets a container into its network namespace and no further: abstract AF_UNIX names stay inside the
# sentry, the sentry has no capability over a namespace that others made, the caller's namespace is left alone, and
# without the option there is only a loopback. A namespace of the container's own comes up with lo, its sysctls,
# and ports below 1024 for those who may.
. "$(dirname "$0")/netns_lib"

view() {
    ip -o -4 addr
    ip -o -6 addr show scope global
    ip route
    sysctl -n net.ipv4.ip_unprivileged_port_start
}
before=$(view)
cat >"$work/unix.py" <<'PY'
import socket, time
l = socket.socket(socket.AF_UNIX); l.bind("\0outside-name"); l.listen()
print("ready", flush=True); time.sleep(1000)
PY
ip netns exec inside python3 "$work/unix.py" >"$work/ready" &
started+=($!)
wait_until grep -q ready "$work/ready" || fail "unix server"
cat >"$work/guest.py" <<'PY'
import errno, os, socket
s = socket.socket(socket.AF_UNIX)
assert s.connect_ex("\0outside-name") == errno.ECONNREFUSED
l = socket.socket(socket.AF_UNIX); l.bind("\0outside-name"); l.listen()
assert s.connect_ex("\0outside-name") == 0
def code(f):
    try: f()
    except OSError as e: return e.errno
    return 0
# This namespace belongs to others: low ports for those who may, no raw sockets, no changes.
socket.socket().bind(("10.77.0.2", 81))
if os.fork() == 0:
    os.setuid(1000)
    os._exit(code(lambda: socket.socket().bind(("10.77.0.2", 82))))
assert os.wait()[1] == errno.EACCES << 8
assert code(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)) == errno.EPERM
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
s.settimeout(10); s.sendto(b"\x08\0\0\0\0\0\0\1hello", ("10.77.0.1", 0)); assert s.recv(100)[8:] == b"hello"
assert os.system("ip link set eth0 down 2>/dev/null") != 0
assert code(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) in (errno.EPERM, errno.EAFNOSUPPORT)
# A namespace that the guest makes is empty.
assert os.system("unshare -n ip -o link | grep -v ' lo:'") != 0
print("all right", flush=True)
import time; time.sleep(1000)
PY
net_bundle "$work/guest" '.process.capabilities |= map_values(. + ["CAP_NET_RAW","CAP_NET_ADMIN","CAP_SYS_ADMIN","CAP_SETUID"])' python3 "$work/guest.py"
"$RUNSC" --root "$state" run --bundle "$work/guest" iso-$$ >"$work/out" 2>&1 </dev/null &
main=$!
started+=("$main")
wait_until grep -q "all right" "$work/out" || fail "guest: $(cat "$work/out")"
inside=$(ip netns exec inside readlink /proc/self/ns/net)
found=0
for pid in $(descendants $main); do
    grep -q sentry "/proc/$pid/cmdline" || continue
    [ "$(readlink "/proc/$pid/ns/net")" = "$inside" ] || fail "the sentry is in $(readlink "/proc/$pid/ns/net"), not in $inside"
    grep -q '^CapEff:.0*$' "/proc/$pid/status" || fail "capabilities: $(grep Cap "/proc/$pid/status")"
    grep -q '^Uid:.65534' "/proc/$pid/status" || fail "the sentry is not nobody"
    found=1
    break
done
[ $found = 1 ] || fail "no sentry found"
[ "$before" = "$(view)" ] || fail "the caller's namespace changed"

# Its own namespace: sysctls, lo, low ports, raw sockets; capabilities are kept only for that.
cat >"$work/own.py" <<'PY'
import os, socket, sys
assert [n for _, n in socket.if_nameindex()] == ["lo"]
l = socket.socket(); l.bind(("127.0.0.1", 80)); l.listen()
c = socket.create_connection(("127.0.0.1", 80))
r = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
s.settimeout(10); s.sendto(b"\x08\0\0\0\0\0\0\1hello", ("127.0.0.1", 0)); assert s.recv(100)[8:] == b"hello"
assert open("/proc/net/snmp").read().startswith("Ip: Forwarding DefaultTTL") and "Ip: 1 77 " in open("/proc/net/snmp").read()
if os.fork() == 0:
    os.setuid(1000)
    try: socket.socket().bind(("127.0.0.1", 82))
    except PermissionError: os._exit(0)
    os._exit(1)
assert os.wait()[1] == 0
print("all right")
PY
net_bundle "$work/own" 'del(.linux.namespaces[] | select(.type=="network").path) | .process.capabilities |= map_values(. + ["CAP_NET_RAW","CAP_SETUID"])
    | .linux.sysctl = {"net.ipv4.ip_forward": "1", "net.ipv4.ip_default_ttl": "77", "net.ipv4.ping_group_range": "0 2147483647"}' python3 "$work/own.py"
timeout 100 "$RUNSC" --root "$state" run --bundle "$work/own" own-$$ >"$work/out" 2>&1 </dev/null || fail "own: $(cat "$work/out")"
grep -q "all right" "$work/out" || fail "own: $(cat "$work/out")"

# `do`: none by default, the caller's with --network=host.
[ "$(timeout 50 "$RUNSC" do -- ip -o link | wc -l)" = 1 ] || fail "do has more than lo"
timeout 50 "$RUNSC" --network=host do -- ip -o addr show dev out0 | grep -q 10.77.0.1 || fail "do --network=host"
exit 0
