# SPDX-License-Identifier: Apache-2.0
"""cycles.py COUNT: COUNT lives of a container, every other one by "run", and nothing is left after each: no process, mount,
cgroup, file or descriptor. At the end the host's counts that a leak would drive up are near where they were; where
others on the host drive them up meanwhile, it is tried again."""

import os
import sys
import time

from watch import Watch


def counts():
    """What the host counts for all of its users: a leak of one in every life shows among the others' noise."""
    numbers = {}
    with open("/proc/cgroups", encoding="ascii") as f:
        numbers["cgroups"] = sum(int(line.split()[2]) for line in f if not line.startswith("#"))
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        numbers["mounts"] = len(f.readlines())
    with open("/proc/sys/fs/file-nr", encoding="ascii") as f:
        numbers["open files"] = int(f.read().split()[0])
    numbers["processes"] = sum(name.isdigit() for name in os.listdir("/proc"))
    return numbers


def life(watch, number):
    if number % 2:
        code, text = watch.run("run", "--bundle", watch.bundle, watch.id)
        if code:
            watch.fail(f"run {number}: {code}: {text}")
        return
    for args in (("create", "--bundle", watch.bundle, watch.id), ("start", watch.id)):
        code, text = watch.run(*args)
        if code:
            watch.fail(f"{args[0]} {number}: {code}: {text}")
    while watch.status() != "stopped":
        time.sleep(0.005)
    code, text = watch.run("delete", watch.id)
    if code:
        watch.fail(f"delete {number}: {code}: {text}")


def main():
    count = int(sys.argv[1])
    watch = Watch()
    watch.spec["process"]["args"] = ["true"]
    watch.save()
    life(watch, 0)
    life(watch, 1)
    watch.nothing_left("the first lives")
    for _ in range(3):
        before, started = counts(), time.monotonic()
        for number in range(count):
            life(watch, number)
            watch.nothing_left(f"life {number}")
        after, seconds = counts(), time.monotonic() - started
        print(f"{count} lives, {1000 * seconds / count:.0f} ms each; " +
              ", ".join(f"{name} {before[name]} -> {after[name]}" for name in before), flush=True)
        # The kernel frees control groups and files in batches.
        risen = [name for name in before if after[name] - before[name] >= count]
        if count < 1000 or not risen:
            break
    else:
        watch.fail(f"rose by one for every life, three times: {', '.join(risen)}")
    watch.end()


main()
