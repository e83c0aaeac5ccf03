/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A notifier is a queue of calls between filtered tasks and whoever reads the listener's file.
 *
 * States of a call (seccomp_unotify(2)):
 *   WAITS    in the queue; NOTIF_RECV takes the oldest of these
 *   SENT     received; ID_VALID, ADDFD and NOTIF_SEND apply
 *   REPLIED  answered (or the file was closed): the task takes the answer and leaves
 * A call is its task's own: only the task removes it, under n->lock, and wakes from there. Others
 * find it by id under the lock and never keep it. A signal ends the wait (the call restarts), unless
 * the filter asked for killable waits and the call was received.
 *
 * Descriptors for the task (ADDFD) are installed by the task itself, so that one whose wait ended
 * gets none. The supervisor sleeps meanwhile; struct addfd is its own and off the list before it goes.
 */
#include "sentry/kernel/seccomp_notify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/ioctl.h"
#include "sentry/core/random.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/mm/uaccess.h"

enum { ADDFD_SIZE_MAX = 4096 };

enum call_state { CALL_WAITS, CALL_SENT, CALL_REPLIED };

/* Lifetime: on its task's stack while it is in the queue. Keys: I immutable, n notifier's lock */
struct call {
    struct list node;            /* n */
    uint64_t id;                 /* I */
    struct lx_seccomp_data data; /* I */
    struct pid *tid;             /* I, borrowed from the task */
    struct sleeper *sleeper;     /* I: the task's */
    enum call_state state;       /* n */
    int32_t error;               /* n: REPLIED */
    int64_t value;               /* n: REPLIED */
    bool go_on;                  /* n: REPLIED: make the call */
    struct list addfds;          /* n */
};

/* Keys: I immutable, n notifier's lock */
struct addfd {
    struct list node;        /* n: empty when it is over */
    struct file *file;       /* n, +1; NULL once the task has it */
    int fd;                  /* I: where, -1: anywhere */
    bool cloexec;            /* I */
    bool over;               /* n */
    int result;              /* n */
    struct sleeper *sleeper; /* I: the supervisor's */
};

/* Keys: I immutable, a atomic, n lock */
struct seccomp_notifier {
    struct refs refs;   /* a */
    bool wait_killable; /* I */
    struct mutex lock;  /* rank LEAF */
    struct list calls;  /* n: oldest first */
    uint64_t next_id;   /* n */
    bool closed;        /* n: no listener */
    bool orphan;        /* n: no filter */
    struct waitq wq;    /* readiness of the file */
};

struct listener {
    struct file file;
    struct seccomp_notifier *notifier; /* I, +1 */
};

static void notifier_put(struct seccomp_notifier *n)
{
    if (!refs_put(&n->refs))
        return;
    waitq_destroy(&n->wq);
    mutex_destroy(&n->lock);
    free(n);
}

static struct call *find_locked(struct seccomp_notifier *n, uint64_t id) REQUIRES(n->lock)
{
    struct call *c;

    list_for_each_entry(c, &n->calls, node) {
        if (c->id == id)
            return c;
    }
    return NULL;
}

static struct call *oldest_locked(struct seccomp_notifier *n, enum call_state state)
    REQUIRES(n->lock)
{
    struct call *c;

    list_for_each_entry(c, &n->calls, node) {
        if (c->state == state)
            return c;
    }
    return NULL;
}

static void reply_locked(struct call *c, int32_t error, int64_t value, bool go_on)
{
    c->state = CALL_REPLIED;
    c->error = error;
    c->value = value;
    c->go_on = go_on;
    sleeper_wake(c->sleeper);
}

/* ---- the task ------------------------------------------------------------------------------- */

static void addfd_over_locked(struct addfd *a, int result)
{
    a->result = result;
    a->over = true;
    sleeper_wake(a->sleeper);
}

/* Installs what supervisors have sent. */
static void take_descriptors(struct seccomp_notifier *n, struct call *c)
{
    mutex_lock(&n->lock);
    while (!list_empty(&c->addfds)) {
        struct addfd *a = list_first_entry(&c->addfds, struct addfd, node);
        struct file *f = a->file;
        int fd = a->fd, ret;
        bool cloexec = a->cloexec;

        /* Off the list and without its file it stays until `over`: the supervisor waits for that. */
        list_del(&a->node);
        a->file = NULL;
        mutex_unlock(&n->lock);
        ret = fd < 0 ? fdtable_install_take(curr()->files, f, 0, cloexec)
                     : fdtable_install_at_take(curr()->files, f, fd, cloexec);
        if (ret < 0)
            file_put(f);
        mutex_lock(&n->lock);
        addfd_over_locked(a, ret);
    }
    mutex_unlock(&n->lock);
}

static int wait_for_reply(struct seccomp_notifier *n, struct call *c)
{
    bool killable = false;
    int ret = 0;

    for (;;) {
        enum call_state state;

        take_descriptors(n, c);
        mutex_lock(&n->lock);
        state = c->state;
        mutex_unlock(&n->lock);
        if (state == CALL_REPLIED)
            return 0;
        if (ret < 0 && (killable || !n->wait_killable || state != CALL_SENT))
            return ret;
        killable = n->wait_killable && state == CALL_SENT;
        ret = killable ? task_block_killable(NO_DEADLINE) : task_block(NO_DEADLINE);
    }
}

long seccomp_notifier_ask(struct seccomp_notifier *n, struct task *t,
                          const struct lx_seccomp_data *data, bool *out_continue)
{
    struct call c = {
        .data = *data, .tid = t->curr.tid, .sleeper = &t->curr.sleeper, .state = CALL_WAITS};
    struct addfd *a, *tmp;
    int ret;

    *out_continue = false;
    list_init(&c.addfds);
    mutex_lock(&n->lock);
    if (n->closed) {
        mutex_unlock(&n->lock);
        return -ENOSYS;
    }
    c.id = n->next_id++;
    list_add_tail(&n->calls, &c.node);
    mutex_unlock(&n->lock);
    waitq_wake(&n->wq, WAKE_IN | WAKE_RDNORM);
    ret = wait_for_reply(n, &c);
    mutex_lock(&n->lock);
    list_del(&c.node);
    if (c.state == CALL_REPLIED)
        ret = 0;
    list_for_each_entry_safe(a, tmp, &c.addfds, node) {
        list_del(&a->node);
        addfd_over_locked(a, -ENOENT);
    }
    mutex_unlock(&n->lock);
    if (ret < 0)
        return ret;
    *out_continue = c.go_on;
    return c.error ? c.error : c.value;
}

/* ---- the supervisor --------------------------------------------------------------------------- */

static long receive(struct seccomp_notifier *n, uaddr_t arg)
{
    static const struct lx_seccomp_notif zero;
    struct lx_seccomp_notif out;
    struct waiter w;
    struct call *c;
    int ret = 0;

    if (get_user(&out, arg) < 0)
        return -EFAULT;
    if (memcmp(&out, &zero, sizeof(out)) != 0)
        return -EINVAL;
    waiter_init(&w, WAKE_IN | WAKE_RDNORM);
    waitq_add_exclusive(&n->wq, &w);
    for (;;) {
        mutex_lock(&n->lock);
        c = oldest_locked(n, CALL_WAITS);
        if (c) {
            c->state = CALL_SENT;
            out = (struct lx_seccomp_notif){
                .id = c->id, .pid = (uint32_t)pid_nr(c->tid), .data = c->data};
        } else if (n->orphan) {
            ret = -ENOENT;
        }
        mutex_unlock(&n->lock);
        if (c || ret < 0)
            break;
        ret = task_block(NO_DEADLINE);
    }
    waitq_remove(&n->wq, &w);
    if (ret < 0)
        return ret;
    waitq_wake(&n->wq, WAKE_OUT | WAKE_WRNORM);
    if (put_user(&out, arg) == 0)
        return 0;
    /* Nobody has seen it: it waits again. */
    mutex_lock(&n->lock);
    c = find_locked(n, out.id);
    if (c && c->state == CALL_SENT)
        c->state = CALL_WAITS;
    mutex_unlock(&n->lock);
    waitq_wake(&n->wq, WAKE_IN | WAKE_RDNORM);
    return -EFAULT;
}

static long send_reply(struct seccomp_notifier *n, uaddr_t arg)
{
    struct lx_seccomp_notif_resp r;
    struct call *c;
    long ret = 0;

    if (get_user(&r, arg) < 0)
        return -EFAULT;
    if (r.flags & ~LX_SECCOMP_USER_NOTIF_FLAG_CONTINUE)
        return -EINVAL;
    if ((r.flags & LX_SECCOMP_USER_NOTIF_FLAG_CONTINUE) && (r.error || r.val))
        return -EINVAL;
    mutex_lock(&n->lock);
    c = find_locked(n, r.id);
    if (!c)
        ret = -ENOENT;
    else if (c->state != CALL_SENT)
        ret = -EINPROGRESS;
    else
        reply_locked(c, r.error, r.val, r.flags & LX_SECCOMP_USER_NOTIF_FLAG_CONTINUE);
    mutex_unlock(&n->lock);
    return ret;
}

static long id_valid(struct seccomp_notifier *n, uaddr_t arg)
{
    struct call *c;
    uint64_t id;
    long ret;

    if (get_user(&id, arg) < 0)
        return -EFAULT;
    mutex_lock(&n->lock);
    c = find_locked(n, id);
    ret = c && c->state == CALL_SENT ? 0 : -ENOENT;
    mutex_unlock(&n->lock);
    return ret;
}

/* Sleeps until the task has installed it. Only a signal or the call's end comes before. */
static int addfd_wait(struct seccomp_notifier *n, struct addfd *a)
{
    int ret = 0;

    for (;;) {
        bool over, taken;

        mutex_lock(&n->lock);
        over = a->over;
        taken = !over && list_empty(&a->node);
        if (ret < 0 && !over && !taken) {
            list_del(&a->node); /* before the task saw it */
            over = true;
        }
        mutex_unlock(&n->lock);
        if (over)
            return a->over ? a->result : ret;
        /* The task is installing it right now: that ends by itself. */
        if (taken)
            IGNORE_RESULT(task_block_killable(NO_DEADLINE)); /* looks again */
        else
            ret = task_block(NO_DEADLINE);
    }
}

static long addfd_send(struct seccomp_notifier *n, const struct lx_seccomp_addfd *rq,
                       struct addfd *a)
{
    bool reply = rq->flags & LX_SECCOMP_ADDFD_FLAG_SEND;
    struct call *c;
    int ret = 0;

    mutex_lock(&n->lock);
    c = find_locked(n, rq->id);
    if (!c)
        ret = -ENOENT;
    else if (c->state != CALL_SENT)
        ret = -EINPROGRESS;
    else if (reply && !list_empty(&c->addfds))
        ret = -EBUSY;
    if (ret == 0) {
        list_add_tail(&c->addfds, &a->node);
        sleeper_wake(c->sleeper);
    }
    mutex_unlock(&n->lock);
    if (ret == 0)
        ret = addfd_wait(n, a);
    if (ret < 0 || !reply)
        return ret;
    mutex_lock(&n->lock);
    c = find_locked(n, rq->id);
    if (c && c->state == CALL_SENT)
        reply_locked(c, 0, ret, /*go_on=*/false);
    mutex_unlock(&n->lock);
    return ret;
}

static long addfd(struct seccomp_notifier *n, uint32_t size, uaddr_t arg)
{
    struct addfd a = {.sleeper = &curr()->sleeper};
    struct lx_seccomp_addfd rq;
    long ret;

    if (size < sizeof(rq) || size >= ADDFD_SIZE_MAX)
        return -EINVAL;
    ret = copy_struct_from_user(&rq, sizeof(rq), arg, size);
    if (ret < 0)
        return ret;
    if (rq.newfd_flags & ~LX_O_CLOEXEC)
        return -EINVAL;
    if (rq.flags & ~(LX_SECCOMP_ADDFD_FLAG_SETFD | LX_SECCOMP_ADDFD_FLAG_SEND))
        return -EINVAL;
    if (rq.newfd && !(rq.flags & LX_SECCOMP_ADDFD_FLAG_SETFD))
        return -EINVAL;
    ret = fdtable_lookup_get(curr()->files, (int)rq.srcfd, &a.file);
    if (ret < 0)
        return ret;
    list_init(&a.node);
    a.fd = rq.flags & LX_SECCOMP_ADDFD_FLAG_SETFD ? (int)rq.newfd : -1;
    a.cloexec = rq.newfd_flags & LX_O_CLOEXEC;
    if ((rq.flags & LX_SECCOMP_ADDFD_FLAG_SETFD) && a.fd < 0)
        ret = -EBADF;
    else
        ret = addfd_send(n, &rq, &a);
    if (a.file)
        file_put(a.file);
    return ret;
}

static long listener_ioctl(struct file *f, uint32_t cmd, uaddr_t arg)
{
    struct seccomp_notifier *n = container_of(f, struct listener, file)->notifier;

    switch (cmd) {
    case LX_SECCOMP_IOCTL_NOTIF_RECV:
        return receive(n, arg);
    case LX_SECCOMP_IOCTL_NOTIF_SEND:
        return send_reply(n, arg);
    case LX_SECCOMP_IOCTL_NOTIF_ID_VALID:
    case LX_SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR:
        return id_valid(n, arg);
    case LX_SECCOMP_IOCTL_NOTIF_SET_FLAGS:
        return arg & ~(uaddr_t)LX_SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP ? -EINVAL : 0;
    default:
        if ((cmd & ~LX_IOC_SIZE_MASK) == (LX_SECCOMP_IOCTL_NOTIF_ADDFD & ~LX_IOC_SIZE_MASK))
            return addfd(n, cmd >> 16 & 0x3fff, arg);
        return -EINVAL;
    }
}

static uint32_t listener_poll(struct file *f)
{
    struct seccomp_notifier *n = container_of(f, struct listener, file)->notifier;
    uint32_t events = 0;

    mutex_lock(&n->lock);
    if (oldest_locked(n, CALL_WAITS))
        events |= WAKE_IN | WAKE_RDNORM;
    if (oldest_locked(n, CALL_SENT))
        events |= WAKE_OUT | WAKE_WRNORM;
    if (n->orphan)
        events |= WAKE_HUP;
    mutex_unlock(&n->lock);
    return events;
}

static void listener_release(struct file *f)
{
    struct listener *l = container_of(f, struct listener, file);
    struct seccomp_notifier *n = l->notifier;
    struct call *c;

    mutex_lock(&n->lock);
    n->closed = true;
    list_for_each_entry(c, &n->calls, node) {
        if (c->state != CALL_REPLIED)
            reply_locked(c, -ENOSYS, 0, /*go_on=*/false);
    }
    mutex_unlock(&n->lock);
    file_destroy_generic(f);
    free(l);
    notifier_put(n);
}

static const struct file_ops listener_ops = {
    .ioctl = listener_ioctl,
    .poll = listener_poll,
    .release = listener_release,
};

void seccomp_notifier_end(struct seccomp_notifier *n)
{
    mutex_lock(&n->lock);
    n->orphan = true;
    mutex_unlock(&n->lock);
    waitq_wake(&n->wq, WAKE_ALL);
    notifier_put(n);
}

int seccomp_notifier_new(bool wait_killable, struct seccomp_notifier **out, struct file **out_file)
{
    struct seccomp_notifier *n = calloc(1, sizeof(*n));
    struct listener *l = calloc(1, sizeof(*l));
    int ret;

    if (!n || !l) {
        free(n);
        free(l);
        return -ENOMEM;
    }
    refs_init(&n->refs);
    refs_get(&n->refs); /* the file's */
    n->wait_killable = wait_killable;
    mutex_init(&n->lock, RANK_LEAF);
    list_init(&n->calls);
    waitq_init(&n->wq);
    random_bytes(&n->next_id, sizeof(n->next_id));
    file_init(&l->file, &listener_ops, LX_O_RDWR);
    l->file.kind |= FILE_STREAM;
    l->file.wq = &n->wq;
    l->notifier = n;
    ret = file_set_anon(&l->file, "anon_inode:seccomp notify", 0600, NULL);
    if (ret < 0) {
        file_put(&l->file);
        notifier_put(n);
        return ret;
    }
    *out = n;
    *out_file = &l->file;
    return 0;
}
