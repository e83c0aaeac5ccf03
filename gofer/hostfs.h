/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host calls of the gofer on files, with -errno results. They stand here and not in
 * platform/host because no other process of the sandbox may make them.
 */
#pragma once

#include <sys/stat.h>
#include <sys/statfs.h>
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
