/* SPDX-License-Identifier: Apache-2.0 */
/* See fs_context.h. Contexts are used by one task at a time in practice; a lock keeps them whole.
 */
#include "sentry/fs/fs_context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/vfs_internal.h"

/* ---- detached trees -------------------------------------------------------------------------- */

struct mount_file {
    struct file file;
    _Atomic(struct mount *) tree; /* +1; NULL once attached */
};

static void mount_file_release(struct file *f)
{
    struct mount_file *mf = container_of(f, struct mount_file, file);
    struct mount *tree = mf->tree;

    file_destroy_generic(f);
    if (tree)
        mount_dissolve(tree);
    free(mf);
}
static const struct file_ops mount_file_ops = {.release = mount_file_release};

int mount_file_new(struct mount *m_take, struct file **out)
{
    struct mount_file *mf = calloc(1, sizeof(*mf));

    if (!mf)
        return -ENOMEM;
    file_init(&mf->file, &mount_file_ops, LX_O_PATH);
    mf->file.kind = FILE_PATH;
    mf->file.path.mnt = mount_get(m_take);
    mf->file.path.dentry = dentry_get(m_take->root);
    mf->file.inode = inode_get(m_take->root->inode);
    mf->tree = m_take;
    *out = &mf->file;
    return 0;
}

bool file_is_mount(const struct file *f)
{
    return f->ops == &mount_file_ops;
}

int mount_file_attach(struct file *f, const struct path *where)
{
    struct mount_file *mf = container_of(f, struct mount_file, file);
    struct mount *tree;
    int ret;

    if (!file_is_mount(f))
        return -EINVAL;
    tree = atomic_exchange(&mf->tree, NULL);
    if (!tree)
        return -EINVAL;
    ret = mount_graft(tree, where);
    if (ret < 0)
        mf->tree = tree;
    return ret;
}

/* ---- contexts -------------------------------------------------------------------------------- */

#define OPTIONS_MAX 4096u

enum context_phase {
    CONTEXT_SETTING, /* set, create, reconfigure (picked) */
    CONTEXT_CREATED, /* mount */
    CONTEXT_MOUNTED, /* nothing */
};

/* Keys: I immutable; c ->lock */
struct fs_context {
    struct file file;
    struct mutex lock;          /* rank LEAF: only fields change under it */
    const struct fs_type *type; /* I; NULL when picked */
    struct path picked;         /* I, +1 */
    enum context_phase phase;   /* c */
    bool read_only;             /* c */
    char *source;               /* c */
    char *options;              /* c: "a,b=c" */
    struct super *super;        /* c, +1 after creation */
};

static void context_release(struct file *f)
{
    struct fs_context *c = container_of(f, struct fs_context, file);

    path_put(&c->picked);
    if (c->super) {
        if (c->phase == CONTEXT_CREATED)
            super_kill(c->super);
        super_put(c->super);
    }
    free(c->source);
    free(c->options);
    mutex_destroy(&c->lock);
    file_destroy_generic(f);
    free(c);
}

/* The log of messages; there are none. */
static ssize_t context_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    return -ENODATA;
}

static const struct file_ops context_ops = {.read = context_read, .release = context_release};

static int context_new(struct fs_context **out)
{
    struct fs_context *c = calloc(1, sizeof(*c));
    int ret;

    if (!c)
        return -ENOMEM;
    file_init(&c->file, &context_ops, LX_O_RDWR);
    mutex_init(&c->lock, RANK_LEAF);
    c->file.kind = FILE_STREAM;
    ret = file_set_anon(&c->file, "anon_inode:[fscontext]", 0600, NULL);
    if (ret < 0) {
        context_release(&c->file);
        return ret;
    }
    *out = c;
    return 0;
}

int fs_context_new(const struct fs_type *type, struct file **out)
{
    struct fs_context *c;
    int ret = context_new(&c);

    if (ret < 0)
        return ret;
    c->type = type;
    *out = &c->file;
    return 0;
}

int fs_context_pick(const struct path *p, struct file **out)
{
    struct fs_context *c;
    int ret = context_new(&c);

    if (ret < 0)
        return ret;
    c->picked = *p;
    path_get(&c->picked);
    c->read_only = mount_super(p->mnt)->flags & SUPER_READONLY;
    *out = &c->file;
    return 0;
}

bool file_is_fs_context(const struct file *f)
{
    return f->ops == &context_ops;
}

static struct fs_context *of_file(struct file *f)
{
    return container_of(f, struct fs_context, file);
}

static int append_option(struct fs_context *c, const char *key, const char *value)
{
    size_t old = c->options ? strlen(c->options) : 0;
    size_t len = strlen(key) + (value ? strlen(value) + 1 : 0);
    char *p;

    if (strchr(key, ',') || (value && strchr(value, ',')))
        return -EINVAL;
    if (old + len + 2 > OPTIONS_MAX)
        return -E2BIG;
    p = realloc(c->options, old + len + 2);
    if (!p)
        return -ENOMEM;
    c->options = p;
    p += old;
    if (old)
        *p++ = ',';
    p = stpcpy(p, key);
    if (value) {
        *p++ = '=';
        strcpy(p, value);
    }
    return 0;
}

static int set_locked(struct fs_context *c, const char *key, const char *value)
{
    if (c->phase != CONTEXT_SETTING)
        return -EBUSY;
    if (!value && (!strcmp(key, "ro") || !strcmp(key, "rw"))) {
        c->read_only = key[1] == 'o';
        return 0;
    }
    if (value && !strcmp(key, "source")) {
        if (c->source)
            return -EINVAL;
        c->source = strdup(value);
        return c->source ? 0 : -ENOMEM;
    }
    return append_option(c, key, value);
}

int fs_context_set(struct file *f, const char *key, const char *value)
{
    struct fs_context *c = of_file(f);
    int ret;

    mutex_lock(&c->lock);
    ret = set_locked(c, key, value);
    mutex_unlock(&c->lock);
    return ret;
}

int fs_context_create(struct file *f)
{
    struct fs_context *c = of_file(f);
    struct super *s;
    int ret;

    if (!c->type)
        return -EOPNOTSUPP;
    if (c->phase != CONTEXT_SETTING)
        return -EBUSY;
    ret = c->type->mount(c->type, c->source ? c->source : "none", c->options ? c->options : "",
                         c->read_only ? SUPER_READONLY : 0, &s);
    if (ret < 0)
        return ret;
    mutex_lock(&c->lock);
    if (c->phase == CONTEXT_SETTING) {
        c->phase = CONTEXT_CREATED;
        c->super = s;
        s = NULL;
    }
    mutex_unlock(&c->lock);
    if (s) { /* two threads raced */
        super_kill(s);
        super_put(s);
        return -EBUSY;
    }
    return 0;
}

int fs_context_reconfigure(struct file *f)
{
    struct fs_context *c = of_file(f);

    if (!c->picked.mnt)
        return -EOPNOTSUPP;
    return vfs_remount_super(&c->picked, c->read_only ? SUPER_READONLY : 0,
                             mount_flags(c->picked.mnt), c->options);
}

int fs_context_mount(struct file *f, uint32_t flags, struct mount **out)
{
    struct fs_context *c = of_file(f);
    struct super *s = NULL;
    int ret = -EINVAL;

    if (c->type && mntns_hides(c->type, c->read_only || (flags & MOUNT_READONLY)))
        return -EPERM;
    mutex_lock(&c->lock);
    if (c->phase == CONTEXT_MOUNTED)
        ret = -EBUSY;
    if (c->phase == CONTEXT_CREATED) {
        c->phase = CONTEXT_MOUNTED;
        s = c->super;
    }
    mutex_unlock(&c->lock);
    if (!s)
        return ret;
    return mount_alloc(s, s->root, flags, c->source, out);
}
