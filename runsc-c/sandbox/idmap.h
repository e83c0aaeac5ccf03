/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids of the user namespaces of the sandbox's processes. The sentry has a single one, whatever the container
 * has: nobody when root starts it, the caller otherwise. The gofer works with files, so where the
 * configuration maps ids (docker's userns-remap, podman, subuid ranges of an ordinary user) it has the same
 * mappings: the container's owners are what the guest sees. An ordinary user's ranges are written by newuidmap and
 * newgidmap, which know what he may have.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "runsc-c/support/err.h"

struct idmaps {
    const json_t *uids, *gids; /* borrowed: linux.uidMappings, gidMappings */
};

/* False: the configuration maps none, or only the caller itself. */
bool idmaps_of(const json_t *spec, struct idmaps *out);
/* Maps id 0 of pid's user namespace to nobody (root) or to the caller; with maps, all of them. */
int idmaps_write(pid_t pid, const struct idmaps *maps, struct err *e);
/* A user namespace with these maps, for mounts: a descriptor. */
int idmaps_userns(const struct idmaps *maps, struct err *e);
/* The owners in the detached mounts of mount_fd appear as the namespace maps them. 0, or -1 with errno: -EINVAL where a file
 * system cannot. */
int idmaps_apply(int mount_fd, int userns_fd);
