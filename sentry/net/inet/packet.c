/* SPDX-License-Identifier: Apache-2.0 */
/* See packet.h. */
#include "sentry/net/inet/packet.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "sentry/net/filter.h"
#include "sentry/net/inet/lo.h"

#define ETH_IP4     0x0800
#define ETH_IP6     0x86dd
#define HEADERS_MAX (LINK_HEADER + IP6_HEADER + UDP_HEADER)

uint16_t packet_checksum(const uint8_t *p, size_t size)
{
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t)(p[i] | p[i + 1] << 8);
    if (size & 1)
        sum += p[size - 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put16(uint8_t *at, size_t v)
{
    const uint16_t be = htons((uint16_t)v);

    memcpy(at, &be, sizeof(be));
}

void packet_ip4_header(uint8_t *h, const struct packet_info *info, size_t payload)
{
    uint16_t sum;
    uint32_t a;

    memset(h, 0, IP4_HEADER);
    h[0] = 0x45;
    h[1] = (uint8_t)info->tos;
    put16(h + 2, payload + IP4_HEADER);
    h[8] = (uint8_t)info->ttl;
    h[9] = info->protocol;
    a = ia_v4(&info->src);
    memcpy(h + 12, &a, sizeof(a));
    a = ia_v4(&info->dst);
    memcpy(h + 16, &a, sizeof(a));
    sum = packet_checksum(h, IP4_HEADER);
    memcpy(h + 10, &sum, sizeof(sum));
}

static void ip6_header(uint8_t *h, const struct packet_info *info, size_t payload)
{
    memset(h, 0, IP6_HEADER);
    h[0] = (uint8_t)(0x60 | (info->tos >> 4 & 0xf));
    h[1] = (uint8_t)(info->tos << 4);
    put16(h + 4, payload);
    h[6] = info->protocol;
    h[7] = (uint8_t)info->ttl;
    memcpy(h + 8, info->src.b, sizeof(info->src.b));
    memcpy(h + 24, info->dst.b, sizeof(info->dst.b));
}

void packet_udp_header(uint8_t *h, const struct packet_info *info, size_t payload)
{
    put16(h, info->sport);
    put16(h + 2, info->dport);
    put16(h + 4, payload + UDP_HEADER);
    put16(h + 6, 0); /* no checksum */
}

/* The link header, which has no addresses on lo, and the network header of a packet with so many bytes
 * behind it; returns their size. */
size_t packet_outer_headers(uint8_t *out, const struct packet_info *info, size_t payload)
{
    bool v4 = ia_is_v4(&info->dst);

    memset(out, 0, LINK_HEADER - 2);
    put16(out + LINK_HEADER - 2, v4 ? ETH_IP4 : ETH_IP6);
    if (v4)
        packet_ip4_header(out + LINK_HEADER, info, payload);
    else
        ip6_header(out + LINK_HEADER, info, payload);
    return LINK_HEADER + (size_t)(v4 ? IP4_HEADER : IP6_HEADER);
}

/* These and, for UDP, the transport header; returns their size and where the last two begin. */
static size_t headers(uint8_t *out, const struct packet_info *info, size_t payload, bool udp,
                      size_t *transport)
{
    size_t size = packet_outer_headers(out, info, payload + (udp ? UDP_HEADER : 0));

    *transport = size;
    if (udp) {
        packet_udp_header(out + size, info, payload);
        size += UDP_HEADER;
    }
    return size;
}

static bool is_udp(const struct sock *sk)
{
    return sk->type == LX_SOCK_DGRAM &&
           (sk->protocol == LX_IPPROTO_UDP || sk->protocol == LX_IPPROTO_UDPLITE);
}

bool packet_filter(struct sock *sk, const struct packet_info *info, const void *data, size_t *size)
{
    bool v4 = ia_is_v4(&info->dst);
    uint8_t *bytes = malloc(HEADERS_MAX + *size);
    size_t transport, head, taken;
    struct bpf_packet p;
    bool wanted;

    if (!bytes)
        return false;
    /* What a raw socket has of UDP begins with the header. */
    head = headers(bytes, info, *size, is_udp(sk), &transport);
    memcpy(bytes + head, data, *size);
    p = (struct bpf_packet){.bytes = bytes,
                            .size = head + *size,
                            .start = v4 && sk->type == LX_SOCK_RAW ? LINK_HEADER : transport,
                            .link = 0,
                            .net = LINK_HEADER,
                            .protocol = v4 ? ETH_IP4 : ETH_IP6,
                            .hatype = LINK_HARDWARE,
                            .ifindex = LINK_IFINDEX};
    wanted = sock_filter_packet(sk, &p, head == transport ? 1 : UDP_HEADER, &taken);
    *size = MIN(*size, taken - MIN(taken, head - p.start));
    free(bytes);
    return wanted;
}

void packet_show(struct netns *ns, const struct packet_info *info, const void *transport,
                 size_t head, const void *data, size_t size)
{
    uint8_t *frame = malloc(LINK_HEADER + IP6_HEADER + head + size);
    size_t outer;

    if (!frame)
        return; /* as if a watcher had missed it */
    outer = packet_outer_headers(frame, info, head + size);
    if (head)
        memcpy(frame + outer, transport, head);
    if (size)
        memcpy(frame + outer + head, data, size);
    link_show(ns, NULL, frame, outer + head + size);
    free(frame);
}

/* The network header of a frame, checked against its size; *out_at: what is behind it. */
static bool parse_network(const uint8_t *frame, size_t size, struct packet_info *out,
                          size_t *out_at, size_t *out_size)
{
    const uint8_t *h = frame + LINK_HEADER;
    size_t left = size - LINK_HEADER, head, total;
    bool v4 = frame[12] == ETH_IP4 >> 8 && frame[13] == (ETH_IP4 & 0xff);
    uint32_t a;

    if (!v4 && (frame[12] != ETH_IP6 >> 8 || frame[13] != (ETH_IP6 & 0xff)))
        return false;
    if (left < (v4 ? IP4_HEADER : IP6_HEADER) || h[0] >> 4 != (v4 ? 4 : 6))
        return false;
    head = v4 ? (h[0] & 0xfu) * 4u : IP6_HEADER;
    total = v4 ? (size_t)(h[2] << 8 | h[3]) : (size_t)(h[4] << 8 | h[5]) + IP6_HEADER;
    if (head < IP4_HEADER || total < head || total > left)
        return false;
    /* Linux: a fragment waits for the others; here it waits for ever. */
    if (v4 && (packet_checksum(h, head) || (h[6] & 0x3f) || h[7]))
        return false;
    if (v4) {
        memcpy(&a, h + 12, sizeof(a));
        ia_from_v4(&out->src, a);
        memcpy(&a, h + 16, sizeof(a));
        ia_from_v4(&out->dst, a);
        out->protocol = h[9];
        out->ttl = h[8];
        out->tos = h[1];
    } else {
        memcpy(out->src.b, h + 8, sizeof(out->src.b));
        memcpy(out->dst.b, h + 24, sizeof(out->dst.b));
        out->protocol = h[6];
        out->ttl = h[7];
        out->tos = (h[0] & 0xf) << 4 | h[1] >> 4;
    }
    *out_at = LINK_HEADER + head;
    *out_size = total - head;
    return true;
}

uint16_t packet_transport_checksum(const struct packet_info *info, const void *transport,
                                   size_t head, const void *data, size_t size)
{
    uint8_t pseudo[40] = {0};
    bool v4 = ia_is_v4(&info->dst);
    size_t address = v4 ? 4 : 16, used = v4 ? 12 : 40;
    uint32_t sum;

    memcpy(pseudo, info->src.b + 16 - address, address);
    memcpy(pseudo + address, info->dst.b + 16 - address, address);
    pseudo[v4 ? 9 : 39] = info->protocol;
    put16(pseudo + (v4 ? 10 : 34), head + size);
    sum = (uint16_t)~packet_checksum(pseudo, used);
    sum += (uint16_t)~packet_checksum(transport, head);
    sum += (uint16_t)~packet_checksum(data, size);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* Linux: over IPv4 nobody believes a packet from a device that says it is from this host, or from or to
 * a loopback address; the checksum of UDP over IPv6 must be there and right. */
static bool believed(struct netns *ns, const struct packet_info *info, const uint8_t *data,
                     size_t size)
{
    if (ia_is_v4(&info->dst))
        return !ia_is_loopback(&info->src) && !ia_is_loopback(&info->dst) &&
               !lo_is_local(ns, &info->src, NULL);
    return info->protocol != LX_IPPROTO_UDP || size < UDP_HEADER ||
           (memcmp(data + 6, "\0\0", 2) != 0 &&
            packet_transport_checksum(info, data, UDP_HEADER, data + UDP_HEADER,
                                      size - UDP_HEADER) == 0);
}

void packet_input(struct netns *ns, const uint8_t *frame, size_t size)
{
    struct packet_info info = {.ttl = 0};
    size_t at, left;
    uint8_t *data;

    if (!parse_network(frame, size, &info, &at, &left) || !lo_is_local(ns, &info.dst, NULL) ||
        !believed(ns, &info, frame + at, left))
        return;
    data = malloc(left + 1);
    if (!data)
        return;
    memcpy(data, frame + at, left);
    raw_input(ns, &info, data, left);
    free(data);
}
