/* SPDX-License-Identifier: Apache-2.0 */
/* SIOCGIF* on the host's interfaces: reading only. netdevice(7). */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "platform/host/sock.h"
#include "sentry/core/cred.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/host/host_internal.h"

static int g_ifreq_fd = -1; /* immutable after host_ifreq_init */

void host_ifreq_init(int fd)
{
    g_ifreq_fd = fd;
}

static long get_conf(uaddr_t arg)
{
    struct ifconf host = {0};
    struct lx_ifconf c;
    int ret = get_user(&c, arg);

    if (ret < 0)
        return ret;
    if (c.buf) {
        if (c.len < 0)
            return -EINVAL;
        host.ifc_len = MIN(c.len, 65536);
        host.ifc_buf = calloc(1, (size_t)host.ifc_len + 1);
        if (!host.ifc_buf)
            return -ENOMEM;
    }
    ret = host_sock_ioctl(g_ifreq_fd, SIOCGIFCONF, &host);
    if (ret == 0 && c.buf)
        ret = copy_out(c.buf, host.ifc_buf, (size_t)host.ifc_len);
    free(host.ifc_buf);
    c.len = host.ifc_len;
    return ret < 0 ? ret : put_user(&c, arg);
}

long host_netdev_ioctl(struct netns *ns, uint32_t cmd, uaddr_t arg)
{
    struct lx_ifreq r;
    int ret;

    switch (cmd) {
    case LX_SIOCGIFCONF:
        return get_conf(arg);
    case LX_SIOCGIFNAME:
    case LX_SIOCGIFFLAGS:
    case LX_SIOCGIFADDR:
    case LX_SIOCGIFDSTADDR:
    case LX_SIOCGIFBRDADDR:
    case LX_SIOCGIFNETMASK:
    case LX_SIOCGIFMETRIC:
    case LX_SIOCGIFMTU:
    case LX_SIOCGIFHWADDR:
    case LX_SIOCGIFINDEX:
    case LX_SIOCGIFTXQLEN:
    case LX_SIOCGIFMAP:
        break;
    case LX_SIOCSIFFLAGS:
    case LX_SIOCSIFADDR:
    case LX_SIOCSIFMTU:
        return -EPERM;
    case LX_SIOCETHTOOL:
        return -EOPNOTSUPP;
    default:
        return -ENOTTY;
    }
    ret = get_user(&r, arg);
    if (ret < 0)
        return ret;
    r.name[sizeof(r.name) - 1] = '\0';
    ret = host_sock_ioctl(g_ifreq_fd, cmd, &r);
    return ret < 0 ? ret : put_user(&r, arg);
}
