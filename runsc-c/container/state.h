/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers on disk. ROOT/ID/ holds
 *   state.json     what this file writes; replaced by rename, so readers see the old or the new one
 *   config.json    the specification as it was at create: a bundle may change afterwards
 *   control.sock   the sentry's control socket (a pod's members use their sandbox's)
 *   exit           the exit code, written by the proxy
 *
 * Locks: whoever changes a container holds flock(LOCK_EX) on the directory ROOT/ID
 * (container_lock). create holds it from the directory's birth to its end. Readers (state, list,
 * ps) take none: a rename is atomic. The lock dies with its holder.
 *
 * Crashes: the file says what was last intended, processes say what is. A container is alive while
 * its proxy process is (pid and start time, so a reused pid is told apart); then the sentry is
 * asked for the rest. So a container whose proxy, sentry or creator died is stopped and can be
 * deleted, whatever the file says.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "runsc-c/support/err.h"

enum container_phase {
    CONTAINER_CREATING, /* create is at work; "stopped" when its process is gone */
    CONTAINER_CREATED,  /* start, kill, delete --force */
    CONTAINER_STARTED,  /* kill, exec, pause, ...; the sentry knows whether it is paused */
};

struct process_id {
    pid_t pid;
    unsigned long long start_time; /* field 22 of /proc/PID/stat */
};

/* Lifetime: unique; container_load or zero-initialised, container_destroy. */
struct container {
    char id[1025];
    char sandbox[1025]; /* the container whose sentry runs this one: itself, or a pod's first */
    char bundle[4096], rootfs[4096];
    struct process_id proxy, sentry, gofer, creator;
    char created[40]; /* RFC 3339 */
    unsigned owner;   /* uid of the creator */
    enum container_phase phase;
    json_t *annotations; /* owned or NULL */
    json_t *cgroup;      /* owned or NULL: cgroup_save's value */
};

/* 1..1024 of [A-Za-z0-9_+.-], not "." or "..". */
int container_check_id(const char *id, struct err *e);
/* Makes ROOT/ID and locks it: the lock's descriptor. Fails when the id is in use. */
int container_make_dir(const char *id, struct err *e);
/* Removes ROOT/ID and what is in it. Caller holds the lock. */
int container_remove_dir(const char *id, struct err *e);
/* Descriptor that holds the container's lock until it is closed; waits. */
int container_lock(const char *id, struct err *e);
/* Is somebody at work on it at this moment? */
bool container_locked(const char *id);
int container_save(const struct container *c, struct err *e);
int container_load(const char *id, struct container *out, struct err *e);
bool container_exists(const char *id);
void container_destroy(struct container *c);
/* The specification as created, new reference. */
json_t *container_spec(const struct container *c, struct err *e);
int container_save_spec(const char *id, const json_t *spec, struct err *e);

/* "creating", "created", "running", "paused" or "stopped". */
const char *container_status(const struct container *c);
bool container_is(const struct container *c, const char *status);
/* Listening control socket in ROOT/ID. */
int container_listen(const char *id, struct err *e);
/* A connection to the sentry of c. */
int container_connect(const struct container *c, struct err *e);
/* One request about c on a connection of its own; request is consumed, "id" is added. */
json_t *container_request(const struct container *c, json_t *request, struct err *e);
/* ROOT/ID/exit: for writing (create), and its content (-1: not there yet). */
int container_exit_file(const char *id, struct err *e);
int container_exit_code(const char *id);

/* Identity of a process that exists: start_time 0 when it does not. */
struct process_id process_identify(pid_t pid);
bool process_alive(const struct process_id *p);
/* SIGKILL and wait until it is gone, at most ~10 s. */
int process_kill(const struct process_id *p, const char *what, struct err *e);
/* The time as container->created has it. */
void container_stamp(struct container *c);
/* The OCI state object, new reference. status NULL: as it is. */
json_t *container_oci_state(const struct container *c, const char *status);
