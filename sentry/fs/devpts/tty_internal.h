/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside devpts/ (and dev/, host/console): struct tty and what its parts offer each other.
 *
 *   ldisc.c        bytes: master -> input ring (signals, echo, editing) and slave -> output ring
 *   tty_file.c     read, write, poll of both ends
 *   tty_ioctl.c    termios, window size, packet mode, ...
 *   tty_session.c  controlling terminals and job control
 *   tty.c          life, opens, hang-up
 */
#pragma once

#include "sentry/abi/termios.h"
#include "sentry/core/pid.h"
#include "sentry/fs/async_list.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/fs/devpts/tty_pump.h"
#include "sentry/fs/vfs.h"

enum { TTY_RING_SIZE = 65536, TTY_LINE_MAX = 4095 };

/* Numbers grow for ever; [tail, head) is filled. Empty rings are reset to 0 so that few pages are
 * touched. */
struct tty_ring {
    uint8_t *data; /* TTY_RING_SIZE */
    uint32_t head, tail;
};

#define TTY_WAKE_SLAVE_IN   1u
#define TTY_WAKE_SLAVE_OUT  2u
#define TTY_WAKE_MASTER_IN  4u
#define TTY_WAKE_MASTER_OUT 8u

/*
 * One pseudo-terminal: both ends and the line discipline between them.
 * Lifetime: refcounted: open files, the devpts node. Keys: I immutable; t ->lock; L
 * g_tty_list.lock; LT written under both, read under either.
 */
struct tty {
    struct refs refs;
    struct mutex lock;          /* rank TTY */
    uint32_t index;             /* I */
    struct super *super;        /* I, +1: the devpts it lives in */
    struct inode *inode;        /* t, borrowed: its node /N; NULL once removed */
    struct list node;           /* L */
    struct lx_termios2 termios; /* t */
    struct lx_termios fixed;    /* t: what of termios does not change (TIOCSLCKTRMIOS) */
    struct lx_winsize winsize;  /* t */
    struct tty_ring in;         /* t: to slave readers */
    uint8_t *line_end;          /* t: bit per byte of in: a read stops after it */
    uint32_t canon_head;        /* t: end of the last finished line in `in` */
    struct tty_ring out;        /* t: to master readers */
    uint32_t column;            /* t: of the output, for tabs */
    uint32_t canon_column;      /* t: column where the line being edited began */
    bool lnext, erasing;        /* t: VLNEXT was typed; inside ECHOPRT's \.../ */
    bool stopped;               /* t: VSTOP or TCOOFF */
    bool locked, exclusive;     /* t: TIOCSPTLCK, TIOCEXCL */
    bool packet;                /* t */
    uint8_t packet_status;      /* t: TIOCPKT_* not yet read */
    bool master_open;           /* t */
    bool pumping;               /* t: the console's out thread holds bytes of ours */
    bool slave_opened;          /* t: once: from then on no slave means EIO for the master */
    uint32_t slave_count;       /* t */
    atomic_uint hangups;        /* a, written under t: files opened before the last one are dead */
    struct pid *session;        /* LT, +1: whose controlling terminal it is */
    struct pid *pgrp;           /* LT, +1: foreground group */
    bool session_hung_up;       /* LT: hung up, the association only waits for the leader's exit */
    uint32_t wake;              /* t: TTY_WAKE_* to do at unlock */
    struct waitq master_wq, slave_wq;
    struct async_list master_async, slave_async;
};

/* Lifetime: refcounted as its file. */
struct tty_file {
    struct file file;
    struct tty *tty; /* +1 */
    struct async_node async;
    bool master;      /* I */
    uint32_t hangups; /* I: tty->hangups at open */
};

struct tty_list {
    struct mutex lock; /* rank TTY_LIST */
    struct list ttys;
};
extern struct tty_list g_tty_list;
extern const struct file_ops g_tty_file_ops;

static inline struct tty_file *tty_file_of(const struct file *f)
{
    return container_of(f, struct tty_file, file);
}

static inline bool tty_file_hung_up(const struct tty_file *tf)
{
    return !tf->master && tf->hangups != atomic_load(&tf->tty->hangups);
}

static inline uint32_t tty_ring_used(const struct tty_ring *r)
{
    return r->head - r->tail;
}

static inline uint32_t tty_ring_room(const struct tty_ring *r)
{
    return TTY_RING_SIZE - tty_ring_used(r);
}

/* ---- tty.c ---- */
int MUST_CHECK tty_new(struct super *devpts, uint32_t index, struct tty **out);
struct tty *tty_get(struct tty *t);
void tty_put(struct tty *t);
void tty_lock(struct tty *t) ACQUIRES(t->lock);
/* Unlocks, then does the wakes in t->wake. */
void tty_unlock(struct tty *t) RELEASES(t->lock);
int MUST_CHECK tty_file_new(struct tty *t, bool master, uint32_t flags, struct file **out);
/* Opens the slave end: -EIO (locked, master gone), -EBUSY (exclusive). Acquires the terminal for a
 * session leader without one. */
int MUST_CHECK tty_open_slave(struct tty *t, uint32_t flags, struct file **out);
/* Every open slave file is dead from here on; the session leader hears SIGHUP and SIGCONT. */
void tty_hangup(struct tty *t);

/* What /dev/console means from here on (+1 taken); the first one stays. */
void tty_set_console(struct tty *t);
lx_dev_t tty_device_number(const struct tty *t);

/* ---- ldisc.c: lock held ---- */
/* Takes input from the master; bytes taken (less than size when the ring is full). */
size_t ldisc_receive_locked(struct tty *t, const uint8_t *data, size_t size) REQUIRES(t->lock);
/* Takes output from the slave through OPOST; bytes taken. */
size_t ldisc_write_locked(struct tty *t, const uint8_t *data, size_t size) REQUIRES(t->lock);
/* How many bytes a slave read may take now; canonical: 0 unless a line is finished. */
bool ldisc_readable_locked(struct tty *t, uint32_t min) REQUIRES(t->lock);
/* Copies at most one line (canonical) or what is there; *out_eof: VEOF ended it. */
size_t ldisc_read_locked(struct tty *t, uint8_t *buf, size_t size, bool *out_end) REQUIRES(t->lock);
size_t ldisc_input_count_locked(struct tty *t) REQUIRES(t->lock);
bool ldisc_input_room_locked(struct tty *t) REQUIRES(t->lock);
void ldisc_flush_input_locked(struct tty *t) REQUIRES(t->lock);
void ldisc_flush_output_locked(struct tty *t) REQUIRES(t->lock);
void ldisc_set_termios_locked(struct tty *t, const struct lx_termios2 *termios) REQUIRES(t->lock);
void ldisc_stop_locked(struct tty *t, bool stop) REQUIRES(t->lock);
/* Appends to the output ring as is (TCIOFF sends VSTOP, packet tests); false: no room. */
bool ldisc_put_output_locked(struct tty *t, uint8_t c) REQUIRES(t->lock);

/* ---- tty_session.c ---- */
/* Is t the caller's controlling terminal? */
bool tty_is_current(struct tty *t);
/* The caller's controlling terminal, +1 or NULL. */
struct tty *tty_current_get(void);
/* A background process touches its terminal: 0 go on, -EIO, -ERESTARTSYS after SIGTTIN/SIGTTOU. */
int MUST_CHECK tty_job_control(struct tty *t, int signo);
void tty_signal_foreground(struct tty *t, int signo);
/* Called with lock held by the line discipline. */
void tty_signal_foreground_locked(struct tty *t, int signo) REQUIRES(t->lock);
void tty_open_acquire(struct tty *t, uint32_t flags);
long tty_ioctl_session(struct file *f, uint32_t cmd, uaddr_t arg);

/* ---- tty_file.c ---- */
ssize_t tty_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos);
ssize_t tty_write(struct file *f, struct iov_iter *src, lx_loff_t *pos);
uint32_t tty_poll(struct file *f);

/* ---- tty_ioctl.c ---- */
long tty_ioctl(struct file *f, uint32_t cmd, uaddr_t arg);

/* ---- devpts.c ---- */
/* The master is closed: the node and the index go. */
void devpts_tty_removed(struct tty *t);
