/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses, creation, bind and names of AF_INET and AF_INET6 endpoints. ip(7), ipv6(7).
 * The only addresses of a namespace without a transport are those of lo: 127.0.0.0/8 and ::1.
 */
#include "sentry/net/inet/lo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "sentry/core/cred.h"

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool ia_is_v4(const struct inet_addr *a)
{
    return memcmp(a->b, v4_prefix, sizeof(v4_prefix)) == 0;
}

uint32_t ia_v4(const struct inet_addr *a)
{
    uint32_t v;

    memcpy(&v, a->b + 12, sizeof(v));
    return v;
}

void ia_from_v4(struct inet_addr *a, uint32_t be)
{
    memcpy(a->b, v4_prefix, sizeof(v4_prefix));
    memcpy(a->b + 12, &be, sizeof(be));
}

bool ia_is_any(const struct inet_addr *a)
{
    static const struct inet_addr any6;

    return ia_equal(a, &any6) || (ia_is_v4(a) && ia_v4(a) == 0);
}

bool ia_is_loopback(const struct inet_addr *a)
{
    static const struct inet_addr one = {{[15] = 1}};

    return ia_equal(a, &one) || (ia_is_v4(a) && a->b[12] == 127);
}

bool ia_is_multicast(const struct inet_addr *a)
{
    return ia_is_v4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

bool ia_is_broadcast(const struct inet_addr *a)
{
    return ia_is_v4(a) && (ia_v4(a) == 0xffffffffu || ia_v4(a) == htonl(0x7fffffff));
}

static bool addr_is_local(const struct inet_sock *in, const struct inet_addr *a)
{
    const struct inet_transport_ops *tr = in->sk.netns->transport;

    return lo_is_local(in->sk.netns, a, NULL) || (tr && tr->is_local(in->sk.netns, a));
}

int inet_create(struct netns *ns, int family, int type, int protocol, struct sock **out)
{
    if (ns->transport && ns->transport->inet_create)
        return ns->transport->inet_create(ns, family, type, protocol, out);
    if (protocol < 0 || protocol > LX_IPPROTO_MPTCP)
        return -EINVAL;
    switch (type) {
    case LX_SOCK_STREAM:
        if (protocol != 0 && protocol != LX_IPPROTO_TCP)
            return -EPROTONOSUPPORT;
        return tcp_create(ns, family, LX_IPPROTO_TCP, out);
    case LX_SOCK_DGRAM:
        if (protocol == (family == LX_AF_INET ? LX_IPPROTO_ICMP : LX_IPPROTO_ICMPV6))
            return netns_may_ping(ns) ? raw_create(ns, family, type, protocol, out) : -EACCES;
        if (protocol != 0 && protocol != LX_IPPROTO_UDP && protocol != LX_IPPROTO_UDPLITE)
            return -EPROTONOSUPPORT;
        return udp_create(ns, family, protocol ? protocol : LX_IPPROTO_UDP, out);
    case LX_SOCK_RAW:
        if (protocol == 0)
            return -EPROTONOSUPPORT;
        if (!cred_ns_capable(curr()->cred, ns->owner, LX_CAP_NET_RAW))
            return -EPERM;
        return raw_create(ns, family, type, protocol, out);
    default:
        return -ESOCKTNOSUPPORT;
    }
}

void inet_init(struct inet_sock *in, const struct sock_ops *ops, struct netns *ns, int family,
               int type, int protocol)
{
    sock_init(&in->sk, ops, ns, family, type, protocol);
    list_init(&in->bind.node);
    list_init(&in->bind.tw_node);
    list_init(&in->groups);
    if (family == LX_AF_INET)
        ia_from_v4(&in->laddr, 0);
    in->raddr = in->laddr;
    in->ttl = in->hops = in->mc_hops = -1;
    in->mc_ttl = 1;
    in->mtu_discover = type == LX_SOCK_STREAM ? 1 : 1;
    in->mc_loop = in->mc_all = in->autoflow = true;
}

void inet_destroy_generic(struct inet_sock *in)
{
    ASSERT(list_empty(&in->bind.node));
    while (!list_empty(&in->groups)) {
        struct inet_group *g = list_first_entry(&in->groups, struct inet_group, node);

        list_del(&g->node);
        free(g);
    }
    sock_destroy_generic(&in->sk);
}

int inet_addr_parse(const struct inet_sock *in, const struct sockaddr_buf *sa,
                    struct inet_addr *out, uint16_t *out_port)
{
    struct lx_sockaddr_in s4;
    struct lx_sockaddr_in6 s6 = {0};

    if (in->sk.family == LX_AF_INET || sa->family == LX_AF_INET) {
        if (sa->len < sizeof(s4))
            return -EINVAL;
        memcpy(&s4, sa->bytes, sizeof(s4));
        if (s4.family != LX_AF_INET)
            return -EAFNOSUPPORT;
        if (in->sk.family == LX_AF_INET6 && in->v6only)
            return -ENETUNREACH;
        ia_from_v4(out, s4.addr);
        *out_port = ntohs(s4.port);
        return 0;
    }
    if (sa->len < LX_SIN6_LEN_RFC2133)
        return -EINVAL;
    memcpy(&s6, sa->bytes, MIN((size_t)sa->len, sizeof(s6)));
    if (s6.family != LX_AF_INET6)
        return -EAFNOSUPPORT;
    memcpy(out->b, s6.addr, sizeof(out->b));
    *out_port = ntohs(s6.port);
    return 0;
}

void inet_addr_format(const struct inet_sock *in, const struct inet_addr *a, uint16_t port,
                      struct sockaddr_buf *out)
{
    struct lx_sockaddr_in s4 = {.family = LX_AF_INET, .port = htons(port), .addr = ia_v4(a)};
    struct lx_sockaddr_in6 s6 = {.family = LX_AF_INET6, .port = htons(port)};

    memset(out, 0, sizeof(*out));
    if (in->sk.family == LX_AF_INET) {
        out->len = sizeof(s4);
        memcpy(out->bytes, &s4, sizeof(s4));
    } else {
        memcpy(s6.addr, a->b, sizeof(s6.addr));
        out->len = sizeof(s6);
        memcpy(out->bytes, &s6, sizeof(s6));
    }
}

int inet_addr_bindable(const struct inet_sock *in, const struct inet_addr *a)
{
    if (ia_is_any(a) || in->freebind || in->transparent || addr_is_local(in, a))
        return 0;
    if (in->sk.type != LX_SOCK_STREAM && (ia_is_multicast(a) || ia_is_broadcast(a)))
        return 0;
    return -EADDRNOTAVAIL;
}

int inet_route(const struct inet_sock *in, struct inet_addr *dst, struct inet_addr *out_src)
{
    const struct inet_transport_ops *tr = in->sk.netns->transport;
    bool v4 = ia_is_v4(dst);

    if (v4 && in->sk.family == LX_AF_INET6 && in->v6only)
        return -ENETUNREACH;
    if (!v4 && in->sk.family == LX_AF_INET6 && !ia_is_any(&in->laddr) && ia_is_v4(&in->laddr))
        return -ENETUNREACH;
    /* Linux: the wildcard as a destination is this host. */
    if (ia_is_any(dst)) {
        if (v4) {
            ia_from_v4(dst, htonl(0x7f000001));
        } else {
            memset(dst, 0, sizeof(*dst));
            dst->b[15] = 1;
        }
    }
    if (lo_is_local(in->sk.netns, dst, out_src))
        return netns_lo_up(in->sk.netns) ? 0 : -ENETUNREACH;
    if (ia_is_broadcast(dst) || ia_is_multicast(dst)) {
        if (!netns_lo_up(in->sk.netns))
            return -ENETUNREACH;
        /* No route leads to multicast unless lo was chosen for it. */
        if (ia_is_multicast(dst) && !in->mc_if && !in->sk.bound_if && !ia_is_loopback(&in->laddr) &&
            !tr)
            return -ENETUNREACH;
        if (v4) {
            ia_from_v4(out_src, htonl(0x7f000001));
        } else {
            memset(out_src, 0, sizeof(*out_src));
            out_src->b[15] = 1;
        }
        return 0;
    }
    return tr ? tr->route(in->sk.netns, dst, out_src) : -ENETUNREACH;
}

int inet_bind_common(struct sock *sk, const struct sockaddr_buf *sa)
{
    struct inet_sock *in = inet_of(sk);
    struct inet_addr addr, old;
    struct sockaddr_buf copy = *sa;
    uint16_t port;
    int ret;

    if (sa->len < sizeof(uint16_t))
        return -EINVAL;
    /* Linux: AF_UNSPEC with the wildcard is taken for AF_INET in bind. */
    if (sk->family == LX_AF_INET && sa->family == LX_AF_UNSPEC && sa->len >= 16) {
        uint32_t any;

        memcpy(&any, sa->bytes + 4, sizeof(any));
        if (any == 0)
            copy.family = LX_AF_INET;
    }
    if (sk->family == LX_AF_INET6 && copy.family == LX_AF_INET)
        return sa->len < sizeof(struct lx_sockaddr_in6) ? -EINVAL : -EAFNOSUPPORT;
    ret = inet_addr_parse(in, &copy, &addr, &port);
    if (ret < 0)
        return ret;
    if (sk->family == LX_AF_INET6 && in->v6only && ia_is_v4(&addr))
        return -EINVAL;
    ret = inet_addr_bindable(in, &addr);
    if (ret < 0)
        return ret;
    mutex_lock(&sk->lock);
    old = in->laddr;
    ret = in->lport || in->rport ? -EINVAL : 0;
    if (ret == 0)
        in->laddr = addr;
    mutex_unlock(&sk->lock);
    if (ret < 0)
        return ret;
    if (port == 0 && in->bind_no_port) {
        in->addr_locked = true;
        return 0;
    }
    ret = inet_port_bind(in, port);
    mutex_lock(&sk->lock);
    if (ret < 0) {
        in->laddr = old;
    } else {
        in->port_locked = port != 0;
        in->addr_locked = !ia_is_any(&addr);
    }
    mutex_unlock(&sk->lock);
    return ret;
}

int inet_getname(struct sock *sk, bool peer, struct sockaddr_buf *out)
{
    struct inet_sock *in = inet_of(sk);
    int ret = 0;

    mutex_lock(&sk->lock);
    if (!peer)
        inet_addr_format(in, &in->laddr, in->lport, out);
    else if (!in->rport || (inet_is_tcp(sk) &&
                            (tcp_state(sk) == LX_TCP_CLOSE || tcp_state(sk) == LX_TCP_SYN_SENT)))
        ret = -ENOTCONN;
    else
        inet_addr_format(in, &in->raddr, in->rport, out);
    mutex_unlock(&sk->lock);
    return ret;
}

bool inet_is_tcp(const struct sock *sk)
{
    return sk->type == LX_SOCK_STREAM;
}

bool inet_has_group(struct inet_sock *in, const struct inet_addr *group)
{
    struct inet_group *g;
    bool found = false;

    mutex_lock(&in->sk.lock);
    list_for_each_entry(g, &in->groups, node)
        found |= ia_equal(&g->group, group);
    mutex_unlock(&in->sk.lock);
    return found;
}
