/* SPDX-License-Identifier: Apache-2.0 */
/* Root, working directory and umask of a task or of tasks that share them (CLONE_FS). */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/fs/dev/rules.h"

int fs_ctx_new(const struct path *root, const struct path *cwd, uint32_t umask, struct fs_ctx **out)
{
    struct fs_ctx *c = malloc(sizeof(*c));

    if (!c)
        return -ENOMEM;
    refs_init(&c->refs);
    mutex_init(&c->lock, RANK_FS_CTX);
    path_get(root);
    path_get(cwd);
    c->root = *root;
    c->cwd = *cwd;
    c->umask = umask;
    c->devices = curr()->fs ? dev_rules_get(curr()->fs->devices)
                            : NULL; /* a process is made by one of its container */
    *out = c;
    return 0;
}

int fs_ctx_copy(struct fs_ctx *old, struct fs_ctx **out)
{
    struct path root, cwd;
    int ret;

    fs_ctx_root(old, &root);
    fs_ctx_cwd(old, &cwd);
    ret = fs_ctx_new(&root, &cwd, fs_ctx_umask(old), out);
    path_put(&root);
    path_put(&cwd);
    return ret;
}

struct fs_ctx *fs_ctx_get(struct fs_ctx *c)
{
    refs_get(&c->refs);
    return c;
}

void fs_ctx_put(struct fs_ctx *c)
{
    if (!refs_put(&c->refs))
        return;
    path_put(&c->root);
    path_put(&c->cwd);
    dev_rules_put(c->devices);
    mutex_destroy(&c->lock);
    free(c);
}

static void get_field(struct fs_ctx *c, const struct path *field, struct path *out)
{
    mutex_lock(&c->lock);
    *out = *field;
    path_get(out);
    mutex_unlock(&c->lock);
}

static void set_field(struct fs_ctx *c, struct path *field, const struct path *p)
{
    struct path old;

    path_get(p);
    mutex_lock(&c->lock);
    old = *field;
    *field = *p;
    mutex_unlock(&c->lock);
    path_put(&old);
}

void fs_ctx_root(struct fs_ctx *c, struct path *out)
{
    get_field(c, &c->root, out);
}

void fs_ctx_cwd(struct fs_ctx *c, struct path *out)
{
    get_field(c, &c->cwd, out);
}

void fs_ctx_set_root(struct fs_ctx *c, const struct path *p)
{
    set_field(c, &c->root, p);
}

void fs_ctx_set_cwd(struct fs_ctx *c, const struct path *p)
{
    set_field(c, &c->cwd, p);
}

void fs_ctx_replace(struct fs_ctx *c, const struct path *old, const struct path *new_path)
{
    struct path p;
    bool hit;

    fs_ctx_root(c, &p);
    hit = path_equal(&p, old);
    path_put(&p);
    if (hit)
        fs_ctx_set_root(c, new_path);
    fs_ctx_cwd(c, &p);
    hit = path_equal(&p, old);
    path_put(&p);
    if (hit)
        fs_ctx_set_cwd(c, new_path);
}

uint32_t fs_ctx_umask(struct fs_ctx *c)
{
    return c->umask;
}

uint32_t fs_ctx_set_umask(struct fs_ctx *c, uint32_t umask)
{
    uint32_t old;

    mutex_lock(&c->lock);
    old = c->umask;
    c->umask = umask & 0777u;
    mutex_unlock(&c->lock);
    return old;
}
