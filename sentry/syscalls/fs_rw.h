/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes of a descriptor as preadv2 and pwritev2 make them, for io_uring too. */
#pragma once

#include "sentry/fs/vfs.h"

/* pos NULL: at the file's position, or a file without one; else it is advanced. flags: RWF_*. */
long fs_rw_vector(int fd, uaddr_t vec, uint64_t vlen, lx_loff_t *pos, int flags, bool write);
long fs_rw_buffer(int fd, uaddr_t buf, size_t len, lx_loff_t *pos, int flags, bool write);
