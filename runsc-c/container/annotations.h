/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What annotations ask of the sandbox, under the names that runsc documents (dev.gvisor.) and under ours (org.runsc-c.,
 * which win over the others):
 *
 *   flag.NAME                  a global option, as --NAME=VALUE. What makes a sandbox stricter may always be asked for
 *                              (network=none, overlay=root:memory, oci-seccomp=true, rseq); the rest needs the
 *                              operator's --allow-flag-override, because whoever writes annotations is not always
 *                              whom the host belongs to. Where state and logs are is never theirs to say.
 *   spec.mount.VOLUME.FIELD    what is known of a volume (https://gvisor.dev/docs/user_guide/filesystem/):
 *                              type tmpfs: it lives in the sandbox's memory, and all containers of the pod have the same
 *                              one; type bind with share container: nobody else changes it, so what was read stays
 *                              known. The volume is the mount whose source is FIELD source, or else Kubernetes'
 *                              emptyDir of that name. A pod's are those of its sandbox.
 *   spec.rootfs.FIELD          overlay: memory or none; options: size=BYTES of that overlay.
 *
 * What runsc has and this does not is said in the log.
 */
#pragma once

#include <jansson.h>

#include "runsc-c/support/err.h"

struct rootfs_hint {
    const char *overlay; /* root:memory, none, NULL: as the options say. static */
    uint64_t size;       /* of a memory overlay in bytes, 0: the default */
};

/* flag.*: sets g_options. annotations may be NULL. Before anything reads the options for the container. */
int annotations_set_options(const json_t *annotations, struct err *e);
/* spec.rootfs.* */
int annotations_rootfs(const json_t *annotations, struct rootfs_hint *out, struct err *e);
/*
 * spec.mount.* of the pod (or of the container without one): spec as the sentry and the gofer are to see it, a new
 * reference; spec itself where nothing changes. A tmpfs volume's mount has a member "volume", its name; a bind mount's
 * "exclusive".
 */
json_t *annotations_mounts(const json_t *annotations, const json_t *spec, struct err *e);
