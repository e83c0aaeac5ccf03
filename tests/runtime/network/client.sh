#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A program in a container on host sockets talks to another network namespace: TCP with data in both directions,
# refused and unreachable destinations, UDP with its error queue, IPv6, a resolver on 127.0.0.11, and it sees the
# interfaces, addresses, routes and tables of the namespace.
. "$(dirname "$0")/netns_lib"

cat >"$work/servers.py" <<'PY'
import socket, threading, hashlib
def tcp(family, addr):
    l = socket.socket(family); l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind((addr, 9000)); l.listen()
    while True:
        c, _ = l.accept()
        def serve(c=c):
            h = hashlib.sha256(); n = 0
            while True:
                d = c.recv(65536)
                if not d: break
                h.update(d); n += len(d)
            c.sendall(h.hexdigest().encode() + b"x" * 8000000); c.close()
        threading.Thread(target=serve, daemon=True).start()
def udp(family, addr):
    s = socket.socket(family, socket.SOCK_DGRAM); s.bind((addr, 9000))
    while True:
        d, a = s.recvfrom(65536); s.sendto(d[::-1], a)
for f in (tcp, udp):
    for family, addr in ((socket.AF_INET, "10.77.0.1"), (socket.AF_INET6, "fd77::1")):
        threading.Thread(target=f, args=(family, addr)).start()
PY
python3 "$work/servers.py" 2>/dev/null &
started+=($!)
# Docker's resolver is like this: outside the container, inside its network namespace.
cat >"$work/dns.py" <<'PY'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.11", 53))
while True:
    q, a = s.recvfrom(512)
    end = q.index(b"\0", 12) + 5
    is_a = q[end - 4:end - 2] == b"\0\1"
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\x4d\0\1" if is_a else b""
    s.sendto(q[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0" + q[12:end] + answer, a)
PY
ip netns exec inside python3 "$work/dns.py" &
started+=($!)
printf 'nameserver 127.0.0.11\noptions timeout:5\n' >"$work/resolv.conf"
wait_until reachable 10.77.0.1 9000 || fail "the servers did not start"

cat >"$work/client.py" <<'PY'
import errno, fcntl, hashlib, os, select, socket, struct, sys
data = os.urandom(1 << 20) * 8
for family, addr in ((socket.AF_INET, "10.77.0.1"), (socket.AF_INET6, "fd77::1")):
    c = socket.socket(family); c.connect((addr, 9000)); c.sendall(data); c.shutdown(socket.SHUT_WR)
    got = bytearray()
    while (d := c.recv(1 << 20)): got += d
    assert got[:64].decode() == hashlib.sha256(data).hexdigest() and len(got) == 64 + 8000000
    u = socket.socket(family, socket.SOCK_DGRAM)
    for size in (0, 1, 1400, 9000, 60000):
        u.sendto(data[:size], (addr, 9000)); d, a = u.recvfrom(65536)
        assert d == data[:size][::-1] and a[0] == addr, (size, len(d), a)
    # sendfile from a file to the socket
    c = socket.create_connection((addr, 9000))
    with open("/tmp/f", "wb") as f: f.write(data)
    with open("/tmp/f", "rb") as f: assert c.sendfile(f) == len(data)
    c.shutdown(socket.SHUT_WR); assert c.recv(64, socket.MSG_WAITALL).decode() == hashlib.sha256(data).hexdigest()
    c.close()
def fails(code, f, *args):
    try: f(*args)
    except OSError as e: assert e.errno == code, e; return
    assert False, "no error"
fails(errno.ECONNREFUSED, socket.create_connection, ("10.77.0.1", 9))
fails(errno.ECONNREFUSED, socket.create_connection, ("fd77::1", 9))
fails(errno.EHOSTUNREACH, socket.create_connection, ("10.77.0.99", 9), 20)
# connect in progress
c = socket.socket(); c.setblocking(False)
assert c.connect_ex(("10.77.0.1", 9000)) == errno.EINPROGRESS
p = select.poll(); p.register(c, select.POLLOUT); assert p.poll(20000) == [(c.fileno(), select.POLLOUT)]
assert c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and c.getpeername() == ("10.77.0.1", 9000)
# the error queue
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.setsockopt(socket.IPPROTO_IP, 11, 1)
u.connect(("10.77.0.1", 9)); u.send(b"lost")
p = select.poll(); p.register(u, 0); assert p.poll(20000)[0][1] & select.POLLERR
d, anc, flags, a = u.recvmsg(100, 1000, 0x2000)
assert d == b"lost" and anc[0][:2] == (0, 11) and struct.unpack("I", anc[0][2][:4])[0] == errno.ECONNREFUSED
# destination and ttl in control messages
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.setsockopt(0, 8, 1); u.setsockopt(0, 12, 1)
u.bind(("0.0.0.0", 0)); u.sendto(b"me", ("10.77.0.2", u.getsockname()[1]))
d, anc, flags, a = u.recvmsg(100, 1000)
assert d == b"me" and {x[:2] for x in anc} == {(0, 8), (0, 2)}, anc
# a time-out
u.settimeout(0.2)
try: u.recv(10); assert False
except socket.timeout: pass
# names
assert socket.gethostbyname("outside.example") == "10.77.0.1"
# the namespace's interfaces
assert {n for _, n in socket.if_nameindex()} >= {"lo", "eth0"}
r = fcntl.ioctl(u, 0x8915, struct.pack("16s24x", b"eth0")); assert socket.inet_ntoa(r[20:24]) == "10.77.0.2"
assert "eth0:" in open("/proc/net/dev").read() and "eth0" in open("/proc/net/route").read()
l = socket.socket(); l.bind(("10.77.0.2", 7777)); l.listen()
assert "02004D0A:1E61 00000000:0000 0A" in open("/proc/net/tcp").read()
# the exit of a process does not wait for SO_LINGER
pid = os.fork()
if not pid:
    a = socket.create_connection(l.getsockname())
    a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600)); a.setblocking(False)
    try:
        while True: a.send(bytes(65536))
    except BlockingIOError: pass
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
# icmp, where the namespace lets everybody
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
s.settimeout(10); s.sendto(b"\x08\0\0\0\0\0\0\1hello", ("10.77.0.1", 0)); assert s.recv(100)[8:] == b"hello"
print("all right")
PY
net_bundle "$work/client" '.linux.sysctl={"net.ipv4.ping_group_range":"0 0"} | .mounts += [{"destination":"/etc/resolv.conf","type":"bind","source":"'"$work"'/resolv.conf","options":["rbind","ro"]},
    {"destination":"/tmp","type":"tmpfs","source":"tmpfs"},{"destination":"/c","type":"bind","source":"'"$work"'","options":["rbind","ro"]}]' \
    sh -c 'python3 /c/client.py && ip -o -4 addr show dev eth0 && ip route && ip -6 route && ip neigh && ss -tnl'
timeout 200 "$RUNSC" --root "$state" run --bundle "$work/client" client-$$ >"$work/out" 2>&1 </dev/null ||
    fail "client: $(cat "$work/out")"
for want in 'all right' 'inet 10.77.0.2/24' 'default via 10.77.0.1 dev eth0' 'fd77::/64 dev eth0' '10.77.0.1 dev eth0 lladdr'; do
    grep -qF -- "$want" "$work/out" || fail "no \"$want\" in: $(cat "$work/out")"
done
exit 0
