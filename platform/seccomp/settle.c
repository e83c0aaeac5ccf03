/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sentry says to entries and lane code (the slot's answers), and what it makes of a thread that
 * was interrupted in them: the program sees registers from before its call or from after it.
 */
#include <errno.h>
#include <string.h>

#include "platform/seccomp/seccomp_internal.h"
#include "platform/seccomp/site_code.h"

/* Where a label of lane code is, from the start of a room. */
static uaddr_t lane_at(const uint8_t *label)
{
    return (uaddr_t)(label - g_lane_code);
}

void seccomp_ctx_answers(struct platform_ctx *c, const struct platform_answer *answers,
                         unsigned count)
{
    /* Another thread may find the slot that c had a moment ago: taking back hurts nobody. */
    uint8_t *slot = slots_at(&c->platform->stacks, atomic_load(&c->slot));
    /* SAFETY: the slot is page aligned. */
    _Atomic uint64_t *words = (_Atomic uint64_t *)(void *)(slot + SLOT_ANSWERS);

    /* SAFETY: as above. */
    atomic_store((_Atomic uint64_t *)(void *)(slot + SLOT_WAITERS),
                 count ? c->platform->stub_base + STUB_REQUEST_OFF + REQ_WAITERS : 0);
    for (unsigned i = 0; i < ANSWER_COUNT && count == 0; i++)
        atomic_store(&words[i], 0);
    for (unsigned i = 0; i < count; i++) {
        int k = site_answer_index(answers[i].nr);

        if (k >= 0)
            atomic_store(&words[k], ~(uint64_t)answers[i].value);
    }
}

atomic_uint *seccomp_space_waiters(struct platform_space *s)
{
    /* SAFETY: the page is a page, and guests cannot write to it. */
    return (atomic_uint *)(void *)(seccomp_control_page(s->platform, &s->control) + REQ_WAITERS);
}

/* --- registers that stand in entries or lane code --- */

static int room_of(const struct platform_space *s, uaddr_t ip)
{
    const unsigned count = atomic_load(&s->sites.room_count);

    for (unsigned i = 0; i < count; i++) {
        const uaddr_t addr = atomic_load(&s->sites.rooms[i].addr);

        if (ip >= addr && ip < addr + PLATFORM_ROOM_SIZE)
            return (int)i;
    }
    return -ENOENT;
}

bool seccomp_site_rings(const struct platform_space *s, uaddr_t ip)
{
    int i = room_of(s, ip);

    return i >= 0 && ip == s->sites.rooms[i].addr + lane_at(g_lane_bell);
}

/* In an entry: nothing has happened. Back to the start, where nothing of the entry has been done;
 * else on to the system call. */
static void settle_entry(const struct site *site, unsigned at, struct lx_regs *r)
{
    if (site->sets_nr) {
        r->rax = site->nr;
        r->rip = site->ip - SITE_SYSCALL_SIZE;
    } else {
        r->rip = at == 0 ? site->start : site->ip - SITE_SYSCALL_SIZE;
    }
}

static void settle_lane(struct platform_ctx *c, uaddr_t at, struct lx_regs *r)
{
    uint8_t *slot = slots_at(&c->space->platform->stacks, c->thread.slot);
    /* SAFETY: the slot is page aligned. */
    atomic_uint *state = (atomic_uint *)(void *)(slot + SLOT_LANE);
    uint64_t ip = 0, result;
    uint32_t nr;

    if (at >= lane_at(g_lane_any)) { /* none of it has to do with the slot's state */
        r->rip = r->rcx - (at == lane_at(g_lane_answered) ? 0 : SITE_SYSCALL_SIZE);
        return;
    }
    if (at < lane_at(g_lane_published) || at >= lane_at(g_lane_closed)) {
        if (at >= lane_at(g_lane_number))
            r->rax = (uint32_t)r->r11;
        r->rip = r->rcx - (at == lane_at(g_lane_jump) ? 0 : SITE_SYSCALL_SIZE);
        atomic_store(state, LANE_CLOSED);
        return;
    }
    memcpy(&ip, slot + SLOT_RIP, sizeof(ip));
    if (atomic_load(state) & (LANE_REQUEST | LANE_SLEEP)) {
        memcpy(&nr, slot + SLOT_NR, sizeof(nr));
        r->rax = nr;
        r->rip = ip - SITE_SYSCALL_SIZE;
        atomic_store(state, LANE_CLOSED);
        return;
    }
    memcpy(&result, slot + SLOT_ARGS, sizeof(result));
    r->rax = result;
    r->rip = ip;
}

bool seccomp_site_settle(struct platform_ctx *c, struct lx_regs *r)
{
    struct platform_space *s = c->space;
    const int room = room_of(s, r->rip);
    unsigned at, i;

    if (likely(room < 0))
        return false;
    at = (unsigned)(r->rip - s->sites.rooms[room].addr);
    if (at < ROOM_ENTRIES_OFF) {
        settle_lane(c, at, r);
        return true;
    }
    at -= ROOM_ENTRIES_OFF;
    i = at / ENTRY_SIZE;
    mutex_lock(&s->base.lock);
    if (i < s->sites.rooms[room].count)
        settle_entry(&s->sites.all[(unsigned)room * ENTRY_COUNT + i], at % ENTRY_SIZE, r);
    mutex_unlock(&s->base.lock);
    return true;
}
