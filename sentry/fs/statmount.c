/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statmount(2) and listmount(2): the mounts of the caller's namespace, one struct each instead of
 * lines of text. Mount ids are given once in the life of the sandbox, so the unique id is the id
 * that mountinfo shows, moved out of the range of ids that Linux uses again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/mount.h"
#include "sentry/fs/mount_internal.h"

uint64_t mount_unique_id(const struct mount *m)
{
    return m ? LX_MNT_UNIQUE_OFFSET + (uint64_t)m->id : 0;
}

static struct mount *find_locked(uint64_t id) REQUIRES(g_mount_lock)
{
    struct mount *m;

    list_for_each_entry(m, &curr()->mntns->mounts, ns_node) {
        if (mount_unique_id(m) == id)
            return m;
    }
    return NULL;
}

/* Name of m's root as seen from root, or NULL: out of memory or not below it. */
static char *point_locked(struct mount *m, const struct path *root) REQUIRES(g_mount_lock)
{
    struct path p = {m, m->root};
    bool reached = false;
    char *where = NULL;

    if (vfs_d_path_from(&p, root, &where, &reached) < 0)
        return NULL;
    if (!reached) {
        free(where);
        return NULL;
    }
    return where;
}

/* ---- statmount ------------------------------------------------------------------------------ */

#define STRINGS                                                                                    \
    (LX_STATMOUNT_FS_TYPE | LX_STATMOUNT_MNT_ROOT | LX_STATMOUNT_MNT_POINT |                       \
     LX_STATMOUNT_MNT_OPTS | LX_STATMOUNT_SB_SOURCE)

struct strings {
    char *data;
    size_t size;
    bool failed;
};

/* Adds a string with its NUL; its offset. */
static uint32_t strings_add(struct strings *s, const char *text)
{
    size_t len = strlen(text) + 1, at = s->size;
    char *data = realloc(s->data, s->size + len);

    if (!data) {
        s->failed = true;
        return 0;
    }
    memcpy(data + at, text, len);
    s->data = data;
    s->size += len;
    return (uint32_t)at;
}

static uint64_t attr_of(uint32_t flags)
{
    static const struct {
        uint32_t flag, attr;
    } map[] = {{MOUNT_READONLY, LX_MOUNT_ATTR_RDONLY},
               {MOUNT_NOSUID, LX_MOUNT_ATTR_NOSUID},
               {MOUNT_NODEV, LX_MOUNT_ATTR_NODEV},
               {MOUNT_NOEXEC, LX_MOUNT_ATTR_NOEXEC},
               {MOUNT_NODIRATIME, LX_MOUNT_ATTR_NODIRATIME},
               {MOUNT_NOSYMFOLLOW, LX_MOUNT_ATTR_NOSYMFOLLOW}};
    uint64_t attr = 0;

    for (size_t i = 0; i < ARRAY_COUNT(map); i++)
        attr |= flags & map[i].flag ? map[i].attr : 0;
    if (flags & MOUNT_NOATIME)
        attr |= LX_MOUNT_ATTR_NOATIME;
    else if (!(flags & MOUNT_RELATIME))
        attr |= LX_MOUNT_ATTR_STRICTATIME;
    return attr;
}

static void fill_basic(struct mount *m, uint64_t mask, struct lx_statmount *out)
{
    struct fs_statfs sf = {0};

    if (mask & LX_STATMOUNT_SB_BASIC) {
        out->sb_dev_major = lx_dev_major(m->super->dev);
        out->sb_dev_minor = lx_dev_minor(m->super->dev);
        if (m->super->ops->statfs(m->super, &sf) == 0)
            out->sb_magic = sf.type;
        out->sb_flags = m->super->flags & SUPER_READONLY ? LX_MS_RDONLY : 0;
    }
    if (mask & LX_STATMOUNT_MNT_BASIC) {
        const struct mount *up = m->parent ? m->parent : m;

        out->mnt_id = mount_unique_id(m);
        out->mnt_parent_id = mount_unique_id(up);
        out->mnt_id_old = (uint32_t)m->id;
        out->mnt_parent_id_old = (uint32_t)up->id;
        out->mnt_attr = attr_of(m->flags);
        out->mnt_propagation = m->propagation ? m->propagation : LX_MS_PRIVATE;
        out->mnt_peer_group = m->peer_group;
        out->mnt_master = m->master_group;
    }
    if (mask & LX_STATMOUNT_PROPAGATE_FROM)
        out->propagate_from = m->master_group;
}

static void fill_strings(struct mount *m, uint64_t mask, const char *where, struct strings *s,
                         struct lx_statmount *out)
{
    char options[512] = "", *root;

    /* Offset 0 is the empty string, for what was not asked for. */
    if (mask & STRINGS)
        strings_add(s, "");
    if (mask & LX_STATMOUNT_FS_TYPE)
        out->fs_type = strings_add(s, m->super->type);
    if ((mask & LX_STATMOUNT_MNT_ROOT) && vfs_dentry_path(m->root, &root) == 0) {
        out->mnt_root = strings_add(s, root);
        free(root);
    }
    if (mask & LX_STATMOUNT_MNT_POINT)
        out->mnt_point = strings_add(s, where);
    if (mask & LX_STATMOUNT_MNT_OPTS) {
        if (m->super->ops->show_options)
            m->super->ops->show_options(m->super, options, sizeof(options));
        /* Options come with a comma before each. Linux: no options, no string. */
        if (options[0])
            out->mnt_opts = strings_add(s, options + 1);
        else
            out->mask &= ~(uint64_t)LX_STATMOUNT_MNT_OPTS;
    }
    if (mask & LX_STATMOUNT_SB_SOURCE)
        out->sb_source = strings_add(s, m->source);
}

/* +1 on *out; *out_where is the name of its root for the caller ("" when it has none). */
static int stat_target(uint64_t id, struct mount **out, char **out_where)
{
    struct path root;
    struct mount *m;
    int ret = 0;

    fs_ctx_root(curr()->fs, &root);
    mutex_lock(&g_mount_lock);
    m = find_locked(id);
    *out_where = m ? point_locked(m, &root) : NULL;
    if (!m)
        ret = -ENOENT;
    else if (!*out_where && !may_mount())
        ret = -EPERM;
    else
        *out = mount_get(m);
    mutex_unlock(&g_mount_lock);
    path_put(&root);
    return ret;
}

int vfs_statmount(uint64_t id, uint64_t mask, struct lx_statmount *out, char **out_strings,
                  size_t *out_size)
{
    struct strings s = {0};
    struct mount *m = NULL;
    char *where;
    int ret = stat_target(id, &m, &where);

    if (ret < 0)
        return ret;
    if (!where)
        mask &= ~(uint64_t)LX_STATMOUNT_MNT_POINT;
    *out = (struct lx_statmount){.mask = mask & LX_STATMOUNT_OURS};
    if (mask & LX_STATMOUNT_SUPPORTED_MASK)
        out->supported_mask = LX_STATMOUNT_OURS;
    fill_basic(m, mask, out);
    fill_strings(m, mask, where, &s, out);
    free(where);
    mount_put(m);
    if (s.failed) {
        free(s.data);
        return -ENOMEM;
    }
    *out_strings = s.data;
    *out_size = s.size;
    return 0;
}

/* ---- listmount ------------------------------------------------------------------------------ */

static int id_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static bool is_below(const struct mount *m, const struct mount *top)
{
    while (m && m != top)
        m = m->parent;
    return m;
}

/* Those below from (NULL: below the caller's root), without from itself. */
static size_t collect_locked(struct mount *from, const struct path *root, uint64_t *ids)
    REQUIRES(g_mount_lock)
{
    struct mount *m;
    size_t n = 0;

    list_for_each_entry(m, &curr()->mntns->mounts, ns_node) {
        char *where = from ? NULL : point_locked(m, root);

        if (from ? m != from && is_below(m, from) : where != NULL)
            ids[n++] = mount_unique_id(m);
        free(where);
    }
    return n;
}

/* Keeps what comes after last in the wanted order. */
static size_t cut(uint64_t *ids, size_t count, uint64_t last, bool reverse)
{
    size_t n = 0;

    qsort(ids, count, sizeof(*ids), id_order);
    for (size_t i = 0; reverse && i < count / 2; i++) {
        uint64_t swap = ids[i];

        ids[i] = ids[count - 1 - i];
        ids[count - 1 - i] = swap;
    }
    for (size_t i = 0; i < count; i++)
        if (!last || (reverse ? ids[i] < last : ids[i] > last))
            ids[n++] = ids[i];
    return n;
}

int vfs_listmount(uint64_t id, uint64_t last, bool reverse, uint64_t **out, size_t *out_count)
{
    struct mount *from = NULL;
    uint64_t *ids = NULL;
    struct path root;
    size_t n = 0;
    int ret = 0;

    fs_ctx_root(curr()->fs, &root);
    mutex_lock(&g_mount_lock);
    if (id != LX_LSMT_ROOT) {
        from = find_locked(id);
        if (!from) {
            ret = -ENOENT;
        } else if (!may_mount()) {
            char *where = point_locked(from, &root);

            ret = where ? 0 : -EPERM;
            free(where);
        }
    }
    if (ret == 0) {
        ids = malloc((curr()->mntns->count + 1) * sizeof(*ids));
        if (ids)
            n = collect_locked(from, &root, ids);
        else
            ret = -ENOMEM;
    }
    mutex_unlock(&g_mount_lock);
    path_put(&root);
    if (ret < 0)
        return ret;
    *out_count = cut(ids, n, last, reverse);
    *out = ids;
    return 0;
}
