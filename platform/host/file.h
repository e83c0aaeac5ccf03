/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host calls on files and descriptors. Every wrapper is one host system call, returns a value >= 0
 * or -errno, never touches errno for the caller, and restarts nothing: -EINTR is handed up. Which
 * process may make which call is syscall-table/host.tbl; a call without a row kills the caller.
 * Calls that take a path are for the gofer and for runsc-c; the sentry's filter has none of them.
 */
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <termios.h>

#include "platform/base/compiler.h"

struct open_how; /* <linux/openat2.h>: not included, the sentry has its own of that name */
struct winsize;

/* Descriptors. */
int host_close(int fd);
int host_eventfd(unsigned value, int flags);
int host_fcntl(int fd, int cmd, unsigned long arg);
int host_fcntl_getfl(int fd);
int host_ppoll(struct pollfd *fds, unsigned count, const struct timespec *timeout);

/* Bytes. */
ssize_t host_read(int fd, void *buf, size_t size);
ssize_t host_write(int fd, const void *buf, size_t size);
ssize_t host_pread(int fd, void *buf, size_t size, int64_t off);
ssize_t host_pwrite(int fd, const void *buf, size_t size, int64_t off);
ssize_t host_preadv2(int fd, const struct iovec *iov, int count, int64_t off, int flags);
ssize_t host_pwritev2(int fd, const struct iovec *iov, int count, int64_t off, int flags);
int64_t host_lseek(int fd, int64_t off, int whence);
int host_ftruncate(int fd, int64_t size);
int host_fallocate(int fd, int mode, int64_t off, int64_t size);
int host_fsync(int fd);
int host_fdatasync(int fd);

/* Attributes of an open descriptor. */
int host_fstat(int fd, struct stat *out);
int host_fstatfs(int fd, struct statfs *out);
int host_fchmod(int fd, mode_t mode);
ssize_t host_fgetxattr(int fd, const char *name, void *buf, size_t size);
int host_fsetxattr(int fd, const char *name, const void *buf, size_t size, int flags);
ssize_t host_flistxattr(int fd, char *buf, size_t size);
int host_fremovexattr(int fd, const char *name);

/* Terminals and stream state of donated descriptors. */
int host_ioctl_winsize(int fd, struct winsize *out);
int host_ioctl_tcgets(int fd, struct termios *out);
/* when: TCSANOW, TCSADRAIN, TCSAFLUSH. */
int host_ioctl_tcsets(int fd, int when, const struct termios *t);
int host_ioctl_fionread(int fd, int *out_size);

/* Paths: gofer and runsc-c only. */
int host_openat2(int dirfd, const char *path, const struct open_how *how);
int host_openat(int dirfd, const char *path, int flags, mode_t mode);
int host_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *out);
ssize_t host_getdents64(int fd, void *buf, size_t size);
ssize_t host_readlinkat(int dirfd, const char *path, char *buf, size_t size);
int host_mkdirat(int dirfd, const char *path, mode_t mode);
int host_mknodat(int dirfd, const char *path, mode_t mode, dev_t dev);
int host_symlinkat(const char *target, int dirfd, const char *path);
int host_linkat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
                int flags);
int host_unlinkat(int dirfd, const char *path, int flags);
int host_renameat2(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
                   unsigned flags);
int host_fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags);
int host_fchmodat(int dirfd, const char *path, mode_t mode);
int host_utimensat(int dirfd, const char *path, const struct timespec times[2], int flags);
