/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces: who applies pending changes (stub/space.h), and reuse.
 *
 * Changes are made by a stopped stub of the space, so only by its owner. A barrier has to bring out
 * exactly the threads whose seq is odd, unless the caller's own stub is one of the space's: changes
 * are made in the shared host address space, and one drain, by any thread of it, is enough for all.
 * If the stub that applies a queue dies, another one starts from the beginning.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "platform/base/log.h"
#include "platform/ptrace/ptrace_internal.h"
#include "platform/stub/call.h"

enum {
    BATCH_MAX = STUB_PAGE / REQUEST_SIZE,
};

static_assert(sizeof(struct stub_call) == REQUEST_SIZE, "stub_code.S reads these");
static_assert(offsetof(struct stub_call, prot) == REQUEST_PROT, "layout.h");
static_assert(offsetof(struct stub_call, flags) == REQUEST_FLAGS, "layout.h");
static_assert(offsetof(struct stub_call, fd) == REQUEST_FD, "layout.h");
static_assert(offsetof(struct stub_call, addr) == REQUEST_ADDR, "layout.h");
static_assert(offsetof(struct stub_call, size) == REQUEST_LEN, "layout.h");
static_assert(offsetof(struct stub_call, off) == REQUEST_OFF, "layout.h");

/* --- life --- */

static const struct stub_space_ops g_space_ops;

static struct platform_space *space_alloc(struct platform *p)
{
    struct platform_space *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->platform = p;
    stub_space_init(&s->base, &p->base, &g_space_ops);
    cond_init(&s->left_guest);
    s->slot = SLOT_NONE;
    return s;
}

static void space_destroy(struct platform_space *s)
{
    stub_kill(&s->spare);
    slots_put(&s->platform->requests, s->slot);
    stub_space_destroy(&s->base);
    free(s);
}

static struct platform_space *pool_get(struct platform *p)
{
    struct stub_space *base = stub_pool_get(&p->base);

    return base ? container_of(base, struct platform_space, base) : NULL;
}

int ptrace_space_new(struct platform *p, struct platform_space **out)
{
    struct platform_space *s = pool_get(p);
    int ret;

    if (!s) {
        s = space_alloc(p);
        if (!s)
            return -ENOMEM;
        ret = master_clone(p, &s->spare);
        if (ret < 0) {
            space_destroy(s);
            return ret;
        }
    }
    *out = s;
    return 0;
}

static int clone_stub(struct platform_ctx *caller, struct stub *out)
{
    const struct stub_rseq_area area = caller->rseq.host;

    if (!area.addr)
        return stub_clone(&caller->stub, /*share_memory=*/false, out);
    caller->rseq.host.addr = 0; /* it comes back before the caller's next guest code */
    return stub_fork_unregistered(&caller->stub, &area, out);
}

int ptrace_space_clone(struct platform_space *from, struct platform_ctx *caller,
                       struct platform_space **out)
{
    struct platform_space *to = space_alloc(from->platform);
    int ret;

    if (!to)
        return -ENOMEM;
    ret = ctx_bind(caller);
    if (ret < 0)
        goto fail;
    /* One hold of the lock: the copy must have nothing that the queue was about to take away. */
    mutex_lock(&from->base.lock);
    if (atomic_load(&from->base.pending))
        ret = stub_space_drain_locked(&from->base, caller);
    if (ret == 0)
        ret = rangeset_copy(&to->base.mapped, &from->base.mapped);
    if (ret == 0)
        ret = clone_stub(caller, &to->spare);
    caller->hw_valid = false;
    /* The threads' aliases were copied too: they show pages that are not the child's. */
    if (ret == 0 && from->platform->base.has_rseq) {
        ret = queue_unmap(&to->base.queue, &to->base.mapped, to->base.high, ALIASES_SIZE);
        if (to->base.queue.forced)
            atomic_store(&to->base.pending, PENDING_FORCED);
    }
    to->base.bad_start = from->base.bad_start;
    to->base.bad_end = from->base.bad_end;
    mutex_unlock(&from->base.lock);
    if (ret < 0)
        goto fail;
    to->base.dirty = true;
    to->spare_parent = caller;
    to->spare_parent_seq = atomic_load(&caller->seq);
    *out = to;
    return 0;
fail:
    space_destroy(to);
    return ret == -ESRCH ? -EAGAIN : ret;
}

void ptrace_space_free(struct platform_space *s)
{
    ASSERT(s->base.ctx_count == 0);
    stub_space_forget(&s->base);
    s->spare_parent = NULL;
    if (!s->spare.pid || s->base.dirty || !stub_pool_put(&s->platform->base, &s->base))
        space_destroy(s);
}

void space_pool_drop(struct platform *p)
{
    struct platform_space *s;

    while ((s = pool_get(p)))
        space_destroy(s);
}

int space_take_stub_locked(struct platform_space *s, struct platform_ctx *c)
{
    int ret;

    ASSERT_HELD(&s->base.lock);
    if (!s->spare.pid) {
        if (s->base.ctx_count)
            return -EAGAIN; /* another thread's stub cannot be used for a clone */
        /* The address space died with its last thread: begin with an empty one. */
        rangeset_reset(&s->base.mapped);
        s->slot_mapped = false;
        s->base.dirty = false;
        ret = master_clone(s->platform, &s->spare);
        if (ret < 0)
            return ret;
    }
    c->stub = s->spare;
    atomic_store(&c->host_pid, c->stub.pid);
    c->fpu_parent = s->spare_parent;
    c->fpu_parent_seq = s->spare_parent_seq;
    c->fpu = CTX_FPU_RESET;
    s->spare = (struct stub){0};
    s->spare_parent = NULL;
    return 0;
}

/* Unmaps all, so that the stub can serve another program. */
static bool space_clean_locked(struct platform_space *s, struct stub *stub,
                               const struct stub_rseq_area *area) REQUIRES(s->base.lock)
{
    const struct platform *p = s->platform;
    const struct stub_args unmap = {SYS_munmap, {0, p->stub_base}};
    int error;

    if (area->addr) {
        if (stub_syscall_pair(
                stub,
                (const struct stub_args[2]){
                    {SYS_rseq, {area->addr, RSEQ_AREA_SIZE, RSEQ_UNREGISTER, area->sig}}, unmap},
                &error) != 2)
            return false;
    } else if (s->base.dirty && stub_syscall(stub, SYS_munmap, unmap.arg) != 0) {
        return false;
    }
    s->base.dirty = false;
    stub_space_forget(&s->base);
    return true;
}

/* The alias goes with the ctx; what is left of the address space must not show the page. */
static void drop_alias_locked(struct platform_space *s, struct platform_ctx *c, bool last)
    REQUIRES(s->base.lock)
{
    if (c->rseq_slot == SLOT_NONE)
        return;
    if (!last) {
        if (queue_unmap(&s->base.queue, &s->base.mapped, c->rseq.alias, LX_PAGE_SIZE) < 0) {
            log_warn(LOG_PLATFORM, "ptrace: out of memory: a guest process is lost");
            list_for_each_entry(c, &s->base.ctxs, node)
                ctx_kill(c);
            return;
        }
        if (s->base.queue.forced)
            atomic_store(&s->base.pending, PENDING_FORCED);
    }
    slots_put(&s->platform->aliases, c->rseq_slot);
    c->rseq_slot = SLOT_NONE;
    c->rseq = (struct stub_rseq){0};
}

void space_leave(struct platform_space *s, struct platform_ctx *c)
{
    bool last;

    mutex_lock(&s->base.lock);
    list_del(&c->node);
    last = --s->base.ctx_count == 0;
    if (!last || !c->stub.pid) {
        stub_kill(&c->stub);
    } else if (!c->stub.seized) {
        s->spare = c->stub; /* it never ran */
    } else if (stub_pool_has_room(&s->platform->base) &&
               space_clean_locked(s, &c->stub, &c->rseq.host)) {
        stub_park(&c->stub);
        s->spare = c->stub;
    } else {
        stub_kill(&c->stub);
    }
    drop_alias_locked(s, c, last);
    if (last && !s->spare.pid) {
        stub_space_forget(&s->base);
        s->base.dirty = s->slot_mapped = false;
    }
    c->stub = (struct stub){0};
    atomic_store(&c->host_pid, 0);
    if (atomic_load(&s->barrier_waiters))
        cond_wake_all(&s->left_guest);
    mutex_unlock(&s->base.lock);
}

/* --- pending changes --- */

static struct stub_args request_args(const struct stub_call *r)
{
    return (struct stub_args){
        r->nr, {r->addr, r->size, r->prot, r->flags, (uint64_t)(int64_t)r->fd, r->off}};
}

static long request_call(struct stub *stub, const struct stub_call *r)
{
    const struct stub_args args = request_args(r);

    return stub_syscall(stub, (long)args.nr, args.arg);
}

/* Makes the space's request page visible in the stub. Not inherited by forks: a child would read
 * its parent's requests. */
static int slot_map_locked(struct platform_space *s, struct stub *stub) REQUIRES(s->base.lock)
{
    const struct platform *p = s->platform;
    const uaddr_t at = p->stub_base + STUB_REQUEST_OFF;
    int ret, error;

    if (s->slot == SLOT_NONE)
        s->slot = slots_get(&s->platform->requests);
    if (s->slot == SLOT_NONE)
        return -EAGAIN;
    ret = stub_syscall_pair(
        stub,
        (const struct stub_args[2]){{SYS_mmap,
                                     {at, STUB_PAGE, PROT_READ, MAP_SHARED | MAP_FIXED,
                                      (uint64_t)p->requests.fd, (uint64_t)s->slot * STUB_PAGE}},
                                    {SYS_madvise, {at, STUB_PAGE, MADV_DONTFORK}}},
        &error);
    if (ret < 0)
        return ret;
    s->slot_mapped = ret == 2;
    return error;
}

/* The first one or two changes by registers. Returns how many succeeded, *out_error what stopped
 * it, -ESRCH when the stub died. */
static int run_registers(struct stub *stub, const struct change *ch, uint32_t count, int *out_error)
{
    struct stub_call r[2];
    long ret;

    stub_call_fill(&r[0], &ch[0]);
    if (count > 1) {
        stub_call_fill(&r[1], &ch[1]);
        return stub_syscall_pair(
            stub, (const struct stub_args[2]){request_args(&r[0]), request_args(&r[1])}, out_error);
    }
    ret = request_call(stub, &r[0]);
    if (ret == -ESRCH)
        return -ESRCH;
    *out_error = ret < 0 && ret > -4096 ? (int)ret : 0;
    return *out_error ? 0 : 1;
}

/* Runs up to count requests in one go. Returns as run_registers. */
static int run_batch_locked(struct platform_space *s, struct stub *stub, const struct change *ch,
                            uint32_t count, int *out_error) REQUIRES(s->base.lock)
{
    const struct platform *p = s->platform;
    uaddr_t base = p->stub_base + STUB_REQUEST_OFF;
    struct stub_call *page;
    struct lx_regs r;
    uint32_t done;
    int ret;

    *out_error = 0;
    if (count <= 2)
        return run_registers(stub, ch, count, out_error);
    if (!s->slot_mapped) {
        ret = slot_map_locked(s, stub);
        if (ret == -ESRCH)
            return -ESRCH;
        if (ret < 0) /* slower, not wrong */
            return run_registers(stub, ch, 2, out_error);
    }
    page = slots_at(&p->requests, s->slot);
    count = MIN(count, (uint32_t)BATCH_MAX);
    for (uint32_t i = 0; i < count; i++)
        stub_call_fill(&page[i], &ch[i]);
    stub_regs_init(&r, g_stub_entry.batch);
    r.r12 = base;
    r.r13 = base + count * REQUEST_SIZE;
    ret = stub_run(stub, &r);
    /* The guest closed its protection keys to the page: registers need no memory. */
    if (ret == -EFAULT)
        return run_registers(stub, ch, 2, out_error);
    if (ret < 0)
        return ret;
    done = (uint32_t)((r.r12 - base) / REQUEST_SIZE);
    if (done < count)
        *out_error = (int)r.rax;
    return (int)MIN(done, count);
}

/* Called with base->lock, as stub/space.h says. */
NO_THREAD_SAFETY static int apply(struct stub_space *base, struct platform_ctx *by,
                                  const struct change *ch, uint32_t count, int *out_error)
{
    struct platform_space *s = container_of(base, struct platform_space, base);

    by->hw_valid = false;
    return run_batch_locked(s, &by->stub, ch, count, out_error);
}

/* The caller's own stub, stopped in this space. */
static bool at_hand(struct stub_space *base, struct platform_ctx **out_by)
{
    struct platform_ctx *c = *out_by = ctx_current();

    return c && &c->space->base == base && c->stub.seized;
}

static void applied(struct stub_space *base)
{
    struct platform_space *s = container_of(base, struct platform_space, base);

    s->drain_count++;
    if (atomic_load(&s->barrier_waiters))
        cond_wake_all(&s->left_guest);
}

static const struct stub_space_ops g_space_ops = {
    .apply = apply, .at_hand = at_hand, .applied = applied, .name = "ptrace"};

/* --- barrier --- */

void space_left_guest(struct platform_space *s)
{
    mutex_lock(&s->base.lock);
    cond_wake_all(&s->left_guest);
    mutex_unlock(&s->base.lock);
}

void ptrace_space_barrier(struct platform_space *s)
{
    struct platform_ctx *self = ctx_current(), *c;
    uint64_t target;

    if (atomic_load(&s->base.pending) != PENDING_FORCED)
        return;
    mutex_lock(&s->base.lock);
    target = s->drain_count + 1;
    atomic_fetch_add(&s->barrier_waiters, 1);
    while (atomic_load(&s->base.pending) == PENDING_FORCED && s->drain_count < target) {
        bool inside = false;

        list_for_each_entry(c, &s->base.ctxs, node) {
            if (!(atomic_load(&c->seq) & 1))
                continue;
            inside = true;
            /* The caller's own stub is stopped: cheaper than bringing the others out. */
            if (self && self->space == s && self->stub.seized)
                break;
            ctx_kick(c);
        }
        if (!inside)
            break;
        if (self && self->space == s && self->stub.seized &&
            stub_space_drain_locked(&s->base, self) == 0)
            break;
        cond_wait(&s->left_guest, &s->base.lock);
    }
    atomic_fetch_sub(&s->barrier_waiters, 1);
    mutex_unlock(&s->base.lock);
}
