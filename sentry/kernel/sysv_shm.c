/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V shared memory: shmget(2), shmop(2), shmctl(2). A segment is a mappable in front of a
 * shared anonymous object; each vma that maps it holds one count in nattch, which is how fork,
 * exit, exec and partial unmapping are accounted without extra hooks. A removed segment lives until
 * the last attachment goes.
 */
#include "sentry/kernel/sysvipc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sentry/abi/mman.h"
#include "sentry/kernel/ipc_internal.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/shared_object.h"
#include "sentry/mm/uaccess.h"

/* Keys: I immutable; i ipcns.lock; a atomic */
struct shm_segment {
    struct ipc_object obj;   /* refs: table and attachments */
    struct mappable map;     /* what vmas map */
    struct mappable *memory; /* I, +1 */
    struct ipcns *ns;        /* I; each attachment holds a reference, the table is part of it */
    uint64_t size;           /* I: bytes as asked */
    uint32_t attachments;    /* i: vmas */
    int64_t atime, dtime;    /* i */
    struct pid *cpid, *lpid; /* I, i: +1 */
    char name[24];           /* I: for /proc/PID/maps */
};

static struct shm_segment *segment_of(const struct ipc_object *o)
{
    return container_of(o, struct shm_segment, obj);
}

static struct shm_segment *segment_of_map(struct mappable *m)
{
    return container_of(m, struct shm_segment, map);
}

static int map_translate(struct mappable *m, uint64_t pgoff, uint32_t count, bool write,
                         struct backing *out)
{
    struct mappable *memory = segment_of_map(m)->memory;

    return memory->ops->translate(memory, pgoff, count, write, out);
}

static void map_get(struct mappable *m)
{
    struct shm_segment *s = segment_of_map(m);

    ipcns_get(s->ns);
    mutex_lock(&s->ns->lock);
    refs_get(&s->obj.refs);
    s->attachments++;
    mutex_unlock(&s->ns->lock);
}

static void map_put(struct mappable *m)
{
    struct shm_segment *s = segment_of_map(m);
    struct ipcns *ns = s->ns;
    bool last;

    mutex_lock(&ns->lock);
    last = --s->attachments == 0 && !s->obj.removed &&
           ((s->obj.mode & LX_SHM_DEST) || ns->limits.shm_rmid_forced);
    if (last)
        ipc_remove_locked(ns, IPC_SHM, &s->obj);
    mutex_unlock(&ns->lock);
    if (last)
        ipc_put(&s->obj);
    ipc_put(&s->obj);
    ipcns_put(ns);
}

static const struct mappable_ops segment_map_ops = {
    .translate = map_translate,
    .get = map_get,
    .put = map_put,
};

static uint64_t pages_of(uint64_t size)
{
    return size / LX_PAGE_SIZE + (size % LX_PAGE_SIZE != 0);
}

static void segment_destroy(struct ipc_object *o)
{
    struct shm_segment *s = segment_of(o);

    s->memory->ops->put(s->memory);
    atomic_fetch_sub(&s->ns->shm_pages, pages_of(s->size));
    mappable_destroy(&s->map);
    pid_put(s->cpid);
    pid_put(s->lpid);
    free(s);
}

static int segment_make(struct ipcns *ns, const struct ipc_get *g, struct ipc_object **out)
{
    uint64_t pages = pages_of(g->size);
    struct shm_segment *s;
    int ret;

    if (g->size < 1 || g->size > ns->limits.shmmax)
        return -EINVAL;
    if (g->flags & LX_SHM_HUGETLB)
        return -EINVAL; /* as a kernel without huge pages set aside */
    if (atomic_fetch_add(&ns->shm_pages, pages) + pages > ns->limits.shmall) {
        atomic_fetch_sub(&ns->shm_pages, pages);
        return -ENOSPC;
    }
    s = calloc(1, sizeof(*s));
    ret = s ? shared_object_new(g->size, !(g->flags & LX_SHM_NORESERVE), &s->memory) : -ENOMEM;
    if (ret < 0) {
        atomic_fetch_sub(&ns->shm_pages, pages);
        free(s);
        return ret;
    }
    ipc_init_object(&s->obj, g);
    s->obj.destroy = segment_destroy;
    mappable_init(&s->map, &segment_map_ops);
    s->ns = ns;
    s->size = g->size;
    s->cpid = pid_get(curr()->tgid);
    snprintf(s->name, sizeof(s->name), "/SYSV%08x", (uint32_t)g->key);
    *out = &s->obj;
    return 0;
}

static int segment_check(const struct ipc_get *g, const struct ipc_object *o)
{
    return g->size > segment_of(o)->size ? -EINVAL : 0;
}

long shm_get(struct task *t, int32_t key, uint64_t size, int flags)
{
    const struct ipc_get g = {
        .kind = IPC_SHM,
        .key = key,
        .flags = flags,
        .make = segment_make,
        .check = segment_check,
        .size = size,
    };

    return ipc_get(t->curr.ipcns, &g);
}

/* ---- attach and detach ----------------------------------------------------------------------- */

static void touch(struct shm_segment *s, bool attach)
{
    struct ipcns *ns = curr()->ipcns;
    struct pid *old;

    mutex_lock(&ns->lock);
    if (attach)
        s->atime = ipc_now();
    else
        s->dtime = ipc_now();
    old = s->lpid;
    s->lpid = pid_get(curr()->tgid);
    mutex_unlock(&ns->lock);
    pid_put(old);
}

/* +1 */
static int find_for_attach(struct ipcns *ns, int id, int flags, struct shm_segment **out)
{
    uint32_t want = 0400 | (flags & LX_SHM_RDONLY ? 0 : 0200) | (flags & LX_SHM_EXEC ? 0100 : 0);
    struct ipc_object *o;
    int ret;

    mutex_lock(&ns->lock);
    ret = ipc_find_locked(ns, IPC_SHM, id, &o);
    if (ret == 0)
        ret = ipc_permission(ns, o, want);
    if (ret == 0) {
        refs_get(&o->refs);
        *out = segment_of(o);
    }
    mutex_unlock(&ns->lock);
    return ret;
}

long shm_attach(struct task *t, int id, uaddr_t addr, int flags)
{
    const uint64_t shmlba = LX_PAGE_SIZE;
    struct shm_segment *s;
    struct mmap_args args = {
        .prot = LX_PROT_READ,
        .flags = LX_MAP_SHARED,
        .max_prot = LX_PROT_READ | LX_PROT_EXEC,
    };
    int64_t ret;

    if (id < 0)
        return -EINVAL;
    if (addr) {
        if (addr & (shmlba - 1)) {
            if (!(flags & LX_SHM_RND))
                return -EINVAL;
            addr = align_down(addr, shmlba);
            if (!addr && (flags & LX_SHM_REMAP))
                return -EINVAL;
        }
        args.flags |= flags & LX_SHM_REMAP ? LX_MAP_FIXED : LX_MAP_FIXED_NOREPLACE;
    } else if (flags & LX_SHM_REMAP) {
        return -EINVAL;
    }
    ret = find_for_attach(t->curr.ipcns, id, flags, &s);
    if (ret < 0)
        return ret;
    if (!(flags & LX_SHM_RDONLY)) {
        args.prot |= LX_PROT_WRITE;
        args.max_prot |= LX_PROT_WRITE;
    }
    if (flags & LX_SHM_EXEC)
        args.prot |= LX_PROT_EXEC;
    args.addr = addr;
    args.size = align_up(s->size, LX_PAGE_SIZE);
    args.object = &s->map;
    args.name = s->name;
    ret = mm_mmap(t->curr.mm, &args);
    if (ret == -EEXIST)
        ret = -EINVAL;
    if (ret >= 0)
        touch(s, /*attach=*/true);
    ipc_put(&s->obj);
    return ret;
}

struct detach_walk {
    uaddr_t addr;            /* where the segment was attached */
    struct mappable *object; /* +1 once found */
    uaddr_t start, end;      /* next piece to unmap */
};

static bool find_piece(void *arg, const struct mm_vma_info *info)
{
    struct detach_walk *w = arg;

    if (!info->object || info->object->ops != &segment_map_ops)
        return !w->object || info->start - w->addr < segment_of_map(w->object)->size;
    if (!w->object) {
        if (info->start - info->offset != w->addr)
            return info->start <= w->addr;
        w->object = info->object;
        w->object->ops->get(w->object);
    } else if (info->object != w->object || info->start - info->offset != w->addr) {
        return info->start - w->addr < segment_of_map(w->object)->size;
    }
    w->start = info->start;
    w->end = info->end;
    return false;
}

/* Unmaps every piece of the segment that begins at addr, also after mprotect or munmap cut it up.
 */
long shm_detach(struct task *t, uaddr_t addr)
{
    struct detach_walk w = {.addr = addr};
    bool any = false;

    if (addr & (LX_PAGE_SIZE - 1))
        return -EINVAL;
    for (;;) {
        w.start = w.end = 0;
        mm_for_each_vma(t->curr.mm, addr, find_piece, &w);
        if (!w.end)
            break;
        if (mm_munmap(t->curr.mm, w.start, w.end - w.start) < 0)
            break;
        any = true;
    }
    if (w.object) {
        touch(segment_of_map(w.object), /*attach=*/false);
        w.object->ops->put(w.object);
    }
    return any ? 0 : -EINVAL;
}

/* ---- control --------------------------------------------------------------------------------- */

static void stat_out(struct shm_segment *s, struct lx_shmid_ds *out)
{
    *out = (struct lx_shmid_ds){
        .segsz = s->size,
        .atime = s->atime,
        .dtime = s->dtime,
        .ctime = s->obj.ctime,
        .cpid = pid_nr(s->cpid),
        .lpid = pid_nr(s->lpid),
        .nattch = s->attachments,
    };
    ipc_perm_out(&s->obj, &out->perm);
}

static long shm_stat(struct ipcns *ns, int id, int cmd, uaddr_t buf)
{
    struct ipc_object *o = NULL;
    struct lx_shmid_ds ds;
    int ret = 0;

    mutex_lock(&ns->lock);
    if (cmd == LX_IPC_STAT) {
        ret = ipc_find_locked(ns, IPC_SHM, id, &o);
    } else {
        o = ipc_at_locked(ns, IPC_SHM, id);
        ret = o ? o->id : -EINVAL;
    }
    if (ret >= 0 && cmd != LX_SHM_STAT_ANY && ipc_permission(ns, o, 0444) < 0)
        ret = -EACCES;
    if (ret >= 0)
        stat_out(segment_of(o), &ds);
    mutex_unlock(&ns->lock);
    if (ret >= 0 && put_user(&ds, buf) < 0)
        return -EFAULT;
    return ret;
}

/* Resident pages of the collected segments, whose references it gives up. */
static uint64_t resident_pages_put(struct mappable **list, size_t count)
{
    uint64_t pages = 0;

    for (size_t i = 0; i < count; i++) {
        pages += shared_object_resident(list[i]) / LX_PAGE_SIZE;
        list[i]->ops->put(list[i]);
    }
    return pages;
}

int shm_list(struct ipcns *ns, struct sysv_shm_info **out, size_t *count)
{
    struct ipc_table *tab = &ns->tables[IPC_SHM];
    struct mappable **memories;

    *count = 0;
    mutex_lock(&ns->lock);
    *out = calloc(tab->count + 1, sizeof(**out));
    memories = calloc(tab->count + 1, sizeof(struct mappable *));
    for (uint32_t i = 0; *out && memories && i < tab->capacity; i++) {
        struct shm_segment *s = tab->slots[i] ? segment_of(tab->slots[i]) : NULL;

        if (!s)
            continue;
        (*out)[*count].id = s->obj.id;
        stat_out(s, &(*out)[*count].ds);
        s->memory->ops->get(s->memory);
        memories[(*count)++] = s->memory;
    }
    mutex_unlock(&ns->lock);
    /* As in shm_info. */
    for (size_t i = 0; i < *count; i++)
        (*out)[i].resident = resident_pages_put(&memories[i], 1) * LX_PAGE_SIZE;
    free(memories);
    if (*out && memories)
        return 0;
    free(*out);
    return -ENOMEM;
}

/* ---- the end of those that made segments ----------------------------------------------------- */

/* The first segment from *at on that nobody maps and that tgid made, NULL: anybody. Counts *at up. */
static struct shm_segment *unmapped_locked(struct ipcns *ns, const struct pid *tgid, uint32_t *at)
{
    struct ipc_table *tab = &ns->tables[IPC_SHM];

    while (*at < tab->capacity) {
        struct ipc_object *o = tab->slots[(*at)++];

        if (o && segment_of(o)->attachments == 0 && (!tgid || segment_of(o)->cpid == tgid))
            return segment_of(o);
    }
    return NULL;
}

void shm_group_exit(struct ipcns *ns, const struct pid *tgid)
{
    struct shm_segment *s;
    uint32_t at = 0;

    while (ns->limits.shm_rmid_forced) {
        mutex_lock(&ns->lock);
        s = unmapped_locked(ns, tgid, &at);
        if (s)
            ipc_remove_locked(ns, IPC_SHM, &s->obj);
        mutex_unlock(&ns->lock);
        if (!s)
            break;
        ipc_put(&s->obj);
    }
}

void shm_remove_orphans(struct ipcns *ns)
{
    struct shm_segment *s;
    struct pid *creator;
    uint32_t at = 0;

    for (;;) {
        mutex_lock(&ns->lock);
        s = unmapped_locked(ns, NULL, &at);
        creator = s ? pid_get(s->cpid) : NULL;
        mutex_unlock(&ns->lock);
        if (!s)
            return;
        if (!g_pid_ops->alive(creator, PID_TGID))
            shm_group_exit(ns, creator);
        pid_put(creator);
    }
}

static long shm_info(struct ipcns *ns, int cmd, uaddr_t buf)
{
    struct lx_shminfo limits = {
        .shmmax = ns->limits.shmmax,
        .shmmin = 1,
        .shmmni = ns->limits.shmmni,
        .shmseg = ns->limits.shmmni,
        .shmall = ns->limits.shmall,
    };
    struct lx_shm_info usage = {0};
    /* ns->lock is a leaf: the segments' own locks are taken after it. */
    struct mappable **memories = calloc(LX_SHMMNI, sizeof(struct mappable *));
    size_t count = 0;
    int highest;

    if (!memories)
        return -ENOMEM;
    mutex_lock(&ns->lock);
    highest = ipc_highest_locked(ns, IPC_SHM);
    usage.used_ids = (int32_t)ns->tables[IPC_SHM].count;
    for (int i = 0; i <= highest; i++) {
        struct ipc_object *o = ipc_at_locked(ns, IPC_SHM, i);

        if (!o)
            continue;
        usage.tot += align_up(segment_of(o)->size, LX_PAGE_SIZE) / LX_PAGE_SIZE;
        segment_of(o)->memory->ops->get(segment_of(o)->memory);
        memories[count++] = segment_of(o)->memory;
    }
    mutex_unlock(&ns->lock);
    usage.rss = resident_pages_put(memories, count);
    free(memories);
    if (cmd == LX_IPC_INFO ? put_user(&limits, buf) : put_user(&usage, buf))
        return -EFAULT;
    return highest;
}

/* IPC_SET, IPC_RMID, SHM_LOCK, SHM_UNLOCK. */
static long shm_change(struct ipcns *ns, int id, int cmd, const struct lx_shmid_ds *ds)
{
    struct ipc_object *o, *dead = NULL;
    int ret;

    mutex_lock(&ns->lock);
    ret = ipc_find_locked(ns, IPC_SHM, id, &o);
    if (ret == 0)
        ret = ipc_may_control(ns, o);
    if (ret == 0) {
        switch (cmd) {
        case LX_IPC_SET:
            ret = ipc_perm_set(o, &ds->perm);
            break;
        case LX_IPC_RMID:
            /* Linux keeps the id until the last detach; programs attach by id after RMID. */
            o->mode |= LX_SHM_DEST;
            o->key = LX_IPC_PRIVATE;
            if (segment_of(o)->attachments)
                break;
            ipc_remove_locked(ns, IPC_SHM, o);
            dead = o;
            break;
        case LX_SHM_LOCK:
            o->mode |= LX_SHM_LOCKED;
            break;
        default:
            o->mode &= ~(uint32_t)LX_SHM_LOCKED;
            break;
        }
    }
    mutex_unlock(&ns->lock);
    if (dead)
        ipc_put(dead);
    return ret;
}

long shm_control(struct task *t, int id, int cmd, uaddr_t buf)
{
    struct ipcns *ns = t->curr.ipcns;
    struct lx_shmid_ds ds;

    if (cmd < 0 || id < 0)
        return -EINVAL;
    switch (cmd) {
    case LX_IPC_INFO:
    case LX_SHM_INFO:
        return shm_info(ns, cmd, buf);
    case LX_IPC_STAT:
    case LX_SHM_STAT:
    case LX_SHM_STAT_ANY:
        return shm_stat(ns, id, cmd, buf);
    case LX_IPC_SET:
        if (get_user(&ds, buf) < 0)
            return -EFAULT;
        return shm_change(ns, id, cmd, &ds);
    case LX_IPC_RMID:
    case LX_SHM_LOCK:
    case LX_SHM_UNLOCK:
        return shm_change(ns, id, cmd, NULL);
    default:
        return -EINVAL;
    }
}
