/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that manage the machine: swap, quotas, performance counters, BPF (modules and accounting are
 * refused by the table alone). The
 * machine is not the guest's, whatever capabilities it has inside, so they say what Linux says to a
 * container without capabilities over the machine, after the checks that Linux makes before it looks
 * at them. sysfs(2) is about names only and answers.
 */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/rseq.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

/* ---- swap ------------------------------------------------------------------------------------ */

#define SWAP_FLAGS_VALID 0x7ffffu

long sys_swapon(struct task *t, uaddr_t specialfile, int swap_flags)
{
    (void)t;
    (void)specialfile;
    return (uint32_t)swap_flags & ~SWAP_FLAGS_VALID ? -EINVAL : -EPERM;
}

/* ---- quotas: no file system here keeps any ---------------------------------------------------- */

#define QUOTA_TYPES 3u
#define Q_SYNC      0x800001u

long sys_quotactl(struct task *t, uint32_t cmd, uaddr_t special, int id, uaddr_t addr)
{
    struct path p;
    int ret;

    (void)t;
    (void)id;
    (void)addr;
    if ((cmd & 0xff) >= QUOTA_TYPES)
        return -EINVAL;
    if (!special)
        return cmd >> 8 == Q_SYNC ? 0 : -ENODEV;
    ret = path_from_user(LX_AT_FDCWD, special, /*follow=*/true, /*empty_ok=*/false, &p);
    if (ret < 0)
        return ret;
    ret = inode_type(p.dentry->inode) == LX_S_IFBLK ? -ENODEV : -ENOTBLK;
    path_put(&p);
    return ret;
}

long sys_quotactl_fd(struct task *t, int fd, uint32_t cmd, int id, uaddr_t addr)
{
    struct file *f;
    int ret = fdtable_lookup_any_get(t->curr.files, fd, &f);

    (void)id;
    (void)addr;
    if (ret < 0)
        return ret;
    file_put(f);
    return (cmd & 0xff) >= QUOTA_TYPES ? -EINVAL : -ENOSYS;
}

/* ---- sysfs(2) -------------------------------------------------------------------------------- */

static int fs_type_count(void)
{
    int n = 0;

    while (g_fs_types[n])
        n++;
    return n;
}

static long fs_type_index(uaddr_t uname)
{
    struct path_arg name;
    long ret = path_arg_init(&name, uname, /*empty_ok=*/true);

    if (ret < 0)
        return ret;
    ret = -EINVAL;
    for (int i = 0; i < fs_type_count(); i++)
        if (!strcmp(g_fs_types[i]->name, name.s))
            ret = i;
    path_arg_free(&name);
    return ret;
}

long sys_sysfs(struct task *t, int option, uint64_t arg1, uint64_t arg2)
{
    uint32_t index = (uint32_t)arg1;
    const char *name;

    (void)t;
    switch (option) {
    case 1:
        return fs_type_index(arg1);
    case 2:
        if (index >= (uint32_t)fs_type_count())
            return -EINVAL;
        name = g_fs_types[index]->name;
        return copy_out(arg2, name, strlen(name) + 1);
    case 3:
        return fs_type_count();
    default:
        return -EINVAL;
    }
}

/* ---- perf_event_open(2), as with kernel.perf_event_paranoid at 3 ------------------------------ */

#define PERF_ATTR_SIZE_VER0 64u
#define PERF_FLAGS_VALID    0xfu

long sys_perf_event_open(struct task *t, uaddr_t attr, lx_pid_t pid, int cpu, int group_fd,
                         uint64_t flags)
{
    uint32_t size;

    (void)t;
    (void)pid;
    (void)cpu;
    (void)group_fd;
    if (flags & ~(uint64_t)PERF_FLAGS_VALID)
        return -EINVAL;
    if (copy_in(&size, attr + 4, sizeof(size)) < 0)
        return -EFAULT;
    if (size && (size < PERF_ATTR_SIZE_VER0 || size > LX_PAGE_SIZE))
        return -E2BIG;
    return -EACCES;
}

/* ---- bpf(2), as with kernel.unprivileged_bpf_disabled at 2 ------------------------------------ */

#define BPF_ATTR_SIZE 168u

long sys_bpf(struct task *t, int cmd, uaddr_t uattr, uint32_t size)
{
    uint8_t attr[BPF_ATTR_SIZE];
    int ret;

    (void)t;
    (void)cmd;
    if (size > LX_PAGE_SIZE)
        return -E2BIG;
    ret = copy_struct_from_user(attr, sizeof(attr), uattr, size);
    return ret < 0 ? ret : -EPERM;
}

/* ---- restartable sequences ------------------------------------------------------------------- */

long sys_rseq(struct task *t, uaddr_t rseq, uint32_t rseq_len, int flags, uint32_t sig)
{
    return task_rseq(t, rseq, rseq_len, flags, sig);
}
