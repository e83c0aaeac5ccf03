/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segments that a connection on lo would have: shown to AF_PACKET sockets, made for nobody else. Data
 * is acknowledged at once; there are no options and no retransmission, and the window is constant.
 */
#include <arpa/inet.h>

#include "sentry/net/inet/packet.h"
#include "sentry/net/inet/tcp.h"

enum { SEGMENT_MAX = 65483 /* lo's MTU less headers and the usual option */ };
#define WINDOW 65535

/* Where the numbers of an end begin: the same whenever it is asked, different from end to end. Both ends
 * are known by the connection's addresses alone, so a closed one has them still. */
static uint32_t first_number(const struct netns *ns, const struct inet_addr *src, uint16_t sport,
                             const struct inet_addr *dst, uint16_t dport)
{
    uint64_t h = ns->cookie ^ 0x9e3779b97f4a7c15ull;

    for (size_t i = 0; i < sizeof(src->b); i++)
        h = (h ^ src->b[i] ^ (uint64_t)dst->b[i] << 8) * 0x100000001b3ull;
    h = (h ^ sport) * 0x100000001b3ull;
    h = (h ^ dport) * 0x100000001b3ull;
    return (uint32_t)(h >> 24);
}

void tcp_ends_get_locked(struct tcp_sock *t, struct tcp_ends *out)
{
    struct netns *ns = t->in.sk.netns;

    ASSERT_HELD(&t->in.sk.lock);
    *out = (struct tcp_ends){.src = t->in.laddr,
                             .dst = t->in.raddr,
                             .sport = t->in.lport,
                             .dport = t->in.rport,
                             .ttl = t->in.ttl < 0 ? 64 : t->in.ttl,
                             .tos = t->in.tos};
    out->src_first = first_number(ns, &out->src, out->sport, &out->dst, out->dport);
    out->dst_first = first_number(ns, &out->dst, out->dport, &out->src, out->sport);
}

void tcp_ends_get(struct tcp_sock *t, struct tcp_ends *out)
{
    mutex_lock(&t->in.sk.lock);
    tcp_ends_get_locked(t, out);
    mutex_unlock(&t->in.sk.lock);
}

struct tcp_ends tcp_ends_turned(const struct tcp_ends *e)
{
    return (struct tcp_ends){.src = e->dst,
                             .dst = e->src,
                             .sport = e->dport,
                             .dport = e->sport,
                             .src_first = e->dst_first,
                             .dst_first = e->src_first,
                             .ttl = 64};
}

static void put32(uint8_t *at, uint32_t v)
{
    const uint32_t be = htonl(v);

    memcpy(at, &be, sizeof(be));
}

static void put16(uint8_t *at, uint32_t v)
{
    const uint16_t be = htons((uint16_t)v);

    memcpy(at, &be, sizeof(be));
}

void tcp_header(uint8_t h[TCP_HEADER], const struct tcp_ends *e, unsigned flags, uint32_t seq,
                uint32_t ack, const void *data, size_t size)
{
    const struct packet_info info = {.src = e->src, .dst = e->dst, .protocol = LX_IPPROTO_TCP};
    uint16_t sum;

    memset(h, 0, TCP_HEADER);
    put16(h, e->sport);
    put16(h + 2, e->dport);
    put32(h + 4, seq);
    put32(h + 8, flags & TCP_SHOW_ACK ? ack : 0);
    h[12] = TCP_HEADER / 4 << 4;
    h[13] = (uint8_t)flags;
    put16(h + 14, flags & TCP_SHOW_RST ? 0 : WINDOW);
    sum = packet_transport_checksum(&info, h, TCP_HEADER, data, size);
    memcpy(h + 16, &sum, sizeof(sum));
}

static void show_segment(struct netns *ns, const struct tcp_ends *e, unsigned flags, uint32_t seq,
                         uint32_t ack, const uint8_t *data, size_t size)
{
    const struct packet_info info = {
        .src = e->src, .dst = e->dst, .protocol = LX_IPPROTO_TCP, .ttl = e->ttl, .tos = e->tos};
    uint8_t h[TCP_HEADER];

    tcp_header(h, e, flags, seq, ack, data, size);
    packet_show(ns, &info, h, sizeof(h), data, size);
}

void tcp_show(struct netns *ns, const struct tcp_ends *e, unsigned flags, uint64_t at, uint64_t ack,
              const void *data, size_t size)
{
    uint32_t seq = e->src_first + 1 + (uint32_t)at, theirs = e->dst_first + 1 + (uint32_t)ack;
    const uint8_t *p = data;

    do {
        size_t n = MIN(size, (size_t)SEGMENT_MAX);

        size -= n;
        show_segment(ns, e, size ? flags & ~(unsigned)TCP_SHOW_PSH : flags, seq, theirs, p, n);
        seq += (uint32_t)n;
        p = n ? p + n : p;
    } while (size);
}

void tcp_show_connect(struct tcp_sock *t, bool accepted)
{
    struct netns *ns = t->in.sk.netns;
    struct tcp_ends e, back;

    tcp_ends_get(t, &e);
    back = tcp_ends_turned(&e);
    show_segment(ns, &e, TCP_SHOW_SYN, e.src_first, 0, NULL, 0);
    if (!accepted) {
        show_segment(ns, &back, TCP_SHOW_RST | TCP_SHOW_ACK, 0, e.src_first + 1, NULL, 0);
        return;
    }
    show_segment(ns, &back, TCP_SHOW_SYN | TCP_SHOW_ACK, back.src_first, e.src_first + 1, NULL, 0);
    tcp_show(ns, &e, TCP_SHOW_ACK, 0, 0, NULL, 0);
}

void tcp_show_data(struct tcp_sock *t, struct tcp_sock *peer, const void *data, size_t size)
{
    struct netns *ns = t->in.sk.netns;
    struct tcp_ends e, back;
    uint64_t at, theirs;

    tcp_ends_get(t, &e);
    mutex_lock(&peer->in.sk.lock);
    at = peer->rcv_seq;
    mutex_unlock(&peer->in.sk.lock);
    mutex_lock(&t->in.sk.lock);
    theirs = t->rcv_seq + t->done;
    mutex_unlock(&t->in.sk.lock);
    back = tcp_ends_turned(&e);
    tcp_show(ns, &e, TCP_SHOW_ACK | TCP_SHOW_PSH, at, theirs, data, size);
    tcp_show(ns, &back, TCP_SHOW_ACK, theirs, at + size, NULL, 0);
}

void tcp_show_end(struct tcp_sock *t, bool reset)
{
    struct netns *ns = t->in.sk.netns;
    struct tcp_ends e, back;
    uint64_t at, theirs;
    bool open;

    tcp_ends_get(t, &e);
    mutex_lock(&t->in.sk.lock);
    open = t->state == LX_TCP_ESTABLISHED || t->state == LX_TCP_CLOSE_WAIT ||
           t->state == LX_TCP_FIN_WAIT2;
    open = open && (reset || !t->fin_sent);
    at = t->bytes_sent + t->fin_sent;
    theirs = t->rcv_seq + t->done;
    mutex_unlock(&t->in.sk.lock);
    if (!open)
        return;
    tcp_show(ns, &e, TCP_SHOW_ACK | (reset ? TCP_SHOW_RST : TCP_SHOW_FIN), at, theirs, NULL, 0);
    if (reset)
        return;
    back = tcp_ends_turned(&e);
    tcp_show(ns, &back, TCP_SHOW_ACK, theirs, at + 1, NULL, 0);
}
