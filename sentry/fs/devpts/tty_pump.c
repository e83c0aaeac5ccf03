/* SPDX-License-Identifier: Apache-2.0 */
/* See tty_pump.h. */
#include "sentry/fs/devpts/tty_pump.h"

#include "sentry/core/restart.h"
#include "sentry/fs/devpts/tty_internal.h"

struct tty *tty_pump_get(struct file *master)
{
    return tty_get(tty_file_of(master)->tty);
}

void tty_pump_put(struct tty *t)
{
    tty_put(t);
}

void tty_pump_start(struct tty *t, const struct lx_winsize *size, bool utf8)
{
    if (size)
        tty_set_winsize(t, size);
    tty_lock(t);
    if (utf8)
        t->termios.c_iflag |= LX_IUTF8;
    t->locked = false;
    tty_unlock(t);
    tty_set_console(tty_get(t));
}

size_t tty_pump_take(struct tty *t, char *buf, size_t size)
{
    struct waiter w;
    size_t n = 0;

    waiter_init(&w, WAKE_IN);
    waitq_add(&t->master_wq, &w);
    for (;;) {
        bool open;

        tty_lock(t);
        open = t->master_open;
        while (n < size && tty_ring_used(&t->out) > 0)
            buf[n++] = (char)t->out.data[t->out.tail++ & (TTY_RING_SIZE - 1)];
        if (tty_ring_used(&t->out) == 0)
            t->out.head = t->out.tail = 0;
        if (n > 0) {
            t->wake |= TTY_WAKE_SLAVE_OUT;
            t->pumping = true;
        }
        tty_unlock(t);
        if (n > 0 || !open)
            break;
        if (task_block(NO_DEADLINE) < 0)
            continue; /* service threads get no signals */
    }
    waitq_remove(&t->master_wq, &w);
    return n;
}

void tty_pump_done(struct tty *t)
{
    tty_lock(t);
    t->pumping = false;
    tty_unlock(t);
}

bool tty_pump_pending(struct tty *t)
{
    bool pending;

    tty_lock(t);
    pending = t->pumping || tty_ring_used(&t->out) > 0;
    tty_unlock(t);
    return pending;
}

void tty_pump_gone(struct tty *t)
{
    tty_lock(t);
    t->master_open = false;
    tty_unlock(t);
    tty_hangup(t);
    waitq_wake(&t->master_wq, WAKE_IN | WAKE_HUP);
}
