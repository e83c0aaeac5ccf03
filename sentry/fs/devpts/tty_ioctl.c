/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tty_ioctl(4). Most commands mean the same on both ends, because a pty has one line discipline and
 * one window size; those that belong to the master (packet mode, lock, number, peer) are -ENOTTY on
 * the slave. Commands that change the terminal stop background processes first (SIGTTOU).
 */
#include <errno.h>
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/signal.h"
#include "sentry/abi/stat.h"
#include "sentry/core/cred.h"
#include "sentry/core/curr.h"
#include "sentry/core/restart.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/devpts/tty_internal.h"
#include "sentry/mm/uaccess.h"

/* ---- termios --------------------------------------------------------------------------------- */

static long get_termios(struct tty *t, uint32_t cmd, uaddr_t arg)
{
    struct lx_termios2 now;
    struct lx_termio old_style;

    tty_lock(t);
    now = t->termios;
    tty_unlock(t);
    if (cmd == LX_TCGETS2)
        return put_user(&now, arg);
    /* struct termios is the start of struct termios2. */
    if (cmd == LX_TCGETS)
        return copy_out(arg, &now, sizeof(struct lx_termios));
    memset(&old_style, 0, sizeof(old_style));
    old_style.c_iflag = (uint16_t)now.c_iflag;
    old_style.c_oflag = (uint16_t)now.c_oflag;
    old_style.c_cflag = (uint16_t)now.c_cflag;
    old_style.c_lflag = (uint16_t)now.c_lflag;
    old_style.c_line = now.c_line;
    memcpy(old_style.c_cc, now.c_cc, sizeof(old_style.c_cc));
    return put_user(&old_style, arg);
}

static int copy_in_termios(uint32_t cmd, uaddr_t arg, struct lx_termios2 *t)
{
    struct lx_termio old_style;

    switch (cmd) {
    case LX_TCSETS2:
    case LX_TCSETSW2:
    case LX_TCSETSF2:
        return get_user(t, arg);
    case LX_TCSETS:
    case LX_TCSETSW:
    case LX_TCSETSF:
        return copy_in(t, arg, sizeof(struct lx_termios));
    default:
        if (get_user(&old_style, arg) < 0)
            return -EFAULT;
        t->c_iflag = (t->c_iflag & 0xffff0000u) | old_style.c_iflag;
        t->c_oflag = (t->c_oflag & 0xffff0000u) | old_style.c_oflag;
        t->c_cflag = (t->c_cflag & 0xffff0000u) | old_style.c_cflag;
        t->c_lflag = (t->c_lflag & 0xffff0000u) | old_style.c_lflag;
        memcpy(t->c_cc, old_style.c_cc, sizeof(old_style.c_cc));
        return 0;
    }
}

static uint32_t keep_fixed(uint32_t now, uint32_t next, uint32_t fixed)
{
    return (next & ~fixed) | (now & fixed);
}

static void keep_fixed_locked(const struct tty *t, struct lx_termios2 *next) REQUIRES(t->lock)
{
    const struct lx_termios2 *now = &t->termios;

    next->c_iflag = keep_fixed(now->c_iflag, next->c_iflag, t->fixed.c_iflag);
    next->c_oflag = keep_fixed(now->c_oflag, next->c_oflag, t->fixed.c_oflag);
    next->c_cflag = keep_fixed(now->c_cflag, next->c_cflag, t->fixed.c_cflag);
    next->c_lflag = keep_fixed(now->c_lflag, next->c_lflag, t->fixed.c_lflag);
    if (t->fixed.c_line)
        next->c_line = now->c_line;
    for (unsigned i = 0; i < ARRAY_COUNT(next->c_cc); i++)
        if (t->fixed.c_cc[i])
            next->c_cc[i] = now->c_cc[i];
}

static long set_termios(struct tty *t, uint32_t cmd, uaddr_t arg)
{
    bool flush = cmd == LX_TCSETSF || cmd == LX_TCSETSF2 || cmd == LX_TCSETAF;
    struct lx_termios2 next;

    tty_lock(t);
    next = t->termios;
    tty_unlock(t);
    if (copy_in_termios(cmd, arg, &next) < 0)
        return -EFAULT;
    tty_lock(t);
    keep_fixed_locked(t, &next);
    /* Linux: a pty always has 8 bits, no parity, and a receiver. */
    next.c_cflag = (next.c_cflag & ~(LX_CSIZE | LX_PARENB)) | LX_CS8 | LX_CREAD;
    if (flush)
        ldisc_flush_input_locked(t);
    ldisc_set_termios_locked(t, &next);
    tty_unlock(t);
    return 0;
}

static long ioctl_fixed(struct tty *t, uint32_t cmd, uaddr_t arg)
{
    struct lx_termios fixed;

    if (cmd == LX_TIOCSLCKTRMIOS) {
        if (!cred_capable(curr()->cred, LX_CAP_SYS_ADMIN))
            return -EPERM;
        if (get_user(&fixed, arg) < 0)
            return -EFAULT;
        tty_lock(t);
        t->fixed = fixed;
        tty_unlock(t);
        return 0;
    }
    tty_lock(t);
    fixed = t->fixed;
    tty_unlock(t);
    return put_user(&fixed, arg);
}

/* ---- window, queues, flow -------------------------------------------------------------------- */

void tty_set_winsize(struct tty *t, const struct lx_winsize *ws)
{
    bool changed;

    tty_lock(t);
    changed = memcmp(&t->winsize, ws, sizeof(*ws)) != 0;
    t->winsize = *ws;
    tty_unlock(t);
    if (changed)
        tty_signal_foreground(t, LX_SIGWINCH);
}

static long ioctl_winsize(struct tty *t, uint32_t cmd, uaddr_t arg)
{
    struct lx_winsize ws;

    if (cmd == LX_TIOCSWINSZ) {
        if (get_user(&ws, arg) < 0)
            return -EFAULT;
        tty_set_winsize(t, &ws);
        return 0;
    }
    tty_lock(t);
    ws = t->winsize;
    tty_unlock(t);
    return put_user(&ws, arg);
}

static long ioctl_queue_size(struct tty_file *tf, uint32_t cmd, uaddr_t arg)
{
    struct tty *t = tf->tty;
    int n = 0; /* TIOCOUTQ: a pty's output is at the master at once */

    if (cmd == LX_TIOCINQ) {
        tty_lock(t);
        n = (int)(tf->master ? tty_ring_used(&t->out) : ldisc_input_count_locked(t));
        tty_unlock(t);
    }
    return put_user(&n, arg);
}

/* The master's input is the slave's output. */
static long ioctl_flush(struct tty_file *tf, uaddr_t what)
{
    struct tty *t = tf->tty;
    bool in, out;

    if (what > 2)
        return -EINVAL;
    in = what == 0 || what == 2;
    out = what == 1 || what == 2;
    tty_lock(t);
    if (tf->master ? out : in)
        ldisc_flush_input_locked(t);
    if (tf->master ? in : out)
        ldisc_flush_output_locked(t);
    tty_unlock(t);
    return 0;
}

static long ioctl_flow(struct tty *t, uaddr_t what)
{
    long ret = 0;

    tty_lock(t);
    switch (what) {
    case 0: /* TCOOFF */
    case 1: /* TCOON */
        ldisc_stop_locked(t, what == 0);
        break;
    case 2: /* TCIOFF, TCION: tell the other side; lost when there is no room, as a byte on a line
             */
    case 3:
        if (t->termios.c_cc[what == 2 ? LX_VSTOP : LX_VSTART])
            (void)ldisc_put_output_locked(t, t->termios.c_cc[what == 2 ? LX_VSTOP : LX_VSTART]);
        break;
    default:
        ret = -EINVAL;
        break;
    }
    tty_unlock(t);
    return ret;
}

static long ioctl_simulate_input(struct tty *t, uaddr_t arg)
{
    uint8_t c;

    if (!tty_is_current(t) && !cred_capable(curr()->cred, LX_CAP_SYS_ADMIN))
        return -EPERM;
    if (get_user(&c, arg) < 0)
        return -EFAULT;
    tty_lock(t);
    (void)ldisc_receive_locked(t, &c, 1); /* Linux: lost when the queue is full */
    tty_unlock(t);
    return 0;
}

/* ---- master only ----------------------------------------------------------------------------- */

static long ioctl_set_bool(struct tty *t, uint32_t cmd, uaddr_t arg)
{
    int on;

    if (get_user(&on, arg) < 0)
        return -EFAULT;
    tty_lock(t);
    if (cmd == LX_TIOCSPTLCK) {
        t->locked = on != 0;
    } else {
        t->packet = on != 0;
        t->packet_status = 0;
    }
    tty_unlock(t);
    return 0;
}

static long ioctl_get_bool(struct tty *t, uint32_t cmd, uaddr_t arg)
{
    int on;

    tty_lock(t);
    on = cmd == LX_TIOCGPTLCK ? t->locked : cmd == LX_TIOCGPKT ? t->packet : t->exclusive;
    tty_unlock(t);
    return put_user(&on, arg);
}

static long ioctl_open_peer(struct file *master, uaddr_t arg)
{
    uint32_t flags = (uint32_t)arg;
    struct file *slave;
    long ret =
        devpts_open_peer(master, flags & (LX_O_ACCMODE | LX_O_NOCTTY | LX_O_NONBLOCK), &slave);

    if (ret < 0)
        return ret;
    ret = fdtable_install_take(curr()->files, slave, 0, flags & LX_O_CLOEXEC);
    if (ret < 0)
        file_put(slave);
    return ret;
}

static long ioctl_signal(struct tty *t, uaddr_t signo)
{
    if (signo < 1 || signo > 64)
        return -EINVAL;
    tty_signal_foreground(t, (int)signo);
    return 0;
}

static long ioctl_master(struct file *f, uint32_t cmd, uaddr_t arg)
{
    struct tty *t = tty_file_of(f)->tty;
    uint32_t index = t->index;

    switch (cmd) {
    case LX_TIOCGPTN:
        return put_user(&index, arg);
    case LX_TIOCSPTLCK:
    case LX_TIOCPKT:
        return ioctl_set_bool(t, cmd, arg);
    case LX_TIOCGPTLCK:
    case LX_TIOCGPKT:
        return ioctl_get_bool(t, cmd, arg);
    case LX_TIOCGPTPEER:
        return ioctl_open_peer(f, arg);
    case LX_TIOCSIG:
        return ioctl_signal(t, arg);
    default:
        return -ENOTTY;
    }
}

/* ---- dispatch -------------------------------------------------------------------------------- */

static bool changes_terminal(uint32_t cmd)
{
    switch (cmd) {
    case LX_TCSETS:
    case LX_TCSETSW:
    case LX_TCSETSF:
    case LX_TCSETS2:
    case LX_TCSETSW2:
    case LX_TCSETSF2:
    case LX_TCSETA:
    case LX_TCSETAW:
    case LX_TCSETAF:
    case LX_TCSBRK:
    case LX_TCSBRKP:
    case LX_TCFLSH:
    case LX_TCXONC:
    case LX_TIOCSETD:
        return true;
    default:
        return false;
    }
}

static long ioctl_misc(struct tty *t, uint32_t cmd, uaddr_t arg)
{
    int value = 0;
    uint32_t dev;

    switch (cmd) {
    case LX_TIOCEXCL:
    case LX_TIOCNXCL:
        tty_lock(t);
        t->exclusive = cmd == LX_TIOCEXCL;
        tty_unlock(t);
        return 0;
    case LX_TIOCGEXCL:
        return ioctl_get_bool(t, cmd, arg);
    case LX_TIOCGDEV:
        dev = (uint32_t)lx_dev_encode(tty_device_number(t));
        return put_user(&dev, arg);
    case LX_TIOCGETD:
        return put_user(&value, arg);
    case LX_TIOCSETD:
        if (get_user(&value, arg) < 0)
            return -EFAULT;
        return value == 0 ? 0 : -EINVAL;
    case LX_TIOCVHANGUP:
        if (!cred_capable(curr()->cred, LX_CAP_SYS_ADMIN))
            return -EPERM;
        tty_hangup(t);
        return 0;
    default:
        return -ENOTTY;
    }
}

long tty_ioctl(struct file *f, uint32_t cmd, uaddr_t arg)
{
    struct tty_file *tf = tty_file_of(f);
    struct tty *t = tf->tty;

    if (tty_file_hung_up(tf))
        return cmd == LX_TIOCSPGRP ? -ENOTTY : -EIO;
    if (!tf->master && changes_terminal(cmd)) {
        int ret = tty_job_control(t, LX_SIGTTOU);

        if (ret < 0)
            return ret;
    }
    switch (cmd) {
    case LX_TCGETS:
    case LX_TCGETS2:
    case LX_TCGETA:
        return get_termios(t, cmd, arg);
    case LX_TCSETS:
    case LX_TCSETSW:
    case LX_TCSETSF:
    case LX_TCSETS2:
    case LX_TCSETSW2:
    case LX_TCSETSF2:
    case LX_TCSETA:
    case LX_TCSETAW:
    case LX_TCSETAF:
        return set_termios(t, cmd, arg);
    case LX_TIOCGLCKTRMIOS:
    case LX_TIOCSLCKTRMIOS:
        return ioctl_fixed(t, cmd, arg);
    case LX_TIOCGWINSZ:
    case LX_TIOCSWINSZ:
        return ioctl_winsize(t, cmd, arg);
    case LX_TIOCINQ:
    case LX_TIOCOUTQ:
        return ioctl_queue_size(tf, cmd, arg);
    case LX_TCFLSH:
        return ioctl_flush(tf, arg);
    case LX_TCXONC:
        return ioctl_flow(t, arg);
    case LX_TCSBRK: /* drain or break: neither takes time on a pty */
    case LX_TCSBRKP:
        return 0;
    case LX_TIOCSTI:
        return ioctl_simulate_input(t, arg);
    case LX_TIOCSCTTY:
    case LX_TIOCNOTTY:
    case LX_TIOCGPGRP:
    case LX_TIOCSPGRP:
    case LX_TIOCGSID:
        return tty_ioctl_session(f, cmd, arg);
    case LX_TIOCGPTN:
    case LX_TIOCSPTLCK:
    case LX_TIOCGPTLCK:
    case LX_TIOCPKT:
    case LX_TIOCGPKT:
    case LX_TIOCGPTPEER:
    case LX_TIOCSIG:
        return tf->master ? ioctl_master(f, cmd, arg) : -ENOTTY;
    default:
        return ioctl_misc(t, cmd, arg);
    }
}
