/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copy-up: an object of a lower layer gets a writable twin in the upper one.
 *
 * The twin of a file is made without a name, filled (data, owner, mode, times, attributes), and
 * only then linked into place, so nobody sees half of it; where the upper file system knows no
 * nameless files it is made under its name, which only overlay lookups could see, and those find
 * this overlay inode in the table first. oi->upper is set last: until then everybody uses the lower
 * object.
 *
 * A file that was opened before goes on reading the lower object until its next read or write
 * (file.c); mappings made before keep showing the lower one, as in Linux.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/overlay/overlay_internal.h"

#define COPY_CHUNK (256u << 10)

int ovl_open_real(struct dentry *d, uint32_t flags, struct file **out)
{
    struct inode *i = d->inode;
    int ret = i->ops->open ? i->ops->open(i, d, flags, out) : -ENXIO;

    if (ret < 0)
        return ret;
    if (!(*out)->path.dentry)
        (*out)->path.dentry = dentry_get(d);
    if (!(*out)->inode)
        (*out)->inode = inode_get(i);
    return 0;
}

/* ---- contents -------------------------------------------------------------------------------- */

static int copy_range(struct file *from, struct file *to, uint8_t *buf, uint64_t off, uint64_t end)
{
    while (off < end) {
        size_t want = (size_t)MIN(end - off, (uint64_t)COPY_CHUNK), done = 0;
        ssize_t n = file_read_kernel(from, buf, want, (lx_loff_t)off);

        if (n <= 0)
            return (int)n; /* shorter than its size said: the rest is a hole */
        while (done < (size_t)n) {
            struct iov_iter it;
            lx_loff_t pos = (lx_loff_t)(off + done);
            ssize_t put;

            iov_iter_init_kernel(&it, buf + done, (size_t)n - done);
            put = to->ops->write(to, &it, &pos);
            if (put <= 0)
                return put < 0 ? (int)put : -EIO;
            done += (size_t)put;
        }
        off += (uint64_t)n;
    }
    return 0;
}

/* Where data goes on at or after off, and where it ends. false: nothing more. */
static bool next_extent(struct file *from, uint64_t off, uint64_t size, uint64_t *out_start,
                        uint64_t *out_end)
{
    lx_loff_t start =
        from->ops->seek ? from->ops->seek(from, (lx_loff_t)off, LX_SEEK_DATA) : -EINVAL;
    lx_loff_t end;

    *out_start = off;
    *out_end = size;
    if (start == -ENXIO || (start >= 0 && (uint64_t)start >= size))
        return false;
    if (start < 0)
        return true; /* holes are not told: all of it is data */
    end = from->ops->seek(from, start, LX_SEEK_HOLE);
    *out_start = (uint64_t)start;
    if (end > start && (uint64_t)end < size)
        *out_end = (uint64_t)end;
    return true;
}

static int copy_data(struct dentry *lower, struct dentry *upper, uint64_t limit)
{
    uint64_t size = MIN(lower->inode->attr.size, limit), off = 0, start, end;
    struct fs_attr attr = {.mask = ATTR_SIZE, .size = size};
    struct file *from, *to;
    uint8_t *buf;
    int ret;

    if (size == 0)
        return 0;
    ret = inode_setattr(upper->inode, &attr);
    if (ret < 0)
        return ret;
    buf = malloc(COPY_CHUNK);
    if (!buf)
        return -ENOMEM;
    ret = ovl_open_real(lower, LX_O_RDONLY, &from);
    if (ret < 0)
        goto out_buf;
    ret = ovl_open_real(upper, LX_O_WRONLY, &to);
    if (ret < 0)
        goto out_from;
    while (ret == 0 && off < size && next_extent(from, off, size, &start, &end)) {
        ret = copy_range(from, to, buf, start, end);
        off = end;
    }
    file_put(to);
out_from:
    file_put(from);
out_buf:
    free(buf);
    return ret;
}

static int copy_xattr(struct inode *from, struct inode *to, const char *name)
{
    ssize_t size = from->ops->getxattr(from, name, NULL, 0);
    void *value;
    int ret = 0;

    if (size < 0)
        return size == -ENODATA ? 0 : (int)size;
    value = malloc((size_t)size + 1);
    if (!value)
        return -ENOMEM;
    size = from->ops->getxattr(from, name, value, (size_t)size + 1);
    if (size >= 0)
        ret = to->ops->setxattr(to, name, value, (size_t)size, 0);
    free(value);
    return ret == -EOPNOTSUPP ? 0 : ret;
}

static int copy_xattrs(struct inode *from, struct inode *to)
{
    ssize_t size, off = 0;
    char *names;
    int ret = 0;

    if (!from->ops->listxattr || !from->ops->getxattr || !to->ops->setxattr)
        return 0;
    size = from->ops->listxattr(from, NULL, 0);
    if (size <= 0)
        return 0; /* none, or a file system without them */
    names = malloc((size_t)size);
    if (!names)
        return -ENOMEM;
    size = from->ops->listxattr(from, names, (size_t)size);
    while (off < size && ret == 0) {
        size_t len = strnlen(names + off, (size_t)(size - off));

        if (off + (ssize_t)len >= size)
            break;
        if (strncmp(names + off, OVL_XATTR_PREFIX, strlen(OVL_XATTR_PREFIX)) != 0)
            ret = copy_xattr(from, to, names + off);
        off += (ssize_t)len + 1;
    }
    free(names);
    return ret;
}

/* Everything but data. Last, because filling changes times and set-id bits. */
static int copy_meta(struct ovl_inode *oi, struct inode *from, struct inode *to)
{
    struct fs_attr attr = from->attr;
    uint64_t ino = oi->inode.attr.ino;
    int ret = copy_xattrs(from, to);

    if (ret < 0)
        return ret;
    if (!LX_S_ISDIR(attr.mode) && to->ops->setxattr) {
        ret = ovl_mark_set(to, OVL_XATTR_ORIGIN, &ino, sizeof(ino));
        if (ret < 0 && ret != -EOPNOTSUPP && ret != -EPERM)
            return ret;
    }
    attr.mask = ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME;
    if (!LX_S_ISLNK(attr.mode))
        attr.mask |= ATTR_MODE;
    if (to->ops->set_fsflags)
        to->fsflags = from->fsflags;
    return inode_setattr(to, &attr);
}

/* ---- the twin -------------------------------------------------------------------------------- */

/* The negative upper child by that name, dir lock held. -EEXIST when something is there. */
static int upper_child(struct dentry *dir, const char *name, struct dentry **out)
{
    int ret = walk_lookup(dir, name, strlen(name), /*locked=*/true, out);

    if (ret < 0)
        return ret;
    if ((*out)->inode) {
        dentry_put(*out);
        return -EEXIST;
    }
    return 0;
}

static int make_named(struct inode *dir, struct dentry *child, const struct inode *lower)
{
    uint32_t mode = lower->attr.mode;
    char *text = NULL;
    int ret;

    switch (mode & LX_S_IFMT) {
    case LX_S_IFREG:
        return dir->ops->create ? dir->ops->create(dir, child, mode) : -EROFS;
    case LX_S_IFDIR:
        return dir->ops->mkdir ? dir->ops->mkdir(dir, child, mode) : -EROFS;
    case LX_S_IFLNK:
        if (lower->link)
            return dir->ops->symlink(dir, child, lower->link);
        /* SAFETY: readlink does not change the inode it is given. */
        ret = lower->ops->readlink((struct inode *)(uintptr_t)lower, &text);
        if (ret == 0)
            ret = dir->ops->symlink(dir, child, text);
        free(text);
        return ret;
    default:
        return dir->ops->mknod ? dir->ops->mknod(dir, child, mode, lower->attr.rdev) : -EROFS;
    }
}

static void publish(struct ovl_inode *oi, struct dentry *upper_take)
{
    ovl_inode_rekey(oi, upper_take->inode);
    atomic_store(&oi->upper, upper_take);
    ovl_attr_sync(oi);
}

/* Directories, links, nodes: small, made in place. Nobody else looks the name up meanwhile: whoever
 * asked for the copy-up holds the overlay's dentry. */
static int copy_up_named(struct ovl_inode *oi, struct dentry *dir, const char *name)
{
    struct inode *lower = oi->lowers[0]->inode;
    struct dentry *child;
    int ret;

    mutex_lock(&dir->inode->lock);
    ret = upper_child(dir, name, &child);
    if (ret == 0) {
        ret = make_named(dir->inode, child, lower);
        if (ret < 0)
            dentry_put(child);
        else if (LX_S_ISDIR(lower->attr.mode))
            dir->inode->attr.nlink--; /* counted below already: merged_attr */
    }
    mutex_unlock(&dir->inode->lock);
    if (ret < 0)
        return ret;
    ret = copy_meta(oi, lower, child->inode);
    if (ret == 0) {
        publish(oi, child);
        return 0;
    }
    mutex_lock(&dir->inode->lock);
    if ((LX_S_ISDIR(lower->attr.mode) ? dir->inode->ops->rmdir
                                      : dir->inode->ops->unlink)(dir->inode, child) == 0)
        dentry_delete(child);
    mutex_unlock(&dir->inode->lock);
    dentry_put(child);
    return ret;
}

static int make_nameless(struct dentry *dir, uint32_t mode, struct dentry **out)
{
    struct inode *twin;
    int ret;

    if (!dir->inode->ops->tmpfile)
        return -EOPNOTSUPP;
    mutex_lock(&dir->inode->lock);
    ret = dir->inode->ops->tmpfile(dir->inode, mode, &twin);
    mutex_unlock(&dir->inode->lock);
    return ret < 0 ? ret : dentry_make_tmpfile(dir, twin, out);
}

/* Regular files: filled without a name, then linked (name NULL: never). */
static int copy_up_file(struct ovl_inode *oi, struct dentry *dir, const char *name, uint64_t limit)
{
    struct dentry *lower = oi->lowers[0], *twin, *child;
    int ret = make_nameless(dir, lower->inode->attr.mode, &twin);

    if (ret == -EOPNOTSUPP && name) {
        mutex_lock(&dir->inode->lock);
        ret = upper_child(dir, name, &twin);
        if (ret == 0) {
            ret = make_named(dir->inode, twin, lower->inode);
            if (ret < 0)
                dentry_put(twin);
        }
        mutex_unlock(&dir->inode->lock);
        name = NULL;
    }
    if (ret < 0)
        return ret;
    ret = copy_data(lower, twin, limit);
    if (ret == 0)
        ret = copy_meta(oi, lower->inode, twin->inode);
    if (ret == 0 && name) {
        mutex_lock(&dir->inode->lock);
        ret = upper_child(dir, name, &child);
        if (ret == 0) {
            ret = dir->inode->ops->link(twin->inode, dir->inode, child);
            if (ret < 0)
                dentry_put(child);
        }
        mutex_unlock(&dir->inode->lock);
        if (ret == 0) {
            dentry_put(twin);
            twin = child;
        }
    }
    if (ret < 0)
        dentry_put(twin);
    else
        publish(oi, twin);
    return ret;
}

/* oi's parent has an upper directory (or oi has no name and goes anywhere). */
static int copy_up_one(struct ovl_inode *oi, uint64_t limit)
{
    struct ovl_super *os = oi->os;
    struct ovl_inode *parent;
    char name[LX_NAME_MAX + 1] = "";
    struct dentry *dir;
    bool named;
    int ret = 0;

    mutex_lock(&oi->copyup);
    if (oi->upper)
        goto out;
    mutex_lock(&os->lock);
    named = oi->name != NULL;
    if (named)
        memcpy(name, oi->name, strlen(oi->name) + 1);
    parent = oi->parent;
    if (parent)
        inode_get(&parent->inode);
    mutex_unlock(&os->lock);
    dir = parent && parent->upper ? parent->upper : os->layers[0].root.dentry;
    if (LX_S_ISREG(oi->inode.attr.mode))
        ret = copy_up_file(oi, dir, named ? name : NULL, limit);
    else if (named)
        ret = copy_up_named(oi, dir, name);
    else
        ret = -ENOENT; /* a removed directory or node: nothing is left to change */
    if (parent)
        inode_put(&parent->inode);
out:
    mutex_unlock(&oi->copyup);
    return ret;
}

int ovl_copy_up(struct ovl_inode *oi, uint64_t limit)
{
    if (oi->upper)
        return 0;
    if (!oi->os->has_upper)
        return -EROFS;
    while (!oi->upper) {
        /* The topmost ancestor that is not up yet. */
        struct ovl_inode *at = oi, *next;
        int ret;

        mutex_lock(&oi->os->lock);
        while (at->name && (next = at->parent) != NULL && !next->upper)
            at = next;
        inode_get(&at->inode);
        mutex_unlock(&oi->os->lock);
        ret = copy_up_one(at, at == oi ? limit : OVL_ALL_DATA);
        inode_put(&at->inode);
        if (ret < 0)
            return ret;
    }
    return 0;
}
