/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/sandbox/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runsc-c/support/globals.h"
#include "runsc-c/support/json.h"

#define PORT_START  "net.ipv4.ip_unprivileged_port_start"
#define PING_GROUPS "net.ipv4.ping_group_range"

const char *sandbox_network(bool standalone)
{
    if (g_options.network)
        return g_options.network;
    return standalone ? "none" : "host";
}

static const json_t *network_entry(const json_t *spec)
{
    const json_t *list = json_object_get(json_object_get(spec, "linux"), "namespaces"), *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        if (!strcmp(json_get_string(v, "type", ""), "network"))
            return v;
    }
    return NULL;
}

void sandbox_netns_use_callers(json_t *spec)
{
    json_t *list = json_object_get(json_object_get(spec, "linux"), "namespaces");

    for (size_t i = json_array_size(list); i-- > 0;) {
        if (!strcmp(json_get_string(json_array_get(list, i), "type", ""), "network"))
            (void)json_array_remove(list, i); /* i is inside */
    }
}

static bool is_ours(int fd)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && stat("/proc/self/ns/net", &b) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

int sandbox_netns_plan(const json_t *spec, const char *network, struct sandbox_netns *out,
                       struct err *e)
{
    const json_t *entry = network_entry(spec);
    const char *path = json_get_string(entry, "path", "");

    *out = (struct sandbox_netns){.fd = -1, .old_fd = -1, .port_start = -1};
    out->make = strcmp(network, "host") != 0 || (entry && !*path);
    if (out->make || !entry)
        return 0;
    out->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (out->fd < 0)
        return err_errno(e, errno, "network namespace %s", path);
    if (is_ours(out->fd)) {
        close(out->fd); /* docker run --network host: a path to where we are */
        out->fd = -1;
    }
    return 0;
}

static int write_sysctl(const char *name, const char *value, struct err *e)
{
    char path[256];
    int fd, ret = 0;

    snprintf(path, sizeof(path), "/proc/sys/%s", name);
    for (char *p = path + strlen("/proc/sys/"); *p; p++) {
        if (*p == '.')
            *p = '/';
    }
    fd = strstr(path, "..") ? -1 : open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, strlen(value)) < 0)
        ret = err_errno(e, errno, "sysctl %s", name);
    if (fd >= 0)
        close(fd);
    return ret;
}

static int set_sysctls(const json_t *spec, struct err *e)
{
    json_t *list = json_object_get(json_object_get(spec, "linux"), "sysctl"), *v;
    const char *name;

    json_object_foreach(list, name, v)
    {
        if (!strncmp(name, "net.", 4) && write_sysctl(name, json_string_value(v), e) < 0)
            return -1;
    }
    return 0;
}

static bool may_have(const json_t *spec, const char *capability)
{
    const json_t *process = json_object_get(spec, "process"), *v;
    const json_t *list = json_object_get(json_object_get(process, "capabilities"), "bounding");
    size_t i;

    json_array_foreach(list, i, v)
    {
        if (!strcmp(json_string_value(v), capability))
            return true;
    }
    return false;
}

static int read_port_start(void)
{
    char text[16] = "";
    int fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    return n > 0 ? atoi(text) : -1;
}

/* See the header: the sentry asks the guest from here on, by the value that was there. */
static void let_bind_low_ports(struct sandbox_netns *n, const json_t *spec)
{
    const json_t *list = json_object_get(json_object_get(spec, "linux"), "sysctl");
    int start = read_port_start();
    struct err ignored = {0}; /* then what the namespace allows to everybody is what there is */

    if (start <= 0 || json_object_get(list, PORT_START) || !may_have(spec, "CAP_NET_BIND_SERVICE"))
        return;
    if (write_sysctl(PORT_START, "0", &ignored) == 0)
        n->port_start = start;
}

/* Groups that may use ping sockets are groups of the host here: the sentry's is nobody. It gets them
 * where the configuration names a range, or gives the right to raw sockets, which ping falls back from. */
static void let_ping(const json_t *spec)
{
    const json_t *list = json_object_get(json_object_get(spec, "linux"), "sysctl");
    const char *range = json_string_value(json_object_get(list, PING_GROUPS));
    struct err ignored = {0}; /* then there is no ping, as without the right to it */
    unsigned from = 1, to = 0;

    if (range ? sscanf(range, "%u %u", &from, &to) == 2 && from <= to
              : may_have(spec, "CAP_NET_RAW"))
        (void)write_sysctl(PING_GROUPS, "0 65534", &ignored);
}

void sandbox_netns_describe(const struct sandbox_netns *n, json_t *config)
{
    if (!config)
        return;
    json_object_set_new(config, "network_own", json_boolean(n->make));
    json_object_set_new(config, "unprivileged_port", json_integer(n->port_start));
}

int sandbox_netns_enter(struct sandbox_netns *n, const json_t *spec, struct err *e)
{
    if (n->make)
        return 0; /* the sentry sets its own sysctls */
    if (n->fd >= 0) {
        n->old_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        if (n->old_fd < 0)
            return err_errno(e, errno, "/proc/self/ns/net");
        if (setns(n->fd, CLONE_NEWNET) < 0)
            return err_errno(e, errno, "cannot join the container's network namespace");
        if (set_sysctls(spec, e) < 0)
            return -1;
        let_bind_low_ports(n, spec);
        let_ping(spec);
    }
    return 0;
}

void sandbox_netns_end(struct sandbox_netns *n)
{
    if (n->old_fd >= 0) {
        /* What would run on in another network than the caller's must not. */
        if (n->fd >= 0 && setns(n->old_fd, CLONE_NEWNET) < 0 && errno != EPERM)
            _exit(1);
        close(n->old_fd);
    }
    if (n->fd >= 0)
        close(n->fd);
    n->fd = n->old_fd = -1;
}
