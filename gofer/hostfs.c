/* SPDX-License-Identifier: Apache-2.0 */
#include "gofer/hostfs.h"

#include <fcntl.h>
#include <stdio.h>

#include <linux/magic.h>
#include <linux/openat2.h>

#include "platform/host/file.h"

int hostfs_open_node(int dirfd, const char *name, bool cached)
{
    struct open_how how = {
        .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    if (cached)
        how.resolve |= RESOLVE_CACHED;
    return host_openat2(dirfd, name, &how);
}

int hostfs_open_beneath(int dirfd, const char *name, int flags, uint32_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY),
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return host_openat2(dirfd, name, &how);
}

int hostfs_open_magic(int proc_fd, int fd, int flags)
{
    char name[16];

    snprintf(name, sizeof(name), "%d", fd);
    return host_openat(proc_fd, name, flags | O_CLOEXEC | O_NOCTTY, 0);
}

int hostfs_stat_fd(int fd, struct statx *out)
{
    return host_statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME,
                      out);
}

int hostfs_stat_at(int dirfd, const char *name, struct statx *out)
{
    return host_statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
                      STATX_BASIC_STATS | STATX_BTIME, out);
}

bool hostfs_is_pseudo(int fd)
{
    struct statfs st;

    if (host_fstatfs(fd, &st) < 0)
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
