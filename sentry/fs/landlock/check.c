/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a domain allows.
 *
 * A right is given when every layer that handles it has a rule for it on the object or on a
 * directory on the way up to the top of the mount tree, over mount points and past what they hide.
 * The way is walked under the lock of names, so it is one consistent way. Files that never had a
 * place in the tree (pipes, sockets, memfds) are free.
 *
 * Giving a file another directory (link, rename) must not give it more rights: what the new place
 * grants, the old one must have granted too. LANDLOCK_ACCESS_FS_REFER is handled by every layer
 * that handles any right to files.
 */
#include <errno.h>

#include "sentry/fs/landlock/landlock_internal.h"

/* Per layer, innermost first: the union of what its rules grant on the way. */
struct grants {
    uint32_t of[LANDLOCK_LAYERS_MAX];
};

static uint32_t handled_fs(const struct landlock_domain *d)
{
    uint32_t fs = (uint32_t)d->rules.handled.handled_fs;

    return fs ? fs | LX_LL_FS_REFER : 0;
}

static void add_grants(const struct landlock_domain *top, const struct inode *inode,
                       struct grants *g)
{
    const struct landlock_domain *d;
    struct landlock_path_rule *rule;

    for (d = top; d; d = d->parent) {
        HASH_FIND(hh, d->rules.paths, &inode, sizeof(inode), rule);
        if (rule)
            g->of[d->depth - 1] |= rule->allowed;
    }
}

/* from NULL: p->dentry itself, else the directory above it. */
static void collect(const struct landlock_domain *top, const struct path *p, bool parent_only,
                    struct grants *g)
{
    const struct mount *m = p->mnt;
    struct dentry *d = p->dentry;

    *g = (struct grants){{0}};
    mutex_lock(&g_dcache.lock);
    if (parent_only && d != m->root && d->parent)
        d = d->parent;
    for (;;) {
        if (d->inode)
            add_grants(top, d->inode, g);
        /* Over mount points; what a mount hides does not count. */
        while (m && d == m->root) {
            d = m->mountpoint;
            m = m->parent;
        }
        if (!m || !d || !d->parent || d->parent == d)
            break;
        d = d->parent;
    }
    mutex_unlock(&g_dcache.lock);
}

static bool is_free(const struct path *p)
{
    return !p->mnt || vfs_super_is_anon(mount_super(p->mnt)) || (p->dentry->flags & DENTRY_ANON);
}

/* The rights of request that some layer refuses. */
static uint32_t refused_by(const struct landlock_domain *top, const struct grants *g,
                           uint32_t request)
{
    uint32_t refused = 0;

    for (; top; top = top->parent)
        refused |= request & handled_fs(top) & ~g->of[top->depth - 1];
    return refused;
}

static uint32_t refused_at(const struct landlock_domain *top, const struct path *p,
                           uint32_t request)
{
    struct grants g;

    if (!top || is_free(p))
        return 0;
    collect(top, p, /*parent_only=*/false, &g);
    return refused_by(top, &g, request);
}

static int check_at(const struct path *p, uint32_t request)
{
    return refused_at(landlock_domain_of(curr()->cred), p, request) ? -EACCES : 0;
}

/* ---- files ---------------------------------------------------------------------------------- */

int landlock_open(const struct path *p, uint32_t flags, const struct cred *cred,
                  uint32_t *out_refused)
{
    uint32_t mode = p->dentry->inode->attr.mode, acc = flags & LX_O_ACCMODE;
    uint32_t request = 0, later = LX_LL_FS_TRUNCATE, refused;

    if (acc == LX_O_RDONLY || acc == LX_O_RDWR)
        request |= LX_S_ISDIR(mode) ? LX_LL_FS_READ_DIR : LX_LL_FS_READ_FILE;
    if (acc == LX_O_WRONLY || acc == LX_O_RDWR)
        request |= LX_LL_FS_WRITE_FILE;
    if ((mode & LX_S_IFMT) == LX_S_IFCHR || (mode & LX_S_IFMT) == LX_S_IFBLK)
        later |= LX_LL_FS_IOCTL_DEV;
    refused = refused_at(landlock_domain_of(cred), p, request | later);
    *out_refused = refused & later;
    return refused & request ? -EACCES : 0;
}

int landlock_exec(const struct path *p)
{
    return check_at(p, LX_LL_FS_READ_FILE | LX_LL_FS_EXECUTE);
}

int landlock_truncate(const struct path *p)
{
    return check_at(p, LX_LL_FS_TRUNCATE);
}

/* ---- names ---------------------------------------------------------------------------------- */

static uint32_t make_right(uint32_t mode)
{
    switch (mode & LX_S_IFMT) {
    case LX_S_IFLNK:
        return LX_LL_FS_MAKE_SYM;
    case LX_S_IFDIR:
        return LX_LL_FS_MAKE_DIR;
    case LX_S_IFCHR:
        return LX_LL_FS_MAKE_CHAR;
    case LX_S_IFBLK:
        return LX_LL_FS_MAKE_BLOCK;
    case LX_S_IFIFO:
        return LX_LL_FS_MAKE_FIFO;
    case LX_S_IFSOCK:
        return LX_LL_FS_MAKE_SOCK;
    default:
        return LX_LL_FS_MAKE_REG;
    }
}

static uint32_t remove_right(const struct dentry *d)
{
    if (!d || !d->inode)
        return 0;
    return dentry_is_dir(d) ? LX_LL_FS_REMOVE_DIR : LX_LL_FS_REMOVE_FILE;
}

int landlock_make(const struct path *dir, uint32_t mode)
{
    return check_at(dir, make_right(mode));
}

int landlock_remove(const struct path *dir, bool is_dir)
{
    return check_at(dir, is_dir ? LX_LL_FS_REMOVE_DIR : LX_LL_FS_REMOVE_FILE);
}

/* Would moving what has the rights `had` to a place that grants `gets` give it more? */
static bool gains(const struct landlock_domain *top, const struct grants *had,
                  const struct grants *gets, bool is_dir)
{
    uint32_t of = is_dir ? LX_LL_FS_ALL : LX_LL_FS_OF_FILES;

    for (; top; top = top->parent) {
        uint32_t i = top->depth - 1;

        if (gets->of[i] & ~had->of[i] & handled_fs(top) & of)
            return true;
    }
    return false;
}

int landlock_refer(const struct path *old, const struct path *new_dir, struct dentry *target,
                   bool removable, bool exchange)
{
    const struct landlock_domain *top = landlock_domain_of(curr()->cred);
    struct grants from, to, moved, swapped;
    uint32_t want_from = 0, want_to = make_right(old->dentry->inode->attr.mode), refused;
    bool more;

    if (exchange)
        want_from |= make_right(target->inode->attr.mode);
    if (removable) {
        want_from |= remove_right(old->dentry);
        want_to |= remove_right(target);
    }
    if (is_free(new_dir))
        return 0;
    collect(top, new_dir, /*parent_only=*/false, &to);
    if (old->dentry->parent == new_dir->dentry)
        return refused_by(top, &to, want_from | want_to) ? -EACCES : 0;

    collect(top, old, /*parent_only=*/true, &from);
    refused = refused_by(top, &from, want_from | LX_LL_FS_REFER) |
              refused_by(top, &to, want_to | LX_LL_FS_REFER);
    if (refused & ~LX_LL_FS_REFER)
        return -EACCES;
    collect(top, old, /*parent_only=*/false, &moved);
    more = gains(top, &moved, &to, dentry_is_dir(old->dentry));
    if (exchange) {
        struct path other = {new_dir->mnt, target};

        collect(top, &other, /*parent_only=*/false, &swapped);
        more |= gains(top, &swapped, &from, dentry_is_dir(target));
    }
    /* Linux: programs fall back to copying then. */
    return refused || more ? -EXDEV : 0;
}

int landlock_mount(void)
{
    const struct landlock_domain *d;

    for (d = landlock_domain_of(curr()->cred); d; d = d->parent)
        if (d->rules.handled.handled_fs)
            return -EPERM;
    return 0;
}

/* ---- sockets, signals, tracing --------------------------------------------------------------- */

int landlock_tcp(bool connect, uint16_t port)
{
    uint32_t right = connect ? LX_LL_NET_CONNECT_TCP : LX_LL_NET_BIND_TCP, key = port;
    const struct landlock_domain *d;
    struct landlock_port_rule *rule;

    for (d = landlock_domain_of(curr()->cred); d; d = d->parent) {
        if (!(d->rules.handled.handled_net & right))
            continue;
        HASH_FIND(hh, d->rules.ports, &key, sizeof(key), rule);
        if (!rule || !(rule->allowed & right))
            return -EACCES;
    }
    return 0;
}

static bool is_within(const struct landlock_domain *d, const struct landlock_domain *outer)
{
    while (d && d != outer)
        d = d->parent;
    return d;
}

/* Each of from's layers with this scope must contain to. */
static int check_scope(const struct cred *from, const struct cred *to, uint32_t scope)
{
    const struct landlock_domain *d, *other = landlock_domain_of(to);

    for (d = landlock_domain_of(from); d; d = d->parent)
        if ((d->rules.handled.scoped & scope) && !is_within(other, d))
            return -EPERM;
    return 0;
}

int landlock_signal(const struct cred *from, const struct cred *to)
{
    return check_scope(from, to, LX_LL_SCOPE_SIGNAL);
}

int landlock_abstract_unix(const struct cred *owner)
{
    return check_scope(curr()->cred, owner, LX_LL_SCOPE_ABSTRACT_UNIX);
}

int landlock_trace(const struct cred *target)
{
    return is_within(landlock_domain_of(target), landlock_domain_of(curr()->cred)) ? 0 : -EPERM;
}
