/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open file of a socket: read is recvmsg without flags, write is sendmsg without address. Its inode
 * has one attribute, the name of the protocol, by which lsfd and others tell sockets apart.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/in.h"
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

static struct mappable *socket_mappable(struct file *f)
{
    struct sock *sk = socket_of(f)->sk;

    return sk->ops->mappable ? sk->ops->mappable(sk) : NULL;
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
    .mappable = socket_mappable,
    .release = socket_release,
};

/* ---- the inode ----------------------------------------------------------------------------- */

static const char SOCKPROTONAME[] = "system.sockprotoname";

/* Lifetime: refcounted with the inode. */
struct socket_inode {
    struct inode inode;
    const char *protocol; /* I: static */
};

static const char *inet_protocol_name(const struct sock *sk)
{
    bool v6 = sk->family == LX_AF_INET6;

    switch (sk->type) {
    case LX_SOCK_STREAM:
        return v6 ? "TCPv6" : "TCP";
    case LX_SOCK_RAW:
        return v6 ? "RAWv6" : "RAW";
    default:
        if (sk->protocol == LX_IPPROTO_ICMP || sk->protocol == LX_IPPROTO_ICMPV6)
            return v6 ? "PINGv6" : "PING";
        if (sk->protocol == LX_IPPROTO_UDPLITE)
            return v6 ? "UDPLITEv6" : "UDP-Lite";
        return v6 ? "UDPv6" : "UDP";
    }
}

/* As in /proc/net/protocols. */
static const char *protocol_name(const struct sock *sk)
{
    switch (sk->family) {
    case LX_AF_UNIX:
        return sk->type == LX_SOCK_STREAM ? "UNIX-STREAM" : "UNIX";
    case LX_AF_NETLINK:
        return "NETLINK";
    case LX_AF_PACKET:
        return "PACKET";
    default:
        return inet_protocol_name(sk);
    }
}

/* What of size bytes is asked for; 0 asks how many there are. */
static ssize_t give(void *buf, size_t size, const char *text)
{
    size_t have = strlen(text) + 1;

    if (size > 0 && size < have)
        return -ERANGE;
    if (size > 0)
        memcpy(buf, text, have);
    return (ssize_t)have;
}

static ssize_t socket_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
    if (strcmp(name, SOCKPROTONAME) != 0)
        return -EOPNOTSUPP;
    return give(buf, size, container_of(i, struct socket_inode, inode)->protocol);
}

static ssize_t socket_listxattr(struct inode *i, char *buf, size_t size)
{
    return give(buf, size, SOCKPROTONAME);
}

static void socket_inode_destroy(struct inode *i)
{
    inode_destroy_generic(i);
    free(container_of(i, struct socket_inode, inode));
}

static const struct inode_ops socket_inode_ops = {
    .getxattr = socket_getxattr,
    .listxattr = socket_listxattr,
    .destroy = socket_inode_destroy,
};

static struct inode *socket_inode_new(const struct sock *sk)
{
    const uint32_t mode = 0140777;
    struct socket_inode *si = calloc(1, sizeof(*si));

    if (!si)
        return NULL;
    inode_init(&si->inode, vfs_anon_super(ANON_SOCKFS), &socket_inode_ops, mode);
    inode_init_owner(&si->inode, NULL, mode);
    si->inode.attr.ino = inode_new_ino();
    si->protocol = protocol_name(sk);
    return &si->inode;
}

int socket_file_new_take(struct sock *sk, uint32_t flags, struct file **out)
{
    struct socket *s = calloc(1, sizeof(*s));
    struct inode *inode = s ? socket_inode_new(sk) : NULL;
    int ret;

    if (!inode) {
        free(s);
        return -ENOMEM;
    }
    file_init(&s->file, &socket_file_ops, LX_O_RDWR | (flags & LX_SOCK_NONBLOCK));
    s->file.kind |= FILE_STREAM;
    s->file.wq = &sk->wq;
    s->sk = sk;
    ret = file_set_anon(&s->file, "socket:", 0, inode);
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
