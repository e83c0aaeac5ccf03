/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message queue: mq_send(3), mq_receive(3), mq_notify(3), mq_getattr(3).
 *
 * A message goes straight to the first receiver that waits, and a taken message's place straight to
 * the first sender that waits: whoever came first is served first, and nobody who comes later gets
 * between. Only a message that stays in the queue, and comes to an empty one, notifies.
 *
 * All state of a queue is under its leaf lock. Signals, notification datagrams, poll wake-ups and
 * last references go out after it is released; a sleeper is woken under it, since its waiter lives
 * on the sleeper's stack.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/userns.h"
#include "sentry/fs/mqueue/mqueue_internal.h"
#include "sentry/mm/uaccess.h"

/* What Linux charges per message and per priority level in use. */
#define MESSAGE_COST  48u
#define PRIORITY_COST 48u
#define SIGNO_MAX     64u
/* Text of the messages of all queues: root may lift every limit of Linux, but not fill the sentry. */
#define ALL_TEXT_MAX (256u << 20)

static _Atomic uint64_t g_text; /* a: bytes of all messages */

static struct mq_message *message_new(size_t size)
{
    struct mq_message *m = NULL;

    if (atomic_fetch_add(&g_text, size) + size <= ALL_TEXT_MAX)
        m = malloc(sizeof(*m) + size);
    if (!m) {
        atomic_fetch_sub(&g_text, size);
        return NULL;
    }
    m->size = size;
    list_init(&m->node);
    return m;
}

static void message_free(struct mq_message *m)
{
    atomic_fetch_sub(&g_text, m->size);
    free(m);
}

static int64_t min_limit(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- life ----------------------------------------------------------------------------------- */

static int pick_sizes(const struct mqueue_super *ms, const struct lx_mq_attr *attr,
                      struct mqueue *mq)
{
    const struct mqueue_limits *l = &ms->limits;
    bool lifted = cred_capable(curr()->cred, LX_CAP_SYS_RESOURCE);

    mq->maxmsg = attr ? attr->maxmsg : min_limit(l->msg_max, l->msg_default);
    mq->msgsize = attr ? attr->msgsize : min_limit(l->msgsize_max, l->msgsize_default);
    if (mq->maxmsg <= 0 || mq->msgsize <= 0)
        return -EINVAL;
    if (mq->maxmsg > (lifted ? LX_MQ_HARD_MSGMAX : l->msg_max) ||
        mq->msgsize > (lifted ? LX_MQ_HARD_MSGSIZE : l->msgsize_max))
        return -EINVAL;
    mq->charge = (uint64_t)mq->maxmsg * ((uint64_t)mq->msgsize + MESSAGE_COST) +
                 MIN((uint64_t)mq->maxmsg, (uint64_t)LX_MQ_PRIO_MAX) * PRIORITY_COST;
    return 0;
}

static int charge_user(struct mqueue *mq)
{
    struct user *u = user_find_get(curr()->cred->ruid);

    if (!u)
        return -ENOMEM;
    if (atomic_fetch_add(&u->mq_bytes, mq->charge) + mq->charge >
        g_curr_ops->rlimit(LX_RLIMIT_MSGQUEUE)) {
        atomic_fetch_sub(&u->mq_bytes, mq->charge);
        user_put(u);
        return -EMFILE;
    }
    mq->user = u;
    return 0;
}

int mqueue_new(struct mqueue_super *ms, const struct inode *dir, uint32_t mode,
               const struct lx_mq_attr *attr, struct mqueue **out)
{
    struct mqueue *mq = calloc(1, sizeof(*mq));
    int ret;

    if (!mq)
        return -ENOMEM;
    ret = pick_sizes(ms, attr, mq);
    if (ret == 0)
        ret = charge_user(mq);
    if (ret < 0) {
        free(mq);
        return ret;
    }
    inode_init(&mq->inode, &ms->super, &g_mqueue_inode_ops, mode);
    inode_init_owner(&mq->inode, NULL, mode);
    mq->inode.attr.ino = inode_new_ino();
    mq->inode.attr.nlink = 1;
    mq->inode.attr.size = 80;
    mutex_init(&mq->lock, RANK_LEAF);
    list_init(&mq->messages);
    list_init(&mq->senders);
    list_init(&mq->receivers);
    waitq_init(&mq->wq);
    atomic_fetch_add(&ms->queues, 1);
    *out = mq;
    return 0;
}

static void notify_put(struct mq_notify *n)
{
    if (!n->owner)
        return;
    pid_put(n->owner);
    userns_put(n->userns);
    if (n->sock)
        file_put(n->sock);
}

static void mqueue_destroy(struct inode *i)
{
    struct mqueue *mq = mqueue_of(i);
    struct mq_message *m, *tmp;

    list_for_each_entry_safe(m, tmp, &mq->messages, node) {
        message_free(m);
    }
    notify_put(&mq->notify);
    atomic_fetch_sub(&mq->user->mq_bytes, mq->charge);
    user_put(mq->user);
    atomic_fetch_sub(&container_of(i->super, struct mqueue_super, super)->queues, 1);
    waitq_destroy(&mq->wq);
    mutex_destroy(&mq->lock);
    inode_destroy_generic(i);
    free(mq);
}

/* ---- notification --------------------------------------------------------------------------- */

/* Takes the registration away; the caller puts it without the lock. */
static struct mq_notify notify_take_locked(struct mqueue *mq)
{
    struct mq_notify n = mq->notify;

    ASSERT_HELD(&mq->lock);
    mq->notify = (struct mq_notify){0};
    return n;
}

/* Tells a registration that was taken: reason LX_MQ_WOKENUP or _REMOVED. */
static void notify_tell(struct mq_notify *n, uint8_t reason)
{
    if (!n->owner)
        return;
    if (n->event.notify == LX_SIGEV_SIGNAL && reason == LX_MQ_WOKENUP && n->event.signo) {
        struct lx_siginfo info = {.signo = n->event.signo, .code = LX_SI_MESGQ};

        info.rt.pid = pid_nr_in(curr()->tgid, n->owner->numbers[n->owner->level].ns);
        info.rt.uid = userns_from_kuid(n->userns, curr()->cred->ruid);
        info.rt.value = n->event.value;
        g_pid_ops->signal(n->owner, PID_TGID, n->event.signo, &info);
    } else if (n->event.notify == LX_SIGEV_THREAD) {
        n->cookie[LX_MQ_COOKIE_SIZE - 1] = reason;
        g_mqueue_ops->notify_send(n->sock, n->cookie, sizeof(n->cookie));
    }
    notify_put(n);
}

/* ---- queue ---------------------------------------------------------------------------------- */

static void insert_locked(struct mqueue *mq, struct mq_message *m)
{
    struct list *after = mq->messages.prev;

    while (after != &mq->messages && list_entry(after, struct mq_message, node)->prio < m->prio)
        after = after->prev;
    list_add(after, &m->node);
    mq->curmsgs++;
    mq->qsize += m->size;
}

static struct mq_waiter *first_waiter_locked(struct list *waiters)
{
    return list_empty(waiters) ? NULL : list_first_entry(waiters, struct mq_waiter, node);
}

static void waiter_finish_locked(struct mq_waiter *w)
{
    list_del(&w->node);
    w->done = true;
    sleeper_wake(w->sleeper);
}

/* Sleeps on waiters until somebody finishes w. The lock is held on entry and exit. */
static int wait_locked(struct mqueue *mq, struct list *waiters, struct mq_waiter *w,
                       uint64_t deadline) REQUIRES(mq->lock)
{
    int ret = 0;

    w->sleeper = &curr()->sleeper;
    w->done = false;
    list_add_tail(waiters, &w->node);
    while (!w->done && ret == 0) {
        mutex_unlock(&mq->lock);
        ret = task_block(deadline);
        mutex_lock(&mq->lock);
    }
    if (w->done)
        return 0;
    list_del(&w->node);
    return ret;
}

static int file_to_queue(struct file *f, bool write, struct mqueue **out)
{
    if (f->ops != &g_mqueue_file_ops || !(write ? file_writable(f) : file_readable(f)))
        return -EBADF;
    *out = mqueue_of(f->inode);
    return 0;
}

/* 0: m is the queue's or somebody's. */
static int send_locked(struct mqueue *mq, struct mq_message *m, bool nonblock, uint64_t deadline,
                       struct mq_notify *out_tell, bool *out_wake) REQUIRES(mq->lock)
{
    struct mq_waiter *w, me = {.msg = m};
    int ret;

    if (mq->curmsgs == mq->maxmsg) {
        if (nonblock)
            return -EAGAIN;
        ret = wait_locked(mq, &mq->senders, &me, deadline);
        return ret;
    }
    w = first_waiter_locked(&mq->receivers);
    if (w) {
        w->msg = m;
        waiter_finish_locked(w);
    } else {
        insert_locked(mq, m);
        if (mq->curmsgs == 1)
            *out_tell = notify_take_locked(mq);
        *out_wake = true;
    }
    inode_touch(&mq->inode, true, /*mtime=*/true, /*ctime=*/true);
    return 0;
}

int mqueue_send(struct file *f, uaddr_t buf, size_t size, uint32_t prio, uint64_t deadline)
{
    struct mq_notify tell = {0};
    struct mq_message *m;
    struct mqueue *mq;
    bool wake = false;
    int ret = file_to_queue(f, /*write=*/true, &mq);

    if (ret < 0)
        return ret;
    if (size > (uint64_t)mq->msgsize)
        return -EMSGSIZE;
    m = message_new(size);
    if (!m)
        return -ENOMEM;
    m->prio = prio;
    ret = copy_in(m->text, buf, size);
    if (ret == 0) {
        mutex_lock(&mq->lock);
        ret = send_locked(mq, m, file_nonblock(f), deadline, &tell, &wake);
        mutex_unlock(&mq->lock);
    }
    if (ret < 0)
        message_free(m);
    if (wake)
        waitq_wake(&mq->wq, WAKE_IN | WAKE_RDNORM);
    notify_tell(&tell, LX_MQ_WOKENUP);
    return ret;
}

static int receive_locked(struct mqueue *mq, bool nonblock, uint64_t deadline,
                          struct mq_message **out, bool *out_wake) REQUIRES(mq->lock)
{
    struct mq_waiter *w, me = {0};
    struct mq_message *m;
    int ret;

    if (mq->curmsgs == 0) {
        if (nonblock)
            return -EAGAIN;
        ret = wait_locked(mq, &mq->receivers, &me, deadline);
        *out = me.msg;
        return ret;
    }
    m = list_first_entry(&mq->messages, struct mq_message, node);
    list_del(&m->node);
    mq->curmsgs--;
    mq->qsize -= m->size;
    w = first_waiter_locked(&mq->senders);
    if (w) {
        insert_locked(mq, w->msg);
        waiter_finish_locked(w);
    } else {
        *out_wake = true;
    }
    inode_touch(&mq->inode, true, /*mtime=*/true, /*ctime=*/true);
    *out = m;
    return 0;
}

ssize_t mqueue_receive(struct file *f, uaddr_t buf, size_t size, uaddr_t out_prio,
                       uint64_t deadline)
{
    struct mq_message *m = NULL;
    struct mqueue *mq;
    bool wake = false;
    ssize_t ret = file_to_queue(f, /*write=*/false, &mq);

    if (ret < 0)
        return ret;
    if (size < (uint64_t)mq->msgsize)
        return -EMSGSIZE;
    mutex_lock(&mq->lock);
    ret = receive_locked(mq, file_nonblock(f), deadline, &m, &wake);
    mutex_unlock(&mq->lock);
    if (wake)
        waitq_wake(&mq->wq, WAKE_OUT | WAKE_WRNORM);
    if (ret < 0)
        return ret;
    /* Linux: the message is gone even when the buffer is bad. */
    ret = (ssize_t)m->size;
    if ((out_prio && put_user(&m->prio, out_prio) < 0) || copy_out(buf, m->text, m->size) < 0)
        ret = -EFAULT;
    message_free(m);
    return ret;
}

int mqueue_getset(struct file *f, const struct lx_mq_attr *set, struct lx_mq_attr *out)
{
    struct mqueue *mq;

    if (f->ops != &g_mqueue_file_ops)
        return -EBADF;
    mq = mqueue_of(f->inode);
    mutex_lock(&mq->lock);
    if (out)
        *out = (struct lx_mq_attr){
            .flags = file_nonblock(f) ? LX_O_NONBLOCK : 0,
            .maxmsg = mq->maxmsg,
            .msgsize = mq->msgsize,
            .curmsgs = mq->curmsgs,
        };
    if (set) {
        if (set->flags & LX_O_NONBLOCK)
            atomic_fetch_or(&f->flags, LX_O_NONBLOCK);
        else
            atomic_fetch_and(&f->flags, ~LX_O_NONBLOCK);
        inode_touch(&mq->inode, true, false, /*ctime=*/true);
    }
    mutex_unlock(&mq->lock);
    return 0;
}

/* ---- mq_notify ------------------------------------------------------------------------------ */

static int event_prepare(const struct lx_sigevent *ev, struct mq_notify *n)
{
    int ret;

    n->event = *ev;
    if (ev->notify != LX_SIGEV_NONE && ev->notify != LX_SIGEV_SIGNAL &&
        ev->notify != LX_SIGEV_THREAD)
        return -EINVAL;
    if (ev->notify == LX_SIGEV_SIGNAL && (uint32_t)ev->signo > SIGNO_MAX)
        return -EINVAL;
    if (ev->notify != LX_SIGEV_THREAD)
        return 0;
    ret = copy_in(n->cookie, ev->value, sizeof(n->cookie));
    return ret < 0 ? ret : g_mqueue_ops->notify_sock(ev->signo, &n->sock);
}

/* What is to be put afterwards is left in n. */
static int notify_swap(struct mqueue *mq, bool set, struct mq_notify *n)
{
    struct mq_notify old = {0};
    int ret = 0;

    mutex_lock(&mq->lock);
    if (!set) {
        if (mq->notify.owner == curr()->tgid)
            old = notify_take_locked(mq);
    } else if (mq->notify.owner) {
        ret = -EBUSY;
    } else {
        mq->notify = *n;
        mq->notify.owner = pid_get(curr()->tgid);
        mq->notify.userns = userns_get(curr()->cred->userns);
        n->sock = NULL;
        inode_touch(&mq->inode, true, false, /*ctime=*/true);
    }
    mutex_unlock(&mq->lock);
    notify_tell(&old, LX_MQ_REMOVED);
    return ret;
}

int mqueue_notify(int fd, const struct lx_sigevent *ev)
{
    struct mq_notify n = {0};
    struct file *f = NULL;
    int ret = ev ? event_prepare(ev, &n) : 0;

    if (ret == 0)
        ret = fdtable_lookup_get(curr()->files, fd, &f);
    if (ret == 0)
        ret = f->ops == &g_mqueue_file_ops ? notify_swap(mqueue_of(f->inode), ev, &n) : -EBADF;
    if (f)
        file_put(f);
    if (n.sock)
        file_put(n.sock);
    return ret;
}

/* ---- file ----------------------------------------------------------------------------------- */

static ssize_t mqueue_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    struct mqueue *mq = mqueue_of(f->inode);
    char text[80];
    size_t moved;
    int n;

    mutex_lock(&mq->lock);
    n = snprintf(
        text, sizeof(text), "QSIZE:%-10llu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
        (unsigned long long)mq->qsize, mq->notify.owner ? mq->notify.event.notify : 0,
        mq->notify.owner && mq->notify.event.notify == LX_SIGEV_SIGNAL ? mq->notify.event.signo : 0,
        pid_nr(mq->notify.owner));
    mutex_unlock(&mq->lock);
    n = MIN(n, (int)sizeof(text) - 1);
    if (*pos >= n || iov_iter_count(dst) == 0)
        return 0;
    moved = copy_to_iter(dst, text + *pos, MIN((size_t)(n - *pos), iov_iter_count(dst)));
    if (moved == 0)
        return -EFAULT;
    *pos += (lx_loff_t)moved;
    inode_touch(&mq->inode, true, false, /*ctime=*/true);
    return (ssize_t)moved;
}

static uint32_t mqueue_poll(struct file *f)
{
    struct mqueue *mq = mqueue_of(f->inode);
    uint32_t events;

    mutex_lock(&mq->lock);
    events = (mq->curmsgs ? WAKE_IN | WAKE_RDNORM : 0) |
             (mq->curmsgs < mq->maxmsg ? WAKE_OUT | WAKE_WRNORM : 0);
    mutex_unlock(&mq->lock);
    return events;
}

static int mqueue_flush(struct file *f)
{
    struct mq_notify n = {0};

    return notify_swap(mqueue_of(f->inode), /*set=*/false, &n);
}

static void mqueue_release(struct file *f)
{
    file_destroy_generic(f);
    free(f);
}

const struct file_ops g_mqueue_file_ops = {
    .read = mqueue_read,
    .poll = mqueue_poll,
    .flush = mqueue_flush,
    .seek = file_seek_generic,
    .release = mqueue_release,
};

int mqueue_inode_open(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out)
{
    struct file *f = malloc(sizeof(*f));

    (void)dentry;
    if (!f)
        return -ENOMEM;
    file_init(f, &g_mqueue_file_ops, flags);
    f->kind = FILE_SEEKABLE;
    f->wq = &mqueue_of(inode)->wq;
    *out = f;
    return 0;
}

/* A queue has no contents to cut: the size stays (O_TRUNC of a shell's ">"). */
static int mqueue_setattr(struct inode *inode, const struct fs_attr *attr)
{
    inode_setattr_generic(inode, attr);
    return 0;
}

const struct inode_ops g_mqueue_inode_ops = {
    .open = mqueue_inode_open,
    .setattr = mqueue_setattr,
    .destroy = mqueue_destroy,
};
