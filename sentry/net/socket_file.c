/* SPDX-License-Identifier: Apache-2.0 */
/* The open file of a socket: read is recvmsg without flags, write is sendmsg without address. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/net_tables.h"
#include "sentry/net/sock.h"

static const struct file_ops socket_file_ops;

static struct socket *socket_of(struct file *f)
{
    return container_of(f, struct socket, file);
}

int socket_from_file(struct file *f, struct sock **out)
{
    if (f->ops != &socket_file_ops)
        return -ENOTSOCK;
    *out = socket_of(f)->sk;
    return 0;
}

static ssize_t socket_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    struct net_msg m = {.iter = dst, .flags = file_nonblock(f) ? LX_MSG_DONTWAIT : 0};
    struct sock *sk = socket_of(f)->sk;
    ssize_t ret;

    /* Linux: a read of nothing does not touch the protocol. */
    if (iov_iter_count(dst) == 0)
        return 0;
    ret = sk->ops->recvmsg(sk, &m);
    free(m.cmsg.data);
    return ret;
}

static ssize_t socket_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    struct net_msg m = {.iter = src, .flags = file_nonblock(f) ? LX_MSG_DONTWAIT : 0};
    struct sock *sk = socket_of(f)->sk;

    if (sk->type == LX_SOCK_SEQPACKET)
        m.flags |= LX_MSG_EOR;
    return sk->ops->sendmsg(sk, &m);
}

static uint32_t socket_poll(struct file *f)
{
    struct sock *sk = socket_of(f)->sk;

    return sk->ops->poll(sk);
}

static long socket_ioctl(struct file *f, uint32_t cmd, uaddr_t arg)
{
    struct sock *sk = socket_of(f)->sk;
    long ret = sk->ops->ioctl ? sk->ops->ioctl(sk, cmd, arg) : -ENOTTY;

    if (ret == -ENOTTY)
        ret = sock_ioctl_generic(sk, cmd, arg);
    if (ret == -ENOTTY)
        ret = netdev_ioctl(sk->netns, cmd, arg);
    return ret;
}

static void socket_owner_set(struct file *f)
{
    struct sock *sk = socket_of(f)->sk;

    if (sk->ops->signals_wanted)
        sk->ops->signals_wanted(sk);
}

static void socket_release(struct file *f)
{
    struct socket *s = socket_of(f);
    struct sock *sk = s->sk;

    mutex_lock(&sk->lock);
    sk->file = NULL;
    mutex_unlock(&sk->lock);
    file_destroy_generic(f);
    free(s);
    /* Who exits does not linger (and has no mm any more): nothing could interrupt it. */
    sk->ops->close(sk, /*linger=*/curr()->mm != NULL);
    sock_put(sk);
}

static const struct file_ops socket_file_ops = {
    .read = socket_read,
    .write = socket_write,
    .poll = socket_poll,
    .ioctl = socket_ioctl,
    .owner_set = socket_owner_set,
    .release = socket_release,
};

int socket_file_new_take(struct sock *sk, uint32_t flags, struct file **out)
{
    struct socket *s = calloc(1, sizeof(*s));
    int ret;

    if (!s)
        return -ENOMEM;
    file_init(&s->file, &socket_file_ops, LX_O_RDWR | (flags & LX_SOCK_NONBLOCK));
    s->file.kind |= FILE_STREAM;
    s->file.wq = &sk->wq;
    s->sk = sk;
    ret = file_set_anon(&s->file, "socket:", 0140777, NULL);
    if (ret < 0) {
        file_destroy_generic(&s->file);
        free(s);
        return ret;
    }
    mutex_lock(&sk->lock);
    sk->ino = s->file.inode->attr.ino;
    sk->file = &s->file;
    mutex_unlock(&sk->lock);
    *out = &s->file;
    return 0;
}
