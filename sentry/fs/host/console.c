/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's terminal. Two service threads join a pty of the sandbox to a donated host
 * terminal, which runsc-c has put into raw mode:
 *
 *   in    sleeps in the host's poll, copies what the user types into the pty's input. The line
 *         discipline of the sandbox's pty does echo, editing and signals.
 *   out   sleeps on the master's queue, copies what programs write to the host terminal.
 *
 * Both block without timeout, so an idle terminal causes no wake-up. When the host terminal hangs
 * up, the pty hangs up as if its master had been closed. console_drain lets the last output out
 * before the sandbox exits.
 */
#include "sentry/fs/host/console.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "platform/host/file.h"
#include "sentry/abi/fcntl.h"
#include "sentry/core/clock.h"
#include "sentry/core/curr.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/devpts/tty_pump.h"

enum { CONSOLE_CHUNK = 4096 };
#define CONSOLE_DRAIN_NS      (2 * NSEC_PER_SEC)
#define CONSOLE_DRAIN_STEP_NS 2000000u

/* Lifetime: as long as the sandbox.
 * Keys: I immutable; c g_consoles.lock; a atomic */
struct console {
    struct list node;    /* c */
    struct tty *tty;     /* I, +1 */
    struct file *master; /* I, +1; never read or written through by others */
    int host_fd;         /* I */
    atomic_bool gone;    /* a: the host terminal hung up or failed */
};

static struct {
    struct mutex lock; /* rank LEAF */
    struct cond idle;  /* an out thread has nothing left */
    struct list consoles;
} g_consoles = {.lock = {.rank = RANK_LEAF}, .consoles = LIST_INIT(g_consoles.consoles)};

/* Waits for events on the host terminal; false when it is gone. */
static bool host_wait(struct console *c, short events)
{
    struct pollfd pfd = {.fd = c->host_fd, .events = events};
    int n;

    do {
        n = host_ppoll(&pfd, 1, NULL);
    } while (n == -EINTR || n == 0);
    return n > 0 && (pfd.revents & events);
}

static void console_gone(struct console *c)
{
    if (!atomic_exchange(&c->gone, true))
        tty_pump_gone(c->tty);
}

static void console_in(void *arg)
{
    struct console *c = arg;
    char buf[CONSOLE_CHUNK];

    while (!atomic_load(&c->gone)) {
        struct iov_iter it;
        ssize_t n, written;

        if (!host_wait(c, POLLIN))
            break;
        n = host_read(c->host_fd, buf, sizeof(buf));
        if (n == -EAGAIN || n == -EINTR)
            continue;
        if (n <= 0)
            break;
        iov_iter_init_kernel(&it, buf, (size_t)n);
        /* Sleeps while the pty's input is full: nobody reads what the user types. */
        written = c->master->ops->write(c->master, &it, NULL);
        iov_iter_destroy(&it);
        if (written < 0)
            break;
    }
    console_gone(c);
}

static bool host_write_all(struct console *c, const char *data, size_t size)
{
    for (size_t off = 0; off < size;) {
        ssize_t n = host_write(c->host_fd, data + off, size - off);

        if (n > 0)
            off += (size_t)n;
        else if (n == -EAGAIN ? !host_wait(c, POLLOUT) : n != -EINTR)
            return false;
    }
    return true;
}

static void console_out(void *arg)
{
    struct console *c = arg;
    char buf[CONSOLE_CHUNK];

    for (;;) {
        size_t n = tty_pump_take(c->tty, buf, sizeof(buf));

        /* A host terminal that is gone swallows the rest, so that programs do not hang on it. */
        if (!atomic_load(&c->gone) && !host_write_all(c, buf, n))
            console_gone(c);
        tty_pump_done(c->tty);
        mutex_lock(&g_consoles.lock);
        cond_wake_all(&g_consoles.idle);
        mutex_unlock(&g_consoles.lock);
    }
}

static void console_copy_settings(struct console *c)
{
    struct lx_winsize ws;
    struct winsize host_ws;
    struct termios host;
    bool sized = host_ioctl_winsize(c->host_fd, &host_ws) == 0;
    bool utf8 = host_ioctl_tcgets(c->host_fd, &host) < 0 || (host.c_iflag & IUTF8);

    if (sized)
        ws = (struct lx_winsize){host_ws.ws_row, host_ws.ws_col, host_ws.ws_xpixel,
                                 host_ws.ws_ypixel};
    tty_pump_start(c->tty, sized ? &ws : NULL, utf8);
}

int console_attach(struct super *devpts, int host_tty_fd, struct console **out,
                   struct file **out_slave)
{
    struct console *c = calloc(1, sizeof(*c));
    int ret;

    if (!c) {
        (void)host_close(host_tty_fd); /* out of memory is the error to tell */
        return -ENOMEM;
    }
    c->host_fd = host_tty_fd;
    list_init(&c->node);
    ret = devpts_open_master(devpts, LX_O_RDWR | LX_O_NOCTTY, &c->master);
    if (ret < 0)
        goto out_console;
    c->tty = tty_pump_get(c->master);
    console_copy_settings(c);
    ret = devpts_open_slave(c->tty, NULL, LX_O_RDWR | LX_O_NOCTTY, out_slave);
    if (ret < 0)
        goto out_master;
    ret = thread_start("console-in", console_in, c);
    if (ret < 0)
        goto out_slave;
    ret = thread_start("console-out", console_out, c);
    if (ret < 0) {
        atomic_store(&c->gone, true); /* the in thread holds c: leave it */
        file_put(*out_slave);
        return ret;
    }
    mutex_lock(&g_consoles.lock);
    list_add_tail(&g_consoles.consoles, &c->node);
    mutex_unlock(&g_consoles.lock);
    if (out)
        *out = c;
    return 0;
out_slave:
    file_put(*out_slave);
out_master:
    tty_pump_put(c->tty);
    file_put(c->master);
out_console:
    (void)host_close(host_tty_fd); /* the first error is the one to tell */
    free(c);
    return ret;
}

void console_resize(struct console *c, uint16_t rows, uint16_t cols)
{
    struct lx_winsize ws = {.row = rows, .col = cols};

    if (!c) {
        mutex_lock(&g_consoles.lock);
        if (!list_empty(&g_consoles.consoles))
            c = list_first_entry(&g_consoles.consoles, struct console, node);
        mutex_unlock(&g_consoles.lock);
    }
    if (c)
        tty_set_winsize(c->tty, &ws);
}

static bool console_busy(struct console *c)
{
    return tty_pump_pending(c->tty) && !atomic_load(&c->gone);
}

void console_drain(void)
{
    uint64_t deadline = deadline_after(CONSOLE_DRAIN_NS);
    struct console *c;

    /* Consoles are only ever added, so the list can be walked without the lock. */
    list_for_each_entry(c, &g_consoles.consoles, node) {
        while (console_busy(c)) {
            uint64_t now = clock_monotonic();

            if (now >= deadline)
                return;
            mutex_lock(&g_consoles.lock);
            (void)cond_wait_until(&g_consoles.idle, &g_consoles.lock, now + CONSOLE_DRAIN_STEP_NS);
            mutex_unlock(&g_consoles.lock);
        }
    }
}
