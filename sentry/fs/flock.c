/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advisory locks of an inode: three kinds in one sorted list of ranges, told apart by kind and
 * owner. POSIX  owned by a descriptor table (the process), goes when the process closes any
 * descriptor OFD    owned by the open file description FLOCK  owned by the open file description,
 * whole file, its own name space of conflicts
 *
 * A blocked request sleeps on the inode's queue and tries again when anything was released.
 * Deadlock detection (POSIX only, as in Linux): every sleeping request is on one global list; a
 * request that would wait for an owner who waits, directly or through others, for the requester
 * gets -EDEADLK.
 */
#include "sentry/fs/flock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sentry/abi/fcntl.h"
#include "sentry/fs/vfs_internal.h"

enum lock_kind { KIND_POSIX, KIND_OFD, KIND_FLOCK };

#define LOCK_END INT64_MAX

/* Keys: l flock_ctx.lock; I immutable */
struct lock {
    struct list node;    /* l: by start */
    enum lock_kind kind; /* I */
    const void *owner;   /* I: fdtable or file, compared only */
    int16_t type;        /* l: LX_F_RDLCK, LX_F_WRLCK */
    int64_t start, end;  /* l: inclusive end */
    struct pid *pid;     /* I, +1: who set it */
};

struct flock_ctx {
    struct inode *inode; /* I, borrowed: owns the context */
    struct list all;     /* g_ctx_lock: g_all */
    struct mutex lock;   /* rank FLOCK */
    struct list locks;   /* l */
    struct waitq wq;
};

/* A POSIX request that sleeps, and whom it waits for. */
struct blocked {
    struct list node;
    const void *owner, *waits_for;
};
static struct list g_blocked = LIST_INIT(g_blocked); /* under g_blocked_lock */
static struct mutex g_blocked_lock;                  /* rank LEAF */

/* Every inode that has or had locks, for /proc/locks. */
static struct list g_all = LIST_INIT(g_all); /* under g_ctx_lock */
static struct mutex g_ctx_lock;              /* rank LEAF */

void flock_init(void)
{
    mutex_init(&g_ctx_lock, RANK_LEAF);
    mutex_init(&g_blocked_lock, RANK_LEAF);
}

static int ctx_of(struct inode *i, struct flock_ctx **out)
{
    struct flock_ctx *c = i->flocks, *expected = NULL;

    if (!c) {
        c = malloc(sizeof(*c));
        if (!c)
            return -ENOLCK;
        c->inode = i;
        mutex_init(&c->lock, RANK_FLOCK);
        list_init(&c->locks);
        waitq_init(&c->wq);
        if (!atomic_compare_exchange_strong(&i->flocks, &expected, c)) {
            waitq_destroy(&c->wq);
            mutex_destroy(&c->lock);
            free(c);
            c = expected;
        } else {
            mutex_lock(&g_ctx_lock);
            list_add_tail(&g_all, &c->all);
            mutex_unlock(&g_ctx_lock);
        }
    }
    *out = c;
    return 0;
}

static void lock_free(struct lock *l)
{
    list_del(&l->node);
    pid_put(l->pid);
    free(l);
}

void flock_ctx_free(struct inode *i)
{
    struct flock_ctx *c = i->flocks;
    struct lock *l, *tmp;

    if (!c)
        return;
    mutex_lock(&g_ctx_lock);
    list_del(&c->all);
    mutex_unlock(&g_ctx_lock);
    list_for_each_entry_safe(l, tmp, &c->locks, node)
        lock_free(l);
    waitq_destroy(&c->wq);
    mutex_destroy(&c->lock);
    free(c);
}

static struct lock *lock_new(enum lock_kind kind, const void *owner, int16_t type, int64_t start,
                             int64_t end)
{
    struct lock *l = malloc(sizeof(*l));

    if (!l)
        return NULL;
    list_init(&l->node);
    l->kind = kind;
    l->owner = owner;
    l->type = type;
    l->start = start;
    l->end = end;
    l->pid = pid_get(curr()->tgid);
    return l;
}

/* POSIX and OFD locks see each other; flock's live apart. */
static bool same_space(enum lock_kind a, enum lock_kind b)
{
    return (a == KIND_FLOCK) == (b == KIND_FLOCK);
}

static struct lock *conflict_locked(struct flock_ctx *c, const struct lock *want) REQUIRES(c->lock)
{
    struct lock *l;

    list_for_each_entry(l, &c->locks, node) {
        if (l->owner == want->owner || !same_space(l->kind, want->kind))
            continue;
        if (l->end < want->start || l->start > want->end)
            continue;
        if (l->type == LX_F_WRLCK || want->type == LX_F_WRLCK)
            return l;
    }
    return NULL;
}

static void insert_locked(struct flock_ctx *c, struct lock *n) REQUIRES(c->lock)
{
    struct lock *l;

    list_for_each_entry(l, &c->locks, node) {
        if (l->start >= n->start)
            break;
    }
    list_add_tail(&l->node, &n->node);
}

static bool mine(const struct lock *l, const struct lock *want)
{
    return l->owner == want->owner && l->kind == want->kind;
}

/* Cuts [start, end] out of the owner's other locks and joins what touches with the same type. spare
 * is used when a lock must be split in two; returns what is left of it. */
static struct lock *replace_locked(struct flock_ctx *c, struct lock *want, bool unlock,
                                   struct lock *spare) REQUIRES(c->lock)
{
    struct lock *l, *tmp;

    list_for_each_entry_safe(l, tmp, &c->locks, node) {
        if (l == want || !mine(l, want))
            continue;
        if (!unlock && l->type == want->type) {
            /* Touching or overlapping: swallow it. */
            if ((want->end != LOCK_END && l->start > want->end + 1) ||
                (l->end != LOCK_END && l->end + 1 < want->start))
                continue;
            if (l->start < want->start)
                want->start = l->start;
            if (l->end > want->end)
                want->end = l->end;
            lock_free(l);
            continue;
        }
        if (l->end < want->start || l->start > want->end)
            continue;
        if (l->start < want->start && l->end > want->end) {
            spare->start = want->end + 1;
            spare->end = l->end;
            spare->type = l->type;
            l->end = want->start - 1;
            insert_locked(c, spare);
            spare = NULL;
        } else if (l->start < want->start) {
            l->end = want->start - 1;
        } else if (l->end > want->end) {
            l->start = want->end + 1;
            list_del(&l->node);
            insert_locked(c, l);
        } else {
            lock_free(l);
        }
        if (!spare)
            break; /* it was inside one lock: nothing else overlaps */
    }
    if (!unlock)
        insert_locked(c, want);
    return spare;
}

/* Would owner, waiting for holder, close a circle? */
static bool deadlock_locked(const void *owner, const void *holder) REQUIRES(g_blocked_lock)
{
    int depth;

    for (depth = 0; depth < 10; depth++) {
        struct blocked *b;
        const void *next = NULL;

        list_for_each_entry(b, &g_blocked, node) {
            if (b->owner == holder) {
                next = b->waits_for;
                break;
            }
        }
        if (!next)
            return false;
        if (next == owner)
            return true;
        holder = next;
    }
    return false;
}

/* Waits until the conflict may be gone. */
static int wait_for(struct flock_ctx *c, struct waiter *w, const struct lock *want,
                    const void *holder)
{
    struct blocked b = {.owner = want->owner, .waits_for = holder};
    bool detect = want->kind == KIND_POSIX;
    int ret = 0;

    list_init(&b.node);
    if (detect) {
        mutex_lock(&g_blocked_lock);
        if (deadlock_locked(want->owner, holder))
            ret = -EDEADLK;
        else
            list_add(&g_blocked, &b.node);
        mutex_unlock(&g_blocked_lock);
    }
    if (ret == 0)
        ret = task_block(NO_DEADLINE);
    if (detect) {
        mutex_lock(&g_blocked_lock);
        list_del(&b.node);
        mutex_unlock(&g_blocked_lock);
    }
    return ret;
}

/* Takes want (owned), waiting when asked. */
static int lock_acquire(struct inode *i, struct lock *want, bool wait)
{
    struct flock_ctx *c;
    struct lock *spare, *hit;
    struct waiter w;
    int ret = ctx_of(i, &c);

    spare = lock_new(want->kind, want->owner, want->type, 0, 0);
    if (ret < 0 || !spare) {
        lock_free(want);
        if (spare)
            lock_free(spare);
        return -ENOLCK;
    }
    waiter_init(&w, WAKE_ALL);
    if (wait)
        waitq_add(&c->wq, &w);
    for (;;) {
        const void *holder;

        mutex_lock(&c->lock);
        hit = conflict_locked(c, want);
        if (!hit) {
            spare = replace_locked(c, want, /*unlock=*/false, spare);
            mutex_unlock(&c->lock);
            ret = 0;
            break;
        }
        holder = hit->owner;
        mutex_unlock(&c->lock);
        ret = wait ? wait_for(c, &w, want, holder) : -EAGAIN;
        if (ret < 0)
            break;
    }
    if (wait)
        waitq_remove(&c->wq, &w);
    if (spare)
        lock_free(spare);
    if (ret < 0)
        lock_free(want);
    else
        waitq_wake(&c->wq, WAKE_IN); /* a downgrade may let others in */
    return ret;
}

static int lock_release(struct inode *i, enum lock_kind kind, const void *owner, int64_t start,
                        int64_t end)
{
    struct lock want = {.kind = kind, .owner = owner, .start = start, .end = end};
    struct flock_ctx *c = i->flocks;
    struct lock *spare;

    if (!c)
        return 0;
    spare = lock_new(kind, owner, 0, 0, 0);
    if (!spare)
        return -ENOLCK;
    mutex_lock(&c->lock);
    spare = replace_locked(c, &want, /*unlock=*/true, spare);
    mutex_unlock(&c->lock);
    if (spare)
        lock_free(spare);
    waitq_wake(&c->wq, WAKE_IN);
    return 0;
}

static void release_owner(struct inode *i, const void *owner, bool posix)
{
    struct flock_ctx *c = i->flocks;
    struct lock *l, *tmp;
    bool any = false;

    if (!c)
        return;
    mutex_lock(&c->lock);
    list_for_each_entry_safe(l, tmp, &c->locks, node) {
        if (l->owner == owner && (l->kind == KIND_POSIX) == posix) {
            lock_free(l);
            any = true;
        }
    }
    mutex_unlock(&c->lock);
    if (any)
        waitq_wake(&c->wq, WAKE_IN);
}

void flock_close_fd(struct file *f, const void *owner)
{
    release_owner(f->inode, owner, /*posix=*/true);
}

void flock_release_file(struct file *f)
{
    release_owner(f->inode, f, /*posix=*/false);
}

int flock_apply(struct file *f, uint32_t op)
{
    struct lock *want;
    int16_t type = (op & LX_LOCK_EX) ? LX_F_WRLCK : LX_F_RDLCK;
    struct flock_ctx *c;
    struct lock *l;
    int ret;

    if (op & LX_LOCK_UN)
        return lock_release(f->inode, KIND_FLOCK, f, 0, LOCK_END);
    ret = ctx_of(f->inode, &c);
    if (ret < 0)
        return ret;
    /* A conversion is not atomic in Linux: the old lock goes first. */
    mutex_lock(&c->lock);
    list_for_each_entry(l, &c->locks, node) {
        if (l->kind == KIND_FLOCK && l->owner == f) {
            if (l->type == type) {
                mutex_unlock(&c->lock);
                return 0;
            }
            lock_free(l);
            break;
        }
    }
    mutex_unlock(&c->lock);
    waitq_wake(&c->wq, WAKE_IN);
    want = lock_new(KIND_FLOCK, f, type, 0, LOCK_END);
    if (!want)
        return -ENOLCK;
    return lock_acquire(f->inode, want, !(op & LX_LOCK_NB));
}

/* l_whence, l_start, l_len to an inclusive range. */
static int resolve_range(struct file *f, const struct lx_flock *fl, int64_t *start, int64_t *end)
{
    int64_t base, len = fl->l_len;

    switch (fl->l_whence) {
    case LX_SEEK_SET:
        base = 0;
        break;
    case LX_SEEK_CUR:
        base = f->pos;
        break;
    case LX_SEEK_END:
        base = (int64_t)f->inode->attr.size;
        break;
    default:
        return -EINVAL;
    }
    if (add_overflows(base, fl->l_start, &base))
        return -EOVERFLOW;
    if (base < 0)
        return -EINVAL;
    *start = base;
    *end = LOCK_END;
    if (len > 0) {
        if (add_overflows(base, len - 1, end))
            return -EOVERFLOW;
    } else if (len < 0) {
        if (base + len < 0)
            return -EINVAL;
        *end = base - 1;
        *start = base + len;
    }
    return 0;
}

static int getlk(struct file *f, enum lock_kind kind, const void *owner, struct lx_flock *fl,
                 int64_t start, int64_t end)
{
    struct lock want = {
        .kind = kind, .owner = owner, .type = fl->l_type, .start = start, .end = end};
    struct flock_ctx *c = f->inode->flocks;
    struct lock *hit;

    if (fl->l_type != LX_F_RDLCK && fl->l_type != LX_F_WRLCK)
        return -EINVAL;
    if (!c) {
        fl->l_type = LX_F_UNLCK;
        return 0;
    }
    mutex_lock(&c->lock);
    hit = conflict_locked(c, &want);
    if (!hit) {
        fl->l_type = LX_F_UNLCK;
    } else {
        fl->l_type = hit->type;
        fl->l_whence = LX_SEEK_SET;
        fl->l_start = hit->start;
        fl->l_len = hit->end == LOCK_END ? 0 : hit->end - hit->start + 1;
        fl->l_pid = hit->kind == KIND_OFD ? -1 : pid_nr(hit->pid);
    }
    mutex_unlock(&c->lock);
    return 0;
}

int flock_fcntl(struct file *f, int cmd, struct lx_flock *fl)
{
    bool ofd = cmd == LX_F_OFD_GETLK || cmd == LX_F_OFD_SETLK || cmd == LX_F_OFD_SETLKW;
    bool wait = cmd == LX_F_SETLKW || cmd == LX_F_OFD_SETLKW;
    enum lock_kind kind = ofd ? KIND_OFD : KIND_POSIX;
    const void *owner = ofd ? (const void *)f : (const void *)curr()->files;
    struct lock *want;
    int64_t start, end;
    int ret;

    if (cmd == LX_F_GETLK || cmd == LX_F_OFD_GETLK) {
        if (fl->l_type != LX_F_RDLCK && fl->l_type != LX_F_WRLCK)
            return -EINVAL;
        ret = resolve_range(f, fl, &start, &end);
        if (ret == 0 && ofd && fl->l_pid != 0)
            ret = -EINVAL;
        return ret < 0 ? ret : getlk(f, kind, owner, fl, start, end);
    }
    ret = resolve_range(f, fl, &start, &end);
    if (ret < 0)
        return ret;
    if (fl->l_type != LX_F_RDLCK && fl->l_type != LX_F_WRLCK && fl->l_type != LX_F_UNLCK)
        return -EINVAL;
    if ((fl->l_type == LX_F_RDLCK && !file_readable(f)) ||
        (fl->l_type == LX_F_WRLCK && !file_writable(f)))
        return -EBADF;
    if (ofd && fl->l_pid != 0)
        return -EINVAL;
    if (fl->l_type == LX_F_UNLCK)
        return lock_release(f->inode, kind, owner, start, end);
    want = lock_new(kind, owner, fl->l_type, start, end);
    return want ? lock_acquire(f->inode, want, wait) : -ENOLCK;
}

static size_t format_inode(struct inode *i, char *buf, size_t size, int *next_id)
{
    static const char *const kind_name[] = {
        [KIND_POSIX] = "POSIX ", [KIND_OFD] = "OFDLCK", [KIND_FLOCK] = "FLOCK "};
    struct flock_ctx *c = i->flocks;
    size_t used = 0;
    struct lock *l;

    if (!c)
        return 0;
    mutex_lock(&c->lock);
    list_for_each_entry(l, &c->locks, node) {
        char end[24] = "EOF";
        int n;

        if (l->end != LOCK_END)
            snprintf(end, sizeof(end), "%lld", (long long)l->end);
        n = snprintf(buf + used, size - used, "%d: %s ADVISORY  %s %d %02x:%02x:%llu %lld %s\n",
                     (*next_id)++, kind_name[l->kind], l->type == LX_F_WRLCK ? "WRITE" : "READ ",
                     l->kind == KIND_OFD ? -1 : pid_nr(l->pid), lx_dev_major(i->attr.dev),
                     lx_dev_minor(i->attr.dev), (unsigned long long)i->attr.ino,
                     (long long)l->start, end);
        if (n < 0 || (size_t)n >= size - used)
            break;
        used += (size_t)n;
    }
    mutex_unlock(&c->lock);
    return used;
}

/* The n-th inode with a context, +1, or NULL at the end. Dying ones are passed over. */
static struct inode *nth_inode(uint32_t n)
{
    struct inode *found = NULL;
    struct flock_ctx *c;

    mutex_lock(&g_ctx_lock);
    list_for_each_entry(c, &g_all, all) {
        if (n-- == 0) {
            while (&c->all != &g_all && !refs_get_not_zero(&c->inode->refs))
                c = list_entry(c->all.next, struct flock_ctx, all);
            if (&c->all != &g_all)
                found = c->inode;
            break;
        }
    }
    mutex_unlock(&g_ctx_lock);
    return found;
}

size_t flock_format_all(char *buf, size_t size)
{
    struct inode *i;
    size_t used = 0;
    int id = 1;
    uint32_t n;

    for (n = 0; (i = nth_inode(n)) != NULL; n++) {
        used += format_inode(i, buf + used, size - used, &id);
        inode_put(i);
    }
    return used;
}
