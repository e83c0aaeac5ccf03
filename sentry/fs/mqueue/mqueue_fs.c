/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqueuefs: one flat directory per ipc namespace. Names are made by mq_open(2) and creat(2) alike;
 * there are no links, renames or sub-directories. A queue lives on without its name while it is
 * open.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/mqueue/mqueue_internal.h"

#define ENTRY_SIZE 20 /* what Linux counts per name */

const struct mqueue_ops *g_mqueue_ops;

static struct mqueue_super *super_of(const struct inode *i)
{
    return container_of(i->super, struct mqueue_super, super);
}

static struct mqueue_dir *dir_of(struct inode *i)
{
    return container_of(i, struct mqueue_dir, inode);
}

/* ---- directory ------------------------------------------------------------------------------ */

static int dir_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
    struct mqueue_entry *e;

    HASH_FIND(hh, dir_of(dir)->names, name, len, e);
    *out = e ? inode_get(&e->mq->inode) : NULL;
    return 0;
}

/* dir's lock is held. */
static int dir_add(struct inode *dir, struct dentry *child, uint32_t mode,
                   const struct lx_mq_attr *attr)
{
    struct mqueue_super *ms = super_of(dir);
    struct mqueue_dir *d = dir_of(dir);
    struct mqueue_entry *e;
    struct mqueue *mq;
    int ret;

    if (ms->queues >= ms->limits.queues_max && !cred_capable(curr()->cred, LX_CAP_SYS_RESOURCE))
        return -ENOSPC;
    e = calloc(1, sizeof(*e) + child->name_len);
    if (!e)
        return -ENOMEM;
    memcpy(e->name, child->name, child->name_len);
    e->len = child->name_len;
    ret = mqueue_new(ms, dir, mode, attr, &mq);
    if (ret < 0)
        goto fail;
    HASH_ADD_KEYPTR(hh, d->names, e->name, e->len, e);
    if (uthash_oom(e->hh)) {
        inode_put(&mq->inode);
        ret = -ENOMEM;
        goto fail;
    }
    e->mq = mq;
    e->pos = d->next_pos++;
    list_add_tail(&d->order, &e->node);
    dir->attr.size += ENTRY_SIZE;
    inode_touch(dir, true, /*mtime=*/true, /*ctime=*/true);
    dentry_instantiate(child, inode_get(&mq->inode));
    return 0;
fail:
    free(e);
    return ret;
}

static int dir_create(struct inode *dir, struct dentry *child, uint32_t mode)
{
    return dir_add(dir, child, mode, NULL);
}

static struct mqueue *entry_remove(struct mqueue_dir *d, struct mqueue_entry *e)
{
    struct mqueue *mq = e->mq;

    HASH_DEL(d->names, e);
    list_del(&e->node);
    free(e);
    return mq;
}

static int dir_unlink(struct inode *dir, struct dentry *child)
{
    struct mqueue_dir *d = dir_of(dir);
    struct mqueue_entry *e;
    struct mqueue *mq;

    HASH_FIND(hh, d->names, child->name, child->name_len, e);
    if (!e)
        return -ENOENT;
    mq = entry_remove(d, e);
    dir->attr.size -= ENTRY_SIZE;
    inode_touch(dir, true, /*mtime=*/true, /*ctime=*/true);
    mq->inode.attr.nlink = 0;
    inode_put(&mq->inode); /* not the last: child holds one */
    return 0;
}

static void dir_destroy(struct inode *i)
{
    struct mqueue_dir *d = dir_of(i);
    struct mqueue_entry *e, *tmp;

    list_for_each_entry_safe(e, tmp, &d->order, node) {
        inode_put(&entry_remove(d, e)->inode);
    }
    inode_destroy_generic(i);
    free(d);
}

static int dir_readdir(struct file *f, struct dir_emit *out)
{
    struct mqueue_dir *d = dir_of(f->inode);
    struct mqueue_entry *e;

    for (; f->pos < 2; f->pos++)
        if (!out->entry(out, "..", (size_t)f->pos + 1, f->inode->attr.ino, LX_DT_DIR, f->pos + 1))
            return 0;
    list_for_each_entry(e, &d->order, node) {
        if (e->pos < (uint64_t)f->pos)
            continue;
        if (!out->entry(out, e->name, e->len, e->mq->inode.attr.ino, LX_DT_REG,
                        (lx_loff_t)e->pos + 1))
            return 0;
        f->pos = (lx_loff_t)e->pos + 1;
    }
    return 0;
}

static ssize_t dir_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    return -EISDIR;
}

static void dir_release(struct file *f)
{
    file_destroy_generic(f);
    free(f);
}

static const struct file_ops dir_file_ops = {
    .read = dir_read,
    .readdir = dir_readdir,
    .seek = file_seek_generic,
    .release = dir_release,
};

static int dir_open(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out)
{
    struct file *f = malloc(sizeof(*f));

    if (!f)
        return -ENOMEM;
    file_init(f, &dir_file_ops, flags);
    f->kind = FILE_SEEKABLE;
    *out = f;
    return 0;
}

static const struct inode_ops dir_inode_ops = {
    .lookup = dir_lookup,
    .create = dir_create,
    .unlink = dir_unlink,
    .open = dir_open,
    .destroy = dir_destroy,
};

/* ---- super ---------------------------------------------------------------------------------- */

static int mqueue_statfs(struct super *s, struct fs_statfs *out)
{
    *out = (struct fs_statfs){.type = LX_MQUEUE_MAGIC,
                              .bsize = LX_PAGE_SIZE,
                              .frsize = LX_PAGE_SIZE,
                              .namelen = LX_NAME_MAX,
                              .fsid = s->dev};
    return 0;
}

static void mqueue_super_destroy(struct super *s)
{
    free(container_of(s, struct mqueue_super, super));
}

static const struct super_ops mqueue_super_ops = {
    .statfs = mqueue_statfs,
    .destroy = mqueue_super_destroy,
};

static int make_root(struct super *s)
{
    struct mqueue_dir *d = calloc(1, sizeof(*d));

    if (!d)
        return -ENOMEM;
    inode_init(&d->inode, s, &dir_inode_ops, LX_S_IFDIR);
    inode_init_owner(&d->inode, NULL, LX_S_IFDIR | LX_S_ISVTX | 0777u);
    /* Root of the namespace's owner, whoever comes first. */
    d->inode.attr.uid = userns_to_kuid(s->userns, 0);
    d->inode.attr.gid = userns_to_kgid(s->userns, 0);
    d->inode.attr.ino = inode_new_ino();
    d->inode.attr.nlink = 2;
    d->inode.attr.size = 2 * ENTRY_SIZE;
    list_init(&d->order);
    d->next_pos = 2;
    return dentry_make_root(s, &d->inode, &s->root);
}

int mqueue_fs_new(struct userns *owner, struct mntns **out)
{
    struct mqueue_super *ms = calloc(1, sizeof(*ms));
    int ret;

    if (!ms)
        return -ENOMEM;
    ret = super_init(&ms->super, &mqueue_super_ops, "mqueue");
    if (ret < 0) {
        free(ms);
        return ret;
    }
    userns_put(ms->super.userns);
    ms->super.userns = userns_get(owner);
    atomic_init(&ms->limits.queues_max, 256);
    atomic_init(&ms->limits.msg_max, 10);
    atomic_init(&ms->limits.msgsize_max, 8192);
    atomic_init(&ms->limits.msg_default, 10);
    atomic_init(&ms->limits.msgsize_default, 8192);
    ret = make_root(&ms->super);
    if (ret == 0) {
        ret = mntns_new(&ms->super, 0, out);
        if (ret < 0)
            super_kill(&ms->super);
    }
    super_put(&ms->super);
    return ret;
}

struct mqueue_limits *mqueue_fs_limits(struct mntns *home)
{
    struct path root;
    struct super *s;

    mntns_root(home, &root);
    s = mount_super(root.mnt);
    path_put(&root); /* home keeps the super */
    return &container_of(s, struct mqueue_super, super)->limits;
}

static int mqueue_mount(const struct fs_type *type, const char *source, const char *options,
                        uint32_t super_flags, struct super **out)
{
    struct mntns *home;
    struct path root;
    int ret = options[0] ? -EINVAL : g_mqueue_ops->home(&home);

    if (ret < 0)
        return ret;
    mntns_root(home, &root);
    *out = super_get(mount_super(root.mnt));
    path_put(&root);
    return 0;
}

const struct fs_type g_fs_mqueue = {
    .name = "mqueue", .flags = FS_TYPE_USERNS, .mount = mqueue_mount};

/* ---- mq_open, mq_unlink --------------------------------------------------------------------- */

/* Linux's rules for a single component that comes without a path around it. */
static int check_name(const char *name)
{
    if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/'))
        return -EACCES;
    return strlen(name) > LX_NAME_MAX ? -ENAMETOOLONG : 0;
}

static int find_or_create_locked(struct inode *dir, struct dentry *d, const struct mq_open_args *a)
{
    static const uint32_t mask[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE};
    uint32_t mode = a->mode & LX_S_IALLUGO & ~fs_ctx_umask(curr()->fs);
    int ret;

    if (!d->inode) {
        if (!(a->flags & LX_O_CREAT))
            return -ENOENT;
        ret = may_create(dir);
        return ret < 0 ? ret : dir_add(dir, d, LX_S_IFREG | mode, a->attr);
    }
    if ((a->flags & LX_O_CREAT) && (a->flags & LX_O_EXCL))
        return -EEXIST;
    if ((a->flags & LX_O_ACCMODE) == LX_O_ACCMODE)
        return -EINVAL;
    return inode_permission(d->inode, mask[a->flags & LX_O_ACCMODE]);
}

int mqueue_open(struct mntns *home, const struct mq_open_args *a, struct file **out)
{
    int ret = check_name(a->name);
    struct dentry *d = NULL;
    struct file *f = NULL;
    struct path root;
    struct inode *dir;

    if (ret < 0)
        return ret;
    mntns_root(home, &root);
    dir = root.dentry->inode;
    mutex_lock(&dir->lock);
    ret = walk_lookup(root.dentry, a->name, strlen(a->name), /*locked=*/true, &d);
    if (ret == 0)
        ret = find_or_create_locked(dir, d, a);
    mutex_unlock(&dir->lock);
    if (ret == 0)
        ret = mqueue_inode_open(d->inode, d, a->flags, &f);
    if (ret == 0) {
        f->path = (struct path){mount_get(root.mnt), d};
        f->inode = inode_get(d->inode);
        d = NULL;
        *out = f;
    }
    if (d)
        dentry_put(d);
    path_put(&root);
    dcache_reap();
    return ret;
}

int mqueue_unlink(struct mntns *home, const char *name)
{
    int ret = check_name(name);
    struct dentry *d = NULL;
    struct path root;
    struct inode *dir;

    if (ret < 0)
        return ret;
    mntns_root(home, &root);
    dir = root.dentry->inode;
    mutex_lock(&dir->lock);
    ret = walk_lookup(root.dentry, name, strlen(name), /*locked=*/true, &d);
    if (ret == 0 && !d->inode)
        ret = -ENOENT;
    if (ret == 0)
        ret = may_delete(dir, d, /*is_dir=*/false);
    if (ret == 0)
        ret = dir_unlink(dir, d);
    if (ret == 0)
        dentry_delete(d);
    mutex_unlock(&dir->lock);
    if (d)
        dentry_put(d);
    path_put(&root);
    dcache_reap();
    return ret;
}
