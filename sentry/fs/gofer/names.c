/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From names to inodes. One WALK request resolves as many components as a path has and brings their
 * attributes, link texts, and a descriptor of a regular file at the end: a cold open of a deep path
 * costs one round trip. What the listing of a directory knows costs none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/gofer/gofer_internal.h"

/* After so many failed lookups a directory's listing is fetched: it answers all further ones. */
#define MISSES_BEFORE_LISTING 3u

struct walk_request {
    struct gp_str names[GP_WALK_MAX];
    uint32_t fids[GP_WALK_MAX];
    size_t count;
};

struct walk_reply {
    struct gofer_inode *found[GP_WALK_MAX]; /* +1 each */
    size_t done;
    enum gp_stop stop;
    int error;
};

static void drop_fids(struct gofer_super *gs, const struct walk_request *rq, size_t from)
{
    for (size_t i = from; i < rq->count; i++)
        session_fid_unused(gs->session, rq->fids[i]);
}

static int alloc_fids(struct gofer_super *gs, struct walk_request *rq)
{
    for (size_t i = 0; i < rq->count; i++) {
        int ret = gs_fid_alloc(gs, &rq->fids[i]);

        if (ret < 0) {
            while (i-- > 0)
                session_fid_unused(gs->session, rq->fids[i]);
            return ret;
        }
    }
    return 0;
}

/* Decodes the reply into inodes. On a malformed one c->in is bad and session_end ends the session.
 */
static int decode_walk(struct gofer_inode *dir, const struct walk_request *rq, struct gofer_slot *c,
                       struct walk_reply *re)
{
    struct gofer_super *gs = dir->gs;
    size_t done = rbuf_u16(&c->in);
    uint16_t stop = rbuf_u16(&c->in);
    struct gofer_inode *at = dir;
    int ret = 0;

    re->error = (int32_t)rbuf_u32(&c->in);
    if (done > rq->count || stop >= GP_STOP_COUNT || re->error > 0 || re->error < -4095 ||
        (stop == GP_STOP_ALL) != (done == rq->count) || (stop == GP_STOP_ERROR && re->error == 0) ||
        (done == 0 && (stop == GP_STOP_SYMLINK || stop == GP_STOP_NOTDIR)))
        c->in.bad = true;
    for (size_t i = 0; i < done && !c->in.bad; i++) {
        struct gp_attr attr;
        struct gp_str target = {0};
        bool link;

        gp_get_attr(&c->in, &attr);
        link = LX_S_ISLNK(attr.mode);
        if (link)
            target = gp_get_string(&c->in, GP_TARGET_MAX);
        /* Only the last one may be something that cannot be walked through. */
        if (!LX_S_ISDIR(attr.mode) && i + 1 < done)
            c->in.bad = true;
        if (link && target.len == 0)
            c->in.bad = true;
        if (c->in.bad)
            break;
        if (ret == 0)
            ret = gi_obtain(gs, at, rq->names[i].data, rq->names[i].len, &attr,
                            link ? &target : NULL, rq->fids[i], &at);
        else
            session_fid_clunk(gs->session, rq->fids[i], /*now=*/false);
        if (ret == 0)
            re->found[re->done++] = at;
    }
    if (c->in.bad)
        return 0;
    re->stop = stop;
    drop_fids(gs, rq, done);
    if (ret == 0 && re->done > 0 && stop == GP_STOP_ALL && LX_S_ISREG(at->inode.attr.mode)) {
        int fd = session_take_fd(c);

        if (fd >= 0)
            gi_data_take(at, fd, /*writable=*/false);
    }
    return ret;
}

static int walk_call(struct gofer_inode *dir, struct walk_request *rq, bool donate,
                     struct walk_reply *re)
{
    struct gofer_super *gs = dir->gs;
    struct gofer_slot *c;
    uint32_t dir_fid;
    int ret = gi_pin(dir, &dir_fid);

    re->done = 0;
    if (ret < 0)
        return ret;
    ret = alloc_fids(gs, rq);
    if (ret < 0)
        goto out_unpin;
    ret = session_begin(gs->session, GP_WALK, &c);
    if (ret < 0) {
        drop_fids(gs, rq, 0);
        goto out_unpin;
    }
    wbuf_u32(&c->out, dir_fid);
    wbuf_u16(&c->out, donate ? GP_WALK_DONATE : 0);
    wbuf_u16(&c->out, (uint16_t)rq->count);
    for (size_t i = 0; i < rq->count; i++) {
        wbuf_u32(&c->out, rq->fids[i]);
        gp_put_string(&c->out, rq->names[i].data, rq->names[i].len);
    }
    ret = session_call(c);
    if (ret == 0)
        ret = decode_walk(dir, rq, c, re);
    else
        drop_fids(gs, rq, 0);
    ret = session_end(c, ret);
out_unpin:
    gi_unpin(dir);
    if (ret < 0) {
        while (re->done > 0)
            inode_put(&re->found[--re->done]->inode);
    }
    return ret;
}

static int lookup_remote(struct gofer_inode *dir, const char *name, size_t len, bool donate,
                         struct inode **out)
{
    struct walk_request rq = {.count = 1};
    struct walk_reply re;
    int ret;

    rq.names[0] = (struct gp_str){.data = name, .len = (uint16_t)len};
    ret = walk_call(dir, &rq, donate, &re);
    if (ret < 0)
        return ret;
    *out = NULL;
    if (re.done == 1)
        *out = &re.found[0]->inode;
    else if (re.stop == GP_STOP_ERROR)
        ret = re.error;
    return ret;
}

int gofer_lookup(struct inode *inode, const char *name, size_t len, struct inode **out)
{
    struct gofer_inode *dir = gofer_inode(inode), *gi;
    struct gp_attr attr;
    enum listing_answer known;
    int ret;

    *out = NULL;
    known = gi_listing_find(dir, name, len, &attr);
    if (known == LISTING_UNKNOWN && gi_listing_lacks_attr(dir)) {
        gi_listing_load(dir, /*with_attr=*/true);
        known = gi_listing_find(dir, name, len, &attr);
    }
    switch (known) {
    case LISTING_ABSENT:
        return 0;
    case LISTING_HIT:
        ret = gi_obtain(dir->gs, dir, name, len, &attr, NULL, GP_FID_NONE, &gi);
        if (ret == 0)
            *out = &gi->inode;
        return ret;
    case LISTING_UNKNOWN:
        break;
    }
    ret = lookup_remote(dir, name, len, /*donate=*/true, out);
    if (ret == 0 && !*out && dir->gs->exclusive &&
        atomic_fetch_add(&dir->misses, 1) + 1 == MISSES_BEFORE_LISTING)
        gi_listing_load(dir, /*with_attr=*/false); /* for absences names suffice, and come fast */
    return ret;
}

/* Splits rest into names up to "..", an empty end, or the maximum. */
static void split_names(const char *rest, size_t len, struct walk_request *rq)
{
    size_t i = 0;

    rq->count = 0;
    while (i < len && rq->count < GP_WALK_MAX) {
        size_t start;

        while (i < len && rest[i] == '/')
            i++;
        start = i;
        while (i < len && rest[i] != '/')
            i++;
        if (i == start || (i - start == 1 && rest[start] == '.'))
            continue;
        if (!gp_name_valid(rest + start, i - start))
            return;
        rq->names[rq->count++] =
            (struct gp_str){.data = rest + start, .len = (uint16_t)(i - start)};
    }
}

/* Puts one prefetched name into the dcache unless names changed since the question was asked. */
static struct dentry *add_prefetched(struct dentry *parent, const struct gp_str *name,
                                     struct gofer_inode *gi_take, unsigned long changes)
{
    struct inode *dir = parent->inode;
    struct gofer_super *gs = gofer_super(dir->super);
    struct dentry *d = NULL;

    mutex_lock(&dir->lock);
    if (atomic_load(&gs->changes) == changes) {
        if (dentry_add(parent, name->data, name->len, gi_take ? &gi_take->inode : NULL, &d) < 0)
            d = NULL;
        gi_take = NULL;
    }
    mutex_unlock(&dir->lock);
    if (gi_take)
        inode_put(&gi_take->inode);
    return d;
}

/* Steps over leading names that listings know. Returns how many; *at (owned) moves along and is
 * NULL when nothing is left to ask for. */
static size_t skip_listed(const struct walk_request *rq, unsigned long changes, struct dentry **at)
{
    size_t i = 0;

    while (*at && i < rq->count) {
        struct gofer_inode *dir = gofer_inode((*at)->inode), *gi;
        const struct gp_str *name = &rq->names[i];
        struct dentry *next = dentry_lookup(*at, name->data, name->len);
        struct gp_attr attr;

        if (!next) {
            enum listing_answer known = gi_listing_find(dir, name->data, name->len, &attr);

            if (known == LISTING_UNKNOWN)
                return i;
            if (known == LISTING_HIT &&
                gi_obtain(dir->gs, dir, name->data, name->len, &attr, NULL, GP_FID_NONE, &gi) == 0)
                next = add_prefetched(*at, name, gi, changes);
        }
        dentry_put(*at);
        *at = next;
        i++;
        if (next && (!next->inode || !LX_S_ISDIR(next->inode->attr.mode))) {
            dentry_put(next);
            *at = NULL;
        }
    }
    return i;
}

void gofer_prefetch(struct inode *inode, struct dentry *parent, const char *rest, size_t len)
{
    struct gofer_super *gs = gofer_super(inode->super);
    unsigned long changes = atomic_load(&gs->changes);
    struct dentry *at = dentry_get(parent);
    struct walk_request rq;
    struct walk_reply re;
    size_t skipped;

    split_names(rest, len, &rq);
    skipped = skip_listed(&rq, changes, &at);
    rq.count -= skipped;
    memmove(rq.names, rq.names + skipped, rq.count * sizeof(rq.names[0]));
    if (!at || rq.count == 0 || walk_call(gofer_inode(at->inode), &rq, /*donate=*/true, &re) < 0) {
        if (at)
            dentry_put(at);
        return;
    }
    for (size_t i = 0; i < re.done; i++) {
        struct dentry *next = NULL;

        if (at) {
            next = add_prefetched(at, &rq.names[i], re.found[i], changes);
            dentry_put(at);
        } else {
            inode_put(&re.found[i]->inode);
        }
        at = next;
        if (at && (!at->inode || !LX_S_ISDIR(at->inode->attr.mode))) {
            dentry_put(at);
            at = NULL;
        }
    }
    if (at && re.stop == GP_STOP_MISSING && gs->exclusive) {
        struct dentry *d = add_prefetched(at, &rq.names[re.done], NULL, changes);

        if (d)
            dentry_put(d);
    }
    if (at)
        dentry_put(at);
}

/* Shared trees: does the name still lead to the same object? One round trip each time. */
bool gofer_revalidate(struct inode *inode, struct dentry *child)
{
    struct inode *known = child->inode, *found = NULL;
    bool same;

    if (gofer_inode(inode)->gs->exclusive)
        return true;
    if (lookup_remote(gofer_inode(inode), child->name, child->name_len, /*donate=*/false, &found) <
        0)
        return false;
    same = found == known;
    if (found)
        inode_put(found);
    return same;
}

int gofer_readlink(struct inode *inode, char **out)
{
    struct gofer_inode *gi = gofer_inode(inode);
    struct gofer_slot *c;
    struct gp_str text;
    uint32_t fid;
    char *copy = NULL;
    int ret = gi_pin(gi, &fid);

    if (ret < 0)
        return ret;
    ret = session_begin(gi->gs->session, GP_READLINK, &c);
    if (ret == 0) {
        wbuf_u32(&c->out, fid);
        ret = session_call(c);
        if (ret == 0) {
            text = gp_get_string(&c->in, GP_TARGET_MAX);
            if (text.len == 0)
                c->in.bad = true;
            copy = malloc((size_t)text.len + 1);
            if (copy) {
                memcpy(copy, text.data, text.len);
                copy[text.len] = '\0';
            } else {
                ret = -ENOMEM;
            }
        }
        ret = session_end(c, ret);
    }
    gi_unpin(gi);
    if (ret < 0)
        free(copy);
    else
        *out = copy;
    return ret;
}
