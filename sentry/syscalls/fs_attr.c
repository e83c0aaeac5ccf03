/* SPDX-License-Identifier: Apache-2.0 */
/* chmod, chown, utimes, truncate. */
#include <errno.h>

#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

static long setattr_path(int dfd, uaddr_t name, bool follow, bool empty_ok,
                         const struct fs_attr *attr)
{
    struct path p;
    long ret = path_from_user(dfd, name, follow, empty_ok, &p);

    if (ret < 0)
        return ret;
    ret = vfs_setattr(&p, attr, NULL);
    path_put(&p);
    return ret;
}

static long setattr_fd(int fd, const struct fs_attr *attr)
{
    struct fd_borrow b;
    long ret = fdtable_borrow(fd, &b);

    if (ret < 0)
        return ret;
    ret = vfs_setattr(&b.file->path, attr, b.file);
    fd_borrow_put(&b);
    return ret;
}

/* ---- chmod ----------------------------------------------------------------------------------- */

static struct fs_attr mode_attr(uint32_t mode)
{
    return (struct fs_attr){.mask = ATTR_MODE, .mode = mode & LX_S_IALLUGO};
}

long sys_fchmodat2(struct task *t, int dfd, uaddr_t filename, uint32_t mode, uint32_t flags)
{
    struct fs_attr attr = mode_attr(mode);
    struct path p;
    long ret;

    if (flags & ~(uint32_t)(LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH))
        return -EINVAL;
    ret = path_from_user(dfd, filename, !(flags & LX_AT_SYMLINK_NOFOLLOW), flags & LX_AT_EMPTY_PATH,
                         &p);
    if (ret < 0)
        return ret;
    if (inode_type(p.dentry->inode) == LX_S_IFLNK)
        ret = -EOPNOTSUPP;
    else
        ret = vfs_setattr(&p, &attr, NULL);
    path_put(&p);
    return ret;
}

long sys_fchmodat(struct task *t, int dfd, uaddr_t filename, uint32_t mode)
{
    return sys_fchmodat2(t, dfd, filename, mode, 0);
}

long sys_chmod(struct task *t, uaddr_t filename, uint32_t mode)
{
    return sys_fchmodat2(t, LX_AT_FDCWD, filename, mode, 0);
}

long sys_fchmod(struct task *t, int fd, uint32_t mode)
{
    struct fs_attr attr = mode_attr(mode);

    return setattr_fd(fd, &attr);
}

/* ---- chown ----------------------------------------------------------------------------------- */

static int owner_attr(uint32_t uid, uint32_t gid, struct fs_attr *out)
{
    const struct userns *ns = curr()->cred->userns;

    *out = (struct fs_attr){.mask = ATTR_KILL_SUID};
    if (uid != LX_ID_INVALID) {
        out->mask |= ATTR_UID;
        out->uid = userns_to_kuid(ns, uid);
        if (out->uid == LX_ID_INVALID)
            return -EINVAL;
    }
    if (gid != LX_ID_INVALID) {
        out->mask |= ATTR_GID;
        out->gid = userns_to_kgid(ns, gid);
        if (out->gid == LX_ID_INVALID)
            return -EINVAL;
    }
    return 0;
}

/* chown of a directory keeps its set-id bits. */
static long chown_path(const struct path *p, uint32_t uid, uint32_t gid)
{
    struct fs_attr attr;
    int ret = owner_attr(uid, gid, &attr);

    if (ret < 0)
        return ret;
    if (inode_type(p->dentry->inode) == LX_S_IFDIR)
        attr.mask &= ~ATTR_KILL_SUID;
    return vfs_setattr(p, &attr, NULL);
}

long sys_fchownat(struct task *t, int dfd, uaddr_t filename, uint32_t user, uint32_t group,
                  int flag)
{
    struct path p;
    long ret;

    if (flag & ~(LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH))
        return -EINVAL;
    ret = path_from_user(dfd, filename, !(flag & LX_AT_SYMLINK_NOFOLLOW), flag & LX_AT_EMPTY_PATH,
                         &p);
    if (ret < 0)
        return ret;
    ret = chown_path(&p, user, group);
    path_put(&p);
    return ret;
}

long sys_chown(struct task *t, uaddr_t filename, uint32_t user, uint32_t group)
{
    return sys_fchownat(t, LX_AT_FDCWD, filename, user, group, 0);
}

long sys_lchown(struct task *t, uaddr_t filename, uint32_t user, uint32_t group)
{
    return sys_fchownat(t, LX_AT_FDCWD, filename, user, group, LX_AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(struct task *t, int fd, uint32_t user, uint32_t group)
{
    struct fd_borrow b;
    long ret = fdtable_borrow(fd, &b);

    if (ret < 0)
        return ret;
    ret = chown_path(&b.file->path, user, group);
    fd_borrow_put(&b);
    return ret;
}

/* ---- times ----------------------------------------------------------------------------------- */

struct utime_pair {
    int64_t sec[2], nsec[2]; /* access, modification */
};

static bool nsec_ok(int64_t nsec)
{
    return nsec == LX_UTIME_NOW || nsec == LX_UTIME_OMIT || (nsec >= 0 && nsec < 1000000000);
}

/* times NULL: both now. 1: nothing to do. */
static int times_attr(const struct utime_pair *times, struct fs_attr *out)
{
    static const uint32_t set[2] = {ATTR_ATIME, ATTR_MTIME},
                          now[2] = {ATTR_ATIME_NOW, ATTR_MTIME_NOW};
    int i;

    *out = (struct fs_attr){.mask = ATTR_ATIME_NOW | ATTR_MTIME_NOW};
    if (!times)
        return 0;
    out->mask = 0;
    for (i = 0; i < 2; i++) {
        struct fs_time *where = i == 0 ? &out->atime : &out->mtime;

        if (times->nsec[i] == LX_UTIME_OMIT)
            continue;
        if (times->nsec[i] == LX_UTIME_NOW) {
            out->mask |= now[i];
        } else {
            out->mask |= set[i];
            *where = (struct fs_time){times->sec[i], (uint32_t)times->nsec[i]};
        }
    }
    return out->mask == 0;
}

static long do_utimes(int dfd, uaddr_t filename, const struct utime_pair *times, int flags)
{
    struct fs_attr attr;

    if (times && (!nsec_ok(times->nsec[0]) || !nsec_ok(times->nsec[1])))
        return -EINVAL;
    if (times_attr(times, &attr))
        return 0;
    if (!filename && dfd != LX_AT_FDCWD)
        return flags ? -EINVAL : setattr_fd(dfd, &attr);
    if (flags & ~(LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH))
        return -EINVAL;
    return setattr_path(dfd, filename, !(flags & LX_AT_SYMLINK_NOFOLLOW), flags & LX_AT_EMPTY_PATH,
                        &attr);
}

long sys_utimensat(struct task *t, int dfd, uaddr_t filename, uaddr_t utimes, int flags)
{
    struct utime_pair times;
    int64_t raw[4];
    int ret;

    if (!utimes)
        return do_utimes(dfd, filename, NULL, flags);
    ret = copy_in(raw, utimes, sizeof(raw));
    if (ret < 0)
        return ret;
    times = (struct utime_pair){{raw[0], raw[2]}, {raw[1], raw[3]}};
    return do_utimes(dfd, filename, &times, flags);
}

long sys_futimesat(struct task *t, int dfd, uaddr_t filename, uaddr_t utimes)
{
    struct utime_pair times;
    int64_t raw[4];
    int ret;

    if (!utimes)
        return do_utimes(dfd, filename, NULL, 0);
    ret = copy_in(raw, utimes, sizeof(raw));
    if (ret < 0)
        return ret;
    if (raw[1] < 0 || raw[1] >= 1000000 || raw[3] < 0 || raw[3] >= 1000000)
        return -EINVAL;
    times = (struct utime_pair){{raw[0], raw[2]}, {raw[1] * 1000, raw[3] * 1000}};
    return do_utimes(dfd, filename, &times, 0);
}

long sys_utimes(struct task *t, uaddr_t filename, uaddr_t utimes)
{
    return sys_futimesat(t, LX_AT_FDCWD, filename, utimes);
}

long sys_utime(struct task *t, uaddr_t filename, uaddr_t utimes)
{
    struct utime_pair times;
    int64_t raw[2];
    int ret;

    if (!utimes)
        return do_utimes(LX_AT_FDCWD, filename, NULL, 0);
    ret = copy_in(raw, utimes, sizeof(raw));
    if (ret < 0)
        return ret;
    times = (struct utime_pair){{raw[0], raw[1]}, {0, 0}};
    return do_utimes(LX_AT_FDCWD, filename, &times, 0);
}

/* ---- truncate -------------------------------------------------------------------------------- */

long sys_truncate(struct task *t, uaddr_t path, lx_loff_t length)
{
    struct fs_attr attr = {.mask = ATTR_SIZE | ATTR_MTIME_NOW, .size = (uint64_t)length};
    struct path p;
    long ret;

    if (length < 0)
        return -EINVAL;
    ret = path_from_user(LX_AT_FDCWD, path, /*follow=*/true, false, &p);
    if (ret < 0)
        return ret;
    switch (inode_type(p.dentry->inode)) {
    case LX_S_IFREG:
        ret = vfs_setattr(&p, &attr, NULL);
        break;
    case LX_S_IFDIR:
        ret = -EISDIR;
        break;
    default:
        ret = -EINVAL;
        break;
    }
    path_put(&p);
    return ret;
}

long sys_ftruncate(struct task *t, int fd, lx_loff_t length)
{
    struct fs_attr attr = {.mask = ATTR_SIZE | ATTR_MTIME_NOW, .size = (uint64_t)length};
    struct fd_borrow b;
    long ret;

    if (length < 0)
        return -EINVAL;
    ret = fdtable_borrow(fd, &b);
    if (ret < 0)
        return ret;
    if (inode_type(b.file->inode) != LX_S_IFREG || !file_writable(b.file))
        ret = -EINVAL;
    else
        ret = vfs_setattr(&b.file->path, &attr, b.file);
    fd_borrow_put(&b);
    return ret;
}
