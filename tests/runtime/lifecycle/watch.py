# SPDX-License-Identifier: Apache-2.0
"""What a container leaves: this process is the subreaper of everything a command starts, so whoever outlives a
container becomes its child; mounts, cgroups and files are looked for by the test's own names."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36


def descendants(pid):
    """Pids below pid, a process's own before those it started."""
    found = []
    for task in listing(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                children = [int(p) for p in f.read().split()]
        except OSError:
            continue
        for child in children:
            found += [child] + descendants(child)
    return found


def listing(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


class Watch:
    """A bundle, a state directory and a cgroup of the test's own."""

    def __init__(self):
        self.runsc = os.environ.get("RUNTIME") or os.environ["RUNSC"]
        if os.getuid() != 0:
            print("skipped: containers of root")
            sys.exit(77)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.work = tempfile.mkdtemp(prefix="runsc-c-watch.", dir="/tmp")
        self.root = os.path.join(self.work, "state")
        self.bundle = os.path.join(self.work, "bundle")
        self.id = f"watch{os.getpid()}"
        self.cgroup = f"runsc-c-{self.id}"
        self.make_bundle()

    def make_bundle(self):
        rootfs = os.path.join(self.bundle, "rootfs")
        for name in ("bin", "proc", "dev", "sys", "tmp"):
            os.makedirs(os.path.join(rootfs, name))
        shutil.copy("/bin/busybox", os.path.join(rootfs, "bin"))
        for applet in ("sh", "sleep", "true", "cat"):
            os.symlink("busybox", os.path.join(rootfs, "bin", applet))
        subprocess.run([self.runsc, "spec", "--bundle", self.bundle], check=True)
        self.config = os.path.join(self.bundle, "config.json")
        with open(self.config, encoding="utf-8") as f:
            self.spec = json.load(f)
        self.spec["process"]["terminal"] = False
        self.spec["linux"]["cgroupsPath"] = "/" + self.cgroup

    def save(self):
        with open(self.config, "w", encoding="utf-8") as f:
            json.dump(self.spec, f)
        self.before = self.inventory()

    def command(self, *args):
        return [self.runsc, "--root", self.root, *args]

    def run(self, *args):
        """(exit code, output). Files, not pipes: nothing that lives on can hold us up."""
        with tempfile.TemporaryFile() as out:
            code = subprocess.run(self.command(*args), stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode
            out.seek(0)
            return code, out.read().decode(errors="replace").strip()

    def status(self):
        code, text = self.run("state", self.id)
        if code != 0:
            if "does not exist" not in text:
                self.fail(f"state: {text}")
            return "absent"
        return json.loads(text)["status"]

    def reap(self):
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    def inventory(self):
        """What there is beside processes. Files: below the bundle and the state directory, and in /run and /tmp by our names."""
        found = set()
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            found.update("mount " + line.split()[4] for line in f if self.work in line or self.id in line)
        for hierarchy in ["/sys/fs/cgroup"] + [f"/sys/fs/cgroup/{name}" for name in listing("/sys/fs/cgroup")]:
            found.update(f"cgroup {hierarchy}/{n}" for n in listing(hierarchy) if n.startswith(self.cgroup))
        for top in (self.bundle, self.root):
            for path, dirs, files in os.walk(top):
                found.update("file " + os.path.join(path, n) for n in dirs + files)
        for top in ("/run", "/tmp", "/dev/shm", "/var/tmp"):
            found.update(f"file {top}/{n}" for n in listing(top) if self.id in n)
        found.update(f"descriptor {n}" for n in listing("/proc/self/fd"))
        return found

    def nothing_left(self, what):
        """Waits for dying processes (the wait ends when they are gone; only what never goes is a failure)."""
        for _ in range(1200):
            self.reap()
            left = [p for p in descendants(os.getpid()) if not is_zombie(p)]
            if not left:
                break
            time.sleep(0.05)
        else:
            self.fail(f"{what}: processes are left: " + "; ".join(f"{p} {command_line(p)}" for p in left))
        more = sorted(self.inventory() - self.before - {"file " + self.root})
        less = sorted(self.before - self.inventory())
        if more or less:
            self.fail(f"{what}: left behind: {more}; missing: {less}")

    def fail(self, text):
        print(f"FAIL: {text}", file=sys.stderr)
        self.end()
        sys.exit(1)

    def end(self):
        self.run("delete", "--force", self.id)
        for pid in descendants(os.getpid()):
            try:
                os.kill(pid, 9)
            except OSError:
                pass
        self.reap()
        shutil.rmtree(self.work, ignore_errors=True)
