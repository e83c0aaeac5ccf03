/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/network.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "sentry/net/host/hostnet.h"
#include "sentry/net/netns.h"

bool boot_network_is_host(const struct boot_config *c)
{
    return !strcmp(c->network, "host");
}

static bool owns(const struct boot_config *c)
{
    return json_is_true(json_object_get(c->json, "network_own"));
}

/* "net.a.b" as "net/a/b"; NULL when out of memory. */
static char *sysctl_path(const char *name)
{
    char *path = strdup(name);

    for (char *p = path; p && *p; p++) {
        if (*p == '.')
            *p = '/';
    }
    return path;
}

/* The groups of a container are not the host's: the sentry has one, which its ping sockets need. */
static const char *sysctl_value(const char *name, const json_t *v)
{
    return strcmp(name, "net.ipv4.ping_group_range") ? json_string_value(v) : "0 0";
}

int boot_network_open(const struct boot_config *c, const char **out_what)
{
    json_t *list = json_object_get(json_object_get(c->spec, "linux"), "sysctl"), *v;
    struct hostnet_config config = {.own = owns(c)};
    struct hostnet_sysctl *sysctls;
    const char *name;
    int ret;

    if (!boot_network_is_host(c))
        return 0;
    *out_what = "epoll";
    config.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (config.epoll_fd < 0)
        return -errno;
    *out_what = "network sysctls";
    sysctls = calloc(json_object_size(list) + 1, sizeof(*sysctls));
    if (!sysctls)
        return -ENOMEM;
    config.sysctls = sysctls;
    json_object_foreach(list, name, v)
    {
        struct hostnet_sysctl *s = &sysctls[config.sysctl_count];

        if (!config.own || strncmp(name, "net.", 4) != 0)
            continue; /* the command did the others' */
        *s = (struct hostnet_sysctl){sysctl_path(name), sysctl_value(name, v)};
        if (s->path)
            config.sysctl_count++;
    }
    ret = hostnet_open(&config, out_what);
    if (ret == 0) {
        /* *out_what is not looked at, so that paths may go. */
        for (size_t i = 0; i < config.sysctl_count; i++)
            free(sysctls[i].path);
        free(sysctls);
    }
    return ret;
}

static bool has_capability(const json_t *list, const char *name)
{
    const json_t *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        if (!strcmp(json_string_value(v), name))
            return true;
    }
    return false;
}

uint64_t boot_network_capabilities(const struct boot_config *c)
{
    const json_t *process = json_object_get(c->spec, "process");
    const json_t *bounding = json_object_get(json_object_get(process, "capabilities"), "bounding");
    uint64_t keep = 0;

    if (!boot_network_is_host(c) || !owns(c))
        return 0;
    if (has_capability(bounding, "CAP_NET_BIND_SERVICE"))
        keep |= 1ull << CAP_NET_BIND_SERVICE;
    if (has_capability(bounding, "CAP_NET_RAW"))
        keep |= 1ull << CAP_NET_RAW;
    return keep;
}

int boot_network_attach(const struct boot_config *c, struct netns *ns)
{
    if (!boot_network_is_host(c))
        return 0;
    return hostnet_attach(ns, (int)boot_int(c->json, "unprivileged_port", -1));
}
