/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP on the loopback: a datagram goes from the sender's call into the receiver's queue, or nowhere
 * when that is full. A destination without receiver answers like an ICMP port unreachable: the
 * error waits at the sender if it is connected, or goes to its error queue with IP_RECVERR. udp(7).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "sentry/mm/uaccess.h"
#include "sentry/net/filter.h"
#include "sentry/net/inet/packet.h"

#define UDP_MAX4 65507
#define UDP_MAX6 65527

/* Where a datagram goes. */
struct udp_dest {
    struct inet_addr src, dst;
    uint16_t port;
    int ttl, tos;
    bool connected;
};

/* A datagram that grows with every send (UDP_CORK, MSG_MORE) until it is pushed. Keys: l sk.lock */
struct udp_cork {
    bool on;              /* l: UDP_CORK is set */
    bool pending;         /* l: dest is set, and data[0..size) waits */
    struct udp_dest dest; /* l: of the first send */
    uint8_t *data;        /* l, owned */
    size_t size;          /* l */
};

/* Keys: l sk.lock */
struct udp_sock {
    struct inet_sock in;
    struct list recvq;   /* l: struct nbuf */
    size_t rcv_truesize; /* l */
    size_t rcv_bytes;    /* l */
    uint32_t drops;      /* l */
    struct list errq;    /* l: struct nbuf: the datagram that failed, meta is the error */
    int cscov[2];        /* l: UDP-Lite: checksum coverage sent, received */
    struct udp_cork cork;
};

/* What a datagram carries beside its bytes (nbuf.meta). */
struct udp_meta {
    struct inet_addr dst;
    int ttl, tos;
    struct lx_sock_extended_err err; /* on errq */
};

static struct udp_sock *udp_of(struct sock *sk)
{
    return container_of(inet_of(sk), struct udp_sock, in);
}

static void udp_destroy(struct sock *sk)
{
    struct udp_sock *u = udp_of(sk);

    nbuf_list_free(&u->recvq);
    nbuf_list_free(&u->errq);
    free(u->cork.data);
    inet_destroy_generic(&u->in);
    free(u);
}

static void udp_close(struct sock *sk, bool linger)
{
    inet_port_release(&udp_of(sk)->in, /*time_wait=*/false);
}

uint32_t udp_queued(struct sock *sk)
{
    return sk->protocol == LX_IPPROTO_UDP || sk->protocol == LX_IPPROTO_UDPLITE
               ? (uint32_t)udp_of(sk)->rcv_truesize
               : 0;
}

/* ---- connect -------------------------------------------------------------------------------- */

static void udp_disconnect(struct inet_sock *in)
{
    mutex_lock(&in->sk.lock);
    in->rport = 0;
    if (!in->addr_locked) {
        memset(&in->laddr, 0, sizeof(in->laddr));
        if (in->sk.family == LX_AF_INET)
            ia_from_v4(&in->laddr, 0);
    }
    mutex_unlock(&in->sk.lock);
    if (in->port_locked) {
        inet_port_disconnect(in);
    } else {
        inet_port_release(in, /*time_wait=*/false);
        mutex_lock(&in->sk.lock);
        in->lport = 0;
        mutex_unlock(&in->sk.lock);
    }
}

static int udp_connect(struct sock *sk, const struct sockaddr_buf *addr, bool nonblock)
{
    struct inet_sock *in = inet_of(sk);
    struct inet_addr dst, src, old;
    uint16_t port;
    int ret;

    if (addr->family == LX_AF_UNSPEC) {
        udp_disconnect(in);
        return 0;
    }
    ret = inet_addr_parse(in, addr, &dst, &port);
    if (ret == 0)
        ret = inet_route(in, &dst, &src);
    if (ret == 0 && ia_is_broadcast(&dst) && !(sk->flags & SOCK_F_BROADCAST))
        ret = -EACCES;
    if (ret < 0)
        return ret;
    mutex_lock(&sk->lock);
    old = in->laddr;
    if (ia_is_any(&in->laddr))
        in->laddr = src;
    mutex_unlock(&sk->lock);
    ret = inet_port_connect(in, &dst, port);
    mutex_lock(&sk->lock);
    if (ret < 0) {
        in->laddr = old;
    } else {
        in->raddr = dst;
        in->rport = port;
    }
    mutex_unlock(&sk->lock);
    return ret;
}

/* ---- sending -------------------------------------------------------------------------------- */

static int udp_dest_cmsgs(struct inet_sock *in, const struct net_msg *m, struct udp_dest *d)
{
    struct lx_cmsghdr h;
    const uint8_t *data;
    size_t off = 0, size;
    int ret, v = 0;

    while ((ret = cmsg_next(m, &off, &h, &data, &size)) > 0) {
        if (h.level != LX_SOL_IP && h.level != LX_SOL_IPV6)
            continue;
        if (size >= sizeof(v))
            memcpy(&v, data, sizeof(v));
        if (h.level == LX_SOL_IP && h.type == LX_IP_TTL && size == sizeof(v)) {
            if (v < 1 || v > 255)
                return -EINVAL;
            d->ttl = v;
        } else if (h.level == LX_SOL_IP && h.type == LX_IP_TOS && size >= 1) {
            d->tos = size >= sizeof(v) ? v : data[0];
        } else if (h.level == LX_SOL_IPV6 && h.type == LX_IPV6_HOPLIMIT && size == sizeof(v)) {
            d->ttl = v < 0 ? 64 : v;
        } else if (h.level == LX_SOL_IPV6 && h.type == LX_IPV6_TCLASS && size == sizeof(v)) {
            d->tos = v < 0 ? 0 : v;
        }
    }
    return ret;
}

static int udp_dest_find(struct inet_sock *in, const struct net_msg *m, struct udp_dest *d)
{
    struct sockaddr_buf copy;
    bool mc;
    int ret;

    *d = (struct udp_dest){.connected = false};
    if (m->addr.len) {
        copy = m->addr;
        if (in->sk.family == LX_AF_INET && copy.family == LX_AF_UNSPEC)
            copy.family = LX_AF_INET;
        ret = inet_addr_parse(in, &copy, &d->dst, &d->port);
        if (ret < 0)
            return ret;
        if (d->port == 0)
            return -EINVAL;
    } else {
        mutex_lock(&in->sk.lock);
        d->dst = in->raddr;
        d->port = in->rport;
        mutex_unlock(&in->sk.lock);
        if (!d->port)
            return -EDESTADDRREQ;
        d->connected = true;
    }
    ret = inet_route(in, &d->dst, &d->src);
    if (ret < 0)
        return ret;
    if (ia_is_broadcast(&d->dst) && !(in->sk.flags & SOCK_F_BROADCAST))
        return -EACCES;
    if (!ia_is_any(&in->laddr) && !ia_is_multicast(&in->laddr) && !ia_is_broadcast(&in->laddr))
        d->src = in->laddr;
    mc = ia_is_multicast(&d->dst);
    if (ia_is_v4(&d->dst)) {
        d->ttl = mc ? in->mc_ttl : in->ttl < 0 ? 64 : in->ttl;
        d->tos = in->tos;
    } else {
        d->ttl = mc ? (in->mc_hops < 0 ? 1 : in->mc_hops) : in->hops < 0 ? 64 : in->hops;
        d->tos = in->tclass;
    }
    return udp_dest_cmsgs(in, m, d);
}

/* SO_ATTACH_FILTER of the receiver; cuts *size. */
static bool udp_wanted(uint16_t sport, struct inet_sock *to, const struct udp_dest *d,
                       const void *data, size_t *size)
{
    const struct packet_info info = {.src = d->src,
                                     .dst = d->dst,
                                     .sport = sport,
                                     .dport = d->port,
                                     .protocol = (uint8_t)to->sk.protocol,
                                     .ttl = d->ttl,
                                     .tos = d->tos};
    bool wanted = packet_filter(&to->sk, &info, data, size);

    if (!wanted) {
        mutex_lock(&to->sk.lock);
        udp_of(&to->sk)->drops++;
        mutex_unlock(&to->sk.lock);
    }
    return wanted;
}

/* A copy of the datagram in to's queue, or dropped when that is full. */
static void udp_deliver(uint16_t sport, struct inet_sock *to, const struct udp_dest *d,
                        const void *data, size_t size)
{
    struct udp_sock *u = udp_of(&to->sk);
    struct udp_meta *meta;
    bool queued = false;
    struct nbuf *b;

    if (sock_has_filter(&to->sk) && !udp_wanted(sport, to, d, data, &size))
        return;
    b = nbuf_new(size);
    meta = malloc(sizeof(*meta));
    if (b) {
        b->from = malloc(sizeof(*b->from));
        b->meta = meta;
    } else {
        free(meta);
    }
    if (!b || !b->from || !meta) {
        if (b)
            nbuf_free(b);
        return;
    }
    *meta = (struct udp_meta){.dst = d->dst, .ttl = d->ttl, .tos = d->tos};
    inet_addr_format(to, &d->src, sport, b->from);
    memcpy(b->data, data, size);
    b->size = size;
    b->stamp = clock_realtime();
    mutex_lock(&to->sk.lock);
    if (!(to->sk.shutdown & SOCK_SHUT_RCV) &&
        u->rcv_truesize + b->truesize <= (size_t)to->sk.rcvbuf) {
        queued = true;
        u->rcv_truesize += b->truesize;
        u->rcv_bytes += size;
        list_add_tail(&u->recvq, &b->node);
        sock_wake_locked(&to->sk, WAKE_IN | WAKE_RDNORM | WAKE_RDBAND);
    } else {
        u->drops++;
    }
    mutex_unlock(&to->sk.lock);
    if (!queued)
        nbuf_free(b);
}

/* Nobody listens there. */
static void udp_refused(struct inet_sock *in, const struct udp_dest *d, const void *data,
                        size_t size)
{
    bool v4 = ia_is_v4(&d->dst), wants = v4 ? in->recverr : in->recverr6;
    struct nbuf *b = wants ? nbuf_new(size) : NULL;
    struct udp_meta *meta = b ? calloc(1, sizeof(*meta)) : NULL;

    if (meta)
        b->from = malloc(sizeof(*b->from));
    mutex_lock(&in->sk.lock);
    if (b && meta && b->from) {
        meta->dst = d->src;
        meta->err = (struct lx_sock_extended_err){
            .err = ECONNREFUSED,
            .origin = v4 ? LX_SO_EE_ORIGIN_ICMP : LX_SO_EE_ORIGIN_ICMP6,
            .type = v4 ? 3 : 1,
            .code = v4 ? 3 : 4,
        };
        memcpy(b->data, data, size);
        b->size = size;
        b->meta = meta;
        meta = NULL;
        inet_addr_format(in, &d->dst, d->port, b->from);
        list_add_tail(&udp_of(&in->sk)->errq, &b->node);
        b = NULL;
    }
    if (in->rport || wants) {
        in->sk.err = ECONNREFUSED;
        sock_wake_locked(&in->sk, WAKE_ERR | WAKE_IN);
    }
    mutex_unlock(&in->sk.lock);
    free(meta);
    if (b)
        nbuf_free(b);
}

static void udp_send_many(struct inet_sock *in, const struct udp_dest *d, const void *data,
                          size_t size)
{
    struct inet_sock **to;
    size_t count = inet_port_find_multicast(in, &d->dst, d->port, &to);
    bool mc = ia_is_multicast(&d->dst), joined = !mc;

    for (size_t i = 0; i < count; i++)
        joined = joined || inet_has_group(to[i], &d->dst);
    for (size_t i = 0; i < count; i++) {
        if (joined && (!mc || (in->mc_loop && (to[i]->mc_all || inet_has_group(to[i], &d->dst)))))
            udp_deliver(in->lport, to[i], d, data, size);
        sock_put(&to[i]->sk);
    }
    free(to);
}

/* To those who look at packets. */
static void udp_show(struct netns *ns, const struct packet_info *info, const uint8_t *data,
                     size_t size)
{
    uint8_t header[UDP_HEADER];

    if (atomic_load(&ns->raw_socks))
        raw_see_udp(ns, info, data, size);
    if (link_watched(ns)) {
        packet_udp_header(header, info, size);
        packet_show(ns, info, header, sizeof(header), data, size);
    }
}

/* Hands one datagram over, or tells the sender that nobody is there. */
static void udp_transmit(struct inet_sock *in, const struct udp_dest *d, const uint8_t *data,
                         size_t size)
{
    struct inet_sock *to;

    if (atomic_load(&in->sk.netns->raw_socks) || link_watched(in->sk.netns)) {
        const struct packet_info info = {.src = d->src,
                                         .dst = d->dst,
                                         .sport = in->lport,
                                         .dport = d->port,
                                         .protocol = (uint8_t)in->sk.protocol,
                                         .ttl = d->ttl,
                                         .tos = d->tos};

        udp_show(in->sk.netns, &info, data, size);
    }
    if (ia_is_multicast(&d->dst) || ia_is_broadcast(&d->dst)) {
        udp_send_many(in, d, data, size);
        return;
    }
    to = inet_port_find_udp(in->sk.netns, in->sk.protocol, &d->src, in->lport, &d->dst, d->port);
    if (to) {
        udp_deliver(in->lport, to, d, data, size);
        sock_put(&to->sk);
    } else {
        udp_refused(in, d, data, size);
    }
    netns_count_lo(in->sk.netns, size + 28);
}

/* DEVIATION: nobody is told that there is no such socket. */
void udp_input(struct netns *ns, const struct packet_info *info, const uint8_t *packet, size_t size)
{
    struct udp_dest d = {.src = info->src, .dst = info->dst, .ttl = info->ttl, .tos = info->tos};
    struct inet_sock *to;
    uint16_t ports[3]; /* source, destination, length */

    if (size < UDP_HEADER)
        return;
    memcpy(ports, packet, sizeof(ports));
    d.port = ntohs(ports[1]);
    if (ntohs(ports[2]) < UDP_HEADER || ntohs(ports[2]) > size)
        return;
    to = inet_port_find_udp(ns, info->protocol, &d.src, ntohs(ports[0]), &d.dst, d.port);
    if (!to)
        return;
    udp_deliver(ntohs(ports[0]), to, &d, packet + UDP_HEADER, ntohs(ports[2]) - UDP_HEADER);
    sock_put(&to->sk);
}

/* Where m goes; the socket has a port after it. */
static int udp_send_prepare(struct inet_sock *in, const struct net_msg *m, struct udp_dest *d)
{
    int ret = udp_dest_find(in, m, d);

    if (ret < 0)
        return ret;
    if (iov_iter_count(m->iter) > UDP_MAX4 && ia_is_v4(&d->dst))
        return -EMSGSIZE;
    ret = sock_take_error(&in->sk);
    if (ret == 0 && (in->sk.shutdown & SOCK_SHUT_SND))
        ret = -EPIPE;
    if (ret == 0 && !in->lport)
        ret = inet_port_connect(in, &d->dst, 0);
    return ret;
}

/* What was collected goes out as one datagram, or nowhere. */
static void udp_cork_end(struct udp_sock *u, bool send)
{
    struct udp_cork c;

    mutex_lock(&u->in.sk.lock);
    c = u->cork;
    u->cork = (struct udp_cork){.on = c.on};
    mutex_unlock(&u->in.sk.lock);
    if (c.pending && send)
        udp_transmit(&u->in, &c.dest, c.data, c.size);
    free(c.data);
}

/* Appends m to the pending datagram. Linux: what follows goes where the first part went. */
static int udp_cork_append(struct udp_sock *u, struct net_msg *m, size_t size)
{
    struct udp_cork *c = &u->cork;
    struct udp_dest d = {.connected = false};
    bool prepared = false;
    uint8_t *data;
    int ret = 0;

    mutex_lock(&u->in.sk.lock);
    while (!c->pending && !prepared) {
        mutex_unlock(&u->in.sk.lock);
        ret = udp_send_prepare(&u->in, m, &d);
        if (ret < 0)
            return ret;
        prepared = true;
        mutex_lock(&u->in.sk.lock);
    }
    if (!c->pending) {
        c->dest = d;
        c->pending = true;
    }
    if (c->size + size > (ia_is_v4(&c->dest.dst) ? UDP_MAX4 : UDP_MAX6))
        ret = -EMSGSIZE;
    data = ret == 0 ? realloc(c->data, c->size + size + 1) : NULL;
    if (data) {
        c->data = data;
        if (copy_from_iter(m->iter, data + c->size, size) < size)
            ret = -EFAULT;
        else
            c->size += size;
    } else if (ret == 0) {
        ret = -ENOMEM;
    }
    mutex_unlock(&u->in.sk.lock);
    if (ret < 0)
        udp_cork_end(u, /*send=*/false);
    return ret;
}

static ssize_t udp_sendmsg(struct sock *sk, struct net_msg *m)
{
    struct udp_sock *u = udp_of(sk);
    size_t size = iov_iter_count(m->iter);
    uint8_t small[2048], *data = small;
    struct udp_dest d;
    int ret;

    if (size > (sk->family == LX_AF_INET ? UDP_MAX4 : UDP_MAX6))
        return -EMSGSIZE;
    if (m->flags & LX_MSG_OOB)
        return -EOPNOTSUPP;
    if (u->cork.on || u->cork.pending || (m->flags & LX_MSG_MORE)) {
        ret = udp_cork_append(u, m, size);
        if (ret == 0 && !u->cork.on && !(m->flags & LX_MSG_MORE))
            udp_cork_end(u, /*send=*/true);
        return ret < 0 ? ret : (ssize_t)size;
    }
    ret = udp_send_prepare(&u->in, m, &d);
    if (ret < 0)
        return ret;
    if (size > sizeof(small))
        data = malloc(size);
    if (!data)
        return -ENOMEM;
    if (copy_from_iter(m->iter, data, size) < size)
        ret = -EFAULT;
    else
        udp_transmit(&u->in, &d, data, size);
    if (data != small)
        free(data);
    return ret < 0 ? ret : (ssize_t)size;
}

/* ---- receiving ------------------------------------------------------------------------------ */

static ssize_t udp_recv_error(struct udp_sock *u, struct net_msg *m)
{
    uint8_t payload[sizeof(struct lx_sock_extended_err) + sizeof(struct lx_sockaddr_in6)];
    struct sockaddr_buf offender;
    struct udp_meta *meta;
    struct nbuf *b = NULL;
    size_t want;
    bool v4;
    ssize_t ret;

    mutex_lock(&u->in.sk.lock);
    if (!list_empty(&u->errq)) {
        b = list_first_entry(&u->errq, struct nbuf, node);
        list_del(&b->node);
        if (list_empty(&u->errq))
            u->in.sk.err = 0;
    }
    mutex_unlock(&u->in.sk.lock);
    if (!b)
        return -EAGAIN;
    want = MIN(iov_iter_count(m->iter), b->size);
    ret = copy_to_iter(m->iter, b->data, want) < want ? -EFAULT : (ssize_t)want;
    if (want < b->size)
        m->out_flags |= LX_MSG_TRUNC;
    if (m->want_name)
        m->addr = *b->from;
    meta = b->meta;
    v4 = meta->err.origin == LX_SO_EE_ORIGIN_ICMP;
    inet_addr_format(&u->in, &meta->dst, 0, &offender);
    memcpy(payload, &meta->err, sizeof(meta->err));
    memcpy(payload + sizeof(meta->err), offender.bytes, offender.len);
    cmsg_put(m, v4 ? LX_SOL_IP : LX_SOL_IPV6, v4 ? LX_IP_RECVERR : LX_IPV6_RECVERR, payload,
             sizeof(meta->err) + offender.len);
    m->out_flags |= LX_MSG_ERRQUEUE;
    nbuf_free(b);
    return ret;
}

/* b is at the head of the locked queue. */
static ssize_t udp_take(struct sock *sk, struct net_msg *m, struct nbuf *b)
{
    struct udp_sock *u = udp_of(sk);
    size_t want = MIN(iov_iter_count(m->iter), b->size);
    struct udp_meta *meta = b->meta;

    if (copy_to_iter(m->iter, b->data, want) < want)
        return -EFAULT;
    if (want < b->size)
        m->out_flags |= LX_MSG_TRUNC;
    if (m->want_name)
        m->addr = *b->from;
    sock_put_timestamp(&u->in.sk, m, b);
    if (u->in.sk.flags & SOCK_F_RXQ_OVFL)
        cmsg_put(m, LX_SOL_SOCKET, LX_SO_RXQ_OVFL, &u->drops, sizeof(u->drops));
    inet_put_cmsgs(&u->in, m, &meta->dst, meta->ttl, meta->tos);
    return (ssize_t)(m->flags & LX_MSG_TRUNC ? b->size : want);
}

static void udp_gone(struct sock *sk, const struct nbuf *b)
{
    struct udp_sock *u = udp_of(sk);

    u->rcv_truesize -= b->truesize;
    u->rcv_bytes -= b->size;
}

static ssize_t udp_recvmsg(struct sock *sk, struct net_msg *m)
{
    struct udp_sock *u = udp_of(sk);
    const struct sock_queue queue = {&u->recvq, udp_take, udp_gone};

    if (m->flags & LX_MSG_ERRQUEUE)
        return udp_recv_error(u, m);
    if (m->flags & LX_MSG_OOB)
        return -EOPNOTSUPP;
    return sock_recv_queued(sk, m, &queue);
}

/* ---- the rest ------------------------------------------------------------------------------- */

static int udp_shutdown(struct sock *sk, int how)
{
    mutex_lock(&sk->lock);
    sk->shutdown |= (uint32_t)how + 1;
    sock_wake_locked(sk, WAKE_ALL);
    mutex_unlock(&sk->lock);
    /* Linux: the bits are set before the state is looked at. */
    return inet_of(sk)->rport ? 0 : -ENOTCONN;
}

static uint32_t udp_poll(struct sock *sk)
{
    struct udp_sock *u = udp_of(sk);
    uint32_t ev = WAKE_OUT | WAKE_WRNORM | WAKE_WRBAND;

    mutex_lock(&sk->lock);
    if (sk->err || !list_empty(&u->errq))
        ev |= WAKE_ERR | (sk->flags & SOCK_F_SELECT_ERR ? WAKE_PRI : 0);
    if (sk->shutdown & SOCK_SHUT_RCV)
        ev |= WAKE_RDHUP | WAKE_IN | WAKE_RDNORM;
    if (sk->shutdown == (SOCK_SHUT_RCV | SOCK_SHUT_SND))
        ev |= WAKE_HUP;
    if (!list_empty(&u->recvq))
        ev |= WAKE_IN | WAKE_RDNORM;
    mutex_unlock(&sk->lock);
    return ev;
}

static long udp_ioctl(struct sock *sk, uint32_t cmd, uaddr_t arg)
{
    struct udp_sock *u = udp_of(sk);
    int v = 0;

    switch (cmd) {
    case LX_SIOCINQ:
        mutex_lock(&sk->lock);
        if (!list_empty(&u->recvq))
            v = (int)list_first_entry(&u->recvq, struct nbuf, node)->size;
        mutex_unlock(&sk->lock);
        return put_user(&v, arg);
    case LX_SIOCOUTQ:
        return put_user(&v, arg);
    default:
        return -ENOTTY;
    }
}

static int udp_setsockopt(struct sock *sk, int level, int name, const void *val, uint32_t len)
{
    int v, ret;

    if (level == LX_SOL_SOCKET)
        return -ENOPROTOOPT;
    if (level != LX_SOL_UDP && level != LX_SOL_UDPLITE)
        return inet_setsockopt(inet_of(sk), level, name, val, len);
    ret = sockopt_get_int(val, len, &v);
    if (ret < 0)
        return ret;
    if (sk->protocol == LX_IPPROTO_UDPLITE &&
        (name == LX_UDPLITE_SEND_CSCOV || name == LX_UDPLITE_RECV_CSCOV)) {
        /* Linux: coverage is at least the header, 0 means all. */
        udp_of(sk)->cscov[name == LX_UDPLITE_RECV_CSCOV] = v && v < 8 ? 8 : MIN(v, 65535);
        return 0;
    }
    switch (name) {
    case LX_UDP_CORK:
        mutex_lock(&sk->lock);
        udp_of(sk)->cork.on = v;
        mutex_unlock(&sk->lock);
        if (!v)
            udp_cork_end(udp_of(sk), /*send=*/true);
        return 0;
    case LX_UDP_NO_CHECK6_TX:
    case LX_UDP_NO_CHECK6_RX:
    case LX_UDP_GRO:
        return 0;
    default:
        /* Segmentation would have to be done; programs fall back without it. */
        return -ENOPROTOOPT;
    }
}

static int udp_getsockopt(struct sock *sk, int level, int name, void *val, uint32_t *len)
{
    if (level == LX_SOL_SOCKET)
        return name == LX_SO_ACCEPTCONN ? sockopt_put_int(val, len, 0) : -ENOPROTOOPT;
    if (level != LX_SOL_UDP && level != LX_SOL_UDPLITE)
        return inet_getsockopt(inet_of(sk), level, name, val, len);
    if (sk->protocol == LX_IPPROTO_UDPLITE &&
        (name == LX_UDPLITE_SEND_CSCOV || name == LX_UDPLITE_RECV_CSCOV))
        return sockopt_put_int(val, len, udp_of(sk)->cscov[name == LX_UDPLITE_RECV_CSCOV]);
    switch (name) {
    case LX_UDP_CORK:
        return sockopt_put_int(val, len, udp_of(sk)->cork.on);
    case LX_UDP_NO_CHECK6_TX:
    case LX_UDP_NO_CHECK6_RX:
    case LX_UDP_GRO:
        return sockopt_put_int(val, len, 0);
    default:
        return -ENOPROTOOPT;
    }
}

static const struct sock_ops udp_ops = {
    .bind = inet_bind_common,
    .connect = udp_connect,
    .getname = inet_getname,
    .sendmsg = udp_sendmsg,
    .recvmsg = udp_recvmsg,
    .shutdown = udp_shutdown,
    .setsockopt = udp_setsockopt,
    .getsockopt = udp_getsockopt,
    .poll = udp_poll,
    .ioctl = udp_ioctl,
    .close = udp_close,
    .destroy = udp_destroy,
};

int udp_create(struct netns *ns, int family, int protocol, struct sock **out)
{
    struct udp_sock *u = calloc(1, sizeof(*u));

    if (!u)
        return -ENOMEM;
    inet_init(&u->in, &udp_ops, ns, family, LX_SOCK_DGRAM, protocol);
    list_init(&u->recvq);
    list_init(&u->errq);
    *out = &u->in.sk;
    return 0;
}
