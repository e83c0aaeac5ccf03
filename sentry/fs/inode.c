/* SPDX-License-Identifier: Apache-2.0 */
/* Inodes: life, permission rules of path_resolution(7), ownership of new files, times. */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/core/clock.h"
#include "sentry/fs/inotify/inotify.h"
#include "sentry/fs/pipe/pipe.h"

struct fs_time fs_time_now(void)
{
    uint64_t now = clock_realtime();

    return (struct fs_time){(int64_t)(now / NSEC_PER_SEC), (uint32_t)(now % NSEC_PER_SEC)};
}

uint64_t inode_new_ino(void)
{
    static _Atomic uint64_t next = 1;

    return atomic_fetch_add(&next, 1) + 1;
}

void inode_init(struct inode *i, struct super *s, const struct inode_ops *ops, uint32_t mode)
{
    enum lock_rank rank = RANK_INODE;

    if (s->flags & SUPER_LOWER)
        rank = LX_S_ISDIR(mode) ? RANK_OVL_LOWER : RANK_OVL_LOWER2;
    else if (s->flags & SUPER_STACKED)
        rank = LX_S_ISDIR(mode) ? RANK_OVL_TOP_DIR : RANK_OVL_TOP_INODE;
    else if (LX_S_ISDIR(mode))
        rank = RANK_DIR;
    refs_init(&i->refs);
    i->ops = ops;
    i->super = super_get(s);
    mutex_init(&i->lock, rank);
    i->attr.mode = mode;
    i->attr.nlink = 1;
    i->attr.dev = s->dev;
    i->attr.blksize = LX_PAGE_SIZE;
    mappable_init(&i->map, NULL);
    atomic_init(&i->flocks, NULL);
    atomic_init(&i->watches, NULL);
    atomic_init(&i->write_count, 0);
    atomic_init(&i->link, NULL);
    i->pipe = NULL;
    i->unix_sock = NULL;
    i->flags = 0;
}

void inode_destroy_generic(struct inode *i)
{
    flock_ctx_free(i);
    if (i->watches)
        inotify_inode_destroy(i);
    if (i->pipe)
        fifo_inode_destroy(i);
    free(i->link);
    mappable_destroy(&i->map);
    mutex_destroy(&i->lock);
    super_put(i->super);
}

struct inode *inode_get(struct inode *i)
{
    refs_get(&i->refs);
    return i;
}

void inode_put(struct inode *i)
{
    if (refs_put(&i->refs))
        i->ops->destroy(i);
}

/* Does c's user namespace know both owners, so that its capabilities mean something here? */
static bool owners_mapped(const struct inode *i, const struct cred *c)
{
    lx_uid_t uid = i->attr.uid;
    lx_gid_t gid = i->attr.gid;

    return userns_to_kuid(c->userns, userns_from_kuid(c->userns, uid)) == uid &&
           userns_to_kgid(c->userns, userns_from_kgid(c->userns, gid)) == gid;
}

static bool capable_over(const struct inode *i, const struct cred *c, int cap)
{
    return (c->cap_effective & LX_CAP_BIT(cap)) && owners_mapped(i, c);
}

bool inode_capable(const struct inode *i, int cap)
{
    return capable_over(i, curr()->cred, cap);
}

bool inode_owner_or_capable(const struct inode *i)
{
    const struct cred *c = curr()->cred;

    return c->fsuid == i->attr.uid || capable_over(i, c, LX_CAP_FOWNER);
}

static int mode_permission(const struct inode *i, const struct cred *c, uint32_t mask)
{
    uint32_t mode = i->attr.mode, bits = mode;

    if (c->fsuid == i->attr.uid)
        bits >>= 6;
    else if (((bits >> 3) & 7) != (bits & 7) && cred_in_group(c, i->attr.gid))
        bits >>= 3;
    if (!(mask & ~bits & 7))
        return 0;
    if (LX_S_ISDIR(mode)) {
        if (!(mask & MAY_WRITE) && capable_over(i, c, LX_CAP_DAC_READ_SEARCH))
            return 0;
        return capable_over(i, c, LX_CAP_DAC_OVERRIDE) ? 0 : -EACCES;
    }
    if (mask == MAY_READ && capable_over(i, c, LX_CAP_DAC_READ_SEARCH))
        return 0;
    if ((!(mask & MAY_EXEC) || (mode & 0111u)) && capable_over(i, c, LX_CAP_DAC_OVERRIDE))
        return 0;
    return -EACCES;
}

int inode_permission_cred(struct inode *i, const struct cred *c, uint32_t mask)
{
    if ((mask & MAY_WRITE) && (i->super->flags & SUPER_READONLY)) {
        uint32_t type = inode_type(i);

        if (type == LX_S_IFREG || type == LX_S_IFDIR || type == LX_S_IFLNK)
            return -EROFS;
    }
    if ((mask & MAY_WRITE) && inode_is_immutable(i))
        return -EPERM;
    if (i->ops->permission)
        return i->ops->permission(i, c, mask);
    return mode_permission(i, c, mask);
}

int inode_permission_generic(struct inode *i, const struct cred *c, uint32_t mask)
{
    return mode_permission(i, c, mask);
}

int inode_permission(struct inode *i, uint32_t mask)
{
    return inode_permission_cred(i, curr()->cred, mask);
}

void inode_init_owner(struct inode *child, const struct inode *dir, uint32_t mode)
{
    const struct cred *c = curr()->cred;

    child->attr.uid = c->fsuid;
    if (dir && (dir->attr.mode & LX_S_ISGID)) {
        child->attr.gid = dir->attr.gid;
        if (LX_S_ISDIR(mode))
            mode |= LX_S_ISGID;
        else if ((mode & (LX_S_ISGID | LX_S_IXGRP)) == (LX_S_ISGID | LX_S_IXGRP) &&
                 !cred_in_group(c, dir->attr.gid) && !capable_over(dir, c, LX_CAP_FSETID))
            mode &= ~LX_S_ISGID;
    } else {
        child->attr.gid = c->fsgid;
    }
    child->attr.mode = mode;
    child->attr.atime = child->attr.mtime = child->attr.ctime = child->attr.btime = fs_time_now();
    child->attr.mask |= ATTR_BTIME;
}

enum { TIME_LOCKS = 64 };
static struct mutex g_time_locks[TIME_LOCKS];

__attribute__((constructor)) static void init_time_locks(void)
{
    for (size_t i = 0; i < TIME_LOCKS; i++)
        mutex_init(&g_time_locks[i], RANK_INODE_TIMES);
}

static struct mutex *times_lock_of(const struct inode *i)
{
    return &g_time_locks[((uintptr_t)i >> 6) % TIME_LOCKS];
}

void inode_times_lock(const struct inode *i)
{
    mutex_lock(times_lock_of(i));
}

void inode_times_unlock(const struct inode *i)
{
    mutex_unlock(times_lock_of(i));
}

void inode_touch(struct inode *i, bool atime, bool mtime, bool ctime)
{
    struct fs_time now = fs_time_now();

    inode_times_lock(i);
    if (atime)
        i->attr.atime = now;
    if (mtime)
        i->attr.mtime = now;
    if (ctime)
        i->attr.ctime = now;
    inode_times_unlock(i);
}
