/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/sandbox/submounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/compiler.h"
#include "platform/base/log.h"
#include "runsc-c/support/json.h"
#include "runsc-c/support/mountinfo.h"

struct found {
    char *path[SUBMOUNTS_MAX];
    size_t count;
    bool too_many;
};

bool submounts_option(const json_t *mount, const char *name)
{
    const json_t *options = json_object_get(mount, "options"), *o;
    size_t i;

    json_array_foreach(options, i, o)
    {
        if (!strcmp(json_string_value(o), name))
            return true;
    }
    return false;
}

/* Views of the host's kernel, which no gofer serves. */
static bool is_kernel_view(const char *type)
{
    static const char *const types[] = {
        "autofs", "binfmt_misc", "bpf",        "cgroup",     "cgroup2",   "configfs", "debugfs",
        "devpts", "devtmpfs",    "efivarfs",   "fusectl",    "hugetlbfs", "mqueue",   "nsfs",
        "proc",   "pstore",      "rpc_pipefs", "securityfs", "sysfs",     "tracefs"};

    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (!strcmp(types[i], type))
            return true;
    }
    return false;
}

static void add_found(struct found *f, const char *path)
{
    for (size_t i = 0; i < f->count; i++) {
        if (!strcmp(f->path[i], path))
            return; /* one on top of the other: the upper one is what its path leads to */
    }
    if (access(path, F_OK) < 0)
        return; /* below something that covers it */
    if (f->count == SUBMOUNTS_MAX) {
        f->too_many = true;
        return;
    }
    f->path[f->count] = strdup(path);
    if (f->path[f->count])
        f->count++;
}

/* The host's mount points, in the order in which they were mounted, without views of its kernel. */
struct mount_points {
    char **path;
    size_t count;
    bool read;
};

static void add_point(struct mount_points *m, const char *path)
{
    char **longer = realloc(m->path, (m->count + 1) * sizeof(*longer));

    if (!longer)
        return;
    m->path = longer;
    m->path[m->count] = strdup(path);
    if (m->path[m->count])
        m->count++;
}

static int read_points(struct mount_points *m, struct err *e)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t cap = 0;

    if (!f)
        return err_errno(e, errno, "/proc/self/mountinfo");
    m->read = true;
    while (getline(&line, &cap, f) > 0) {
        char *dash = strstr(line, " - "), *save = NULL, *path = NULL, *type;

        if (!dash)
            continue;
        *dash = '\0';
        for (int i = 0; i < 5; i++)
            path = strtok_r(i ? NULL : line, " ", &save);
        type = strtok_r(dash + 3, " ", &save);
        if (!path || !type || is_kernel_view(type))
            continue;
        mountinfo_unescape(path);
        add_point(m, path);
    }
    free(line);
    fclose(f);
    return 0;
}

static void find_below(const struct mount_points *m, const char *dir, struct found *out)
{
    size_t len = strcmp(dir, "/") ? strlen(dir) : 0;

    *out = (struct found){.count = 0};
    for (size_t i = 0; i < m->count; i++) {
        const char *path = m->path[i];

        if (!strncmp(path, dir, len) && path[len] == '/' && path[len + 1])
            add_found(out, path);
    }
}

/* options without those that say how far, or that it is read-only. */
static json_t *options_without(const json_t *mount, bool readonly)
{
    json_t *list = json_pack("[s]", "bind"), *o;
    size_t i;

    json_array_foreach(json_object_get(mount, "options"), i, o)
    {
        const char *s = json_string_value(o);

        if (strcmp(s, "rbind") && strcmp(s, "bind") && (readonly || strcmp(s, "ro")))
            json_array_append(list, o);
    }
    return list;
}

static void append(json_t *out, const json_t *mount, const char *source, const char *below,
                   bool readonly)
{
    json_t *m = json_deep_copy(mount);
    const char *destination = json_get_string(mount, "destination", "/");
    char *path = NULL;

    if (m && asprintf(&path, "%s%s", destination, below) >= 0) {
        json_object_set_new(m, "destination", json_bytes(path));
        json_object_set_new(m, "source", json_bytes(source));
        json_object_set_new(m, "options", options_without(mount, readonly));
    }
    free(path);
    json_array_append_new(out, m);
}

static int write_out(json_t *out, json_t *mount, struct mount_points *points, struct err *e)
{
    const char *source = json_get_string(mount, "source", "");
    char *real = source[0] == '/' ? realpath(source, NULL) : NULL;
    struct found f;

    if (!real) { /* relative to the bundle, or an error that is told when it is used */
        json_array_append(out, mount);
        return 0;
    }
    if (!points->read && read_points(points, e) < 0) {
        free(real);
        return -1;
    }
    find_below(points, real, &f);
    if (f.too_many)
        log_warn(LOG_CLI, "%s: more than %d mounts below it: all of them are read-only", source,
                 SUBMOUNTS_MAX);
    if (f.too_many || !f.count) {
        json_array_append(out, mount);
    } else {
        append(out, mount, source, "", /*readonly=*/true);
        for (size_t i = 0; i < f.count; i++)
            append(out, mount, f.path[i], f.path[i] + (strcmp(real, "/") ? strlen(real) : 0),
                   /*readonly=*/false);
    }
    for (size_t i = 0; i < f.count; i++)
        free(f.path[i]);
    free(real);
    return 0;
}

json_t *submounts_write_out(const json_t *spec, struct err *e)
{
    json_t *out = json_array(), *m;
    struct mount_points points = {.count = 0};
    int ret = 0;
    size_t i;

    json_array_foreach(json_object_get(spec, "mounts"), i, m)
    {
        if (!submounts_option(m, "rbind") || !submounts_option(m, "ro") ||
            submounts_option(m, "rro"))
            json_array_append(out, m);
        else if (ret == 0)
            ret = write_out(out, m, &points, e);
    }
    for (i = 0; i < points.count; i++)
        free(points.path[i]);
    free(points.path);
    if (ret == 0)
        return out;
    json_decref(out);
    return NULL;
}
