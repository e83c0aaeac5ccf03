/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpfs directories: two trees over the same entries, by name for lookups and by position for
 * readdir. A position is given once and never reused, so a reader that stopped at position p goes
 * on with the entries above p whatever was made or removed meanwhile.
 */
#include "sentry/fs/tmpfs/tmpfs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t name_hash(const char *name, size_t len)
{
    uint32_t h = 2166136261u;

    while (len-- > 0)
        h = (h ^ (uint8_t)*name++) * 16777619u;
    return h;
}

static int name_cmp(const struct tmpfs_dirent *a, const struct tmpfs_dirent *b)
{
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return memcmp(a->name, b->name, a->len);
}

static int pos_cmp(const struct tmpfs_dirent *a, const struct tmpfs_dirent *b)
{
    return a->pos < b->pos ? -1 : a->pos > b->pos;
}

RB_GENERATE_STATIC(tmpfs_names, tmpfs_dirent, by_name, name_cmp)
RB_GENERATE_STATIC(tmpfs_positions, tmpfs_dirent, by_pos, pos_cmp)

static struct tmpfs_dirent *find(struct tmpfs_inode *dir, const char *name, size_t len)
{
    struct tmpfs_dirent key;

    key.hash = name_hash(name, len);
    key.len = (uint32_t)len;
    /* SAFETY: the key is only compared. */
    key.name = (char *)(uintptr_t)name;
    return RB_FIND(tmpfs_names, &dir->names, &key);
}

static struct tmpfs_dirent *find_dentry(struct tmpfs_inode *dir, const struct dentry *d)
{
    return find(dir, d->name, d->name_len);
}

static struct tmpfs_dirent *entry_alloc(const char *name, size_t len)
{
    struct tmpfs_dirent *e = malloc(sizeof(*e) + len + 1);

    if (!e)
        return NULL;
    e->name = (char *)(e + 1);
    memcpy(e->name, name, len);
    e->name[len] = '\0';
    e->len = (uint32_t)len;
    e->hash = name_hash(name, len);
    e->inode = NULL;
    return e;
}

static void entry_insert(struct tmpfs_inode *dir, struct tmpfs_dirent *e,
                         struct tmpfs_inode *target)
{
    e->inode = target;
    e->pos = dir->next_pos++;
    RB_INSERT(tmpfs_names, &dir->names, e);
    RB_INSERT(tmpfs_positions, &dir->positions, e);
    dir->inode.attr.size += TMPFS_ENTRY_SIZE;
}

/* The entry's reference on the inode is the caller's afterwards. */
static struct tmpfs_inode *entry_remove(struct tmpfs_inode *dir, struct tmpfs_dirent *e)
{
    struct tmpfs_inode *target = e->inode;

    RB_REMOVE(tmpfs_names, &dir->names, e);
    RB_REMOVE(tmpfs_positions, &dir->positions, e);
    dir->inode.attr.size -= TMPFS_ENTRY_SIZE;
    free(e);
    return target;
}

static void nlink_add(struct tmpfs_inode *ti, int by)
{
    struct tmpfs_super *ts = tmpfs_super_of(&ti->inode);

    mutex_lock(&ts->lock);
    ti->inode.attr.nlink += (uint32_t)by;
    mutex_unlock(&ts->lock);
}

static void touch_dir(struct inode *dir)
{
    inode_touch(dir, false, /*mtime=*/true, /*ctime=*/true);
}

static int tmpfs_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
    struct tmpfs_dirent *e = find(tmpfs_inode_of(dir), name, len);

    *out = e ? inode_get(&e->inode->inode) : NULL;
    return 0;
}

/* A new inode under a new name; link: symlink text to own. */
static int add_new(struct inode *dir, struct dentry *child, uint32_t mode, lx_dev_t rdev,
                   const char *link)
{
    struct tmpfs_inode *td = tmpfs_inode_of(dir), *ti;
    struct tmpfs_dirent *e = entry_alloc(child->name, child->name_len);
    int ret;

    if (!e)
        return -ENOMEM;
    ret = tmpfs_inode_new(dir->super, dir, mode, rdev, &ti);
    if (ret < 0) {
        free(e);
        return ret;
    }
    if (link) {
        char *text = strdup(link);

        if (!text) {
            free(e);
            inode_put(&ti->inode);
            return -ENOMEM;
        }
        ti->inode.attr.size = strlen(text);
        atomic_store(&ti->inode.link, text);
    }
    if (LX_S_ISDIR(mode)) {
        ti->parent = td;
        dir->attr.nlink++;
    }
    entry_insert(td, e, ti);
    touch_dir(dir);
    dentry_instantiate(child, inode_get(&ti->inode));
    return 0;
}

static int tmpfs_create_file(struct inode *dir, struct dentry *child, uint32_t mode)
{
    return add_new(dir, child, mode, 0, NULL);
}

static int tmpfs_mkdir(struct inode *dir, struct dentry *child, uint32_t mode)
{
    return add_new(dir, child, mode, 0, NULL);
}

static int tmpfs_mknod(struct inode *dir, struct dentry *child, uint32_t mode, lx_dev_t rdev)
{
    return add_new(dir, child, mode, rdev, NULL);
}

static int tmpfs_symlink(struct inode *dir, struct dentry *child, const char *target)
{
    return add_new(dir, child, LX_S_IFLNK | 0777u, 0, target);
}

static int tmpfs_link(struct inode *target, struct inode *dir, struct dentry *child)
{
    struct tmpfs_dirent *e = entry_alloc(child->name, child->name_len);

    if (!e)
        return -ENOMEM;
    inode_get(target);
    entry_insert(tmpfs_inode_of(dir), e, tmpfs_inode_of(target));
    nlink_add(tmpfs_inode_of(target), 1);
    touch_dir(dir);
    inode_touch(target, false, false, /*ctime=*/true);
    dentry_instantiate(child, inode_get(target));
    return 0;
}

static int tmpfs_unlink(struct inode *dir, struct dentry *child)
{
    struct tmpfs_inode *td = tmpfs_inode_of(dir), *ti;
    struct tmpfs_dirent *e = find_dentry(td, child);

    if (!e)
        return -ENOENT;
    ti = entry_remove(td, e);
    nlink_add(ti, -1);
    touch_dir(dir);
    inode_touch(&ti->inode, false, false, /*ctime=*/true);
    inode_put(&ti->inode); /* not the last: child holds one */
    return 0;
}

static int tmpfs_rmdir(struct inode *dir, struct dentry *child)
{
    struct tmpfs_inode *td = tmpfs_inode_of(dir), *ti;
    struct tmpfs_dirent *e = find_dentry(td, child);

    if (!e)
        return -ENOENT;
    if (!RB_EMPTY(&e->inode->names))
        return -ENOTEMPTY;
    ti = entry_remove(td, e);
    ti->parent = ti;
    ti->inode.attr.nlink = 0;
    dir->attr.nlink--;
    touch_dir(dir);
    inode_touch(&ti->inode, false, false, /*ctime=*/true);
    inode_put(&ti->inode);
    return 0;
}

static int rename_exchange(struct tmpfs_inode *from, struct tmpfs_dirent *a, struct tmpfs_inode *to,
                           struct tmpfs_dirent *b)
{
    struct tmpfs_inode *ti = a->inode;

    a->inode = b->inode;
    b->inode = ti;
    if (from != to) {
        bool a_dir = LX_S_ISDIR(b->inode->inode.attr.mode);
        bool b_dir = LX_S_ISDIR(a->inode->inode.attr.mode);

        if (a_dir)
            b->inode->parent = to;
        if (b_dir)
            a->inode->parent = from;
        if (a_dir && !b_dir) {
            from->inode.attr.nlink--;
            to->inode.attr.nlink++;
        } else if (b_dir && !a_dir) {
            to->inode.attr.nlink--;
            from->inode.attr.nlink++;
        }
    }
    inode_touch(&a->inode->inode, false, false, true);
    inode_touch(&b->inode->inode, false, false, true);
    return 0;
}

static void drop_target(struct tmpfs_inode *to, struct tmpfs_dirent *target)
{
    struct tmpfs_inode *gone = entry_remove(to, target);

    if (LX_S_ISDIR(gone->inode.attr.mode)) {
        gone->parent = gone;
        gone->inode.attr.nlink = 0;
        to->inode.attr.nlink--;
    } else {
        nlink_add(gone, -1);
    }
    inode_touch(&gone->inode, false, false, true);
    inode_put(&gone->inode); /* its dentry holds one */
}

static int tmpfs_rename(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
                        struct dentry *new_child, uint32_t flags)
{
    struct tmpfs_inode *from = tmpfs_inode_of(old_dir), *to = tmpfs_inode_of(new_dir);
    struct tmpfs_inode *moved, *white = NULL;
    struct tmpfs_dirent *e = find_dentry(from, old), *target = find_dentry(to, new_child);
    struct tmpfs_dirent *fresh, *hole = NULL;
    bool is_dir;
    int ret;

    if (!e)
        return -ENOENT;
    is_dir = LX_S_ISDIR(e->inode->inode.attr.mode);
    if (flags & LX_RENAME_EXCHANGE) {
        ret = target ? rename_exchange(from, e, to, target) : -ENOENT;
        touch_dir(old_dir);
        touch_dir(new_dir);
        return ret;
    }
    if (target && LX_S_ISDIR(target->inode->inode.attr.mode) && !RB_EMPTY(&target->inode->names))
        return -ENOTEMPTY;
    fresh = entry_alloc(new_child->name, new_child->name_len);
    if (!fresh)
        return -ENOMEM;
    if (flags & LX_RENAME_WHITEOUT) {
        hole = entry_alloc(old->name, old->name_len);
        ret = hole ? tmpfs_inode_new(old_dir->super, old_dir, LX_S_IFCHR, 0, &white) : -ENOMEM;
        if (ret < 0) {
            free(hole);
            free(fresh);
            return ret;
        }
    }
    if (target)
        drop_target(to, target);
    moved = entry_remove(from, e);
    entry_insert(to, fresh, moved);
    if (hole)
        entry_insert(from, hole, white);
    if (is_dir && from != to) {
        moved->parent = to;
        old_dir->attr.nlink--;
        new_dir->attr.nlink++;
    }
    touch_dir(old_dir);
    touch_dir(new_dir);
    inode_touch(&moved->inode, false, false, true);
    return 0;
}

static int tmpfs_tmpfile(struct inode *dir, uint32_t mode, struct inode **out)
{
    struct tmpfs_inode *ti;
    int ret = tmpfs_inode_new(dir->super, dir, mode, 0, &ti);

    if (ret < 0)
        return ret;
    ti->inode.attr.nlink = 0;
    *out = &ti->inode;
    return 0;
}

void tmpfs_dir_teardown(struct tmpfs_inode *dir)
{
    struct list todo;

    list_init(&todo);
    for (;;) {
        struct tmpfs_dirent *e;

        while ((e = RB_MIN(tmpfs_names, &dir->names)) != NULL) {
            struct tmpfs_inode *ti = entry_remove(dir, e);

            if (LX_S_ISDIR(ti->inode.attr.mode))
                ti->parent = ti;
            /* Directories wait their turn, so that depth costs no stack. */
            if (LX_S_ISDIR(ti->inode.attr.mode) && !RB_EMPTY(&ti->names) &&
                refs_read(&ti->inode.refs) == 1)
                list_add(&todo, &ti->grave);
            else
                inode_put(&ti->inode);
        }
        if (dir->grave.next != &dir->grave) {
            list_del(&dir->grave);
            inode_put(&dir->inode);
        }
        if (list_empty(&todo))
            return;
        dir = list_first_entry(&todo, struct tmpfs_inode, grave);
    }
}

static int tmpfs_readdir(struct file *f, struct dir_emit *d)
{
    struct tmpfs_inode *dir = tmpfs_inode_of(f->inode);
    struct tmpfs_dirent *e, key;

    if (f->pos == 0) {
        if (!d->entry(d, ".", 1, dir->inode.attr.ino, LX_DT_DIR, 1))
            return 0;
        f->pos = 1;
    }
    if (f->pos == 1) {
        if (!d->entry(d, "..", 2, dir->parent->inode.attr.ino, LX_DT_DIR, 2))
            return 0;
        f->pos = 2;
    }
    key.pos = (uint64_t)f->pos;
    for (e = RB_NFIND(tmpfs_positions, &dir->positions, &key); e;
         e = RB_NEXT(tmpfs_positions, &dir->positions, e)) {
        if (!d->entry(d, e->name, e->len, e->inode->inode.attr.ino,
                      lx_mode_to_dt(e->inode->inode.attr.mode), (lx_loff_t)e->pos + 1))
            return 0;
        f->pos = (lx_loff_t)e->pos + 1;
    }
    return 0;
}

static int tmpfs_dir_fsync(struct file *f, bool data_only)
{
    return 0;
}

static void tmpfs_dir_release(struct file *f)
{
    file_destroy_generic(f);
    free(f);
}

static ssize_t tmpfs_dir_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    return -EISDIR;
}

const struct file_ops tmpfs_dir_file_ops = {
    .read = tmpfs_dir_read,
    .readdir = tmpfs_readdir,
    .seek = file_seek_generic,
    .fsync = tmpfs_dir_fsync,
    .release = tmpfs_dir_release,
};

const struct inode_ops tmpfs_dir_inode_ops = {
    .lookup = tmpfs_lookup,
    .create = tmpfs_create_file,
    .mkdir = tmpfs_mkdir,
    .mknod = tmpfs_mknod,
    .symlink = tmpfs_symlink,
    .link = tmpfs_link,
    .unlink = tmpfs_unlink,
    .rmdir = tmpfs_rmdir,
    .rename = tmpfs_rename,
    .tmpfile = tmpfs_tmpfile,
    .setattr = tmpfs_setattr,
    .open = tmpfs_open,
    .getxattr = tmpfs_getxattr,
    .setxattr = tmpfs_setxattr,
    .listxattr = tmpfs_listxattr,
    .removexattr = tmpfs_removexattr,
    .set_fsflags = tmpfs_set_fsflags,
    .destroy = tmpfs_inode_destroy,
};
