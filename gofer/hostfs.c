/* SPDX-License-Identifier: Apache-2.0 */
#include "gofer/hostfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/magic.h>
#include <linux/openat2.h>

/* SAFETY: arguments of system calls are words; pointers go through unchanged. */
#define CALL(nr, ...) ((int)result(syscall((nr), __VA_ARGS__)))

static long result(long ret)
{
    return ret < 0 ? -errno : ret;
}

static int openat2_call(int dirfd, const char *name, const struct open_how *how)
{
    return CALL(SYS_openat2, dirfd, name, how, sizeof(*how));
}

static int statx_call(int dirfd, const char *name, int flags, unsigned mask, struct statx *out)
{
    return CALL(SYS_statx, dirfd, name, flags, mask, out);
}

int hostfs_open_node(int dirfd, const char *name, bool cached)
{
    struct open_how how = {
        .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    if (cached)
        how.resolve |= RESOLVE_CACHED;
    return openat2_call(dirfd, name, &how);
}

int hostfs_open_beneath(int dirfd, const char *name, int flags, uint32_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY),
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return openat2_call(dirfd, name, &how);
}

int hostfs_open_magic(int proc_fd, int fd, int flags)
{
    char name[16];

    snprintf(name, sizeof(name), "%d", fd);
    return CALL(SYS_openat, proc_fd, name, flags | O_CLOEXEC | O_NOCTTY, 0);
}

int hostfs_stat_fd(int fd, struct statx *out)
{
    return statx_call(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME,
                      out);
}

int hostfs_stat_at(int dirfd, const char *name, struct statx *out)
{
    return statx_call(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
                      STATX_BASIC_STATS | STATX_BTIME, out);
}

bool hostfs_is_pseudo(int fd)
{
    struct statfs st;

    if (hostfs_fstatfs(fd, &st) < 0)
        return true;
    switch ((unsigned long)st.f_type) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case SECURITYFS_MAGIC:
    case SELINUX_MAGIC:
    case SMACK_MAGIC:
    case EFIVARFS_MAGIC:
    case PSTOREFS_MAGIC:
    case BPF_FS_MAGIC:
    case BINFMTFS_MAGIC:
    case DEVPTS_SUPER_MAGIC:
    case NSFS_MAGIC:
    case 0x62656570ul: /* configfs */
    case 0x19800202ul: /* mqueue */
    case 0x65735543ul: /* fusectl */
        return true;
    default:
        return false;
    }
}

ssize_t hostfs_getdents64(int fd, void *buf, size_t size)
{
    return CALL(SYS_getdents64, fd, buf, size);
}

ssize_t hostfs_readlinkat(int dirfd, const char *name, char *buf, size_t size)
{
    return CALL(SYS_readlinkat, dirfd, name, buf, size);
}

int hostfs_mkdirat(int dirfd, const char *name, mode_t mode)
{
    return CALL(SYS_mkdirat, dirfd, name, mode);
}

int hostfs_mknodat(int dirfd, const char *name, mode_t mode, dev_t dev)
{
    return CALL(SYS_mknodat, dirfd, name, mode, dev);
}

int hostfs_symlinkat(const char *target, int dirfd, const char *name)
{
    return CALL(SYS_symlinkat, target, dirfd, name);
}

int hostfs_linkat(int old_dirfd, const char *old_name, int new_dirfd, const char *name, int flags)
{
    return CALL(SYS_linkat, old_dirfd, old_name, new_dirfd, name, flags);
}

int hostfs_unlinkat(int dirfd, const char *name, int flags)
{
    return CALL(SYS_unlinkat, dirfd, name, flags);
}

int hostfs_renameat2(int old_dirfd, const char *old_name, int new_dirfd, const char *new_name,
                     unsigned flags)
{
    return CALL(SYS_renameat2, old_dirfd, old_name, new_dirfd, new_name, flags);
}

int hostfs_fchownat(int dirfd, const char *name, uid_t uid, gid_t gid, int flags)
{
    return CALL(SYS_fchownat, dirfd, name, uid, gid, flags);
}

int hostfs_fchmodat(int dirfd, const char *name, mode_t mode)
{
    return CALL(SYS_fchmodat, dirfd, name, mode);
}

int hostfs_fchmod(int fd, mode_t mode)
{
    return CALL(SYS_fchmod, fd, mode);
}

int hostfs_utimensat(int dirfd, const char *name, const struct timespec times[2], int flags)
{
    return CALL(SYS_utimensat, dirfd, name, times, flags);
}

int hostfs_fstatfs(int fd, struct statfs *out)
{
    return CALL(SYS_fstatfs, fd, out);
}

int hostfs_fcntl(int fd, int cmd, unsigned long arg)
{
    return CALL(SYS_fcntl, fd, cmd, arg);
}

ssize_t hostfs_fgetxattr(int fd, const char *name, void *buf, size_t size)
{
    return CALL(SYS_fgetxattr, fd, name, buf, size);
}

int hostfs_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
    return CALL(SYS_fsetxattr, fd, name, value, size, flags);
}

ssize_t hostfs_flistxattr(int fd, char *buf, size_t size)
{
    return CALL(SYS_flistxattr, fd, buf, size);
}

int hostfs_fremovexattr(int fd, const char *name)
{
    return CALL(SYS_fremovexattr, fd, name);
}
