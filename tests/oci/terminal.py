#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""terminal.py COMMAND [SIZE INPUT]...: COMMAND on a terminal of its own, as a person would use it.

For each pair: the terminal gets SIZE (COLUMNSxROWS), a prompt is waited for, INPUT is typed ("raw:..." without a
newline; "now:..." without a prompt). Prints the lines that are no prompt, and exits as COMMAND does.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

PROMPT = re.compile(rb"[#$] (\x1b\[6n)?$")


def resize(fd, size):
    columns, rows = map(int, size.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def read_until(fd, done, seconds):
    """What comes until done(output) or the end; None for output at the end."""
    out, deadline = b"", time.monotonic() + seconds
    while not done(out) and time.monotonic() < deadline:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:
                data = b""
            if not data:
                return out, True
            out += data
    return out, False


def main():
    command, pairs = sys.argv[1], list(zip(sys.argv[2::2], sys.argv[3::2]))
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp("sh", ["sh", "-c", "exec " + command])
    everything, ended = b"", False
    for size, text in pairs:
        resize(fd, size)
        now = text.startswith("now:")
        text = text[4:] if now else text
        out, ended = read_until(fd, lambda out: now or PROMPT.search(out), 50)
        everything += out
        raw = text.startswith("raw:")
        os.write(fd, text[4:].encode() if raw else text.encode() + b"\n")
    if not ended:
        out, ended = read_until(fd, lambda _: False, 50)
        everything += out
    if not ended:
        os.kill(pid, signal.SIGKILL)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", everything.decode(errors="replace"))
    for line in text.replace("\r", "\n").split("\n"):
        if line.strip() and not re.search(r"[#$] ", line):
            print(line.strip())
    status = os.waitpid(pid, 0)[1]
    sys.exit(os.waitstatus_to_exitcode(status) if ended else 124)


main()
