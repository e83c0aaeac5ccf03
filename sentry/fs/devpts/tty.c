/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pseudo-terminals: life, opens, hang-up. The master's close ends the pair: the node leaves devpts,
 * open slave files are hung up (reads end, writes fail with -EIO), the session leader hears SIGHUP.
 * A hang-up is a generation number: a slave file opened before it is dead, one opened later works.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/signal.h"
#include "sentry/abi/stat.h"
#include "sentry/core/cred.h"
#include "sentry/core/curr.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/devpts/tty_internal.h"

struct tty_list g_tty_list = {.lock = {.rank = RANK_TTY_LIST}, .ttys = LIST_INIT(g_tty_list.ttys)};

static struct tty *g_console; /* g_tty_list.lock, +1 */

static const struct lx_termios2 default_termios = {
    .c_iflag = LX_ICRNL | LX_IXON,
    .c_oflag = LX_OPOST | LX_ONLCR,
    .c_cflag = LX_B38400 | LX_CS8 | LX_CREAD,
    .c_lflag =
        LX_ISIG | LX_ICANON | LX_ECHO | LX_ECHOE | LX_ECHOK | LX_ECHOCTL | LX_ECHOKE | LX_IEXTEN,
    .c_cc = {[LX_VINTR] = 003,
             [LX_VQUIT] = 034,
             [LX_VERASE] = 0177,
             [LX_VKILL] = 025,
             [LX_VEOF] = 004,
             [LX_VMIN] = 1,
             [LX_VSTART] = 021,
             [LX_VSTOP] = 023,
             [LX_VSUSP] = 032,
             [LX_VREPRINT] = 022,
             [LX_VDISCARD] = 017,
             [LX_VWERASE] = 027,
             [LX_VLNEXT] = 026},
    .c_ispeed = 38400,
    .c_ospeed = 38400,
};

int tty_new(struct super *devpts, uint32_t index, struct tty **out)
{
    struct tty *t = calloc(1, sizeof(*t));

    if (!t)
        return -ENOMEM;
    t->in.data = calloc(1, TTY_RING_SIZE);
    t->out.data = calloc(1, TTY_RING_SIZE);
    t->line_end = calloc(1, TTY_RING_SIZE / 8);
    if (!t->in.data || !t->out.data || !t->line_end) {
        free(t->in.data);
        free(t->out.data);
        free(t->line_end);
        free(t);
        return -ENOMEM;
    }
    refs_init(&t->refs);
    mutex_init(&t->lock, RANK_TTY);
    waitq_init(&t->master_wq);
    waitq_init(&t->slave_wq);
    async_list_init(&t->master_async);
    async_list_init(&t->slave_async);
    t->super = super_get(devpts);
    t->index = index;
    t->termios = default_termios;
    t->locked = true;
    mutex_lock(&g_tty_list.lock);
    list_add_tail(&g_tty_list.ttys, &t->node);
    mutex_unlock(&g_tty_list.lock);
    *out = t;
    return 0;
}

struct tty *tty_get(struct tty *t)
{
    refs_get(&t->refs);
    return t;
}

void tty_put(struct tty *t)
{
    bool last;

    /* Under the list's lock, so that whoever finds it there gets a live one. */
    mutex_lock(&g_tty_list.lock);
    last = refs_put(&t->refs);
    if (last)
        list_del(&t->node);
    mutex_unlock(&g_tty_list.lock);
    if (!last)
        return;
    pid_put(t->session);
    pid_put(t->pgrp);
    waitq_destroy(&t->master_wq);
    waitq_destroy(&t->slave_wq);
    async_list_destroy(&t->master_async);
    async_list_destroy(&t->slave_async);
    mutex_destroy(&t->lock);
    super_put(t->super);
    free(t->in.data);
    free(t->out.data);
    free(t->line_end);
    free(t);
}

void tty_lock(struct tty *t)
{
    mutex_lock(&t->lock);
}

void tty_unlock(struct tty *t)
{
    uint32_t wake = t->wake;

    t->wake = 0;
    mutex_unlock(&t->lock);
    if (wake & TTY_WAKE_SLAVE_IN) {
        waitq_wake(&t->slave_wq, WAKE_IN | WAKE_RDNORM);
        async_list_signal(&t->slave_async, WAKE_IN);
    }
    if (wake & TTY_WAKE_SLAVE_OUT)
        waitq_wake(&t->slave_wq, WAKE_OUT | WAKE_WRNORM);
    if (wake & TTY_WAKE_MASTER_IN) {
        waitq_wake(&t->master_wq, WAKE_IN | WAKE_RDNORM | WAKE_PRI);
        async_list_signal(&t->master_async, WAKE_IN);
    }
    if (wake & TTY_WAKE_MASTER_OUT)
        waitq_wake(&t->master_wq, WAKE_OUT | WAKE_WRNORM);
}

lx_dev_t tty_device_number(const struct tty *t)
{
    return lx_mkdev(136 + (t->index >> 20), t->index & 0xfffff);
}

bool file_is_tty(const struct file *f)
{
    return f->ops == &g_tty_file_ops;
}

int tty_file_new(struct tty *t, bool master, uint32_t flags, struct file **out)
{
    struct tty_file *tf = calloc(1, sizeof(*tf));

    if (!tf)
        return -ENOMEM;
    file_init(&tf->file, &g_tty_file_ops, flags);
    tf->file.kind |= FILE_STREAM;
    tf->file.wq = master ? &t->master_wq : &t->slave_wq;
    tf->tty = tty_get(t);
    async_node_init(&tf->async, &tf->file);
    tf->master = master;
    tf->hangups = atomic_load(&t->hangups);
    *out = &tf->file;
    return 0;
}

int tty_open_slave(struct tty *t, uint32_t flags, struct file **out)
{
    int ret = tty_file_new(t, /*master=*/false, flags, out);

    if (ret < 0)
        return ret;
    tty_lock(t);
    if (t->locked || !t->master_open)
        ret = -EIO;
    else if (t->exclusive && !cred_capable(curr()->cred, LX_CAP_SYS_ADMIN))
        ret = -EBUSY;
    t->slave_count++; /* the release takes it back, also on error */
    if (ret == 0)
        t->slave_opened = true;
    tty_unlock(t);
    if (ret < 0) {
        (*out)->ops->release(*out); /* nobody else has seen it */
        return ret;
    }
    tty_open_acquire(t, flags);
    return 0;
}

void tty_hangup(struct tty *t)
{
    struct pid *session = NULL;

    mutex_lock(&g_tty_list.lock);
    tty_lock(t);
    atomic_fetch_add(&t->hangups, 1);
    ldisc_flush_input_locked(t);
    t->stopped = false;
    session = pid_get(t->session);
    if (session)
        t->session_hung_up = true;
    tty_unlock(t);
    mutex_unlock(&g_tty_list.lock);
    waitq_wake(&t->slave_wq, WAKE_IN | WAKE_OUT | WAKE_ERR | WAKE_HUP | WAKE_RDNORM | WAKE_WRNORM);
    /* -ESRCH: the leader is gone already. */
    if (session) {
        (void)g_pid_ops->signal(session, PID_TGID, LX_SIGHUP, NULL);
        (void)g_pid_ops->signal(session, PID_TGID, LX_SIGCONT, NULL);
    }
    pid_put(session);
}

static int tty_set_flags(struct file *f, uint32_t flags)
{
    struct tty_file *tf = tty_file_of(f);

    async_list_update(tf->master ? &tf->tty->master_async : &tf->tty->slave_async, &tf->async,
                      flags);
    return 0;
}

static void tty_file_release(struct file *f)
{
    struct tty_file *tf = tty_file_of(f);
    struct tty *t = tf->tty;
    bool last = false;

    (void)tty_set_flags(f, 0); /* never fails */
    tty_lock(t);
    if (tf->master)
        t->master_open = false;
    else
        last = --t->slave_count == 0;
    tty_unlock(t);
    if (tf->master) {
        devpts_tty_removed(t);
        tty_hangup(t);
    } else if (last) {
        waitq_wake(&t->master_wq, WAKE_IN | WAKE_HUP | WAKE_RDNORM);
    }
    file_destroy_generic(f);
    free(tf);
    tty_put(t);
}

/* ---- opens by other names -------------------------------------------------------------------- */

int tty_open_current(uint32_t flags, struct file **out)
{
    struct tty *t = tty_current_get();
    int ret;

    if (!t)
        return -ENXIO;
    ret = tty_open_slave(t, flags | LX_O_NOCTTY, out);
    tty_put(t);
    return ret;
}

void tty_set_console(struct tty *t)
{
    struct tty *drop = t;

    mutex_lock(&g_tty_list.lock);
    if (!g_console) {
        g_console = t;
        drop = NULL;
    }
    mutex_unlock(&g_tty_list.lock);
    if (drop)
        tty_put(drop);
}

int tty_open_console(uint32_t flags, struct file **out)
{
    struct tty *t = NULL;
    int ret;

    mutex_lock(&g_tty_list.lock);
    if (g_console)
        t = tty_get(g_console);
    mutex_unlock(&g_tty_list.lock);
    if (!t)
        return -ENODEV;
    ret = tty_open_slave(t, flags | LX_O_NOCTTY, out);
    tty_put(t);
    return ret;
}

int tty_open_number(uint32_t number, uint32_t flags, struct file **out)
{
    struct tty *t, *found = NULL;
    int ret;

    mutex_lock(&g_tty_list.lock);
    list_for_each_entry(t, &g_tty_list.ttys, node) {
        if (t->index == number && t->master_open && refs_get_not_zero(&t->refs)) {
            found = t;
            break;
        }
    }
    mutex_unlock(&g_tty_list.lock);
    if (!found)
        return -EIO;
    ret = tty_open_slave(found, flags, out);
    tty_put(found);
    return ret;
}

const struct file_ops g_tty_file_ops = {
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_ioctl,
    .set_flags = tty_set_flags,
    .release = tty_file_release,
};
