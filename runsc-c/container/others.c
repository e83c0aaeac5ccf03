/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/container/others.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000, PAUSE_MS = 1 };

/* Waited for, not only dead: then nobody has its number any more. */
static bool is_gone(int fd)
{
    return pidfd_send_signal(fd, 0, NULL, 0) < 0 && errno == ESRCH;
}

static void forget_gone(struct others *o)
{
    size_t kept = 0;

    for (size_t i = 0; i < o->count; i++) {
        if (is_gone(o->fds[i]))
            close(o->fds[i]);
        else
            o->fds[kept++] = o->fds[i];
    }
    o->count = kept;
}

void others_add(struct others *o, pid_t pid)
{
    int fd = pidfd_open(pid, 0);

    forget_gone(o);
    if (fd >= 0 && o->count == o->capacity) {
        size_t capacity = o->capacity ? 2 * o->capacity : 8;
        int *fds = realloc(o->fds, capacity * sizeof(*fds));

        if (!fds) {
            close(fd);
            return;
        }
        o->fds = fds;
        o->capacity = capacity;
    }
    if (fd >= 0)
        o->fds[o->count++] = fd;
}

void others_wait(struct others *o)
{
    struct timespec pause = {0, PAUSE_MS * 1000000L};

    for (int ms = 0; ms < PATIENCE_MS; ms += PAUSE_MS) {
        forget_gone(o);
        if (!o->count)
            return;
        nanosleep(&pause, NULL);
    }
}
