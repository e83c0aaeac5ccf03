/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/PID/net: the endpoints and the device of the process's network namespace, in the columns
 * that netstat, ss, lsof and ifconfig parse. Tables of machinery that does not exist here are
 * empty.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "sentry/abi/netlink.h"
#include "sentry/abi/packet.h"
#include "sentry/core/userns.h"
#include "sentry/net/inet/lo.h"
#include "sentry/net/net_tables.h"
#include "sentry/net/unix/unix.h"
#include "sentry/proc/proc_internal.h"

static int netns_of(struct pseudo_node *n, struct netns **out)
{
    struct task *t;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    *out = task_netns_get(t);
    task_put(t);
    return *out ? 0 : -EINVAL;
}

struct walk {
    struct pbuf *b;
    uint32_t line;
    int family, type, protocol;
};

/* Runs fn over the endpoints of n's namespace. */
static int walk_socks(struct pseudo_node *n, struct walk *w, bool (*fn)(struct sock *, void *))
{
    struct netns *ns;
    int ret = netns_of(n, &ns);

    if (ret < 0)
        return ret;
    netns_for_each_sock(ns, fn, w);
    netns_put(ns);
    return 0;
}

/* The file as the namespace's outside prints it. False: it has none, print our own. */
static bool show_outside(struct pseudo_node *n, struct pbuf *b, const char *name)
{
    const struct inet_transport_ops *tr;
    char piece[4096];
    struct netns *ns;
    int64_t off = 0;
    ssize_t got = -ENOENT;

    if (netns_of(n, &ns) < 0)
        return false;
    tr = ns->transport;
    while (tr && tr->proc_read && (got = tr->proc_read(ns, name, piece, sizeof(piece), off)) > 0) {
        pbuf_put(b, piece, (size_t)got);
        off += got;
    }
    netns_put(ns);
    return off > 0 || got == 0;
}

/* NAME's show function: the outside's file, else what expr gives. */
#define OUTSIDE(name, expr)                                                                        \
    static int outside_##name(struct pseudo_node *n, struct pbuf *b)                               \
    {                                                                                              \
        return show_outside(n, b, #name) ? 0 : (expr);                                             \
    }
#define OUTSIDE_TEXT(name, text) OUTSIDE(name, (pbuf_puts(b, text), 0))

/* ---- inet ----------------------------------------------------------------------------------- */

static void put_addr(struct pbuf *b, bool v4, const struct inet_addr *a, uint16_t port)
{
    uint32_t word[4];

    if (v4) {
        pbuf_printf(b, "%08X:%04X", ia_v4(a), port);
        return;
    }
    memcpy(word, a->b, sizeof(word));
    pbuf_printf(b, "%08X%08X%08X%08X:%04X", word[0], word[1], word[2], word[3], port);
}

struct inet_line {
    const struct inet_addr *laddr, *raddr;
    uint16_t lport, rport;
    uint32_t state, rx, tx;
    lx_uid_t uid;
    uint64_t ino;
};

static void put_inet_line(struct walk *w, const struct inet_line *l)
{
    bool v4 = w->family == LX_AF_INET;
    struct pbuf *b = w->b;
    size_t line = b->size;

    pbuf_printf(b, w->type == LX_SOCK_STREAM ? "%4u: " : "%5u: ", w->line++);
    put_addr(b, v4, l->laddr, l->lport);
    pbuf_putc(b, ' ');
    put_addr(b, v4, l->raddr, l->rport);
    pbuf_printf(b, " %02X %08X:%08X 00:00000000 00000000 %5u %8d %llu", l->state, l->tx, l->rx,
                userns_from_kuid(curr()->cred->userns, l->uid), 0, (unsigned long long)l->ino);
    if (w->type == LX_SOCK_STREAM)
        pbuf_puts(b, " 1 0000000000000000 100 0 0 10 0");
    else
        pbuf_puts(b, " 2 0000000000000000 0");
    if (v4)
        pbuf_pad(b, line, w->type == LX_SOCK_STREAM ? 148 : 126);
    pbuf_putc(b, '\n');
}

static bool show_inet_sock(struct sock *sk, void *arg)
{
    struct walk *w = arg;
    struct inet_sock *in;
    struct inet_line l = {0};

    if (sk->family != w->family || sk->type != w->type ||
        (w->protocol >= 0 && (int)sk->protocol != w->protocol))
        return true;
    in = inet_of(sk);
    /* A TCP endpoint that is in no table is not shown. */
    if (!in->lport && w->type != LX_SOCK_RAW)
        return true;
    l.laddr = &in->laddr;
    l.raddr = &in->raddr;
    l.lport = in->lport;
    l.rport = in->rport;
    l.uid = sk->uid;
    l.ino = sk->ino;
    l.state = w->type == LX_SOCK_STREAM ? (uint32_t)tcp_state(sk) : in->rport ? 1 : 7;
    if (w->type == LX_SOCK_STREAM && l.state == LX_TCP_CLOSE)
        return true;
    if (w->type != LX_SOCK_RAW)
        inet_queue_sizes(sk, &l.rx, &l.tx);
    put_inet_line(w, &l);
    return true;
}

static void show_time_wait(const struct inet_bind *tw, void *arg)
{
    struct walk *w = arg;
    struct inet_line l = {
        .laddr = &tw->addr,
        .raddr = &tw->raddr,
        .lport = tw->port,
        .rport = tw->rport,
        .state = LX_TCP_TIME_WAIT,
    };

    if (ia_is_v4(&tw->addr) == (w->family == LX_AF_INET))
        put_inet_line(w, &l);
}

#define TCP_HEAD4                                                                                  \
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "  \
    "inode                                                     \n"
#define TCP_HEAD6                                                                                  \
    "  sl  local_address                         remote_address                        st "        \
    "tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
#define UDP_HEAD4                                                                                  \
    "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout " \
    "inode ref pointer drops             \n"
#define UDP_HEAD6                                                                                  \
    "  sl  local_address                         remote_address                        st "        \
    "tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"

static int show_tcp(struct pseudo_node *n, struct pbuf *b, int family)
{
    struct walk w = {.b = b, .family = family, .type = LX_SOCK_STREAM, .protocol = -1};
    struct netns *ns;
    int ret = netns_of(n, &ns);

    if (ret < 0)
        return ret;
    pbuf_puts(b, family == LX_AF_INET ? TCP_HEAD4 : TCP_HEAD6);
    netns_for_each_sock(ns, show_inet_sock, &w);
    inet_time_wait_for_each(ns, show_time_wait, &w);
    netns_put(ns);
    return 0;
}

static int show_tcp4(struct pseudo_node *n, struct pbuf *b)
{
    return show_tcp(n, b, LX_AF_INET);
}

static int show_tcp6(struct pseudo_node *n, struct pbuf *b)
{
    return show_tcp(n, b, LX_AF_INET6);
}

static int show_dgram(struct pseudo_node *n, struct pbuf *b, int family, int type, int protocol)
{
    struct walk w = {.b = b, .family = family, .type = type, .protocol = protocol};

    pbuf_puts(b, family == LX_AF_INET ? UDP_HEAD4 : UDP_HEAD6);
    return walk_socks(n, &w, show_inet_sock);
}

static int show_udp4(struct pseudo_node *n, struct pbuf *b)
{
    return show_dgram(n, b, LX_AF_INET, LX_SOCK_DGRAM, LX_IPPROTO_UDP);
}

static int show_udp6(struct pseudo_node *n, struct pbuf *b)
{
    return show_dgram(n, b, LX_AF_INET6, LX_SOCK_DGRAM, LX_IPPROTO_UDP);
}

static int show_udplite4(struct pseudo_node *n, struct pbuf *b)
{
    return show_dgram(n, b, LX_AF_INET, LX_SOCK_DGRAM, LX_IPPROTO_UDPLITE);
}

static int show_udplite6(struct pseudo_node *n, struct pbuf *b)
{
    return show_dgram(n, b, LX_AF_INET6, LX_SOCK_DGRAM, LX_IPPROTO_UDPLITE);
}

static int show_icmp4(struct pseudo_node *n, struct pbuf *b)
{
    return show_dgram(n, b, LX_AF_INET, LX_SOCK_DGRAM, LX_IPPROTO_ICMP);
}

static int show_icmp6(struct pseudo_node *n, struct pbuf *b)
{
    return show_dgram(n, b, LX_AF_INET6, LX_SOCK_DGRAM, LX_IPPROTO_ICMPV6);
}

static int show_raw4(struct pseudo_node *n, struct pbuf *b)
{
    return show_dgram(n, b, LX_AF_INET, LX_SOCK_RAW, -1);
}

static int show_raw6(struct pseudo_node *n, struct pbuf *b)
{
    return show_dgram(n, b, LX_AF_INET6, LX_SOCK_RAW, -1);
}

/* ---- unix, netlink -------------------------------------------------------------------------- */

static bool show_unix_sock(struct sock *sk, void *arg)
{
    struct walk *w = arg;
    struct sockaddr_buf a;
    uint32_t state;

    if (sk->family != LX_AF_UNIX)
        return true;
    /* States of the old socket enum: 1 unconnected, 3 connected. */
    state = unix_of(sk)->peer ? 3 : 1;
    pbuf_printf(w->b, "%016x: %08X 00000000 %08X %04X %02X %5llu", 0, refs_read(&sk->refs) - 1,
                unix_of(sk)->state == UNIX_LISTENING ? 0x10000u : 0u, sk->type, state,
                (unsigned long long)sk->ino);
    if (sk->ops->getname(sk, /*peer=*/false, &a) == 0 && a.len > 2) {
        pbuf_putc(w->b, ' ');
        for (uint32_t i = 2; i < a.len; i++) {
            if (a.bytes[i] == '\0' && a.bytes[2] != '\0')
                break;
            pbuf_putc(w->b, a.bytes[i] ? (char)a.bytes[i] : '@');
        }
    }
    pbuf_putc(w->b, '\n');
    return true;
}

static int show_unix(struct pseudo_node *n, struct pbuf *b)
{
    struct walk w = {.b = b};

    pbuf_puts(b, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    return walk_socks(n, &w, show_unix_sock);
}

static bool show_netlink_sock(struct sock *sk, void *arg)
{
    struct walk *w = arg;
    struct sockaddr_buf a;
    uint32_t ids[2] = {0};

    if (sk->family != LX_AF_NETLINK)
        return true;
    if (sk->ops->getname(sk, /*peer=*/false, &a) == 0)
        memcpy(ids, a.bytes + 4, sizeof(ids));
    pbuf_printf(
        w->b, "0000000000000000 %-3u %-10u %08x 0        0        0     2        0        %-8llu\n",
        sk->protocol, ids[0], ids[1], (unsigned long long)sk->ino);
    return true;
}

static int show_netlink(struct pseudo_node *n, struct pbuf *b)
{
    struct walk w = {.b = b};

    pbuf_puts(b,
              "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    "
              "Inode\n");
    return walk_socks(n, &w, show_netlink_sock);
}

static bool show_packet_sock(struct sock *sk, void *arg)
{
    struct walk *w = arg;
    struct lx_sockaddr_ll ll = {0};
    struct sockaddr_buf a;

    if (sk->family != LX_AF_PACKET)
        return true;
    if (sk->ops->getname(sk, /*peer=*/false, &a) == 0)
        memcpy(&ll, a.bytes, MIN((size_t)a.len, sizeof(ll)));
    pbuf_printf(w->b, "0000000000000000 %-6d %-4d %04x   %-5d %1d %-6u %-6u %-6llu\n", 3, sk->type,
                ntohs(ll.protocol), ll.ifindex, ll.protocol != 0, 0u,
                userns_from_kuid(curr()->cred->userns, sk->uid), (unsigned long long)sk->ino);
    return true;
}

static int show_packet(struct pseudo_node *n, struct pbuf *b)
{
    struct walk w = {.b = b};

    pbuf_puts(b, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n");
    return walk_socks(n, &w, show_packet_sock);
}

/* ---- the device ----------------------------------------------------------------------------- */

static int show_dev(struct pseudo_node *n, struct pbuf *b)
{
    struct netns *ns;
    unsigned long long bytes, packets;
    int ret = netns_of(n, &ns);

    if (ret < 0)
        return ret;
    bytes = ns->lo_bytes;
    packets = ns->lo_packets;
    pbuf_puts(b,
              "Inter-|   Receive                                                |  Transmit\n"
              " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets "
              "errs drop fifo colls carrier compressed\n");
    pbuf_printf(b,
                "    lo: %7llu %7llu    0    0    0     0          0         0 %8llu %7llu    0    "
                "0    0     0       0          0\n",
                bytes, packets, bytes, packets);
    netns_put(ns);
    return 0;
}

/* The scope as if_inet6 has it: of the address's kind. */
static unsigned kind_of6(const struct lo_addr *a)
{
    return a->scope == LX_RT_SCOPE_HOST ? 0x10 : a->scope == LX_RT_SCOPE_LINK ? 0x20 : 0;
}

static void put_addr6(struct pbuf *b, const struct inet_addr *a)
{
    for (size_t i = 0; i < sizeof(a->b); i++)
        pbuf_printf(b, "%02x", a->b[i]);
}

static void show_addr6(const struct lo_addr *a, void *arg)
{
    struct pbuf *b = arg;

    if (ia_is_v4(&a->addr))
        return;
    put_addr6(b, &a->addr);
    pbuf_printf(b, " 01 %02x %02x %02x       lo\n", a->len, kind_of6(a), a->flags & 0xff);
}

static void show_route6(const struct lo_addr *a, void *arg)
{
    struct pbuf *b = arg;

    if (ia_is_v4(&a->addr))
        return;
    put_addr6(b, &a->addr);
    pbuf_puts(b,
              " 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 "
              "00000003 00000000 80200001       lo\n");
}

static int show_if_inet6(struct pseudo_node *n, struct pbuf *b)
{
    struct netns *ns;
    int ret = netns_of(n, &ns);

    if (ret < 0)
        return ret;
    lo_each_addr(ns, show_addr6, b);
    netns_put(ns);
    return 0;
}

static int show_ipv6_route(struct pseudo_node *n, struct pbuf *b)
{
    struct netns *ns;
    int ret = netns_of(n, &ns);

    if (ret < 0)
        return ret;
    if (netns_lo_up(ns))
        lo_each_addr(ns, show_route6, b);
    netns_put(ns);
    return 0;
}

static int show_route(struct pseudo_node *n, struct pbuf *b)
{
    size_t line = b->size;

    pbuf_puts(
        b, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT");
    pbuf_pad(b, line, 126);
    pbuf_putc(b, '\n');
    return 0;
}

/* ---- statistics ----------------------------------------------------------------------------- */

struct counts {
    uint32_t all, tcp[2], udp[2], raw[2], tw;
};

static bool count_sock(struct sock *sk, void *arg)
{
    struct counts *c = arg;
    bool v6 = sk->family == LX_AF_INET6;

    c->all++;
    if (sk->family != LX_AF_INET && !v6)
        return true;
    if (sk->type == LX_SOCK_STREAM)
        c->tcp[v6]++;
    else if (sk->protocol == LX_IPPROTO_UDP)
        c->udp[v6]++;
    else
        c->raw[v6]++;
    return true;
}

static int counts_get(struct pseudo_node *n, struct counts *c)
{
    struct netns *ns;
    int ret = netns_of(n, &ns);

    if (ret < 0)
        return ret;
    netns_for_each_sock(ns, count_sock, c);
    c->tw = ns->time_wait_count;
    netns_put(ns);
    return 0;
}

static int show_sockstat(struct pseudo_node *n, struct pbuf *b)
{
    struct counts c = {0};
    int ret = counts_get(n, &c);

    if (ret < 0)
        return ret;
    pbuf_printf(b, "sockets: used %u\nTCP: inuse %u orphan 0 tw %u alloc %u mem 0\n", c.all,
                c.tcp[0], c.tw, c.tcp[0] + c.tcp[1]);
    pbuf_printf(b, "UDP: inuse %u mem 0\nUDPLITE: inuse 0\nRAW: inuse %u\nFRAG: inuse 0 memory 0\n",
                c.udp[0], c.raw[0]);
    return 0;
}

static int show_sockstat6(struct pseudo_node *n, struct pbuf *b)
{
    struct counts c = {0};
    int ret = counts_get(n, &c);

    if (ret == 0)
        pbuf_printf(b,
                    "TCP6: inuse %u\nUDP6: inuse %u\nUDPLITE6: inuse 0\nRAW6: inuse %u\n"
                    "FRAG6: inuse 0 memory 0\n",
                    c.tcp[1], c.udp[1], c.raw[1]);
    return ret;
}

static const char snmp_text[] =
    "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos "
    "InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs "
    "ReasmFails FragOKs FragFails FragCreates\n"
    "Ip: 2 64 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
    "Icmp: InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs "
    "InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps "
    "OutMsgs "
    "OutErrors OutRateLimitGlobal OutRateLimitHost OutDestUnreachs OutTimeExcds OutParmProbs "
    "OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks "
    "OutAddrMaskReps\n"
    "Icmp: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
    "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets "
    "CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n"
    "Tcp: 1 200 120000 -1 0 0 0 0 0 0 0 0 0 0 0\n"
    "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors "
    "IgnoredMulti MemErrors\n"
    "Udp: 0 0 0 0 0 0 0 0 0\n"
    "UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors "
    "IgnoredMulti MemErrors\n"
    "UdpLite: 0 0 0 0 0 0 0 0 0\n";

static const char netstat_text[] =
    "TcpExt: SyncookiesSent SyncookiesRecv SyncookiesFailed ListenOverflows ListenDrops "
    "TCPTimeouts\n"
    "TcpExt: 0 0 0 0 0 0\n"
    "IpExt: InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets "
    "OutOctets InMcastOctets OutMcastOctets InBcastOctets OutBcastOctets InCsumErrors InNoECTPkts "
    "InECT1Pkts InECT0Pkts InCEPkts ReasmOverlaps\n"
    "IpExt: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

static const char protocols_text[] =
    "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se "
    "re bi br ha uh gp em\n";

OUTSIDE(tcp, show_tcp4(n, b))
OUTSIDE(tcp6, show_tcp6(n, b))
OUTSIDE(udp, show_udp4(n, b))
OUTSIDE(udp6, show_udp6(n, b))
OUTSIDE(udplite, show_udplite4(n, b))
OUTSIDE(udplite6, show_udplite6(n, b))
OUTSIDE(icmp, show_icmp4(n, b))
OUTSIDE(icmp6, show_icmp6(n, b))
OUTSIDE(raw, show_raw4(n, b))
OUTSIDE(raw6, show_raw6(n, b))
OUTSIDE(dev, show_dev(n, b))
OUTSIDE_TEXT(dev_mcast, "")
OUTSIDE(if_inet6, show_if_inet6(n, b))
OUTSIDE(route, show_route(n, b))
OUTSIDE(ipv6_route, show_ipv6_route(n, b))
OUTSIDE_TEXT(arp,
             "IP address       HW type     Flags       HW address            Mask     Device\n")
OUTSIDE_TEXT(igmp, "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
                   "1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n")
OUTSIDE_TEXT(igmp6, "1    lo              ff020000000000000000000000000001     1 0000000C 0\n")
OUTSIDE_TEXT(snmp, snmp_text)
OUTSIDE_TEXT(snmp6, "Ip6InReceives                   \t0\n")
OUTSIDE_TEXT(netstat, netstat_text)
OUTSIDE(sockstat, show_sockstat(n, b))
OUTSIDE(sockstat6, show_sockstat6(n, b))
OUTSIDE_TEXT(fib_trie, "")
OUTSIDE_TEXT(rt6_stats, "0000 0001 0000 0001 0000 0000 0000\n")
OUTSIDE_TEXT(mcfilter, "")
OUTSIDE_TEXT(mcfilter6, "")
OUTSIDE_TEXT(anycast6, "")
OUTSIDE_TEXT(fib_triestat, "")

const struct pseudo_entry g_proc_net_table[] = {
    PSEUDO_FILE("tcp", 0444, outside_tcp),
    PSEUDO_FILE("tcp6", 0444, outside_tcp6),
    PSEUDO_FILE("udp", 0444, outside_udp),
    PSEUDO_FILE("udp6", 0444, outside_udp6),
    PSEUDO_FILE("udplite", 0444, outside_udplite),
    PSEUDO_FILE("udplite6", 0444, outside_udplite6),
    PSEUDO_FILE("icmp", 0444, outside_icmp),
    PSEUDO_FILE("icmp6", 0444, outside_icmp6),
    PSEUDO_FILE("raw", 0444, outside_raw),
    PSEUDO_FILE("raw6", 0444, outside_raw6),
    PSEUDO_FILE("unix", 0444, show_unix),
    PSEUDO_FILE("netlink", 0444, show_netlink),
    PSEUDO_FILE("packet", 0444, show_packet),
    PSEUDO_FILE("dev", 0444, outside_dev),
    PSEUDO_FILE("dev_mcast", 0444, outside_dev_mcast),
    PSEUDO_FILE("if_inet6", 0444, outside_if_inet6),
    PSEUDO_FILE("route", 0444, outside_route),
    PSEUDO_FILE("ipv6_route", 0444, outside_ipv6_route),
    PSEUDO_FILE("arp", 0444, outside_arp),
    PSEUDO_FILE("igmp", 0444, outside_igmp),
    PSEUDO_FILE("igmp6", 0444, outside_igmp6),
    PSEUDO_FILE("mcfilter", 0444, outside_mcfilter),
    PSEUDO_FILE("mcfilter6", 0444, outside_mcfilter6),
    PSEUDO_FILE("anycast6", 0444, outside_anycast6),
    PSEUDO_FILE("sockstat", 0444, outside_sockstat),
    PSEUDO_FILE("sockstat6", 0444, outside_sockstat6),
    PSEUDO_FILE("snmp", 0444, outside_snmp),
    PSEUDO_FILE("snmp6", 0444, outside_snmp6),
    PSEUDO_FILE("netstat", 0444, outside_netstat),
    PSEUDO_TEXT("protocols", 0444, protocols_text),
    PSEUDO_TEXT("ptype", 0444, "Type Device      Function\n"),
    PSEUDO_FILE("fib_trie", 0444, outside_fib_trie),
    PSEUDO_FILE("fib_triestat", 0444, outside_fib_triestat),
    PSEUDO_TEXT("psched", 0444, "000003e8 00000040 000f4240 3b9aca00\n"),
    PSEUDO_TEXT("rt_cache", 0444, ""),
    PSEUDO_FILE("rt6_stats", 0444, outside_rt6_stats),
    PSEUDO_TEXT("softnet_stat", 0444, ""),
    PSEUDO_TEXT(
        "wireless", 0444,
        "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n"
        " face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n"),
    {0},
};
