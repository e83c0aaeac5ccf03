/* SPDX-License-Identifier: Apache-2.0 */
/* send, recv and their message forms. A msghdr is copied in once; what it points to is checked
 * before the protocol is asked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/io_uring.h"
#include "sentry/abi/time.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/socket_internal.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

#define CONTROL_MAX 20480 /* net.core.optmem_max */

/* Flags that only the kernel sets. */
#define MSG_INTERNAL 0x80000000u

static uint32_t call_flags(const struct file *f, uint32_t flags)
{
    return flags | (file_nonblock(f) ? LX_MSG_DONTWAIT : 0);
}

/* to: the address as it was copied in before, or NULL; else addr, if there is one. */
static long send_to(int fd, uaddr_t buf, size_t len, uint32_t flags, const struct sockaddr_buf *to,
                    uaddr_t addr, int addrlen)
{
    struct net_msg m = {0};
    struct iov_iter it;
    struct file *f;
    struct sock *sk;
    long ret = iov_iter_init_user(&it, buf, len);

    if (ret < 0)
        return ret;
    ret = socket_lookup(fd, &f, &sk);
    if (ret < 0)
        return ret;
    if (to)
        m.addr = *to;
    else if (addr)
        ret = sockaddr_in(addr, addrlen, &m.addr);
    if (ret < 0)
        goto out;
    m.iter = &it;
    m.flags = call_flags(f, flags & ~MSG_INTERNAL);
    ret = sk->ops->sendmsg(sk, &m);
out:
    file_put(f);
    iov_iter_destroy(&it);
    return ret;
}

long socket_sendto(int fd, uaddr_t buf, size_t len, uint32_t flags, const struct sockaddr_buf *to)
{
    return send_to(fd, buf, len, flags, to, 0, 0);
}

long sys_sendto(struct task *t, int fd, uaddr_t buf, size_t len, uint32_t flags, uaddr_t addr,
                int addrlen)
{
    return send_to(fd, buf, len, flags, NULL, addr, addrlen);
}

long sys_recvfrom(struct task *t, int fd, uaddr_t buf, size_t len, uint32_t flags, uaddr_t addr,
                  uaddr_t addrlen)
{
    struct net_msg m = {.want_name = addr != 0};
    struct iov_iter it;
    struct file *f;
    struct sock *sk;
    long ret = iov_iter_init_user(&it, buf, len);

    if (ret < 0)
        return ret;
    ret = socket_lookup(fd, &f, &sk);
    if (ret < 0)
        return ret;
    m.iter = &it;
    m.flags = call_flags(f, flags & ~MSG_INTERNAL);
    ret = sk->ops->recvmsg(sk, &m);
    if (ret >= 0 && addr) {
        int err = sockaddr_out(&m.addr, addr, addrlen);

        ret = err < 0 ? err : ret;
    }
    free(m.cmsg.data);
    file_put(f);
    iov_iter_destroy(&it);
    return ret;
}

/* ---- sendmsg -------------------------------------------------------------------------------- */

static int lookup_for(int fd, uint32_t flags, struct file **f, struct sock **sk)
{
    return flags & LX_MSG_CMSG_COMPAT ? -EINVAL : socket_lookup(fd, f, sk);
}

static int msghdr_check(struct lx_msghdr *h)
{
    if (!h->name)
        h->namelen = 0;
    if (h->namelen < 0)
        return -EINVAL;
    h->namelen = MIN(h->namelen, (int32_t)sizeof(struct lx_sockaddr_storage));
    if (h->iovlen > LX_UIO_MAXIOV)
        return -EMSGSIZE;
    return 0;
}

static int msghdr_in(uaddr_t addr, struct lx_msghdr *h)
{
    int ret = copy_in(h, addr, sizeof(*h));

    return ret < 0 ? ret : msghdr_check(h);
}

int socket_msg_in(uaddr_t at, struct socket_msg **out)
{
    struct socket_msg *msg;
    struct lx_msghdr h;
    int ret = copy_in(&h, at, sizeof(h));
    int32_t namelen = h.namelen;

    if (ret == 0)
        ret = msghdr_check(&h);
    if (ret < 0)
        return ret;
    msg = malloc(sizeof(*msg) + h.iovlen * sizeof(msg->iov[0]));
    if (!msg)
        return -ENOMEM;
    *msg = (struct socket_msg){.at = at, .h = h, .namelen = namelen};
    ret = copy_in(msg->iov, h.iov, h.iovlen * sizeof(msg->iov[0]));
    if (ret < 0) {
        free(msg);
        return -EFAULT;
    }
    for (size_t i = 0; i < h.iovlen; i++)
        msg->size += MIN(msg->iov[i].len, LX_MAX_RW_COUNT - msg->size);
    *out = msg;
    return 0;
}

/* it: the bytes; the caller's to destroy. */
static long send_hdr(struct file *f, struct sock *sk, const struct lx_msghdr *h,
                     struct iov_iter *it, uint32_t flags)
{
    struct net_msg m = {.iter = it, .flags = call_flags(f, flags & ~MSG_INTERNAL)};
    uint8_t small[256], *control = NULL;
    long ret = 0;

    if (h->name && h->namelen) {
        ret = sockaddr_in(h->name, h->namelen, &m.addr);
        if (ret < 0)
            return ret;
    }
    if (h->controllen && h->control) {
        control = small;
        if (h->controllen > CONTROL_MAX) {
            ret = -ENOBUFS;
            control = NULL;
        } else if (h->controllen > sizeof(small)) {
            control = malloc(h->controllen);
            ret = control ? 0 : -ENOBUFS;
        }
        if (ret == 0)
            ret = copy_in(control, h->control, h->controllen);
        if (ret < 0)
            goto out;
        m.control = control;
        m.control_size = h->controllen;
    }
    ret = sk->ops->sendmsg(sk, &m);
out:
    if (control != small)
        free(control);
    return ret;
}

static long send_one(struct file *f, struct sock *sk, uaddr_t addr, uint32_t flags)
{
    struct lx_msghdr h;
    struct iov_iter it;
    long ret = msghdr_in(addr, &h);

    if (ret == 0)
        ret = iov_iter_init_iovec(&it, h.iov, h.iovlen);
    if (ret < 0)
        return ret;
    ret = send_hdr(f, sk, &h, &it, flags);
    iov_iter_destroy(&it);
    return ret;
}

long socket_sendmsg(int fd, const struct socket_msg *msg, size_t skip, uint32_t flags)
{
    struct iov_iter it;
    struct file *f;
    struct sock *sk;
    long ret = lookup_for(fd, flags, &f, &sk);

    if (ret < 0)
        return ret;
    ret = iov_iter_init_copied(&it, msg->iov, msg->h.iovlen);
    if (ret == 0) {
        iov_iter_advance(&it, skip);
        ret = send_hdr(f, sk, &msg->h, &it, flags);
        iov_iter_destroy(&it);
    }
    file_put(f);
    return ret;
}

long sys_sendmsg(struct task *t, int fd, uaddr_t msg, uint32_t flags)
{
    struct file *f;
    struct sock *sk;
    long ret = lookup_for(fd, flags, &f, &sk);

    if (ret < 0)
        return ret;
    ret = send_one(f, sk, msg, flags);
    file_put(f);
    return ret;
}

long sys_sendmmsg(struct task *t, int fd, uaddr_t mmsg, uint32_t vlen, uint32_t flags)
{
    struct file *f;
    struct sock *sk;
    uint32_t done = 0;
    long ret;

    if (flags & LX_MSG_CMSG_COMPAT)
        return -EINVAL;
    vlen = MIN(vlen, (uint32_t)LX_UIO_MAXIOV);
    ret = socket_lookup(fd, &f, &sk);
    if (ret < 0)
        return ret;
    while (done < vlen) {
        uaddr_t at = mmsg + (uint64_t)done * sizeof(struct lx_mmsghdr);
        uint32_t len;

        ret = send_one(f, sk, at, flags);
        if (ret < 0)
            break;
        len = (uint32_t)ret;
        ret = put_user(&len, at + offsetof(struct lx_mmsghdr, len));
        if (ret < 0)
            break;
        done++;
        if (task_interrupted())
            break;
    }
    file_put(f);
    return done ? (long)done : ret;
}

/* ---- recvmsg -------------------------------------------------------------------------------- */

static int recv_results(uaddr_t addr, const struct lx_msghdr *h, struct net_msg *m, uint32_t flags)
{
    uint32_t out_flags = m->out_flags | (flags & LX_MSG_CMSG_CLOEXEC);
    uint64_t used = m->cmsg.size;
    int ret = 0;

    if (h->name) {
        int32_t full = (int32_t)m->addr.len, room = MIN(h->namelen, full);

        if (room)
            ret = copy_out(h->name, m->addr.bytes, (size_t)room);
        if (ret == 0)
            ret = put_user(&full, addr + offsetof(struct lx_msghdr, namelen));
    }
    if (ret == 0 && used)
        ret = copy_out(h->control, m->cmsg.data, used);
    if (ret == 0)
        ret = put_user(&out_flags, addr + offsetof(struct lx_msghdr, flags));
    if (ret == 0)
        ret = put_user(&used, addr + offsetof(struct lx_msghdr, controllen));
    return ret;
}

/* it: where the bytes go; the caller's to destroy. */
static long recv_hdr(struct file *f, struct sock *sk, uaddr_t addr, const struct lx_msghdr *h,
                     struct iov_iter *it, uint32_t flags)
{
    struct net_msg m = {.iter = it,
                        .want_name = h->name != 0,
                        .cmsg.limit = h->control ? h->controllen : 0,
                        .flags = call_flags(f, flags & ~MSG_INTERNAL)};
    long ret = sk->ops->recvmsg(sk, &m);

    if (ret >= 0) {
        int err = recv_results(addr, h, &m, flags);

        ret = err < 0 ? err : ret;
    }
    free(m.cmsg.data);
    return ret;
}

static long recv_one(struct file *f, struct sock *sk, uaddr_t addr, uint32_t flags)
{
    struct lx_msghdr h;
    struct iov_iter it;
    long ret = msghdr_in(addr, &h);

    if (ret == 0)
        ret = iov_iter_init_iovec(&it, h.iov, h.iovlen);
    if (ret < 0)
        return ret;
    ret = recv_hdr(f, sk, addr, &h, &it, flags);
    iov_iter_destroy(&it);
    return ret;
}

/* The one buffer in place of the vectors, of which there may be one at most, and its length limits:
 * 0 does not. */
static int limit_buffer(const struct socket_msg *msg, struct lx_iovec *into)
{
    if (msg->h.iovlen > 1)
        return -EINVAL;
    if (msg->h.iovlen && msg->iov[0].len)
        into->len = MIN(into->len, msg->iov[0].len);
    return 0;
}

static int recv_iter(const struct socket_msg *msg, size_t skip, const struct lx_iovec *into,
                     struct iov_iter *it)
{
    struct lx_iovec one;
    int ret;

    if (into) {
        one = *into;
        ret = limit_buffer(msg, &one);
        return ret < 0 ? ret : iov_iter_init_user(it, one.base, one.len);
    }
    ret = iov_iter_init_copied(it, msg->iov, msg->h.iovlen);
    if (ret == 0)
        iov_iter_advance(it, skip);
    return ret;
}

long socket_recvmsg(int fd, const struct socket_msg *msg, size_t skip, uint32_t flags,
                    const struct lx_iovec *into)
{
    struct iov_iter it;
    struct file *f;
    struct sock *sk;
    long ret = lookup_for(fd, flags, &f, &sk);

    if (ret < 0)
        return ret;
    ret = recv_iter(msg, skip, into, &it);
    if (ret == 0) {
        ret = recv_hdr(f, sk, msg->at, &msg->h, &it, flags);
        iov_iter_destroy(&it);
    }
    file_put(f);
    return ret;
}

/* What came, before the bytes. */
static int put_recvmsg_out(const struct socket_msg *msg, const struct net_msg *m, long got,
                           uint32_t flags, uaddr_t at)
{
    const struct lx_io_uring_recvmsg_out out = {
        .namelen = m->addr.len,
        .controllen = (uint32_t)m->cmsg.size,
        .payloadlen = (uint32_t)got,
        .flags = m->out_flags | (flags & LX_MSG_CMSG_CLOEXEC),
    };
    int ret = put_user(&out, at);

    at += sizeof(out);
    if (ret == 0)
        ret = copy_out(at, m->addr.bytes, MIN((uint32_t)msg->namelen, m->addr.len));
    if (ret == 0 && m->cmsg.size)
        ret = copy_out(at + (uint32_t)msg->namelen, m->cmsg.data, m->cmsg.size);
    return ret;
}

static long recv_out(struct file *f, struct sock *sk, const struct socket_msg *msg, uint32_t flags,
                     struct lx_iovec into, bool *out_last)
{
    struct net_msg m = {.want_name = msg->namelen > 0,
                        .cmsg.limit = msg->h.controllen,
                        .flags = call_flags(f, flags & ~MSG_INTERNAL)};
    struct iov_iter it;
    uint64_t before;
    long ret = limit_buffer(msg, &into);

    if (ret < 0)
        return ret;
    if (msg->namelen < 0 || msg->h.controllen > INT32_MAX)
        return -EOVERFLOW;
    before = sizeof(struct lx_io_uring_recvmsg_out) + (uint64_t)msg->namelen + msg->h.controllen;
    if (before > into.len)
        return -EFAULT;
    ret = iov_iter_init_user(&it, into.base + before, into.len - before);
    if (ret < 0)
        return ret;
    m.iter = &it;
    ret = sk->ops->recvmsg(sk, &m);
    *out_last = ret <= 0;
    if (ret >= 0) {
        int err = put_recvmsg_out(msg, &m, ret, flags, into.base);

        ret = err < 0 ? err : (long)(before + MIN((uint64_t)ret, into.len - before));
    }
    free(m.cmsg.data);
    iov_iter_destroy(&it);
    return ret;
}

long socket_recvmsg_out(int fd, const struct socket_msg *msg, uint32_t flags, struct lx_iovec into,
                        bool *out_last)
{
    struct file *f;
    struct sock *sk;
    long ret = socket_lookup(fd, &f, &sk);

    if (ret < 0)
        return ret;
    ret = recv_out(f, sk, msg, flags, into, out_last);
    file_put(f);
    return ret;
}

long sys_recvmsg(struct task *t, int fd, uaddr_t msg, uint32_t flags)
{
    struct file *f;
    struct sock *sk;
    long ret = lookup_for(fd, flags, &f, &sk);

    if (ret < 0)
        return ret;
    ret = recv_one(f, sk, msg, flags);
    file_put(f);
    return ret;
}

/* The timeout of recvmmsg is looked at between messages only, as in Linux. */
static long recv_many(struct file *f, struct sock *sk, uaddr_t mmsg, uint32_t vlen, uint32_t flags,
                      uint64_t deadline)
{
    uint32_t done = 0;
    long ret = 0;

    while (done < vlen) {
        uaddr_t at = mmsg + (uint64_t)done * sizeof(struct lx_mmsghdr);
        uint32_t len;

        ret = recv_one(f, sk, at, flags & ~LX_MSG_WAITFORONE);
        if (ret < 0)
            break;
        len = (uint32_t)ret;
        ret = put_user(&len, at + offsetof(struct lx_mmsghdr, len));
        if (ret < 0)
            break;
        done++;
        if (flags & LX_MSG_WAITFORONE)
            flags |= LX_MSG_DONTWAIT;
        if (deadline != NO_DEADLINE && clock_monotonic() >= deadline)
            break;
    }
    if (!done)
        return ret;
    /* Linux: an error after the first message is kept for the next call. */
    if (ret < 0 && ret != -EAGAIN && ret > -512)
        sk->err = (int)-ret;
    return done;
}

long sys_recvmmsg(struct task *t, int fd, uaddr_t mmsg, uint32_t vlen, uint32_t flags,
                  uaddr_t timeout)
{
    uint64_t deadline = NO_DEADLINE, now;
    struct lx_timespec ts = {0};
    struct file *f;
    struct sock *sk;
    long ret;

    if (flags & LX_MSG_CMSG_COMPAT)
        return -EINVAL;
    if (timeout) {
        ret = get_user(&ts, timeout);
        if (ret < 0)
            return ret;
        if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= (int64_t)NSEC_PER_SEC)
            return -EINVAL;
        deadline = (uint64_t)ts.sec >= INT64_MAX / NSEC_PER_SEC
                       ? NO_DEADLINE
                       : deadline_after((uint64_t)ts.sec * NSEC_PER_SEC + (uint64_t)ts.nsec);
    }
    vlen = MIN(vlen, (uint32_t)LX_UIO_MAXIOV);
    ret = socket_lookup(fd, &f, &sk);
    if (ret < 0)
        return ret;
    ret = sock_take_error(sk);
    if (ret == 0)
        ret = recv_many(f, sk, mmsg, vlen, flags, deadline);
    file_put(f);
    if (timeout && ret > 0) {
        now = clock_monotonic();
        now = deadline > now ? deadline - now : 0;
        if (deadline != NO_DEADLINE) {
            ts.sec = (int64_t)(now / NSEC_PER_SEC);
            ts.nsec = (int64_t)(now % NSEC_PER_SEC);
        }
        if (put_user(&ts, timeout) < 0)
            ret = -EFAULT;
    }
    return ret;
}
