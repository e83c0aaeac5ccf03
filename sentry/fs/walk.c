/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path walk, path_resolution(7).
 *
 * Two gaits. walk_cached goes over dentries that are in the cache under one hold of the dcache
 * lock, counting nothing on the way, and stops in front of the first component that needs more: a
 * miss, a name to revalidate, a link whose text is not at hand, a file system with its own
 * permission rule. walk_step does that one component with references and ops, then walk_cached goes
 * on. Walks with openat2's RESOLVE_* take walk_step all the way.
 *
 * The rest of the name is w->pos. A symlink's text is put in front of it in w->buf, so there is no
 * recursion, and the last component stays what it is for callers that stop at the parent.
 */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WALK_SLOW                                                                                  \
    (WALK_NO_XDEV | WALK_NO_MAGIC | WALK_NO_SYMLINKS | WALK_BENEATH | WALK_IN_ROOT | WALK_CACHED)

enum step { STEP_DONE = 0, STEP_MORE = 1 };

struct component {
    const char *name;
    size_t len;
    const char *next; /* after the slashes that follow */
    bool last;
    bool slash; /* at least one slash follows */
};

static void component_parse(const char *pos, struct component *c)
{
    const char *p = pos;

    while (*p && *p != '/')
        p++;
    c->name = pos;
    c->len = (size_t)(p - pos);
    c->slash = *p == '/';
    while (*p == '/')
        p++;
    c->next = p;
    c->last = *p == '\0';
}

static enum last_type component_type(const struct component *c)
{
    if (c->name[0] == '.') {
        if (c->len == 1)
            return LAST_DOT;
        if (c->len == 2 && c->name[1] == '.')
            return LAST_DOTDOT;
    }
    return LAST_NORM;
}

/* Puts text in front of rest; w->pos moves to it. */
static int expand_link(struct walk *w, const char *text, const char *rest, bool slash)
{
    size_t text_len = strlen(text), rest_len = strlen(rest);
    char *buf = malloc(text_len + rest_len + 2);

    if (!buf)
        return -ENOMEM;
    memcpy(buf, text, text_len);
    if (slash)
        buf[text_len++] = '/';
    memcpy(buf + text_len, rest, rest_len + 1);
    free(w->buf);
    w->buf = buf;
    w->pos = buf;
    w->prefetched = false;
    return 0;
}

static const char *skip_slashes(const char *p)
{
    while (*p == '/')
        p++;
    return p;
}

/* ---- over cached dentries ------------------------------------------------------------------- */

static void up_cached(struct path *cur, const struct path *root)
{
    for (;;) {
        if (cur->dentry == root->dentry && cur->mnt == root->mnt)
            break;
        if (cur->dentry != cur->mnt->root) {
            cur->dentry = cur->dentry->parent;
            break;
        }
        if (!cur->mnt->parent)
            break;
        cur->dentry = cur->mnt->mountpoint;
        cur->mnt = cur->mnt->parent;
    }
}

static void into_mounts_cached(struct path *cur) REQUIRES(g_dcache.lock)
{
    while (cur->dentry->flags & DENTRY_MOUNTED) {
        struct mount *m = mount_lookup_locked(cur->mnt, cur->dentry);

        if (!m)
            return;
        cur->mnt = m;
        cur->dentry = m->root;
    }
}

/* A bind mount of a subdirectory: was this directory moved out of it? Then ".." leads nowhere. */
static bool escaped_cached(const struct path *cur) REQUIRES(g_dcache.lock)
{
    return !(cur->mnt->root->flags & DENTRY_ROOT) &&
           !dentry_is_below_locked(cur->dentry, cur->mnt->root);
}

/* One component; *cur moves. STEP_MORE: go on; STEP_DONE: stop here, walk_step must do it. */
static int step_cached(struct walk *w, struct path *cur, const struct path *root,
                       const struct component *c) REQUIRES(g_dcache.lock)
{
    struct dentry *d;
    enum last_type type = component_type(c);

    if (type == LAST_DOT)
        return STEP_MORE;
    if (type == LAST_DOTDOT) {
        if (escaped_cached(cur))
            return -ENOENT;
        up_cached(cur, root);
        into_mounts_cached(cur);
        return STEP_MORE;
    }
    if (c->len > LX_NAME_MAX)
        return -ENAMETOOLONG;
    if (cur->dentry->super->flags & SUPER_REVALIDATE)
        return STEP_DONE;
    d = dentry_lookup_locked(cur->dentry, c->name, c->len, dentry_name_hash(c->name, c->len));
    if (!d)
        return STEP_DONE;
    if (!d->inode)
        return -ENOENT;
    if (LX_S_ISLNK(d->inode->attr.mode) && (!c->last || c->slash || (w->flags & WALK_FOLLOW))) {
        const char *text = d->inode->link;
        int ret;

        if (!text || d->inode->ops->follow || (cur->mnt->flags & MOUNT_NOSYMFOLLOW))
            return STEP_DONE;
        if (w->links >= WALK_MAX_LINKS)
            return -ELOOP;
        w->links++;
        ret = expand_link(w, text, c->next, c->slash);
        if (ret < 0)
            return ret;
        if (*w->pos == '/') {
            *cur = *root;
            w->pos = skip_slashes(w->pos);
        }
        return STEP_MORE;
    }
    cur->dentry = d;
    into_mounts_cached(cur);
    return STEP_MORE;
}

/* Goes as far as the cache leads. STEP_DONE: all resolved; STEP_MORE: w->pos needs walk_step. */
NO_THREAD_SAFETY static int walk_cached(struct walk *w, bool to_parent)
{
    struct fs_ctx *fs = curr()->fs;
    const struct cred *cred = curr()->cred;
    struct path cur, root, old = w->cur;
    int ret;

    mutex_lock(&g_dcache.lock);
    if (fs)
        mutex_lock(&fs->lock);
    root = w->root.dentry ? w->root : fs->root;
    if (w->cur.dentry)
        cur = w->cur;
    else
        cur = *w->pos == '/' ? root : fs->cwd;
    w->pos = skip_slashes(w->pos);
    for (;;) {
        struct component c;
        const char *before = w->pos;
        struct inode *dir = cur.dentry->inode;

        if (!*w->pos) {
            ret = STEP_DONE;
            break;
        }
        component_parse(w->pos, &c);
        ret = -ENOTDIR;
        if (!LX_S_ISDIR(dir->attr.mode))
            break;
        ret = STEP_MORE;
        if (dir->ops->permission)
            break;
        ret = inode_permission_generic(dir, cred, MAY_EXEC);
        if (ret < 0)
            break;
        if (to_parent && c.last) {
            ret = STEP_MORE; /* walk_step fills in w->last */
            break;
        }
        ret = step_cached(w, &cur, &root, &c);
        if (ret != STEP_MORE) {
            if (ret == STEP_DONE)
                ret = STEP_MORE;
            break;
        }
        if (w->pos == before) {
            w->pos = c.next;
            w->must_be_dir = c.slash;
        }
    }
    if (cur.dentry != old.dentry || cur.mnt != old.mnt)
        path_get(&cur);
    else
        old.mnt = NULL, old.dentry = NULL;
    w->cur = cur;
    if (fs)
        mutex_unlock(&fs->lock);
    mutex_unlock(&g_dcache.lock);
    path_put(&old);
    return ret;
}

/* ---- one component with ops ------------------------------------------------------------------ */

static void walk_need_root(struct walk *w)
{
    if (!w->root.dentry)
        fs_ctx_root(curr()->fs, &w->root);
}

static int walk_need_start(struct walk *w)
{
    if (w->cur.dentry)
        return 0;
    if (*w->pos == '/') {
        walk_need_root(w);
        w->cur = w->root;
        path_get(&w->cur);
    } else {
        fs_ctx_cwd(curr()->fs, &w->cur);
    }
    return 0;
}

static int check_xdev(const struct walk *w, const struct mount *before)
{
    return (w->flags & WALK_NO_XDEV) && w->cur.mnt != before ? -EXDEV : 0;
}

static int step_up(struct walk *w)
{
    struct path cur = w->cur, old = w->cur;
    struct mount *before = w->cur.mnt;
    int ret = 0;

    walk_need_root(w);
    if ((w->flags & WALK_BENEATH) && path_equal(&w->cur, &w->root))
        return -EXDEV;
    mutex_lock(&g_dcache.lock);
    if (escaped_cached(&cur)) {
        ret = -ENOENT;
    } else {
        up_cached(&cur, &w->root);
        into_mounts_cached(&cur);
        path_get(&cur);
    }
    mutex_unlock(&g_dcache.lock);
    if (ret < 0)
        return ret;
    w->cur = cur;
    path_put(&old);
    return check_xdev(w, before);
}

static bool revalidated(struct dentry *dir, struct dentry *d)
{
    if (!(dir->super->flags & SUPER_REVALIDATE) || !dir->inode->ops->revalidate)
        return true;
    return dir->inode->ops->revalidate(dir->inode, d);
}

NO_THREAD_SAFETY int walk_lookup(struct dentry *dir, const char *name, size_t len, bool locked,
                                 struct dentry **out)
{
    struct dentry *d = dentry_lookup(dir, name, len);
    struct inode *inode = NULL;
    int ret = 0;

    if (d) {
        if (revalidated(dir, d)) {
            *out = d;
            return 0;
        }
        dentry_drop(d);
        dentry_put(d);
    }
    if (!dir->inode->ops->lookup)
        return -ENOTDIR;
    if (!locked)
        mutex_lock(&dir->inode->lock);
    d = dentry_lookup(dir, name, len);
    if (!d) {
        if (dentry_unlinked(dir))
            ret = -ENOENT;
        else
            ret = dir->inode->ops->lookup(dir->inode, name, len, &inode);
        if (ret == 0)
            ret = dentry_add(dir, name, len, inode, &d);
    }
    if (!locked)
        mutex_unlock(&dir->inode->lock);
    if (ret == 0)
        *out = d;
    return ret;
}

bool walk_lookup_cached(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
    struct dentry *d = dentry_lookup(dir, name, len);

    if (d && d->inode && revalidated(dir, d)) {
        *out = d;
        return true;
    }
    if (d)
        dentry_put(d);
    return false;
}

static int jump_to_root(struct walk *w)
{
    struct mount *before = w->cur.mnt;
    struct path old = w->cur;

    if (w->flags & WALK_BENEATH)
        return -EXDEV;
    walk_need_root(w);
    w->cur = w->root;
    path_get(&w->cur);
    path_put(&old);
    return check_xdev(w, before);
}

/* The text of a link: inode->link, or *out_owned to free. */
static int link_text(struct inode *inode, const char **out, char **out_owned)
{
    char *expected = NULL;
    int ret;

    *out_owned = NULL;
    *out = inode->link;
    if (*out)
        return 0;
    if (!inode->ops->readlink)
        return -EINVAL;
    ret = inode->ops->readlink(inode, out_owned);
    if (ret < 0)
        return ret;
    *out = *out_owned;
    if ((inode->flags & INODE_CACHE_LINK) &&
        atomic_compare_exchange_strong(&inode->link, &expected, *out_owned))
        *out_owned = NULL;
    return 0;
}

int walk_push_link(struct walk *w, struct dentry *link, const char *rest)
{
    struct inode *inode = link->inode;
    const char *text;
    char *owned;
    bool slash;
    int ret;

    if ((w->flags & WALK_NO_SYMLINKS) || (w->cur.mnt->flags & MOUNT_NOSYMFOLLOW))
        return -ELOOP;
    if (w->links++ >= WALK_MAX_LINKS)
        return -ELOOP;
    if (inode->ops->follow) {
        struct mount *before = w->cur.mnt;
        struct path target;

        if (w->flags & WALK_NO_MAGIC)
            return -ELOOP;
        ret = inode->ops->follow(inode, &target);
        if (ret < 0)
            return ret;
        if (w->scoped) {
            path_put(&target);
            return -EXDEV;
        }
        path_put(&w->cur);
        w->cur = target;
        w->pos = rest;
        ret = check_xdev(w, before);
        return ret < 0 ? ret : 1;
    }
    ret = link_text(inode, &text, &owned);
    if (ret < 0)
        return ret;
    slash = *rest || (rest > w->pos && rest[-1] == '/');
    ret = *text ? expand_link(w, text, rest, slash) : -ENOENT;
    free(owned);
    if (ret == 0 && *w->pos == '/') {
        ret = jump_to_root(w);
        w->pos = skip_slashes(w->pos);
    }
    return ret;
}

static int step_child(struct walk *w, const struct component *c)
{
    struct dentry *d, *dir = w->cur.dentry;
    struct mount *before = w->cur.mnt;
    struct path next;
    int ret;

    if (c->len > LX_NAME_MAX)
        return -ENAMETOOLONG;
    if (!c->last && dir->inode->ops->prefetch && !w->prefetched) {
        d = dentry_lookup(dir, c->name, c->len);
        if (d) {
            dentry_put(d);
        } else {
            w->prefetched = true;
            dir->inode->ops->prefetch(dir->inode, dir, c->name, strlen(c->name));
        }
    }
    ret = walk_lookup(dir, c->name, c->len, /*locked=*/false, &d);
    if (ret < 0)
        return ret;
    if (!d->inode) {
        dentry_put(d);
        return -ENOENT;
    }
    if (LX_S_ISLNK(d->inode->attr.mode) && (!c->last || c->slash || (w->flags & WALK_FOLLOW))) {
        ret = walk_push_link(w, d, c->next);
        dentry_put(d);
        if (ret == 1)
            w->must_be_dir = c->slash;
        return ret < 0 ? ret : STEP_MORE;
    }
    next.mnt = mount_get(w->cur.mnt);
    next.dentry = d;
    path_put(&w->cur);
    w->cur = next;
    path_follow_mounts(&w->cur);
    if (w->cur.mnt != before)
        w->prefetched = false;
    w->pos = c->next;
    w->must_be_dir = c->slash;
    ret = check_xdev(w, before);
    return ret < 0 ? ret : STEP_MORE;
}

static int walk_step(struct walk *w, bool to_parent)
{
    struct component c;
    enum last_type type;
    int ret = walk_need_start(w);

    if (ret < 0)
        return ret;
    w->pos = skip_slashes(w->pos);
    if (!*w->pos)
        return STEP_DONE;
    component_parse(w->pos, &c);
    if (!dentry_is_dir(w->cur.dentry))
        return -ENOTDIR;
    ret = inode_permission(w->cur.dentry->inode, MAY_EXEC);
    if (ret < 0)
        return ret;
    type = component_type(&c);
    if (to_parent && c.last) {
        w->last = (struct walk_last){
            .name = c.name, .len = c.len, .type = type, .trailing_slash = c.slash};
        return STEP_DONE;
    }
    switch (type) {
    case LAST_DOTDOT:
        ret = step_up(w);
        if (ret < 0)
            return ret;
        break;
    case LAST_NORM:
        return step_child(w, &c);
    case LAST_DOT:
    case LAST_ROOT:
        break;
    }
    w->pos = c.next;
    w->must_be_dir = c.slash;
    return STEP_MORE;
}

static int walk_run(struct walk *w, bool to_parent)
{
    int ret;

    w->last = (struct walk_last){.name = w->pos, .type = LAST_ROOT};
    w->must_be_dir = false;
    do {
        ret = STEP_MORE;
        if (!(w->flags & WALK_SLOW))
            ret = walk_cached(w, to_parent);
        if (ret == STEP_MORE)
            ret = walk_step(w, to_parent);
    } while (ret == STEP_MORE);
    if (ret == 0 && !to_parent && w->must_be_dir && !dentry_is_dir(w->cur.dentry))
        ret = -ENOTDIR;
    return ret;
}

int walk_full(struct walk *w)
{
    return walk_run(w, /*to_parent=*/false);
}

int walk_to_parent(struct walk *w)
{
    return walk_run(w, /*to_parent=*/true);
}

/* ---- begin and end --------------------------------------------------------------------------- */

static void walk_zero(struct walk *w, const char *name, uint32_t flags)
{
    *w = (struct walk){.flags = flags, .pos = name, .dirfd = LX_AT_FDCWD};
    w->scoped = flags & (WALK_BENEATH | WALK_IN_ROOT);
}

static int begin_at_fd(struct walk *w, int dirfd)
{
    struct file *f;
    int ret = fdtable_lookup_any_get(curr()->files, dirfd, &f);

    if (ret < 0)
        return ret;
    if (*w->pos && !dentry_is_dir(f->path.dentry)) {
        ret = -ENOTDIR;
    } else {
        w->cur = f->path;
        path_get(&w->cur);
    }
    file_put(f);
    return ret;
}

int walk_begin(struct walk *w, int dirfd, const char *name, uint32_t flags)
{
    int ret = 0;

    walk_zero(w, name, flags);
    w->dirfd = dirfd;
    if (!*name && !(flags & WALK_EMPTY))
        return -ENOENT;
    if (*name == '/' && !w->scoped)
        return 0;
    if (*name == '/' && (flags & WALK_BENEATH))
        return -EXDEV;
    if (dirfd != LX_AT_FDCWD)
        ret = begin_at_fd(w, dirfd);
    else if (w->scoped || !*name)
        fs_ctx_cwd(curr()->fs, &w->cur);
    if (ret < 0)
        return ret;
    if (w->scoped) {
        w->root = w->cur;
        path_get(&w->root);
    }
    return 0;
}

void walk_begin_at(struct walk *w, const struct path *start, const char *name, uint32_t flags)
{
    walk_zero(w, name, flags);
    if (!curr()->fs || w->scoped) {
        w->root = *start;
        path_get(&w->root);
    }
    if (*name != '/' || !curr()->fs) {
        w->cur = *start;
        path_get(&w->cur);
    }
}

void walk_end(struct walk *w)
{
    if (w->cur.dentry)
        path_put(&w->cur);
    if (w->root.dentry)
        path_put(&w->root);
    free(w->buf);
    w->buf = NULL;
    dcache_reap();
}

static int walk_finish(struct walk *w, int ret, struct path *out)
{
    if (ret == 0 && (w->flags & WALK_DIRECTORY) && !dentry_is_dir(w->cur.dentry))
        ret = -ENOTDIR;
    if (ret == 0) {
        *out = w->cur;
        w->cur = (struct path){NULL, NULL};
    }
    walk_end(w);
    return ret;
}

int vfs_walk(int dirfd, const char *name, uint32_t flags, struct path *out)
{
    struct walk w;
    int ret = walk_begin(&w, dirfd, name, flags);

    if (ret == 0)
        ret = walk_full(&w);
    return walk_finish(&w, ret, out);
}

int vfs_walk_at(const struct path *start, const char *name, uint32_t flags, struct path *out)
{
    struct walk w;
    int ret;

    walk_begin_at(&w, start, name, flags);
    ret = walk_full(&w);
    return walk_finish(&w, ret, out);
}

int vfs_walk_parent(int dirfd, const char *name, uint32_t flags, struct path *out_dir,
                    struct walk_last *out_last)
{
    struct walk w;
    int ret = walk_begin(&w, dirfd, name, flags);
    const char *p;

    if (ret == 0)
        ret = walk_to_parent(&w);
    if (ret == 0) {
        *out_last = w.last;
        /* Only links before the last component were expanded: it stands at the end of name too. */
        p = name + strlen(name);
        while (p > name && p[-1] == '/')
            p--;
        out_last->name = p - out_last->len;
    }
    return walk_finish(&w, ret, out_dir);
}
