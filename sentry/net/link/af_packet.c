/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_PACKET endpoints on lo. Linux shows a frame on lo twice: as it leaves, to those who ask for all
 * protocols, and as it comes in, to those of its protocol too. What an endpoint sends is shown in the
 * same way and then handed to the protocols (inet/packet.h). packet(7).
 *
 * DEVIATION: there are no transmit rings, no fanout and no TPACKET_V3. A mapping of another size than
 * the ring is made and ends where the ring does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/filter.h"
#include "sentry/net/inet/packet.h"
#include "sentry/net/link/link.h"
#include "sentry/net/link/ring.h"

/* Keys: I immutable; l sk.lock; a atomic */
struct packet_sock {
    struct sock sk;
    atomic_uint protocol;     /* a: ETH_P_* in host order; 0: none */
    atomic_int ifindex;       /* a: 0: any */
    atomic_bool no_leaving;   /* a: PACKET_IGNORE_OUTGOING */
    bool auxdata, origdev;    /* l */
    bool loss;                /* l: remembered */
    int version, timestamp;   /* l */
    uint32_t reserve;         /* l */
    uint32_t packets, drops;  /* l: since the last PACKET_STATISTICS */
    bool losing;              /* l: a drop that the ring has not told of */
    uint32_t memberships;     /* l */
    struct list recvq;        /* l: struct nbuf */
    size_t rcv_truesize;      /* l */
    struct packet_ring *ring; /* l, +1 or NULL */
};

/* Of a queued packet. */
struct packet_meta {
    uint32_t size; /* before a filter cut it */
    uint8_t type;
};

static const struct sock_ops packet_ops;

static struct packet_sock *packet_of(struct sock *sk)
{
    return container_of(sk, struct packet_sock, sk);
}

/* ---- what comes over lo ---------------------------------------------------------------------- */

struct seen {
    struct sock *from;
    const uint8_t *frame;
    size_t size;
    uint16_t protocol;
    uint8_t type; /* PACKET_OUTGOING, PACKET_HOST */
};

static struct lx_sockaddr_ll address_of(const struct seen *s)
{
    return (struct lx_sockaddr_ll){.family = LX_AF_PACKET,
                                   .protocol = htons(s->protocol),
                                   .ifindex = LINK_IFINDEX,
                                   .hatype = LINK_HARDWARE,
                                   .pkttype = s->type,
                                   .halen = 6};
}

/* Into the ring; false: it is full. */
static bool to_ring_locked(struct packet_sock *p, const struct seen *s, size_t skip, size_t taken)
{
    struct ring_packet rp = {
        .from = address_of(s),
        .bytes = s->frame + skip,
        .size = (uint32_t)(s->size - skip),
        .taken = (uint32_t)taken,
        .link = skip ? 0 : LINK_HEADER,
        .reserve = p->reserve,
        .status = LX_TP_STATUS_USER | (p->losing ? LX_TP_STATUS_LOSING : 0) |
                  (s->type == LX_PACKET_HOST ? LX_TP_STATUS_CSUM_VALID : 0),
        .stamp = clock_realtime(),
    };

    ASSERT_HELD(&p->sk.lock);
    if (!packet_ring_put_packet(p->ring, &rp))
        return false;
    p->losing = false;
    return true;
}

/* A copy for the queue, or NULL. */
static struct nbuf *copy_packet(const struct seen *s, size_t skip, size_t taken)
{
    const struct lx_sockaddr_ll ll = address_of(s);
    struct nbuf *b = nbuf_new(taken);
    struct packet_meta *meta = malloc(sizeof(*meta));

    if (!b || !meta) {
        free(meta);
        if (b)
            nbuf_free(b);
        return NULL;
    }
    *meta = (struct packet_meta){.size = (uint32_t)(s->size - skip), .type = s->type};
    b->meta = meta;
    b->from = calloc(1, sizeof(*b->from));
    if (!b->from) {
        nbuf_free(b);
        return NULL;
    }
    memcpy(b->data, s->frame + skip, taken);
    b->size = taken;
    b->stamp = clock_realtime();
    b->from->len = sizeof(ll);
    memcpy(b->from->bytes, &ll, sizeof(ll));
    return b;
}

static void packet_deliver(struct packet_sock *p, const struct seen *s)
{
    size_t skip = p->sk.type == LX_SOCK_DGRAM ? LINK_HEADER : 0, taken = s->size - skip;
    const struct bpf_packet bp = {.bytes = s->frame,
                                  .size = s->size,
                                  .start = skip,
                                  .link = 0,
                                  .net = LINK_HEADER,
                                  .protocol = s->protocol,
                                  .hatype = LINK_HARDWARE,
                                  .type = s->type,
                                  .ifindex = LINK_IFINDEX};
    struct nbuf *b = NULL;
    bool kept = false;

    if (sock_has_filter(&p->sk) && !sock_filter_packet(&p->sk, &bp, 1, &taken))
        return;
    b = copy_packet(s, skip, taken);
    mutex_lock(&p->sk.lock);
    if (p->ring) {
        kept = to_ring_locked(p, s, skip, taken);
    } else if (b && p->rcv_truesize + b->truesize <= (size_t)p->sk.rcvbuf) {
        kept = true;
        p->rcv_truesize += b->truesize;
        list_add_tail(&p->recvq, &b->node);
        b = NULL;
    }
    p->packets++;
    p->drops += !kept;
    p->losing |= !kept;
    if (kept)
        sock_wake_locked(&p->sk, WAKE_IN | WAKE_RDNORM);
    mutex_unlock(&p->sk.lock);
    if (b)
        nbuf_free(b);
}

static bool packet_offer(struct sock *sk, void *arg)
{
    const struct seen *s = arg;
    struct packet_sock *p;
    uint32_t protocol;
    int ifindex;

    if (sk->ops != &packet_ops)
        return true;
    p = packet_of(sk);
    protocol = p->protocol;
    ifindex = p->ifindex;
    if ((protocol != LX_ETH_P_ALL && protocol != s->protocol) ||
        (ifindex && ifindex != LINK_IFINDEX))
        return true;
    if (s->type == LX_PACKET_OUTGOING &&
        (protocol != LX_ETH_P_ALL || sk == s->from || p->no_leaving))
        return true;
    packet_deliver(p, s);
    return true;
}

void link_show(struct netns *ns, struct sock *from, const uint8_t *frame, size_t size)
{
    struct seen s = {.from = from, .frame = frame, .size = size, .type = LX_PACKET_OUTGOING};
    uint16_t protocol;

    memcpy(&protocol, frame + LINK_HEADER - sizeof(protocol), sizeof(protocol));
    s.protocol = ntohs(protocol);
    netns_for_each_sock(ns, packet_offer, &s);
    s.type = LX_PACKET_HOST;
    netns_for_each_sock(ns, packet_offer, &s);
}

/* ---- names ----------------------------------------------------------------------------------- */

static int packet_bind(struct sock *sk, const struct sockaddr_buf *sa)
{
    struct packet_sock *p = packet_of(sk);
    struct lx_sockaddr_ll ll;

    if (sa->len < sizeof(ll))
        return -EINVAL;
    memcpy(&ll, sa->bytes, sizeof(ll));
    if (ll.family != LX_AF_PACKET)
        return -EINVAL;
    if (ll.ifindex && ll.ifindex != LINK_IFINDEX)
        return -ENODEV;
    /* Linux: without a protocol the one of before stays, as does what it listens to. */
    mutex_lock(&sk->lock);
    if (ll.protocol)
        p->protocol = ntohs(ll.protocol);
    p->ifindex = ll.ifindex;
    if (!netns_lo_up(sk->netns) && ll.ifindex) {
        sk->err = ENETDOWN;
        sock_wake_locked(sk, WAKE_ERR);
    }
    mutex_unlock(&sk->lock);
    return 0;
}

static int packet_getname(struct sock *sk, bool peer, struct sockaddr_buf *out)
{
    struct packet_sock *p = packet_of(sk);
    struct lx_sockaddr_ll ll = {
        .family = LX_AF_PACKET, .protocol = htons((uint16_t)p->protocol), .ifindex = p->ifindex};

    if (peer)
        return -EOPNOTSUPP;
    if (ll.ifindex) {
        ll.hatype = LINK_HARDWARE;
        ll.halen = 6;
    }
    memcpy(out->bytes, &ll, sizeof(ll));
    out->len = LX_SOCKADDR_LL_ADDR + ll.halen;
    return 0;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Which protocol and over which device. */
static int send_target(struct packet_sock *p, const struct net_msg *m, uint16_t *out_protocol)
{
    struct lx_sockaddr_ll ll = {.ifindex = p->ifindex};

    *out_protocol = (uint16_t)p->protocol;
    if (m->addr.len) {
        if (m->addr.len < sizeof(ll))
            return -EINVAL;
        memcpy(&ll, m->addr.bytes, sizeof(ll));
        if (m->addr.len < ll.halen + (uint32_t)LX_SOCKADDR_LL_ADDR)
            return -EINVAL;
        *out_protocol = ntohs(ll.protocol);
    }
    if (ll.ifindex != LINK_IFINDEX)
        return -ENXIO;
    return netns_lo_up(p->sk.netns) ? 0 : -ENETDOWN;
}

static ssize_t packet_sendmsg(struct sock *sk, struct net_msg *m)
{
    size_t size = iov_iter_count(m->iter), head = sk->type == LX_SOCK_DGRAM ? LINK_HEADER : 0;
    uint16_t protocol;
    uint8_t *frame;
    int ret = send_target(packet_of(sk), m, &protocol);

    if (ret < 0)
        return ret;
    if (size > (size_t)sk->netns->lo_mtu + (head ? 0 : LINK_HEADER))
        return -EMSGSIZE;
    if (!head && size < LINK_HEADER)
        return -EINVAL;
    frame = calloc(1, head + size);
    if (!frame)
        return -ENOMEM;
    if (copy_from_iter(m->iter, frame + head, size) < size) {
        free(frame);
        return -EFAULT;
    }
    if (head) {
        const uint16_t be = htons(protocol);

        memcpy(frame + LINK_HEADER - sizeof(be), &be, sizeof(be));
    }
    link_show(sk->netns, sk, frame, head + size);
    packet_input(sk->netns, frame, head + size);
    free(frame);
    return (ssize_t)size;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void put_auxdata(struct packet_sock *p, struct net_msg *m, const struct nbuf *b)
{
    const struct packet_meta *meta = b->meta;
    const struct lx_tpacket_auxdata aux = {
        .status = LX_TP_STATUS_USER | (meta->type == LX_PACKET_HOST ? LX_TP_STATUS_CSUM_VALID : 0),
        .len = meta->size,
        .snaplen = (uint32_t)b->size,
        .net = p->sk.type == LX_SOCK_DGRAM ? 0 : LINK_HEADER,
    };

    if (p->auxdata)
        cmsg_put(m, LX_SOL_PACKET, LX_PACKET_AUXDATA, &aux, sizeof(aux));
}

/* b is at the head of the locked queue. */
static ssize_t packet_take(struct sock *sk, struct net_msg *m, struct nbuf *b)
{
    struct packet_sock *p = packet_of(sk);
    size_t want = MIN(iov_iter_count(m->iter), b->size);

    if (copy_to_iter(m->iter, b->data, want) < want)
        return -EFAULT;
    if (want < b->size)
        m->out_flags |= LX_MSG_TRUNC;
    if (m->want_name)
        m->addr = *b->from;
    sock_put_timestamp(sk, m, b);
    put_auxdata(p, m, b);
    return (ssize_t)(m->flags & LX_MSG_TRUNC ? b->size : want);
}

static void packet_gone(struct sock *sk, const struct nbuf *b)
{
    packet_of(sk)->rcv_truesize -= b->truesize;
}

static ssize_t packet_recvmsg(struct sock *sk, struct net_msg *m)
{
    struct packet_sock *p = packet_of(sk);
    const struct sock_queue queue = {&p->recvq, packet_take, packet_gone};

    if (m->flags &
        ~(LX_MSG_PEEK | LX_MSG_DONTWAIT | LX_MSG_TRUNC | LX_MSG_ERRQUEUE | LX_MSG_CMSG_CLOEXEC))
        return -EINVAL;
    if (m->flags & LX_MSG_ERRQUEUE)
        return -EAGAIN;
    return sock_recv_queued(sk, m, &queue);
}

static uint32_t packet_poll(struct sock *sk)
{
    struct packet_sock *p = packet_of(sk);
    uint32_t ev = WAKE_OUT | WAKE_WRNORM | WAKE_WRBAND;

    mutex_lock(&sk->lock);
    if (sk->err)
        ev |= WAKE_ERR;
    if (!list_empty(&p->recvq) || (p->ring && packet_ring_filled(p->ring)))
        ev |= WAKE_IN | WAKE_RDNORM;
    mutex_unlock(&sk->lock);
    return ev;
}

/* ---- options --------------------------------------------------------------------------------- */

static int set_ring(struct packet_sock *p, const void *val, uint32_t len)
{
    struct packet_ring *r = NULL, *old;
    struct lx_tpacket_req req;
    struct list queue = LIST_INIT(queue);
    int ret = 0;

    if (len < sizeof(req))
        return -EINVAL;
    memcpy(&req, val, sizeof(req));
    mutex_lock(&p->sk.lock);
    if (p->ring && (req.block_nr || mappable_mapped(&p->ring->object)))
        ret = -EBUSY;
    else if (req.block_nr)
        ret = packet_ring_new(&req, p->version, p->reserve, &r);
    else if (req.frame_nr)
        ret = -EINVAL;
    old = p->ring;
    if (ret == 0) {
        p->ring = r;
        list_splice_tail(&queue, &p->recvq);
        p->rcv_truesize = 0;
    }
    mutex_unlock(&p->sk.lock);
    nbuf_list_free(&queue);
    if (ret == 0)
        packet_ring_put(old);
    return ret;
}

static int change_membership(struct packet_sock *p, bool add, const void *val, uint32_t len)
{
    struct lx_packet_mreq mreq;
    int ret = 0;

    if (len < sizeof(mreq))
        return -EINVAL;
    memcpy(&mreq, val, sizeof(mreq));
    if (len < offsetof(struct lx_packet_mreq, address) + mreq.alen)
        return -EINVAL;
    if (add && mreq.ifindex != LINK_IFINDEX)
        return -ENODEV;
    if (add && (mreq.alen > 6 || mreq.type > LX_PACKET_MR_UNICAST))
        return -EINVAL;
    /* lo takes everything anyway. Linux: nobody minds what was never added. */
    mutex_lock(&p->sk.lock);
    if (add)
        p->memberships++;
    else if (!p->memberships)
        ret = -EADDRNOTAVAIL;
    else
        p->memberships--;
    mutex_unlock(&p->sk.lock);
    return ret;
}

static int set_number_locked(struct packet_sock *p, int name, int v)
{
    ASSERT_HELD(&p->sk.lock);
    switch (name) {
    case LX_PACKET_AUXDATA:
        p->auxdata = v;
        return 0;
    case LX_PACKET_ORIGDEV:
        p->origdev = v;
        return 0;
    case LX_PACKET_IGNORE_OUTGOING:
        if (v < 0 || v > 1)
            return -EINVAL;
        p->no_leaving = v;
        return 0;
    case LX_PACKET_VERSION:
        if (!packet_ring_header(v))
            return -EINVAL;
        if (p->ring)
            return -EBUSY;
        p->version = v;
        return 0;
    case LX_PACKET_RESERVE:
        if (v < 0)
            return -EINVAL;
        if (p->ring)
            return -EBUSY;
        p->reserve = (uint32_t)v;
        return 0;
    case LX_PACKET_LOSS:
        if (p->ring)
            return -EBUSY;
        p->loss = v;
        return 0;
    case LX_PACKET_TIMESTAMP:
        p->timestamp = v;
        return 0;
    case LX_PACKET_COPY_THRESH:
    case LX_PACKET_QDISC_BYPASS:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int packet_setsockopt(struct sock *sk, int level, int name, const void *val, uint32_t len)
{
    struct packet_sock *p = packet_of(sk);
    int v = 0, ret;

    if (level != LX_SOL_PACKET)
        return -ENOPROTOOPT;
    if (name == LX_PACKET_RX_RING)
        return set_ring(p, val, len);
    if (name == LX_PACKET_ADD_MEMBERSHIP || name == LX_PACKET_DROP_MEMBERSHIP)
        return change_membership(p, name == LX_PACKET_ADD_MEMBERSHIP, val, len);
    if (len < sizeof(v))
        memset(&v, 0, sizeof(v));
    else
        memcpy(&v, val, sizeof(v));
    mutex_lock(&sk->lock);
    ret = set_number_locked(p, name, v);
    mutex_unlock(&sk->lock);
    return ret < 0 ? ret : len < sizeof(v) ? -EINVAL : 0;
}

static int get_statistics(struct packet_sock *p, void *val, uint32_t *len)
{
    struct lx_tpacket_stats st;

    mutex_lock(&p->sk.lock);
    st = (struct lx_tpacket_stats){p->packets, p->drops};
    p->packets = p->drops = 0;
    mutex_unlock(&p->sk.lock);
    return sockopt_put(val, len, &st, sizeof(st));
}

/* The one option that takes a value too: val holds what the guest put there. */
static int get_header(void *val, uint32_t *len)
{
    uint32_t header;
    int version;

    if (*len < sizeof(version))
        return -EINVAL;
    memcpy(&version, val, sizeof(version));
    header = packet_ring_header(version);
    return header ? sockopt_put_int(val, len, (int)sizeof(struct lx_tpacket2_hdr)) : -EINVAL;
}

static int packet_getsockopt(struct sock *sk, int level, int name, void *val, uint32_t *len)
{
    struct packet_sock *p = packet_of(sk);

    if (level == LX_SOL_SOCKET)
        return name == LX_SO_ACCEPTCONN ? sockopt_put_int(val, len, 0) : -ENOPROTOOPT;
    if (level != LX_SOL_PACKET)
        return -ENOPROTOOPT;
    switch (name) {
    case LX_PACKET_STATISTICS:
        return get_statistics(p, val, len);
    case LX_PACKET_HDRLEN:
        return get_header(val, len);
    case LX_PACKET_AUXDATA:
        return sockopt_put_int(val, len, p->auxdata);
    case LX_PACKET_ORIGDEV:
        return sockopt_put_int(val, len, p->origdev);
    case LX_PACKET_VERSION:
        return sockopt_put_int(val, len, p->version);
    case LX_PACKET_RESERVE:
        return sockopt_put_int(val, len, (int)p->reserve);
    case LX_PACKET_LOSS:
        return sockopt_put_int(val, len, p->loss);
    case LX_PACKET_TIMESTAMP:
        return sockopt_put_int(val, len, p->timestamp);
    case LX_PACKET_IGNORE_OUTGOING:
        return sockopt_put_int(val, len, p->no_leaving);
    default:
        return -ENOPROTOOPT;
    }
}

static long packet_ioctl(struct sock *sk, uint32_t cmd, uaddr_t arg)
{
    struct packet_sock *p = packet_of(sk);
    int v = 0;

    if (cmd != LX_SIOCINQ && cmd != LX_SIOCOUTQ)
        return -ENOTTY;
    mutex_lock(&sk->lock);
    if (cmd == LX_SIOCINQ && !list_empty(&p->recvq))
        v = (int)list_first_entry(&p->recvq, struct nbuf, node)->size;
    mutex_unlock(&sk->lock);
    return put_user(&v, arg);
}

/* ---- life ------------------------------------------------------------------------------------ */

static struct mappable *packet_mappable(struct sock *sk)
{
    struct packet_ring *r = packet_of(sk)->ring;

    return r ? &r->object : NULL;
}

static void packet_close(struct sock *sk, bool linger)
{
    (void)linger;
    packet_of(sk)->protocol = 0;
}

static void packet_destroy(struct sock *sk)
{
    struct packet_sock *p = packet_of(sk);

    nbuf_list_free(&p->recvq);
    packet_ring_put(p->ring);
    atomic_fetch_sub(&sk->netns->watchers, 1);
    sock_destroy_generic(sk);
    free(p);
}

static const struct sock_ops packet_ops = {
    .bind = packet_bind,
    .getname = packet_getname,
    .sendmsg = packet_sendmsg,
    .recvmsg = packet_recvmsg,
    .setsockopt = packet_setsockopt,
    .getsockopt = packet_getsockopt,
    .poll = packet_poll,
    .ioctl = packet_ioctl,
    .mappable = packet_mappable,
    .close = packet_close,
    .destroy = packet_destroy,
};

int packet_create(struct netns *ns, int type, int protocol, struct sock **out)
{
    struct packet_sock *p;

    if (!cred_ns_capable(curr()->cred, ns->owner, LX_CAP_NET_RAW))
        return -EPERM;
    /* Host sockets do not come by here, and no others are there. */
    if (ns->transport)
        return -EAFNOSUPPORT;
    if (type != LX_SOCK_RAW && type != LX_SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    sock_init(&p->sk, &packet_ops, ns, LX_AF_PACKET, type, protocol);
    list_init(&p->recvq);
    p->protocol = ntohs((uint16_t)protocol);
    atomic_fetch_add(&ns->watchers, 1);
    *out = &p->sk;
    return 0;
}
