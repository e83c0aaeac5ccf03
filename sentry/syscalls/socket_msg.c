/* SPDX-License-Identifier: Apache-2.0 */
/* send, recv and their message forms. A msghdr is copied in once; what it points to is checked
 * before the protocol is asked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

long sys_sendto(struct task *t, int fd, uaddr_t buf, size_t len, uint32_t flags, uaddr_t addr,
                int addrlen)
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
    if (addr) {
        ret = sockaddr_in(addr, addrlen, &m.addr);
        if (ret < 0)
            goto out;
    }
    m.iter = &it;
    m.flags = call_flags(f, flags & ~MSG_INTERNAL);
    ret = sk->ops->sendmsg(sk, &m);
out:
    file_put(f);
    iov_iter_destroy(&it);
    return ret;
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

static int msghdr_in(uaddr_t addr, struct lx_msghdr *h)
{
    int ret = copy_in(h, addr, sizeof(*h));

    if (ret < 0)
        return ret;
    if (!h->name)
        h->namelen = 0;
    if (h->namelen < 0)
        return -EINVAL;
    h->namelen = MIN(h->namelen, (int32_t)sizeof(struct lx_sockaddr_storage));
    if (h->iovlen > LX_UIO_MAXIOV)
        return -EMSGSIZE;
    return 0;
}

static long send_one(struct file *f, struct sock *sk, uaddr_t addr, uint32_t flags)
{
    struct net_msg m = {0};
    struct lx_msghdr h;
    struct iov_iter it;
    uint8_t small[256], *control = NULL;
    long ret = msghdr_in(addr, &h);

    if (ret < 0)
        return ret;
    if (h.name && h.namelen) {
        ret = sockaddr_in(h.name, h.namelen, &m.addr);
        if (ret < 0)
            return ret;
    }
    ret = iov_iter_init_iovec(&it, h.iov, h.iovlen);
    if (ret < 0)
        return ret;
    if (h.controllen && h.control) {
        control = small;
        if (h.controllen > CONTROL_MAX) {
            ret = -ENOBUFS;
            control = NULL;
        } else if (h.controllen > sizeof(small)) {
            control = malloc(h.controllen);
            ret = control ? 0 : -ENOBUFS;
        }
        if (ret == 0)
            ret = copy_in(control, h.control, h.controllen);
        if (ret < 0)
            goto out;
        m.control = control;
        m.control_size = h.controllen;
    }
    m.iter = &it;
    m.flags = call_flags(f, flags & ~MSG_INTERNAL);
    ret = sk->ops->sendmsg(sk, &m);
out:
    if (control != small)
        free(control);
    iov_iter_destroy(&it);
    return ret;
}

long sys_sendmsg(struct task *t, int fd, uaddr_t msg, uint32_t flags)
{
    struct file *f;
    struct sock *sk;
    long ret;

    if (flags & LX_MSG_CMSG_COMPAT)
        return -EINVAL;
    ret = socket_lookup(fd, &f, &sk);
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

/* The one buffer in place of those of the header, which may have one length at most: 0 is none. */
static int init_one_buffer(struct iov_iter *it, const struct lx_msghdr *h, struct lx_iovec into)
{
    struct lx_iovec limit = {0};

    if (h->iovlen > 1)
        return -EINVAL;
    if (h->iovlen && get_user(&limit, h->iov) < 0)
        return -EFAULT;
    return iov_iter_init_user(it, into.base, limit.len ? MIN(limit.len, into.len) : into.len);
}

/* into: a buffer in place of those of the header, or NULL. */
static long recv_one(struct file *f, struct sock *sk, uaddr_t addr, uint32_t flags,
                     const struct lx_iovec *into)
{
    struct net_msg m = {0};
    struct lx_msghdr h;
    struct iov_iter it;
    long ret = msghdr_in(addr, &h);
    int err;

    if (ret < 0)
        return ret;
    ret = into ? init_one_buffer(&it, &h, *into) : iov_iter_init_iovec(&it, h.iov, h.iovlen);
    if (ret < 0)
        return ret;
    m.iter = &it;
    m.want_name = h.name != 0;
    m.cmsg.limit = h.control ? h.controllen : 0;
    m.flags = call_flags(f, flags & ~MSG_INTERNAL);
    ret = sk->ops->recvmsg(sk, &m);
    if (ret >= 0) {
        err = recv_results(addr, &h, &m, flags);
        ret = err < 0 ? err : ret;
    }
    free(m.cmsg.data);
    iov_iter_destroy(&it);
    return ret;
}

long socket_recvmsg(int fd, uaddr_t msg, uint32_t flags, const struct lx_iovec *into)
{
    struct file *f;
    struct sock *sk;
    long ret;

    if (flags & LX_MSG_CMSG_COMPAT)
        return -EINVAL;
    ret = socket_lookup(fd, &f, &sk);
    if (ret < 0)
        return ret;
    ret = recv_one(f, sk, msg, flags, into);
    file_put(f);
    return ret;
}

long sys_recvmsg(struct task *t, int fd, uaddr_t msg, uint32_t flags)
{
    return socket_recvmsg(fd, msg, flags, /*into=*/NULL);
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

        ret = recv_one(f, sk, at, flags & ~LX_MSG_WAITFORONE, /*into=*/NULL);
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
