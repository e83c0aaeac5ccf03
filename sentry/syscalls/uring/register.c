/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring_register(2): fixed buffers and files, eventfd, probe, personalities, restrictions. All
 * of it is guarded by ring->submit; files are given back after it is released. A fixed buffer is a
 * range of addresses that is checked again with every use: no page is pinned, so RLIMIT_MEMLOCK has
 * nothing to count.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/fs/eventfd/eventfd.h"
#include "sentry/mm/iov_iter.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/uring/uring_internal.h"

/* ---- buffers -------------------------------------------------------------------------------- */

static int buffers_in(uaddr_t arg, uint32_t count, struct uring_buffer *out)
{
    for (uint32_t i = 0; i < count; i++) {
        struct lx_iovec v;

        if (copy_in(&v, arg + (uint64_t)i * sizeof(v), sizeof(v)) < 0)
            return -EFAULT;
        if (!v.base && v.len)
            return -EFAULT;
        if (v.len > 1u << 30 || v.base > LX_TASK_SIZE - v.len || (v.base && !v.len))
            return -EFAULT;
        out[i] = (struct uring_buffer){v.base, v.len};
    }
    return 0;
}

static int register_buffers(struct uring *r, uaddr_t arg, uint32_t count)
{
    struct uring_buffer *b;
    int ret;

    if (!count || count > URING_MAX_BUFFERS)
        return -EINVAL;
    b = calloc(count, sizeof(*b));
    if (!b)
        return -ENOMEM;
    ret = buffers_in(arg, count, b);
    mutex_lock(&r->submit);
    if (ret == 0 && r->buffers)
        ret = -EBUSY;
    if (ret == 0) {
        r->buffers = b;
        r->buffer_count = count;
        b = NULL;
    }
    mutex_unlock(&r->submit);
    free(b);
    return ret;
}

static int unregister_buffers(struct uring *r)
{
    struct uring_buffer *b;

    mutex_lock(&r->submit);
    b = r->buffers;
    r->buffers = NULL;
    r->buffer_count = 0;
    mutex_unlock(&r->submit);
    free(b);
    return b ? 0 : -ENXIO;
}

/* ---- files ---------------------------------------------------------------------------------- */

static void put_files(struct file **files, uint32_t count)
{
    for (uint32_t i = 0; files && i < count; i++) {
        if (files[i])
            file_put(files[i]);
    }
    free(files);
}

/* fd as the guest gave it, -1: none. A ring cannot hold a ring: they would keep each other. */
static int file_for_slot(int32_t fd, struct file **out)
{
    int ret;

    *out = NULL;
    if (fd == -1)
        return 0;
    ret = fdtable_lookup_get(curr()->files, fd, out);
    if (ret == 0 && uring_from_file(*out)) {
        file_put(*out);
        *out = NULL;
        ret = -EBADF;
    }
    return ret;
}

static int register_files(struct uring *r, uaddr_t arg, uint32_t count)
{
    struct file **files;
    int ret = 0;

    if (!count)
        return -EINVAL;
    if (count > URING_MAX_FILES || count > g_curr_ops->rlimit(LX_RLIMIT_NOFILE))
        return -EMFILE;
    files = calloc(count, sizeof(struct file *));
    if (!files)
        return -ENOMEM;
    for (uint32_t i = 0; ret == 0 && i < count; i++) {
        int32_t fd;

        ret = copy_in(&fd, arg + (uint64_t)i * sizeof(fd), sizeof(fd));
        if (ret == 0)
            ret = file_for_slot(fd, &files[i]);
    }
    mutex_lock(&r->submit);
    if (ret == 0 && r->files)
        ret = -EBUSY;
    if (ret == 0) {
        r->files = files;
        r->file_count = count;
        files = NULL;
    }
    mutex_unlock(&r->submit);
    put_files(files, count);
    return ret;
}

/* As many empty slots, or those of an array. DEVIATION: no tags. */
static int register_files2(struct uring *r, uaddr_t arg, uint32_t size)
{
    struct lx_io_uring_rsrc_register reg;
    struct file **files;
    int ret = 0;

    if (size != sizeof(reg))
        return -EINVAL;
    if (get_user(&reg, arg) < 0)
        return -EFAULT;
    if (!reg.nr || reg.resv2 || (reg.flags & ~LX_IORING_RSRC_REGISTER_SPARSE) || reg.tags)
        return -EINVAL;
    if (!(reg.flags & LX_IORING_RSRC_REGISTER_SPARSE))
        return register_files(r, reg.data, reg.nr);
    if (reg.data)
        return -EINVAL;
    if (reg.nr > URING_MAX_FILES || reg.nr > g_curr_ops->rlimit(LX_RLIMIT_NOFILE))
        return -EMFILE;
    files = calloc(reg.nr, sizeof(struct file *));
    if (!files)
        return -ENOMEM;
    mutex_lock(&r->submit);
    if (r->files) {
        ret = -EBUSY;
    } else {
        r->files = files;
        r->file_count = reg.nr;
        files = NULL;
    }
    mutex_unlock(&r->submit);
    free(files);
    return ret;
}

int uring_fixed_get(struct uring *r, uint32_t slot, struct file **out)
{
    int ret = -EBADF;

    mutex_lock(&r->submit);
    if (slot < r->file_count && r->files[slot]) {
        *out = file_get(r->files[slot]);
        ret = 0;
    }
    mutex_unlock(&r->submit);
    return ret;
}

static uint32_t free_slot_locked(const struct uring *r)
{
    uint32_t i = 0;

    while (i < r->file_count && r->files[i])
        i++;
    return i;
}

long uring_slot_set_take(struct uring *r, uint32_t index, struct file *f)
{
    const bool any = index == LX_IORING_FILE_INDEX_ALLOC;
    struct file *old = f;
    uint32_t slot;
    long ret = 0;

    mutex_lock(&r->submit);
    slot = any ? free_slot_locked(r) : index - 1;
    if (!r->files) {
        ret = any ? -ENFILE : -ENXIO;
    } else if (f && uring_from_file(f)) {
        ret = -EBADF; /* a ring cannot hold a ring */
    } else if (slot >= r->file_count) {
        ret = any ? -ENFILE : -EINVAL;
    } else if (!f && !r->files[slot]) {
        ret = -EBADF;
    } else {
        old = r->files[slot];
        r->files[slot] = f;
        ret = any ? (long)slot : 0;
    }
    mutex_unlock(&r->submit);
    if (old)
        file_put(old);
    return ret;
}

static int unregister_files(struct uring *r)
{
    struct file **files;
    uint32_t count;

    mutex_lock(&r->submit);
    files = r->files;
    count = r->file_count;
    r->files = NULL;
    r->file_count = 0;
    mutex_unlock(&r->submit);
    put_files(files, count);
    return files ? 0 : -ENXIO;
}

/* Swaps one slot; -2 leaves it as it is (IORING_REGISTER_FILES_SKIP). */
static int update_slot(struct uring *r, uint32_t slot, int32_t fd)
{
    struct file *f, *old;
    int ret;

    if (fd == -2)
        return 0;
    ret = file_for_slot(fd, &f);
    if (ret < 0)
        return ret;
    mutex_lock(&r->submit);
    if (slot >= r->file_count) {
        old = f;
        ret = -EINVAL;
    } else {
        old = r->files[slot];
        r->files[slot] = f;
    }
    mutex_unlock(&r->submit);
    if (old)
        file_put(old);
    return ret;
}

long uring_files_update(struct uring *r, uint32_t offset, uaddr_t fds, uint32_t count)
{
    uint32_t have, i;
    int ret = 0;

    mutex_lock(&r->submit);
    have = r->file_count;
    mutex_unlock(&r->submit);
    if (!have)
        return -ENXIO;
    if (offset > have || count > have - offset)
        return -EINVAL;
    for (i = 0; i < count; i++) {
        int32_t fd;

        ret = copy_in(&fd, fds + (uint64_t)i * sizeof(fd), sizeof(fd));
        if (ret == 0)
            ret = update_slot(r, offset + i, fd);
        if (ret < 0)
            break;
    }
    return i ? (long)i : ret;
}

static long register_files_update(struct uring *r, uaddr_t arg, uint32_t count)
{
    struct lx_io_uring_files_update u;

    if (!count)
        return -EINVAL;
    if (get_user(&u, arg) < 0)
        return -EFAULT;
    return u.resv ? -EINVAL : uring_files_update(r, u.offset, u.fds, count);
}

/* ---- eventfd -------------------------------------------------------------------------------- */

static int register_eventfd(struct uring *r, uaddr_t arg, uint32_t count, bool async)
{
    struct file *f;
    int32_t fd;
    int ret;

    if (count != 1)
        return -EINVAL;
    if (get_user(&fd, arg) < 0)
        return -EFAULT;
    ret = fdtable_lookup_get(curr()->files, fd, &f);
    if (ret < 0)
        return ret;
    if (!file_is_eventfd(f))
        ret = -EINVAL;
    mutex_lock(&r->lock);
    if (ret == 0 && r->eventfd)
        ret = -EBUSY;
    if (ret == 0) {
        r->eventfd = f;
        r->eventfd_async = async;
        f = NULL;
    }
    mutex_unlock(&r->lock);
    if (f)
        file_put(f);
    return ret;
}

static int unregister_eventfd(struct uring *r)
{
    struct file *f;

    mutex_lock(&r->lock);
    f = r->eventfd;
    r->eventfd = NULL;
    mutex_unlock(&r->lock);
    if (!f)
        return -ENXIO;
    file_put(f);
    return 0;
}

/* ---- probe, personality, restrictions ------------------------------------------------------- */

static int probe(uaddr_t arg, uint32_t count)
{
    struct lx_io_uring_probe p, zero = {0};
    uint32_t n = MIN(count, (uint32_t)LX_IORING_OP_LAST);

    if (count > 256)
        return -EINVAL;
    if (get_user(&p, arg) < 0)
        return -EFAULT;
    if (memcmp(&p, &zero, sizeof(p)) != 0)
        return -EINVAL;
    p.last_op = LX_IORING_OP_LAST - 1;
    p.ops_len = (uint8_t)n;
    for (uint32_t i = 0; i < n; i++) {
        const struct lx_io_uring_probe_op op = {.op = (uint8_t)i, .flags = uring_op_supported(i)};

        if (copy_out(arg + sizeof(p) + (uint64_t)i * sizeof(op), &op, sizeof(op)) < 0)
            return -EFAULT;
    }
    return put_user(&p, arg);
}

static int register_personality(struct uring *r)
{
    int ret = -ENOSPC;

    mutex_lock(&r->submit);
    for (uint32_t i = 0; i < URING_MAX_PERSONALITY; i++) {
        if (r->personality[i])
            continue;
        r->personality[i] = cred_get(curr()->cred);
        ret = (int)i + 1;
        break;
    }
    mutex_unlock(&r->submit);
    return ret;
}

static int unregister_personality(struct uring *r, uint32_t id)
{
    struct cred *c = NULL;

    mutex_lock(&r->submit);
    if (id >= 1 && id <= URING_MAX_PERSONALITY) {
        c = r->personality[id - 1];
        r->personality[id - 1] = NULL;
    }
    mutex_unlock(&r->submit);
    cred_put(c);
    return c ? 0 : -EINVAL;
}

struct restrictions {
    uint64_t register_ops, sqe_ops;
    uint8_t allowed, required;
};

static int restriction_in(uaddr_t at, struct restrictions *out)
{
    struct lx_io_uring_restriction e;

    if (get_user(&e, at) < 0)
        return -EFAULT;
    switch (e.opcode) {
    case LX_IORING_RESTRICTION_REGISTER_OP:
        if (e.arg >= LX_IORING_REGISTER_LAST)
            return -EINVAL;
        out->register_ops |= 1ull << e.arg;
        return 0;
    case LX_IORING_RESTRICTION_SQE_OP:
        if (e.arg >= LX_IORING_OP_LAST)
            return -EINVAL;
        out->sqe_ops |= 1ull << e.arg;
        return 0;
    case LX_IORING_RESTRICTION_SQE_FLAGS_ALLOWED:
        out->allowed = e.arg;
        return 0;
    case LX_IORING_RESTRICTION_SQE_FLAGS_REQUIRED:
        out->required = e.arg;
        return 0;
    default:
        return -EINVAL;
    }
}

static int register_restrictions(struct uring *r, uaddr_t arg, uint32_t count)
{
    struct restrictions got = {0};
    int ret = 0;

    if (!arg || count > 256)
        return -EINVAL;
    for (uint32_t i = 0; ret == 0 && i < count; i++)
        ret = restriction_in(arg + (uint64_t)i * sizeof(struct lx_io_uring_restriction), &got);
    if (ret < 0)
        return ret;
    mutex_lock(&r->submit);
    if (!r->disabled)
        ret = -EBADFD;
    else if (r->restricted)
        ret = -EBUSY;
    if (ret == 0) {
        r->restricted = true;
        r->restrict_register = got.register_ops;
        r->restrict_op = got.sqe_ops;
        r->restrict_flags = got.allowed;
        r->require_flags = got.required;
    }
    mutex_unlock(&r->submit);
    return ret;
}

static int enable_rings(struct uring *r)
{
    int ret = 0;

    mutex_lock(&r->submit);
    if (!r->disabled)
        ret = -EBADFD;
    else if ((r->flags & (LX_IORING_SETUP_SINGLE_ISSUER | LX_IORING_SETUP_SQPOLL)) ==
             LX_IORING_SETUP_SINGLE_ISSUER)
        r->issuer = pid_get(curr()->tid);
    r->disabled = false;
    mutex_unlock(&r->submit);
    return ret;
}

/* ---- the call ------------------------------------------------------------------------------- */

static bool register_allowed(struct uring *r, uint32_t op)
{
    bool ok;

    mutex_lock(&r->submit);
    ok = !r->restricted || r->disabled || (r->restrict_register >> op & 1);
    mutex_unlock(&r->submit);
    return ok;
}

long uring_register(struct uring *r, uint32_t op, uaddr_t arg, uint32_t count)
{
    bool bare = !arg && !count;

    if (uring_is_foreign(r))
        return -EEXIST;
    if (!register_allowed(r, op))
        return -EACCES;
    switch (op) {
    case LX_IORING_REGISTER_BUFFERS:
        return arg ? register_buffers(r, arg, count) : -EFAULT;
    case LX_IORING_UNREGISTER_BUFFERS:
        return bare ? unregister_buffers(r) : -EINVAL;
    case LX_IORING_REGISTER_FILES:
        return arg ? register_files(r, arg, count) : -EFAULT;
    case LX_IORING_UNREGISTER_FILES:
        return bare ? unregister_files(r) : -EINVAL;
    case LX_IORING_REGISTER_FILES2:
        return register_files2(r, arg, count);
    case LX_IORING_REGISTER_PBUF_RING:
        return uring_register_pbuf_ring(r, arg, count);
    case LX_IORING_UNREGISTER_PBUF_RING:
        return uring_unregister_pbuf_ring(r, arg, count);
    case LX_IORING_REGISTER_SYNC_CANCEL:
        return arg && count == 1 ? uring_sync_cancel(r, arg) : -EINVAL;
    case LX_IORING_REGISTER_FILES_UPDATE:
        return register_files_update(r, arg, count);
    case LX_IORING_REGISTER_EVENTFD:
    case LX_IORING_REGISTER_EVENTFD_ASYNC:
        return register_eventfd(r, arg, count, op == LX_IORING_REGISTER_EVENTFD_ASYNC);
    case LX_IORING_UNREGISTER_EVENTFD:
        return bare ? unregister_eventfd(r) : -EINVAL;
    case LX_IORING_REGISTER_PROBE:
        return arg ? probe(arg, count) : -EINVAL;
    case LX_IORING_REGISTER_PERSONALITY:
        return bare ? register_personality(r) : -EINVAL;
    case LX_IORING_UNREGISTER_PERSONALITY:
        return arg ? -EINVAL : unregister_personality(r, count);
    case LX_IORING_REGISTER_RESTRICTIONS:
        return register_restrictions(r, arg, count);
    case LX_IORING_REGISTER_ENABLE_RINGS:
        return bare ? enable_rings(r) : -EINVAL;
    default:
        return -EINVAL; /* as kernels before it */
    }
}

void uring_registered_free(struct uring *r)
{
    IGNORE_RESULT(unregister_buffers(r)); /* -ENXIO: there were none */
    IGNORE_RESULT(unregister_files(r));
    for (uint32_t i = 0; i < URING_MAX_PERSONALITY; i++) {
        cred_put(r->personality[i]);
        r->personality[i] = NULL;
    }
    pid_put(r->issuer);
    r->issuer = NULL;
}
