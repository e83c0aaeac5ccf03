/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/wiring.h"

#include "sentry/fs/dev/dev.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/kernel.h"
#include "sentry/proc/proc.h"

const struct fs_type *const g_fs_types[] = {
    &g_fs_proc,       &g_fs_sysfs,       &g_fs_tmpfs, &g_devpts_type,
    &g_devtmpfs_type, &g_fs_overlay, NULL,
};

void wiring_init(void)
{
    static const struct tty_ops tty_ops = {
        .session_leader_exit = tty_session_leader_exit,
        .session_tty = tty_of_session,
    };

    g_tty_ops = &tty_ops;
}
