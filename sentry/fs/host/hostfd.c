/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Donated host descriptors. O_NONBLOCK belongs to the open file description, which we share with
 * the processes that gave it to us (a shell, for one), so it is never set. Reads and writes use
 * RWF_NOWAIT where the host file supports it (pipes, sockets, null). Elsewhere (terminals)
 * readiness is asked first and writes are cut into pieces that a ready descriptor takes without
 * sleeping. The race that remains: another process that shares the description may take the bytes
 * or the room in between; then this thread sleeps in the host until more comes, deaf to guest
 * signals.
 */
#include "sentry/fs/host/hostfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>

#include "platform/host/file.h"
#include "sentry/core/curr.h"

enum { PIECE_PIPE = 4096, PIECE_TTY = 256, PIECE_OTHER = 65536 };

static struct {
    struct mutex lock; /* rank LEAF */
    struct list armed;
    int kick_fd; /* eventfd; -1 until the thread runs */
} g_poller = {.lock = {.rank = RANK_LEAF}, .armed = LIST_INIT(g_poller.armed), .kick_fd = -1};

static void hostfd_put(struct hostfd *h)
{
    if (!refs_put(&h->refs))
        return;
    (void)host_close(h->fd); /* errors of the last close of a stdio stream have nobody to go to */
    waitq_destroy(&h->wq);
    free(h);
}

/* ---- poller ---------------------------------------------------------------------------------- */

struct poll_set {
    struct pollfd *fds; /* [0] is the kick */
    struct hostfd **files;
    unsigned count, capacity;
};

static bool poll_set_reserve(struct poll_set *s, unsigned n)
{
    if (n > s->capacity) {
        struct pollfd *fds = realloc(s->fds, n * sizeof(*fds));
        struct hostfd **files;

        if (!fds)
            return false;
        s->fds = fds;
        files = realloc(s->files, n * sizeof(*files));
        if (!files)
            return false;
        s->files = files;
        s->capacity = n;
    }
    return true;
}

/* Copies the armed descriptors, with a reference each. */
static void poll_set_fill(struct poll_set *s)
{
    struct hostfd *h;

    mutex_lock(&g_poller.lock);
    s->count = 1;
    s->fds[0] = (struct pollfd){.fd = g_poller.kick_fd, .events = POLLIN};
    list_for_each_entry(h, &g_poller.armed, armed) {
        if (!poll_set_reserve(s, s->count + 1))
            break; /* out of memory: the rest is served after the next event */
        refs_get(&h->refs);
        s->files[s->count] = h;
        s->fds[s->count++] = (struct pollfd){.fd = h->fd, .events = (short)h->want};
    }
    mutex_unlock(&g_poller.lock);
}

static void poll_set_deliver(struct poll_set *s)
{
    uint64_t drain;

    if (s->fds[0].revents && host_read(s->fds[0].fd, &drain, sizeof(drain)) < 0)
        s->fds[0].revents = 0; /* another pass drains it */
    for (unsigned i = 1; i < s->count; i++) {
        struct hostfd *h = s->files[i];
        uint32_t events = (uint16_t)s->fds[i].revents;

        if (events) {
            mutex_lock(&g_poller.lock);
            h->want = 0;
            list_del(&h->armed);
            mutex_unlock(&g_poller.lock);
            if (events & (WAKE_ERR | WAKE_HUP | WAKE_NVAL))
                events |= WAKE_IN | WAKE_OUT | WAKE_RDHUP;
            waitq_wake(&h->wq, events);
        }
        hostfd_put(h);
    }
}

static void poller_main(void *arg)
{
    struct poll_set s = {.fds = NULL};

    if (!poll_set_reserve(&s, 8))
        panic("no memory for the host poller");
    for (;;) {
        int n;

        poll_set_fill(&s);
        n = host_ppoll(s.fds, s.count, NULL);
        if (n < 0) {
            for (unsigned i = 0; i < s.count; i++)
                s.fds[i].revents = 0;
        }
        poll_set_deliver(&s);
    }
}

static int poller_start(void)
{
    int ret = 0, fd;

    mutex_lock(&g_poller.lock);
    if (g_poller.kick_fd < 0) {
        fd = host_eventfd(0, O_CLOEXEC);
        ret = fd < 0 ? fd : thread_start("host-poll", poller_main, NULL);
        if (ret == 0)
            g_poller.kick_fd = fd;
        else if (fd >= 0)
            (void)host_close(fd); /* nothing was written to it */
    }
    mutex_unlock(&g_poller.lock);
    return ret;
}

static void poller_kick(void)
{
    uint64_t one = 1;

    if (host_write(g_poller.kick_fd, &one, sizeof(one)) < 0)
        return; /* full: it is kicked already */
}

void hostfd_arm(struct hostfd *h, uint32_t events)
{
    bool kick = false;

    mutex_lock(&g_poller.lock);
    if (events & ~h->want) {
        h->want |= events;
        if (list_empty(&h->armed))
            list_add_tail(&g_poller.armed, &h->armed);
        kick = true;
    }
    mutex_unlock(&g_poller.lock);
    if (kick)
        poller_kick();
}

uint32_t hostfd_poll(struct hostfd *h)
{
    uint32_t interest =
        WAKE_PRI | WAKE_RDHUP | (h->readable ? WAKE_IN : 0) | (h->writable ? WAKE_OUT : 0);
    struct pollfd pfd = {.fd = h->fd, .events = (short)interest};
    struct timespec zero = {0, 0};
    uint32_t ready = 0;

    if (host_ppoll(&pfd, 1, &zero) >= 0)
        ready = (uint16_t)pfd.revents;
    if (!(ready & (WAKE_ERR | WAKE_HUP | WAKE_NVAL)) && (interest & ~ready & (WAKE_IN | WAKE_OUT)))
        hostfd_arm(h, interest & ~ready);
    return ready;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

int hostfd_new_take(int fd, struct hostfd **out)
{
    struct termios t;
    struct hostfd *h;
    struct stat st;
    int flags = host_fcntl_getfl(fd);
    int ret = flags < 0 ? flags : host_fstat(fd, &st);

    if (ret == 0)
        ret = poller_start();
    h = ret == 0 ? calloc(1, sizeof(*h)) : NULL;
    if (!h) {
        (void)host_close(fd); /* the first error is the one to tell */
        return ret < 0 ? ret : -ENOMEM;
    }
    refs_init(&h->refs);
    atomic_init(&h->users, 1);
    h->fd = fd;
    h->type = st.st_mode & S_IFMT;
    h->tty = S_ISCHR(st.st_mode) && host_ioctl_tcgets(fd, &t) == 0;
    h->readable = (flags & O_ACCMODE) != O_WRONLY;
    h->writable = (flags & O_ACCMODE) != O_RDONLY;
    waitq_init(&h->wq);
    list_init(&h->armed);
    *out = h;
    return 0;
}

struct hostfd *hostfd_user_get(struct hostfd *h)
{
    refs_get(&h->refs);
    atomic_fetch_add(&h->users, 1);
    return h;
}

void hostfd_user_put(struct hostfd *h)
{
    if (atomic_fetch_sub(&h->users, 1) == 1) {
        bool armed;

        mutex_lock(&g_poller.lock);
        armed = !list_empty(&h->armed);
        list_del(&h->armed);
        mutex_unlock(&g_poller.lock);
        /* The poller may hold the last reference: let it go, so that the host sees the close. */
        if (armed)
            poller_kick();
    }
    hostfd_put(h);
}

static bool hostfd_ready(struct hostfd *h, short events)
{
    struct pollfd pfd = {.fd = h->fd, .events = events};
    struct timespec zero = {0, 0};

    return host_ppoll(&pfd, 1, &zero) > 0;
}

/* Linux answers EOPNOTSUPP for files without FMODE_NOWAIT. */
static bool nowait_refused(struct hostfd *h, ssize_t ret)
{
    if (ret != -EOPNOTSUPP && ret != -ENOSYS && ret != -EINVAL)
        return false;
    atomic_store(&h->no_nowait, true);
    return true;
}

ssize_t hostfd_try_read(struct hostfd *h, void *buf, size_t size)
{
    struct iovec iov = {buf, size};
    ssize_t ret;

    if (!atomic_load(&h->no_nowait)) {
        ret = host_preadv2(h->fd, &iov, 1, -1, RWF_NOWAIT);
        if (!nowait_refused(h, ret))
            return ret;
    }
    if (!hostfd_ready(h, POLLIN))
        return -EAGAIN;
    return host_read(h->fd, buf, size);
}

ssize_t hostfd_try_write(struct hostfd *h, const void *buf, size_t size)
{
    /* SAFETY: struct iovec has no const form; writev only reads. */
    struct iovec iov = {(void *)(uintptr_t)buf, size};
    size_t piece;
    ssize_t ret;

    if (!atomic_load(&h->no_nowait)) {
        ret = host_pwritev2(h->fd, &iov, 1, -1, RWF_NOWAIT);
        if (!nowait_refused(h, ret))
            return ret;
    }
    if (!hostfd_ready(h, POLLOUT))
        return -EAGAIN;
    piece = h->tty                                      ? PIECE_TTY
            : h->type == S_IFIFO || h->type == S_IFSOCK ? PIECE_PIPE
                                                        : PIECE_OTHER;
    return host_write(h->fd, buf, MIN(size, piece));
}
