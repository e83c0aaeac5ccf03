/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host sockets as endpoints: creation, names, connections, readiness, end. The host socket is
 * non-blocking; a call that has to wait tries, gets EAGAIN, and sleeps in task_block on the
 * endpoint's queue like every other socket of the sentry, so that signals, stops and checkpoints
 * find it there.
 *
 * Privilege is asked twice: of the guest's credentials here (the port below
 * ip_unprivileged_port_start, CAP_NET_RAW), then of the sentry's by the host, which is the wall
 * that counts.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "platform/host/file.h"
#include "platform/host/sock.h"
#include "sentry/core/cred.h"
#include "sentry/core/restart.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/host/host_internal.h"

#define LX_SIOCOUTQNSD 0x894b

int host_sock_error(long ret)
{
    return ret == -EMFILE ? -ENFILE : (int)ret;
}

int host_sock_new_take(struct netns *ns, int family, int type, int protocol, int fd,
                       struct sock **out)
{
    struct host_sock *h = calloc(1, sizeof(*h));

    if (!h) {
        (void)host_close(fd); /* nothing was sent through it */
        return -ENOMEM;
    }
    inet_init(&h->in, &g_host_sock_ops, ns, family, type, protocol);
    atomic_init(&h->fd, fd);
    *out = &h->in.sk;
    return 0;
}

int host_inet_create(struct netns *ns, int family, int type, int protocol, struct sock **out)
{
    int fd;

    /* DEVIATION: multipath TCP does not exist here. */
    if (protocol < 0 || protocol > LX_IPPROTO_RAW)
        return protocol == LX_IPPROTO_MPTCP ? -EPROTONOSUPPORT : -EINVAL;
    switch (type) {
    case LX_SOCK_STREAM:
        if (protocol != 0 && protocol != LX_IPPROTO_TCP)
            return -EPROTONOSUPPORT;
        protocol = LX_IPPROTO_TCP;
        break;
    case LX_SOCK_DGRAM:
        if (protocol == 0)
            protocol = LX_IPPROTO_UDP;
        if (protocol == (family == LX_AF_INET ? LX_IPPROTO_ICMP : LX_IPPROTO_ICMPV6)) {
            if (!netns_may_ping(ns))
                return -EACCES;
        } else if (protocol != LX_IPPROTO_UDP && protocol != LX_IPPROTO_UDPLITE) {
            return -EPROTONOSUPPORT;
        }
        break;
    case LX_SOCK_RAW:
        if (protocol == 0)
            return -EPROTONOSUPPORT;
        if (!cred_ns_capable(curr()->cred, ns->owner, LX_CAP_NET_RAW))
            return -EPERM;
        break;
    default:
        return -ESOCKTNOSUPPORT;
    }
    fd = host_socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    return fd < 0 ? host_sock_error(fd) : host_sock_new_take(ns, family, type, protocol, fd, out);
}

static void host_sock_destroy(struct sock *sk)
{
    ASSERT(host_of(sk)->fd < 0);
    inet_destroy_generic(&host_of(sk)->in);
    free(host_of(sk));
}

/*
 * SO_LINGER with a time: the host's close would sleep in the host, deaf to guest signals. So the
 * host socket is told not to linger, and the wait for the peer's acknowledgement is ours: a look at
 * the send queue with growing pauses, since no event tells that it became empty.
 */
static void linger_wait(struct host_sock *h, int seconds)
{
    uint64_t end = deadline_after((uint64_t)seconds * NSEC_PER_SEC), pause = NSEC_PER_SEC / 1000;
    int queued;

    (void)host_shutdown(h->fd, SHUT_WR); /* not connected: nothing is queued either */
    while (host_sock_ioctl(h->fd, TIOCOUTQ, &queued) == 0 && queued > 0) {
        uint64_t now = clock_monotonic();

        if (now >= end || task_block(MIN(end, now + pause)) == -ERESTARTSYS)
            break;
        pause = MIN(pause * 2, NSEC_PER_SEC / 10);
    }
}

static void host_sock_close(struct sock *sk, bool linger)
{
    struct host_sock *h = host_of(sk);
    struct linger off = {0}, set = {0};
    unsigned size = sizeof(set);
    int fd;

    host_sock_unwatch(h);
    if (sk->type == LX_SOCK_STREAM &&
        host_getsockopt(h->fd, SOL_SOCKET, SO_LINGER, &set, &size) == 0 && set.l_onoff &&
        set.l_linger > 0) {
        (void)host_setsockopt(h->fd, SOL_SOCKET, SO_LINGER, &off,
                              sizeof(off)); /* close is coming */
        if (linger)
            linger_wait(h, MIN(set.l_linger, 3600));
    }
    fd = atomic_exchange(&h->fd, -1);
    (void)host_close(fd); /* nobody is left to be told */
}

/* ---- names ---------------------------------------------------------------------------------- */

static int host_sock_getname(struct sock *sk, bool peer, struct sockaddr_buf *out)
{
    struct host_sock *h = host_of(sk);
    unsigned size = sizeof(out->bytes);
    int ret;

    memset(out, 0, sizeof(*out));
    ret = peer ? host_getpeername(h->fd, out->bytes, &size)
               : host_getsockname(h->fd, out->bytes, &size);
    if (ret == 0)
        out->len = MIN(size, (unsigned)sizeof(out->bytes));
    return ret;
}

static int host_sock_bind(struct sock *sk, const struct sockaddr_buf *addr)
{
    uint16_t port;

    if (addr->len >= sizeof(struct lx_sockaddr_in) && addr->family == sk->family &&
        sk->type != LX_SOCK_RAW) {
        memcpy(&port, addr->bytes + 2, sizeof(port));
        port = ntohs(port);
        if (port && port < sk->netns->unpriv_port &&
            !cred_ns_capable(curr()->cred, sk->netns->owner, LX_CAP_NET_BIND_SERVICE))
            return -EACCES;
    }
    return host_bind(host_of(sk)->fd, addr->bytes, addr->len);
}

/* ---- connections ---------------------------------------------------------------------------- */

/*
 * Linux: connect on a socket that is connecting waits for the outcome and takes it, so asking again
 * after each wake-up gives the result that a blocking connect has, SO_ERROR included, and a call
 * that a signal interrupted goes on when it is restarted.
 */
static int host_sock_connect(struct sock *sk, const struct sockaddr_buf *addr, bool nonblock)
{
    struct host_sock *h = host_of(sk);
    struct sock_wait w;
    int ret, waited;

    sock_wait_init(&w, sk, WAKE_OUT, sk->sndtimeo, nonblock);
    for (;;) {
        ret = host_connect(h->fd, addr->bytes, addr->len);
        if ((ret != -EINPROGRESS && ret != -EALREADY) || nonblock)
            break;
        host_sock_watch(h);
        waited = sock_wait(&w);
        if (waited == -EAGAIN) /* SO_SNDTIMEO */
            waited = -EINPROGRESS;
        if (waited < 0) {
            ret = waited;
            break;
        }
    }
    sock_wait_end(&w);
    return ret;
}

static int host_sock_listen(struct sock *sk, int backlog)
{
    return host_listen(host_of(sk)->fd, backlog);
}

static int host_sock_accept(struct sock *sk, bool nonblock, struct sock **out)
{
    struct host_sock *h = host_of(sk);
    struct sock_wait w;
    int fd, ret;

    sock_wait_init(&w, sk, WAKE_IN, sk->rcvtimeo, nonblock);
    for (;;) {
        fd = host_accept4(h->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd != -EAGAIN)
            break;
        host_sock_watch(h);
        ret = sock_wait(&w);
        if (ret < 0) {
            fd = ret;
            break;
        }
    }
    sock_wait_end(&w);
    if (fd < 0)
        return host_sock_error(fd);
    ret = host_sock_new_take(sk->netns, sk->family, sk->type, (int)sk->protocol, fd, out);
    if (ret == 0) {
        /* What the host does not know of, a child has from its listener. */
        mutex_lock(&sk->lock);
        (*out)->rcvtimeo = sk->rcvtimeo;
        (*out)->sndtimeo = sk->sndtimeo;
        (*out)->rcvlowat = sk->rcvlowat;
        mutex_unlock(&sk->lock);
    }
    return ret;
}

static int host_sock_shutdown(struct sock *sk, int how)
{
    return host_shutdown(host_of(sk)->fd, how); /* whoever sleeps is told by the host's event */
}

/* ---- readiness, ioctl ----------------------------------------------------------------------- */

static uint32_t host_sock_poll(struct sock *sk)
{
    struct host_sock *h = host_of(sk);
    struct pollfd pfd = {.fd = h->fd,
                         .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM |
                                   POLLWRNORM | POLLRDBAND | POLLWRBAND};
    struct timespec zero = {0, 0};
    uint32_t ready = 0;

    host_sock_watch(h);
    if (host_ppoll(&pfd, 1, &zero) > 0)
        ready = (uint16_t)pfd.revents;
    if (sk->err)
        ready |= WAKE_ERR;
    return ready;
}

static void host_sock_signals_wanted(struct sock *sk)
{
    host_sock_watch(host_of(sk));
}

static long host_sock_ioctl_op(struct sock *sk, uint32_t cmd, uaddr_t arg)
{
    int32_t value = 0;
    int ret;

    switch (cmd) {
    case LX_SIOCINQ:
        ret = host_ioctl_fionread(host_of(sk)->fd, &value);
        break;
    case LX_SIOCOUTQ:
    case LX_SIOCATMARK:
    case LX_SIOCOUTQNSD:
        ret = host_sock_ioctl(host_of(sk)->fd, cmd, &value);
        break;
    default:
        return -ENOTTY;
    }
    return ret < 0 ? ret : put_user(&value, arg);
}

const struct sock_ops g_host_sock_ops = {
    .bind = host_sock_bind,
    .connect = host_sock_connect,
    .listen = host_sock_listen,
    .accept = host_sock_accept,
    .getname = host_sock_getname,
    .sendmsg = host_sock_sendmsg,
    .recvmsg = host_sock_recvmsg,
    .shutdown = host_sock_shutdown,
    .setsockopt = host_sock_setsockopt,
    .getsockopt = host_sock_getsockopt,
    .own_socket_level = true,
    .poll = host_sock_poll,
    .ioctl = host_sock_ioctl_op,
    .signals_wanted = host_sock_signals_wanted,
    .close = host_sock_close,
    .destroy = host_sock_destroy,
};
