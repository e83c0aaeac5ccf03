/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal of a container or of a process executed in one. Two service threads join a pty of the
 * sandbox to a donated host terminal, which runsc-c has put into raw mode:
 *
 *   in    sleeps in the host's poll, copies what the user types into the pty's input. The line
 *         discipline of the sandbox's pty does echo, editing and signals.
 *   out   sleeps on the master's queue, copies what programs write to the host terminal.
 *
 * Both block without timeout, so an idle terminal causes no wake-up. When the host terminal hangs
 * up, the pty hangs up as if its master had been closed. console_detach does the same from our
 * side after the last output went out; the host terminal is closed when both threads have left it.
 */
#include "sentry/fs/host/console.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
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

/* Lifetime: refcounted: the two threads and whoever attached it; last put runs in any of them.
 * Keys: I immutable; a atomic; d ->lock */
struct console {
    struct refs refs;    /* a */
    struct mutex lock;   /* rank LEAF */
    struct cond idle;    /* d: the out thread has nothing left */
    struct tty *tty;     /* I, +1 */
    struct file *master; /* I, +1; never read or written through by others */
    int host_fd;         /* I */
    int stop_fd;         /* I: eventfd, readable when the in thread shall end */
    atomic_bool gone;    /* a: the host terminal hung up or failed, or was given back */
};

static void console_put(struct console *c)
{
    if (!refs_put(&c->refs))
        return;
    (void)host_close(c->host_fd); /* nothing to tell: the descriptors are ours */
    if (c->stop_fd >= 0)
        (void)host_close(c->stop_fd);
    if (c->tty)
        tty_pump_put(c->tty);
    if (c->master)
        file_put(c->master);
    mutex_destroy(&c->lock);
    free(c);
}

/* Waits for events on the host terminal; false when it is gone or given back. */
static bool host_wait(struct console *c, short events)
{
    struct pollfd fds[] = {{.fd = c->host_fd, .events = events},
                           {.fd = c->stop_fd, .events = POLLIN}};
    int n;

    do {
        n = host_ppoll(fds, 2, NULL);
    } while (n == -EINTR || n == 0);
    return n > 0 && !fds[1].revents && (fds[0].revents & events);
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
    console_put(c);
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
    size_t n;

    while ((n = tty_pump_take(c->tty, buf, sizeof(buf))) > 0) {
        /* A host terminal that is gone swallows the rest, so that programs do not hang on it. */
        if (!atomic_load(&c->gone) && !host_write_all(c, buf, n))
            console_gone(c);
        tty_pump_done(c->tty);
        mutex_lock(&c->lock);
        cond_wake_all(&c->idle);
        mutex_unlock(&c->lock);
    }
    console_put(c);
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

static int console_open_pty(struct console *c, struct super *devpts, struct file **out_slave)
{
    int ret = devpts_open_master(devpts, LX_O_RDWR | LX_O_NOCTTY, &c->master);

    if (ret < 0)
        return ret;
    c->tty = tty_pump_get(c->master);
    console_copy_settings(c);
    return devpts_open_slave(c->tty, NULL, LX_O_RDWR | LX_O_NOCTTY, out_slave);
}

static int console_start_threads(struct console *c)
{
    int ret;

    refs_get(&c->refs);
    ret = thread_start("console-in", console_in, c);
    if (ret < 0) {
        console_put(c);
        return ret;
    }
    refs_get(&c->refs);
    ret = thread_start("console-out", console_out, c);
    if (ret < 0)
        console_put(c);
    return ret;
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
    refs_init(&c->refs);
    mutex_init(&c->lock, RANK_LEAF);
    cond_init(&c->idle);
    c->host_fd = host_tty_fd;
    c->stop_fd = host_eventfd(0, EFD_CLOEXEC);
    ret = c->stop_fd < 0 ? c->stop_fd : console_open_pty(c, devpts, out_slave);
    if (ret < 0) {
        console_put(c);
        return ret;
    }
    ret = console_start_threads(c);
    if (ret < 0) {
        file_put(*out_slave);
        console_detach(c);
        return ret;
    }
    *out = c;
    return 0;
}

void console_resize(struct console *c, uint16_t rows, uint16_t cols)
{
    struct lx_winsize ws = {.row = rows, .col = cols};

    tty_set_winsize(c->tty, &ws);
}

static void console_drain(struct console *c)
{
    uint64_t deadline = deadline_after(CONSOLE_DRAIN_NS);

    while (tty_pump_pending(c->tty) && !atomic_load(&c->gone)) {
        uint64_t now = clock_monotonic();

        if (now >= deadline)
            return;
        mutex_lock(&c->lock);
        (void)cond_wait_until(&c->idle, &c->lock, now + CONSOLE_DRAIN_STEP_NS);
        mutex_unlock(&c->lock);
    }
}

void console_detach(struct console *c)
{
    const uint64_t one = 1;

    if (!c)
        return;
    console_drain(c);
    console_gone(c);
    (void)host_write(c->stop_fd, &one, sizeof(one)); /* an eventfd at 0 takes it */
    console_put(c);
}
