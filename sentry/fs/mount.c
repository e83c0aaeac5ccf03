/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts: where a subtree of a super is visible. A mount is attached when it has a namespace; the
 * namespace then holds one reference, each child mount one on its parent. Changes of the tree hold
 * g_mount_lock, and g_dcache.lock around the moment at which walks could see them.
 */
#include "sentry/fs/mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/mount_internal.h"

#define MOUNT_BUCKETS 256u

struct mutex g_mount_lock;
static struct mount *g_mount_hash[MOUNT_BUCKETS]; /* both locks to write, either to read */

void path_get(const struct path *p)
{
    if (p->mnt)
        refs_get(&p->mnt->refs);
    if (p->dentry)
        refs_get(&p->dentry->refs);
}

void path_put(struct path *p)
{
    struct path old = *p;

    p->mnt = NULL;
    p->dentry = NULL;
    if (old.dentry)
        dentry_put(old.dentry);
    if (old.mnt)
        mount_put(old.mnt);
}

uint32_t mount_flags(const struct mount *m)
{
    return m->flags;
}

struct super *mount_super(const struct mount *m)
{
    return m->super;
}

uint32_t mount_id(const struct mount *m)
{
    return m ? (uint32_t)m->id : 0;
}

struct dentry *mount_root(const struct mount *m)
{
    return m->root;
}

struct mount *mount_get(struct mount *m)
{
    refs_get(&m->refs);
    return m;
}

void mount_put(struct mount *m)
{
    struct super *s;

    if (!refs_put(&m->refs))
        return;
    ASSERT(!m->parent && !m->ns);
    s = m->super;
    dentry_put(m->root);
    if (atomic_fetch_sub(&s->mounts, 1) == 1)
        super_kill(s);
    super_put(s);
    free(m->source);
    free(m);
}

int mount_alloc(struct super *s, struct dentry *root, uint32_t flags, const char *source,
                struct mount **out)
{
    static atomic_int next_id = 20;
    struct mount *m = calloc(1, sizeof(*m));

    if (!m)
        return -ENOMEM;
    m->source = strdup(source ? source : "none");
    if (!m->source) {
        free(m);
        return -ENOMEM;
    }
    refs_init(&m->refs);
    m->super = super_get(s);
    atomic_fetch_add(&s->mounts, 1);
    m->root = dentry_get(root);
    atomic_init(&m->flags, flags);
    m->id = atomic_fetch_add(&next_id, 1);
    list_init(&m->children);
    list_init(&m->child);
    list_init(&m->ns_node);
    list_init(&m->attached);
    *out = m;
    return 0;
}

static struct mount **mount_bucket(const struct mount *m, const struct dentry *d)
{
    uint64_t h = (((uintptr_t)m >> 5) ^ ((uintptr_t)d >> 6)) * 0x9e3779b97f4a7c15ull;

    return &g_mount_hash[(h >> 48) & (MOUNT_BUCKETS - 1)];
}

static struct mount *lookup(const struct mount *m, const struct dentry *d)
{
    struct mount *c;

    for (c = *mount_bucket(m, d); c; c = c->hash_next) {
        if (c->parent == m && c->mountpoint == d)
            return c;
    }
    return NULL;
}

struct mount *mount_lookup_locked(const struct mount *m, const struct dentry *d)
{
    return lookup(m, d);
}

struct mount *mount_child_at(const struct mount *m, const struct dentry *d)
{
    ASSERT_HELD(&g_mount_lock);
    return lookup(m, d);
}

/* First mount on d of namespace ns (NULL: of any). Both sides of the hash are read under the dcache
 * lock; m->ns may change meanwhile, which is the race that umount against rmdir is anyway. */
static struct mount *find_on_locked(const struct dentry *d, const struct mntns *ns)
    REQUIRES(g_dcache.lock)
{
    struct mount *m;
    uint32_t i;

    for (i = 0; i < MOUNT_BUCKETS; i++) {
        for (m = g_mount_hash[i]; m; m = m->hash_next) {
            if (m->mountpoint == d && (!ns || m->ns == ns))
                return m;
        }
    }
    return NULL;
}

bool dentry_is_mountpoint_here(const struct dentry *d)
{
    bool here;

    if (!(d->flags & DENTRY_MOUNTED))
        return false;
    mutex_lock(&g_dcache.lock);
    here = find_on_locked(d, curr()->mntns) != NULL;
    mutex_unlock(&g_dcache.lock);
    return here;
}

void mounts_leave_dentry(struct dentry *d)
{
    struct list gone;
    struct mount *m;

    if (!(d->flags & DENTRY_MOUNTED))
        return;
    list_init(&gone);
    mutex_lock(&g_mount_lock);
    do {
        mutex_lock(&g_dcache.lock);
        m = find_on_locked(d, NULL);
        mutex_unlock(&g_dcache.lock);
    } while (m && umount_tree(m, &gone) == 0);
    mutex_unlock(&g_mount_lock);
    umount_list_put(&gone);
}

void path_follow_mounts(struct path *p)
{
    while (p->dentry->flags & DENTRY_MOUNTED) {
        struct path next;

        mutex_lock(&g_dcache.lock);
        next.mnt = lookup(p->mnt, p->dentry);
        next.dentry = next.mnt ? next.mnt->root : NULL;
        path_get(&next);
        mutex_unlock(&g_dcache.lock);
        if (!next.mnt)
            return;
        path_put(p);
        *p = next;
    }
}

int path_want_write(const struct path *p)
{
    return p->mnt && mount_is_readonly(p->mnt) ? -EROFS : 0;
}

/* m becomes a child of (parent, at). The caller's reference on m becomes the namespace's. */
void mount_attach(struct mount *m, struct mount *parent, struct dentry *at)
{
    struct mount **b = mount_bucket(parent, at);

    ASSERT_HELD(&g_mount_lock);
    mutex_lock(&g_dcache.lock);
    m->parent = mount_get(parent);
    m->mountpoint = dentry_get(at);
    at->flags |= DENTRY_MOUNTED;
    m->hash_next = *b;
    *b = m;
    mutex_unlock(&g_dcache.lock);
    list_add_tail(&parent->children, &m->child);
}

/* Unlinks m from its parent; *gone gets what is to be put without locks. */
void mount_detach(struct mount *m, struct path *gone)
{
    struct mount **b;

    ASSERT_HELD(&g_mount_lock);
    gone->mnt = NULL;
    gone->dentry = NULL;
    if (!m->parent)
        return;
    mutex_lock(&g_dcache.lock);
    for (b = mount_bucket(m->parent, m->mountpoint); *b != m; b = &(*b)->hash_next)
        ASSERT(*b);
    *b = m->hash_next;
    m->hash_next = NULL;
    gone->mnt = m->parent;
    gone->dentry = m->mountpoint;
    m->parent = NULL;
    m->mountpoint = NULL;
    /* Another namespace may have something on the same dentry. */
    if (!find_on_locked(gone->dentry, NULL))
        gone->dentry->flags &= ~DENTRY_MOUNTED;
    mutex_unlock(&g_dcache.lock);
    list_del(&m->child);
}

void mount_enter_ns(struct mount *m, struct mntns *ns)
{
    m->ns = ns;
    list_add_tail(&ns->mounts, &m->ns_node);
    list_add_tail(&g_attached_mounts, &m->attached);
    ns->count++;
}

void mount_leave_ns(struct mount *m)
{
    m->ns->count--;
    m->ns = NULL;
    list_del(&m->ns_node);
    list_del(&m->attached);
}

struct mount *mount_skip(struct mount *m, struct mount *top)
{
    while (m != top) {
        struct list *next = m->child.next;

        if (next != &m->parent->children)
            return list_entry(next, struct mount, child);
        m = m->parent;
    }
    return NULL;
}

struct mount *mount_next(struct mount *m, struct mount *top)
{
    if (!list_empty(&m->children))
        return list_first_entry(&m->children, struct mount, child);
    return mount_skip(m, top);
}

void umount_list_put(struct list *gone)
{
    while (!list_empty(gone)) {
        struct umounted *u = list_first_entry(gone, struct umounted, node);

        list_del(&u->node);
        path_put(&u->was_at);
        mount_put(u->mnt);
        free(u);
    }
    dcache_reap();
}

/* Takes m and everything below out of its namespace, deepest first. */
int umount_tree(struct mount *top, struct list *gone)
{
    struct list spare;
    struct mount *m;
    uint32_t count = 0, i;

    ASSERT_HELD(&g_mount_lock);
    list_init(&spare);
    for (m = top; m; m = mount_next(m, top))
        count++;
    for (i = 0; i < count; i++) {
        struct umounted *u = malloc(sizeof(*u));

        if (!u) {
            while (!list_empty(&spare)) {
                u = list_first_entry(&spare, struct umounted, node);
                list_del(&u->node);
                free(u);
            }
            return -ENOMEM;
        }
        list_add(&spare, &u->node);
    }
    while (!list_empty(&spare)) {
        struct umounted *u = list_first_entry(&spare, struct umounted, node);

        for (m = top; !list_empty(&m->children);)
            m = list_first_entry(&m->children, struct mount, child);
        list_del(&u->node);
        u->mnt = m;
        mount_detach(m, &u->was_at);
        if (m->ns)
            mount_leave_ns(m);
        m->peer_group = m->master_group = 0;
        m->propagation = 0;
        list_add_tail(gone, &u->node);
    }
    return 0;
}

bool mount_in_ns(const struct mount *m, const struct mntns *ns)
{
    return m->ns == ns;
}

/* Finds the place on top of *where under both locks held by the caller of attach. */
int vfs_mount_super(struct super *s, struct dentry *root, const struct path *where, uint32_t flags,
                    const char *source)
{
    struct mount *m;
    int ret = mount_alloc(s, root, flags, source, &m);

    if (ret < 0)
        return ret;
    ret = mount_graft(m, where);
    if (ret < 0)
        mount_put(m);
    return ret;
}

/* Attaches a detached tree (one reference of the caller's) on top of what is at *where. */
int mount_graft(struct mount *m, const struct path *where)
{
    struct mount *parent = where->mnt, *on, *c;
    struct dentry *at = where->dentry;
    struct list gone;
    uint32_t count = 0;
    int ret;

    if (dentry_is_dir(m->root) != dentry_is_dir(at))
        return -ENOTDIR;
    list_init(&gone);
    mutex_lock(&g_mount_lock);
    for (c = m; c; c = mount_next(c, m))
        count++;
    while ((on = mount_child_at(parent, at)) != NULL) {
        parent = on;
        at = on->root;
    }
    if (!parent->ns) {
        ret = -EINVAL;
    } else if (dentry_unlinked(at)) {
        ret = -ENOENT;
    } else if (parent->ns->count + count > MOUNTS_MAX) {
        ret = -ENOSPC;
    } else {
        ret = propagate_mount(m, parent, at, &gone);
        if (ret == 0) {
            mount_attach(m, parent, at);
            for (c = m; c; c = mount_next(c, m))
                mount_enter_ns(c, parent->ns);
        }
    }
    mutex_unlock(&g_mount_lock);
    umount_list_put(&gone);
    return ret;
}
