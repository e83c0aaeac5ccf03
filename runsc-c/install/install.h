/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `install` and `uninstall`: naming this runtime to Docker, podman and containerd.
 *
 *   docker      etc/docker/daemon.json: the member runtimes.NAME; everything else is kept
 *   podman      etc/containers/containers.conf.d/50-NAME.conf, a file of our own (an ordinary user: below
 *               ~/.config)
 *   containerd  etc/containerd/config.toml: a block between two marks at the end. Not a drop-in: containerd 1.6
 *               replaces the whole CRI section of the main file by an imported one
 *
 * Files are replaced whole (written beside, synced, renamed) with owner and mode kept; the first change of a
 * file that was there leaves FILE.runsc-c.bak. Both commands can be repeated; what they would do is the same
 * code with dry_run. uninstall takes out what install put in and a file that install made and that has nothing
 * else in it, no more. Nothing is restarted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runsc-c/support/err.h"

struct install_request {
    const char *name;        /* of the runtime: runsc-c */
    const char *binary;      /* absolute */
    const char *prefix;      /* put in front of paths; "" */
    const char *const *args; /* runtime arguments */
    size_t arg_count;
    bool dry_run, remove;
};

/* Each prints what it did or would do, one line per file. 0, or -1 with e set. */
int install_docker(const struct install_request *rq, struct err *e);
int install_podman(const struct install_request *rq, struct err *e);
int install_containerd(const struct install_request *rq, struct err *e);

/* ---- edit.c: inside install/ ---- */
/* The text of a file; *out is NULL when there is none. Allocated. */
int install_read(const char *path, char **out, struct err *e);
/* Replaces path by text (NULL: removes it), makes the directory, leaves a backup; says so on stdout. */
int install_write(const struct install_request *rq, const char *path, const char *text,
                  struct err *e);
/* prefix + path; allocated. */
char *install_path(const struct install_request *rq, const char *path);
