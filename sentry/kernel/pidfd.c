/* SPDX-License-Identifier: Apache-2.0 */
/* pidfds: a file that names a process, or with PIDFD_THREAD a thread, and becomes readable when that has
 * ended. pidfd_open(2). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sentry/abi/fcntl.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/clone.h"
#include "sentry/kernel/kernel_internal.h"

struct pidfd {
    struct file file;
    struct pid *pid; /* I, +1 */
};

static struct pidfd *pidfd_of(const struct file *f)
{
    return container_of(f, struct pidfd, file);
}

bool pidfd_is_thread(const struct file *f)
{
    return f->flags & LX_PIDFD_THREAD;
}

static uint32_t pidfd_poll(struct file *f)
{
    struct pid *p = pidfd_of(f)->pid;
    bool thread = pidfd_is_thread(f);
    uint32_t events = 0;
    struct task *t;

    mutex_lock(&g_taskset.lock);
    t = pid_task_locked(p, thread ? PID_TID : PID_TGID);
    if (!t)
        events = WAKE_IN | WAKE_RDNORM | (p->hashed ? 0 : WAKE_HUP);
    /* Linux: a leader ends for others only when the last thread has. */
    else if (t->k->exit_state != TASK_LIVE && (t->tg->thread_count == 1 || !task_is_leader(t)))
        events = WAKE_IN | WAKE_RDNORM;
    mutex_unlock(&g_taskset.lock);
    return events;
}

static size_t pidfd_fdinfo(struct file *f, char *buf, size_t size)
{
    struct pid *p = pidfd_of(f)->pid;
    int n = snprintf(buf, size, "Pid:\t%d\nNSpid:\t%d\n", p->hashed ? pid_nr(p) : -1,
                     p->hashed ? pid_nr(p) : -1);

    return n < 0 ? 0 : (size_t)n;
}

static void pidfd_release(struct file *f)
{
    struct pidfd *pf = pidfd_of(f);
    struct pid *p = pf->pid;

    file_destroy_generic(f);
    pid_put(p);
    free(pf);
}

static const struct file_ops pidfd_ops = {
    .poll = pidfd_poll,
    .fdinfo = pidfd_fdinfo,
    .release = pidfd_release,
};

int pidfd_create(struct pid *p, uint32_t flags, struct file **out)
{
    struct pidfd *pf = calloc(1, sizeof(*pf));
    int ret;

    if (!pf)
        return -ENOMEM;
    file_init(&pf->file, &pidfd_ops, LX_O_RDWR | flags);
    pf->file.flags |= flags & LX_PIDFD_THREAD; /* F_GETFL shows it */
    pf->file.kind |= FILE_STREAM;
    pf->file.wq = &p->exit_wq;
    pf->pid = pid_get(p);
    ret = file_set_anon(&pf->file, "anon_inode:[pidfd]", 0600, NULL);
    if (ret < 0) {
        file_put(&pf->file);
        return ret;
    }
    *out = &pf->file;
    return 0;
}

struct pid *pidfd_pid(const struct file *f)
{
    return f->ops == &pidfd_ops ? pidfd_of(f)->pid : NULL;
}
