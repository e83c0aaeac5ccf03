#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sqlite: the classic speed test's statements (inserts, transactions, indexes, updates, joins, vacuum) in rollback and WAL mode.
. "$(dirname "$0")/lib"
need sqlite3
sql() { # MODE: the statements
    echo "PRAGMA journal_mode=$1; PRAGMA synchronous=FULL;"
    echo 'CREATE TABLE t1(a INTEGER, b INTEGER, c VARCHAR(100));'
    for i in $(seq 200); do echo "INSERT INTO t1 VALUES($i, $((i * 7919 % 100000)), 'number $i');"; done
    echo 'BEGIN; CREATE TABLE t2(a INTEGER, b INTEGER, c VARCHAR(100));'
    echo "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000) INSERT INTO t2 SELECT i, i * 7919 % 100000, 'row ' || i FROM n; COMMIT;"
    for i in $(seq 20); do echo "SELECT count(*), avg(b) FROM t2 WHERE b >= $((i * 100)) AND b < $((i * 100 + 1000));"; done
    echo 'CREATE INDEX i2a ON t2(a); CREATE INDEX i2b ON t2(b);'
    for i in $(seq 300); do echo "SELECT count(*), avg(b) FROM t2 WHERE b >= $((i * 100)) AND b < $((i * 100 + 100));"; done
    echo 'BEGIN;'; for i in $(seq 2000); do echo "UPDATE t2 SET b = $((i * 31 % 5000)) WHERE a = $i;"; done; echo 'COMMIT;'
    echo 'BEGIN; INSERT INTO t1 SELECT b, a, c FROM t2; COMMIT; DELETE FROM t2 WHERE c LIKE "%50%"; DELETE FROM t2 WHERE a > 10 AND a < 20000;'
    echo 'SELECT count(*), sum(a), sum(b) FROM t1; SELECT count(*), sum(b) FROM t2; DROP TABLE t1; VACUUM; PRAGMA integrity_check; SELECT count(*) FROM t2;'
}
for mode in DELETE WAL; do
    sql $mode >sql
    begin=$(now)
    sqlite3 $mode.db <sql | md5sum
    rate_since "sqlite/$mode" "$begin" "$(wc -l <sql)" statements/s
    sqlite3 $mode.db 'PRAGMA integrity_check; SELECT count(*), sum(a), sum(b) FROM t2'
done
# Two writers and a reader on one database.
sqlite3 w.db 'PRAGMA journal_mode=WAL; CREATE TABLE t(w, i)'
for w in 1 2; do
    (for i in $(seq 40); do echo ".timeout 60000"; echo "INSERT INTO t VALUES($w, $i);"; done | sqlite3 w.db) &
done
for i in 1 2 3; do sqlite3 -cmd '.timeout 60000' w.db 'SELECT count(*) <= 80 FROM t'; done
wait
sqlite3 w.db 'SELECT w, count(*), sum(i) FROM t GROUP BY w'
rm -f ./*.db ./*.db-wal ./*.db-shm
