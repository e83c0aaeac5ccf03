/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX message queues and the file system that holds their names. mq_overview(7). An ipc namespace
 * owns one instance, reached through a mount namespace of its own that nobody else sees; mount(2)
 * of type "mqueue" shows the same instance.
 */
#pragma once

#include "sentry/abi/mqueue.h"
#include "sentry/fs/vfs.h"

struct lx_sigevent;
struct netns;

/* /proc/sys/fs/mqueue: limits of one namespace. Keys: a atomic */
struct mqueue_limits {
    _Atomic int64_t queues_max, msg_max, msgsize_max, msg_default, msgsize_default; /* a */
};

extern const struct fs_type g_fs_mqueue;

/* Inverted needs, filled by kernel/. */
struct mqueue_ops {
    /* The instance of the caller's ipc namespace, borrowed while the caller stays in it. */
    int (*home)(struct mntns **out);
    /* The netlink socket behind a descriptor, +1: -EBADF, -ENOTSOCK, -EINVAL. */
    int (*notify_sock)(int fd, struct file **out);
    /* Queues a datagram for its reader. */
    void (*notify_send)(struct file *sock, const void *cookie, size_t size);
};
extern const struct mqueue_ops *g_mqueue_ops;

int MUST_CHECK mqueue_fs_new(struct userns *owner, struct mntns **out);
struct mqueue_limits *mqueue_fs_limits(struct mntns *home);

struct mq_open_args {
    const char *name;
    uint32_t flags, mode; /* LX_O_* */
    const struct lx_mq_attr *attr;
};
int MUST_CHECK mqueue_open(struct mntns *home, const struct mq_open_args *a, struct file **out);
int mqueue_unlink(struct mntns *home, const char *name);
/* f: any file; -EBADF when it is no queue or not open for that. deadline: monotonic. */
int mqueue_send(struct file *f, uaddr_t buf, size_t size, uint32_t prio, uint64_t deadline);
ssize_t mqueue_receive(struct file *f, uaddr_t buf, size_t size, uaddr_t out_prio,
                       uint64_t deadline);
/* f NULL: the descriptor was bad, which Linux finds after the event's own errors. ev NULL ends the
 * caller's registration. */
int mqueue_notify(int fd, const struct lx_sigevent *ev);
/* set: only O_NONBLOCK of flags is taken. Either may be NULL. */
int mqueue_getset(struct file *f, const struct lx_mq_attr *set, struct lx_mq_attr *out);
