// SPDX-License-Identifier: Apache-2.0
/* Calls on the memory of another process: process_vm_readv, process_vm_writev, process_madvise. */
#include <errno.h>
#include <stdlib.h>

#include "gen/syscall_protos.h"
#include "sentry/abi/mman.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/clone.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_info.h"
#include "sentry/mm/iov_iter.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uaccess.h"

#define IOV_MAX_COUNT 1024u
#define BOUNCE_SIZE   (64ul << 10)

/* Copies in count iovecs without a range check: remote addresses fail when they are used. */
static int remote_iovec(uaddr_t vec, uint64_t count, struct lx_iovec **out)
{
    struct lx_iovec *v;
    uint64_t i;

    if (count > IOV_MAX_COUNT)
        return -EINVAL;
    v = calloc(count ? count : 1, sizeof(*v));
    if (!v)
        return -ENOMEM;
    if (copy_in(v, vec, count * sizeof(*v)) < 0) {
        free(v);
        return -EFAULT;
    }
    for (i = 0; i < count; i++) {
        if ((int64_t)v[i].len < 0) {
            free(v);
            return -EINVAL;
        }
    }
    *out = v;
    return 0;
}

static int remote_mm(lx_pid_t pid, struct mm **out)
{
    struct task *other = task_find_get(pid);
    int ret;

    if (!other)
        return -ESRCH;
    ret = task_ptrace_may_access(other, LX_PTRACE_MODE_ATTACH) < 0 ? -EPERM : 0;
    if (ret == 0) {
        *out = task_mm_get(other);
        if (!*out)
            ret = -ESRCH;
    }
    task_put(other);
    return ret;
}

/* Moves bytes between the local iterator and one remote range; returns bytes moved. */
static size_t transfer(struct mm *mm, struct iov_iter *local, struct lx_iovec remote, bool write,
                       char *bounce)
{
    size_t done = 0, want = MIN(remote.len, iov_iter_count(local));

    while (done < want) {
        size_t n = MIN(want - done, BOUNCE_SIZE), got, moved;

        if (write) {
            got = copy_from_iter(local, bounce, n);
            moved = mm_copy_out_partial(mm, remote.base + done, bounce, got, /*force=*/false);
        } else {
            got = mm_copy_in_partial(mm, bounce, remote.base + done, n, /*force=*/false);
            moved = copy_to_iter(local, bounce, got);
        }
        done += moved;
        if (moved < n)
            break;
    }
    return done;
}

static long process_vm_rw(lx_pid_t pid, uaddr_t lvec, uint64_t liovcnt, uaddr_t rvec,
                          uint64_t riovcnt, uint64_t flags, bool write)
{
    struct iov_iter local;
    struct lx_iovec *remote = NULL;
    struct mm *mm = NULL;
    char *bounce = NULL;
    size_t done = 0;
    uint64_t i;
    long ret;

    if (flags != 0)
        return -EINVAL;
    ret = iov_iter_init_iovec(&local, lvec, liovcnt);
    if (ret < 0)
        return ret;
    if (iov_iter_count(&local) == 0)
        goto out;
    ret = remote_iovec(rvec, riovcnt, &remote);
    if (ret < 0)
        goto out;
    ret = remote_mm(pid, &mm);
    if (ret < 0)
        goto out;
    bounce = malloc(BOUNCE_SIZE);
    if (!bounce) {
        ret = -ENOMEM;
        goto out;
    }
    for (i = 0; i < riovcnt && iov_iter_count(&local) > 0; i++) {
        size_t want = MIN(remote[i].len, iov_iter_count(&local));
        size_t n = transfer(mm, &local, remote[i], write, bounce);

        done += n;
        if (n < want) {
            ret = -EFAULT;
            break;
        }
    }
    if (done > 0)
        ret = (long)done;
out:
    free(bounce);
    free(remote);
    if (mm)
        mm_put(mm);
    iov_iter_destroy(&local);
    return ret;
}

long sys_process_vm_readv(struct task *t, lx_pid_t pid, uaddr_t lvec, uint64_t liovcnt,
                          uaddr_t rvec, uint64_t riovcnt, uint64_t flags)
{
    (void)t;
    return process_vm_rw(pid, lvec, liovcnt, rvec, riovcnt, flags, /*write=*/false);
}

long sys_process_vm_writev(struct task *t, lx_pid_t pid, uaddr_t lvec, uint64_t liovcnt,
                           uaddr_t rvec, uint64_t riovcnt, uint64_t flags)
{
    (void)t;
    return process_vm_rw(pid, lvec, liovcnt, rvec, riovcnt, flags, /*write=*/true);
}

/* ---- process_madvise ----------------------------------------------------------------------- */

static int madvise_target(struct task *t, int pidfd, struct mm **out)
{
    struct file *f;
    struct pid *p;
    struct task *other;
    int ret;

    ret = fdtable_lookup_get(t->curr.files, pidfd, &f);
    if (ret < 0)
        return ret;
    p = pidfd_pid(f);
    other = p ? pid_task_get(p, PID_TGID) : NULL;
    if (!p)
        ret = -EBADF;
    else if (!other)
        ret = -ESRCH;
    else if (task_ptrace_may_access(other, LX_PTRACE_MODE_READ | LX_PTRACE_MODE_FSCREDS) < 0)
        ret = -EPERM;
    if (ret == 0) {
        *out = task_mm_get(other);
        if (!*out)
            ret = -ESRCH;
    }
    if (other)
        task_put(other);
    file_put(f);
    return ret;
}

long sys_process_madvise(struct task *t, int pidfd, uaddr_t vec, size_t vlen, int behavior,
                         uint32_t flags)
{
    struct lx_iovec *v;
    struct mm *mm;
    uint64_t done = 0;
    size_t i;
    long ret;

    if (flags != 0)
        return -EINVAL;
    ret = remote_iovec(vec, vlen, &v);
    if (ret < 0)
        return ret;
    ret = madvise_target(t, pidfd, &mm);
    if (ret < 0)
        goto out;
    /* Linux 6.13: to itself a process may give any advice. */
    if (mm != t->curr.mm && behavior != LX_MADV_COLD && behavior != LX_MADV_PAGEOUT &&
        behavior != LX_MADV_WILLNEED && behavior != LX_MADV_COLLAPSE) {
        ret = -EINVAL;
    } else if (mm != t->curr.mm && !cred_capable(t->curr.cred, LX_CAP_SYS_NICE)) {
        ret = -EPERM;
    } else {
        for (i = 0; i < vlen && ret == 0; i++) {
            ret = mm_madvise(mm, v[i].base, v[i].len, behavior);
            if (ret == 0)
                done += v[i].len;
        }
        if (done > 0)
            ret = (long)done;
    }
    mm_put(mm);
out:
    free(v);
    return ret;
}

/* ---- process_mrelease ---------------------------------------------------------------------- */

/* A dying process gives its memory back by itself, without waiting for anything slow: there is
 * nothing to hurry, only the answers are Linux's. */
long sys_process_mrelease(struct task *t, int pidfd, uint32_t flags)
{
    struct task *other = NULL;
    struct mm *mm = NULL;
    struct file *f;
    struct pid *p;
    int ret;

    if (flags)
        return -EINVAL;
    ret = fdtable_lookup_get(t->curr.files, pidfd, &f);
    if (ret < 0)
        return ret;
    p = pidfd_pid(f);
    ret = p ? 0 : -EBADF;
    if (p)
        other = pid_task_get(p, PID_TGID);
    if (ret == 0 && other)
        mm = task_mm_get(other);
    if (ret == 0 && !mm)
        ret = -ESRCH;
    if (ret == 0 && !task_process_is_dying(other))
        ret = -EINVAL;
    if (mm)
        mm_put(mm);
    if (other)
        task_put(other);
    file_put(f);
    return ret;
}
