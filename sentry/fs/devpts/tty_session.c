/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Controlling terminals and job control. The association of a session with its terminal is kept in
 * the tty (session, pgrp), written under the list's lock and the tty's, so that both a lookup by
 * session and the line discipline can read it.
 *
 * DEVIATION: on Linux each process of a session can drop the terminal for itself with TIOCNOTTY;
 * here only the leader's TIOCNOTTY has an effect, on the whole session.
 */
#include <errno.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/signal.h"
#include "sentry/core/cred.h"
#include "sentry/core/curr.h"
#include "sentry/core/restart.h"
#include "sentry/fs/devpts/tty_internal.h"
#include "sentry/mm/uaccess.h"

static struct tty *find_locked(const struct pid *session, bool hung_up_too)
{
    struct tty *t;

    list_for_each_entry(t, &g_tty_list.ttys, node) {
        if (t->session == session && (hung_up_too || !t->session_hung_up))
            return t;
    }
    return NULL;
}

static struct tty *tty_of_session_get(const struct pid *session, bool hung_up_too)
{
    struct tty *t;

    if (!session)
        return NULL;
    mutex_lock(&g_tty_list.lock);
    t = find_locked(session, hung_up_too);
    if (t && !refs_get_not_zero(&t->refs))
        t = NULL;
    mutex_unlock(&g_tty_list.lock);
    return t;
}

struct tty *tty_current_get(void)
{
    struct pid *session = g_curr_ops->session_get();
    struct tty *t = tty_of_session_get(session, /*hung_up_too=*/false);

    pid_put(session);
    return t;
}

bool tty_is_current(struct tty *t)
{
    struct pid *session = g_curr_ops->session_get();
    bool is;

    mutex_lock(&g_tty_list.lock);
    is = session && t->session == session && !t->session_hung_up;
    mutex_unlock(&g_tty_list.lock);
    pid_put(session);
    return is;
}

lx_dev_t tty_of_session(struct pid *session, struct pid **out_pgrp)
{
    struct tty *t = tty_of_session_get(session, /*hung_up_too=*/false);
    lx_dev_t dev;

    if (out_pgrp)
        *out_pgrp = NULL;
    if (!t)
        return 0;
    dev = tty_device_number(t);
    if (out_pgrp) {
        tty_lock(t);
        *out_pgrp = pid_get(t->pgrp);
        tty_unlock(t);
    }
    tty_put(t);
    return dev;
}

/* Sets or clears (both NULL) the association; takes references of its own. */
static void associate(struct tty *t, struct pid *session, struct pid *pgrp)
{
    struct pid *old_session, *old_pgrp;

    mutex_lock(&g_tty_list.lock);
    tty_lock(t);
    old_session = t->session;
    old_pgrp = t->pgrp;
    t->session = pid_get(session);
    t->pgrp = pid_get(pgrp);
    t->session_hung_up = false;
    tty_unlock(t);
    mutex_unlock(&g_tty_list.lock);
    pid_put(old_session);
    pid_put(old_pgrp);
}

void tty_acquire_controlling(struct file *f, struct pid *session, struct pid *pgrp)
{
    if (file_is_tty(f))
        associate(tty_file_of(f)->tty, session, pgrp);
}

void tty_open_acquire(struct tty *t, uint32_t flags)
{
    struct pid *session, *pgrp;
    struct tty *mine;
    bool taken;

    /* Linux: a terminal opened only for writing is not acquired. */
    if ((flags & LX_O_NOCTTY) || (flags & LX_O_ACCMODE) == LX_O_WRONLY || !curr()->task ||
        !g_curr_ops->is_session_leader())
        return;
    mine = tty_current_get();
    if (mine) {
        tty_put(mine);
        return;
    }
    session = g_curr_ops->session_get();
    pgrp = g_curr_ops->pgrp_get();
    mutex_lock(&g_tty_list.lock);
    taken = t->session != NULL;
    mutex_unlock(&g_tty_list.lock);
    if (!taken)
        associate(t, session, pgrp);
    pid_put(session);
    pid_put(pgrp);
}

static bool tty_session_hung_up(struct tty *t)
{
    bool hung_up;

    tty_lock(t);
    hung_up = t->session_hung_up;
    tty_unlock(t);
    return hung_up;
}

void tty_session_leader_exit(struct pid *session)
{
    struct tty *t = tty_of_session_get(session, /*hung_up_too=*/true);

    if (!t)
        return;
    /* Linux: the end of its leader does not hang up a pty; the foreground hears SIGHUP, and after a
     * hang-up that already happened SIGCONT as well, so that a stopped job can die. */
    tty_signal_foreground(t, LX_SIGHUP);
    if (tty_session_hung_up(t))
        tty_signal_foreground(t, LX_SIGCONT);
    associate(t, NULL, NULL);
    tty_put(t);
}

void tty_vhangup_current(void)
{
    struct tty *t = tty_current_get();

    if (!t)
        return;
    tty_hangup(t);
    tty_put(t);
}

/* ---- signals --------------------------------------------------------------------------------- */

void tty_signal_foreground_locked(struct tty *t, int signo)
{
    if (t->pgrp)
        (void)g_pid_ops->signal(t->pgrp, PID_PGRP, signo, NULL); /* -ESRCH: an empty group */
}

void tty_signal_foreground(struct tty *t, int signo)
{
    struct pid *pgrp;

    tty_lock(t);
    pgrp = pid_get(t->pgrp);
    tty_unlock(t);
    if (!pgrp)
        return;
    (void)g_pid_ops->signal(pgrp, PID_PGRP, signo, NULL); /* as above */
    pid_put(pgrp);
}

int tty_job_control(struct tty *t, int signo)
{
    struct pid *pgrp;
    bool background;
    int ret = 0;

    if (!curr()->task || !tty_is_current(t))
        return 0;
    pgrp = g_curr_ops->pgrp_get();
    tty_lock(t);
    background = t->pgrp && t->pgrp != pgrp;
    tty_unlock(t);
    if (background) {
        if (g_curr_ops->signal_ignored_or_blocked(signo)) {
            ret = signo == LX_SIGTTIN ? -EIO : 0;
        } else if (g_pid_ops->pgrp_orphaned(pgrp)) {
            ret = -EIO;
        } else {
            (void)g_pid_ops->signal(pgrp, PID_PGRP, signo, NULL); /* it has us in it */
            ret = -ERESTARTSYS;
        }
    }
    pid_put(pgrp);
    return ret;
}

/* ---- ioctls ---------------------------------------------------------------------------------- */

/* TIOCSCTTY. arg 1: steal it from another session (CAP_SYS_ADMIN). */
static long ioctl_set_controlling(struct tty *t, uaddr_t arg)
{
    struct pid *session = g_curr_ops->session_get(), *pgrp = NULL, *owner;
    struct tty *mine = tty_of_session_get(session, /*hung_up_too=*/false);
    long ret = 0;

    mutex_lock(&g_tty_list.lock);
    owner = t->session;
    mutex_unlock(&g_tty_list.lock);
    if (g_curr_ops->is_session_leader() && owner && owner == session)
        goto out;
    ret = -EPERM;
    if (!g_curr_ops->is_session_leader() || mine)
        goto out;
    if (owner && !(arg == 1 && cred_capable(curr()->cred, LX_CAP_SYS_ADMIN)))
        goto out;
    pgrp = g_curr_ops->pgrp_get();
    associate(t, session, pgrp);
    ret = 0;
out:
    if (mine)
        tty_put(mine);
    pid_put(session);
    pid_put(pgrp);
    return ret;
}

static long ioctl_drop_controlling(struct tty *t)
{
    if (!tty_is_current(t))
        return -ENOTTY;
    if (!g_curr_ops->is_session_leader())
        return 0;
    tty_signal_foreground(t, LX_SIGHUP);
    tty_signal_foreground(t, LX_SIGCONT);
    associate(t, NULL, NULL);
    return 0;
}

static long ioctl_get_pgrp(struct tty *t, bool master, uaddr_t arg)
{
    int32_t nr;

    if (!master && !tty_is_current(t))
        return -ENOTTY;
    tty_lock(t);
    nr = pid_nr(t->pgrp);
    tty_unlock(t);
    return put_user(&nr, arg);
}

static long ioctl_get_sid(struct tty *t, bool master, uaddr_t arg)
{
    int32_t nr;
    bool none;

    if (!master && !tty_is_current(t))
        return -ENOTTY;
    tty_lock(t);
    none = !t->session;
    nr = pid_nr(t->session);
    tty_unlock(t);
    return none ? -ENOTTY : put_user(&nr, arg);
}

static long ioctl_set_pgrp(struct tty *t, uaddr_t arg)
{
    struct pid *session = NULL, *pgrp, *owner, *old;
    int32_t nr;
    long ret = tty_job_control(t, LX_SIGTTOU);

    if (ret < 0)
        return ret == -EIO ? -ENOTTY : ret;
    if (!tty_is_current(t))
        return -ENOTTY;
    if (get_user(&nr, arg) < 0)
        return -EFAULT;
    if (nr < 0)
        return -EINVAL;
    pgrp = g_pid_ops->find_get(nr);
    owner = pgrp ? g_pid_ops->pgrp_session_get(pgrp) : NULL;
    ret = -ESRCH;
    if (!owner)
        goto out;
    session = g_curr_ops->session_get();
    ret = -EPERM;
    if (owner != session)
        goto out;
    mutex_lock(&g_tty_list.lock);
    tty_lock(t);
    old = t->pgrp;
    t->pgrp = pid_get(pgrp);
    tty_unlock(t);
    mutex_unlock(&g_tty_list.lock);
    pid_put(old);
    ret = 0;
out:
    pid_put(session);
    pid_put(owner);
    pid_put(pgrp);
    return ret;
}

long tty_ioctl_session(struct file *f, uint32_t cmd, uaddr_t arg)
{
    struct tty_file *tf = tty_file_of(f);

    switch (cmd) {
    case LX_TIOCSCTTY:
        return ioctl_set_controlling(tf->tty, arg);
    case LX_TIOCNOTTY:
        return ioctl_drop_controlling(tf->tty);
    case LX_TIOCGPGRP:
        return ioctl_get_pgrp(tf->tty, tf->master, arg);
    case LX_TIOCSPGRP:
        return ioctl_set_pgrp(tf->tty, arg);
    case LX_TIOCGSID:
        return ioctl_get_sid(tf->tty, tf->master, arg);
    default:
        return -ENOTTY;
    }
}
