/* SPDX-License-Identifier: Apache-2.0 */
/* SIOCGIF* and friends on lo, the only device. netdevice(7). */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "sentry/abi/in.h"
#include "sentry/abi/netlink.h"
#include "sentry/core/cred.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/inet/inet.h"
#include "sentry/net/net_tables.h"

static void put_in(struct lx_ifreq *r, uint32_t host_order)
{
    struct lx_sockaddr_in s = {.family = LX_AF_INET, .addr = htonl(host_order)};

    memset(r->bytes, 0, sizeof(r->bytes));
    memcpy(r->bytes, &s, sizeof(s));
}

static long get_conf(struct netns *ns, uaddr_t arg)
{
    struct lx_ifreq r = {.name = "lo"};
    struct lx_ifconf c;
    bool up = netns_lo_up(ns);
    int ret = get_user(&c, arg);

    if (ret < 0)
        return ret;
    put_in(&r, 0x7f000001);
    if (!c.buf) {
        c.len = up ? (int32_t)sizeof(r) : 0;
    } else if (!up || c.len < (int32_t)sizeof(r)) {
        c.len = 0;
    } else {
        ret = copy_out(c.buf, &r, sizeof(r));
        c.len = (int32_t)sizeof(r);
    }
    return ret < 0 ? ret : put_user(&c, arg);
}

static int get_one(struct netns *ns, uint32_t cmd, struct lx_ifreq *r)
{
    bool up = netns_lo_up(ns);

    memset(r->bytes, 0, sizeof(r->bytes));
    switch (cmd) {
    case LX_SIOCGIFFLAGS:
        r->flags = (int16_t)(LX_IFF_LOOPBACK | (up ? LX_IFF_UP | LX_IFF_RUNNING : 0));
        return 0;
    case LX_SIOCGIFADDR:
    case LX_SIOCGIFDSTADDR:
        if (!up)
            return -EADDRNOTAVAIL;
        put_in(r, 0x7f000001);
        return 0;
    case LX_SIOCGIFBRDADDR:
        put_in(r, 0);
        return 0;
    case LX_SIOCGIFNETMASK:
        put_in(r, 0xff000000);
        return 0;
    case LX_SIOCGIFMETRIC:
        r->ival = 0;
        return 0;
    case LX_SIOCGIFMTU:
        r->ival = 65536;
        return 0;
    case LX_SIOCGIFINDEX:
        r->ival = 1;
        return 0;
    case LX_SIOCGIFTXQLEN:
        r->ival = 1000;
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
    if (cmd == LX_SIOCSIFFLAGS || cmd == LX_SIOCSIFADDR || cmd == LX_SIOCSIFMTU) {
        if (!cred_ns_capable(curr()->cred, ns->owner, LX_CAP_NET_ADMIN))
            return -EPERM;
        if (strcmp(r.name, "lo") != 0)
            return -ENODEV;
        if (cmd == LX_SIOCSIFFLAGS)
            netns_set_lo_up(ns, r.flags & LX_IFF_UP);
        return cmd == LX_SIOCSIFFLAGS ? 0 : -EOPNOTSUPP;
    }
    if (cmd < LX_SIOCGIFNAME || (cmd > LX_SIOCGIFMAP && cmd < 0x8b00))
        return -ENOTTY;
    if (strcmp(r.name, "lo") != 0)
        return -ENODEV;
    ret = get_one(ns, cmd, &r);
    return ret < 0 ? ret : put_user(&r, arg);
}
