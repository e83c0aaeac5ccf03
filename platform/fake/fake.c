/* SPDX-License-Identifier: Apache-2.0 */
/* The fake back end; see fake.h. Locks: one per space around its table, one per ctx's flag. */
#include "platform/fake/fake.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/base/lock.h"
#include "platform/host/file.h"
#include "platform/partial.h"

enum { FAKE_LOW = 0x10000 };
#define FAKE_HIGH 0x7fffffe00000ul

struct platform {
    struct fake_calls calls; /* not locked: a count for tests */
};

/* Lifetime: unique. Keys: s ->lock, I immutable */
struct platform_space {
    struct platform *platform;  /* I */
    struct mutex lock;          /* rank SPACE */
    struct fake_mapping *items; /* s: sorted, disjoint */
    unsigned count, room;       /* s */
    atomic_int ctx_count;
};

/* Lifetime: unique. Owner's but for interrupted. */
struct platform_ctx {
    struct platform_space *space;
    atomic_bool interrupted;
    struct fake_step *steps;
    unsigned step_count, step_next;
    void (*play)(void *arg, struct lx_regs *regs, struct platform_event *out);
    void *play_arg;
    struct partial_regs partial;
    uint8_t *xstate;
};

static int fake_probe(struct platform_probe *out)
{
    *out = (struct platform_probe){.usable = true, .switch_ns = 1};
    snprintf(out->reason, sizeof(out->reason), "for unit tests only");
    return 0;
}

static int fake_start(const struct platform_config *config, struct platform **out)
{
    (void)config;
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : -ENOMEM;
}

static void fake_stop(struct platform *p)
{
    free(p);
}

static void fake_range(struct platform *p, uaddr_t *out_low, uaddr_t *out_high)
{
    (void)p;
    *out_low = FAKE_LOW;
    *out_high = FAKE_HIGH;
}

const struct fake_calls *fake_calls(struct platform *p)
{
    return &p->calls;
}

/* --- spaces --- */

static int space_make(struct platform *p, struct platform_space **out)
{
    struct platform_space *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->platform = p;
    mutex_init(&s->lock, RANK_SPACE);
    *out = s;
    return 0;
}

static int fake_space_new(struct platform *p, struct platform_space **out)
{
    p->calls.space_new++;
    return space_make(p, out);
}

static int fake_space_clone(struct platform_space *from, struct platform_ctx *caller,
                            struct platform_space **out)
{
    int ret = space_make(from->platform, out);

    ASSERT(caller->space == from);
    if (ret < 0)
        return ret;
    from->platform->calls.space_clone++;
    mutex_lock(&from->lock);
    if (from->count) {
        (*out)->items = malloc(from->count * sizeof(*from->items));
        if ((*out)->items) {
            memcpy((*out)->items, from->items, from->count * sizeof(*from->items));
            (*out)->count = (*out)->room = from->count;
        } else {
            ret = -ENOMEM;
        }
    }
    mutex_unlock(&from->lock);
    if (ret < 0)
        free(*out);
    return ret;
}

static void fake_space_free(struct platform_space *s)
{
    ASSERT(atomic_load(&s->ctx_count) == 0);
    mutex_destroy(&s->lock);
    free(s->items);
    free(s);
}

static bool args_ok(uaddr_t addr, size_t size)
{
    uaddr_t end;

    return size && ((addr | size) & (LX_PAGE_SIZE - 1)) == 0 && !add_overflows(addr, size, &end) &&
           addr >= FAKE_LOW && end <= FAKE_HIGH;
}

/* Makes room for two more items: any single change splits at most one mapping. */
static int reserve(struct platform_space *s) REQUIRES(s->lock)
{
    unsigned want = s->room ? s->room * 2 : 16;
    struct fake_mapping *p;

    if (s->count + 2 <= s->room)
        return 0;
    p = realloc(s->items, want * sizeof(*p));
    if (!p)
        return -ENOMEM;
    s->items = p;
    s->room = want;
    return 0;
}

static void insert_at(struct platform_space *s, unsigned i, const struct fake_mapping *m)
    REQUIRES(s->lock)
{
    memmove(&s->items[i + 1], &s->items[i], (s->count - i) * sizeof(s->items[0]));
    s->items[i] = *m;
    s->count++;
}

/* Cuts the mapping that contains addr in two there. */
static void split(struct platform_space *s, uaddr_t addr) REQUIRES(s->lock)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct fake_mapping *m = &s->items[i], right;

        if (addr <= m->start || addr >= m->end)
            continue;
        right = *m;
        right.start = addr;
        right.offset += addr - m->start;
        m->end = addr;
        insert_at(s, i + 1, &right);
        return;
    }
}

static void remove_range(struct platform_space *s, uaddr_t start, uaddr_t end) REQUIRES(s->lock)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < s->count; i++) {
        if (s->items[i].start >= start && s->items[i].end <= end)
            continue;
        s->items[kept++] = s->items[i];
    }
    s->count = kept;
}

static int fake_space_map(struct platform_space *s, uaddr_t addr, size_t size, int prot, int fd,
                          uint64_t offset, uint32_t flags)
{
    const struct fake_mapping m = {addr, addr + size, prot, fd, offset};
    unsigned i = 0;
    int ret;

    (void)flags;
    if (!args_ok(addr, size) || (offset & (LX_PAGE_SIZE - 1)))
        return -EINVAL;
    s->platform->calls.map++;
    mutex_lock(&s->lock);
    ret = reserve(s);
    if (ret == 0) {
        split(s, addr);
        ret = reserve(s);
    }
    if (ret == 0) {
        split(s, addr + size);
        remove_range(s, addr, addr + size);
        ret = reserve(s);
    }
    if (ret == 0) {
        while (i < s->count && s->items[i].start < addr)
            i++;
        insert_at(s, i, &m);
    }
    mutex_unlock(&s->lock);
    return ret;
}

static int cut_out(struct platform_space *s, uaddr_t addr, size_t size) REQUIRES(s->lock)
{
    int ret = reserve(s);

    if (ret < 0)
        return ret;
    split(s, addr);
    ret = reserve(s);
    if (ret < 0)
        return ret;
    split(s, addr + size);
    return 0;
}

static int fake_space_unmap(struct platform_space *s, uaddr_t addr, size_t size)
{
    int ret;

    if (!args_ok(addr, size))
        return -EINVAL;
    s->platform->calls.unmap++;
    mutex_lock(&s->lock);
    ret = cut_out(s, addr, size);
    if (ret == 0)
        remove_range(s, addr, addr + size);
    mutex_unlock(&s->lock);
    return ret;
}

static int fake_space_protect(struct platform_space *s, uaddr_t addr, size_t size, int prot)
{
    int ret;

    if (!args_ok(addr, size))
        return -EINVAL;
    s->platform->calls.protect++;
    mutex_lock(&s->lock);
    ret = cut_out(s, addr, size);
    for (unsigned i = 0; ret == 0 && i < s->count; i++) {
        if (s->items[i].start >= addr && s->items[i].end <= addr + size)
            s->items[i].prot = prot;
    }
    mutex_unlock(&s->lock);
    return ret;
}

static int fake_space_clear(struct platform_space *s)
{
    s->platform->calls.clear++;
    mutex_lock(&s->lock);
    s->count = 0;
    mutex_unlock(&s->lock);
    return 0;
}

static void fake_space_barrier(struct platform_space *s)
{
    s->platform->calls.barrier++;
}

bool fake_space_find(struct platform_space *s, uaddr_t addr, struct fake_mapping *out)
{
    bool found = false;

    mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->count && !found; i++) {
        if (addr >= s->items[i].start && addr < s->items[i].end) {
            *out = s->items[i];
            found = true;
        }
    }
    mutex_unlock(&s->lock);
    return found;
}

unsigned fake_space_count(struct platform_space *s)
{
    unsigned n = 0;

    mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->count; i++) {
        const struct fake_mapping *m = &s->items[i], *before = i ? m - 1 : NULL;

        if (!before || before->end != m->start || before->prot != m->prot || before->fd != m->fd ||
            before->offset + (m->start - before->start) != m->offset)
            n++;
    }
    mutex_unlock(&s->lock);
    return n;
}

static int access_memory(struct platform_space *s, uaddr_t addr, uint8_t *buf, size_t size,
                         bool write)
{
    while (size) {
        struct fake_mapping m;
        size_t part;
        ssize_t n;

        if (!fake_space_find(s, addr, &m) || !(m.prot & (write ? PROT_WRITE : PROT_READ)))
            return -EFAULT;
        part = MIN(size, m.end - addr);
        n = write ? host_pwrite(m.fd, buf, part, (int64_t)(m.offset + (addr - m.start)))
                  : host_pread(m.fd, buf, part, (int64_t)(m.offset + (addr - m.start)));
        if (n <= 0)
            return -EFAULT;
        addr += (size_t)n;
        buf += n;
        size -= (size_t)n;
    }
    return 0;
}

int fake_space_read(struct platform_space *s, uaddr_t addr, void *buf, size_t size)
{
    return access_memory(s, addr, buf, size, /*write=*/false);
}

int fake_space_write(struct platform_space *s, uaddr_t addr, const void *buf, size_t size)
{
    /* SAFETY: access_memory only reads the buffer when write is set. */
    return access_memory(s, addr, (uint8_t *)(uintptr_t)buf, size, /*write=*/true);
}

/* --- contexts --- */

static int fake_ctx_new(struct platform_space *s, struct platform_ctx *creator,
                        struct platform_ctx **out)
{
    struct platform_ctx *c = calloc(1, sizeof(*c));

    ASSERT(!creator || creator->space == s);
    if (!c)
        return -ENOMEM;
    c->xstate = calloc(1, platform_xstate_size());
    if (!c->xstate) {
        free(c);
        return -ENOMEM;
    }
    c->space = s;
    atomic_fetch_add(&s->ctx_count, 1);
    *out = c;
    return 0;
}

static void fake_ctx_free(struct platform_ctx *c)
{
    atomic_fetch_sub(&c->space->ctx_count, 1);
    free(c->steps);
    free(c->xstate);
    free(c);
}

static int fake_ctx_switch_space(struct platform_ctx *c, struct platform_space *s)
{
    atomic_fetch_sub(&c->space->ctx_count, 1);
    atomic_fetch_add(&s->ctx_count, 1);
    c->space = s;
    c->partial.hidden = false;
    memset(c->xstate, 0, platform_xstate_size());
    return 0;
}

static int fake_ctx_run(struct platform_ctx *c, struct lx_regs *regs, struct platform_event *out)
{
    ASSERT_NONE_HELD();
    c->space->platform->calls.run++;
    *out = (struct platform_event){.kind = PLATFORM_DEAD};
    partial_push(&c->partial, regs);
    if (atomic_exchange(&c->interrupted, false)) {
        out->kind = PLATFORM_INTERRUPTED;
    } else if (c->play) {
        c->play(c->play_arg, regs, out);
    } else if (c->step_next < c->step_count) {
        const struct fake_step *step = &c->steps[c->step_next++];

        *out = step->event;
        if (step->regs)
            *regs = *step->regs;
    }
    if (out->kind == PLATFORM_SYSCALL)
        partial_hide(&c->partial, regs);
    return 0;
}

static void fake_ctx_regs_pull(struct platform_ctx *c, struct lx_regs *regs)
{
    partial_pull(&c->partial, regs);
}

static void fake_ctx_interrupt(struct platform_ctx *c)
{
    c->space->platform->calls.interrupt++;
    atomic_store(&c->interrupted, true);
}

int fake_ctx_push(struct platform_ctx *c, const struct fake_step *step)
{
    struct fake_step *p = realloc(c->steps, (c->step_count + 1) * sizeof(*p));

    if (!p)
        return -ENOMEM;
    c->steps = p;
    c->steps[c->step_count++] = *step;
    return 0;
}

void fake_ctx_play(struct platform_ctx *c,
                   void (*fn)(void *arg, struct lx_regs *regs, struct platform_event *out),
                   void *arg)
{
    c->play = fn;
    c->play_arg = arg;
}

struct platform_space *fake_ctx_space(struct platform_ctx *c)
{
    return c->space;
}

static int fake_xstate_get(struct platform_ctx *c, void *buf, size_t size)
{
    if (size < platform_xstate_size())
        return -EINVAL;
    memcpy(buf, c->xstate, platform_xstate_size());
    return 0;
}

static int fake_xstate_set(struct platform_ctx *c, const void *buf, size_t size)
{
    if (size != platform_xstate_size())
        return -EINVAL;
    memcpy(c->xstate, buf, size);
    return 0;
}

static int fake_xstate_copy(struct platform_ctx *dst, struct platform_ctx *src)
{
    memcpy(dst->xstate, src->xstate, platform_xstate_size());
    return 0;
}

const struct platform_ops g_platform_fake_ops = {
    .name = "fake",
    .probe = fake_probe,
    .start = fake_start,
    .stop = fake_stop,
    .range = fake_range,
    .space_new = fake_space_new,
    .space_clone = fake_space_clone,
    .space_free = fake_space_free,
    .space_map = fake_space_map,
    .space_unmap = fake_space_unmap,
    .space_protect = fake_space_protect,
    .space_clear = fake_space_clear,
    .space_barrier = fake_space_barrier,
    .ctx_new = fake_ctx_new,
    .ctx_free = fake_ctx_free,
    .ctx_switch_space = fake_ctx_switch_space,
    .ctx_run = fake_ctx_run,
    .ctx_regs_pull = fake_ctx_regs_pull,
    .ctx_interrupt = fake_ctx_interrupt,
    .ctx_xstate_get = fake_xstate_get,
    .ctx_xstate_set = fake_xstate_set,
    .ctx_xstate_copy = fake_xstate_copy,
};
