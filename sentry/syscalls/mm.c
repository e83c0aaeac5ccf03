// SPDX-License-Identifier: Apache-2.0
/* mmap and its family: decode, find the file, call mm. */
#include <errno.h>

#include "gen/syscall_protos.h"
#include "sentry/abi/mman.h"
#include "sentry/fs/dev/dev.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"

/* Protection bits that make mm refuse with -EINVAL at the place where Linux does. */
#define PROT_UNKNOWN 0x40000000u

/* What descriptor and mount allow a mapping of f to do. */
static uint32_t file_prot(const struct file *f)
{
    uint32_t prot = 0;

    if (file_readable(f))
        prot |= LX_PROT_READ;
    if (file_writable(f))
        prot |= LX_PROT_WRITE;
    if (!(f->path.mnt && (mount_flags(f->path.mnt) & MOUNT_NOEXEC)) &&
        !(f->inode && f->inode->super && (f->inode->super->flags & SUPER_NOEXEC)))
        prot |= LX_PROT_EXEC;
    /* mm takes 0 for "all"; an unreadable, unwritable, noexec file allows nothing. */
    return prot ? prot : 8u;
}

/* Huge pages exist (2 MiB, 1 GiB), but none is reserved. */
static long map_hugetlb(uint64_t flags, size_t len, bool file)
{
    uint32_t log2 = (uint32_t)(flags >> LX_MAP_HUGE_SHIFT) & LX_MAP_HUGE_MASK;

    if (file || len == 0 || (log2 != 0 && log2 != 21 && log2 != 30))
        return -EINVAL;
    return -ENOMEM;
}

/* /dev/zero is anonymous memory once the descriptor's mode was checked. */
static long map_dev_zero(struct mmap_args *a)
{
    bool shared = (a->flags & LX_MAP_TYPE) != LX_MAP_PRIVATE;

    if (!(a->max_prot & LX_PROT_READ))
        return -EACCES;
    if (shared && (a->prot & LX_PROT_WRITE) && !(a->max_prot & LX_PROT_WRITE))
        return -EACCES;
    a->file = NULL;
    a->max_prot = 0;
    a->offset = 0;
    a->flags |= LX_MAP_ANONYMOUS;
    return 0;
}

long sys_mmap(struct task *t, uaddr_t addr, size_t len, uint64_t prot, uint64_t flags, int fd,
              uint64_t off)
{
    struct mmap_args a = {
        .addr = addr,
        .size = len,
        .prot = (uint32_t)prot & LX_PROT_RWX,
        .flags = (uint32_t)flags,
        .offset = off,
    };
    struct file *f = NULL;
    long ret;

    if (off & ~LX_PAGE_MASK)
        return -EINVAL;
    if (!(flags & LX_MAP_ANONYMOUS)) {
        ret = fdtable_lookup_get(t->curr.files, fd, &f);
        if (ret < 0)
            return ret;
    }
    if (flags & LX_MAP_HUGETLB) {
        ret = map_hugetlb(flags, len, f != NULL);
        goto out;
    }
    if (f) {
        bool no_write;

        ret = shmem_check_mmap(f, (flags & LX_MAP_SHARED) != 0, prot & LX_PROT_WRITE, &no_write);
        if (ret < 0)
            goto out;
        if ((flags & LX_MAP_SHARED) && inode_is_append(f->inode) && file_writable(f)) {
            ret = -EACCES;
            goto out;
        }
        a.file = f;
        a.max_prot = file_prot(f);
        if (no_write)
            a.max_prot &= ~LX_PROT_WRITE;
        if (len != 0 && dev_file_is_zero(f)) {
            ret = map_dev_zero(&a);
            if (ret < 0)
                goto out;
        }
    } else {
        a.offset = 0;
    }
    ret = mm_mmap(t->curr.mm, &a);
out:
    if (f)
        file_put(f);
    return ret;
}

long sys_munmap(struct task *t, uaddr_t addr, size_t len)
{
    return mm_munmap(t->curr.mm, addr, len);
}

long sys_mprotect(struct task *t, uaddr_t addr, size_t len, uint64_t prot)
{
    return mm_mprotect(t->curr.mm, addr, len, prot > UINT32_MAX ? PROT_UNKNOWN : (uint32_t)prot);
}

long sys_brk(struct task *t, uaddr_t addr)
{
    return (long)mm_brk(t->curr.mm, addr);
}

long sys_mremap(struct task *t, uaddr_t old_addr, size_t old_len, size_t new_len, uint64_t flags,
                uaddr_t new_addr)
{
    if (flags > UINT32_MAX)
        return -EINVAL;
    return mm_mremap(t->curr.mm, old_addr, old_len, new_len, (uint32_t)flags, new_addr);
}

long sys_madvise(struct task *t, uaddr_t addr, size_t len, int advice)
{
    return mm_madvise(t->curr.mm, addr, len, advice);
}

long sys_mincore(struct task *t, uaddr_t addr, size_t len, uaddr_t vec)
{
    return mm_mincore(t->curr.mm, addr, len, vec);
}

long sys_msync(struct task *t, uaddr_t addr, size_t len, int flags)
{
    return mm_msync(t->curr.mm, addr, len, (uint32_t)flags);
}

long sys_mlock(struct task *t, uaddr_t start, size_t len)
{
    return mm_mlock(t->curr.mm, start, len, /*lock=*/true, /*on_fault=*/false);
}

long sys_mlock2(struct task *t, uaddr_t start, size_t len, int flags)
{
    if ((uint32_t)flags & ~LX_MLOCK_ONFAULT)
        return -EINVAL;
    return mm_mlock(t->curr.mm, start, len, /*lock=*/true, (uint32_t)flags & LX_MLOCK_ONFAULT);
}

long sys_munlock(struct task *t, uaddr_t start, size_t len)
{
    return mm_mlock(t->curr.mm, start, len, /*lock=*/false, /*on_fault=*/false);
}

long sys_mlockall(struct task *t, int flags)
{
    uint32_t f = (uint32_t)flags;

    if (f == 0 || (f & ~(LX_MCL_CURRENT | LX_MCL_FUTURE | LX_MCL_ONFAULT)) || f == LX_MCL_ONFAULT)
        return -EINVAL;
    return mm_mlockall(t->curr.mm, f);
}

long sys_munlockall(struct task *t)
{
    return mm_mlockall(t->curr.mm, 0);
}

long sys_remap_file_pages(struct task *t, uaddr_t start, size_t size, uint64_t prot, uint64_t pgoff,
                          uint64_t flags)
{
    (void)flags; /* only MAP_NONBLOCK means anything, and Linux ignores the rest */
    start &= LX_PAGE_MASK;
    size &= LX_PAGE_MASK;
    if (prot != 0)
        return -EINVAL;
    if (start + size <= start)
        return -EINVAL;
    if (pgoff + (size >> LX_PAGE_SHIFT) < pgoff || pgoff > UINT64_MAX >> LX_PAGE_SHIFT)
        return -EINVAL;
    return mm_remap_pages(t->curr.mm, start, size, pgoff << LX_PAGE_SHIFT);
}

long sys_mseal(struct task *t, uaddr_t start, size_t len, uint64_t flags)
{
    if (flags != 0)
        return -EINVAL;
    return mm_mseal(t->curr.mm, start, len);
}

/* ---- protection keys: a CPU without them -------------------------------------------------- */

/* Linux (checked natively): key 0 is found free, then its rights cannot be set. */
long sys_pkey_alloc(struct task *t, uint64_t flags, uint64_t init_val)
{
    (void)t;
    (void)flags;
    (void)init_val;
    return -EINVAL;
}

long sys_pkey_free(struct task *t, int pkey)
{
    (void)t;
    (void)pkey;
    return -EINVAL;
}

long sys_pkey_mprotect(struct task *t, uaddr_t start, size_t len, uint64_t prot, int pkey)
{
    if (pkey == -1)
        return sys_mprotect(t, start, len, prot);
    /* Linux: nothing is done for an empty range before the key is looked at. */
    return len == 0 && !(start & ~LX_PAGE_MASK) ? 0 : -EINVAL;
}
