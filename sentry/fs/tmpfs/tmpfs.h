/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs(5), memfd_create(2), and shared memory objects. See tmpfs/README.md. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/fs/vfs.h"

extern const struct fs_type g_fs_tmpfs;

struct tmpfs_options {
    uint64_t size_limit;  /* bytes; 0: none */
    uint64_t inode_limit; /* 0: none */
    uint32_t mode;        /* of the root directory */
    lx_uid_t uid;
    lx_gid_t gid;
    uint32_t super_flags; /* SUPER_* (LOWER for an overlay's upper layer) */
};
/* Bytes of a tmpfs that says no size: half of the memory that the caller may have. */
uint64_t tmpfs_default_size(void);
/* One reference on the super. */
int MUST_CHECK tmpfs_create(const struct tmpfs_options *opt, struct super **out);

/* An unnamed file, as memfd_create(2) and shared anonymous mappings have. flags: LX_MFD_*. d_path
 * shows name (with " (deleted)" already in it where Linux has it). */
int MUST_CHECK shmem_file_new(const char *name, uint64_t size, uint32_t flags, struct file **out);
/* F_ADD_SEALS, F_GET_SEALS; -EINVAL when f is no shmem file. */
int shmem_add_seals(struct file *f, uint32_t seals);
int shmem_get_seals(struct file *f);
/* mmap(2) of f: may it be mapped shared and writable? -EPERM when sealed. Sets *no_write when a
 * read-only shared mapping must stay so. 0 for files of other kinds. */
int MUST_CHECK shmem_check_mmap(struct file *f, bool shared, bool writable, bool *no_write);
/* Called once by boot after vfs_init. */
int shmem_init(void);
