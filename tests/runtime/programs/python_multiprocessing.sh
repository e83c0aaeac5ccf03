#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# python3 multiprocessing: pools by fork and spawn, queues, shared memory, semaphores.
cat >mp.py <<'END'
import multiprocessing as mp, os
from multiprocessing import shared_memory
def square(x):
    return x * x
def fill(q, n):
    for i in range(n):
        q.put(i)
def touch(name):
    s = shared_memory.SharedMemory(name); s.buf[0] = 42; s.close()
def add(v, n):
    for _ in range(n):
        with v.get_lock():
            v.value += 1
if __name__ == "__main__":
    for method in ("fork", "spawn"):
        c = mp.get_context(method)
        with c.Pool(4) as pool:
            print(method, sum(pool.map(square, range(500))))
        q = c.Queue(); p = c.Process(target=fill, args=(q, 200)); p.start()
        print(sum(q.get() for _ in range(200))); p.join(); print(p.exitcode)
        v = c.Value("i", 0); ps = [c.Process(target=add, args=(v, 500)) for _ in range(4)]
        [p.start() for p in ps]; [p.join() for p in ps]; print(v.value)
    s = shared_memory.SharedMemory(create=True, size=4096)
    p = mp.Process(target=touch, args=(s.name,)); p.start(); p.join(); print(s.buf[0]); s.close(); s.unlink()
END
/usr/bin/python3 mp.py
