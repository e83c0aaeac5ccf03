#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# python3: many imports, subprocess, threads, mmap, sockets to itself, temporary files.
exec /usr/bin/python3 - <<'END'
import asyncio, collections, concurrent.futures, ctypes, decimal, email, hashlib, html.parser, http.client
import json, logging, mmap, os, pickle, queue, random, re, select, shutil, signal, socket, ssl, struct
import subprocess, sys, tempfile, threading, time, unittest, urllib.parse, uuid, xml.etree.ElementTree, zipfile
print(len(sys.builtin_module_names) > 10)
print(subprocess.run(["sh", "-c", "echo out; echo err >&2; exit 5"], capture_output=True))
print(subprocess.check_output("tr a-z A-Z", input=b"text", shell=True))
try:
    subprocess.run(["/not/there"])
except FileNotFoundError as e:
    print(e)
total, lock = 0, threading.Lock()
def add():
    global total
    for _ in range(2000):
        with lock:
            total += 1
threads = [threading.Thread(target=add) for _ in range(20)]
[t.start() for t in threads]; [t.join() for t in threads]
print(total)
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(lambda x: x * x, range(1000))))
with open("m", "w+b") as f:
    f.truncate(10000)
    m = mmap.mmap(f.fileno(), 0)
    m[5000:5005] = b"hello"; m.flush(); m.close()
    f.seek(5000); print(f.read(5))
m = mmap.mmap(-1, 1 << 20); m[:4] = b"abcd"
pid = os.fork()
if pid == 0:
    m[:4] = b"WXYZ"; os._exit(0)
os.waitpid(pid, 0); print(m[:4])
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
def serve():
    c, _ = s.accept(); c.sendall(c.recv(100)[::-1]); c.close()
t = threading.Thread(target=serve); t.start()
c = socket.create_connection(s.getsockname()); c.sendall(b"stressed"); print(c.recv(100)); t.join()
a, b = socket.socketpair(); a.send(b"x" * 1000); print(len(b.recv(2000)))
signal.signal(signal.SIGUSR1, lambda *x: print("signal", x[0])); os.kill(os.getpid(), signal.SIGUSR1); time.sleep(0.01)
with tempfile.TemporaryDirectory() as d:
    z = zipfile.ZipFile(d + "/z.zip", "w"); z.writestr("a", "b" * 1000); z.close(); print(zipfile.ZipFile(d + "/z.zip").read("a")[:3])
    shutil.copytree("/usr/share/common-licenses", d + "/c"); print(len(os.listdir(d + "/c")))
r, w = os.pipe(); p = select.poll(); p.register(r, select.POLLIN); print(p.poll(10)); os.write(w, b"1"); print(len(p.poll(10)))
print(hashlib.sha256(open("/usr/share/common-licenses/GPL-3", "rb").read()).hexdigest())
print(os.environ["HOME"] == os.getcwd(), len(os.urandom(16)), os.cpu_count() >= 1)
print(json.dumps(json.loads('{"a": [1, 2.5, null, "\\u00e9"]}')))
libc = ctypes.CDLL(None); print(libc.abs(-5))
END
