/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/sandbox/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runsc-c/support/json.h"

enum { NOBODY = 65534, MAPS_MAX = 340 }; /* the kernel takes as many lines */

static int write_text(pid_t pid, const char *file, const char *text)
{
    char path[64];
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = write(fd, text, strlen(text));
    n = n < 0 ? -errno : 0;
    close(fd);
    return (int)n;
}

static unsigned long long member(const json_t *map, const char *name)
{
    return (unsigned long long)json_integer_value(json_object_get(map, name));
}

bool idmaps_of(const json_t *spec, struct idmaps *out)
{
    const json_t *section = json_object_get(spec, "linux"), *v;
    const json_t *list = json_object_get(section, "namespaces");
    bool user = false;
    size_t i;

    json_array_foreach(list, i, v)
    {
        if (!strcmp(json_get_string(v, "type", ""), "user") && !json_object_get(v, "path"))
            user = true;
    }
    *out = (struct idmaps){json_object_get(section, "uidMappings"),
                           json_object_get(section, "gidMappings")};
    if (!user || !json_array_size(out->uids) || !json_array_size(out->gids))
        return false;
    v = json_array_get(out->uids, 0);
    return geteuid() == 0 || json_array_size(out->uids) > 1 || member(v, "size") > 1;
}

/* ---- one id --------------------------------------------------------------------------------- */

/* Id 0 of the child's user namespace. For root nobody, or itself in a user namespace that has no nobody
 * (a single id, or a short range). */
static int write_one(pid_t pid, const char *file, unsigned own)
{
    char text[64];
    int ret;

    snprintf(text, sizeof(text), "0 %u 1", geteuid() == 0 ? NOBODY : own);
    ret = write_text(pid, file, text);
    if (ret != -EPERM || geteuid() != 0)
        return ret;
    snprintf(text, sizeof(text), "0 %u 1", own);
    return write_text(pid, file, text);
}

static int write_single(pid_t pid, struct err *e)
{
    int ret;

    if (geteuid() != 0)
        (void)write_text(pid, "setgroups", "deny"); /* older kernels have no such file */
    ret = write_one(pid, "uid_map", geteuid());
    if (ret < 0)
        return err_errno(e, -ret, "cannot map user ids into the sandbox's user namespace");
    ret = write_one(pid, "gid_map", getegid());
    return ret < 0 ? err_errno(e, -ret, "cannot map group ids into the sandbox's user namespace")
                   : 0;
}

/* ---- ranges --------------------------------------------------------------------------------- */

static int write_lines(pid_t pid, const char *file, const json_t *maps, struct err *e)
{
    char text[MAPS_MAX * 36];
    size_t used = 0, i;
    const json_t *v;
    int ret;

    json_array_foreach(maps, i, v)
    {
        if (i == MAPS_MAX)
            return err_set(e, "linux: more than %d id mappings", MAPS_MAX);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%llu %llu %llu\n",
                                 member(v, "containerID"), member(v, "hostID"), member(v, "size"));
        if (used >= sizeof(text))
            return err_set(e, "linux: id mappings: numbers out of range");
    }
    ret = write_text(pid, file, text);
    return ret < 0 ? err_errno(e, -ret, "cannot write the container's %s", file) : 0;
}

static int run_helper(const char *program, pid_t pid, const json_t *maps, struct err *e)
{
    char numbers[1 + MAPS_MAX * 3][24], name[16];
    char *argv[MAPS_MAX * 3 + 3], *envp[] = {NULL};
    size_t argc = 0, i;
    const json_t *v;
    int status, ret;
    pid_t helper;

    snprintf(name, sizeof(name), "%s", program);
    snprintf(numbers[0], sizeof(numbers[0]), "%d", pid);
    argv[argc++] = name;
    argv[argc++] = numbers[0];
    json_array_foreach(maps, i, v)
    {
        static const char *const members[] = {"containerID", "hostID", "size"};

        if (i == MAPS_MAX)
            return err_set(e, "linux: more than %d id mappings", MAPS_MAX);
        for (size_t k = 0; k < 3; k++) {
            char *text = numbers[1 + i * 3 + k];

            snprintf(text, sizeof(numbers[0]), "%llu", member(v, members[k]));
            argv[argc++] = text;
        }
    }
    argv[argc] = NULL;
    ret = posix_spawnp(&helper, program, NULL, NULL, argv, envp);
    if (ret)
        return err_errno(e, ret, "cannot run %s (package uidmap) to map ids", program);
    if (waitpid(helper, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(e, "%s refuses the container's id mappings: see /etc/subuid and /etc/subgid",
                       program);
    return 0;
}

int idmaps_write(pid_t pid, const struct idmaps *maps, struct err *e)
{
    if (!maps)
        return write_single(pid, e);
    if (geteuid() == 0) {
        if (write_lines(pid, "uid_map", maps->uids, e) < 0)
            return -1;
        return write_lines(pid, "gid_map", maps->gids, e);
    }
    if (run_helper("newuidmap", pid, maps->uids, e) < 0)
        return -1;
    return run_helper("newgidmap", pid, maps->gids, e);
}

/* ---- mounts ---------------------------------------------------------------------------------- */

int idmaps_userns(const struct idmaps *maps, struct err *e)
{
    struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    char path[64];
    int fd = -1;

    if (pid == 0) {
        pause();
        _exit(0);
    }
    if (pid < 0)
        return err_errno(e, errno, "cannot make a user namespace");
    if (idmaps_write(pid, maps, e) == 0) {
        snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            (void)err_errno(e, errno, "%s", path);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return fd;
}

int idmaps_apply(int mount_fd, int userns_fd)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns_fd};

    return (int)syscall(SYS_mount_setattr, mount_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
                        sizeof(attr));
}
