/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files over host descriptors. Two kinds:
 *
 *   stream   pipes, sockets, terminals, character devices: readiness through the poller
 *            (hostfd.c); reads and writes wait in task_block, so guest signals end them.
 *   regular  files that a shell redirected: the position is the host description's own, so that
 *            `(a; b) >> log` and shared offsets behave. A second open through /proc/self/fd/N or
 *            /dev/stdout is a new description on Linux; here it gets an own position.
 *
 * Terminal ioctls that only look (and termios changes) pass through to a host terminal; everything
 * that could feed the host terminal or take it over (TIOCSTI, TIOCSCTTY, ...) is refused.
 */
#include "sentry/fs/host/hostfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "platform/host/file.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/ioctl.h"
#include "sentry/abi/signal.h"
#include "sentry/abi/stat.h"
#include "sentry/abi/termios.h"
#include "sentry/core/restart.h"
#include "sentry/fs/host/hostfile_internal.h"
#include "sentry/mm/uaccess.h"

enum { BOUNCE_SMALL = 4096, BOUNCE_BIG = 65536 };

static struct hostfile *hostfile_of(struct file *f)
{
    return container_of(f, struct hostfile, file);
}

/* A buffer between host and guest memory: the stack for small transfers. */
struct bounce {
    char small[BOUNCE_SMALL];
    char *data;
    size_t size;
};

static void bounce_init(struct bounce *b, size_t want)
{
    b->data = b->small;
    b->size = MIN(want, sizeof(b->small));
    if (want > sizeof(b->small)) {
        char *big = malloc(MIN(want, (size_t)BOUNCE_BIG));

        if (big) {
            b->data = big;
            b->size = MIN(want, (size_t)BOUNCE_BIG);
        }
    }
}

static void bounce_destroy(struct bounce *b)
{
    if (b->data != b->small)
        free(b->data);
}

/* ---- streams --------------------------------------------------------------------------------- */

static int stream_wait(struct hostfd *h, uint32_t events)
{
    struct waiter w;
    int ret = 0;

    waiter_init(&w, events);
    waitq_add(&h->wq, &w);
    if (!(hostfd_poll(h) & (events | WAKE_ERR | WAKE_HUP | WAKE_NVAL)))
        ret = task_block(NO_DEADLINE);
    waitq_remove(&h->wq, &w);
    return ret;
}

static ssize_t stream_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    struct hostfd *h = hostfile_of(f)->h;
    struct bounce b;
    ssize_t ret;

    if (iov_iter_count(dst) == 0)
        return 0;
    bounce_init(&b, iov_iter_count(dst));
    for (;;) {
        ret = hostfd_try_read(h, b.data, b.size);
        if (ret == -EINTR)
            ret = task_interrupted() ? -ERESTARTSYS : -EAGAIN;
        if (ret != -EAGAIN || file_nonblock(f))
            break;
        ret = stream_wait(h, WAKE_IN);
        if (ret < 0)
            break;
    }
    /* An edge-triggered watcher must hear of the next byte. */
    if ((ret > 0 || ret == -EAGAIN) && waitq_busy(&h->wq))
        (void)hostfd_poll(h);
    if (ret > 0) {
        size_t n = copy_to_iter(dst, b.data, (size_t)ret);

        ret = n > 0 ? (ssize_t)n : -EFAULT;
    }
    bounce_destroy(&b);
    return ret;
}

/* Writes all of data unless a signal, an error or O_NONBLOCK stops it. Adds to *done. */
static int stream_write_all(struct file *f, const char *data, size_t size, size_t *done)
{
    struct hostfd *h = hostfile_of(f)->h;

    for (size_t off = 0; off < size;) {
        ssize_t n = hostfd_try_write(h, data + off, size - off);

        if (n > 0) {
            off += (size_t)n;
            *done += (size_t)n;
            continue;
        }
        if (n == -EINTR)
            n = task_interrupted() ? -ERESTARTSYS : -EAGAIN;
        if (n == -EAGAIN && !file_nonblock(f))
            n = stream_wait(h, WAKE_OUT);
        if (n < 0)
            return (int)n;
    }
    return 0;
}

static ssize_t stream_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    size_t done = 0;
    struct bounce b;
    int ret = 0;

    if (iov_iter_count(src) == 0)
        return 0;
    bounce_init(&b, iov_iter_count(src));
    while (iov_iter_count(src) > 0 && ret == 0) {
        size_t want = MIN(b.size, iov_iter_count(src));
        size_t n = copy_from_iter(src, b.data, want);

        if (n > 0)
            ret = stream_write_all(f, b.data, n, &done);
        if (ret == 0 && n < want)
            ret = -EFAULT;
    }
    bounce_destroy(&b);
    if (ret == -EPIPE)
        g_curr_ops->raise_thread(LX_SIGPIPE);
    return done > 0 ? (ssize_t)done : ret;
}

static uint32_t stream_poll(struct file *f)
{
    uint32_t ready = hostfd_poll(hostfile_of(f)->h);

    if (ready & WAKE_IN)
        ready |= WAKE_RDNORM;
    if (ready & WAKE_OUT)
        ready |= WAKE_WRNORM;
    return ready & ~WAKE_NVAL;
}

/* ---- terminals of the host ------------------------------------------------------------------- */

static long tty_get_termios(struct hostfd *h, uaddr_t arg)
{
    struct lx_termios out;
    struct termios t;
    int ret;

    memset(&t, 0, sizeof(t));
    ret = host_ioctl_tcgets(h->fd, &t);
    if (ret < 0)
        return ret;
    memset(&out, 0, sizeof(out));
    out.c_iflag = t.c_iflag;
    out.c_oflag = t.c_oflag;
    out.c_cflag = t.c_cflag;
    out.c_lflag = t.c_lflag;
    out.c_line = t.c_line;
    memcpy(out.c_cc, t.c_cc, sizeof(out.c_cc));
    return put_user(&out, arg);
}

static long tty_set_termios(struct hostfd *h, uint32_t cmd, uaddr_t arg)
{
    struct lx_termios in;
    struct termios t;
    int ret;

    if (get_user(&in, arg) < 0)
        return -EFAULT;
    memset(&t, 0, sizeof(t));
    ret = host_ioctl_tcgets(h->fd, &t);
    if (ret < 0)
        return ret;
    t.c_iflag = in.c_iflag;
    t.c_oflag = in.c_oflag;
    t.c_cflag = in.c_cflag;
    t.c_lflag = in.c_lflag;
    memcpy(t.c_cc, in.c_cc, sizeof(in.c_cc));
    return host_ioctl_tcsets(h->fd,
                             cmd == LX_TCSETS    ? TCSANOW
                             : cmd == LX_TCSETSW ? TCSADRAIN
                                                 : TCSAFLUSH,
                             &t);
}

static long tty_ioctl(struct hostfd *h, uint32_t cmd, uaddr_t arg)
{
    struct winsize ws;
    struct lx_winsize out;
    int ret;

    switch (cmd) {
    case LX_TCGETS:
        return tty_get_termios(h, arg);
    case LX_TCSETS:
    case LX_TCSETSW:
    case LX_TCSETSF:
        return tty_set_termios(h, cmd, arg);
    case LX_TIOCGWINSZ:
        ret = host_ioctl_winsize(h->fd, &ws);
        if (ret < 0)
            return ret;
        out = (struct lx_winsize){ws.ws_row, ws.ws_col, ws.ws_xpixel, ws.ws_ypixel};
        return put_user(&out, arg);
    default:
        return -ENOTTY;
    }
}

static long hostfile_ioctl(struct file *f, uint32_t cmd, uaddr_t arg)
{
    struct hostfd *h = hostfile_of(f)->h;
    int n, ret;

    if (cmd == LX_FIONREAD) {
        ret = host_ioctl_fionread(h->fd, &n);
        return ret < 0 ? ret : put_user(&n, arg);
    }
    return h->tty ? tty_ioctl(h, cmd, arg) : -ENOTTY;
}

/* ---- regular files --------------------------------------------------------------------------- */

/* The file is neither FILE_SEEKABLE nor FILE_STREAM: the vfs hands in -1 for read and write, which
 * then use the host's position, and a real one for pread and pwrite. */
static bool shared_position(const lx_loff_t *pos)
{
    return *pos < 0;
}

static ssize_t regular_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    struct hostfd *h = hostfile_of(f)->h;
    bool shared = shared_position(pos);
    struct bounce b;
    size_t done = 0;
    ssize_t ret = 0;

    bounce_init(&b, iov_iter_count(dst));
    while (iov_iter_count(dst) > 0) {
        size_t want = MIN(b.size, iov_iter_count(dst)), n;

        ret = shared ? host_read(h->fd, b.data, want) : host_pread(h->fd, b.data, want, *pos);
        if (ret <= 0)
            break;
        n = copy_to_iter(dst, b.data, (size_t)ret);
        if (!shared)
            *pos += (lx_loff_t)n;
        done += n;
        if (n < (size_t)ret) {
            ret = -EFAULT;
            break;
        }
        if ((size_t)ret < want)
            break;
    }
    bounce_destroy(&b);
    return done > 0 ? (ssize_t)done : ret;
}

static ssize_t regular_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    struct hostfd *h = hostfile_of(f)->h;
    bool shared = shared_position(pos);
    struct bounce b;
    size_t done = 0;
    ssize_t ret = 0;

    /* The host's own O_APPEND is as good where the position is the host's. */
    if (file_appends(f) && (hostfile_of(f)->own_pos || g_curr->append == APPEND_ALWAYS)) {
        struct stat st;

        ret = host_fstat(h->fd, &st);
        if (ret < 0)
            return ret;
        if (shared && host_lseek(h->fd, st.st_size, SEEK_SET) < 0)
            return -EIO;
        if (!shared)
            *pos = st.st_size;
    }
    bounce_init(&b, iov_iter_count(src));
    while (iov_iter_count(src) > 0) {
        size_t want = MIN(b.size, iov_iter_count(src));
        size_t n = copy_from_iter(src, b.data, want);

        if (n == 0) {
            ret = -EFAULT;
            break;
        }
        ret = shared ? host_write(h->fd, b.data, n) : host_pwrite(h->fd, b.data, n, *pos);
        if (ret <= 0)
            break;
        if (!shared)
            *pos += ret;
        done += (size_t)ret;
        if ((size_t)ret < want)
            break;
    }
    bounce_destroy(&b);
    return done > 0 ? (ssize_t)done : ret;
}

static lx_loff_t regular_seek(struct file *f, lx_loff_t off, int whence)
{
    struct hostfile *hf = hostfile_of(f);
    struct stat st;
    int64_t ret;

    if (!hf->own_pos) {
        ret = host_lseek(hf->h->fd, off, whence);
        return ret;
    }
    ret = host_fstat(hf->h->fd, &st);
    if (ret < 0)
        return ret;
    f->inode->attr.size = (uint64_t)st.st_size;
    return file_seek_generic(f, off, whence);
}

static int regular_fsync(struct file *f, bool data_only)
{
    struct hostfd *h = hostfile_of(f)->h;

    return data_only ? host_fdatasync(h->fd) : host_fsync(h->fd);
}

/* ---- file and inode -------------------------------------------------------------------------- */

static void hostfile_release(struct file *f)
{
    struct hostfile *hf = hostfile_of(f);
    struct hostfd *h = hf->h;

    file_destroy_generic(f);
    hostfd_user_put(h);
    free(hf);
}

static const struct file_ops host_stream_ops = {
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .ioctl = hostfile_ioctl,
    .release = hostfile_release,
};

static const struct file_ops host_regular_ops = {
    .read = regular_read,
    .write = regular_write,
    .seek = regular_seek,
    .ioctl = hostfile_ioctl,
    .fsync = regular_fsync,
    .release = hostfile_release,
};

static bool hostfd_is_regular(const struct hostfd *h)
{
    return h->type == S_IFREG || h->type == S_IFBLK || h->type == S_IFDIR;
}

int hostfile_make(struct hostfd *h, uint32_t flags, bool own_pos, struct hostfile **out)
{
    struct hostfile *hf = calloc(1, sizeof(*hf));
    bool regular = hostfd_is_regular(h);

    if (!hf)
        return -ENOMEM;
    file_init(&hf->file, regular ? &host_regular_ops : &host_stream_ops, flags);
    hf->file.kind |= !regular ? FILE_STREAM : own_pos ? FILE_SEEKABLE : 0;
    hf->own_pos = own_pos;
    if (!regular)
        hf->file.wq = &h->wq;
    hf->h = hostfd_user_get(h);
    *out = hf;
    return 0;
}
