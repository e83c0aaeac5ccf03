/* SPDX-License-Identifier: Apache-2.0 */
/* Members, freezing, killing, and news of the OOM killer. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "runsc-c/cgroup/cgroup_internal.h"

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

/* A directory that has all processes. */
static const char *any_dir(const struct cgroup *cg)
{
    static const char *const wanted[] = {"devices", "freezer", "pids", ""};
    const char *dir = NULL;

    for (size_t i = 0; i < 4 && !dir; i++)
        dir = cgroup_dir(cg, wanted[i]);
    for (size_t i = 0; i < cg->count && !dir; i++)
        dir = cg->dirs[i].path;
    return dir;
}

/* ---- freezing ------------------------------------------------------------------------------- */

static int freeze_v1(const char *dir, bool frozen, struct err *e)
{
    const char *want = frozen ? "FROZEN" : "THAWED";
    char state[32] = "";

    for (int i = 0; i < 1000; i++) {
        /* A process that forks while it is being frozen can keep the state at FREEZING: start anew. */
        if (frozen && i % 50 == 49) {
            (void)cgroup_write(dir, "freezer.state", "THAWED");
            pause_ms(10);
        }
        if ((!frozen || i % 50 == 0 || i % 50 == 49) &&
            cgroup_set(dir, "freezer.state", want, e) < 0)
            return -1;
        if (cgroup_read(dir, "freezer.state", state, sizeof(state)) < 0)
            return err_set(e, "cannot read %s/freezer.state", dir);
        if (!strcmp(state, want))
            return 0;
        pause_ms(i < 20 ? 1 : 5);
    }
    (void)cgroup_write(dir, "freezer.state", "THAWED"); /* better running than half frozen */
    return err_set(e, "unable to freeze");
}

static int freeze_v2(const char *dir, bool frozen, struct err *e)
{
    if (cgroup_set(dir, "cgroup.freeze", frozen ? "1" : "0", e) < 0)
        return -1;
    for (int i = 0; i < 1000; i++) {
        if (cgroup_read_key(dir, "cgroup.events", "frozen", 2) == frozen)
            return 0;
        pause_ms(i < 20 ? 1 : 5);
    }
    (void)cgroup_write(dir, "cgroup.freeze", "0"); /* better running than half frozen */
    return err_set(e, "unable to freeze");
}

int cgroup_freeze(struct cgroup *cg, bool frozen, struct err *e)
{
    const char *v1 = cgroup_dir(cg, "freezer"), *v2 = cgroup_dir(cg, "");

    if (v1)
        return freeze_v1(v1, frozen, e);
    if (v2 && cgroup_file_exists(v2, "cgroup.freeze"))
        return freeze_v2(v2, frozen, e);
    return err_set(e, "cannot toggle freezer: cgroups not configured for container");
}

bool cgroup_frozen(const struct cgroup *cg)
{
    const char *v1 = cgroup_dir(cg, "freezer"), *v2 = cgroup_dir(cg, "");
    char state[32] = "";

    if (v1)
        return cgroup_read(v1, "freezer.state", state, sizeof(state)) == 0 &&
               strcmp(state, "THAWED") != 0;
    return v2 && cgroup_read_u64(v2, "cgroup.freeze", 0) == 1;
}

/* ---- members -------------------------------------------------------------------------------- */

struct pids {
    pid_t *list;
    size_t count, cap;
};

static int pids_read(struct pids *p, const char *dir)
{
    char *all = cgroup_read_all(dir, "cgroup.procs"), *save = NULL;
    int ret = 0;

    for (char *line = all ? strtok_r(all, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        if (p->count == p->cap) {
            size_t cap = p->cap ? p->cap * 2 : 64;
            pid_t *grown = realloc(p->list, cap * sizeof(pid_t));

            if (!grown) {
                ret = -ENOMEM;
                break;
            }
            p->list = grown;
            p->cap = cap;
        }
        p->list[p->count++] = (pid_t)strtol(line, NULL, 10);
    }
    free(all);
    return ret;
}

static int pids_walk(struct pids *p, const char *dir)
{
    int ret = pids_read(p, dir);
    DIR *d = ret < 0 ? NULL : opendir(dir);
    struct dirent *entry;

    while (d && ret == 0 && (entry = readdir(d))) {
        char child[4352];

        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        snprintf(child, sizeof(child), "%s/%s", dir, entry->d_name);
        ret = pids_walk(p, child);
    }
    if (d)
        closedir(d);
    return ret;
}

int cgroup_pids(const struct cgroup *cg, pid_t **out, size_t *out_count, struct err *e)
{
    const char *dir = any_dir(cg);
    struct pids p = {0};
    int ret = dir ? pids_walk(&p, dir) : 0;

    if (ret < 0) {
        free(p.list);
        return err_errno(e, -ret, "%s/cgroup.procs", dir);
    }
    *out = p.list;
    *out_count = p.count;
    return 0;
}

int cgroup_kill(struct cgroup *cg, struct err *e)
{
    const char *v2 = cgroup_dir(cg, "");
    struct err ignored = {0}; /* nothing was frozen, then */
    pid_t *pids = NULL;
    size_t count = 1;

    for (int round = 0; round < 100; round++) {
        if (cg->unified && v2 && cgroup_file_exists(v2, "cgroup.kill"))
            (void)cgroup_write(v2, "cgroup.kill", "1");
        if (cgroup_pids(cg, &pids, &count, e) < 0)
            return -1;
        for (size_t i = 0; i < count; i++)
            kill(pids[i], SIGKILL);
        free(pids);
        if (count == 0)
            return 0;
        if (cgroup_frozen(cg))
            (void)cgroup_freeze(cg, false, &ignored);
        pause_ms(round < 10 ? 2 : 20);
    }
    return err_set(e, "%zu processes of the container's cgroup did not end", count);
}

/* ---- OOM ------------------------------------------------------------------------------------ */

long cgroup_oom_kills(struct cgroup *cg)
{
    const char *dir = cgroup_dir(cg, "memory");
    uint64_t n = UINT64_MAX;

    if (dir)
        n = cgroup_read_key(dir, "memory.oom_control", "oom_kill", UINT64_MAX);
    else if (cgroup_dir(cg, ""))
        n = cgroup_read_key(cgroup_dir(cg, ""), "memory.events", "oom_kill", UINT64_MAX);
    return n == UINT64_MAX ? -1 : (long)n;
}

static int open_v1(const char *dir, struct err *e)
{
    char path[4352], text[64];
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), control, ret;

    if (event < 0)
        return err_errno(e, errno, "eventfd");
    snprintf(path, sizeof(path), "%s/memory.oom_control", dir);
    control = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(text, sizeof(text), "%d %d", event, control);
    ret = control < 0 ? -errno : cgroup_write(dir, "cgroup.event_control", text);
    if (control >= 0)
        close(control);
    if (ret == 0)
        return event;
    close(event);
    return err_errno(e, -ret, "%s/cgroup.event_control", dir);
}

int cgroup_oom_open(struct cgroup *cg, struct err *e)
{
    const char *v1 = cgroup_dir(cg, "memory"), *v2 = cgroup_dir(cg, "");
    char path[4352];
    int fd;

    if (v1)
        return open_v1(v1, e);
    if (!v2)
        return err_set(e, "path \"memory\" missing");
    fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0)
        return err_errno(e, errno, "inotify");
    snprintf(path, sizeof(path), "%s/memory.events", v2);
    if (inotify_add_watch(fd, path, IN_MODIFY) < 0) {
        (void)err_errno(e, errno, "%s", path);
        close(fd);
        return -1;
    }
    return fd;
}

bool cgroup_oom_read(struct cgroup *cg, int fd)
{
    const char *v1 = cgroup_dir(cg, "memory");
    char buf[1024];

    /* An eventfd's counter or inotify's records: what they say is not looked at. */
    if (read(fd, buf, sizeof(buf)) < 0)
        return false;
    /* The end of a v1 cgroup counts as an event too. */
    if (v1)
        return cgroup_file_exists(v1, "cgroup.event_control");
    return cgroup_oom_kills(cg) > 0;
}
