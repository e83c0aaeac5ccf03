/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing the two ends. Bytes pass through a small buffer on the stack, so that guest
 * memory is never touched under tty.lock.
 *
 * Slave reads follow termios(3): canonical reads end at a line, raw reads by VMIN and VTIME. A
 * master read ends with -EIO once the last slave is closed and the output is drained; a hung-up
 * slave reads end of file and writes -EIO.
 */
#include <errno.h>
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/signal.h"
#include "sentry/core/clock.h"
#include "sentry/core/restart.h"
#include "sentry/fs/devpts/tty_internal.h"

enum { TTY_BOUNCE = 2048, TENTH_NS = 100000000 };

/* ---- master ---------------------------------------------------------------------------------- */

/* What the slave wrote, in packet mode behind a control byte. Bytes, -EAGAIN, -EIO. */
static ssize_t master_take(struct tty *t, uint8_t *buf, size_t size)
{
    size_t n = 0;
    ssize_t ret;

    tty_lock(t);
    if (t->packet && t->packet_status) {
        buf[0] = t->packet_status;
        t->packet_status = 0;
        tty_unlock(t);
        return 1;
    }
    if (tty_ring_used(&t->out) == 0) {
        ret = t->slave_opened && t->slave_count == 0 ? -EIO : -EAGAIN;
        tty_unlock(t);
        return ret;
    }
    if (t->packet)
        buf[n++] = LX_TIOCPKT_DATA;
    while (n < size && tty_ring_used(&t->out) > 0) {
        uint32_t at = t->out.tail & (TTY_RING_SIZE - 1);
        uint32_t run = MIN(tty_ring_used(&t->out), TTY_RING_SIZE - at);

        run = (uint32_t)MIN((size_t)run, size - n);
        memcpy(buf + n, t->out.data + at, run);
        t->out.tail += run;
        n += run;
    }
    if (tty_ring_used(&t->out) == 0)
        t->out.head = t->out.tail = 0;
    t->wake |= TTY_WAKE_SLAVE_OUT;
    tty_unlock(t);
    return (ssize_t)n;
}

static ssize_t master_read(struct file *f, struct iov_iter *dst)
{
    struct tty *t = tty_file_of(f)->tty;
    uint8_t buf[TTY_BOUNCE];
    size_t size = MIN(iov_iter_count(dst), sizeof(buf));
    struct waiter w;
    ssize_t ret;

    if (size == 0)
        return 0;
    ret = master_take(t, buf, size);
    if (ret == -EAGAIN && !file_nonblock(f)) {
        waiter_init(&w, WAKE_IN | WAKE_PRI);
        waitq_add(&t->master_wq, &w);
        while ((ret = master_take(t, buf, size)) == -EAGAIN) {
            ret = task_block(NO_DEADLINE);
            if (ret < 0)
                break;
        }
        waitq_remove(&t->master_wq, &w);
    }
    if (ret > 0 && copy_to_iter(dst, buf, (size_t)ret) != (size_t)ret)
        return -EFAULT;
    return ret;
}

/* ---- slave reads ----------------------------------------------------------------------------- */

/* What one read call waits for. */
struct slave_read {
    uint32_t min;      /* bytes that end it; raw mode */
    uint64_t gap_ns;   /* VTIME between bytes, 0: none */
    uint64_t deadline; /* now in force */
    bool canon;
};

static struct slave_read slave_read_start(struct tty *t)
{
    struct slave_read r = {.min = 1, .deadline = NO_DEADLINE};

    tty_lock(t);
    r.canon = t->termios.c_lflag & LX_ICANON;
    if (!r.canon) {
        uint64_t time = (uint64_t)t->termios.c_cc[LX_VTIME] * TENTH_NS;

        if (t->termios.c_cc[LX_VMIN] > 0) {
            r.min = t->termios.c_cc[LX_VMIN];
            r.gap_ns = time;
        } else {
            r.deadline = time == 0 ? 0 : deadline_after(time);
        }
    }
    tty_unlock(t);
    return r;
}

/* Moves what is there. 1: the read is complete; 0: wait for more; -errno. */
static int slave_read_step(struct file *f, struct slave_read *r, struct iov_iter *dst, size_t *done)
{
    struct tty *t = tty_file_of(f)->tty;

    while (iov_iter_count(dst) > 0) {
        uint8_t buf[TTY_BOUNCE];
        bool end, readable;
        size_t n = 0;

        tty_lock(t);
        readable = !tty_file_hung_up(tty_file_of(f)) && ldisc_readable_locked(t, 1);
        if (readable)
            n = ldisc_read_locked(t, buf, MIN(sizeof(buf), iov_iter_count(dst)), &end);
        tty_unlock(t);
        if (!readable)
            break;
        if (copy_to_iter(dst, buf, n) != n)
            return -EFAULT;
        *done += n;
        if (r->canon && (end || n == 0))
            return 1;
        if (r->gap_ns)
            r->deadline = deadline_after(r->gap_ns);
    }
    if (iov_iter_count(dst) == 0 || tty_file_hung_up(tty_file_of(f)))
        return 1;
    return !r->canon && *done >= r->min;
}

static ssize_t slave_read(struct file *f, struct iov_iter *dst)
{
    struct tty *t = tty_file_of(f)->tty;
    struct slave_read r;
    struct waiter w;
    size_t done = 0;
    int ret;

    if (tty_file_hung_up(tty_file_of(f)) || iov_iter_count(dst) == 0)
        return 0;
    ret = tty_job_control(t, LX_SIGTTIN);
    if (ret < 0)
        return ret;
    r = slave_read_start(t);
    ret = slave_read_step(f, &r, dst, &done);
    if (ret != 0)
        return done > 0 || ret > 0 ? (ssize_t)done : ret;
    if (file_nonblock(f))
        return done > 0 ? (ssize_t)done : -EAGAIN;
    if (r.deadline == 0)
        return (ssize_t)done;
    waiter_init(&w, WAKE_IN);
    waitq_add(&t->slave_wq, &w);
    for (;;) {
        ret = slave_read_step(f, &r, dst, &done);
        if (ret != 0)
            break;
        ret = task_block(r.deadline);
        if (ret < 0)
            break;
        /* The foreground may have changed while we slept. */
        ret = done == 0 ? tty_job_control(t, LX_SIGTTIN) : 0;
        if (ret < 0)
            break;
    }
    waitq_remove(&t->slave_wq, &w);
    if (done > 0 || ret > 0 || ret == -ETIMEDOUT)
        return (ssize_t)done;
    return ret;
}

/* ---- writes ---------------------------------------------------------------------------------- */

/* Hands bytes to the other end. Bytes taken, -EIO. */
static ssize_t end_put(struct file *f, const uint8_t *data, size_t size)
{
    struct tty_file *tf = tty_file_of(f);
    struct tty *t = tf->tty;
    ssize_t n;

    tty_lock(t);
    if (tty_file_hung_up(tf) || (!tf->master && !t->master_open))
        n = -EIO;
    else if (tf->master)
        n = (ssize_t)ldisc_receive_locked(t, data, size);
    else
        n = (ssize_t)ldisc_write_locked(t, data, size);
    tty_unlock(t);
    return n;
}

/* All of data unless a signal or O_NONBLOCK stops it. Adds to *done. */
static int end_write_all(struct file *f, const uint8_t *data, size_t size, size_t *done)
{
    struct waiter w;
    bool queued = false;
    int ret = 0;

    for (size_t off = 0; off < size;) {
        ssize_t n = end_put(f, data + off, size - off);

        if (n < 0)
            ret = (int)n;
        if (n > 0) {
            off += (size_t)n;
            *done += (size_t)n;
        } else if (n == 0 && file_nonblock(f)) {
            ret = -EAGAIN;
        } else if (n == 0 && !queued) {
            waiter_init(&w, WAKE_OUT);
            waitq_add(f->wq, &w);
            queued = true;
        } else if (n == 0) {
            ret = task_block(NO_DEADLINE);
        }
        if (ret < 0)
            break;
    }
    if (queued)
        waitq_remove(f->wq, &w);
    return ret;
}

static bool tty_tostop(struct tty *t)
{
    bool on;

    tty_lock(t);
    on = t->termios.c_lflag & LX_TOSTOP;
    tty_unlock(t);
    return on;
}

ssize_t tty_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    struct tty_file *tf = tty_file_of(f);
    size_t done = 0;
    int ret = 0;

    if (tty_file_hung_up(tf))
        return -EIO;
    if (!tf->master && tty_tostop(tf->tty)) {
        ret = tty_job_control(tf->tty, LX_SIGTTOU);
        if (ret < 0)
            return ret;
    }
    while (iov_iter_count(src) > 0 && ret == 0) {
        uint8_t buf[TTY_BOUNCE];
        size_t want = MIN(sizeof(buf), iov_iter_count(src));
        size_t n = copy_from_iter(src, buf, want);

        if (n > 0)
            ret = end_write_all(f, buf, n, &done);
        if (ret == 0 && n < want)
            ret = -EFAULT;
    }
    return done > 0 ? (ssize_t)done : ret;
}

ssize_t tty_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    return tty_file_of(f)->master ? master_read(f, dst) : slave_read(f, dst);
}

static uint32_t master_poll_locked(struct tty *t) REQUIRES(t->lock)
{
    uint32_t mask = 0;

    if (tty_ring_used(&t->out) > 0)
        mask |= WAKE_IN | WAKE_RDNORM;
    if (t->packet && t->packet_status)
        mask |= WAKE_IN | WAKE_RDNORM | WAKE_PRI;
    if (t->slave_opened && t->slave_count == 0)
        mask |= WAKE_HUP;
    if (ldisc_input_room_locked(t))
        mask |= WAKE_OUT | WAKE_WRNORM;
    return mask;
}

static uint32_t slave_poll_locked(struct tty *t) REQUIRES(t->lock)
{
    const uint8_t *cc = t->termios.c_cc;
    uint32_t mask = 0;

    /* Linux: with VTIME 0 a raw reader is ready only when VMIN bytes are there. */
    if (ldisc_readable_locked(t, cc[LX_VTIME] ? 1 : cc[LX_VMIN]))
        mask |= WAKE_IN | WAKE_RDNORM;
    if (!t->stopped && tty_ring_room(&t->out) >= 256)
        mask |= WAKE_OUT | WAKE_WRNORM;
    return mask;
}

uint32_t tty_poll(struct file *f)
{
    struct tty_file *tf = tty_file_of(f);
    uint32_t mask;

    if (tty_file_hung_up(tf))
        return WAKE_IN | WAKE_OUT | WAKE_ERR | WAKE_HUP | WAKE_RDNORM | WAKE_WRNORM;
    tty_lock(tf->tty);
    mask = tf->master ? master_poll_locked(tf->tty) : slave_poll_locked(tf->tty);
    tty_unlock(tf->tty);
    return mask;
}
