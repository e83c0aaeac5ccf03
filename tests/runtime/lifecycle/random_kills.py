# SPDX-License-Identifier: Apache-2.0
"""random_kills.py COUNT: a container's life, create to delete, COUNT times; each time one process of it - the command
at work, a hook, a proxy, the sentry, the gofer or a stub - is ended by kill -9 at a random moment. Then: no command
hangs, the state is one that exists ("stopped" or none at all when the victim carried the container), delete --force
works, and nothing is left. RUNSC_KILL_SEED repeats a run, as far as the scheduler does."""

import collections
import os
import random
import signal
import subprocess
import sys
import threading
import time

from watch import Watch, command_line, descendants, is_zombie

PATIENCE = 120  # seconds for one command; what needs longer hangs


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return int(f.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def ancestors(pid):
    while pid > 1 and pid != os.getpid():
        pid = parent_of(pid)
        yield pid


def role_of(watch, pid):
    line = command_line(pid)
    if any(command_line(p).startswith("runsc-c-sentry") for p in ancestors(pid)):
        return "stub"
    if line.startswith("runsc-c-sentry"):
        return "sentry"
    if line.startswith("runsc-c-gofer"):
        return "gofer"
    if watch.root in line:
        return "command" if parent_of(pid) == os.getpid() else "the command's child"
    if line.startswith("sh -c while"):
        return "proxy"
    return "exec's proxy" if line.startswith("sleep 1000") or line == "true" else "hook"


class Life(threading.Thread):
    """The commands one after the other. A command that fails ends nothing: the next ones must cope, unless the caller gave
    the container up."""

    def __init__(self, watch):
        super().__init__()
        self.watch, self.hung, self.log, self.current, self.abandoned = watch, None, [], None, False

    def run(self):
        w = self.watch
        for args in (
            ("create", "--bundle", w.bundle, "--pid-file", w.work + "/pid", w.id),
            ("start", w.id),
            ("exec", "--detach", w.id, "sleep", "1000"),
            ("exec", w.id, "true"),
            ("pause", w.id),
            ("ps", w.id),
            ("resume", w.id),
            ("kill", w.id, "TERM"),
            ("kill", w.id, "KILL"),
            ("delete", w.id),
        ):
            if self.abandoned:
                break
            self.current = args[0]
            with subprocess.Popen(w.command(*args), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as process:
                try:
                    self.log.append(f"{args[0]}:{process.wait(PATIENCE)}")
                except subprocess.TimeoutExpired:
                    self.hung = args[0]
                    process.kill()
                    return
        self.current = "end"


def one_kill(watch, rng, span, counts):
    life = Life(watch)
    moment, choice, abandon = rng.uniform(0, span), rng.random(), rng.random() < 0.7
    started = time.monotonic()
    life.start()
    time.sleep(moment)
    victim = role = None
    while life.is_alive() and victim is None:
        by_role = collections.defaultdict(list)
        for pid in descendants(os.getpid()):
            if not is_zombie(pid):
                by_role[role_of(watch, pid)].append(pid)
        if by_role:  # a role first: the stubs are many
            roles = sorted(by_role)
            role = roles[int(choice * len(roles))]
            victim = by_role[role][int(choice * 7919) % len(by_role[role])]
            try:
                during = life.current
                os.kill(victim, signal.SIGKILL)
            except OSError:
                victim = None
    life.abandoned = abandon and victim is not None
    what = "nobody" if victim is None else f"{role} during {during}"
    life.join()
    what = f"{what} at {moment:.3f} s [{' '.join(life.log)}]"
    if life.hung:
        watch.fail(f"kill -9 of {what}: {life.hung} hangs")
    if victim:
        counts[role] += 1
    status = watch.status()
    if status not in ("absent", "stopped", "created", "running", "paused"):
        watch.fail(f"kill -9 of {what}: state {status}")
    if role in ("proxy", "sentry", "gofer") and status not in ("absent", "stopped"):
        # The process is gone at once, those who learn of it need a moment.
        for _ in range(600):
            if watch.status() in ("absent", "stopped"):
                break
            time.sleep(0.05)
        else:
            watch.fail(f"kill -9 of {what}: state stays {watch.status()}")
    code, text = watch.run("delete", "--force", watch.id)
    if code != 0:
        watch.fail(f"kill -9 of {what}: delete --force: {text}")
    if watch.status() != "absent":
        watch.fail(f"kill -9 of {what}: not deleted")
    watch.nothing_left(f"kill -9 of {what}")
    if os.environ.get("RUNSC_KILL_VERBOSE"):
        print(f"{what}: {status}, {time.monotonic() - started:.2f} s", flush=True)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    seed = int(os.environ.get("RUNSC_KILL_SEED") or int.from_bytes(os.urandom(4), "little"))
    print(f"seed {seed}", flush=True)
    rng = random.Random(seed)
    watch = Watch()
    watch.spec["process"]["args"] = ["sh", "-c", "while :; do sleep 0.01; done"]
    watch.spec["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "cat >/dev/null; sleep 0.01 # hook-of-the-test"]}]}
    watch.save()
    life = Life(watch)
    started = time.monotonic()
    life.start()
    life.join()
    span = time.monotonic() - started
    if any(not entry.endswith(":0") for entry in life.log if not entry.startswith(("kill", "delete"))):
        watch.fail(f"the undisturbed life: {life.log}")
    watch.run("delete", "--force", watch.id)
    watch.nothing_left("the undisturbed life")
    counts = collections.Counter()
    while sum(counts.values()) < count:  # a moment after the end kills nobody
        one_kill(watch, rng, span, counts)
    watch.end()
    print(f"{count} kills: " + ", ".join(f"{n} {role}" for role, n in sorted(counts.items(), key=str)))


main()
