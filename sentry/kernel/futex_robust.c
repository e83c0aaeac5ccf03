/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Robust futexes: when a task ends or replaces its program, the locks it still holds are marked
 * OWNER_DIED and one waiter each is woken. The list lives in guest memory and is hostile: bounded,
 * every entry read through copy_in, a bad address ends the walk.
 */
#include <errno.h>

#include "sentry/kernel/futex_internal.h"
#include "sentry/kernel/kernel_internal.h"

static int handle_death(struct task *t, uaddr_t addr, bool pi, bool pending)
{
    uint32_t tid = (uint32_t)pid_nr(t->curr.tid);
    uint32_t word, want, seen;
    int ret;

    if (addr & 3)
        return -EINVAL;
    ret = user_atomic_load32(addr, &word);
    if (ret < 0)
        return ret;
    for (;;) {
        /* A lock that was given up between the store and the list update: its waiter needs a wake.
         */
        if (pending && !pi && !word) {
            (void)futex_wake_word(addr); /* nobody waiting is fine */
            return 0;
        }
        if ((word & LX_FUTEX_TID_MASK) != tid)
            return 0;
        want = (word & LX_FUTEX_WAITERS) | LX_FUTEX_OWNER_DIED;
        seen = word;
        ret = user_atomic_cmpxchg32(addr, &seen, want);
        if (ret < 0)
            return ret;
        if (seen == word)
            break;
        word = seen;
    }
    if (!pi && (word & LX_FUTEX_WAITERS))
        (void)futex_wake_word(addr); /* nobody waiting is fine */
    return 0;
}

void futex_exit_robust(struct task *t)
{
    struct lx_robust_list_head head;
    uaddr_t base = t->k->robust_list, pending, entry, next;
    uint64_t raw;
    int limit = LX_ROBUST_LIST_LIMIT;

    t->k->robust_list = 0;
    if (!base || get_user(&head, base) < 0)
        return;
    /* Bit 0 of an entry's address says that it is a PI futex. */
    pending = head.pending;
    raw = head.next;
    while ((raw & ~1ull) != base && limit-- > 0) {
        entry = raw & ~1ull;
        if (get_user(&next, entry) < 0)
            next = base; /* handle this one, then stop */
        if (entry != (pending & ~1ull) &&
            handle_death(t, entry + (uint64_t)head.futex_offset, raw & 1, false) < 0)
            return;
        raw = next;
    }
    if (pending)
        (void)handle_death(t, (pending & ~1ull) + (uint64_t)head.futex_offset, pending & 1, true);
}
