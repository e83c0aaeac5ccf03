/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll: a set of (file, fd) items, and a list of those that may be ready.
 *
 * Every item has a callback waiter on its file's wait queue. The callback (under that queue's lock)
 * puts the item on the ready list and wakes those who sleep in epoll_wait. epoll_wait takes each
 * item off the ready list *before* it asks the file's poll, so an event that comes in between puts
 * the item back; what poll says then is what the guest gets. Level-triggered items go back to the
 * tail of the list after a report, edge-triggered ones do not, one-shot ones lose their mask.
 *
 * Nested epolls. An epoll watched by another one has no callback waiter on its queue: waking a
 * queue from inside a queue's callback to any depth would take locks of one rank inside each other.
 * The item hangs on the inner epoll's `parents` list instead, and the wake-up walks the graph
 * upwards with g_nest.lock held, one queue at a time. The depth is limited to 5 and loops are
 * refused, at insertion.
 *
 * Lifetimes. An item is born by ADD and dies by DEL, by the epoll's release, or by the file's
 * (epoll_file_release, before the file is freed). It holds no reference on the file. item->dead,
 * guarded by ep->lock, decides who of two racing removers does the work; the order in item_remove
 * is what keeps f alive: off the file's wait queue first, off f->epoll_items last.
 *
 * Locks: g_nest.graph_lock (EPOLL_GRAPH, only for nesting) > ep->lock (EPOLL) > file's own locks
 * (poll) > file's wq.lock (WAITQ) > g_nest.lock (EPOLL_NEST) > ep->file.wq (WAITQ2) >
 * ep->ready_lock and g_links.lock (LEAF).
 */
#include "sentry/fs/epoll/epoll.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/base/tree.h"
#include "sentry/abi/fcntl.h"
#include "sentry/core/clock.h"
#include "sentry/core/cred.h"
#include "sentry/core/restart.h"

enum { EPOLL_MAX_DEPTH = 5, EPOLL_MAX_VISITS = 500, EPOLL_MAX_ITEMS = 1 << 19 };

static atomic_int g_item_count; /* of the sandbox: -ENOSPC above the limit */

#define EP_PRIVATE_BITS (LX_EPOLLWAKEUP | LX_EPOLLONESHOT | LX_EPOLLET | LX_EPOLLEXCLUSIVE)
#define EP_EXCLUSIVE_OK                                                                            \
    (WAKE_IN | WAKE_OUT | WAKE_RDNORM | WAKE_WRNORM | WAKE_ERR | WAKE_HUP | LX_EPOLLWAKEUP |       \
     LX_EPOLLET | LX_EPOLLEXCLUSIVE)

struct epoll;

/* Keys: I immutable; l ep->lock; r ep->ready_lock; k g_links.lock; n g_nest.lock */
struct ep_item {
    struct refs refs;
    struct epoll *ep;       /* I, +1 memory reference */
    struct file *file;      /* I, borrowed: see Lifetimes */
    int fd;                 /* I */
    RB_ENTRY(ep_item) tree; /* l */
    bool dead;              /* l */
    atomic_uint events;     /* l for writers; the callback's filter is waiter.mask */
    uint64_t data;          /* l */
    struct waiter waiter;   /* on file->wq unless file is an epoll */
    struct list parents;    /* n: on the inner epoll's list when file is an epoll */
    struct list ready;      /* r */
    struct list file_node;  /* k: on file->epoll_items */
};

RB_HEAD(ep_tree, ep_item);

/* Lifetime: file refcount for use, mem_refs for the memory (one of the file, one per item).
 * Keys: l ->lock; r ->ready_lock; n g_nest.lock; a atomic */
struct epoll {
    struct file file;
    struct refs mem_refs;
    struct mutex lock;       /* rank EPOLL */
    struct ep_tree items;    /* l */
    int item_count;          /* l */
    struct mutex ready_lock; /* rank LEAF */
    struct list ready;       /* r */
    int ready_count;         /* r */
    atomic_int sleepers;     /* a: tasks in epoll_wait */
    struct list parents;     /* n: items of outer epolls that watch this one */
    atomic_int parent_count; /* a */
    struct epoll *walk_next; /* n: work list of an upward wake-up */
    bool walk_queued;        /* n */
};

static struct {
    struct mutex graph_lock; /* rank EPOLL_GRAPH: insertions that nest epolls */
    struct mutex lock;       /* rank EPOLL_NEST */
} g_nest = {.graph_lock = {.rank = RANK_EPOLL_GRAPH}, .lock = {.rank = RANK_EPOLL_NEST}};

static struct {
    struct mutex lock; /* rank LEAF: every file's epoll_items */
} g_links = {.lock = {.rank = RANK_LEAF}};

static const struct file_ops epoll_file_ops;

static int ep_item_cmp(const struct ep_item *a, const struct ep_item *b)
{
    if (a->file != b->file)
        return (uintptr_t)a->file < (uintptr_t)b->file ? -1 : 1;
    return (a->fd > b->fd) - (a->fd < b->fd);
}
RB_GENERATE_INTERNAL(ep_tree, ep_item, tree, ep_item_cmp, UNUSED static)

static struct epoll *epoll_of(const struct file *f)
{
    return container_of(f, struct epoll, file);
}

bool file_is_epoll(const struct file *f)
{
    return f->ops == &epoll_file_ops;
}

static void ep_mem_put(struct epoll *ep)
{
    if (!refs_put(&ep->mem_refs))
        return;
    mutex_destroy(&ep->lock);
    mutex_destroy(&ep->ready_lock);
    free(ep);
}

static void ep_item_put(struct ep_item *it)
{
    struct epoll *ep = it->ep;

    if (!refs_put(&it->refs))
        return;
    atomic_fetch_sub(&g_item_count, 1);
    free(it);
    ep_mem_put(ep);
}

/* ---- becoming ready ------------------------------------------------------------------------ */

static void ep_item_list(struct ep_item *it)
{
    struct epoll *ep = it->ep;

    mutex_lock(&ep->ready_lock);
    if (list_empty(&it->ready)) {
        list_add_tail(&ep->ready, &it->ready);
        ep->ready_count++;
    }
    mutex_unlock(&ep->ready_lock);
}

/* Puts the item on its epoll's ready list and wakes one of the sleepers. True: somebody sleeps. */
static bool ep_item_mark(struct ep_item *it)
{
    struct epoll *ep = it->ep;

    ep_item_list(it);
    waitq_wake_n(&ep->file.own_wq, WAKE_IN | WAKE_RDNORM, 1);
    return atomic_load(&ep->sleepers) > 0;
}

/* ep became readable: marks the items of all epolls above it. */
static void ep_wake_parents(struct epoll *ep)
{
    struct epoll *head = ep, *tail = ep;

    if (atomic_load(&ep->parent_count) == 0)
        return;
    mutex_lock(&g_nest.lock);
    ep->walk_queued = true;
    ep->walk_next = NULL;
    while (head) {
        struct epoll *cur = head;
        struct ep_item *it;

        list_for_each_entry(it, &cur->parents, parents) {
            (void)ep_item_mark(it); /* exclusive wakes do not pass through nesting */
            if (it->ep->walk_queued)
                continue;
            it->ep->walk_queued = true;
            it->ep->walk_next = NULL;
            tail->walk_next = it->ep;
            tail = it->ep;
        }
        head = cur->walk_next;
        cur->walk_queued = false;
    }
    mutex_unlock(&g_nest.lock);
}

static bool ep_item_callback(struct waiter *w, uint32_t events)
{
    struct ep_item *it = container_of(w, struct ep_item, waiter);
    bool slept;

    /* SAFETY: an unlocked look; a one-shot that fired sleeps until MOD, which polls by itself. */
    if (!(it->events & ~EP_PRIVATE_BITS))
        return false;
    slept = ep_item_mark(it);
    ep_wake_parents(it->ep);
    return slept;
}

/* ---- items ----------------------------------------------------------------------------------- */

static uint32_t ep_item_wait_mask(uint32_t events)
{
    return (events & ~EP_PRIVATE_BITS) | WAKE_ERR | WAKE_HUP;
}

/* Starts listening. The item is in the tree; ep->lock held. */
static void ep_item_attach_locked(struct epoll *ep, struct ep_item *it) REQUIRES(ep->lock)
{
    mutex_lock(&g_links.lock);
    list_add(&it->file->epoll_items, &it->file_node);
    atomic_store(&it->file->epoll_seen, true);
    mutex_unlock(&g_links.lock);
    if (file_is_epoll(it->file)) {
        struct epoll *inner = epoll_of(it->file);

        mutex_lock(&g_nest.lock);
        list_add_tail(&inner->parents, &it->parents);
        atomic_fetch_add(&inner->parent_count, 1);
        mutex_unlock(&g_nest.lock);
        return;
    }
    waiter_init_callback(&it->waiter, ep_item_wait_mask(it->events), ep_item_callback);
    if (it->events & LX_EPOLLEXCLUSIVE)
        waitq_add_exclusive(it->file->wq, &it->waiter);
    else
        waitq_add(it->file->wq, &it->waiter);
}

static void ep_item_unready(struct ep_item *it)
{
    struct epoll *ep = it->ep;

    mutex_lock(&ep->ready_lock);
    if (!list_empty(&it->ready)) {
        list_del(&it->ready);
        ep->ready_count--;
    }
    mutex_unlock(&ep->ready_lock);
}

static void ep_item_remove_locked(struct epoll *ep, struct ep_item *it) REQUIRES(ep->lock)
{
    ASSERT_HELD(&ep->lock);
    it->dead = true;
    RB_REMOVE(ep_tree, &ep->items, it);
    ep->item_count--;
    if (file_is_epoll(it->file)) {
        struct epoll *inner = epoll_of(it->file);

        mutex_lock(&g_nest.lock);
        list_del(&it->parents);
        atomic_fetch_sub(&inner->parent_count, 1);
        mutex_unlock(&g_nest.lock);
    } else {
        waitq_remove(it->file->wq, &it->waiter);
    }
    ep_item_unready(it);
    mutex_lock(&g_links.lock);
    list_del(&it->file_node);
    mutex_unlock(&g_links.lock);
}

void epoll_file_release(struct file *f)
{
    for (;;) {
        struct ep_item *it;
        struct epoll *ep;
        bool removed = false;

        mutex_lock(&g_links.lock);
        if (list_empty(&f->epoll_items)) {
            mutex_unlock(&g_links.lock);
            return;
        }
        it = list_first_entry(&f->epoll_items, struct ep_item, file_node);
        refs_get(&it->refs);
        mutex_unlock(&g_links.lock);
        ep = it->ep;
        mutex_lock(&ep->lock);
        if (!it->dead) {
            ep_item_remove_locked(ep, it);
            removed = true;
        }
        mutex_unlock(&ep->lock);
        ep_item_put(it);
        if (removed)
            ep_item_put(it);
    }
}

static void epoll_release(struct file *f)
{
    struct epoll *ep = epoll_of(f);
    struct ep_item *it;

    mutex_lock(&ep->lock);
    while ((it = RB_MIN(ep_tree, &ep->items)) != NULL) {
        ep_item_remove_locked(ep, it);
        mutex_unlock(&ep->lock);
        ep_item_put(it);
        mutex_lock(&ep->lock);
    }
    mutex_unlock(&ep->lock);
    file_destroy_generic(f);
    ep_mem_put(ep);
}

/* Polls a nested epoll with no lock held; the item keeps the memory, the get keeps the file. */
static uint32_t ep_poll_nested(struct epoll *ep, struct ep_item *it) REQUIRES(ep->lock)
{
    struct file *f = it->file;
    uint32_t ready;

    if (!refs_get_not_zero(&f->refs))
        return 0;
    refs_get(&it->refs);
    mutex_unlock(&ep->lock);
    ready = file_poll(f);
    file_put(f);
    mutex_lock(&ep->lock);
    if (it->dead)
        ready = 0;
    /* Not the last reference of a live item; of a dead one it may be, but ep is held by its file.
     */
    ep_item_put(it);
    return ready;
}

static bool ep_has_ready(struct epoll *ep)
{
    bool any;

    mutex_lock(&ep->ready_lock);
    any = !list_empty(&ep->ready);
    mutex_unlock(&ep->ready_lock);
    return any;
}

/* Items leave the list while they are looked at: a sleeper that found it empty meanwhile, or whose
 * wake we took, is woken when something is listed. */
static void ep_pass_on(struct epoll *ep)
{
    if (atomic_load(&ep->sleepers) > 0 && ep_has_ready(ep))
        waitq_wake_n(&ep->file.own_wq, WAKE_IN, 1);
}

/* Is anything ready for sure? LT items stay on the list, stale ones leave it. */
static uint32_t epoll_poll(struct file *f)
{
    struct epoll *ep = epoll_of(f);
    uint32_t mask = 0;
    int n;

    mutex_lock(&ep->lock);
    mutex_lock(&ep->ready_lock);
    n = ep->ready_count;
    mutex_unlock(&ep->ready_lock);
    while (n-- > 0 && mask == 0) {
        struct ep_item *it = NULL;
        uint32_t ready, want;

        mutex_lock(&ep->ready_lock);
        if (!list_empty(&ep->ready)) {
            it = list_first_entry(&ep->ready, struct ep_item, ready);
            list_del(&it->ready);
            ep->ready_count--;
        }
        mutex_unlock(&ep->ready_lock);
        if (!it)
            break;
        want = it->events;
        refs_get(&it->refs);
        ready = file_is_epoll(it->file) ? ep_poll_nested(ep, it) : it->file->ops->poll(it->file);
        if (!it->dead && (ready & ep_item_wait_mask(want)) && (want & ~EP_PRIVATE_BITS)) {
            mask = WAKE_IN | WAKE_RDNORM;
            ep_item_list(it);
        }
        ep_item_put(it);
    }
    mutex_unlock(&ep->lock);
    ep_pass_on(ep);
    return mask;
}

static size_t epoll_fdinfo(struct file *f, char *buf, size_t size)
{
    struct epoll *ep = epoll_of(f);
    struct ep_item *it;
    size_t n = 0;

    mutex_lock(&ep->lock);
    for (it = RB_MIN(ep_tree, &ep->items); it && n < size; it = RB_NEXT(ep_tree, &ep->items, it)) {
        n += (size_t)snprintf(buf + n, size - n, "tfd: %8d events: %8x data: %16llx\n", it->fd,
                              it->events, (unsigned long long)it->data);
    }
    mutex_unlock(&ep->lock);
    return MIN(n, size);
}

static const struct file_ops epoll_file_ops = {
    .poll = epoll_poll,
    .fdinfo = epoll_fdinfo,
    .seek = file_seek_nowhere,
    .release = epoll_release,
};

int epoll_create_file(struct file **out)
{
    struct epoll *ep = calloc(1, sizeof(*ep));
    int ret;

    if (!ep)
        return -ENOMEM;
    file_init(&ep->file, &epoll_file_ops, LX_O_RDWR);
    waitq_init_rank(&ep->file.own_wq, RANK_WAITQ2);
    refs_init(&ep->mem_refs);
    mutex_init(&ep->lock, RANK_EPOLL);
    mutex_init(&ep->ready_lock, RANK_LEAF);
    RB_INIT(&ep->items);
    list_init(&ep->ready);
    list_init(&ep->parents);
    ret = file_set_anon(&ep->file, "anon_inode:[eventpoll]", 0600, NULL);
    if (ret < 0)
        file_put(&ep->file);
    else
        *out = &ep->file;
    return ret;
}

/* ---- epoll_ctl ------------------------------------------------------------------------------- */

static struct ep_item *ep_find_locked(struct epoll *ep, struct file *f, int fd)
{
    struct ep_item key = {.file = f, .fd = fd};

    return RB_FIND(ep_tree, &ep->items, &key);
}

/* Height of the epolls below f, or -ELOOP when target is among them. graph_lock is held, so the
 * graph of epolls does not grow; each set is locked in turn. */
static int ep_depth_below(struct epoll *from, const struct epoll *target, int level, int *visits)
{
    struct ep_item *it;
    int deepest = 0, ret = 0;
    struct epoll *inner[64];
    int count = 0;

    if (from == target || level > EPOLL_MAX_DEPTH || ++*visits > EPOLL_MAX_VISITS)
        return -ELOOP;
    mutex_lock(&from->lock);
    RB_FOREACH(it, ep_tree, &from->items) {
        if (!file_is_epoll(it->file))
            continue;
        if (count == 64 || !refs_get_not_zero(&it->file->refs)) {
            ret = count == 64 ? -ELOOP : 0;
            continue;
        }
        inner[count++] = epoll_of(it->file);
    }
    mutex_unlock(&from->lock);
    for (int i = 0; i < count; i++) {
        int depth = ret < 0 ? ret : ep_depth_below(inner[i], target, level + 1, visits);

        if (depth < 0)
            ret = depth;
        deepest = MAX(deepest, depth + 1);
        file_put(&inner[i]->file);
    }
    return ret < 0 ? ret : deepest;
}

/* Height of the epolls above ep. */
static int ep_depth_above(struct epoll *ep, int level, int *visits) REQUIRES(g_nest.lock)
{
    struct ep_item *it;
    int deepest = 0;

    if (level > EPOLL_MAX_DEPTH || ++*visits > EPOLL_MAX_VISITS)
        return EPOLL_MAX_DEPTH;
    list_for_each_entry(it, &ep->parents, parents)
        deepest = MAX(deepest, 1 + ep_depth_above(it->ep, level + 1, visits));
    return deepest;
}

/* Linux: at most 5 epolls in a chain, no loops; -ELOOP. */
static int ep_check_nesting(struct epoll *ep, struct epoll *inner)
{
    int visits = 0, above;
    int below = ep_depth_below(inner, ep, 0, &visits);

    if (below < 0)
        return below;
    visits = 0;
    mutex_lock(&g_nest.lock);
    above = ep_depth_above(ep, 0, &visits);
    mutex_unlock(&g_nest.lock);
    /* ep itself, what is above it, inner and what is below it. */
    return above + below + 2 > EPOLL_MAX_DEPTH ? -ELOOP : 0;
}

/* Polls f for the item that was just added or changed and marks it when it is ready already. */
static void ep_item_prime(struct ep_item *it)
{
    uint32_t ready = file_poll(it->file);

    if ((ready & ep_item_wait_mask(it->events)) && (it->events & ~EP_PRIVATE_BITS)) {
        (void)ep_item_mark(it);
        ep_wake_parents(it->ep);
    }
}

static int ep_insert(struct epoll *ep, struct file *f, int fd, const struct lx_epoll_event *ev)
{
    struct ep_item *it;

    if (atomic_fetch_add(&g_item_count, 1) >= EPOLL_MAX_ITEMS) {
        atomic_fetch_sub(&g_item_count, 1);
        return -ENOSPC;
    }
    it = calloc(1, sizeof(*it));
    if (!it) {
        atomic_fetch_sub(&g_item_count, 1);
        return -ENOMEM;
    }
    refs_init(&it->refs);
    it->ep = ep;
    it->file = f;
    it->fd = fd;
    it->events = ev->events | WAKE_ERR | WAKE_HUP;
    it->data = ev->data;
    list_init(&it->ready);
    list_init(&it->parents);
    list_init(&it->file_node);
    mutex_lock(&ep->lock);
    if (ep_find_locked(ep, f, fd)) {
        mutex_unlock(&ep->lock);
        atomic_fetch_sub(&g_item_count, 1);
        free(it);
        return -EEXIST;
    }
    refs_get(&ep->mem_refs);
    RB_INSERT(ep_tree, &ep->items, it);
    ep->item_count++;
    refs_get(&it->refs);
    ep_item_attach_locked(ep, it);
    mutex_unlock(&ep->lock);
    ep_item_prime(it);
    mutex_lock(&ep->lock);
    if (it->dead)
        ep_item_unready(it); /* removed while it was primed */
    mutex_unlock(&ep->lock);
    ep_item_put(it);
    return 0;
}

static int ep_modify(struct epoll *ep, struct file *f, int fd, const struct lx_epoll_event *ev)
{
    struct ep_item *it;

    mutex_lock(&ep->lock);
    it = ep_find_locked(ep, f, fd);
    if (!it || ((it->events | ev->events) & LX_EPOLLEXCLUSIVE)) {
        mutex_unlock(&ep->lock);
        return it ? -EINVAL : -ENOENT;
    }
    it->events = ev->events | WAKE_ERR | WAKE_HUP;
    it->data = ev->data;
    if (!file_is_epoll(f)) {
        /* Off and on again: the queue's lock orders the new mask against running callbacks. */
        waitq_remove(f->wq, &it->waiter);
        it->waiter.mask = ep_item_wait_mask(it->events);
        waitq_add(f->wq, &it->waiter);
    }
    refs_get(&it->refs);
    mutex_unlock(&ep->lock);
    ep_item_prime(it);
    mutex_lock(&ep->lock);
    if (it->dead)
        ep_item_unready(it);
    mutex_unlock(&ep->lock);
    ep_item_put(it);
    return 0;
}

static int ep_delete(struct epoll *ep, struct file *f, int fd)
{
    struct ep_item *it;

    mutex_lock(&ep->lock);
    it = ep_find_locked(ep, f, fd);
    if (it)
        ep_item_remove_locked(ep, it);
    mutex_unlock(&ep->lock);
    if (!it)
        return -ENOENT;
    ep_item_put(it);
    return 0;
}

int epoll_ctl(struct file *epf, int op, int fd, struct file *f, const struct lx_epoll_event *ev)
{
    struct epoll *ep = epoll_of(epf);
    struct lx_epoll_event copy;
    int ret = 0;

    if (!f->ops->poll)
        return -EPERM;
    if (f == epf || !file_is_epoll(epf))
        return -EINVAL;
    if (op == LX_EPOLL_CTL_DEL)
        return ep_delete(ep, f, fd);
    copy = *ev;
    if (!cred_capable(curr()->cred, LX_CAP_BLOCK_SUSPEND))
        copy.events &= ~LX_EPOLLWAKEUP;
    if (copy.events & LX_EPOLLEXCLUSIVE) {
        if (op == LX_EPOLL_CTL_MOD)
            return -EINVAL;
        if (op == LX_EPOLL_CTL_ADD && (file_is_epoll(f) || (copy.events & ~EP_EXCLUSIVE_OK)))
            return -EINVAL;
    }
    if (op == LX_EPOLL_CTL_MOD)
        return ep_modify(ep, f, fd, &copy);
    if (op != LX_EPOLL_CTL_ADD)
        return -EINVAL;
    if (!file_is_epoll(f))
        return ep_insert(ep, f, fd, &copy);
    mutex_lock(&g_nest.graph_lock);
    ret = ep_check_nesting(ep, epoll_of(f));
    if (ret == 0)
        ret = ep_insert(ep, f, fd, &copy);
    mutex_unlock(&g_nest.graph_lock);
    return ret;
}

int epoll_item_count(struct file *epf)
{
    struct epoll *ep = epoll_of(epf);
    int n;

    mutex_lock(&ep->lock);
    n = ep->item_count;
    mutex_unlock(&ep->lock);
    return n;
}

/* ---- epoll_wait ------------------------------------------------------------------------------ */

/* One pass over what is on the ready list at the start. */
static int ep_collect(struct epoll *ep, struct lx_epoll_event *out, int max)
{
    int n, got = 0;

    mutex_lock(&ep->lock);
    mutex_lock(&ep->ready_lock);
    n = ep->ready_count;
    mutex_unlock(&ep->ready_lock);
    while (n-- > 0 && got < max) {
        struct ep_item *it = NULL;
        uint32_t ready;

        mutex_lock(&ep->ready_lock);
        if (!list_empty(&ep->ready)) {
            it = list_first_entry(&ep->ready, struct ep_item, ready);
            list_del(&it->ready);
            ep->ready_count--;
        }
        mutex_unlock(&ep->ready_lock);
        if (!it)
            break;
        refs_get(&it->refs);
        ready = file_is_epoll(it->file) ? ep_poll_nested(ep, it) : it->file->ops->poll(it->file);
        ready &= it->events;
        if (ready && !it->dead) {
            out[got++] = (struct lx_epoll_event){.events = ready, .data = it->data};
            if (it->events & LX_EPOLLONESHOT)
                it->events &= EP_PRIVATE_BITS;
            else if (!(it->events & LX_EPOLLET))
                ep_item_list(it); /* level: the next call looks at it again */
        }
        ep_item_put(it);
    }
    mutex_unlock(&ep->lock);
    return got;
}

int epoll_wait_events(struct file *epf, struct lx_epoll_event *out, int max, uint64_t deadline)
{
    struct epoll *ep = epoll_of(epf);
    struct waiter w;
    int ret = 0;

    if (ep_has_ready(ep))
        ret = ep_collect(ep, out, max);
    if (ret > 0 || deadline == 0)
        goto out;
    waiter_init(&w, WAKE_IN);
    atomic_fetch_add(&ep->sleepers, 1);
    waitq_add_exclusive(&ep->file.own_wq, &w);
    for (;;) {
        ret = ep_has_ready(ep) ? ep_collect(ep, out, max) : 0;
        if (ret > 0)
            break;
        ret = task_block(deadline);
        if (ret < 0)
            break;
    }
    waitq_remove(&ep->file.own_wq, &w);
    atomic_fetch_sub(&ep->sleepers, 1);
    if (ret == -ETIMEDOUT)
        ret = ep_collect(ep, out, max);
out:
    ep_pass_on(ep);
    return ret;
}
