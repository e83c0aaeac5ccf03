/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pids and their number tables. A pid has one number per namespace from the root down to its own;
 * numbers[i] belongs to the ancestor at level i, so the pid of a table entry is found by
 * arithmetic.
 */
#include "sentry/core/pidns.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/core/cred.h"
#include "sentry/core/curr.h"

struct taskset g_taskset = {.lock = {.rank = RANK_TASKSET}};

static int pid_number_cmp(struct pid_number *a, struct pid_number *b)
{
    return a->nr < b->nr ? -1 : a->nr > b->nr;
}

RB_GENERATE_INTERNAL(pid_numbers, pid_number, node, pid_number_cmp, UNUSED static)

static struct pid *pid_of_number(struct pidns *ns, struct pid_number *n)
{
    return container_of(n - ns->level, struct pid, numbers[0]);
}

uint64_t ns_inum_new(void)
{
    static _Atomic uint64_t next = 4026531840u; /* where Linux's own numbers begin */

    return atomic_fetch_add(&next, 1);
}

int pidns_new(struct pidns *parent, struct userns *userns, struct pidns **out)
{
    struct pidns *ns;

    if (parent && parent->level + 1 > PIDNS_MAX_DEPTH)
        return -ENOSPC;
    ns = calloc(1, sizeof(*ns));
    if (!ns)
        return -ENOMEM;
    refs_init(&ns->refs);
    ns->parent = parent ? pidns_get(parent) : NULL;
    ns->level = parent ? parent->level + 1 : 0;
    ns->userns = userns_get(userns);
    ns->inum = ns_inum_new();
    RB_INIT(&ns->numbers);
    *out = ns;
    return 0;
}

struct pidns *pidns_get(struct pidns *ns)
{
    refs_get(&ns->refs);
    return ns;
}

void pidns_put(struct pidns *ns)
{
    while (ns && refs_put(&ns->refs)) {
        struct pidns *parent = ns->parent;

        ASSERT(RB_EMPTY(&ns->numbers));
        userns_put(ns->userns);
        free(ns);
        ns = parent;
    }
}

struct pid *pidns_find_locked(struct pidns *ns, lx_pid_t nr)
{
    struct pid_number key = {.nr = nr};
    struct pid_number *n = RB_FIND(pid_numbers, &ns->numbers, &key);

    return n ? pid_of_number(ns, n) : NULL;
}

struct pid *pidns_find_from_locked(struct pidns *ns, lx_pid_t nr)
{
    struct pid_number key = {.nr = nr};
    struct pid_number *n = RB_NFIND(pid_numbers, &ns->numbers, &key);

    return n ? pid_of_number(ns, n) : NULL;
}

/* The next free number in cyclic order; 0 when all are taken. */
static lx_pid_t number_pick(struct pidns *ns)
{
    lx_pid_t nr = ns->last_nr;

    if (ns->count >= LX_PID_MAX - PID_RESERVED - 1)
        return 0;
    for (;;) {
        nr = nr + 1 < LX_PID_MAX ? nr + 1 : PID_RESERVED;
        if (!pidns_find_locked(ns, nr))
            return nr;
    }
}

static int number_take(struct pidns *ns, lx_pid_t wanted, struct pid_number *n)
{
    lx_pid_t nr = wanted;

    if (wanted) {
        if (wanted < 1 || wanted >= LX_PID_MAX)
            return -EINVAL;
        /* Linux: only 1 can be asked for in a namespace that has no init yet. */
        if (wanted != 1 && !ns->reaper && ns->last_nr == 0)
            return -EINVAL;
        if (!cred_ns_capable(curr()->cred, ns->userns, LX_CAP_SYS_ADMIN) &&
            !cred_ns_capable(curr()->cred, ns->userns, LX_CAP_CHECKPOINT_RESTORE))
            return -EPERM;
        if (pidns_find_locked(ns, wanted))
            return -EEXIST;
    } else {
        nr = number_pick(ns);
        if (!nr)
            return -EAGAIN;
        ns->last_nr = nr;
    }
    n->nr = nr;
    RB_INSERT(pid_numbers, &ns->numbers, n);
    ns->count++;
    return 0;
}

static void number_release(struct pid_number *n)
{
    RB_REMOVE(pid_numbers, &n->ns->numbers, n);
    n->ns->count--;
}

int pid_new(struct pidns *ns, const lx_pid_t *set_tid, uint32_t set_tid_count, struct pid **out)
{
    struct pid *p;
    struct pidns *at = ns;
    uint32_t i;
    int ret = 0;

    if (set_tid_count > ns->level + 1)
        return -EINVAL;
    p = calloc(1, sizeof(*p) + (ns->level + 1) * sizeof(p->numbers[0]));
    if (!p)
        return -ENOMEM;
    refs_init(&p->refs);
    p->level = ns->level;
    waitq_init(&p->exit_wq);
    for (int kind = 0; kind < PID_KIND_COUNT; kind++)
        list_init(&p->tasks[kind]);
    mutex_lock(&g_taskset.lock);
    if (ns->dying)
        ret = -ENOMEM; /* Linux's errno for a namespace without init */
    for (i = 0; i <= ns->level && ret == 0; i++, at = at->parent) {
        ret = number_take(at, i < set_tid_count ? set_tid[i] : 0, &p->numbers[at->level]);
        if (ret == 0)
            p->numbers[at->level].ns = pidns_get(at);
    }
    if (ret < 0) {
        for (i = 0; i <= ns->level; i++)
            if (p->numbers[i].ns)
                number_release(&p->numbers[i]);
    } else {
        p->hashed = true;
    }
    mutex_unlock(&g_taskset.lock);
    if (ret < 0) {
        pid_put(p);
        return ret;
    }
    *out = p;
    return 0;
}

void pid_unhash_locked(struct pid *p)
{
    ASSERT_HELD(&g_taskset.lock);
    if (!p->hashed)
        return;
    p->hashed = false;
    for (uint32_t i = 0; i <= p->level; i++)
        number_release(&p->numbers[i]);
}

struct pid *pid_get(struct pid *p)
{
    if (p)
        refs_get(&p->refs);
    return p;
}

void pid_put(struct pid *p)
{
    if (!p || !refs_put(&p->refs))
        return;
    ASSERT(!p->hashed);
    for (uint32_t i = 0; i <= p->level; i++)
        pidns_put(p->numbers[i].ns);
    waitq_destroy(&p->exit_wq);
    free(p);
}

lx_pid_t pid_nr_in(const struct pid *p, const struct pidns *ns)
{
    if (!p || !ns || ns->level > p->level || p->numbers[ns->level].ns != ns)
        return 0;
    return p->numbers[ns->level].nr;
}

lx_pid_t pid_nr(const struct pid *p)
{
    return pid_nr_in(p, curr()->pidns);
}
