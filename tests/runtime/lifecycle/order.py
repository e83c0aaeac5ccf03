# SPDX-License-Identifier: Apache-2.0
"""When a container's first process ends, its execs die; the parent of their host processes can wait for the first process only
after it has waited for all of them, as on Linux for a pid namespace. Engines lose the end of an exec that they learn of
after its container's, and their clients hang."""

import os
import time

from watch import Watch, is_zombie


def pid_of(path):
    with open(path, encoding="ascii") as f:
        return int(f.read())


def main():
    watch = Watch()
    watch.spec["process"]["args"] = ["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done"]
    watch.save()
    first, execs = watch.work + "/pid", []
    for args in (("create", "--bundle", watch.bundle, "--pid-file", first, watch.id), ("start", watch.id)):
        code, text = watch.run(*args)
        if code:
            watch.fail(f"{args[0]}: {text}")
    for number, user in enumerate(("0", "1000:1000", "0")):
        path = f"{watch.work}/exec{number}"
        code, text = watch.run("exec", "--detach", "--user", user, "--pid-file", path, watch.id, "sleep", "1000")
        if code:
            watch.fail(f"exec: {text}")
        execs.append(pid_of(path))
    # One that has ended before, and nobody has waited for it.
    path = watch.work + "/early"
    watch.run("exec", "--detach", "--pid-file", path, watch.id, "true")
    execs.append(pid_of(path))
    watch.run("kill", watch.id, "TERM")
    for pid in execs:
        while not is_zombie(pid):
            time.sleep(0.01)
    time.sleep(0.5)
    if is_zombie(pid_of(first)):
        watch.fail("the first process can be waited for before its execs")
    ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in execs]
    if ends != [-9, -9, -9, 0]:
        watch.fail(f"execs: {ends}")
    end = os.waitstatus_to_exitcode(os.waitpid(pid_of(first), 0)[1])
    if end != 3:
        watch.fail(f"the first process: {end}")
    code, text = watch.run("delete", watch.id)
    if code:
        watch.fail(f"delete: {text}")
    os.unlink(path)
    watch.nothing_left("the container")
    watch.end()
    print("ok")


main()
