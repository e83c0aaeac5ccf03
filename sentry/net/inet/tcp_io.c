/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP data transfer on the loopback. A sender fills a buffer from guest memory with no lock held
 * and appends it to its peer's queue; window and send buffer are one number, the bytes that the
 * peer has not read yet. Small writes are joined in the last buffer of the queue, as a stream may.
 *
 * A writer that finds no room sets its nospace flag and looks again; a reader that makes room and
 * sees the flag wakes it. The flag is set before the second look, and bytes are subtracted before
 * the flag is read, so one of the two always notices.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "sentry/fs/fasync.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/inet/tcp.h"
#include "sentry/net/link/link.h"

#define CHUNK_MAX  65536
#define SMALL_MAX  512
#define SMALL_CAP  896
#define AUTO_LIMIT (512u << 10)

static size_t send_buffer(const struct tcp_sock *t)
{
    return t->in.sk.flags & SOCK_F_SNDBUF_LOCK ? (size_t)t->in.sk.sndbuf : AUTO_LIMIT / 2;
}

size_t tcp_send_limit(struct tcp_sock *t, struct tcp_sock *peer)
{
    size_t snd = send_buffer(t);
    size_t rcv =
        peer->in.sk.flags & SOCK_F_RCVBUF_LOCK ? (size_t)peer->in.sk.rcvbuf / 2 : AUTO_LIMIT / 2;

    return snd + rcv;
}

static size_t send_room(struct tcp_sock *t, struct tcp_sock *peer)
{
    size_t limit = tcp_send_limit(t, peer), used = peer->rcv_bytes;

    return used < limit ? limit - used : 0;
}

/* ---- sending -------------------------------------------------------------------------------- */

/* The end that gets our bytes, +1; *out NULL: bytes vanish, the reset is on its way. */
static int send_target(struct tcp_sock *t, struct tcp_sock **out)
{
    struct sock *sk = &t->in.sk;
    int ret = 0;

    *out = NULL;
    mutex_lock(&sk->lock);
    if (sk->err)
        ret = sock_take_error(sk);
    else if ((sk->shutdown & SOCK_SHUT_SND) ||
             (t->state != LX_TCP_ESTABLISHED && t->state != LX_TCP_CLOSE_WAIT))
        ret = -EPIPE;
    else if (t->peer)
        *out = tcp_of(sock_get(&t->peer->in.sk));
    mutex_unlock(&sk->lock);
    return ret;
}

/* The answer to bytes for an end that is gone: a reset of ours. */
static void sent_to_nobody(struct tcp_sock *t)
{
    mutex_lock(&t->in.sk.lock);
    t->in.sk.err = t->state == LX_TCP_CLOSE_WAIT ? EPIPE : ECONNRESET;
    t->in.sk.shutdown = SOCK_SHUT_RCV | SOCK_SHUT_SND;
    t->state = LX_TCP_CLOSE;
    sock_wake_locked(&t->in.sk, WAKE_ALL);
    mutex_unlock(&t->in.sk.lock);
    inet_port_release(&t->in, /*time_wait=*/false);
}

static void mark_urgent_locked(struct tcp_sock *peer, uint8_t byte)
{
    sock_signal_urgent_locked(&peer->in.sk);
    peer->urg_valid = true;
    peer->urg_read = false;
    peer->urg_byte = byte;
    peer->urg_seq = peer->rcv_seq - 1;
}

/* DEVIATION: urgent bytes are not marked as such. */
static int append_filtered_locked(struct tcp_sock *peer, const uint8_t *data, size_t size,
                                  struct nbuf *b)
{
    if (!b) {
        b = nbuf_new(size);
        if (!b)
            return -ENOMEM;
        memcpy(b->data, data, size);
        b->size = size;
    }
    if (tcp_offer_locked(peer, b))
        sock_wake_locked(&peer->in.sk, WAKE_IN | WAKE_RDNORM);
    return 0;
}

/* Puts size bytes of data (or the buffer b) at the end of the peer's queue. */
static int append(struct tcp_sock *peer, const uint8_t *data, size_t size, struct nbuf *b,
                  bool urgent)
{
    struct nbuf *tail;
    int ret = 0;

    mutex_lock(&peer->in.sk.lock);
    if (peer->orphan) {
        ret = -ECONNRESET;
    } else if (tcp_is_filtered_locked(peer)) {
        ret = append_filtered_locked(peer, data, size, b);
        mutex_unlock(&peer->in.sk.lock);
        return ret;
    } else if (!b) {
        tail = list_empty(&peer->recvq) ? NULL : list_last_entry(&peer->recvq, struct nbuf, node);
        if (!tail || tail->cap - tail->size < size) {
            tail = nbuf_new(MAX(size, (size_t)SMALL_CAP));
            if (tail)
                list_add_tail(&peer->recvq, &tail->node);
            else
                ret = -ENOMEM;
        }
        if (ret == 0) {
            memcpy(tail->data + tail->size, data, size);
            tail->size += size;
        }
    } else {
        list_add_tail(&peer->recvq, &b->node);
        data = b->data;
    }
    if (ret == 0) {
        peer->rcv_bytes += size;
        peer->rcv_seq += size;
        peer->bytes_received += size;
        peer->segs_in++;
        if (urgent)
            mark_urgent_locked(peer, data[size - 1]);
        sock_wake_locked(&peer->in.sk, WAKE_IN | WAKE_RDNORM | (urgent ? WAKE_PRI : 0));
    }
    mutex_unlock(&peer->in.sk.lock);
    return ret;
}

/* Moves up to room bytes from the iterator to the peer. Bytes or -errno. */
static ssize_t send_chunk(struct tcp_sock *t, struct tcp_sock *peer, struct net_msg *m, size_t room)
{
    size_t want = MIN(iov_iter_count(m->iter), MIN(room, (size_t)CHUNK_MAX));
    uint8_t small[SMALL_MAX];
    struct nbuf *b = NULL;
    bool urgent;
    size_t got;
    int ret;

    if (want > SMALL_MAX) {
        b = nbuf_new(want);
        if (!b)
            return -ENOMEM;
    }
    got = copy_from_iter(m->iter, b ? b->data : small, want);
    if (b)
        b->size = got;
    if (got == 0) {
        if (b)
            nbuf_free(b);
        return -EFAULT;
    }
    if (link_watched(t->in.sk.netns))
        tcp_show_data(t, peer, b ? b->data : small, got);
    urgent = (m->flags & LX_MSG_OOB) && iov_iter_count(m->iter) == 0;
    ret = append(peer, small, got, b, urgent);
    if (ret < 0) {
        if (b)
            nbuf_free(b);
        return ret;
    }
    netns_count_lo(t->in.sk.netns, got);
    return (ssize_t)got;
}

/* 0: room; -EAGAIN and friends. */
static int wait_room(struct tcp_sock *t, struct tcp_sock *peer, struct sock_wait *w, size_t *out)
{
    int ret;

    for (;;) {
        *out = send_room(t, peer);
        if (*out)
            return 0;
        t->nospace = true;
        *out = send_room(t, peer);
        if (*out)
            return 0;
        if (peer->orphan || t->in.sk.err || (t->in.sk.shutdown & SOCK_SHUT_SND))
            return 0;
        ret = sock_wait(w);
        if (ret < 0)
            return ret;
    }
}

/* MSG_FASTOPEN: connects first. Nobody has a cookie, so the data follows the handshake.
 * Linux (6.18, checked): landlock's rule about TCP connections is not asked on this way. */
static int fastopen_connect(struct sock *sk, const struct net_msg *m)
{
    if (m->addr.len >= sizeof(m->addr.family) && m->addr.family == LX_AF_UNSPEC)
        return -EOPNOTSUPP;
    if (!m->addr.len)
        return tcp_of(sk)->state == LX_TCP_CLOSE ? -EINVAL : -EISCONN;
    return sk->ops->connect(sk, &m->addr, msg_nonblock(m));
}

/* May be out of date: who connects meanwhile is looked at again under the lock. */
RACY_READER static bool is_connecting(const struct tcp_sock *t)
{
    return t->state == LX_TCP_SYN_SENT;
}

ssize_t tcp_sendmsg(struct sock *sk, struct net_msg *m)
{
    struct tcp_sock *t = tcp_of(sk), *peer;
    struct sock_wait w;
    ssize_t done = 0, n;
    size_t room;
    int ret = 0;

    if (m->flags & LX_MSG_FASTOPEN) {
        ret = fastopen_connect(sk, m);
        if (ret < 0)
            return ret;
    }
    if (is_connecting(t)) {
        ret = tcp_wait_connected(t, sk->sndtimeo, msg_nonblock(m));
        if (ret < 0)
            return ret;
    }
    sock_wait_init(&w, sk, WAKE_OUT, sk->sndtimeo, msg_nonblock(m));
    do {
        ret = send_target(t, &peer);
        if (ret < 0 || iov_iter_count(m->iter) == 0) {
            if (peer)
                sock_put(&peer->in.sk);
            break;
        }
        if (!peer) {
            /* As much as the send buffer takes before the reset arrives. */
            done += (ssize_t)MIN(iov_iter_count(m->iter), send_buffer(t));
            sent_to_nobody(t);
            break;
        }
        ret = wait_room(t, peer, &w, &room);
        if (ret == 0 && room) {
            n = send_chunk(t, peer, m, room);
            if (n == -ECONNRESET)
                n = 0;
            if (n < 0)
                ret = (int)n;
            else
                done += n;
        }
        sock_put(&peer->in.sk);
    } while (ret == 0 && iov_iter_count(m->iter) > 0);
    sock_wait_end(&w);
    if (done > 0) {
        t->bytes_sent += (uint64_t)done;
        t->segs_out++;
        return done;
    }
    return ret == -EPIPE ? sock_epipe(m->flags) : ret;
}

/* ---- receiving ------------------------------------------------------------------------------ */

/* Copies (or passes over, MSG_TRUNC) n bytes that begin skip bytes into the queue. */
static size_t queue_copy(struct tcp_sock *t, struct net_msg *m, size_t skip, size_t n)
{
    struct nbuf *b;
    size_t done = 0;

    if (m->flags & LX_MSG_TRUNC)
        return n;
    list_for_each_entry(b, &t->recvq, node) {
        size_t at, want, got;

        if (skip >= nbuf_left(b)) {
            skip -= nbuf_left(b);
            continue;
        }
        at = b->off + skip;
        skip = 0;
        want = MIN(n - done, b->size - at);
        got = copy_to_iter(m->iter, b->data + at, want);
        done += got;
        if (got < want || done == n)
            break;
    }
    return done;
}

static void queue_drop(struct tcp_sock *t, size_t n, struct list *freed)
{
    t->rcv_bytes -= n;
    t->read_seq += n;
    while (n > 0) {
        struct nbuf *b = list_first_entry(&t->recvq, struct nbuf, node);
        size_t take = MIN(n, nbuf_left(b));

        b->off += take;
        n -= take;
        if (nbuf_left(b) == 0) {
            list_del(&b->node);
            list_add_tail(freed, &b->node);
        }
    }
}

struct tcp_read {
    size_t size, done;
    size_t hole;       /* 1: a peek stepped over the urgent byte */
    bool stop;         /* at the urgent mark, or a fault */
    struct list freed; /* buffers to free without the lock */
};

/* Takes what is there. -EFAULT when nothing could be copied. */
static int take_locked(struct tcp_sock *t, struct net_msg *m, struct tcp_read *r)
{
    bool peek = m->flags & LX_MSG_PEEK, inl = t->in.sk.flags & SOCK_F_OOBINLINE;

    ASSERT_HELD(&t->in.sk.lock);
    while (r->done < r->size) {
        size_t skip = peek ? r->done + r->hole : 0, got;
        uint64_t seq = t->read_seq + skip;
        size_t n = MIN(r->size - r->done, (size_t)(t->rcv_seq - seq));

        if (n == 0)
            return 0;
        if (t->urg_valid && t->urg_seq >= seq && t->urg_seq - seq < n) {
            if (t->urg_seq != seq) {
                n = (size_t)(t->urg_seq - seq);
            } else if (r->done) {
                r->stop = true;
                return 0;
            } else if (!inl) {
                /* The byte travels out of band: step over it. */
                r->hole = peek;
                if (!peek) {
                    queue_drop(t, 1, &r->freed);
                    t->urg_valid = false;
                }
                continue;
            }
        }
        got = queue_copy(t, m, skip, n);
        r->done += got;
        if (!peek)
            queue_drop(t, got, &r->freed);
        if (t->urg_valid && t->read_seq > t->urg_seq)
            t->urg_valid = false;
        if (got < n) {
            r->stop = true;
            return r->done ? 0 : -EFAULT;
        }
    }
    return 0;
}

/* Tells a writer that waits for room. t locked. */
static void room_made_locked(struct tcp_sock *t)
{
    struct tcp_sock *peer = t->peer;

    if (!peer || !peer->nospace)
        return;
    if (send_room(peer, t) * 3 >= tcp_send_limit(peer, t) && atomic_exchange(&peer->nospace, false))
        sock_wake(&peer->in.sk, WAKE_OUT | WAKE_WRNORM);
}

static ssize_t recv_oob(struct tcp_sock *t, struct net_msg *m)
{
    ssize_t ret = -EINVAL;
    uint8_t byte = 0;

    mutex_lock(&t->in.sk.lock);
    if (!(t->in.sk.flags & SOCK_F_OOBINLINE) && t->urg_valid && !t->urg_read) {
        byte = t->urg_byte;
        ret = 1;
        if (!(m->flags & LX_MSG_PEEK))
            t->urg_read = true;
    } else if (t->state == LX_TCP_CLOSE && !t->done) {
        ret = -ENOTCONN;
    }
    mutex_unlock(&t->in.sk.lock);
    if (ret < 0)
        return ret;
    m->out_flags |= LX_MSG_OOB;
    if (iov_iter_count(m->iter) == 0) {
        m->out_flags |= LX_MSG_TRUNC;
        return 0;
    }
    return copy_to_iter(m->iter, &byte, 1) == 1 ? 1 : -EFAULT;
}

/* Why there is nothing (more) to read: 0 end of file, -errno; -EAGAIN: wait. t locked. */
static int recv_end_locked(struct tcp_sock *t)
{
    if (t->done)
        return t->in.sk.err && !(t->in.sk.shutdown & SOCK_SHUT_RCV) ? sock_take_error(&t->in.sk)
                                                                    : 0;
    if (t->in.sk.err)
        return sock_take_error(&t->in.sk);
    if (t->in.sk.shutdown & SOCK_SHUT_RCV)
        return 0;
    if (t->state == LX_TCP_CLOSE || t->state == LX_TCP_LISTEN)
        return -ENOTCONN;
    return -EAGAIN;
}

ssize_t tcp_recvmsg(struct sock *sk, struct net_msg *m)
{
    struct tcp_sock *t = tcp_of(sk);
    struct tcp_read r = {.size = iov_iter_count(m->iter), .freed = LIST_INIT(r.freed)};
    size_t target;
    struct sock_wait w;
    int ret;

    if (m->flags & LX_MSG_ERRQUEUE)
        return -EAGAIN;
    if (m->flags & LX_MSG_OOB)
        return recv_oob(t, m);
    target = m->flags & LX_MSG_WAITALL ? r.size : MIN(r.size, (size_t)sk->rcvlowat);
    sock_wait_init(&w, sk, WAKE_IN | WAKE_RDHUP, sk->rcvtimeo, msg_nonblock(m));
    do {
        bool wait = false, rest;

        mutex_lock(&sk->lock);
        ret = t->state == LX_TCP_LISTEN ? -ENOTCONN : take_locked(t, m, &r);
        if (ret == 0 && r.done < MAX(target, (size_t)1) && !r.stop && r.size) {
            ret = recv_end_locked(t);
            wait = ret == -EAGAIN;
            /* An error behind data is for the next call. */
            if (r.done && ret < 0 && !wait)
                sk->err = -ret;
        }
        if (!(m->flags & LX_MSG_PEEK))
            room_made_locked(t);
        rest = t->held_cut && t->read_seq == t->rcv_seq;
        mutex_unlock(&sk->lock);
        nbuf_list_free(&r.freed);
        if (unlikely(rest))
            tcp_offer_rest(t);
        if (!wait)
            break;
        ret = sock_wait(&w);
    } while (ret == 0);
    sock_wait_end(&w);
    return r.done ? (ssize_t)r.done : ret;
}

/* ---- readiness ------------------------------------------------------------------------------ */

static uint32_t poll_out_locked(struct tcp_sock *t)
{
    struct tcp_sock *peer = t->peer;

    if (!peer || (t->in.sk.shutdown & SOCK_SHUT_SND) ||
        send_room(t, peer) * 3 >= tcp_send_limit(t, peer))
        return WAKE_OUT | WAKE_WRNORM;
    t->nospace = true;
    return send_room(t, peer) * 3 >= tcp_send_limit(t, peer) ? WAKE_OUT | WAKE_WRNORM : 0;
}

uint32_t tcp_poll(struct sock *sk)
{
    struct tcp_sock *t = tcp_of(sk);
    uint32_t ev = 0;
    size_t readable;

    mutex_lock(&sk->lock);
    if (t->state == LX_TCP_LISTEN) {
        ev = list_empty(&t->accept_queue) ? 0 : WAKE_IN | WAKE_RDNORM;
        mutex_unlock(&sk->lock);
        return ev;
    }
    if (sk->shutdown == (SOCK_SHUT_RCV | SOCK_SHUT_SND) || t->state == LX_TCP_CLOSE)
        ev |= WAKE_HUP;
    if (sk->shutdown & SOCK_SHUT_RCV)
        ev |= WAKE_IN | WAKE_RDNORM | WAKE_RDHUP;
    if (t->state != LX_TCP_SYN_SENT) {
        readable = (size_t)(t->rcv_seq - t->read_seq);
        if (t->urg_valid && t->urg_seq == t->read_seq && !(sk->flags & SOCK_F_OOBINLINE) &&
            readable)
            readable--;
        if (readable && readable >= (size_t)sk->rcvlowat)
            ev |= WAKE_IN | WAKE_RDNORM;
        ev |= poll_out_locked(t);
        if (t->urg_valid && !t->urg_read)
            ev |= WAKE_PRI;
    }
    if (sk->err)
        ev |= WAKE_ERR;
    mutex_unlock(&sk->lock);
    return ev;
}

long tcp_ioctl(struct sock *sk, uint32_t cmd, uaddr_t arg)
{
    struct tcp_sock *t = tcp_of(sk);
    int v = 0;

    switch (cmd) {
    case LX_SIOCINQ:
        mutex_lock(&sk->lock);
        if (t->state == LX_TCP_LISTEN)
            v = -EINVAL;
        else if (t->urg_valid && t->urg_seq >= t->read_seq && !(sk->flags & SOCK_F_OOBINLINE))
            v = (int)(t->urg_seq - t->read_seq);
        else
            v = (int)(t->rcv_seq - t->read_seq);
        mutex_unlock(&sk->lock);
        return v < 0 ? v : put_user(&v, arg);
    case LX_SIOCATMARK:
        mutex_lock(&sk->lock);
        v = t->urg_valid && t->urg_seq == t->read_seq;
        mutex_unlock(&sk->lock);
        return put_user(&v, arg);
    case LX_SIOCOUTQ:
    case 0x894b: /* SIOCOUTQNSD */
        mutex_lock(&sk->lock);
        if (t->state == LX_TCP_LISTEN)
            v = -EINVAL;
        else if (t->peer && t->peer->rcv_bytes > AUTO_LIMIT / 2)
            v = (int)(t->peer->rcv_bytes - AUTO_LIMIT / 2);
        mutex_unlock(&sk->lock);
        return v < 0 ? v : put_user(&v, arg);
    default:
        return -ENOTTY;
    }
}

void inet_queue_sizes(struct sock *sk, uint32_t *out_rx, uint32_t *out_tx)
{
    *out_tx = 0;
    *out_rx = 0;
    if (!inet_is_tcp(sk)) {
        *out_rx = udp_queued(sk);
        return;
    }
    mutex_lock(&sk->lock);
    *out_rx = tcp_of(sk)->state == LX_TCP_LISTEN
                  ? tcp_of(sk)->accept_count
                  : (uint32_t)(tcp_of(sk)->rcv_seq - tcp_of(sk)->read_seq);
    if (tcp_of(sk)->state == LX_TCP_LISTEN)
        *out_tx = tcp_of(sk)->backlog;
    mutex_unlock(&sk->lock);
}
