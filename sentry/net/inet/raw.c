/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP on the loopback: ping sockets (SOCK_DGRAM) and raw ICMP sockets. An echo request to an
 * address of lo is answered; other protocols of SOCK_RAW do not exist here. icmp(7), raw(7).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "sentry/mm/uaccess.h"
#include "sentry/net/filter.h"
#include "sentry/net/inet/packet.h"

#define ICMP_MAX 65507

struct icmp_header {
    uint8_t type, code;
    uint16_t checksum;
    uint16_t id, seq;
};

/* Keys: l sk.lock */
struct raw_sock {
    struct inet_sock in;
    struct list recvq;   /* l: struct nbuf */
    size_t rcv_truesize; /* l */
    uint32_t filter;     /* l: ICMP_FILTER, a bit per type that is dropped */
};

static struct raw_sock *raw_of(struct sock *sk)
{
    return container_of(inet_of(sk), struct raw_sock, in);
}

static void raw_destroy(struct sock *sk)
{
    struct raw_sock *r = raw_of(sk);

    nbuf_list_free(&r->recvq);
    inet_destroy_generic(&r->in);
    free(r);
}

static void raw_close(struct sock *sk, bool linger)
{
}

static int raw_bind(struct sock *sk, const struct sockaddr_buf *sa)
{
    struct inet_sock *in = inet_of(sk);
    struct inet_addr addr;
    uint16_t port;
    int ret = inet_addr_parse(in, sa, &addr, &port);

    if (ret == 0)
        ret = inet_addr_bindable(in, &addr);
    if (ret == 0) {
        mutex_lock(&sk->lock);
        in->laddr = addr;
        if (port)
            in->lport = port;
        mutex_unlock(&sk->lock);
    }
    return ret;
}

static int raw_connect(struct sock *sk, const struct sockaddr_buf *sa, bool nonblock)
{
    struct inet_sock *in = inet_of(sk);
    struct inet_addr dst, src;
    uint16_t port;
    int ret;

    if (sa->family == LX_AF_UNSPEC) {
        in->rport = 0;
        return 0;
    }
    ret = inet_addr_parse(in, sa, &dst, &port);
    if (ret == 0)
        ret = inet_route(in, &dst, &src);
    if (ret < 0)
        return ret;
    mutex_lock(&sk->lock);
    in->raddr = dst;
    in->rport = port ? port : 1;
    mutex_unlock(&sk->lock);
    return 0;
}

struct icmp_message {
    struct inet_addr src, dst;
    const uint8_t *data;
    size_t size;
    int ttl, tos;
};

/* Puts a copy of the message into r's queue. */
static void raw_deliver(struct raw_sock *r, const struct icmp_message *im)
{
    const struct packet_info info = {.src = im->src,
                                     .dst = im->dst,
                                     .protocol = (uint8_t)r->in.sk.protocol,
                                     .ttl = im->ttl,
                                     .tos = im->tos};
    bool header = r->in.sk.type == LX_SOCK_RAW && r->in.sk.family == LX_AF_INET;
    size_t taken = im->size, size;
    struct inet_addr *dst;
    bool queued = false;
    struct nbuf *b;

    if (sock_has_filter(&r->in.sk) && !packet_filter(&r->in.sk, &info, im->data, &taken))
        return;
    size = taken + (header ? IP4_HEADER : 0);
    b = nbuf_new(size);
    dst = b ? malloc(sizeof(*dst)) : NULL;
    if (b) {
        b->meta = dst;
        b->from = malloc(sizeof(*b->from));
    }
    if (!b || !dst || !b->from) {
        if (b)
            nbuf_free(b);
        return;
    }
    *dst = im->dst;
    inet_addr_format(&r->in, &im->src, 0, b->from);
    if (header)
        packet_ip4_header(b->data, &info, im->size);
    memcpy(b->data + (header ? IP4_HEADER : 0), im->data, taken);
    b->size = size;
    b->stamp = clock_realtime();
    mutex_lock(&r->in.sk.lock);
    if (r->rcv_truesize + b->truesize <= (size_t)r->in.sk.rcvbuf) {
        queued = true;
        r->rcv_truesize += b->truesize;
        list_add_tail(&r->recvq, &b->node);
        sock_wake_locked(&r->in.sk, WAKE_IN | WAKE_RDNORM);
    }
    mutex_unlock(&r->in.sk.lock);
    if (!queued)
        nbuf_free(b);
}

static bool raw_offer(struct sock *sk, void *arg);

/* Every raw socket of the protocol sees every message; a ping socket those with its id. */
static void icmp_broadcast(struct netns *ns, struct icmp_message *im)
{
    netns_for_each_sock(ns, raw_offer, im);
}

static ssize_t raw_sendmsg(struct sock *sk, struct net_msg *m)
{
    struct inet_sock *in = inet_of(sk);
    size_t size = iov_iter_count(m->iter);
    bool v6 = sk->family == LX_AF_INET6, ping = sk->type == LX_SOCK_DGRAM;
    struct icmp_message im = {.size = size};
    struct icmp_header h;
    struct inet_addr swap;
    uint8_t *data;
    uint16_t port;
    int ret;

    if (size > ICMP_MAX)
        return -EMSGSIZE;
    if (m->flags & LX_MSG_OOB)
        return -EOPNOTSUPP;
    if (m->addr.len) {
        ret = inet_addr_parse(in, &m->addr, &im.dst, &port);
    } else {
        im.dst = in->raddr;
        ret = in->rport ? 0 : -EDESTADDRREQ;
    }
    if (ret == 0)
        ret = inet_route(in, &im.dst, &im.src);
    if (ret < 0)
        return ret;
    if (ping && size < sizeof(h))
        return -EINVAL;
    /* An own address as destination answers from that address. */
    im.src = ia_is_any(&in->laddr) ? im.dst : in->laddr;
    im.ttl = in->ttl < 0 ? 64 : in->ttl;
    im.tos = in->tos;
    data = malloc(size + 1);
    if (!data)
        return -ENOMEM;
    if (copy_from_iter(m->iter, data, size) < size) {
        free(data);
        return -EFAULT;
    }
    im.data = data;
    if (size >= sizeof(h) && sk->protocol != LX_IPPROTO_RAW) {
        memcpy(&h, data, sizeof(h));
        if (ping) {
            if (!in->lport)
                in->lport = (uint16_t)(1 + (sk->cookie & 0x7fff));
            h.id = htons(in->lport);
        }
        if (!ping)
            icmp_broadcast(sk->netns, &im);
        if (h.type == (v6 ? 128 : 8)) {
            h.type = v6 ? 129 : 0;
            h.checksum = 0;
            memcpy(data, &h, sizeof(h));
            h.checksum = packet_checksum(data, size);
            memcpy(data, &h, sizeof(h));
            swap = im.src;
            im.src = im.dst;
            im.dst = swap;
            icmp_broadcast(sk->netns, &im);
        }
    }
    free(data);
    return (ssize_t)size;
}

static ssize_t raw_recvmsg(struct sock *sk, struct net_msg *m)
{
    struct raw_sock *r = raw_of(sk);
    struct nbuf *b, *done = NULL;
    struct sock_wait w;
    ssize_t ret;
    size_t want;

    if (m->flags & LX_MSG_ERRQUEUE)
        return -EAGAIN;
    if (m->flags & LX_MSG_OOB)
        return -EOPNOTSUPP;
    sock_wait_init(&w, sk, WAKE_IN, sk->rcvtimeo, msg_nonblock(m));
    for (;;) {
        mutex_lock(&sk->lock);
        b = list_empty(&r->recvq) ? NULL : list_first_entry(&r->recvq, struct nbuf, node);
        ret = sock_take_error(sk);
        if (ret == 0 && b) {
            want = MIN(iov_iter_count(m->iter), b->size);
            ret = copy_to_iter(m->iter, b->data, want) < want
                      ? -EFAULT
                      : (ssize_t)(m->flags & LX_MSG_TRUNC ? b->size : want);
            if (want < b->size)
                m->out_flags |= LX_MSG_TRUNC;
            if (m->want_name)
                m->addr = *b->from;
            sock_put_timestamp(sk, m, b);
            inet_put_cmsgs(&r->in, m, b->meta, 64, 0);
            if (!(m->flags & LX_MSG_PEEK)) {
                list_del(&b->node);
                r->rcv_truesize -= b->truesize;
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

static uint32_t raw_poll(struct sock *sk)
{
    struct raw_sock *r = raw_of(sk);
    uint32_t ev = WAKE_OUT | WAKE_WRNORM | WAKE_WRBAND;

    mutex_lock(&sk->lock);
    if (sk->err)
        ev |= WAKE_ERR;
    if (!list_empty(&r->recvq) || (sk->shutdown & SOCK_SHUT_RCV))
        ev |= WAKE_IN | WAKE_RDNORM;
    mutex_unlock(&sk->lock);
    return ev;
}

static int raw_shutdown(struct sock *sk, int how)
{
    mutex_lock(&sk->lock);
    sk->shutdown |= (uint32_t)how + 1;
    sock_wake_locked(sk, WAKE_ALL);
    mutex_unlock(&sk->lock);
    return inet_of(sk)->rport ? 0 : -ENOTCONN;
}

static int raw_setsockopt(struct sock *sk, int level, int name, const void *val, uint32_t len)
{
    if (level == LX_SOL_RAW && name == 1 && sk->type == LX_SOCK_RAW) { /* ICMP_FILTER */
        memcpy(&raw_of(sk)->filter, val, MIN(len, (uint32_t)sizeof(uint32_t)));
        return 0;
    }
    if (level == LX_SOL_ICMPV6 && name == 1) /* ICMPV6_FILTER: an IPv6 ping wants replies only */
        return 0;
    return level == LX_SOL_SOCKET ? -ENOPROTOOPT
                                  : inet_setsockopt(inet_of(sk), level, name, val, len);
}

static int raw_getsockopt(struct sock *sk, int level, int name, void *val, uint32_t *len)
{
    if (level == LX_SOL_SOCKET)
        return name == LX_SO_ACCEPTCONN ? sockopt_put_int(val, len, 0) : -ENOPROTOOPT;
    if (level == LX_SOL_RAW && name == 1)
        return sockopt_put(val, len, &raw_of(sk)->filter, sizeof(uint32_t));
    return inet_getsockopt(inet_of(sk), level, name, val, len);
}

static const struct sock_ops raw_ops = {
    .bind = raw_bind,
    .connect = raw_connect,
    .getname = inet_getname,
    .sendmsg = raw_sendmsg,
    .recvmsg = raw_recvmsg,
    .shutdown = raw_shutdown,
    .setsockopt = raw_setsockopt,
    .getsockopt = raw_getsockopt,
    .poll = raw_poll,
    .close = raw_close,
    .destroy = raw_destroy,
};

static bool raw_offer(struct sock *sk, void *arg)
{
    const struct icmp_message *im = arg;
    struct icmp_header h;

    if (sk->ops != &raw_ops || sk->protocol == LX_IPPROTO_RAW ||
        (sk->family == LX_AF_INET) != ia_is_v4(&im->dst))
        return true;
    memcpy(&h, im->data, sizeof(h));
    if (sk->type == LX_SOCK_DGRAM) {
        if (h.type != 0 && h.type != 129)
            return true;
        if (ntohs(h.id) != inet_of(sk)->lport)
            return true;
    } else if (h.type < 32 && (raw_of(sk)->filter >> h.type & 1)) {
        return true;
    }
    raw_deliver(raw_of(sk), im);
    return true;
}

int raw_create(struct netns *ns, int family, int type, int protocol, struct sock **out)
{
    int icmp = family == LX_AF_INET ? LX_IPPROTO_ICMP : LX_IPPROTO_ICMPV6;
    struct raw_sock *r;

    if (protocol != icmp && protocol != LX_IPPROTO_RAW)
        return -EPROTONOSUPPORT;
    r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    inet_init(&r->in, &raw_ops, ns, family, type, protocol);
    list_init(&r->recvq);
    *out = &r->in.sk;
    return 0;
}
