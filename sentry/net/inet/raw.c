/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw sockets and ping sockets (SOCK_DGRAM with ICMP) on the loopback. What one sends, all raw sockets of the
 * protocol see; an ICMP echo request to an address of lo is answered; UDP goes to the socket that has
 * the port. What UDP sockets send is seen, too. DEVIATION: TCP has no segments here, so raw sockets see
 * none, and those that one sends reach only others of its kind. icmp(7), raw(7).
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

static bool raw_connected(const struct inet_sock *in)
{
    return !ia_is_any(&in->raddr);
}

static void raw_destroy(struct sock *sk)
{
    struct raw_sock *r = raw_of(sk);

    nbuf_list_free(&r->recvq);
    if (sk->protocol != (sk->family == LX_AF_INET ? LX_IPPROTO_ICMP : LX_IPPROTO_ICMPV6))
        atomic_fetch_sub(&sk->netns->raw_socks, 1);
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
        mutex_lock(&sk->lock);
        in->raddr = (struct inet_addr){{0}};
        in->rport = 0;
        mutex_unlock(&sk->lock);
        return 0;
    }
    ret = inet_addr_parse(in, sa, &dst, &port);
    if (ret == 0)
        ret = inet_route(in, &dst, &src);
    if (ret < 0)
        return ret;
    mutex_lock(&sk->lock);
    in->raddr = dst;
    in->rport = port; /* Linux: getpeername knows no peer without one */
    mutex_unlock(&sk->lock);
    return 0;
}

struct raw_message {
    struct inet_addr src, dst;
    const uint8_t *data;
    size_t size;
    uint8_t protocol;
    int ttl, tos;
};

/* Puts a copy of the message into r's queue. */
static void raw_deliver(struct raw_sock *r, const struct raw_message *im)
{
    const struct packet_info info = {
        .src = im->src, .dst = im->dst, .protocol = im->protocol, .ttl = im->ttl, .tos = im->tos};
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

static const struct sock_ops raw_ops;
static bool raw_offer(struct sock *sk, void *arg);

/* Every raw socket of the protocol sees every message; a ping socket those with its id. */
static void raw_broadcast(struct netns *ns, struct raw_message *im)
{
    netns_for_each_sock(ns, raw_offer, im);
}

/* The message begins with an IPv4 header of its own (IP_HDRINCL), which says where it goes. */
static int take_header(struct raw_message *m)
{
    const uint8_t *h = m->data;
    size_t size = m->size < IP4_HEADER ? 0 : (h[0] & 0xfu) * 4u;
    uint32_t src, dst;

    if (size < IP4_HEADER || size > m->size)
        return -EINVAL;
    memcpy(&src, h + 12, sizeof(src));
    memcpy(&dst, h + 16, sizeof(dst));
    if (src)
        ia_from_v4(&m->src, src);
    ia_from_v4(&m->dst, dst);
    m->protocol = h[9];
    m->ttl = h[8];
    m->tos = h[1];
    m->data += size;
    m->size -= size;
    return 0;
}

static void set_ping_id(struct inet_sock *in, uint8_t *data)
{
    uint16_t id;

    if (!in->lport)
        in->lport = (uint16_t)(1 + (in->sk.cookie & 0x7fff));
    id = htons(in->lport);
    memcpy(data + offsetof(struct icmp_header, id), &id, sizeof(id));
}

/* To those who watch lo. */
static void raw_show(struct netns *ns, const struct raw_message *m)
{
    const struct packet_info info = {
        .src = m->src, .dst = m->dst, .protocol = m->protocol, .ttl = m->ttl, .tos = m->tos};

    if (link_watched(ns))
        packet_show(ns, &info, NULL, 0, m->data, m->size);
}

/* An echo request is answered; m's bytes are changed for it, in the buffer that they are in. */
static void answer_echo(struct netns *ns, struct raw_message *m, uint8_t *data)
{
    bool v6 = m->protocol == LX_IPPROTO_ICMPV6;
    uint8_t *bytes = data + (m->data - data);
    struct inet_addr swap = m->src;
    struct icmp_header h;

    memcpy(&h, bytes, sizeof(h));
    if (h.type != (v6 ? 128 : 8))
        return;
    h.type = v6 ? 129 : 0;
    h.checksum = 0;
    memcpy(bytes, &h, sizeof(h));
    h.checksum = packet_checksum(bytes, m->size);
    memcpy(bytes, &h, sizeof(h));
    m->src = m->dst;
    m->dst = swap;
    raw_show(ns, m);
    raw_broadcast(ns, m);
}

/* seen: by raw sockets. */
static void raw_arrives(struct netns *ns, struct raw_message *m, uint8_t *data, bool seen)
{
    const struct packet_info info = {
        .src = m->src, .dst = m->dst, .protocol = m->protocol, .ttl = m->ttl, .tos = m->tos};
    bool icmp = m->protocol == (ia_is_v4(&m->dst) ? LX_IPPROTO_ICMP : LX_IPPROTO_ICMPV6);

    if (icmp && m->size < sizeof(struct icmp_header))
        return;
    if (seen)
        raw_broadcast(ns, m);
    if (icmp)
        answer_echo(ns, m, data);
    else if (m->protocol == LX_IPPROTO_UDP || m->protocol == LX_IPPROTO_UDPLITE)
        udp_input(ns, &info, m->data, m->size);
}

static void raw_transmit(struct sock *sk, struct raw_message *m, uint8_t *data)
{
    raw_show(sk->netns, m);
    raw_arrives(sk->netns, m, data, /*seen=*/sk->type == LX_SOCK_RAW);
}

void raw_input(struct netns *ns, const struct packet_info *info, uint8_t *data, size_t size)
{
    struct raw_message m = {.src = info->src,
                            .dst = info->dst,
                            .data = data,
                            .size = size,
                            .protocol = info->protocol,
                            .ttl = info->ttl,
                            .tos = info->tos};

    raw_arrives(ns, &m, data, /*seen=*/true);
}

void raw_see_udp(struct netns *ns, const struct packet_info *info, const uint8_t *data, size_t size)
{
    uint8_t *packet = malloc(UDP_HEADER + size);
    struct raw_message m = {.src = info->src,
                            .dst = info->dst,
                            .data = packet,
                            .size = UDP_HEADER + size,
                            .protocol = info->protocol,
                            .ttl = info->ttl,
                            .tos = info->tos};

    if (!packet)
        return; /* as if it were lost on the way to them */
    packet_udp_header(packet, info, size);
    memcpy(packet + UDP_HEADER, data, size);
    raw_broadcast(ns, &m);
    free(packet);
}

static ssize_t raw_sendmsg(struct sock *sk, struct net_msg *m)
{
    struct inet_sock *in = inet_of(sk);
    size_t size = iov_iter_count(m->iter);
    bool v6 = sk->family == LX_AF_INET6, ping = sk->type == LX_SOCK_DGRAM;
    struct raw_message im = {.size = size, .protocol = (uint8_t)sk->protocol};
    uint8_t *data;
    uint16_t port;
    bool header;
    int ret;

    if (size > ICMP_MAX)
        return -EMSGSIZE;
    if (m->flags & LX_MSG_OOB)
        return -EOPNOTSUPP;
    if (m->addr.len) {
        ret = inet_addr_parse(in, &m->addr, &im.dst, &port);
    } else {
        im.dst = in->raddr;
        ret = raw_connected(in) ? 0 : -EDESTADDRREQ;
    }
    if (ret == 0)
        ret = inet_route(in, &im.dst, &im.src);
    if (ret < 0)
        return ret;
    if (ping && size < sizeof(struct icmp_header))
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
    header = !v6 && !ping && (in->hdrincl || sk->protocol == LX_IPPROTO_RAW);
    if (ping)
        set_ping_id(in, data);
    if (header)
        ret = take_header(&im);
    if (ret == 0)
        raw_transmit(sk, &im, data);
    free(data);
    return ret < 0 ? ret : (ssize_t)size;
}

/* b is at the head of the locked queue. */
static ssize_t raw_take(struct sock *sk, struct net_msg *m, struct nbuf *b)
{
    size_t want = MIN(iov_iter_count(m->iter), b->size);
    ssize_t ret = copy_to_iter(m->iter, b->data, want) < want
                      ? -EFAULT
                      : (ssize_t)(m->flags & LX_MSG_TRUNC ? b->size : want);

    if (want < b->size)
        m->out_flags |= LX_MSG_TRUNC;
    if (m->want_name)
        m->addr = *b->from;
    sock_put_timestamp(sk, m, b);
    inet_put_cmsgs(&raw_of(sk)->in, m, b->meta, 64, 0);
    return ret;
}

static void raw_gone(struct sock *sk, const struct nbuf *b)
{
    raw_of(sk)->rcv_truesize -= b->truesize;
}

static ssize_t raw_recvmsg(struct sock *sk, struct net_msg *m)
{
    struct raw_sock *r = raw_of(sk);
    const struct sock_queue queue = {&r->recvq, raw_take, raw_gone};

    if (m->flags & LX_MSG_ERRQUEUE)
        return -EAGAIN;
    if (m->flags & LX_MSG_OOB)
        return -EOPNOTSUPP;
    return sock_recv_queued(sk, m, &queue);
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
    return raw_connected(inet_of(sk)) ? 0 : -ENOTCONN;
}

static int raw_setsockopt(struct sock *sk, int level, int name, const void *val, uint32_t len)
{
    if (level == LX_SOL_RAW && name == 1 && sk->type == LX_SOCK_RAW) { /* ICMP_FILTER */
        if (sk->protocol != LX_IPPROTO_ICMP)
            return -EOPNOTSUPP;
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

/* Bound and connected sockets see what is for them. */
static bool raw_addressed(struct sock *sk, const struct raw_message *m)
{
    const struct inet_sock *in = inet_of(sk);

    return (ia_is_any(&in->laddr) || ia_equal(&in->laddr, &m->dst)) &&
           (!raw_connected(in) || sk->type == LX_SOCK_DGRAM || ia_equal(&in->raddr, &m->src));
}

static bool raw_offer(struct sock *sk, void *arg)
{
    const struct raw_message *im = arg;
    struct icmp_header h = {0};

    if (sk->ops != &raw_ops || sk->protocol == LX_IPPROTO_RAW ||
        (sk->protocol & 0xff) != im->protocol || (sk->family == LX_AF_INET) != ia_is_v4(&im->dst) ||
        !raw_addressed(sk, im))
        return true;
    memcpy(&h, im->data, MIN(im->size, sizeof(h)));
    if (sk->type == LX_SOCK_DGRAM) {
        if (h.type != 0 && h.type != 129)
            return true;
        if (ntohs(h.id) != inet_of(sk)->lport)
            return true;
    } else if (im->protocol == LX_IPPROTO_ICMP && h.type < 32 &&
               (raw_of(sk)->filter >> h.type & 1)) {
        return true;
    }
    raw_deliver(raw_of(sk), im);
    return true;
}

int raw_create(struct netns *ns, int family, int type, int protocol, struct sock **out)
{
    int icmp = family == LX_AF_INET ? LX_IPPROTO_ICMP : LX_IPPROTO_ICMPV6;
    struct raw_sock *r;

    r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    inet_init(&r->in, &raw_ops, ns, family, type, protocol);
    list_init(&r->recvq);
    r->in.hdrincl = protocol == LX_IPPROTO_RAW;
    if (protocol != icmp)
        atomic_fetch_add(&ns->raw_socks, 1);
    *out = &r->in.sk;
    return 0;
}
