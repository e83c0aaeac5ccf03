/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory trees of a container: its root and its bind mounts. Each is a session between its sentry and its gofer, and, where
 * only the command can reach the directory or has the right to map its ids, a detached mount that the gofer is given.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "runsc-c/sandbox/fdset.h"
#include "runsc-c/sandbox/idmap.h"
#include "runsc-c/support/err.h"

enum { TREES_MAX = 128 };

struct sandbox_tree {
    char *path;
    bool readonly, shared;
    bool alone;         /* without what is mounted below it */
    int pair[2];        /* sentry, gofer */
    int mount;          /* made by us; or -1: the gofer makes it from path */
    bool mapped;        /* owners appear through maps (mounts[].uidMappings, gidMappings) */
    struct idmaps maps; /* borrowed from the specification */
};

struct sandbox_trees {
    struct sandbox_tree tree[TREES_MAX];
    int count;
    json_t *mounts; /* spec.mounts as the sentry gets it (submounts.h) */
    json_t *list;   /* for the sentry: per tree {fd, mount, readonly, shared} */
};

struct launch_request;

/* Is this member of spec.mounts a bind mount? */
bool sandbox_tree_is_bind(const json_t *mount);

/* From root and mounts of rq's specification; the sentry's ends are among sentry_fds. */
int sandbox_trees_plan(struct sandbox_trees *t, const struct launch_request *rq,
                       struct fdset *sentry_fds, struct err *e);
/* Makes the mounts of those that need one; all: of all, for a gofer with other ids. Where that is not allowed (and no ids are to be
 * mapped) the gofer tries. */
int sandbox_trees_mount(struct sandbox_trees *t, bool all, struct err *e);
/* For the gofer's configuration, new reference: per tree {path, fd, readonly, mount}; NULL with e set. */
json_t *sandbox_trees_describe(const struct sandbox_trees *t, struct fdset *gofer_fds,
                               struct err *e);
/* Both ends of the sessions belong to the children. While ours are open, neither child sees the end of the other one. */
void sandbox_trees_close_sessions(struct sandbox_trees *t);
void sandbox_trees_free(struct sandbox_trees *t);
