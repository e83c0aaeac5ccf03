/* SPDX-License-Identifier: Apache-2.0 */
/*
 * F_NOTIFY. A watch ties an open directory and a descriptor table to events of the directory's
 * entries; the owner of the file (F_SETOWN, by default who asked) gets its signal (F_SETSIG).
 *
 * Watches of the sandbox are one list: programs that still use this have a few. A watch borrows its
 * file: closing any descriptor of it in the table forgets the watch, and so does the last reference.
 * Signals are sent without the lock, to files that a reference holds.
 */
#include "sentry/fs/inotify/dnotify.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/inotify.h"
#include "sentry/core/curr.h"
#include "sentry/fs/fasync.h"
#include "sentry/fs/inotify/inotify.h"
#include "sentry/fs/vfs_internal.h"

#define AT_ONCE 16 /* files that are signalled per pass */

/* Keys: I immutable; d g_dnotify.lock */
struct dnotify_watch {
    struct list node;  /* d */
    struct file *file; /* I, borrowed: see above */
    const void *owner; /* I: identity of the descriptor table */
    int fd;            /* d */
    uint32_t mask;     /* d: LX_DN_* */
};

static struct {
    struct mutex lock; /* rank DNOTIFY */
    struct list watches;
    atomic_uint count;
} g_dnotify = {.lock = {.rank = RANK_DNOTIFY}, .watches = LIST_INIT(g_dnotify.watches)};

bool dnotify_in_use(void)
{
    return atomic_load(&g_dnotify.count) > 0;
}

static struct dnotify_watch *find_locked(const struct file *f, const void *owner)
    REQUIRES(g_dnotify.lock)
{
    struct dnotify_watch *w;

    list_for_each_entry(w, &g_dnotify.watches, node) {
        if (w->file == f && w->owner == owner)
            return w;
    }
    return NULL;
}

static void forget_locked(struct dnotify_watch *w) REQUIRES(g_dnotify.lock)
{
    list_del(&w->node);
    free(w);
    atomic_fetch_sub(&g_dnotify.count, 1);
    inotify_notice_end();
}

void dnotify_close(struct file *f, const void *owner)
{
    struct dnotify_watch *w;

    mutex_lock(&g_dnotify.lock);
    w = find_locked(f, owner);
    if (w)
        forget_locked(w);
    mutex_unlock(&g_dnotify.lock);
}

void dnotify_release(struct file *f)
{
    struct dnotify_watch *w, *tmp;

    mutex_lock(&g_dnotify.lock);
    list_for_each_entry_safe(w, tmp, &g_dnotify.watches, node) {
        if (w->file == f)
            forget_locked(w);
    }
    mutex_unlock(&g_dnotify.lock);
}

int dnotify_set(struct file *f, int fd, const void *owner, uint32_t mask)
{
    struct dnotify_watch *w, *fresh;
    int ret;

    if (!(mask & ~LX_DN_MULTISHOT)) {
        dnotify_close(f, owner);
        return 0;
    }
    if (!LX_S_ISDIR(f->inode->attr.mode))
        return -ENOTDIR;
    fresh = calloc(1, sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    ret = file_default_owner(f);
    if (ret == 0)
        ret = inotify_notice(f->inode);
    if (ret < 0) {
        free(fresh);
        return ret;
    }
    mutex_lock(&g_dnotify.lock);
    w = find_locked(f, owner);
    if (w) {
        w->fd = fd;
        w->mask |= mask; /* Linux: a second call adds */
    } else {
        *fresh = (struct dnotify_watch){.file = f, .owner = owner, .fd = fd, .mask = mask};
        list_add(&g_dnotify.watches, &fresh->node);
        atomic_fetch_add(&g_dnotify.count, 1);
        fresh = NULL;
    }
    mutex_unlock(&g_dnotify.lock);
    if (fresh)
        inotify_notice_end(); /* the old watch has its own */
    free(fresh);
    return 0;
}

static uint32_t dn_mask(uint32_t in)
{
    static const struct {
        uint32_t in, dn;
    } map[] = {
        {LX_IN_ACCESS, LX_DN_ACCESS}, {LX_IN_MODIFY, LX_DN_MODIFY},
        {LX_IN_CREATE, LX_DN_CREATE}, {LX_IN_MOVED_TO, LX_DN_CREATE},
        {LX_IN_DELETE, LX_DN_DELETE}, {LX_IN_MOVED_FROM, LX_DN_DELETE},
        {LX_IN_ATTRIB, LX_DN_ATTRIB},
    };
    uint32_t mask = 0;

    for (size_t i = 0; i < ARRAY_COUNT(map); i++)
        mask |= in & map[i].in ? map[i].dn : 0;
    return mask;
}

/* Collects what is to be signalled; a file whose last reference just went is left out. */
static size_t collect_locked(const struct inode *dir, uint32_t mask, struct file **files, int *fds)
    REQUIRES(g_dnotify.lock)
{
    struct dnotify_watch *w, *tmp;
    size_t n = 0;

    list_for_each_entry_safe(w, tmp, &g_dnotify.watches, node) {
        if (n == AT_ONCE)
            break;
        if (w->file->inode != dir || !(w->mask & mask) || !refs_get_not_zero(&w->file->refs))
            continue;
        files[n] = w->file;
        fds[n++] = w->fd;
        if (!(w->mask & LX_DN_MULTISHOT))
            forget_locked(w);
    }
    return n;
}

static void send(struct inode *dir, uint32_t mask)
{
    struct file *files[AT_ONCE];
    int fds[AT_ONCE];
    size_t n;

    mutex_lock(&g_dnotify.lock);
    n = collect_locked(dir, mask, files, fds);
    mutex_unlock(&g_dnotify.lock);
    for (size_t i = 0; i < n; i++) {
        file_send_sigio(files[i], fds[i], POLL_MSG, POLLIN | POLLRDNORM | POLLMSG);
        file_put(files[i]);
    }
}

void dnotify_event(struct inode *dir, uint32_t mask)
{
    uint32_t dn = dn_mask(mask);

    if (dn)
        send(dir, dn);
    /* Linux: a renaming is an event of its own, of the directory that had the name. */
    if (mask & LX_IN_MOVED_FROM)
        send(dir, LX_DN_RENAME);
}
