/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpfs regular files: bytes in memory file pages.
 *
 * inode.lock is held over read and write, so that size and pages cannot shrink under a copy; guest
 * memory may be copied under it. The page tree itself is under inode.map.lock, because page faults
 * (translate) fill holes with only mm locks held. Size changes hold both. Shrinking: the size
 * first, then every mapping is told, then the pages go; a fault in between sees the size.
 */
#include "sentry/fs/tmpfs/tmpfs_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/mm/memcg.h"
#include "sentry/mm/safecopy.h"

#define RUN_MAX 256u /* pages handled under one hold of map.lock: 1 MiB */

static uint64_t pages_of(uint64_t size)
{
    return (size + LX_PAGE_SIZE - 1) >> LX_PAGE_SHIFT;
}

static void set_size(struct tmpfs_inode *ti, uint64_t size)
{
    mutex_lock(&ti->inode.map.lock);
    ti->inode.attr.size = size;
    mutex_unlock(&ti->inode.map.lock);
}

static void update_blocks(struct tmpfs_inode *ti)
{
    ti->inode.attr.blocks = ti->pages.count * (LX_PAGE_SIZE / 512);
}

/* ---- finding and filling pages --------------------------------------------------------------- */

/* Pages [index, +max): *page is the first or MEMFILE_NONE for a hole; returns how many follow of
 * the same kind (consecutive in sentry memory, or all holes). */
static uint32_t run_at(struct tmpfs_inode *ti, uint64_t index, uint32_t max, mfpage_t *page)
{
    uint64_t next;
    uint32_t n;

    mutex_lock(&ti->inode.map.lock);
    *page = page_tree_get(&ti->pages, index);
    if (*page != MEMFILE_NONE) {
        n = page_tree_run(&ti->pages, index, max);
        n = memfile_run(*page, n);
    } else if (page_tree_next(&ti->pages, index, &next) && next - index < max) {
        n = (uint32_t)(next - index);
    } else {
        n = max;
    }
    mutex_unlock(&ti->inode.map.lock);
    return n;
}

/* Fills the hole [index, +count) as far as it goes in one piece; at least one page. */
static int fill_locked(struct tmpfs_inode *ti, uint64_t index, uint32_t count, uint32_t *filled)
    REQUIRES(ti->inode.map.lock)
{
    struct tmpfs_super *ts = tmpfs_super_of(&ti->inode);
    mfpage_t first;
    uint32_t i;
    int ret;

    if (!tmpfs_charge(ts, count)) {
        count = 1;
        if (!tmpfs_charge(ts, 1))
            return -ENOSPC;
    }
    ret = memfile_alloc(MEMFILE_TMPFS, count, &first);
    if (ret < 0 && count > 1) {
        tmpfs_uncharge(ts, count - 1);
        count = 1;
        ret = memfile_alloc(MEMFILE_TMPFS, 1, &first);
    }
    if (ret < 0) {
        tmpfs_uncharge(ts, count);
        return ret;
    }
    for (i = 0; i < count; i++) {
        ret = page_tree_set(&ti->pages, index + i, first + i);
        if (ret < 0)
            break;
    }
    if (i < count) {
        memfile_put(first + i, count - i);
        tmpfs_uncharge(ts, count - i);
        if (i == 0)
            return -ENOMEM;
    }
    update_blocks(ti);
    *filled = i;
    return 0;
}

/* Like run_at, but a hole is filled. */
static int run_for_write(struct tmpfs_inode *ti, uint64_t index, uint32_t max, mfpage_t *page,
                         uint32_t *count)
{
    uint32_t filled;
    uint64_t next;
    int ret = 0;

    memcg_oom_forget();
again:
    mutex_lock(&ti->inode.map.lock);
    *page = page_tree_get(&ti->pages, index);
    if (*page == MEMFILE_NONE) {
        if (page_tree_next(&ti->pages, index, &next) && next - index < max)
            max = (uint32_t)(next - index);
        ret = fill_locked(ti, index, max, &filled);
        if (ret == 0) {
            *page = page_tree_get(&ti->pages, index);
            *count = memfile_run(*page, filled);
        }
    } else {
        *count = memfile_run(*page, page_tree_run(&ti->pages, index, max));
    }
    mutex_unlock(&ti->inode.map.lock);
    if (ret == -ENOMEM && memcg_oom_retry())
        goto again;
    return ret;
}

static void drop_pages(struct tmpfs_inode *ti, uint64_t first, uint64_t last)
{
    uint64_t n;

    mutex_lock(&ti->inode.map.lock);
    n = page_tree_drop(&ti->pages, first, last);
    update_blocks(ti);
    mutex_unlock(&ti->inode.map.lock);
    tmpfs_uncharge(tmpfs_super_of(&ti->inode), n);
}

void tmpfs_free_pages(struct tmpfs_inode *ti)
{
    drop_pages(ti, 0, UINT64_MAX >> LX_PAGE_SHIFT);
}

/* Zeroes bytes [off, off+len) that lie within one page, when the page exists. */
static int zero_within_page(struct tmpfs_inode *ti, uint64_t off, uint64_t len)
{
    mfpage_t page;

    if (len == 0)
        return 0;
    run_at(ti, off >> LX_PAGE_SHIFT, 1, &page);
    if (page == MEMFILE_NONE)
        return 0;
    if (safe_memset((char *)memfile_ptr(page) + (off & ~LX_PAGE_MASK), 0, len))
        return -ENOSPC;
    return 0;
}

/* ---- read and write -------------------------------------------------------------------------- */

static uint32_t run_limit(uint64_t pos, uint64_t bytes)
{
    uint64_t pages = pages_of((pos & ~LX_PAGE_MASK) + bytes);

    return pages < RUN_MAX ? (uint32_t)pages : RUN_MAX;
}

static ssize_t tmpfs_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    struct tmpfs_inode *ti = tmpfs_inode_of(f->inode);
    uint64_t at = (uint64_t)*pos;
    size_t done = 0;
    bool fault = false;

    mutex_lock(&ti->inode.lock);
    while (iov_iter_count(dst) > 0 && at < ti->inode.attr.size && !fault) {
        uint64_t left = ti->inode.attr.size - at, off = at & ~LX_PAGE_MASK, bytes;
        mfpage_t page;
        size_t moved;

        if (left > iov_iter_count(dst))
            left = iov_iter_count(dst);
        bytes = (uint64_t)run_at(ti, at >> LX_PAGE_SHIFT, run_limit(at, left), &page)
                << LX_PAGE_SHIFT;
        bytes -= off;
        if (bytes > left)
            bytes = left;
        if (page == MEMFILE_NONE)
            moved = zero_iter(dst, bytes);
        else
            moved = copy_to_iter(dst, (char *)memfile_ptr(page) + off, bytes);
        fault = moved < bytes;
        done += moved;
        at += moved;
    }
    mutex_unlock(&ti->inode.lock);
    *pos = (lx_loff_t)at;
    return done || !fault ? (ssize_t)done : -EFAULT;
}

/* How much of size may be written at pos: limits and seals. */
static ssize_t write_room(struct file *f, struct tmpfs_inode *ti, uint64_t pos, size_t size)
{
    ssize_t ret = file_write_limit(f, (lx_loff_t)pos, size);

    if (ret < 0)
        return ret;
    if (ti->seals & (LX_F_SEAL_WRITE | LX_F_SEAL_FUTURE_WRITE))
        return -EPERM;
    if ((ti->seals & LX_F_SEAL_GROW) && pos + (uint64_t)ret > ti->inode.attr.size) {
        if (pos >= ti->inode.attr.size)
            return -EPERM;
        ret = (ssize_t)(ti->inode.attr.size - pos);
    }
    return ret;
}

static ssize_t tmpfs_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    struct tmpfs_inode *ti = tmpfs_inode_of(f->inode);
    uint64_t at;
    ssize_t room;
    size_t done = 0;
    int ret = 0;

    if (iov_iter_count(src) == 0)
        return 0;
    mutex_lock(&ti->inode.lock);
    at = file_appends(f) ? ti->inode.attr.size : (uint64_t)*pos;
    room = write_room(f, ti, at, iov_iter_count(src));
    if (room < 0) {
        mutex_unlock(&ti->inode.lock);
        return room;
    }
    iov_iter_truncate(src, (size_t)room);
    while (iov_iter_count(src) > 0 && ret == 0) {
        uint64_t off = at & ~LX_PAGE_MASK, bytes = iov_iter_count(src);
        uint32_t count;
        mfpage_t page;
        size_t moved;

        ret = run_for_write(ti, at >> LX_PAGE_SHIFT, run_limit(at, bytes), &page, &count);
        if (ret < 0)
            break;
        if (bytes > ((uint64_t)count << LX_PAGE_SHIFT) - off)
            bytes = ((uint64_t)count << LX_PAGE_SHIFT) - off;
        moved = copy_from_iter(src, (char *)memfile_ptr(page) + off, bytes);
        if (moved < bytes)
            ret = -EFAULT;
        done += moved;
        at += moved;
        if (at > ti->inode.attr.size)
            set_size(ti, at);
    }
    if (ret < 0) /* pages that were made ahead of bytes that never came */
        drop_pages(ti, pages_of(ti->inode.attr.size), UINT64_MAX >> LX_PAGE_SHIFT);
    mutex_unlock(&ti->inode.lock);
    if (done == 0)
        return ret;
    *pos = (lx_loff_t)at;
    return (ssize_t)done;
}

static lx_loff_t tmpfs_seek(struct file *f, lx_loff_t off, int whence)
{
    struct tmpfs_inode *ti = tmpfs_inode_of(f->inode);
    uint64_t size, index, found;
    lx_loff_t ret;

    if (whence != LX_SEEK_DATA && whence != LX_SEEK_HOLE)
        return file_seek_generic(f, off, whence);
    mutex_lock(&ti->inode.lock);
    size = ti->inode.attr.size;
    if (off < 0 || (uint64_t)off >= size) {
        mutex_unlock(&ti->inode.lock);
        return -ENXIO;
    }
    mutex_lock(&ti->inode.map.lock);
    index = (uint64_t)off >> LX_PAGE_SHIFT;
    if (whence == LX_SEEK_DATA) {
        ret = -ENXIO;
        if (page_tree_next(&ti->pages, index, &found) && (found << LX_PAGE_SHIFT) < size)
            ret = found == index ? off : (lx_loff_t)(found << LX_PAGE_SHIFT);
    } else {
        for (found = index; page_tree_get(&ti->pages, found) != MEMFILE_NONE; found++)
            ;
        ret = found == index ? off : (lx_loff_t)(found << LX_PAGE_SHIFT);
        if ((uint64_t)ret > size)
            ret = (lx_loff_t)size;
    }
    mutex_unlock(&ti->inode.map.lock);
    mutex_unlock(&ti->inode.lock);
    return ret;
}

/* ---- size and space -------------------------------------------------------------------------- */

int tmpfs_truncate(struct tmpfs_inode *ti, uint64_t size)
{
    uint64_t old = ti->inode.attr.size;
    uint64_t first = pages_of(size);
    int ret;

    ASSERT_HELD(&ti->inode.lock);
    if (size > INT64_MAX)
        return -EINVAL;
    if ((size < old && (ti->seals & LX_F_SEAL_SHRINK)) ||
        (size > old && (ti->seals & LX_F_SEAL_GROW)))
        return -EPERM;
    if (size >= old) {
        set_size(ti, size);
        return 0;
    }
    set_size(ti, size);
    mappable_invalidate(&ti->inode.map, first, (UINT64_MAX >> LX_PAGE_SHIFT) - first,
                        /*private_too=*/true);
    drop_pages(ti, first, UINT64_MAX >> LX_PAGE_SHIFT);
    ret = zero_within_page(ti, size, (first << LX_PAGE_SHIFT) - size);
    return ret;
}

static int punch_hole(struct tmpfs_inode *ti, uint64_t off, uint64_t end)
{
    uint64_t first = pages_of(off), last = end >> LX_PAGE_SHIFT; /* whole pages [first, last) */
    int ret = 0;

    if (ti->seals & (LX_F_SEAL_WRITE | LX_F_SEAL_FUTURE_WRITE))
        return -EPERM;
    if (first < last) {
        mappable_invalidate(&ti->inode.map, first, last - first, /*private_too=*/false);
        drop_pages(ti, first, last - 1);
    }
    if (first > last) /* inside one page */
        return zero_within_page(ti, off, end - off);
    if (off & ~LX_PAGE_MASK)
        ret = zero_within_page(ti, off, (first << LX_PAGE_SHIFT) - off);
    if (ret == 0 && (end & ~LX_PAGE_MASK))
        ret = zero_within_page(ti, last << LX_PAGE_SHIFT, end & ~LX_PAGE_MASK);
    return ret;
}

/* Fills [off, end). On failure what was filled here goes again, as in Linux. */
static int preallocate(struct tmpfs_inode *ti, uint64_t off, uint64_t end)
{
    uint64_t index = off >> LX_PAGE_SHIFT, last = pages_of(end);
    struct tmpfs_super *ts = tmpfs_super_of(&ti->inode);
    uint64_t want = last - index;

    if (ts->max_pages && want > ts->max_pages)
        return -ENOSPC;
    while (index < last) {
        uint64_t left = last - index;
        uint32_t count;
        mfpage_t page;
        int ret =
            run_for_write(ti, index, left < RUN_MAX ? (uint32_t)left : RUN_MAX, &page, &count);

        if (ret < 0) {
            drop_pages(ti, pages_of(ti->inode.attr.size), UINT64_MAX >> LX_PAGE_SHIFT);
            return ret;
        }
        index += count;
        if (task_interrupted())
            return -EINTR;
    }
    return 0;
}

int tmpfs_fallocate(struct file *f, int mode, lx_loff_t off, lx_loff_t len)
{
    struct tmpfs_inode *ti = tmpfs_inode_of(f->inode);
    uint64_t end = (uint64_t)off + (uint64_t)len;
    int ret = 0;

    if (mode & ~(LX_FALLOC_FL_KEEP_SIZE | LX_FALLOC_FL_PUNCH_HOLE))
        return -EOPNOTSUPP;
    mutex_lock(&ti->inode.lock);
    if (mode & LX_FALLOC_FL_PUNCH_HOLE) {
        ret = punch_hole(ti, (uint64_t)off, end);
    } else {
        if (!(mode & LX_FALLOC_FL_KEEP_SIZE) && end > ti->inode.attr.size) {
            ssize_t room = file_write_limit(f, off, (size_t)len);

            if (room < len)
                ret = room < 0 ? (int)room : -EFBIG;
            else if (ti->seals & LX_F_SEAL_GROW)
                ret = -EPERM;
        }
        if (ret == 0)
            ret = preallocate(ti, (uint64_t)off, end);
        if (ret == 0 && !(mode & LX_FALLOC_FL_KEEP_SIZE) && end > ti->inode.attr.size)
            set_size(ti, end);
    }
    if (ret == 0)
        inode_touch(&ti->inode, false, true, true);
    mutex_unlock(&ti->inode.lock);
    return ret;
}

/* ---- mappings -------------------------------------------------------------------------------- */

static struct tmpfs_inode *of_map(struct mappable *m)
{
    return container_of(m, struct tmpfs_inode, inode.map);
}

/* NO_THREAD_SAFETY: m is ti->inode.map. */
NO_THREAD_SAFETY static int tmpfs_translate(struct mappable *m, uint64_t pgoff, uint32_t count,
                                            bool write, struct backing *out)
{
    struct tmpfs_inode *ti = of_map(m);
    uint64_t end, next;
    uint32_t n;
    int ret = 0;

    mutex_lock(&m->lock);
    end = pages_of(ti->inode.attr.size);
    if (pgoff >= end) {
        ret = -ENXIO;
        goto out;
    }
    if (count > end - pgoff)
        count = (uint32_t)(end - pgoff);
    out->kind = BACKING_MEMFILE;
    out->page = page_tree_get(&ti->pages, pgoff);
    if (out->page != MEMFILE_NONE) {
        out->count = page_tree_run(&ti->pages, pgoff, count);
    } else {
        /* Reads of a hole fill one page only: a scan of a sparse file should stay cheap. */
        if (!write)
            count = 1;
        if (page_tree_next(&ti->pages, pgoff, &next) && next - pgoff < count)
            count = (uint32_t)(next - pgoff);
        ret = fill_locked(ti, pgoff, count, &n);
        if (ret < 0)
            goto out;
        out->page = page_tree_get(&ti->pages, pgoff);
        out->count = n;
    }
    memfile_get(out->page, out->count);
out:
    mutex_unlock(&m->lock);
    return ret;
}

static void tmpfs_map_get(struct mappable *m)
{
    inode_get(&of_map(m)->inode);
}

static void tmpfs_map_put(struct mappable *m)
{
    inode_put(&of_map(m)->inode);
}

static int tmpfs_map_punch(struct mappable *m, uint64_t pgoff, uint64_t count)
{
    struct tmpfs_inode *ti = of_map(m);
    int ret;

    mutex_lock(&ti->inode.lock);
    ret = punch_hole(ti, pgoff << LX_PAGE_SHIFT, (pgoff + count) << LX_PAGE_SHIFT);
    if (ret == 0)
        inode_touch(&ti->inode, false, true, true);
    mutex_unlock(&ti->inode.lock);
    return ret;
}

const struct mappable_ops tmpfs_mappable_ops = {
    .punch = tmpfs_map_punch,
    .translate = tmpfs_translate,
    .get = tmpfs_map_get,
    .put = tmpfs_map_put,
};

/* ---- open ------------------------------------------------------------------------------------ */

static int tmpfs_fsync(struct file *f, bool data_only)
{
    return 0;
}

static void tmpfs_release(struct file *f)
{
    file_destroy_generic(f);
    free(f);
}

const struct file_ops tmpfs_file_ops = {
    .read = tmpfs_read,
    .write = tmpfs_write,
    .seek = tmpfs_seek,
    .fsync = tmpfs_fsync,
    .fallocate = tmpfs_fallocate,
    .release = tmpfs_release,
};

int tmpfs_open(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out)
{
    struct file *f = malloc(sizeof(*f));

    if (!f)
        return -ENOMEM;
    file_init(f, LX_S_ISDIR(inode->attr.mode) ? &tmpfs_dir_file_ops : &tmpfs_file_ops, flags);
    f->kind = FILE_SEEKABLE;
    *out = f;
    return 0;
}

const struct inode_ops tmpfs_file_inode_ops = {
    .setattr = tmpfs_setattr,
    .open = tmpfs_open,
    .getxattr = tmpfs_getxattr,
    .setxattr = tmpfs_setxattr,
    .listxattr = tmpfs_listxattr,
    .removexattr = tmpfs_removexattr,
    .set_fsflags = tmpfs_set_fsflags,
    .destroy = tmpfs_inode_destroy,
};
