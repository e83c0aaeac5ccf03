/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints: life cycle, waking, the wait loop of blocking calls, and which families exist. */
#include "sentry/net/sock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/in.h"
#include "sentry/core/restart.h"
#include "sentry/fs/fasync.h"
#include "sentry/fs/security.h"
#include "sentry/net/filter.h"
#include "sentry/net/inet/inet.h"
#include "sentry/net/link/link.h"
#include "sentry/net/net_tables.h"
#include "sentry/net/netlink/netlink.h"
#include "sentry/net/unix/unix.h"

static atomic_ullong next_cookie = 1;

void sock_init(struct sock *sk, const struct sock_ops *ops, struct netns *ns, int family, int type,
               int protocol)
{
    refs_init(&sk->refs);
    sk->ops = ops;
    sk->netns = netns_get(ns);
    sk->family = (uint16_t)family;
    sk->type = (uint16_t)type;
    sk->protocol = (uint32_t)protocol;
    sk->uid = curr()->cred->fsuid;
    waitq_init(&sk->wq);
    mutex_init(&sk->lock, RANK_SOCK);
    sk->sndbuf = sk->rcvbuf = SOCK_DEFAULT_BUF;
    sk->rcvtimeo = sk->sndtimeo = NO_DEADLINE;
    sk->rcvlowat = 1;
    sk->peek_off = -1;
    sk->pacing_rate = ~0ull;
    sk->cookie = atomic_fetch_add(&next_cookie, 1);
    mutex_lock(&ns->socks_lock);
    list_add_tail(&ns->socks, &sk->netns_node);
    mutex_unlock(&ns->socks_lock);
}

void sock_destroy_generic(struct sock *sk)
{
    mutex_lock(&sk->netns->socks_lock);
    list_del(&sk->netns_node);
    mutex_unlock(&sk->netns->socks_lock);
    pid_put(sk->peer_pid);
    if (sk->peer_cred)
        cred_put(sk->peer_cred);
    filter_destroy(sk);
    waitq_destroy(&sk->wq);
    mutex_destroy(&sk->lock);
    netns_put(sk->netns);
}

struct sock *sock_get(struct sock *sk)
{
    refs_get(&sk->refs);
    return sk;
}

void sock_put(struct sock *sk)
{
    if (refs_put(&sk->refs))
        sk->ops->destroy(sk);
}

void sock_lock_pair(struct sock *a, struct sock *b)
{
    if (b)
        mutex_lock_pair(&a->lock, &b->lock);
    else
        mutex_lock(&a->lock);
}

void sock_unlock_pair(struct sock *a, struct sock *b)
{
    if (b)
        mutex_unlock_pair(&a->lock, &b->lock);
    else
        mutex_unlock(&a->lock);
}

void sock_wake(struct sock *sk, uint32_t events)
{
    waitq_wake(&sk->wq, events);
}

void sock_wake_locked(struct sock *sk, uint32_t events)
{
    ASSERT_HELD(&sk->lock);
    waitq_wake(&sk->wq, events);
    if (sk->file && sk->file->fasync)
        file_kill_fasync(sk->file, /*code=*/events & WAKE_IN ? 1
                                   : events & WAKE_PRI       ? 5
                                                             : 2,
                         events);
}

int sock_take_error(struct sock *sk)
{
    if (!sk->err)
        return 0;
    return -atomic_exchange(&sk->err, 0);
}

void sock_signal_urgent_locked(struct sock *sk)
{
    struct file_owner owner;

    ASSERT_HELD(&sk->lock);
    if (!sk->file || !sk->file->fasync)
        return;
    file_get_owner(sk->file, &owner);
    if (owner.pid)
        g_pid_ops->signal(owner.pid, owner.kind, SIGURG, NULL);
    pid_put(owner.pid);
}

void sock_set_peer_cred_locked(struct sock *sk, struct pid *pid, struct cred *cred)
{
    pid_put(sk->peer_pid);
    if (sk->peer_cred)
        cred_put(sk->peer_cred);
    sk->peer_pid = pid_get(pid);
    sk->peer_cred = cred ? cred_get(cred) : NULL;
}

int sock_epipe(uint32_t msg_flags)
{
    if (!(msg_flags & LX_MSG_NOSIGNAL))
        g_curr_ops->raise_thread(SIGPIPE);
    return -EPIPE;
}

void sock_wait_init(struct sock_wait *w, struct sock *sk, uint32_t events, uint64_t timeo,
                    bool nonblock)
{
    waiter_init(&w->waiter, events | WAKE_ERR | WAKE_HUP);
    w->wq = &sk->wq;
    w->timeo = timeo;
    w->nonblock = nonblock || timeo == 0;
    w->joined = false;
    w->deadline = 0;
}

int sock_wait(struct sock_wait *w)
{
    int ret;

    if (w->nonblock)
        return -EAGAIN;
    if (!w->joined) {
        w->joined = true;
        w->deadline = w->timeo == NO_DEADLINE ? NO_DEADLINE : deadline_after(w->timeo);
        waitq_add(w->wq, &w->waiter);
        return 0;
    }
    ret = task_block(w->deadline);
    if (ret == -ETIMEDOUT)
        return -EAGAIN;
    /* Linux: a restart would start the timeout anew, so a call with one is not restarted. */
    if (ret == -ERESTARTSYS && w->timeo != NO_DEADLINE)
        return -EINTR;
    return ret;
}

void sock_wait_end(struct sock_wait *w)
{
    if (w->joined)
        waitq_remove(w->wq, &w->waiter);
}

ssize_t sock_recv_queued(struct sock *sk, struct net_msg *m, const struct sock_queue *q)
{
    struct nbuf *b, *done = NULL;
    struct sock_wait w;
    ssize_t ret;

    sock_wait_init(&w, sk, WAKE_IN, sk->rcvtimeo, msg_nonblock(m));
    for (;;) {
        mutex_lock(&sk->lock);
        b = list_empty(q->head) ? NULL : list_first_entry(q->head, struct nbuf, node);
        ret = sock_take_error(sk);
        if (ret == 0 && b) {
            ret = q->take(sk, m, b);
            if (!(m->flags & LX_MSG_PEEK)) {
                list_del(&b->node);
                q->gone(sk, b);
                done = b;
            }
        } else if (ret == 0 && !(sk->shutdown & SOCK_SHUT_RCV)) {
            ret = -EAGAIN;
        }
        mutex_unlock(&sk->lock);
        if (ret != -EAGAIN)
            break;
        ret = sock_wait(&w);
        if (ret < 0)
            break;
    }
    sock_wait_end(&w);
    if (done)
        nbuf_free(done);
    return ret;
}

int sock_create(struct netns *ns, int family, int type, int protocol, struct sock **out)
{
    if (family < 0 || family >= LX_AF_MAX)
        return -EAFNOSUPPORT;
    if (type < 0 || type >= LX_SOCK_MAX)
        return -EINVAL;
    switch (family) {
    case LX_AF_UNIX:
        return unix_create(ns, type, protocol, out);
    case LX_AF_INET:
    case LX_AF_INET6:
        return inet_create(ns, family, type, protocol, out);
    case LX_AF_NETLINK:
        return netlink_create(ns, type, protocol, out);
    case LX_AF_PACKET:
        return packet_create(ns, type, protocol, out);
    default:
        return -EAFNOSUPPORT;
    }
}

/* ---- bind and connect ----------------------------------------------------------------------- */

/* Linux: addresses that the protocol will refuse are left to its own errno. */
static int check_tcp(struct sock *sk, const struct sockaddr_buf *a, bool connect)
{
    struct lx_sockaddr_in in;
    uint32_t size = a->family == LX_AF_INET6 ? LX_SIN6_LEN_RFC2133 : sizeof(in);

    if (security_idle() || sk->type != LX_SOCK_STREAM || sk->protocol != LX_IPPROTO_TCP ||
        (sk->family != LX_AF_INET && sk->family != LX_AF_INET6))
        return 0;
    if (a->len < sizeof(a->family))
        return -EINVAL;
    if (a->family != LX_AF_UNSPEC && a->family != LX_AF_INET && a->family != LX_AF_INET6)
        return 0;
    if (a->len < size)
        return -EINVAL;
    memcpy(&in, a->bytes, sizeof(in)); /* the port is at the same place in both */
    if (a->family != LX_AF_UNSPEC && a->family != sk->family)
        return -EINVAL;
    if (a->family == LX_AF_UNSPEC && connect)
        return 0; /* ends a connection */
    if (a->family == LX_AF_UNSPEC && in.addr)
        return -EAFNOSUPPORT;
    return security_tcp(connect, __builtin_bswap16(in.port));
}

int sock_bind(struct sock *sk, const struct sockaddr_buf *addr)
{
    int ret = check_tcp(sk, addr, /*connect=*/false);

    if (ret < 0)
        return ret;
    return sk->ops->bind ? sk->ops->bind(sk, addr) : -EOPNOTSUPP;
}

int sock_connect(struct sock *sk, const struct sockaddr_buf *addr, bool nonblock)
{
    int ret = check_tcp(sk, addr, /*connect=*/true);

    if (ret < 0)
        return ret;
    return sk->ops->connect ? sk->ops->connect(sk, addr, nonblock) : -EOPNOTSUPP;
}
