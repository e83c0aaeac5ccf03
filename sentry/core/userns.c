/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User namespaces. All ids in the sentry are kernel ids, those of the initial namespace; a
 * namespace maps its own ids straight to them (a nested map is resolved through the parents when
 * written). A map is written once and never changes, so translation takes no lock.
 */
#include "sentry/core/userns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/curr.h"
#include "sentry/core/pidns.h"

static struct id_extent g_identity[] = {{0, 0, 0xffffffffu}};
static const struct id_map g_all_ids = {1, g_identity};

struct userns g_init_userns = {
    .refs = REFS_INIT,
    .inum = 4026531837u,
    .lock = {.rank = RANK_LEAF},
    .uid_map = {1, g_identity},
    .gid_map = {1, g_identity},
    .parent_could_setfcap = true,
};

/* What the initial namespace's ids are outside of the sandbox; count 0: nobody said. */
static struct id_map g_outside_uids, g_outside_gids;

int userns_init_map(bool gid, const struct id_extent *outside, uint32_t count)
{
    struct id_map *inside = gid ? &g_init_userns.gid_map : &g_init_userns.uid_map;
    struct id_map *shown = gid ? &g_outside_gids : &g_outside_uids;
    struct id_extent *in, *out;

    if (count == 0 || count > USERNS_MAX_EXTENTS)
        return -EINVAL;
    in = calloc(count, sizeof(*in));
    out = calloc(count, sizeof(*out));
    if (!in || !out) {
        free(in);
        free(out);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        out[i] = outside[i];
        in[i] = (struct id_extent){out[i].first, out[i].first, out[i].count};
    }
    shown->extents = out;
    inside->extents = in;
    atomic_store(&shown->count, count);
    atomic_store(&inside->count, count);
    return 0;
}

struct userns *userns_init_get(void)
{
    return &g_init_userns;
}

struct userns *userns_get(struct userns *ns)
{
    if (ns != &g_init_userns)
        refs_get(&ns->refs);
    return ns;
}

void userns_put(struct userns *ns)
{
    while (ns && ns != &g_init_userns && refs_put(&ns->refs)) {
        struct userns *parent = ns->parent;

        free(ns->uid_map.extents);
        free(ns->gid_map.extents);
        mutex_destroy(&ns->lock);
        free(ns);
        ns = parent;
    }
}

static uint32_t map_down(const struct id_map *m, uint32_t id)
{
    /* acquire: pairs with the release in map_install, which publishes the extents. */
    uint32_t count = atomic_load_explicit(&m->count, memory_order_acquire);

    for (uint32_t i = 0; i < count; i++)
        if (id >= m->extents[i].first && id - m->extents[i].first < m->extents[i].count)
            return m->extents[i].kernel + (id - m->extents[i].first);
    return LX_ID_INVALID;
}

static uint32_t map_up(const struct id_map *m, uint32_t kid)
{
    uint32_t count = atomic_load_explicit(&m->count, memory_order_acquire); /* as in map_down */

    for (uint32_t i = 0; i < count; i++)
        if (kid >= m->extents[i].kernel && kid - m->extents[i].kernel < m->extents[i].count)
            return m->extents[i].first + (kid - m->extents[i].kernel);
    return LX_ID_INVALID;
}

enum { OVERFLOW_ID = 65534 };

lx_uid_t userns_to_kuid(const struct userns *ns, lx_uid_t uid)
{
    return map_down(&ns->uid_map, uid);
}

lx_gid_t userns_to_kgid(const struct userns *ns, lx_gid_t gid)
{
    return map_down(&ns->gid_map, gid);
}

lx_uid_t userns_from_kuid(const struct userns *ns, lx_uid_t kuid)
{
    uint32_t id = map_up(&ns->uid_map, kuid);

    return id == LX_ID_INVALID ? OVERFLOW_ID : id;
}

lx_gid_t userns_from_kgid(const struct userns *ns, lx_gid_t kgid)
{
    uint32_t id = map_up(&ns->gid_map, kgid);

    return id == LX_ID_INVALID ? OVERFLOW_ID : id;
}

int userns_new(const struct cred *creator, struct userns **out)
{
    struct userns *parent = creator->userns, *ns;

    if (parent->level + 1 > USERNS_MAX_DEPTH)
        return -ENOSPC;
    /* The creator must be known in its own namespace, else nobody could own the child. */
    if (map_up(&parent->uid_map, creator->euid) == LX_ID_INVALID ||
        map_up(&parent->gid_map, creator->egid) == LX_ID_INVALID)
        return -EPERM;
    ns = calloc(1, sizeof(*ns));
    if (!ns)
        return -ENOMEM;
    refs_init(&ns->refs);
    ns->parent = userns_get(parent);
    ns->level = parent->level + 1;
    ns->owner_uid = creator->euid;
    ns->owner_gid = creator->egid;
    ns->inum = ns_inum_new();
    mutex_init(&ns->lock, RANK_LEAF);
    atomic_store(&ns->setgroups, atomic_load(&parent->setgroups));
    ns->parent_could_setfcap = cred_ns_capable(creator, parent, LX_CAP_SETFCAP);
    *out = ns;
    return 0;
}

bool userns_descends(const struct userns *ns, const struct userns *ancestor)
{
    while (ns && ns->level > ancestor->level)
        ns = ns->parent;
    return ns == ancestor;
}

static bool extents_overlap(uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count)
{
    return a < b + b_count && b < a + a_count;
}

/* One line "first lower count"; lower is an id of the parent namespace. */
static int parse_extent(char *line, struct id_extent *out)
{
    uint64_t v[3];
    char *p = line, *end;

    for (int i = 0; i < 3; i++) {
        while (*p == ' ' || *p == '\t')
            p++;
        if (*p < '0' || *p > '9')
            return -EINVAL;
        v[i] = strtoull(p, &end, 10);
        if (v[i] > 0xffffffffu)
            return -EINVAL;
        p = end;
        if (*p && *p != ' ' && *p != '\t')
            return -EINVAL;
    }
    while (*p == ' ' || *p == '\t')
        p++;
    if (*p || v[0] == LX_ID_INVALID || v[1] == LX_ID_INVALID || v[2] == 0 ||
        v[0] + v[2] > 0xffffffffu || v[1] + v[2] > 0xffffffffu)
        return -EINVAL;
    *out = (struct id_extent){(uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2]};
    return 0;
}

static int parse_map(char *text, struct id_extent *extents, uint32_t *out_count)
{
    uint32_t count = 0;
    char *save = NULL;
    int ret;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (count == USERNS_MAX_EXTENTS)
            return -EINVAL;
        ret = parse_extent(line, &extents[count]);
        if (ret < 0)
            return ret;
        for (uint32_t i = 0; i < count; i++)
            if (extents_overlap(extents[i].first, extents[i].count, extents[count].first,
                                extents[count].count) ||
                extents_overlap(extents[i].kernel, extents[i].count, extents[count].kernel,
                                extents[count].count))
                return -EINVAL;
        count++;
    }
    *out_count = count;
    return count ? 0 : -EINVAL;
}

/* user_namespaces(7), "Defining user and group ID mappings": who may write which map. */
static bool map_permitted(struct userns *ns, bool gid, const struct id_extent *e, uint32_t count,
                          const struct cred *opener)
{
    const struct cred *writer = curr()->cred;
    int cap = gid ? LX_CAP_SETGID : LX_CAP_SETUID;

    if (!gid && !ns->parent_could_setfcap)
        for (uint32_t i = 0; i < count; i++)
            if (e[i].kernel == 0)
                return false;
    if (count == 1 && e[0].count == 1 && ns->owner_uid == opener->euid) {
        uint32_t kernel =
            gid ? userns_to_kgid(ns->parent, e[0].kernel) : userns_to_kuid(ns->parent, e[0].kernel);

        if (!gid && kernel == opener->euid)
            return true;
        if (gid && atomic_load(&ns->setgroups) == USERNS_SETGROUPS_DENY && kernel == opener->egid)
            return true;
    }
    return cred_ns_capable(writer, ns->parent, cap) && cred_ns_capable(opener, ns->parent, cap);
}

static int map_resolve(struct userns *ns, bool gid, struct id_extent *e, uint32_t count)
{
    const struct id_map *up = gid ? &ns->parent->gid_map : &ns->parent->uid_map;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t first = map_down(up, e[i].kernel);
        uint32_t last = map_down(up, e[i].kernel + e[i].count - 1);

        /* Linux wants each extent inside one extent of the parent. */
        if (first == LX_ID_INVALID || last == LX_ID_INVALID || last - first != e[i].count - 1)
            return -EPERM;
        e[i].kernel = first;
    }
    return 0;
}

ssize_t userns_map_write(struct userns *ns, bool gid, const char *text, size_t size,
                         const struct cred *opener)
{
    struct id_map *m = gid ? &ns->gid_map : &ns->uid_map;
    struct id_extent *extents = NULL;
    uint32_t count = 0;
    char *copy = NULL;
    int ret;

    if (!ns->parent || !cred_ns_capable(opener, ns, LX_CAP_SYS_ADMIN))
        return -EPERM;
    if (curr()->cred->userns != ns && curr()->cred->userns != ns->parent)
        return -EPERM;
    if (size >= LX_PAGE_SIZE)
        return -EINVAL;
    copy = calloc(1, size + 1);
    extents = calloc(USERNS_MAX_EXTENTS, sizeof(*extents));
    ret = -ENOMEM;
    if (!copy || !extents)
        goto out;
    memcpy(copy, text, size);
    mutex_lock(&ns->lock);
    ret = -EPERM;
    if (atomic_load(&m->count))
        goto unlock;
    ret = parse_map(copy, extents, &count);
    if (ret < 0)
        goto unlock;
    ret = -EPERM;
    if (!map_permitted(ns, gid, extents, count, opener))
        goto unlock;
    ret = map_resolve(ns, gid, extents, count);
    if (ret < 0)
        goto unlock;
    m->extents = extents;
    extents = NULL;
    /* release: publishes the extents to map_down and map_up. */
    atomic_store_explicit(&m->count, count, memory_order_release);
unlock:
    mutex_unlock(&ns->lock);
out:
    free(copy);
    free(extents);
    return ret < 0 ? ret : (ssize_t)size;
}

size_t userns_map_format(struct userns *ns, bool gid, const struct userns *reader, char *buf,
                         size_t size)
{
    const struct id_map *m = gid ? &ns->gid_map : &ns->uid_map;
    uint32_t count = atomic_load_explicit(&m->count, memory_order_acquire); /* as in map_down */
    /* A reader inside sees ids of the parent, others their own. */
    const struct userns *lower = reader == ns && ns->parent ? ns->parent : reader;
    const struct id_map *lm = gid ? &lower->gid_map : &lower->uid_map;
    const struct id_map *outside = gid ? &g_outside_gids : &g_outside_uids;
    size_t len = 0;

    if (ns == &g_init_userns && reader == ns && atomic_load(&outside->count)) {
        m = outside;
        lm = &g_all_ids;
    }
    for (uint32_t i = 0; i < count; i++)
        len += (size_t)snprintf(len < size ? buf + len : NULL, len < size ? size - len : 0,
                                "%10u %10u %10u\n", m->extents[i].first,
                                map_up(lm, m->extents[i].kernel), m->extents[i].count);
    return len;
}

int userns_setgroups_write(struct userns *ns, bool allow)
{
    int ret = 0;

    mutex_lock(&ns->lock);
    if (allow) {
        if (atomic_load(&ns->setgroups) == USERNS_SETGROUPS_DENY)
            ret = -EPERM;
    } else if (atomic_load(&ns->gid_map.count)) {
        ret = -EPERM; /* too late: the gid map is in force */
    } else {
        atomic_store(&ns->setgroups, USERNS_SETGROUPS_DENY);
    }
    mutex_unlock(&ns->lock);
    return ret;
}

bool userns_may_setgroups(struct userns *ns)
{
    return atomic_load(&ns->gid_map.count) && atomic_load(&ns->setgroups) == USERNS_SETGROUPS_ALLOW;
}
