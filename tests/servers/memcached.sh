#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# memcached: its protocol tester, its load tool with several connections, UDP-free loopback, Unix socket.
. "$(dirname "$0")/lib"
need memcached memccapable memcaslap python3
memcached -l 127.0.0.1 -p 7331 -u "$(id -un)" -t 2 -m 64 &
server=$!
wait_until bash -c "exec 3<>/dev/tcp/127.0.0.1/7331"
memccapable -h 127.0.0.1 -p 7331 -a | grep -E '\[pass\]|\[FAIL\]' | sed 's/  */ /g'
memcaslap -s 127.0.0.1:7331 -T 1 -c 16 -x 20000 >slap.out 2>&1
awk -F'[: ]+' '/TPS/ {for (i = 1; i < NF; i++) if ($i == "TPS") print "rate: memcached/memcaslap", $(i + 1), "req/s"}' slap.out >&2
python3 - <<'END'
import socket
s = socket.create_connection(("127.0.0.1", 7331)); f = s.makefile("rwb")
def cmd(*lines):
    f.write(b"".join(l + b"\r\n" for l in lines)); f.flush(); return f.readline().strip()
print(cmd(b"flush_all"))
for i in range(2000):
    assert cmd(b"set k%d 0 0 5" % i, b"%05d" % i) == b"STORED"
print(cmd(b"incr k7 35"), cmd(b"append k8 0 0 1", b"x"))
f.write(b"get " + b" ".join(b"k%d" % i for i in range(10)) + b"\r\n"); f.flush()
while (l := f.readline().strip()) != b"END": print(l)
f.write(b"stats\r\n"); f.flush(); st = {}
while (l := f.readline().split())[0] != b"END": st[l[1]] = l[2]
print(st[b"threads"], st[b"pointer_size"])
END
kill "$server" && wait "$server"
echo "server ended: $?"
rm -f slap.out
