/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/oci/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/base/compiler.h"
#include "platform/base/log.h"
#include "runsc-c/support/json.h"

static const struct {
    const char *name;
    int flag;
} g_types[] = {{"network", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}};

const json_t *namespaces_find(const json_t *namespaces, const char *type)
{
    const json_t *v;
    size_t i;

    json_array_foreach(namespaces, i, v)
    {
        if (!strcmp(json_get_string(v, "type", ""), type))
            return v;
    }
    return NULL;
}

static int join_path(const char *path, int flag, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;

    if (fd < 0)
        return err_errno(e, errno, "namespace path: lstat %s", path);
    if (setns(fd, flag) < 0)
        ret = err_errno(e, errno, "cannot join namespace %s", path);
    close(fd);
    return ret;
}

/* A new network namespace's loopback is down; programs expect it up. */
static void loopback_up(void)
{
    struct ifreq rq = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &rq) < 0)
        log_warn(LOG_CLI, "lo in the container's network namespace: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
}

static int join_process(pid_t pid, int flags, struct err *e)
{
    int fd = pidfd_open(pid, 0), ret = 0;

    if (fd < 0)
        return err_errno(e, errno, "process %d", pid);
    /* An ordinary user cannot; then nobody outside needs to find the namespace either. */
    if (setns(fd, flags) < 0 && errno != EPERM)
        ret = err_errno(e, errno, "cannot join the namespaces of process %d", pid);
    close(fd);
    return ret;
}

int namespaces_enter(const json_t *namespaces, pid_t network, const char *hostname, struct err *e)
{
    int make = 0;

    for (size_t i = 0; i < ARRAY_COUNT(g_types); i++) {
        const json_t *v = namespaces_find(namespaces, g_types[i].name);
        const char *path = json_get_string(v, "path", "");

        if (v && !*path && network && g_types[i].flag == CLONE_NEWNET) {
            if (join_process(network, CLONE_NEWNET, e) < 0)
                return -1;
        } else if (v && !*path)
            make |= g_types[i].flag;
        else if (v && join_path(path, g_types[i].flag, e) < 0)
            return -1;
    }
    if (!make)
        return 0;
    /* An ordinary user has no namespaces to give; the sentry's own isolation does not need them. */
    if (unshare(make) < 0 && errno != EPERM)
        return err_errno(e, errno, "cannot make the container's namespaces");
    if (make & CLONE_NEWNET)
        loopback_up();
    /* Those who join it by its path find the name there. */
    if ((make & CLONE_NEWUTS) && hostname && sethostname(hostname, strlen(hostname)) < 0 &&
        errno != EPERM)
        return err_errno(e, errno, "sethostname");
    return 0;
}

int namespaces_hostname(const json_t *namespaces, char *buf, size_t size, struct err *e)
{
    const char *path = json_get_string(namespaces_find(namespaces, "uts"), "path", "");
    int ours = -1, ret = 0;

    if (*path) {
        ours = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
        if (ours < 0)
            return err_errno(e, errno, "/proc/self/ns/uts");
        ret = join_path(path, CLONE_NEWUTS, e);
    }
    if (ret == 0 && gethostname(buf, size) < 0)
        ret = err_errno(e, errno, "gethostname");
    if (ours >= 0) {
        /* Nothing else may be done in another's namespace. */
        if (setns(ours, CLONE_NEWUTS) < 0 && ret == 0)
            _exit(1);
        close(ours);
    }
    return ret;
}

int namespaces_join_process(pid_t pid, struct err *e)
{
    return join_process(pid, CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, e);
}
