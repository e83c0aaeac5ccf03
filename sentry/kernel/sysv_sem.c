/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V semaphores: semget(2), semop(2), semctl(2). A set of operations happens as a whole or
 * not at all. Whoever cannot go on queues its operations; every change of the set tries the queue
 * in order and completes what has become possible, so a woken task finds its operations done.
 *
 * Undo: per set and process, one adjustment per semaphore, applied when the process's last thread
 * ends. DEVIATION: the list is per process; clone without CLONE_SYSVSEM inside one process shares
 * it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/ipc_internal.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/sysvipc.h"
#include "sentry/mm/uaccess.h"

struct sem {
    uint16_t value;
    struct pid *pid; /* i, +1: last operation */
};

/* Lifetime: unique, on its set. */
struct sem_undo {
    struct list node;        /* i */
    struct thread_group *tg; /* i, borrowed: applied and freed before the process goes */
    int16_t adjust[];        /* i: per semaphore */
};

/* On the stack of the sleeping task. */
struct sem_waiter {
    struct list node; /* i */
    struct sleeper *sleeper;
    const struct lx_sembuf *ops;
    uint32_t count;
    struct thread_group *tg;
    struct pid *pid;
    struct sem_undo *undo; /* i: room for SEM_UNDO, or NULL */
    uint32_t blocked_on;   /* i: index of the operation that waits */
    int result;            /* i: 1: still waiting; 0, -EIDRM, -ERANGE: done */
};

struct sem_set {
    struct ipc_object obj;
    struct ipcns *ns;    /* I, borrowed: its table and its tasks hold sets */
    uint32_t count;      /* I */
    int64_t otime;       /* i */
    struct list waiters; /* i */
    struct list undos;   /* i */
    struct sem sems[];   /* i */
};

static struct sem_set *set_of(const struct ipc_object *o)
{
    return container_of(o, struct sem_set, obj);
}

static void set_destroy(struct ipc_object *o)
{
    struct sem_set *s = set_of(o);
    struct sem_undo *u, *tmp;

    list_for_each_entry_safe(u, tmp, &s->undos, node) {
        free(u);
    }
    for (uint32_t i = 0; i < s->count; i++)
        pid_put(s->sems[i].pid);
    atomic_fetch_sub(&s->ns->sems, s->count);
    free(s);
}

/* What semop(2) can name; and, DEVIATION, what all sets of a namespace hold, whatever its limits are: they are
 * the sentry's memory (Linux charges the memory cgroup). */
enum { SET_MAX = 65536, SEMS_MAX = 4 << 20 };

static int set_make(struct ipcns *ns, const struct ipc_get *g, struct ipc_object **out)
{
    struct sem_set *s;

    if (g->nsems <= 0 || (uint64_t)g->nsems > ns->limits.semmsl)
        return -EINVAL;
    if (atomic_fetch_add(&ns->sems, (uint64_t)g->nsems) + (uint64_t)g->nsems >
        MIN(ns->limits.semmns, SEMS_MAX)) {
        atomic_fetch_sub(&ns->sems, (uint64_t)g->nsems);
        return -ENOSPC;
    }
    s = g->nsems > SET_MAX ? NULL : calloc(1, sizeof(*s) + (size_t)g->nsems * sizeof(s->sems[0]));
    if (!s) {
        atomic_fetch_sub(&ns->sems, (uint64_t)g->nsems);
        return -ENOMEM;
    }
    s->ns = ns;
    ipc_init_object(&s->obj, g);
    s->obj.destroy = set_destroy;
    s->count = (uint32_t)g->nsems;
    list_init(&s->waiters);
    list_init(&s->undos);
    *out = &s->obj;
    return 0;
}

static int set_check(const struct ipc_get *g, const struct ipc_object *o)
{
    return g->nsems > (int)set_of(o)->count ? -EINVAL : 0;
}

long sem_get(struct task *t, int32_t key, int nsems, int flags)
{
    const struct ipc_get g = {
        .kind = IPC_SEM,
        .key = key,
        .flags = flags,
        .make = set_make,
        .check = set_check,
        .nsems = nsems,
    };

    if (nsems < 0 || (uint64_t)nsems > t->curr.ipcns->limits.semmsl)
        return -EINVAL;
    return ipc_get(t->curr.ipcns, &g);
}

/* ---- operations ------------------------------------------------------------------------------ */

static void sem_touch(struct sem *s, struct pid *pid)
{
    struct pid *old = s->pid;

    s->pid = pid_get(pid);
    /* Not the last reference: the previous toucher's number table entry or task holds one, or the
     * object is freed here, which takes no lock. */
    pid_put(old);
}

/* Tries all operations of w: 0 done, 1 must wait (blocked_on set), -ERANGE, -EFBIG never here. */
static int try_operate(struct sem_set *s, struct sem_waiter *w)
{
    uint32_t done;
    int ret = 0;

    for (done = 0; done < w->count; done++) {
        const struct lx_sembuf *op = &w->ops[done];
        struct sem *sem = &s->sems[op->num];
        int value = sem->value;

        if (op->op == 0 ? value != 0 : value + op->op < 0) {
            ret = 1;
            break;
        }
        if (value + op->op > LX_SEMVMX) {
            ret = -ERANGE;
            break;
        }
        if (op->flg & LX_SEM_UNDO) {
            int adjust = w->undo->adjust[op->num] - op->op;

            if (adjust < -LX_SEMAEM - 1 || adjust > LX_SEMAEM) {
                ret = -ERANGE;
                break;
            }
            w->undo->adjust[op->num] = (int16_t)adjust;
        }
        sem->value = (uint16_t)(value + op->op);
    }
    if (ret == 0) {
        for (uint32_t i = 0; i < w->count; i++)
            sem_touch(&s->sems[w->ops[i].num], w->pid);
        s->otime = ipc_now();
        return 0;
    }
    w->blocked_on = done;
    if (ret == 1 && (w->ops[done].flg & LX_IPC_NOWAIT))
        ret = -EAGAIN;
    while (done-- > 0) {
        const struct lx_sembuf *op = &w->ops[done];

        s->sems[op->num].value = (uint16_t)(s->sems[op->num].value - op->op);
        if (op->flg & LX_SEM_UNDO)
            w->undo->adjust[op->num] = (int16_t)(w->undo->adjust[op->num] + op->op);
    }
    return ret;
}

/* After a change: completes waiters until nobody can go on. */
static void run_queue(struct sem_set *s)
{
    struct sem_waiter *w, *tmp;
    bool progress = true;

    while (progress) {
        progress = false;
        list_for_each_entry_safe(w, tmp, &s->waiters, node) {
            int ret = try_operate(s, w);

            if (ret == 1)
                continue;
            list_del(&w->node);
            w->result = ret;
            sleeper_wake(w->sleeper);
            progress |= ret == 0;
        }
    }
}

bool sysv_sem_undo_used(const struct task *t)
{
    return atomic_load(&t->tg->sem_undo);
}

static struct sem_undo *undo_find(struct sem_set *s, struct thread_group *tg)
{
    struct sem_undo *u;

    list_for_each_entry(u, &s->undos, node) {
        if (u->tg == tg)
            return u;
    }
    return NULL;
}

static int check_ops(const struct sem_set *s, struct sem_waiter *w, bool *out_alters)
{
    *out_alters = false;
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->ops[i].num >= s->count)
            return -EFBIG;
        if (w->ops[i].op)
            *out_alters = true;
    }
    return 0;
}

static bool wants_undo(const struct sem_waiter *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        if (w->ops[i].flg & LX_SEM_UNDO)
            return true;
    return false;
}

/* First try under the lock. 1: w is queued on *out_set (+1). */
static int begin(struct task *t, int id, struct sem_waiter *w, struct sem_set **out_set)
{
    struct ipcns *ns = t->curr.ipcns;
    struct ipc_object *o;
    struct sem_set *s;
    bool alters;
    int ret;

    mutex_lock(&ns->lock);
    ret = ipc_find_locked(ns, IPC_SEM, id, &o);
    if (ret < 0)
        goto out;
    s = set_of(o);
    ret = check_ops(s, w, &alters);
    if (ret == 0)
        ret = ipc_permission(ns, o, alters ? 0222 : 0444);
    if (ret < 0)
        goto out;
    if (wants_undo(w)) {
        atomic_store(&t->tg->sem_undo, true);
        w->undo = undo_find(s, t->tg);
        if (!w->undo) {
            w->undo = calloc(1, sizeof(*w->undo) + s->count * sizeof(w->undo->adjust[0]));
            ret = -ENOMEM;
            if (!w->undo)
                goto out;
            w->undo->tg = t->tg;
            list_add_tail(&s->undos, &w->undo->node);
        }
    }
    ret = try_operate(s, w);
    if (ret == 0 && alters)
        run_queue(s);
    if (ret == 1) {
        w->result = 1;
        list_add_tail(&s->waiters, &w->node);
        refs_get(&o->refs);
        *out_set = s;
    }
out:
    mutex_unlock(&ns->lock);
    return ret;
}

static int wait_done(struct ipcns *ns, struct sem_set *s, struct sem_waiter *w, uint64_t deadline)
{
    int ret = 0, result;

    for (;;) {
        mutex_lock(&ns->lock);
        result = w->result;
        if (result == 1 && ret < 0)
            list_del(&w->node);
        mutex_unlock(&ns->lock);
        if (result != 1)
            break;
        if (ret < 0) {
            result = ret == -ETIMEDOUT ? -EAGAIN : -EINTR;
            break;
        }
        ret = task_block(deadline);
    }
    ipc_put(&s->obj);
    return result;
}

long sem_operate(struct task *t, int id, uaddr_t sops, uint32_t count, uint64_t deadline)
{
    struct lx_sembuf small[16], *ops = small;
    struct sem_waiter w;
    struct sem_set *s;
    long ret;

    if (count < 1 || id < 0)
        return -EINVAL;
    if (count > t->curr.ipcns->limits.semopm)
        return -E2BIG;
    if (count > ARRAY_COUNT(small)) {
        ops = count > SET_MAX ? NULL : calloc(count, sizeof(*ops));
        if (!ops)
            return -ENOMEM;
    }
    ret = copy_in(ops, sops, count * sizeof(*ops));
    if (ret < 0)
        goto out;
    w = (struct sem_waiter){
        .sleeper = &t->curr.sleeper,
        .ops = ops,
        .count = count,
        .tg = t->tg,
        .pid = t->curr.tgid,
    };
    ret = begin(t, id, &w, &s);
    if (ret == 1)
        ret = wait_done(t->curr.ipcns, s, &w, deadline);
out:
    if (ops != small)
        free(ops);
    return ret;
}

/* ---- exit ------------------------------------------------------------------------------------ */

static void undo_apply(struct sem_set *s, struct sem_undo *u)
{
    struct pid *pid = curr()->tgid;

    for (uint32_t i = 0; i < s->count; i++) {
        int value = s->sems[i].value + u->adjust[i];

        if (!u->adjust[i])
            continue;
        s->sems[i].value = (uint16_t)(value < 0 ? 0 : value > LX_SEMVMX ? LX_SEMVMX : value);
        sem_touch(&s->sems[i], pid);
    }
    list_del(&u->node);
    free(u);
    run_queue(s);
}

void sem_group_exit(struct ipcns *ns, struct thread_group *tg)
{
    mutex_lock(&ns->lock);
    for (uint32_t i = 0; i < ns->tables[IPC_SEM].capacity; i++) {
        struct ipc_object *o = ns->tables[IPC_SEM].slots[i];
        struct sem_undo *u = o ? undo_find(set_of(o), tg) : NULL;

        if (u)
            undo_apply(set_of(o), u);
    }
    mutex_unlock(&ns->lock);
}

/* ---- control --------------------------------------------------------------------------------- */

static void stat_out(const struct ipc_object *o, struct lx_semid_ds *out)
{
    *out = (struct lx_semid_ds){
        .otime = set_of(o)->otime,
        .ctime = o->ctime,
        .nsems = set_of(o)->count,
    };
    ipc_perm_out(o, &out->perm);
}

static void list_one(const struct ipc_object *o, void *info)
{
    ((struct sysv_sem_info *)info)->id = o->id;
    stat_out(o, &((struct sysv_sem_info *)info)->ds);
}

int sem_list(struct ipcns *ns, struct sysv_sem_info **out, size_t *count)
{
    *out = ipc_list(ns, IPC_SEM, sizeof(**out), list_one, count);
    return *out ? 0 : -ENOMEM;
}

static long sem_stat(struct ipcns *ns, int id, int cmd, uaddr_t buf)
{
    struct ipc_object *o = NULL;
    struct lx_semid_ds ds;
    int ret = 0;

    mutex_lock(&ns->lock);
    if (cmd == LX_IPC_STAT) {
        ret = ipc_find_locked(ns, IPC_SEM, id, &o);
    } else {
        o = ipc_at_locked(ns, IPC_SEM, id);
        ret = o ? o->id : -EINVAL;
    }
    if (ret >= 0 && cmd != LX_SEM_STAT_ANY && ipc_permission(ns, o, 0444) < 0)
        ret = -EACCES;
    if (ret >= 0)
        stat_out(o, &ds);
    mutex_unlock(&ns->lock);
    if (ret >= 0 && put_user(&ds, buf) < 0)
        return -EFAULT;
    return ret;
}

static long sem_info(struct ipcns *ns, int cmd, uaddr_t buf)
{
    struct lx_seminfo info = {
        .semmap = LX_SEMMNS & INT32_MAX,
        .semmni = (int32_t)ns->limits.semmni,
        .semmns = (int32_t)ns->limits.semmns,
        .semmnu = LX_SEMMNS & INT32_MAX,
        .semmsl = (int32_t)ns->limits.semmsl,
        .semopm = (int32_t)ns->limits.semopm,
        .semume = LX_SEMOPM,
        .semusz = 20,
        .semvmx = LX_SEMVMX,
        .semaem = LX_SEMAEM,
    };
    int highest;

    mutex_lock(&ns->lock);
    highest = ipc_highest_locked(ns, IPC_SEM);
    if (cmd == LX_SEM_INFO) {
        info.semusz = (int32_t)ns->tables[IPC_SEM].count;
        info.semaem = 0;
        for (int i = 0; i <= highest; i++)
            if (ipc_at_locked(ns, IPC_SEM, i))
                info.semaem += (int32_t)set_of(ipc_at_locked(ns, IPC_SEM, i))->count;
    }
    mutex_unlock(&ns->lock);
    return put_user(&info, buf) < 0 ? -EFAULT : highest;
}

static int count_waiters(const struct sem_set *s, uint32_t num, bool for_zero)
{
    struct sem_waiter *w;
    int count = 0;

    list_for_each_entry(w, &s->waiters, node) {
        const struct lx_sembuf *op = &w->ops[w->blocked_on];

        count += op->num == num && (op->op == 0) == for_zero;
    }
    return count;
}

static void undo_forget(struct sem_set *s, uint32_t num)
{
    struct sem_undo *u;

    list_for_each_entry(u, &s->undos, node) {
        u->adjust[num] = 0;
    }
}

/* GETVAL, GETPID, GETNCNT, GETZCNT, SETVAL. */
static long sem_one(struct ipcns *ns, int id, int num, int cmd, int value)
{
    struct ipc_object *o;
    struct sem_set *s;
    long ret;

    if (cmd == LX_SETVAL && (value < 0 || value > LX_SEMVMX))
        return -ERANGE;
    mutex_lock(&ns->lock);
    ret = ipc_find_locked(ns, IPC_SEM, id, &o);
    if (ret < 0)
        goto out;
    s = set_of(o);
    if (cmd == LX_SETVAL && (num < 0 || (uint32_t)num >= s->count)) {
        ret = -EINVAL;
        goto out;
    }
    ret = ipc_permission(ns, o, cmd == LX_SETVAL ? 0222 : 0444);
    if (ret < 0)
        goto out;
    ret = -EINVAL;
    if (num < 0 || (uint32_t)num >= s->count)
        goto out;
    switch (cmd) {
    case LX_GETVAL:
        ret = s->sems[num].value;
        break;
    case LX_GETPID:
        ret = pid_nr(s->sems[num].pid);
        break;
    case LX_GETNCNT:
    case LX_GETZCNT:
        ret = count_waiters(s, (uint32_t)num, cmd == LX_GETZCNT);
        break;
    default:
        s->sems[num].value = (uint16_t)value;
        sem_touch(&s->sems[num], curr()->tgid);
        undo_forget(s, (uint32_t)num);
        s->obj.ctime = ipc_now();
        run_queue(s);
        ret = 0;
        break;
    }
out:
    mutex_unlock(&ns->lock);
    return ret;
}

/* GETALL, SETALL: the values travel through a buffer, since no copy may happen under the lock. */
static long sem_all(struct ipcns *ns, int id, int cmd, uaddr_t array)
{
    uint16_t *values;
    struct ipc_object *o;
    struct sem_set *s;
    uint32_t count = 0;
    long ret;

    mutex_lock(&ns->lock);
    ret = ipc_find_locked(ns, IPC_SEM, id, &o);
    if (ret == 0)
        ret = ipc_permission(ns, o, cmd == LX_SETALL ? 0222 : 0444);
    if (ret == 0)
        count = set_of(o)->count;
    mutex_unlock(&ns->lock);
    if (ret < 0)
        return ret;
    values = calloc(count, sizeof(*values));
    if (!values)
        return -ENOMEM;
    if (cmd == LX_SETALL) {
        ret = copy_in(values, array, count * sizeof(*values));
        for (uint32_t i = 0; ret == 0 && i < count; i++)
            if (values[i] > LX_SEMVMX)
                ret = -ERANGE;
        if (ret < 0)
            goto out;
    }
    mutex_lock(&ns->lock);
    ret = ipc_find_locked(ns, IPC_SEM, id, &o);
    if (ret == 0 && set_of(o)->count != count)
        ret = -EIDRM;
    if (ret == 0) {
        s = set_of(o);
        for (uint32_t i = 0; i < count; i++) {
            if (cmd == LX_GETALL) {
                values[i] = s->sems[i].value;
                continue;
            }
            s->sems[i].value = values[i];
            sem_touch(&s->sems[i], curr()->tgid);
            undo_forget(s, i);
        }
        if (cmd == LX_SETALL) {
            s->obj.ctime = ipc_now();
            run_queue(s);
        }
    }
    mutex_unlock(&ns->lock);
    if (ret == 0 && cmd == LX_GETALL)
        ret = copy_out(array, values, count * sizeof(*values));
out:
    free(values);
    return ret;
}

static long sem_change(struct ipcns *ns, int id, int cmd, const struct lx_semid_ds *ds)
{
    struct ipc_object *o, *dead = NULL;
    struct sem_waiter *w, *tmp;
    int ret;

    mutex_lock(&ns->lock);
    ret = ipc_find_locked(ns, IPC_SEM, id, &o);
    if (ret == 0)
        ret = ipc_may_control(ns, o);
    if (ret == 0 && cmd == LX_IPC_SET)
        ret = ipc_perm_set(o, &ds->perm);
    if (ret == 0 && cmd == LX_IPC_RMID) {
        ipc_remove_locked(ns, IPC_SEM, o);
        dead = o;
        list_for_each_entry_safe(w, tmp, &set_of(o)->waiters, node) {
            list_del(&w->node);
            w->result = -EIDRM;
            sleeper_wake(w->sleeper);
        }
    }
    mutex_unlock(&ns->lock);
    if (dead)
        ipc_put(dead);
    return ret;
}

long sem_control(struct task *t, int id, int num, int cmd, uint64_t arg)
{
    struct ipcns *ns = t->curr.ipcns;
    struct lx_semid_ds ds;

    if (id < 0)
        return -EINVAL;
    switch (cmd) {
    case LX_IPC_INFO:
    case LX_SEM_INFO:
        return sem_info(ns, cmd, arg);
    case LX_IPC_STAT:
    case LX_SEM_STAT:
    case LX_SEM_STAT_ANY:
        return sem_stat(ns, id, cmd, arg);
    case LX_GETALL:
    case LX_SETALL:
        return sem_all(ns, id, cmd, arg);
    case LX_GETVAL:
    case LX_GETPID:
    case LX_GETNCNT:
    case LX_GETZCNT:
    case LX_SETVAL:
        return sem_one(ns, id, num, cmd, (int)arg);
    case LX_IPC_SET:
        if (get_user(&ds, arg) < 0)
            return -EFAULT;
        return sem_change(ns, id, cmd, &ds);
    case LX_IPC_RMID:
        return sem_change(ns, id, cmd, NULL);
    default:
        return -EINVAL;
    }
}
