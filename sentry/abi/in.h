/* SPDX-License-Identifier: Apache-2.0 */
/* ip(7), ipv6(7), tcp(7), udp(7): addresses and options. Ports and addresses in network order. */
#pragma once

#include "sentry/abi/types.h"

#define LX_IPPROTO_IP      0
#define LX_IPPROTO_ICMP    1
#define LX_IPPROTO_TCP     6
#define LX_IPPROTO_UDP     17
#define LX_IPPROTO_IPV6    41
#define LX_IPPROTO_ICMPV6  58
#define LX_IPPROTO_UDPLITE 136
#define LX_IPPROTO_RAW     255
#define LX_IPPROTO_MPTCP   262

struct lx_sockaddr_in {
    uint16_t family;
    uint16_t port;
    uint32_t addr;
    uint8_t zero[8];
};
static_assert(sizeof(struct lx_sockaddr_in) == 16, "sockaddr_in");

struct lx_sockaddr_in6 {
    uint16_t family;
    uint16_t port;
    uint32_t flowinfo;
    uint8_t addr[16];
    uint32_t scope_id;
};
static_assert(sizeof(struct lx_sockaddr_in6) == 28, "sockaddr_in6");
#define LX_SIN6_LEN_RFC2133 24

#define LX_IP_TOS                    1
#define LX_IP_TTL                    2
#define LX_IP_HDRINCL                3
#define LX_IP_OPTIONS                4
#define LX_IP_RECVOPTS               6
#define LX_IP_RETOPTS                7
#define LX_IP_PKTINFO                8
#define LX_IP_PKTOPTIONS             9
#define LX_IP_MTU_DISCOVER           10
#define LX_IP_RECVERR                11
#define LX_IP_RECVTTL                12
#define LX_IP_RECVTOS                13
#define LX_IP_MTU                    14
#define LX_IP_FREEBIND               15
#define LX_IP_PASSSEC                18
#define LX_IP_TRANSPARENT            19
#define LX_IP_ORIGDSTADDR            20
#define LX_IP_MINTTL                 21
#define LX_IP_NODEFRAG               22
#define LX_IP_CHECKSUM               23
#define LX_IP_BIND_ADDRESS_NO_PORT   24
#define LX_IP_RECVFRAGSIZE           25
#define LX_IP_RECVERR_RFC4884        26
#define LX_IP_MULTICAST_IF           32
#define LX_IP_MULTICAST_TTL          33
#define LX_IP_MULTICAST_LOOP         34
#define LX_IP_ADD_MEMBERSHIP         35
#define LX_IP_DROP_MEMBERSHIP        36
#define LX_IP_ADD_SOURCE_MEMBERSHIP  39
#define LX_IP_DROP_SOURCE_MEMBERSHIP 40
#define LX_IP_MULTICAST_ALL          49
#define LX_IP_UNICAST_IF             50
#define LX_IP_LOCAL_PORT_RANGE       51

#define LX_IPV6_ADDRFORM             1
#define LX_IPV6_2292PKTINFO          2
#define LX_IPV6_CHECKSUM             7
#define LX_IPV6_2292HOPLIMIT         8
#define LX_IPV6_UNICAST_HOPS         16
#define LX_IPV6_MULTICAST_IF         17
#define LX_IPV6_MULTICAST_HOPS       18
#define LX_IPV6_MULTICAST_LOOP       19
#define LX_IPV6_JOIN_GROUP           20
#define LX_IPV6_LEAVE_GROUP          21
#define LX_IPV6_MTU_DISCOVER         23
#define LX_IPV6_MTU                  24
#define LX_IPV6_RECVERR              25
#define LX_IPV6_V6ONLY               26
#define LX_IPV6_MULTICAST_ALL        29
#define LX_IPV6_RECVPKTINFO          49
#define LX_IPV6_PKTINFO              50
#define LX_IPV6_RECVHOPLIMIT         51
#define LX_IPV6_HOPLIMIT             52
#define LX_IPV6_RECVTCLASS           66
#define LX_IPV6_TCLASS               67
#define LX_IPV6_AUTOFLOWLABEL        70
#define LX_IPV6_ADDR_PREFERENCES     72
#define LX_IPV6_2292HOPOPTS          3
#define LX_IPV6_2292DSTOPTS          4
#define LX_IPV6_2292RTHDR            5
#define LX_IPV6_FLOWINFO             11
#define LX_IPV6_ROUTER_ALERT_ISOLATE 30
#define LX_IPV6_RECVERR_RFC4884      31
#define LX_IPV6_FLOWINFO_SEND        33
#define LX_IPV6_RECVHOPOPTS          53
#define LX_IPV6_RECVRTHDR            56
#define LX_IPV6_RECVDSTOPTS          58
#define LX_IPV6_RECVPATHMTU          60
#define LX_IPV6_DONTFRAG             62
#define LX_IPV6_MINHOPCOUNT          73
#define LX_IPV6_ORIGDSTADDR          74
#define LX_IPV6_TRANSPARENT          75
#define LX_IPV6_UNICAST_IF           76
#define LX_IPV6_RECVFRAGSIZE         77
#define LX_IPV6_FREEBIND             78

#define LX_TCP_NODELAY              1
#define LX_TCP_MAXSEG               2
#define LX_TCP_CORK                 3
#define LX_TCP_KEEPIDLE             4
#define LX_TCP_KEEPINTVL            5
#define LX_TCP_KEEPCNT              6
#define LX_TCP_SYNCNT               7
#define LX_TCP_LINGER2              8
#define LX_TCP_DEFER_ACCEPT         9
#define LX_TCP_WINDOW_CLAMP         10
#define LX_TCP_INFO                 11
#define LX_TCP_QUICKACK             12
#define LX_TCP_CONGESTION           13
#define LX_TCP_MD5SIG               14
#define LX_TCP_THIN_LINEAR_TIMEOUTS 16
#define LX_TCP_THIN_DUPACK          17
#define LX_TCP_USER_TIMEOUT         18
#define LX_TCP_REPAIR               19
#define LX_TCP_FASTOPEN             23
#define LX_TCP_TIMESTAMP            24
#define LX_TCP_NOTSENT_LOWAT        25
#define LX_TCP_CC_INFO              26
#define LX_TCP_SAVE_SYN             27
#define LX_TCP_FASTOPEN_CONNECT     30
#define LX_TCP_ULP                  31
#define LX_TCP_FASTOPEN_NO_COOKIE   34
#define LX_TCP_INQ                  36
#define LX_TCP_TX_DELAY             37

#define LX_SOL_UDPLITE        136
#define LX_UDPLITE_SEND_CSCOV 10
#define LX_UDPLITE_RECV_CSCOV 11
#define LX_UDP_CORK           1
#define LX_UDP_ENCAP          100
#define LX_UDP_NO_CHECK6_TX   101
#define LX_UDP_NO_CHECK6_RX   102
#define LX_UDP_SEGMENT        103
#define LX_UDP_GRO            104

/* Values of TCP_INFO's state and of /proc/net/tcp. */
enum lx_tcp_state {
    LX_TCP_ESTABLISHED = 1,
    LX_TCP_SYN_SENT,
    LX_TCP_SYN_RECV,
    LX_TCP_FIN_WAIT1,
    LX_TCP_FIN_WAIT2,
    LX_TCP_TIME_WAIT,
    LX_TCP_CLOSE,
    LX_TCP_CLOSE_WAIT,
    LX_TCP_LAST_ACK,
    LX_TCP_LISTEN,
    LX_TCP_CLOSING,
};

struct lx_tcp_info {
    uint8_t state, ca_state, retransmits, probes, backoff, options, wscale, delivery_flags;
    uint32_t rto, ato, snd_mss, rcv_mss;
    uint32_t unacked, sacked, lost, retrans, fackets;
    uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
    uint32_t pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering;
    uint32_t rcv_rtt, rcv_space, total_retrans;
    uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
    uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
    uint64_t delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
    uint32_t delivered, delivered_ce;
    uint64_t bytes_sent, bytes_retrans;
    uint32_t dsack_dups, reord_seen, rcv_ooopack, snd_wnd;
};
static_assert(sizeof(struct lx_tcp_info) == 232, "tcp_info of Linux 6.1");

struct lx_ip_mreqn {
    uint32_t group, address;
    int32_t ifindex;
};
struct lx_ipv6_mreq {
    uint8_t group[16];
    int32_t ifindex;
};
struct lx_in_pktinfo {
    int32_t ifindex;
    uint32_t spec_dst, addr;
};
struct lx_in6_pktinfo {
    uint8_t addr[16];
    uint32_t ifindex;
};

/* IP_RECVERR / IPV6_RECVERR messages (linux/errqueue.h). */
struct lx_sock_extended_err {
    uint32_t err;
    uint8_t origin, type, code, pad;
    uint32_t info, data;
};
#define LX_SO_EE_ORIGIN_ICMP  2
#define LX_SO_EE_ORIGIN_ICMP6 3
