/* SPDX-License-Identifier: Apache-2.0 */
/* How mm pins the open file behind a vma, and finds its bytes. */
#include "sentry/fs/vfs_internal.h"
#include "sentry/mm/mm.h"

static struct mappable *file_mappable(struct file *f)
{
    if (f->ops->mappable)
        return f->ops->mappable(f);
    return f->inode->map.ops ? &f->inode->map : NULL;
}

static const struct mm_file_ops mm_file_ops = {
    .get = file_get,
    .put = file_put,
    .mappable = file_mappable,
};

void vfs_mm_glue_init(void)
{
    g_mm_file_ops = &mm_file_ops;
}
