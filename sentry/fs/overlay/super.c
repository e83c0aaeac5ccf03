/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting: the container's root (overlay_mount) and mount(2) by guests. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/overlay/overlay_internal.h"

#define OVERLAYFS_MAGIC 0x794c7630u

static int ovl_statfs(struct super *s, struct fs_statfs *out)
{
    struct ovl_super *os = ovl_super(s);
    struct super *real = os->layers[os->has_upper ? 0 : 1].root.dentry->super;
    int ret = real->ops->statfs(real, out);

    if (ret == 0 && out->blocks == 0 && os->has_upper) {
        /* A tmpfs without limits: programs that look for room are told what the lower one has. */
        real = os->layers[1].root.dentry->super;
        ret = real->ops->statfs(real, out);
    }
    out->type = OVERLAYFS_MAGIC;
    out->fsid = s->dev;
    return ret;
}

static int ovl_sync(struct super *s)
{
    struct ovl_super *os = ovl_super(s);
    struct super *upper;

    if (!os->has_upper)
        return 0;
    upper = os->layers[0].root.dentry->super;
    return upper->ops->sync ? upper->ops->sync(upper) : 0;
}

static size_t ovl_show_options(struct super *s, char *buf, size_t size)
{
    struct ovl_super *os = ovl_super(s);
    int n = snprintf(buf, size, "%s", os->options ? os->options : "");

    return n < 0 ? 0 : MIN((size_t)n, size ? size - 1 : 0);
}

static void ovl_super_free(struct ovl_super *os)
{
    for (uint32_t i = 0; i < os->layer_count; i++) {
        path_put(&os->layers[i].root);
        if (os->layers[i].owned) {
            super_kill(os->layers[i].owned);
            super_put(os->layers[i].owned);
        }
    }
    free(os->layers);
    free(os->options);
    free(os);
}

static void ovl_super_destroy(struct super *s)
{
    struct ovl_super *os = ovl_super(s);

    mutex_destroy(&os->lock);
    ovl_super_free(os);
}

static const struct super_ops g_ovl_super_ops = {
    .statfs = ovl_statfs,
    .sync = ovl_sync,
    .destroy = ovl_super_destroy,
    .show_options = ovl_show_options,
};

static struct ovl_super *ovl_super_alloc(size_t lowers)
{
    struct ovl_super *os = calloc(1, sizeof(*os));

    if (!os)
        return NULL;
    os->layers = calloc(lowers + 1, sizeof(*os->layers));
    if (!os->layers) {
        free(os);
        return NULL;
    }
    return os;
}

/* The layers are set: makes the root inode and the super. Frees os on failure. */
static int ovl_super_finish(struct ovl_super *os, uint32_t flags, struct super **out)
{
    struct ovl_found f = {0};
    struct inode *root;
    int ret = super_init(&os->super, &g_ovl_super_ops, "overlay");

    if (ret < 0) {
        ovl_super_free(os);
        return ret;
    }
    mutex_init(&os->lock, RANK_FS_SUPER);
    os->super.flags = flags | SUPER_STICKY_NEGATIVE | (os->has_upper ? 0 : SUPER_READONLY);
    if (os->has_upper)
        f.upper = dentry_get(os->layers[0].root.dentry);
    for (uint32_t i = 1; i < os->layer_count && ret == 0; i++)
        ret = ovl_found_add(&f, dentry_get(os->layers[i].root.dentry), i);
    if (ret == 0)
        ret = ovl_inode_get(os, NULL, "", 0, &f, &root);
    else
        ovl_found_free(&f);
    if (ret == 0)
        ret = dentry_make_root(&os->super, root, &os->super.root);
    if (ret < 0) {
        super_put(&os->super);
        return ret;
    }
    *out = &os->super;
    return 0;
}

/* The new root directory looks like the one below it: mode, owner, times. */
static int copy_root_attr(struct ovl_super *os)
{
    struct fs_attr attr = os->layers[1].root.dentry->inode->attr;

    attr.mask = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME;
    return inode_setattr(os->layers[0].root.dentry->inode, &attr);
}

int overlay_mount(struct super *upper, struct super *const lowers[], size_t count, uint32_t flags,
                  struct super **out)
{
    struct ovl_super *os;
    int ret;

    if (count == 0 || count > OVL_LAYERS_MAX)
        return -EINVAL;
    os = ovl_super_alloc(count);
    if (!os)
        return -ENOMEM;
    os->has_upper = upper != NULL;
    os->layer_count = (uint32_t)count + 1;
    if (upper)
        os->layers[0].root.dentry = dentry_get(upper->root);
    for (size_t i = 0; i < count; i++)
        os->layers[i + 1].root.dentry = dentry_get(lowers[i]->root);
    ret = upper ? copy_root_attr(os) : 0;
    if (ret < 0) {
        ovl_super_free(os);
        return ret;
    }
    ret = ovl_super_finish(os, flags, out);
    if (ret < 0)
        return ret;
    os->layers[0].owned = upper;
    for (size_t i = 0; i < count; i++)
        os->layers[i + 1].owned = lowers[i];
    return 0;
}

/* ---- mount(2) -------------------------------------------------------------------------------- */

struct ovl_options {
    char *lower, *upper, *work; /* into text */
    char *text;
};

/* "a=b,c=d": commas in paths are written "\,". */
static int options_parse(const char *options, struct ovl_options *o)
{
    char *in, *to;

    memset(o, 0, sizeof(*o));
    o->text = strdup(options ? options : "");
    if (!o->text)
        return -ENOMEM;
    for (in = o->text; *in;) {
        char *start = in, *eq;

        for (to = in; *in && *in != ','; in++) {
            if (in[0] == '\\' && in[1] == ',')
                in++;
            *to++ = *in;
        }
        if (*in)
            in++;
        *to = '\0';
        eq = strchr(start, '=');
        if (eq)
            *eq++ = '\0';
        if (eq && strcmp(start, "lowerdir") == 0)
            o->lower = eq;
        else if (eq && strcmp(start, "upperdir") == 0)
            o->upper = eq;
        else if (eq && strcmp(start, "workdir") == 0)
            o->work = eq;
        else if (eq && (strcmp(start, "redirect_dir") == 0 || strcmp(start, "index") == 0 ||
                        strcmp(start, "metacopy") == 0 || strcmp(start, "xino") == 0))
            continue; /* redirects are always made, the others never */
        else if (*start && strcmp(start, "userxattr") != 0 && strcmp(start, "volatile") != 0)
            return -EINVAL;
    }
    if (!o->lower || (o->upper && !o->work))
        return -EINVAL;
    return 0;
}

/* Splits "a:b:c" in place; "\:" is a colon. Returns the next part, or NULL at the end. */
static char *next_lower(char **pos)
{
    char *start = *pos, *in = start, *to = start;

    if (!start)
        return NULL;
    for (; *in && *in != ':'; in++) {
        if (in[0] == '\\' && in[1])
            in++;
        *to++ = *in;
    }
    *pos = *in ? in + 1 : NULL;
    *to = '\0';
    return start;
}

static int layer_at(const char *name, bool upper, struct ovl_layer *out)
{
    const struct super *s;
    int ret;

    if (!*name)
        return -EINVAL;
    ret = vfs_walk(LX_AT_FDCWD, name, WALK_FOLLOW | WALK_DIRECTORY, &out->root);
    if (ret < 0)
        return ret;
    s = out->root.dentry->super;
    /* Linux: an overlay can be a lower layer, two deep; never an upper one. */
    if ((s->flags & SUPER_STACKED) || (upper && strcmp(s->type, "overlay") == 0))
        return -EINVAL;
    if (upper && !out->root.dentry->inode->ops->setxattr)
        return -EINVAL;
    if (upper && (mount_is_readonly(out->root.mnt) || (s->flags & SUPER_READONLY)))
        return -EROFS;
    return 0;
}

/* The work directory is not used (copies are made as nameless files) but must be right. */
static int check_work(const struct ovl_options *o, const struct path *upper)
{
    struct path work;
    int ret = vfs_walk(LX_AT_FDCWD, o->work, WALK_FOLLOW | WALK_DIRECTORY, &work);

    if (ret < 0)
        return ret;
    if (work.mnt != upper->mnt || dentry_is_below(work.dentry, upper->dentry) ||
        dentry_is_below(upper->dentry, work.dentry))
        ret = -EINVAL;
    path_put(&work);
    return ret;
}

static int layers_open(struct ovl_super *os, const struct ovl_options *o, uint32_t lowers)
{
    char *pos = o->lower, *name;
    int ret = 0;

    if (o->upper) {
        os->has_upper = true;
        ret = layer_at(o->upper, /*upper=*/true, &os->layers[0]);
        if (ret == 0)
            ret = check_work(o, &os->layers[0].root);
    }
    os->layer_count = 1;
    while (ret == 0 && os->layer_count <= lowers && (name = next_lower(&pos)) != NULL)
        ret = layer_at(name, /*upper=*/false, &os->layers[os->layer_count++]);
    return ret;
}

static int ovl_mount(const struct fs_type *type, const char *source, const char *options,
                     uint32_t super_flags, struct super **out)
{
    struct ovl_super *os = NULL;
    struct ovl_options o;
    uint32_t lowers = 1;
    int ret = options_parse(options, &o);

    (void)type;
    (void)source;
    if (ret == 0) {
        for (const char *p = o.lower; *p; p++)
            lowers += *p == ':';
        if (lowers > OVL_LAYERS_MAX || (!o.upper && lowers < 2))
            ret = -EINVAL;
    }
    if (ret == 0) {
        os = ovl_super_alloc(lowers);
        ret = os ? layers_open(os, &o, lowers) : -ENOMEM;
    }
    if (ret == 0 && asprintf(&os->options, ",%s", options) < 0) {
        os->options = NULL;
        ret = -ENOMEM;
    }
    free(o.text);
    if (ret < 0) {
        if (os)
            ovl_super_free(os);
        return ret;
    }
    return ovl_super_finish(os, super_flags | SUPER_STACKED, out);
}

const struct fs_type g_fs_overlay = {
    .name = "overlay",
    .flags = FS_TYPE_USERNS,
    .mount = ovl_mount,
};
