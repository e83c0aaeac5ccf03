/* SPDX-License-Identifier: Apache-2.0 */
/* The headers that a packet on lo would have, for those who look at packets: raw readers, filters. */
#pragma once

#include "sentry/net/inet/inet.h"
#include "sentry/net/link/link.h"

enum { IP4_HEADER = 20, IP6_HEADER = 40, UDP_HEADER = 8 };

struct packet_info {
    struct inet_addr src, dst;
    uint16_t sport, dport; /* UDP */
    uint8_t protocol;      /* IPPROTO_* */
    int ttl, tos;
};

/* What raw sockets of ns see of a datagram that a UDP socket sends. data: without its header. */
void raw_see_udp(struct netns *ns, const struct packet_info *info, const uint8_t *data,
                 size_t size);
/* A UDP packet that a raw socket sent, header and data: to the socket that has the port. */
void udp_input(struct netns *ns, const struct packet_info *info, const uint8_t *packet,
               size_t size);
/* A frame that an AF_PACKET socket sent: to whom it is for. */
void packet_input(struct netns *ns, const uint8_t *frame, size_t size);
/* The same for what is behind the IP header. data is changed. */
void raw_input(struct netns *ns, const struct packet_info *info, uint8_t *data, size_t size);
/* Shows those who watch lo a packet: transport header and data behind it. */
void packet_show(struct netns *ns, const struct packet_info *info, const void *transport,
                 size_t head, const void *data, size_t size);
/* The link and network headers of a packet with so many bytes behind them; returns their size. */
enum { OUTER_HEADERS_MAX = LINK_HEADER + IP6_HEADER };
size_t packet_outer_headers(uint8_t *out, const struct packet_info *info, size_t payload);
/* The checksum of TCP, UDP and ICMPv6: of a transport header of even size and what is behind it, 0 when
 * the right one is there already. */
uint16_t packet_transport_checksum(const struct packet_info *info, const void *transport,
                                   size_t head, const void *data, size_t size);
/* The UDP header of a datagram with so many bytes: UDP_HEADER bytes. */
void packet_udp_header(uint8_t *h, const struct packet_info *info, size_t payload);
/* Internet checksum of size bytes, as it stands in a header. */
uint16_t packet_checksum(const uint8_t *p, size_t size);
/* The IPv4 header of a packet with so many bytes behind it: IP4_HEADER bytes. */
void packet_ip4_header(uint8_t *h, const struct packet_info *info, size_t payload);
/* Asks sk's filter about the datagram or ICMP message with the bytes `data`. Offset 0 of the program is the
 * UDP header, the IP header (SOCK_RAW over IPv4) or the message. False: it is not wanted. *size is cut to the
 * bytes of data that are; no memory counts as not wanted. */
bool packet_filter(struct sock *sk, const struct packet_info *info, const void *data, size_t *size);
