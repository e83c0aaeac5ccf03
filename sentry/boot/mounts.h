/* SPDX-License-Identifier: Apache-2.0 */
/* The container's file systems: root (gofer, overlay) and the mounts of its OCI configuration. */
#pragma once

#include "sentry/boot/config.h"
#include "sentry/boot/container.h"
#include "sentry/fs/vfs.h"

struct boot_mounts {
    struct mntns *ns;     /* +1 */
    struct super *devpts; /* +1, or NULL when nothing mounts one */
};

/* Builds the mount namespace with the calling thread's curr, which it leaves with the namespace's
 * root as root and working directory. On error *out_what (static or from the configuration) names
 * what failed. -errno. */
int MUST_CHECK boot_mounts(const struct boot_config *c, struct boot_mounts *out,
                           const char **out_what);
/* linux.sysctl: files of /proc/sys. */
int MUST_CHECK boot_sysctls(const struct boot_config *c, struct boot_error *e);
/* After those: maskedPaths, readonlyPaths, a root that is read-only. As boot_mounts. */
int MUST_CHECK boot_mounts_protect(const struct boot_config *c, const char **out_what);
/* After the first process's console exists: /dev/console. */
int boot_mount_console(struct file *slave);
/* mkdir -p inside the container. */
int boot_make_dirs(const char *path);
