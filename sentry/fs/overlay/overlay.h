/* SPDX-License-Identifier: Apache-2.0 */
/* Overlay file system: a writable tree over read-only ones. See README.md. */
#pragma once

#include "sentry/fs/vfs.h"

/* For mount(2): lowerdir=, upperdir=, workdir=. */
extern const struct fs_type g_fs_overlay;

/*
 * The root file system of a container: upper (NULL: read-only) over lowers[0] over lowers[1] ...
 * Takes over one reference of each layer on success; the layers were made with SUPER_LOWER and are
 * used by nobody else. flags: SUPER_*.
 */
int MUST_CHECK overlay_mount(struct super *upper, struct super *const lowers[], size_t count,
                             uint32_t flags, struct super **out);
