/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces: the control stub that applies pending changes (stub/space.h), and reuse.
 *
 * A change is made by the control stub in memory that all stubs of the space share, whether they
 * run or not, so nobody has to be brought out of guest code, and a barrier has to drain only when
 * some thread's seq is odd. A control stub that dies (only from outside) takes its space along: no
 * change can be made any more, so all its threads are lost.
 */
#include <errno.h>
#include <stdlib.h>

#include "platform/base/log.h"
#include "platform/host/proc.h"
#include "platform/seccomp/seccomp_internal.h"

enum { FEW_RANGES = 128 }; /* beyond, the host copies a space faster than it is filled */

/* --- life --- */

static int apply(struct stub_space *base, struct platform_ctx *by, const struct change *ch,
                 uint32_t count, int *out_error)
{
    struct platform_space *s = container_of(base, struct platform_space, base);
    struct platform *p = s->platform;
    struct stub_call *calls;
    uint32_t done;
    int ret;

    (void)by;
    if (!s->control.pid)
        return -ESRCH;
    calls = seccomp_control_calls(p, &s->control);
    count = MIN(count, (uint32_t)CALL_MAX);
    for (uint32_t i = 0; i < count; i++)
        stub_call_fill(&calls[i], &ch[i]);
    ret = seccomp_control_run(p, &s->control, COMMAND_CALLS, count, &done);
    if (ret < 0 && !s->control.pid)
        return -ESRCH;
    *out_error = MIN(ret, 0);
    return (int)MIN(done, count);
}

/* The control stub waits for nobody. */
static bool at_hand(struct stub_space *base, struct platform_ctx **out_by)
{
    (void)base;
    *out_by = NULL;
    return true;
}

/* The operations below are called with base->lock, as stub/space.h says. */

NO_THREAD_SAFETY static void applied(struct stub_space *base)
{
    seccomp_sites_drained_locked(container_of(base, struct platform_space, base));
}

NO_THREAD_SAFETY static int changing(struct stub_space *base, enum change_kind kind, bool writable,
                                     uaddr_t addr, uint64_t size)
{
    struct platform_space *s = container_of(base, struct platform_space, base);

    if (addr == 0) {
        seccomp_sites_dropped_locked(s, /*all=*/true);
        return 0;
    }
    if (kind != CHANGE_PROTECT)
        return seccomp_sites_changed_locked(s, addr, size);
    return writable ? seccomp_sites_hide_locked(s, addr, size) : 0;
}

NO_THREAD_SAFETY static void dropped(struct stub_space *base)
{
    seccomp_sites_dropped_locked(container_of(base, struct platform_space, base), /*all=*/false);
}

static const struct stub_space_ops g_space_ops = {.apply = apply,
                                                  .at_hand = at_hand,
                                                  .applied = applied,
                                                  .changing = changing,
                                                  .dropped = dropped,
                                                  .name = "seccomp"};

static struct platform_space *space_alloc(struct platform *p)
{
    struct platform_space *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->platform = p;
    s->control = (struct control){.report_fd = -1, .page = SLOT_NONE};
    stub_space_init(&s->base, &p->base, &g_space_ops);
    return s;
}

/* Everything that lives in the host address space goes with it. */
static void kill_processes_locked(struct platform_space *s) REQUIRES(s->base.lock)
{
    while (s->spare_count)
        seccomp_thread_kill_locked(s, &s->spares[--s->spare_count]);
    seccomp_control_kill(s->platform, &s->control);
    while (s->slots.count)
        slots_put(&s->platform->stacks, slot_stack_pop(&s->slots));
    seccomp_sites_reset_locked(s);
    rangeset_reset(&s->base.mapped);
    s->base.dirty = false;
}

static void space_destroy(struct platform_space *s)
{
    mutex_lock(&s->base.lock);
    kill_processes_locked(s);
    mutex_unlock(&s->base.lock);
    seccomp_sites_free(s);
    slot_stack_free(&s->slots);
    stub_space_destroy(&s->base);
    free(s);
}

static struct platform_space *pool_get(struct platform *p)
{
    struct stub_space *base = stub_pool_get(&p->base);

    return base ? container_of(base, struct platform_space, base) : NULL;
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
    struct platform_space *to;
    bool few;
    int ret = 0;

    (void)caller;
    /* A space that is ready has its processes and their filters: to fill it is cheaper. Call sites
     * begin anew there; no register of the child stands in a room (seccomp_site_settle). */
    mutex_lock(&from->base.lock);
    few = from->base.mapped.count <= FEW_RANGES;
    mutex_unlock(&from->base.lock);
    if (few && stub_pool_has_any(&from->platform->base))
        return -EOPNOTSUPP;
    to = space_alloc(from->platform);
    if (!to)
        return -ENOMEM;
    /* One hold of the lock: the copy must have nothing that the queue was about to take away. */
    mutex_lock(&from->base.lock);
    if (atomic_load(&from->base.pending))
        ret = stub_space_drain_locked(&from->base, NULL);
    if (ret == 0)
        ret = rangeset_copy(&to->base.mapped, &from->base.mapped);
    if (ret == 0)
        ret = seccomp_sites_clone_locked(to, from);
    if (ret == 0)
        ret = seccomp_control_fork(from->platform, &from->control, &to->control);
    to->base.bad_start = from->base.bad_start;
    to->base.bad_end = from->base.bad_end;
    mutex_unlock(&from->base.lock);
    if (ret < 0) {
        space_destroy(to);
        return ret == -ESRCH ? -EAGAIN : ret;
    }
    to->base.dirty = true;
    *out = to;
    return 0;
}

void seccomp_space_free(struct platform_space *s)
{
    ASSERT(s->base.ctx_count == 0);
    stub_space_forget(&s->base);
    if (!s->control.pid || s->base.dirty || !stub_pool_put(&s->platform->base, &s->base))
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

    ASSERT_HELD(&s->base.lock);
    if (s->spare_count) {
        *out = s->spares[--s->spare_count];
        return 0;
    }
    if (!s->control.pid) {
        if (s->base.ctx_count)
            return -EAGAIN;
        /* The address space died with its control stub: begin with an empty one. */
        kill_processes_locked(s);
        ret = fork_master(s->platform, &s->control);
        if (ret < 0)
            return ret;
    }
    return seccomp_thread_new_locked(s, out);
}

/* One more call of the control stub, which makes those that were added when there is no room. */
static bool add_call_locked(struct platform_space *s, uint32_t *count, const struct change *ch)
    REQUIRES(s->base.lock)
{
    uint32_t done;

    if (*count == CALL_MAX) {
        if (seccomp_control_run(s->platform, &s->control, COMMAND_CALLS, *count, &done) < 0)
            return false;
        *count = 0;
    }
    stub_call_fill(&seccomp_control_calls(s->platform, &s->control)[(*count)++], ch);
    return true;
}

/* Unmaps all, so that the space can serve another program. That one must not find another thread's
 * registers in a slot: only the leaving thread may stay, whose slot is cleared before the first code
 * of the next program runs (frame.c). */
static bool clean_locked(struct platform_space *s, struct stub_rseq *last) REQUIRES(s->base.lock)
{
    struct platform *p = s->platform;
    uint32_t count = 0, done;

    while (s->spare_count)
        seccomp_thread_kill_locked(s, &s->spares[--s->spare_count]);
    if (s->base.dirty)
        seccomp_control_calls(p, &s->control)[count++] =
            (struct stub_call){.nr = SYS_munmap, .size = p->base.high, .fd = -1};
    /* Aliases outlive it: those of threads that left before, which are still queued, and the last
     * one's. */
    for (uint32_t i = 0; i < s->base.queue.count; i++) {
        if (s->base.queue.items[i].addr >= p->base.high &&
            !add_call_locked(s, &count, &s->base.queue.items[i]))
            return false;
    }
    if (last->shown) {
        const struct change own = stub_rseq_own(last);

        if (!add_call_locked(s, &count, &own))
            return false;
    }
    if (count && seccomp_control_run(p, &s->control, COMMAND_CALLS, count, &done) < 0)
        return false;
    s->base.dirty = false;
    seccomp_sites_reset_locked(s);
    stub_space_forget(&s->base);
    return true;
}

void seccomp_space_drop_alias_locked(struct platform_space *s, struct stub_rseq *r)
{
    ASSERT_HELD(&s->base.lock);
    if (r->guest && stub_rseq_park_locked(&s->base, r) < 0) {
        log_warn(LOG_PLATFORM, "seccomp: out of memory: a guest process is lost");
        seccomp_control_end(&s->control);
    }
}

/* May another ctx have the thread? With rseq none that could serve another program: guest code may have
 * made the host's call, with an area that is gone then. And where the host found a critical section
 * that is none, SIGSEGV waits behind the handler's mask, maybe without a handler, and ends the thread when
 * it goes on: a call that came straight from guest code shows that there is nothing of the kind. */
static bool may_keep(const struct platform_space *s, const struct thread *t)
{
    if (s->spare_count == SPARE_MAX || !s->control.pid)
        return false;
    if (unlikely(s->platform->base.has_rseq))
        return t->state == THREAD_CALL && s->base.ctx_count > 0;
    return t->state == THREAD_CALL || t->state == THREAD_FRAME;
}

void seccomp_space_leave(struct platform_space *s, struct platform_ctx *c)
{
    bool keep;

    seccomp_watch_end(&c->watch);
    mutex_lock(&s->base.lock);
    list_del(&c->node);
    s->base.ctx_count--;
    keep = may_keep(s, &c->thread);
    /* The last one: what is mapped must go before anybody else gets the space, and it goes with the
     * processes when it cannot be kept. */
    if (s->base.ctx_count)
        seccomp_space_drop_alias_locked(s, &c->thread.rseq);
    else if (!(stub_pool_has_room(&s->platform->base) && s->control.pid &&
               clean_locked(s, &c->thread.rseq))) {
        keep = false;
        seccomp_thread_kill_locked(s, &c->thread);
        kill_processes_locked(s);
        stub_space_forget(&s->base);
    }
    if (keep)
        s->spares[s->spare_count++] = c->thread;
    else
        seccomp_thread_kill_locked(s, &c->thread);
    c->thread = (struct thread){.state = THREAD_NONE, .listener = -1};
    mutex_unlock(&s->base.lock);
}

/* --- barrier --- */

/* Is a thread of s in guest code? kill: ends those that are. */
static bool anybody_inside_locked(struct platform_space *s, bool kill) REQUIRES(s->base.lock)
{
    struct platform_ctx *c;
    bool inside = false;

    list_for_each_entry(c, &s->base.ctxs, node) {
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
    if (atomic_load(&s->base.pending) != PENDING_FORCED)
        return;
    mutex_lock(&s->base.lock);
    /* Without a control stub the old mappings go with the threads that use them. */
    while (atomic_load(&s->base.pending) == PENDING_FORCED &&
           (s->base.own || anybody_inside_locked(s, false)) &&
           stub_space_drain_locked(&s->base, NULL) < 0 && anybody_inside_locked(s, true)) {
        mutex_unlock(&s->base.lock);
        (void)host_sched_yield();
        mutex_lock(&s->base.lock);
    }
    mutex_unlock(&s->base.lock);
}
