/* SPDX-License-Identifier: Apache-2.0 */
/* See packet.h. */
#include "sentry/net/inet/packet.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "sentry/net/filter.h"

#define ETH_IP4       0x0800
#define ETH_IP6       0x86dd
#define HARDWARE_LOOP 772
#define HEADERS_MAX   (LINK_HEADER + IP6_HEADER + UDP_HEADER)

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

/* Link, network and, for UDP, transport header; returns their size and where the last two begin. */
static size_t headers(uint8_t *out, const struct packet_info *info, size_t payload, bool udp,
                      size_t *transport)
{
    bool v4 = ia_is_v4(&info->dst);
    size_t size = LINK_HEADER + (v4 ? IP4_HEADER : IP6_HEADER);

    memset(out, 0, LINK_HEADER - 2); /* lo has no addresses */
    put16(out + LINK_HEADER - 2, v4 ? ETH_IP4 : ETH_IP6);
    if (v4)
        packet_ip4_header(out + LINK_HEADER, info, payload + (udp ? UDP_HEADER : 0));
    else
        ip6_header(out + LINK_HEADER, info, payload + (udp ? UDP_HEADER : 0));
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
                            .hatype = HARDWARE_LOOP,
                            .ifindex = 1};
    wanted = sock_filter_packet(sk, &p, head == transport ? 1 : UDP_HEADER, &taken);
    *size = MIN(*size, taken - MIN(taken, head - p.start));
    free(bytes);
    return wanted;
}
