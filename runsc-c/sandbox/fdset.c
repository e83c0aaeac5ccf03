/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/sandbox/fdset.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int fdset_add(struct fdset *s, int fd, struct err *e)
{
    if (fd < 0)
        return -1;
    if (s->count == FDSET_MAX)
        return err_set(e, "too many descriptors for one sandbox (%d)", FDSET_MAX);
    s->fd[s->count] = fd;
    return FDSET_FIRST + s->count++;
}

int fdset_apply(const struct fdset *s)
{
    int moved[FDSET_MAX];

    /* First out of the way of all targets, then down to the targets. */
    for (int i = 0; i < s->count; i++) {
        moved[i] = fcntl(s->fd[i], F_DUPFD, FDSET_FIRST + s->count);
        if (moved[i] < 0)
            return -errno;
    }
    for (int i = 0; i < s->count; i++) {
        if (dup2(moved[i], FDSET_FIRST + i) < 0)
            return -errno;
    }
    return close_range((unsigned)(FDSET_FIRST + s->count), ~0u, 0) < 0 ? -errno : 0;
}
