/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink requests that change something: lo up and down, its MTU and queue length, its addresses. Other
 * devices cannot be made: no kind of device is known, as on a kernel without the modules. DEVIATION: nor
 * can routes: what would take one is -EOPNOTSUPP after Linux's own checks.
 */
#include <errno.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/net/inet/lo.h"
#include "sentry/net/netlink/netlink.h"

enum { LO_INDEX = 1 };

/* The 32-bit attribute, or what it is without. */
static uint32_t attr32(const struct rbuf *body, uint16_t type, uint32_t without)
{
    size_t size;
    const uint8_t *p = rtnetlink_find_attr(body, type, &size);

    if (p && size >= sizeof(without))
        memcpy(&without, p, sizeof(without));
    return without;
}

/* A name, cut to what a device's may have. False: there is none. */
static bool attr_name(const struct rbuf *body, uint16_t type, char out[16])
{
    size_t size;
    const uint8_t *p = rtnetlink_find_attr(body, type, &size);

    memset(out, 0, 16);
    if (p)
        memcpy(out, p, strnlen((const char *)p, MIN(size, 15u)));
    return p;
}

/* ---- links ---------------------------------------------------------------------------------- */

static void tell_link(struct netns *ns, const struct lx_nlmsghdr *h, uint32_t portid)
{
    uint8_t buf[2048];
    struct wbuf w;

    wbuf_init(&w, buf, sizeof(buf));
    rtnetlink_put_link(ns, h, LX_RTM_NEWLINK, portid, &w);
    if (!w.bad)
        netlink_multicast(ns, LX_RTMGRP_LINK, buf, w.off);
}

/* The device that a request is about: 0 is lo, 1 none of that name or number, or -errno. */
static int which_link(const struct lx_ifinfomsg *ifi, const struct rbuf *body)
{
    char name[16];

    if (ifi->index < 0)
        return -EINVAL;
    if (ifi->index)
        return ifi->index == LO_INDEX ? 0 : 1;
    if (!attr_name(body, LX_IFLA_IFNAME, name))
        return -EINVAL;
    return strcmp(name, "lo") == 0 ? 0 : 1;
}

static int change_lo(struct netns *ns, const struct lx_nlmsghdr *h, const struct lx_ifinfomsg *ifi,
                     const struct rbuf *body, uint32_t portid)
{
    uint32_t change = ifi->change ? ifi->change : ~0u;
    char name[16];

    if (attr_name(body, LX_IFLA_IFNAME, name) && ifi->index && strcmp(name, "lo") != 0)
        return -EOPNOTSUPP; /* DEVIATION: lo keeps its name */
    if ((int32_t)attr32(body, LX_IFLA_MTU, 0) < 0)
        return -EINVAL;
    ns->lo_mtu = (int32_t)attr32(body, LX_IFLA_MTU, (uint32_t)ns->lo_mtu);
    ns->lo_txqlen = (int32_t)attr32(body, LX_IFLA_TXQLEN, (uint32_t)ns->lo_txqlen);
    if ((ifi->flags || ifi->change) && (change & LX_IFF_UP))
        netns_set_lo_up(ns, ifi->flags & LX_IFF_UP);
    tell_link(ns, h, portid);
    return 0;
}

static int new_link(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                    uint32_t portid)
{
    struct lx_ifinfomsg ifi;
    size_t size;
    int which;

    rbuf_copy(body, &ifi, sizeof(ifi));
    if (body->bad)
        return -EINVAL;
    which = which_link(&ifi, body);
    if (which < 0 && h->type == LX_RTM_SETLINK)
        return which;
    if (which == 0) {
        if (h->type == LX_RTM_NEWLINK && (h->flags & LX_NLM_F_EXCL))
            return -EEXIST;
        if (h->type == LX_RTM_NEWLINK && (h->flags & LX_NLM_F_REPLACE))
            return -EOPNOTSUPP;
        return change_lo(ns, h, &ifi, body, portid);
    }
    if (h->type == LX_RTM_SETLINK || !(h->flags & LX_NLM_F_CREATE))
        return -ENODEV;
    /* No kind of device is known. */
    return rtnetlink_find_attr(body, LX_IFLA_LINKINFO, &size) ? -EOPNOTSUPP : -EINVAL;
}

static int del_link(struct rbuf *body)
{
    struct lx_ifinfomsg ifi;
    int which;

    rbuf_copy(body, &ifi, sizeof(ifi));
    if (body->bad)
        return -EINVAL;
    which = which_link(&ifi, body);
    return which < 0 ? which : which > 0 ? -ENODEV : -EOPNOTSUPP;
}

/* ---- addresses ------------------------------------------------------------------------------ */

struct telling {
    struct netns *ns;
    const struct lx_nlmsghdr *h;
    uint32_t portid;
};

static void tell_addr(const struct lo_addr *a, void *arg)
{
    const struct telling *t = arg;
    uint8_t buf[512];
    struct wbuf w;

    wbuf_init(&w, buf, sizeof(buf));
    rtnetlink_put_addr(t->h, t->h->type, t->portid, a, &w);
    if (!w.bad)
        netlink_multicast(t->ns, ia_is_v4(&a->addr) ? LX_RTMGRP_IPV4_IFADDR : LX_RTMGRP_IPV6_IFADDR,
                          buf, w.off);
}

/* IFA_LOCAL, or for IPv6 IFA_ADDRESS where that is missing. False: no address of the family. */
static bool request_addr(const struct lx_ifaddrmsg *ifa, const struct rbuf *body,
                         struct inet_addr *out)
{
    bool v4 = ifa->family == LX_AF_INET;
    size_t size;
    const uint8_t *p = rtnetlink_find_attr(body, LX_IFA_LOCAL, &size);

    if (!p && !v4)
        p = rtnetlink_find_attr(body, LX_IFA_ADDRESS, &size);
    if (!p || size < (v4 ? 4u : 16u))
        return false;
    if (v4)
        ia_from_v4(out, 0);
    memcpy(out->b + (v4 ? 12 : 0), p, v4 ? 4 : 16);
    return true;
}

static uint8_t scope_of6(const struct inet_addr *a)
{
    if (ia_is_loopback(a))
        return LX_RT_SCOPE_HOST;
    return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80 ? LX_RT_SCOPE_LINK : 0;
}

static int new_addr(struct netns *ns, const struct lx_nlmsghdr *h, const struct lx_ifaddrmsg *ifa,
                    const struct rbuf *body, uint32_t portid)
{
    struct lo_addr a = {.len = ifa->prefixlen, .scope = ifa->scope};
    struct telling t = {ns, h, portid};
    bool v4 = ifa->family == LX_AF_INET;
    int ret;

    if (ifa->prefixlen > (v4 ? 32 : 128) || !request_addr(ifa, body, &a.addr))
        return -EINVAL;
    if (ifa->index != LO_INDEX)
        return -ENODEV;
    if (!v4 && (ia_is_any(&a.addr) || ia_is_multicast(&a.addr)))
        return -EADDRNOTAVAIL;
    if (!v4)
        a.scope = scope_of6(&a.addr);
    /* DEVIATION: an address stays for good, whatever lifetime it is given. */
    a.flags = (attr32(body, LX_IFA_FLAGS, ifa->flags) & ~LX_IFA_F_SECONDARY) | LX_IFA_F_PERMANENT;
    if (!attr_name(body, LX_IFA_LABEL, a.label))
        memcpy(a.label, "lo", 3);
    ret = lo_addr_add(ns, &a);
    /* Nothing of an address that is there can be changed. */
    if (ret == -EEXIST && (h->flags & LX_NLM_F_REPLACE) && !(h->flags & LX_NLM_F_EXCL))
        ret = 0;
    if (ret == 0)
        tell_addr(&a, &t);
    return ret;
}

static int del_addr(struct netns *ns, const struct lx_nlmsghdr *h, const struct lx_ifaddrmsg *ifa,
                    const struct rbuf *body, uint32_t portid)
{
    struct telling t = {ns, h, portid};
    bool v4 = ifa->family == LX_AF_INET;
    struct inet_addr addr;
    char label[16];
    size_t size;

    if (!v4 && !request_addr(ifa, body, &addr))
        return -EINVAL;
    if (ifa->index != LO_INDEX)
        return -ENODEV;
    if (v4 && !request_addr(ifa, body, &addr))
        return -EADDRNOTAVAIL;
    (void)attr_name(body, LX_IFA_LABEL, label); /* empty: any */
    /* Linux: the prefix length counts where the request has an IFA_ADDRESS. */
    return lo_addr_remove(
        ns, &addr, !v4 || rtnetlink_find_attr(body, LX_IFA_ADDRESS, &size) ? ifa->prefixlen : -1,
        v4 ? label : "", tell_addr, &t);
}

static int change_addr(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                       uint32_t portid)
{
    struct lx_ifaddrmsg ifa;

    rbuf_copy(body, &ifa, sizeof(ifa));
    if (body->bad)
        return -EINVAL;
    if (ifa.family != LX_AF_INET && ifa.family != LX_AF_INET6)
        return -EOPNOTSUPP;
    return h->type == LX_RTM_NEWADDR ? new_addr(ns, h, &ifa, body, portid)
                                     : del_addr(ns, h, &ifa, body, portid);
}

/* ---- routes --------------------------------------------------------------------------------- */

static int change_route(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body)
{
    struct lx_rtmsg rt;
    size_t size;

    rbuf_copy(body, &rt, sizeof(rt));
    if (body->bad)
        return -EINVAL;
    if (rt.family != LX_AF_INET && rt.family != LX_AF_INET6)
        return -EOPNOTSUPP;
    if (rt.dst_len > (rt.family == LX_AF_INET ? 32 : 128))
        return -EINVAL;
    if (attr32(body, LX_RTA_OIF, LO_INDEX) != LO_INDEX)
        return -ENODEV;
    if (h->type == LX_RTM_DELROUTE)
        return -ESRCH;
    /* A gateway would have to be a neighbour; lo has none. */
    if (rtnetlink_find_attr(body, LX_RTA_GATEWAY, &size))
        return rt.family == LX_AF_INET ? -ENETUNREACH : -EHOSTUNREACH;
    return netns_lo_up(ns) ? -EOPNOTSUPP : -ENETDOWN;
}

int rtnetlink_change(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                     uint32_t portid)
{
    /* Deleting in bulk: of these, Linux only knows it for others. */
    if (h->type % 4 == 1 && (h->flags & LX_NLM_F_EXCL))
        return -EOPNOTSUPP;
    switch (h->type) {
    case LX_RTM_NEWLINK:
    case LX_RTM_SETLINK:
        return new_link(ns, h, body, portid);
    case LX_RTM_DELLINK:
        return del_link(body);
    case LX_RTM_NEWADDR:
    case LX_RTM_DELADDR:
        return change_addr(ns, h, body, portid);
    case LX_RTM_NEWROUTE:
    case LX_RTM_DELROUTE:
        return change_route(ns, h, body);
    default:
        return -EOPNOTSUPP;
    }
}
