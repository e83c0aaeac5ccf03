/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP between two programs of one namespace, without packets: connect finds the listener in the
 * port table and links two endpoints; each writes straight into the other's receive queue. What
 * programs can observe of TCP is kept: states, backlog, half close, reset, TIME_WAIT, urgent data.
 * tcp(7).
 *
 * Endpoints point at each other (+1) only while both have an open file. When one side closes, both
 * pointers go: the side that stays knows the rest from its own fields (done, peer_lost). So no
 * cycle of references survives, and a closed endpoint costs nothing but a TIME_WAIT entry in the
 * port table.
 *
 * Locks: two endpoints in address order; the port table's lock is taken with none of them held.
 */
#include "sentry/net/inet/tcp.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/core/restart.h"
#include "sentry/net/filter.h"
#include "sentry/net/link/link.h"

#define CONNECT_TIMEOUT (127 * NSEC_PER_SEC) /* 6 retries of a SYN */

static int tcp_alloc(struct netns *ns, int family, int protocol, struct tcp_sock **out)
{
    struct tcp_sock *t = calloc(1, sizeof(*t));

    if (!t)
        return -ENOMEM;
    inet_init(&t->in, &g_tcp_ops, ns, family, LX_SOCK_STREAM, protocol);
    t->in.sk.sndbuf = 16384;
    t->in.sk.rcvbuf = 131072;
    t->state = LX_TCP_CLOSE;
    list_init(&t->recvq);
    list_init(&t->held);
    list_init(&t->accept_queue);
    list_init(&t->accept_node);
    list_init(&t->syn_queue);
    list_init(&t->syn_node);
    t->keepidle = 7200;
    t->keepintvl = 75;
    t->keepcnt = 9;
    t->syncnt = 6;
    t->linger2 = 60;
    t->quickack = 1;
    strcpy(t->congestion, "cubic");
    *out = t;
    return 0;
}

int tcp_create(struct netns *ns, int family, int protocol, struct sock **out)
{
    struct tcp_sock *t;
    int ret = tcp_alloc(ns, family, protocol, &t);

    if (ret == 0)
        *out = &t->in.sk;
    return ret;
}

static void tcp_destroy(struct sock *sk)
{
    struct tcp_sock *t = tcp_of(sk);

    ASSERT(!t->peer && !t->listener && list_empty(&t->recvq) && list_empty(&t->held));
    inet_destroy_generic(&t->in);
    free(t);
}

enum lx_tcp_state tcp_state(struct sock *sk)
{
    return tcp_of(sk)->state;
}

/* ---- listening ------------------------------------------------------------------------------ */

static int tcp_listen(struct sock *sk, int backlog)
{
    struct tcp_sock *t = tcp_of(sk);
    enum lx_tcp_state state;
    int ret = 0;

    mutex_lock(&sk->lock);
    state = t->state;
    if ((state != LX_TCP_CLOSE && state != LX_TCP_LISTEN) || t->in.rport)
        ret = -EINVAL;
    mutex_unlock(&sk->lock);
    if (ret < 0)
        return ret;
    if (state == LX_TCP_CLOSE) {
        if (!t->in.lport)
            ret = inet_port_bind(&t->in, 0);
        if (ret == 0)
            ret = inet_port_listen(&t->in);
        if (ret < 0)
            return ret;
    }
    mutex_lock(&sk->lock);
    t->state = LX_TCP_LISTEN;
    t->backlog = (uint32_t)backlog;
    sk->shutdown = 0;
    mutex_unlock(&sk->lock);
    return 0;
}

/* ---- connecting ----------------------------------------------------------------------------- */

/* The server's end of a connection from c. */
static int child_new(struct tcp_sock *listener, struct tcp_sock *c, struct tcp_sock **out)
{
    struct sock *lsk = &listener->in.sk;
    struct tcp_sock *t;
    int ret = tcp_alloc(lsk->netns, lsk->family, (int)lsk->protocol, &t);

    if (ret < 0)
        return ret;
    t->state = LX_TCP_ESTABLISHED;
    t->in.laddr = c->in.raddr;
    t->in.lport = c->in.rport;
    t->in.raddr = c->in.laddr;
    t->in.rport = c->in.lport;
    t->in.sk.uid = lsk->uid;
    t->in.sk.flags = lsk->flags & ~(SOCK_F_FILTER | SOCK_F_LOCK_FILTER);
    t->in.sk.sndbuf = (int)lsk->sndbuf;
    t->in.sk.rcvbuf = (int)lsk->rcvbuf;
    t->in.sk.linger = lsk->linger;
    t->in.sk.priority = lsk->priority;
    t->in.sk.mark = lsk->mark;
    t->in.sk.rcvtimeo = lsk->rcvtimeo;
    t->in.sk.sndtimeo = lsk->sndtimeo;
    t->in.tos = listener->in.tos;
    t->in.ttl = listener->in.ttl;
    t->in.v6only = listener->in.v6only;
    t->nodelay = listener->nodelay;
    t->keepidle = listener->keepidle;
    t->keepintvl = listener->keepintvl;
    t->keepcnt = listener->keepcnt;
    t->user_timeout = listener->user_timeout;
    t->maxseg = listener->maxseg;
    memcpy(t->congestion, listener->congestion, sizeof(t->congestion));
    inet_port_share(&t->in);
    *out = t;
    return 0;
}

/* Buffers grow to loopback's usual size once connected, unless the program fixed them. */
static void buffers_established(struct sock *sk)
{
    if (!(sk->flags & SOCK_F_SNDBUF_LOCK))
        sk->sndbuf = 2626560;
}

/* Drops the tie of an endpoint that never got a file. */
static void child_discard(struct tcp_sock *child)
{
    inet_port_release(&child->in, /*time_wait=*/false);
    sock_put(&child->in.sk);
}

/* Linux: a SYN that the listener's filter refuses comes again, as one that finds no room. */
static bool takes_syn_locked(struct tcp_sock *c, struct tcp_sock *listener)
{
    struct tcp_ends e;

    tcp_ends_get_locked(c, &e);
    return tcp_takes_syn_locked(listener, &e);
}

/*
 * One attempt to be taken by the listener. 0: connected; -EAGAIN: its queue is full and c waits on
 * syn_queue; -ECONNREFUSED. c is in SYN_SENT.
 */
static int try_establish(struct tcp_sock *c, struct tcp_sock *listener)
{
    struct sock *csk = &c->in.sk, *lsk = &listener->in.sk;
    struct tcp_sock *child;
    int ret = child_new(listener, c, &child);

    if (ret < 0)
        return ret;
    sock_lock_pair(csk, lsk);
    if (c->state != LX_TCP_SYN_SENT) {
        ret = -ECONNABORTED;
    } else if (listener->state != LX_TCP_LISTEN) {
        ret = -ECONNREFUSED;
    } else if (listener->accept_count > listener->backlog || !takes_syn_locked(c, listener)) {
        if (!c->listener) {
            c->listener = tcp_of(sock_get(lsk));
            sock_get(csk);
            list_add_tail(&listener->syn_queue, &c->syn_node);
        }
        ret = -EAGAIN;
    } else {
        filter_inherit_locked(lsk, &child->in.sk);
        child->peer = tcp_of(sock_get(csk));
        c->peer = tcp_of(sock_get(&child->in.sk));
        c->state = LX_TCP_ESTABLISHED;
        buffers_established(csk);
        buffers_established(&child->in.sk);
        list_add_tail(&listener->accept_queue, &child->accept_node);
        listener->accept_count++;
        sock_get(&child->in.sk);
        sock_wake_locked(lsk, WAKE_IN | WAKE_RDNORM);
        sock_wake_locked(csk, WAKE_OUT | WAKE_WRNORM);
    }
    sock_unlock_pair(csk, lsk);
    if (ret == 0 && link_watched(csk->netns))
        tcp_show_connect(c, /*accepted=*/true);
    if (ret < 0)
        child_discard(child);
    else
        sock_put(&child->in.sk);
    return ret;
}

/* The attempt failed: back to CLOSE with the error for SO_ERROR. */
static void connect_failed(struct tcp_sock *c, int err)
{
    mutex_lock(&c->in.sk.lock);
    if (c->state == LX_TCP_SYN_SENT) {
        c->state = LX_TCP_CLOSE;
        c->in.sk.err = err;
        c->in.rport = 0;
        sock_wake_locked(&c->in.sk, WAKE_ALL);
    }
    mutex_unlock(&c->in.sk.lock);
    if (!c->in.port_locked) {
        inet_port_release(&c->in, /*time_wait=*/false);
        mutex_lock(&c->in.sk.lock);
        c->in.lport = 0;
        mutex_unlock(&c->in.sk.lock);
    } else {
        inet_port_disconnect(&c->in);
    }
}

/* Takes c off its listener's syn_queue; returns false when it was on none. Holds no lock. */
static bool syn_leave(struct tcp_sock *c)
{
    struct tcp_sock *listener;
    bool was = false;

    mutex_lock(&c->in.sk.lock);
    listener = c->listener;
    if (listener)
        sock_get(&listener->in.sk);
    mutex_unlock(&c->in.sk.lock);
    if (!listener)
        return false;
    sock_lock_pair(&c->in.sk, &listener->in.sk);
    if (c->listener == listener) {
        list_del(&c->syn_node);
        c->listener = NULL;
        was = true;
    }
    sock_unlock_pair(&c->in.sk, &listener->in.sk);
    if (was) {
        sock_put(&listener->in.sk);
        sock_put(&c->in.sk);
    }
    sock_put(&listener->in.sk);
    return was;
}

/* There is room again in the accept queue: the next waiting client is connected. */
static void admit_waiting(struct tcp_sock *listener)
{
    for (;;) {
        struct tcp_sock *c = NULL;
        int ret;

        mutex_lock(&listener->in.sk.lock);
        if (!list_empty(&listener->syn_queue) && listener->accept_count <= listener->backlog)
            c = tcp_of(sock_get(
                &list_first_entry(&listener->syn_queue, struct tcp_sock, syn_node)->in.sk));
        mutex_unlock(&listener->in.sk.lock);
        if (!c)
            return;
        ret = 0;
        if (syn_leave(c)) {
            ret = try_establish(c, listener);
            if (ret < 0 && ret != -EAGAIN)
                connect_failed(c, -ret);
        }
        sock_put(&c->in.sk);
        if (ret < 0)
            return;
    }
}

/* Records the destination and gets a port. The caller then finds the listener. */
static int connect_start(struct tcp_sock *t, const struct sockaddr_buf *addr)
{
    struct inet_sock *in = &t->in;
    struct inet_addr dst, src, old = in->laddr;
    uint16_t port;
    int ret = inet_addr_parse(in, addr, &dst, &port);

    if (ret == 0)
        ret = ia_is_multicast(&dst) || ia_is_broadcast(&dst) ? -ENETUNREACH : 0;
    if (ret == 0)
        ret = inet_route(in, &dst, &src);
    if (ret < 0)
        return ret;
    mutex_lock(&in->sk.lock);
    if (ia_is_any(&in->laddr))
        in->laddr = src;
    in->raddr = dst;
    in->rport = port;
    in->sk.err = 0;
    in->sk.shutdown = 0;
    t->done = t->peer_lost = t->fin_sent = t->active_close = t->held_fin = false;
    t->state = LX_TCP_SYN_SENT;
    mutex_unlock(&in->sk.lock);
    ret = inet_port_connect(in, &dst, port);
    if (ret < 0) {
        mutex_lock(&in->sk.lock);
        t->state = LX_TCP_CLOSE;
        in->laddr = old;
        in->rport = 0;
        mutex_unlock(&in->sk.lock);
    }
    return ret;
}

static void connect_run(struct tcp_sock *t)
{
    struct inet_sock *l = inet_port_find_listener(t->in.sk.netns, &t->in.raddr, t->in.rport);
    int ret = l ? try_establish(t, tcp_of(&l->sk)) : -ECONNREFUSED;

    if (ret == -ECONNREFUSED && link_watched(t->in.sk.netns))
        tcp_show_connect(t, /*accepted=*/false);
    if (ret < 0 && ret != -EAGAIN)
        connect_failed(t, -ret);
    if (l)
        sock_put(&l->sk);
}

int tcp_wait_connected(struct tcp_sock *t, uint64_t timeo, bool nonblock)
{
    struct sock *sk = &t->in.sk;
    struct sock_wait w;
    bool waiting;
    int ret = 0;

    sock_wait_init(&w, sk, WAKE_OUT, MIN(timeo, CONNECT_TIMEOUT), nonblock);
    do {
        mutex_lock(&sk->lock);
        waiting = t->state == LX_TCP_SYN_SENT;
        mutex_unlock(&sk->lock);
        if (waiting)
            ret = sock_wait(&w);
    } while (waiting && ret == 0);
    sock_wait_end(&w);
    /* The attempt itself has a timeout, so the wait had a deadline that the program did not set. */
    if (ret == -EINTR && timeo == NO_DEADLINE)
        ret = -ERESTARTSYS;
    if (ret == -EAGAIN && !nonblock && timeo > CONNECT_TIMEOUT) {
        syn_leave(t);
        connect_failed(t, ETIMEDOUT);
        ret = 0;
    }
    return ret;
}

static int tcp_disconnect(struct tcp_sock *t);

static int tcp_connect(struct sock *sk, const struct sockaddr_buf *addr, bool nonblock)
{
    struct tcp_sock *t = tcp_of(sk);
    bool fresh = false;
    int ret = 0;

    if (addr->family == LX_AF_UNSPEC)
        return tcp_disconnect(t);
    mutex_lock(&sk->lock);
    if (t->state == LX_TCP_LISTEN)
        ret = -EISCONN;
    else if (t->connecting)
        ret = t->state == LX_TCP_SYN_SENT ? (nonblock ? -EALREADY : 0) : 0;
    else if (t->state != LX_TCP_CLOSE || t->done || t->peer_lost)
        ret = -EISCONN;
    else
        fresh = true;
    mutex_unlock(&sk->lock);
    if (ret < 0)
        return ret;
    if (fresh) {
        ret = connect_start(t, addr);
        if (ret < 0)
            return ret;
        connect_run(t);
        mutex_lock(&sk->lock);
        t->connecting = true;
        mutex_unlock(&sk->lock);
        /* Linux: a nonblocking connect tells the result with the next call, on lo as well. */
        if (nonblock)
            return -EINPROGRESS;
    }
    ret = tcp_wait_connected(t, sk->sndtimeo, nonblock);
    if (ret == -EAGAIN)
        return fresh ? -EINPROGRESS : -EALREADY;
    if (ret < 0)
        return ret;
    mutex_lock(&sk->lock);
    t->connecting = false;
    ret = sock_take_error(sk);
    if (ret == 0 && t->state == LX_TCP_CLOSE)
        ret = t->done || t->peer_lost ? 0 : -ECONNABORTED;
    mutex_unlock(&sk->lock);
    return ret;
}

static int tcp_accept(struct sock *sk, bool nonblock, struct sock **out)
{
    struct tcp_sock *t = tcp_of(sk), *child = NULL;
    struct sock_wait w;
    int ret;

    sock_wait_init(&w, sk, WAKE_IN, sk->rcvtimeo, nonblock);
    do {
        ret = 0;
        mutex_lock(&sk->lock);
        if (t->state != LX_TCP_LISTEN) {
            ret = -EINVAL;
        } else if (!list_empty(&t->accept_queue)) {
            child = list_first_entry(&t->accept_queue, struct tcp_sock, accept_node);
            list_del(&child->accept_node);
            t->accept_count--;
        }
        mutex_unlock(&sk->lock);
        if (ret == 0 && !child)
            ret = sock_wait(&w);
    } while (ret == 0 && !child);
    sock_wait_end(&w);
    if (!child)
        return ret;
    admit_waiting(t);
    *out = &child->in.sk;
    return 0;
}

/* ---- ending --------------------------------------------------------------------------------- */

/* A FIN arrives at t (locked). Returns true when t had closed its side first: TIME_WAIT. */
static bool fin_arrives_locked(struct tcp_sock *t)
{
    bool time_wait = false;

    ASSERT_HELD(&t->in.sk.lock);
    t->in.sk.shutdown |= SOCK_SHUT_RCV;
    t->done = true;
    if (t->state == LX_TCP_ESTABLISHED) {
        t->state = LX_TCP_CLOSE_WAIT;
    } else if (t->state == LX_TCP_FIN_WAIT2) {
        t->state = LX_TCP_CLOSE;
        time_wait = true;
    }
    sock_wake_locked(&t->in.sk, WAKE_IN | WAKE_RDNORM | WAKE_RDHUP |
                                    (t->state == LX_TCP_CLOSE ? WAKE_HUP : 0));
    return time_wait;
}

/* A RST arrives at t (locked). */
static void reset_locked(struct tcp_sock *t)
{
    ASSERT_HELD(&t->in.sk.lock);
    if (t->state == LX_TCP_CLOSE)
        return;
    t->in.sk.err = t->state == LX_TCP_CLOSE_WAIT ? EPIPE : ECONNRESET;
    t->in.sk.shutdown = SOCK_SHUT_RCV | SOCK_SHUT_SND;
    t->state = LX_TCP_CLOSE;
    t->peer_lost = true;
    sock_wake_locked(&t->in.sk, WAKE_ALL);
}

/* The peer of t, +1, or NULL. */
static struct tcp_sock *peer_get(struct tcp_sock *t)
{
    struct tcp_sock *p;

    mutex_lock(&t->in.sk.lock);
    p = t->peer ? tcp_of(sock_get(&t->peer->in.sk)) : NULL;
    mutex_unlock(&t->in.sk.lock);
    return p;
}

/* Cuts the tie between two locked endpoints; the references are given to the caller. */
static void unlink_locked(struct tcp_sock *a, struct tcp_sock *b)
{
    a->peer = NULL;
    b->peer = NULL;
    b->peer_lost = true;
}

static int tcp_shutdown(struct sock *sk, int how)
{
    struct tcp_sock *t = tcp_of(sk), *peer = peer_get(t);
    bool mine = false, theirs = false;
    uint32_t bits = (uint32_t)how + 1;
    int ret = 0;

    if ((bits & SOCK_SHUT_SND) && link_watched(sk->netns))
        tcp_show_end(t, /*reset=*/false);
    sock_lock_pair(sk, peer ? &peer->in.sk : NULL);
    switch (t->state) {
    case LX_TCP_CLOSE:
        ret = -ENOTCONN;
        break;
    case LX_TCP_LISTEN:
    case LX_TCP_SYN_SENT:
        break;
    default:
        sk->shutdown |= bits;
        if ((bits & SOCK_SHUT_SND) && !t->fin_sent) {
            t->fin_sent = true;
            if (t->state == LX_TCP_ESTABLISHED) {
                t->active_close = true;
                t->state = LX_TCP_FIN_WAIT2;
            } else if (t->state == LX_TCP_CLOSE_WAIT) {
                t->state = LX_TCP_CLOSE;
                mine = true;
            }
            if (peer && t->peer == peer && tcp_offer_fin_locked(peer))
                theirs = fin_arrives_locked(peer);
        }
        sock_wake_locked(sk, WAKE_ALL);
        break;
    }
    sock_unlock_pair(sk, peer ? &peer->in.sk : NULL);
    if (mine)
        inet_port_disconnect(&t->in);
    if (theirs)
        inet_port_release(&peer->in, /*time_wait=*/true);
    if (peer)
        sock_put(&peer->in.sk);
    if (t->state == LX_TCP_LISTEN && (bits & SOCK_SHUT_RCV))
        ret = tcp_disconnect(t);
    else if (t->state == LX_TCP_SYN_SENT)
        ret = tcp_disconnect(t);
    return ret;
}

/* A connection that nobody will accept is reset. */
static void drop_child(struct tcp_sock *child)
{
    child->in.sk.linger = (struct lx_linger){1, 0};
    child->in.sk.ops->close(&child->in.sk, /*linger=*/false);
    sock_put(&child->in.sk);
}

static void stop_listening(struct tcp_sock *t)
{
    struct list children = LIST_INIT(children);

    inet_port_unlisten(&t->in);
    mutex_lock(&t->in.sk.lock);
    t->state = LX_TCP_CLOSE;
    list_splice_tail(&children, &t->accept_queue);
    t->accept_count = 0;
    sock_wake_locked(&t->in.sk, WAKE_ALL);
    mutex_unlock(&t->in.sk.lock);
    while (!list_empty(&children)) {
        struct tcp_sock *child = list_first_entry(&children, struct tcp_sock, accept_node);

        list_del(&child->accept_node);
        drop_child(child);
    }
    for (;;) {
        struct tcp_sock *c = NULL;

        mutex_lock(&t->in.sk.lock);
        if (!list_empty(&t->syn_queue))
            c = tcp_of(
                sock_get(&list_first_entry(&t->syn_queue, struct tcp_sock, syn_node)->in.sk));
        mutex_unlock(&t->in.sk.lock);
        if (!c)
            return;
        if (syn_leave(c))
            connect_failed(c, ECONNREFUSED);
        sock_put(&c->in.sk);
    }
}

/* What close does to the connection: FIN, or RST when data was not read or linger says so. */
static void end_connection(struct tcp_sock *t, bool abort)
{
    struct tcp_sock *peer = peer_get(t);
    struct list bufs = LIST_INIT(bufs);
    bool mine_tw = false, their_tw = false, unlinked = false;

    if (link_watched(t->in.sk.netns))
        tcp_show_end(t, abort || !list_empty(&t->recvq));
    sock_lock_pair(&t->in.sk, peer ? &peer->in.sk : NULL);
    abort |= !list_empty(&t->recvq);
    if (peer && t->peer == peer) {
        if (abort) {
            reset_locked(peer);
        } else {
            if (!t->fin_sent) {
                t->active_close = t->state == LX_TCP_ESTABLISHED;
                their_tw = tcp_offer_fin_locked(peer) && fin_arrives_locked(peer);
            }
            /* The first to close waits, if the other end closed in order too (it may do so later,
             * when this endpoint is gone). */
            mine_tw = t->active_close;
            peer->nospace = false;
            sock_wake_locked(&peer->in.sk, WAKE_OUT | WAKE_WRNORM);
        }
        unlink_locked(t, peer);
        unlinked = true;
    } else {
        mine_tw = t->active_close && !abort && t->state != LX_TCP_CLOSE;
    }
    list_splice_tail(&bufs, &t->recvq);
    list_splice_tail(&bufs, &t->held);
    t->held_fin = false;
    t->rcv_bytes = 0;
    t->state = LX_TCP_CLOSE;
    t->in.sk.shutdown = SOCK_SHUT_RCV | SOCK_SHUT_SND;
    sock_wake_locked(&t->in.sk, WAKE_ALL);
    sock_unlock_pair(&t->in.sk, peer ? &peer->in.sk : NULL);
    nbuf_list_free(&bufs);
    inet_port_release(&t->in, mine_tw);
    if (their_tw)
        inet_port_release(&peer->in, /*time_wait=*/true);
    if (unlinked) {
        sock_put(&peer->in.sk);
        sock_put(&t->in.sk);
    }
    if (peer)
        sock_put(&peer->in.sk);
}

/* connect with AF_UNSPEC: the endpoint is as good as new, its bound address stays. */
static int tcp_disconnect(struct tcp_sock *t)
{
    struct sock *sk = &t->in.sk;
    uint16_t port = t->in.port_locked ? t->in.lport : 0;

    if (t->state == LX_TCP_LISTEN)
        stop_listening(t);
    if (syn_leave(t))
        connect_failed(t, 0);
    end_connection(t, /*abort=*/true);
    mutex_lock(&sk->lock);
    sk->shutdown = 0;
    sk->err = 0;
    t->done = t->connecting = t->peer_lost = t->fin_sent = t->active_close = false;
    t->rcv_seq = t->read_seq = 0;
    t->urg_valid = false;
    t->in.rport = t->in.lport = 0;
    if (!t->in.addr_locked) {
        struct inet_addr any = {{0}};

        if (sk->family == LX_AF_INET)
            ia_from_v4(&any, 0);
        t->in.laddr = any;
    }
    mutex_unlock(&sk->lock);
    /* A port that somebody took meanwhile is not worth an error: the next connect gets another. */
    if (port && inet_port_bind(&t->in, port) < 0)
        t->in.port_locked = false;
    return 0;
}

static void tcp_close(struct sock *sk, bool linger)
{
    struct tcp_sock *t = tcp_of(sk);

    mutex_lock(&sk->lock);
    t->orphan = true;
    mutex_unlock(&sk->lock);
    if (t->state == LX_TCP_LISTEN)
        stop_listening(t);
    if (syn_leave(t))
        connect_failed(t, 0);
    end_connection(t, sk->linger.onoff && sk->linger.linger == 0);
}

void tcp_offer_rest(struct tcp_sock *t)
{
    struct sock *sk = &t->in.sk;
    bool fin, time_wait = false;

    mutex_lock(&sk->lock);
    if (tcp_offer_again_locked(t, &fin))
        sock_wake_locked(sk, WAKE_IN | WAKE_RDNORM);
    if (fin)
        time_wait = fin_arrives_locked(t);
    mutex_unlock(&sk->lock);
    if (time_wait)
        inet_port_release(&t->in, /*time_wait=*/true);
}

/* What the old program refused is offered to the new one. */
static void tcp_filter_changed(struct sock *sk)
{
    struct tcp_sock *t = tcp_of(sk);
    bool listens;

    tcp_offer_rest(t);
    mutex_lock(&sk->lock);
    listens = t->state == LX_TCP_LISTEN;
    mutex_unlock(&sk->lock);
    if (listens)
        admit_waiting(t);
}

static void tcp_buffers_changed(struct sock *sk)
{
    sock_wake(sk, WAKE_OUT | WAKE_WRNORM);
}

const struct sock_ops g_tcp_ops = {
    .bind = inet_bind_common,
    .connect = tcp_connect,
    .listen = tcp_listen,
    .accept = tcp_accept,
    .getname = inet_getname,
    .sendmsg = tcp_sendmsg,
    .recvmsg = tcp_recvmsg,
    .shutdown = tcp_shutdown,
    .setsockopt = tcp_setsockopt,
    .getsockopt = tcp_getsockopt,
    .poll = tcp_poll,
    .ioctl = tcp_ioctl,
    .close = tcp_close,
    .destroy = tcp_destroy,
    .filter_changed = tcp_filter_changed,
    .buffers_changed = tcp_buffers_changed,
};
