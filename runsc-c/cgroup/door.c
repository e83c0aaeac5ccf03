/* SPDX-License-Identifier: Apache-2.0 */
/* The cheap way into a cgroup: see cgroup.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runsc-c/cgroup/cgroup_internal.h"

struct cgroup_door {
    struct cgroup *cg;
    bool usable;                /* else everything is left to cgroup_join */
    int v2;                     /* the directory in the v2 tree, or -1 */
    int tasks[CGROUP_DIRS_MAX]; /* of the v1 hierarchies */
    size_t count;
    bool outside_v2; /* one could not be made inside */
};

/* Without all of them none is of use: then the process is moved from outside, which also says what is wrong. */
static bool open_all(struct cgroup_door *d)
{
    for (size_t i = 0; i < d->cg->count; i++) {
        const struct cgroup_place *place = &d->cg->dirs[i];
        char path[4352];
        int fd;

        if (!place->path)
            continue;
        snprintf(path, sizeof(path), "%s%s", place->path, *place->controllers ? "/tasks" : "");
        fd = open(path,
                  *place->controllers ? O_WRONLY | O_CLOEXEC : O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return false;
        if (*place->controllers)
            d->tasks[d->count++] = fd;
        else
            d->v2 = fd;
    }
    return true;
}

int cgroup_door_open(struct cgroup *cg, struct cgroup_door **out, struct err *e)
{
    struct cgroup_door *d = calloc(1, sizeof(*d));

    if (!d)
        return err_errno(e, ENOMEM, "cgroups");
    d->cg = cg;
    d->v2 = -1;
    /* A scope is made around its first process. */
    d->usable = (!cg->scope || cg->scope_started) && open_all(d);
    *out = d;
    return 0;
}

pid_t cgroup_door_clone(struct cgroup_door *d, uint64_t flags)
{
    struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
    pid_t pid = -1;

    if (d && d->usable && d->v2 >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)d->v2;
        pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
        d->outside_v2 |= pid < 0;
    }
    if (pid < 0) {
        args.flags = flags;
        pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    }
    return pid;
}

int cgroup_door_enter(const struct cgroup_door *d)
{
    for (size_t i = 0; d && d->usable && i < d->count; i++) {
        if (write(d->tasks[i], "0", 1) < 0 && !(d->cg->rootless && cgroup_forgivable(errno)))
            return -errno;
    }
    return 0;
}

int cgroup_door_admit(struct cgroup_door *d, pid_t pid, struct err *e)
{
    if (!d || (d->usable && !d->outside_v2))
        return 0;
    return cgroup_join(d->cg, pid, e);
}

void cgroup_door_close(struct cgroup_door *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->count; i++)
        close(d->tasks[i]);
    if (d->v2 >= 0)
        close(d->v2);
    free(d);
}
