/* SPDX-License-Identifier: Apache-2.0 */
/* SIOCGIF* and friends on lo, the only device. netdevice(7). */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "sentry/abi/in.h"
#include "sentry/abi/netlink.h"
#include "sentry/core/cred.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/inet/lo.h"
#include "sentry/net/net_tables.h"

static void put_in(struct lx_ifreq *r, uint32_t network_order)
{
    struct lx_sockaddr_in s = {.family = LX_AF_INET, .addr = network_order};

    memset(r->bytes, 0, sizeof(r->bytes));
    memcpy(r->bytes, &s, sizeof(s));
}

struct conf {
    struct lx_ifreq reqs[64];
    size_t count;
};

static void add_conf(const struct lo_addr *a, void *arg)
{
    struct conf *c = arg;
    struct lx_ifreq *r = &c->reqs[c->count];

    if (!ia_is_v4(&a->addr) || c->count == ARRAY_COUNT(c->reqs))
        return;
    *r = (struct lx_ifreq){.name = ""};
    memcpy(r->name, a->label, sizeof(r->name));
    put_in(r, ia_v4(&a->addr));
    c->count++;
}

/* DEVIATION: at most 64 addresses; what reads more asks rtnetlink. */
static long get_conf(struct netns *ns, uaddr_t arg)
{
    struct conf all = {.count = 0};
    struct lx_ifconf c;
    int ret = get_user(&c, arg);
    size_t fit;

    if (ret < 0)
        return ret;
    lo_each_addr(ns, add_conf, &all);
    fit = c.buf ? MIN(all.count, (size_t)MAX(c.len, 0) / sizeof(all.reqs[0])) : all.count;
    c.len = (int32_t)(fit * sizeof(all.reqs[0]));
    if (c.buf)
        ret = copy_out(c.buf, all.reqs, (size_t)c.len);
    return ret < 0 ? ret : put_user(&c, arg);
}

/* The first IPv4 address with the label. */
struct labelled {
    const char *label;
    struct lo_addr addr;
    bool found;
};

static void find_labelled(const struct lo_addr *a, void *arg)
{
    struct labelled *l = arg;

    if (l->found || !ia_is_v4(&a->addr) || strcmp(a->label, l->label) != 0)
        return;
    l->addr = *a;
    l->found = true;
}

static bool labelled_addr(struct netns *ns, const char *label, struct lo_addr *out)
{
    struct labelled l = {.label = label};

    lo_each_addr(ns, find_labelled, &l);
    *out = l.addr;
    return l.found;
}

static uint32_t netmask(uint8_t len)
{
    return len ? htonl(~0u << (32 - len)) : 0;
}

static int get_one(struct netns *ns, uint32_t cmd, struct lx_ifreq *r)
{
    bool up = netns_lo_up(ns);
    struct lo_addr a;

    memset(r->bytes, 0, sizeof(r->bytes));
    switch (cmd) {
    case LX_SIOCGIFFLAGS:
        r->flags = (int16_t)(LX_IFF_LOOPBACK | (up ? LX_IFF_UP | LX_IFF_RUNNING : 0));
        return 0;
    case LX_SIOCGIFADDR:
    case LX_SIOCGIFDSTADDR:
    case LX_SIOCGIFBRDADDR:
    case LX_SIOCGIFNETMASK:
        if (!labelled_addr(ns, r->name, &a))
            return -EADDRNOTAVAIL;
        put_in(r, cmd == LX_SIOCGIFBRDADDR   ? 0
                  : cmd == LX_SIOCGIFNETMASK ? netmask(a.len)
                                             : ia_v4(&a.addr));
        return 0;
    case LX_SIOCGIFMETRIC:
        r->ival = 0;
        return 0;
    case LX_SIOCGIFMTU:
        r->ival = ns->lo_mtu;
        return 0;
    case LX_SIOCGIFINDEX:
        r->ival = 1;
        return 0;
    case LX_SIOCGIFTXQLEN:
        r->ival = ns->lo_txqlen;
        return 0;
    case LX_SIOCGIFHWADDR:
        r->bytes[0] = LX_ARPHRD_LOOPBACK & 0xff;
        r->bytes[1] = LX_ARPHRD_LOOPBACK >> 8;
        return 0;
    case LX_SIOCGIFMAP:
        return 0;
    case LX_SIOCETHTOOL:
        return -EOPNOTSUPP;
    default:
        return -ENOTTY;
    }
}

static void forget(const struct lo_addr *a, void *arg)
{
}

/* Linux: the prefix that the class of an address had. */
static uint8_t class_len(uint32_t host_order)
{
    return host_order >> 31 == 0 ? 8 : host_order >> 30 == 2 ? 16 : host_order >> 29 == 6 ? 24 : 32;
}

static int set_addr(struct netns *ns, uint32_t cmd, const struct lx_ifreq *r)
{
    struct lo_addr old, a = {.flags = LX_IFA_F_PERMANENT};
    bool had = labelled_addr(ns, r->name, &old);
    struct lx_sockaddr_in in;
    uint32_t v4;

    memcpy(&in, r->bytes, sizeof(in));
    if (in.family != LX_AF_INET)
        return -EINVAL;
    v4 = ntohl(in.addr);
    if (cmd == LX_SIOCSIFNETMASK) {
        if (!had)
            return -EADDRNOTAVAIL;
        if (~v4 & (~v4 + 1))
            return -EINVAL; /* not a prefix */
        a = old;
        a.len = (uint8_t)__builtin_popcount(v4);
    } else {
        ia_from_v4(&a.addr, in.addr);
        a.len = class_len(v4);
        a.scope = ia_is_loopback(&a.addr) ? LX_RT_SCOPE_HOST : 0;
        memcpy(a.label, r->name, sizeof(a.label));
    }
    if (had && lo_addr_remove(ns, &old.addr, old.len, r->name, forget, NULL) < 0)
        return -EADDRNOTAVAIL; /* somebody else was first */
    a.flags = LX_IFA_F_PERMANENT;
    return in.addr ? lo_addr_add(ns, &a) : 0;
}

static int set_one(struct netns *ns, uint32_t cmd, const struct lx_ifreq *r)
{
    switch (cmd) {
    case LX_SIOCSIFFLAGS:
        netns_set_lo_up(ns, r->flags & LX_IFF_UP);
        return 0;
    case LX_SIOCSIFMTU:
        if (r->ival < 0)
            return -EINVAL;
        ns->lo_mtu = r->ival;
        return 0;
    default:
        return set_addr(ns, cmd, r);
    }
}

/* "lo", or a label of it where the call is about an address. */
static bool is_lo(uint32_t cmd, const char *name)
{
    bool address = (cmd >= LX_SIOCGIFADDR && cmd <= LX_SIOCGIFBRDADDR) ||
                   cmd == LX_SIOCGIFNETMASK || cmd == LX_SIOCSIFNETMASK;

    return strcmp(name, "lo") == 0 || (address && strncmp(name, "lo:", 3) == 0);
}

long netdev_ioctl(struct netns *ns, uint32_t cmd, uaddr_t arg)
{
    struct lx_ifreq r;
    int ret;

    if (ns->transport && ns->transport->netdev_ioctl)
        return ns->transport->netdev_ioctl(ns, cmd, arg);
    if (cmd == LX_SIOCGIFCONF)
        return get_conf(ns, arg);
    if (cmd < 0x8900 || cmd > 0x8bff)
        return -ENOTTY;
    ret = get_user(&r, arg);
    if (ret < 0)
        return ret;
    if (cmd == LX_SIOCGIFNAME) {
        if (r.ival != 1)
            return -ENODEV;
        memset(r.name, 0, sizeof(r.name));
        memcpy(r.name, "lo", 2);
        return put_user(&r, arg);
    }
    r.name[sizeof(r.name) - 1] = '\0';
    if (cmd == LX_SIOCSIFFLAGS || cmd == LX_SIOCSIFADDR || cmd == LX_SIOCSIFNETMASK ||
        cmd == LX_SIOCSIFMTU) {
        if (!cred_ns_capable(curr()->cred, ns->owner, LX_CAP_NET_ADMIN))
            return -EPERM;
        return is_lo(cmd, r.name) ? set_one(ns, cmd, &r) : -ENODEV;
    }
    if (cmd < LX_SIOCGIFNAME || (cmd > LX_SIOCGIFMAP && cmd < 0x8b00))
        return -ENOTTY;
    if (!is_lo(cmd, r.name))
        return -ENODEV;
    ret = get_one(ns, cmd, &r);
    return ret < 0 ? ret : put_user(&r, arg);
}
