/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V message queues: msgget(2), msgop(2), msgctl(2). Senders wait for room, receivers for a
 * message of their type; all of a namespace sleep on one wait queue, since queues are rare.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/core/restart.h"
#include "sentry/kernel/ipc_internal.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/sysvipc.h"
#include "sentry/mm/uaccess.h"

/* DEVIATION: what all queues of a namespace may hold, whatever its limits are: those of Linux's defaults. */
#define MSG_BYTES_MAX ((uint64_t)LX_MSGMNI * LX_MSGMNB)

struct message {
    struct list node; /* i */
    int64_t type;
    uint64_t size;
    uint8_t text[];
};

struct msg_queue {
    struct ipc_object obj;
    struct list messages;             /* i */
    uint64_t bytes, count, max_bytes; /* i */
    int64_t stime, rtime;             /* i */
    struct pid *lspid, *lrpid;        /* i, +1 */
};

static struct msg_queue *queue_of(const struct ipc_object *o)
{
    return container_of(o, struct msg_queue, obj);
}

static void queue_destroy(struct ipc_object *o)
{
    struct msg_queue *q = queue_of(o);
    struct message *m, *tmp;

    list_for_each_entry_safe(m, tmp, &q->messages, node) {
        free(m);
    }
    pid_put(q->lspid);
    pid_put(q->lrpid);
    free(q);
}

static int queue_make(struct ipcns *ns, const struct ipc_get *g, struct ipc_object **out)
{
    struct msg_queue *q = calloc(1, sizeof(*q));

    if (!q)
        return -ENOMEM;
    ipc_init_object(&q->obj, g);
    q->obj.destroy = queue_destroy;
    list_init(&q->messages);
    q->max_bytes = ns->limits.msgmnb;
    *out = &q->obj;
    return 0;
}

long msg_get(struct task *t, int32_t key, int flags)
{
    const struct ipc_get g = {.kind = IPC_MSG, .key = key, .flags = flags, .make = queue_make};

    return ipc_get(t->curr.ipcns, &g);
}

static void set_pid(struct pid **slot, struct pid *pid)
{
    struct pid *old = *slot;

    *slot = pid_get(pid);
    pid_put(old);
}

/* ---- send ------------------------------------------------------------------------------------ */

/* 0 sent (m is the queue's), 1 full, -errno. */
static int try_send(struct task *t, int id, struct message *m, bool again)
{
    struct ipcns *ns = t->curr.ipcns;
    struct ipc_object *o;
    struct msg_queue *q;
    int ret;

    mutex_lock(&ns->lock);
    ret = ipc_find_locked(ns, IPC_MSG, id, &o);
    if (ret < 0 && again)
        ret = -EIDRM;
    if (ret == 0)
        ret = ipc_permission(ns, o, 0222);
    if (ret == 0) {
        q = queue_of(o);
        if (m->size + q->bytes > q->max_bytes || q->count + 1 > q->max_bytes ||
            ns->msg_bytes + m->size > MSG_BYTES_MAX) {
            ret = 1;
        } else {
            list_add_tail(&q->messages, &m->node);
            q->bytes += m->size;
            ns->msg_bytes += m->size;
            q->count++;
            q->stime = ipc_now();
            set_pid(&q->lspid, t->curr.tgid);
        }
    }
    mutex_unlock(&ns->lock);
    return ret;
}

long msg_send(struct task *t, int id, uaddr_t msg, uint64_t size, int flags)
{
    struct ipcns *ns = t->curr.ipcns;
    struct message *m;
    struct waiter w;
    int64_t type;
    int ret;

    if (get_user(&type, msg) < 0)
        return -EFAULT;
    if (size > t->curr.ipcns->limits.msgmax || id < 0 || type < 1)
        return -EINVAL;
    if (size > MSG_BYTES_MAX)
        return -ENOMEM;
    m = malloc(sizeof(*m) + size);
    if (!m)
        return -ENOMEM;
    m->type = type;
    m->size = size;
    list_init(&m->node);
    ret = copy_in(m->text, msg + sizeof(type), size);
    if (ret == 0)
        ret = try_send(t, id, m, false);
    if (ret == 1 && (flags & LX_IPC_NOWAIT))
        ret = -EAGAIN;
    if (ret == 1) {
        waiter_init(&w, WAKE_OUT);
        waitq_add(&ns->msg_wq, &w);
        while ((ret = try_send(t, id, m, true)) == 1) {
            ret = task_block(NO_DEADLINE);
            if (ret < 0) {
                ret = -ERESTARTNOHAND;
                break;
            }
        }
        waitq_remove(&ns->msg_wq, &w);
    }
    if (ret < 0)
        free(m);
    else
        waitq_wake(&ns->msg_wq, WAKE_IN);
    return ret;
}

/* ---- receive --------------------------------------------------------------------------------- */

static struct message *pick(struct msg_queue *q, int64_t type, int flags)
{
    struct message *m, *best = NULL;
    int64_t index = 0;

    list_for_each_entry(m, &q->messages, node) {
        if (flags & LX_MSG_COPY) {
            if (index++ == type)
                return m;
            continue;
        }
        if (type == 0)
            return m;
        if (type > 0) {
            if ((m->type == type) != !!(flags & LX_MSG_EXCEPT))
                return m;
            continue;
        }
        if (m->type <= -type && (!best || m->type < best->type))
            best = m;
    }
    return best;
}

/* 0: *out is the caller's; 1: nothing there; -errno. */
static int try_receive(struct task *t, int id, uint64_t size, int64_t type, int flags, bool again,
                       struct message **out)
{
    struct ipcns *ns = t->curr.ipcns;
    struct ipc_object *o;
    struct msg_queue *q;
    struct message *m;
    int ret;

    mutex_lock(&ns->lock);
    ret = ipc_find_locked(ns, IPC_MSG, id, &o);
    if (ret < 0 && again)
        ret = -EIDRM;
    if (ret == 0)
        ret = ipc_permission(ns, o, 0444);
    if (ret < 0)
        goto out;
    q = queue_of(o);
    m = pick(q, type, flags);
    if (!m) {
        ret = 1;
    } else if (m->size > size && !(flags & LX_MSG_NOERROR)) {
        ret = -E2BIG;
    } else if (flags & LX_MSG_COPY) {
        *out = malloc(sizeof(*m) + m->size);
        ret = *out ? 0 : -ENOMEM;
        if (*out)
            __builtin_memcpy(*out, m, sizeof(*m) + m->size);
    } else {
        list_del(&m->node);
        q->bytes -= m->size;
        ns->msg_bytes -= m->size;
        q->count--;
        q->rtime = ipc_now();
        set_pid(&q->lrpid, t->curr.tgid);
        *out = m;
    }
out:
    mutex_unlock(&ns->lock);
    return ret;
}

long msg_receive(struct task *t, int id, uaddr_t msg, uint64_t size, int64_t type, int flags)
{
    struct ipcns *ns = t->curr.ipcns;
    struct message *m = NULL;
    struct waiter w;
    long ret;

    if (id < 0 || (int64_t)size < 0)
        return -EINVAL;
    if ((flags & LX_MSG_COPY) && ((flags & LX_MSG_EXCEPT) || !(flags & LX_IPC_NOWAIT)))
        return -EINVAL;
    ret = try_receive(t, id, size, type, flags, false, &m);
    if (ret == 1 && (flags & LX_IPC_NOWAIT))
        return -ENOMSG;
    if (ret == 1) {
        waiter_init(&w, WAKE_IN);
        waitq_add(&ns->msg_wq, &w);
        while ((ret = try_receive(t, id, size, type, flags, true, &m)) == 1) {
            ret = task_block(NO_DEADLINE);
            if (ret < 0) {
                ret = -ERESTARTNOHAND;
                break;
            }
        }
        waitq_remove(&ns->msg_wq, &w);
    }
    if (ret < 0)
        return ret;
    waitq_wake(&ns->msg_wq, WAKE_OUT);
    size = MIN(size, m->size);
    if (put_user(&m->type, msg) < 0 || copy_out(msg + sizeof(m->type), m->text, size) < 0)
        ret = -EFAULT;
    else
        ret = (long)size;
    free(m);
    return ret;
}

/* ---- control --------------------------------------------------------------------------------- */

static void stat_out(const struct ipc_object *o, struct lx_msqid_ds *out)
{
    const struct msg_queue *q = queue_of(o);

    *out = (struct lx_msqid_ds){
        .stime = q->stime,
        .rtime = q->rtime,
        .ctime = o->ctime,
        .cbytes = q->bytes,
        .qnum = q->count,
        .qbytes = q->max_bytes,
        .lspid = pid_nr(q->lspid),
        .lrpid = pid_nr(q->lrpid),
    };
    ipc_perm_out(o, &out->perm);
}

static void list_one(const struct ipc_object *o, void *info)
{
    ((struct sysv_msg_info *)info)->id = o->id;
    stat_out(o, &((struct sysv_msg_info *)info)->ds);
}

int msg_list(struct ipcns *ns, struct sysv_msg_info **out, size_t *count)
{
    *out = ipc_list(ns, IPC_MSG, sizeof(**out), list_one, count);
    return *out ? 0 : -ENOMEM;
}

static long msg_stat(struct ipcns *ns, int id, int cmd, uaddr_t buf)
{
    struct ipc_object *o = NULL;
    struct lx_msqid_ds ds;
    int ret;

    mutex_lock(&ns->lock);
    if (cmd == LX_IPC_STAT) {
        ret = ipc_find_locked(ns, IPC_MSG, id, &o);
    } else {
        o = ipc_at_locked(ns, IPC_MSG, id);
        ret = o ? o->id : -EINVAL;
    }
    if (ret >= 0 && cmd != LX_MSG_STAT_ANY && ipc_permission(ns, o, 0444) < 0)
        ret = -EACCES;
    if (ret >= 0)
        stat_out(o, &ds);
    mutex_unlock(&ns->lock);
    if (ret >= 0 && put_user(&ds, buf) < 0)
        return -EFAULT;
    return ret;
}

static long msg_info(struct ipcns *ns, int cmd, uaddr_t buf)
{
    struct lx_msginfo info = {
        .msgpool = LX_MSGMNI * LX_MSGMNB / 1024,
        .msgmap = LX_MSGMNB,
        .msgmax = (int32_t)ns->limits.msgmax,
        .msgmnb = (int32_t)ns->limits.msgmnb,
        .msgmni = (int32_t)ns->limits.msgmni,
        .msgssz = 16,
        .msgtql = LX_MSGMNB,
        .msgseg = 0xffff,
    };
    int highest;

    mutex_lock(&ns->lock);
    highest = ipc_highest_locked(ns, IPC_MSG);
    if (cmd == LX_MSG_INFO) {
        info.msgpool = (int32_t)ns->tables[IPC_MSG].count;
        info.msgmap = info.msgtql = 0;
        for (int i = 0; i <= highest; i++) {
            struct ipc_object *o = ipc_at_locked(ns, IPC_MSG, i);

            if (!o)
                continue;
            info.msgmap += (int32_t)queue_of(o)->count;
            info.msgtql += (int32_t)queue_of(o)->bytes;
        }
    }
    mutex_unlock(&ns->lock);
    return put_user(&info, buf) < 0 ? -EFAULT : highest;
}

static long msg_change(struct ipcns *ns, int id, int cmd, const struct lx_msqid_ds *ds)
{
    struct ipc_object *o, *dead = NULL;
    int ret;

    mutex_lock(&ns->lock);
    ret = ipc_find_locked(ns, IPC_MSG, id, &o);
    if (ret == 0)
        ret = ipc_may_control(ns, o);
    if (ret == 0 && cmd == LX_IPC_SET) {
        if (ds->qbytes > ns->limits.msgmnb &&
            !cred_ns_capable(curr()->cred, ns->owner, LX_CAP_SYS_RESOURCE))
            ret = -EPERM;
        else
            ret = ipc_perm_set(o, &ds->perm);
        if (ret == 0)
            queue_of(o)->max_bytes = ds->qbytes;
    }
    if (ret == 0 && cmd == LX_IPC_RMID) {
        ipc_remove_locked(ns, IPC_MSG, o);
        ns->msg_bytes -= queue_of(o)->bytes;
        dead = o;
    }
    mutex_unlock(&ns->lock);
    waitq_wake(&ns->msg_wq, WAKE_ALL);
    if (dead)
        ipc_put(dead);
    return ret;
}

long msg_control(struct task *t, int id, int cmd, uaddr_t buf)
{
    struct ipcns *ns = t->curr.ipcns;
    struct lx_msqid_ds ds;

    if (id < 0 || cmd < 0)
        return -EINVAL;
    switch (cmd) {
    case LX_IPC_INFO:
    case LX_MSG_INFO:
        return msg_info(ns, cmd, buf);
    case LX_IPC_STAT:
    case LX_MSG_STAT:
    case LX_MSG_STAT_ANY:
        return msg_stat(ns, id, cmd, buf);
    case LX_IPC_SET:
        if (get_user(&ds, buf) < 0)
            return -EFAULT;
        return msg_change(ns, id, cmd, &ds);
    case LX_IPC_RMID:
        return msg_change(ns, id, cmd, NULL);
    default:
        return -EINVAL;
    }
}
