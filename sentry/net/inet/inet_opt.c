/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOL_IP and SOL_IPV6 options and the control messages they ask for. On lo most of them change
 * nothing that a program could observe except through getsockopt and control messages, and that
 * they do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "sentry/core/cred.h"
#include "sentry/net/inet/inet.h"

#define GROUPS_MAX 20 /* igmp_max_memberships */

/* An integer or a single byte, as IP options accept both. */
static int get_val(const void *val, uint32_t len, int *out)
{
    if (len >= sizeof(int))
        return sockopt_get_int(val, len, out);
    if (len < 1)
        return -EINVAL;
    *out = *(const uint8_t *)val;
    return 0;
}

static int group_change(struct inet_sock *in, const struct inet_addr *group, bool join)
{
    struct inet_group *g, *found = NULL, *fresh = join ? malloc(sizeof(*fresh)) : NULL;
    int ret = 0;

    if (join && !fresh)
        return -ENOMEM;
    mutex_lock(&in->sk.lock);
    list_for_each_entry(g, &in->groups, node) {
        if (ia_equal(&g->group, group))
            found = g;
    }
    if (join && found) {
        ret = -EADDRINUSE;
    } else if (join && in->group_count >= GROUPS_MAX) {
        ret = -ENOBUFS;
    } else if (join) {
        fresh->group = *group;
        list_add_tail(&in->groups, &fresh->node);
        in->group_count++;
        fresh = NULL;
    } else if (!found) {
        ret = -EADDRNOTAVAIL;
    } else {
        list_del(&found->node);
        in->group_count--;
        fresh = found;
    }
    mutex_unlock(&in->sk.lock);
    free(fresh);
    return ret;
}

static int membership4(struct inet_sock *in, const void *val, uint32_t len, bool join)
{
    struct lx_ip_mreqn mr = {0};
    struct inet_addr group;

    if (len < 8)
        return -EINVAL;
    memcpy(&mr, val, MIN((size_t)len, sizeof(mr)));
    ia_from_v4(&group, mr.group);
    if (!ia_is_multicast(&group))
        return -EINVAL;
    if (mr.ifindex != 0 && mr.ifindex != 1)
        return -ENODEV;
    /* Without an interface the route decides, and there is none. */
    if (mr.ifindex == 0 && (ntohl(mr.address) >> 24) != 127 && !in->sk.netns->transport)
        return -ENODEV;
    return group_change(in, &group, join);
}

static int membership6(struct inet_sock *in, const void *val, uint32_t len, bool join)
{
    struct lx_ipv6_mreq mr;
    struct inet_addr group;

    if (len < sizeof(mr))
        return -EINVAL;
    memcpy(&mr, val, sizeof(mr));
    memcpy(group.b, mr.group, sizeof(group.b));
    if (!ia_is_multicast(&group))
        return -EINVAL;
    if (mr.ifindex != 0 && mr.ifindex != 1)
        return -ENODEV;
    return group_change(in, &group, join);
}

static int multicast_if(struct inet_sock *in, const void *val, uint32_t len)
{
    struct lx_ip_mreqn mr = {0};
    uint32_t addr;

    if (len >= sizeof(mr)) {
        memcpy(&mr, val, sizeof(mr));
    } else if (len >= 8) {
        memcpy(&mr, val, 8);
    } else if (len >= 4) {
        memcpy(&addr, val, 4);
        mr.address = addr;
    } else {
        return -EINVAL;
    }
    if (mr.ifindex != 0 && mr.ifindex != 1)
        return -EADDRNOTAVAIL;
    if (mr.ifindex == 0 && mr.address != 0 && (ntohl(mr.address) >> 24) != 127)
        return -EADDRNOTAVAIL;
    in->mc_if = mr.ifindex || mr.address ? 1 : 0;
    return 0;
}

/* Switches about packets that never exist on lo: what was set is what is read back. */
struct kept_option {
    int level, name;
};

static const struct kept_option kept_options[] = {
    {LX_SOL_IP, LX_IP_RECVOPTS},
    {LX_SOL_IP, LX_IP_RETOPTS},
    {LX_SOL_IP, LX_IP_PASSSEC},
    {LX_SOL_IP, LX_IP_CHECKSUM},
    {LX_SOL_IP, LX_IP_RECVFRAGSIZE},
    {LX_SOL_IP, LX_IP_RECVERR_RFC4884},
    {LX_SOL_IPV6, LX_IPV6_2292HOPOPTS},
    {LX_SOL_IPV6, LX_IPV6_2292DSTOPTS},
    {LX_SOL_IPV6, LX_IPV6_2292RTHDR},
    {LX_SOL_IPV6, LX_IPV6_FLOWINFO},
    {LX_SOL_IPV6, LX_IPV6_ROUTER_ALERT_ISOLATE},
    {LX_SOL_IPV6, LX_IPV6_RECVERR_RFC4884},
    {LX_SOL_IPV6, LX_IPV6_FLOWINFO_SEND},
    {LX_SOL_IPV6, LX_IPV6_RECVHOPOPTS},
    {LX_SOL_IPV6, LX_IPV6_RECVRTHDR},
    {LX_SOL_IPV6, LX_IPV6_RECVDSTOPTS},
    {LX_SOL_IPV6, LX_IPV6_RECVPATHMTU},
    {LX_SOL_IPV6, LX_IPV6_DONTFRAG},
    {LX_SOL_IPV6, LX_IPV6_TRANSPARENT},
    {LX_SOL_IPV6, LX_IPV6_RECVFRAGSIZE},
};
static_assert(ARRAY_COUNT(kept_options) <= 32, "kept has a bit for each");

static const struct kept_option *kept_find(int level, int name)
{
    for (size_t i = 0; i < ARRAY_COUNT(kept_options); i++) {
        if (kept_options[i].level == level && kept_options[i].name == name)
            return &kept_options[i];
    }
    return NULL;
}

static bool kept_get(struct inet_sock *in, const struct kept_option *o)
{
    return in->kept >> (o - kept_options) & 1;
}

/* 0, -EINVAL, -EPERM; -ENOPROTOOPT: not one of these. */
static int kept_set(struct inet_sock *in, int level, int name, int v)
{
    const struct kept_option *o = kept_find(level, name);
    const struct userns *owner = in->sk.netns->owner;

    if (!o)
        return -ENOPROTOOPT;
    if (level == LX_SOL_IP && name == LX_IP_RECVFRAGSIZE && inet_is_tcp(&in->sk))
        return -EINVAL;
    if (level == LX_SOL_IPV6 && name == LX_IPV6_TRANSPARENT && v &&
        !cred_ns_capable(curr()->cred, owner, LX_CAP_NET_RAW) &&
        !cred_ns_capable(curr()->cred, owner, LX_CAP_NET_ADMIN))
        return -EPERM;
    mutex_lock(&in->sk.lock);
    in->kept = v ? in->kept | 1u << (o - kept_options) : in->kept & ~(1u << (o - kept_options));
    mutex_unlock(&in->sk.lock);
    return 0;
}

static int set_ip(struct inet_sock *in, int name, const void *val, uint32_t len)
{
    bool raw = cred_ns_capable(curr()->cred, in->sk.netns->owner, LX_CAP_NET_RAW);
    int v = 0, ret;

    switch (name) {
    case LX_IP_ADD_MEMBERSHIP:
    case LX_IP_DROP_MEMBERSHIP:
        return membership4(in, val, len, name == LX_IP_ADD_MEMBERSHIP);
    case LX_IP_MULTICAST_IF:
        return multicast_if(in, val, len);
    case LX_IP_OPTIONS:
        return len > 40 ? -EINVAL : 0;
    default:
        break;
    }
    ret = get_val(val, len, &v);
    if (ret < 0)
        return ret;
    ret = kept_set(in, LX_SOL_IP, name, v);
    if (ret != -ENOPROTOOPT)
        return ret;
    switch (name) {
    case LX_IP_TOS:
        in->tos = v & (inet_is_tcp(&in->sk) ? 0xfc : 0xff);
        return 0;
    case LX_IP_TTL:
        if (v != -1 && (v < 1 || v > 255))
            return -EINVAL;
        in->ttl = v;
        return 0;
    case LX_IP_HDRINCL:
        if (in->sk.type != LX_SOCK_RAW)
            return -ENOPROTOOPT;
        in->hdrincl = v;
        return 0;
    case LX_IP_PKTINFO:
        in->pktinfo = v;
        return 0;
    case LX_IP_RECVTTL:
        in->recvttl = v;
        return 0;
    case LX_IP_RECVTOS:
        in->recvtos = v;
        return 0;
    case LX_IP_RECVERR:
        in->recverr = v;
        return 0;
    case LX_IP_MTU_DISCOVER:
        if (v < 0 || v > 5)
            return -EINVAL;
        in->mtu_discover = v;
        return 0;
    case LX_IP_FREEBIND:
        in->freebind = v;
        return 0;
    case LX_IP_TRANSPARENT:
        if (v && !raw && !cred_ns_capable(curr()->cred, in->sk.netns->owner, LX_CAP_NET_ADMIN))
            return -EPERM;
        in->transparent = v;
        return 0;
    case LX_IP_ORIGDSTADDR:
        in->origdst = v;
        return 0;
    case LX_IP_MULTICAST_TTL:
        if (v < -1 || v > 255)
            return -EINVAL;
        in->mc_ttl = v == -1 ? 1 : v;
        return 0;
    case LX_IP_MULTICAST_LOOP:
        in->mc_loop = v;
        return 0;
    case LX_IP_MULTICAST_ALL:
        if (v != 0 && v != 1)
            return -EINVAL;
        in->mc_all = v;
        return 0;
    case LX_IP_UNICAST_IF:
        in->unicast_if = v;
        return 0;
    case LX_IP_MINTTL:
        if (v < 0 || v > 255)
            return -EINVAL;
        in->min_ttl = v;
        return 0;
    case LX_IP_BIND_ADDRESS_NO_PORT:
        in->bind_no_port = v;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int set_ipv6(struct inet_sock *in, int name, const void *val, uint32_t len)
{
    int v, ret;

    if (in->sk.family != LX_AF_INET6)
        return -ENOPROTOOPT;
    if (name == LX_IPV6_JOIN_GROUP || name == LX_IPV6_LEAVE_GROUP)
        return membership6(in, val, len, name == LX_IPV6_JOIN_GROUP);
    ret = sockopt_get_int(val, len, &v);
    if (ret < 0)
        return ret;
    ret = kept_set(in, LX_SOL_IPV6, name, v);
    if (ret != -ENOPROTOOPT)
        return ret;
    switch (name) {
    case LX_IPV6_V6ONLY:
        if (in->lport)
            return -EINVAL;
        in->v6only = v;
        return 0;
    case LX_IPV6_UNICAST_HOPS:
        if (v < -1 || v > 255)
            return -EINVAL;
        in->hops = v;
        return 0;
    case LX_IPV6_MULTICAST_HOPS:
        if (v < -1 || v > 255)
            return -EINVAL;
        in->mc_hops = v;
        return 0;
    case LX_IPV6_MULTICAST_LOOP:
        if (v != 0 && v != 1)
            return -EINVAL;
        in->mc_loop = v;
        return 0;
    case LX_IPV6_MULTICAST_IF:
        if (v != 0 && v != 1)
            return -ENODEV;
        in->mc_if = v;
        return 0;
    case LX_IPV6_MULTICAST_ALL:
        in->mc_all = v;
        return 0;
    case LX_IPV6_RECVPKTINFO:
    case LX_IPV6_2292PKTINFO:
        in->pktinfo6 = v;
        return 0;
    case LX_IPV6_RECVHOPLIMIT:
    case LX_IPV6_2292HOPLIMIT:
        in->recvhops = v;
        return 0;
    case LX_IPV6_ORIGDSTADDR:
        in->origdst6 = v;
        return 0;
    case LX_IPV6_RECVTCLASS:
        in->recvtclass = v;
        return 0;
    case LX_IPV6_TCLASS:
        if (v < -1 || v > 255)
            return -EINVAL;
        in->tclass = v == -1 ? 0 : v;
        return 0;
    case LX_IPV6_RECVERR:
        in->recverr6 = v;
        return 0;
    case LX_IPV6_MTU_DISCOVER:
        if (v < 0 || v > 5)
            return -EINVAL;
        in->mtu_discover = v;
        return 0;
    case LX_IPV6_FREEBIND:
        in->freebind = v;
        return 0;
    case LX_IPV6_AUTOFLOWLABEL:
        in->autoflow = v;
        return 0;
    case LX_IPV6_MINHOPCOUNT:
        if (v < 0 || v > 255)
            return -EINVAL;
        in->min_hops = v;
        return 0;
    case LX_IPV6_UNICAST_IF:
        return v ? -EADDRNOTAVAIL : 0;
    case LX_IPV6_MTU:
    case LX_IPV6_CHECKSUM:
    case LX_IPV6_ADDR_PREFERENCES:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

int inet_setsockopt(struct inet_sock *in, int level, int name, const void *val, uint32_t len)
{
    if (level == LX_SOL_IP)
        return set_ip(in, name, val, len);
    if (level == LX_SOL_IPV6)
        return set_ipv6(in, name, val, len);
    return -ENOPROTOOPT;
}

/* IP options come back as one byte when the program asks for less than an int. */
static int put_ip(void *val, uint32_t *len, int v)
{
    uint8_t byte = (uint8_t)v;

    if (*len > 0 && *len < sizeof(int) && v >= 0 && v <= 255)
        return sockopt_put(val, len, &byte, 1);
    return sockopt_put_int(val, len, v);
}

static int get_ip(struct inet_sock *in, int name, void *val, uint32_t *len)
{
    const struct kept_option *kept = kept_find(LX_SOL_IP, name);
    struct inet_addr any;

    if (kept)
        return put_ip(val, len, kept_get(in, kept));
    switch (name) {
    case LX_IP_TOS:
        return put_ip(val, len, in->tos);
    case LX_IP_TTL:
        return put_ip(val, len, in->ttl < 0 ? 64 : in->ttl);
    case LX_IP_HDRINCL:
        return put_ip(val, len, in->hdrincl);
    case LX_IP_PKTINFO:
        return put_ip(val, len, in->pktinfo);
    case LX_IP_RECVTTL:
        return put_ip(val, len, in->recvttl);
    case LX_IP_RECVTOS:
        return put_ip(val, len, in->recvtos);
    case LX_IP_RECVERR:
        return put_ip(val, len, in->recverr);
    case LX_IP_MTU_DISCOVER:
        return put_ip(val, len, in->mtu_discover);
    case LX_IP_MTU:
        return in->rport ? put_ip(val, len, 65536) : -ENOTCONN;
    case LX_IP_FREEBIND:
        return put_ip(val, len, in->freebind);
    case LX_IP_TRANSPARENT:
        return put_ip(val, len, in->transparent);
    case LX_IP_ORIGDSTADDR:
        return put_ip(val, len, in->origdst);
    case LX_IP_MULTICAST_TTL:
        return put_ip(val, len, in->mc_ttl);
    case LX_IP_MULTICAST_LOOP:
        return put_ip(val, len, in->mc_loop);
    case LX_IP_MULTICAST_ALL:
        return put_ip(val, len, in->mc_all);
    case LX_IP_MULTICAST_IF:
        ia_from_v4(&any, 0);
        return sockopt_put(val, len, any.b + 12, 4);
    case LX_IP_UNICAST_IF:
        return put_ip(val, len, in->unicast_if);
    case LX_IP_MINTTL:
        return put_ip(val, len, in->min_ttl);
    case LX_IP_BIND_ADDRESS_NO_PORT:
        return put_ip(val, len, in->bind_no_port);
    case LX_IP_OPTIONS:
        *len = 0;
        return 0;
    case LX_IP_NODEFRAG:
        return put_ip(val, len, 0);
    default:
        return -ENOPROTOOPT;
    }
}

static int get_ipv6(struct inet_sock *in, int name, void *val, uint32_t *len)
{
    const struct kept_option *kept = kept_find(LX_SOL_IPV6, name);

    if (in->sk.family != LX_AF_INET6)
        return -ENOPROTOOPT;
    if (kept)
        return sockopt_put_int(val, len, kept_get(in, kept));
    switch (name) {
    case LX_IPV6_V6ONLY:
        return sockopt_put_int(val, len, in->v6only);
    case LX_IPV6_UNICAST_HOPS:
        return sockopt_put_int(val, len, in->hops < 0 ? 64 : in->hops);
    case LX_IPV6_MULTICAST_HOPS:
        return sockopt_put_int(val, len, in->mc_hops < 0 ? 1 : in->mc_hops);
    case LX_IPV6_MULTICAST_LOOP:
        return sockopt_put_int(val, len, in->mc_loop);
    case LX_IPV6_MULTICAST_IF:
        return sockopt_put_int(val, len, in->mc_if);
    case LX_IPV6_MULTICAST_ALL:
        return sockopt_put_int(val, len, in->mc_all);
    case LX_IPV6_RECVPKTINFO:
    case LX_IPV6_2292PKTINFO:
        return sockopt_put_int(val, len, in->pktinfo6);
    case LX_IPV6_RECVHOPLIMIT:
    case LX_IPV6_2292HOPLIMIT:
        return sockopt_put_int(val, len, in->recvhops);
    case LX_IPV6_ORIGDSTADDR:
        return sockopt_put_int(val, len, in->origdst6);
    case LX_IPV6_RECVTCLASS:
        return sockopt_put_int(val, len, in->recvtclass);
    case LX_IPV6_TCLASS:
        return sockopt_put_int(val, len, in->tclass);
    case LX_IPV6_RECVERR:
        return sockopt_put_int(val, len, in->recverr6);
    case LX_IPV6_MTU_DISCOVER:
        return sockopt_put_int(val, len, in->mtu_discover);
    case LX_IPV6_MTU:
        return in->rport ? sockopt_put_int(val, len, 65536) : -ENOTCONN;
    case LX_IPV6_FREEBIND:
        return sockopt_put_int(val, len, in->freebind);
    case LX_IPV6_AUTOFLOWLABEL:
        return sockopt_put_int(val, len, in->autoflow);
    case LX_IPV6_MINHOPCOUNT:
        return sockopt_put_int(val, len, in->min_hops);
    case LX_IPV6_UNICAST_IF:
    case LX_IPV6_ADDR_PREFERENCES:
        return sockopt_put_int(val, len, 0);
    default:
        return -ENOPROTOOPT;
    }
}

int inet_getsockopt(struct inet_sock *in, int level, int name, void *val, uint32_t *len)
{
    if (level == LX_SOL_IP)
        return get_ip(in, name, val, len);
    if (level == LX_SOL_IPV6)
        return get_ipv6(in, name, val, len);
    return -EOPNOTSUPP;
}

/* Where the datagram was sent to, with the port. */
static void put_origdst(struct inet_sock *in, struct net_msg *m, const struct inet_addr *dst)
{
    bool v6 = in->sk.family == LX_AF_INET6;
    struct sockaddr_buf sa;

    if (!in->lport || !(v6 ? in->origdst6 && !ia_is_v4(dst) : in->origdst))
        return;
    inet_addr_format(in, dst, in->lport, &sa);
    if (v6)
        cmsg_put(m, LX_SOL_IPV6, LX_IPV6_ORIGDSTADDR, sa.bytes, sa.len);
    else
        cmsg_put(m, LX_SOL_IP, LX_IP_ORIGDSTADDR, sa.bytes, sa.len);
}

void inet_put_cmsgs(struct inet_sock *in, struct net_msg *m, const struct inet_addr *dst, int ttl,
                    int tos)
{
    bool v4 = ia_is_v4(dst);
    uint8_t tos_byte = (uint8_t)tos;

    if (v4 && in->pktinfo) {
        struct lx_in_pktinfo pi = {.ifindex = 1, .addr = ia_v4(dst)};

        pi.spec_dst = ia_is_multicast(dst) || ia_is_broadcast(dst) ? htonl(0x7f000001) : pi.addr;
        cmsg_put(m, LX_SOL_IP, LX_IP_PKTINFO, &pi, sizeof(pi));
    }
    if (v4 && in->recvttl)
        cmsg_put(m, LX_SOL_IP, LX_IP_TTL, &ttl, sizeof(ttl));
    if (v4 && in->recvtos)
        cmsg_put(m, LX_SOL_IP, LX_IP_TOS, &tos_byte, sizeof(tos_byte));
    if (in->pktinfo6) {
        struct lx_in6_pktinfo pi = {.ifindex = 1};

        memcpy(pi.addr, dst->b, sizeof(pi.addr));
        cmsg_put(m, LX_SOL_IPV6, LX_IPV6_PKTINFO, &pi, sizeof(pi));
    }
    if (!v4 && in->recvhops)
        cmsg_put(m, LX_SOL_IPV6, LX_IPV6_HOPLIMIT, &ttl, sizeof(ttl));
    if (!v4 && in->recvtclass)
        cmsg_put(m, LX_SOL_IPV6, LX_IPV6_TCLASS, &tos, sizeof(tos));
    put_origdst(in, m, dst);
}
