/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a unit test of a low layer needs from the layers above, which it does not link: weak
 * definitions that answer as if nothing were there.
 */
#include <errno.h>
#include <stddef.h>

struct task;
struct lx_regs;

long syscall_dispatch(struct task *t, struct lx_regs *regs);

__attribute__((weak)) long syscall_dispatch(struct task *t, struct lx_regs *regs)
{
    (void)t;
    (void)regs;
    return -ENOSYS;
}

/* The table of file systems is in sentry/boot. */
struct fs_type;
__attribute__((weak)) const struct fs_type *const g_fs_types[1] = {NULL};
