/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared subtrees: mount_namespaces(7). A peer group is a number; mounts with the same peer_group
 * are peers, mounts whose master_group is that number are its slaves. A mount or umount at a mount
 * of a group is repeated at every peer and, transitively, at every slave whose root covers the
 * place.
 *
 * DEVIATION: a slave that is also shared gets a group of its own per receiving mount, and umount
 * events skip receivers that have something mounted further down.
 */
#include <errno.h>

#include "sentry/abi/mount.h"
#include "sentry/fs/mount_internal.h"

struct list g_attached_mounts = LIST_INIT(g_attached_mounts); /* under g_mount_lock */
static uint32_t g_next_group = 1;                             /* under g_mount_lock */

static bool group_has_others(const struct mount *m)
{
    const struct mount *o;

    list_for_each_entry(o, &g_attached_mounts, attached) {
        if (o != m && o->peer_group == m->peer_group)
            return true;
    }
    return false;
}

void propagation_set(struct mount *m, uint32_t type)
{
    switch (type) {
    case LX_MS_SHARED:
        if (!m->peer_group)
            m->peer_group = g_next_group++;
        m->propagation = (m->propagation & LX_MS_SLAVE) | LX_MS_SHARED;
        return;
    case LX_MS_SLAVE:
        if (m->peer_group && group_has_others(m))
            m->master_group = m->peer_group;
        m->peer_group = 0;
        m->propagation = m->master_group ? LX_MS_SLAVE : 0;
        return;
    default:
        m->peer_group = 0;
        m->master_group = 0;
        m->propagation = type == LX_MS_UNBINDABLE ? LX_MS_UNBINDABLE : 0;
        return;
    }
}

/* Marks every mount that receives events of parent's group, parent itself not. Marks are true until
 * cleared by the caller. */
static void mark_receivers(struct mount *parent)
{
    struct mount *m, *o;
    bool again = true;

    list_for_each_entry(m, &g_attached_mounts, attached)
        m->receives = m == parent;
    while (again) {
        again = false;
        list_for_each_entry(m, &g_attached_mounts, attached) {
            if (m->receives)
                continue;
            list_for_each_entry(o, &g_attached_mounts, attached) {
                if (o->receives && o->peer_group &&
                    (m->peer_group == o->peer_group || m->master_group == o->peer_group)) {
                    m->receives = true;
                    again = true;
                    break;
                }
            }
        }
    }
    parent->receives = false;
}

static void make_tree_shared(struct mount *top) REQUIRES(g_mount_lock)
{
    struct mount *m;

    for (m = top; m; m = mount_next(m, top))
        propagation_set(m, LX_MS_SHARED);
}

/* The copy at receiver: a peer's is a peer, a slave's a slave. */
static void join_groups(struct mount *copy, const struct mount *receiver,
                        const struct mount *parent) REQUIRES(g_mount_lock)
{
    struct mount *c;

    if (receiver->peer_group == parent->peer_group)
        return;
    for (c = copy; c; c = mount_next(c, copy)) {
        c->master_group = c->peer_group;
        c->peer_group = receiver->peer_group ? g_next_group++ : 0;
        c->propagation = LX_MS_SLAVE | (c->peer_group ? LX_MS_SHARED : 0);
    }
}

int propagate_mount(struct mount *m, struct mount *parent, struct dentry *at, struct list *gone)
{
    struct mount *r, *copy, *c;
    int ret;

    if (!(parent->propagation & LX_MS_SHARED))
        return 0;
    make_tree_shared(m);
    mark_receivers(parent);
    list_for_each_entry(r, &g_attached_mounts, attached) {
        struct mount *on, *where = r;
        struct dentry *where_at = at;

        if (!r->receives || r->super != at->super || !dentry_is_below(at, r->root))
            continue;
        if (r->ns->count >= MOUNTS_MAX)
            return -ENOSPC;
        ret = mount_copy_tree(m, m->root, /*recursive=*/true, /*keep_unbindable=*/true, &copy);
        if (ret < 0)
            return ret;
        if (r->ns->userns != parent->ns->userns)
            mount_lock_tree(copy);
        join_groups(copy, r, parent);
        while ((on = mount_child_at(where, where_at)) != NULL) {
            where = on;
            where_at = on->root;
        }
        mount_attach(copy, where, where_at);
        for (c = copy; c; c = mount_next(c, copy))
            mount_enter_ns(c, r->ns);
    }
    return 0;
}

int propagate_umount(struct mount *m, struct list *gone)
{
    struct mount *r, *parent = m->parent, *c;
    bool again = true;
    int ret;

    if (!parent || !(parent->propagation & LX_MS_SHARED))
        return 0;
    mark_receivers(parent);
    while (again) {
        again = false; /* umount_tree edits the list: start over after each */
        list_for_each_entry(r, &g_attached_mounts, attached) {
            c = r->receives ? mount_child_at(r, m->mountpoint) : NULL;
            if (!c || c->super != m->super || !list_empty(&c->children))
                continue;
            r->receives = false;
            ret = umount_tree(c, gone);
            if (ret < 0)
                return ret;
            again = true;
            break;
        }
    }
    return 0;
}
