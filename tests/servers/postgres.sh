#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL: initdb, pgbench (simple, prepared, several clients), parallel query, crash recovery, dump and restore.
. "$(dirname "$0")/lib"
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
[ -n "$bin" ] || skip "no PostgreSQL"
PATH=$bin:$PATH
[ "$(id -u)" -ne 0 ] || chown 65534:65534 .
mkdir -p home && [ "$(id -u)" -ne 0 ] || chown 65534:65534 home
export HOME=$PWD/home PGHOST=$PWD PGPORT=7321 PGUSER=u PGDATABASE=postgres
chmod 755 .
begin=$(now)
as_user initdb -D "$PWD/data" -U u -A trust --locale=C -E UTF8 >initdb.log 2>&1 && echo "initdb done"
rate_since postgres/initdb "$begin" 60 per-minute
cat >>data/postgresql.conf <<END
unix_socket_directories = '$PWD'
listen_addresses = '127.0.0.1'
max_parallel_workers_per_gather = 2
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
log_min_messages = warning
END
as_user pg_ctl -D "$PWD/data" -l "$PWD/home/log" -w -t 120 start >/dev/null && echo "started"
sql() { as_user psql -X -A -t -c "$1"; }
sql 'select 6 * 7'
as_user pgbench -i -s 1 -q >pgbench.log 2>&1 && echo "filled"
run() { # NAME OPTIONS...
    as_user pgbench -n -T 3 "${@:2}" >pgbench.log 2>&1 || tail -3 pgbench.log
    awk -v n="$1" '/^tps/ {print "rate: postgres/" n, $3, "tx/s"}' pgbench.log >&2
    grep -E 'number of failed transactions' pgbench.log
}
run tpcb -c 4 -j 2
run select-prepared -S -M prepared -c 4 -j 2
PGHOST=127.0.0.1 run select-tcp -S -c 4
sql 'select count(*), sum(aid) from pgbench_accounts'
sql 'explain (costs off) select sum(aid) from pgbench_accounts' | grep -c Parallel
sql "create table t as select g as id, md5(g::text) as h from generate_series(1, 50000) g; create index on t(h); analyze t"
sql "select * from t where h = md5('777')"
sql "select count(*) from t a join t b using (h) where a.id % 7 = 0"
sql "select tps.n from (select sum(bbalance) - (select sum(delta) from pgbench_history) as n from pgbench_branches) tps"
as_user pg_dump -t t | grep -v -e '^--' -e '^$' -e restrict | md5sum
as_user pg_ctl -D "$PWD/data" -m immediate stop >/dev/null
as_user pg_ctl -D "$PWD/data" -l "$PWD/home/log" -w -t 120 start >/dev/null && echo "recovered"
sql 'select count(*) from t'
as_user psql -X -q -A -t <<'END' | sed 's,PID [0-9]*,PID N,'
listen c;
notify c, 'payload';
begin; savepoint a; insert into t values (0, 'x'); rollback to a; select count(*) from t where id = 0; commit;
copy (select id from t order by id limit 3) to stdout;
END
as_user pg_ctl -D "$PWD/data" -m fast stop >/dev/null && echo "stopped"
rm -rf data home ./*.log
