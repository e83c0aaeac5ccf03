/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/sandbox/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runsc-c/support/globals.h"
#include "runsc-c/support/json.h"

#define PORT_START "net.ipv4.ip_unprivileged_port_start"

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

int sandbox_netns_plan(const json_t *spec, const char *network, pid_t proxy,
                       struct sandbox_netns *out, struct err *e)
{
    const json_t *entry = network_entry(spec);
    const char *path = json_get_string(entry, "path", "");
    char proc[64];

    *out = (struct sandbox_netns){.fd = -1, .old_fd = -1};
    if (strcmp(network, "host") != 0) {
        out->make = true;
        return 0;
    }
    if (!entry)
        return 0;
    if (proxy > 0) {
        snprintf(proc, sizeof(proc), "/proc/%d/ns/net", proxy);
        path = proc;
    } else if (!*path) {
        out->make = true;
        return 0;
    }
    out->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (out->fd < 0)
        return err_errno(e, errno, "network namespace %s", path);
    out->fresh = !*json_get_string(entry, "path", "");
    if (!is_ours(out->fd))
        return 0;
    /* An ordinary user's proxy could not make one: the sentry can, in its user namespace. */
    out->make = out->fresh;
    out->fresh = false;
    close(out->fd);
    out->fd = -1;
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

static int set_sysctls(const struct sandbox_netns *n, const json_t *spec, struct err *e)
{
    json_t *list = json_object_get(json_object_get(spec, "linux"), "sysctl"), *v;
    const char *name;

    json_object_foreach(list, name, v)
    {
        if (!strncmp(name, "net.", 4) && write_sysctl(name, json_string_value(v), e) < 0)
            return -1;
    }
    if (n->fresh && !json_object_get(list, PORT_START)) {
        struct err ignored = {0}; /* then ports below 1024 stay the host's matter */

        (void)write_sysctl(PORT_START, "0", &ignored);
    }
    return 0;
}

void sandbox_netns_describe(const struct sandbox_netns *n, const json_t *spec, json_t *config)
{
    bool hidden =
        n->fresh &&
        !json_object_get(json_object_get(json_object_get(spec, "linux"), "sysctl"), PORT_START);

    if (!config)
        return;
    json_object_set_new(config, "network_own", json_boolean(n->make));
    if (hidden)
        json_object_set_new(config, "unprivileged_port", json_integer(1024));
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
        return set_sysctls(n, spec, e);
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
