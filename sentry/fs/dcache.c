/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dentry cache.
 *
 * A hashed dentry is findable; the cache holds one reference on it, so "unused" means count 1. The
 * LRU is a clock: lookups set DENTRY_REFERENCED, the hand (dcache_reap) clears it and evicts unused
 * dentries that it finds cleared, until at most DCACHE_LIMIT are hashed. Children pin their parent,
 * so trees go from the leaves.
 *
 * A dentry goes away in two steps: unhash under the lock, put the cache's reference without it,
 * because the last put drops the inode, which may block. dentry_drop, which may run under directory
 * locks, leaves that put to dcache_reap.
 */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/landlock/landlock.h"

struct dcache g_dcache;

uint32_t dentry_name_hash(const char *name, size_t len)
{
    uint64_t h = 0xcbf29ce484222325ull ^ len;
    uint64_t chunk;

    while (len >= 8) {
        memcpy(&chunk, name, 8);
        h = (h ^ chunk) * 0x9fb21c651e98df25ull;
        h ^= h >> 32;
        name += 8;
        len -= 8;
    }
    chunk = 0;
    memcpy(&chunk, name, len);
    h = (h ^ chunk) * 0x9fb21c651e98df25ull;
    return (uint32_t)(h ^ (h >> 32));
}

static struct dentry **bucket(const struct dentry *parent, uint32_t hash)
{
    uint64_t h = ((uintptr_t)parent >> 6) * 0x9e3779b97f4a7c15ull;

    return &g_dcache.table[((h >> 40) ^ hash) & (DCACHE_BUCKETS - 1)];
}

struct dentry *dentry_lookup_locked(struct dentry *parent, const char *name, size_t len,
                                    uint32_t hash)
{
    struct dentry *d;

    for (d = *bucket(parent, hash); d; d = d->hash_next) {
        if (d->hash == hash && d->parent == parent && d->name_len == len &&
            memcmp(d->name, name, len) == 0) {
            if (!(d->flags & DENTRY_REFERENCED))
                d->flags |= DENTRY_REFERENCED;
            return d;
        }
    }
    return NULL;
}

struct dentry *dentry_get(struct dentry *d)
{
    refs_get(&d->refs);
    return d;
}

/* relaxed: only a hint to dcache_reap, which looks again under the lock. */
static void want_reap(bool yes) REQUIRES(g_dcache.lock)
{
    atomic_store_explicit(&g_dcache.want_reap, yes, memory_order_relaxed);
}

/* Adds to the hash; the caller's reference count gains the cache's. */
static void hash_locked(struct dentry *d) REQUIRES(g_dcache.lock)
{
    struct dentry **b = bucket(d->parent, d->hash);

    d->hash_next = *b;
    *b = d;
    d->flags |= DENTRY_HASHED | DENTRY_REFERENCED;
    list_add(&g_dcache.lru, &d->lru);
    if (++g_dcache.hashed > DCACHE_LIMIT)
        want_reap(true);
}

/* Takes it out of the hash; the cache's reference is the caller's now. */
static void unhash_locked(struct dentry *d) REQUIRES(g_dcache.lock)
{
    struct dentry **p;

    for (p = bucket(d->parent, d->hash); *p != d; p = &(*p)->hash_next)
        ASSERT(*p);
    *p = d->hash_next;
    d->hash_next = NULL;
    d->flags &= ~DENTRY_HASHED;
    list_del(&d->lru);
    g_dcache.hashed--;
}

static void dead_locked(struct dentry *d) REQUIRES(g_dcache.lock)
{
    list_add(&g_dcache.dead, &d->lru);
    want_reap(true);
}

void dentry_put(struct dentry *d)
{
    while (refs_put(&d->refs)) {
        struct dentry *parent = d->parent;

        mutex_lock(&g_dcache.lock);
        ASSERT(!(d->flags & DENTRY_HASHED));
        list_del(&d->sibling);
        mutex_unlock(&g_dcache.lock);
        if (d->inode)
            inode_put(d->inode);
        free(d->name);
        if (parent == d) {
            free(d);
            return;
        }
        free(d);
        d = parent;
        if (!d)
            return;
    }
}

static int dentry_alloc(struct super *s, const char *name, size_t len, struct dentry **out)
{
    struct dentry *d = calloc(1, sizeof(*d));

    if (!d)
        return -ENOMEM;
    d->name = malloc(len + 1);
    if (!d->name) {
        free(d);
        return -ENOMEM;
    }
    memcpy(d->name, name, len);
    d->name[len] = '\0';
    d->name_len = (uint32_t)len;
    d->hash = dentry_name_hash(name, len);
    refs_init(&d->refs);
    d->super = s;
    list_init(&d->children);
    list_init(&d->sibling);
    list_init(&d->lru);
    *out = d;
    return 0;
}

int dentry_make_root(struct super *s, struct inode *root_take, struct dentry **out)
{
    struct dentry *d;
    int ret = dentry_alloc(s, "/", 1, &d);

    if (ret < 0) {
        inode_put(root_take);
        return ret;
    }
    d->parent = d;
    d->flags = DENTRY_ROOT;
    d->inode = root_take;
    *out = d;
    return 0;
}

int dentry_make_anon(struct inode *inode_take, const char *name, struct dentry **out)
{
    struct dentry *d;
    int ret = dentry_alloc(inode_take->super, name, strlen(name), &d);

    if (ret < 0) {
        inode_put(inode_take);
        return ret;
    }
    d->parent = d;
    d->flags = DENTRY_ROOT | DENTRY_ANON;
    d->inode = inode_take;
    *out = d;
    return 0;
}

int dentry_alloc_child(struct dentry *parent, const char *name, size_t len, struct dentry **out)
{
    struct dentry *d;
    int ret = dentry_alloc(parent->super, name, len, &d);

    if (ret < 0)
        return ret;
    d->parent = dentry_get(parent);
    mutex_lock(&g_dcache.lock);
    list_add(&parent->children, &d->sibling);
    mutex_unlock(&g_dcache.lock);
    *out = d;
    return 0;
}

int dentry_make_tmpfile(struct dentry *parent, struct inode *inode_take, struct dentry **out)
{
    char name[32];
    int ret;

    snprintf(name, sizeof(name), "#%llu", (unsigned long long)inode_take->attr.ino);
    ret = dentry_alloc_child(parent, name, strlen(name), out);
    if (ret < 0)
        inode_put(inode_take);
    else
        (*out)->inode = inode_take;
    return ret;
}

struct dentry *dentry_lookup(struct dentry *parent, const char *name, size_t len)
{
    struct dentry *d;
    uint32_t hash = dentry_name_hash(name, len);

    mutex_lock(&g_dcache.lock);
    d = dentry_lookup_locked(parent, name, len, hash);
    if (d)
        dentry_get(d);
    mutex_unlock(&g_dcache.lock);
    return d;
}

/* May a negative answer of this file system be kept? */
static bool keeps_negative(const struct super *s)
{
    return s->flags & (SUPER_STICKY_NEGATIVE | SUPER_REVALIDATE);
}

int dentry_add(struct dentry *parent, const char *name, size_t len, struct inode *inode_take,
               struct dentry **out)
{
    struct dentry *d, *found;
    int ret = dentry_alloc(parent->super, name, len, &d);

    if (ret < 0) {
        if (inode_take)
            inode_put(inode_take);
        return ret;
    }
    d->parent = dentry_get(parent);
    d->inode = inode_take;
    mutex_lock(&g_dcache.lock);
    found = dentry_lookup_locked(parent, name, len, d->hash);
    if (found) {
        dentry_get(found);
    } else {
        list_add(&parent->children, &d->sibling);
        if (d->inode || keeps_negative(d->super)) {
            dentry_get(d);
            hash_locked(d);
        }
    }
    mutex_unlock(&g_dcache.lock);
    if (found) {
        dentry_put(d);
        d = found;
    }
    *out = d;
    return 0;
}

void dentry_instantiate(struct dentry *d, struct inode *inode_take)
{
    mutex_lock(&g_dcache.lock);
    ASSERT(!d->inode);
    d->inode = inode_take;
    if (!(d->flags & DENTRY_HASHED)) {
        dentry_get(d);
        hash_locked(d);
    }
    mutex_unlock(&g_dcache.lock);
}

static void swap_names(struct dentry *a, struct dentry *b)
{
    char *name = a->name;
    uint32_t len = a->name_len, hash = a->hash;

    a->name = b->name;
    a->name_len = b->name_len;
    a->hash = b->hash;
    b->name = name;
    b->name_len = len;
    b->hash = hash;
}

void dentry_replace(struct dentry *d, struct dentry *target, bool exchange)
{
    struct dentry *old_parent = d->parent, *new_parent = target->parent;
    bool d_hashed, t_hashed;

    mutex_lock(&g_dcache.lock);
    d_hashed = d->flags & DENTRY_HASHED;
    t_hashed = target->flags & DENTRY_HASHED;
    if (d_hashed)
        unhash_locked(d);
    if (t_hashed)
        unhash_locked(target);
    swap_names(d, target);
    if (old_parent != new_parent) {
        /* The two parents swap the one reference each child holds. */
        d->parent = new_parent;
        target->parent = old_parent;
        list_del(&d->sibling);
        list_del(&target->sibling);
        list_add(&new_parent->children, &d->sibling);
        list_add(&old_parent->children, &target->sibling);
    }
    if (!d_hashed)
        dentry_get(d);
    hash_locked(d);
    if (exchange) {
        if (!t_hashed)
            dentry_get(target);
        hash_locked(target);
        t_hashed = false;
    }
    mutex_unlock(&g_dcache.lock);
    if (t_hashed)
        dentry_put(target); /* the caller holds one */
}

int dentry_move(struct dentry *d, struct dentry *new_parent, const char *name, size_t len)
{
    struct dentry *target = dentry_lookup(new_parent, name, len);
    int ret;

    if (!target) {
        ret = dentry_alloc_child(new_parent, name, len, &target);
        if (ret < 0) {
            dentry_drop(d); /* still right: the next lookup finds it by its new name */
            return ret;
        }
    }
    dentry_replace(d, target, /*exchange=*/false);
    dentry_put(target);
    return 0;
}

bool dentry_parent_snapshot(struct dentry *d, struct inode **out_dir, char name[256])
{
    struct inode *dir = NULL;

    mutex_lock(&g_dcache.lock);
    if (d->parent != d && d->parent->inode) {
        dir = inode_get(d->parent->inode);
        memcpy(name, d->name, d->name_len + 1);
    }
    mutex_unlock(&g_dcache.lock);
    *out_dir = dir;
    return dir != NULL;
}

/* Unhashes everything below d, deepest first. Trees may be deeper than the stack: no recursion. */
static void drop_children_locked(struct dentry *d) REQUIRES(g_dcache.lock)
{
    struct list *at = d->children.next;
    struct dentry *dir = d;

    for (;;) {
        struct dentry *c;

        if (at == &dir->children) {
            if (dir == d)
                return;
            at = dir->sibling.next;
            c = dir;
            dir = dir->parent;
        } else {
            c = list_entry(at, struct dentry, sibling);
            if (!list_empty(&c->children)) {
                dir = c;
                at = c->children.next;
                continue;
            }
            at = at->next;
        }
        if (c->flags & DENTRY_HASHED) {
            unhash_locked(c);
            dead_locked(c);
        }
    }
}

void dentry_drop(struct dentry *d)
{
    mutex_lock(&g_dcache.lock);
    drop_children_locked(d);
    if (d->flags & DENTRY_HASHED) {
        unhash_locked(d);
        dead_locked(d);
    }
    mutex_unlock(&g_dcache.lock);
}

void dentry_delete(struct dentry *d)
{
    struct inode *inode = NULL;
    bool put = false;

    mutex_lock(&g_dcache.lock);
    drop_children_locked(d); /* negative names of a removed directory */
    if (d->flags & DENTRY_HASHED) {
        /* Nobody but the cache and the caller: keep the name as "known absent". */
        if (refs_read(&d->refs) == 2 && (d->super->flags & SUPER_STICKY_NEGATIVE)) {
            inode = d->inode;
            d->inode = NULL;
        } else {
            unhash_locked(d);
            put = true;
        }
    }
    mutex_unlock(&g_dcache.lock);
    if (inode) {
        /* The directory lock is held: the inode's end waits for dcache_reap. */
        struct dentry *grave;

        if (dentry_alloc(d->super, "", 0, &grave) == 0) {
            grave->parent = grave;
            grave->inode = inode;
            mutex_lock(&g_dcache.lock);
            dead_locked(grave);
            mutex_unlock(&g_dcache.lock);
        } else {
            inode_put(inode);
        }
    }
    if (put)
        dentry_put(d); /* not the last: the caller holds one */
}

bool dentry_is_below_locked(const struct dentry *d, const struct dentry *ancestor)
{
    while (d != ancestor) {
        if (d->parent == d)
            return false;
        d = d->parent;
    }
    return true;
}

bool dentry_is_below(const struct dentry *d, const struct dentry *ancestor)
{
    bool below;

    mutex_lock(&g_dcache.lock);
    below = dentry_is_below_locked(d, ancestor);
    mutex_unlock(&g_dcache.lock);
    return below;
}

bool dentry_unlinked(struct dentry *d)
{
    return !(d->flags & (DENTRY_HASHED | DENTRY_ROOT));
}

static void put_list(struct list *gone)
{
    while (!list_empty(gone)) {
        struct dentry *d = list_first_entry(gone, struct dentry, lru);

        list_del(&d->lru);
        dentry_put(d);
    }
}

/* Moves the hand until the cache is a little below its bound. */
static void shrink_locked(struct list *gone) REQUIRES(g_dcache.lock)
{
    uint32_t budget = 512;

    while (g_dcache.hashed > DCACHE_LIMIT - 64 && budget-- > 0) {
        struct dentry *d = list_last_entry(&g_dcache.lru, struct dentry, lru);

        if ((d->flags & DENTRY_REFERENCED) || refs_read(&d->refs) > 1) {
            d->flags &= ~DENTRY_REFERENCED;
            list_del(&d->lru);
            list_add(&g_dcache.lru, &d->lru);
            continue;
        }
        unhash_locked(d);
        list_add(gone, &d->lru);
    }
}

void dcache_reap(void)
{
    struct list gone;

    if (likely(!atomic_load_explicit(&g_dcache.want_reap, memory_order_relaxed)))
        return;
    list_init(&gone);
    mutex_lock(&g_dcache.lock);
    list_splice_tail(&gone, &g_dcache.dead);
    if (g_dcache.hashed > DCACHE_LIMIT)
        shrink_locked(&gone);
    want_reap(g_dcache.hashed > DCACHE_LIMIT);
    mutex_unlock(&g_dcache.lock);
    put_list(&gone);
    landlock_reap();
}

/* Unused leaves first; their parents become unused in the next round. */
void dcache_drop_super(struct super *s)
{
    bool again = true;

    while (again) {
        struct list gone;
        struct dentry *d, *tmp;

        list_init(&gone);
        mutex_lock(&g_dcache.lock);
        list_for_each_entry_safe(d, tmp, &g_dcache.lru, lru) {
            if (d->super == s && refs_read(&d->refs) == 1) {
                unhash_locked(d);
                list_add(&gone, &d->lru);
            }
        }
        mutex_unlock(&g_dcache.lock);
        again = !list_empty(&gone);
        put_list(&gone);
    }
    dcache_reap();
}
