/* SPDX-License-Identifier: Apache-2.0 */
/* Names of dentries: what getcwd, /proc/PID/fd and /proc/PID/mounts show. */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Filled from the end. */
struct name_buf {
    char data[LX_PATH_MAX];
    size_t start;
    bool full;
};

static void prepend(struct name_buf *b, const char *s, size_t len)
{
    if (b->full || len > b->start) {
        b->full = true;
        return;
    }
    b->start -= len;
    memcpy(b->data + b->start, s, len);
}

static bool build_locked(struct name_buf *b, const struct path *p, const struct path *root)
    REQUIRES(g_dcache.lock)
{
    const struct dentry *d = p->dentry;
    const struct mount *m = p->mnt;

    while (d != root->dentry || m != root->mnt) {
        if (d == m->root || d->parent == d) {
            if (d != m->root || !m->parent)
                return false;
            d = m->mountpoint;
            m = m->parent;
            continue;
        }
        prepend(b, d->name, d->name_len);
        prepend(b, "/", 1);
        d = d->parent;
    }
    return true;
}

static int build(const struct path *p, const struct path *root, bool mark_deleted, char **out,
                 bool *out_reached)
{
    struct name_buf *b = malloc(sizeof(*b));
    int ret = 0;

    if (!b)
        return -ENOMEM;
    b->start = sizeof(b->data) - 1;
    b->data[b->start] = '\0';
    b->full = false;
    mutex_lock(&g_dcache.lock);
    if (mark_deleted && dentry_unlinked(p->dentry))
        prepend(b, " (deleted)", 10);
    /* Linux: bound to a name with mount(2), it has that name. */
    if ((p->dentry->flags & DENTRY_ANON) && p->dentry != p->mnt->root) {
        prepend(b, p->dentry->name, p->dentry->name_len);
        *out_reached = true;
    } else {
        *out_reached = build_locked(b, p, root);
        if (b->data[b->start] != '/')
            prepend(b, "/", 1);
    }
    mutex_unlock(&g_dcache.lock);
    if (b->full)
        ret = -ENAMETOOLONG;
    else if ((*out = strdup(b->data + b->start)) == NULL)
        ret = -ENOMEM;
    free(b);
    return ret;
}

int vfs_d_path_from(const struct path *p, const struct path *root, char **out, bool *out_reached)
{
    return build(p, root, /*mark_deleted=*/false, out, out_reached);
}

int vfs_d_path(const struct path *p, char **out)
{
    struct path root = {NULL, NULL};
    bool reached;
    int ret;

    if (curr()->fs)
        fs_ctx_root(curr()->fs, &root);
    ret = build(p, &root, /*mark_deleted=*/true, out, &reached);
    path_put(&root);
    return ret;
}

int vfs_dentry_path(struct dentry *d, char **out)
{
    struct mount none = {.root = NULL};
    struct path p = {&none, d}, root = {NULL, NULL};
    bool reached;

    return build(&p, &root, /*mark_deleted=*/true, out, &reached);
}

int vfs_path_of_inode(const struct path *anchor, uint64_t ino, struct path *out)
{
    struct super *s = anchor->dentry->super;
    struct dentry *d, *found = NULL;

    mutex_lock(&g_dcache.lock);
    if (s->root && s->root->inode->attr.ino == ino)
        found = s->root;
    list_for_each_entry(d, &g_dcache.lru, lru) {
        if (found)
            break;
        if (d->super == s && d->inode && d->inode->attr.ino == ino)
            found = d;
    }
    if (found)
        dentry_get(found);
    mutex_unlock(&g_dcache.lock);
    if (!found)
        return -ESTALE;
    out->mnt = mount_get(anchor->mnt);
    out->dentry = found;
    return 0;
}

bool vfs_path_deleted(const struct path *p)
{
    return dentry_unlinked(p->dentry);
}
