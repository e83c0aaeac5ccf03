/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify. A watch ties one inotify file to one inode; it pins the inode. One lock guards all
 * watches and queues: watches are rare and events short. While the sandbox has no watch at all, the
 * vfs's notifications end at one atomic load.
 *
 * The vfs decides what happened and to whom: it calls fs_notify_dir for the directory (with the
 * child's name) and for the object itself (name NULL). Here events are filtered by mask, merged
 * with an identical last one, and dropped behind an overflow mark when the queue is full.
 */
#include "sentry/fs/inotify/inotify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/ioctl.h"
#include "sentry/core/restart.h"
#include "sentry/fs/inotify/dnotify.h"
#include "sentry/fs/vfs_internal.h"
#include "sentry/mm/uaccess.h"

enum {
    MAX_QUEUED = 16384,
    MAX_QUEUED_ALL = 1 << 18,
    MAX_WATCHES = 65536,
    MAX_INSTANCES = 1024,
    NAME_ALIGN = 16
};

struct inotify;

/* Keys: I immutable; i g_inotify.lock */
struct inotify_watch {
    struct inotify *owner; /* I, borrowed: the watch dies before it */
    struct inode *inode;   /* I, +1 */
    int32_t wd;            /* I */
    uint32_t mask;         /* i */
    struct list in_inode;  /* i: inotify_set.watches */
    struct list in_owner;  /* i: inotify.watches */
};

/* Lifetime: with its inode, from the first watch on. */
struct inotify_set {
    struct list watches; /* i */
};

struct inotify_entry {
    struct list node;
    struct lx_inotify_event event;
    char name[]; /* event.len bytes, NUL padded */
};

/* Lifetime: refcounted as its file. Keys: i g_inotify.lock */
struct inotify {
    struct file file;
    struct list watches; /* i, newest first */
    struct list queue;   /* i */
    uint32_t queued;     /* i */
    bool overflowed;     /* i: the mark is queued */
    int32_t next_wd;     /* i */
};

static struct {
    struct mutex lock; /* rank INOTIFY */
    atomic_int watches, instances;
    uint32_t queued; /* events of all queues */
} g_inotify = {.lock = {.rank = RANK_INOTIFY}};

static const struct file_ops inotify_file_ops;

static struct inotify *inotify_of(struct file *f)
{
    return container_of(f, struct inotify, file);
}

bool file_is_inotify(const struct file *f)
{
    return f->ops == &inotify_file_ops;
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool same_event(const struct inotify_entry *e, int32_t wd, uint32_t mask, uint32_t cookie,
                       const char *name)
{
    if (e->event.wd != wd || e->event.mask != mask || e->event.cookie != cookie)
        return false;
    return name ? e->event.len > 0 && strcmp(e->name, name) == 0 : e->event.len == 0;
}

static void inotify_queue_locked(struct inotify *in, int32_t wd, uint32_t mask, uint32_t cookie,
                                 const char *name) REQUIRES(g_inotify.lock)
{
    uint32_t len = name ? (uint32_t)align_up(strlen(name) + 1, NAME_ALIGN) : 0;
    struct inotify_entry *e;

    if (!list_empty(&in->queue) &&
        same_event(list_last_entry(&in->queue, struct inotify_entry, node), wd, mask, cookie, name))
        return;
    if (in->queued >= MAX_QUEUED || g_inotify.queued >= MAX_QUEUED_ALL) {
        if (in->overflowed)
            return;
        in->overflowed = true;
        wd = -1;
        mask = LX_IN_Q_OVERFLOW;
        cookie = len = 0;
        name = NULL;
    }
    e = calloc(1, sizeof(*e) + len);
    if (!e)
        return; /* Linux loses the event as well, behind an overflow mark when it can */
    e->event = (struct lx_inotify_event){wd, mask, cookie, len};
    if (name)
        strcpy(e->name, name);
    list_add_tail(&in->queue, &e->node);
    in->queued++;
    g_inotify.queued++;
    waitq_wake(&in->file.own_wq, WAKE_IN | WAKE_RDNORM);
}

/* Off all lists, IN_IGNORED queued. The caller puts watch->inode and frees it without the lock. */
static void watch_detach_locked(struct inotify_watch *w) REQUIRES(g_inotify.lock)
{
    list_del(&w->in_inode);
    list_del(&w->in_owner);
    atomic_fetch_sub(&g_inotify.watches, 1);
    inotify_queue_locked(w->owner, w->wd, LX_IN_IGNORED, 0, NULL);
}

void fs_notify_dir(struct inode *dir, uint32_t mask, const char *name, uint32_t cookie)
{
    struct inotify_watch *w, *tmp;
    struct inotify_set *set;
    struct list gone;

    if (likely(atomic_load(&g_inotify.watches) == 0))
        return;
    set = atomic_load(&dir->watches);
    if (!set)
        return;
    if (name && dnotify_in_use())
        dnotify_event(dir, mask);
    list_init(&gone);
    mutex_lock(&g_inotify.lock);
    list_for_each_entry_safe(w, tmp, &set->watches, in_inode) {
        if (w->mask & mask & LX_IN_ALL_EVENTS) {
            inotify_queue_locked(w->owner, w->wd, mask, cookie, name);
            if (w->mask & LX_IN_ONESHOT) {
                watch_detach_locked(w);
                list_add_tail(&gone, &w->in_inode);
                continue;
            }
        }
        if ((mask & LX_IN_DELETE_SELF) && !name) {
            watch_detach_locked(w);
            list_add_tail(&gone, &w->in_inode);
        }
    }
    mutex_unlock(&g_inotify.lock);
    while (!list_empty(&gone)) {
        w = list_first_entry(&gone, struct inotify_watch, in_inode);
        list_del(&w->in_inode);
        inode_put(w->inode); /* not the last: the caller holds one */
        free(w);
    }
}

void fs_notify_file(struct file *f, uint32_t mask)
{
    if (likely(atomic_load(&g_inotify.watches) == 0) || !f->path.dentry)
        return;
    fs_notify_dentry(f->path.dentry, mask);
}

void inotify_inode_destroy(struct inode *inode)
{
    /* Watches pin the inode, so there are none left. */
    free(atomic_exchange(&inode->watches, NULL));
}

/* ---- watches --------------------------------------------------------------------------------- */

static int inotify_set_get(struct inode *inode, struct inotify_set **out)
{
    struct inotify_set *set = atomic_load(&inode->watches), *expected = NULL;

    if (!set) {
        set = calloc(1, sizeof(*set));
        if (!set)
            return -ENOMEM;
        list_init(&set->watches);
        if (!atomic_compare_exchange_strong(&inode->watches, &expected, set)) {
            free(set);
            set = expected;
        }
    }
    *out = set;
    return 0;
}

int inotify_notice(struct inode *inode)
{
    struct inotify_set *set;
    int ret = inotify_set_get(inode, &set);

    if (ret == 0)
        atomic_fetch_add(&g_inotify.watches, 1);
    return ret;
}

void inotify_notice_end(void)
{
    atomic_fetch_sub(&g_inotify.watches, 1);
}

static struct inotify_watch *watch_find_locked(struct inotify *in, struct inotify_set *set)
{
    struct inotify_watch *w;

    list_for_each_entry(w, &set->watches, in_inode) {
        if (w->owner == in)
            return w;
    }
    return NULL;
}

int inotify_add(struct file *f, struct inode *inode, uint32_t mask)
{
    uint32_t keep = mask & (LX_IN_ALL_EVENTS | LX_IN_ONESHOT | LX_IN_EXCL_UNLINK);
    struct inotify *in = inotify_of(f);
    struct inotify_watch *w, *fresh;
    struct inotify_set *set;
    int ret = inotify_set_get(inode, &set);

    if (ret < 0)
        return ret;
    fresh = calloc(1, sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    mutex_lock(&g_inotify.lock);
    w = watch_find_locked(in, set);
    if (w) {
        ret = w->wd;
        if (mask & LX_IN_MASK_CREATE)
            ret = -EEXIST;
        else
            w->mask = mask & LX_IN_MASK_ADD ? w->mask | keep : keep;
    } else if (atomic_load(&g_inotify.watches) >= MAX_WATCHES) {
        ret = -ENOSPC;
    } else {
        fresh->owner = in;
        fresh->inode = inode_get(inode);
        fresh->mask = keep;
        ret = fresh->wd = ++in->next_wd;
        list_add(&set->watches, &fresh->in_inode);
        list_add(&in->watches, &fresh->in_owner);
        atomic_fetch_add(&g_inotify.watches, 1);
        fresh = NULL;
    }
    mutex_unlock(&g_inotify.lock);
    free(fresh);
    return ret;
}

int inotify_remove(struct file *f, int32_t wd)
{
    struct inotify *in = inotify_of(f);
    struct inotify_watch *w;
    bool found = false;

    mutex_lock(&g_inotify.lock);
    list_for_each_entry(w, &in->watches, in_owner) {
        found = w->wd == wd;
        if (found)
            break;
    }
    if (found)
        watch_detach_locked(w);
    mutex_unlock(&g_inotify.lock);
    if (!found)
        return -EINVAL;
    inode_put(w->inode);
    free(w);
    return 0;
}

/* ---- file ------------------------------------------------------------------------------------ */

/* The first event if it fits in room. NULL: the queue is empty or *too_big. */
static struct inotify_entry *inotify_take(struct inotify *in, size_t room, bool *too_big)
{
    struct inotify_entry *e = NULL;

    *too_big = false;
    mutex_lock(&g_inotify.lock);
    if (!list_empty(&in->queue)) {
        e = list_first_entry(&in->queue, struct inotify_entry, node);
        if (sizeof(e->event) + e->event.len > room) {
            *too_big = true;
            e = NULL;
        } else {
            list_del(&e->node);
            in->queued--;
            g_inotify.queued--;
            if (e->event.mask == LX_IN_Q_OVERFLOW)
                in->overflowed = false;
        }
    }
    mutex_unlock(&g_inotify.lock);
    return e;
}

static ssize_t inotify_read_events(struct inotify *in, struct iov_iter *dst)
{
    struct inotify_entry *e;
    size_t done = 0;
    bool too_big;

    while ((e = inotify_take(in, iov_iter_count(dst), &too_big)) != NULL) {
        size_t size = sizeof(e->event) + e->event.len;
        bool copied = copy_to_iter(dst, &e->event, sizeof(e->event)) == sizeof(e->event) &&
                      copy_to_iter(dst, e->name, e->event.len) == e->event.len;

        free(e);
        if (!copied)
            return done > 0 ? (ssize_t)done : -EFAULT;
        done += size;
    }
    if (done > 0)
        return (ssize_t)done;
    return too_big ? -EINVAL : -EAGAIN;
}

static ssize_t inotify_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    struct inotify *in = inotify_of(f);
    struct waiter w;
    ssize_t ret = inotify_read_events(in, dst);

    if (ret != -EAGAIN || file_nonblock(f))
        return ret;
    waiter_init(&w, WAKE_IN);
    waitq_add(&f->own_wq, &w);
    for (;;) {
        ret = inotify_read_events(in, dst);
        if (ret != -EAGAIN)
            break;
        ret = task_block(NO_DEADLINE);
        if (ret < 0)
            break;
    }
    waitq_remove(&f->own_wq, &w);
    return ret;
}

static uint32_t inotify_poll(struct file *f)
{
    struct inotify *in = inotify_of(f);
    uint32_t mask;

    mutex_lock(&g_inotify.lock);
    mask = in->queued > 0 ? WAKE_IN | WAKE_RDNORM : 0;
    mutex_unlock(&g_inotify.lock);
    return mask;
}

static long inotify_ioctl(struct file *f, uint32_t cmd, uaddr_t arg)
{
    struct inotify *in = inotify_of(f);
    struct inotify_entry *e;
    int bytes = 0;

    if (cmd != LX_FIONREAD)
        return -ENOTTY;
    mutex_lock(&g_inotify.lock);
    list_for_each_entry(e, &in->queue, node)
        bytes += (int)(sizeof(e->event) + e->event.len);
    mutex_unlock(&g_inotify.lock);
    return put_user(&bytes, arg);
}

static size_t inotify_fdinfo(struct file *f, char *buf, size_t size)
{
    struct inotify *in = inotify_of(f);
    struct inotify_watch *w;
    size_t n = 0;

    mutex_lock(&g_inotify.lock);
    list_for_each_entry(w, &in->watches, in_owner) {
        if (n >= size)
            break;
        n += (size_t)snprintf(buf + n, size - n,
                              "inotify wd:%x ino:%llx sdev:%llx mask:%x ignored_mask:0\n", w->wd,
                              (unsigned long long)w->inode->attr.ino,
                              (unsigned long long)w->inode->super->dev, w->mask);
    }
    mutex_unlock(&g_inotify.lock);
    return MIN(n, size);
}

static void inotify_release(struct file *f)
{
    struct inotify *in = inotify_of(f);

    mutex_lock(&g_inotify.lock);
    while (!list_empty(&in->watches)) {
        struct inotify_watch *w = list_first_entry(&in->watches, struct inotify_watch, in_owner);

        watch_detach_locked(w);
        mutex_unlock(&g_inotify.lock);
        inode_put(w->inode);
        free(w);
        mutex_lock(&g_inotify.lock);
    }
    g_inotify.queued -= in->queued;
    mutex_unlock(&g_inotify.lock);
    while (!list_empty(&in->queue)) {
        struct inotify_entry *e = list_first_entry(&in->queue, struct inotify_entry, node);

        list_del(&e->node);
        free(e);
    }
    atomic_fetch_sub(&g_inotify.instances, 1);
    file_destroy_generic(f);
    free(in);
}

static const struct file_ops inotify_file_ops = {
    .read = inotify_read,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .fdinfo = inotify_fdinfo,
    .seek = file_seek_nowhere,
    .release = inotify_release,
};

int inotify_create(uint32_t flags, struct file **out)
{
    struct inotify *in;
    int ret;

    if (atomic_fetch_add(&g_inotify.instances, 1) >= MAX_INSTANCES) {
        atomic_fetch_sub(&g_inotify.instances, 1);
        return -EMFILE;
    }
    in = calloc(1, sizeof(*in));
    if (!in) {
        atomic_fetch_sub(&g_inotify.instances, 1);
        return -ENOMEM;
    }
    file_init(&in->file, &inotify_file_ops, LX_O_RDONLY | (flags & LX_IN_NONBLOCK));
    list_init(&in->watches);
    list_init(&in->queue);
    ret = file_set_anon(&in->file, "anon_inode:inotify", 0600, NULL);
    if (ret < 0)
        file_put(&in->file);
    else
        *out = &in->file;
    return ret;
}
