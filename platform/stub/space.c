/* SPDX-License-Identifier: Apache-2.0 */
/* Address spaces of stub back ends: pending changes and pool; see space.h. */
#include "platform/stub/space.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/base/log.h"
#include "platform/stub/process.h"
#include "platform/stub/rseq.h"

enum { QUEUE_SOFT_MAX = 96 }; /* drain early above this */

/* --- platform --- */

int stub_platform_init(struct stub_platform *p)
{
    mutex_init(&p->pool_lock, RANK_LEAF);
    list_init(&p->pool);
    p->low = stub_guest_low();
    p->has_rseq = stub_rseq_supported();
    /* Stubs that die untraced are reaped by the host kernel. */
    return signal(SIGCHLD, SIG_IGN) == SIG_ERR ? -errno : 0;
}

void stub_platform_range(struct platform *p, uaddr_t *out_low, uaddr_t *out_high)
{
    *out_low = stub_platform_of(p)->low;
    *out_high = stub_platform_of(p)->high;
}

int stub_platform_start(const struct platform_config *config, struct platform **out,
                        const char *name, stub_start_fn *start, const char *hint)
{
    static const struct platform_config defaults = {.device = -1};
    const char *why;
    int ret = start(config ? config : &defaults, out, &why);

    if (ret < 0)
        log_at(config && config->fallback ? LOG_INFO : LOG_ERROR, LOG_PLATFORM,
               "%s: cannot %s: %s%s", name, why, strerror(-ret),
               ret == -EPERM || ret == -EACCES || ret == -EINVAL ? hint : "");
    return ret;
}

/* --- pool --- */

struct stub_space *stub_pool_get(struct stub_platform *p)
{
    struct stub_space *s = NULL;

    mutex_lock(&p->pool_lock);
    if (!list_empty(&p->pool)) {
        s = list_first_entry(&p->pool, struct stub_space, pool_node);
        list_del(&s->pool_node);
        p->pool_count--;
    }
    mutex_unlock(&p->pool_lock);
    return s;
}

bool stub_pool_put(struct stub_platform *p, struct stub_space *s)
{
    bool kept = false;

    mutex_lock(&p->pool_lock);
    if (p->pool_count < SPACE_POOL_MAX) {
        list_add(&p->pool, &s->pool_node);
        p->pool_count++;
        kept = true;
    }
    mutex_unlock(&p->pool_lock);
    return kept;
}

bool stub_pool_has_room(struct stub_platform *p)
{
    bool room;

    mutex_lock(&p->pool_lock);
    room = p->pool_count < SPACE_POOL_MAX;
    mutex_unlock(&p->pool_lock);
    return room;
}

bool stub_pool_has_any(struct stub_platform *p)
{
    bool any;

    mutex_lock(&p->pool_lock);
    any = p->pool_count > 0;
    mutex_unlock(&p->pool_lock);
    return any;
}

/* --- life --- */

void stub_space_init(struct stub_space *s, const struct stub_platform *p,
                     const struct stub_space_ops *ops)
{
    s->ops = ops;
    s->low = p->low;
    s->high = p->high;
    mutex_init(&s->lock, RANK_SPACE);
    list_init(&s->pool_node);
    list_init(&s->ctxs);
}

void stub_space_destroy(struct stub_space *s)
{
    queue_destroy(&s->queue);
    rangeset_destroy(&s->mapped);
    mutex_destroy(&s->lock);
}

void stub_space_forget(struct stub_space *s)
{
    queue_reset(&s->queue);
    s->own = false;
    rangeset_reset(&s->mapped);
    s->bad_start = s->bad_end = 0;
    atomic_store(&s->pending, PENDING_NONE);
    if (s->ops->applied)
        s->ops->applied(s);
}

/* --- pending changes --- */

static bool range_ok(const struct stub_space *s, uaddr_t addr, size_t size)
{
    uaddr_t end;

    return size != 0 && ((addr | size) & (LX_PAGE_SIZE - 1)) == 0 &&
           !add_overflows(addr, size, &end) && addr >= s->low && end <= s->high;
}

static int changing_locked(struct stub_space *s, enum change_kind kind, int prot, uaddr_t addr,
                           uint64_t size) REQUIRES(s->lock)
{
    return s->ops->changing ? s->ops->changing(s, kind, prot & PROT_WRITE, addr, size) : 0;
}

void stub_space_queue_changed_locked(struct stub_space *s)
{
    struct platform_ctx *by;

    atomic_store(&s->pending, s->queue.forced  ? PENDING_FORCED
                              : s->queue.count ? PENDING_LAZY
                                               : PENDING_NONE);
    /* A failed drain is met again before the next run. */
    if (s->queue.count > QUEUE_SOFT_MAX && s->ops->at_hand(s, &by))
        IGNORE_RESULT(stub_space_drain_locked(s, by));
}

int stub_space_map(struct platform_space *space, uaddr_t addr, size_t size, int prot, int fd,
                   uint64_t offset, uint32_t flags)
{
    const struct change ch = {CHANGE_MAP, prot, fd, flags, addr, size, offset};
    struct stub_space *s = stub_space_of(space);
    int ret;

    if (!range_ok(s, addr, size))
        return -EINVAL;
    mutex_lock(&s->lock);
    if (addr < s->bad_end && addr + size > s->bad_start)
        s->bad_start = s->bad_end = 0;
    ret = changing_locked(s, CHANGE_MAP, prot, addr, size);
    if (ret == 0)
        ret = queue_map(&s->queue, &s->mapped, &ch);
    stub_space_queue_changed_locked(s);
    mutex_unlock(&s->lock);
    return ret;
}

int stub_space_map_own_locked(struct stub_space *s, const struct change *map)
{
    int ret = queue_map(&s->queue, &s->mapped, map);

    if (ret == 0)
        s->queue.forced = s->own = true;
    stub_space_queue_changed_locked(s);
    return ret;
}

int stub_space_unmap(struct platform_space *space, uaddr_t addr, size_t size)
{
    struct stub_space *s = stub_space_of(space);
    int ret;

    if (!range_ok(s, addr, size))
        return -EINVAL;
    mutex_lock(&s->lock);
    ret = changing_locked(s, CHANGE_UNMAP, 0, addr, size);
    if (ret == 0)
        ret = queue_unmap(&s->queue, &s->mapped, addr, size);
    stub_space_queue_changed_locked(s);
    mutex_unlock(&s->lock);
    return ret;
}

int stub_space_protect(struct platform_space *space, uaddr_t addr, size_t size, int prot)
{
    struct stub_space *s = stub_space_of(space);
    int ret;

    if (!range_ok(s, addr, size))
        return -EINVAL;
    mutex_lock(&s->lock);
    ret = changing_locked(s, CHANGE_PROTECT, prot, addr, size);
    if (ret == 0)
        ret = queue_protect(&s->queue, &s->mapped, addr, size, prot);
    stub_space_queue_changed_locked(s);
    mutex_unlock(&s->lock);
    return ret;
}

int stub_space_clear(struct platform_space *space)
{
    struct stub_space *s = stub_space_of(space);
    struct platform_ctx *by;
    int ret;

    mutex_lock(&s->lock);
    queue_reset_below(&s->queue, s->high);
    s->bad_start = s->bad_end = 0;
    ret = changing_locked(s, CHANGE_UNMAP, 0, 0, s->high);
    if (ret == 0)
        ret = queue_unmap(&s->queue, &s->mapped, s->low, s->high - s->low);
    stub_space_queue_changed_locked(s);
    /* Nobody else is there to wait for, and nobody calls a barrier: see "own" in space.h. */
    if (s->own && s->ops->at_hand(s, &by))
        IGNORE_RESULT(stub_space_drain_locked(s, by)); /* is met again before the next run */
    mutex_unlock(&s->lock);
    return ret;
}

static int unmap_locked(struct stub_space *s, struct platform_ctx *by, uaddr_t addr, uint64_t size)
    REQUIRES(s->lock)
{
    const struct change ch = {.kind = CHANGE_UNMAP, .fd = -1, .addr = addr, .size = size};
    int error, ret = s->ops->apply(s, by, &ch, 1, &error);

    return ret < 0 ? ret : error;
}

static int drop_all_locked(struct stub_space *s, struct platform_ctx *by) REQUIRES(s->lock)
{
    if (s->ops->dropped)
        s->ops->dropped(s);
    return unmap_locked(s, by, 0, s->high);
}

/* What to do with a change the host refused. Never leaves an old mapping behind. -EAGAIN: try it
 * once more. */
static int change_failed_locked(struct stub_space *s, struct platform_ctx *by,
                                const struct change *ch, int error, bool *dropped) REQUIRES(s->lock)
{
    int ret;

    if (error == -ENOMEM && ch->kind != CHANGE_PROTECT && !*dropped) {
        /* Too many host mappings, most likely: the cache is dropped, pages come back by faults. */
        *dropped = true;
        log_debug(LOG_PLATFORM, "%s: dropping all mappings of a space: out of memory",
                  s->ops->name);
        ret = drop_all_locked(s, by);
        return ret < 0 ? ret : -EAGAIN;
    }
    if (ch->kind == CHANGE_UNMAP)
        return -EIO;
    ret = unmap_locked(s, by, ch->addr, ch->size);
    if (ret == -ENOMEM)
        ret = drop_all_locked(s, by);
    if (ret < 0)
        return ret == -ESRCH ? -ESRCH : -EIO;
    if (ch->kind == CHANGE_MAP) {
        log_debug(LOG_PLATFORM, "%s: the host refuses to map fd %d: %s", s->ops->name, ch->fd,
                  strerror(-error));
        s->bad_start = ch->addr;
        s->bad_end = ch->addr + ch->size;
    }
    return 0;
}

int stub_space_drain_locked(struct stub_space *s, struct platform_ctx *by)
{
    bool dropped = false;
    uint32_t i = 0;

    s->dirty = true;
    queue_applying(&s->queue, &s->mapped);
    atomic_store(&s->pending, PENDING_FORCED);
    while (i < s->queue.count) {
        int error, ret = s->ops->apply(s, by, &s->queue.items[i], s->queue.count - i, &error);

        if (ret < 0)
            return ret;
        i += (uint32_t)ret;
        if (error == 0)
            continue;
        if (i >= s->queue.count)
            return -EIO;
        ret = change_failed_locked(s, by, &s->queue.items[i], error, &dropped);
        if (ret == 0)
            i++;
        else if (ret != -EAGAIN)
            return ret;
    }
    queue_applied(&s->queue, &s->mapped);
    s->own = false;
    atomic_store(&s->pending, PENDING_NONE);
    if (s->ops->applied)
        s->ops->applied(s);
    return 0;
}

int stub_space_drain(struct stub_space *s, struct platform_ctx *by)
{
    int ret = 0;

    if (!atomic_load(&s->pending))
        return 0;
    mutex_lock(&s->lock);
    if (atomic_load(&s->pending))
        ret = stub_space_drain_locked(s, by);
    mutex_unlock(&s->lock);
    return ret;
}

bool stub_space_addr_pending(struct stub_space *s, uaddr_t addr)
{
    bool maps;

    mutex_lock(&s->lock);
    maps = queue_maps(&s->queue, addr);
    mutex_unlock(&s->lock);
    return maps;
}

bool stub_space_addr_bad(struct stub_space *s, uaddr_t addr)
{
    bool bad;

    mutex_lock(&s->lock);
    bad = addr >= s->bad_start && addr < s->bad_end;
    mutex_unlock(&s->lock);
    return bad;
}
