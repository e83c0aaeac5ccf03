/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes that live in the sandbox: file systems in memory that containers of a pod mount by name. One exists from the
 * first container that mounts it to the sandbox's end, so a container that is started again finds its files.
 */
#pragma once

#include "sentry/fs/vfs.h"

/* The volume called name; made as fs->mount(source, data) would when there is none. *out is +1. May block. */
int MUST_CHECK volume_get(const char *name, const struct fs_type *fs, const char *source,
                          const char *data, struct super **out);
