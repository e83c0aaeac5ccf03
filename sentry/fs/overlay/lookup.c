/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One name through the layers. The upper one decides first: a whiteout hides what is below, a
 * non-directory covers it, a directory merges with the directories below unless it is opaque. A
 * directory that was renamed carries the place of its lower parts in the redirect mark.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/overlay/overlay_internal.h"

/* The child in one layer, +1; NULL: not there. *out_white: a whiteout hides it. */
static int real_lookup(struct dentry *dir, const char *name, size_t len, struct dentry **out,
                       bool *out_white)
{
    struct dentry *d;
    int ret = walk_lookup(dir, name, len, /*locked=*/false, &d);

    *out = NULL;
    *out_white = false;
    if (ret < 0)
        return ret == -ENOENT ? 0 : ret;
    if (!d->inode) {
        dentry_put(d);
        return 0;
    }
    if (ovl_is_whiteout(d->inode)) {
        *out_white = true;
        dentry_put(d);
        return 0;
    }
    *out = d;
    return 0;
}

/*
 * Continues a lookup into lower directories. merge: something above is a directory already, so only
 * directories count. Stops at a whiteout, a non-directory or an opaque directory.
 */
static int lookup_lowers(struct dentry *const *dirs, const uint32_t *layer_of, uint32_t count,
                         const char *name, size_t len, bool merge, struct ovl_found *f)
{
    for (uint32_t i = 0; i < count; i++) {
        struct dentry *d;
        bool white, is_dir;
        int ret = real_lookup(dirs[i], name, len, &d, &white);

        if (ret < 0)
            return ret;
        if (white)
            return 0;
        if (!d)
            continue;
        is_dir = LX_S_ISDIR(d->inode->attr.mode);
        if (merge && !is_dir) {
            dentry_put(d);
            return 0;
        }
        ret = ovl_found_add(f, d, layer_of[i]);
        if (ret < 0)
            return ret;
        if (!is_dir || (i + 1 < count && ovl_is_opaque(d->inode)))
            return 0;
        merge = true;
    }
    return 0;
}

/* The merged lower directories at an absolute path inside the lower layers. */
static int follow_redirect(struct ovl_super *os, const char *path, struct ovl_found *f)
{
    struct ovl_found at = {0}, next = {0};
    int ret = 0;

    for (uint32_t i = 1; i < os->layer_count && ret == 0; i++)
        ret = ovl_found_add(&at, dentry_get(os->layers[i].root.dentry), i);
    while (ret == 0 && *path) {
        size_t len;

        while (*path == '/')
            path++;
        len = strcspn(path, "/");
        if (len == 0)
            break;
        ret = len > LX_NAME_MAX ? -EIO
                                : lookup_lowers(at.lowers, at.layer_of, at.lower_count, path, len,
                                                /*merge=*/true, &next);
        ovl_found_free(&at);
        at = next;
        memset(&next, 0, sizeof(next));
        path += len;
    }
    for (uint32_t i = 0; i < at.lower_count && ret == 0; i++)
        ret = ovl_found_add(f, dentry_get(at.lowers[i]), at.layer_of[i]);
    ovl_found_free(&at);
    return ret;
}

/* The lower parts of a directory found in the upper layer. */
static int merge_upper_dir(struct ovl_inode *dir, const char *name, size_t len, struct ovl_found *f)
{
    struct inode *upper = f->upper->inode;
    char redirect[LX_PATH_MAX];
    ssize_t n = -ENODATA;

    if (ovl_is_opaque(upper))
        return 0;
    if (upper->ops->getxattr)
        n = upper->ops->getxattr(upper, OVL_XATTR_REDIRECT, redirect, sizeof(redirect) - 1);
    if (n > 0) {
        redirect[n] = '\0';
        return follow_redirect(dir->os, redirect, f);
    }
    return lookup_lowers(dir->lowers, dir->layer_of, dir->lower_count, name, len, /*merge=*/true,
                         f);
}

int ovl_lookup(struct inode *inode, const char *name, size_t len, struct inode **out)
{
    struct ovl_inode *dir = ovl_inode(inode);
    struct dentry *upper_dir = dir->upper;
    struct ovl_found f = {0};
    bool white = false;
    int ret = 0;

    *out = NULL;
    if (upper_dir)
        ret = real_lookup(upper_dir, name, len, &f.upper, &white);
    if (ret == 0 && !white) {
        if (!f.upper)
            ret = lookup_lowers(dir->lowers, dir->layer_of, dir->lower_count, name, len,
                                /*merge=*/false, &f);
        else if (LX_S_ISDIR(f.upper->inode->attr.mode))
            ret = merge_upper_dir(dir, name, len, &f);
    }
    if (ret < 0 || (!f.upper && f.lower_count == 0)) {
        ovl_found_free(&f);
        return ret;
    }
    return ovl_inode_get(dir->os, dir, name, len, &f, out);
}

void ovl_prefetch(struct inode *inode, struct dentry *parent, const char *rest, size_t len)
{
    struct ovl_inode *dir = ovl_inode(inode);
    size_t first = 0;

    (void)parent;
    while (first < len && rest[first] != '/')
        first++;
    for (uint32_t i = 0; i < dir->lower_count; i++) {
        struct dentry *d = dir->lowers[i], *known;

        if (!d->inode->ops->prefetch)
            continue;
        known = dentry_lookup(d, rest, first);
        if (known)
            dentry_put(known);
        else
            d->inode->ops->prefetch(d->inode, d, rest, len);
    }
}

int ovl_lower_has(struct ovl_inode *dir, const char *name, size_t len, bool *out)
{
    *out = false;
    for (uint32_t i = 0; i < dir->lower_count; i++) {
        struct dentry *d;
        bool white;
        int ret = real_lookup(dir->lowers[i], name, len, &d, &white);

        if (ret < 0)
            return ret;
        if (d) {
            dentry_put(d);
            *out = true;
            return 0;
        }
        if (white)
            return 0;
    }
    return 0;
}
