#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# redis under redis-benchmark; RDB by fork, AOF rewrite, restart from both, Lua, pub/sub, replication, Unix socket.
. "$(dirname "$0")/lib"
need redis-server redis-cli redis-benchmark
start() { # NAME PORT OPTIONS...
    local name=$1 port=$2
    shift 2
    mkdir -p "$name"
    redis-server --port "$port" --dir "$PWD/$name" --unixsocket "$PWD/$name.sock" --logfile "$PWD/$name.log" \
        --save "" --bind 127.0.0.1 ::1 --daemonize yes "$@" >/dev/null
    wait_until redis-cli -p "$port" ping
}
cli() { redis-cli -p 7301 "$@"; }
start a 7301 --appendonly yes
cli ping
redis-benchmark -p 7301 -n 3000 -c 20 --csv -t ping_mbulk,set,get,incr,lpush,lrange_100,mset | tr -d '"' |
    while IFS=, read -r what rps _; do [ "$what" = test ] || rate "redis/$what" "$rps" req/s; done
redis-benchmark -s a.sock -n 20000 -P 16 -c 20 --csv -t set,get | tr -d '"' |
    while IFS=, read -r what rps _; do [ "$what" = test ] || rate "redis/unix-pipelined-$what" "$rps" req/s; done
cli flushall
cli eval 'for i = 1, 20000 do redis.call("set", "key:" .. i, string.rep("v", i % 50)) end return redis.call("dbsize")' 0
cli save
cli bgsave >/dev/null
cli set during save >/dev/null
wait_until sh -c 'redis-cli -p 7301 info persistence | grep -q rdb_bgsave_in_progress:0'
cli bgrewriteaof >/dev/null
wait_until sh -c 'redis-cli -p 7301 info persistence | grep -q aof_rewrite_in_progress:0'
cli info persistence | tr -d '\r' | grep -E '^(rdb_last_bgsave_status|aof_last_bgrewrite_status|aof_last_write_status):'
digest=$(cli debug digest 2>/dev/null)
start b 7302 --replicaof "127.0.0.1 7301" --replica-read-only yes
wait_until sh -c 'redis-cli -p 7302 info replication | grep -q master_link_status:up'
wait_until sh -c '[ "$(redis-cli -p 7302 dbsize)" = 20001 ]'
redis-cli -p 7302 get key:49
redis-cli -p 7302 set x y
redis-cli -p 7302 shutdown nosave
timeout 20 redis-cli -s a.sock subscribe news >sub.out &
wait_until sh -c '[ "$(redis-cli -p 7301 publish news hello)" = 1 ]'
wait_until grep -q hello sub.out
kill $! && wait $! 2>/dev/null
sed -n 1,3p sub.out
cli shutdown
wait_until sh -c '! redis-cli -p 7301 ping'
start a 7301 --appendonly yes
cli dbsize
cli get during
[ "$(cli debug digest 2>/dev/null)" = "$digest" ] && echo "same digest"
cli shutdown nosave
wait_until sh -c '! redis-cli -p 7301 ping'
redis-check-rdb a/dump.rdb | grep -o 'RDB looks OK'
rm -rf a b ./*.log ./*.out
