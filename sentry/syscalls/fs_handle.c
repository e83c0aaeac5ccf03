/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_to_handle_at(2), open_by_handle_at(2). A handle names an inode of a file system instance.
 * DEVIATION: it opens again while some name of the inode is in the cache of names, else it is stale;
 * on Linux it is stale when the inode has gone.
 */
#include <errno.h>

#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

#define HANDLE_TYPE        1
#define HANDLE_TYPE_NUMBER 0xfe /* FILEID_KERNFS */

struct handle_body {
    uint64_t ino;
    uint64_t dev; /* not of a HANDLE_TYPE_NUMBER */
};

static uint32_t body_size(const struct mount *m)
{
    return mount_super(m)->flags & SUPER_NUMBER_HANDLES ? sizeof(uint64_t)
                                                        : sizeof(struct handle_body);
}

static int32_t handle_type(uint32_t size)
{
    return size == sizeof(uint64_t) ? HANDLE_TYPE_NUMBER : HANDLE_TYPE;
}

long sys_name_to_handle_at(struct task *t, int dfd, uaddr_t name, uaddr_t uhandle, uaddr_t mnt_id,
                           int flag)
{
    struct lx_file_handle h;
    struct handle_body body;
    struct fs_attr attr;
    struct path p;
    uint64_t unique;
    uint32_t size;
    int32_t id;
    int ret;

    if (flag &
        ~(LX_AT_SYMLINK_FOLLOW | LX_AT_EMPTY_PATH | LX_AT_HANDLE_FID | LX_AT_HANDLE_MNT_ID_UNIQUE))
        return -EINVAL;
    ret = path_from_user(dfd, name, flag & LX_AT_SYMLINK_FOLLOW, flag & LX_AT_EMPTY_PATH, &p);
    if (ret < 0)
        return ret;
    id = (int32_t)mount_id(p.mnt);
    unique = mount_unique_id(p.mnt);
    size = body_size(p.mnt);
    ret = vfs_getattr(&p, &attr);
    path_put(&p);
    if (ret == 0)
        ret = get_user(&h, uhandle);
    if (ret < 0)
        return ret;
    if (h.handle_bytes > LX_MAX_HANDLE_SZ)
        return -EINVAL;
    if (h.handle_bytes < size) {
        h.handle_bytes = size;
        ret = put_user(&h, uhandle);
        return ret < 0 ? ret : -EOVERFLOW;
    }
    h.handle_bytes = size;
    h.handle_type = handle_type(size);
    body = (struct handle_body){.ino = attr.ino, .dev = attr.dev};
    ret = flag & LX_AT_HANDLE_MNT_ID_UNIQUE ? put_user(&unique, mnt_id) : put_user(&id, mnt_id);
    if (ret == 0)
        ret = put_user(&h, uhandle);
    if (ret == 0)
        ret = copy_out(uhandle + sizeof(h), &body, size);
    return ret;
}

/* The file system that the handle is of: that of a descriptor, or of the working directory. */
static int anchor_get(int fd, struct path *out)
{
    struct file *f;
    int ret;

    if (fd == LX_AT_FDCWD) {
        fs_ctx_cwd(curr()->fs, out);
        return 0;
    }
    ret = fdtable_lookup_any_get(curr()->files, fd, &f);
    if (ret < 0)
        return ret;
    *out = f->path;
    path_get(out);
    file_put(f);
    return 0;
}

static int handle_to_path(const struct path *anchor, const struct lx_file_handle *h,
                          uaddr_t uhandle, struct path *out)
{
    uint32_t size = body_size(anchor->mnt);
    struct handle_body body;
    struct fs_attr attr;
    int ret;

    if (h->handle_bytes != size || h->handle_type != handle_type(size))
        return -ESTALE;
    if (copy_in(&body, uhandle + sizeof(*h), size) < 0)
        return -EFAULT;
    ret = vfs_path_of_inode(anchor, body.ino, out);
    if (ret < 0)
        return ret;
    ret = vfs_getattr(out, &attr);
    if (ret == 0 && h->handle_type == HANDLE_TYPE && attr.dev != body.dev)
        ret = -ESTALE;
    if (ret < 0)
        path_put(out);
    return ret;
}

long sys_open_by_handle_at(struct task *t, int mountdirfd, uaddr_t uhandle, int flags)
{
    struct path anchor, p;
    struct lx_file_handle h;
    struct file *f;
    int ret;

    if (get_user(&h, uhandle) < 0)
        return -EFAULT;
    if (h.handle_bytes > LX_MAX_HANDLE_SZ || h.handle_bytes == 0)
        return -EINVAL;
    ret = anchor_get(mountdirfd, &anchor);
    if (ret < 0)
        return ret;
    if (!cred_capable(t->curr.cred, LX_CAP_DAC_READ_SEARCH))
        ret = -EPERM;
    if (ret == 0)
        ret = handle_to_path(&anchor, &h, uhandle, &p);
    path_put(&anchor);
    if (ret < 0)
        return ret;
    ret = vfs_open_path(&p, (uint32_t)flags & ~(uint32_t)(LX_O_CREAT | LX_O_EXCL | LX_O_CLOEXEC),
                        t->curr.cred, &f);
    path_put(&p);
    if (ret < 0)
        return ret;
    ret = fdtable_install_take(t->curr.files, f, 0, (uint32_t)flags & LX_O_CLOEXEC);
    if (ret < 0)
        file_put(f);
    return ret;
}
