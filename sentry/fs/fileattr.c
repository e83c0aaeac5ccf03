/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inode flags: what chattr(1) sets. Who may is decided here, what of it can be kept by the file
 * system; where immutable and append-only files are refused is beside the other checks of each
 * operation (permission, names, attributes, open). Flags are set under the inode's lock and looked at
 * without: an operation that runs meanwhile may still come through, as in Linux.
 *
 * The ioctl has two forms, one with FS_*_FL and one with FS_XFLAG_* and sizes that are XFS's.
 */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#define XFLAGS_COMMON                                                                              \
    (LX_FS_XFLAG_IMMUTABLE | LX_FS_XFLAG_APPEND | LX_FS_XFLAG_SYNC | LX_FS_XFLAG_NOATIME |         \
     LX_FS_XFLAG_NODUMP | LX_FS_XFLAG_PROJINHERIT | LX_FS_XFLAG_DAX)

static const struct {
    uint32_t flag, xflag;
} g_forms[] = {
    {LX_FS_IMMUTABLE_FL, LX_FS_XFLAG_IMMUTABLE},
    {LX_FS_APPEND_FL, LX_FS_XFLAG_APPEND},
    {LX_FS_NODUMP_FL, LX_FS_XFLAG_NODUMP},
    {LX_FS_NOATIME_FL, LX_FS_XFLAG_NOATIME},
    {LX_FS_SYNC_FL, LX_FS_XFLAG_SYNC},
    {LX_FS_DAX_FL, LX_FS_XFLAG_DAX},
    {LX_FS_PROJINHERIT_FL, LX_FS_XFLAG_PROJINHERIT},
};

static uint32_t flags_of_xflags(uint32_t xflags)
{
    uint32_t flags = 0;

    for (size_t i = 0; i < ARRAY_COUNT(g_forms); i++)
        flags |= (xflags & g_forms[i].xflag) ? g_forms[i].flag : 0;
    return flags;
}

int vfs_fileattr_get(const struct path *p, struct fs_fileattr *out)
{
    const struct inode *i = p->dentry->inode;

    if (!i->ops->set_fsflags)
        return -ENOTTY;
    *out = (struct fs_fileattr){.flags = i->fsflags};
    for (size_t k = 0; k < ARRAY_COUNT(g_forms); k++)
        out->xflags |= (out->flags & g_forms[k].flag) ? g_forms[k].xflag : 0;
    return 0;
}

/* The second form: hints that do not fit the kind of file; sizes and projects that nothing keeps. */
static int check_xflags(const struct inode *i, struct fs_fileattr *a)
{
    const bool is_file = LX_S_ISREG(i->attr.mode), is_dir = LX_S_ISDIR(i->attr.mode);

    if (((a->xflags & LX_FS_XFLAG_EXTSIZE) && !is_file) ||
        ((a->xflags & LX_FS_XFLAG_EXTSZINHERIT) && !is_dir) ||
        ((a->xflags & (LX_FS_XFLAG_COWEXTSIZE | LX_FS_XFLAG_DAX)) && !is_file && !is_dir))
        return -EINVAL;
    if (a->extsize == 0)
        a->xflags &= ~(LX_FS_XFLAG_EXTSIZE | LX_FS_XFLAG_EXTSZINHERIT);
    if (a->cowextsize == 0)
        a->xflags &= ~LX_FS_XFLAG_COWEXTSIZE;
    if ((a->xflags & ~XFLAGS_COMMON) || a->extsize || a->projid || a->cowextsize)
        return -EOPNOTSUPP;
    return 0;
}

static int set_locked(struct inode *i, const struct fs_fileattr *attr) REQUIRES(i->lock)
{
    const uint32_t fixed = LX_FS_IMMUTABLE_FL | LX_FS_APPEND_FL;
    struct fs_fileattr a = *attr;
    int ret = 0;

    if (a.by_xflags)
        a.flags = flags_of_xflags(a.xflags);
    if (((a.flags ^ i->fsflags) & fixed) && !cred_capable(curr()->cred, LX_CAP_LINUX_IMMUTABLE))
        return -EPERM;
    if (a.by_xflags)
        ret = check_xflags(i, &a);
    return ret < 0 ? ret : i->ops->set_fsflags(i, a.flags);
}

int vfs_fileattr_set(const struct path *p, const struct fs_fileattr *attr)
{
    struct inode *i = p->dentry->inode;
    int ret = path_want_write(p);

    if (ret < 0)
        return ret;
    if (!i->ops->set_fsflags)
        return -ENOTTY;
    if (!inode_owner_or_capable(i))
        return -EPERM;
    mutex_lock(&i->lock);
    ret = set_locked(i, attr);
    mutex_unlock(&i->lock);
    if (ret == 0)
        fs_notify_dentry(p->dentry, LX_IN_ATTRIB);
    return ret;
}
