/* SPDX-License-Identifier: Apache-2.0 */
/* Mount namespaces: mount_namespaces(7), and what /proc/PID/mounts and mountinfo show of them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/log.h"
#include "sentry/abi/mount.h"
#include "sentry/core/userns.h"
#include "sentry/fs/mount_internal.h"

static int mntns_alloc(struct userns *owner, struct mntns **out)
{
    struct mntns *ns = calloc(1, sizeof(*ns));

    if (!ns)
        return -ENOMEM;
    refs_init(&ns->refs);
    list_init(&ns->mounts);
    ns->userns = userns_get(owner);
    *out = ns;
    return 0;
}

int mntns_new(struct super *root_super, uint32_t flags, struct mntns **out)
{
    struct mntns *ns;
    int ret = mntns_alloc(curr()->cred->userns, &ns);

    if (ret < 0)
        return ret;
    ret = mount_alloc(root_super, root_super->root, flags, root_super->type, &ns->root);
    if (ret < 0) {
        userns_put(ns->userns);
        free(ns);
        return ret;
    }
    mutex_lock(&g_mount_lock);
    mount_enter_ns(ns->root, ns);
    mutex_unlock(&g_mount_lock);
    *out = ns;
    return 0;
}

struct mntns *mntns_get(struct mntns *ns)
{
    refs_get(&ns->refs);
    return ns;
}

void mntns_put(struct mntns *ns)
{
    struct list gone;

    if (!refs_put(&ns->refs))
        return;
    list_init(&gone);
    mutex_lock(&g_mount_lock);
    /* Out of memory leaves the mounts to the end of the sandbox. */
    if (umount_tree(ns->root, &gone) < 0)
        log_warn(LOG_FS, "mount namespace leaked: out of memory");
    mutex_unlock(&g_mount_lock);
    umount_list_put(&gone);
    userns_put(ns->userns);
    free(ns);
}

void mntns_root(struct mntns *ns, struct path *out)
{
    mutex_lock(&g_mount_lock);
    out->mnt = ns->root;
    out->dentry = ns->root->root;
    path_get(out);
    mutex_unlock(&g_mount_lock);
    path_follow_mounts(out);
}

/* The twin of m in the copy: both trees are walked in the same order. */
static void move_path(struct path *p, struct mount *old, struct mount *copy)
{
    if (p->mnt == old) {
        struct path before = *p;

        p->mnt = mount_get(copy);
        p->dentry = dentry_get(before.dentry);
        path_put(&before);
    }
}

int mntns_copy(struct mntns *old, struct userns *owner, struct fs_ctx *fs, struct mntns **out)
{
    struct path root = {NULL, NULL}, cwd = {NULL, NULL};
    struct mount *a, *b, *top;
    struct mntns *ns;
    bool lesser;
    int ret = mntns_alloc(owner, &ns);

    if (ret < 0)
        return ret;
    lesser = ns->userns != old->userns;
    if (fs) {
        fs_ctx_root(fs, &root);
        fs_ctx_cwd(fs, &cwd);
    }
    mutex_lock(&g_mount_lock);
    ret = mount_copy_tree(old->root, old->root->root, /*recursive=*/true, /*keep_unbindable=*/true,
                          &top);
    if (ret == 0) {
        ns->root = top;
        for (a = old->root, b = top; b; a = mount_next(a, old->root), b = mount_next(b, top)) {
            mount_enter_ns(b, ns);
            if (lesser && (b->propagation & LX_MS_SHARED)) {
                b->master_group = b->peer_group;
                b->peer_group = 0;
                b->propagation = LX_MS_SLAVE;
            }
            move_path(&root, a, b);
            move_path(&cwd, a, b);
        }
        if (lesser)
            mount_lock_tree(top);
    }
    mutex_unlock(&g_mount_lock);
    if (ret == 0 && fs) {
        fs_ctx_set_root(fs, &root);
        fs_ctx_set_cwd(fs, &cwd);
    }
    path_put(&root);
    path_put(&cwd);
    if (ret < 0) {
        userns_put(ns->userns);
        free(ns);
        return ret;
    }
    *out = ns;
    return 0;
}

/* ---- formats --------------------------------------------------------------------------------- */

struct text {
    char *data;
    size_t len, cap;
    bool failed;
};

static void text_add(struct text *t, const char *s, size_t len)
{
    if (t->failed)
        return;
    if (t->len + len + 1 > t->cap) {
        size_t cap = (t->cap ? t->cap * 2 : 1024) + len;
        char *data = realloc(t->data, cap);

        if (!data) {
            t->failed = true;
            return;
        }
        t->data = data;
        t->cap = cap;
    }
    memcpy(t->data + t->len, s, len);
    t->len += len;
    t->data[t->len] = '\0';
}

static void text_str(struct text *t, const char *s)
{
    text_add(t, s, strlen(s));
}

static void PRINTF_LIKE(2, 3) text_printf(struct text *t, const char *fmt, ...)
{
    char buf[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    text_str(t, buf);
}

/* Space, tab, newline, backslash and '#' as octal, like the kernel. */
static void text_escaped(struct text *t, const char *s)
{
    for (; *s; s++) {
        if (strchr(" \t\n\\#", *s))
            text_printf(t, "\\%03o", (unsigned char)*s);
        else
            text_add(t, s, 1);
    }
}

static void mount_options(struct text *t, const struct mount *m)
{
    static const struct {
        uint32_t flag;
        const char *text;
    } names[] = {{MOUNT_NOSUID, ",nosuid"},          {MOUNT_NODEV, ",nodev"},
                 {MOUNT_NOEXEC, ",noexec"},          {MOUNT_NOATIME, ",noatime"},
                 {MOUNT_NODIRATIME, ",nodiratime"},  {MOUNT_RELATIME, ",relatime"},
                 {MOUNT_NOSYMFOLLOW, ",nosymfollow"}};
    uint32_t flags = m->flags;
    size_t i;

    for (i = 0; i < ARRAY_COUNT(names); i++) {
        if (flags & names[i].flag)
            text_str(t, names[i].text);
    }
}

static void super_options(struct text *t, struct super *s)
{
    char buf[512];
    size_t n;

    if (!s->ops->show_options)
        return;
    buf[0] = '\0';
    n = s->ops->show_options(s, buf, sizeof(buf));
    text_add(t, buf, n < sizeof(buf) ? n : sizeof(buf) - 1);
}

static void line_mounts(struct text *t, struct mount *m, const char *where)
{
    text_escaped(t, m->source);
    text_str(t, " ");
    text_escaped(t, where);
    text_printf(t, " %s %s", m->super->type, mount_is_readonly(m) ? "ro" : "rw");
    mount_options(t, m);
    super_options(t, m->super);
    text_str(t, " 0 0\n");
}

static void line_mountinfo(struct text *t, struct mount *m, const char *where)
{
    char *root;

    text_printf(t, "%d %d %u:%u ", m->id, m->parent ? m->parent->id : m->id,
                lx_dev_major(m->super->dev), lx_dev_minor(m->super->dev));
    if (vfs_dentry_path(m->root, &root) == 0) {
        text_escaped(t, root);
        free(root);
    }
    text_str(t, " ");
    text_escaped(t, where);
    text_str(t, (m->flags & MOUNT_READONLY) ? " ro" : " rw");
    mount_options(t, m);
    if (m->peer_group)
        text_printf(t, " shared:%u", m->peer_group);
    if (m->master_group)
        text_printf(t, " master:%u", m->master_group);
    if (m->propagation & LX_MS_UNBINDABLE)
        text_str(t, " unbindable");
    text_printf(t, " - %s ", m->super->type);
    text_escaped(t, m->source);
    text_str(t, (m->super->flags & SUPER_READONLY) ? " ro" : " rw");
    super_options(t, m->super);
    text_str(t, "\n");
}

static void line_mountstats(struct text *t, struct mount *m, const char *where)
{
    text_str(t, "device ");
    text_escaped(t, m->source);
    text_str(t, " mounted on ");
    text_escaped(t, where);
    text_printf(t, " with fstype %s\n", m->super->type);
}

static bool shows_all_locked(const struct mount *m, bool readonly)
{
    bool readonly_stays = (m->super->flags & SUPER_READONLY) ||
                          ((m->flags & MOUNT_FLAGS_LOCKED) && (m->flags & MOUNT_READONLY));
    struct mount *child;

    if (m->root != m->super->root || (readonly_stays && !readonly))
        return false;
    list_for_each_entry(child, &m->children, child) {
        if (child->flags & MOUNT_LOCKED)
            return false;
    }
    return true;
}

bool mntns_hides(const struct fs_type *type, bool readonly)
{
    const struct mntns *ns = curr()->mntns;
    bool shown = false;
    struct mount *m;

    if (!(type->flags & FS_TYPE_SHOWS) || ns->userns == &g_init_userns)
        return false;
    mutex_lock(&g_mount_lock);
    list_for_each_entry(m, &ns->mounts, ns_node) {
        shown = !strcmp(m->super->type, type->name) && shows_all_locked(m, readonly);
        if (shown)
            break;
    }
    mutex_unlock(&g_mount_lock);
    return !shown;
}

int mntns_format(struct mntns *ns, const struct path *root, enum mounts_format format, char **out,
                 size_t *out_size)
{
    struct text t = {.data = NULL};
    struct mount *m;

    mutex_lock(&g_mount_lock);
    list_for_each_entry(m, &ns->mounts, ns_node) {
        struct path p = {m, m->root};
        bool reached;
        char *where;

        if (vfs_d_path_from(&p, root, &where, &reached) < 0)
            continue;
        if (reached) {
            switch (format) {
            case MOUNTS_MOUNTS:
                line_mounts(&t, m, where);
                break;
            case MOUNTS_MOUNTINFO:
                line_mountinfo(&t, m, where);
                break;
            case MOUNTS_MOUNTSTATS:
                line_mountstats(&t, m, where);
                break;
            }
        }
        free(where);
    }
    mutex_unlock(&g_mount_lock);
    if (t.failed) {
        free(t.data);
        return -ENOMEM;
    }
    *out = t.data ? t.data : strdup("");
    *out_size = t.len;
    return *out ? 0 : -ENOMEM;
}

/* ---- all file systems of a namespace --------------------------------------------------------- */

/* The n-th mount's super, +1, or NULL. */
static struct super *nth_super(struct mntns *ns, uint32_t n)
{
    struct super *s = NULL;
    struct mount *m;

    mutex_lock(&g_mount_lock);
    list_for_each_entry(m, &ns->mounts, ns_node) {
        if (n-- == 0) {
            s = super_get(m->super);
            break;
        }
    }
    mutex_unlock(&g_mount_lock);
    return s;
}

void vfs_sync_all(struct mntns *ns)
{
    struct super *s;
    uint32_t n;

    for (n = 0; (s = nth_super(ns, n)) != NULL; n++) {
        if (s->ops->sync && s->ops->sync(s) < 0)
            log_debug(LOG_FS, "sync of %s failed", s->type);
        super_put(s);
    }
}

struct super *vfs_super_by_dev(struct mntns *ns, lx_dev_t dev)
{
    struct super *s;
    uint32_t n;

    for (n = 0; (s = nth_super(ns, n)) != NULL; n++) {
        if (s->dev == dev)
            return s;
        super_put(s);
    }
    return NULL;
}
