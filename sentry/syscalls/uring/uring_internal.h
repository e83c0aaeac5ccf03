/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring inside: a ring, its requests, and the functions that the files of this folder share.
 *
 * This folder stands in syscalls/ although it has state: a ring is a machine that makes system
 * calls, and what its requests do is what sys_* of the other families do.
 *
 * Threads. A request runs on the thread of the task that submitted it: during io_uring_enter, or
 * later as task work (kernel/taskwork.h) when the file that it waits for became ready. So it has
 * that task's memory, descriptors and limits, and there is no pool of threads whose size a guest
 * could choose. A try never sleeps on files that can be polled: curr()->nowait makes them answer
 * EAGAIN, and the request is put on the file's wait queue. Operations on other files (regular ones,
 * paths) are done at once.
 *
 * A request's states:
 *   NEW       prepared, on no list; the submitter's
 *   DEFERRED  waits for earlier ones (IOSQE_IO_DRAIN); on ring->deferred
 *   RUNNING   its task is at it
 *   WAITING   on a file's wait queue, or its timer is armed; on ring->pending. Who wins `claimed`
 *             (the wake-up, the timer or a cancellation) takes it out of this state
 *   QUEUED    task work of its task
 *   DONE      its completion was posted; freed with the last reference
 * Links hang on their head by `next` and are NEW until it is done.
 *
 * Locks: ring->submit (URING_SUBMIT) keeps two submitters apart while they take entries, and guards
 * what is registered. ring->lock (URING) guards the completion queue and the lists. Neither is held
 * while a request runs. The two head and tail words that the guest writes are read once, and
 * nothing that the guest can change in the rings is believed twice: entries are copied, indices are
 * masked, the kernel's own positions are kept outside.
 */
#pragma once

#include <stdatomic.h>

#include "sentry/abi/io_uring.h"
#include "sentry/core/clock.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/taskwork.h"
#include "sentry/mm/memfile.h"

#define URING_MAX_ENTRIES     32768u
#define URING_MAX_CQ          (2 * URING_MAX_ENTRIES)
#define URING_MAX_FILES       32768u
#define URING_MAX_BUFFERS     16384u
#define URING_MAX_PERSONALITY 64u
#define URING_MAX_REQUESTS    65536u /* pending of one ring; more: EAGAIN */
#define URING_MAX_OVERFLOW    65536u /* completions without room; more are counted as lost */

/* What the guest maps, first page of the ring memory; the arrays follow. */
struct uring_shared {
    _Atomic uint32_t sq_head, sq_tail, sq_flags, sq_dropped;
    uint32_t sq_mask, sq_entries;
    _Atomic uint32_t cq_head, cq_tail, cq_flags, cq_overflow;
    uint32_t cq_mask, cq_entries;
};

struct uring_overflow {
    struct list node;
    struct lx_io_uring_cqe cqe;
};

struct uring_buffer {
    uint64_t addr, len;
};

/* A buffer of a group, for one request. */
struct uring_pick {
    uint64_t addr;
    uint32_t len;
    uint16_t id;
    uint16_t at; /* where it was in a ring */
    bool picked;
};

/* Lifetime: refcounted (uring_get/put): by its file and its requests. The file's release cancels
 * the requests.
 * Keys: I immutable; s ->submit; l ->lock; a atomic */
struct uring {
    struct file file;
    struct refs refs;
    struct mappable map;
    struct list all_node;                            /* g_rings */
    struct mutex submit;                             /* rank URING_SUBMIT */
    struct mutex lock;                               /* rank URING */
    mfpage_t ring_page, sqe_page;                    /* I, one count each */
    uint32_t ring_pages, sqe_pages;                  /* I */
    struct uring_shared *shared;                     /* I */
    uint32_t *sq_array;                              /* I: guest-written */
    struct lx_io_uring_sqe *sqes;                    /* I: guest-written */
    struct lx_io_uring_cqe *cqes;                    /* I */
    uint32_t sq_entries, cq_entries, flags;          /* I */
    uint32_t sq_head;                                /* s: ours; the shared word is a copy */
    uint32_t cq_tail;                                /* l: likewise */
    struct list overflow;                            /* l */
    uint32_t overflow_count;                         /* l */
    struct list pending;                             /* l: every request from start to completion */
    uint32_t pending_count;                          /* l */
    struct list deferred;                            /* l: in order */
    uint32_t deferred_count;                         /* l */
    uint32_t drain_active;                           /* l: started requests with IOSQE_IO_DRAIN */
    uint32_t counting;                               /* l: timeouts that count completions */
    uint64_t completions;                            /* l: without those of timeouts */
    atomic_uint timeouts;                            /* a: their completions */
    bool dead;                                       /* l: the file is gone, nothing is posted */
    bool disabled;                                   /* s: until REGISTER_ENABLE_RINGS */
    bool restricted;                                 /* s */
    uint64_t restrict_register, restrict_op;         /* s: bits of allowed operations */
    uint8_t restrict_flags, require_flags;           /* s */
    struct file **files;                             /* s: fixed files, +1 or NULL each */
    uint32_t file_count;                             /* s */
    struct uring_buffer *buffers;                    /* s */
    uint32_t buffer_count;                           /* s */
    struct list groups;                              /* s: struct uring_group */
    uint32_t provided_room;                          /* s: buffers that they have memory for */
    struct file *eventfd;                            /* l, +1 or NULL */
    bool eventfd_async;                              /* l */
    struct cred *personality[URING_MAX_PERSONALITY]; /* s, +1 or NULL; id is index + 1 */
    struct pid *issuer; /* s, +1: the one thread that may use it (SINGLE_ISSUER), or NULL */
};

#define UREQ_READY_TIME  0x80000000u /* the timer ran out */
#define UREQ_READY_COUNT 0x40000000u /* the number of completions was reached */

enum uring_state { UREQ_NEW, UREQ_DEFERRED, UREQ_RUNNING, UREQ_WAITING, UREQ_QUEUED, UREQ_DONE };

/* Lifetime: refcounted: ring->pending holds one until completion; who looks at it holds another.
 * Keys: I immutable after preparation; l ring->lock; T its task's thread; a atomic */
struct ureq {
    struct refs refs;
    struct list node;           /* l: ring->pending */
    struct list deferred_node;  /* l: ring->deferred */
    struct uring *ring;         /* I, +1 */
    struct task *task;          /* I, +1 */
    struct lx_io_uring_sqe sqe; /* I, but user_data and poll events: l */
    struct file *file;          /* T, set once, +1 or NULL */
    struct cred *cred;          /* I, +1 or NULL: of a personality */
    enum uring_state state;     /* l */
    atomic_bool claimed;        /* a: see above */
    atomic_bool cancel;         /* a: its next run ends it with ECANCELED */
    bool timer_armed;           /* T until WAITING, then who claimed it */
    bool in_progress;           /* T: connect began */
    uint32_t tries;             /* T */
    uint32_t done;              /* T: bytes of earlier turns */
    bool last;                  /* T: a multishot request has nothing after what it got now */
    struct sockaddr_buf *to;    /* I, owned or NULL: where SEND and SEND_ZC send */
    struct socket_msg *msg; /* T, owned or NULL: SENDMSG, RECVMSG after their first turn began */
    struct uring_pick pick; /* T, then who claimed it: the buffer it uses or keeps */
    uint32_t cqe_flags;     /* T: LX_IORING_CQE_F_* of its completion */
    atomic_uint ready;      /* a: what the wake-up said, or UREQ_READY_* */
    int error;              /* I: preparation failed; the result */
    uint64_t target;        /* l: completions at which a counting timeout ends */
    uint64_t deadline;      /* l: absolute, or relative to the moment it is armed */
    struct waiter waiter;   /* on wait_file's queue */
    struct file *wait_file; /* T until WAITING: +1 or NULL */
    struct ktimer timer;
    struct taskwork work;
    struct ureq *next;         /* owned: the rest of the chain */
    struct ureq *link_timeout; /* l, +1: armed beside this one */
    struct ureq *link_head;    /* l, +1: of a LINK_TIMEOUT, what it limits */
};

/* uring.c */
struct uring *uring_get(struct uring *r);
void uring_put(struct uring *r);
struct uring *uring_from_file(struct file *f); /* NULL: another kind */
bool uring_has_room_locked(struct uring *r);
/* Adds a completion; ring->lock is held. Wakes pollers. */
void uring_post_locked(struct uring *r, uint64_t user_data, int32_t res, uint32_t flags);
/* After posts, without the lock: the eventfd. inline: on the way of io_uring_enter. */
void uring_signal(struct uring *r, bool inline_post);
/* Completions that the guest has not taken, those without room included. */
uint32_t uring_ready(struct uring *r);
void uring_flush_overflow(struct uring *r);

/* request.c */
/* Takes up to count entries and runs them. Entries consumed, or -errno for the first. */
long uring_submit(struct uring *r, struct task *t, uint32_t count);
/* Cancels at most max of those that match (under ring->lock) and were not told before; NULL matches
 * all. Returns how many ended; *out_busy (may be NULL): how many run at this moment and end then. */
uint32_t uring_cancel_matching(struct uring *r, bool (*match)(const struct ureq *q, void *arg),
                               void *arg, uint32_t max, uint32_t *out_busy);
void ureq_get(struct ureq *q);
void ureq_put(struct ureq *q);
/* Posts q's result; what hangs on it starts as task work. The caller runs q or claimed it. */
void ureq_complete(struct ureq *q, int32_t res);
/* A further completion of a multishot request. flags: beside LX_IORING_CQE_F_MORE. false: the queue has no
 * room for it, so that it is to be the last. */
bool MUST_CHECK ureq_post_more(struct ureq *q, int32_t res, uint32_t flags);
/* To WAITING: on f's queue; until deadline. From then on others may claim q at any moment. */
void ureq_arm_file(struct ureq *q, struct file *f, uint32_t mask);
int MUST_CHECK ureq_arm_timer(struct ureq *q, uint64_t deadline);
/* Takes q out of WAITING; false: somebody else did. Then the waiter and timer are idle. */
bool ureq_claim(struct ureq *q);

/* ops.c: results that are no completion. */
#define URING_PENDING 0x7fffffffL /* goes on later by itself */
bool uring_op_supported(uint32_t op);
/* Checks what does not depend on the moment. -errno is the request's result. */
int uring_op_prepare(struct ureq *q);
/* The file, when the request begins to run: what is linked may use what those before it made. -EBADF. */
int uring_op_take_file(struct ureq *q);
/* Runs q on its task: a result, -EAGAIN (wait for uring_op_poll_mask), URING_PENDING. */
long uring_op_run(struct ureq *q);
uint32_t uring_op_poll_mask(const struct ureq *q); /* 0: cannot be waited for */
bool uring_op_nonblock(const struct ureq *q);      /* EAGAIN is the guest's answer */
/* The end of such a request is told twice: its result, and that its buffer is the guest's again. */
bool uring_op_tells_twice(const struct ureq *q);
bool uring_op_breaks_link(const struct ureq *q, int32_t res);

/* A descriptor that was just made becomes a fixed file, if the request asks for that: the result then. */
long uring_to_slot(struct ureq *q, long fd);

/* ops_net.c: operations on sockets and rings */
long uring_accept(struct ureq *q);
long uring_connect(struct ureq *q);
long uring_sendmsg(struct ureq *q);
long uring_recvmsg(struct ureq *q);
long uring_send(struct ureq *q);
/* Of the four that send. */
int MUST_CHECK uring_send_prepare(struct ureq *q);
long uring_send_zc(struct ureq *q);
long uring_sendmsg_zc(struct ureq *q);
/* Is the range within the registered buffer that the request names? -EFAULT. */
int MUST_CHECK uring_check_fixed_buffer(const struct ureq *q);
long uring_recv(struct ureq *q);
long uring_msg_ring(struct ureq *q);
long uring_shutdown(struct ureq *q);
long uring_socket(struct ureq *q);

/* timeout.c: operations that act on time and on other requests */
long uring_timeout_run(struct ureq *q);
int uring_timeout_prepare(struct ureq *q);
uint64_t uring_timeout_deadline(const struct ureq *q); /* if it is armed at this moment */
long uring_timeout_remove(struct ureq *q);
long uring_async_cancel(struct ureq *q);
long uring_sync_cancel(struct uring *r, uaddr_t arg);
long uring_poll_run(struct ureq *q);
long uring_poll_remove(struct ureq *q);
/* Timeouts whose number of completions is reached. */
void uring_timeouts_count(struct uring *r);

/* buffers.c */
int MUST_CHECK uring_register_pbuf_ring(struct uring *r, uaddr_t arg, uint32_t count);
int MUST_CHECK uring_unregister_pbuf_ring(struct uring *r, uaddr_t arg, uint32_t count);
int MUST_CHECK uring_provide_prepare(const struct ureq *q);
long uring_provide_buffers(struct ureq *q);
long uring_remove_buffers(struct ureq *q);
/* q->pick is a buffer of the request's group. -ENOBUFS: it has none. */
int MUST_CHECK uring_pick_buffer(struct ureq *q);
/* Nothing came into it: the group has it again, if it can. */
void uring_return_buffer(struct ureq *q);
void uring_groups_free(struct uring *r);
/* Runs fn with a buffer of the request's group. *flags: what the completion says of it. */
long uring_with_picked_buffer(struct ureq *q, long (*fn)(struct ureq *q), uint32_t *flags);
/* Where the bytes go: the buffer that was picked, or the request's own. */
static inline uaddr_t uring_buffer_addr(const struct ureq *q)
{
    return q->pick.picked ? q->pick.addr : q->sqe.addr;
}

static inline uint32_t uring_buffer_len(const struct ureq *q)
{
    if (!q->pick.picked)
        return q->sqe.len;
    return q->sqe.len ? MIN(q->sqe.len, q->pick.len) : q->pick.len;
}

/* Is the ring somebody else's alone (SINGLE_ISSUER)? */
bool uring_is_foreign(struct uring *r);

/* register.c */
/* The fixed file in the slot, +1. -EBADF. */
int MUST_CHECK uring_fixed_get(struct uring *r, uint32_t slot, struct file **out);
/* f into the slot index - 1, or into any free one (LX_IORING_FILE_INDEX_ALLOC): then the result is the slot,
 * else 0. -ENXIO, -EINVAL, -ENFILE. Takes f over, whatever comes out. f NULL: the slot is emptied, -EBADF
 * if it was. */
long uring_slot_set_take(struct uring *r, uint32_t index, struct file *f);
long uring_register(struct uring *r, uint32_t op, uaddr_t arg, uint32_t count);
void uring_registered_free(struct uring *r);
long uring_files_update(struct uring *r, uint32_t offset, uaddr_t fds, uint32_t count);
