/* SPDX-License-Identifier: Apache-2.0 */
/* What POSIX message queues need from above: the caller's ipc namespace and netlink sockets. */
#include <errno.h>

#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/kernel/ipc_internal.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/net/netlink/netlink.h"

static int op_home(struct mntns **out)
{
    struct ipcns *ns = curr()->ipcns;
    struct mntns *fresh = NULL;
    int ret;

    if (!ns)
        return -ENODEV;
    mutex_lock(&ns->lock);
    *out = ns->mqueue;
    mutex_unlock(&ns->lock);
    if (*out)
        return 0;
    ret = mqueue_fs_new(ns->owner, &fresh);
    if (ret < 0)
        return ret;
    mutex_lock(&ns->lock);
    if (!ns->mqueue) {
        ns->mqueue = fresh;
        fresh = NULL;
    }
    *out = ns->mqueue;
    mutex_unlock(&ns->lock);
    if (fresh)
        mntns_put(fresh);
    return 0;
}

static int op_notify_sock(int fd, struct file **out)
{
    struct file *f;
    struct sock *sk;
    int ret = fdtable_lookup_get(curr()->files, fd, &f);

    if (ret < 0)
        return ret;
    ret = socket_from_file(f, &sk);
    if (ret == 0 && sk->family != LX_AF_NETLINK)
        ret = -EINVAL;
    if (ret < 0)
        file_put(f);
    else
        *out = f;
    return ret;
}

static void op_notify_send(struct file *f, const void *cookie, size_t size)
{
    struct sock *sk;

    if (socket_from_file(f, &sk) == 0)
        netlink_deliver(sk, cookie, size);
}

const struct mqueue_ops g_kernel_mqueue_ops = {
    .home = op_home,
    .notify_sock = op_notify_sock,
    .notify_send = op_notify_send,
};
