/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink: the one device lo, its two addresses and the kernel's own routes to them. What ip,
 * getifaddrs and if_nameindex read. Changes are refused except for setting lo up or down.
 */
#include <arpa/inet.h>
#include <errno.h>

#include "sentry/core/cred.h"
#include "sentry/net/inet/inet.h"
#include "sentry/net/netlink/message.h"
#include "sentry/net/netlink/netlink.h"

static void put_link(struct netns *ns, const struct lx_nlmsghdr *req, uint32_t portid,
                     struct wbuf *out)
{
    struct lx_ifinfomsg ifi = {.type = LX_ARPHRD_LOOPBACK, .index = 1, .flags = LX_IFF_LOOPBACK};
    uint64_t stats64[24] = {0};
    uint32_t stats[24];
    uint8_t mac[6] = {0};
    struct nl_message m;

    if (netns_lo_up(ns))
        ifi.flags |= LX_IFF_UP | LX_IFF_RUNNING | LX_IFF_LOWER_UP;
    nl_message_begin(&m, out, req, LX_RTM_NEWLINK, portid, &ifi, sizeof(ifi));
    nl_message_attr(&m, 3, "lo", 3);                   /* IFLA_IFNAME */
    nl_message_attr32(&m, 13, 1000);                   /* IFLA_TXQLEN */
    nl_message_attr8(&m, 16, netns_lo_up(ns) ? 0 : 2); /* IFLA_OPERSTATE: unknown, down */
    nl_message_attr8(&m, 17, 0);                       /* IFLA_LINKMODE */
    nl_message_attr32(&m, 4, 65536);                   /* IFLA_MTU */
    nl_message_attr32(&m, 50, 0);                      /* IFLA_MIN_MTU */
    nl_message_attr32(&m, 51, 0);                      /* IFLA_MAX_MTU */
    nl_message_attr32(&m, 27, 0);                      /* IFLA_GROUP */
    nl_message_attr32(&m, 30, 0);                      /* IFLA_PROMISCUITY */
    nl_message_attr32(&m, 31, 1);                      /* IFLA_NUM_TX_QUEUES */
    nl_message_attr32(&m, 32, 1);                      /* IFLA_NUM_RX_QUEUES */
    nl_message_attr8(&m, 33, 1);                       /* IFLA_CARRIER */
    nl_message_attr(&m, 6, "noqueue", 8);              /* IFLA_QDISC */
    nl_message_attr(&m, 1, mac, 6);                    /* IFLA_ADDRESS */
    nl_message_attr(&m, 2, mac, 6);                    /* IFLA_BROADCAST */
    stats64[0] = stats64[1] = ns->lo_packets;
    stats64[2] = stats64[3] = ns->lo_bytes;
    for (size_t i = 0; i < ARRAY_COUNT(stats); i++)
        stats[i] = (uint32_t)stats64[i];
    nl_message_attr(&m, 23, stats64, sizeof(stats64)); /* IFLA_STATS64 */
    nl_message_attr(&m, 7, stats, sizeof(stats));      /* IFLA_STATS */
    nl_message_end(&m);
}

static void put_addr(const struct lx_nlmsghdr *req, uint32_t portid, bool v4, struct wbuf *out)
{
    static const uint8_t a4[4] = {127, 0, 0, 1}, a6[16] = {[15] = 1};
    struct lx_ifaddrmsg ifa = {
        .family = v4 ? LX_AF_INET : LX_AF_INET6,
        .prefixlen = v4 ? 8 : 128,
        .flags = 0x80, /* IFA_F_PERMANENT */
        .scope = 254,  /* host */
        .index = 1,
    };
    uint32_t cache[4] = {~0u, ~0u, 0, 0};
    struct nl_message m;

    nl_message_begin(&m, out, req, LX_RTM_NEWADDR, portid, &ifa, sizeof(ifa));
    nl_message_attr(&m, 1, v4 ? a4 : a6, v4 ? 4 : 16); /* IFA_ADDRESS */
    if (v4) {
        nl_message_attr(&m, 2, a4, 4);   /* IFA_LOCAL */
        nl_message_attr(&m, 3, "lo", 3); /* IFA_LABEL */
    }
    nl_message_attr32(&m, 8, 0x80);               /* IFA_FLAGS */
    nl_message_attr(&m, 6, cache, sizeof(cache)); /* IFA_CACHEINFO */
    nl_message_end(&m);
}

struct local_route {
    bool v4;
    uint8_t len, type, scope; /* type: RTN_LOCAL 2, RTN_BROADCAST 3 */
    uint8_t dst[16];
};

static const struct local_route local_routes[] = {
    {true, 8, 2, 254, {127}},
    {true, 32, 2, 254, {127, 0, 0, 1}},
    {true, 32, 3, 253, {127, 255, 255, 255}},
    {false, 128, 2, 0, {[15] = 1}},
};

static void put_route(const struct lx_nlmsghdr *req, uint32_t portid, const struct local_route *r,
                      struct wbuf *out)
{
    static const uint8_t src4[4] = {127, 0, 0, 1};
    struct lx_rtmsg rt = {
        .family = r->v4 ? LX_AF_INET : LX_AF_INET6,
        .dst_len = r->len,
        .table = 255,
        .protocol = 2, /* RTPROT_KERNEL */
        .scope = r->scope,
        .type = r->type,
    };
    struct nl_message m;

    nl_message_begin(&m, out, req, LX_RTM_NEWROUTE, portid, &rt, sizeof(rt));
    nl_message_attr32(&m, 15, 255);                 /* RTA_TABLE */
    nl_message_attr(&m, 1, r->dst, r->v4 ? 4 : 16); /* RTA_DST */
    if (r->v4)
        nl_message_attr(&m, 7, src4, 4); /* RTA_PREFSRC */
    else
        nl_message_attr32(&m, 6, 0); /* RTA_PRIORITY */
    nl_message_attr32(&m, 4, 1);     /* RTA_OIF */
    nl_message_end(&m);
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
    uint8_t family = dump_family(body);
    bool up = netns_lo_up(ns);

    switch (h->type) {
    case LX_RTM_GETLINK:
        put_link(ns, h, portid, out);
        return 1;
    case LX_RTM_GETADDR:
        if (up && (family == 0 || family == LX_AF_INET))
            put_addr(h, portid, /*v4=*/true, out);
        if (up && (family == 0 || family == LX_AF_INET6))
            put_addr(h, portid, /*v4=*/false, out);
        return 1;
    case LX_RTM_GETROUTE:
        for (size_t i = 0; up && i < ARRAY_COUNT(local_routes); i++) {
            if (family == 0 || (family == LX_AF_INET) == local_routes[i].v4)
                put_route(h, portid, &local_routes[i], out);
        }
        return 1;
    case LX_RTM_GETNEIGH:
    case LX_RTM_GETRULE:
    case LX_RTM_GETQDISC:
        return 1;
    default:
        return -EOPNOTSUPP;
    }
}

/* Attribute type of a request's list, or NULL. */
static const uint8_t *find_attr(struct rbuf *body, uint16_t type, size_t *out_size)
{
    while (rbuf_left(body) >= sizeof(struct lx_rtattr)) {
        struct lx_rtattr a;
        const uint8_t *data;

        rbuf_copy(body, &a, sizeof(a));
        if (a.len < sizeof(a))
            return NULL;
        *out_size = a.len - sizeof(a);
        data = rbuf_bytes(body, *out_size);
        if (!data || (a.type & 0x3fff) == type)
            return data;
        if (*out_size % 4 && !rbuf_bytes(body, 4 - *out_size % 4))
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
        name = find_attr(body, 3, &size);
        if (!name)
            return -EINVAL;
        if (size < 2 || memcmp(name, "lo", 2) != 0 || (size > 2 && name[2] != '\0'))
            return -ENODEV;
    } else if (ifi.index != 1) {
        return -ENODEV;
    }
    put_link(ns, h, portid, out);
    return 0;
}

static int get_route(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                     uint32_t portid, struct wbuf *out)
{
    struct local_route r = {.len = 32, .type = 2, .v4 = true};
    struct inet_addr dst = {{0}};
    struct lx_rtmsg rt;
    const uint8_t *d;
    size_t size;

    rbuf_copy(body, &rt, sizeof(rt));
    if (body->bad)
        return -EINVAL;
    r.v4 = rt.family == LX_AF_INET;
    d = find_attr(body, 1, &size);
    if (!d || size != (r.v4 ? 4u : 16u))
        return -EINVAL;
    memcpy(r.dst, d, size);
    if (r.v4) {
        uint32_t v4;

        memcpy(&v4, d, sizeof(v4));
        ia_from_v4(&dst, v4);
    } else {
        memcpy(dst.b, d, sizeof(dst.b));
        r.len = 128;
    }
    if (!ia_is_loopback(&dst) || !netns_lo_up(ns))
        return -ENETUNREACH;
    put_route(h, portid, &r, out);
    return 0;
}

static int set_link(struct netns *ns, struct rbuf *body)
{
    struct lx_ifinfomsg ifi;

    if (!cred_ns_capable(curr()->cred, ns->owner, LX_CAP_NET_ADMIN))
        return -EPERM;
    rbuf_copy(body, &ifi, sizeof(ifi));
    if (body->bad)
        return -EINVAL;
    if (ifi.index != 1)
        return ifi.index ? -ENODEV : -EOPNOTSUPP;
    if ((ifi.change ? ifi.change : ~0u) & LX_IFF_UP)
        netns_set_lo_up(ns, ifi.flags & LX_IFF_UP);
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
    case LX_RTM_NEWLINK:
    case LX_RTM_SETLINK:
        return set_link(ns, body);
    default:
        return -EOPNOTSUPP;
    }
}
