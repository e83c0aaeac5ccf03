# SPDX-License-Identifier: Apache-2.0
"""crowd.py COUNT: COUNT containers are created at once, started at once, asked who they are at once, listed, and deleted at
once; each has a name, a control group and a limit of its own, the root file system is one. Prints the memory of
each; nothing is left of any."""

import copy
import json
import os
import subprocess
import sys
import tempfile
import time

from watch import Watch, descendants


def at_once(watch, what, commands):
    """Runs all of them at the same time; their outputs. Files, not pipes: see Watch.run."""
    outs = [tempfile.TemporaryFile() for _ in commands]
    started = [subprocess.Popen(watch.command(*args), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
               for args, out in zip(commands, outs)]
    texts = []
    for args, process, out in zip(commands, started, outs):
        code = process.wait()
        out.seek(0)
        texts.append(out.read().decode(errors="replace").strip())
        out.close()
        if code:
            watch.fail(f"{what}: {' '.join(args)}: exit code {code}: {texts[-1]}")
    return texts


def pss(pid):
    """KiB that are this process's, what it shares divided by those who share it."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            return sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    except OSError:
        return 0


def main():
    count = int(sys.argv[1])
    watch = Watch()
    watch.spec["root"] = {"path": watch.bundle + "/rootfs", "readonly": False}
    watch.save()
    names = [f"{watch.id}-{number}" for number in range(count)]
    bundles = []
    for number, name in enumerate(names):
        spec = copy.deepcopy(watch.spec)
        spec["hostname"] = name
        spec["process"]["args"] = ["sh", "-c", f"echo {name} >/tmp/{name}; exec sleep 1000"]
        spec["linux"]["cgroupsPath"] = f"/{watch.cgroup}-{number}"
        spec["linux"]["resources"] = {"memory": {"limit": 256 << 20}}
        bundles.append(f"{watch.work}/b{number}")
        os.mkdir(bundles[-1])
        with open(bundles[-1] + "/config.json", "w", encoding="utf-8") as f:
            json.dump(spec, f)
    began = time.monotonic()
    at_once(watch, "create", [("create", "--bundle", b, n) for b, n in zip(bundles, names)])
    at_once(watch, "start", [("start", n) for n in names])
    seconds = time.monotonic() - began
    for name in names:  # each has run
        path = f"{watch.bundle}/rootfs/tmp/{name}"
        while not os.path.exists(path) or os.path.getsize(path) == 0:
            if watch.run("state", name)[1].find('"running"') < 0:
                watch.fail(f"{name} has ended")
            time.sleep(0.01)
        os.unlink(path)
    answers = at_once(watch, "exec", [("exec", n, "sh", "-c", "cat /proc/sys/kernel/hostname; kill -0 1") for n in names])
    if answers != names:
        watch.fail(f"exec: {answers}")
    listed = json.loads(watch.run("list", "--format", "json")[1])
    if sorted((c["id"], c["status"]) for c in listed) != sorted((n, "running") for n in names):
        watch.fail(f"list: {listed}")
    watch.reap()
    memory = sum(pss(pid) for pid in descendants(os.getpid()))
    at_once(watch, "delete", [("delete", "--force", n) for n in names])
    watch.nothing_left("the crowd")
    watch.end()
    print(f"{count} at once: {seconds:.1f} s to create and start, {memory / count / 1024:.1f} MB PSS each")


main()
