/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signal-driven I/O: F_SETOWN, F_SETSIG, O_ASYNC. fcntl(2).
 *
 * Whether the setter may signal the owner is asked when the owner is set, with the setter's
 * credentials; Linux asks at delivery with the ids that it remembered.
 */
#include "sentry/fs/fasync.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/signal.h"
#include "sentry/fs/vfs_internal.h"

/* Lifetime: owned by the file, made by the first F_SETOWN or F_SETSIG. Keys: l ->lock */
struct fasync {
    struct mutex lock;  /* rank LEAF */
    struct pid *owner;  /* l, +1 */
    enum pid_kind kind; /* l */
    int signo;          /* l: 0 is SIGIO without details */
    int fd;             /* l: the descriptor O_ASYNC was set through */
    bool allowed;       /* l */
    lx_uid_t uid, euid; /* l: F_GETOWNER_UIDS */
};

static int fasync_of(struct file *f, struct fasync **out)
{
    struct fasync *a = f->fasync, *expected = NULL;

    if (!a) {
        a = calloc(1, sizeof(*a));
        if (!a)
            return -ENOMEM;
        mutex_init(&a->lock, RANK_LEAF);
        a->kind = PID_TGID;
        if (!atomic_compare_exchange_strong(&f->fasync, &expected, a)) {
            mutex_destroy(&a->lock);
            free(a);
            a = expected;
        }
    }
    *out = a;
    return 0;
}

void fasync_free(struct file *f)
{
    struct fasync *a = f->fasync;

    if (!a)
        return;
    pid_put(a->owner);
    mutex_destroy(&a->lock);
    free(a);
}

int file_set_owner(struct file *f, struct pid *owner, enum pid_kind kind)
{
    struct fasync *a;
    struct pid *old;
    bool allowed;
    int ret = fasync_of(f, &a);

    if (ret < 0)
        return ret;
    allowed = !owner || g_pid_ops->signal_checked(owner, kind, 0, NULL) == 0;
    mutex_lock(&a->lock);
    old = a->owner;
    a->owner = pid_get(owner);
    a->kind = kind;
    a->allowed = allowed;
    a->uid = curr()->cred->ruid;
    a->euid = curr()->cred->euid;
    mutex_unlock(&a->lock);
    pid_put(old);
    if (f->ops->owner_set)
        f->ops->owner_set(f);
    return 0;
}

void file_get_owner(struct file *f, struct file_owner *out)
{
    struct fasync *a = f->fasync;

    *out = (struct file_owner){.kind = PID_TGID};
    if (!a)
        return;
    mutex_lock(&a->lock);
    out->pid = pid_get(a->owner);
    out->kind = a->kind;
    out->signo = a->signo;
    out->uid = a->uid;
    out->euid = a->euid;
    mutex_unlock(&a->lock);
}

int file_set_sig(struct file *f, int signo)
{
    struct fasync *a;
    int ret = fasync_of(f, &a);

    if (ret < 0)
        return ret;
    mutex_lock(&a->lock);
    a->signo = signo;
    mutex_unlock(&a->lock);
    return 0;
}

int file_set_async_fd(struct file *f, int fd)
{
    struct fasync *a;
    int ret = fasync_of(f, &a);

    if (ret < 0)
        return ret;
    mutex_lock(&a->lock);
    a->fd = fd;
    mutex_unlock(&a->lock);
    return 0;
}

int file_default_owner(struct file *f)
{
    struct fasync *a = f->fasync;
    bool owned = false;

    if (a) {
        mutex_lock(&a->lock);
        owned = a->owner != NULL;
        mutex_unlock(&a->lock);
    }
    return owned ? 0 : file_set_owner(f, curr()->tgid, PID_TGID);
}

void file_kill_fasync(struct file *f, int code, uint32_t band)
{
    struct fasync *a = f->fasync;
    int fd;

    if (!a || !(f->flags & LX_O_ASYNC))
        return;
    mutex_lock(&a->lock);
    fd = a->fd;
    mutex_unlock(&a->lock);
    file_send_sigio(f, fd, code, band);
}

void file_send_sigio(struct file *f, int fd, int code, uint32_t band)
{
    struct fasync *a = f->fasync;
    struct lx_siginfo info;
    struct pid *owner;
    enum pid_kind kind;
    int signo;

    if (!a)
        return;
    mutex_lock(&a->lock);
    owner = a->allowed ? pid_get(a->owner) : NULL;
    kind = a->kind;
    signo = a->signo;
    mutex_unlock(&a->lock);
    if (!owner)
        return;
    if (signo == 0) {
        g_pid_ops->signal(owner, kind, SIGIO, NULL);
    } else {
        memset(&info, 0, sizeof(info));
        info.signo = signo;
        info.code = code;
        info.poll.band = band;
        info.poll.fd = fd;
        g_pid_ops->signal(owner, kind, signo, &info);
    }
    pid_put(owner);
}
