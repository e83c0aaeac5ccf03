/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups for guest tests: an own cgroup2 mount in an own mount namespace, one group per
 * test process below the caller's. Hosts often give version 2 no controllers; tests of a controller
 * then skip natively, and what they expect in the sandbox is cgroup-v2.rst of the kernel.
 */
#pragma once

#include <poll.h>
#include <sched.h>
#include <sys/mount.h>

#include "tests/support/guest_test.h"

static char g_cg_root[128]; /* the caller's own group in the mount */
static char g_cg[192];      /* group of this test, below it */

__attribute__((unused)) static int cg_write_at(const char *dir, const char *file, const char *text)
{
    char path[512];
    int fd, ret = 0;

    snprintf(path, sizeof(path), "%s/%s", dir, file);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, text, strlen(text)) < 0)
        ret = -errno;
    close(fd);
    return ret;
}

__attribute__((unused)) static int cg_write(const char *file, const char *text)
{
    return cg_write_at(g_cg, file, text);
}

/* NUL-terminated text of the file, or -errno. */
__attribute__((unused)) static int cg_read_at(const char *dir, const char *file, char *buf,
                                              size_t size)
{
    char path[512];
    ssize_t n;
    int fd;

    buf[0] = '\0';
    snprintf(path, sizeof(path), "%s/%s", dir, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = read(fd, buf, size - 1);
    if (n < 0)
        n = -errno;
    else
        buf[n] = '\0';
    close(fd);
    return (int)n;
}

__attribute__((unused)) static int cg_read(const char *file, char *buf, size_t size)
{
    return cg_read_at(g_cg, file, buf, size);
}

/* The number behind key in a file of lines "key number", or the whole file with key NULL; -1. */
__attribute__((unused)) static long long cg_number_at(const char *dir, const char *file,
                                                      const char *key)
{
    char buf[4096], *line, *save;

    if (cg_read_at(dir, file, buf, sizeof(buf)) < 0)
        return -1;
    if (!key)
        return atoll(buf);
    for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ' ')
            return atoll(line + strlen(key) + 1);
    }
    return -1;
}

__attribute__((unused)) static long long cg_number(const char *file, const char *key)
{
    return cg_number_at(g_cg, file, key);
}

/* NULL, or why there can be no test here. Makes g_cg. */
__attribute__((unused)) static const char *cg_begin(void)
{
    char own[256] = "", *p;
    FILE *f;

    if (geteuid() != 0)
        return "needs root";
    if (!g_cg_root[0]) {
        /* Nothing of it is left behind: the mounts end with the namespace. */
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", "/tmp", "tmpfs", 0, NULL) < 0)
            return "needs an own mount namespace";
        snprintf(g_cg_root, sizeof(g_cg_root), "/tmp/cg");
        if (mkdir(g_cg_root, 0755) < 0 || mount("none", g_cg_root, "cgroup2", 0, NULL) < 0) {
            g_cg_root[0] = '\0';
            return "no cgroup2 here";
        }
        f = fopen("/proc/self/cgroup", "re");
        while (f && fgets(own, sizeof(own), f) && strncmp(own, "0::", 3) != 0)
            ;
        if (f)
            fclose(f);
        own[strcspn(own, "\n")] = '\0';
        p = own + 3;
        if (strcmp(p, "/") != 0)
            strncat(g_cg_root, p, sizeof(g_cg_root) - strlen(g_cg_root) - 1);
    }
    snprintf(g_cg, sizeof(g_cg), "%s/t-%d", g_cg_root, getpid());
    if (mkdir(g_cg, 0755) < 0)
        return "cannot make a group";
    return NULL;
}

/* The same with the controllers, space separated, "+memory +pids". They are handed on from a group
 * below which no process may be, so g_cg is one level down. */
__attribute__((unused)) static const char *cg_begin_with(const char *controllers)
{
    const char *why = cg_begin();

    if (why)
        return why;
    /* Processes of the caller's own group must leave it first. */
    if (cg_write("cgroup.procs", "0") < 0 ||
        cg_write_at(g_cg_root, "cgroup.subtree_control", controllers) < 0) {
        cg_write_at(g_cg_root, "cgroup.procs", "0");
        rmdir(g_cg);
        return "the host's cgroup2 has no such controller to give (or other processes are here)";
    }
    return NULL;
}

__attribute__((unused)) static void cg_end(void)
{
    cg_write_at(g_cg_root, "cgroup.subtree_control", "-memory");
    cg_write_at(g_cg_root, "cgroup.subtree_control", "-pids");
    cg_write_at(g_cg_root, "cgroup.procs", "0");
    WAIT_UNTIL(rmdir(g_cg) == 0 || errno != EBUSY);
}

/* A child inside the group that runs fn. */
__attribute__((unused)) static pid_t cg_fork_at(const char *dir, int (*fn)(void *arg), void *arg)
{
    pid_t pid = fork();

    if (pid == 0) {
        alarm(test_seconds());
        if (cg_write_at(dir, "cgroup.procs", "0") < 0)
            _exit(99);
        _exit(fn(arg));
    }
    return pid;
}

__attribute__((unused, noreturn)) static int cg_sleeper(void *arg)
{
    (void)arg;
    for (;;)
        pause();
}
