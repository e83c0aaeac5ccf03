/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces: the queue of pending changes, who applies it, and reuse.
 *
 * space->pending is not zero from the first queued change until the host has all of them. A ctx may
 * enter guest code only after it saw pending == 0 with its seq already odd (ctx.c); therefore, when
 * a change is queued, every thread that is in guest code has an odd seq that was set before, and a
 * barrier has to bring out exactly those. Changes are made in the shared host address space, so one
 * drain, by any thread of the space, is enough for all.
 *
 * A queue is kept until all of it was applied. If the stub that applies it dies, another one starts
 * from the beginning; every change is idempotent and order is kept.
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
    POOL_MAX = 8,        /* parked, empty spaces kept for exec */
    QUEUE_SOFT_MAX = 96, /* drain early above this */
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

static int drain_locked(struct platform_space *s, struct platform_ctx *c) REQUIRES(s->lock);

static struct platform_space *space_alloc(struct platform *p)
{
    struct platform_space *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->platform = p;
    mutex_init(&s->lock, RANK_SPACE);
    list_init(&s->pool_node);
    list_init(&s->ctxs);
    cond_init(&s->left_guest);
    s->slot = SLOT_NONE;
    return s;
}

static void space_destroy(struct platform_space *s)
{
    stub_kill(&s->spare);
    slots_put(&s->platform->requests, s->slot);
    queue_destroy(&s->queue);
    rangeset_destroy(&s->mapped);
    mutex_destroy(&s->lock);
    free(s);
}

int ptrace_space_new(struct platform *p, struct platform_space **out)
{
    struct platform_space *s = NULL;
    int ret;

    mutex_lock(&p->pool_lock);
    if (!list_empty(&p->pool)) {
        s = list_first_entry(&p->pool, struct platform_space, pool_node);
        list_del(&s->pool_node);
        p->pool_count--;
    }
    mutex_unlock(&p->pool_lock);
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
    mutex_lock(&from->lock);
    if (atomic_load(&from->pending))
        ret = drain_locked(from, caller);
    if (ret == 0)
        ret = rangeset_copy(&to->mapped, &from->mapped);
    if (ret == 0)
        ret = stub_clone(&caller->stub, /*share_memory=*/false, &to->spare);
    caller->hw_valid = false;
    to->bad_start = from->bad_start;
    to->bad_end = from->bad_end;
    mutex_unlock(&from->lock);
    if (ret < 0)
        goto fail;
    to->dirty = true;
    to->spare_parent = caller;
    to->spare_parent_seq = atomic_load(&caller->seq);
    *out = to;
    return 0;
fail:
    space_destroy(to);
    return ret == -ESRCH ? -EAGAIN : ret;
}

static bool pool_put(struct platform_space *s)
{
    struct platform *p = s->platform;
    bool kept = false;

    if (!s->spare.pid || s->dirty)
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

static void space_forget_mappings(struct platform_space *s)
{
    queue_reset(&s->queue);
    rangeset_reset(&s->mapped);
    s->bad_start = s->bad_end = 0;
    s->drain_count++;
    atomic_store(&s->pending, PENDING_NONE);
}

void ptrace_space_free(struct platform_space *s)
{
    ASSERT(s->ctx_count == 0);
    space_forget_mappings(s);
    s->spare_parent = NULL;
    if (!pool_put(s))
        space_destroy(s);
}

void space_pool_drop(struct platform *p)
{
    for (;;) {
        struct platform_space *s = NULL;

        mutex_lock(&p->pool_lock);
        if (!list_empty(&p->pool)) {
            s = list_first_entry(&p->pool, struct platform_space, pool_node);
            list_del(&s->pool_node);
            p->pool_count--;
        }
        mutex_unlock(&p->pool_lock);
        if (!s)
            return;
        space_destroy(s);
    }
}

int space_take_stub_locked(struct platform_space *s, struct platform_ctx *c)
{
    int ret;

    ASSERT_HELD(&s->lock);
    if (!s->spare.pid) {
        if (s->ctx_count)
            return -EAGAIN; /* another thread's stub cannot be used for a clone */
        /* The address space died with its last thread: begin with an empty one. */
        rangeset_reset(&s->mapped);
        s->slot_mapped = false;
        s->dirty = false;
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

static bool pool_has_room(struct platform *p)
{
    bool room;

    mutex_lock(&p->pool_lock);
    room = p->pool_count < POOL_MAX;
    mutex_unlock(&p->pool_lock);
    return room;
}

/* Unmaps all, so that the stub can serve another program. */
static bool space_clean_locked(struct platform_space *s, struct stub *stub) REQUIRES(s->lock)
{
    const struct platform *p = s->platform;
    const uint64_t args[6] = {0, p->stub_base};

    if (s->dirty && stub_syscall(stub, SYS_munmap, args) != 0)
        return false;
    s->dirty = false;
    space_forget_mappings(s);
    return true;
}

void space_leave(struct platform_space *s, struct platform_ctx *c)
{
    bool last;

    mutex_lock(&s->lock);
    list_del(&c->node);
    last = --s->ctx_count == 0;
    if (!last || !c->stub.pid) {
        stub_kill(&c->stub);
    } else if (!c->stub.seized) {
        s->spare = c->stub; /* it never ran */
    } else if (pool_has_room(s->platform) && space_clean_locked(s, &c->stub)) {
        stub_park(&c->stub);
        s->spare = c->stub;
    } else {
        stub_kill(&c->stub);
    }
    if (last && !s->spare.pid) {
        space_forget_mappings(s);
        s->dirty = s->slot_mapped = false;
    }
    c->stub = (struct stub){0};
    atomic_store(&c->host_pid, 0);
    if (atomic_load(&s->barrier_waiters))
        cond_wake_all(&s->left_guest);
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
    struct platform_ctx *c = ctx_current();

    atomic_store(&s->pending, s->queue.forced  ? PENDING_FORCED
                              : s->queue.count ? PENDING_LAZY
                                               : PENDING_NONE);
    /* A stopped stub of this space is at hand: keep the queue short. A failed drain is met again
     * before the next run. */
    if (s->queue.count > QUEUE_SOFT_MAX && c && c->space == s && c->stub.seized)
        IGNORE_RESULT(drain_locked(s, c));
}

int ptrace_space_map(struct platform_space *s, uaddr_t addr, size_t size, int prot, int fd,
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

int ptrace_space_unmap(struct platform_space *s, uaddr_t addr, size_t size)
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

int ptrace_space_protect(struct platform_space *s, uaddr_t addr, size_t size, int prot)
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

int ptrace_space_clear(struct platform_space *s)
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
static int slot_map_locked(struct platform_space *s, struct stub *stub) REQUIRES(s->lock)
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
                            uint32_t count, int *out_error) REQUIRES(s->lock)
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

/* What to do with a change the host refused. Never leaves an old mapping behind. */
static int change_failed_locked(struct platform_space *s, struct stub *stub,
                                const struct change *ch, int error, bool *dropped) REQUIRES(s->lock)
{
    const struct platform *p = s->platform;
    const struct stub_call all = {.nr = SYS_munmap, .size = p->stub_base, .fd = -1};
    struct stub_call one = {.nr = SYS_munmap, .addr = ch->addr, .size = ch->size, .fd = -1};
    long ret;

    if (error == -ENOMEM && ch->kind != CHANGE_PROTECT && !*dropped) {
        /* Too many host mappings, most likely: the cache is dropped, pages come back by faults. */
        *dropped = true;
        log_debug(LOG_PLATFORM, "ptrace: dropping all mappings of a space: out of memory");
        ret = request_call(stub, &all);
        return ret < 0 ? (int)ret : -EAGAIN;
    }
    if (ch->kind == CHANGE_UNMAP)
        return -EIO;
    ret = request_call(stub, &one);
    if (ret == -ENOMEM)
        ret = request_call(stub, &all);
    if (ret < 0)
        return ret == -ESRCH ? -ESRCH : -EIO;
    if (ch->kind == CHANGE_MAP) {
        log_debug(LOG_PLATFORM, "ptrace: the host refuses to map fd %d: %s", ch->fd,
                  strerror(-error));
        s->bad_start = ch->addr;
        s->bad_end = ch->addr + ch->size;
    }
    return 0;
}

static int drain_locked(struct platform_space *s, struct platform_ctx *c)
{
    bool dropped = false;
    uint32_t i = 0;

    c->hw_valid = false;
    s->dirty = true;
    queue_applying(&s->queue, &s->mapped);
    atomic_store(&s->pending, PENDING_FORCED);
    while (i < s->queue.count) {
        int error, ret;

        ret = run_batch_locked(s, &c->stub, &s->queue.items[i], s->queue.count - i, &error);
        if (ret < 0)
            return ret;
        i += (uint32_t)ret;
        if (error == 0)
            continue;
        ret = change_failed_locked(s, &c->stub, &s->queue.items[i], error, &dropped);
        if (ret == 0)
            i++;
        else if (ret != -EAGAIN)
            return ret;
    }
    queue_applied(&s->queue, &s->mapped);
    s->drain_count++;
    atomic_store(&s->pending, PENDING_NONE);
    if (atomic_load(&s->barrier_waiters))
        cond_wake_all(&s->left_guest);
    return 0;
}

int space_drain(struct platform_space *s, struct platform_ctx *c)
{
    int ret = 0;

    if (!atomic_load(&s->pending))
        return 0;
    mutex_lock(&s->lock);
    if (atomic_load(&s->pending))
        ret = drain_locked(s, c);
    mutex_unlock(&s->lock);
    return ret;
}

bool space_addr_pending(struct platform_space *s, uaddr_t addr)
{
    bool maps;

    mutex_lock(&s->lock);
    maps = queue_maps(&s->queue, addr);
    mutex_unlock(&s->lock);
    return maps;
}

bool space_addr_bad(struct platform_space *s, uaddr_t addr)
{
    bool bad;

    mutex_lock(&s->lock);
    bad = addr >= s->bad_start && addr < s->bad_end;
    mutex_unlock(&s->lock);
    return bad;
}

/* --- barrier --- */

void space_left_guest(struct platform_space *s)
{
    mutex_lock(&s->lock);
    cond_wake_all(&s->left_guest);
    mutex_unlock(&s->lock);
}

void ptrace_space_barrier(struct platform_space *s)
{
    struct platform_ctx *self = ctx_current(), *c;
    uint64_t target;

    if (atomic_load(&s->pending) != PENDING_FORCED)
        return;
    mutex_lock(&s->lock);
    target = s->drain_count + 1;
    atomic_fetch_add(&s->barrier_waiters, 1);
    while (atomic_load(&s->pending) == PENDING_FORCED && s->drain_count < target) {
        bool inside = false;

        list_for_each_entry(c, &s->ctxs, node) {
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
        if (self && self->space == s && self->stub.seized && drain_locked(s, self) == 0)
            break;
        cond_wait(&s->left_guest, &s->lock);
    }
    atomic_fetch_sub(&s->barrier_waiters, 1);
    mutex_unlock(&s->lock);
}
