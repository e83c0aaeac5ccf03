/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the gofer opens and looks at host files: the few combinations of flags that are safe with a
 * hostile tree. Everything else it does is a wrapper of platform/host/file.h. Value >= 0 or -errno.
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
