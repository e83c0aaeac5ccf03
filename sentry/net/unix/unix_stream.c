/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOCK_STREAM and SOCK_SEQPACKET connections of AF_UNIX: bytes go straight to the peer's queue,
 * charged to the sender until they are read.
 *
 * Linux: a read never joins bytes from before and after a message with descriptors, and with
 * SO_PASSCRED none from different senders.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/net/unix/unix.h"

#define CHUNK_MAX 65536

static uint32_t stream_poll(struct sock *sk)
{
    struct unix_sock *u = unix_of(sk);
    uint32_t ev = 0;

    mutex_lock(&sk->lock);
    if (sk->err)
        ev |= WAKE_ERR;
    if (sk->shutdown == (SOCK_SHUT_RCV | SOCK_SHUT_SND))
        ev |= WAKE_HUP;
    if (sk->shutdown & SOCK_SHUT_RCV)
        ev |= WAKE_RDHUP | WAKE_IN | WAKE_RDNORM;
    if (!list_empty(&u->recvq) || !list_empty(&u->accept_queue))
        ev |= WAKE_IN | WAKE_RDNORM;
    if (u->state == UNIX_CLOSED)
        ev |= WAKE_HUP;
    if (u->state != UNIX_LISTENING && unix_writable(u))
        ev |= WAKE_OUT | WAKE_WRNORM | WAKE_WRBAND;
    mutex_unlock(&sk->lock);
    return ev;
}

/* Waits until u may queue more. */
static int wait_writable(struct unix_sock *u, struct sock_wait *w)
{
    int ret = 0;

    while (u->sk.wmem >= u->sk.sndbuf) {
        if ((u->sk.shutdown & SOCK_SHUT_SND) || u->sk.err)
            return 0;
        ret = sock_wait(w);
        if (ret < 0)
            break;
    }
    return ret;
}

/* Appends b to the peer's queue. -EPIPE, or scm's error. Consumes b on success. */
static int deliver(struct unix_sock *u, struct unix_sock *peer, struct nbuf *b)
{
    int ret = 0;

    mutex_lock(&peer->sk.lock);
    if (peer->dead || (peer->sk.shutdown & SOCK_SHUT_RCV))
        ret = -EPIPE;
    else if (b->scm)
        ret = scm_enqueue(b->scm, peer);
    if (ret == 0) {
        peer->rcv_bytes += nbuf_left(b);
        peer->rcv_count++;
        list_add_tail(&peer->recvq, &b->node);
        sock_wake_locked(&peer->sk, WAKE_IN | WAKE_RDNORM | WAKE_RDBAND);
    }
    mutex_unlock(&peer->sk.lock);
    return ret;
}

static int stream_peer_get(struct unix_sock *u, const struct net_msg *m, struct unix_sock **out)
{
    int ret = 0;

    mutex_lock(&u->sk.lock);
    if (m->addr.len && u->sk.type == LX_SOCK_STREAM)
        ret = u->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
    else if (!u->peer)
        ret = -ENOTCONN;
    else
        *out = unix_of(sock_get(&u->peer->sk));
    mutex_unlock(&u->sk.lock);
    return ret;
}

/* One buffer of up to a chunk from the iterator; scm is taken over when non-NULL. */
static int stream_fill(struct unix_sock *u, struct net_msg *m, struct nbuf **out)
{
    size_t want = MIN(iov_iter_count(m->iter), CHUNK_MAX), got;
    struct nbuf *b;

    want = MIN(want, MAX((size_t)u->sk.sndbuf / 2, (size_t)1024));
    b = nbuf_new(want);
    if (!b)
        return -ENOMEM;
    got = copy_from_iter(m->iter, b->data, want);
    if (got < want) {
        nbuf_free(b);
        return -EFAULT;
    }
    b->size = got;
    nbuf_charge(b, &u->sk);
    *out = b;
    return 0;
}

ssize_t unix_stream_sendmsg(struct sock *sk, struct net_msg *m)
{
    struct unix_sock *u = unix_of(sk), *peer;
    struct scm *scm = NULL;
    struct sock_wait w;
    struct nbuf *b;
    ssize_t done = 0;
    int ret;

    if (m->flags & LX_MSG_OOB)
        return -EOPNOTSUPP;
    ret = scm_from_msg(m, &scm);
    if (ret < 0)
        return ret;
    ret = stream_peer_get(u, m, &peer);
    if (ret < 0) {
        scm_free(scm);
        return ret;
    }
    sock_wait_init(&w, sk, WAKE_OUT, sk->sndtimeo, msg_nonblock(m));
    while (iov_iter_count(m->iter) > 0) {
        struct scm *next = NULL;

        ret = wait_writable(u, &w);
        if (ret == 0 && (sk->shutdown & SOCK_SHUT_SND))
            ret = -EPIPE;
        if (ret < 0)
            break;
        ret = stream_fill(u, m, &b);
        if (ret < 0)
            break;
        b->scm = scm;
        scm = NULL;
        if (iov_iter_count(m->iter) > 0)
            next = scm_copy_cred(b->scm);
        {
            size_t sent = nbuf_left(b);

            ret = deliver(u, peer, b);
            if (ret == 0)
                done += (ssize_t)sent;
            else
                nbuf_free(b);
        }
        if (ret < 0 || (iov_iter_count(m->iter) > 0 && !next)) {
            if (next)
                scm_free(next);
            ret = ret < 0 ? ret : -ENOMEM;
            break;
        }
        scm = next;
    }
    sock_wait_end(&w);
    if (scm)
        scm_free(scm);
    if (ret == 0 && done == 0 && (sk->shutdown & SOCK_SHUT_SND))
        ret = -EPIPE;
    sock_put(&peer->sk);
    if (done > 0)
        return done;
    return ret == -EPIPE ? sock_epipe(m->flags) : ret;
}

/* ---- receiving ----------------------------------------------------------------------------- */

struct stream_read {
    ssize_t done;
    struct scm *scm;   /* owned: identity (and files) of the bytes read so far */
    struct list freed; /* buffers to free without locks */
    size_t skip;       /* bytes to pass over (SO_PEEK_OFF) */
    bool stop;         /* a boundary was reached */
};

/* Copies from the queue until the iterator is full, the queue empty or a boundary. */
static int stream_take_locked(struct unix_sock *u, struct net_msg *m, struct stream_read *r)
{
    bool peek = m->flags & LX_MSG_PEEK;
    struct list *pos, *tmp;

    ASSERT_HELD(&u->sk.lock);
    list_for_each_safe(pos, tmp, &u->recvq) {
        struct nbuf *b = list_entry(pos, struct nbuf, node);
        size_t at = b->off, want, got;

        if (r->skip >= nbuf_left(b)) {
            r->skip -= nbuf_left(b);
            continue;
        }
        at += r->skip;
        r->skip = 0;
        if (r->scm && (u->sk.flags & SOCK_F_PASSCRED) && !scm_same_cred(r->scm, b->scm)) {
            r->stop = true;
            return 0;
        }
        want = MIN(iov_iter_count(m->iter), b->size - at);
        got = copy_to_iter(m->iter, b->data + at, want);
        if (got == 0 && want > 0)
            return r->done ? 0 : -EFAULT;
        r->done += (ssize_t)got;
        if (!r->scm)
            r->scm = scm_copy_cred(b->scm);
        if (r->scm && scm_has_files(b->scm)) {
            scm_take_files(r->scm, b->scm, peek);
            r->stop = true;
        }
        if (!peek) {
            b->off += got;
            u->rcv_bytes -= got;
            if (b->off == b->size) {
                u->rcv_count--;
                list_del(&b->node);
                list_add_tail(&r->freed, &b->node);
            }
        }
        if (got < want || r->stop || iov_iter_count(m->iter) == 0)
            return 0;
    }
    return 0;
}

ssize_t unix_stream_recvmsg(struct sock *sk, struct net_msg *m)
{
    struct unix_sock *u = unix_of(sk);
    bool peek = m->flags & LX_MSG_PEEK;
    struct stream_read r = {.freed = LIST_INIT(r.freed)};
    size_t target, size = iov_iter_count(m->iter);
    struct sock_wait w;
    bool again;
    int ret;

    if (m->flags & LX_MSG_OOB)
        return -EOPNOTSUPP;
    target = m->flags & LX_MSG_WAITALL ? size : MIN(size, (size_t)sk->rcvlowat);
    sock_wait_init(&w, sk, WAKE_IN | WAKE_RDHUP, sk->rcvtimeo, msg_nonblock(m));
    do {
        again = false;
        mutex_lock(&sk->lock);
        r.skip = peek ? (size_t)MAX(sk->peek_off, 0) + (size_t)r.done : 0;
        if (u->state != UNIX_CONNECTED)
            ret = -EINVAL;
        else
            ret = stream_take_locked(u, m, &r);
        if (ret == 0 && !r.stop && r.done < (ssize_t)target) {
            if (sk->err) {
                ret = r.done ? 0 : sock_take_error(sk);
            } else if (!(sk->shutdown & SOCK_SHUT_RCV)) {
                again = true;
            }
        }
        if (ret == 0 && peek && sk->peek_off >= 0 && r.done > 0 && !again)
            sk->peek_off += (int)r.done;
        else if (ret == 0 && !peek && sk->peek_off > 0)
            sk->peek_off = sk->peek_off > r.done ? sk->peek_off - (int)r.done : 0;
        mutex_unlock(&sk->lock);
        nbuf_list_free(&r.freed);
        if (again)
            ret = sock_wait(&w);
    } while (again && ret == 0);
    sock_wait_end(&w);
    if (r.done > 0 || ret == 0) {
        if (r.scm)
            scm_to_msg(sk, m, r.scm);
        if (m->want_name && r.done > 0 && unix_getname(sk, /*peer=*/true, &m->addr) == 0 &&
            m->addr.len <= sizeof(uint16_t))
            m->addr.len = 0;
    }
    if (r.scm)
        scm_free(r.scm);
    return r.done > 0 ? r.done : ret;
}

static int stream_setsockopt(struct sock *sk, int level, int name, const void *val, uint32_t len)
{
    return level == LX_SOL_SOCKET ? -ENOPROTOOPT : -EOPNOTSUPP;
}

const struct sock_ops g_unix_stream_ops = {
    .bind = unix_bind,
    .connect = unix_stream_connect,
    .listen = unix_listen,
    .accept = unix_accept,
    .getname = unix_getname,
    .sendmsg = unix_stream_sendmsg,
    .recvmsg = unix_stream_recvmsg,
    .shutdown = unix_shutdown,
    .setsockopt = stream_setsockopt,
    .getsockopt = unix_getsockopt,
    .poll = stream_poll,
    .ioctl = unix_ioctl,
    .close = unix_close,
    .destroy = unix_destroy,
};

const struct sock_ops g_unix_seqpacket_ops = {
    .bind = unix_bind,
    .connect = unix_stream_connect,
    .listen = unix_listen,
    .accept = unix_accept,
    .getname = unix_getname,
    .sendmsg = unix_dgram_sendmsg,
    .recvmsg = unix_dgram_recvmsg,
    .shutdown = unix_shutdown,
    .setsockopt = stream_setsockopt,
    .getsockopt = unix_getsockopt,
    .poll = stream_poll,
    .ioctl = unix_ioctl,
    .close = unix_close,
    .destroy = unix_destroy,
};
