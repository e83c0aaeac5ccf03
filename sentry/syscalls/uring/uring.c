/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring: rings as files, their memory, the completion queue, waiting. See uring_internal.h.
 *
 * A ring's memory is two runs of pages of the memory file, charged to the creator's control group:
 * one with the heads, tails, completions and the index array, one with the submission entries. The
 * guest maps the same pages that the sentry reads, so every word of it may change at any time. They
 * are touched once at creation; the host may not take them back later.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gen/syscall_protos.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/mman.h"
#include "sentry/core/restart.h"
#include "sentry/fs/eventfd/eventfd.h"
#include "sentry/kernel/cpus.h"
#include "sentry/kernel/settings.h"
#include "sentry/mm/memcg.h"
#include "sentry/mm/safecopy.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/event.h"
#include "sentry/syscalls/uring/uring.h"
#include "sentry/syscalls/uring/uring_internal.h"

static struct mutex g_rings_lock = {.rank = RANK_LEAF};
static struct list g_rings = LIST_INIT(g_rings);
static const struct file_ops g_uring_file_ops;

struct uring *uring_get(struct uring *r)
{
    refs_get(&r->refs);
    return r;
}

void uring_put(struct uring *r)
{
    struct uring_overflow *o, *tmp;

    if (!refs_put(&r->refs))
        return;
    ASSERT(list_empty(&r->pending) && list_empty(&r->deferred));
    list_for_each_entry_safe(o, tmp, &r->overflow, node) {
        free(o);
    }
    memfile_put(r->ring_page, r->ring_pages);
    memfile_put(r->sqe_page, r->sqe_pages);
    mappable_destroy(&r->map);
    mutex_destroy(&r->submit);
    mutex_destroy(&r->lock);
    free(r);
}

struct uring *uring_from_file(struct file *f)
{
    return f->ops == &g_uring_file_ops ? container_of(f, struct uring, file) : NULL;
}

/* ---- completion queue ----------------------------------------------------------------------- */

static uint32_t cq_used_locked(struct uring *r)
{
    uint32_t used = r->cq_tail - atomic_load(&r->shared->cq_head);

    return MIN(used, r->cq_entries); /* the guest's word may be anything */
}

static void cq_put_locked(struct uring *r, const struct lx_io_uring_cqe *cqe)
{
    r->cqes[r->cq_tail & (r->cq_entries - 1)] = *cqe;
    r->cq_tail++;
    /* release: the guest reads the entry after it saw the tail. */
    atomic_store_explicit(&r->shared->cq_tail, r->cq_tail, memory_order_release);
}

static void overflow_locked(struct uring *r, const struct lx_io_uring_cqe *cqe)
{
    struct uring_overflow *o = NULL;

    if (r->overflow_count < URING_MAX_OVERFLOW)
        o = malloc(sizeof(*o));
    if (!o) {
        atomic_fetch_add(&r->shared->cq_overflow, 1);
        return;
    }
    o->cqe = *cqe;
    list_add_tail(&r->overflow, &o->node);
    r->overflow_count++;
    atomic_fetch_or(&r->shared->sq_flags, LX_IORING_SQ_CQ_OVERFLOW);
}

bool uring_has_room_locked(struct uring *r)
{
    return list_empty(&r->overflow) && cq_used_locked(r) < r->cq_entries;
}

void uring_post_locked(struct uring *r, uint64_t user_data, int32_t res, uint32_t flags)
{
    const struct lx_io_uring_cqe cqe = {user_data, res, flags};

    ASSERT_HELD(&r->lock);
    if (r->dead)
        return;
    if (uring_has_room_locked(r))
        cq_put_locked(r, &cqe);
    else
        overflow_locked(r, &cqe);
    waitq_wake(&r->file.own_wq, WAKE_IN | WAKE_RDNORM);
}

void uring_flush_overflow(struct uring *r)
{
    mutex_lock(&r->lock);
    while (!list_empty(&r->overflow) && cq_used_locked(r) < r->cq_entries) {
        struct uring_overflow *o = list_first_entry(&r->overflow, struct uring_overflow, node);

        cq_put_locked(r, &o->cqe);
        list_del(&o->node);
        r->overflow_count--;
        free(o);
    }
    if (list_empty(&r->overflow))
        atomic_fetch_and(&r->shared->sq_flags, ~LX_IORING_SQ_CQ_OVERFLOW);
    mutex_unlock(&r->lock);
}

uint32_t uring_ready(struct uring *r)
{
    uint32_t n;

    mutex_lock(&r->lock);
    n = cq_used_locked(r) + r->overflow_count;
    mutex_unlock(&r->lock);
    return n;
}

void uring_signal(struct uring *r, bool inline_post)
{
    struct file *f = NULL;

    mutex_lock(&r->lock);
    if (r->eventfd && !(inline_post && r->eventfd_async) &&
        !(atomic_load(&r->shared->cq_flags) & LX_IORING_CQ_EVENTFD_DISABLED))
        f = file_get(r->eventfd);
    mutex_unlock(&r->lock);
    if (f) {
        eventfd_signal(f);
        file_put(f);
    }
}

/* ---- memory --------------------------------------------------------------------------------- */

static struct uring *uring_of_map(struct mappable *m)
{
    return container_of(m, struct uring, map);
}

static int ring_translate(struct mappable *m, uint64_t pgoff, uint32_t count, bool write,
                          struct backing *out)
{
    struct uring *r = uring_of_map(m);
    uint64_t sqes = LX_IORING_OFF_SQES >> LX_PAGE_SHIFT,
             cq = LX_IORING_OFF_CQ_RING >> LX_PAGE_SHIFT;
    mfpage_t first = r->ring_page;
    uint32_t pages = r->ring_pages;

    (void)write;
    if (pgoff >= sqes) {
        pgoff -= sqes;
        first = r->sqe_page;
        pages = r->sqe_pages;
    } else if (pgoff >= cq) {
        pgoff -= cq;
    }
    if (pgoff >= pages)
        return -ENXIO;
    count = MIN(count, pages - (uint32_t)pgoff);
    memfile_get(first + (uint32_t)pgoff, count);
    *out =
        (struct backing){.kind = BACKING_MEMFILE, .page = first + (uint32_t)pgoff, .count = count};
    return 0;
}

static void ring_map_get(struct mappable *m)
{
    file_get(&uring_of_map(m)->file);
}

static void ring_map_put(struct mappable *m)
{
    file_put(&uring_of_map(m)->file);
}

static const struct mappable_ops g_uring_map_ops = {
    .translate = ring_translate,
    .get = ring_map_get,
    .put = ring_map_put,
};

static uint32_t pages_for(size_t size)
{
    return (uint32_t)((size + LX_PAGE_SIZE - 1) / LX_PAGE_SIZE);
}

/* Zeroed, and present in the host: plain loads and stores are safe from here on. */
static int alloc_pages(uint32_t pages, mfpage_t *out)
{
    int ret;

    memcg_oom_forget();
    do {
        ret = memfile_alloc(MEMFILE_KERNEL, pages, out);
    } while (ret == -ENOMEM && memcg_oom_retry());
    if (ret == 0 && safe_memset(memfile_ptr(*out), 0, (size_t)pages * LX_PAGE_SIZE) != 0) {
        memfile_put(*out, pages);
        ret = -ENOMEM;
    }
    return ret;
}

static int alloc_memory(struct uring *r, struct lx_io_uring_params *p)
{
    size_t cqes = (sizeof(struct uring_shared) + 63) & ~63ul;
    size_t array = cqes + r->cq_entries * sizeof(struct lx_io_uring_cqe);
    size_t size = array + r->sq_entries * sizeof(uint32_t);
    char *base;
    int ret;

    r->ring_pages = pages_for(size);
    r->sqe_pages = pages_for(r->sq_entries * sizeof(struct lx_io_uring_sqe));
    ret = alloc_pages(r->ring_pages, &r->ring_page);
    if (ret < 0)
        return ret;
    ret = alloc_pages(r->sqe_pages, &r->sqe_page);
    if (ret < 0) {
        memfile_put(r->ring_page, r->ring_pages);
        return ret;
    }
    base = memfile_ptr(r->ring_page);
    /* SAFETY: page-aligned memory of ours; the offsets are multiples of the types' sizes. */
    r->shared = (struct uring_shared *)(void *)base;
    r->cqes = (struct lx_io_uring_cqe *)(void *)(base + cqes);
    r->sq_array = (uint32_t *)(void *)(base + array);
    r->sqes = memfile_ptr(r->sqe_page);
    r->shared->sq_entries = r->sq_entries;
    r->shared->sq_mask = r->sq_entries - 1;
    r->shared->cq_entries = r->cq_entries;
    r->shared->cq_mask = r->cq_entries - 1;
#define AT(field) (uint32_t) offsetof(struct uring_shared, field)
    p->sq_off = (struct lx_io_sqring_offsets){
        .head = AT(sq_head),
        .tail = AT(sq_tail),
        .ring_mask = AT(sq_mask),
        .ring_entries = AT(sq_entries),
        .flags = AT(sq_flags),
        .dropped = AT(sq_dropped),
        .array = (uint32_t)array,
    };
    p->cq_off = (struct lx_io_cqring_offsets){
        .head = AT(cq_head),
        .tail = AT(cq_tail),
        .ring_mask = AT(cq_mask),
        .ring_entries = AT(cq_entries),
        .overflow = AT(cq_overflow),
        .cqes = (uint32_t)cqes,
        .flags = AT(cq_flags),
    };
#undef AT
    return 0;
}

/* ---- the file ------------------------------------------------------------------------------- */

static uint32_t ring_poll(struct file *f)
{
    struct uring *r = container_of(f, struct uring, file);
    uint32_t tail = atomic_load(&r->shared->sq_tail), head = atomic_load(&r->shared->sq_head);
    uint32_t mask = 0;

    if (tail - head < r->sq_entries)
        mask |= WAKE_OUT | WAKE_WRNORM;
    /* Without the lock: pollers come from inside wait queues. A wake-up follows every change. */
    if (atomic_load(&r->shared->cq_tail) != atomic_load(&r->shared->cq_head))
        mask |= WAKE_IN | WAKE_RDNORM;
    return mask;
}

static struct mappable *ring_mappable(struct file *f)
{
    return &container_of(f, struct uring, file)->map;
}

static void ring_release(struct file *f)
{
    struct uring *r = container_of(f, struct uring, file);
    struct file *eventfd;

    mutex_lock(&g_rings_lock);
    list_del(&r->all_node);
    mutex_unlock(&g_rings_lock);
    mutex_lock(&r->lock);
    r->dead = true;
    eventfd = r->eventfd;
    r->eventfd = NULL;
    mutex_unlock(&r->lock);
    if (eventfd)
        file_put(eventfd);
    uring_cancel_matching(r, NULL, NULL, UINT32_MAX, NULL);
    uring_registered_free(r);
    uring_groups_free(r);
    file_destroy_generic(f);
    uring_put(r);
}

static const struct file_ops g_uring_file_ops = {
    .poll = ring_poll,
    .mappable = ring_mappable,
    .release = ring_release,
};

/* ---- setup ---------------------------------------------------------------------------------- */

#define SETUP_FLAGS                                                                                \
    (LX_IORING_SETUP_CQSIZE | LX_IORING_SETUP_CLAMP | LX_IORING_SETUP_R_DISABLED |                 \
     LX_IORING_SETUP_SUBMIT_ALL | LX_IORING_SETUP_COOP_TASKRUN | LX_IORING_SETUP_TASKRUN_FLAG |    \
     LX_IORING_SETUP_SINGLE_ISSUER | LX_IORING_SETUP_DEFER_TASKRUN | LX_IORING_SETUP_SQPOLL |      \
     LX_IORING_SETUP_IOPOLL | LX_IORING_SETUP_SQ_AFF | LX_IORING_SETUP_ATTACH_WQ)

static uint32_t power_of_two(uint32_t n)
{
    return n <= 1 ? 1 : 1u << (32 - __builtin_clz(n - 1));
}

static int check_params(uint32_t entries, struct lx_io_uring_params *p)
{
    for (size_t i = 0; i < ARRAY_COUNT(p->resv); i++) {
        if (p->resv[i])
            return -EINVAL;
    }
    /* DEVIATION: no large entries: the answer of a kernel that does not know them. IOPOLL: there is nothing
     * to poll for, a transfer is done at once. */
    if (p->flags & ~SETUP_FLAGS)
        return -EINVAL;
    if ((p->flags & LX_IORING_SETUP_SQPOLL) &&
        (p->flags & (LX_IORING_SETUP_COOP_TASKRUN | LX_IORING_SETUP_TASKRUN_FLAG |
                     LX_IORING_SETUP_DEFER_TASKRUN)))
        return -EINVAL;
    if ((p->flags & LX_IORING_SETUP_SQ_AFF) &&
        (!(p->flags & LX_IORING_SETUP_SQPOLL) || !kernel_cpu_usable(p->sq_thread_cpu)))
        return -EINVAL;
    if ((p->flags & LX_IORING_SETUP_TASKRUN_FLAG) &&
        !(p->flags & (LX_IORING_SETUP_COOP_TASKRUN | LX_IORING_SETUP_DEFER_TASKRUN)))
        return -EINVAL;
    if ((p->flags & LX_IORING_SETUP_DEFER_TASKRUN) && !(p->flags & LX_IORING_SETUP_SINGLE_ISSUER))
        return -EINVAL;
    if (entries == 0)
        return -EINVAL;
    if (entries > URING_MAX_ENTRIES) {
        if (!(p->flags & LX_IORING_SETUP_CLAMP))
            return -EINVAL;
        entries = URING_MAX_ENTRIES;
    }
    p->sq_entries = power_of_two(entries);
    if (!(p->flags & LX_IORING_SETUP_CQSIZE)) {
        p->cq_entries = 2 * p->sq_entries;
        return 0;
    }
    if (p->cq_entries == 0)
        return -EINVAL;
    if (p->cq_entries > URING_MAX_CQ) {
        if (!(p->flags & LX_IORING_SETUP_CLAMP))
            return -EINVAL;
        p->cq_entries = URING_MAX_CQ;
    }
    p->cq_entries = power_of_two(p->cq_entries);
    return p->cq_entries < p->sq_entries ? -EINVAL : 0;
}

/* Rings that share their workers: there are none, so all that is left is who may be named. */
static int check_attach(const struct lx_io_uring_params *p)
{
    const struct uring *r;
    struct file *f;
    int ret = 0;

    if (!(p->flags & LX_IORING_SETUP_ATTACH_WQ))
        return 0;
    if (fdtable_lookup_get(curr()->files, (int)p->wq_fd, &f) < 0)
        return -ENXIO;
    r = uring_from_file(f);
    if (!r || ((p->flags & LX_IORING_SETUP_SQPOLL) && !(r->flags & LX_IORING_SETUP_SQPOLL)))
        ret = -EINVAL;
    file_put(f);
    return ret;
}

static void cancel_all_of(struct task *t);
static const struct task_request_ops g_uring_task_ops = {.cancel_all = cancel_all_of};

void uring_init(void)
{
    g_task_request_ops = &g_uring_task_ops;
}

static int ring_new(struct lx_io_uring_params *p, struct uring **out)
{
    struct uring *r = calloc(1, sizeof(*r));
    int ret;

    if (!r)
        return -ENOMEM;
    r->sq_entries = p->sq_entries;
    r->cq_entries = p->cq_entries;
    r->flags = p->flags;
    ret = alloc_memory(r, p);
    if (ret < 0) {
        free(r);
        return ret;
    }
    refs_init(&r->refs);
    mutex_init(&r->submit, RANK_URING_SUBMIT);
    mutex_init(&r->lock, RANK_URING);
    list_init(&r->overflow);
    list_init(&r->groups);
    list_init(&r->pending);
    list_init(&r->deferred);
    list_init(&r->all_node);
    mappable_init(&r->map, &g_uring_map_ops);
    r->disabled = p->flags & LX_IORING_SETUP_R_DISABLED;
    /* With SQPOLL it is the kernel's thread that issues. */
    if ((p->flags & LX_IORING_SETUP_SINGLE_ISSUER) && !r->disabled &&
        !(p->flags & LX_IORING_SETUP_SQPOLL))
        r->issuer = pid_get(curr()->tid);
    /* DEVIATION: the thread that polls the submission queue always sleeps and wants to be woken, and the call
     * that does so takes the entries: no CPU is spent on looking, and a request runs where all do. */
    if (p->flags & LX_IORING_SETUP_SQPOLL)
        r->shared->sq_flags = LX_IORING_SQ_NEED_WAKEUP;
    r->restrict_register = r->restrict_op = UINT64_MAX;
    r->restrict_flags = UINT8_MAX;
    file_init(&r->file, &g_uring_file_ops, LX_O_RDWR);
    mutex_lock(&g_rings_lock);
    list_add_tail(&g_rings, &r->all_node);
    mutex_unlock(&g_rings_lock);
    ret = file_set_anon(&r->file, "[io_uring]", 0600, NULL);
    if (ret < 0) {
        file_put(&r->file);
        return ret;
    }
    *out = r;
    return 0;
}

/* kernel.io_uring_disabled: 1 for the unprivileged, 2 for everybody. */
static int may_use(void)
{
    int how = settings_io_uring_disabled();

    return how == 0 || (how == 1 && cred_capable(curr()->cred, LX_CAP_SYS_ADMIN)) ? 0 : -EPERM;
}

long sys_io_uring_setup(struct task *t, uint32_t entries, uaddr_t params)
{
    struct lx_io_uring_params p;
    struct uring *r;
    long ret = may_use();

    if (ret == 0)
        ret = get_user(&p, params);
    if (ret == 0)
        ret = check_params(entries, &p);
    if (ret == 0)
        ret = check_attach(&p);
    if (ret < 0)
        return ret;
    ret = taskwork_start();
    if (ret < 0)
        return ret;
    ret = ring_new(&p, &r);
    if (ret < 0)
        return ret;
    p.features = LX_IORING_FEAT_SINGLE_MMAP | LX_IORING_FEAT_NODROP | LX_IORING_FEAT_RW_CUR_POS |
                 LX_IORING_FEAT_CUR_PERSONALITY | LX_IORING_FEAT_FAST_POLL |
                 LX_IORING_FEAT_POLL_32BITS | LX_IORING_FEAT_SQPOLL_NONFIXED |
                 LX_IORING_FEAT_EXT_ARG | LX_IORING_FEAT_NATIVE_WORKERS | LX_IORING_FEAT_CQE_SKIP |
                 LX_IORING_FEAT_LINKED_FILE;
    ret = put_user(&p, params);
    if (ret == 0)
        ret = fdtable_install_take(t->curr.files, &r->file, 0, /*cloexec=*/true);
    if (ret < 0)
        file_put(&r->file);
    return ret;
}

/* ---- enter ---------------------------------------------------------------------------------- */

static int wait_for(struct uring *r, struct task *t, uint32_t want, uint64_t deadline)
{
    const uint32_t timeouts = atomic_load(&r->timeouts);
    struct waiter w;
    int ret = 0;

    waiter_init(&w, WAKE_IN);
    waitq_add(&r->file.own_wq, &w);
    for (;;) {
        if (taskwork_due(t) && taskwork_run(t))
            ret = -ERESTARTSYS;
        uring_flush_overflow(r);
        /* Linux: a timeout ends the wait, whatever else is wanted. */
        if (uring_ready(r) >= want || ret < 0 || atomic_load(&r->timeouts) != timeouts)
            break;
        ret = task_block(deadline);
        /* Work wakes as signals do, and may be done before its wake-up comes. */
        if (ret == -ERESTARTSYS && !taskwork_run(t))
            ret = 0;
    }
    waitq_remove(&r->file.own_wq, &w);
    /* Linux: what is there is reported, were it less than was wanted. */
    if (uring_ready(r) > 0 || ret == 0)
        return 0;
    return ret == -ETIMEDOUT ? -ETIME : -EINTR;
}

struct wait_args {
    uaddr_t sigmask;
    size_t sigmask_size;
    uint64_t deadline;
};

static int read_wait_args(uint32_t flags, uaddr_t argp, size_t size, struct wait_args *out)
{
    struct lx_io_uring_getevents_arg a;
    int ret;

    *out = (struct wait_args){argp, size, NO_DEADLINE};
    if (!(flags & LX_IORING_ENTER_EXT_ARG))
        return 0;
    if (size != sizeof(a))
        return -EINVAL;
    ret = get_user(&a, argp);
    if (ret < 0)
        return ret;
    if (a.pad)
        return -EINVAL;
    out->sigmask = a.sigmask;
    out->sigmask_size = a.sigmask_sz;
    return event_deadline_from_timespec(a.ts, &out->deadline);
}

static long get_events(struct uring *r, struct task *t, uint32_t want, uint32_t flags, uaddr_t argp,
                       size_t size)
{
    struct wait_args a;
    long ret = read_wait_args(flags, argp, size, &a);

    if (ret == 0)
        ret = event_set_mask(t, a.sigmask, a.sigmask_size);
    if (ret == 0)
        ret = wait_for(r, t, MIN(want, r->cq_entries), a.deadline);
    return ret;
}

bool uring_is_foreign(struct uring *r)
{
    bool foreign;

    mutex_lock(&r->submit);
    foreign = r->issuer && r->issuer != curr()->tid;
    mutex_unlock(&r->submit);
    return foreign;
}

static long enter(struct uring *r, struct task *t, uint32_t to_submit, uint32_t want,
                  uint32_t flags, uaddr_t argp, size_t size)
{
    long submitted = 0, ret = 0;

    if (r->disabled)
        return -EBADFD;
    if ((r->flags & LX_IORING_SETUP_SINGLE_ISSUER) && uring_is_foreign(r) &&
        (to_submit ||
         ((flags & LX_IORING_ENTER_GETEVENTS) && (r->flags & LX_IORING_SETUP_DEFER_TASKRUN))))
        return -EEXIST;
    uring_flush_overflow(r);
    if (r->flags & LX_IORING_SETUP_SQPOLL) {
        ret = uring_submit(r, t, r->sq_entries);
        if (ret < 0)
            return ret;
        ret = 0;
        submitted = to_submit; /* Linux: whatever was there */
    } else if (to_submit) {
        submitted = uring_submit(r, t, to_submit);
        if (submitted != (long)to_submit)
            return submitted;
    }
    if (flags & LX_IORING_ENTER_GETEVENTS)
        ret = get_events(r, t, want, flags, argp, size);
    return submitted ? submitted : ret;
}

long sys_io_uring_enter(struct task *t, int fd, uint32_t to_submit, uint32_t min_complete,
                        uint32_t flags, uaddr_t argp, size_t argsz)
{
    struct uring *r;
    struct file *f;
    long ret;

    if (flags & ~(LX_IORING_ENTER_GETEVENTS | LX_IORING_ENTER_SQ_WAKEUP | LX_IORING_ENTER_SQ_WAIT |
                  LX_IORING_ENTER_EXT_ARG))
        return -EINVAL;
    ret = fdtable_lookup_get(t->curr.files, fd, &f);
    if (ret < 0)
        return ret;
    r = uring_from_file(f);
    ret = r ? enter(r, t, to_submit, min_complete, flags, argp, argsz) : -EOPNOTSUPP;
    file_put(f);
    return ret;
}

long sys_io_uring_register(struct task *t, int fd, uint32_t opcode, uaddr_t arg, uint32_t nr_args)
{
    struct uring *r;
    struct file *f;
    long ret;

    if (opcode >= LX_IORING_REGISTER_LAST)
        return -EINVAL;
    ret = fdtable_lookup_get(t->curr.files, fd, &f);
    if (ret < 0)
        return ret;
    r = uring_from_file(f);
    ret = r ? uring_register(r, opcode, arg, nr_args) : -EOPNOTSUPP;
    file_put(f);
    return ret;
}

/* ---- the end of a task ---------------------------------------------------------------------- */

static bool is_of_task(const struct ureq *q, void *arg)
{
    return q->task == arg;
}

/* The next ring after prev (whose reference is consumed), +1. */
static struct uring *next_ring(struct uring *prev)
{
    struct uring *found = NULL;
    struct list *it;

    mutex_lock(&g_rings_lock);
    /* A ring that left the list meanwhile points to itself: start over. */
    it = prev && !list_empty(&prev->all_node) ? prev->all_node.next : g_rings.next;
    if (prev && list_empty(&prev->all_node) && list_empty(&g_rings))
        it = &g_rings;
    if (it != &g_rings)
        found = uring_get(list_entry(it, struct uring, all_node));
    mutex_unlock(&g_rings_lock);
    if (prev)
        uring_put(prev);
    return found;
}

static void cancel_all_of(struct task *t)
{
    struct uring *r = NULL;

    while ((r = next_ring(r)) != NULL)
        uring_cancel_matching(r, is_of_task, t, UINT32_MAX, NULL);
}
