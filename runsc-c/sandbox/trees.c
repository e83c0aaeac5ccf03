/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/sandbox/trees.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gofer/gofer.h"
#include "runsc-c/sandbox/launch.h"
#include "runsc-c/sandbox/submounts.h"
#include "runsc-c/support/json.h"

static char *absolute(const char *bundle, const char *path)
{
    char *out = NULL;

    if (path[0] == '/')
        return strdup(path);
    return asprintf(&out, "%s/%s", bundle, path) < 0 ? NULL : out;
}

/* mount: index into spec.mounts, -1 for the root. */
static int add_tree(struct sandbox_trees *trees, const struct launch_request *rq,
                    struct fdset *sentry_fds, const char *path, int mount, bool readonly,
                    bool shared, struct err *e)
{
    struct sandbox_tree *t = &trees->tree[trees->count];
    int fd;

    if (trees->count == TREES_MAX)
        return err_set(e, "more than %d bind mounts", TREES_MAX - 1);
    *t = (struct sandbox_tree){.path = absolute(rq->bundle, path),
                               .readonly = readonly,
                               .shared = shared,
                               .pair = {-1, -1},
                               .mount = -1};
    if (!t->path)
        return err_errno(e, ENOMEM, "mounts");
    trees->count++;
    if (access(t->path, F_OK) < 0)
        return err_errno(e, errno, mount < 0 ? "root.path %s" : "mount source %s", t->path);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, t->pair) < 0)
        return err_errno(e, errno, "socketpair");
    fd = fdset_add(sentry_fds, t->pair[0], e);
    if (fd < 0)
        return -1;
    json_array_append_new(trees->list, json_pack("{s:i, s:i, s:b, s:b}", "fd", fd, "mount", mount,
                                                 "readonly", readonly, "shared", shared));
    return 0;
}

/* The mount's own mappings; with the option alone those of the container. */
static int plan_maps(struct sandbox_tree *t, const json_t *spec, const json_t *mount, size_t index,
                     struct err *e)
{
    t->maps = (struct idmaps){json_object_get(mount, "uidMappings"),
                              json_object_get(mount, "gidMappings")};
    t->mapped = t->maps.uids || t->maps.gids;
    if (!t->mapped && (submounts_option(mount, "idmap") || submounts_option(mount, "ridmap"))) {
        const json_t *section = json_object_get(spec, "linux");

        t->maps = (struct idmaps){json_object_get(section, "uidMappings"),
                                  json_object_get(section, "gidMappings")};
        t->mapped = true;
    }
    if (t->mapped && (!json_array_size(t->maps.uids) || !json_array_size(t->maps.gids)))
        return err_set(e, "mounts[%zu]: an id-mapped mount needs uidMappings and gidMappings",
                       index);
    return 0;
}

bool sandbox_tree_is_bind(const json_t *mount)
{
    return !strcmp(json_get_string(mount, "type", ""), "bind") || submounts_option(mount, "bind") ||
           submounts_option(mount, "rbind");
}

int sandbox_trees_plan(struct sandbox_trees *t, const struct launch_request *rq,
                       struct fdset *sentry_fds, struct err *e)
{
    const json_t *root = json_object_get(rq->spec, "root");
    const json_t *m;
    bool write_through = !strcmp(rq->overlay, "none");
    size_t i;

    t->list = json_array();
    t->mounts = submounts_write_out(rq->spec, e);
    if (!t->mounts)
        return -1;
    if (add_tree(t, rq, sentry_fds, json_get_string(root, "path", "/"), -1,
                 !write_through || json_is_true(json_object_get(root, "readonly")),
                 write_through && rq->shared_root, e) < 0)
        return -1;
    json_array_foreach(t->mounts, i, m)
    {
        if (!sandbox_tree_is_bind(m))
            continue;
        if (!json_object_get(m, "source"))
            return err_set(e, "mounts[%zu]: a bind mount needs a source", i);
        if (add_tree(t, rq, sentry_fds, json_get_string(m, "source", ""), (int)i,
                     submounts_option(m, "ro") || submounts_option(m, "rro"),
                     !json_is_true(json_object_get(m, "exclusive")), e) < 0 ||
            plan_maps(&t->tree[t->count - 1], rq->spec, m, i, e) < 0)
            return -1;
        t->tree[t->count - 1].alone = submounts_option(m, "bind") && !submounts_option(m, "rbind");
    }
    return 0;
}

static int mount_mapped(struct sandbox_tree *t, struct err *e)
{
    int userns = idmaps_userns(&t->maps, e), ret = 0;

    if (userns < 0)
        return -1;
    t->mount = gofer_tree_mount(t->path, t->readonly, !t->alone);
    if (t->mount < 0)
        ret = err_errno(e, -t->mount, "mount source %s", t->path);
    else if (idmaps_apply(t->mount, userns) < 0)
        ret = err_errno(e, errno, "mount source %s: its ids cannot be mapped", t->path);
    close(userns);
    return ret;
}

int sandbox_trees_mount(struct sandbox_trees *t, bool all, struct err *e)
{
    for (int i = 0; i < t->count; i++) {
        struct sandbox_tree *tree = &t->tree[i];

        if (tree->mapped && mount_mapped(tree, e) < 0)
            return -1;
        if (!tree->mapped && all)
            tree->mount = gofer_tree_mount(tree->path, tree->readonly, !tree->alone);
    }
    return 0;
}

json_t *sandbox_trees_describe(const struct sandbox_trees *t, struct fdset *gofer_fds,
                               struct err *e)
{
    json_t *list = json_array();

    for (int i = 0; i < t->count; i++) {
        const struct sandbox_tree *tree = &t->tree[i];
        int fd = fdset_add(gofer_fds, tree->pair[1], e);

        if (fd < 0) {
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list,
                              json_pack("{s:o, s:i, s:b, s:b, s:i}", "path",
                                        tree->mount < 0 ? json_bytes(tree->path) : json_null(),
                                        "fd", fd, "readonly", tree->readonly, "alone", tree->alone,
                                        "mount", fdset_add(gofer_fds, tree->mount, e)));
    }
    return list;
}

void sandbox_trees_close_sessions(struct sandbox_trees *t)
{
    for (int i = 0; i < t->count; i++) {
        for (int k = 0; k < 2; k++) {
            if (t->tree[i].pair[k] >= 0)
                close(t->tree[i].pair[k]);
            t->tree[i].pair[k] = -1;
        }
    }
}

void sandbox_trees_free(struct sandbox_trees *t)
{
    sandbox_trees_close_sessions(t);
    for (int i = 0; i < t->count; i++) {
        free(t->tree[i].path);
        if (t->tree[i].mount >= 0)
            close(t->tree[i].mount);
    }
    json_decref(t->list);
    json_decref(t->mounts);
}
