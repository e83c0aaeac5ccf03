/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directory listings. A listing is fetched whole, and shared: open directories
 * hold the one they started with (positions are its indices, so they are stable), and in an
 * exclusive tree the directory keeps it too, until a name in it changes, to answer lookups:
 * absences, and where nobody can change attributes either (read-only) hits. Attributes cost the gofer
 * a host call for each entry, so they are fetched when somebody has listed the directory and then
 * looked at ATTR_AFTER of its entries one by one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/gofer/gofer_internal.h"

/* Directories larger than this are listed for their readers but not kept for lookups. */
#define KEEP_ENTRIES_MAX 20000u
#define KEEP_BYTES_MAX   (24u << 20)
#define ATTR_AFTER       6u

struct listing_entry {
    uint32_t name_off, next; /* next: index + 1 in the same hash bucket */
    uint16_t name_len;
    uint8_t type; /* DT_* */
    bool has_attr;
    uint64_t ino; /* as the guest sees it */
    struct gp_attr attr;
};

/* Lifetime: refcounted; immutable once built. */
struct listing {
    struct refs refs;
    struct listing_entry *entries;
    uint32_t *buckets; /* index + 1; bucket_count is a power of two */
    uint32_t count, room, bucket_count;
    char *names;
    size_t names_used, names_room;
    bool with_attr; /* entries were asked for with attributes */
};

struct gofer_dir_file {
    struct file file;
    struct listing *listing; /* p (pos_lock or directory lock), +1; NULL before the first entry */
};

void listing_put(struct listing *l)
{
    if (!l || !refs_put(&l->refs))
        return;
    free(l->entries);
    free(l->buckets);
    free(l->names);
    free(l);
}

static size_t listing_size(const struct listing *l)
{
    return l->room * sizeof(*l->entries) + l->names_room + l->bucket_count * sizeof(uint32_t);
}

static int listing_reserve(struct listing *l, size_t name_len)
{
    if (l->count == l->room) {
        uint32_t room = l->room ? l->room * 2 : 32;
        void *p = realloc(l->entries, room * sizeof(*l->entries));

        if (!p)
            return -ENOMEM;
        l->entries = p;
        l->room = room;
    }
    if (l->names_room - l->names_used < name_len) {
        size_t room = l->names_room ? l->names_room * 2 : 1024;
        char *p = realloc(l->names, room);

        if (!p)
            return -ENOMEM;
        l->names = p;
        l->names_room = room;
    }
    return l->names_used > UINT32_MAX - 1024 ? -ENOMEM : 0;
}

static int listing_index(struct listing *l)
{
    l->bucket_count = 16;
    while (l->bucket_count < l->count)
        l->bucket_count *= 2;
    l->buckets = calloc(l->bucket_count, sizeof(*l->buckets));
    if (!l->buckets)
        return -ENOMEM;
    for (uint32_t i = 0; i < l->count; i++) {
        struct listing_entry *e = &l->entries[i];
        uint32_t *b = &l->buckets[dentry_name_hash(l->names + e->name_off, e->name_len) &
                                  (l->bucket_count - 1)];

        e->next = *b;
        *b = i + 1;
    }
    return 0;
}

/* One READDIR reply appended. *eof and *cookie tell how to go on. */
static int decode_page(struct gofer_inode *dir, struct rbuf *in, struct listing *l, bool *eof,
                       uint64_t *cookie)
{
    struct gofer_super *gs = dir->gs;
    uint8_t end = rbuf_u8(in);
    uint32_t n = rbuf_u32(in);

    if (end > 1 || (n == 0 && !end))
        in->bad = true; /* a page that leads nowhere would be asked for forever */
    for (uint32_t i = 0; i < n && !in->bad; i++) {
        struct listing_entry *e;
        struct gp_str name;
        uint64_t next = rbuf_u64(in), ino;
        uint8_t has_attr = rbuf_u8(in), type;
        int ret;

        ino = rbuf_u64(in);
        type = rbuf_u8(in);
        name = gp_get_name(in);
        if (in->bad || has_attr > 1 || type > 15) {
            in->bad = true;
            break;
        }
        ret = listing_reserve(l, name.len);
        if (ret < 0)
            return ret;
        e = &l->entries[l->count];
        *e = (struct listing_entry){.name_off = (uint32_t)l->names_used,
                                    .name_len = name.len,
                                    .type = type,
                                    .has_attr = has_attr};
        if (has_attr) {
            gp_get_attr(in, &e->attr);
            e->type = (uint8_t)(e->attr.mode >> 12);
            e->ino = gs_guest_ino(gs, e->attr.dev, e->attr.ino);
        } else {
            e->ino = gs_guest_ino(gs, dir->host_dev, ino);
        }
        memcpy(l->names + l->names_used, name.data, name.len);
        l->names_used += name.len;
        l->count++;
        *cookie = next;
    }
    *eof = end;
    return 0;
}

struct first_page {
    struct gi_extra extra;
    struct gofer_inode *dir;
    struct listing *l;
    bool eof;
    uint64_t cookie;
};

static int take_first_page(struct gi_extra *extra, struct gofer_slot *c)
{
    struct first_page *p = container_of(extra, struct first_page, extra);
    uint8_t there = rbuf_u8(&c->in);

    if (there > 1)
        c->in.bad = true;
    if (there != 1)
        return 0;
    extra->took = true;
    return decode_page(p->dir, &c->in, p->l, &p->eof, &p->cookie);
}

static int fetch(struct gofer_inode *dir, struct listing *l)
{
    struct gofer_super *gs = dir->gs;
    bool attr = l->with_attr;
    struct first_page p = {
        .extra = {.flags = GP_WALK_LIST, .take = take_first_page}, .dir = dir, .l = l};
    uint32_t fid;
    int ret = gi_pin_extra(dir, attr ? NULL : &p.extra, &fid);

    if (ret < 0)
        return ret;
    while (ret == 0 && !p.eof) {
        struct gofer_slot *c;

        ret = session_begin(gs->session, GP_READDIR, &c);
        if (ret < 0)
            break;
        wbuf_u32(&c->out, fid);
        wbuf_u64(&c->out, p.cookie);
        wbuf_u32(&c->out, attr ? GP_READDIR_ATTR : 0);
        ret = session_call(c);
        if (ret == 0)
            ret = decode_page(dir, &c->in, l, &p.eof, &p.cookie);
        ret = session_end(c, ret);
    }
    gi_unpin(dir);
    return ret < 0 ? ret : listing_index(l);
}

/* Fetches a listing and, when worth it, keeps it. Directory lock held: no name changes meanwhile.
 */
static int listing_make(struct gofer_inode *dir, bool with_attr, struct listing **out)
{
    struct gofer_super *gs = dir->gs;
    struct listing *l = calloc(1, sizeof(*l)), *old = NULL;
    int ret;

    if (!l)
        return -ENOMEM;
    refs_init(&l->refs);
    l->with_attr = with_attr;
    ret = fetch(dir, l);
    if (ret < 0) {
        listing_put(l);
        return ret;
    }
    mutex_lock(&gs->lock);
    if (gs->exclusive && l->count <= KEEP_ENTRIES_MAX &&
        gs->listing_size + listing_size(l) <= KEEP_BYTES_MAX) {
        old = dir->listing;
        if (old)
            gs->listing_size -= listing_size(old);
        refs_get(&l->refs);
        dir->listing = l;
        gs->listing_size += listing_size(l);
    }
    mutex_unlock(&gs->lock);
    listing_put(old);
    *out = l;
    return 0;
}

static struct listing *kept_get(struct gofer_inode *dir)
{
    struct listing *l;

    mutex_lock(&dir->gs->lock);
    l = dir->listing;
    if (l)
        refs_get(&l->refs);
    mutex_unlock(&dir->gs->lock);
    return l;
}

void gi_listing_load(struct gofer_inode *dir, bool with_attr)
{
    struct listing *l;

    if (listing_make(dir, with_attr, &l) == 0)
        listing_put(l);
}

bool gi_listing_lacks_attr(struct gofer_inode *dir)
{
    struct gofer_super *gs = dir->gs;
    bool lacks;

    if (!gs->exclusive || !gs->readonly)
        return false;
    mutex_lock(&gs->lock);
    lacks = dir->listing && !dir->listing->with_attr && ++dir->looked_at == ATTR_AFTER;
    mutex_unlock(&gs->lock);
    return lacks;
}

void gi_listing_drop(struct gofer_inode *dir)
{
    struct listing *l;

    mutex_lock(&dir->gs->lock);
    l = dir->listing;
    dir->listing = NULL;
    if (l)
        dir->gs->listing_size -= listing_size(l);
    mutex_unlock(&dir->gs->lock);
    listing_put(l);
}

enum listing_answer gi_listing_find(struct gofer_inode *dir, const char *name, size_t len,
                                    struct gp_attr *out_attr)
{
    struct listing *l = kept_get(dir);
    enum listing_answer answer = LISTING_ABSENT;
    uint32_t i;

    if (!l)
        return LISTING_UNKNOWN;
    i = l->buckets[dentry_name_hash(name, len) & (l->bucket_count - 1)];
    for (; i > 0; i = l->entries[i - 1].next) {
        const struct listing_entry *e = &l->entries[i - 1];

        if (e->name_len == len && memcmp(l->names + e->name_off, name, len) == 0) {
            answer = e->has_attr ? LISTING_HIT : LISTING_UNKNOWN;
            if (e->has_attr)
                *out_attr = e->attr;
            break;
        }
    }
    listing_put(l);
    return answer;
}

/* ---- open directories ------------------------------------------------------------------------ */

static struct gofer_dir_file *dir_file(struct file *f)
{
    return container_of(f, struct gofer_dir_file, file);
}

/* Position 0 is ".", 1 is "..", 2 the first entry. */
static int gofer_readdir(struct file *f, struct dir_emit *d)
{
    struct gofer_dir_file *df = dir_file(f);
    struct gofer_inode *dir = gofer_inode(f->inode);
    struct gofer_inode *parent = dir->parent ? dir->parent : dir;
    int ret;

    if (f->pos == 0 || !df->listing) {
        struct listing *l = kept_get(dir);

        if (!l) {
            ret = listing_make(dir, /*with_attr=*/false, &l);
            if (ret < 0)
                return ret;
        }
        listing_put(df->listing);
        df->listing = l;
    }
    if (f->pos == 0) {
        if (!d->entry(d, ".", 1, dir->inode.attr.ino, 4, 1))
            return 0;
        f->pos = 1;
    }
    if (f->pos == 1) {
        if (!d->entry(d, "..", 2, parent->inode.attr.ino, 4, 2))
            return 0;
        f->pos = 2;
    }
    while (f->pos >= 2 && (uint64_t)f->pos - 2 < df->listing->count) {
        const struct listing_entry *e = &df->listing->entries[f->pos - 2];

        if (!d->entry(d, df->listing->names + e->name_off, e->name_len, e->ino, e->type,
                      f->pos + 1))
            return 0;
        f->pos++;
    }
    return 0;
}

static void gofer_dir_release(struct file *f)
{
    struct gofer_dir_file *df = dir_file(f);

    listing_put(df->listing);
    file_destroy_generic(f);
    free(df);
}

static int gofer_dir_fsync(struct file *f, bool data_only)
{
    struct gofer_inode *gi = gofer_inode(f->inode);
    struct gofer_slot *c;
    uint32_t fid;
    int ret;

    if (gi->gs->readonly)
        return 0;
    ret = gi_pin(gi, &fid);
    if (ret < 0)
        return ret;
    ret = session_begin(gi->gs->session, GP_FSYNC, &c);
    if (ret == 0) {
        wbuf_u32(&c->out, fid);
        wbuf_u32(&c->out, data_only);
        ret = session_end(c, session_call(c));
    }
    gi_unpin(gi);
    return ret;
}

static const struct file_ops g_dir_file_ops = {
    .readdir = gofer_readdir,
    .seek = file_seek_generic,
    .fsync = gofer_dir_fsync,
    .release = gofer_dir_release,
};

int gofer_open_directory(struct inode *inode, uint32_t flags, struct file **out)
{
    struct gofer_dir_file *df = calloc(1, sizeof(*df));

    (void)inode;
    if (!df)
        return -ENOMEM;
    file_init(&df->file, &g_dir_file_ops, flags);
    df->file.kind |= FILE_SEEKABLE;
    *out = &df->file;
    return 0;
}
