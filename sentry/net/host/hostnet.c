/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is opened before the jail: a netlink socket each for interfaces and for sockets, a socket
 * for SIOCGIF*, the epoll of the readiness thread, and the files of /proc/net. All of them belong
 * to the network namespace that the process is in at that moment, and stay with it.
 */
#include "sentry/net/host/hostnet.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "platform/base/log.h"
#include "platform/host/file.h"
#include "platform/host/sock.h"
#include "sentry/net/host/host_internal.h"

/* /proc/net as the host prints it. Not unix, netlink, packet: those endpoints are the sentry's. */
static const char *const g_files[] = {
    "tcp",       "tcp6",     "udp",        "udp6",     "udplite",      "udplite6",
    "icmp",      "icmp6",    "raw",        "raw6",     "dev",          "dev_mcast",
    "if_inet6",  "route",    "ipv6_route", "arp",      "igmp",         "igmp6",
    "snmp",      "snmp6",    "netstat",    "sockstat", "sockstat6",    "fib_trie",
    "rt6_stats", "mcfilter", "mcfilter6",  "anycast6", "fib_triestat",
};

/* Everything immutable after hostnet_attach. */
static struct {
    int epfd;
    int files[ARRAY_COUNT(g_files)]; /* -1: this host has none */
    int port_min, port_max, unpriv_port, somaxconn;
} g_hostnet;

/* ---- before the jail ------------------------------------------------------------------------ */

static int loopback_up(int fd)
{
    struct ifreq r = {.ifr_name = "lo"};
    int ret = host_sock_ioctl(fd, SIOCGIFFLAGS, &r);

    if (ret == 0 && !(r.ifr_flags & IFF_UP)) {
        r.ifr_flags |= IFF_UP;
        ret = host_sock_ioctl(fd, SIOCSIFFLAGS, &r);
    }
    return ret;
}

/* The sandbox's user namespace has one group: a range of groups that may ping is that one, or nobody. */
static const char *sysctl_value(const struct hostnet_sysctl *s)
{
    unsigned from, to;

    if (strcmp(s->path, "net/ipv4/ping_group_range") != 0 ||
        sscanf(s->value, "%u %u", &from, &to) != 2)
        return s->value;
    return from <= to ? "0 0" : "1 0";
}

static int write_sysctl(const struct hostnet_sysctl *s)
{
    const char *value = sysctl_value(s);
    char path[256];
    ssize_t ret;
    int fd;

    snprintf(path, sizeof(path), "/proc/sys/%s", s->path);
    fd = host_openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    ret = host_write(fd, value, strlen(value));
    (void)host_close(fd); /* a sysctl is set by the write */
    return ret < 0 ? (int)ret : 0;
}

/* Numbers of a sysctl; those that cannot be read keep their value. */
static void read_sysctl(const char *name, int *a, int *b)
{
    char path[128], text[64], *end;
    ssize_t n;
    long v;
    int fd;

    snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
    fd = host_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    n = host_pread(fd, text, sizeof(text) - 1, 0);
    (void)host_close(fd); /* it was only read */
    if (n <= 0)
        return;
    text[n] = '\0';
    v = strtol(text, &end, 10);
    if (end == text)
        return;
    *a = (int)v;
    if (b)
        *b = (int)strtol(end, NULL, 10);
}

static void read_sysctls(void)
{
    g_hostnet.port_min = 32768;
    g_hostnet.port_max = 60999;
    g_hostnet.unpriv_port = 1024;
    g_hostnet.somaxconn = LX_SOMAXCONN;
    read_sysctl("ipv4/ip_local_port_range", &g_hostnet.port_min, &g_hostnet.port_max);
    read_sysctl("ipv4/ip_unprivileged_port_start", &g_hostnet.unpriv_port, NULL);
    read_sysctl("core/somaxconn", &g_hostnet.somaxconn, NULL);
}

static void open_files(void)
{
    char path[64];

    for (size_t i = 0; i < ARRAY_COUNT(g_files); i++) {
        snprintf(path, sizeof(path), "/proc/self/net/%s", g_files[i]);
        g_hostnet.files[i] = host_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    }
}

int hostnet_open(const struct hostnet_config *config, const char **out_what)
{
    int route, diag, inet, ret;

    *out_what = "netlink socket";
    route = host_socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, LX_NETLINK_ROUTE);
    if (route < 0)
        return route;
    /* A host without sock_diag has no ss, nothing else. */
    diag = host_socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 4 /* NETLINK_SOCK_DIAG */);
    *out_what = "inet socket";
    inet = host_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (inet < 0)
        return inet;
    *out_what = "loopback device";
    ret = config->own ? loopback_up(inet) : 0;
    for (size_t i = 0; ret == 0 && i < config->sysctl_count; i++) {
        *out_what = config->sysctls[i].path;
        ret = write_sysctl(&config->sysctls[i]);
    }
    if (ret < 0)
        return ret;
    host_netlink_init(route, diag);
    host_ifreq_init(inet);
    read_sysctls();
    open_files();
    g_hostnet.epfd = config->epoll_fd;
    return 0;
}

/* ---- as a transport ------------------------------------------------------------------------- */

static ssize_t host_proc_read(struct netns *ns, const char *name, void *buf, size_t size,
                              int64_t off)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_files); i++) {
        if (!strcmp(g_files[i], name))
            return g_hostnet.files[i] < 0 ? -ENOENT
                                          : host_pread(g_hostnet.files[i], buf, size, off);
    }
    return -ENOENT;
}

static const struct inet_transport_ops host_transport_ops = {
    .inet_create = host_inet_create,
    .rtnetlink = host_rtnetlink,
    .sock_diag = host_sock_diag,
    .netdev_ioctl = host_netdev_ioctl,
    .proc_read = host_proc_read,
};

int hostnet_attach(struct netns *ns, int unpriv_port)
{
    int ret = host_ready_start(g_hostnet.epfd);

    if (ret < 0)
        return ret;
    ns->port_min = g_hostnet.port_min;
    ns->port_max = g_hostnet.port_max;
    ns->unpriv_port = unpriv_port < 0 ? g_hostnet.unpriv_port : unpriv_port;
    ns->somaxconn = g_hostnet.somaxconn;
    ns->transport = &host_transport_ops;
    return 0;
}
