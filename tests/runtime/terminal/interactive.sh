#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `do bash` on a terminal: line editing, Ctrl-C, Ctrl-Z, jobs, window size, /dev/tty, the name of the
# terminal, large output, exit code, hang-up. A python pty plays the user.
. "$(dirname "$0")/../lib.sh"
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
python3 - "$RUNSC" <<'END' || fail "interactive session"
import fcntl, os, pty, re, select, signal, struct, sys, termios, time

def start(*command):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(PS1='READY> ', TERM='dumb')
        os.execv(sys.argv[1], [sys.argv[1], 'do', '--', *command])
    return pid, fd

def read_until(fd, pattern, seconds=20):
    out, end = b'', time.time() + seconds
    while time.time() < end:
        if re.search(pattern, out):
            return out
        if select.select([fd], [], [], 0.2)[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:
                break
            if not data:
                break
            out += data
    if re.search(pattern, out):
        return out
    sys.exit('no %r in %r' % (pattern, out[-2000:]))

def resize(pid, fd, rows, cols):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, cols, 0, 0))
    os.kill(pid, signal.SIGWINCH)

def say(text, pattern):
    os.write(fd, text if isinstance(text, bytes) else text.encode())
    return read_until(fd, pattern)

pid, fd = start('bash', '--norc', '--noprofile', '--noediting', '-i')
read_until(fd, b'READY> ')
prompt = rb'READY> $'
say('tty\r', rb'/dev/pts/0\r\n' + prompt)
say('ech\x7f\x7f\x7fecho $((6*7))\r', rb'\n42\r\n' + prompt)
resize(pid, fd, 33, 99)
time.sleep(0.3)
say('stty size\r', rb'33 99\r\n' + prompt)
say('sleep 100\r', rb'sleep 100\r\n')
time.sleep(0.5)
say(b'\x03', rb'\^C')
say('\recho code=$?\r', rb'code=130\r\n' + prompt)
say('cat\r', rb'cat\r\n')
time.sleep(0.3)
say('hello\r', rb'hello\r\nhello\r\n')
say(b'\x04', prompt)
say('sleep 200\r', rb'sleep 200\r\n')
time.sleep(0.5)
say(b'\x1a', rb'Stopped')
say('bg; jobs\r', rb'(?s)Running.*' + prompt)
say('kill %1; wait 2>/dev/null; echo gone\r', rb'\ngone\r\n' + prompt)
say('echo there >/dev/tty\r', rb'\nthere\r\n' + prompt)
say('seq 30000 | tail -n 1; echo READ | tr D Y\r', rb'\n30000\r\nREAY\r\n' + prompt)
out = say('seq 20000; echo E=ND | tr -d =\r', rb'\nEND\r\n')
numbers = [int(n) for n in re.findall(rb'^(\d+)\r$', out, re.M)]
assert numbers == list(range(1, 20001)), (len(numbers), numbers[:5], numbers[-5:])
os.write(fd, b'exit 7\r')
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
os.close(fd)

# The last words of a program are not lost when the sandbox ends.
for _ in range(5):
    pid, fd = start('sh', '-c', 'seq 3000; echo L=AST | tr -d =')
    read_until(fd, rb'LAST\r\n')
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(fd)

# The user's terminal goes away: the shell hears SIGHUP and everything ends.
pid, fd = start('bash', '--norc', '--noprofile', '-i')
read_until(fd, b'READY> ')
os.close(fd)
for _ in range(200):
    if os.waitpid(pid, os.WNOHANG)[0]:
        break
    time.sleep(0.05)
else:
    os.kill(pid, signal.SIGKILL)
    sys.exit('no end after a hang-up')
END
echo ok
