/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of host sockets. The table says which go to the host; what it does not have is not there
 * (ENOPROTOOPT), except SOL_SOCKET ones that the socket layer keeps itself: timeouts (waiting is
 * ours), socket filters (checked, not run), credentials. The rows of syscall-table/host.tbl must
 * admit all of these: tests/unit/sentry/net/host/options_test.c holds them against each other.
 */
#include <errno.h>

#include "platform/host/sock.h"
#include "sentry/core/cred.h"
#include "sentry/net/host/host_internal.h"
#include "sentry/net/host/options.h"

#define G  HOST_OPT_GET
#define S  HOST_OPT_SET
#define GS (HOST_OPT_GET | HOST_OPT_SET)

/* Runs of names with the same treatment. */
const struct host_option g_host_options[] = {
    {LX_SOL_SOCKET, LX_SO_REUSEADDR, LX_SO_REUSEADDR, GS},
    {LX_SOL_SOCKET, LX_SO_TYPE, LX_SO_ERROR, G},
    {LX_SOL_SOCKET, LX_SO_DONTROUTE, LX_SO_NO_CHECK, GS},
    {LX_SOL_SOCKET, LX_SO_PRIORITY, LX_SO_PRIORITY, GS},
    {LX_SOL_SOCKET, LX_SO_LINGER, LX_SO_LINGER, GS},
    {LX_SOL_SOCKET, LX_SO_REUSEPORT, LX_SO_REUSEPORT, GS},
    {LX_SOL_SOCKET, LX_SO_BINDTODEVICE, LX_SO_BINDTODEVICE, GS},
    {LX_SOL_SOCKET, LX_SO_TIMESTAMP, LX_SO_TIMESTAMP, GS},
    {LX_SOL_SOCKET, LX_SO_ACCEPTCONN, LX_SO_ACCEPTCONN, G},
    {LX_SOL_SOCKET, LX_SO_TIMESTAMPNS, LX_SO_TIMESTAMPNS, GS},
    {LX_SOL_SOCKET, LX_SO_MARK, LX_SO_MARK, GS | HOST_OPT_NET_RAW},
    {LX_SOL_SOCKET, LX_SO_TIMESTAMPING, LX_SO_TIMESTAMPING, GS},
    {LX_SOL_SOCKET, LX_SO_PROTOCOL, LX_SO_DOMAIN, G},
    {LX_SOL_SOCKET, LX_SO_RXQ_OVFL, LX_SO_RXQ_OVFL, GS},
    {LX_SOL_SOCKET, LX_SO_PEEK_OFF, LX_SO_PEEK_OFF, GS},
    {LX_SOL_SOCKET, LX_SO_SELECT_ERR_QUEUE, LX_SO_MAX_PACING_RATE, GS},
    {LX_SOL_SOCKET, LX_SO_INCOMING_CPU, LX_SO_INCOMING_CPU, GS},
    {LX_SOL_SOCKET, LX_SO_MEMINFO, LX_SO_COOKIE, G},
    {LX_SOL_SOCKET, LX_SO_BINDTOIFINDEX, LX_SO_TIMESTAMPING_NEW, GS},
    {LX_SOL_SOCKET, LX_SO_PREFER_BUSY_POLL, LX_SO_BUSY_POLL_BUDGET, GS},
    {LX_SOL_SOCKET, LX_SO_NETNS_COOKIE, LX_SO_BUF_LOCK, G},
    {LX_SOL_SOCKET, LX_SO_TXREHASH, LX_SO_RCVMARK, GS},
    {LX_SOL_IP, LX_IP_TOS, LX_IP_OPTIONS, GS},
    {LX_SOL_IP, LX_IP_RECVOPTS, LX_IP_PKTINFO, GS},
    {LX_SOL_IP, LX_IP_PKTOPTIONS, LX_IP_PKTOPTIONS, G},
    {LX_SOL_IP, LX_IP_MTU_DISCOVER, LX_IP_RECVTOS, GS},
    {LX_SOL_IP, LX_IP_MTU, LX_IP_MTU, G},
    {LX_SOL_IP, LX_IP_FREEBIND, LX_IP_FREEBIND, GS},
    {LX_SOL_IP, LX_IP_TRANSPARENT, LX_IP_TRANSPARENT, GS | HOST_OPT_NET_RAW},
    {LX_SOL_IP, LX_IP_ORIGDSTADDR, LX_IP_MINTTL, GS},
    {LX_SOL_IP, LX_IP_BIND_ADDRESS_NO_PORT, LX_IP_RECVERR_RFC4884, GS},
    {LX_SOL_IP, LX_IP_MULTICAST_IF, LX_IP_UNICAST_IF, GS},
    {LX_SOL_IP, LX_IP_LOCAL_PORT_RANGE, LX_IP_LOCAL_PORT_RANGE, GS},
    {LX_SOL_IPV6, LX_IPV6_CHECKSUM, LX_IPV6_2292HOPLIMIT, GS},
    {LX_SOL_IPV6, LX_IPV6_UNICAST_HOPS, LX_IPV6_LEAVE_GROUP, GS},
    {LX_SOL_IPV6, LX_IPV6_MTU_DISCOVER, LX_IPV6_V6ONLY, GS},
    {LX_SOL_IPV6, LX_IPV6_MULTICAST_ALL, LX_IPV6_MULTICAST_ALL, GS},
    {LX_SOL_IPV6, 31 /* IPV6_RECVERR_RFC4884 */, 31, GS},
    {LX_SOL_IPV6, 33 /* IPV6_FLOWINFO_SEND */, 33, GS},
    {LX_SOL_IPV6, 42 /* MCAST_JOIN_GROUP */, 48 /* MCAST_MSFILTER */, GS},
    {LX_SOL_IPV6, LX_IPV6_RECVPKTINFO, LX_IPV6_RECVPKTINFO, GS},
    {LX_SOL_IPV6, LX_IPV6_RECVHOPLIMIT, LX_IPV6_RECVHOPLIMIT, GS},
    {LX_SOL_IPV6, 60 /* IPV6_RECVPATHMTU */, 60, GS},
    {LX_SOL_IPV6, 61 /* IPV6_PATHMTU */, 61, G},
    {LX_SOL_IPV6, 62 /* IPV6_DONTFRAG */, 62, GS},
    {LX_SOL_IPV6, LX_IPV6_RECVTCLASS, LX_IPV6_TCLASS, GS},
    {LX_SOL_IPV6, LX_IPV6_AUTOFLOWLABEL, LX_IPV6_AUTOFLOWLABEL, GS},
    {LX_SOL_IPV6, LX_IPV6_ADDR_PREFERENCES, 74 /* IPV6_ORIGDSTADDR */, GS},
    {LX_SOL_IPV6, 75 /* IPV6_TRANSPARENT */, 75, GS | HOST_OPT_NET_RAW},
    {LX_SOL_IPV6, 76 /* IPV6_UNICAST_IF */, LX_IPV6_FREEBIND, GS},
    {LX_SOL_TCP, LX_TCP_NODELAY, LX_TCP_WINDOW_CLAMP, GS},
    {LX_SOL_TCP, LX_TCP_INFO, LX_TCP_INFO, G},
    {LX_SOL_TCP, LX_TCP_QUICKACK, LX_TCP_CONGESTION, GS},
    {LX_SOL_TCP, LX_TCP_THIN_LINEAR_TIMEOUTS, LX_TCP_USER_TIMEOUT, GS},
    {LX_SOL_TCP, LX_TCP_FASTOPEN, LX_TCP_FASTOPEN, GS},
    {LX_SOL_TCP, LX_TCP_NOTSENT_LOWAT, LX_TCP_NOTSENT_LOWAT, GS},
    {LX_SOL_TCP, LX_TCP_CC_INFO, LX_TCP_CC_INFO, G},
    {LX_SOL_TCP, LX_TCP_SAVE_SYN, LX_TCP_SAVE_SYN, GS},
    {LX_SOL_TCP, 28 /* TCP_SAVED_SYN */, 28, G},
    {LX_SOL_TCP, LX_TCP_FASTOPEN_CONNECT, LX_TCP_FASTOPEN_CONNECT, GS},
    {LX_SOL_TCP, LX_TCP_FASTOPEN_NO_COOKIE, LX_TCP_FASTOPEN_NO_COOKIE, GS},
    {LX_SOL_TCP, LX_TCP_INQ, LX_TCP_TX_DELAY, GS},
    {LX_SOL_UDP, LX_UDP_CORK, LX_UDP_CORK, GS},
    {LX_SOL_UDP, LX_UDP_NO_CHECK6_TX, LX_UDP_GRO, GS},
    {LX_SOL_UDPLITE, LX_UDPLITE_SEND_CSCOV, LX_UDPLITE_RECV_CSCOV, GS},
    {LX_SOL_RAW, 1 /* ICMP_FILTER */, 1, GS},
    {LX_SOL_ICMPV6, 1 /* ICMP6_FILTER */, 1, GS},
};
const size_t g_host_option_count = ARRAY_COUNT(g_host_options);

/* NULL: not an option of the host's. */
static const struct host_option *option_find(int level, int name)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_host_options); i++) {
        const struct host_option *o = &g_host_options[i];

        if (o->level == level && name >= o->first && name <= o->last)
            return o;
    }
    return NULL;
}

static bool guest_capable(const struct sock *sk, int cap)
{
    return cred_ns_capable(curr()->cred, sk->netns->owner, cap);
}

/* What the host would allow the sentry is not always what the program may do. */
static int check_privilege(struct sock *sk, const struct host_option *o)
{
    if ((o->flags & HOST_OPT_NET_RAW) && !guest_capable(sk, LX_CAP_NET_RAW) &&
        !guest_capable(sk, LX_CAP_NET_ADMIN))
        return -EPERM;
    if (o->level == LX_SOL_SOCKET && o->first == LX_SO_BINDTODEVICE && sk->bound_if &&
        !guest_capable(sk, LX_CAP_NET_RAW))
        return -EPERM;
    return 0;
}

int host_sock_setsockopt(struct sock *sk, int level, int name, const void *val, uint32_t len)
{
    const struct host_option *o;
    int ret;

    if (level == LX_SOL_SOCKET && (name == LX_SO_SNDBUFFORCE || name == LX_SO_RCVBUFFORCE)) {
        /* DEVIATION: within the host's limits; the sentry has no power over them. */
        if (!guest_capable(sk, LX_CAP_NET_ADMIN))
            return -EPERM;
        name = name == LX_SO_SNDBUFFORCE ? LX_SO_SNDBUF : LX_SO_RCVBUF;
    }
    if (level == LX_SOL_SOCKET && name == LX_SO_RCVLOWAT) {
        ret = sock_setsockopt(sk, name, val, len); /* blocking reads are ours */
        return ret < 0 ? ret : host_setsockopt(host_of(sk)->fd, level, name, val, len);
    }
    o = option_find(level, name);
    if (!o || !(o->flags & HOST_OPT_SET))
        return level == LX_SOL_SOCKET && !o ? sock_setsockopt(sk, name, val, len) : -ENOPROTOOPT;
    ret = check_privilege(sk, o);
    if (ret < 0)
        return ret;
    ret = host_setsockopt(host_of(sk)->fd, level, name, val, len);
    if (ret == 0 && o->level == LX_SOL_SOCKET && o->first == LX_SO_BINDTODEVICE)
        sk->bound_if = 1;
    return ret;
}

int host_sock_getsockopt(struct sock *sk, int level, int name, void *val, uint32_t *len)
{
    const struct host_option *o = option_find(level, name);
    unsigned size = *len;
    int ret;

    if (!o || !(o->flags & HOST_OPT_GET))
        return level == LX_SOL_SOCKET && !o ? sock_getsockopt(sk, name, val, len) : -ENOPROTOOPT;
    if (level == LX_SOL_SOCKET && name == LX_SO_ERROR && sk->err)
        return sockopt_put_int(val, len, -sock_take_error(sk));
    ret = host_getsockopt(host_of(sk)->fd, level, name, val, &size);
    *len = MIN(size, *len);
    return ret;
}
