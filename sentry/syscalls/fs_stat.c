/* SPDX-License-Identifier: Apache-2.0 */
/* stat family, access, readlink, statfs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/mount.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

static long stat_out(const struct fs_attr *a, uaddr_t ubuf)
{
    const struct userns *ns = curr()->cred->userns;
    struct lx_stat st = {
        .st_dev = lx_dev_encode(a->dev),
        .st_ino = a->ino,
        .st_nlink = a->nlink,
        .st_mode = a->mode,
        .st_uid = userns_from_kuid(ns, a->uid),
        .st_gid = userns_from_kgid(ns, a->gid),
        .st_rdev = lx_dev_encode(a->rdev),
        .st_size = (int64_t)a->size,
        .st_blksize = a->blksize,
        .st_blocks = (int64_t)a->blocks,
        .st_atime_sec = (uint64_t)a->atime.sec,
        .st_atime_nsec = a->atime.nsec,
        .st_mtime_sec = (uint64_t)a->mtime.sec,
        .st_mtime_nsec = a->mtime.nsec,
        .st_ctime_sec = (uint64_t)a->ctime.sec,
        .st_ctime_nsec = a->ctime.nsec,
    };

    return put_user(&st, ubuf);
}

static long stat_path(int dfd, uaddr_t name, bool follow, bool empty_ok, uaddr_t ubuf)
{
    struct fs_attr a;
    struct path p;
    long ret = path_from_user(dfd, name, follow, empty_ok, &p);

    if (ret < 0)
        return ret;
    ret = vfs_getattr(&p, &a);
    path_put(&p);
    return ret < 0 ? ret : stat_out(&a, ubuf);
}

long sys_fstat(struct task *t, int fd, uaddr_t ubuf)
{
    struct fs_attr a;
    struct file *f;
    long ret = fdtable_lookup_any_get(t->curr.files, fd, &f);

    if (ret < 0)
        return ret;
    ret = vfs_getattr(&f->path, &a);
    file_put(f);
    return ret < 0 ? ret : stat_out(&a, ubuf);
}

long sys_stat(struct task *t, uaddr_t pathname, uaddr_t statbuf)
{
    return stat_path(LX_AT_FDCWD, pathname, /*follow=*/true, false, statbuf);
}

long sys_lstat(struct task *t, uaddr_t pathname, uaddr_t statbuf)
{
    return stat_path(LX_AT_FDCWD, pathname, /*follow=*/false, false, statbuf);
}

long sys_newfstatat(struct task *t, int dfd, uaddr_t filename, uaddr_t statbuf, int flag)
{
    char first;

    if (flag &
        ~(LX_AT_SYMLINK_NOFOLLOW | LX_AT_NO_AUTOMOUNT | LX_AT_EMPTY_PATH | LX_AT_STATX_SYNC_TYPE))
        return -EINVAL;
    /* What glibc's fstat is. */
    if (flag == LX_AT_EMPTY_PATH && dfd >= 0 && get_user(&first, filename) == 0 && !first)
        return sys_fstat(t, dfd, statbuf);
    return stat_path(dfd, filename, !(flag & LX_AT_SYMLINK_NOFOLLOW), flag & LX_AT_EMPTY_PATH,
                     statbuf);
}

static struct lx_statx_timestamp statx_time(const struct fs_time *ts)
{
    return (struct lx_statx_timestamp){.tv_sec = ts->sec, .tv_nsec = ts->nsec};
}

static long statx_out(const struct path *p, const struct fs_attr *a, uint32_t want, uaddr_t ubuf)
{
    const uint32_t kept = LX_STATX_ATTR_IMMUTABLE | LX_STATX_ATTR_APPEND | LX_STATX_ATTR_NODUMP;
    const struct userns *ns = curr()->cred->userns;
    struct fs_fileattr fa;
    struct lx_statx sx = {
        .stx_mask = LX_STATX_BASIC_STATS | LX_STATX_MNT_ID,
        .stx_blksize = a->blksize,
        .stx_attributes_mask = LX_STATX_ATTR_MOUNT_ROOT,
        .stx_nlink = a->nlink,
        .stx_uid = userns_from_kuid(ns, a->uid),
        .stx_gid = userns_from_kgid(ns, a->gid),
        .stx_mode = (uint16_t)a->mode,
        .stx_ino = a->ino,
        .stx_size = a->size,
        .stx_blocks = a->blocks,
        .stx_atime = statx_time(&a->atime),
        .stx_ctime = statx_time(&a->ctime),
        .stx_mtime = statx_time(&a->mtime),
        .stx_rdev_major = lx_dev_major(a->rdev),
        .stx_rdev_minor = lx_dev_minor(a->rdev),
        .stx_dev_major = lx_dev_major(a->dev),
        .stx_dev_minor = lx_dev_minor(a->dev),
        .stx_mnt_id = mount_id(p->mnt),
    };

    if (want & LX_STATX_MNT_ID_UNIQUE) {
        sx.stx_mask ^= LX_STATX_MNT_ID | LX_STATX_MNT_ID_UNIQUE;
        sx.stx_mnt_id = mount_unique_id(p->mnt);
    }
    if (a->mask & ATTR_BTIME) {
        sx.stx_mask |= LX_STATX_BTIME;
        sx.stx_btime = statx_time(&a->btime);
    }
    if (p->mnt && mount_root(p->mnt) == p->dentry)
        sx.stx_attributes |= LX_STATX_ATTR_MOUNT_ROOT;
    if (vfs_fileattr_get(p, &fa) == 0) {
        /* Linux: they have the values of the inode flags. */
        sx.stx_attributes_mask |= kept;
        sx.stx_attributes |= fa.flags & kept;
    }
    return put_user(&sx, ubuf);
}

long sys_statx(struct task *t, int dfd, uaddr_t filename, uint32_t flags, uint32_t mask,
               uaddr_t buffer)
{
    struct fs_attr a;
    struct path p;
    long ret;

    if (mask & LX_STATX__RESERVED)
        return -EINVAL;
    if ((flags & LX_AT_STATX_SYNC_TYPE) == LX_AT_STATX_SYNC_TYPE)
        return -EINVAL;
    if (flags & ~(uint32_t)(LX_AT_SYMLINK_NOFOLLOW | LX_AT_NO_AUTOMOUNT | LX_AT_EMPTY_PATH |
                            LX_AT_STATX_SYNC_TYPE))
        return -EINVAL;
    ret = path_from_user(dfd, filename, !(flags & LX_AT_SYMLINK_NOFOLLOW), flags & LX_AT_EMPTY_PATH,
                         &p);
    if (ret < 0)
        return ret;
    ret = vfs_getattr(&p, &a);
    if (ret == 0)
        ret = statx_out(&p, &a, mask, buffer);
    path_put(&p);
    return ret;
}

/* ---- access ---------------------------------------------------------------------------------- */

#define SECBIT_NO_SETUID_FIXUP 4u

/* The credentials access(2) asks with: real ids; capabilities as that user would have. */
static int access_cred(const struct cred *c, struct cred **out)
{
    bool root = c->ruid == userns_to_kuid(c->userns, 0);
    uint64_t caps = c->cap_effective;
    int ret;

    if (!(c->securebits & SECBIT_NO_SETUID_FIXUP))
        caps = root ? c->cap_permitted : 0;
    if (c->fsuid == c->ruid && c->fsgid == c->rgid && caps == c->cap_effective) {
        *out = NULL;
        return 0;
    }
    ret = cred_copy(c, out);
    if (ret == 0) {
        (*out)->fsuid = c->ruid;
        (*out)->fsgid = c->rgid;
        (*out)->cap_effective = caps;
    }
    return ret;
}

static void swap_cred(struct task *t, struct cred **other)
{
    struct cred *mine;

    mutex_lock(&t->lock);
    mine = t->curr.cred;
    t->curr.cred = *other;
    *other = mine;
    mutex_unlock(&t->lock);
}

static int access_check(const struct path *p, uint32_t mode)
{
    struct inode *i = p->dentry->inode;
    uint32_t type = inode_type(i);
    int ret;

    if ((mode & MAY_EXEC) && type == LX_S_IFREG && (mount_flags(p->mnt) & MOUNT_NOEXEC))
        return -EACCES;
    ret = inode_permission(i, mode);
    if (ret == 0 && (mode & MAY_WRITE) && (mount_flags(p->mnt) & MOUNT_READONLY) &&
        (type == LX_S_IFREG || type == LX_S_IFDIR || type == LX_S_IFLNK))
        ret = -EROFS;
    return ret;
}

long sys_faccessat2(struct task *t, int dfd, uaddr_t filename, int mode, int flags)
{
    struct cred *other = NULL;
    struct path p;
    long ret;

    if (mode & ~7)
        return -EINVAL;
    if (flags & ~(LX_AT_EACCESS | LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH))
        return -EINVAL;
    if (!(flags & LX_AT_EACCESS)) {
        ret = access_cred(t->curr.cred, &other);
        if (ret < 0)
            return ret;
    }
    if (other)
        swap_cred(t, &other);
    ret = path_from_user(dfd, filename, !(flags & LX_AT_SYMLINK_NOFOLLOW), flags & LX_AT_EMPTY_PATH,
                         &p);
    if (ret == 0) {
        ret = access_check(&p, (uint32_t)mode);
        path_put(&p);
    }
    if (other) {
        swap_cred(t, &other);
        cred_put(other);
    }
    return ret;
}

long sys_faccessat(struct task *t, int dfd, uaddr_t filename, int mode)
{
    return sys_faccessat2(t, dfd, filename, mode, 0);
}

long sys_access(struct task *t, uaddr_t filename, int mode)
{
    return sys_faccessat2(t, LX_AT_FDCWD, filename, mode, 0);
}

/* ---- readlink -------------------------------------------------------------------------------- */

long sys_readlinkat(struct task *t, int dfd, uaddr_t pathname, uaddr_t buf, int bufsiz)
{
    struct path_arg name;
    struct path p;
    char *text;
    size_t len;
    long ret;

    if (bufsiz <= 0)
        return -EINVAL;
    ret = path_arg_init(&name, pathname, /*empty_ok=*/true);
    if (ret < 0)
        return ret;
    ret = vfs_walk(dfd, name.s, WALK_EMPTY, &p);
    if (ret < 0 || (!*name.s && dfd == LX_AT_FDCWD)) {
        if (ret == 0)
            path_put(&p);
        path_arg_free(&name);
        return ret < 0 ? ret : -ENOENT;
    }
    ret = vfs_readlink(&p, &text);
    if (ret == -EINVAL && !*name.s)
        ret = -ENOENT;
    path_put(&p);
    path_arg_free(&name);
    if (ret < 0)
        return ret;
    len = strlen(text);
    if (len > (size_t)bufsiz)
        len = (size_t)bufsiz;
    ret = copy_out(buf, text, len);
    free(text);
    return ret < 0 ? ret : (long)len;
}

long sys_readlink(struct task *t, uaddr_t path, uaddr_t buf, int bufsiz)
{
    return sys_readlinkat(t, LX_AT_FDCWD, path, buf, bufsiz);
}

/* ---- statfs ---------------------------------------------------------------------------------- */

static int64_t statfs_flags(const struct mount *m)
{
    static const struct {
        uint32_t mount, st;
    } map[] = {{MOUNT_READONLY, LX_ST_RDONLY},  {MOUNT_NOSUID, LX_ST_NOSUID},
               {MOUNT_NODEV, LX_ST_NODEV},      {MOUNT_NOEXEC, LX_ST_NOEXEC},
               {MOUNT_NOATIME, LX_ST_NOATIME},  {MOUNT_NODIRATIME, LX_ST_NODIRATIME},
               {MOUNT_RELATIME, LX_ST_RELATIME}};
    uint32_t flags = mount_flags(m), out = LX_ST_VALID;
    size_t i;

    for (i = 0; i < ARRAY_COUNT(map); i++) {
        if (flags & map[i].mount)
            out |= map[i].st;
    }
    if (mount_super(m)->flags & SUPER_READONLY)
        out |= LX_ST_RDONLY;
    return out;
}

static long statfs_out(const struct path *p, uaddr_t ubuf)
{
    struct super *s = p->dentry->super;
    struct fs_statfs st = {.type = 0};
    struct lx_statfs out;
    int ret = s->ops->statfs(s, &st);

    if (ret < 0)
        return ret;
    out = (struct lx_statfs){
        .f_type = (int64_t)st.type,
        .f_bsize = (int64_t)st.bsize,
        .f_blocks = st.blocks,
        .f_bfree = st.bfree,
        .f_bavail = st.bavail,
        .f_files = st.files,
        .f_ffree = st.ffree,
        .f_fsid = {(int32_t)st.fsid, (int32_t)(st.fsid >> 32)},
        .f_namelen = (int64_t)st.namelen,
        .f_frsize = (int64_t)(st.frsize ? st.frsize : st.bsize),
        .f_flags = statfs_flags(p->mnt),
    };
    return put_user(&out, ubuf);
}

long sys_statfs(struct task *t, uaddr_t pathname, uaddr_t buf)
{
    struct path p;
    long ret = path_from_user(LX_AT_FDCWD, pathname, /*follow=*/true, false, &p);

    if (ret < 0)
        return ret;
    ret = statfs_out(&p, buf);
    path_put(&p);
    return ret;
}

long sys_fstatfs(struct task *t, int fd, uaddr_t buf)
{
    struct file *f;
    long ret = fdtable_lookup_any_get(t->curr.files, fd, &f);

    if (ret < 0)
        return ret;
    ret = statfs_out(&f->path, buf);
    file_put(f);
    return ret;
}

long sys_ustat(struct task *t, uint32_t dev, uaddr_t ubuf)
{
    struct lx_ustat out = {.f_tfree = 0};
    struct fs_statfs st = {.type = 0};
    struct super *s = vfs_super_by_dev(t->curr.mntns, lx_dev_decode(dev));
    long ret;

    if (!s)
        return -EINVAL;
    ret = s->ops->statfs(s, &st);
    super_put(s);
    if (ret < 0)
        return ret;
    out.f_tfree = (int32_t)st.bfree;
    out.f_tinode = st.ffree;
    return put_user(&out, ubuf);
}
