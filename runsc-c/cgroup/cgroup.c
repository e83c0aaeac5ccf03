/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories: where they are, making and removing them, moving processes in. As runc does: an
 * absolute cgroupsPath is below each hierarchy's mount point, a relative one below the caller's own
 * cgroup (in a v2 tree, where a cgroup with processes cannot hand controllers down, below its parent).
 */
#include "runsc-c/cgroup/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runsc-c/cgroup/cgroup_internal.h"
#include "runsc-c/support/json.h"

bool cgroup_rootless_default(void)
{
    unsigned inside, outside, size;
    char line[128];
    FILE *f;
    bool first = false;

    if (geteuid() != 0)
        return true;
    f = fopen("/proc/self/uid_map", "re");
    if (f && fgets(line, sizeof(line), f) &&
        sscanf(line, "%u %u %u", &inside, &outside, &size) == 3)
        first = inside == 0 && outside == 0 && size == UINT32_MAX;
    if (f)
        fclose(f);
    return !first;
}

const char *cgroup_dir(const struct cgroup *cg, const char *controller)
{
    for (size_t i = 0; i < cg->count; i++) {
        if (cg->dirs[i].path && cgroup_has_controller(cg->dirs[i].controllers, controller))
            return cg->dirs[i].path;
    }
    return NULL;
}

void cgroup_free(struct cgroup *cg)
{
    if (!cg)
        return;
    for (size_t i = 0; i < cg->count; i++) {
        free(cg->dirs[i].controllers);
        free(cg->dirs[i].path);
    }
    free(cg->scope);
    free(cg->slice);
    json_decref(cg->limits);
    free(cg);
}

/* ---- paths ---------------------------------------------------------------------------------- */

/* Drops "." and "..", so that a path cannot leave its hierarchy; keeps whether it was absolute. */
static void clean_path(const char *in, char *out, size_t size)
{
    size_t len = 0;
    bool absolute = in[0] == '/';

    out[0] = '\0';
    while (*in) {
        size_t n = strcspn(in, "/");

        if (n == 2 && !strncmp(in, "..", 2)) {
            while (len && out[len - 1] != '/')
                len--;
            len = len ? len - 1 : 0;
            out[len] = '\0';
        } else if (n && !(n == 1 && in[0] == '.') && len + n + 2 < size) {
            if (len || absolute)
                out[len++] = '/';
            memcpy(out + len, in, n);
            len += n;
            out[len] = '\0';
        }
        in += n + (in[n] == '/');
    }
}

static char *join(const char *a, const char *b, const char *c)
{
    char *out;

    if (asprintf(&out, "%s%s%s%s%s", a, *b && *b != '/' ? "/" : "", !strcmp(b, "/") ? "" : b,
                 *c && *c != '/' ? "/" : "", c) < 0)
        return NULL;
    return out;
}

static char *dir_for(const struct cgroup_hierarchy *h, const char *path)
{
    char own[4096];

    if (path[0] == '/')
        return join(h->mountpoint, path, "");
    snprintf(own, sizeof(own), "%s", h->own);
    if (!*h->controllers && strrchr(own, '/'))
        *strrchr(own, '/') = '\0';
    return join(h->mountpoint, own, path);
}

/* ---- making --------------------------------------------------------------------------------- */

/* v1: a new cpuset is empty and takes nobody; it starts with what its parent has. */
static int fill_cpuset(const char *dir)
{
    static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
    char parent[4096], own[4096], above[4096];
    int ret = 0;

    snprintf(parent, sizeof(parent), "%s", dir);
    if (!strrchr(parent, '/'))
        return 0;
    *strrchr(parent, '/') = '\0';
    for (size_t i = 0; i < 2 && ret == 0; i++) {
        if (cgroup_read(dir, files[i], own, sizeof(own)) == 0 && !own[0] &&
            cgroup_read(parent, files[i], above, sizeof(above)) == 0 && above[0])
            ret = cgroup_write(dir, files[i], above);
    }
    return ret;
}

/* v2: a directory hands down what it has. Those that cannot be are noticed when they are used. */
static void hand_down(const char *dir)
{
    char list[512], one[80], *save = NULL;

    if (cgroup_read(dir, "cgroup.controllers", list, sizeof(list)) < 0)
        return;
    for (char *c = strtok_r(list, " ", &save); c; c = strtok_r(NULL, " ", &save)) {
        snprintf(one, sizeof(one), "+%s", c);
        (void)cgroup_write(dir, "cgroup.subtree_control", one);
    }
}

/* Makes every directory from the mount point down. -errno. */
static int make_dirs(const char *mountpoint, const char *dir, const char *controllers)
{
    char path[4096];
    size_t at = strlen(mountpoint);
    int ret = 0;

    snprintf(path, sizeof(path), "%s", dir);
    while (ret == 0) {
        char *slash = strchr(path + at + 1, '/');

        if (slash)
            *slash = '\0';
        if (!*controllers) {
            char *last = strrchr(path, '/');

            *last = '\0';
            hand_down(path);
            *last = '/';
        }
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            ret = -errno;
        if (ret == 0 && cgroup_has_controller(controllers, "cpuset"))
            ret = fill_cpuset(path);
        if (!slash)
            break;
        *slash = '/';
        at = (size_t)(slash - path);
    }
    return ret;
}

bool cgroup_forgivable(int errnum)
{
    return errnum == EACCES || errnum == EPERM || errnum == EROFS || errnum == ENOENT;
}

static int name_dir(struct cgroup *cg, const struct cgroup_hierarchy *h, const char *path,
                    struct err *e)
{
    struct cgroup_place *d = &cg->dirs[cg->count];

    *d = (struct cgroup_place){.controllers = strdup(h->controllers), .path = dir_for(h, path)};
    if (!d->controllers || !d->path)
        return err_errno(e, ENOMEM, "cgroups");
    cg->count++;
    return 0;
}

static int make_dir(struct cgroup *cg, struct cgroup_place *d, const struct cgroup_hierarchy *h,
                    struct err *e)
{
    int ret = make_dirs(h->mountpoint, d->path, h->controllers);

    if (ret == 0)
        return 0;
    if (!cg->rootless || !cgroup_forgivable(-ret))
        return err_errno(e, -ret, "mkdir %s", d->path);
    free(d->path);
    d->path = NULL;
    return 0;
}

static int systemd_names(struct cgroup *cg, const struct cgroup_config *config, char *path,
                         size_t size, struct err *e)
{
    char text[512], *slice, *prefix, *name, *expanded;

    if (!cgroup_systemd_running())
        return err_set(e, "systemd not running on this host, cannot use systemd cgroups manager");
    if (config->path && *config->path)
        snprintf(text, sizeof(text), "%s", config->path);
    else
        snprintf(text, sizeof(text), ":runc:%s", config->id);
    slice = text;
    prefix = strchr(slice, ':');
    name = prefix ? strchr(prefix + 1, ':') : NULL;
    if (!name || strchr(name + 1, ':'))
        return err_set(e,
                       "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd "
                       "cgroups, got \"%s\" instead",
                       text);
    *prefix++ = *name++ = '\0';
    cg->slice = strdup(*slice ? slice : geteuid() ? "user.slice" : "system.slice");
    if (asprintf(&cg->scope, *prefix ? "%s-%s.scope" : "%s%s.scope", prefix, name) < 0)
        cg->scope = NULL;
    expanded = cg->slice ? cgroup_systemd_slice_path(cg->slice) : NULL;
    if (!cg->scope || !expanded) {
        free(expanded);
        return err_set(e, "invalid slice name: %s", slice);
    }
    snprintf(path, size, "/%s/%s", expanded, cg->scope);
    free(expanded);
    return 0;
}

int cgroup_create(const struct cgroup_config *config, struct cgroup **out, struct err *e)
{
    struct cgroup_hierarchy all[CGROUP_DIRS_MAX];
    struct cgroup *cg = calloc(1, sizeof(*cg));
    char path[4096] = "";
    size_t count = 0;
    bool ours = false;
    int ret;

    if (!cg)
        return err_errno(e, ENOMEM, "cgroups");
    cg->rootless = config->rootless;
    ret = cgroup_hierarchies(all, &count, e);
    cg->unified = count == 1 && !*all[0].controllers;
    if (ret == 0 && config->systemd)
        ret = systemd_names(cg, config, path, sizeof(path), e);
    else
        clean_path(config->path && *config->path ? config->path : config->id, path, sizeof(path));
    if (ret == 0 && (!path[0] || !strcmp(path, "/")))
        ret = err_set(e, "linux.cgroupsPath: \"%s\" is not below the root cgroup", config->path);
    if (ret == 0 && count == 0 && !cg->rootless)
        ret = err_set(e, "no cgroup mount found in mountinfo");
    for (size_t i = 0; i < count && ret == 0; i++)
        ret = name_dir(cg, &all[i], path, e);
    if (ret == 0 && config->named)
        ret = config->named(config->named_arg, cg, e);
    ours = ret == 0; /* what is there before that stays when the caller wants none of it */
    for (size_t i = 0; i < count && ret == 0; i++)
        ret = make_dir(cg, &cg->dirs[i], &all[i], e);
    cgroup_hierarchies_free(all, count);
    if (ret < 0) {
        struct err ignored = {0}; /* the first failure is the one to tell */

        if (ours)
            (void)cgroup_delete(cg, &ignored);
        cgroup_free(cg);
        return -1;
    }
    *out = cg;
    return 0;
}

/* ---- state ---------------------------------------------------------------------------------- */

json_t *cgroup_save(const struct cgroup *cg)
{
    json_t *dirs = json_array(), *v;

    for (size_t i = 0; i < cg->count; i++)
        json_array_append_new(dirs, json_pack("{s:s, s:s?}", "controllers", cg->dirs[i].controllers,
                                              "path", cg->dirs[i].path));
    v = json_pack("{s:o, s:b, s:b, s:s?, s:s?}", "dirs", dirs, "unified", cg->unified, "rootless",
                  cg->rootless, "scope", cg->scope, "slice", cg->slice);
    return v;
}

static char *copy_string(const json_t *obj, const char *name)
{
    const char *s = json_string_value(json_object_get(obj, name));

    return s ? strdup(s) : NULL;
}

int cgroup_load(const json_t *saved, struct cgroup **out, struct err *e)
{
    const json_t *dirs = json_object_get(saved, "dirs"), *v;
    struct cgroup *cg = calloc(1, sizeof(*cg));
    size_t i;

    if (!cg)
        return err_errno(e, ENOMEM, "cgroups");
    json_array_foreach(dirs, i, v)
    {
        struct cgroup_place *d = &cg->dirs[cg->count];

        if (cg->count == CGROUP_DIRS_MAX)
            break;
        *d = (struct cgroup_place){copy_string(v, "controllers"), copy_string(v, "path")};
        if (!d->controllers || (d->path && d->path[0] != '/')) {
            free(d->controllers);
            free(d->path);
            cgroup_free(cg);
            return err_set(e, "state: cgroup directories are not what was written");
        }
        cg->count++;
    }
    cg->unified = json_is_true(json_object_get(saved, "unified"));
    cg->rootless = json_is_true(json_object_get(saved, "rootless"));
    cg->scope = copy_string(saved, "scope");
    cg->slice = copy_string(saved, "slice");
    cg->scope_started = cg->scope != NULL;
    *out = cg;
    return 0;
}

/* ---- members -------------------------------------------------------------------------------- */

static int write_limits(struct cgroup *cg, const json_t *resources, struct err *e)
{
    return cg->unified ? cgroup_apply_v2(cg, cgroup_dir(cg, ""), resources, e)
                       : cgroup_apply_v1(cg, resources, e);
}

/* systemd removes directories that it sees no use for when it makes the scope's. */
static int make_dirs_again(struct cgroup *cg, struct err *e)
{
    struct cgroup_hierarchy all[CGROUP_DIRS_MAX];
    size_t count = 0;
    int ret = cgroup_hierarchies(all, &count, e);

    for (size_t i = 0; i < cg->count && ret == 0; i++) {
        for (size_t k = 0; k < count && ret == 0; k++) {
            if (cg->dirs[i].path && !strcmp(cg->dirs[i].controllers, all[k].controllers))
                ret = make_dir(cg, &cg->dirs[i], &all[k], e);
        }
    }
    cgroup_hierarchies_free(all, count);
    return ret;
}

static int start_scope(struct cgroup *cg, pid_t pid, struct err *e)
{
    if (cgroup_systemd_start(cg, pid, e) < 0)
        return -1;
    cg->scope_started = true;
    if (make_dirs_again(cg, e) < 0)
        return -1;
    return cg->limits ? write_limits(cg, cg->limits, e) : 0;
}

int cgroup_join(struct cgroup *cg, pid_t pid, struct err *e)
{
    if (cg->scope && !cg->scope_started && start_scope(cg, pid, e) < 0)
        return -1;
    for (size_t i = 0; i < cg->count; i++) {
        const char *dir = cg->dirs[i].path;
        int ret = dir ? cgroup_write_int(dir, "cgroup.procs", pid) : 0;

        if (ret < 0 && !(cg->rootless && cgroup_forgivable(-ret)))
            return err_errno(e, -ret, "failed to write %d: write %s/cgroup.procs", pid, dir);
    }
    return 0;
}

int cgroup_apply(struct cgroup *cg, const json_t *resources, struct err *e)
{
    if (!json_is_object(resources) || !cg->count)
        return 0;
    if (cg->scope &&
        !cg->scope_started) { /* systemd would undo them: start_scope has them written */
        json_decref(cg->limits);
        cg->limits = json_deep_copy(resources);
        return 0;
    }
    if (cg->scope_started && cgroup_systemd_limit(cg, resources, e) < 0)
        return -1;
    return write_limits(cg, resources, e);
}

json_t *cgroup_sandbox_resources(const json_t *resources)
{
    json_t *copy = json_deep_copy(resources), *pids = json_object_get(copy, "pids");
    json_int_t limit = json_integer_value(json_object_get(pids, "limit"));

    if (limit > 0 && limit < INT32_MAX / 4)
        json_object_set_new(pids, "limit", json_integer(2 * limit + 64));
    return copy;
}

/* ---- removing ------------------------------------------------------------------------------- */

/* Children first: somebody may have made some (a systemd, a nested runtime). 0 when it is gone. */
static int remove_tree(const char *path)
{
    DIR *d;
    struct dirent *entry;

    if (rmdir(path) == 0 || errno == ENOENT)
        return 0;
    d = opendir(path);
    if (!d)
        return -errno;
    while ((entry = readdir(d))) {
        char child[4352];

        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
        (void)remove_tree(child); /* the parent's rmdir tells */
    }
    closedir(d);
    return rmdir(path) == 0 || errno == ENOENT ? 0 : -errno;
}

/* The state of a process that has to end and may do so when it gets a CPU: /proc/PID/stat and status, proc(5). */
static bool is_ending(pid_t pid)
{
    static const char *const masks[] = {"SigPnd:\t", "ShdPnd:\t"};
    const unsigned exiting = 0x4; /* PF_EXITING */
    char dir[32], state = 'X', *text, *behind;
    unsigned flags = 0;
    bool killed = false;

    snprintf(dir, sizeof(dir), "/proc/%d", pid);
    text = cgroup_read_all(dir, "stat");
    behind = text ? strrchr(text, ')') : NULL;
    if (behind)
        (void)!sscanf(behind, ") %c %*d %*d %*d %*d %*d %u", &state, &flags);
    free(text);
    if (state == 'X' || state == 'Z' || (flags & exiting))
        return true;
    text = cgroup_read_all(dir, "status");
    for (size_t i = 0; text && i < 2; i++) {
        const char *mask = strstr(text, masks[i]);

        killed |= mask && (strtoull(mask + strlen(masks[i]), NULL, 16) & 1ull << (SIGKILL - 1));
    }
    killed |= !text;
    free(text);
    return killed;
}

/* Nobody is in it but those; one that has left its threads is not listed any more and still counts. */
static bool only_ending(const struct cgroup *cg)
{
    struct err ignored = {0};
    pid_t *pids = NULL;
    size_t count = 0;
    bool all = cgroup_pids(cg, &pids, &count, &ignored) == 0;

    for (size_t i = 0; i < count && all; i++)
        all = is_ending(pids[i]);
    free(pids);
    return all;
}

int cgroup_delete(struct cgroup *cg, struct err *e)
{
    enum { ROUNDS = 12, ROUNDS_FOR_THE_ENDING = 250 }; /* a second, half a minute */
    const char *failed = NULL;
    int ret = 0;

    if (cg->scope_started)
        cgroup_systemd_stop(cg);
    /* Processes that were killed leave a moment later, on a host that is busy a long one. */
    for (int round = 0; round < ROUNDS || (round < ROUNDS_FOR_THE_ENDING && only_ending(cg));
         round++) {
        struct timespec pause = {0, 2000000L << (round > 6 ? 6 : round)};

        failed = NULL;
        for (size_t i = 0; i < cg->count; i++) {
            int one = cg->dirs[i].path ? remove_tree(cg->dirs[i].path) : 0;

            if (one < 0 && !(cg->rootless && cgroup_forgivable(-one))) {
                failed = cg->dirs[i].path;
                ret = one;
            }
        }
        if (!failed)
            return 0;
        nanosleep(&pause, NULL);
    }
    return err_errno(e, -ret, "unable to remove cgroup %s", failed);
}
