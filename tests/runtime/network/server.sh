#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A web server in a container on host sockets is reached from another network namespace, on IPv4 and IPv6, on a
# port that needs no privilege there; transfers arrive whole; accept, epoll and many connections at once.
. "$(dirname "$0")/netns_lib"

head -c 20000000 /dev/urandom >"$work/data"
net_bundle "$work/web" . python3 -m http.server --bind :: --directory "$work" 80
runsc run --bundle "$work/web" web-$$ >"$work/log" 2>&1 </dev/null &
started+=($!)
wait_until reachable 10.77.0.2 80 || fail "not reachable: $(cat "$work/log")"

for url in http://10.77.0.2/data 'http://[fd77::2]/data'; do
    timeout 60 python3 - "$url" "$work/data" <<'PY' || fail "$url"
import sys, urllib.request
assert urllib.request.urlopen(sys.argv[1], timeout=30).read() == open(sys.argv[2], "rb").read()
PY
done
reachable 127.0.0.1 80 && fail "the server listens on the outside's loopback"

# An epoll server, edge-triggered, that never reads to EAGAIN unless it must; 300 connections at once.
cat >"$work/echo.py" <<'PY'
import select, socket
l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(("10.77.0.2", 8000)); l.listen(512); l.setblocking(False)
ep = select.epoll(); ep.register(l, select.EPOLLIN); cs = {}
while True:
    for fd, ev in ep.poll():
        if fd == l.fileno():
            try:
                while True:
                    c, _ = l.accept(); c.setblocking(False); cs[c.fileno()] = c
                    ep.register(c, select.EPOLLIN | select.EPOLLET | select.EPOLLRDHUP)
            except BlockingIOError:
                pass
            continue
        c = cs[fd]
        try:
            d = c.recv(65536)   # one read per edge: small messages, so it is all that is there
        except BlockingIOError:
            continue
        if d:
            c.sendall(d)
        else:
            ep.unregister(fd); c.close(); del cs[fd]
PY
net_bundle "$work/echo" . python3 "$work/echo.py"
runsc run --bundle "$work/echo" echo-$$ >"$work/log2" 2>&1 </dev/null &
started+=($!)
wait_until reachable 10.77.0.2 8000 || fail "echo: not reachable: $(cat "$work/log2")"
timeout 100 python3 - <<'PY' || fail "echo: $(cat "$work/log2")"
import socket
cs = [socket.create_connection(("10.77.0.2", 8000), 20) for _ in range(300)]
for round in range(5):
    for i, c in enumerate(cs):
        c.sendall(b"%d-%d" % (round, i))
    for i, c in enumerate(cs):
        want = b"%d-%d" % (round, i)
        got = b""
        while len(got) < len(want):
            d = c.recv(100); assert d; got += d
        assert got == want, (got, want)
PY
exit 0
