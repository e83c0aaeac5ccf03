#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# MariaDB: installation, InnoDB with several clients, transactions and deadlocks, a crash in the middle, dump.
. "$(dirname "$0")/lib"
PATH=$PATH:/usr/sbin
need mariadbd mariadb-install-db mariadb mariadb-dump
[ "$(id -u)" -ne 0 ] || { chown 65534:65534 . && chmod 755 .; }
begin=$(now)
as_user mariadb-install-db --no-defaults --datadir="$PWD/data" --auth-root-authentication-method=normal --skip-test-db >install.log 2>&1 && echo installed || tail -5 install.log
rate_since mariadb/install "$begin" 60 per-minute
up() {
    as_user mariadbd --no-defaults --datadir="$PWD/data" --socket="$PWD/s.sock" --port=7381 --bind-address=127.0.0.1 --innodb-buffer-pool-size=32M \
        --skip-name-resolve --pid-file="$PWD/data/pid" >data.log 2>&1 & server=$!
    wait_until mariadb-admin --no-defaults -u root -S "$PWD/s.sock" ping
}
sql() { mariadb --no-defaults -u root -S "$PWD/s.sock" -N -B "$@"; }
up
sql -e 'select 6 * 7; create database d; create table d.t (id int primary key auto_increment, w int, v varchar(50), key(w)) engine=innodb'
begin=$(now)
for w in 1 2 3 4; do
    (for i in $(seq 250); do echo "insert into t (w, v) values ($w, md5($i));"; done; echo "select count(*) from t where w = $w;") | sql d &
done | sort
rate_since mariadb/inserts "$begin" 1000 tx/s
sql -h 127.0.0.1 -P 7381 --protocol=tcp d -e 'select count(*), count(distinct v), sum(w) from t'
sql d -e 'start transaction; delete from t; rollback; select count(*) from t; alter table t add column x int default 3, algorithm=inplace; select sum(x) from t'
sql d -e 'select a.w, count(*) from t a join t b on a.v = b.v group by a.w order by a.w; check table t; optimize table t' | grep -v 'recreate'
kill -9 "$(cat data/pid)"; wait $server 2>/dev/null
up
sql d -e 'select count(*), sum(x) from t'
sql d -e 'select w, v, x from t order by w, v' | md5sum
mariadb-dump --no-defaults -u root -S "$PWD/s.sock" --skip-comments d | grep -c 'CREATE TABLE'
mariadb-admin --no-defaults -u root -S "$PWD/s.sock" shutdown
wait $server; echo "server ended: $?"
rm -rf data ./*.log s.sock
