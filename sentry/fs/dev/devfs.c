/* SPDX-License-Identifier: Apache-2.0 */
/* The tree for /dev: a tmpfs filled with nodes and links, as container runtimes make it. */
#include <errno.h>
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/stat.h"
#include "sentry/fs/dev/dev.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/fs/vfs_internal.h"

/* Makes one child of dir; target: of a symbolic link. An existing name of the same kind is fine. */
static int devfs_add(struct dentry *dir, const char *name, size_t len, uint32_t mode, lx_dev_t rdev,
                     const char *target, struct dentry **out)
{
    struct inode *di = dir->inode;
    struct dentry *child;
    int ret = dentry_alloc_child(dir, name, len, &child);

    if (ret < 0)
        return ret;
    mutex_lock(&di->lock);
    if (LX_S_ISDIR(mode))
        ret = di->ops->mkdir(di, child, mode);
    else if (LX_S_ISLNK(mode))
        ret = di->ops->symlink(di, child, target);
    else if (LX_S_ISREG(mode))
        ret = di->ops->create(di, child, mode);
    else
        ret = di->ops->mknod(di, child, mode, rdev);
    mutex_unlock(&di->lock);
    if (ret == 0 && out)
        *out = child;
    else
        dentry_put(child);
    return ret;
}

/* A child that exists, from the cache or the file system. */
static int devfs_find(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
    struct inode *inode = NULL;
    int ret;

    *out = dentry_lookup(dir, name, len);
    if (*out && (*out)->inode)
        return 0;
    if (*out)
        dentry_put(*out);
    mutex_lock(&dir->inode->lock);
    ret = dir->inode->ops->lookup(dir->inode, name, len, &inode);
    mutex_unlock(&dir->inode->lock);
    if (ret < 0)
        return ret;
    return inode ? dentry_add(dir, name, len, inode, out) : -ENOENT;
}

static const struct {
    const char *name;
    uint32_t mode;
    uint32_t major, minor;
    const char *target;
} devfs_content[] = {
    {"null", LX_S_IFCHR | 0666, 1, 3, NULL},
    {"zero", LX_S_IFCHR | 0666, 1, 5, NULL},
    {"full", LX_S_IFCHR | 0666, 1, 7, NULL},
    {"random", LX_S_IFCHR | 0666, 1, 8, NULL},
    {"urandom", LX_S_IFCHR | 0666, 1, 9, NULL},
    {"tty", LX_S_IFCHR | 0666, 5, 0, NULL},
    {"ptmx", LX_S_IFLNK | 0777, 0, 0, "pts/ptmx"},
    {"fd", LX_S_IFLNK | 0777, 0, 0, "/proc/self/fd"},
    {"stdin", LX_S_IFLNK | 0777, 0, 0, "/proc/self/fd/0"},
    {"stdout", LX_S_IFLNK | 0777, 0, 0, "/proc/self/fd/1"},
    {"stderr", LX_S_IFLNK | 0777, 0, 0, "/proc/self/fd/2"},
};

int devfs_create(struct super **out)
{
    struct tmpfs_options opt = {.size_limit = 1u << 26, .mode = 0755};
    struct super *s;
    int ret = tmpfs_create(&opt, &s);

    if (ret < 0)
        return ret;
    s->type = "devtmpfs";
    for (size_t i = 0; i < ARRAY_COUNT(devfs_content) && ret == 0; i++) {
        ret = devfs_add(s->root, devfs_content[i].name, strlen(devfs_content[i].name),
                        devfs_content[i].mode,
                        lx_mkdev(devfs_content[i].major, devfs_content[i].minor),
                        devfs_content[i].target, NULL);
    }
    if (ret < 0)
        super_put(s);
    else
        *out = s;
    return ret;
}

int devfs_add_node(struct super *devfs, const char *name, uint32_t mode, lx_uid_t uid, lx_gid_t gid,
                   lx_dev_t rdev)
{
    struct dentry *dir = dentry_get(devfs->root), *child = NULL;
    const char *slash;
    int ret = 0;

    while ((slash = strchr(name, '/')) != NULL && ret == 0) {
        size_t len = (size_t)(slash - name);
        struct dentry *next = NULL;

        if (name[0] == '.')
            ret = -EINVAL; /* no "..", and no hidden directories either */
        else
            ret = len == 0 ? 0 : devfs_find(dir, name, len, &next);
        if (ret == -ENOENT)
            ret = devfs_add(dir, name, len, LX_S_IFDIR | 0755, 0, NULL, &next);
        name = slash + 1;
        if (ret < 0 || !next)
            continue;
        dentry_put(dir);
        dir = next;
    }
    if (ret == 0 && (*name == '\0' || *name == '.' || !dentry_is_dir(dir)))
        ret = -EINVAL;
    if (ret == 0)
        ret = devfs_find(dir, name, strlen(name), &child);
    if (ret == -ENOENT)
        ret = devfs_add(dir, name, strlen(name), mode, rdev, NULL, &child);
    if (ret == 0) {
        struct inode *i = child->inode;

        mutex_lock(&i->lock);
        i->attr.mode = mode;
        i->attr.uid = uid;
        i->attr.gid = gid;
        i->attr.rdev = rdev;
        mutex_unlock(&i->lock);
    }
    if (child)
        dentry_put(child);
    dentry_put(dir);
    return ret;
}

static int devtmpfs_mount(const struct fs_type *type, const char *source, const char *options,
                          uint32_t super_flags, struct super **out)
{
    return devfs_create(out);
}

/* Linux: one instance for the whole machine; a container that mounts it gets its own here. */
const struct fs_type g_fs_devtmpfs = {.name = "devtmpfs", .mount = devtmpfs_mount};
