#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The sqlite3 shell: WAL, several processes at one database, vacuum, integrity.
command -v sqlite3 >/dev/null || { echo "no sqlite3" >&2; exit 77; }
set -e
sqlite3 d.db 'pragma journal_mode=wal; create table t(a, b); create index i on t(a);'
for n in 1 2 3 4; do
    (i=0; while [ $i -lt 25 ]; do sqlite3 -cmd '.timeout 20000' d.db "insert into t values($n, hex(zeroblob(100)))"; i=$((i + 1)); done) &
done
wait
sqlite3 d.db 'select a, count(*) from t group by a; pragma integrity_check;'
sqlite3 d.db 'with recursive c(x) as (select 1 union all select x+1 from c where x < 100000) insert into t select x, x*x from c; select count(*), sum(a) from t;'
sqlite3 d.db 'delete from t where a > 50000; vacuum; pragma wal_checkpoint(truncate); select count(*) from t;'
sqlite3 d.db .dump | sort | md5sum
rm d.db*
