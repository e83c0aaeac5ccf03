/* SPDX-License-Identifier: Apache-2.0 */
/* IPC namespaces and what the three System V object kinds share: ids, keys, permissions. svipc(7).
 */
#include "sentry/kernel/ipc_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/vfs.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/namespace.h"

int ipcns_new(struct userns *owner, struct ipcns **out)
{
    struct ipcns *ns = calloc(1, sizeof(*ns));

    if (!ns)
        return -ENOMEM;
    refs_init(&ns->refs);
    mutex_init(&ns->lock, RANK_LEAF);
    waitq_init(&ns->msg_wq);
    ns->owner = userns_get(owner);
    ns->inum = ns_inum_new();
    ns->limits = (struct ipc_limits){
        .shmmax = LX_SHMMAX,
        .shmall = LX_SHMALL,
        .shmmni = LX_SHMMNI,
        .msgmax = LX_MSGMAX,
        .msgmnb = LX_MSGMNB,
        .msgmni = LX_MSGMNI,
        .semmsl = LX_SEMMSL,
        .semmns = LX_SEMMNS,
        .semopm = LX_SEMOPM,
        .semmni = LX_SEMMNI,
    };
    *out = ns;
    return 0;
}

struct ipcns *ipcns_get(struct ipcns *ns)
{
    refs_get(&ns->refs);
    return ns;
}

void ipcns_put(struct ipcns *ns)
{
    if (!ns || !refs_put(&ns->refs))
        return;
    for (int kind = 0; kind < IPC_KINDS; kind++) {
        struct ipc_table *tab = &ns->tables[kind];

        for (uint32_t i = 0; i < tab->capacity; i++)
            if (tab->slots[i])
                ipc_put(tab->slots[i]);
        free(tab->slots);
    }
    if (ns->mqueue)
        mntns_put(ns->mqueue);
    userns_put(ns->owner);
    waitq_destroy(&ns->msg_wq);
    mutex_destroy(&ns->lock);
    free(ns);
}

struct ipc_limits *ipcns_limits(struct ipcns *ns)
{
    return &ns->limits;
}

uint64_t ipcns_inum(const struct ipcns *ns)
{
    return ns->inum;
}

void ipc_group_exit(struct task *t)
{
    sem_group_exit(t->curr.ipcns, t->tg);
    shm_group_exit(t->curr.ipcns, t->curr.tgid);
}

int64_t ipc_now(void)
{
    return (int64_t)(clock_realtime() / NSEC_PER_SEC);
}

/* ---- table ---------------------------------------------------------------------------------- */

void ipc_put(struct ipc_object *o)
{
    if (refs_put(&o->refs))
        o->destroy(o);
}

void ipc_init_object(struct ipc_object *o, const struct ipc_get *g)
{
    const struct cred *c = curr()->cred;

    refs_init(&o->refs);
    o->key = g->key;
    o->uid = o->cuid = c->euid;
    o->gid = o->cgid = c->egid;
    o->mode = (uint32_t)g->flags & 0777;
    o->ctime = ipc_now();
}

static uint64_t limit_of(const struct ipcns *ns, enum ipc_kind kind)
{
    switch (kind) {
    case IPC_SHM:
        return ns->limits.shmmni;
    case IPC_SEM:
        return ns->limits.semmni;
    case IPC_MSG:
        return ns->limits.msgmni;
    case IPC_KINDS:
        break;
    }
    return 0;
}

static int slot_take(struct ipc_table *tab, uint64_t limit, struct ipc_object *o)
{
    uint32_t i;

    if (tab->count >= limit)
        return -ENOSPC;
    for (i = 0; i < tab->capacity && tab->slots[i]; i++)
        ;
    if (i == tab->capacity) {
        uint32_t capacity = tab->capacity ? tab->capacity * 2 : 16;
        struct ipc_object **slots = realloc(tab->slots, capacity * sizeof(struct ipc_object *));

        if (!slots)
            return -ENOMEM;
        memset(slots + tab->capacity, 0, (capacity - tab->capacity) * sizeof(struct ipc_object *));
        tab->slots = slots;
        tab->capacity = capacity;
    }
    o->id = (int)((uint32_t)(tab->seq & 0x7fff) << 15 | i) & INT32_MAX;
    tab->seq++;
    tab->slots[i] = o;
    tab->count++;
    return 0;
}

static struct ipc_object *find_key(struct ipc_table *tab, int32_t key)
{
    for (uint32_t i = 0; i < tab->capacity; i++)
        if (tab->slots[i] && tab->slots[i]->key == key)
            return tab->slots[i];
    return NULL;
}

int ipc_get(struct ipcns *ns, const struct ipc_get *g)
{
    struct ipc_table *tab = &ns->tables[g->kind];
    struct ipc_object *o, *fresh = NULL;
    int ret;

    /* Made outside of the lock; thrown away when the key turns out to exist. */
    if (g->key == LX_IPC_PRIVATE || (g->flags & LX_IPC_CREAT)) {
        ret = g->make(ns, g, &fresh);
        if (ret < 0 && g->key == LX_IPC_PRIVATE)
            return ret;
    } else {
        ret = -ENOENT;
    }
    mutex_lock(&ns->lock);
    o = g->key == LX_IPC_PRIVATE ? NULL : find_key(tab, g->key);
    if (o) {
        if ((g->flags & LX_IPC_CREAT) && (g->flags & LX_IPC_EXCL))
            ret = -EEXIST;
        else
            ret = g->check ? g->check(g, o) : 0;
        if (ret == 0)
            ret = ipc_permission(ns, o, (uint32_t)g->flags & 0777);
        if (ret == 0)
            ret = o->id;
    } else if (fresh) {
        ret = slot_take(tab, limit_of(ns, g->kind), fresh);
        if (ret == 0) {
            ret = fresh->id;
            fresh = NULL;
        }
    }
    mutex_unlock(&ns->lock);
    if (fresh)
        ipc_put(fresh);
    return ret;
}

int ipc_find_locked(struct ipcns *ns, enum ipc_kind kind, int id, struct ipc_object **out)
{
    struct ipc_table *tab = &ns->tables[kind];
    uint32_t i = IPC_INDEX(id);

    ASSERT_HELD(&ns->lock);
    if (id < 0 || i >= tab->capacity || !tab->slots[i])
        return -EINVAL;
    if (tab->slots[i]->id != id)
        return -EIDRM;
    *out = tab->slots[i];
    return 0;
}

struct ipc_object *ipc_at_locked(struct ipcns *ns, enum ipc_kind kind, int index)
{
    struct ipc_table *tab = &ns->tables[kind];

    return index < 0 || (uint32_t)index >= tab->capacity ? NULL : tab->slots[index];
}

int ipc_highest_locked(struct ipcns *ns, enum ipc_kind kind)
{
    struct ipc_table *tab = &ns->tables[kind];
    int highest = 0;

    for (uint32_t i = 0; i < tab->capacity; i++)
        if (tab->slots[i])
            highest = (int)i;
    return highest;
}

void *ipc_list(struct ipcns *ns, enum ipc_kind kind, size_t size,
               void (*put)(const struct ipc_object *o, void *info), size_t *count)
{
    const struct ipc_table *tab = &ns->tables[kind];
    uint8_t *list;

    *count = 0;
    mutex_lock(&ns->lock);
    list = calloc(tab->count + 1, size);
    for (uint32_t i = 0; list && i < tab->capacity; i++) {
        if (tab->slots[i])
            put(tab->slots[i], list + (*count)++ * size);
    }
    mutex_unlock(&ns->lock);
    return list;
}

void ipc_remove_locked(struct ipcns *ns, enum ipc_kind kind, struct ipc_object *o)
{
    struct ipc_table *tab = &ns->tables[kind];

    ASSERT_HELD(&ns->lock);
    tab->slots[IPC_INDEX(o->id)] = NULL;
    tab->count--;
    o->removed = true;
    o->key = LX_IPC_PRIVATE;
}

/* ---- permissions ---------------------------------------------------------------------------- */

int ipc_permission(struct ipcns *ns, const struct ipc_object *o, uint32_t want)
{
    const struct cred *c = curr()->cred;
    uint32_t need = (want >> 6 | want >> 3 | want) & 7, granted = o->mode;

    if (c->euid == o->cuid || c->euid == o->uid)
        granted >>= 6;
    else if (cred_in_group(c, o->cgid) || cred_in_group(c, o->gid))
        granted >>= 3;
    if ((need & ~granted & 7) && !cred_ns_capable(c, ns->owner, LX_CAP_IPC_OWNER))
        return -EACCES;
    return 0;
}

int ipc_may_control(struct ipcns *ns, const struct ipc_object *o)
{
    const struct cred *c = curr()->cred;

    if (c->euid == o->cuid || c->euid == o->uid || cred_ns_capable(c, ns->owner, LX_CAP_SYS_ADMIN))
        return 0;
    return -EPERM;
}

void ipc_perm_out(const struct ipc_object *o, struct lx_ipc_perm *out)
{
    const struct userns *ns = curr()->cred->userns;

    *out = (struct lx_ipc_perm){
        .key = o->key,
        .uid = userns_from_kuid(ns, o->uid),
        .gid = userns_from_kgid(ns, o->gid),
        .cuid = userns_from_kuid(ns, o->cuid),
        .cgid = userns_from_kgid(ns, o->cgid),
        .mode = o->mode,
        .seq = (uint16_t)((uint32_t)o->id >> 15),
    };
}

int ipc_perm_set(struct ipc_object *o, const struct lx_ipc_perm *in)
{
    const struct userns *ns = curr()->cred->userns;
    lx_uid_t uid = userns_to_kuid(ns, in->uid);
    lx_gid_t gid = userns_to_kgid(ns, in->gid);

    if (uid == LX_ID_INVALID || gid == LX_ID_INVALID)
        return -EINVAL;
    o->uid = uid;
    o->gid = gid;
    o->mode = (o->mode & ~0777u) | (in->mode & 0777u);
    o->ctime = ipc_now();
    return 0;
}
