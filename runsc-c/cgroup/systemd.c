/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The systemd driver: a transient scope with the first process in it, asked for with busctl, which
 * every systemd host has. Limits are written to the cgroup files as without systemd; Delegate=yes tells it to
 * leave them alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runsc-c/cgroup/cgroup_internal.h"

bool cgroup_systemd_running(void)
{
    struct stat st;

    return lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode);
}

char *cgroup_systemd_slice_path(const char *slice)
{
    size_t len = strlen(slice), used = 0;
    char *out;

    if (!strcmp(slice, "-.slice"))
        return strdup("");
    if (len <= 6 || strcmp(slice + len - 6, ".slice") != 0 || strchr(slice, '/') ||
        slice[0] == '-' || slice[len - 7] == '-' || strstr(slice, "--"))
        return NULL;
    out = calloc(1, len * (len + 8));
    if (!out)
        return NULL;
    for (size_t i = 0; i < len - 5; i++) {
        if (slice[i] == '-' || i == len - 6) {
            memcpy(out + used, slice, i);
            memcpy(out + used + i, ".slice/", 7);
            used += i + 7;
        }
    }
    out[used - 1] = '\0';
    return out;
}

/* Runs busctl with argv; its words go into e. */
static int busctl(char *const argv[], struct err *e)
{
    posix_spawn_file_actions_t fa;
    int out[2], status, ret;
    char text[512] = "";
    ssize_t n;
    pid_t pid;

    if (pipe2(out, O_CLOEXEC) < 0)
        return err_errno(e, errno, "pipe");
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, out[1], STDERR_FILENO);
    posix_spawn_file_actions_addopen(&fa, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ret = posix_spawnp(&pid, argv[0], &fa, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    close(out[1]);
    if (ret == 0) {
        n = read(out[0], text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        waitpid(pid, &status, 0);
    }
    close(out[0]);
    if (ret)
        return err_errno(e, ret, "cannot ask systemd: busctl");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(e, "systemd refuses the container's scope: %s", text);
    return 0;
}

/* systemd answers before the process has moved. */
static bool in_scope(pid_t pid, const char *scope)
{
    char dir[64], *all;
    bool found;

    snprintf(dir, sizeof(dir), "/proc/%d", pid);
    all = cgroup_read_all(dir, "cgroup");
    found = all && strstr(all, scope);
    free(all);
    return found;
}

int cgroup_systemd_start(struct cgroup *cg, pid_t pid, struct err *e)
{
    char number[16], description[512], program[] = "busctl", user[] = "--user", *argv[40];
    const char *fixed[] = {"call",
                           "org.freedesktop.systemd1",
                           "/org/freedesktop/systemd1",
                           "org.freedesktop.systemd1.Manager",
                           "StartTransientUnit",
                           "ssa(sv)a(sa(sv))"};
    const char *properties[] = {"replace", "6",         "Description",
                                "s",       description, "Slice",
                                "s",       cg->slice,   "Delegate",
                                "b",       "true",      "DefaultDependencies",
                                "b",       "false",     "TasksAccounting",
                                "b",       "true",      "PIDs",
                                "au",      "1",         number,
                                "0"};
    size_t argc = 0;

    snprintf(number, sizeof(number), "%d", pid);
    snprintf(description, sizeof(description), "runsc-c container %s", cg->scope);
    argv[argc++] = program;
    if (geteuid() != 0)
        argv[argc++] = user;
    /* SAFETY: exec's argv lacks the const; nobody writes to it. */
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        argv[argc++] = (char *)(uintptr_t)fixed[i];
    argv[argc++] = cg->scope;
    for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++)
        argv[argc++] = (char *)(uintptr_t)properties[i];
    argv[argc] = NULL;
    if (busctl(argv, e) < 0)
        return -1;
    for (int i = 0; i < 1000; i++) {
        struct timespec pause = {0, 5000000};

        if (in_scope(pid, cg->scope))
            return 0;
        nanosleep(&pause, NULL);
    }
    return err_set(e, "timed out while waiting for systemd to start %s", cg->scope);
}

void cgroup_systemd_stop(struct cgroup *cg)
{
    char program[] = "busctl", user[] = "--user", *argv[12];
    const char *words[] = {"call",
                           "org.freedesktop.systemd1",
                           "/org/freedesktop/systemd1",
                           "org.freedesktop.systemd1.Manager",
                           "StopUnit",
                           "ss",
                           cg->scope,
                           "replace"};
    struct err ignored = {0}; /* a scope whose processes are gone ends by itself */
    size_t argc = 0;

    argv[argc++] = program;
    if (geteuid() != 0)
        argv[argc++] = user;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        argv[argc++] = (char *)(uintptr_t)words[i];
    argv[argc] = NULL;
    (void)busctl(argv, &ignored);
}
