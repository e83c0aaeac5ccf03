/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers on disk: ROOT/ID/state.json and the control socket ROOT/ID/control.sock. A container
 * whose sentry process is gone is stopped, whatever the file says; pid reuse is told apart by the
 * process start time.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "runsc-c/support/err.h"

struct container {
    char id[1025];
    char bundle[4096];
    pid_t pid;                     /* host pid of the sentry */
    unsigned long long start_time; /* field 22 of /proc/PID/stat */
    char created[40];              /* RFC 3339 */
    bool started;
    json_t *annotations; /* owned or NULL */
};

/* 1..1024 of [A-Za-z0-9_+.-], not "." or "..". */
int container_check_id(const char *id, struct err *e);
/* Makes ROOT/ID; fails when the id is in use. */
int container_make_dir(const char *id, struct err *e);
/* Removes ROOT/ID and what is in it. */
int container_remove_dir(const char *id, struct err *e);
int container_save(const struct container *c, struct err *e);
int container_load(const char *id, struct container *out, struct err *e);
void container_destroy(struct container *c);
/* "created", "running" or "stopped". */
const char *container_status(const struct container *c);
/* Listening control socket in ROOT/ID. */
int container_listen(const char *id, struct err *e);
/* A connection to it. */
int container_connect(const char *id, struct err *e);
/* Fills pid, start_time and created for a sentry that was just started. */
void container_set_pid(struct container *c, pid_t pid);
/* The OCI state object, new reference. */
json_t *container_oci_state(const struct container *c);
