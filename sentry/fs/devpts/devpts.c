/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devpts: a flat directory with ptmx and a node N for every pty whose master is open. The node's
 * inode lives as long as the master (tty->inode), so that chmod and chown of /dev/pts/N last; ptmx
 * is made on demand. Numbers are given out lowest first, per instance.
 */
#include "sentry/fs/devpts/devpts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/stat.h"
#include "sentry/fs/devpts/tty_internal.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/mount_internal.h"
#include "sentry/fs/vfs_internal.h"

enum { DEVPTS_MAGIC = 0x1cd1, DEVPTS_MAX = 4096, INO_ROOT = 1, INO_PTMX = 2, INO_FIRST_PTY = 3 };

/* Keys: I immutable; s ->lock */
struct devpts {
    struct super super;
    struct mutex lock;        /* rank FS_SUPER */
    struct tty **ptys;        /* s: by number, borrowed: the master file holds the tty */
    uint32_t pty_count;       /* s: length of ptys */
    uint32_t max;             /* I */
    uint32_t mode, ptmx_mode; /* I */
    bool uid_set, gid_set;    /* I */
    lx_uid_t uid;             /* I */
    lx_gid_t gid;             /* I */
};

/* Lifetime: the inode's. */
struct devpts_inode {
    struct inode inode;
    struct tty *tty; /* +1; NULL: ptmx or the root */
};

static _Atomic(struct devpts *) g_first; /* +1, for good */

static const struct inode_ops devpts_root_ops, devpts_ptmx_ops, devpts_pty_ops;

static struct devpts *devpts_of(struct super *s)
{
    return container_of(s, struct devpts, super);
}

static struct devpts_inode *devpts_inode_of(struct inode *i)
{
    return container_of(i, struct devpts_inode, inode);
}

static int devpts_inode_new(struct devpts *d, const struct inode_ops *ops, uint32_t mode,
                            uint64_t ino, struct devpts_inode **out)
{
    struct devpts_inode *di = calloc(1, sizeof(*di));

    if (!di)
        return -ENOMEM;
    inode_init(&di->inode, &d->super, ops, mode);
    di->inode.attr.mode = mode;
    di->inode.attr.ino = ino;
    di->inode.attr.nlink = 1;
    di->inode.attr.blksize = 1024;
    di->inode.attr.atime = di->inode.attr.mtime = di->inode.attr.ctime = fs_time_now();
    *out = di;
    return 0;
}

static void devpts_inode_destroy(struct inode *i)
{
    struct devpts_inode *di = devpts_inode_of(i);
    struct tty *t = di->tty;

    inode_destroy_generic(i);
    free(di);
    if (t)
        tty_put(t);
}

/* ---- ptys ------------------------------------------------------------------------------------ */

/* Reserves the lowest free number for t. */
static int devpts_number_take(struct devpts *d, struct tty ***slot, uint32_t *out)
{
    uint32_t i = 0;
    int ret = 0;

    mutex_lock(&d->lock);
    while (i < d->pty_count && d->ptys[i])
        i++;
    if (i >= d->max) {
        ret = -ENOSPC;
    } else if (i == d->pty_count) {
        uint32_t count = d->pty_count ? 2 * d->pty_count : 8;
        struct tty **ptys = realloc(d->ptys, count * sizeof(struct tty *));

        if (ptys) {
            memset(ptys + d->pty_count, 0, (count - d->pty_count) * sizeof(struct tty *));
            d->ptys = ptys;
            d->pty_count = count;
        } else {
            ret = -ENOMEM;
        }
    }
    if (ret == 0) {
        static struct tty reserved;

        d->ptys[i] = &reserved;
        *slot = &d->ptys[i];
        *out = i;
    }
    mutex_unlock(&d->lock);
    return ret;
}

static void devpts_number_set(struct devpts *d, uint32_t index, struct tty *t)
{
    mutex_lock(&d->lock);
    d->ptys[index] = t;
    mutex_unlock(&d->lock);
}

/* The node of a new pty: +1 for t->inode. */
static int devpts_node_new(struct devpts *d, struct tty *t)
{
    struct devpts_inode *di;
    int ret =
        devpts_inode_new(d, &devpts_pty_ops, LX_S_IFCHR | d->mode, INO_FIRST_PTY + t->index, &di);

    if (ret < 0)
        return ret;
    di->inode.attr.uid = d->uid_set ? d->uid : curr()->cred->fsuid;
    di->inode.attr.gid = d->gid_set ? d->gid : curr()->cred->fsgid;
    di->inode.attr.rdev = tty_device_number(t);
    di->tty = tty_get(t);
    t->inode = &di->inode;
    return 0;
}

int devpts_open_master(struct super *s, uint32_t flags, struct file **out)
{
    struct devpts *d = s ? devpts_of(s) : atomic_load(&g_first);
    struct tty **slot, *t;
    uint32_t index;
    int ret;

    if (!d)
        return -ENODEV;
    ret = devpts_number_take(d, &slot, &index);
    if (ret < 0)
        return ret;
    ret = tty_new(&d->super, index, &t);
    if (ret < 0)
        goto out_number;
    ret = devpts_node_new(d, t);
    if (ret < 0)
        goto out_tty;
    ret = tty_file_new(t, /*master=*/true, flags, out);
    if (ret < 0)
        goto out_node;
    t->master_open = true;
    devpts_number_set(d, index, t);
    tty_put(t); /* the file and the node hold it */
    return 0;
out_node:
    inode_put(t->inode);
out_tty:
    tty_put(t);
out_number:
    devpts_number_set(d, index, NULL);
    return ret;
}

void devpts_tty_removed(struct tty *t)
{
    struct devpts *d = devpts_of(t->super);
    struct dentry *child = NULL;
    struct inode *inode;
    char name[16];
    int len = snprintf(name, sizeof(name), "%u", t->index);

    tty_lock(t);
    inode = t->inode;
    t->inode = NULL;
    tty_unlock(t);
    devpts_number_set(d, t->index, NULL);
    if (d->super.root)
        child = dentry_lookup(d->super.root, name, (size_t)len);
    if (child) {
        dentry_drop(child);
        dentry_put(child);
    }
    if (inode) {
        inode->attr.nlink = 0;
        inode_put(inode);
    }
}

/* Where s is mounted, +1 or NULL. */
static struct mount *mount_of_super_get(const struct super *s)
{
    struct mount *m, *found = NULL;

    mutex_lock(&g_mount_lock);
    list_for_each_entry(m, &g_attached_mounts, attached) {
        if (m->super == s) {
            found = mount_get(m);
            break;
        }
    }
    mutex_unlock(&g_mount_lock);
    return found;
}

static int devpts_dentry_get(struct tty *t, struct dentry **out)
{
    struct super *s = t->super;
    struct inode *inode;
    char name[16];
    int len = snprintf(name, sizeof(name), "%u", t->index);

    if (!s->root)
        return -ENODEV;
    *out = dentry_lookup(s->root, name, (size_t)len);
    if (*out && (*out)->inode)
        return 0;
    if (*out)
        dentry_put(*out);
    tty_lock(t);
    inode = t->inode ? inode_get(t->inode) : NULL;
    tty_unlock(t);
    return inode ? dentry_add(s->root, name, (size_t)len, inode, out) : -EIO;
}

int devpts_open_slave(struct tty *t, struct mount *mnt, uint32_t flags, struct file **out)
{
    struct dentry *dentry;
    int ret = devpts_dentry_get(t, &dentry);

    if (ret < 0)
        return ret;
    ret = tty_open_slave(t, flags, out);
    if (ret < 0) {
        dentry_put(dentry);
        return ret;
    }
    (*out)->path.dentry = dentry;
    (*out)->path.mnt = mnt ? mount_get(mnt) : mount_of_super_get(t->super);
    (*out)->inode = inode_get(dentry->inode);
    return 0;
}

int devpts_open_peer(struct file *master, uint32_t flags, struct file **out)
{
    struct tty *t = tty_file_of(master)->tty;
    struct mount *mnt = master->path.mnt;

    return devpts_open_slave(t, mnt && mnt->super == t->super ? mnt : NULL, flags, out);
}

/* ---- inodes ---------------------------------------------------------------------------------- */

static int devpts_parse_number(const char *name, size_t len, uint32_t *out)
{
    uint32_t n = 0;

    if (len == 0 || len > 7 || (name[0] == '0' && len > 1))
        return -ENOENT;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -ENOENT;
        n = n * 10 + (uint32_t)(name[i] - '0');
    }
    *out = n;
    return 0;
}

static int devpts_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
    struct devpts *d = devpts_of(dir->super);
    struct devpts_inode *di;
    uint32_t n;
    int ret;

    *out = NULL;
    if (len == 4 && memcmp(name, "ptmx", 4) == 0) {
        ret = devpts_inode_new(d, &devpts_ptmx_ops, LX_S_IFCHR | d->ptmx_mode, INO_PTMX, &di);
        if (ret < 0)
            return ret;
        di->inode.attr.uid = dir->attr.uid;
        di->inode.attr.gid = dir->attr.gid;
        di->inode.attr.rdev = lx_mkdev(5, 2);
        *out = &di->inode;
        return 0;
    }
    if (devpts_parse_number(name, len, &n) < 0)
        return 0;
    mutex_lock(&d->lock);
    /* The master's file holds the tty while the number is set; its inode goes after that. */
    if (n < d->pty_count && d->ptys[n] && d->ptys[n]->inode &&
        refs_get_not_zero(&d->ptys[n]->inode->refs))
        *out = d->ptys[n]->inode;
    mutex_unlock(&d->lock);
    return 0;
}

static int ptmx_open(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out)
{
    return devpts_open_master(inode->super, flags, out);
}

static int pty_open(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out)
{
    return tty_open_slave(devpts_inode_of(inode)->tty, flags, out);
}

static int devpts_readdir(struct file *f, struct dir_emit *e)
{
    struct devpts *d = devpts_of(f->inode->super);
    static const struct {
        const char *name;
        uint8_t type;
        uint64_t ino;
    } fixed[] = {{".", LX_S_IFDIR >> 12, INO_ROOT},
                 {"..", LX_S_IFDIR >> 12, INO_ROOT},
                 {"ptmx", LX_S_IFCHR >> 12, INO_PTMX}};

    for (; f->pos < 3; f->pos++) {
        if (!e->entry(e, fixed[f->pos].name, strlen(fixed[f->pos].name), fixed[f->pos].ino,
                      fixed[f->pos].type, f->pos + 1))
            return 0;
    }
    for (;; f->pos++) {
        uint32_t n = (uint32_t)(f->pos - 3);
        bool used, end;
        char name[16];
        int len;

        mutex_lock(&d->lock);
        end = n >= d->pty_count;
        used = !end && d->ptys[n] && d->ptys[n]->inode;
        mutex_unlock(&d->lock);
        if (end)
            return 0;
        len = snprintf(name, sizeof(name), "%u", n);
        if (used &&
            !e->entry(e, name, (size_t)len, INO_FIRST_PTY + n, LX_S_IFCHR >> 12, f->pos + 1))
            return 0;
    }
}

static ssize_t devpts_dir_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    return -EISDIR;
}

static void devpts_dir_release(struct file *f)
{
    file_destroy_generic(f);
    free(f);
}

static const struct file_ops devpts_dir_ops = {
    .read = devpts_dir_read,
    .readdir = devpts_readdir,
    .seek = file_seek_generic,
    .release = devpts_dir_release,
};

static int root_open(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out)
{
    struct file *f = calloc(1, sizeof(*f));

    if (!f)
        return -ENOMEM;
    file_init(f, &devpts_dir_ops, flags);
    f->kind |= FILE_SEEKABLE;
    *out = f;
    return 0;
}

static const struct inode_ops devpts_root_ops = {
    .lookup = devpts_lookup,
    .open = root_open,
    .destroy = devpts_inode_destroy,
};
static const struct inode_ops devpts_ptmx_ops = {
    .open = ptmx_open,
    .destroy = devpts_inode_destroy,
};
static const struct inode_ops devpts_pty_ops = {
    .open = pty_open,
    .destroy = devpts_inode_destroy,
};

/* ---- super
 * -----------------------------------------------------------------------------------------------
 */

static int devpts_statfs(struct super *s, struct fs_statfs *out)
{
    *out = (struct fs_statfs){.type = DEVPTS_MAGIC,
                              .bsize = LX_PAGE_SIZE,
                              .frsize = LX_PAGE_SIZE,
                              .namelen = LX_NAME_MAX};
    return 0;
}

static size_t devpts_show_options(struct super *s, char *buf, size_t size)
{
    struct devpts *d = devpts_of(s);
    int n = 0;

    if (d->uid_set)
        n += snprintf(buf, size, ",uid=%u", d->uid);
    if (d->gid_set)
        n += snprintf(buf + n, size - (size_t)n, ",gid=%u", d->gid);
    n += snprintf(buf + n, size - (size_t)n, ",mode=%03o,ptmxmode=%03o", d->mode, d->ptmx_mode);
    if (d->max != DEVPTS_MAX)
        n += snprintf(buf + n, size - (size_t)n, ",max=%u", d->max);
    return MIN((size_t)n, size);
}

static void devpts_destroy(struct super *s)
{
    struct devpts *d = devpts_of(s);

    mutex_destroy(&d->lock);
    free(d->ptys);
    free(d);
}

static const struct super_ops devpts_super_ops = {
    .statfs = devpts_statfs,
    .show_options = devpts_show_options,
    .destroy = devpts_destroy,
};

static int parse_value(const char *text, int base, unsigned long max, uint32_t *out)
{
    char *end;
    unsigned long v;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    v = strtoul(text, &end, base);
    if (*end != '\0' || v > max)
        return -EINVAL;
    *out = (uint32_t)v;
    return 0;
}

static int devpts_option(struct devpts *d, char *option)
{
    const struct userns *ns = curr()->cred->userns;
    char *eq = strchr(option, '=');
    uint32_t v;

    if (!eq)
        return *option == '\0' || strcmp(option, "newinstance") == 0 ? 0 : -EINVAL;
    *eq++ = '\0';
    if (strcmp(option, "mode") == 0)
        return parse_value(eq, 8, 0777, &d->mode);
    if (strcmp(option, "ptmxmode") == 0)
        return parse_value(eq, 8, 0777, &d->ptmx_mode);
    if (strcmp(option, "max") == 0)
        return parse_value(eq, 10, DEVPTS_MAX, &d->max);
    if (parse_value(eq, 10, UINT32_MAX - 1, &v) < 0)
        return -EINVAL;
    if (strcmp(option, "uid") == 0) {
        d->uid = userns_to_kuid(ns, v);
        d->uid_set = true;
        return d->uid == LX_ID_INVALID ? -EINVAL : 0;
    }
    if (strcmp(option, "gid") == 0) {
        d->gid = userns_to_kgid(ns, v);
        d->gid_set = true;
        return d->gid == LX_ID_INVALID ? -EINVAL : 0;
    }
    return -EINVAL;
}

static int devpts_parse(struct devpts *d, const char *options)
{
    char *copy = strdup(options), *rest = copy, *option;
    int ret = copy ? 0 : -ENOMEM;

    while (ret == 0 && (option = strsep(&rest, ",")) != NULL)
        ret = devpts_option(d, option);
    free(copy);
    return ret;
}

int devpts_create(const char *options, struct super **out)
{
    struct devpts *d = calloc(1, sizeof(*d)), *none = NULL;
    struct devpts_inode *root;
    int ret;

    if (!d)
        return -ENOMEM;
    mutex_init(&d->lock, RANK_FS_SUPER);
    d->mode = 0600;
    d->ptmx_mode = options ? 0 : 0666;
    d->max = DEVPTS_MAX;
    ret = super_init(&d->super, &devpts_super_ops, "devpts");
    if (ret < 0) {
        devpts_destroy(&d->super);
        return ret;
    }
    d->super.flags |= SUPER_NOEXEC | SUPER_NOSUID;
    if (options)
        ret = devpts_parse(d, options);
    if (ret == 0)
        ret = devpts_inode_new(d, &devpts_root_ops, LX_S_IFDIR | 0755, INO_ROOT, &root);
    if (ret == 0) {
        root->inode.attr.nlink = 2;
        ret = dentry_make_root(&d->super, &root->inode, &d->super.root);
    }
    if (ret < 0) {
        super_put(&d->super);
        return ret;
    }
    if (atomic_compare_exchange_strong(&g_first, &none, d))
        super_get(&d->super);
    *out = &d->super;
    return 0;
}

static int devpts_mount(const struct fs_type *type, const char *source, const char *options,
                        uint32_t super_flags, struct super **out)
{
    int ret = devpts_create(options ? options : "", out);

    if (ret == 0)
        (*out)->flags |= super_flags;
    return ret;
}

const struct fs_type g_fs_devpts = {
    .name = "devpts",
    .flags = FS_TYPE_USERNS,
    .mount = devpts_mount,
};
