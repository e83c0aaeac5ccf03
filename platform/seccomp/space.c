/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces: the queue of pending changes, the control stub that applies it, and reuse.
 *
 * A change is made by the control stub in memory that all stubs of the space share, whether they
 * run or not, so one drain serves all threads and nobody has to be brought out of guest code. A
 * thread may enter guest code only after it saw pending != FORCED with its seq already odd (ctx.c),
 * so a barrier has to drain only when some other thread's seq is odd.
 *
 * A queue is kept until all of it was applied. A control stub that dies (only from outside) takes
 * its space along: no change can be made any more, so all its threads are lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/log.h"
#include "platform/host/proc.h"
#include "platform/seccomp/seccomp_internal.h"

enum {
    POOL_MAX = 8,        /* empty spaces kept for exec */
    QUEUE_SOFT_MAX = 96, /* drain early above this */
};

/* --- life --- */

static int drain_locked(struct platform_space *s) REQUIRES(s->lock);

static struct platform_space *space_alloc(struct platform *p)
{
    struct platform_space *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->platform = p;
    s->control = (struct control){.report_fd = -1, .page = SLOT_NONE};
    mutex_init(&s->lock, RANK_SPACE);
    list_init(&s->pool_node);
    list_init(&s->ctxs);
    return s;
}

/* Everything that lives in the host address space goes with it. */
static void kill_processes_locked(struct platform_space *s) REQUIRES(s->lock)
{
    while (s->spare_count)
        seccomp_thread_kill_locked(s, &s->spares[--s->spare_count]);
    seccomp_control_kill(s->platform, &s->control);
    while (s->slot_count)
        slots_put(&s->platform->stacks, s->slots[--s->slot_count]);
    rangeset_reset(&s->mapped);
    s->dirty = false;
}

static void space_destroy(struct platform_space *s)
{
    mutex_lock(&s->lock);
    kill_processes_locked(s);
    mutex_unlock(&s->lock);
    free(s->slots);
    queue_destroy(&s->queue);
    rangeset_destroy(&s->mapped);
    mutex_destroy(&s->lock);
    free(s);
}

static struct platform_space *pool_get(struct platform *p)
{
    struct platform_space *s = NULL;

    mutex_lock(&p->pool_lock);
    if (!list_empty(&p->pool)) {
        s = list_first_entry(&p->pool, struct platform_space, pool_node);
        list_del(&s->pool_node);
        p->pool_count--;
    }
    mutex_unlock(&p->pool_lock);
    return s;
}

static int fork_master(struct platform *p, struct control *out)
{
    int ret;

    mutex_lock(&p->master_lock);
    ret = seccomp_control_fork(p, &p->master, out);
    mutex_unlock(&p->master_lock);
    return ret;
}

int seccomp_space_new(struct platform *p, struct platform_space **out)
{
    struct platform_space *s = pool_get(p);
    int ret;

    if (!s) {
        s = space_alloc(p);
        if (!s)
            return -ENOMEM;
        ret = fork_master(p, &s->control);
        if (ret < 0) {
            space_destroy(s);
            return ret;
        }
    }
    *out = s;
    return 0;
}

int seccomp_space_clone(struct platform_space *from, struct platform_ctx *caller,
                        struct platform_space **out)
{
    struct platform_space *to = space_alloc(from->platform);
    int ret = 0;

    (void)caller;
    if (!to)
        return -ENOMEM;
    /* One hold of the lock: the copy must have nothing that the queue was about to take away. */
    mutex_lock(&from->lock);
    if (atomic_load(&from->pending))
        ret = drain_locked(from);
    if (ret == 0)
        ret = rangeset_copy(&to->mapped, &from->mapped);
    if (ret == 0)
        ret = seccomp_control_fork(from->platform, &from->control, &to->control);
    to->bad_start = from->bad_start;
    to->bad_end = from->bad_end;
    mutex_unlock(&from->lock);
    if (ret < 0) {
        space_destroy(to);
        return ret == -ESRCH ? -EAGAIN : ret;
    }
    to->dirty = true;
    *out = to;
    return 0;
}

static bool pool_put(struct platform_space *s)
{
    struct platform *p = s->platform;
    bool kept = false;

    if (!s->control.pid || s->dirty)
        return false;
    mutex_lock(&p->pool_lock);
    if (p->pool_count < POOL_MAX) {
        list_add(&p->pool, &s->pool_node);
        p->pool_count++;
        kept = true;
    }
    mutex_unlock(&p->pool_lock);
    return kept;
}

static void forget_mappings(struct platform_space *s)
{
    queue_reset(&s->queue);
    rangeset_reset(&s->mapped);
    s->bad_start = s->bad_end = 0;
    atomic_store(&s->pending, PENDING_NONE);
}

void seccomp_space_free(struct platform_space *s)
{
    ASSERT(s->ctx_count == 0);
    forget_mappings(s);
    if (!pool_put(s))
        space_destroy(s);
}

void seccomp_pool_drop(struct platform *p)
{
    struct platform_space *s;

    while ((s = pool_get(p)))
        space_destroy(s);
}

int seccomp_space_take_thread_locked(struct platform_space *s, struct thread *out)
{
    int ret;

    ASSERT_HELD(&s->lock);
    if (s->spare_count) {
        *out = s->spares[--s->spare_count];
        return 0;
    }
    if (!s->control.pid) {
        if (s->ctx_count)
            return -EAGAIN;
        /* The address space died with its control stub: begin with an empty one. */
        kill_processes_locked(s);
        ret = fork_master(s->platform, &s->control);
        if (ret < 0)
            return ret;
    }
    return seccomp_thread_new_locked(s, out);
}

static bool pool_has_room(struct platform *p)
{
    bool room;

    mutex_lock(&p->pool_lock);
    room = p->pool_count < POOL_MAX;
    mutex_unlock(&p->pool_lock);
    return room;
}

/* Unmaps all, so that the space can serve another program. That one must not find another thread's
 * registers in a slot: only the leaving thread may stay, whose slot is cleared before the first code
 * of the next program runs (frame.c). */
static bool clean_locked(struct platform_space *s) REQUIRES(s->lock)
{
    struct platform *p = s->platform;

    while (s->spare_count)
        seccomp_thread_kill_locked(s, &s->spares[--s->spare_count]);
    if (s->dirty && seccomp_control_unmap(p, &s->control, 0, p->high) < 0)
        return false;
    s->dirty = false;
    forget_mappings(s);
    return true;
}

void seccomp_space_leave(struct platform_space *s, struct platform_ctx *c)
{
    bool keep;

    seccomp_watch_end(&c->watch);
    mutex_lock(&s->lock);
    list_del(&c->node);
    s->ctx_count--;
    keep = s->spare_count < SPARE_MAX && s->control.pid &&
           (c->thread.state == THREAD_CALL || c->thread.state == THREAD_FRAME);
    /* The last one: what is mapped must go before anybody else gets the space, and it goes with the
     * processes when it cannot be kept. */
    if (s->ctx_count == 0 && !(pool_has_room(s->platform) && clean_locked(s))) {
        keep = false;
        seccomp_thread_kill_locked(s, &c->thread);
        kill_processes_locked(s);
        forget_mappings(s);
    }
    if (keep)
        s->spares[s->spare_count++] = c->thread;
    else
        seccomp_thread_kill_locked(s, &c->thread);
    c->thread = (struct thread){.state = THREAD_NONE, .listener = -1};
    mutex_unlock(&s->lock);
}

/* --- pending changes --- */

static bool range_ok(const struct platform_space *s, uaddr_t addr, size_t size)
{
    uaddr_t end;

    return size != 0 && ((addr | size) & (LX_PAGE_SIZE - 1)) == 0 &&
           !add_overflows(addr, size, &end) && addr >= s->platform->low && end <= s->platform->high;
}

/* After every change of the queue. */
static void queue_changed_locked(struct platform_space *s) REQUIRES(s->lock)
{
    atomic_store(&s->pending, s->queue.forced  ? PENDING_FORCED
                              : s->queue.count ? PENDING_LAZY
                                               : PENDING_NONE);
    /* A failed drain is met again before the next run. */
    if (s->queue.count > QUEUE_SOFT_MAX)
        IGNORE_RESULT(drain_locked(s));
}

int seccomp_space_map(struct platform_space *s, uaddr_t addr, size_t size, int prot, int fd,
                      uint64_t offset, uint32_t flags)
{
    const struct change ch = {CHANGE_MAP, prot, fd, flags, addr, size, offset};
    int ret;

    if (!range_ok(s, addr, size))
        return -EINVAL;
    mutex_lock(&s->lock);
    if (addr < s->bad_end && addr + size > s->bad_start)
        s->bad_start = s->bad_end = 0;
    ret = queue_map(&s->queue, &s->mapped, &ch);
    queue_changed_locked(s);
    mutex_unlock(&s->lock);
    return ret;
}

int seccomp_space_unmap(struct platform_space *s, uaddr_t addr, size_t size)
{
    int ret;

    if (!range_ok(s, addr, size))
        return -EINVAL;
    mutex_lock(&s->lock);
    ret = queue_unmap(&s->queue, &s->mapped, addr, size);
    queue_changed_locked(s);
    mutex_unlock(&s->lock);
    return ret;
}

int seccomp_space_protect(struct platform_space *s, uaddr_t addr, size_t size, int prot)
{
    int ret;

    if (!range_ok(s, addr, size))
        return -EINVAL;
    mutex_lock(&s->lock);
    ret = queue_protect(&s->queue, &s->mapped, addr, size, prot);
    queue_changed_locked(s);
    mutex_unlock(&s->lock);
    return ret;
}

int seccomp_space_clear(struct platform_space *s)
{
    const struct platform *p = s->platform;
    int ret;

    mutex_lock(&s->lock);
    queue_reset(&s->queue);
    s->bad_start = s->bad_end = 0;
    ret = queue_unmap(&s->queue, &s->mapped, p->low, p->high - p->low);
    queue_changed_locked(s);
    mutex_unlock(&s->lock);
    return ret;
}

/* What to do with a change the host refused. Never leaves an old mapping behind. -EAGAIN: try it
 * once more. */
static int change_failed_locked(struct platform_space *s, const struct change *ch, int error,
                                bool *dropped) REQUIRES(s->lock)
{
    struct platform *p = s->platform;
    int ret;

    if (error == -ENOMEM && ch->kind != CHANGE_PROTECT && !*dropped) {
        /* Too many host mappings, most likely: the cache is dropped, pages come back by faults. */
        *dropped = true;
        log_debug(LOG_PLATFORM, "seccomp: dropping all mappings of a space: out of memory");
        ret = seccomp_control_unmap(p, &s->control, 0, p->high);
        return ret < 0 ? ret : -EAGAIN;
    }
    if (ch->kind == CHANGE_UNMAP)
        return -EIO;
    ret = seccomp_control_unmap(p, &s->control, ch->addr, ch->size);
    if (ret == -ENOMEM)
        ret = seccomp_control_unmap(p, &s->control, 0, p->high);
    if (ret < 0)
        return ret == -ESRCH ? -ESRCH : -EIO;
    if (ch->kind == CHANGE_MAP) {
        log_debug(LOG_PLATFORM, "seccomp: the host refuses to map fd %d: %s", ch->fd,
                  strerror(-error));
        s->bad_start = ch->addr;
        s->bad_end = ch->addr + ch->size;
    }
    return 0;
}

static int drain_locked(struct platform_space *s)
{
    struct platform *p = s->platform;
    bool dropped = false;
    uint32_t i = 0, done;

    if (!s->control.pid)
        return -ESRCH;
    s->dirty = true;
    queue_applying(&s->queue, &s->mapped);
    atomic_store(&s->pending, PENDING_FORCED);
    while (i < s->queue.count) {
        struct stub_call *calls = seccomp_control_calls(p, &s->control);
        uint32_t count = MIN(s->queue.count - i, (uint32_t)CALL_MAX);
        int ret;

        for (uint32_t k = 0; k < count; k++)
            stub_call_fill(&calls[k], &s->queue.items[i + k]);
        ret = seccomp_control_run(p, &s->control, COMMAND_CALLS, count, &done);
        if (ret < 0 && !s->control.pid)
            return -ESRCH;
        i += MIN(done, count);
        if (ret >= 0)
            continue;
        if (i >= s->queue.count)
            return -EIO;
        ret = change_failed_locked(s, &s->queue.items[i], ret, &dropped);
        if (ret == 0)
            i++;
        else if (ret != -EAGAIN)
            return ret;
    }
    queue_applied(&s->queue, &s->mapped);
    atomic_store(&s->pending, PENDING_NONE);
    return 0;
}

int seccomp_space_drain(struct platform_space *s)
{
    int ret = 0;

    mutex_lock(&s->lock);
    if (atomic_load(&s->pending))
        ret = drain_locked(s);
    mutex_unlock(&s->lock);
    return ret;
}

bool seccomp_space_addr_pending(struct platform_space *s, uaddr_t addr)
{
    bool maps;

    mutex_lock(&s->lock);
    maps = queue_maps(&s->queue, addr);
    mutex_unlock(&s->lock);
    return maps;
}

bool seccomp_space_addr_bad(struct platform_space *s, uaddr_t addr)
{
    bool bad;

    mutex_lock(&s->lock);
    bad = addr >= s->bad_start && addr < s->bad_end;
    mutex_unlock(&s->lock);
    return bad;
}

/* Is a thread of s in guest code? kill: ends those that are. */
static bool anybody_inside_locked(struct platform_space *s, bool kill) REQUIRES(s->lock)
{
    struct platform_ctx *c;
    bool inside = false;

    list_for_each_entry(c, &s->ctxs, node) {
        if (!(atomic_load(&c->seq) & 1))
            continue;
        inside = true;
        if (kill)
            seccomp_watch_kill(&c->watch);
    }
    return inside;
}

void seccomp_space_barrier(struct platform_space *s)
{
    if (atomic_load(&s->pending) != PENDING_FORCED)
        return;
    mutex_lock(&s->lock);
    /* Without a control stub the old mappings go with the threads that use them. */
    while (atomic_load(&s->pending) == PENDING_FORCED && anybody_inside_locked(s, false) &&
           drain_locked(s) < 0 && anybody_inside_locked(s, true)) {
        mutex_unlock(&s->lock);
        (void)host_sched_yield();
        mutex_lock(&s->lock);
    }
    mutex_unlock(&s->lock);
}
