/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host cgroups of a container. One `struct cgroup` names the container's directories, one per v1
 * hierarchy and one in the v2 tree (a hybrid host has both), or the systemd scope that owns them.
 *
 * Order of use (engines rely on it):
 *   create:  cgroup_create (its names go into state.json before anything is made), cgroup_apply,
 *            cgroup_door_* for every process of the sandbox before it is let go (the Sentry; its
 *            stubs inherit; the Gofer; proxies), cgroup_save -> state.json
 *   update:  cgroup_load, cgroup_apply(new resources)
 *   pause:   cgroup_load, cgroup_freeze(true); resume: false
 *   events:  cgroup_load, cgroup_stats / cgroup_oom_open
 *   ps:      cgroup_load, cgroup_pids
 *   delete:  cgroup_load, cgroup_kill when forced, cgroup_delete
 *
 * Rootless: without permission the directories that cannot be made are left out, and everything
 * that concerns them is skipped, unless the configuration asks for a limit there: then the error is
 * runc's.
 *
 * Single-threaded, as the command is. All functions return 0 or -1 with e set, unless said.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runsc-c/support/err.h"

/* Lifetime: unique; cgroup_create or cgroup_load, cgroup_free. */
struct cgroup;

struct cgroup_config {
    const char *id;          /* of the container: the default name */
    const char *path;        /* linux.cgroupsPath, or NULL: ID below the caller's own cgroups */
    const json_t *resources; /* linux.resources or NULL; only asked whether something is wanted */
    bool systemd;            /* --systemd-cgroup: path is slice:prefix:name */
    bool rootless;           /* lack of permission is not an error by itself */
    /* Called when all names are known and nothing is made yet: a creator that is killed from then on
     * leaves a record (cgroup_save) of what may exist. It looks at what is there already (cgroup_pids,
     * cgroup_frozen); when it fails nothing is touched. NULL: not needed. */
    int (*named)(void *arg, const struct cgroup *cg, struct err *e);
    void *named_arg;
};

/* Makes the directories (existing ones are used: podman makes them first). With systemd the scope
 * is made by cgroup_join's first call, because systemd wants a process in it. */
int cgroup_create(const struct cgroup_config *config, struct cgroup **out, struct err *e);
/* What state.json remembers; new reference. */
json_t *cgroup_save(const struct cgroup *cg);
/* From cgroup_save's value; NULL or null gives a cgroup without directories, on which everything
 * succeeds and does nothing (containers of older versions, rootless). */
int cgroup_load(const json_t *saved, struct cgroup **out, struct err *e);
void cgroup_free(struct cgroup *cg);

/* Moves a process. It must not run guest code yet. */
int cgroup_join(struct cgroup *cg, pid_t pid, struct err *e);

/*
 * A process that is made inside (v2), or moves itself while it has one thread (v1), enters in microseconds; one that
 * is moved from outside has the host wait until all its CPUs have noticed (5-15 ms measured). So: the maker opens the
 * door, clones through it, the new process enters, and the maker admits it, which is cgroup_join where the door
 * was of no use (a systemd scope that is not there yet, a kernel or a user that may not).
 */
struct cgroup_door;
int cgroup_door_open(struct cgroup *cg, struct cgroup_door **out, struct err *e);
/* As clone3 with these flags; d NULL: without a cgroup. -1 with errno. */
pid_t cgroup_door_clone(struct cgroup_door *d, uint64_t flags);
/* In the new process, before anything else. 0 or -errno. */
int cgroup_door_enter(const struct cgroup_door *d);
int cgroup_door_admit(struct cgroup_door *d, pid_t pid, struct err *e);
void cgroup_door_close(struct cgroup_door *d);

/* Sets what resources (linux.resources or the JSON of `update`) mentions, leaves the rest alone. */
int cgroup_apply(struct cgroup *cg, const json_t *resources, struct err *e);

/* linux.resources as the host is to hold them, new reference (NULL for NULL): a guest thread is a thread
 * and a process on the host and the sandbox has some of its own, so the limit on tasks, which the sentry
 * enforces for guests, is only a net here. Other limits are as they are. */
json_t *cgroup_sandbox_resources(const json_t *resources);

/* The host freezes or thaws every process; returns when that has happened. */
int cgroup_freeze(struct cgroup *cg, bool frozen, struct err *e);
bool cgroup_frozen(const struct cgroup *cg);
/* Host pids in the cgroup and below; *out is allocated (free). */
int cgroup_pids(const struct cgroup *cg, pid_t **out, size_t *out_count, struct err *e);
/* SIGKILL to all of them until none is left (bounded). Thaws first. */
int cgroup_kill(struct cgroup *cg, struct err *e);
/* Removes the directories (and the scope). Those that are gone already are fine. Waits a while for
 * processes that are ending. */
int cgroup_delete(struct cgroup *cg, struct err *e);

/* The "data" member of `runc events --stats`; new reference in *out. */
int cgroup_stats(struct cgroup *cg, json_t **out, struct err *e);
/* A descriptor that polls readable at each OOM event (and at the end of the cgroup); call
 * cgroup_oom_read after each. -1 with e set when the host cannot tell. */
int cgroup_oom_open(struct cgroup *cg, struct err *e);
/* Consumes the readiness of fd. True when it was an OOM, false when the cgroup is gone. */
bool cgroup_oom_read(struct cgroup *cg, int fd);
/* Kills by the host's OOM killer in this cgroup so far, -1 unknown. */
long cgroup_oom_kills(struct cgroup *cg);

/* Would runc degrade here: an ordinary user, or root of a user namespace that is not the first. */
bool cgroup_rootless_default(void);

/* Absolute directory of a v1 controller ("memory") or of the v2 tree (""); NULL when it has none.
 * Borrowed. */
const char *cgroup_dir(const struct cgroup *cg, const char *controller);
