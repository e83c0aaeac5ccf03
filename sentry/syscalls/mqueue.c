/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX message queues: arguments of mq_open(3) and friends. */
#include <errno.h>

#include "sentry/abi/signal.h"
#include "sentry/abi/time.h"
#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

long sys_mq_open(struct task *t, uaddr_t name, int oflag, uint32_t mode, uaddr_t attr)
{
    struct mq_open_args args = {.flags = (uint32_t)oflag, .mode = mode};
    struct lx_mq_attr copy;
    struct path_arg arg;
    struct mntns *home;
    struct file *f;
    int fd, ret;

    if (attr) {
        if (get_user(&copy, attr) < 0)
            return -EFAULT;
        args.attr = &copy;
    }
    ret = path_arg_init(&arg, name, /*empty_ok=*/false);
    if (ret < 0)
        return ret;
    args.name = arg.s;
    fd = fdtable_reserve(t->curr.files, 0, /*cloexec=*/true);
    ret = fd < 0 ? fd : g_mqueue_ops->home(&home);
    if (ret == 0)
        ret = mqueue_open(home, &args, &f);
    if (ret == 0)
        fdtable_publish_take(t->curr.files, fd, f);
    else if (fd >= 0)
        fdtable_cancel(t->curr.files, fd);
    path_arg_free(&arg);
    return ret < 0 ? ret : fd;
}

long sys_mq_unlink(struct task *t, uaddr_t name)
{
    struct path_arg arg;
    struct mntns *home;
    int ret = path_arg_init(&arg, name, /*empty_ok=*/false);

    (void)t;
    if (ret < 0)
        return ret;
    ret = g_mqueue_ops->home(&home);
    if (ret == 0)
        ret = mqueue_unlink(home, arg.s);
    path_arg_free(&arg);
    return ret;
}

/* Absolute CLOCK_REALTIME as a monotonic deadline; a time before boot is over at once. */
static int deadline_from_user(uaddr_t timeout, uint64_t *out)
{
    struct lx_timespec ts;
    int64_t offset = clock_realtime_offset();
    uint64_t real;

    *out = NO_DEADLINE;
    if (!timeout)
        return 0;
    if (get_user(&ts, timeout) < 0)
        return -EFAULT;
    if (!lx_timespec_valid(&ts))
        return -EINVAL;
    real = lx_timespec_to_ns(&ts);
    *out = (int64_t)real > offset ? real - (uint64_t)offset : 0;
    return 0;
}

long sys_mq_timedsend(struct task *t, int mqdes, uaddr_t msg, size_t msg_len, uint32_t prio,
                      uaddr_t timeout)
{
    struct fd_borrow f;
    uint64_t deadline;
    int ret = deadline_from_user(timeout, &deadline);

    (void)t;
    if (ret < 0)
        return ret;
    if (prio >= LX_MQ_PRIO_MAX)
        return -EINVAL;
    ret = fdtable_borrow(mqdes, &f);
    if (ret < 0)
        return ret;
    ret = mqueue_send(f.file, msg, msg_len, prio, deadline);
    fd_borrow_put(&f);
    return ret;
}

long sys_mq_timedreceive(struct task *t, int mqdes, uaddr_t msg, size_t msg_len, uaddr_t prio,
                         uaddr_t timeout)
{
    struct fd_borrow f;
    uint64_t deadline;
    ssize_t ret = deadline_from_user(timeout, &deadline);

    (void)t;
    if (ret < 0)
        return ret;
    ret = fdtable_borrow(mqdes, &f);
    if (ret < 0)
        return ret;
    ret = mqueue_receive(f.file, msg, msg_len, prio, deadline);
    fd_borrow_put(&f);
    return ret;
}

long sys_mq_notify(struct task *t, int mqdes, uaddr_t notification)
{
    struct lx_sigevent ev;

    (void)t;
    if (!notification)
        return mqueue_notify(mqdes, NULL);
    if (get_user(&ev, notification) < 0)
        return -EFAULT;
    return mqueue_notify(mqdes, &ev);
}

long sys_mq_getsetattr(struct task *t, int mqdes, uaddr_t mqstat, uaddr_t omqstat)
{
    struct lx_mq_attr set, old;
    struct fd_borrow f;
    int ret;

    (void)t;
    if (mqstat) {
        if (get_user(&set, mqstat) < 0)
            return -EFAULT;
        if (set.flags & ~(int64_t)LX_O_NONBLOCK)
            return -EINVAL;
    }
    ret = fdtable_borrow(mqdes, &f);
    if (ret < 0)
        return ret;
    ret = mqueue_getset(f.file, mqstat ? &set : NULL, omqstat ? &old : NULL);
    fd_borrow_put(&f);
    if (ret == 0 && omqstat && put_user(&old, omqstat) < 0)
        ret = -EFAULT;
    return ret;
}
