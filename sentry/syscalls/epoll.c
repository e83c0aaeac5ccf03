/* SPDX-License-Identifier: Apache-2.0 */
/* epoll_create, epoll_ctl, epoll_wait and their variants. */
#include "sentry/fs/epoll/epoll.h"

#include <errno.h>
#include <stdlib.h>

#include "gen/syscall_protos.h"
#include "sentry/core/clock.h"
#include "sentry/core/restart.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/event.h"

enum { EVENTS_ON_STACK = 64 };

long sys_epoll_create1(struct task *t, int flags)
{
    struct file *f;
    long ret;

    if ((uint32_t)flags & ~(uint32_t)LX_EPOLL_CLOEXEC)
        return -EINVAL;
    ret = epoll_create_file(&f);
    if (ret < 0)
        return ret;
    ret = fdtable_install_take(t->curr.files, f, 0, flags & LX_EPOLL_CLOEXEC);
    if (ret < 0)
        file_put(f);
    return ret;
}

long sys_epoll_create(struct task *t, int size)
{
    return size <= 0 ? -EINVAL : sys_epoll_create1(t, 0);
}

long sys_epoll_ctl(struct task *t, int epfd, int op, int fd, uaddr_t event)
{
    struct lx_epoll_event ev = {0};
    struct file *ep, *f;
    long ret;

    if (op != LX_EPOLL_CTL_DEL && get_user(&ev, event) < 0)
        return -EFAULT;
    ret = fdtable_lookup_get(t->curr.files, epfd, &ep);
    if (ret < 0)
        return ret;
    ret = fdtable_lookup_get(t->curr.files, fd, &f);
    if (ret == 0) {
        ret = epoll_ctl(ep, op, fd, f, &ev);
        file_put(f);
    }
    file_put(ep);
    return ret;
}

static long epoll_wait_common(struct task *t, int epfd, uaddr_t events, int max, uint64_t deadline)
{
    struct lx_epoll_event small[EVENTS_ON_STACK], *out = small;
    struct file *f;
    int room = EVENTS_ON_STACK;
    long ret;

    if (max <= 0 || max > INT32_MAX / (int)sizeof(*out))
        return -EINVAL;
    if (events > LX_TASK_SIZE || (uint64_t)max * sizeof(*out) > LX_TASK_SIZE - events)
        return -EFAULT;
    ret = fdtable_lookup_get(t->curr.files, epfd, &f);
    if (ret < 0)
        return ret;
    if (!file_is_epoll(f)) {
        ret = -EINVAL;
        goto out;
    }
    if (max > EVENTS_ON_STACK) {
        int items = epoll_item_count(f);

        if (items > EVENTS_ON_STACK) {
            room = MIN(items, max);
            out = malloc((size_t)room * sizeof(*out));
            if (!out) {
                out = small;
                room = EVENTS_ON_STACK;
            }
        }
    }
    ret = epoll_wait_events(f, out, MIN(max, room), deadline);
    if (ret == -ERESTARTSYS)
        ret = -EINTR; /* Linux: never restarted, whatever SA_RESTART says */
    if (ret > 0 && copy_out(events, out, (size_t)ret * sizeof(*out)) < 0)
        ret = -EFAULT;
    if (out != small)
        free(out);
out:
    file_put(f);
    return ret;
}

static uint64_t deadline_from_ms(int timeout)
{
    if (timeout < 0)
        return NO_DEADLINE;
    return timeout == 0 ? 0 : deadline_after((uint64_t)timeout * 1000000u);
}

long sys_epoll_wait(struct task *t, int epfd, uaddr_t events, int maxevents, int timeout)
{
    return epoll_wait_common(t, epfd, events, maxevents, deadline_from_ms(timeout));
}

long sys_epoll_pwait(struct task *t, int epfd, uaddr_t events, int maxevents, int timeout,
                     uaddr_t sigmask, size_t sigsetsize)
{
    long ret = event_set_mask(t, sigmask, sigsetsize);

    if (ret < 0)
        return ret;
    return epoll_wait_common(t, epfd, events, maxevents, deadline_from_ms(timeout));
}

long sys_epoll_pwait2(struct task *t, int epfd, uaddr_t events, int maxevents, uaddr_t timeout,
                      uaddr_t sigmask, size_t sigsetsize)
{
    uint64_t deadline;
    long ret = event_deadline_from_timespec(timeout, &deadline);

    if (ret == 0)
        ret = event_set_mask(t, sigmask, sigsetsize);
    if (ret < 0)
        return ret;
    return epoll_wait_common(t, epfd, events, maxevents, deadline);
}
