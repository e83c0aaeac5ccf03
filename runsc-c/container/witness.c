/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/container/witness.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/compiler.h"
#include "runsc-c/cgroup/cgroup.h"

#define WITNESS_MOST (UINT64_C(1) << 30)

enum { PATIENCE_MS = 1500, PAGE = 4096 };

static int open_in(const char *dir, const char *name)
{
    char path[4352];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

void witness_open(struct witness *w, struct cgroup *cg)
{
    const char *v1 = cg ? cgroup_dir(cg, "memory") : NULL,
               *v2 = cg && !v1 ? cgroup_dir(cg, "") : NULL;

    *w = (struct witness){-1, -1, -1};
    if (v1) {
        w->limit_fd = open_in(v1, "memory.limit_in_bytes");
        w->usage_fd = open_in(v1, "memory.usage_in_bytes");
    } else if (v2) {
        w->limit_fd = open_in(v2, "memory.max");
        w->usage_fd = open_in(v2, "memory.current");
    }
}

void witness_open_own(struct witness *w)
{
    if (w->limit_fd >= 0)
        w->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void witness_close(struct witness *w)
{
    const int fds[] = {w->limit_fd, w->usage_fd, w->proc_fd};

    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    *w = (struct witness){-1, -1, -1};
}

static uint64_t number_in(int fd)
{
    char text[32] = "";
    ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
    char *end;
    uint64_t v = strtoull(text, &end, 10);

    return n > 0 && end != text ? v : UINT64_MAX; /* "max" */
}

/* A process may raise its own score whoever it is; to lower one again, or to write another's, takes privileges that the
 * proxy of a container with a user of its own does not have. Whoever changed its user is not dumpable, and its files in
 * /proc are root's, until it says otherwise. */
static bool raise_own_score(int proc_fd)
{
    bool raised;
    int fd;

    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    fd = openat(proc_fd, "self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    raised = fd >= 0 && write(fd, "1000", 4) == 4;
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return raised;
}

static NORETURN void take(const struct witness *w, uint64_t limit)
{
    char *p;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!raise_own_score(w->proc_fd))
        _exit(1); /* else the host might end the sentry */
    p = mmap(NULL, limit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
             0);
    for (uint64_t at = 0; p != MAP_FAILED && at < limit; at += PAGE)
        ((volatile char *)p)[at] = 1;
    _exit(0);
}

void witness_oom(const struct witness *w)
{
    uint64_t limit = number_in(w->limit_fd), usage = number_in(w->usage_fd);
    struct pollfd ended = {.events = POLLIN};
    pid_t pid;

    if (w->proc_fd < 0 || limit == UINT64_MAX || usage == UINT64_MAX ||
        (limit > usage && limit - usage > WITNESS_MOST))
        return;
    pid = fork();
    if (pid == 0)
        take(w, limit);
    if (pid < 0)
        return;
    ended.fd = pidfd_open(pid, 0);
    if (ended.fd < 0 || poll(&ended, 1, PATIENCE_MS) != 1)
        kill(pid, SIGKILL);
    if (ended.fd >= 0)
        close(ended.fd);
    (void)waitpid(pid, NULL, 0);
}
