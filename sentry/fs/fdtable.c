/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptor tables.
 *
 * Lookup is on the way of nearly every system call. A table with one reference belongs to the
 * calling task alone: only that task can share it or change it, so it reads the array without the
 * lock, and fdtable_borrow need not count the file either. Everybody else (threads, /proc) holds a
 * reference of its own, which makes the count > 1 and the owner take the lock.
 *
 * A reserved slot is a set bit in `used` with a NULL file: -EBADF for lookups.
 */
#include "sentry/fs/vfs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/inotify/dnotify.h"

#define FD_INITIAL 64u
#define FD_MAX     (1u << 20) /* sysctl fs.nr_open */

/* Keys: f ->lock (reads by the only user need none) */
struct fdtable {
    struct refs refs;
    struct mutex lock;   /* rank FDTABLE */
    uint32_t cap;        /* f: multiple of 64 */
    uint32_t next;       /* f: no free descriptor below */
    struct file **files; /* f, +1 each */
    uint64_t *used;      /* f: bitmap */
    uint64_t *cloexec;   /* f: bitmap */
};

static int table_alloc(struct fdtable *t, uint32_t cap)
{
    t->files = calloc(cap, sizeof(*t->files));
    t->used = calloc(cap / 64, sizeof(*t->used));
    t->cloexec = calloc(cap / 64, sizeof(*t->cloexec));
    t->cap = cap;
    if (t->files && t->used && t->cloexec)
        return 0;
    free(t->files);
    free(t->used);
    free(t->cloexec);
    return -ENOMEM;
}

static int fdtable_new_cap(uint32_t cap, struct fdtable **out)
{
    struct fdtable *t = calloc(1, sizeof(*t));
    int ret;

    if (!t)
        return -ENOMEM;
    ret = table_alloc(t, cap);
    if (ret < 0) {
        free(t);
        return ret;
    }
    refs_init(&t->refs);
    mutex_init(&t->lock, RANK_FDTABLE);
    *out = t;
    return 0;
}

int fdtable_new(struct fdtable **out)
{
    return fdtable_new_cap(FD_INITIAL, out);
}

static bool bit_test(const uint64_t *map, uint32_t i)
{
    return map[i / 64] >> (i % 64) & 1;
}

static void bit_assign(uint64_t *map, uint32_t i, bool on)
{
    if (on)
        map[i / 64] |= 1ull << (i % 64);
    else
        map[i / 64] &= ~(1ull << (i % 64));
}

static int grow_locked(struct fdtable *t, uint32_t want) REQUIRES(t->lock)
{
    struct fdtable bigger;
    uint32_t cap = t->cap;
    int ret;

    while (cap <= want)
        cap *= 2;
    ret = table_alloc(&bigger, cap);
    if (ret < 0)
        return ret;
    memcpy(bigger.files, t->files, t->cap * sizeof(*t->files));
    memcpy(bigger.used, t->used, t->cap / 8);
    memcpy(bigger.cloexec, t->cloexec, t->cap / 8);
    free(t->files);
    free(t->used);
    free(t->cloexec);
    t->files = bigger.files;
    t->used = bigger.used;
    t->cloexec = bigger.cloexec;
    t->cap = cap;
    return 0;
}

static uint32_t find_free_locked(struct fdtable *t, uint32_t from) REQUIRES(t->lock)
{
    uint32_t i = from / 64;
    uint64_t word;

    if (from >= t->cap)
        return from;
    word = t->used[i] | ((1ull << (from % 64)) - 1);
    for (;;) {
        if (~word)
            return i * 64 + (uint32_t)__builtin_ctzll(~word);
        if (++i >= t->cap / 64)
            return t->cap;
        word = t->used[i];
    }
}

/* A slot >= from with its bit set and no file. */
static int reserve_locked(struct fdtable *t, int from, bool cloexec) REQUIRES(t->lock)
{
    uint64_t limit = g_curr_ops->rlimit(LX_RLIMIT_NOFILE);
    uint32_t start = (uint32_t)from < t->next ? t->next : (uint32_t)from;
    uint32_t fd = find_free_locked(t, start);
    int ret;

    if (fd >= limit || fd >= FD_MAX)
        return -EMFILE;
    if (fd >= t->cap) {
        ret = grow_locked(t, fd);
        if (ret < 0)
            return ret;
    }
    bit_assign(t->used, fd, true);
    bit_assign(t->cloexec, fd, cloexec);
    if (start == t->next)
        t->next = fd + 1;
    return (int)fd;
}

static void clear_locked(struct fdtable *t, uint32_t fd) REQUIRES(t->lock)
{
    t->files[fd] = NULL;
    bit_assign(t->used, fd, false);
    bit_assign(t->cloexec, fd, false);
    if (fd < t->next)
        t->next = fd;
}

int fdtable_copy(struct fdtable *old, int max_fd, struct fdtable **out)
{
    struct fdtable *t;
    uint32_t i, words, limit = max_fd < 0 ? 0 : (uint32_t)max_fd;
    int ret;

    for (;;) {
        uint32_t cap = old->cap;

        ret = fdtable_new_cap(cap, &t);
        if (ret < 0)
            return ret;
        mutex_lock(&old->lock);
        if (old->cap == cap)
            break;
        mutex_unlock(&old->lock); /* it grew meanwhile */
        fdtable_put(t);
    }
    words = t->cap / 64;
    for (i = 0; i < words; i++) {
        uint64_t bits = old->used[i];

        for (; bits; bits &= bits - 1) {
            uint32_t fd = i * 64 + (uint32_t)__builtin_ctzll(bits);

            if (fd >= limit || !old->files[fd])
                continue;
            t->files[fd] = file_get(old->files[fd]);
            bit_assign(t->used, fd, true);
            bit_assign(t->cloexec, fd, bit_test(old->cloexec, fd));
        }
    }
    mutex_unlock(&old->lock);
    *out = t;
    return 0;
}

struct fdtable *fdtable_get(struct fdtable *t)
{
    refs_get(&t->refs);
    return t;
}

/* What closing one descriptor means for the file; puts the reference. */
static int close_file(struct fdtable *t, struct file *f)
{
    int ret = 0;

    if (f->ops->flush)
        ret = f->ops->flush(f);
    if (f->inode->flocks)
        flock_close_fd(f, t);
    if (unlikely(dnotify_in_use()))
        dnotify_close(f, t);
    file_put(f);
    return ret;
}

void fdtable_put(struct fdtable *t)
{
    uint32_t i;

    if (!refs_put(&t->refs))
        return;
    for (i = 0; i < t->cap / 64; i++) {
        uint64_t bits = t->used[i];

        for (; bits; bits &= bits - 1) {
            struct file *f = t->files[i * 64 + (uint32_t)__builtin_ctzll(bits)];

            if (f)
                close_file(t, f);
        }
    }
    mutex_destroy(&t->lock);
    free(t->files);
    free(t->used);
    free(t->cloexec);
    free(t);
}

/* NO_THREAD_SAFETY: the only user of a table takes no lock. */
/* Borrowed: what io_uring runs a request on. */
static struct file *request_file(const struct fdtable *t, int fd)
{
    return fd == FD_OF_REQUEST && t == curr()->files ? curr()->request_file : NULL;
}

NO_THREAD_SAFETY int fdtable_lookup_any_get(struct fdtable *t, int fd, struct file **out)
{
    struct file *f = NULL;
    bool alone = refs_read(&t->refs) == 1;

    if (!alone)
        mutex_lock(&t->lock);
    if ((uint32_t)fd < t->cap)
        f = t->files[fd];
    if (f)
        file_get(f);
    if (!alone)
        mutex_unlock(&t->lock);
    if (unlikely(!f)) {
        f = request_file(t, fd);
        if (!f)
            return -EBADF;
        file_get(f);
    }
    *out = f;
    return 0;
}

int fdtable_lookup_get(struct fdtable *t, int fd, struct file **out)
{
    int ret = fdtable_lookup_any_get(t, fd, out);

    if (ret == 0 && unlikely((*out)->kind & FILE_PATH)) {
        file_put(*out);
        ret = -EBADF;
    }
    return ret;
}

int fdtable_borrow(int fd, struct fd_borrow *out)
{
    struct fdtable *t = curr()->files;
    struct file *f;

    if (refs_read(&t->refs) != 1) {
        out->counted = true;
        return fdtable_lookup_get(t, fd, &out->file);
    }
    f = (uint32_t)fd < t->cap ? t->files[fd] : request_file(t, fd);
    if (!f || (f->kind & FILE_PATH))
        return -EBADF;
    out->counted = false;
    out->file = f;
    return 0;
}

int fdtable_reserve(struct fdtable *t, int from, bool cloexec)
{
    int ret;

    mutex_lock(&t->lock);
    ret = reserve_locked(t, from, cloexec);
    mutex_unlock(&t->lock);
    return ret;
}

void fdtable_publish_take(struct fdtable *t, int fd, struct file *f)
{
    mutex_lock(&t->lock);
    t->files[fd] = f;
    mutex_unlock(&t->lock);
}

void fdtable_cancel(struct fdtable *t, int fd)
{
    mutex_lock(&t->lock);
    clear_locked(t, (uint32_t)fd);
    mutex_unlock(&t->lock);
}

int fdtable_install_take(struct fdtable *t, struct file *f, int from, bool cloexec)
{
    int ret;

    mutex_lock(&t->lock);
    ret = reserve_locked(t, from, cloexec);
    if (ret >= 0)
        t->files[ret] = f;
    mutex_unlock(&t->lock);
    return ret;
}

int fdtable_install_at_take(struct fdtable *t, struct file *f, int fd, bool cloexec)
{
    struct file *old = NULL;
    uint32_t n = (uint32_t)fd;
    int ret = fd;

    if (n >= g_curr_ops->rlimit(LX_RLIMIT_NOFILE) || n >= FD_MAX)
        return -EBADF;
    mutex_lock(&t->lock);
    if (n >= t->cap)
        ret = grow_locked(t, n);
    if (ret >= 0) {
        old = t->files[n];
        if (!old && bit_test(t->used, n)) {
            ret = -EBUSY; /* another thread is opening this very descriptor */
        } else {
            t->files[n] = f;
            bit_assign(t->used, n, true);
            bit_assign(t->cloexec, n, cloexec);
            ret = fd;
        }
    }
    mutex_unlock(&t->lock);
    if (old)
        close_file(t, old);
    return ret;
}

static struct file *take_locked(struct fdtable *t, uint32_t fd) REQUIRES(t->lock)
{
    struct file *f = fd < t->cap ? t->files[fd] : NULL;

    if (f)
        clear_locked(t, fd);
    return f;
}

int fdtable_close(struct fdtable *t, int fd)
{
    struct file *f;

    mutex_lock(&t->lock);
    f = take_locked(t, (uint32_t)fd);
    mutex_unlock(&t->lock);
    return f ? close_file(t, f) : -EBADF;
}

int fdtable_close_range(struct fdtable *t, uint32_t first, uint32_t last, bool cloexec_only)
{
    uint32_t fd;

    mutex_lock(&t->lock);
    for (fd = first; fd < t->cap && fd <= last; fd++) {
        struct file *f;

        if (!bit_test(t->used, fd))
            continue;
        if (cloexec_only) {
            bit_assign(t->cloexec, fd, true);
            continue;
        }
        f = take_locked(t, fd);
        if (!f)
            continue;
        mutex_unlock(&t->lock);
        close_file(t, f);
        mutex_lock(&t->lock);
    }
    mutex_unlock(&t->lock);
    return 0;
}

int fdtable_get_cloexec(struct fdtable *t, int fd)
{
    int ret = -EBADF;

    mutex_lock(&t->lock);
    if ((uint32_t)fd < t->cap && t->files[fd])
        ret = bit_test(t->cloexec, (uint32_t)fd);
    mutex_unlock(&t->lock);
    return ret;
}

int fdtable_set_cloexec(struct fdtable *t, int fd, bool on)
{
    int ret = -EBADF;

    mutex_lock(&t->lock);
    if ((uint32_t)fd < t->cap && t->files[fd]) {
        bit_assign(t->cloexec, (uint32_t)fd, on);
        ret = 0;
    }
    mutex_unlock(&t->lock);
    return ret;
}

void fdtable_close_on_exec(struct fdtable *t)
{
    uint32_t i;

    mutex_lock(&t->lock);
    for (i = 0; i < t->cap / 64; i++) {
        while (t->cloexec[i] & t->used[i]) {
            uint32_t fd = i * 64 + (uint32_t)__builtin_ctzll(t->cloexec[i] & t->used[i]);
            struct file *f = take_locked(t, fd);

            if (!f) {
                bit_assign(t->cloexec, fd, false);
                continue;
            }
            mutex_unlock(&t->lock);
            close_file(t, f);
            mutex_lock(&t->lock);
        }
    }
    mutex_unlock(&t->lock);
}

int fdtable_next_get(struct fdtable *t, int from, struct file **out)
{
    int fd = -1;
    uint32_t i;

    mutex_lock(&t->lock);
    for (i = from < 0 ? 0 : (uint32_t)from; i < t->cap; i++) {
        if (t->files[i]) {
            *out = file_get(t->files[i]);
            fd = (int)i;
            break;
        }
    }
    mutex_unlock(&t->lock);
    return fd;
}

int fdtable_size(struct fdtable *t)
{
    return (int)t->cap;
}

bool fdtable_shared(struct fdtable *t)
{
    return refs_read(&t->refs) > 1;
}
