#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# openssl s_server with curl and wget (TLS 1.2, 1.3, client certificates), python's http.server, socat relays of every kind, nc.
. "$(dirname "$0")/lib"
need openssl curl wget socat nc python3
openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
mkdir www && head -c 200000 /dev/zero | tr '\0' 'y' >www/file
(cd www && exec openssl s_server -accept 127.0.0.1:7371 -key ../k.pem -cert ../c.pem -WWW -quiet) & server=$!
wait_until curl -sf --cacert c.pem --resolve localhost:7371:127.0.0.1 https://localhost:7371/file
for v in 1.2 1.3; do curl -s --tls-max $v --tlsv$v --cacert c.pem --resolve localhost:7371:127.0.0.1 https://localhost:7371/file | md5sum; done
wget -q --no-check-certificate -O - https://127.0.0.1:7371/file | wc -c
openssl s_client -connect 127.0.0.1:7371 -CAfile c.pem -verify_hostname localhost </dev/null 2>/dev/null | grep -E 'Verify return' | sed 's/^ *//' | sort -u
openssl s_time -connect 127.0.0.1:7371 -time 1 -new 2>/dev/null | awk '/connections in .* real/ {print "rate: tls/handshakes", $1 / $4, "per-second"; exit}' >&2
kill $server; wait $server 2>/dev/null
python3 -m http.server -b 127.0.0.1 -d www 7372 2>/dev/null & server=$!
wait_until curl -sf http://127.0.0.1:7372/
curl -s -C 199990 http://127.0.0.1:7372/file | wc -c
wget -q -r -l1 -nH -P got http://127.0.0.1:7372/ && ls got
seq 20 | xargs -P 8 -I{} curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1:7372/file | sort | uniq -c | sed 's/^ *//'
kill $server; wait $server 2>/dev/null
echo "== relays"
socat UNIX-LISTEN:u.sock,fork TCP4:127.0.0.1:7373 & a=$!
socat TCP4-LISTEN:7373,bind=127.0.0.1,reuseaddr,fork TCP6:[::1]:7374 & b=$!
socat TCP6-LISTEN:7374,bind=[::1],reuseaddr,fork EXEC:'tr a-z A-Z' & c=$!
wait_until sh -c '[ "$(echo x | socat - UNIX-CONNECT:u.sock)" = X ]'
echo "through three relays" | socat - UNIX-CONNECT:u.sock
head -c 3000000 /dev/zero | tr '\0' q | socat - UNIX-CONNECT:u.sock | md5sum
kill $a $b $c
socat -u UDP4-RECVFROM:7375,bind=127.0.0.1 CREATE:udp.out & a=$!
wait_until sh -c 'ss -uln | grep -q :7375'
echo datagram | socat -u - UDP4-SENDTO:127.0.0.1:7375; wait $a; cat udp.out
socat PTY,link=pty,raw,echo=0 EXEC:cat & a=$!
wait_until test -e pty && echo "over a pty" | socat -t1 - ./pty,raw,echo=0; kill $a
nc -l 127.0.0.1 7376 >nc.out & a=$!
wait_until sh -c 'ss -tln | grep -q :7376'
echo "by nc" | nc -N 127.0.0.1 7376; wait $a; cat nc.out
nc -z 127.0.0.1 7376; echo "nc -z: $?"
wait 2>/dev/null
rm -rf ./*.pem www got u.sock udp.out nc.out pty
