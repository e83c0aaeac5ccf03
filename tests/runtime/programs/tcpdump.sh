#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tcpdump on lo, in a network namespace of its own: a datagram and a connection, with a filter that the kernel runs.
command -v tcpdump >/dev/null || { echo "no tcpdump" >&2; exit 77; }
cat >talk.py <<'PY'
import socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 5300)); u.sendto(b"hello", ("127.0.0.1", 5300))
l = socket.socket(); l.bind(("127.0.0.1", 5301)); l.listen()
c = socket.create_connection(("127.0.0.1", 5301)); s, _ = l.accept()
c.sendall(b"GET /x HTTP/1.0\r\n\r\n"); s.recv(100); s.sendall(b"HTTP/1.0 200 fine\r\n\r\n"); c.recv(100)
c.close(); s.recv(1); s.close()
PY
cat >watch.sh <<'SH'
ip link set lo up
rm -f said
timeout 20 tcpdump -i lo -n -U -Z root -c "$1" -w seen.pcap "${@:2}" 2>said & t=$!
for _ in $(seq 200); do grep -q listening said 2>/dev/null && break; sleep 0.05; done
python3 talk.py
wait $t; echo "tcpdump: $?"
SH
echo "== a datagram"
unshare -n bash watch.sh 1 udp port 5300
tcpdump -n -t -r seen.pcap 2>/dev/null | grep -o 'UDP, length.*'
echo "== data of a connection"
unshare -n bash watch.sh 2 'tcp port 5301 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)'
tcpdump -n -t -q -A -r seen.pcap 2>/dev/null | grep -oE 'GET /x HTTP/1.0|HTTP/1.0 200 fine'
echo "== its beginning and end"
unshare -n bash watch.sh 4 'tcp[13] & 7 != 0'
tcpdump -n -t -r seen.pcap 2>/dev/null | grep -oE 'Flags \[[^]]*\]'
rm -f seen.pcap said talk.py watch.sh
