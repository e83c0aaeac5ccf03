# SPDX-License-Identifier: Apache-2.0
"""socket_fuzz.py SEED SECONDS: random system calls on sockets, with addresses, options, messages and control messages that are
half right. Prints how many it made; what it gets back does not matter."""
import ctypes, os, random, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
seed = int(sys.argv[1]); end = time.time() + float(sys.argv[2]); R = random.Random(seed)
buf = ctypes.create_string_buffer(16 << 20) # more than a socket holds: lengths are wild, and what comes must not hit the heap
SYS = dict(socket=41, connect=42, accept=43, sendto=44, recvfrom=45, sendmsg=46, recvmsg=47, shutdown=48, bind=49, listen=50,
    getsockname=51, getpeername=52, setsockopt=54, getsockopt=55, ioctl=16, poll=7, close=3, dup=32, fcntl=72, accept4=288, recvmmsg=299,
    sendmmsg=307, epoll_ctl=233, splice=275, sendfile=40, readv=19, write=1, read=0)
import signal
signal.signal(signal.SIGPIPE, signal.SIG_IGN); signal.signal(signal.SIGALRM, lambda *a: None); signal.signal(signal.SIGIO, signal.SIG_IGN); signal.signal(signal.SIGURG, signal.SIG_IGN)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
def addr():
    R2 = R.random()
    port = R.choice([0, 1, 80, 5000, 5001, 5002, 65535]).to_bytes(2, "big")
    if R2 < .5: return b"\2\0" + port + R.choice([b"\x7f\0\0\1", b"\0\0\0\0", b"\x0a\4\4\4", b"\xff\xff\xff\xff", b"\xe0\0\0\5"]) + b"\0" * 8
    if R2 < .8: return b"\x0a\0" + port + b"\0" * 4 + R.choice([b"\0" * 15 + b"\1", b"\0" * 16, b"\xff\2" + b"\0" * 13 + b"\1", b"\0"*10+b"\xff\xff\x7f\0\0\1"]) + R.choice([b"\0"*4, b"\1\0\0\0"])
    return bytes(R.randrange(256) for _ in range(R.randrange(0, 130)))
fds = [0]
def fd(): return R.choice(fds) if R.random() < .97 else R.randrange(-2, 200)
def ptr(): return ctypes.addressof(buf) + R.randrange(0, 1000) if R.random() < .95 else R.choice([0, 1, 0xdeadbeef000, 2**63])
n = 0
ep = libc.epoll_create1(0)
p2 = os.pipe2(os.O_NONBLOCK)
while time.time() < end:
    n += 1
    r = R.random()
    if r < .08 and len(fds) < 60:
        f = libc.syscall(41, R.choice([2, 2, 2, 10, 10, 1, 16]), R.choice([1, 1, 2, 2, 3]) | R.choice([0, 0o4000]), R.choice([0, 0, 0, 6, 17, 1, 58, 136, 255]))
        if f >= 0: fds.append(f)
        continue
    a = addr(); ctypes.memmove(buf, a, len(a))
    f = fd()
    c = R.choice(list(SYS))
    if c == "close":
        if f > 2 and R.random() < .3: libc.syscall(3, f); fds = [x for x in fds if x != f]
        continue
    if c in ("connect", "bind"): args = (f, ctypes.addressof(buf) if R.random() < .95 else ptr(), R.choice([len(a), 16, 28, 0, -1, 200]))
    elif c == "listen": args = (f, R.choice([0, 5, -1]))
    elif c in ("accept", "accept4"):
        args = (f, 0, 0, R.choice([0, 0o4000, 0o2004000, 7]))
    elif c in ("setsockopt", "getsockopt"):
        v = R.choice([0, 1, -1, 2**31 - 1, R.randrange(2**32)])
        ctypes.memmove(buf, (v & 0xffffffff).to_bytes(4, "little") * 8, 32)
        ctypes.memmove(ctypes.addressof(buf) + 64, R.choice([4, 0, 1, 8, 16, 1000, -1, 70000]).to_bytes(4, "little", signed=True), 4)
        args = (f, R.choice([0, 1, 6, 17, 41, 58, 136, 255, R.randrange(300)]), R.randrange(0, 110), ptr() if R.random() < .1 else ctypes.addressof(buf), R.choice([4, 4, 1, 0, 8, 16, 200, -1]) if c == "setsockopt" else ctypes.addressof(buf) + 64)
    elif c in ("sendto", "recvfrom"): args = (f, ptr(), R.choice([0, 1, 100, 1500, 65000, 70000, 2**31, 2**63]), R.choice([0, 0x40, 0x4000, 2, 1, 0x20, 0x2000, 0x100, R.randrange(2**32)]) | 0x40, R.choice([0, ctypes.addressof(buf)]), R.choice([0, len(a), 16]) if c == "sendto" else 0)
    elif c in ("sendmsg", "recvmsg", "sendmmsg", "recvmmsg"):
        base = ctypes.addressof(buf) + 2000
        iov = ctypes.addressof(buf) + 3000
        ctypes.memmove(iov, (ptr() & (2**64-1)).to_bytes(8, "little") + R.choice([0, 10, 1000, 60000]).to_bytes(8, "little"), 16)
        ctl = R.choice([0, ctypes.addressof(buf) + 4000]); ctlen = R.choice([0, 16, 20, 24, 32, 100, 5000])
        ctypes.memmove(ctypes.addressof(buf) + 4000, R.choice([16, 17, 20, 24, 28, 100, 2**40]).to_bytes(8, "little") + R.choice([0, 1, 41, 17]).to_bytes(4, "little") + R.choice([1, 2, 8, 50, 67, 103, 37, R.randrange(100)]).to_bytes(4, "little"), 16)
        h = R.choice([0, ctypes.addressof(buf)]).to_bytes(8, "little") + R.choice([0, 16, 28, 128]).to_bytes(8, "little") + iov.to_bytes(8, "little") + R.choice([0, 1, 1, 2000]).to_bytes(8, "little") + ctl.to_bytes(8, "little") + ctlen.to_bytes(8, "little") + b"\0" * 16
        ctypes.memmove(base, h, len(h))
        fl = R.choice([0, 2, 0x2000, 0x100, 0x20, 1, 0x20000000, R.randrange(2**31)]) | 0x40
        args = (f, base, 1, fl, 0) if c.endswith("mmsg") else (f, base, fl)
    elif c == "ioctl": args = (f, R.choice([0x541b, 0x5411, 0x8905, 0x894b, 0x8906, 0x5421, 0x8901] + list(range(0x8910, 0x8975))), ptr())
    elif c == "poll":
        ctypes.memmove(buf, (f & 0xffffffff).to_bytes(4, "little") + b"\xff\xff\0\0", 8); args = (ctypes.addressof(buf), 1, 0)
    elif c == "fcntl": args = (f, R.choice([4, 3, 8, 9]), R.choice([0o4000, 0, 0o24000, os.getpid()]))
    elif c == "epoll_ctl":
        ctypes.memmove(buf, R.randrange(2**32).to_bytes(4, "little") + b"\0" * 8, 12); args = (ep, R.choice([1, 2, 3]), f, ctypes.addressof(buf))
    elif c == "splice": args = R.choice([(f, 0, p2[1], 0, 1000, 3), (p2[0], 0, f, 0, 1000, 3)])
    elif c == "sendfile": args = (f, fds[0], 0, 1000)
    elif c == "shutdown": args = (f, R.choice([0, 1, 2, 5]))
    elif c == "dup":
        if len(fds) > 60: continue
        args = (f,)
    else: args = (f, ptr(), R.choice([0, 10, 1000]))
    if c in ("read", "readv", "write") and f <= 2: continue
    r = libc.syscall(SYS[c], *[ctypes.c_long(x if x < 2**63 else x - 2**64) for x in args])
    if c in ("accept", "accept4", "dup") and r > 2: fds.append(r)
    if n % 50 == 0: libc.epoll_wait(ep, buf, 10, 0)
signal.setitimer(signal.ITIMER_REAL, 0)
print("calls", n)
