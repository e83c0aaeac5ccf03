/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cgroup hierarchies this host has: /proc/self/mountinfo for where, /proc/self/cgroup for the
 * caller's place. A hybrid host has v1 hierarchies and a v2 tree beside them. Mounts of a part of a
 * hierarchy (inside a container) are taken into account: paths are below the mount.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "runsc-c/cgroup/cgroup_internal.h"
#include "runsc-c/support/mountinfo.h"

bool cgroup_has_controller(const char *list, const char *name)
{
    size_t len = strlen(name);

    if (!len)
        return !*list;
    for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',') {
        if (!strncmp(p, name, len) && (p[len] == ',' || p[len] == '\0'))
            return true;
    }
    return false;
}

void cgroup_hierarchies_free(struct cgroup_hierarchy *h, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(h[i].mountpoint);
        free(h[i].controllers);
        free(h[i].own);
    }
}

/* /proc/self/cgroup: "ID:CONTROLLERS:PATH". */
static int read_own(struct cgroup_hierarchy *out, size_t *count, struct err *e)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;

    if (!f)
        return err_errno(e, errno, "/proc/self/cgroup");
    while ((len = getline(&line, &cap, f)) > 0 && *count < CGROUP_DIRS_MAX) {
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

        if (!path)
            continue;
        line[strcspn(line, "\n")] = '\0';
        *path++ = '\0';
        out[*count] =
            (struct cgroup_hierarchy){.controllers = strdup(list + 1), .own = strdup(path)};
        (*count)++;
    }
    free(line);
    fclose(f);
    return 0;
}

static bool same_controllers(const char *list, const char *options)
{
    if (!*list)
        return false;
    if (!strncmp(list, "name=", 5))
        return cgroup_has_controller(options, list);
    for (const char *p = list; *p;) {
        char name[64];
        size_t len = strcspn(p, ",");

        snprintf(name, sizeof(name), "%.*s", (int)len, p);
        if (!cgroup_has_controller(options, name))
            return false;
        p += len + (p[len] == ',');
    }
    return true;
}

/* Another file system may have been mounted over it, or over where it is. */
static bool in_sight(const char *mountpoint, bool v2)
{
    struct statfs fs;

    return statfs(mountpoint, &fs) == 0 &&
           (unsigned long)fs.f_type == (v2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC);
}

static void place_mount(struct cgroup_hierarchy *h, size_t count, const char *type,
                        const char *root, const char *mountpoint, const char *options)
{
    for (size_t i = 0; i < count; i++) {
        bool v2 = !*h[i].controllers;
        size_t len = strlen(root);

        if (h[i].mountpoint ||
            !(v2 ? !strcmp(type, "cgroup2")
                 : !strcmp(type, "cgroup") && same_controllers(h[i].controllers, options)) ||
            !in_sight(mountpoint, v2))
            continue;
        h[i].mountpoint = strdup(mountpoint);
        if (len > 1 && h[i].own && !strncmp(h[i].own, root, len))
            memmove(h[i].own, h[i].own + len, strlen(h[i].own + len) + 1);
        return;
    }
}

static int read_mounts(struct cgroup_hierarchy *h, size_t count, struct err *e)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t cap = 0;

    if (!f)
        return err_errno(e, errno, "/proc/self/mountinfo");
    while (getline(&line, &cap, f) > 0) {
        char *dash = strstr(line, " - "), *save = NULL, *field[5], *type, *options;

        if (!dash)
            continue;
        *dash = '\0';
        for (int i = 0; i < 5; i++)
            field[i] = strtok_r(i ? NULL : line, " ", &save);
        type = strtok_r(dash + 3, " ", &save);
        options = strtok_r(NULL, " ", &save) ? strtok_r(NULL, " \n", &save) : NULL;
        if (!field[4] || !type || !options)
            continue;
        mountinfo_unescape(field[3]);
        mountinfo_unescape(field[4]);
        place_mount(h, count, type, field[3], field[4], options);
    }
    free(line);
    fclose(f);
    return 0;
}

int cgroup_hierarchies(struct cgroup_hierarchy *out, size_t *out_count, struct err *e)
{
    size_t count = 0, kept = 0;
    int ret = read_own(out, &count, e);

    if (ret == 0)
        ret = read_mounts(out, count, e);
    /* A hierarchy that is not mounted here cannot be used. */
    for (size_t i = 0; i < count; i++) {
        if (ret == 0 && out[i].mountpoint && out[i].controllers && out[i].own)
            out[kept++] = out[i];
        else
            cgroup_hierarchies_free(&out[i], 1);
    }
    *out_count = kept;
    return ret;
}
