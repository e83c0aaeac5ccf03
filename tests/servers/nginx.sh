#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nginx under wrk and ab: sendfile, ranges, keep-alive, reuseport listeners, a Unix-socket upstream, TLS, reload, log reopening.
. "$(dirname "$0")/lib"
PATH=$PATH:/usr/sbin
need nginx wrk ab curl openssl
mkdir -p html logs tmp
head -c 300000 /dev/zero | tr '\0' 'x' >html/big.txt
echo "hello from nginx" >html/index.html
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost 2>/dev/null
cat >nginx.conf <<END
worker_processes 2;
pid $PWD/nginx.pid;
error_log $PWD/logs/error.log;
events { worker_connections 512; multi_accept on; }
http {
    access_log $PWD/logs/access.log;
    sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 100000;
    client_body_temp_path $PWD/tmp/b; proxy_temp_path $PWD/tmp/p; fastcgi_temp_path $PWD/tmp/f;
    uwsgi_temp_path $PWD/tmp/u; scgi_temp_path $PWD/tmp/s;
    upstream back { server unix:$PWD/back.sock; keepalive 8; }
    server { listen 127.0.0.1:7311 reuseport; listen [::1]:7311 reuseport; root $PWD/html; index index.html;
        location /proxy/ { proxy_pass http://back/; proxy_http_version 1.1; proxy_set_header Connection ""; } }
    server { listen unix:$PWD/back.sock; location / { return 200 "from the back: \$uri\n"; } }
    server { listen 127.0.0.1:7312 ssl; ssl_certificate $PWD/cert.pem; ssl_certificate_key $PWD/key.pem; root $PWD/html; }
}
END
[ "$(id -u)" -ne 0 ] || sed -i '1i user root;' nginx.conf
nginx -p "$PWD" -c "$PWD/nginx.conf" -t 2>&1 | grep -o 'syntax is ok'
nginx -p "$PWD" -c "$PWD/nginx.conf"
wait_until curl -sf http://127.0.0.1:7311/
curl -s http://127.0.0.1:7311/ http://127.0.0.1:7311/proxy/x
curl -sg 'http://[::1]:7311/'
curl -s http://127.0.0.1:7311/big.txt | md5sum
curl -s -r 1000-1009 http://127.0.0.1:7311/big.txt; echo
curl -sk https://127.0.0.1:7312/big.txt | wc -c
curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1:7311/none
bench() { # NAME URL
    wrk -t1 -c16 -d2s "$2" >wrk.out
    awk -v n="$1" '/Requests\/sec/ {print "rate: nginx/" n, $2, "req/s"}' wrk.out >&2
    grep -E 'Socket errors|Non-2xx' wrk.out
}
bench small http://127.0.0.1:7311/
bench 300k http://127.0.0.1:7311/big.txt
bench proxy http://127.0.0.1:7311/proxy/x
bench tls https://127.0.0.1:7312/
ab -q -n 500 -c 10 http://127.0.0.1:7311/ >ab.out 2>&1
awk '/^Requests per second/ {print "rate: nginx/ab-no-keepalive", $4, "req/s"}' ab.out >&2
grep -E '^(Complete|Failed) requests' ab.out
sed -i 's/from the back/reloaded/' nginx.conf
nginx -p "$PWD" -c "$PWD/nginx.conf" -s reload
wait_until sh -c 'curl -s http://127.0.0.1:7311/proxy/y | grep -q reloaded'
curl -s http://127.0.0.1:7311/proxy/y
mv logs/access.log logs/old.log
nginx -p "$PWD" -c "$PWD/nginx.conf" -s reopen
wait_until test -e logs/access.log
nginx -p "$PWD" -c "$PWD/nginx.conf" -s quit
wait_until test ! -e nginx.pid && echo "gone"
grep -vE '\[notice\]|html/none' logs/error.log
rm -rf logs tmp html ./*.out ./*.pem nginx.conf
