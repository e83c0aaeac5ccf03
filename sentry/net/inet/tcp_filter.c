/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SO_ATTACH_FILTER of TCP endpoints. A program sees the segment that there would be, its header first. What
 * it refuses would be sent again and again until it is taken, and what comes behind waits for it: such
 * bytes, and a FIN behind them, are held back and offered again when the program changes. Of a segment
 * that is cut the rest comes again at once, or after many cuts when the reader has read. A SYN that a listener refuses waits with those that find no room.
 *
 * DEVIATION: a program that answers differently to the same bytes, or after a time, is not asked again; it
 * is not asked about acknowledgements, resets and the answers to a client's SYN.
 */
#include <stdlib.h>

#include "sentry/abi/packet.h"
#include "sentry/net/filter.h"
#include "sentry/net/inet/packet.h"
#include "sentry/net/inet/tcp.h"

/* A program that takes byte by byte sees, each time, all that is left. On Linux it would also wait for each to be sent again. */
enum { CUTS_MAX = 64 };

/* How many bytes of the data t takes; false: not even the header, or there is no memory. */
static bool takes_locked(struct tcp_sock *t, const struct tcp_ends *e, unsigned flags, uint64_t at,
                         const uint8_t *data, size_t size, size_t *out_taken)
{
    const struct packet_info info = {
        .src = e->src, .dst = e->dst, .protocol = LX_IPPROTO_TCP, .ttl = e->ttl, .tos = e->tos};
    bool syn = flags & TCP_SHOW_SYN, wanted;
    uint8_t *bytes = malloc(OUTER_HEADERS_MAX + TCP_HEADER + size);
    struct bpf_packet p;
    size_t outer, taken;

    if (!bytes)
        return false;
    outer = packet_outer_headers(bytes, &info, TCP_HEADER + size);
    tcp_header(bytes + outer, e, flags, e->src_first + !syn + (uint32_t)at, e->dst_first + 1, data,
               size);
    memcpy(bytes + outer + TCP_HEADER, data, size);
    p = (struct bpf_packet){.bytes = bytes,
                            .size = outer + TCP_HEADER + size,
                            .start = outer,
                            .link = 0,
                            .net = LINK_HEADER,
                            .protocol = ia_is_v4(&e->dst) ? LX_ETH_P_IP : LX_ETH_P_IPV6,
                            .hatype = LINK_HARDWARE,
                            .ifindex = LINK_IFINDEX};
    wanted = sock_filter_packet_locked(&t->in.sk, &p, TCP_HEADER, &taken);
    *out_taken = taken - TCP_HEADER;
    free(bytes);
    return wanted;
}

bool tcp_is_filtered_locked(struct tcp_sock *t)
{
    ASSERT_HELD(&t->in.sk.lock);
    return sock_has_filter(&t->in.sk) || !list_empty(&t->held);
}

bool tcp_takes_syn_locked(struct tcp_sock *t, const struct tcp_ends *e)
{
    size_t taken;

    return !sock_has_filter(&t->in.sk) ||
           takes_locked(t, e, TCP_SHOW_SYN, 0, (const uint8_t *)"", 0, &taken);
}

/* The first `taken` bytes of b, which is at the head of t->held, become readable. False: no memory. */
static bool deliver_locked(struct tcp_sock *t, struct nbuf *b, size_t taken)
{
    struct nbuf *part = b;

    if (taken == nbuf_left(b)) {
        list_del(&b->node);
    } else {
        part = nbuf_new(taken);
        if (!part)
            return false;
        memcpy(part->data, b->data + b->off, taken);
        part->size = taken;
        b->off += taken;
    }
    list_add_tail(&t->recvq, &part->node);
    t->rcv_seq += taken;
    t->bytes_received += taken;
    t->segs_in++;
    return true;
}

bool tcp_offer_again_locked(struct tcp_sock *t, bool *out_fin)
{
    struct tcp_ends mine, e;
    unsigned cuts = 0;
    bool any = false;
    size_t taken;

    ASSERT_HELD(&t->in.sk.lock);
    *out_fin = t->held_cut = false;
    if (list_empty(&t->held) && !t->held_fin)
        return false;
    tcp_ends_get_locked(t, &mine);
    e = tcp_ends_turned(&mine);
    while (!list_empty(&t->held)) {
        struct nbuf *b = list_first_entry(&t->held, struct nbuf, node);
        const size_t left = nbuf_left(b);

        t->held_cut = cuts == CUTS_MAX;
        if (t->held_cut ||
            !takes_locked(t, &e, TCP_SHOW_ACK | TCP_SHOW_PSH, t->rcv_seq, b->data + b->off, left,
                          &taken) ||
            !taken || !deliver_locked(t, b, taken))
            return any;
        cuts += taken < left;
        any = true;
    }
    if (t->held_fin && takes_locked(t, &e, TCP_SHOW_ACK | TCP_SHOW_FIN, t->rcv_seq,
                                    (const uint8_t *)"", 0, &taken)) {
        t->held_fin = false;
        *out_fin = true;
    }
    return any;
}

bool tcp_offer_locked(struct tcp_sock *t, struct nbuf *b)
{
    bool waits = !list_empty(&t->held), fin;

    ASSERT_HELD(&t->in.sk.lock);
    t->rcv_bytes += nbuf_left(b);
    list_add_tail(&t->held, &b->node);
    return !waits && tcp_offer_again_locked(t, &fin);
}

bool tcp_offer_fin_locked(struct tcp_sock *t)
{
    bool fin;

    ASSERT_HELD(&t->in.sk.lock);
    if (!tcp_is_filtered_locked(t))
        return true;
    t->held_fin = true;
    /* What waits keeps waiting, and the FIN with it. */
    if (!list_empty(&t->held))
        return false;
    (void)tcp_offer_again_locked(t, &fin); /* there are no bytes */
    return fin;
}
