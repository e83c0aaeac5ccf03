/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers shared by the file system calls: names from the guest, stat results to it. */
#pragma once

#include "sentry/abi/fcntl.h"
#include "sentry/abi/stat.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/task.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

/* A path argument; short ones live in the struct. Free with path_arg_free. */
struct path_arg {
    char *s;
    char *heap;
    char buf[248];
};
/* -EFAULT, -ENAMETOOLONG, -ENOMEM; -ENOENT for "" unless empty_ok. Needs no free on failure. */
int MUST_CHECK path_arg_init(struct path_arg *a, uaddr_t src, bool empty_ok);
void path_arg_free(struct path_arg *a);

/* FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR. */
long ioctl_fileattr(struct file *f, uint32_t cmd, uaddr_t arg);

/* The usual "walk with AT_* flags": SYMLINK_NOFOLLOW, EMPTY_PATH. default_follow: last link. */
int MUST_CHECK path_from_user(int dfd, uaddr_t name, bool follow, bool empty_ok, struct path *out);
