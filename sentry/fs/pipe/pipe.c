/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes. A pipe is a ring of slots, each a piece of one memory-file page, as in Linux, because the
 * ring's geometry is visible: a write of up to PIPE_BUF bytes takes one slot (atomic), POLLOUT
 * means "one slot is free", F_SETPIPE_SZ counts slots, and O_DIRECT makes each write a packet.
 *
 * Bytes move between guest memory and the page under pipe.lock (rank PIPE lies before MM). Wake-ups
 * are rare on purpose: readers are woken when the ring stops being empty, writers when it stops
 * being full, one exclusive sleeper at a time; a sleeper that leaves while there is more passes the
 * wake on (pipe_wait_end). Poll looks at the atomics only.
 */
#include "sentry/fs/pipe/pipe.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/ioctl.h"
#include "sentry/abi/signal.h"
#include "sentry/core/cred.h"
#include "sentry/core/curr.h"
#include "sentry/core/restart.h"
#include "sentry/fs/pipe/pipe_internal.h"
#include "sentry/mm/memcg.h"
#include "sentry/mm/uaccess.h"

int pipe_new(struct pipe **out)
{
    struct pipe *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->bufs = calloc(PIPE_DEFAULT_SLOTS, sizeof(*p->bufs));
    if (!p->bufs) {
        free(p);
        return -ENOMEM;
    }
    refs_init(&p->refs);
    mutex_init(&p->lock, RANK_PIPE);
    waitq_init(&p->wq);
    async_list_init(&p->async);
    atomic_init(&p->slots, PIPE_DEFAULT_SLOTS);
    *out = p;
    return 0;
}

/* Nobody has it open: what was not read is gone, also in a FIFO that is opened again. */
static void pipe_discard_locked(struct pipe *p) REQUIRES(p->lock)
{
    while (!pipe_empty(p))
        pipe_pop_locked(p);
    while (p->spare_count > 0)
        memfile_put(p->spare[--p->spare_count], 1);
}

void pipe_put(struct pipe *p)
{
    if (!refs_put(&p->refs))
        return;
    mutex_lock(&p->lock);
    pipe_discard_locked(p);
    mutex_unlock(&p->lock);
    waitq_destroy(&p->wq);
    async_list_destroy(&p->async);
    mutex_destroy(&p->lock);
    free(p->bufs);
    free(p);
}

int pipe_page_get_locked(struct pipe *p, mfpage_t *out)
{
    int ret;

    if (p->spare_count > 0) {
        *out = p->spare[--p->spare_count];
        return 0;
    }
    memcg_oom_forget();
    do {
        ret = memfile_alloc(MEMFILE_PIPE, 1, out);
    } while (ret == -ENOMEM && memcg_oom_retry());
    return ret;
}

void pipe_page_put_locked(struct pipe *p, mfpage_t page)
{
    if (p->spare_count < PIPE_SPARE_PAGES && memfile_count(page) == 1)
        p->spare[p->spare_count++] = page;
    else
        memfile_put(page, 1);
}

void pipe_pop_locked(struct pipe *p)
{
    uint32_t tail = atomic_load(&p->tail);

    pipe_page_put_locked(p, pipe_slot(p, tail)->page);
    atomic_store(&p->tail, tail + 1);
}

void pipe_wake(struct pipe *p, uint32_t events)
{
    uint32_t normal = events & WAKE_IN ? WAKE_RDNORM : WAKE_WRNORM;

    waitq_wake_n(&p->wq, events | normal, 1);
    async_list_signal(&p->async, events);
}

int pipe_wait_step(struct pipe *p, struct pipe_wait *w, uint32_t mask)
{
    if (!w->queued) {
        waiter_init(&w->w, mask);
        waitq_add_exclusive(&p->wq, &w->w);
        w->queued = true;
        return 0;
    }
    return task_block(NO_DEADLINE);
}

void pipe_wait_end(struct pipe *p, struct pipe_wait *w, uint32_t mask)
{
    if (!w->queued)
        return;
    waitq_remove(&p->wq, &w->w);
    w->queued = false;
    /* The wake that came to us may have been meant for more than we took. */
    if ((mask & WAKE_IN) && !pipe_empty(p))
        waitq_wake_n(&p->wq, WAKE_IN | WAKE_RDNORM, 1);
    if ((mask & WAKE_OUT) && !pipe_full(p))
        waitq_wake_n(&p->wq, WAKE_OUT | WAKE_WRNORM, 1);
}

/* ---- read -------------------------------------------------------------------------------- */

/* Moves what is there. Bytes, 0 when the ring is empty, -EFAULT. */
static ssize_t pipe_take_locked(struct pipe *p, struct iov_iter *dst) REQUIRES(p->lock)
{
    size_t done = 0;

    while (iov_iter_count(dst) > 0 && !pipe_empty(p)) {
        struct pipe_buf *b = pipe_slot(p, atomic_load(&p->tail));
        size_t want = MIN((size_t)b->len, iov_iter_count(dst));
        size_t n = copy_to_iter(dst, (char *)memfile_ptr(b->page) + b->off, want);
        bool packet = b->flags & PIPE_BUF_PACKET;

        done += n;
        b->off += (uint32_t)n;
        b->len -= (uint32_t)n;
        if (n < want)
            return done > 0 ? (ssize_t)done : -EFAULT;
        if (packet || b->len == 0)
            pipe_pop_locked(p);
        if (packet)
            break;
    }
    return (ssize_t)done;
}

ssize_t pipe_read_iter(struct pipe *p, struct iov_iter *dst, bool nonblock)
{
    struct pipe_wait w = {.queued = false};
    ssize_t ret;

    if (iov_iter_count(dst) == 0)
        return 0;
    for (;;) {
        bool was_full, claimed;

        mutex_lock(&p->lock);
        claimed = p->claimed_out;
        was_full = pipe_full(p);
        ret = claimed ? 0 : pipe_take_locked(p, dst);
        was_full = was_full && !pipe_full(p);
        mutex_unlock(&p->lock);
        if (was_full)
            pipe_wake(p, WAKE_OUT);
        if (ret != 0)
            break;
        if (!claimed && atomic_load(&p->writers) == 0) {
            /* A writer may have written and closed between the two looks. */
            if (pipe_empty(p))
                break;
            continue;
        }
        if (nonblock) {
            ret = -EAGAIN;
            break;
        }
        ret = pipe_wait_step(p, &w, WAKE_IN);
        if (ret < 0)
            break;
    }
    pipe_wait_end(p, &w, WAKE_IN);
    return ret;
}

/* ---- write ------------------------------------------------------------------------------- */

/* Appends a write's odd tail to the last buffer when that one still has room, as Linux does, so
 * that many small writes do not take a slot each. */
static ssize_t pipe_merge_locked(struct pipe *p, struct iov_iter *src) REQUIRES(p->lock)
{
    size_t chars = iov_iter_count(src) & (LX_PAGE_SIZE - 1);
    struct pipe_buf *b;
    size_t n;

    if (chars == 0 || pipe_empty(p))
        return 0;
    b = pipe_slot(p, atomic_load(&p->head) - 1);
    if (!(b->flags & PIPE_BUF_MERGE) || b->off + b->len + chars > LX_PAGE_SIZE ||
        memfile_count(b->page) != 1)
        return 0;
    n = copy_from_iter(src, (char *)memfile_ptr(b->page) + b->off + b->len, chars);
    if (n < chars)
        return -EFAULT;
    b->len += (uint32_t)n;
    return (ssize_t)n;
}

/* Fills free slots. Adds to *done; 0, -EFAULT, -ENOMEM. */
static int pipe_fill_locked(struct pipe *p, struct iov_iter *src, bool packet, ssize_t *done)
    REQUIRES(p->lock)
{
    while (iov_iter_count(src) > 0 && !pipe_full(p)) {
        size_t want = MIN(iov_iter_count(src), LX_PAGE_SIZE);
        uint32_t head = atomic_load(&p->head);
        mfpage_t page;
        size_t n;
        int ret = pipe_page_get_locked(p, &page);

        if (ret < 0)
            return ret;
        n = copy_from_iter(src, memfile_ptr(page), want);
        if (n < want) {
            pipe_page_put_locked(p, page);
            return -EFAULT;
        }
        *pipe_slot(p, head) = (struct pipe_buf){
            .page = page,
            .len = (uint32_t)n,
            .flags = packet ? PIPE_BUF_PACKET : PIPE_BUF_MERGE,
        };
        atomic_store(&p->head, head + 1);
        *done += (ssize_t)n;
    }
    return 0;
}

ssize_t pipe_write_iter(struct pipe *p, struct iov_iter *src, bool packet, bool nonblock)
{
    struct pipe_wait w = {.queued = false};
    bool first = true;
    ssize_t done = 0;
    int ret = 0;

    if (iov_iter_count(src) == 0)
        return 0;
    for (;;) {
        bool was_empty, wake;
        ssize_t before = done;

        mutex_lock(&p->lock);
        was_empty = pipe_empty(p);
        if (atomic_load(&p->readers) == 0) {
            ret = -EPIPE;
        } else if (!p->claimed_in) {
            ssize_t merged = first && !packet ? pipe_merge_locked(p, src) : 0;

            first = false;
            if (merged > 0)
                done += merged;
            ret = merged < 0 ? (int)merged : pipe_fill_locked(p, src, packet, &done);
        }
        wake = done > before && (was_empty || atomic_load(&p->poll_usage));
        mutex_unlock(&p->lock);
        if (wake)
            pipe_wake(p, WAKE_IN);
        if (ret < 0 || iov_iter_count(src) == 0)
            break;
        if (nonblock) {
            ret = -EAGAIN;
            break;
        }
        ret = pipe_wait_step(p, &w, WAKE_OUT);
        if (ret < 0)
            break;
    }
    pipe_wait_end(p, &w, WAKE_OUT);
    if (ret == -EPIPE)
        g_curr_ops->raise_thread(LX_SIGPIPE);
    return done > 0 ? done : ret;
}

static ssize_t pipe_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    return pipe_read_iter(pipe_file_of(f)->pipe, dst, file_nonblock(f));
}

static ssize_t pipe_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    return pipe_write_iter(pipe_file_of(f)->pipe, src, atomic_load(&f->flags) & LX_O_DIRECT,
                           file_nonblock(f));
}

/* ---- the rest of the file ------------------------------------------------------------------ */

static uint32_t pipe_poll(struct file *f)
{
    struct pipe_file *pf = pipe_file_of(f);
    struct pipe *p = pf->pipe;
    uint32_t mask = 0;

    if (!atomic_load(&p->poll_usage))
        atomic_store(&p->poll_usage, true);
    if (file_readable(f)) {
        if (!pipe_empty(p))
            mask |= WAKE_IN | WAKE_RDNORM;
        /* Linux: a FIFO reader that opened before any writer sees no HUP until one came and left.
         */
        if (atomic_load(&p->writers) == 0 &&
            (pf->seen_writers == 0 || pf->seen_writers - 1 != atomic_load(&p->w_counter)))
            mask |= WAKE_HUP;
    }
    if (file_writable(f)) {
        if (!pipe_full(p))
            mask |= WAKE_OUT | WAKE_WRNORM;
        if (atomic_load(&p->readers) == 0)
            mask |= WAKE_ERR;
    }
    return mask;
}

static long pipe_ioctl(struct file *f, uint32_t cmd, uaddr_t arg)
{
    struct pipe *p = pipe_file_of(f)->pipe;
    int bytes = 0;

    if (cmd != LX_FIONREAD)
        return -ENOTTY;
    mutex_lock(&p->lock);
    for (uint32_t i = atomic_load(&p->tail); i != atomic_load(&p->head); i++)
        bytes += (int)pipe_slot(p, i)->len;
    mutex_unlock(&p->lock);
    return put_user(&bytes, arg);
}

static int pipe_set_flags(struct file *f, uint32_t flags)
{
    struct pipe_file *pf = pipe_file_of(f);

    async_list_update(&pf->pipe->async, &pf->async, flags);
    return 0;
}

static void pipe_release(struct file *f)
{
    struct pipe_file *pf = pipe_file_of(f);
    struct pipe *p = pf->pipe;
    bool last;

    async_list_update(&p->async, &pf->async, 0);
    mutex_lock(&p->lock);
    if (file_readable(f))
        atomic_fetch_sub(&p->readers, 1);
    if (file_writable(f))
        atomic_fetch_sub(&p->writers, 1);
    last = !atomic_load(&p->readers) != !atomic_load(&p->writers);
    if (!atomic_load(&p->readers) && !atomic_load(&p->writers))
        pipe_discard_locked(p);
    mutex_unlock(&p->lock);
    if (last) {
        waitq_wake(&p->wq, WAKE_IN | WAKE_OUT | WAKE_RDNORM | WAKE_WRNORM | WAKE_ERR | WAKE_HUP);
        async_list_signal(&p->async, WAKE_IN | WAKE_OUT);
    }
    file_destroy_generic(f);
    pipe_put(p);
    free(pf);
}

const struct file_ops g_pipe_file_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .set_flags = pipe_set_flags,
    .release = pipe_release,
};

bool file_is_pipe(const struct file *f)
{
    return f->ops == &g_pipe_file_ops;
}

int pipe_file_new(struct pipe *p, uint32_t flags, struct pipe_file **out)
{
    struct pipe_file *pf = calloc(1, sizeof(*pf));

    if (!pf)
        return -ENOMEM;
    file_init(&pf->file, &g_pipe_file_ops, flags);
    pf->file.kind |= FILE_STREAM;
    pf->file.wq = &p->wq;
    async_node_init(&pf->async, &pf->file);
    refs_get(&p->refs);
    pf->pipe = p;
    if (file_readable(&pf->file))
        atomic_fetch_add(&p->readers, 1);
    if (file_writable(&pf->file))
        atomic_fetch_add(&p->writers, 1);
    *out = pf;
    return 0;
}

int pipe_create(uint32_t flags, struct file **out_read, struct file **out_write)
{
    uint32_t status = flags & (LX_O_NONBLOCK | LX_O_DIRECT);
    struct pipe_file *r, *w;
    struct inode *inode;
    struct pipe *p;
    int ret = pipe_new(&p);

    if (ret < 0)
        return ret;
    ret = pipe_file_new(p, LX_O_RDONLY | (status & LX_O_NONBLOCK), &r);
    if (ret < 0)
        goto out_pipe;
    ret = vfs_anon_inode(ANON_PIPEFS, 0010600, &inode);
    if (ret == 0)
        ret = file_set_anon(&r->file, "pipe:", 0, inode);
    if (ret < 0)
        goto out_read;
    ret = pipe_file_new(p, LX_O_WRONLY | status, &w);
    if (ret < 0)
        goto out_read;
    ret = file_set_anon(&w->file, "pipe:", 0, inode_get(r->file.inode));
    if (ret < 0)
        goto out_write;
    /* Opening /proc/self/fd/N opens the pipe once more, as it does a FIFO; the inode takes our
     * reference. */
    r->file.inode->pipe = p;
    *out_read = &r->file;
    *out_write = &w->file;
    return 0;
out_write:
    file_put(&w->file);
out_read:
    file_put(&r->file);
out_pipe:
    pipe_put(p);
    return ret;
}

/* ---- size ---------------------------------------------------------------------------------- */

long pipe_get_size(struct file *f)
{
    if (!file_is_pipe(f))
        return -EBADF;
    return (long)(atomic_load(&pipe_file_of(f)->pipe->slots) * LX_PAGE_SIZE);
}

long pipe_set_size(struct file *f, uint32_t size)
{
    struct pipe_buf *bufs, *old;
    struct pipe *p;
    uint32_t slots = 1, used, tail;
    bool grew;

    if (!file_is_pipe(f))
        return -EBADF;
    p = pipe_file_of(f)->pipe;
    if (size > (1u << 31))
        return -EINVAL;
    while ((uint64_t)slots * LX_PAGE_SIZE < size)
        slots *= 2;
    if (slots > PIPE_MAX_SLOTS && slots > atomic_load(&p->slots) &&
        !cred_capable(curr()->cred, LX_CAP_SYS_RESOURCE))
        return -EPERM;
    if (slots > 64 * PIPE_MAX_SLOTS)
        return -ENOMEM;
    bufs = calloc(slots, sizeof(*bufs));
    if (!bufs)
        return -ENOMEM;
    mutex_lock(&p->lock);
    used = pipe_used(p);
    if (used > slots) {
        mutex_unlock(&p->lock);
        free(bufs);
        return -EBUSY;
    }
    tail = atomic_load(&p->tail);
    for (uint32_t i = 0; i < used; i++)
        bufs[i] = *pipe_slot(p, tail + i);
    old = p->bufs;
    grew = slots > atomic_load(&p->slots) && pipe_full(p);
    p->bufs = bufs;
    atomic_store(&p->slots, slots);
    atomic_store(&p->tail, 0);
    atomic_store(&p->head, used);
    mutex_unlock(&p->lock);
    free(old);
    if (grew)
        waitq_wake(&p->wq, WAKE_OUT | WAKE_WRNORM);
    return (long)(slots * LX_PAGE_SIZE);
}
