/* SPDX-License-Identifier: Apache-2.0 */
/* dup family, fcntl, flock. */
#include <errno.h>

#include "sentry/fs/fasync.h"
#include "sentry/fs/flock.h"
#include "sentry/fs/inotify/dnotify.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

/* Lowest free descriptor >= from for the same description. */
static long dup_from(struct task *t, int fd, int from, bool cloexec)
{
    struct file *f;
    long ret = fdtable_lookup_any_get(t->curr.files, fd, &f);

    if (ret < 0)
        return ret;
    ret = fdtable_install_take(t->curr.files, f, from, cloexec);
    if (ret < 0)
        file_put(f);
    return ret;
}

long sys_dup(struct task *t, int fildes)
{
    return dup_from(t, fildes, 0, /*cloexec=*/false);
}

static long dup_to(struct task *t, int oldfd, int newfd, bool cloexec)
{
    struct file *f;
    long ret;

    if ((uint32_t)newfd >= g_curr_ops->rlimit(LX_RLIMIT_NOFILE))
        return -EBADF;
    ret = fdtable_lookup_any_get(t->curr.files, oldfd, &f);
    if (ret < 0)
        return ret;
    ret = fdtable_install_at_take(t->curr.files, f, newfd, cloexec);
    if (ret < 0)
        file_put(f);
    return ret;
}

long sys_dup2(struct task *t, int oldfd, int newfd)
{
    struct file *f;

    if (oldfd == newfd) {
        int ret = fdtable_lookup_any_get(t->curr.files, oldfd, &f);

        if (ret == 0)
            file_put(f);
        return ret < 0 ? ret : newfd;
    }
    return dup_to(t, oldfd, newfd, /*cloexec=*/false);
}

long sys_dup3(struct task *t, int oldfd, int newfd, int flags)
{
    if ((uint32_t)flags & ~LX_O_CLOEXEC)
        return -EINVAL;
    if (oldfd == newfd)
        return -EINVAL;
    return dup_to(t, oldfd, newfd, (uint32_t)flags & LX_O_CLOEXEC);
}

/* ---- fcntl ----------------------------------------------------------------------------------- */

static long set_status_flags(struct file *f, int fd, uint32_t want)
{
    uint32_t old = f->flags, now;
    int ret;

    if (((want ^ old) & LX_O_APPEND) && inode_is_append(f->inode))
        return -EPERM;
    if ((want & ~old & LX_O_NOATIME) && !inode_owner_or_capable(f->inode))
        return -EPERM;
    now = (old & ~LX_O_SETFL) | (want & LX_O_SETFL);
    if ((now & ~old & LX_O_ASYNC)) {
        ret = file_set_async_fd(f, fd);
        if (ret < 0)
            return ret;
    }
    if (f->ops->set_flags) {
        ret = f->ops->set_flags(f, now);
        if (ret < 0)
            return ret;
    }
    f->flags = now;
    return 0;
}

static int owner_pid(enum pid_kind kind, lx_pid_t nr, struct pid **out)
{
    *out = NULL;
    if (nr == 0)
        return 0;
    *out = g_pid_ops->find_get(nr);
    return *out ? 0 : -ESRCH;
}

static long set_owner(struct file *f, enum pid_kind kind, lx_pid_t nr)
{
    struct pid *pid;
    long ret = owner_pid(kind, nr, &pid);

    if (ret < 0)
        return ret;
    ret = file_set_owner(f, pid, kind);
    pid_put(pid);
    return ret;
}

static long set_owner_plain(struct file *f, int32_t arg)
{
    if (arg >= 0)
        return set_owner(f, PID_TGID, arg);
    if (arg == INT32_MIN)
        return -EINVAL;
    return set_owner(f, PID_PGRP, -arg);
}

static long set_owner_ex(struct file *f, uaddr_t arg)
{
    static const enum pid_kind kinds[] = {PID_TID, PID_TGID, PID_PGRP};
    struct lx_f_owner_ex owner;
    long ret = get_user(&owner, arg);

    if (ret < 0)
        return ret;
    if (owner.type < LX_F_OWNER_TID || owner.type > LX_F_OWNER_PGRP)
        return -EINVAL;
    return set_owner(f, kinds[owner.type], owner.pid);
}

static long get_owner(struct file *f, uint32_t cmd, uaddr_t arg)
{
    struct file_owner o;
    struct lx_f_owner_ex ex;
    uint32_t uids[2];
    lx_pid_t nr;
    bool alive;

    file_get_owner(f, &o);
    alive = o.pid && g_pid_ops->alive(o.pid, o.kind);
    nr = alive ? pid_nr(o.pid) : 0;
    pid_put(o.pid);
    switch (cmd) {
    case LX_F_GETOWN:
        return o.kind == PID_PGRP ? -nr : nr;
    case LX_F_GETOWN_EX:
        ex.type = o.kind == PID_TID ? LX_F_OWNER_TID
                                    : (o.kind == PID_PGRP ? LX_F_OWNER_PGRP : LX_F_OWNER_PID);
        ex.pid = nr;
        return put_user(&ex, arg);
    case LX_F_GETOWNER_UIDS:
        uids[0] = userns_from_kuid(curr()->cred->userns, o.uid);
        uids[1] = userns_from_kuid(curr()->cred->userns, o.euid);
        return copy_out(arg, uids, sizeof(uids));
    default:
        return o.signo;
    }
}

static long record_lock(struct file *f, uint32_t cmd, uaddr_t arg)
{
    struct lx_flock fl;
    long ret = get_user(&fl, arg);

    if (ret < 0)
        return ret;
    ret = flock_fcntl(f, (int)cmd, &fl);
    if (ret == 0 && (cmd == LX_F_GETLK || cmd == LX_F_OFD_GETLK))
        ret = put_user(&fl, arg);
    return ret;
}

static long rw_hint(struct file *f, uint32_t cmd, uaddr_t arg)
{
    uint64_t hint = 0; /* RWH_WRITE_LIFE_NOT_SET: advice that nothing here uses */
    long ret;

    if (cmd == LX_F_GET_RW_HINT || cmd == LX_F_GET_FILE_RW_HINT)
        return put_user(&hint, arg);
    ret = get_user(&hint, arg);
    if (ret < 0)
        return ret;
    return hint > 5 ? -EINVAL : 0;
}

static bool fcntl_allowed_on_path(uint32_t cmd)
{
    return cmd == LX_F_DUPFD || cmd == LX_F_DUPFD_CLOEXEC || cmd == LX_F_GETFD ||
           cmd == LX_F_SETFD || cmd == LX_F_GETFL || cmd == LX_F_DUPFD_QUERY;
}

/* F_DUPFD_QUERY: do both descriptors show one open file description? */
static long same_file(const struct file *f, int other_fd)
{
    struct file *other;
    int ret = fdtable_lookup_any_get(curr()->files, other_fd, &other);

    if (ret < 0)
        return ret;
    ret = other == f;
    file_put(other);
    return ret;
}

static long fcntl_file(struct file *f, int fd, uint32_t cmd, uint64_t arg)
{
    switch (cmd) {
    case LX_F_DUPFD_QUERY:
        return same_file(f, (int)arg);
    case LX_F_GETFL:
        return f->flags;
    case LX_F_SETFL:
        return set_status_flags(f, fd, (uint32_t)arg);
    case LX_F_GETLK:
    case LX_F_SETLK:
    case LX_F_SETLKW:
    case LX_F_OFD_GETLK:
    case LX_F_OFD_SETLK:
    case LX_F_OFD_SETLKW:
        return record_lock(f, cmd, arg);
    case LX_F_SETOWN:
        return set_owner_plain(f, (int32_t)arg);
    case LX_F_SETOWN_EX:
        return set_owner_ex(f, arg);
    case LX_F_GETOWN:
    case LX_F_GETOWN_EX:
    case LX_F_GETOWNER_UIDS:
    case LX_F_GETSIG:
        return get_owner(f, cmd, arg);
    case LX_F_SETSIG:
        return arg > 64 ? -EINVAL : file_set_sig(f, (int)arg);
    case LX_F_GETLEASE:
        return LX_F_UNLCK;
    case LX_F_SETLEASE:
        /* Linux: what file systems without leases answer (overlayfs over FUSE, NFS). */
        return -EINVAL;
    case LX_F_NOTIFY:
        return dnotify_set(f, fd, curr()->files, (uint32_t)arg);
    case LX_F_SETPIPE_SZ:
        return pipe_set_size(f, (uint32_t)arg);
    case LX_F_GETPIPE_SZ:
        return pipe_get_size(f);
    case LX_F_ADD_SEALS:
        return arg > UINT32_MAX ? -EINVAL : shmem_add_seals(f, (uint32_t)arg);
    case LX_F_GET_SEALS:
        return shmem_get_seals(f);
    case LX_F_GET_RW_HINT:
    case LX_F_SET_RW_HINT:
    case LX_F_GET_FILE_RW_HINT:
    case LX_F_SET_FILE_RW_HINT:
        return rw_hint(f, cmd, arg);
    default:
        return -EINVAL;
    }
}

long sys_fcntl(struct task *t, int fd, uint32_t cmd, uint64_t arg)
{
    struct fdtable *files = t->curr.files;
    struct file *f;
    long ret;

    switch (cmd) {
    case LX_F_GETFD:
        return fdtable_get_cloexec(files, fd);
    case LX_F_SETFD:
        return fdtable_set_cloexec(files, fd, arg & LX_FD_CLOEXEC);
    default:
        break;
    }
    ret = fdtable_lookup_any_get(files, fd, &f);
    if (ret < 0)
        return ret;
    if ((f->kind & FILE_PATH) && !fcntl_allowed_on_path(cmd))
        ret = -EBADF;
    else if (cmd == LX_F_DUPFD || cmd == LX_F_DUPFD_CLOEXEC)
        ret = (uint32_t)arg >= g_curr_ops->rlimit(LX_RLIMIT_NOFILE)
                  ? -EINVAL
                  : dup_from(t, fd, (int)arg, cmd == LX_F_DUPFD_CLOEXEC);
    else
        ret = fcntl_file(f, fd, cmd, arg);
    file_put(f);
    return ret;
}

long sys_flock(struct task *t, int fd, uint32_t cmd)
{
    uint32_t op = cmd & ~(uint32_t)LX_LOCK_NB;
    struct fd_borrow b;
    long ret;

    if (op != LX_LOCK_SH && op != LX_LOCK_EX && op != LX_LOCK_UN)
        return -EINVAL;
    ret = fdtable_borrow(fd, &b);
    if (ret < 0)
        return ret;
    ret = flock_apply(b.file, cmd);
    fd_borrow_put(&b);
    return ret;
}
