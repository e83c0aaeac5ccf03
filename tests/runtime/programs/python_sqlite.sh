#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# python3's sqlite3 module: transactions, rollback, WAL, threads that write.
exec /usr/bin/python3 - <<'END'
import os, sqlite3, threading
db = sqlite3.connect("t.db"); print(db.execute("pragma journal_mode=wal").fetchone())
db.execute("create table t(id integer primary key, v text)")
with db:
    db.executemany("insert into t(v) values (?)", ((str(i) * 10,) for i in range(5000)))
try:
    with db:
        db.execute("delete from t"); raise RuntimeError
except RuntimeError:
    pass
print(db.execute("select count(*), sum(length(v)) from t").fetchone())
def work():
    d = sqlite3.connect("t.db", timeout=30)
    for _ in range(20):
        with d:
            d.execute("insert into t(v) values ('x')")
    d.close()
ts = [threading.Thread(target=work) for _ in range(5)]; [t.start() for t in ts]; [t.join() for t in ts]
print(db.execute("select count(*) from t").fetchone(), db.execute("pragma integrity_check").fetchone())
db.close(); print(sorted(os.listdir(".")))
os.unlink("t.db")
END
