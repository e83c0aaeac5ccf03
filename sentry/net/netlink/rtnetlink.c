/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink: the one device lo, its addresses and the kernel's own routes to them. What ip,
 * getifaddrs and if_nameindex read. Changes: rtnl_change.c.
 */
#include <errno.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/net/inet/lo.h"
#include "sentry/net/netlink/message.h"
#include "sentry/net/netlink/netlink.h"

void rtnetlink_put_link(struct netns *ns, const struct lx_nlmsghdr *req, uint16_t type,
                        uint32_t portid, struct wbuf *out)
{
    struct lx_ifinfomsg ifi = {.type = LX_ARPHRD_LOOPBACK, .index = 1, .flags = LX_IFF_LOOPBACK};
    uint64_t stats64[24] = {0};
    uint32_t stats[24];
    uint8_t mac[6] = {0};
    struct nl_message m;

    if (netns_lo_up(ns))
        ifi.flags |= LX_IFF_UP | LX_IFF_RUNNING | LX_IFF_LOWER_UP;
    nl_message_begin(&m, out, req, type, portid, &ifi, sizeof(ifi));
    nl_message_attr(&m, LX_IFLA_IFNAME, "lo", 3);
    nl_message_attr32(&m, LX_IFLA_TXQLEN, (uint32_t)ns->lo_txqlen);
    nl_message_attr8(&m, 16, netns_lo_up(ns) ? 0 : 2); /* IFLA_OPERSTATE: unknown, down */
    nl_message_attr8(&m, 17, 0);                       /* IFLA_LINKMODE */
    nl_message_attr32(&m, LX_IFLA_MTU, (uint32_t)ns->lo_mtu);
    nl_message_attr32(&m, 50, 0);         /* IFLA_MIN_MTU */
    nl_message_attr32(&m, 51, 0);         /* IFLA_MAX_MTU */
    nl_message_attr32(&m, 27, 0);         /* IFLA_GROUP */
    nl_message_attr32(&m, 30, 0);         /* IFLA_PROMISCUITY */
    nl_message_attr32(&m, 31, 1);         /* IFLA_NUM_TX_QUEUES */
    nl_message_attr32(&m, 32, 1);         /* IFLA_NUM_RX_QUEUES */
    nl_message_attr8(&m, 33, 1);          /* IFLA_CARRIER */
    nl_message_attr(&m, 6, "noqueue", 8); /* IFLA_QDISC */
    nl_message_attr(&m, 1, mac, 6);       /* IFLA_ADDRESS */
    nl_message_attr(&m, 2, mac, 6);       /* IFLA_BROADCAST */
    stats64[0] = stats64[1] = ns->lo_packets;
    stats64[2] = stats64[3] = ns->lo_bytes;
    for (size_t i = 0; i < ARRAY_COUNT(stats); i++)
        stats[i] = (uint32_t)stats64[i];
    nl_message_attr(&m, 23, stats64, sizeof(stats64)); /* IFLA_STATS64 */
    nl_message_attr(&m, 7, stats, sizeof(stats));      /* IFLA_STATS */
    nl_message_end(&m);
}

void rtnetlink_put_addr(const struct lx_nlmsghdr *req, uint16_t type, uint32_t portid,
                        const struct lo_addr *a, struct wbuf *out)
{
    bool v4 = ia_is_v4(&a->addr);
    const uint8_t *bytes = a->addr.b + (v4 ? 12 : 0);
    struct lx_ifaddrmsg ifa = {
        .family = v4 ? LX_AF_INET : LX_AF_INET6,
        .prefixlen = a->len,
        .flags = (uint8_t)a->flags,
        .scope = a->scope,
        .index = 1,
    };
    uint32_t cache[4] = {~0u, ~0u, 0, 0};
    struct nl_message m;

    nl_message_begin(&m, out, req, type, portid, &ifa, sizeof(ifa));
    nl_message_attr(&m, LX_IFA_ADDRESS, bytes, v4 ? 4 : 16);
    if (v4) {
        nl_message_attr(&m, LX_IFA_LOCAL, bytes, 4);
        nl_message_attr(&m, LX_IFA_LABEL, a->label, strlen(a->label) + 1);
    }
    nl_message_attr32(&m, LX_IFA_FLAGS, a->flags);
    nl_message_attr(&m, 6, cache, sizeof(cache)); /* IFA_CACHEINFO */
    nl_message_end(&m);
}

enum { RTN_LOCAL_ = 2, RTN_BROADCAST_ = 3, TABLE_LOCAL = 255 };

/* A route to where only this host is. src: IPv4. */
struct local_route {
    uint8_t len, type;
    struct inet_addr dst, src;
};

static void put_route(const struct lx_nlmsghdr *req, uint32_t portid, const struct local_route *r,
                      struct wbuf *out)
{
    bool v4 = ia_is_v4(&r->dst);
    struct lx_rtmsg rt = {
        .family = v4 ? LX_AF_INET : LX_AF_INET6,
        .dst_len = r->len,
        .table = TABLE_LOCAL,
        .protocol = 2, /* RTPROT_KERNEL */
        .scope = !v4                     ? 0
                 : r->type == RTN_LOCAL_ ? LX_RT_SCOPE_HOST
                                         : LX_RT_SCOPE_LINK,
        .type = r->type,
    };
    struct nl_message m;

    nl_message_begin(&m, out, req, LX_RTM_NEWROUTE, portid, &rt, sizeof(rt));
    nl_message_attr32(&m, 15, TABLE_LOCAL); /* RTA_TABLE */
    nl_message_attr(&m, LX_RTA_DST, r->dst.b + (v4 ? 12 : 0), v4 ? 4 : 16);
    if (v4)
        nl_message_attr(&m, 7, r->src.b + 12, 4); /* RTA_PREFSRC */
    else
        nl_message_attr32(&m, 6, 0); /* RTA_PRIORITY */
    nl_message_attr32(&m, LX_RTA_OIF, 1);
    nl_message_end(&m);
}

struct dump {
    struct netns *ns;
    const struct lx_nlmsghdr *h;
    uint32_t portid;
    struct wbuf *out;
    uint8_t family;
    struct inet_addr
        primary; /* of the prefix before the secondaries; the list has primaries first */
};

static bool dumped(const struct dump *d, const struct lo_addr *a)
{
    return d->family == 0 || d->family == (ia_is_v4(&a->addr) ? LX_AF_INET : LX_AF_INET6);
}

static void dump_addr(const struct lo_addr *a, void *arg)
{
    struct dump *d = arg;

    if (dumped(d, a))
        rtnetlink_put_addr(d->h, LX_RTM_NEWADDR, d->portid, a, d->out);
}

/* addr with all bits behind the prefix set or clear. */
static struct inet_addr prefix_end(const struct lo_addr *a, bool set)
{
    struct inet_addr end = a->addr;

    for (unsigned bit = 96u + a->len; bit < 128; bit++) {
        const uint8_t mask = (uint8_t)(0x80 >> bit % 8);

        end.b[bit / 8] = (uint8_t)(set ? end.b[bit / 8] | mask : end.b[bit / 8] & ~mask);
    }
    return end;
}

static void dump_routes(const struct lo_addr *a, void *arg)
{
    struct dump *d = arg;
    bool v4 = ia_is_v4(&a->addr), primary = v4 && !(a->flags & LX_IFA_F_SECONDARY);
    struct local_route r = {.type = RTN_LOCAL_, .dst = a->addr, .src = a->primary};

    if (!dumped(d, a))
        return;
    r.len = v4 ? 32 : 128;
    put_route(d->h, d->portid, &r, d->out);
    if (!primary || a->len == 32)
        return;
    r.len = a->len;
    r.dst = prefix_end(a, /*set=*/false);
    put_route(d->h, d->portid, &r, d->out);
    if (a->len == 31)
        return;
    r = (struct local_route){
        .len = 32, .type = RTN_BROADCAST_, .dst = prefix_end(a, /*set=*/true), .src = a->addr};
    put_route(d->h, d->portid, &r, d->out);
}

/* Family byte of a dump request; 0 (all) when the request has none. */
static uint8_t dump_family(struct rbuf *body)
{
    const uint8_t *p = rbuf_bytes(body, 1);

    return p ? *p : 0;
}

static int dump(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body, uint32_t portid,
                struct wbuf *out)
{
    struct dump d = {.ns = ns, .h = h, .portid = portid, .out = out, .family = dump_family(body)};

    switch (h->type) {
    case LX_RTM_GETLINK:
        rtnetlink_put_link(ns, h, LX_RTM_NEWLINK, portid, out);
        return 1;
    case LX_RTM_GETADDR:
        lo_each_addr(ns, dump_addr, &d);
        return 1;
    case LX_RTM_GETROUTE:
        if (netns_lo_up(ns))
            lo_each_addr(ns, dump_routes, &d);
        return 1;
    case LX_RTM_GETNEIGH:
    case LX_RTM_GETRULE:
    case LX_RTM_GETQDISC:
        return 1;
    default:
        return -EOPNOTSUPP;
    }
}

const uint8_t *rtnetlink_find_attr(const struct rbuf *body, uint16_t type, size_t *out_size)
{
    struct rbuf at = *body;

    while (rbuf_left(&at) >= sizeof(struct lx_rtattr)) {
        struct lx_rtattr a;
        const uint8_t *data;

        rbuf_copy(&at, &a, sizeof(a));
        if (a.len < sizeof(a))
            return NULL;
        *out_size = a.len - sizeof(a);
        data = rbuf_bytes(&at, *out_size);
        if (!data || (a.type & 0x3fff) == type)
            return data;
        if (*out_size % 4 && !rbuf_bytes(&at, 4 - *out_size % 4))
            return NULL;
    }
    return NULL;
}

static int get_link(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                    uint32_t portid, struct wbuf *out)
{
    struct lx_ifinfomsg ifi;
    const uint8_t *name;
    size_t size;

    rbuf_copy(body, &ifi, sizeof(ifi));
    if (body->bad)
        return -EINVAL;
    if (ifi.index == 0) {
        name = rtnetlink_find_attr(body, LX_IFLA_IFNAME, &size);
        if (!name)
            return -EINVAL;
        if (size < 2 || memcmp(name, "lo", 2) != 0 || (size > 2 && name[2] != '\0'))
            return -ENODEV;
    } else if (ifi.index != 1) {
        return -ENODEV;
    }
    rtnetlink_put_link(ns, h, LX_RTM_NEWLINK, portid, out);
    return 0;
}

static int get_route(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                     uint32_t portid, struct wbuf *out)
{
    struct local_route r = {.type = RTN_LOCAL_};
    struct lx_rtmsg rt;
    const uint8_t *d;
    size_t size;
    bool v4;

    rbuf_copy(body, &rt, sizeof(rt));
    if (body->bad)
        return -EINVAL;
    v4 = rt.family == LX_AF_INET;
    r.len = v4 ? 32 : 128;
    d = rtnetlink_find_attr(body, LX_RTA_DST, &size);
    if (!d || size != (v4 ? 4u : 16u))
        return -EINVAL;
    if (v4)
        ia_from_v4(&r.dst, 0);
    memcpy(r.dst.b + (v4 ? 12 : 0), d, size);
    if (!netns_lo_up(ns) || !lo_is_local(ns, &r.dst, &r.src))
        return -ENETUNREACH;
    put_route(h, portid, &r, out);
    return 0;
}

int rtnetlink_request(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                      uint32_t portid, struct wbuf *out)
{
    if (ns->transport && ns->transport->rtnetlink)
        return ns->transport->rtnetlink(ns, h, body, portid, out);
    if (h->type > LX_RTM_MAX)
        return -EOPNOTSUPP;
    /* Types come in fours, the third one reads. */
    if (h->type % 4 != 2 && !cred_ns_capable(curr()->cred, ns->owner, LX_CAP_NET_ADMIN))
        return -EPERM;
    if (h->type % 4 == 2 && (h->flags & LX_NLM_F_DUMP) == LX_NLM_F_DUMP)
        return dump(ns, h, body, portid, out);
    switch (h->type) {
    case LX_RTM_GETLINK:
        return get_link(ns, h, body, portid, out);
    case LX_RTM_GETROUTE:
        return get_route(ns, h, body, portid, out);
    default:
        return h->type % 4 == 2 ? -EOPNOTSUPP : rtnetlink_change(ns, h, body, portid);
    }
}
