/* SPDX-License-Identifier: Apache-2.0 */
/* What pipe.c, fifo.c and pipe_splice.c share. */
#pragma once

#include "platform/base/lock.h"
#include "sentry/fs/async_list.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/mm/memfile.h"

#define PIPE_DEFAULT_SLOTS 16u
#define PIPE_MAX_SLOTS     256u /* 1 MiB: /proc/sys/fs/pipe-max-size */
#define PIPE_SPARE_PAGES   16u

struct pipe_buf {
    mfpage_t page; /* one count of it */
    uint32_t off, len;
    uint32_t flags; /* PIPE_BUF_* */
};
#define PIPE_BUF_PACKET 1u /* one write of an O_DIRECT pipe: a read never crosses its end */
#define PIPE_BUF_MERGE  2u /* later small writes may be appended while nobody shares the page */

/*
 * Lifetime: refcounted; one reference per open file and one of a FIFO's inode.
 * Keys: I immutable; l ->lock; a atomic, written under ->lock and read anywhere (poll)
 */
struct pipe {
    struct refs refs;
    struct mutex lock;                /* rank PIPE */
    struct async_list async;          /* files with O_ASYNC */
    struct waitq wq;                  /* readers wait for IN, writers for OUT */
    atomic_uint head, tail;           /* a: filled slots are [tail, head), numbers grow for ever */
    atomic_uint slots;                /* a: power of two */
    struct pipe_buf *bufs;            /* l: slots of them */
    mfpage_t spare[PIPE_SPARE_PAGES]; /* l: pages kept for the next writes */
    uint32_t spare_count;             /* l */
    atomic_uint readers, writers;     /* a: open files that can read / write */
    atomic_uint r_counter, w_counter; /* a: opens so far, for the rendezvous of FIFOs */
    bool claimed_out;                 /* l: a splice out of the pipe is in progress, readers wait */
    bool claimed_in;                  /* l: a splice into the pipe is in progress, writers wait */
    atomic_bool poll_usage; /* a: somebody polled: wake on every write, as Linux does for EPOLLET */
};

/* Lifetime: refcounted as its file. */
struct pipe_file {
    struct file file;
    struct pipe *pipe; /* I, +1 */
    struct async_node async;
    uint32_t seen_writers; /* I: w_counter when a FIFO reader opened without a writer; 0: none */
};

extern const struct file_ops g_pipe_file_ops;

static inline struct pipe_file *pipe_file_of(const struct file *f)
{
    return container_of(f, struct pipe_file, file);
}

int MUST_CHECK pipe_new(struct pipe **out);
void pipe_put(struct pipe *p);
int MUST_CHECK pipe_file_new(struct pipe *p, uint32_t flags, struct pipe_file **out);

static inline uint32_t pipe_used(const struct pipe *p)
{
    return atomic_load(&p->head) - atomic_load(&p->tail);
}

static inline bool pipe_empty(const struct pipe *p)
{
    return pipe_used(p) == 0;
}

static inline bool pipe_full(const struct pipe *p)
{
    return pipe_used(p) >= atomic_load(&p->slots);
}

static inline struct pipe_buf *pipe_slot(struct pipe *p, uint32_t i)
{
    return &p->bufs[i & (atomic_load(&p->slots) - 1)];
}

/* Page for one buffer, from the spare ones if possible; not zeroed then. Lock held. */
int MUST_CHECK pipe_page_get_locked(struct pipe *p, mfpage_t *out) REQUIRES(p->lock);
/* Gives back the page of a consumed buffer. */
void pipe_page_put_locked(struct pipe *p, mfpage_t page) REQUIRES(p->lock);
/* Something came (IN) or room came (OUT): wakes one exclusive sleeper, all pollers, sends SIGIO. */
void pipe_wake(struct pipe *p, uint32_t events);
/* Drops the first buffer. */
void pipe_pop_locked(struct pipe *p) REQUIRES(p->lock);

/* A sleep on the pipe; the waiter joins the queue on the first call, which returns 0 at once so
 * that the caller looks again. */
struct pipe_wait {
    struct waiter w;
    bool queued;
};
int MUST_CHECK pipe_wait_step(struct pipe *p, struct pipe_wait *w, uint32_t mask);
void pipe_wait_end(struct pipe *p, struct pipe_wait *w, uint32_t mask);

ssize_t pipe_read_iter(struct pipe *p, struct iov_iter *dst, bool nonblock);
/* Raises SIGPIPE when it returns -EPIPE or was cut short by it. */
ssize_t pipe_write_iter(struct pipe *p, struct iov_iter *src, bool packet, bool nonblock);
