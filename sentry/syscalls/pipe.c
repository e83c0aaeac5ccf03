/* SPDX-License-Identifier: Apache-2.0 */
/* pipe, pipe2. */
#include "sentry/fs/pipe/pipe.h"

#include <errno.h>

#include "gen/syscall_protos.h"
#include "sentry/abi/fcntl.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"

/* Linux: O_NOTIFICATION_PIPE is this bit; without CONFIG_WATCH_QUEUE it is -ENOPKG. */
#define LX_O_NOTIFICATION_PIPE LX_O_EXCL

long sys_pipe2(struct task *t, uaddr_t fildes, int flags)
{
    uint32_t bits = (uint32_t)flags;
    bool cloexec = bits & LX_O_CLOEXEC;
    struct file *r, *w;
    int fds[2];
    long ret;

    if (bits & ~(LX_O_CLOEXEC | LX_O_NONBLOCK | LX_O_DIRECT | LX_O_NOTIFICATION_PIPE))
        return -EINVAL;
    if (bits & LX_O_NOTIFICATION_PIPE)
        return -ENOPKG;
    ret = pipe_create(bits, &r, &w);
    if (ret < 0)
        return ret;
    ret = fds[0] = fdtable_reserve(t->curr.files, 0, cloexec);
    if (ret < 0)
        goto out_files;
    ret = fds[1] = fdtable_reserve(t->curr.files, 0, cloexec);
    if (ret < 0)
        goto out_first;
    ret = copy_out(fildes, fds, sizeof(fds));
    if (ret < 0)
        goto out_second;
    fdtable_publish_take(t->curr.files, fds[0], r);
    fdtable_publish_take(t->curr.files, fds[1], w);
    return 0;
out_second:
    fdtable_cancel(t->curr.files, fds[1]);
out_first:
    fdtable_cancel(t->curr.files, fds[0]);
out_files:
    file_put(r);
    file_put(w);
    return ret;
}

long sys_pipe(struct task *t, uaddr_t pipefd)
{
    return sys_pipe2(t, pipefd, 0);
}
