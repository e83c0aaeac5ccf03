#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# BIND on loopback: UDP, TCP, truncation, DNSSEC made on line, dynamic updates with their journal, rndc.
. "$(dirname "$0")/lib"
PATH=$PATH:/usr/sbin
need named dig nsupdate rndc named-checkzone
key=c2VjcmV0c2VjcmV0
cat >conf <<END
options { directory "$PWD"; listen-on port 7394 { 127.0.0.1; }; listen-on-v6 { none; }; pid-file "$PWD/pid"; session-keyfile "$PWD/session";
    recursion no; dnssec-validation no; };
key k { algorithm hmac-sha256; secret "$key"; };
controls { inet 127.0.0.1 port 7395 allow { any; } keys { k; }; };
zone "example.test" { type primary; file "$PWD/zone"; allow-update { any; }; dnssec-policy default; inline-signing yes; };
END
{
    printf '$TTL 60\n@ IN SOA ns h 1 60 60 60 60\n  IN NS ns\nns IN A 127.0.0.1\nwww IN A 10.1.2.3\nbig IN TXT'
    for i in 1 2 3 4 5 6 7 8; do printf ' "%0200d"' "$i"; done
    echo
} >zone
named-checkzone example.test zone | tail -1
named -c conf -g >log 2>&1 & server=$!
ask() { dig -p 7394 @127.0.0.1 "$@"; }
wait_until sh -c 'dig +short -p 7394 @127.0.0.1 www.example.test | grep -q 10.1.2.3'
ask +short www.example.test
ask +short +tcp www.example.test
ask +ignore +bufsize=512 big.example.test txt | grep -o 'flags:[a-z ]*'
ask +short big.example.test txt | wc -c
wait_until sh -c 'dig +dnssec -p 7394 @127.0.0.1 www.example.test | grep -q RRSIG' && echo signed
printf 'server 127.0.0.1 7394\nzone example.test\nupdate add new.example.test 60 A 10.9.9.9\nupdate delete www.example.test A\nsend\n' | nsupdate
wait_until sh -c 'dig +short -p 7394 @127.0.0.1 new.example.test | grep -q 10.9.9.9'
ask +short new.example.test
wait_until sh -c '[ -z "$(dig +short -p 7394 @127.0.0.1 www.example.test)" ]' && echo deleted
printf 'key "k" { algorithm hmac-sha256; secret "%s"; };\noptions { default-key "k"; default-server 127.0.0.1; default-port 7395; };\n' "$key" >rndc.conf
control() { rndc -c rndc.conf "$@"; }
control status | grep 'server is'
control sync -clean && grep -c '^new' zone
begin=$(now)
seq 500 | sed 's/.*/ns.example.test A/' >queries
ask +short -f queries | sort | uniq -c | awk '{print $1, $2}'
rate_since named/queries "$begin" 500 1/s
control stop >/dev/null
wait $server; echo "ended: $?"
rm -rf ./*
