/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll, ppoll, select, pselect6. All four become a table of (file, wanted events) slots and one
 * wait. The first look is made without joining any queue: most calls find something ready or must
 * not wait.
 *
 * Restarts: poll keeps its deadline in a restart block; the others write the time that is left back
 * and restart only when no handler ran (-ERESTARTNOHAND), as Linux does. A write-back that fails
 * turns the restart into -EINTR, because the call could not resume with the right time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gen/syscall_protos.h"
#include "sentry/abi/poll.h"
#include "sentry/abi/signal.h"
#include "sentry/abi/time.h"
#include "sentry/core/clock.h"
#include "sentry/core/restart.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/event.h"

enum { SLOTS_ON_STACK = 16, SELECT_WORDS_ON_STACK = 6 * 16 };

struct poll_slot {
    struct file *file; /* +1, NULL: not a descriptor */
    struct waiter w;
    uint32_t want;
    uint32_t ready;
};

struct poll_table {
    struct poll_slot *slots;
    uint32_t count;
    struct poll_slot small[SLOTS_ON_STACK];
};

static int poll_table_init(struct poll_table *p, uint32_t count)
{
    p->count = count;
    p->slots = count <= SLOTS_ON_STACK ? p->small : malloc(count * sizeof(*p->slots));
    if (!p->slots)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        p->slots[i].file = NULL;
    return 0;
}

static void poll_table_destroy(struct poll_table *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->slots[i].file)
            file_put(p->slots[i].file);
    }
    if (p->slots != p->small)
        free(p->slots);
}

static int poll_table_scan(struct poll_table *p)
{
    int found = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        struct poll_slot *s = &p->slots[i];

        if (s->file)
            s->ready = file_poll(s->file) & (s->want | WAKE_ERR | WAKE_HUP);
        found += s->ready != 0;
    }
    return found;
}

/* Slots that are ready, 0 at the deadline, -ERESTARTSYS. deadline 0: only look. */
static int poll_table_wait(struct poll_table *p, uint64_t deadline)
{
    int found = poll_table_scan(p), ret = 0;

    if (found > 0 || deadline == 0)
        return found;
    for (uint32_t i = 0; i < p->count; i++) {
        struct poll_slot *s = &p->slots[i];

        if (!s->file)
            continue;
        waiter_init(&s->w, s->want);
        waitq_add(s->file->wq, &s->w);
    }
    for (;;) {
        found = poll_table_scan(p);
        if (found > 0 || ret < 0)
            break;
        ret = task_block(deadline);
    }
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->slots[i].file)
            waitq_remove(p->slots[i].file->wq, &p->slots[i].w);
    }
    if (found > 0 || ret == -ETIMEDOUT)
        return found;
    return ret;
}

/* ---- times and masks ------------------------------------------------------------------------- */

int event_set_mask(struct task *t, uaddr_t mask_addr, size_t size)
{
    lx_sigset_t mask;

    if (mask_addr == 0)
        return 0;
    if (size != sizeof(mask))
        return -EINVAL;
    if (get_user(&mask, mask_addr) < 0)
        return -EFAULT;
    signal_set_temporary_mask(t, mask & ~(sigset_bit(LX_SIGKILL) | sigset_bit(LX_SIGSTOP)));
    return 0;
}

int event_deadline_from_timespec(uaddr_t addr, uint64_t *out)
{
    struct lx_timespec ts;

    *out = NO_DEADLINE;
    if (addr == 0)
        return 0;
    if (get_user(&ts, addr) < 0)
        return -EFAULT;
    if (!lx_timespec_valid(&ts))
        return -EINVAL;
    *out = ts.sec == 0 && ts.nsec == 0 ? 0 : deadline_after(lx_timespec_to_ns(&ts));
    return 0;
}

static uint64_t time_left(uint64_t deadline)
{
    uint64_t now = clock_monotonic();

    return deadline > now ? deadline - now : 0;
}

/* Ends a ppoll, select or pselect6. addr 0: the guest gave no time. */
static long finish_with_time(long ret, uaddr_t addr, uint64_t deadline, bool timeval)
{
    int err;

    if (ret == -ERESTARTSYS)
        ret = -ERESTARTNOHAND;
    if (addr == 0 || deadline == 0)
        return ret;
    if (timeval) {
        struct lx_timeval tv = lx_timeval_from_ns(time_left(deadline));

        err = put_user(&tv, addr);
    } else {
        struct lx_timespec ts = lx_timespec_from_ns(time_left(deadline));

        err = put_user(&ts, addr);
    }
    return err < 0 && ret == -ERESTARTNOHAND ? -EINTR : ret;
}

/* ---- poll ------------------------------------------------------------------------------------ */

static int poll_fill(struct task *t, struct poll_table *p, const struct lx_pollfd *fds)
{
    int bad = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        struct poll_slot *s = &p->slots[i];

        s->want = (uint16_t)fds[i].events;
        s->ready = 0;
        if (fds[i].fd < 0)
            continue;
        if (fdtable_lookup_get(t->curr.files, fds[i].fd, &s->file) < 0) {
            s->file = NULL;
            s->ready = WAKE_NVAL;
            bad++;
        }
    }
    return bad;
}

static long poll_common(struct task *t, uaddr_t ufds, uint32_t nfds, uint64_t deadline)
{
    struct lx_pollfd small[SLOTS_ON_STACK], *fds = small;
    struct poll_table table;
    long ret;

    if (nfds > g_curr_ops->rlimit(LX_RLIMIT_NOFILE))
        return -EINVAL;
    if (nfds > SLOTS_ON_STACK) {
        fds = malloc(nfds * sizeof(*fds));
        if (!fds)
            return -ENOMEM;
    }
    ret = -EFAULT;
    if (nfds > 0 && copy_in(fds, ufds, nfds * sizeof(*fds)) < 0)
        goto out_fds;
    ret = poll_table_init(&table, nfds);
    if (ret < 0)
        goto out_fds;
    /* A bad descriptor is an answer: do not wait. */
    ret = poll_table_wait(&table, poll_fill(t, &table, fds) > 0 ? 0 : deadline);
    for (uint32_t i = 0; i < nfds && ret >= 0; i++)
        fds[i].revents = (int16_t)table.slots[i].ready;
    poll_table_destroy(&table);
    /* Only revents is written back: another thread may be changing the rest. */
    for (uint32_t i = 0; i < nfds && ret >= 0; i++) {
        uaddr_t at = ufds + i * sizeof(*fds) + offsetof(struct lx_pollfd, revents);

        if (copy_out(at, &fds[i].revents, sizeof(fds[i].revents)) < 0)
            ret = -EFAULT;
    }
out_fds:
    if (fds != small)
        free(fds);
    return ret;
}

static long poll_restart(struct task *t, struct restart_block *rb)
{
    long ret = poll_common(t, rb->arg[0], (uint32_t)rb->arg[1], rb->arg[2]);

    return ret == -ERESTARTSYS ? task_set_restart(t, rb) : ret;
}

long sys_poll(struct task *t, uaddr_t ufds, uint32_t nfds, int timeout)
{
    uint64_t deadline = timeout < 0    ? NO_DEADLINE
                        : timeout == 0 ? 0
                                       : deadline_after((uint64_t)timeout * 1000000u);
    struct restart_block rb = {.fn = poll_restart, .arg = {ufds, nfds, deadline}};
    long ret = poll_common(t, ufds, nfds, deadline);

    return ret == -ERESTARTSYS ? task_set_restart(t, &rb) : ret;
}

long sys_ppoll(struct task *t, uaddr_t ufds, uint32_t nfds, uaddr_t tsp, uaddr_t sigmask,
               size_t sigsetsize)
{
    uint64_t deadline;
    long ret = event_deadline_from_timespec(tsp, &deadline);

    if (ret == 0)
        ret = event_set_mask(t, sigmask, sigsetsize);
    if (ret < 0)
        return ret;
    ret = poll_common(t, ufds, nfds, deadline);
    return finish_with_time(ret, tsp, deadline, /*timeval=*/false);
}

/* ---- select ---------------------------------------------------------------------------------- */

#define SELECT_IN  (WAKE_RDNORM | WAKE_RDBAND | WAKE_IN | WAKE_HUP | WAKE_ERR)
#define SELECT_OUT (WAKE_WRBAND | WAKE_WRNORM | WAKE_OUT | WAKE_ERR)
#define SELECT_EX  WAKE_PRI

/* Three input sets, then three result sets, each of `words` words. */
struct select_sets {
    uint64_t *bits;
    uint32_t words;
    uint64_t small[SELECT_WORDS_ON_STACK];
};

static bool set_test(const struct select_sets *s, int which, uint32_t fd)
{
    return s->bits[(uint32_t)which * s->words + fd / 64] >> (fd % 64) & 1;
}

static int set_copy_in(struct select_sets *s, int which, uaddr_t addr)
{
    size_t size = s->words * sizeof(uint64_t);
    uint64_t *dst = s->bits + (uint32_t)which * s->words;

    if (addr != 0)
        return copy_in(dst, addr, size);
    memset(dst, 0, size);
    return 0;
}

/* Marks the results of one descriptor; bits set. */
static int set_report(struct select_sets *s, uint32_t fd, uint32_t ready)
{
    static const uint32_t masks[3] = {SELECT_IN, SELECT_OUT, SELECT_EX};
    int n = 0;

    for (int which = 0; which < 3; which++) {
        if (!set_test(s, which, fd) || !(ready & masks[which]))
            continue;
        s->bits[(uint32_t)(which + 3) * s->words + fd / 64] |= 1ull << (fd % 64);
        n++;
    }
    return n;
}

static uint32_t set_wanted(const struct select_sets *s, uint32_t fd)
{
    return (set_test(s, 0, fd) ? SELECT_IN : 0) | (set_test(s, 1, fd) ? SELECT_OUT : 0) |
           (set_test(s, 2, fd) ? SELECT_EX : 0);
}

static long select_sets_wait(struct task *t, struct select_sets *s, uint32_t nfds,
                             uint64_t deadline)
{
    struct poll_table table;
    uint32_t count = 0, i = 0;
    long ret;

    for (uint32_t fd = 0; fd < nfds; fd++)
        count += set_wanted(s, fd) != 0;
    ret = poll_table_init(&table, count);
    for (uint32_t fd = 0; fd < nfds && ret == 0; fd++) {
        uint32_t want = set_wanted(s, fd);

        if (want == 0)
            continue;
        table.slots[i].want = want;
        table.slots[i].ready = 0;
        ret = fdtable_lookup_get(t->curr.files, (int)fd, &table.slots[i].file);
        if (ret < 0)
            table.slots[i].file = NULL;
        i++;
    }
    if (ret < 0)
        goto out;
    ret = poll_table_wait(&table, deadline);
    if (ret >= 0) {
        memset(s->bits + 3 * s->words, 0, 3 * s->words * sizeof(uint64_t));
        ret = 0;
        i = 0;
        for (uint32_t fd = 0; fd < nfds; fd++) {
            if (set_wanted(s, fd))
                ret += set_report(s, fd, table.slots[i++].ready);
        }
    }
out:
    if (table.slots)
        poll_table_destroy(&table);
    return ret;
}

static long select_common(struct task *t, int nfds, const uaddr_t addrs[3], uint64_t deadline)
{
    struct select_sets s;
    int limit;
    long ret = 0;

    if (nfds < 0)
        return -EINVAL;
    limit = fdtable_size(t->curr.files);
    nfds = MIN(nfds, limit); /* Linux: what lies above the table is ignored */
    s.words = ((uint32_t)nfds + 63) / 64;
    s.bits =
        s.words * 6 <= SELECT_WORDS_ON_STACK ? s.small : malloc(s.words * 6 * sizeof(uint64_t));
    if (!s.bits)
        return -ENOMEM;
    for (int which = 0; which < 3 && ret == 0; which++)
        ret = set_copy_in(&s, which, addrs[which]);
    if (ret == 0)
        ret = select_sets_wait(t, &s, (uint32_t)nfds, deadline);
    for (uint32_t which = 0; which < 3 && ret >= 0; which++) {
        if (addrs[which] &&
            copy_out(addrs[which], s.bits + (which + 3) * s.words, s.words * sizeof(uint64_t)) < 0)
            ret = -EFAULT;
    }
    if (s.bits != s.small)
        free(s.bits);
    return ret;
}

long sys_select(struct task *t, int nfds, uaddr_t readfds, uaddr_t writefds, uaddr_t exceptfds,
                uaddr_t timeout)
{
    const uaddr_t addrs[3] = {readfds, writefds, exceptfds};
    uint64_t deadline = NO_DEADLINE;
    struct lx_timeval tv;

    if (timeout != 0) {
        struct lx_timespec ts;

        if (get_user(&tv, timeout) < 0)
            return -EFAULT;
        ts.sec = tv.sec + tv.usec / 1000000;
        ts.nsec = tv.usec % 1000000 * 1000;
        if (!lx_timespec_valid(&ts))
            return -EINVAL;
        deadline = ts.sec == 0 && ts.nsec == 0 ? 0 : deadline_after(lx_timespec_to_ns(&ts));
    }
    return finish_with_time(select_common(t, nfds, addrs, deadline), timeout, deadline,
                            /*timeval=*/true);
}

long sys_pselect6(struct task *t, int nfds, uaddr_t readfds, uaddr_t writefds, uaddr_t exceptfds,
                  uaddr_t tsp, uaddr_t sig)
{
    const uaddr_t addrs[3] = {readfds, writefds, exceptfds};
    struct lx_sigset_argpack pack = {0, 0};
    uint64_t deadline;
    long ret;

    if (sig != 0 && get_user(&pack, sig) < 0)
        return -EFAULT;
    ret = event_deadline_from_timespec(tsp, &deadline);
    if (ret == 0)
        ret = event_set_mask(t, pack.mask, pack.size);
    if (ret < 0)
        return ret;
    ret = select_common(t, nfds, addrs, deadline);
    return finish_with_time(ret, tsp, deadline, /*timeval=*/false);
}
