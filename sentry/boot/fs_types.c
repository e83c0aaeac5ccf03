/* SPDX-License-Identifier: Apache-2.0 */
/* The file systems that mount(2) and OCI configurations can name. */
#include "sentry/fs/dev/dev.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/fs/vfs.h"
#include "sentry/proc/proc.h"

const struct fs_type *const g_fs_types[] = {
    &g_fs_proc,    &g_fs_sysfs,   &g_fs_tmpfs,  &g_fs_devpts, &g_fs_devtmpfs,
    &g_fs_overlay, &g_fs_cgroup2, &g_fs_mqueue, NULL,
};
