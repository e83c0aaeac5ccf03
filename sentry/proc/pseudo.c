/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table-driven file systems: inodes, directories, text files. See pseudo.h.
 *
 * Inodes are made on lookup and die with their dentry; inode numbers are a hash of the parent's
 * number and the name, so that readdir and stat agree without a table. A text file's content is an
 * immutable refcounted snapshot: readers take a reference under a leaf lock and copy to the guest
 * with no lock held.
 */
#include "sentry/proc/pseudo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/mm/uaccess.h"

#define DYNAMIC_BASE 0x100
#define ROOT_INO     1
#define STORE_MAX    4096

struct snapshot {
    struct refs refs;
    size_t size;
    char *data; /* owned */
};

struct pseudo_file {
    struct file file;
    struct mutex lock;         /* rank LEAF: guards snapshot */
    struct snapshot *snapshot; /* +1 or NULL before the first read */
    atomic_uint seen;          /* entry->seq at the last read; 0: not read yet */
};

static const struct inode_ops pseudo_inode_ops;
static const struct inode_ops pseudo_magic_ops;
static const struct file_ops pseudo_text_ops;
static const struct file_ops pseudo_dir_file_ops;

struct pseudo_super *pseudo_super_of(const struct pseudo_node *n)
{
    return container_of(n->inode.super, struct pseudo_super, super);
}

static uint64_t child_ino(uint64_t parent, const char *name, size_t len)
{
    uint64_t h = 0xcbf29ce484222325ull ^ (parent * 0x9e3779b97f4a7c15ull);

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * 0x100000001b3ull;
    h = (h ^ (h >> 32)) & 0x7fffffffu;
    return h > ROOT_INO ? h : h + 2;
}

static void node_refresh(struct pseudo_node *n)
{
    struct pseudo_super *ps = pseudo_super_of(n);

    if (ps->refresh)
        ps->refresh(n);
}

int pseudo_node_new(struct pseudo_node *dir, const struct pseudo_entry *e, const char *name,
                    size_t len, struct pseudo_node **out)
{
    struct pseudo_node *n = calloc(1, sizeof(*n));

    if (!n)
        return -ENOMEM;
    inode_init(&n->inode, dir->inode.super, e->follow ? &pseudo_magic_ops : &pseudo_inode_ops,
               e->mode);
    n->entry = e;
    list_init(&n->live);
    n->kind = dir->kind;
    n->pid = pid_get(dir->pid);
    n->arg = dir->arg;
    pseudo_node_set_object(n, dir->object);
    n->inode.attr.ino = child_ino(dir->inode.attr.ino, name, len);
    n->inode.attr.mode = e->mode;
    n->inode.attr.nlink = inode_type(&n->inode) == 0040000 ? 2 : 1;
    n->inode.attr.blksize = 1024;
    n->inode.attr.dev = dir->inode.super->dev;
    n->inode.attr.atime = n->inode.attr.mtime = n->inode.attr.ctime = fs_time_now();
    *out = n;
    return 0;
}

void pseudo_node_set_object(struct pseudo_node *n, void *object)
{
    const struct pseudo_object_ops *ops = pseudo_super_of(n)->objects;

    if (!ops)
        return;
    if (object)
        ops->get(object);
    if (n->object)
        ops->put(n->object);
    n->object = object;
}

void pseudo_node_set_pid(struct pseudo_node *n, struct pid *p, enum pid_kind kind)
{
    pid_put(n->pid);
    n->pid = pid_get(p);
    n->kind = kind;
}

int64_t pseudo_parse_nr(const char *name, size_t len)
{
    int64_t nr = 0;

    if (len == 0 || len > 10 || (name[0] == '0' && len > 1))
        return -ENOENT;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -ENOENT;
        nr = nr * 10 + (name[i] - '0');
    }
    return nr <= INT32_MAX ? nr : -ENOENT;
}

int pseudo_show_text(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_puts(b, n->entry->data);
    return 0;
}

int pseudo_readlink_text(struct pseudo_node *n, char **out)
{
    *out = strdup(n->entry->data);
    return *out ? 0 : -ENOMEM;
}

static bool visible(struct pseudo_node *dir, const struct pseudo_entry *e)
{
    const struct pseudo_object_ops *ops = pseudo_super_of(dir)->objects;

    return !ops || !ops->visible || ops->visible(dir, e);
}

/* Row number i of a directory's two tables, or NULL. */
static const struct pseudo_entry *row_at(const struct pseudo_entry *dir, size_t i)
{
    const struct pseudo_entry *e;

    for (e = dir->children; e && e->name; e++) {
        if (i-- == 0)
            return e;
    }
    for (e = dir->more; e && e->name; e++) {
        if (i-- == 0)
            return e;
    }
    return NULL;
}

static const struct pseudo_entry *table_find(const struct pseudo_entry *e, const char *name,
                                             size_t len)
{
    for (; e && e->name; e++) {
        if (strlen(e->name) == len && memcmp(e->name, name, len) == 0)
            return e;
    }
    return NULL;
}

/* ---- inode ops ---------------------------------------------------------------------------- */

static void node_born(struct pseudo_node *n)
{
    const struct pseudo_object_ops *ops = pseudo_super_of(n)->objects;

    if (ops && ops->born)
        ops->born(n);
    node_refresh(n);
}

static int pseudo_mkdir(struct inode *inode, struct dentry *child, uint32_t mode)
{
    struct pseudo_node *dir = pseudo_node_of(inode), *n;
    const struct pseudo_object_ops *ops = pseudo_super_of(dir)->objects;
    int ret = ops && ops->mkdir ? ops->mkdir(dir, child->name, mode, &n) : -EPERM;

    if (ret == 0) {
        node_born(n);
        dentry_instantiate(child, &n->inode);
    }
    return ret;
}

static int pseudo_rmdir(struct inode *inode, struct dentry *child)
{
    struct pseudo_node *dir = pseudo_node_of(inode);
    const struct pseudo_object_ops *ops = pseudo_super_of(dir)->objects;

    return ops && ops->rmdir ? ops->rmdir(dir, pseudo_node_of(child->inode)) : -EPERM;
}

static int pseudo_lookup(struct inode *inode, const char *name, size_t len, struct inode **out)
{
    struct pseudo_node *dir = pseudo_node_of(inode), *n = NULL;
    const struct pseudo_entry *e;
    int ret;

    *out = NULL;
    if (inode_type(inode) != 0040000)
        return -ENOTDIR;
    e = table_find(dir->entry->children, name, len);
    if (!e)
        e = table_find(dir->entry->more, name, len);
    if (e && visible(dir, e))
        ret = pseudo_node_new(dir, e, name, len, &n);
    else if (dir->entry->dir)
        ret = dir->entry->dir->lookup(dir, name, len, &n);
    else
        ret = 0;
    /* Linux: procfs reports absence as an error, so that nothing can be made there (ENOENT). */
    if (ret == 0 && !n && pseudo_super_of(dir)->ns)
        return -ENOENT;
    if (ret == 0 && n) {
        node_born(n);
        *out = &n->inode;
    }
    return ret;
}

static int pseudo_readlink(struct inode *inode, char **out)
{
    struct pseudo_node *n = pseudo_node_of(inode);
    struct path p;
    int ret;

    if (inode_type(inode) != 0120000)
        return -EINVAL;
    if (n->entry->access) {
        ret = n->entry->access(n);
        if (ret < 0)
            return ret;
    }
    if (n->entry->readlink)
        return n->entry->readlink(n, out);
    ret = n->entry->follow(n, &p);
    if (ret < 0)
        return ret;
    ret = vfs_d_path(&p, out);
    path_put(&p);
    return ret;
}

static int pseudo_follow(struct inode *inode, struct path *out)
{
    struct pseudo_node *n = pseudo_node_of(inode);
    int ret;

    if (n->entry->access) {
        ret = n->entry->access(n);
        if (ret < 0)
            return ret;
    }
    return n->entry->follow(n, out);
}

static int pseudo_getattr(struct inode *inode)
{
    struct pseudo_node *n = pseudo_node_of(inode);
    struct pseudo_super *ps = pseudo_super_of(n);

    if ((ps->valid && !ps->valid(n)) || (ps->shown && !ps->shown(n)))
        return -ENOENT;
    node_refresh(n);
    return 0;
}

static int pseudo_setattr(struct inode *inode, const struct fs_attr *attr)
{
    /* Linux: O_TRUNC and truncate on these files succeed and do nothing. */
    struct pseudo_node *n = pseudo_node_of(inode);
    const struct pseudo_object_ops *ops = pseudo_super_of(n)->objects;
    int ret = 0;

    if (attr->mask & (ATTR_MODE | ATTR_UID | ATTR_GID)) {
        ret = ops && ops->setattr ? ops->setattr(n, attr) : -EPERM;
        node_refresh(n);
    }
    return ret;
}

static int pseudo_permission(struct inode *inode, const struct cred *c, uint32_t mask)
{
    struct pseudo_node *n = pseudo_node_of(inode);
    struct pseudo_super *ps = pseudo_super_of(n);
    int ret = ps->enter ? ps->enter(n) : 0;
    uint32_t mode;

    if (ret < 0)
        return ret;
    node_refresh(n);
    mode = inode->attr.mode;
    if (c->fsuid == inode->attr.uid)
        mode >>= 6;
    else if (cred_in_group(c, inode->attr.gid))
        mode >>= 3;
    if ((mask & ~mode & 7u) == 0)
        return 0;
    if (cred_capable(c, LX_CAP_DAC_OVERRIDE) &&
        (!(mask & MAY_EXEC) || inode_type(inode) == 0040000 || (inode->attr.mode & 0111)))
        return 0;
    if (cred_capable(c, LX_CAP_DAC_READ_SEARCH) && !(mask & MAY_WRITE) &&
        (inode_type(inode) == 0040000 || !(mask & MAY_EXEC)))
        return 0;
    return ps->grants && ps->grants(n) ? 0 : -EACCES;
}

static bool pseudo_revalidate(struct inode *dir, struct dentry *child)
{
    struct pseudo_node *n;
    struct pseudo_super *ps;

    /* Absence is not cached: the next pid or descriptor may be the missing one. */
    if (!child->inode)
        return false;
    n = pseudo_node_of(child->inode);
    ps = pseudo_super_of(n);
    return !ps->valid || ps->valid(n);
}

static int pseudo_open(struct inode *inode, struct dentry *dentry, uint32_t flags,
                       struct file **out)
{
    struct pseudo_node *n = pseudo_node_of(inode);
    struct pseudo_file *pf;
    int ret;

    if (n->entry->access) {
        ret = n->entry->access(n);
        if (ret < 0)
            return ret;
    }
    if (n->entry->open)
        return n->entry->open(n, flags, out);
    pf = calloc(1, sizeof(*pf));
    if (!pf)
        return -ENOMEM;
    mutex_init(&pf->lock, RANK_LEAF);
    file_init(&pf->file, inode_type(inode) == 0040000 ? &pseudo_dir_file_ops : &pseudo_text_ops,
              flags);
    pf->file.kind |= FILE_SEEKABLE;
    if (n->entry->wq)
        pf->file.wq = n->entry->wq(n);
    *out = &pf->file;
    return 0;
}

static void pseudo_inode_free(struct inode *inode)
{
    struct pseudo_node *n = pseudo_node_of(inode);

    const struct pseudo_object_ops *ops = pseudo_super_of(n)->objects;

    if (ops && ops->gone)
        ops->gone(n);
    if (n->object)
        ops->put(n->object);
    pid_put(n->pid);
    inode_destroy_generic(inode);
    free(n);
}

static const struct inode_ops pseudo_inode_ops = {
    .lookup = pseudo_lookup,
    .readlink = pseudo_readlink,
    .getattr = pseudo_getattr,
    .setattr = pseudo_setattr,
    .permission = pseudo_permission,
    .open = pseudo_open,
    .mkdir = pseudo_mkdir,
    .rmdir = pseudo_rmdir,
    .revalidate = pseudo_revalidate,
    .destroy = pseudo_inode_free,
};

struct pseudo_node *pseudo_node_from_inode(struct inode *i)
{
    return i->ops == &pseudo_inode_ops || i->ops == &pseudo_magic_ops ? pseudo_node_of(i) : NULL;
}

/* Links whose follow is not a walk of their text. */
static const struct inode_ops pseudo_magic_ops = {
    .readlink = pseudo_readlink,
    .follow = pseudo_follow,
    .getattr = pseudo_getattr,
    .setattr = pseudo_setattr,
    .permission = pseudo_permission,
    .revalidate = pseudo_revalidate,
    .destroy = pseudo_inode_free,
};

/* ---- directories --------------------------------------------------------------------------- */

static bool emit(struct file *f, struct dir_emit *d, const char *name, uint64_t ino, uint32_t mode,
                 lx_loff_t next)
{
    if (!d->entry(d, name, strlen(name), ino, (uint8_t)(mode >> 12), next))
        return false;
    f->pos = next;
    return true;
}

static int pseudo_readdir(struct file *f, struct dir_emit *d)
{
    struct pseudo_node *n = pseudo_node_of(f->inode);
    struct pseudo_super *ps = pseudo_super_of(n);
    const struct pseudo_entry *e;
    uint64_t ino = f->inode->attr.ino, cookie;
    struct dentry *parent = f->path.dentry->parent;
    struct pseudo_name name;
    lx_loff_t pos;
    int ret;

    if (ps->valid && !ps->valid(n))
        return -ENOENT;
    if (f->pos <= 0 && !emit(f, d, ".", ino, 0040000, 1))
        return 0;
    if (f->pos <= 1 && !emit(f, d, "..", parent->inode ? parent->inode->attr.ino : ino, 0040000, 2))
        return 0;
    for (pos = MAX(f->pos, 2); (e = row_at(n->entry, (size_t)pos - 2)) != NULL; pos++) {
        if (!visible(n, e)) {
            f->pos = pos + 1;
            continue;
        }
        if (!emit(f, d, e->name, child_ino(ino, e->name, strlen(e->name)), e->mode, pos + 1))
            return 0;
    }
    if (!n->entry->dir)
        return 0;
    cookie = f->pos < DYNAMIC_BASE ? 0 : (uint64_t)f->pos - DYNAMIC_BASE;
    for (;;) {
        ret = n->entry->dir->next(n, &cookie, &name);
        if (ret <= 0)
            return ret;
        if (!emit(f, d, name.name, child_ino(ino, name.name, strlen(name.name)), name.mode,
                  (lx_loff_t)cookie + DYNAMIC_BASE))
            return 0;
    }
}

/* ---- text files ---------------------------------------------------------------------------- */

static struct pseudo_file *pseudo_file_of(struct file *f)
{
    return container_of(f, struct pseudo_file, file);
}

static void snapshot_put(struct snapshot *s)
{
    if (s && refs_put(&s->refs)) {
        free(s->data);
        free(s);
    }
}

static int snapshot_new(struct pseudo_node *n, struct snapshot **out)
{
    struct pbuf b = {0};
    struct snapshot *s;
    int ret = n->entry->show ? n->entry->show(n, &b) : -EINVAL;

    if (ret == 0 && b.oom)
        ret = -ENOMEM;
    s = ret < 0 ? NULL : calloc(1, sizeof(*s));
    if (!s) {
        pbuf_destroy(&b);
        return ret < 0 ? ret : -ENOMEM;
    }
    refs_init(&s->refs);
    s->size = b.size;
    s->data = b.data;
    *out = s;
    return 0;
}

/* +1: the state that a read at pos sees. */
static int snapshot_at(struct pseudo_file *pf, lx_loff_t pos, struct snapshot **out)
{
    struct snapshot *s, *old;
    int ret;

    mutex_lock(&pf->lock);
    s = pf->snapshot;
    if (s)
        refs_get(&s->refs);
    mutex_unlock(&pf->lock);
    if (s && pos > 0) {
        *out = s;
        return 0;
    }
    snapshot_put(s);
    if (pseudo_node_of(pf->file.inode)->entry->seq)
        atomic_store(&pf->seen,
                     pseudo_node_of(pf->file.inode)->entry->seq(pseudo_node_of(pf->file.inode)));
    ret = snapshot_new(pseudo_node_of(pf->file.inode), &s);
    if (ret < 0)
        return ret;
    refs_get(&s->refs);
    mutex_lock(&pf->lock);
    old = pf->snapshot;
    pf->snapshot = s;
    mutex_unlock(&pf->lock);
    snapshot_put(old);
    *out = s;
    return 0;
}

static ssize_t pseudo_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    struct snapshot *s;
    size_t want, done;
    int ret = snapshot_at(pseudo_file_of(f), *pos, &s);

    if (ret < 0)
        return ret;
    want = *pos >= 0 && (uint64_t)*pos < s->size ? s->size - (size_t)*pos : 0;
    want = MIN(want, iov_iter_count(dst));
    done = want ? copy_to_iter(dst, s->data + *pos, want) : 0;
    snapshot_put(s);
    if (want && !done)
        return -EFAULT;
    *pos += (lx_loff_t)done;
    return (ssize_t)done;
}

static ssize_t pseudo_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    struct pseudo_node *n = pseudo_node_of(f->inode);
    size_t size = iov_iter_count(src);
    ssize_t ret;
    char *data;

    if (!n->entry->store)
        return -EIO;
    if (size > STORE_MAX)
        return -EINVAL;
    data = malloc(size + 1);
    if (!data)
        return -ENOMEM;
    if (copy_from_iter(src, data, size) != size) {
        free(data);
        return -EFAULT;
    }
    data[size] = '\0';
    ret = n->entry->store(n, data, size);
    free(data);
    if (ret > 0)
        *pos += ret;
    return ret;
}

static uint32_t pseudo_poll(struct file *f)
{
    struct pseudo_node *n = pseudo_node_of(f->inode);
    uint32_t mask = WAKE_IN | WAKE_OUT | WAKE_RDNORM | WAKE_WRNORM;

    if (n->entry->seq && n->entry->seq(n) != atomic_load(&pseudo_file_of(f)->seen))
        mask |= WAKE_PRI | WAKE_ERR;
    return mask;
}

static void pseudo_release(struct file *f)
{
    struct pseudo_file *pf = pseudo_file_of(f);

    snapshot_put(pf->snapshot);
    file_destroy_generic(f);
    mutex_destroy(&pf->lock);
    free(pf);
}

static const struct file_ops pseudo_text_ops = {
    .read = pseudo_read,
    .write = pseudo_write,
    .poll = pseudo_poll,
    .seek = file_seek_generic,
    .release = pseudo_release,
};

static const struct file_ops pseudo_dir_file_ops = {
    .readdir = pseudo_readdir,
    .seek = file_seek_generic,
    .release = pseudo_release,
};

/* ---- super --------------------------------------------------------------------------------- */

static int pseudo_statfs(struct super *s, struct fs_statfs *out)
{
    *out = (struct fs_statfs){
        .type = container_of(s, struct pseudo_super, super)->magic,
        .bsize = LX_PAGE_SIZE,
        .frsize = LX_PAGE_SIZE,
        .namelen = LX_NAME_MAX,
    };
    return 0;
}

static void pseudo_super_free(struct super *s)
{
    struct pseudo_super *ps = container_of(s, struct pseudo_super, super);

    if (ps->free_private)
        ps->free_private(ps);
    if (ps->root_object)
        ps->objects->put(ps->root_object);
    free(ps);
}

static size_t pseudo_show_options(struct super *s, char *buf, size_t size)
{
    struct pseudo_super *ps = container_of(s, struct pseudo_super, super);

    buf[0] = '\0';
    return ps->show_options ? ps->show_options(ps, buf, size) : 0;
}

static int pseudo_remount(struct super *s, const char *options)
{
    struct pseudo_super *ps = container_of(s, struct pseudo_super, super);

    return ps->remount ? ps->remount(ps, options) : 0;
}

static const struct super_ops pseudo_super_ops = {
    .show_options = pseudo_show_options,
    .remount = pseudo_remount,
    .statfs = pseudo_statfs,
    .destroy = pseudo_super_free,
};

int pseudo_super_setup_take(struct pseudo_super *ps, const char *type,
                            const struct pseudo_entry *root, struct super **out)
{
    struct pseudo_node *n;
    int ret = super_init(&ps->super, &pseudo_super_ops, type);

    if (ret < 0) {
        pseudo_super_free(&ps->super);
        return ret;
    }
    ps->super.flags |= SUPER_NOEXEC | SUPER_NODEV | SUPER_NOSUID | SUPER_REVALIDATE;
    n = calloc(1, sizeof(*n));
    if (!n) {
        super_put(&ps->super);
        return -ENOMEM;
    }
    inode_init(&n->inode, &ps->super, &pseudo_inode_ops, root->mode);
    n->entry = root;
    list_init(&n->live);
    pseudo_node_set_object(n, ps->root_object);
    n->inode.attr.ino = ROOT_INO;
    n->inode.attr.mode = root->mode;
    n->inode.attr.nlink = 2;
    n->inode.attr.blksize = 1024;
    n->inode.attr.dev = ps->super.dev;
    n->inode.attr.atime = n->inode.attr.mtime = n->inode.attr.ctime = fs_time_now();
    ret = dentry_make_root(&ps->super, &n->inode, &ps->super.root);
    if (ret < 0) {
        super_put(&ps->super);
        return ret;
    }
    *out = &ps->super;
    return 0;
}
