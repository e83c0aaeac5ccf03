/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading directories: the entries of all parts, topmost first, each name once, whiteouts and what
 * they hide left out. An open directory keeps the list it made at position 0; positions are indices
 * into it, so they are stable while names come and go.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/overlay/overlay_internal.h"

struct merged_entry {
    uint32_t name_off, next; /* next: index + 1 in the hash bucket */
    uint16_t len;
    uint8_t type;
    bool whiteout;
    uint64_t ino;
};

struct merged {
    struct merged_entry *entries;
    uint32_t count, room;
    char *names;
    size_t names_used, names_room;
    uint32_t *buckets; /* index + 1 */
    uint32_t bucket_count;
};

struct ovl_dir_file {
    struct file file;
    struct merged *list; /* pos_lock or the directory's lock, owned; NULL before the first read */
};

static void merged_free(struct merged *m)
{
    if (!m)
        return;
    free(m->entries);
    free(m->names);
    free(m->buckets);
    free(m);
}

static int merged_rehash(struct merged *m)
{
    uint32_t count = m->bucket_count ? m->bucket_count * 2 : 64;
    uint32_t *buckets = calloc(count, sizeof(*buckets));

    if (!buckets)
        return -ENOMEM;
    free(m->buckets);
    m->buckets = buckets;
    m->bucket_count = count;
    for (uint32_t i = 0; i < m->count; i++) {
        struct merged_entry *e = &m->entries[i];
        uint32_t *b = &buckets[dentry_name_hash(m->names + e->name_off, e->len) & (count - 1)];

        e->next = *b;
        *b = i + 1;
    }
    return 0;
}

static int merged_reserve(struct merged *m, size_t len)
{
    if (m->count == m->room) {
        uint32_t room = m->room ? m->room * 2 : 32;
        void *p = realloc(m->entries, room * sizeof(*m->entries));

        if (!p)
            return -ENOMEM;
        m->entries = p;
        m->room = room;
    }
    if (m->names_room - m->names_used < len) {
        size_t room = m->names_room ? m->names_room * 2 : 1024;
        char *p = realloc(m->names, room);

        if (!p)
            return -ENOMEM;
        m->names = p;
        m->names_room = room;
    }
    return m->count >= m->bucket_count ? merged_rehash(m) : 0;
}

static bool merged_has(const struct merged *m, const char *name, size_t len)
{
    uint32_t i;

    if (m->bucket_count == 0)
        return false;
    i = m->buckets[dentry_name_hash(name, len) & (m->bucket_count - 1)];
    for (; i > 0; i = m->entries[i - 1].next) {
        const struct merged_entry *e = &m->entries[i - 1];

        if (e->len == len && memcmp(m->names + e->name_off, name, len) == 0)
            return true;
    }
    return false;
}

/* ---- filling --------------------------------------------------------------------------------- */

struct filler {
    struct dir_emit emit;
    struct merged *to;
    uint32_t layer;
    int error;
};

static bool fill_entry(struct dir_emit *d, const char *name, size_t len, uint64_t ino, uint8_t type,
                       lx_loff_t next_pos)
{
    struct filler *f = container_of(d, struct filler, emit);
    struct merged *m = f->to;
    struct merged_entry *e;
    uint32_t *b;

    (void)next_pos;
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return true;
    if (merged_has(m, name, len))
        return true;
    f->error = merged_reserve(m, len);
    if (f->error < 0)
        return false;
    b = &m->buckets[dentry_name_hash(name, len) & (m->bucket_count - 1)];
    e = &m->entries[m->count++];
    *e = (struct merged_entry){.name_off = (uint32_t)m->names_used,
                               .next = *b,
                               .len = (uint16_t)len,
                               .type = type,
                               .ino = ovl_guest_ino(f->layer, ino)};
    *b = m->count;
    memcpy(m->names + m->names_used, name, len);
    m->names_used += len;
    return true;
}

/* Whiteouts among the new entries, and numbers that are not the layer's own. Real lock not held. */
static int fill_look_closer(struct dentry *real, struct ovl_inode *dir, struct merged *m,
                            uint32_t from, bool upper)
{
    for (uint32_t i = from; i < m->count; i++) {
        struct merged_entry *e = &m->entries[i];
        struct dentry *d;
        int ret;

        if (!upper && e->type != LX_DT_CHR)
            continue;
        ret = walk_lookup(real, m->names + e->name_off, e->len, /*locked=*/false, &d);
        if (ret < 0)
            return ret;
        if (d->inode && ovl_is_whiteout(d->inode)) {
            e->whiteout = true;
        } else if (upper && d->inode && e->type != LX_DT_DIR) {
            e->ino = ovl_upper_ino(d->inode);
        } else if (upper && d->inode) {
            /* A merged directory, here or by a redirect, shows the number of its lower part. */
            struct inode *child;

            if (ovl_lookup(&dir->inode, m->names + e->name_off, e->len, &child) == 0 && child) {
                e->ino = child->attr.ino;
                inode_put(child);
            }
        }
        dentry_put(d);
    }
    return 0;
}

static int fill_from(struct ovl_inode *dir, struct dentry *real, uint32_t layer, struct merged *m)
{
    struct filler f = {.emit.entry = fill_entry, .to = m, .layer = layer};
    uint32_t before = m->count;
    struct file *file;
    lx_loff_t last;
    int ret = ovl_open_real(real, LX_O_RDONLY | LX_O_DIRECTORY, &file);

    if (ret < 0)
        return ret;
    if (!file->ops->readdir) {
        file_put(file);
        return -ENOTDIR;
    }
    mutex_lock(&real->inode->lock);
    do {
        last = file->pos;
        ret = file->ops->readdir(file, &f.emit);
    } while (ret == 0 && f.error == 0 && file->pos != last);
    mutex_unlock(&real->inode->lock);
    file_put(file);
    if (ret == 0)
        ret = f.error;
    return ret < 0 ? ret : fill_look_closer(real, dir, m, before, layer == 0);
}

static int merged_make(struct ovl_inode *dir, struct merged **out)
{
    struct merged *m = calloc(1, sizeof(*m));
    int ret = m ? 0 : -ENOMEM;

    if (ret == 0 && dir->upper)
        ret = fill_from(dir, dir->upper, 0, m);
    for (uint32_t i = 0; i < dir->lower_count && ret == 0; i++)
        ret = fill_from(dir, dir->lowers[i], dir->layer_of[i], m);
    if (ret < 0)
        merged_free(m);
    else
        *out = m;
    return ret;
}

int ovl_dir_check_empty(struct ovl_inode *dir)
{
    struct merged *m;
    int ret = merged_make(dir, &m);

    if (ret < 0)
        return ret;
    for (uint32_t i = 0; i < m->count && ret == 0; i++) {
        if (!m->entries[i].whiteout)
            ret = -ENOTEMPTY;
    }
    merged_free(m);
    return ret;
}

int ovl_dir_clear_whiteouts(struct ovl_inode *dir)
{
    struct dentry *upper = dir->upper;
    struct merged *m = calloc(1, sizeof(*m));
    int ret = m ? fill_from(dir, upper, 0, m) : -ENOMEM;

    if (ret < 0) {
        merged_free(m);
        return ret;
    }
    mutex_lock(&upper->inode->lock);
    for (uint32_t i = 0; i < m->count && ret == 0; i++) {
        const struct merged_entry *e = &m->entries[i];
        struct dentry *d;

        if (!e->whiteout)
            continue;
        ret = walk_lookup(upper, m->names + e->name_off, e->len, /*locked=*/true, &d);
        if (ret < 0)
            break;
        if (d->inode && ovl_is_whiteout(d->inode)) {
            ret = upper->inode->ops->unlink(upper->inode, d);
            if (ret == 0)
                dentry_delete(d);
        }
        dentry_put(d);
    }
    mutex_unlock(&upper->inode->lock);
    merged_free(m);
    return ret;
}

/* ---- open directories ------------------------------------------------------------------------ */

static struct ovl_dir_file *dir_file(struct file *f)
{
    return container_of(f, struct ovl_dir_file, file);
}

/* Position 0 is ".", 1 is "..", 2 the first entry. */
static int ovl_readdir(struct file *f, struct dir_emit *d)
{
    struct ovl_dir_file *df = dir_file(f);
    struct ovl_inode *dir = ovl_inode(f->inode);
    struct ovl_inode *parent = dir->parent ? dir->parent : dir;
    int ret;

    if (f->pos == 0 || !df->list) {
        struct merged *m;

        ret = merged_make(dir, &m);
        if (ret < 0)
            return ret;
        merged_free(df->list);
        df->list = m;
    }
    if (f->pos == 0) {
        if (!d->entry(d, ".", 1, dir->inode.attr.ino, LX_DT_DIR, 1))
            return 0;
        f->pos = 1;
    }
    if (f->pos == 1) {
        if (!d->entry(d, "..", 2, parent->inode.attr.ino, LX_DT_DIR, 2))
            return 0;
        f->pos = 2;
    }
    while (f->pos >= 2 && (uint64_t)f->pos - 2 < df->list->count) {
        const struct merged_entry *e = &df->list->entries[f->pos - 2];

        if (!e->whiteout &&
            !d->entry(d, df->list->names + e->name_off, e->len, e->ino, e->type, f->pos + 1))
            return 0;
        f->pos++;
    }
    return 0;
}

static int ovl_dir_fsync(struct file *f, bool data_only)
{
    struct dentry *upper = ovl_inode(f->inode)->upper;
    struct file *real;
    int ret;

    if (!upper)
        return 0;
    ret = ovl_open_real(upper, LX_O_RDONLY | LX_O_DIRECTORY, &real);
    if (ret < 0)
        return ret;
    ret = real->ops->fsync ? real->ops->fsync(real, data_only) : 0;
    file_put(real);
    return ret;
}

static ssize_t ovl_dir_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    (void)f;
    (void)dst;
    (void)pos;
    return -EISDIR;
}

static void ovl_dir_release(struct file *f)
{
    struct ovl_dir_file *df = dir_file(f);

    merged_free(df->list);
    file_destroy_generic(f);
    free(df);
}

static const struct file_ops g_ovl_dir_file_ops = {
    .read = ovl_dir_read,
    .readdir = ovl_readdir,
    .seek = file_seek_generic,
    .fsync = ovl_dir_fsync,
    .release = ovl_dir_release,
};

int ovl_open_dir(struct inode *inode, uint32_t flags, struct file **out)
{
    struct ovl_dir_file *df = calloc(1, sizeof(*df));

    (void)inode;
    if (!df)
        return -ENOMEM;
    file_init(&df->file, &g_ovl_dir_file_ops, flags);
    df->file.kind |= FILE_SEEKABLE;
    *out = &df->file;
    return 0;
}
