/* SPDX-License-Identifier: Apache-2.0 */
/* File system instances, and the hidden ones that anonymous files live on. */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The homes of pipes, sockets, eventfds: never in a mount namespace, never freed. Keys: I after boot */
static struct anon_home {
    const char *type;    /* I */
    uint64_t magic;      /* I */
    struct super super;  /* I */
    struct mount *mount; /* I, +1 */
} g_anon[ANON_FS_COUNT] = {
    [ANON_INODEFS] = {.type = "anon_inodefs", .magic = LX_ANON_MAGIC},
    [ANON_PIPEFS] = {.type = "pipefs", .magic = LX_PIPEFS_MAGIC},
    [ANON_SOCKFS] = {.type = "sockfs", .magic = LX_SOCKFS_MAGIC},
    [ANON_NSFS] = {.type = "nsfs", .magic = LX_NSFS_MAGIC},
};

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
    *out = (struct fs_statfs){.type = container_of(s, struct anon_home, super)->magic,
                              .bsize = LX_PAGE_SIZE,
                              .frsize = LX_PAGE_SIZE,
                              .namelen = LX_NAME_MAX,
                              .fsid = s->dev};
    return 0;
}
static const struct super_ops anon_super_ops = {.statfs = anon_statfs};

static void anon_inode_destroy(struct inode *i)
{
    inode_destroy_generic(i);
    free(i);
}
static const struct inode_ops anon_inode_ops = {.destroy = anon_inode_destroy};

int vfs_anon_inode(enum anon_fs which, uint32_t mode, struct inode **out)
{
    struct inode *i = calloc(1, sizeof(*i));

    if (!i)
        return -ENOMEM;
    inode_init(i, &g_anon[which].super, &anon_inode_ops, mode);
    inode_init_owner(i, NULL, mode);
    i->attr.ino = inode_new_ino();
    *out = i;
    return 0;
}

/* Files of other supers that have no name (memfd, the host's) are shown on the first. */
static struct mount *anon_mount(const struct super *s)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_anon); i++) {
        if (s == &g_anon[i].super)
            return g_anon[i].mount;
    }
    return g_anon[ANON_INODEFS].mount;
}

int file_set_anon(struct file *f, const char *name, uint32_t mode, struct inode *inode_take)
{
    char numbered[64];
    int ret;

    if (!inode_take) {
        ret = vfs_anon_inode(ANON_INODEFS, mode, &inode_take);
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
    f->path.mnt = mount_get(anon_mount(inode_take->super));
    f->inode = inode_get(inode_take);
    return 0;
}

struct super *vfs_anon_super(enum anon_fs which)
{
    return &g_anon[which].super;
}

bool vfs_super_is_anon(const struct super *s)
{
    return s->ops == &anon_super_ops;
}

static int anon_home_init(struct anon_home *h)
{
    struct inode *root;
    int ret = super_init(&h->super, &anon_super_ops, h->type);

    if (ret == 0)
        ret = vfs_anon_inode((enum anon_fs)(h - g_anon), LX_S_IFDIR | 0700u, &root);
    if (ret == 0)
        ret = dentry_make_root(&h->super, root, &h->super.root);
    return ret < 0 ? ret : mount_alloc(&h->super, h->super.root, 0, h->type, &h->mount);
}

int vfs_init(void)
{
    int ret = 0;

    mutex_init(&g_dcache.lock, RANK_DCACHE);
    mutex_init(&g_mount_lock, RANK_NAMESPACE);
    flock_init();
    vfs_mm_glue_init();
    list_init(&g_dcache.lru);
    list_init(&g_dcache.dead);
    g_dcache.table = calloc(DCACHE_BUCKETS, sizeof(*g_dcache.table));
    if (!g_dcache.table)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_COUNT(g_anon) && ret == 0; i++)
        ret = anon_home_init(&g_anon[i]);
    return ret;
}
