/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls that take a path: gofer and runsc-c; see file.h. */
#include "platform/host/file.h"

#include <linux/openat2.h>

#include "platform/host/host_internal.h"

int host_openat2(int dirfd, const char *path, const struct open_how *how)
{
    return (int)raw4(SYS_openat2, dirfd, path, how, sizeof(*how));
}

int host_openat(int dirfd, const char *path, int flags, mode_t mode)
{
    return (int)raw4(SYS_openat, dirfd, path, flags, mode);
}

int host_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *out)
{
    return (int)raw5(SYS_statx, dirfd, path, flags, mask, out);
}

ssize_t host_getdents64(int fd, void *buf, size_t size)
{
    return raw3(SYS_getdents64, fd, buf, size);
}

ssize_t host_readlinkat(int dirfd, const char *path, char *buf, size_t size)
{
    return raw4(SYS_readlinkat, dirfd, path, buf, size);
}

int host_mkdirat(int dirfd, const char *path, mode_t mode)
{
    return (int)raw3(SYS_mkdirat, dirfd, path, mode);
}

int host_mknodat(int dirfd, const char *path, mode_t mode, dev_t dev)
{
    return (int)raw4(SYS_mknodat, dirfd, path, mode, dev);
}

int host_symlinkat(const char *target, int dirfd, const char *path)
{
    return (int)raw3(SYS_symlinkat, target, dirfd, path);
}

int host_linkat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path, int flags)
{
    return (int)raw5(SYS_linkat, old_dirfd, old_path, new_dirfd, new_path, flags);
}

int host_unlinkat(int dirfd, const char *path, int flags)
{
    return (int)raw3(SYS_unlinkat, dirfd, path, flags);
}

int host_renameat2(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
                   unsigned flags)
{
    return (int)raw5(SYS_renameat2, old_dirfd, old_path, new_dirfd, new_path, flags);
}

int host_fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags)
{
    return (int)raw5(SYS_fchownat, dirfd, path, uid, gid, flags);
}

int host_fchmodat(int dirfd, const char *path, mode_t mode)
{
    return (int)raw3(SYS_fchmodat, dirfd, path, mode);
}

int host_utimensat(int dirfd, const char *path, const struct timespec times[2], int flags)
{
    return (int)raw4(SYS_utimensat, dirfd, path, times, flags);
}
