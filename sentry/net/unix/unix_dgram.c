/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of AF_UNIX: SOCK_DGRAM, and the transfer half of SOCK_SEQPACKET. A message is one nbuf.
 *
 * A receiver's queue holds a bounded number of datagrams (max_dgram_qlen). A sender that finds it
 * full leaves a mark with the receiver, for poll as well as for a sleep, and is woken when it
 * drains.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/net/filter.h"
#include "sentry/net/unix/unix.h"

/* Lifetime: unique, on blocked_senders. */
struct unix_waiting {
    struct list node;
    struct unix_sock *sender; /* +1 */
};

void unix_take_blocked_locked(struct unix_sock *u, struct list *out)
{
    ASSERT_HELD(&u->sk.lock);
    list_splice_tail(out, &u->blocked_senders);
}

void unix_wake_blocked(struct list *waiting)
{
    while (!list_empty(waiting)) {
        struct unix_waiting *w = list_first_entry(waiting, struct unix_waiting, node);

        list_del(&w->node);
        sock_wake(&w->sender->sk, WAKE_OUT | WAKE_WRNORM | WAKE_WRBAND);
        sock_put(&w->sender->sk);
        free(w);
    }
}

static bool queue_full_locked(struct unix_sock *to)
{
    return to->rcv_count > (uint32_t)to->sk.netns->unix_qlen;
}

/* Marks that sender waits for room in to's queue; once is enough. */
static int mark_blocked_locked(struct unix_sock *to, struct unix_sock *sender)
{
    struct unix_waiting *w;

    ASSERT_HELD(&to->sk.lock);
    list_for_each_entry(w, &to->blocked_senders, node) {
        if (w->sender == sender)
            return 0;
    }
    w = malloc(sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->sender = unix_of(sock_get(&sender->sk));
    list_add_tail(&to->blocked_senders, &w->node);
    return 0;
}

static uint32_t dgram_poll(struct sock *sk)
{
    struct unix_sock *u = unix_of(sk), *peer;
    bool writable = unix_writable(u);
    uint32_t ev = 0;

    mutex_lock(&sk->lock);
    if (sk->err)
        ev |= WAKE_ERR;
    if (sk->shutdown & SOCK_SHUT_RCV)
        ev |= WAKE_RDHUP | WAKE_IN | WAKE_RDNORM;
    if (sk->shutdown == (SOCK_SHUT_RCV | SOCK_SHUT_SND))
        ev |= WAKE_HUP;
    if (!list_empty(&u->recvq))
        ev |= WAKE_IN | WAKE_RDNORM;
    peer = u->peer && u->peer != u ? unix_of(sock_get(&u->peer->sk)) : NULL;
    mutex_unlock(&sk->lock);
    if (peer) {
        mutex_lock(&peer->sk.lock);
        /* Linux: pairs that are connected to each other do not limit each other's queue. */
        if (peer->peer != u && queue_full_locked(peer) && !peer->dead) {
            writable = false;
            if (mark_blocked_locked(peer, u) < 0)
                writable = true;
        }
        mutex_unlock(&peer->sk.lock);
        sock_put(&peer->sk);
    }
    if (writable)
        ev |= WAKE_OUT | WAKE_WRNORM | WAKE_WRBAND;
    return ev;
}

static int dgram_connect(struct sock *sk, const struct sockaddr_buf *addr, bool nonblock)
{
    struct unix_sock *u = unix_of(sk), *other = NULL, *old;
    struct list stale = LIST_INIT(stale);
    int ret = 0;

    if (addr->family != LX_AF_UNSPEC) {
        ret = unix_check_addr(addr);
        if (ret < 0)
            return ret;
        if ((sk->flags & SOCK_F_PASSCRED) && !u->addr.len) {
            ret = unix_autobind(u);
            if (ret < 0)
                return ret;
        }
        ret = unix_find(sk->netns, addr, sk->type, &other);
        if (ret < 0)
            return ret;
        mutex_lock(&other->sk.lock);
        if (other->dead)
            ret = -ECONNREFUSED;
        else if (other->peer && other->peer != u)
            ret = -EPERM;
        mutex_unlock(&other->sk.lock);
        if (ret < 0) {
            sock_put(&other->sk);
            return ret;
        }
    }
    mutex_lock(&sk->lock);
    old = u->peer;
    u->peer = other;
    /* Linux: changing the peer drops what others sent before. */
    if (old && old != other)
        unix_take_queue_locked(u, &stale);
    mutex_unlock(&sk->lock);
    nbuf_list_free(&stale);
    if (old)
        sock_put(&old->sk);
    return 0;
}

/* ---- sending ------------------------------------------------------------------------------- */

/* Whom the message goes to: +1. */
static int dgram_target(struct unix_sock *u, const struct net_msg *m, struct unix_sock **out)
{
    int ret = 0;

    if (m->addr.len && u->sk.type == LX_SOCK_DGRAM) {
        ret = unix_check_addr(&m->addr);
        return ret < 0 ? ret : unix_find(u->sk.netns, &m->addr, u->sk.type, out);
    }
    mutex_lock(&u->sk.lock);
    if (!u->peer)
        ret = u->sk.shutdown & SOCK_SHUT_SND ? -EPIPE : -ENOTCONN;
    else
        *out = unix_of(sock_get(&u->peer->sk));
    mutex_unlock(&u->sk.lock);
    return ret;
}

/* The connected peer is gone: forget it. */
static int dgram_peer_dead(struct unix_sock *u, struct unix_sock *peer)
{
    bool was = false;

    mutex_lock(&u->sk.lock);
    if (u->peer == peer && u->sk.type == LX_SOCK_DGRAM) {
        u->peer = NULL;
        was = true;
    }
    mutex_unlock(&u->sk.lock);
    if (was)
        sock_put(&peer->sk);
    return u->sk.type == LX_SOCK_SEQPACKET ? -EPIPE : -ECONNREFUSED;
}

/* 0: queued, b consumed; -EAGAIN: full, marked; else an error. */
static int dgram_deliver(struct unix_sock *u, struct unix_sock *to, struct nbuf *b)
{
    bool mutual, dead;
    int ret = 0;

    mutex_lock(&to->sk.lock);
    mutual = to->peer == u;
    dead = to->dead;
    if (dead) {
        ret = -ECONNREFUSED;
    } else if (to->peer && !mutual && u->sk.type == LX_SOCK_DGRAM) {
        ret = -EPERM;
    } else if (to->sk.shutdown & SOCK_SHUT_RCV) {
        ret = -EPIPE;
    } else if (!mutual && to != u && queue_full_locked(to)) {
        ret = mark_blocked_locked(to, u);
        ret = ret < 0 ? ret : -EAGAIN;
    } else {
        ret = b->scm ? scm_enqueue(b->scm, to) : 0;
        if (ret == 0) {
            to->rcv_bytes += b->size;
            to->rcv_count++;
            list_add_tail(&to->recvq, &b->node);
            sock_wake_locked(&to->sk, WAKE_IN | WAKE_RDNORM | WAKE_RDBAND);
        }
    }
    mutex_unlock(&to->sk.lock);
    return dead ? dgram_peer_dead(u, to) : ret;
}

/* The message as a buffer, charged to u. */
static int dgram_fill(struct unix_sock *u, struct net_msg *m, struct nbuf **out)
{
    size_t size = iov_iter_count(m->iter);
    struct nbuf *b;
    int ret;

    if (size > (size_t)u->sk.sndbuf - 32)
        return -EMSGSIZE;
    b = nbuf_new(size);
    if (!b)
        return -ENOMEM;
    ret = scm_from_msg(m, &b->scm);
    if (ret == 0 && copy_from_iter(m->iter, b->data, size) < size)
        ret = -EFAULT;
    if (ret < 0) {
        nbuf_free(b);
        return ret;
    }
    b->size = size;
    b->stamp = clock_realtime();
    mutex_lock(&u->sk.lock);
    if (u->addr.len) {
        b->from = malloc(sizeof(*b->from));
        if (b->from)
            *b->from = u->addr;
    }
    mutex_unlock(&u->sk.lock);
    *out = b;
    return 0;
}

ssize_t unix_dgram_sendmsg(struct sock *sk, struct net_msg *m)
{
    struct unix_sock *u = unix_of(sk), *to = NULL;
    struct sock_wait w;
    struct nbuf *b;
    ssize_t size;
    int ret;

    if (m->flags & LX_MSG_OOB)
        return -EOPNOTSUPP;
    ret = sk->type == LX_SOCK_SEQPACKET ? sock_take_error(sk) : 0;
    if (ret == 0)
        ret = dgram_target(u, m, &to);
    if (ret < 0)
        return ret;
    if ((sk->flags & SOCK_F_PASSCRED) && !u->addr.len)
        ret = unix_autobind(u);
    if (ret == 0)
        ret = dgram_fill(u, m, &b);
    if (ret < 0) {
        sock_put(&to->sk);
        return ret;
    }
    size = (ssize_t)b->size;
    /* Linux: a message that is not wanted is gone, and its sender does not know. */
    if (sock_has_filter(&to->sk) && !sock_filter_bytes(&to->sk, b->data, &b->size)) {
        nbuf_free(b);
        sock_put(&to->sk);
        return size;
    }
    sock_wait_init(&w, sk, WAKE_OUT, sk->sndtimeo, msg_nonblock(m));
    for (;;) {
        if (sk->shutdown & SOCK_SHUT_SND) {
            ret = -EPIPE;
            break;
        }
        if (sk->wmem < sk->sndbuf) {
            if (!b->owner)
                nbuf_charge(b, sk);
            ret = dgram_deliver(u, to, b);
        } else {
            ret = b->owner ? dgram_deliver(u, to, b) : -EAGAIN;
        }
        if (ret != -EAGAIN)
            break;
        ret = sock_wait(&w);
        if (ret < 0)
            break;
    }
    sock_wait_end(&w);
    if (ret < 0)
        nbuf_free(b);
    sock_put(&to->sk);
    return ret < 0 ? ret : size;
}

/* ---- receiving ----------------------------------------------------------------------------- */

/* The message to read: the first, or the one that SO_PEEK_OFF points into. */
static struct nbuf *dgram_pick_locked(struct unix_sock *u, bool peek, size_t *out_skip)
{
    size_t skip = peek && u->sk.peek_off > 0 ? (size_t)u->sk.peek_off : 0;
    struct nbuf *b;

    list_for_each_entry(b, &u->recvq, node) {
        if (skip < b->size || (skip == 0 && b->size == 0)) {
            *out_skip = skip;
            return b;
        }
        skip -= b->size;
    }
    return NULL;
}

static ssize_t dgram_take_locked(struct unix_sock *u, struct net_msg *m, struct nbuf *b,
                                 size_t skip, struct scm **out_scm)
{
    bool peek = m->flags & LX_MSG_PEEK;
    size_t want = MIN(iov_iter_count(m->iter), b->size - skip);
    ssize_t ret;

    if (copy_to_iter(m->iter, b->data + skip, want) < want)
        return -EFAULT;
    ret = (ssize_t)(m->flags & LX_MSG_TRUNC ? b->size - skip : want);
    if (want < b->size - skip)
        m->out_flags |= LX_MSG_TRUNC;
    if (m->want_name && b->from)
        m->addr = *b->from;
    sock_put_timestamp(&u->sk, m, b);
    *out_scm = scm_copy_cred(b->scm);
    if (*out_scm && scm_has_files(b->scm))
        scm_take_files(*out_scm, b->scm, peek);
    if (peek && u->sk.peek_off >= 0)
        u->sk.peek_off += (int)want;
    else if (!peek && u->sk.peek_off > 0)
        u->sk.peek_off = u->sk.peek_off > (int)b->size ? u->sk.peek_off - (int)b->size : 0;
    return ret;
}

ssize_t unix_dgram_recvmsg(struct sock *sk, struct net_msg *m)
{
    struct unix_sock *u = unix_of(sk);
    struct list blocked = LIST_INIT(blocked);
    struct nbuf *b = NULL, *done = NULL;
    struct scm *scm = NULL;
    struct sock_wait w;
    size_t skip = 0;
    ssize_t ret;

    if (m->flags & LX_MSG_OOB)
        return -EOPNOTSUPP;
    sock_wait_init(&w, sk, WAKE_IN | WAKE_RDHUP, sk->rcvtimeo, msg_nonblock(m));
    for (;;) {
        mutex_lock(&sk->lock);
        if (sk->type == LX_SOCK_SEQPACKET && u->state != UNIX_CONNECTED) {
            ret = -ENOTCONN;
        } else {
            b = dgram_pick_locked(u, m->flags & LX_MSG_PEEK, &skip);
            ret = b ? dgram_take_locked(u, m, b, skip, &scm) : sock_take_error(sk);
        }
        if (b && !(m->flags & LX_MSG_PEEK)) {
            list_del(&b->node);
            u->rcv_count--;
            u->rcv_bytes -= b->size;
            done = b;
            if (!queue_full_locked(u))
                unix_take_blocked_locked(u, &blocked);
        }
        if (!b && ret == 0 && (sk->shutdown & SOCK_SHUT_RCV)) {
            mutex_unlock(&sk->lock);
            break;
        }
        mutex_unlock(&sk->lock);
        if (b || ret < 0)
            break;
        ret = sock_wait(&w);
        if (ret < 0)
            break;
    }
    sock_wait_end(&w);
    unix_wake_blocked(&blocked);
    if (done)
        nbuf_free(done);
    if (scm && ret >= 0)
        scm_to_msg(sk, m, scm);
    if (scm)
        scm_free(scm);
    return ret;
}

static int dgram_setsockopt(struct sock *sk, int level, int name, const void *val, uint32_t len)
{
    return level == LX_SOL_SOCKET ? -ENOPROTOOPT : -EOPNOTSUPP;
}

const struct sock_ops g_unix_dgram_ops = {
    .bind = unix_bind,
    .connect = dgram_connect,
    .getname = unix_getname,
    .sendmsg = unix_dgram_sendmsg,
    .recvmsg = unix_dgram_recvmsg,
    .shutdown = unix_shutdown,
    .setsockopt = dgram_setsockopt,
    .getsockopt = unix_getsockopt,
    .poll = dgram_poll,
    .ioctl = unix_ioctl,
    .close = unix_close,
    .destroy = unix_destroy,
};
