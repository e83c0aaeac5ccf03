/* SPDX-License-Identifier: Apache-2.0 */
/* packet(7): addresses, options and rings of AF_PACKET. */
#pragma once

#include <stdint.h>

#define LX_ETH_P_ALL  0x0003
#define LX_ETH_P_IP   0x0800
#define LX_ETH_P_IPV6 0x86dd

#define LX_PACKET_HOST     0
#define LX_PACKET_OUTGOING 4

struct lx_sockaddr_ll {
    uint16_t family;
    uint16_t protocol; /* network order */
    int32_t ifindex;
    uint16_t hatype;
    uint8_t pkttype;
    uint8_t halen;
    uint8_t addr[8];
};
#define LX_SOCKADDR_LL_ADDR 12 /* offset of addr */

#define LX_PACKET_ADD_MEMBERSHIP  1
#define LX_PACKET_DROP_MEMBERSHIP 2
#define LX_PACKET_RX_RING         5
#define LX_PACKET_STATISTICS      6
#define LX_PACKET_COPY_THRESH     7
#define LX_PACKET_AUXDATA         8
#define LX_PACKET_ORIGDEV         9
#define LX_PACKET_VERSION         10
#define LX_PACKET_HDRLEN          11
#define LX_PACKET_RESERVE         12
#define LX_PACKET_LOSS            14
#define LX_PACKET_TIMESTAMP       17
#define LX_PACKET_QDISC_BYPASS    20
#define LX_PACKET_IGNORE_OUTGOING 23

struct lx_packet_mreq {
    int32_t ifindex;
    uint16_t type, alen;
    uint8_t address[8];
};
#define LX_PACKET_MR_UNICAST 3

struct lx_tpacket_stats {
    uint32_t packets, drops;
};

struct lx_tpacket_auxdata {
    uint32_t status, len, snaplen;
    uint16_t mac, net, vlan_tci, vlan_tpid;
};

struct lx_tpacket_req {
    uint32_t block_size, block_nr, frame_size, frame_nr;
};

#define LX_TPACKET_V1 0
#define LX_TPACKET_V2 1

#define LX_TP_STATUS_KERNEL     0
#define LX_TP_STATUS_USER       0x01
#define LX_TP_STATUS_LOSING     0x04
#define LX_TP_STATUS_CSUM_VALID 0x80

#define LX_TPACKET_ALIGNMENT 16u

struct lx_tpacket_hdr {
    uint64_t status;
    uint32_t len, snaplen;
    uint16_t mac, net;
    uint32_t sec, usec;
    uint32_t spare;
};

struct lx_tpacket2_hdr {
    uint32_t status, len, snaplen;
    uint16_t mac, net;
    uint32_t sec, nsec;
    uint16_t vlan_tci, vlan_tpid;
    uint8_t padding[4];
};
