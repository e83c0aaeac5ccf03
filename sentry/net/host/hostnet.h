/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --network=host: the AF_INET and AF_INET6 sockets of a network namespace are host sockets of the
 * network namespace that the sentry process was started in. See README.md.
 *
 * Order: hostnet_open before the jail (it opens what the filter forbids later), hostnet_attach
 * after the filter, once, for the container's first network namespace. Namespaces that guests make
 * themselves have a loopback of their own and nothing else.
 */
#pragma once

#include "platform/base/compiler.h"

struct netns;

/* One "net.*" sysctl of the configuration, as a path below /proc/sys ("net/ipv4/ip_forward"). */
struct hostnet_sysctl {
    char *path;        /* owned by the caller */
    const char *value; /* borrowed */
};

struct hostnet_config {
    int epoll_fd; /* owned from here on: the readiness thread's */
    bool own;     /* the namespace was made for this sandbox: bring lo up, set the sysctls */
    const struct hostnet_sysctl *sysctls;
    size_t sysctl_count;
};

/* The process is in its network namespace and still sees /proc and /sys. -errno; *out_what names
 * what failed. */
int MUST_CHECK hostnet_open(const struct hostnet_config *config, const char **out_what);
/* Starts the readiness thread and gives ns the host's sockets. unpriv_port: first port that
 * programs without CAP_NET_BIND_SERVICE may bind, -1: as the host namespace says. */
int MUST_CHECK hostnet_attach(struct netns *ns, int unpriv_port);
