/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host calls of the gofer that nobody else may make: those that take names, and what follows
 * from them. Raw system calls, so that no C library puts another call (without a row in host.tbl)
 * in their place; value >= 0 or -errno.
 */
#pragma once

#include <stdint.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>
#include <time.h>

#include "platform/base/compiler.h"

/* O_PATH|O_NOFOLLOW of one component below dirfd. cached: only if the dcache knows it (-EAGAIN). */
int hostfs_open_node(int dirfd, const char *name, bool cached);
/* One component below dirfd; symlinks are refused (-ELOOP). */
int hostfs_open_beneath(int dirfd, const char *name, int flags, uint32_t mode);
/* Follows the magic link fd below the /proc/self/fd directory proc_fd. */
int hostfs_open_magic(int proc_fd, int fd, int flags);
/* Attributes of fd itself. */
int hostfs_stat_fd(int fd, struct statx *out);
int hostfs_stat_at(int dirfd, const char *name, struct statx *out);
/* Is fd on a file system made of kernel state (proc, sysfs, cgroup, ...)? */
bool hostfs_is_pseudo(int fd);

ssize_t hostfs_getdents64(int fd, void *buf, size_t size);
ssize_t hostfs_readlinkat(int dirfd, const char *name, char *buf, size_t size);
int hostfs_mkdirat(int dirfd, const char *name, mode_t mode);
int hostfs_mknodat(int dirfd, const char *name, mode_t mode, dev_t dev);
int hostfs_symlinkat(const char *target, int dirfd, const char *name);
int hostfs_linkat(int old_dirfd, const char *old_name, int new_dirfd, const char *name, int flags);
int hostfs_unlinkat(int dirfd, const char *name, int flags);
int hostfs_renameat2(int old_dirfd, const char *old_name, int new_dirfd, const char *new_name,
                     unsigned flags);
int hostfs_fchownat(int dirfd, const char *name, uid_t uid, gid_t gid, int flags);
int hostfs_fchmodat(int dirfd, const char *name, mode_t mode);
int hostfs_fchmod(int fd, mode_t mode);
int hostfs_utimensat(int dirfd, const char *name, const struct timespec times[2], int flags);
int hostfs_fstatfs(int fd, struct statfs *out);
int hostfs_fcntl(int fd, int cmd, unsigned long arg);
ssize_t hostfs_fgetxattr(int fd, const char *name, void *buf, size_t size);
int hostfs_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
ssize_t hostfs_flistxattr(int fd, char *buf, size_t size);
int hostfs_fremovexattr(int fd, const char *name);
