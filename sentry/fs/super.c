/* SPDX-License-Identifier: Apache-2.0 */
/* File system instances, and the hidden one that anonymous files live on. */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The home of pipes, sockets, eventfds: never in a mount namespace, never freed. */
static struct super g_anon_super;
static struct mount *g_anon_mount;

lx_dev_t vfs_anon_dev(void)
{
    static atomic_uint next = 1;

    return lx_mkdev(0, atomic_fetch_add(&next, 1) + 1);
}

int super_init(struct super *s, const struct super_ops *ops, const char *type)
{
    refs_init(&s->refs);
    s->ops = ops;
    s->type = type;
    s->dev = vfs_anon_dev();
    s->root = NULL;
    s->flags = 0;
    mutex_init(&s->rename_lock, RANK_RENAME);
    s->userns = userns_get(curr()->cred->userns);
    atomic_init(&s->mounts, 0);
    return 0;
}

void super_kill(struct super *s)
{
    struct dentry *root = s->root;

    if (!root)
        return;
    s->root = NULL;
    dcache_drop_super(s);
    dentry_put(root);
}

struct super *super_get(struct super *s)
{
    refs_get(&s->refs);
    return s;
}

void super_put(struct super *s)
{
    if (!refs_put(&s->refs))
        return;
    userns_put(s->userns);
    mutex_destroy(&s->rename_lock);
    if (s->ops->destroy)
        s->ops->destroy(s);
}

static int anon_statfs(struct super *s, struct fs_statfs *out)
{
    *out = (struct fs_statfs){.type = LX_ANON_MAGIC,
                              .bsize = LX_PAGE_SIZE,
                              .frsize = LX_PAGE_SIZE,
                              .namelen = LX_NAME_MAX};
    return 0;
}
static const struct super_ops anon_super_ops = {.statfs = anon_statfs};

static void anon_inode_destroy(struct inode *i)
{
    inode_destroy_generic(i);
    free(i);
}
static const struct inode_ops anon_inode_ops = {.destroy = anon_inode_destroy};

int vfs_anon_inode(uint32_t mode, struct inode **out)
{
    struct inode *i = calloc(1, sizeof(*i));

    if (!i)
        return -ENOMEM;
    inode_init(i, &g_anon_super, &anon_inode_ops, mode);
    inode_init_owner(i, NULL, mode);
    i->attr.ino = inode_new_ino();
    *out = i;
    return 0;
}

int file_set_anon(struct file *f, const char *name, uint32_t mode, struct inode *inode_take)
{
    char numbered[64];
    int ret;

    if (!inode_take) {
        ret = vfs_anon_inode(mode, &inode_take);
        if (ret < 0)
            return ret;
    }
    /* "pipe:" becomes "pipe:[12]". */
    if (name[0] && name[strlen(name) - 1] == ':') {
        snprintf(numbered, sizeof(numbered), "%.32s[%llu]", name,
                 (unsigned long long)inode_take->attr.ino);
        name = numbered;
    }
    ret = dentry_make_anon(inode_take, name, &f->path.dentry);
    if (ret < 0)
        return ret;
    f->path.mnt = mount_get(g_anon_mount);
    f->inode = inode_get(inode_take);
    return 0;
}

struct super *vfs_anon_super(void)
{
    return &g_anon_super;
}

int vfs_init(void)
{
    struct inode *root;
    int ret;

    mutex_init(&g_dcache.lock, RANK_DCACHE);
    mutex_init(&g_mount_lock, RANK_NAMESPACE);
    flock_init();
    vfs_mm_glue_init();
    list_init(&g_dcache.lru);
    list_init(&g_dcache.dead);
    g_dcache.table = calloc(DCACHE_BUCKETS, sizeof(*g_dcache.table));
    if (!g_dcache.table)
        return -ENOMEM;
    ret = super_init(&g_anon_super, &anon_super_ops, "anon_inodefs");
    if (ret < 0)
        return ret;
    ret = vfs_anon_inode(LX_S_IFDIR | 0700u, &root);
    if (ret < 0)
        return ret;
    ret = dentry_make_root(&g_anon_super, root, &g_anon_super.root);
    if (ret < 0)
        return ret;
    return mount_alloc(&g_anon_super, g_anon_super.root, 0, "none", &g_anon_mount);
}
